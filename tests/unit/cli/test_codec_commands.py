"""decode, encode and explain of single messages."""

import io
import json
import sys

import pytest

from iso15118.cli.main import FAILED, OK, USAGE, main

EXI = "802c040000000000000000080e2cfaa062"
FRAME = "01fe800400000011" + EXI
XML = (
    '<dc:DC_CableCheckReq xmlns:ct="urn:iso:std:iso:15118:-20:CommonTypes" '
    'xmlns:dc="urn:iso:std:iso:15118:-20:DC"><ct:Header><ct:SessionID>0000000000000000</ct:SessionID>'
    "<ct:TimeStamp>1700000000</ct:TimeStamp></ct:Header></dc:DC_CableCheckReq>"
)
DATA = {"DC_CableCheckReq": {"Header": {"SessionID": "0000000000000000", "TimeStamp": 1700000000}}}


@pytest.fixture
def run(capsys):
    def call(*arguments):
        code = main([str(a) for a in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out.strip(), captured.err.strip()

    return call


@pytest.fixture
def stdin(monkeypatch):
    def give(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give


# --- decode -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [(FRAME,), ("--schema", "dc", EXI), ("-s", "urn:iso:std:iso:15118:-20:DC", EXI)]
)
def test_decode_gives_json_by_default(arguments, run):
    code, out, _ = run("decode", *arguments)
    assert (code, json.loads(out)) == (OK, DATA)


@pytest.mark.parametrize("option", [("--xml",), ("--format", "xml")])
def test_decode_gives_xml_on_request(option, run):
    assert run("decode", FRAME, *option)[:2] == (OK, XML)


@pytest.mark.parametrize(
    "content", [bytes.fromhex(FRAME), FRAME.encode(), f"{FRAME[:20]}\n{FRAME[20:]}\n".encode()]
)
def test_decode_reads_files_and_standard_input(content, run, stdin, tmp_path):
    (tmp_path / "frame").write_bytes(content)
    assert run("decode", tmp_path / "frame", "--xml")[1] == XML
    stdin(content)
    assert run("decode", "-", "--xml")[1] == XML


def test_decode_takes_frames_in_a_row(run):
    code, out, _ = run("decode", "--xml", FRAME + FRAME)
    assert (code, out.splitlines()) == (OK, [XML, XML])


def test_decode_reads_discovery_frames(run):
    code, out, _ = run("decode", "01fe9000000000021000")
    assert (code, json.loads(out)) == (OK, {"SdpRequest": {"security": "NONE", "transport": "TCP"}})
    assert run("decode", "--xml", "01fe9000000000021000")[0] == USAGE


def test_decode_reads_fragments(run, tmp_path):
    xml = '<ds:SignatureMethod xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Algorithm="urn:x"></ds:SignatureMethod>'
    _, exi, _ = run("encode", "-s", "xmldsig", "--fragment", xml)
    assert run("decode", "-s", "xmldsig", "--fragment", "--xml", exi)[1] == xml


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((EXI,), USAGE, "--schema"),
        (("7f00",), USAGE, "neither a V2GTP frame"),
        (("-s", "nothing", EXI), USAGE, "no schema set"),
        (("-s", "urn:nothing", EXI), USAGE, "not known"),
        (("no-such-file",), USAGE, "readable file"),
        (("-s", "dc", "802c04"), FAILED, "bit"),
        (("-s", "dc", "80fc04"), FAILED, "unknown to this schema set"),
        ((FRAME[:-2],), FAILED, "length field"),
        (("01fe8004",), FAILED, "no V2GTP header"),
        (("01fe80070000000180",), FAILED, "0x8007"),
        ((FRAME + "ffff",), FAILED, "V2GTP header"),
        (("--xml", "--jsonl"), USAGE, "not allowed"),
    ],
)
def test_decode_says_what_is_wrong(arguments, code, told, run):
    got, _, err = run("decode", *arguments)
    assert got == code
    assert told in err


# --- encode -----------------------------------------------------------------------------------


@pytest.mark.parametrize("document", [XML, json.dumps(DATA), f"\n  {XML}\n"])
def test_encode_takes_xml_and_json(document, run, stdin, tmp_path):
    assert run("encode", document)[:2] == (OK, EXI)
    assert run("encode", "--frame", document)[:2] == (OK, FRAME)
    (tmp_path / "document").write_text("\ufeff" + document, encoding="utf-8")
    assert run("encode", tmp_path / "document")[1] == EXI
    stdin(document.encode())
    assert run("encode", "-")[1] == EXI


def test_encode_writes_octets(capfdbinary):
    assert main(["encode", "--binary", "--frame", XML]) == OK
    assert capfdbinary.readouterr().out == bytes.fromhex(FRAME)


def test_a_schema_set_may_be_chosen_for_the_same_message(run):
    plain = run("decode", "-s", "ac", "--xml", "8018040000000000000000080e2cfaa062")
    text = (
        '<ac:AC_ChargeLoopReq xmlns:ac="urn:iso:std:iso:15118:-20:AC" '
        'xmlns:ct="urn:iso:std:iso:15118:-20:CommonTypes"><ct:Header><ct:SessionID>00</ct:SessionID>'
        "<ct:TimeStamp>0</ct:TimeStamp></ct:Header><ct:MeterInfoRequested>false</ct:MeterInfoRequested>"
        "<ac:Scheduled_AC_CLReqControlMode><ac:EVPresentActivePower><ct:Exponent>0</ct:Exponent>"
        "<ct:Value>1</ct:Value></ac:EVPresentActivePower></ac:Scheduled_AC_CLReqControlMode></ac:AC_ChargeLoopReq>"
    )
    assert plain[0] == FAILED
    in_ac = run("encode", "--lenient", text)[1]
    in_der = run("encode", "--lenient", "-s", "ac-der-iec", text)[1]
    assert in_ac != in_der
    assert run("encode", "--lenient", "-s", "ac-der-iec", "--frame", text)[1].startswith("01fe8010")
    assert run("decode", "-s", "ac-der-iec", "--xml", in_der)[1] == text


def test_encode_refuses_what_the_schema_does_not_allow_unless_told(run):
    short = XML.replace("0000000000000000", "00")
    code, _, err = run("encode", short)
    assert code == FAILED
    assert "SessionID" in err
    assert run("encode", "--lenient", short)[0] == OK


def test_the_spelling_of_empty_values(run):
    xml = '<ds:SignatureMethod xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Algorithm="a"><ds:HMACOutputLength/></ds:SignatureMethod>'
    assert run("encode", "-s", "xmldsig", xml)[0] == FAILED  # empty is no number
    key = '<ds:KeyName xmlns:ds="http://www.w3.org/2000/09/xmldsig#"></ds:KeyName>'
    spellings = {run("encode", "-s", "xmldsig", "--empty", form, key)[1] for form in ("ch", "ee")}
    assert len(spellings) == 2
    assert {run("decode", "-s", "xmldsig", "--xml", s)[1] for s in spellings} == {key}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("<a/>",), USAGE, "--schema"),
        (('{"NoSuchMessage": {}}',), USAGE, "NoSuchMessage"),
        (("{}",), FAILED, "one entry"),
        (("{nonsense",), FAILED, "neither XML nor JSON"),
        (("<dc:DC_CableCheckReq/>",), FAILED, "well-formed"),
        (('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',), FAILED, "document type"),
        (("-s", "dc", XML.replace("TimeStamp", "TimeStomp")), FAILED, "TimeStomp"),
        (("--frame", "--fragment", XML), USAGE, "fragment"),
        (("--frame", "--jsonl"), USAGE, "--jsonl"),
        (("-s", "xmldsig", "--frame", '<ds:KeyName xmlns:ds="http://www.w3.org/2000/09/xmldsig#">k</ds:KeyName>'), FAILED, "payload type"),
    ],
)  # fmt: skip
def test_encode_says_what_is_wrong(arguments, code, told, run):
    got, out, err = run("encode", *arguments)
    assert (got, out) == (code, "")
    assert told in err


# --- explain ----------------------------------------------------------------------------------


def test_explain_maps_every_bit(run):
    code, out, _ = run("explain", FRAME)
    assert code == OK
    assert "SE(DC_CableCheckReq)" in out
    assert "1700000000" in out
    assert run("explain", "-s", "dc", EXI)[1] == out


def test_explain_goes_as_far_as_the_message_does(run):
    code, out, _ = run("explain", "-s", "dc", EXI[:-4])
    assert code == FAILED
    assert "SE(TimeStamp)" in out
    assert "error" in out


def test_explain_needs_a_schema_set(run):
    assert run("explain", EXI)[0] == USAGE
