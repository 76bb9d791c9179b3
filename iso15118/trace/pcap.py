"""Frames out of packet captures: pcap (both byte orders, µs and ns) and pcapng, nothing else needed.

Formats: IETF draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Final

from iso15118.errors import Iso15118Error

MAX_BLOCK: Final = 16 << 20
"""Octets. A longer packet or block is taken for damage; nothing is allocated for it."""

_PCAPNG_MAGIC: Final = bytes.fromhex("0a0d0d0a")
_PCAP_MAGICS: Final = MappingProxyType(
    {
        bytes.fromhex("d4c3b2a1"): ("<", 1e-6),
        bytes.fromhex("a1b2c3d4"): (">", 1e-6),
        bytes.fromhex("4d3cb2a1"): ("<", 1e-9),
        bytes.fromhex("a1b23c4d"): (">", 1e-9),
    }
)
_BYTE_ORDERS: Final = MappingProxyType({bytes.fromhex("4d3c2b1a"): "<", bytes.fromhex("1a2b3c4d"): ">"})

_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_OBSOLETE_PACKET: Final = 2
_SIMPLE_PACKET: Final = 3
_ENHANCED_PACKET: Final = 6
_SECRETS: Final = 10
_TLS_KEY_LOG: Final = 0x544C534B
_OPTION_RESOLUTION: Final = 9
_OPTION_OFFSET: Final = 14


class CaptureError(Iso15118Error):
    """A file is no packet capture, or is damaged from `offset` (octets) on."""

    def __init__(self, path: str, reason: str, offset: int = 0) -> None:
        super().__init__(path, reason, offset)
        self.path = path
        self.reason = reason
        self.offset = offset

    def __str__(self) -> str:
        return f"{self.path}: {self.reason} (at octet {self.offset})"

    def diagnostics(self) -> str:
        """Cause and next step."""
        return f"{self}. Accepted are pcap and pcapng; convert or repair other files first."


@dataclass(frozen=True, slots=True)
class CapturedFrame:
    """One link-layer frame: `t` in seconds since the Unix epoch, `link_type` as registered for pcap."""

    t: float
    link_type: int
    data: bytes


def read_frames(path: str | Path, secrets: list[bytes] | None = None) -> Iterator[CapturedFrame]:
    """The frames of a capture, read as they are asked for. `secrets` takes the key logs of TLS that stand between them.

    CaptureError where the file cannot be read or is no capture (at once), or is damaged (behind the last
    whole frame).
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise CaptureError(str(path), error.strerror or str(error)) from error
    if magic != _PCAPNG_MAGIC and magic not in _PCAP_MAGICS:
        raise CaptureError(str(path), "neither pcap nor pcapng" if magic else "an empty file")
    return _frames(path, [] if secrets is None else secrets)


def _frames(path: Path, secrets: list[bytes]) -> Iterator[CapturedFrame]:
    with path.open("rb") as file:
        source = _Source(file, str(path))
        order = _PCAP_MAGICS.get(source.read(4))
        if order:
            yield from _pcap_frames(source, *order)
        else:
            file.seek(0)
            yield from _pcapng_frames(source, secrets)


@dataclass(slots=True)
class _Source:
    """Reads exact amounts; a short read is a CaptureError, the end between items is not."""

    file: BinaryIO
    path: str

    def read(self, length: int) -> bytes:
        data = self.read_or_end(length)
        if len(data) < length:
            raise self.damage("the file is cut short")
        return data

    def read_or_end(self, length: int) -> bytes:
        """Like `read`, but empty at the end of the file."""
        if length > MAX_BLOCK:
            raise self.damage(f"a block of {length} octets")
        data = self.file.read(length)
        if data and len(data) < length:
            raise self.damage("the file is cut short")
        return data

    def damage(self, reason: str) -> CaptureError:
        return CaptureError(self.path, reason, self.file.tell())


# --- pcap -------------------------------------------------------------------------------------------


def _pcap_frames(source: _Source, order: str, unit: float) -> Iterator[CapturedFrame]:
    (link_type,) = struct.unpack_from(order + "I", source.read(20), 16)
    record = struct.Struct(order + "IIII")
    while head := source.read_or_end(record.size):
        seconds, fraction, captured, _ = record.unpack(head)
        yield CapturedFrame(seconds + fraction * unit, link_type & 0xFFFF, source.read(captured))


# --- pcapng -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Interface:
    link_type: int
    snap_length: int
    unit: float
    offset: int


@dataclass(slots=True)
class _Section:
    """What the blocks of one section share."""

    order: str
    interfaces: list[_Interface] = field(default_factory=list)


def _pcapng_frames(source: _Source, secrets: list[bytes]) -> Iterator[CapturedFrame]:
    section = _Section("<")
    while head := source.read_or_end(8):
        if head[:4] == _PCAPNG_MAGIC:
            section, body = _open_section(source, head)
            continue
        block_type, length = struct.unpack(section.order + "II", head)
        body = _block_body(source, length, 8)
        try:
            if block_type == _INTERFACE:
                section.interfaces.append(_interface(body, section.order))
            elif block_type == _SECRETS:
                secrets.extend(_key_log(body, section.order))
            elif frame := _packet(block_type, body, section):
                yield frame
        except (struct.error, IndexError) as error:
            raise source.damage(f"block of type {block_type} is malformed: {error}") from error


def _open_section(source: _Source, head: bytes) -> tuple[_Section, bytes]:
    """A section header: its byte-order magic decides how its own length field reads."""
    magic = source.read(4)
    order = _BYTE_ORDERS.get(magic)
    if order is None:
        raise source.damage("unknown byte order")
    (length,) = struct.unpack_from(order + "I", head, 4)
    return _Section(order), _block_body(source, length, 12)


def _block_body(source: _Source, length: int, already_read: int) -> bytes:
    if length < already_read + 4 or length % 4:
        raise source.damage(f"block length {length}")
    return source.read(length - already_read)[:-4]


def _key_log(body: bytes, order: str) -> Iterator[bytes]:
    kind, length = struct.unpack_from(order + "II", body)
    if kind == _TLS_KEY_LOG:
        yield body[8 : 8 + length]


def _interface(body: bytes, order: str) -> _Interface:
    link_type, snap_length = struct.unpack_from(order + "HxxI", body)
    unit, offset = 1e-6, 0
    for code, value in _options(body[8:], order):
        if code == _OPTION_RESOLUTION and value:
            unit = 2.0 ** -(value[0] & 0x7F) if value[0] & 0x80 else 10.0 ** -value[0]
        elif code == _OPTION_OFFSET and len(value) == 8:
            (offset,) = struct.unpack(order + "q", value)
    return _Interface(link_type, snap_length, unit, offset)


def _options(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        code, length = struct.unpack_from(order + "HH", data, at)
        if code == 0:
            return
        yield code, data[at + 4 : at + 4 + length]
        at += 4 + length + -length % 4


def _packet(block_type: int, body: bytes, section: _Section) -> CapturedFrame | None:
    """The frame of a packet block; None for blocks that hold none."""
    if block_type == _SIMPLE_PACKET:
        interface = section.interfaces[0]
        (original,) = struct.unpack_from(section.order + "I", body)
        length = min(original, interface.snap_length or original)
        return CapturedFrame(float(interface.offset), interface.link_type, body[4 : 4 + length])
    if block_type == _ENHANCED_PACKET:
        number, high, low, captured = struct.unpack_from(section.order + "IIII", body)
    elif block_type == _OBSOLETE_PACKET:
        number, high, low, captured = struct.unpack_from(section.order + "HxxIII", body)
    else:
        return None
    interface = section.interfaces[number]
    t = interface.offset + (high << 32 | low) * interface.unit
    return CapturedFrame(t, interface.link_type, body[20 : 20 + captured])
