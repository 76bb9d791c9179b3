"""A DC power module: constant current up to a voltage, with the dynamics of a real one.

Set-points are followed with a slew and a first-order lag; with an open output it charges capacitors within its
current limit. Responses within a step are exact for any step length. V, A, W, F, H, Ohm, s; + is into the EV.
"""

from __future__ import annotations

import math
from typing import Final

DISCHARGE_S: Final = 2.0
"""How long the discharge resistor is connected after switching off; longer would burn it."""


class Converter:
    """The module behind the station's contactor. `on` with `set_v` and `set_a` (negative: take from the EV,
    `set_v` being the floor). Off: the current ends at once, `discharge_ohm` empties the output.

    Faults: `bias_v` shifts the output, `drift_v_s` lets that shift grow, `excess_a` flows beyond the limit,
    `deaf` leaves the set-points where they are, `discharge_ohm` inf is a broken discharge path.
    """

    __slots__ = (
        "_discharge_left_s",
        "_reference_a",
        "bias_v",
        "bleeder_ohm",
        "capacitance_f",
        "current_a",
        "deaf",
        "discharge_ohm",
        "drift_v_s",
        "excess_a",
        "fall_a_s",
        "import_max_a",
        "import_max_w",
        "inductance_h",
        "lag_s",
        "max_a",
        "max_v",
        "max_w",
        "on",
        "rise_a_s",
        "set_a",
        "set_v",
        "voltage_v",
        "volts_s",
    )

    def __init__(
        self,
        *,
        max_v: float = 1000.0,
        max_a: float = 500.0,
        max_w: float = 350_000.0,
        import_max_a: float = 200.0,
        import_max_w: float = 100_000.0,
        rise_a_s: float = 25.0,
        fall_a_s: float = 100.0,
        volts_s: float = 500.0,
    ) -> None:
        self.max_v, self.max_a, self.max_w = max_v, max_a, max_w
        self.import_max_a, self.import_max_w = import_max_a, import_max_w
        self.rise_a_s, self.fall_a_s, self.volts_s = rise_a_s, fall_a_s, volts_s
        self.lag_s = 0.03
        self.capacitance_f, self.inductance_h = 100e-6, 100e-6
        self.bleeder_ohm, self.discharge_ohm = 100e3, 1000.0
        self.on = self.deaf = False
        self.set_v = self.set_a = self.voltage_v = self.current_a = self._reference_a = 0.0
        self.bias_v = self.drift_v_s = self.excess_a = 0.0
        self._discharge_left_s = 0.0

    def drive(self, voltage_v: float, current_a: float) -> None:
        """Switch on with these set-points."""
        if not (self.on and self.deaf):
            self.set_v, self.set_a = voltage_v, current_a
        self.on, self._discharge_left_s = True, 0.0

    def off(self) -> None:
        """Stop converting, now, and begin to discharge the output."""
        if self.on:
            self._discharge_left_s = DISCHARGE_S
        self.on = False
        self.set_v = self.set_a = self.current_a = self._reference_a = 0.0

    @property
    def limit_a(self) -> float:
        """The largest current it gives or takes now, as a magnitude."""
        return abs(self.set_a) if self.on else 0.0

    @property
    def leak_s(self) -> float:
        """Conductance across its output while no battery holds it (S)."""
        discharging = self._discharge_left_s > 0.0
        return 1.0 / self.bleeder_ohm + (1.0 / self.discharge_ohm if discharging else 0.0)

    def pass_time(self, dt: float) -> None:
        """What goes on whatever is connected: discharge timer and drift."""
        self._discharge_left_s = max(0.0, self._discharge_left_s - dt)
        if self.on:
            self.bias_v += self.drift_v_s * dt

    def due_s(self, loaded: bool, goal_a: float) -> float:
        """How long nothing but a slow drift happens: until the discharge ends, short while something ramps."""
        if loaded:
            return math.inf if abs(goal_a - self.current_a) < 0.01 else 0.02
        if self._discharge_left_s:
            return min(0.02, self._discharge_left_s)
        ramping = self.on and abs(self._goal_v - self.voltage_v) > 0.05
        return 0.02 if ramping else math.inf

    @property
    def _goal_v(self) -> float:
        return max(0.0, self.set_v + self.bias_v)

    # --- open output ----------------------------------------------------------------------------

    def charge(self, farad: float, siemens: float, dt: float) -> None:
        """Work on a capacitor of `farad` with `siemens` across it, its own included; sets `voltage_v`."""
        before = self.voltage_v
        self._reference_a = 0.0
        decayed = before * math.exp(-dt * siemens / farad)
        if not self.on:
            self.voltage_v = decayed if decayed > 0.01 else 0.0
            self.current_a = 0.0
            return
        if self.set_a < 0:
            drained = max(0.0, decayed - abs(self.set_a) * dt / farad)
            self.voltage_v = max(drained, min(decayed, self._goal_v))
            self.current_a = 0.0
            return
        self.voltage_v = max(decayed, self._raised(before, farad, siemens, dt))
        needed = farad * (self.voltage_v - before) / dt + siemens * self.voltage_v
        self.current_a = max(0.0, min(needed, self.limit_a + self.excess_a))

    def _raised(self, before: float, farad: float, siemens: float, dt: float) -> float:
        """The voltage after `dt`: slew, current limit and set-point, whichever is least."""
        settled = (self.limit_a + self.excess_a) / siemens
        by_current = settled + (before - settled) * math.exp(-dt * siemens / farad)
        return min(self._goal_v, before + self.volts_s * dt, by_current)

    # --- battery at the output ------------------------------------------------------------------

    def goal_a(self, emf_v: float, ohm: float) -> float:
        """The current that set-points and ratings ask for, into `emf_v` behind `ohm`."""
        if not self.on:
            return 0.0
        reach_a = (self._goal_v - emf_v) / ohm
        if self.set_a >= 0:
            return max(0.0, min(self.set_a, reach_a, self.max_w / max(emf_v, 1.0))) + self.excess_a
        return min(0.0, max(self.set_a, reach_a, -self.import_max_w / max(emf_v, 1.0))) - self.excess_a

    def load(self, emf_v: float, ohm: float, dt: float) -> float:
        """Follow the goal for `dt`; returns the mean current, leaves the present one in `current_a`."""
        if not self.on:
            self.current_a = self._reference_a = 0.0
            return 0.0
        goal = self.goal_a(emf_v, ohm)
        start = self._reference_a
        growing = abs(goal) > abs(start) and goal * start >= 0
        rate = math.copysign(self.rise_a_s if growing else self.fall_a_s, goal - start)
        ramp_s = min(dt, (goal - start) / rate)
        charge = self._lagged(rate, ramp_s) + self._lagged(0.0, dt - ramp_s)
        if ramp_s < dt:
            self._reference_a = goal
        return charge / dt

    def _lagged(self, rate: float, dt: float) -> float:
        """Let the current follow a reference that moves at `rate`; returns the charge (As)."""
        if dt <= 0.0:
            return 0.0
        lag = self.lag_s
        behind = self.current_a - self._reference_a + rate * lag
        rest = math.exp(-dt / lag)
        charge = (self._reference_a - rate * lag) * dt + rate * dt * dt / 2 + behind * lag * (1 - rest)
        self._reference_a += rate * dt
        self.current_a = self._reference_a - rate * lag + behind * rest
        return charge

    def kick(self, current_a: float, farad: float) -> None:
        """The load has gone while `current_a` flowed: the choke's energy goes into the capacitors."""
        lifted = self.inductance_h * current_a * current_a / farad
        self.voltage_v = math.sqrt(self.voltage_v * self.voltage_v + lifted)
        self.current_a = self._reference_a = 0.0
