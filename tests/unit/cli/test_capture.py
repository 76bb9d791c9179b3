"""decode of capture files: made here, and recorded ones where they are at hand."""

import io
import json
import struct
import sys
from pathlib import Path

import pytest

from iso15118.cli.main import OK, main

RECORDED = Path(__file__).parents[4] / "shared" / "captures"
SDP = bytes.fromhex("01fe9000000000021000")


def pcap(payload, port=15118):
    """A capture with one UDP datagram over IPv6 and Ethernet."""
    udp = struct.pack(">HHHH", 50000, port, 8 + len(payload), 0) + payload
    source, group = bytes.fromhex("fe80" + "00" * 13 + "01"), bytes.fromhex("ff02" + "00" * 13 + "01")
    ip = struct.pack(">IHBB", 0x60000000, len(udp), 17, 1) + source + group + udp
    frame = bytes(12) + b"\x86\xdd" + ip
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    return header + struct.pack("<IIII", 1_700_000_000, 250_000, len(frame), len(frame)) + frame


def test_timeline_of_a_file(tmp_path, capsys):
    (tmp_path / "a.pcap").write_bytes(pcap(SDP))
    assert main(["decode", str(tmp_path / "a.pcap")]) == OK
    out = capsys.readouterr().out
    assert "2023-11-14T22:13:20.250+00:00" in out
    assert "[fe80::1]:50000" in out
    assert "SdpRequest  security=NONE" in out


def test_json_from_standard_input(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pcap(SDP))))
    assert main(["decode", "--json", "-"]) == OK
    assert json.loads(capsys.readouterr().out) == {
        "t": 1_700_000_000.25,
        "src": "[fe80::1]:50000",
        "dst": "[ff02::1]:15118",
        "payload_type": 0x9000,
        "message": {"SdpRequest": {"security": "NONE", "transport": "TCP"}},
    }


def test_what_cannot_be_decoded_is_told_with_its_octets(tmp_path, capsys):
    (tmp_path / "a.pcap").write_bytes(pcap(SDP[:-1] + b"\x77"))
    assert main(["decode", "--json", str(tmp_path / "a.pcap")]) == OK
    record = json.loads(capsys.readouterr().out)
    assert record["error"]
    assert record["octets"]


def test_a_capture_without_messages_is_no_failure(tmp_path, capsys):
    (tmp_path / "a.pcap").write_bytes(pcap(b"x", port=53))
    assert main(["decode", str(tmp_path / "a.pcap")]) == OK
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no SDP and no V2GTP" in captured.err


def test_damage_is_told_behind_what_could_be_read(tmp_path, capsys):
    (tmp_path / "a.pcap").write_bytes(pcap(SDP) + b"\1\2\3")
    assert main(["decode", "--json", str(tmp_path / "a.pcap")]) == OK
    first, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert "SdpRequest" in first["message"]
    assert "error" in last


@pytest.mark.vectors
@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded captures (../shared/captures) are not here")
def test_a_recorded_session(capsys):
    assert main(["decode", "--json", str(RECORDED / "dsV2Gshark/ISO-20_BPT_AC_DS5366_Josev.pcapng")]) == OK
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = [next(iter(r["message"])) for r in records]
    assert names[:4] == ["SdpRequest", "SdpResponse", "supportedAppProtocolReq", "supportedAppProtocolRes"]
    assert names[-1] == "SessionStopRes"
    assert len(names) == 48
