"""Set-points of a DC supply over time: ramps, limits of the hardware, and what may be measured meanwhile."""

from __future__ import annotations

import math
from typing import Final

from hal.power import DcRatings
from iso15118.control.evse import SetDcTarget
from iso15118.units import Envelope

PRE_CHARGE_A: Final = 2.0
"""Up to this current a target only brings the output to a voltage."""
REACTION_S: Final = 1.0
"""What was allowed so long ago may still be measured: lag of the supply, age of the reading."""


class DcOutput:
    """Leads the supply's set-points to the session's target, at `up_a_s` and `down_a_s` (A/s).

    `most_a` and `least_a` bound, signed, what the current may be by what was set lately: beyond it the supply
    does as it likes. `target` None: nothing is wanted.
    """

    def __init__(self, ratings: DcRatings, up_a_s: float, down_a_s: float) -> None:
        self._ratings = ratings
        self._up_a_s, self._down_a_s = up_a_s, down_a_s
        self.target: SetDcTarget | None = None
        self.set_a = 0.0
        self.most_a = self.least_a = 0.0
        self._advanced_at = math.inf  # nothing ramps before the first step
        self._bound_at = -math.inf

    @property
    def max_voltage_v(self) -> float:
        """What the supply reaches."""
        return self._ratings.max_voltage_v

    @property
    def least_regulated_a(self) -> float:
        """The smallest current the supply regulates."""
        return self._ratings.min_current_a

    @property
    def pre_charging(self) -> bool:
        """Whether only a voltage is wanted."""
        return self.target is not None and 0.0 <= self.target.current_a <= PRE_CHARGE_A

    @property
    def idle(self) -> bool:
        """Whether no current is set any more."""
        return self.set_a == 0.0

    def stop(self) -> None:
        """The supply is off: nothing is wanted, and soon nothing may be measured."""
        self.target = None
        self.set_a = 0.0
        self._advanced_at = math.inf

    def ramp_down(self) -> None:
        """Bring the current to zero, keep the voltage meanwhile."""
        if self.target is not None:
            self.target = SetDcTarget(self.target.voltage_v, 0.0, self.target.min_voltage_v)

    def advance(self, now: float, limits: Envelope, voltage_v: float) -> None:
        """Let time pass up to `now` within these limits, with this voltage at the output."""
        dt = max(0.0, min(now - self._advanced_at, REACTION_S))
        self._advanced_at = now
        wanted = self._wanted(limits, voltage_v)
        if abs(wanted) <= PRE_CHARGE_A and abs(self.set_a) <= PRE_CHARGE_A:
            self.set_a = wanted
        else:
            growing = abs(wanted) > abs(self.set_a) and wanted * self.set_a >= 0
            reach = (self._up_a_s if growing else self._down_a_s) * dt
            self.set_a += min(max(wanted - self.set_a, -reach), reach)

    def bound(self, now: float) -> None:
        """What may be measured by `now`: it grows at once and shrinks as fast as a slow supply follows."""
        fade = self._down_a_s / 2 * max(0.0, min(now - self._bound_at, REACTION_S))
        self._bound_at = now
        self.most_a = max(self.set_a, self.most_a - fade, 0.0)
        self.least_a = min(self.set_a, self.least_a + fade, 0.0)

    def allow(self, current_a: float) -> None:
        """A test sets this current by itself."""
        self.most_a = max(self.most_a, current_a)

    def _wanted(self, limits: Envelope, voltage_v: float) -> float:
        """The target's current within ratings and limits; a little is never made more, but for pre-charge."""
        target, ratings = self.target, self._ratings
        if target is None:
            return 0.0
        if self.pre_charging and target.current_a:
            return min(max(target.current_a, ratings.min_current_a), ratings.max_current_a)
        charging = target.current_a >= 0
        mine = limits.charge if charging else limits.discharge
        most = ratings.max_current_a if charging else ratings.import_max_current_a
        size = min(abs(target.current_a), most, mine.max_current_a, mine.max_power_w / max(voltage_v, 1.0))
        return math.copysign(size, target.current_a) if size >= ratings.min_current_a else 0.0

    def set_points(self) -> tuple[float, float]:
        """(V, signed A) for the supply; with a negative current the voltage is the floor."""
        assert self.target is not None
        voltage = self.target.voltage_v if self.set_a >= 0 else self.target.min_voltage_v
        return min(max(voltage, 0.0), self._ratings.max_voltage_v), self.set_a
