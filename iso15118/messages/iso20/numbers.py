"""RationalNumber to and from Python numbers, and the µs time stamps of ISO 15118-20."""

from __future__ import annotations

import functools
from typing import Any, Final, overload

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


def total(mode: Any, name: str) -> float | None:
    """The sum over the phases of X, X_L2, X_L3; None where X is absent [V2G20-1818]."""
    first: RationalNumber | None = getattr(mode, name, None)
    if first is None:
        return None
    others: list[RationalNumber | None] = [getattr(mode, f"{name}_{phase}", None) for phase in ("l2", "l3")]
    return sum((number(x) for x in others if x is not None), number(first))


def stamp(utc_s: float, unit: str = "us") -> int:
    """Seconds since the epoch as a TimeStamp: µs, or s for peers that need it."""
    return int(utc_s * 1_000_000) if unit == "us" else int(utc_s)


def utc_of(time_stamp: int) -> float:
    """A peer's absolute time in seconds since the epoch, its unit told by magnitude (s, ms or µs)."""
    if time_stamp >= _MICROSECONDS_FROM:
        return time_stamp / 1_000_000
    return time_stamp / 1_000 if time_stamp >= _MILLISECONDS_FROM else float(time_stamp)
