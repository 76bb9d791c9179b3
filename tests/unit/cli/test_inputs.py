import io
import sys

import pytest

from iso15118.cli import inputs
from iso15118.cli.main import UsageError
from iso15118.cli.schemas import SHORT_NAMES, namespace_of


@pytest.fixture
def stdin(monkeypatch):
    def give(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give


@pytest.mark.parametrize("text", ["8004", "0x8004", "80 04", "80:04", "80\n04\n", " 8004 ", "0X8004".lower()])
def test_hex_in_its_usual_spellings(text):
    assert inputs.read_octets(text) == b"\x80\x04"


@pytest.mark.parametrize("text", ["800", "80g4", "", "8 004", "x8004"])
def test_what_is_no_hex(text):
    assert not inputs.is_hex(text)


@pytest.mark.parametrize("content", [b"\x80\x04", b"8004\n", b"80 04\r\n"])
def test_a_file_holds_octets_or_hex(tmp_path, content):
    file = tmp_path / "message"
    file.write_bytes(content)
    assert inputs.read_octets(str(file)) == b"\x80\x04"


@pytest.mark.parametrize("source", ["-", None])
def test_standard_input(source, stdin):
    stdin(b"8004\n")
    assert inputs.read_octets(source) == b"\x80\x04"


def test_a_missing_file_is_named():
    with pytest.raises(UsageError, match=r"no-such-file.*No such file"):
        inputs.read_octets("no-such-file.bin")


def test_long_hex_with_one_wrong_digit_is_reported_not_raised():
    with pytest.raises(UsageError, match="neither hexadecimal"):
        inputs.read_octets("80" * 5000 + "x")


def test_an_empty_input_is_refused(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(UsageError, match="empty"):
        inputs.read_octets(str(tmp_path / "empty"))


def test_the_size_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "MAX_INPUT", 10)
    (tmp_path / "big").write_bytes(b"\x80" * 11)
    with pytest.raises(UsageError, match="longer than 10"):
        inputs.read_octets(str(tmp_path / "big"))


@pytest.mark.parametrize("magic", ["d4c3b2a1", "a1b2c3d4", "4d3cb2a1", "0a0d0d0a"])
def test_captures_are_recognised(magic):
    assert inputs.is_capture(bytes.fromhex(magic) + bytes(20))
    assert not inputs.is_capture(b"\x80\x04")


@pytest.mark.parametrize("document", ["<a/>", '{"a": 1}', "  <a/>"])
def test_documents_may_be_given_directly(document):
    assert inputs.read_text(document) == document


def test_a_document_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "latin").write_bytes(b"<a>\xe9</a>")
    with pytest.raises(UsageError, match="UTF-8"):
        inputs.read_text(str(tmp_path / "latin"))


@pytest.mark.parametrize(
    ("name", "namespace"),
    [
        ("dc", "urn:iso:std:iso:15118:-20:DC"),
        ("CM", "urn:iso:std:iso:15118:-20:CommonMessages"),
        ("ac_der_iec", "urn:iso:std:iso:15118:-20:AC-DER-IEC"),
        ("urn:something:else", "urn:something:else"),
    ],
)
def test_schema_sets_by_short_name(name, namespace):
    assert namespace_of(name) == namespace


def test_an_unknown_schema_set_lists_the_known_ones():
    with pytest.raises(Exception, match="xmldsig") as caught:
        namespace_of("dcc")
    assert all(name in str(caught.value) for name in SHORT_NAMES)
