"""Simple types on the wire: one codec object per scalar declaration.

A codec either has a fixed width (then `values[n]` is the value of the n-bit field, None where the
schema assigns none) or reads and packs values of varying length. Which coding applies follows
from the bounds of the type alone: EXI 1.0 section 7.1, Table 7-1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

from iso15118.errors import DecodeError, EncodeError
from iso15118.exi.bits import (
    BIG_INTEGER_GROUPS,
    UNSIGNED_GROUPS,
    BitReader,
    pack_binary,
    pack_signed,
    pack_string,
    pack_unsigned,
)
from iso15118.exi.schema import Binary, Boolean, Enumeration, Integer, Scalar, Text

MAX_BOUNDED_RANGE: Final = 4096
"""Integer types with at most this many values are coded in a fixed number of bits."""

_UNSIGNED_LIMIT: Final = 1 << 7 * UNSIGNED_GROUPS
_BIG_LIMIT: Final = 1 << 7 * BIG_INTEGER_GROUPS


class ScalarCodec:
    """Reads, packs and judges the values of one simple type."""

    __slots__ = ("reads", "scalar", "values", "width")

    empty: ClassVar[Any] = None
    """The value of zero length, if there is one (and so a second spelling of the empty element)."""

    def __init__(self, scalar: Scalar) -> None:
        self.scalar = scalar
        self.width = -1
        self.values: tuple[Any, ...] = ()
        self.reads: Callable[[BitReader, int], tuple[Any, int]] = self.read
        """`read`, or the reader's own function behind it."""

    def read(self, reader: BitReader, at: int) -> tuple[Any, int]:
        """The value at bit `at` and the offset behind it. DecodeError where there is none."""
        index = reader.bits(at, self.width)
        value = self.values[index]
        if value is None:
            raise self.unassigned(index, at)
        return value, at + self.width

    def pack(self, value: Any, facets: bool) -> tuple[int, int]:
        """`value` as (bits, width). EncodeError if it is of the wrong type or cannot be coded.

        With `facets`, also if it lies outside the bounds of the schema type.
        """
        raise NotImplementedError

    def violation(self, value: Any) -> str | None:
        """What is wrong with `value` as a value of this type, None if nothing is."""
        raise NotImplementedError

    def unassigned(self, index: int, at: int) -> DecodeError:
        """The error for an n-bit value that the schema assigns no meaning."""
        name = getattr(self.scalar, "name", "") or type(self.scalar).__name__
        return DecodeError(f"value {index} of {name} is not assigned", bit=at)


class BooleanCodec(ScalarCodec):
    """One bit."""

    __slots__ = ()

    def __init__(self, scalar: Boolean) -> None:
        super().__init__(scalar)
        self.width, self.values = 1, (False, True)

    def pack(self, value: Any, facets: bool) -> tuple[int, int]:
        if value is True:
            return 1, 1
        if value is False:
            return 0, 1
        raise EncodeError(f"bool expected, not {_shown(value)}")

    def violation(self, value: Any) -> str | None:
        return None if isinstance(value, bool) else f"bool expected, not {_shown(value)}"


class EnumerationCodec(ScalarCodec):
    """The index of the member in schema order."""

    __slots__ = ("_indices", "_members")

    def __init__(self, scalar: Enumeration) -> None:
        super().__init__(scalar)
        members = tuple(scalar.members)
        self.width = (len(members) - 1).bit_length()
        self.values = members + (None,) * ((1 << self.width) - len(members))
        self._members = scalar.members
        self._indices = {member: index for index, member in enumerate(members)}

    def pack(self, value: Any, facets: bool) -> tuple[int, int]:
        if value.__class__ is not self._members:
            raise EncodeError(f"{self._members.__name__} expected, not {_shown(value)}")
        return self._indices[value], self.width

    def violation(self, value: Any) -> str | None:
        return (
            None
            if isinstance(value, self._members)
            else f"{self._members.__name__} expected, not {_shown(value)}"
        )


class IntegerCodec(ScalarCodec):
    """What all integers share: bounds, and the check for a Python int."""

    __slots__ = ("maximum", "minimum")

    def __init__(self, scalar: Integer) -> None:
        super().__init__(scalar)
        self.minimum, self.maximum = scalar.minimum, scalar.maximum

    def violation(self, value: Any) -> str | None:
        if not isinstance(value, int) or isinstance(value, bool):
            return f"int expected, not {_shown(value)}"
        low, high = self.minimum, self.maximum
        if (low is not None and value < low) or (high is not None and value > high):
            return f"{_brief(value)} is outside {'' if low is None else low}..{'' if high is None else high}"
        return None

    def _checked(self, value: Any, facets: bool, limit: int) -> int:
        """`value` as a plain int, once it is known to be codable."""
        if value.__class__ is not int and (not isinstance(value, int) or isinstance(value, bool)):
            raise EncodeError(f"int expected, not {_shown(value)}")
        if facets:
            reason = self.violation(value)
            if reason:
                raise EncodeError(reason)
        if not -limit <= value < limit:
            raise EncodeError(f"{_brief(value)} has too many digits to be sent")
        return int(value)


class BoundedCodec(IntegerCodec):
    """A small range: value - minimum in n bits."""

    __slots__ = ("_base",)

    def __init__(self, scalar: Integer, minimum: int, maximum: int) -> None:
        super().__init__(scalar)
        self._base = minimum
        self.width = (maximum - minimum).bit_length()
        self.values = tuple(range(minimum, minimum + (1 << self.width)))

    def pack(self, value: Any, facets: bool) -> tuple[int, int]:
        if value.__class__ is not int:
            value = self._checked(value, facets, _BIG_LIMIT)
        bits = value - self._base
        if bits < 0 or bits >> self.width or (facets and value > self.maximum):
            raise EncodeError(f"{_brief(value)} is outside {self.minimum}..{self.maximum}")
        return bits, self.width


class UnsignedCodec(IntegerCodec):
    """A range without negative values, too large for n bits: Unsigned Integer of the value itself."""

    __slots__ = ("_high", "_low")

    def __init__(self, scalar: Integer) -> None:
        super().__init__(scalar)
        self.reads = BitReader.unsigned
        self._low = scalar.minimum or 0
        self._high = _UNSIGNED_LIMIT - 1 if scalar.maximum is None else scalar.maximum

    def read(self, reader: BitReader, at: int) -> tuple[Any, int]:
        return reader.unsigned(at)

    def pack(self, value: Any, facets: bool) -> tuple[int, int]:
        if value.__class__ is not int or not self._low <= value <= self._high:
            value = self._checked(value, facets, _UNSIGNED_LIMIT)
            if value < 0:
                raise EncodeError(f"{_brief(value)} is negative and cannot be sent")
        return (value, 8) if value < 0x80 else pack_unsigned(value)


class SignedCodec(IntegerCodec):
    """Every other integer: a sign bit and an Unsigned Integer."""

    __slots__ = ("_groups", "_high", "_limit", "_low")

    def __init__(self, scalar: Integer) -> None:
        super().__init__(scalar)
        unbounded = scalar.minimum is None or scalar.maximum is None
        self._groups = BIG_INTEGER_GROUPS if unbounded else UNSIGNED_GROUPS
        if not unbounded:
            self.reads = BitReader.signed
        self._limit = _BIG_LIMIT if unbounded else _UNSIGNED_LIMIT
        self._low = 1 - self._limit if scalar.minimum is None else scalar.minimum
        self._high = self._limit - 1 if scalar.maximum is None else scalar.maximum

    def read(self, reader: BitReader, at: int) -> tuple[Any, int]:
        return reader.signed(at, self._groups)

    def pack(self, value: Any, facets: bool) -> tuple[int, int]:
        if value.__class__ is not int or not (self._low if facets else -0x80) <= value <= (
            self._high if facets else 0x7F
        ):
            value = self._checked(value, facets, self._limit)
        return (value, 9) if 0 <= value < 0x80 else pack_signed(value)


class TextCodec(ScalarCodec):
    """All strings: length in code points plus 2, then the code points."""

    __slots__ = ("max_length",)
    empty = ""

    def __init__(self, scalar: Text) -> None:
        super().__init__(scalar)
        self.reads = BitReader.string
        self.max_length = scalar.max_length

    def read(self, reader: BitReader, at: int) -> tuple[Any, int]:
        return reader.string(at)

    def pack(self, value: Any, facets: bool) -> tuple[int, int]:
        if not isinstance(value, str) or (
            facets and self.max_length is not None and len(value) > self.max_length
        ):
            raise EncodeError(self.violation(value) or "")
        return pack_string(value)

    def violation(self, value: Any) -> str | None:
        if not isinstance(value, str):
            return f"str expected, not {_shown(value)}"
        if self.max_length is not None and len(value) > self.max_length:
            return f"{len(value)} characters, at most {self.max_length} allowed"
        return None


class BinaryCodec(ScalarCodec):
    """hexBinary and base64Binary: length in octets, then the octets."""

    __slots__ = ("max_length", "min_length", "other_lengths")
    empty = b""

    def __init__(self, scalar: Binary) -> None:
        super().__init__(scalar)
        self.reads = BitReader.binary
        self.min_length, self.max_length = scalar.min_length, scalar.max_length
        self.other_lengths = scalar.other_lengths

    def read(self, reader: BitReader, at: int) -> tuple[Any, int]:
        return reader.binary(at)

    def pack(self, value: Any, facets: bool) -> tuple[int, int]:
        reason = self.violation(value) if facets else self._type_violation(value)
        if reason:
            raise EncodeError(reason)
        return pack_binary(value)

    def violation(self, value: Any) -> str | None:
        if not isinstance(value, bytes):
            return self._type_violation(value)
        if len(value) in self.other_lengths:
            return None
        if self.min_length is not None and len(value) < self.min_length:
            return f"{len(value)} octets, at least {self.min_length} needed"
        if self.max_length is not None and len(value) > self.max_length:
            return f"{len(value)} octets, at most {self.max_length} allowed"
        return None

    @staticmethod
    def _type_violation(value: Any) -> str | None:
        return None if isinstance(value, bytes) else f"bytes expected, not {_shown(value)}"


def codec_for(scalar: Scalar) -> ScalarCodec:
    """The codec of a scalar declaration."""
    match scalar:
        case Boolean():
            return BooleanCodec(scalar)
        case Enumeration():
            return EnumerationCodec(scalar)
        case Text():
            return TextCodec(scalar)
        case Binary():
            return BinaryCodec(scalar)
        case Integer(minimum=low, maximum=high):
            if low is not None and high is not None and high - low < MAX_BOUNDED_RANGE:
                return BoundedCodec(scalar, low, high)
            return UnsignedCodec(scalar) if low is not None and low >= 0 else SignedCodec(scalar)


def _shown(value: Any) -> str:
    return "nothing (None)" if value is None else type(value).__name__


def _brief(value: int) -> str:
    """A number for an error text; huge ones only by size (printing them is slow or refused)."""
    return str(value) if abs(value) < 10**30 else f"a number of {value.bit_length()} bits"
