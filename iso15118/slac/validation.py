"""Validation: the EV toggles the pilot, the EVSE counts; only the one at the other end of the cable can."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final

TOGGLE: Final = 0x00
"""SignalType: the EV switches S2, the pilot goes B, C, B."""
READY: Final = 0x01
"""Result of each CM_VALIDATE.REQ."""
TIMER_UNIT_S: Final = 0.1
"""Timer n of step 2 stands for n + 1 of these."""


class Verdict(enum.IntEnum):
    """Result of a CM_VALIDATE.CNF."""

    NOT_READY = 0  # another EV is validating
    READY = 1  # answer to step 1
    SUCCESS = 2  # answer to step 2, with the toggles counted
    FAILURE = 3
    NOT_REQUIRED = 4


def count_toggles(changes: Sequence[tuple[float, bool]], since: float, until: float, stable_s: float) -> int:
    """Toggles (B, C, B) between two moments; `changes` are (monotonic s, whether C), in order of time.

    A level counts once it was stable for `stable_s`; the last one need not have been, yet.
    """
    toggles, level = 0, False
    for begin, end, ready in _stretches(changes, since, until):
        if end - begin >= stable_s or end == until:
            toggles += level and not ready
            level = ready
    return toggles


def _stretches(
    changes: Sequence[tuple[float, bool]], since: float, until: float
) -> list[tuple[float, float, bool]]:
    """The levels between two moments: (begin, end, whether C)."""
    before = [ready for at, ready in changes if at <= since]
    steps = [(since, before[-1] if before else False)]
    steps += [(at, ready) for at, ready in changes if since < at < until]
    ends = [at for at, _ in steps[1:]] + [until]
    return [(at, end, ready) for (at, ready), end in zip(steps, ends, strict=True)]
