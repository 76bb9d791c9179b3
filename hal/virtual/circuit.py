"""One circuit between a station and a car: the devices of `plants.py`, solved together step by step.

Both virtual controllers work on the same `Plant`. Nodes of the DC circuit: supply, outlet (the cable
with the inlet), battery; the EVSE's contactor joins the first two, the EV's the last two. The AC circuit
has the mains instead of the supply and the on-board charger in front of the battery.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from hal.types import CpState
from hal.virtual.battery import SECONDS_PER_HOUR, Battery
from hal.virtual.plants import (
    AcConverter,
    Contactor,
    DcSupply,
    IsolationTester,
    Meter,
    PilotCircuit,
)

FINE_STEP_S: Final = 0.05
COARSE_STEP_S: Final = 0.2
WELDING_A: Final = 500.0
"""An inrush above this welds the contact."""

_CABLE_DECAY_S: Final = 0.3


class Sample(NamedTuple):
    """The truth at one moment, as a measuring laboratory would see it; what checkers judge.

    `evse_unsafe` and `ev_unsafe`: that side's hardware reports a fault or an emergency stop.
    """

    t: float
    evse_closed: bool
    ev_closed: bool
    outlet_v: float
    current_a: float
    power_w: float
    cp_wire: CpState
    locked: bool
    cable_check: str
    evse_unsafe: bool
    ev_unsafe: bool


@dataclass(frozen=True, slots=True)
class Closing:
    """A contactor closed with this voltage across it (V) and this inrush (A)."""

    t: float
    side: str
    difference_v: float
    inrush_a: float


class Plant:
    """What both circuits share. `step(dt)` lets time pass; `due_s` says when something switches.

    Read `outlet_v` (cable and inlet), `current_a` and `power_w` (at the outlet, + into the EV). The energy
    truth: `delivered_wh` and `fed_back_wh` passed the outlet, `cable_loss_wh` became heat in the cable.
    """

    is_dc = True

    def __init__(
        self,
        battery: Battery | None = None,
        *,
        evse_contactor: Contactor | None = None,
        ev_contactor: Contactor | None = None,
        pilot: PilotCircuit | None = None,
    ) -> None:
        self.battery = battery or Battery()
        self.evse_contactor = evse_contactor or Contactor()
        self.ev_contactor = ev_contactor or Contactor()
        self.pilot = pilot or PilotCircuit()
        self.tester = IsolationTester()
        self.meter = Meter()
        self.locked = False
        self.outlet_v = self.current_a = self.power_w = 0.0
        self.delivered_wh = self.fed_back_wh = self.cable_loss_wh = 0.0
        self.stored_at_start_wh = self.battery.stored_wh
        self.closings: list[Closing] = []
        self.elapsed_s = 0.0

    @property
    def both_closed(self) -> bool:
        """Whether supply and battery are connected."""
        return self.evse_contactor.closed and self.ev_contactor.closed

    @property
    def due_s(self) -> float:
        """Longest step that misses nothing: until something switches, short while something ramps."""
        limit = COARSE_STEP_S if self._resting() else FINE_STEP_S
        switching = min(self.evse_contactor.due_s, self.ev_contactor.due_s, self.pilot.due_s)
        return max(0.001, min(limit, switching, self.tester.due_s))

    def step(self, dt: float) -> bool:
        """Let `dt` pass; True where a contactor's feedback changed or a pilot state was noticed."""
        self.elapsed_s += dt
        moved = self.pilot.step(dt)
        self._flow(dt)
        moved = self._switch(self.evse_contactor, "EVSE", dt) or moved
        return self._switch(self.ev_contactor, "EV", dt) or moved

    def balance_wh(self) -> float:
        """Energy through the outlet minus all that was stored or lost; zero but for rounding."""
        battery = self.battery
        stored = battery.stored_wh - self.stored_at_start_wh + battery.polarised_wh
        lost = battery.loss_wh + self.cable_loss_wh + self._converter_loss_wh()
        return self.delivered_wh - self.fed_back_wh - stored - lost

    def _switch(self, contactor: Contactor, side: str, dt: float) -> bool:
        was_closed = contactor.closed
        moved = contactor.step(dt, self.current_a)
        if moved and contactor.closed and not was_closed:
            difference = self._difference_v(contactor)
            inrush = abs(difference) / self._loop_ohm()
            self.closings.append(Closing(self.elapsed_s, side, difference, inrush))
            if inrush > WELDING_A:
                contactor.welded = True
        return moved

    def _count(self, energy_wh: float, dt: float) -> None:
        """Energy that passed the outlet in this step."""
        self.power_w = energy_wh * SECONDS_PER_HOUR / dt if dt else 0.0
        self.meter.add(energy_wh)
        if energy_wh >= 0:
            self.delivered_wh += energy_wh
        else:
            self.fed_back_wh -= energy_wh

    def _idle(self, dt: float) -> None:
        """Nothing flows; the battery relaxes."""
        self.current_a = self.power_w = 0.0
        if self.battery.polarised_v:
            self.battery.step(0.0, dt)

    def _resting(self) -> bool:
        raise NotImplementedError

    def _flow(self, dt: float) -> None:
        raise NotImplementedError

    def _difference_v(self, contactor: Contactor) -> float:
        raise NotImplementedError

    def _loop_ohm(self) -> float:
        raise NotImplementedError

    def _converter_loss_wh(self) -> float:
        return 0.0


class DcPlant(Plant):
    """Supply, contactor, cable, contactor, battery."""

    is_dc = True

    def __init__(
        self,
        battery: Battery | None = None,
        supply: DcSupply | None = None,
        *,
        cable_ohm: float = 0.01,
        evse_contactor: Contactor | None = None,
        ev_contactor: Contactor | None = None,
        pilot: PilotCircuit | None = None,
    ) -> None:
        super().__init__(battery, evse_contactor=evse_contactor, ev_contactor=ev_contactor, pilot=pilot)
        self.supply = supply or DcSupply()
        self.cable_ohm = cable_ohm

    def _loop_ohm(self) -> float:
        return self.battery.r0_ohm + self.cable_ohm

    def _resting(self) -> bool:
        if self.both_closed:
            return self.supply.settled(self.battery.emf_v, self._loop_ohm())
        cable = self.outlet_v < 1.0 or self.evse_contactor.closed or self.ev_contactor.closed
        return cable and self.supply.settled_open

    def _flow(self, dt: float) -> None:
        self.tester.step(dt, self.outlet_v if self.evse_contactor.closed else 0.0)
        if self.both_closed:
            current = self.supply.step_loaded(self.battery.emf_v, self._loop_ohm(), dt)
            heat = current * current * self.cable_ohm * dt / SECONDS_PER_HOUR
            energy = self.battery.step(current, dt) + heat
            self.cable_loss_wh += heat
            self.current_a = current
            self.outlet_v = self.supply.voltage_v
            self._count(energy, dt)
            return
        self._idle(dt)
        self.supply.step_open(dt)
        if self.evse_contactor.closed:
            self.outlet_v = self.supply.voltage_v
        elif self.ev_contactor.closed:
            self.outlet_v = self.battery.emf_v
        elif self.outlet_v:
            self.outlet_v *= math.exp(-dt / _CABLE_DECAY_S)
            if self.outlet_v < 0.01:
                self.outlet_v = 0.0

    def _difference_v(self, contactor: Contactor) -> float:
        """Across `contactor` at the moment it closes; without a battery behind, capacitors share."""
        if contactor is self.ev_contactor:
            return self.outlet_v - self.battery.emf_v
        return self.supply.voltage_v - self.outlet_v if self.ev_contactor.closed else 0.0


class AcPlant(Plant):
    """Mains, contactor, on-board charger, battery. `outlet_v` is the voltage of a phase."""

    is_dc = False

    def __init__(
        self,
        battery: Battery | None = None,
        converter: AcConverter | None = None,
        *,
        mains_v: float = 230.0,
        evse_contactor: Contactor | None = None,
        ev_contactor: Contactor | None = None,
        pilot: PilotCircuit | None = None,
    ) -> None:
        super().__init__(battery, evse_contactor=evse_contactor, ev_contactor=ev_contactor, pilot=pilot)
        self.converter = converter or AcConverter()
        self.mains_v = mains_v

    def _loop_ohm(self) -> float:
        return self.battery.r0_ohm

    def _resting(self) -> bool:
        wanted = self.converter.target_w if self.both_closed else 0.0
        return abs(self.converter.power_w - wanted) < 1.0 or abs(wanted) < self.converter.min_w

    def _flow(self, dt: float) -> None:
        self.outlet_v = self.mains_v if self.evse_contactor.closed else 0.0
        if not self.both_closed:
            self.converter.power_w = 0.0
            self._idle(dt)
            return
        converter, battery = self.converter, self.battery
        wanted_a = battery.current_for(converter.battery_w(converter.ramp(dt)))
        at_battery = battery.step(wanted_a, dt)
        at_outlet = converter.ac_w(at_battery)
        converter.loss_wh += at_outlet - at_battery
        self._count(at_outlet, dt)
        self.current_a = self.power_w / self.mains_v

    def _difference_v(self, contactor: Contactor) -> float:
        return 0.0

    def _converter_loss_wh(self) -> float:
        return self.converter.loss_wh
