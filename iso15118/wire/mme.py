"""How a HomePlug management message is declared: a frozen dataclass whose annotations say the octets.

    @message(0x606F)
    class AttenCharRsp(Message):
        run_id: RunId
        result: U8 = 0

The order of the fields is the order on the wire; `Annotated[..., Reserved(8)]` are octets of no meaning after a
field, written as zeros and ignored when read. One declaration serves the reader and the writer. Integers are little
endian; addresses, keys and identifiers are octets in the order they are sent.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Protocol, TypeVar, dataclass_transform

from iso15118.errors import FramingError
from iso15118.record import record

T = TypeVar("T")

AV_1_0: Final = 0
"""Management message version without a fragmentation field: most messages of the vendors."""
AV_1_1: Final = 1
"""Management message version of Green PHY and all standard messages."""
VENDOR_FIRST: Final = 0x8000
"""First message type of manufacturers and vendors."""


# --- wire types ---------------------------------------------------------------------------------


class WireType(Protocol):
    """How the value of a field stands on the wire."""

    def read(self, octets: bytes, at: int) -> tuple[Any, int]:
        """The value at octet `at`, and where the next one begins. FramingError where it is cut off."""

    def write(self, value: Any) -> bytes:
        """The octets of a value. FramingError where it does not fit."""


def take(octets: bytes, at: int, count: int) -> bytes:
    """`count` octets from `at`. FramingError where they are not all there."""
    piece = octets[at : at + count]
    if len(piece) != count:
        raise FramingError(f"{count} octets wanted, the frame has {len(piece)} left", bit=at * 8)
    return piece


@dataclass(frozen=True, slots=True)
class Uint:
    """An unsigned integer of so many octets."""

    size: int

    def read(self, octets: bytes, at: int) -> tuple[int, int]:
        """See WireType."""
        return int.from_bytes(take(octets, at, self.size), "little"), at + self.size

    def write(self, value: int) -> bytes:
        """See WireType."""
        if not 0 <= value < 1 << 8 * self.size:
            raise FramingError(f"{value!r} does not fit {8 * self.size} bits")
        return value.to_bytes(self.size, "little")


@dataclass(frozen=True, slots=True)
class Octets:
    """So many octets, as they are."""

    size: int

    def read(self, octets: bytes, at: int) -> tuple[bytes, int]:
        """See WireType."""
        return take(octets, at, self.size), at + self.size

    def write(self, value: bytes) -> bytes:
        """See WireType. The value stays out of the error: it may be a key."""
        if len(value) != self.size:
            raise FramingError(f"{len(value)} octets instead of {self.size}")
        return bytes(value)


@dataclass(frozen=True, slots=True)
class Characters:
    """Text in a field of so many octets, zeros behind it."""

    size: int

    def read(self, octets: bytes, at: int) -> tuple[str, int]:
        """See WireType."""
        return take(octets, at, self.size).decode("latin-1").rstrip("\0"), at + self.size

    def write(self, value: str) -> bytes:
        """See WireType."""
        octets = _latin(value)
        if len(octets) > self.size:
            raise FramingError(f"{value!r} is longer than {self.size} characters")
        return octets.ljust(self.size, b"\0")


@dataclass(frozen=True, slots=True)
class CountedCharacters:
    """Text with a zero behind it; one octet in front counts both."""

    def read(self, octets: bytes, at: int) -> tuple[str, int]:
        """See WireType."""
        text, end = Counted().read(octets, at)
        return text.decode("latin-1").rstrip("\0"), end

    def write(self, value: str) -> bytes:
        """See WireType."""
        return Counted().write(_latin(value) + b"\0")


@dataclass(frozen=True, slots=True)
class Counted:
    """Octets whose number is told in front; `between` stands after the number."""

    between: bytes = b""

    def read(self, octets: bytes, at: int) -> tuple[bytes, int]:
        """See WireType."""
        begin = at + 1 + len(self.between)
        count = take(octets, at, 1)[0]
        return take(octets, begin, count), begin + count

    def write(self, value: bytes) -> bytes:
        """See WireType."""
        return _count(len(value)) + self.between + value


@dataclass(frozen=True, slots=True)
class Rest:
    """Everything up to the end of the frame, padding included."""

    def read(self, octets: bytes, at: int) -> tuple[bytes, int]:
        """See WireType."""
        return octets[at:], len(octets)

    def write(self, value: bytes) -> bytes:
        """See WireType."""
        return bytes(value)


@dataclass(frozen=True, slots=True)
class Nibbles:
    """Values of 4 bits, their number in two octets in front; the first of each pair is the low half."""

    def read(self, octets: bytes, at: int) -> tuple[tuple[int, ...], int]:
        """See WireType."""
        count, begin = Uint(2).read(octets, at)
        packed = take(octets, begin, (count + 1) // 2)
        halves = [half for octet in packed for half in (octet & 0xF, octet >> 4)]
        return tuple(halves[:count]), begin + len(packed)

    def write(self, value: tuple[int, ...]) -> bytes:
        """See WireType."""
        if not all(0 <= half <= 0xF for half in value):
            raise FramingError("a value does not fit 4 bits")
        low, high = value[::2], (*value[1::2], 0)
        packed = bytes(a | b << 4 for a, b in zip(low, high, strict=False))
        return Uint(2).write(len(value)) + packed


@dataclass(frozen=True, slots=True)
class Rows:
    """A tuple of values of one wire type, or of rows declared with `row`; one octet in front counts them.

    `between` so many octets of no meaning stand after the number.
    """

    of: Any
    between: int = 0

    def read(self, octets: bytes, at: int) -> tuple[tuple[Any, ...], int]:
        """See WireType."""
        count, at = take(octets, at, 1)[0], at + 1 + self.between
        values = []
        for _ in range(count):
            value, at = read_fields(self.of, octets, at) if self._is_row else self.of.read(octets, at)
            values.append(value)
        return tuple(values), at

    def write(self, value: tuple[Any, ...]) -> bytes:
        """See WireType."""
        each = write_fields if self._is_row else self.of.write
        return _count(len(value)) + bytes(self.between) + b"".join(map(each, value))

    @property
    def _is_row(self) -> bool:
        return isinstance(self.of, type)


def _count(number: int) -> bytes:
    if number > 0xFF:
        raise FramingError(f"{number} entries; at most 255 can be counted")
    return bytes([number])


def _latin(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise FramingError(f"{text!r} is not Latin-1") from None


@dataclass(frozen=True, slots=True)
class Reserved:
    """So many octets of no meaning after a field, and `before` it."""

    after: int = 0
    before: int = 0


U8 = Annotated[int, Uint(1)]
U16 = Annotated[int, Uint(2)]
U32 = Annotated[int, Uint(4)]
Mac = Annotated[bytes, Octets(6)]
Nid = Annotated[bytes, Octets(7)]
RunId = Annotated[bytes, Octets(8)]
Key = Annotated[bytes, Octets(16)]
StationId = Annotated[bytes, Octets(17)]
Nonce = Annotated[bytes, Octets(4)]


# --- messages -----------------------------------------------------------------------------------


class Message:
    """Base of all messages. `OUI` is empty but for messages of a vendor; `MMV` is the version to send with."""

    __slots__ = ()

    MMTYPE: ClassVar[int]
    OUI: ClassVar[bytes] = b""
    MMV: ClassVar[int] = AV_1_1


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(dataclasses.field,))
def message(mmtype: int, oui: bytes = b"", mmv: int = AV_1_1) -> Callable[[type[T]], type[T]]:
    """Declare a message: a frozen dataclass with keyword-only fields, known by its number (and vendor)."""

    def declare(cls: type[T]) -> type[T]:
        made: Any = row(cls)
        made.MMTYPE, made.OUI, made.MMV = mmtype, oui, mmv
        declared: type[T] = made
        return declared

    return declare


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(dataclasses.field,))
def row(cls: type[T]) -> type[T]:
    """Declare what stands several times in a message: a frozen dataclass with keyword-only fields."""
    return record(cls)


@message(0xFFFF)
class Unknown(Message):
    """A message not declared here, or a fragment (`fragment` is not 0). `payload` begins with a vendor's OUI."""

    mmtype: int
    payload: bytes = dataclasses.field(repr=False)  # may hold a key
    fragment: int = 0

    @property
    def oui(self) -> bytes:
        """The vendor it belongs to; empty where it belongs to none."""
        return self.payload[:3] if self.mmtype >= VENDOR_FIRST else b""


# --- layout -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Slot:
    """A field: its name, how it stands on the wire, and the reserved octets around it."""

    name: str
    wire: WireType
    reserved: Reserved


@functools.cache
def layout(cls: type) -> tuple[Slot, ...]:
    """The fields of a declared class in the order of the wire."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple(_slot(field.name, hints[field.name].__metadata__) for field in dataclasses.fields(cls))


def _slot(name: str, marks: tuple[Any, ...]) -> Slot:
    reserved = next((mark for mark in marks if isinstance(mark, Reserved)), Reserved())
    return Slot(name, marks[0], reserved)


def read_fields(cls: type[T], octets: bytes, at: int) -> tuple[T, int]:
    """A declared value from octet `at`, and where it ends. FramingError names field and offset."""
    values: dict[str, Any] = {}
    name = ""
    try:
        for slot in layout(cls):  # type: ignore[arg-type]
            name = slot.name
            values[name], at = slot.wire.read(octets, at + slot.reserved.before)
            at += slot.reserved.after
    except FramingError as error:
        raise _named(error, cls, name) from None
    return cls(**values), at


def write_fields(value: Any) -> bytes:
    """The octets of a declared value. FramingError names the field that does not fit."""
    pieces: list[bytes] = []
    name = ""
    try:
        for slot in layout(type(value)):  # type: ignore[arg-type]
            name = slot.name
            octets = slot.wire.write(getattr(value, name))
            pieces += (bytes(slot.reserved.before), octets, bytes(slot.reserved.after))
    except FramingError as error:
        raise _named(error, type(value), name) from None
    return b"".join(pieces)


def _named(error: FramingError, cls: type, field: str) -> FramingError:
    """The same error, telling in which field of what it happened."""
    error.inside(field)
    error.inside(cls.__name__)
    return error
