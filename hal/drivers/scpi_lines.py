"""What SCPI devices answer, a line at a time: taken as it is or not at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Final

LONGEST_LINE: Final = 256

_NUMBER: Final = re.compile(r"([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?) *([A-Za-z]*)")
_ERROR: Final = re.compile(r"([-+]?\d+) *, *(.*)")
_NO_ERRORS: Final = ("no error", "none")
_STEP: Final = Decimal("0.001")


def parse_line(data: bytes) -> str | None:
    """The one line heard, without its end; None while it is not complete. ValueError for more or other things."""
    line, end, rest = data.partition(b"\n")
    if len(line) > LONGEST_LINE or rest:
        raise ValueError("more than a line")
    return line.rstrip(b"\r").decode("ascii") if end else None


def parse_number(text: str, unit: str, most: float) -> float:
    """A number in `unit` (V, A, W; the device may leave it out, or put a k before it), at most `most` large.

    ValueError for anything else.
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None or match[2] not in ("", unit, f"k{unit}"):
        raise ValueError(f"{text!r} is no number in {unit}")
    value = float(match[1]) * (1000.0 if match[2].startswith("k") else 1.0)
    if not abs(value) <= most:
        raise ValueError(f"{text!r} is beyond {most:g} {unit}")
    return value


def parse_word(words: Sequence[str], text: str) -> str:
    """One of `words`. ValueError for anything else."""
    word = text.strip()
    if word not in words:
        raise ValueError(f"{word!r} is none of {', '.join(words)}")
    return word


def parse_watchdog(text: str) -> int:
    """Milliseconds that are set, 0 when it has tripped, -1 when it is off. ValueError for anything else."""
    if not re.fullmatch(r"-1|0|[1-9]\d{1,4}", text.strip()):
        raise ValueError(f"{text!r} is no state of a watchdog")
    return int(text)


def parse_error(text: str) -> str:
    """The oldest entry of the error queue; "" where there is none. ValueError where it is no such entry."""
    match = _ERROR.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no answer to the question for errors")
    if int(match[1]) == 0:
        return ""
    if match[2].strip('" ').lower() in _NO_ERRORS:
        raise ValueError(f"{text!r} contradicts itself")
    return text.strip()


def figure(value: float) -> str:
    """A magnitude as it is sent: thousandths, never more than `value`."""
    text = f"{Decimal(repr(abs(value))).quantize(_STEP, ROUND_DOWN):f}"
    return text.rstrip("0").rstrip(".")
