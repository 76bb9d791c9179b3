"""The physics of both sides, one small model per device; `circuit.py` joins them with `battery.py`.

All are advanced by `step(dt)` and know no clock. Within a step the current is constant, so that charge,
energy and losses are exact for any step length: what the meter counts is what the battery stores
plus the losses. + is into the EV. V, A, W, Wh, Ohm, s.
"""

from __future__ import annotations

import math
from typing import Final

from hal.types import ContactorState as Position
from hal.types import CpState

ISOLATION_FAULT_OHM: Final = 100_000.0
"""IEC 61851-23:2023: below this the insulation test fails."""


class DcSupply:
    """A bidirectional DC source: constant current up to a voltage, with ramps; off = discharge.

    `on` with `target_v`, `target_a` (signed) and `floor_v` (discharging stops there). With an open
    output the voltage ramps to `target_v`; `bias_v` shifts it (a fault). Off stops the current at once and
    empties the output capacitance through `discharge_ohm`.
    """

    __slots__ = (
        "bias_v",
        "capacitance_f",
        "current_a",
        "discharge_ohm",
        "down_a_s",
        "floor_v",
        "max_a",
        "max_v",
        "max_w",
        "on",
        "target_a",
        "target_v",
        "up_a_s",
        "voltage_v",
        "volts_s",
    )

    def __init__(
        self,
        *,
        max_v: float = 1000.0,
        max_a: float = 500.0,
        max_w: float = 350_000.0,
        up_a_s: float = 200.0,
        down_a_s: float = 500.0,
        volts_s: float = 1000.0,
        capacitance_f: float = 100e-6,
        discharge_ohm: float = 1000.0,
    ) -> None:
        self.max_v, self.max_a, self.max_w = max_v, max_a, max_w
        self.up_a_s, self.down_a_s, self.volts_s = up_a_s, down_a_s, volts_s
        self.capacitance_f, self.discharge_ohm = capacitance_f, discharge_ohm
        self.on = False
        self.target_v = self.target_a = self.floor_v = self.bias_v = 0.0
        self.voltage_v = self.current_a = 0.0

    def drive(self, voltage_v: float, current_a: float, floor_v: float = 0.0) -> None:
        """Switch on with these set-points, cut to what the hardware can do."""
        self.on = True
        self.target_v = min(max(0.0, voltage_v), self.max_v)
        self.target_a = min(max(-self.max_a, current_a), self.max_a)
        self.floor_v = max(0.0, floor_v)

    def off(self) -> None:
        """Stop converting, now."""
        self.on = False
        self.target_v = self.target_a = self.floor_v = self.current_a = 0.0

    def step_open(self, dt: float) -> None:
        """No battery at the output: ramp the voltage, or let it decay."""
        self.current_a = 0.0
        if self.on:
            goal = max(0.0, self.target_v + self.bias_v)
            reach = self.volts_s * dt
            self.voltage_v += min(max(goal - self.voltage_v, -reach), reach)
        elif self.voltage_v:
            self.voltage_v *= math.exp(-dt / (self.discharge_ohm * self.capacitance_f))
            if self.voltage_v < 0.01:
                self.voltage_v = 0.0

    def step_loaded(self, emf_v: float, ohm: float, dt: float) -> float:
        """A battery of `emf_v` behind `ohm` at the output; returns the current of this step."""
        if not self.on:
            self.current_a = 0.0
        else:
            self.current_a = self._ramped(self._wanted(emf_v, ohm), dt)
        self.voltage_v = emf_v + self.current_a * ohm
        return self.current_a

    def _wanted(self, emf_v: float, ohm: float) -> float:
        power_a = self.max_w / max(emf_v, 1.0)
        if self.target_a >= 0:
            return max(0.0, min(self.target_a, (self.target_v + self.bias_v - emf_v) / ohm, power_a))
        return min(0.0, max(self.target_a, -(emf_v - self.floor_v) / ohm, -power_a))

    def _ramped(self, wanted_a: float, dt: float) -> float:
        now = self.current_a
        growing = abs(wanted_a) > abs(now) and wanted_a * now >= 0
        reach = (self.up_a_s if growing else self.down_a_s) * dt
        return now + min(max(wanted_a - now, -reach), reach)

    def settled(self, emf_v: float, ohm: float) -> bool:
        """Whether the current stands, within an ampere, where the set-points want it."""
        return not self.on or abs(self._wanted(emf_v, ohm) - self.current_a) < 1.0

    @property
    def settled_open(self) -> bool:
        """Whether the voltage of an open output stands where it is wanted; decayed below 1 V where off."""
        if not self.on:
            return self.voltage_v < 1.0
        return abs(max(0.0, self.target_v + self.bias_v) - self.voltage_v) < 0.1


class Contactor:
    """A contactor with closing and opening time; `feedback` is what its auxiliary contact tells.

    Faults: `stuck_open` never closes, `welded` never opens again, `late_s` adds to the closing time,
    `bounce_s` lets the feedback read unknown for a while after closing.
    """

    __slots__ = (
        "_left_s",
        "_unsure_s",
        "bounce_s",
        "close_s",
        "closed",
        "late_s",
        "load_breaks",
        "open_s",
        "stuck_open",
        "wanted",
        "welded",
    )

    def __init__(self, *, close_s: float = 0.06, open_s: float = 0.02, bounce_s: float = 0.0) -> None:
        self.close_s, self.open_s, self.bounce_s = close_s, open_s, bounce_s
        self.closed = self.wanted = False
        self.welded = self.stuck_open = False
        self.late_s = 0.0
        self.load_breaks = 0
        self._left_s = self._unsure_s = math.inf

    def command(self, close: bool) -> None:
        """Energise (True) or release (False) the coil; repeating the same changes nothing."""
        if close == self.wanted:
            return
        self.wanted = close
        settled = close == self.closed
        self._left_s = math.inf if settled else (self.close_s + self.late_s if close else self.open_s)

    @property
    def due_s(self) -> float:
        """Time until the contact or its feedback changes; inf when it rests."""
        return min(self._left_s, self._unsure_s)

    @property
    def feedback(self) -> Position:
        """The position as the auxiliary contact tells it."""
        if self._unsure_s != math.inf:
            return Position.UNKNOWN
        return Position.CLOSED if self.closed else Position.OPEN

    def step(self, dt: float, current_a: float = 0.0) -> bool:
        """Let time pass; True where the feedback changed. `current_a` is what it would interrupt."""
        if self._left_s == math.inf and self._unsure_s == math.inf:
            return False
        changed = False
        if self._unsure_s != math.inf:
            changed = self._unsure_s <= dt + 1e-9
            self._unsure_s = math.inf if changed else self._unsure_s - dt
        if self._left_s == math.inf:
            return changed
        if self._left_s > dt + 1e-9:
            self._left_s -= dt
            return changed
        self._left_s = math.inf
        return self._move(current_a) or changed

    def _move(self, current_a: float) -> bool:
        if (
            (self.wanted and self.stuck_open)
            or (not self.wanted and self.welded)
            or self.wanted == self.closed
        ):
            return False
        self.closed = self.wanted
        if self.closed and self.bounce_s:
            self._unsure_s = self.bounce_s
        if not self.closed and abs(current_a) > 5.0:
            self.load_breaks += 1
        return True


class IsolationTester:
    """The insulation test: with the test voltage applied, `duration_s` until the verdict.

    The verdict compares the parallel of both resistances to earth with the limit.
    """

    __slots__ = ("duration_s", "elapsed_s", "minus_ohm", "passed", "plus_ohm", "running")

    def __init__(self, *, duration_s: float = 2.0, plus_ohm: float = 5e6, minus_ohm: float = 5e6) -> None:
        self.duration_s, self.plus_ohm, self.minus_ohm = duration_s, plus_ohm, minus_ohm
        self.running = False
        self.elapsed_s = 0.0
        self.passed: bool | None = None

    @property
    def due_s(self) -> float:
        """Time until the verdict, with enough voltage; inf while no test runs."""
        return max(0.0, self.duration_s - self.elapsed_s) if self.running else math.inf

    @property
    def fault_ohm(self) -> float:
        """Resistance to earth: both poles in parallel."""
        return self.plus_ohm * self.minus_ohm / (self.plus_ohm + self.minus_ohm)

    def start(self) -> None:
        """Begin a test; an earlier verdict is forgotten."""
        self.running, self.elapsed_s, self.passed = True, 0.0, None

    def stop(self) -> None:
        """Give up without a verdict."""
        self.running = False

    def step(self, dt: float, voltage_v: float) -> None:
        """Let time pass; below 60 V nothing is measured."""
        if not self.running or voltage_v < 60.0:
            return
        self.elapsed_s += dt
        if self.elapsed_s + 1e-9 >= self.duration_s:
            self.running = False
            self.passed = self.fault_ohm >= ISOLATION_FAULT_OHM


class AcConverter:
    """The on-board charger, both directions: efficiency, ramp, a power below which it does not run."""

    __slots__ = ("efficiency", "loss_wh", "min_w", "power_w", "ramp_w_s", "target_w")

    def __init__(self, *, efficiency: float = 0.94, min_w: float = 500.0, ramp_w_s: float = 20_000.0) -> None:
        if not 0 < efficiency <= 1:
            raise ValueError("efficiency is within 0..1")
        self.efficiency, self.min_w, self.ramp_w_s = efficiency, min_w, ramp_w_s
        self.target_w = self.power_w = self.loss_wh = 0.0

    def off(self) -> None:
        """Stop converting, now."""
        self.target_w = self.power_w = 0.0

    def ramp(self, dt: float) -> float:
        """Move towards the target; returns the AC power of this step."""
        wanted = self.target_w if abs(self.target_w) >= self.min_w else 0.0
        reach = self.ramp_w_s * dt
        self.power_w += min(max(wanted - self.power_w, -reach), reach)
        return self.power_w

    def battery_w(self, ac_w: float) -> float:
        """Power at the battery's terminals for `ac_w` on the AC side."""
        return ac_w * self.efficiency if ac_w >= 0 else ac_w / self.efficiency

    def ac_w(self, battery_w: float) -> float:
        """Power on the AC side for `battery_w` at the battery's terminals."""
        return battery_w / self.efficiency if battery_w >= 0 else battery_w * self.efficiency


class Meter:
    """Two registers at the outlet, charged and discharged energy, both only growing.

    `jump_wh` is what a faulty instrument adds to the charged register.
    """

    __slots__ = ("charged_wh", "discharged_wh", "jump_wh")

    def __init__(self) -> None:
        self.charged_wh = self.discharged_wh = self.jump_wh = 0.0

    def add(self, energy_wh: float) -> None:
        """Count energy, + into the EV."""
        if energy_wh >= 0:
            self.charged_wh += energy_wh
        else:
            self.discharged_wh -= energy_wh

    @property
    def shown_wh(self) -> float:
        """What the charged register shows."""
        return self.charged_wh + self.jump_wh


class PilotCircuit:
    """The control pilot: the EV's resistor, the EVSE's oscillator, and what each side has noticed.

    `seen` is the state the EVSE has detected, `lost` whether the EV has noticed that the pilot is gone.
    Both follow the wire after `delay_s`. `held` overrides the wire (a flapping contact).
    """

    __slots__ = ("_left_s", "_next", "delay_s", "held", "lost", "oscillating", "plugged", "ready", "seen")

    def __init__(self, *, delay_s: float = 0.03, plugged: bool = True) -> None:
        self.delay_s, self.plugged = delay_s, plugged
        self.ready = False
        self.oscillating = True
        self.held: CpState | None = None
        self.seen = self._next = self.wire
        self.lost = not plugged
        self._left_s = math.inf

    @property
    def wire(self) -> CpState:
        """The state on the wire now."""
        if self.held is not None:
            return self.held
        if not self.plugged:
            return CpState.A
        if not self.oscillating:
            return CpState.F
        return CpState.C if self.ready else CpState.B

    @property
    def due_s(self) -> float:
        """Time until a change is noticed; inf when both sides know the wire."""
        if self.wire is not self._next:
            return self.delay_s
        return self._left_s

    def step(self, dt: float) -> bool:
        """Let time pass; True where a side has noticed something. A flicker shorter than the delay is not."""
        wire = self.wire
        if wire is not self._next:
            self._next = wire
            self._left_s = self.delay_s if wire is not self.seen else math.inf
        if self._left_s == math.inf:
            return False
        if self._left_s > dt + 1e-9:
            self._left_s -= dt
            return False
        self._left_s = math.inf
        self.seen = self._next
        self.lost = self.seen in (CpState.A, CpState.E, CpState.F)
        return True
