"""Suite of the port to the power-line modem."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Final

from hal.errors import Kind
from hal.testing.common import COMMON, behaviour, lose_line, refuses, regain_line, soon
from hal.testing.rig import Rig

_OTHER: Final = bytes.fromhex("02b052000001")
_TYPE: Final = b"\x88\xe1"
_LENGTHS: Final = (60, 61, 119, 1514)
"""Octets of a frame; no interface carries more than 1514 unless told to."""


def _frame(rig: Rig, length: int, number: int = 0) -> bytes:
    """A frame of the host's, full of what framings like to misunderstand."""
    octets = (0xAA, 0x55, 0x00, 0x03, 0x11, 0x13, 0x0A, 0x0D, 0xFF)
    body = bytes(Random(length + number).choices(octets, k=length - 14))  # noqa: S311 - repeatable on purpose
    return _OTHER + bytes(rig.device.mac) + _TYPE + body


def _incoming(rig: Rig, length: int, number: int = 0) -> bytes:
    frame = _frame(rig, length, number)
    return frame[6:12] + frame[:6] + frame[12:]


def _heard(rig: Rig) -> list[bytes]:
    frames: list[bytes] = []
    rig.device.on_frame(frames.append)
    return frames


def _count_is(_: Rig, frames: list[bytes], count: int) -> bool:
    return len(frames) == count


def _has_sent(rig: Rig, frame: bytes) -> bool:
    return frame in rig.truth.sent


def _has_heard(_: Rig, frames: list[bytes], frame: bytes) -> bool:
    return frame in frames


def _has_the_address_of_a_host(rig: Rig) -> None:
    mac = rig.device.mac
    assert len(mac) == 6
    assert any(mac), "an address"
    assert not mac[0] & 1, "not that of a group"


def _sends(rig: Rig) -> None:
    for length in _LENGTHS:
        frame = _frame(rig, length)
        rig.device.send(frame)
        soon(rig, _has_sent, frame, what=f"a frame of {length} octets is sent")


def _pads_what_is_short(rig: Rig) -> None:
    frame = _frame(rig, 30)
    rig.device.send(frame)
    soon(rig, _has_sent, frame + bytes(30), what="a short frame is sent with zeros behind it")


def _sends_in_order(rig: Rig) -> None:
    frames = [_frame(rig, 60 + number, number) for number in range(20)]
    for frame in frames:
        rig.device.send(frame)
    soon(rig, _has_sent, frames[-1])
    assert [frame for frame in rig.truth.sent if frame in frames] == frames


def _hears(rig: Rig) -> None:
    first, second = _heard(rig), _heard(rig)
    for length in _LENGTHS:
        frame = _incoming(rig, length)
        rig.truth.arrive(frame)
        soon(rig, _has_heard, first, frame, what=f"a frame of {length} octets is heard")
        assert second[-1] == frame, "by all that want to"


def _does_not_hear_itself(rig: Rig) -> None:
    frames = _heard(rig)
    own = _frame(rig, 100)
    rig.device.send(own)
    soon(rig, _has_sent, own)
    rig.truth.arrive(own)
    marker = _incoming(rig, 77)
    rig.truth.arrive(marker)
    soon(rig, _has_heard, frames, marker)
    assert frames == [marker]


def _refuses_what_is_no_frame(rig: Rig) -> None:
    for length in (0, 13, 1519, 5000):
        refuses(partial(rig.device.send, bytes(length)), Kind.OUT_OF_RANGE)


def _may_answer_at_once(rig: Rig) -> None:
    frames = _heard(rig)
    answer = _frame(rig, 64)
    rig.device.on_frame(lambda _: rig.device.send(answer))
    rig.truth.arrive(_incoming(rig, 90))
    soon(rig, _has_sent, answer)
    assert len(frames) == 1


def _is_deaf_and_dumb_when_closed(rig: Rig) -> None:
    frames = _heard(rig)
    rig.close()
    rig.device.send(_frame(rig, 60))
    rig.truth.arrive(_incoming(rig, 60))
    rig.run(0.1)
    assert not frames
    assert not rig.truth.sent
    rig.open()
    rig.device.send(_frame(rig, 70))
    soon(rig, _has_sent, _frame(rig, 70))


def _drops_frames_without_a_line(rig: Rig) -> None:
    frames = _heard(rig)
    lose_line(rig)
    lost = _frame(rig, 80)
    rig.device.send(lost)
    regain_line(rig)
    later = _frame(rig, 81)
    rig.device.send(later)
    soon(rig, _has_sent, later)
    assert not _has_sent(rig, lost), "nothing is kept for later"
    rig.truth.arrive(_incoming(rig, 82))
    soon(rig, _count_is, frames, 1)


ETHERNET: Final = (
    *COMMON,
    behaviour(_has_the_address_of_a_host),
    behaviour(_sends),
    behaviour(_pads_what_is_short),
    behaviour(_sends_in_order),
    behaviour(_hears),
    behaviour(_does_not_hear_itself),
    behaviour(_refuses_what_is_no_frame),
    behaviour(_may_answer_at_once),
    behaviour(_is_deaf_and_dumb_when_closed),
    behaviour(_drops_frames_without_a_line, "cut"),
)
