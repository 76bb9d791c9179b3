"""slac sniff: recordings made here and real ones, as text and as JSON, with keys out of sight."""

from __future__ import annotations

import json
import socket
import struct
from pathlib import Path

import pytest

from iso15118.cli import slac
from iso15118.cli.main import FAILED, OK, USAGE, main
from iso15118.runtime import ethernet
from iso15118.wire import homeplug, homeplug_vendor
from iso15118.wire.homeplug import BROADCAST, LOCAL_MODEM, Frame

RECORDED = Path(__file__).parents[4] / "shared" / "captures"
EV = bytes.fromhex("02ee00000001")
EVSE = bytes.fromhex("02cc00000001")
MODEM = bytes.fromhex("02b052000002")
RUN_ID = bytes.fromhex("1518000000000003")
NMK = bytes.fromhex("6f75722d6f776e2d746573742d6b6579")
NID = bytes.fromhex("393343af8c5c06")

FRAMES = [
    Frame(LOCAL_MODEM, EVSE, homeplug.SetKeyReq(nid=NID, new_key=NMK, my_nonce=b"\xaa" * 4)),
    Frame(EVSE, MODEM, homeplug.SetKeyCnf(result=1, your_nonce=b"\xaa" * 4)),
    Frame(BROADCAST, EV, homeplug.SlacParmReq(run_id=RUN_ID)),
    Frame(BROADCAST, EV, homeplug.MnbcSoundInd(run_id=RUN_ID, cnt=9, random=b"\xcd" * 16), vlan=7),
    Frame(BROADCAST, MODEM, homeplug.AttenProfileInd(pev_mac=EV, aag=bytes([10, 20]))),
    Frame(
        EVSE,
        MODEM,
        homeplug.DiscoverListCnf(stations=(homeplug.HeardStation(mac=EV, same_network=1),)),
    ),
    Frame(EVSE, MODEM, homeplug.BrgInfoCnf(hosts=(EV,))),
    Frame(EVSE, MODEM, homeplug_vendor.VsSwVerCnf(device_id=34, version="MAC-QCA7005")),
    Frame(BROADCAST, EVSE, homeplug.Unknown(mmtype=0x8002, payload=homeplug_vendor.DSPACE + NMK)),
]
TEXT = """\
from 1970-01-01T00:01:40.000+00:00
     0.0000  02:cc:00:00:00:01 > own modem          CM_SET_KEY.REQ           nid=393343af8c5c06 new_key=#bf0a
     1.0000  02:b0:52:00:00:02 > 02:cc:00:00:00:01  CM_SET_KEY.CNF           result=1
     2.0000  02:ee:00:00:00:01 > all                CM_SLAC_PARM.REQ         run_id=1518000000000003
     3.0000  02:ee:00:00:00:01 > all                CM_MNBC_SOUND.IND        cnt=9 run_id=1518000000000003
     4.0000  02:b0:52:00:00:02 > all                CM_ATTEN_PROFILE.IND     pev_mac=02:ee:00:00:00:01 aag=2 groups, 15.0 dB
     5.0000  02:b0:52:00:00:02 > 02:cc:00:00:00:01  CC_DISCOVER_LIST.CNF     stations=[(mac=02:ee:00:00:00:01 tei=0 same_network=1 snid=0 flags=0 signal_level=0 average_ble=0)]
     6.0000  02:b0:52:00:00:02 > 02:cc:00:00:00:01  CM_BRG_INFO.CNF          hosts=[02:ee:00:00:00:01]
     7.0000  02:b0:52:00:00:02 > 02:cc:00:00:00:01  VS_SW_VER.CNF            device_id=34 version=MAC-QCA7005
     8.0000  02:cc:00:00:00:01 > all                MMTYPE 0x8002 of dSPACE  payload=(41 octets)
""".splitlines()


def pcap(*frames: bytes, link_type: int = 1) -> bytes:
    """A capture with a frame a second."""
    records = [struct.pack("<IIII", 100 + n, 0, len(f), len(f)) + f for n, f in enumerate(frames)]
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link_type) + b"".join(records)


@pytest.fixture
def capture(tmp_path) -> str:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(*map(homeplug.write, FRAMES)))
    return str(path)


def test_text(capture, capsys) -> None:
    assert main(["slac", "sniff", "--read", capture]) == OK
    assert capsys.readouterr().out.splitlines() == TEXT


def test_json(capture, capsys) -> None:
    assert main(["slac", "sniff", "--read", capture, "--json"]) == OK
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert records[2] == {
        "t": 102.0,
        "src": "02:ee:00:00:00:01",
        "dst": "ff:ff:ff:ff:ff:ff",
        "name": "CM_SLAC_PARM.REQ",
        "mmv": 1,
        "message": {"application_type": 0, "security_type": 0, "run_id": "1518000000000003"},
    }
    assert records[3]["vlan"] == 7
    assert records[0]["message"]["new_key"] == "#bf0a"
    assert records[5]["message"]["stations"][0]["mac"] == "02:ee:00:00:00:01"


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_keys_are_out_of_sight(options, capture, capsys) -> None:
    main(["slac", "sniff", "--read", capture, *options])
    out = capsys.readouterr().out
    assert NMK.hex() not in out
    assert NMK.hex()[8:24] not in out
    assert NMK.decode()[4:] not in out


def test_what_is_malformed_is_told_without_its_octets(tmp_path, capsys) -> None:
    match = homeplug.SlacMatchCnf(run_id=RUN_ID, pev_mac=EV, evse_mac=EVSE, nid=NID, nmk=NMK)
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(homeplug.write(Frame(EV, EVSE, match))[:-1]))
    assert main(["slac", "sniff", "--read", str(path)]) == OK
    assert "ERROR SlacMatchCnf/nmk: 16 octets wanted" in capsys.readouterr().out
    assert main(["slac", "sniff", "--read", str(path), "--json"]) == OK
    record = json.loads(capsys.readouterr().out)
    assert record.keys() == {"t", "src", "dst", "error"}


def test_count(capture, capsys) -> None:
    assert main(["slac", "sniff", "--read", capture, "--count", "2", "--json"]) == OK
    assert capsys.readouterr().out.count("\n") == 2


def test_a_capture_without_messages_is_no_failure(tmp_path, capsys) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(bytes(60)))
    assert main(["slac", "sniff", "--read", str(path)]) == OK
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no HomePlug message" in captured.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["sniff"],
        ["sniff", "--read", "a", "--interface", "b"],
        ["sniff", "--read", "a", "--count", "0"],
        ["sniff", "--read", "a", "--count", "x"],
    ],
)
def test_wrong_calls(arguments, capsys) -> None:
    assert main(["slac", *arguments]) == USAGE
    assert "usage: iso15118 slac" in capsys.readouterr().err


def test_a_file_that_is_none(tmp_path, capsys) -> None:
    assert main(["slac", "sniff", "--read", str(tmp_path / "missing")]) == FAILED
    assert "No such file" in capsys.readouterr().err


# --- live ---------------------------------------------------------------------------------------


class Socket:
    """A packet socket: frames, then what comes instead of one."""

    def __init__(self, frames, end) -> None:
        self.frames, self.end, self.bound, self.closed = list(frames), end, None, False

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def bind(self, address) -> None:
        if address[0] != "eth1":
            raise OSError(19, "No such device")
        self.bound = address

    def setsockopt(self, *_) -> None:
        pass

    def recv(self, _) -> bytes:
        if self.frames:
            return self.frames.pop(0)
        raise self.end

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def wire(monkeypatch):
    """Install a socket in place of the system's."""

    def install(end) -> Socket:
        made = Socket([bytes(60), *map(homeplug.write, FRAMES[:3])], end)
        monkeypatch.setattr(socket, "socket", lambda *_: made)
        monkeypatch.setattr(socket, "if_nametoindex", lambda _: 7)
        monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo"), (7, "eth1")])
        monkeypatch.setattr(socket, "AF_PACKET", 17, raising=False)
        monkeypatch.setattr(ethernet.time, "time", lambda: 100.0)
        return made

    return install


def test_live_until_the_user_has_seen_enough(wire, capsys) -> None:
    sock = wire(KeyboardInterrupt())
    assert main(["slac", "sniff", "--interface", "eth1"]) == OK
    assert sock.closed
    assert sock.bound == ("eth1", 3)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == TEXT[1]
    assert len(lines) == 4


def test_live_until_so_many(wire, capsys) -> None:
    sock = wire(AssertionError("no more"))
    assert main(["slac", "sniff", "--interface", "eth1", "--json", "--count", "3"]) == OK
    assert sock.closed
    assert capsys.readouterr().out.count("\n") == 3


def test_an_interface_that_goes_away(wire, capsys) -> None:
    wire(OSError(100, "Network is down"))
    assert main(["slac", "sniff", "--interface", "eth1"]) == FAILED
    assert "interface eth1: Network is down" in capsys.readouterr().err


def test_an_interface_that_is_not_there(wire, capsys) -> None:
    sock = wire(OSError())
    assert main(["slac", "sniff", "--interface", "eth9"]) == FAILED
    assert "interface eth9: No such device; there are: lo, eth1" in capsys.readouterr().err
    assert sock.closed


def test_without_the_right_to_listen(monkeypatch, capsys) -> None:
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "AF_PACKET", 17, raising=False)
    assert main(["slac", "sniff", "--interface", "eth1"]) == FAILED
    assert "cap_net_raw" in capsys.readouterr().err


def test_not_on_linux(monkeypatch, capsys) -> None:
    monkeypatch.delattr(socket, "AF_PACKET", raising=False)
    assert main(["slac", "sniff", "--interface", "eth1"]) == FAILED
    assert "need Linux" in capsys.readouterr().err


# --- recordings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "frames"),
    [
        ("iso15118-simulator-rs/vw-ac-iso2.pcap", 35),
        ("dsV2Gshark/DIN_DC_DS5366_Josev.pcapng", 115),
        ("pyPLC/2023-05-03_TaycanLeftside_slacFail.pcapng", 14),
    ],
)
def test_recordings(name, frames, capsys) -> None:
    if not (RECORDED / name).is_file():
        pytest.skip("no recordings: ../shared/captures is not there")
    assert main(["slac", "sniff", "--read", str(RECORDED / name)]) == OK
    lines = capsys.readouterr().out.splitlines()[1:]
    assert len(lines) == frames
    assert not any("ERROR" in line for line in lines)


def test_the_fingerprint_tells_keys_apart() -> None:
    assert slac._secret(NMK) == "#bf0a" != slac._secret(bytes(16))
    assert slac._secret(bytes(15)) == "(15 octets)"
