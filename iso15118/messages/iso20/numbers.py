"""RationalNumber to and from Python numbers, and the µs time stamps of ISO 15118-20."""

from __future__ import annotations

import functools
from typing import Final, overload

from iso15118.messages.iso20.types import RationalNumber
from iso15118.units import from_rational, to_rational

_MICROSECONDS_FROM: Final = 10**14
_MILLISECONDS_FROM: Final = 10**11


@functools.lru_cache(maxsize=1024)
def rational(value: float) -> RationalNumber:
    """`value` as RationalNumber (four to five significant digits). ValueError unless finite.

    The same limits are sent turn after turn; results are immutable and kept.
    """
    exponent, mantissa = to_rational(value)
    return RationalNumber(exponent=exponent, value=mantissa)


@overload
def number(value: RationalNumber) -> float: ...
@overload
def number(value: None) -> None: ...
def number(value: RationalNumber | None) -> float | None:
    """The value of a RationalNumber; None stays None."""
    return None if value is None else from_rational(value.exponent, value.value)


def stamp(utc_s: float, unit: str = "us") -> int:
    """Seconds since the epoch as a TimeStamp: µs, or s for peers that need it."""
    return int(utc_s * 1_000_000) if unit == "us" else int(utc_s)


def utc_of(time_stamp: int) -> float:
    """A peer's absolute time in seconds since the epoch, its unit told by magnitude (s, ms or µs)."""
    if time_stamp >= _MICROSECONDS_FROM:
        return time_stamp / 1_000_000
    return time_stamp / 1_000 if time_stamp >= _MILLISECONDS_FROM else float(time_stamp)
