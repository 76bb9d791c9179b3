"""The management messages of a powerline in a recording: matching, keys, what modems tell.

Open `link_frames` for a file; `link_item` is one frame, wherever it comes from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from iso15118.errors import FramingError
from iso15118.trace.pcap import CapturedFrame, CaptureError, read_frames
from iso15118.wire import homeplug

_ETHERNET: Final = 1
_COOKED: Final = 113
_COOKED_HEADER: Final = 16
_TYPE_AT: Final = 12
NOWHERE: Final = bytes(6)
"""In place of the destination where a recording does not tell it."""


@dataclass(frozen=True, slots=True)
class LinkItem:
    """A frame: `t` in seconds since the Unix epoch, and the message, or the `error` that stands in its way."""

    t: float
    destination: bytes = NOWHERE
    source: bytes = NOWHERE
    frame: homeplug.Frame | None = None
    error: str | None = None
    octets: bytes = field(default=b"", repr=False)  # may hold a key


def link_frames(path: str | Path) -> Iterator[LinkItem]:
    """The management messages of a pcap or pcapng file, read as they are asked for.

    CaptureError at once where `path` is no capture. Damage further on ends the sequence with an item that tells it.
    """
    return _items(read_frames(path))


def _items(captured: Iterator[CapturedFrame]) -> Iterator[LinkItem]:
    t = 0.0
    try:
        for frame in captured:
            t = frame.t
            item = link_item(t, _ethernet(frame))
            if item is not None:
                yield item
    except CaptureError as error:
        yield LinkItem(t, error=str(error))


def link_item(t: float, octets: bytes) -> LinkItem | None:
    """What an Ethernet frame says; None where it is no management message at all."""
    if not is_management(octets):
        return None
    destination, source = octets[:6], octets[6:12]
    try:
        frame = homeplug.read(octets)
    except FramingError as error:
        return LinkItem(t, destination, source, error=str(error), octets=octets)
    return LinkItem(t, destination, source, frame, octets=octets)


def is_management(octets: bytes) -> bool:
    """Whether an Ethernet frame, tagged or not, is one of HomePlug's."""
    at = _TYPE_AT
    if int.from_bytes(octets[at : at + 2], "big") == homeplug.VLAN_ETHERTYPE:
        at += 4
    return int.from_bytes(octets[at : at + 2], "big") == homeplug.ETHERTYPE


def _ethernet(frame: CapturedFrame) -> bytes:
    """The frame as it was on Ethernet; empty where it was on something else."""
    if frame.link_type == _COOKED and len(frame.data) > _COOKED_HEADER:
        return NOWHERE + frame.data[6:12] + frame.data[14:]
    return frame.data if frame.link_type == _ETHERNET else b""
