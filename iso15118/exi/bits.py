"""Bits in, bits out: the primitive codings of EXI (W3C EXI 1.0, section 7.1).

The reader is addressed by bit offset and never moves on its own; each read is constant time
(or linear in the value read) and bounded by the end of the message. The packers return a value
as `(bits, width)`, which the caller appends; all but booleans and n-bit values are whole octets.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from typing import Final

from iso15118.errors import DecodeError, EncodeError

UNSIGNED_GROUPS: Final = 10  # 70 bits: every bounded integer type of the schemas fits in 64
BIG_INTEGER_GROUPS: Final = 24  # unbounded xs:integer: certificate serial numbers (20 octets)
STRING_LENGTH_OFFSET: Final = 2  # length fields 0 and 1 announce string-table hits, not in use here
MAX_CODE_POINT: Final = 0x10FFFF
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Control characters, surrogates and non-characters: EXI carries XML, which has no place for them."""
_PADDING: Final = bytes(48)  # more than one event or short record reads beyond the end


class BitReader:
    """The bits of one message, read at any offset.

    `words[i]` holds the 64 bits from bit 32*i on, so that any field of up to 32 bits is one
    list access, one shift and one mask. Beyond `end` (in bits) the words hold zeros; whoever
    uses them directly compares the offset with `end` afterwards.
    """

    __slots__ = ("data", "end", "words")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.end = len(data) * 8
        pairs = len(data) // 8 + 5
        padded = data + _PADDING
        layout = f">{pairs}Q"
        self.words = words = [0] * (2 * pairs)
        words[0::2] = struct.unpack_from(layout, padded)
        words[1::2] = struct.unpack_from(layout, padded, 4)

    def bits(self, at: int, width: int) -> int:
        """The n-bit unsigned integer of `width` (0 to 32) bits at bit `at`."""
        if at + width > self.end:
            raise self.too_short(at)
        return (self.words[at >> 5] >> (64 - width - (at & 31))) & ((1 << width) - 1)

    def unsigned(self, at: int, groups: int = UNSIGNED_GROUPS) -> tuple[int, int]:
        """The Unsigned Integer at `at` and the offset behind it; non-minimal forms are accepted."""
        words, start = self.words, at
        octet = (words[at >> 5] >> (56 - (at & 31))) & 0xFF
        if octet < 0x80 and at + 8 <= self.end:
            return octet, at + 8
        value = shift = 0
        while shift < groups * 7:
            octet = (words[at >> 5] >> (56 - (at & 31))) & 0xFF
            at += 8
            value |= (octet & 0x7F) << shift
            if octet < 0x80:
                if at > self.end:
                    raise self.too_short(start)
                return value, at
            shift += 7
        raise DecodeError(f"integer of more than {groups} groups", bit=start)

    def signed(self, at: int, groups: int = UNSIGNED_GROUPS) -> tuple[int, int]:
        """The Integer at `at`: a sign bit, then the magnitude (of -n-1 when negative)."""
        field = (self.words[at >> 5] >> (47 - (at & 31))) & 0x1FFFF
        if not field & 0x8000 and at + 9 <= self.end:
            magnitude = field >> 8 & 0x7F
            return (-magnitude - 1 if field & 0x10000 else magnitude), at + 9
        if not field & 0x80 and at + 17 <= self.end:
            magnitude = field >> 8 & 0x7F | (field & 0x7F) << 7
            return (-magnitude - 1 if field & 0x10000 else magnitude), at + 17
        negative = field & 0x10000
        magnitude, at = self.unsigned(at + 1, groups)
        return (-magnitude - 1 if negative else magnitude), at

    def octets(self, at: int, count: int) -> bytes:
        """`count` octets from bit `at` on, wherever that lies within an octet."""
        if at + 8 * count > self.end:
            raise DecodeError(f"{count} octets announced, {max(0, self.end - at) // 8} left", bit=at)
        first, skew = at >> 3, at & 7
        if not skew:
            return self.data[first : first + count]
        window = int.from_bytes(self.data[first : first + count + 1], "big") >> (8 - skew)
        return (window & ((1 << (8 * count)) - 1)).to_bytes(count, "big")

    def binary(self, at: int) -> tuple[bytes, int]:
        """A length-prefixed octet string at `at`."""
        count, at = self.unsigned(at)
        return self.octets(at, count), at + 8 * count

    def string(self, at: int) -> tuple[str, int]:
        """A string value at `at` that is no string-table hit."""
        length, after = self.unsigned(at)
        if length < STRING_LENGTH_OFFSET:
            raise DecodeError("string-table hit, but no value is ever entered in a table", bit=at)
        return self.characters(after, length - STRING_LENGTH_OFFSET)

    def characters(self, at: int, count: int) -> tuple[str, int]:
        """`count` code points from bit `at` on."""
        if count * 8 > self.end - at:
            raise DecodeError(
                f"{count} characters announced, at most {max(0, self.end - at) // 8} left", bit=at
            )
        raw = self.octets(at, count)
        if not raw.isascii():
            return self._code_points(at, count)
        text = raw.decode("ascii")
        if not text.isprintable():
            found = _NOT_XML.search(text)
            if found:
                raise DecodeError(f"character U+{ord(found.group()):04X}", bit=at + 8 * found.start())
        return text, at + 8 * count

    def _code_points(self, at: int, count: int) -> tuple[str, int]:
        found = []
        for _ in range(count):
            point, after = self.unsigned(at)
            if point > MAX_CODE_POINT or _NOT_XML.match(chr(point)):
                raise DecodeError(f"character U+{point:04X}", bit=at)
            found.append(chr(point))
            at = after
        return "".join(found), at

    def too_short(self, at: int) -> DecodeError:
        """The error for a message that ends inside the field at `at`."""
        return DecodeError(f"message ends at bit {self.end}", bit=min(at, self.end))


class BitWriter:
    """Collects `(bits, width)` pairs into octets; the last octet is filled with zeros."""

    __slots__ = ("_held", "_held_bits", "_octets")

    def __init__(self) -> None:
        self._octets = bytearray()
        self._held = 0
        self._held_bits = 0

    def write(self, bits: int, width: int) -> None:
        """Append `bits` in `width` bits, most significant first."""
        self._held = self._held << width | bits
        self._held_bits += width
        if self._held_bits >= 64:
            rest = self._held_bits & 7
            self._octets += (self._held >> rest).to_bytes(self._held_bits >> 3, "big")
            self._held &= (1 << rest) - 1
            self._held_bits = rest

    def __len__(self) -> int:
        """Bits written so far."""
        return 8 * len(self._octets) + self._held_bits

    def finish(self) -> bytes:
        """All octets, padded with zero bits."""
        padding = -self._held_bits & 7
        tail = (self._held << padding).to_bytes((self._held_bits + padding) >> 3, "big")
        return bytes(self._octets + tail)


def pack_unsigned(value: int) -> tuple[int, int]:
    """An Unsigned Integer: groups of seven bits, the least significant first."""
    if value < 0x80:
        return value, 8
    bits = width = 0
    while value >= 0x80:
        bits = bits << 8 | value & 0x7F | 0x80
        width += 8
        value >>= 7
    return bits << 8 | value, width + 8


def pack_signed(value: int) -> tuple[int, int]:
    """An Integer: the sign bit, then the Unsigned Integer of n or of -n-1."""
    if value >= 0:
        bits, width = pack_unsigned(value)
        return bits, width + 1
    bits, width = pack_unsigned(-value - 1)
    return bits | 1 << width, width + 1


def join(parts: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Several (bits, width) as one."""
    joined = total = 0
    for bits, width in parts:
        joined = joined << width | bits
        total += width
    return joined, total


def pack_octets(prefix: int, octets: bytes) -> tuple[int, int]:
    """An Unsigned Integer `prefix`, then the octets."""
    bits, width = pack_unsigned(prefix)
    return bits << 8 * len(octets) | int.from_bytes(octets, "big"), width + 8 * len(octets)


def pack_binary(value: bytes) -> tuple[int, int]:
    """The length in octets, then the octets."""
    return pack_octets(len(value), value)


def pack_string(value: str) -> tuple[int, int]:
    """The number of code points plus 2, then each code point."""
    return pack_octets(len(value) + STRING_LENGTH_OFFSET, characters(value))


def characters(value: str) -> bytes:
    """The code points of `value`, each as an Unsigned Integer."""
    found = None if value.isprintable() else _NOT_XML.search(value)
    if found:
        raise EncodeError(f"character U+{ord(found.group()):04X} cannot be sent")
    if value.isascii():
        return value.encode("ascii")
    out = bytearray()
    for character in value:
        point = ord(character)
        while point >= 0x80:
            out.append(point & 0x7F | 0x80)
            point >>= 7
        out.append(point)
    return bytes(out)
