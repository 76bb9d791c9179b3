import json

import pytest

from iso15118.cli import batch
from iso15118.cli.main import OK, UsageError
from iso15118.errors import DecodeError


def run(tmp_path, capsys, content, convert):
    file = tmp_path / "lines.jsonl"
    file.write_bytes(content)
    code = batch.run(str(file), convert)
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def upper(record):
    return {"text": batch.text_field(record, "text").upper()}


def test_one_answer_a_line_in_order(tmp_path, capsys):
    code, out = run(tmp_path, capsys, b'{"id": "a", "text": "x"}\n\n{"id": 2, "text": "y"}', upper)
    assert code == OK
    assert out == [{"id": "a", "text": "X"}, {"id": 2, "text": "Y"}]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"not json", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"id": 1}', "text is missing"),
        (b'{"id": 1, "text": 5}', "text is not text"),
    ],
)
def test_a_bad_line_is_answered_and_the_next_still_read(tmp_path, capsys, line, reason):
    code, out = run(tmp_path, capsys, line + b'\n{"id": 2, "text": "y"}\n', upper)
    assert code == OK
    assert out[0]["line"] == 1
    assert "line 1" in out[0]["error"]
    assert reason in out[0]["error"]
    assert out[1] == {"id": 2, "text": "Y"}


def test_errors_of_the_codec_are_data(tmp_path, capsys):
    def fail(_):
        raise DecodeError("too short", (), 16)

    assert run(tmp_path, capsys, b'{"id": 7}\n', fail) == (OK, [{"id": 7, "error": "too short at bit 16"}])


def test_an_id_that_no_encoding_can_write_comes_back(tmp_path, capsys):
    line = b'{"id": "\\ud800", "text": "\xc3\xbc"}\n'
    assert run(tmp_path, capsys, line, upper)[1] == [{"id": "\ud800", "text": "\u00dc"}]


def test_a_defect_of_ours_is_marked_and_does_not_end_the_run(tmp_path, capsys):
    def broken(record):
        return {"value": 1 / record["n"]}

    _, out = run(tmp_path, capsys, b'{"id": 1, "n": 0}\n{"id": 2, "n": 1}\n', broken)
    assert out[0]["error"].startswith("internal error: ZeroDivisionError")
    assert out[1] == {"id": 2, "value": 1.0}


def test_a_line_too_long_is_skipped_without_being_kept(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(batch, "MAX_LINE", 64)
    _, out = run(tmp_path, capsys, b'{"id":1,"text":"' + b"x" * 500 + b'"}\n{"id": 2, "text": "y"}\n', upper)
    assert "longer than 64" in out[0]["error"]
    assert out[1] == {"id": 2, "text": "Y"}


@pytest.mark.parametrize(
    ("value", "meant"), [({}, False), ({"fragment": True}, True), ({"fragment": None}, False)]
)
def test_the_fragment_field(value, meant):
    assert batch.fragment_field(value) is meant


def test_a_fragment_field_of_another_type_is_refused():
    with pytest.raises(batch.BadRecord):
        batch.fragment_field({"fragment": "yes"})


def test_hex_is_checked():
    with pytest.raises(batch.BadRecord, match="hexadecimal"):
        batch.exi_field({"exi": "80zz"})
    assert batch.exi_field({"exi": ""}) == b""


def test_a_missing_file_is_a_wrong_call():
    with pytest.raises(UsageError, match="No such file"):
        batch.run("no-such-file.jsonl", upper)
