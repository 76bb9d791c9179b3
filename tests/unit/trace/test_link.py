"""Management messages in recordings: whatever the frames are wrapped in, and none else."""

from __future__ import annotations

import struct

import pytest

from iso15118.trace import CaptureError
from iso15118.trace.link import NOWHERE, link_frames, link_item
from iso15118.wire import homeplug
from iso15118.wire.homeplug import BROADCAST, Frame, SlacParmReq

EV = bytes.fromhex("02ee00000001")
FRAME = Frame(BROADCAST, EV, SlacParmReq(run_id=b"12345678"), mmv=1)
OCTETS = homeplug.write(FRAME)


def pcap(*frames: bytes, link_type: int = 1) -> bytes:
    """A capture with a frame a second."""
    records = [struct.pack("<IIII", 100 + n, 0, len(f), len(f)) + f for n, f in enumerate(frames)]
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link_type) + b"".join(records)


def test_ethernet(tmp_path) -> None:
    path = tmp_path / "a.pcap"
    tagged = homeplug.write(Frame(BROADCAST, EV, FRAME.message, vlan=3))
    path.write_bytes(pcap(OCTETS, bytes(12) + b"\x86\xdd" + bytes(60), b"", tagged, OCTETS[:20]))
    whole, with_tag, cut = link_frames(path)
    assert (whole.t, whole.frame, whole.error) == (100.0, FRAME, None)
    assert (whole.source, whole.destination) == (EV, BROADCAST)
    assert (with_tag.t, with_tag.frame.vlan) == (103.0, 3)
    assert (cut.frame, cut.source) == (None, EV)
    assert "SlacParmReq" in cut.error


def test_cooked_captures_do_not_tell_the_destination(tmp_path) -> None:
    path = tmp_path / "a.pcap"
    cooked = struct.pack(">HHH6sHH", 1, 1, 6, EV, 0, 0x88E1) + OCTETS[14:]
    path.write_bytes(pcap(cooked, cooked[:16], link_type=113))
    (item,) = link_frames(path)
    assert item.frame == Frame(NOWHERE, EV, FRAME.message, mmv=1)


def test_other_links(tmp_path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(OCTETS, link_type=101))
    assert list(link_frames(path)) == []


def test_damage_is_told_at_the_end(tmp_path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(OCTETS)[:-1])
    (item,) = link_frames(path)
    assert "cut short" in item.error
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(CaptureError, match="neither pcap nor pcapng"):
        link_frames(path)


def test_a_frame_is_not_shown_in_full() -> None:
    key = b"\xa5\x5a" * 8
    frame = Frame(homeplug.LOCAL_MODEM, EV, homeplug.SetKeyReq(nid=bytes(7), new_key=key))
    item = link_item(0.0, homeplug.write(frame))
    assert item.octets[41:57] == key
    assert "Z" not in repr(item)  # 0x5a
