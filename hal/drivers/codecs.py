"""Checksums and framing that several devices share.

Each is pinned in the tests by the published check value over the ASCII text "123456789".
"""

from __future__ import annotations

import zlib
from typing import Final


def _table(polynomial: int) -> tuple[int, ...]:
    """Remainders of all octets for a reflected polynomial."""

    def remainder(value: int) -> int:
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
        return value

    return tuple(remainder(octet) for octet in range(256))


def _table8(polynomial: int) -> tuple[int, ...]:
    """Remainders of all octets for an 8-bit polynomial that is not reflected."""

    def remainder(value: int) -> int:
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & 0x80 else 0)) & 0xFF
        return value

    return tuple(remainder(octet) for octet in range(256))


_MODBUS: Final = _table(0xA001)
_J1850: Final = _table8(0x1D)


def crc16_modbus(data: bytes) -> int:
    """CRC-16/MODBUS; goes on the wire low octet first."""
    crc = 0xFFFF
    for octet in data:
        crc = crc >> 8 ^ _MODBUS[(crc ^ octet) & 0xFF]
    return crc


def crc8_j1850(data: bytes) -> int:
    """CRC-8/SAE-J1850."""
    crc = 0xFF
    for octet in data:
        crc = _J1850[crc ^ octet]
    return crc ^ 0xFF


def crc32_jamcrc(data: bytes) -> int:
    """CRC-32/JAMCRC: zlib's without the final inversion; appended low octet first it makes the whole 0."""
    return zlib.crc32(data) ^ 0xFFFFFFFF


def xor8(data: bytes) -> int:
    """All octets combined by exclusive or."""
    result = 0
    for octet in data:
        result ^= octet
    return result


def cobs_encode(data: bytes) -> bytes:
    """Consistent overhead byte stuffing: the same content without a zero octet; the delimiter is not added."""
    out = bytearray()
    parts = data.split(b"\0")
    for number, part in enumerate(parts, start=1):
        full, rest = divmod(len(part), 254)
        for start in range(0, 254 * full, 254):
            out += b"\xff" + part[start : start + 254]
        if rest or not full or number < len(parts):  # a full block at the very end needs no empty one
            out.append(rest + 1)
            out += part[254 * full :]
    return bytes(out)


def cobs_decode(data: bytes) -> bytes:
    """Undo `cobs_encode`. ValueError for what it cannot have made (a zero, a block cut short)."""
    out = bytearray()
    position = 0
    while position < len(data):
        code = data[position]
        block = data[position + 1 : position + code]
        if not code or 0 in block or len(block) != code - 1:
            raise ValueError(f"no COBS block at octet {position}")
        out += block
        position += code
        if code < 0xFF and position < len(data):
            out.append(0)
    return bytes(out)
