"""What acts in hardware, before any software knows: over-voltage, residual current, emergency stop, heat."""

from __future__ import annotations

import math
from typing import Final

from hal.errors import HalError, Kind

PRESENT_S: Final = 0.009
"""An over-voltage this long counts (IEC 61851-23:2023 table 103)."""
ACTION_S: Final = 0.001
RESIDUAL: Final = ((6.0, 1.0), (60.0, 0.3))
"""(mA DC, s): above it for so long, a residual-current device trips (well within IEC 62955)."""
RESIDUAL_AC: Final = (30.0, 0.3)
HOT_C: Final = 95.0
"""A thermal switch at the contacts."""


class Persisting:
    """Something that counts once it has lasted for `after_s`."""

    __slots__ = ("_held_s", "after_s")

    def __init__(self, after_s: float) -> None:
        self.after_s = after_s
        self._held_s = 0.0

    def due_s(self, present: bool) -> float:
        """Time until it counts; inf while it is not there, and when it counts already."""
        left = self.after_s - self._held_s
        return left if present and left > 1e-9 else math.inf

    def step(self, present: bool, dt: float) -> bool:
        """Let time pass; True where it counts."""
        self._held_s = self._held_s + dt if present else 0.0
        return present and self._held_s + 1e-9 >= self.after_s


class SafetyLoop:
    """The chain through all protections of one side; `intact` False means: no coil, no conversion.

    `causes` are there now (a pressed button), `tripped` is latched until `reset` finds its cause gone.
    Inputs are written before `step`: voltage of the output, residual currents, hottest contact.
    """

    __slots__ = (
        "_over_voltage",
        "_residual",
        "_residual_ac",
        "causes",
        "hottest_c",
        "limit_v",
        "output_v",
        "residual_ac_ma",
        "residual_dc_ma",
        "tripped",
    )

    def __init__(self) -> None:
        self.causes: set[str] = set()
        self.tripped: frozenset[str] = frozenset()
        self.limit_v: float | None = None
        self.output_v = self.residual_dc_ma = self.residual_ac_ma = 0.0
        self.hottest_c = -math.inf
        self._over_voltage = Persisting(PRESENT_S + ACTION_S)
        self._residual = tuple(Persisting(after_s) for _, after_s in RESIDUAL)
        self._residual_ac = Persisting(RESIDUAL_AC[1])

    @property
    def intact(self) -> bool:
        """Whether anything may be energised."""
        return not self.tripped

    def require_intact(self, device: str) -> None:
        """HalError(REFUSED) on behalf of `device` while the chain is open."""
        if self.tripped:
            raise HalError(
                device,
                Kind.REFUSED,
                f"the safety chain is open: {', '.join(sorted(self.tripped))}",
                next_step="Remove the cause, then reset the safety chain",
            )

    @property
    def due_s(self) -> float:
        """Time until something that is there now trips."""
        due = self._over_voltage.due_s(self._too_high)
        for timer, (limit, _) in zip(self._residual, RESIDUAL, strict=True):
            due = min(due, timer.due_s(self.residual_dc_ma > limit))
        return min(due, self._residual_ac.due_s(self.residual_ac_ma > RESIDUAL_AC[0]))

    @property
    def _too_high(self) -> bool:
        return self.limit_v is not None and self.output_v > self.limit_v

    def step(self, dt: float) -> None:
        """Let time pass and trip what is due."""
        now = set(self.causes)
        if self._over_voltage.step(self._too_high, dt):
            now.add("over_voltage")
        leaks = [
            timer.step(self.residual_dc_ma > limit, dt)
            for timer, (limit, _) in zip(self._residual, RESIDUAL, strict=True)
        ]
        if self._residual_ac.step(self.residual_ac_ma > RESIDUAL_AC[0], dt) or any(leaks):
            now.add("residual_current")
        if self.hottest_c > HOT_C:
            now.add("over_temperature")
        if not now <= self.tripped:
            self.tripped |= now

    def reset(self) -> None:
        """Clear what has tripped and is not there any more."""
        there = set(self.causes)
        if self._too_high:
            there.add("over_voltage")
        if self.residual_dc_ma > RESIDUAL[0][0] or self.residual_ac_ma > RESIDUAL_AC[0]:
            there.add("residual_current")
        if self.hottest_c > HOT_C:
            there.add("over_temperature")
        self.tripped &= there
