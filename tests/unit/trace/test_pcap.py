"""Capture files in all their spellings, and files that are none."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iso15118.errors import Iso15118Error
from iso15118.trace.pcap import CapturedFrame, CaptureError, read_frames
from tests.unit.trace.recordings import block, enhanced, interface, option, pcap, section

FRAMES = [(1_700_000_000.25, b"first"), (1_700_000_001.5, b"second frame")]


def read(tmp_path: Path, data: bytes) -> list[CapturedFrame]:
    path = tmp_path / "a.pcap"
    path.write_bytes(data)
    return list(read_frames(path))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("nano", [False, True])
def test_pcap(tmp_path: Path, order: str, nano: bool) -> None:
    found = read(tmp_path, pcap(FRAMES, order, nano, link_type=113))
    assert [(f.t, f.data) for f in found] == FRAMES
    assert {f.link_type for f in found} == {113}


def test_the_link_type_is_the_low_half_of_its_field(tmp_path: Path) -> None:
    assert read(tmp_path, pcap(FRAMES, link_type=0x1400_0001))[0].link_type == 1


@pytest.mark.parametrize("order", "<>")
def test_pcapng(tmp_path: Path, order: str) -> None:
    data = section(order) + interface(order) + block(order, 5, bytes(20)) + enhanced(b"abc", 1_500_000, order)
    assert read(tmp_path, data) == [CapturedFrame(1.5, 1, b"abc")]


@pytest.mark.parametrize(
    ("resolution", "ticks"), [(b"\x06", 2_000_000), (b"\x09", 2_000_000_000), (b"\x8a", 2048), (b"\x00", 2)]
)
def test_pcapng_time_resolution_and_offset(tmp_path: Path, resolution: bytes, ticks: int) -> None:
    options = option("<", 2, b"eth1") + option("<", 9, resolution) + option("<", 14, struct.pack("<q", 1000))
    data = section() + interface(options=options + bytes(4)) + enhanced(b"abc", ticks)
    assert read(tmp_path, data)[0].t == pytest.approx(1002.0)


def test_pcapng_other_packet_blocks_and_interfaces(tmp_path: Path) -> None:
    obsolete = block("<", 2, struct.pack("<HHIIII", 1, 0, 0, 3_000_000, 4, 4) + b"old!")
    simple = block("<", 3, struct.pack("<I", 5) + b"plain")
    found = read(tmp_path, section() + interface() + interface(link_type=113) + obsolete + simple)
    assert found == [CapturedFrame(3.0, 113, b"old!"), CapturedFrame(0.0, 1, b"plain")]


def test_pcapng_sections_have_their_own_byte_order_and_interfaces(tmp_path: Path) -> None:
    data = section("<") + interface("<", 1) + enhanced(b"one", 1)
    data += section(">") + interface(">", 113) + enhanced(b"two", 1, ">")
    assert [(f.link_type, f.data) for f in read(tmp_path, data)] == [(1, b"one"), (113, b"two")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"PK\x03\x04", "neither pcap nor pcapng"),
        (b"\x0a\x0d", "neither pcap nor pcapng"),
        (bytes(100), "neither pcap nor pcapng"),
        (b"GIF89a" * 50, "neither pcap nor pcapng"),
    ],
)
def test_what_is_no_capture_is_told_at_once(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(data)
    with pytest.raises(CaptureError, match=reason) as caught:
        read_frames(path)
    assert str(path) in caught.value.diagnostics()
    assert isinstance(caught.value, Iso15118Error)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pcap", tmp_path):
        with pytest.raises(CaptureError):
            read_frames(path)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pcap([])[:10], "cut short"),
        (pcap(FRAMES)[:-3], "cut short"),
        (pcap(FRAMES) + bytes(7), "cut short"),
        (pcap([]) + struct.pack("<IIII", 0, 0, 1 << 30, 0), "a block of"),
        (section()[:20], "cut short"),
        (block("<", 0x0A0D0D0A, bytes(16)), "byte order"),
        (section() + struct.pack("<II", 6, 8), "block length 8"),
        (section() + struct.pack("<II", 6, 33), "block length 33"),
        (section() + struct.pack("<II", 6, 1 << 30), "a block of"),
        (section() + enhanced(b"abc", 0), "malformed"),
        (section() + block("<", 3, bytes(8)), "malformed"),
        (section() + interface() + block("<", 6, bytes(8)), "malformed"),
        (section() + block("<", 1, b""), "malformed"),
    ],
)
def test_damage_is_located(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(CaptureError, match=reason) as caught:
        read(tmp_path, data)
    assert 0 < caught.value.offset <= len(data)


def test_what_was_whole_before_the_damage_is_given(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(FRAMES)[:-3])
    frames = read_frames(path)
    assert next(frames).data == b"first"
    with pytest.raises(CaptureError):
        next(frames)


WHOLE = pcap(FRAMES), section() + interface() + enhanced(b"abcd", 5) + enhanced(b"efgh", 6)


@given(st.sampled_from(WHOLE), st.lists(st.tuples(st.integers(4, 200), st.integers(0, 255)), max_size=6))
def test_any_damage_gives_frames_or_a_capture_error(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(whole)
    for at, value in changes:
        data[at % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "damaged.pcap"
    path.write_bytes(data)
    with contextlib.suppress(CaptureError):
        list(read_frames(path))
