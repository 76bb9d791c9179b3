"""A car that exists only here: battery management, contactor, on-board charger, its owner's wishes.

The counterpart of `virtual_evse`: commands in, levels out, questions answered by pure functions.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hal.virtual.circuit import AcPlant, DcPlant, Plant
from iso15118.control import ev as api
from iso15118.control.common import ControlMode, EnergyService, Wish
from iso15118.sim.virtual_evse import Reply
from iso15118.units import Envelope, Limits

if TYPE_CHECKING:
    from iso15118.security.contracts import Contract

DC_CAR: Final = Envelope(
    charge=Limits(max_power_w=120_000.0, max_current_a=250.0),
    discharge=Limits(max_power_w=40_000.0, max_current_a=100.0),
    max_voltage_v=410.0,
    min_voltage_v=270.0,
)
AC_CAR: Final = Envelope(
    charge=Limits(max_power_w=11_000.0, max_current_a=16.0, min_power_w=500.0),
    discharge=Limits(max_power_w=10_000.0, max_current_a=16.0, min_power_w=500.0),
    max_voltage_v=250.0,
    min_voltage_v=200.0,
)


@dataclass(frozen=True, slots=True)
class EvSetup:
    """How a virtual car behaves.

    `plan` are (seconds, W) in rising order, what the car wants itself (+ charge, - feed back); empty: all it
    can take. The seconds count from when energy can flow, in Scheduled mode from when the schedule begins. It is complete at `target_soc` (0..1) or after `energy_wh` from
    the outlet. `wishes` as in EvseSetup. Delays in seconds.
    """

    services: tuple[EnergyService, ...] = (EnergyService.DC,)
    control_mode: ControlMode | None = None
    limits: Envelope = DC_CAR
    soc: float = 0.4
    capacity_wh: float = 60_000.0
    cells: int = 96
    target_soc: float = 0.8
    minimum_soc: float = 0.2
    energy_wh: float | None = None
    departure_s: int = 7200
    plan: tuple[tuple[float, float], ...] = ()
    wishes: tuple[tuple[float, Wish | None], ...] = ()
    service_s: float = 0.05
    schedule_s: float = 0.2
    store_s: float = 0.1


@dataclass(slots=True)
class EvFaults:
    """What is broken or replaced; set by fault injection."""

    fault: str = ""
    emergency_stop: bool = False
    answer: Any = None


class VirtualEv:
    """Commands in, levels out: `command`, `answer`, `state`; `step(now)` after each step of the plant."""

    def __init__(self, plant: Plant, setup: EvSetup | None = None) -> None:
        self.plant = plant
        self.setup = setup or EvSetup()
        self.faults = EvFaults()
        self.contracts: tuple[Contract, ...] = ()
        self.energy_since: float | None = None
        self.energy_s = 0.0
        self.target_a = self.target_w = 0.0
        self.complete = False
        self._granted_w = 0.0
        self._schedule: api.ScheduleOption | None = None
        self._scheduled_at = self._now = 0.0
        self._used = False
        self._bidirectional = any(service.bidirectional for service in self.setup.services)

    # --- commands -----------------------------------------------------------------------------

    def command(self, command: api.Command) -> None:
        """Carry out `command`; returns at once."""
        plant = self.plant
        match command:
            case api.SetPilot(ready=ready):
                plant.pilot.ready = ready
                self._used = self._used or ready
            case api.CloseContactor():
                plant.ev_contactor.command(True)
            case api.OpenContactor():
                self._grant(0.0)
                plant.ev_contactor.command(False)
            case api.SetPower(power_w=power):
                self._grant(power)
            case api.Deenergise():
                self._grant(0.0)
                if isinstance(plant, AcPlant):
                    plant.converter.off()
                plant.ev_contactor.command(False)

    def _grant(self, power_w: float) -> None:
        self._granted_w = power_w
        if isinstance(self.plant, AcPlant):
            self.plant.converter.target_w = self._bounded(power_w)

    # --- time ---------------------------------------------------------------------------------

    def step(self, now: float) -> bool:
        """Notice what has happened in the plant, which is at `now` already; True where a level changed."""
        plant = self.plant
        self._now = now
        if self.energy_since is not None:
            self.energy_s = now - self.energy_since
        elif plant.both_closed:
            self.energy_since = now
        if plant.pilot.lost and self._used and not self.faults.fault:
            self.faults.fault = "control pilot lost"
            return True
        return False

    def decide(self) -> None:
        """What the car wants now: its plan, cut to its limits and those of the battery. Before each snapshot."""
        battery, setup = self.plant.battery, self.setup
        reached = setup.energy_wh is not None and self.plant.delivered_wh >= setup.energy_wh
        if battery.soc >= setup.target_soc or reached:
            self.complete = True
        wanted = self._planned()
        if isinstance(self.plant, DcPlant):
            emf = battery.emf_v
            self.target_a = (
                0.0 if self.complete and wanted > 0 else self._current(wanted / max(emf, 1.0), emf)
            )
            self.target_w = self.target_a * emf
        else:
            self.target_w = 0.0 if self.complete and wanted > 0 else self._bounded(wanted)
            self._grant(self._granted_w)

    def _planned(self) -> float:
        """The power wanted by the plan, within the chosen schedule."""
        if self._schedule is not None:
            return self._wish_at(self._schedule, self._now - self._scheduled_at)
        power = _at(self.setup.plan, self.energy_s)
        return self.setup.limits.charge.max_power_w if power is None else power

    def _current(self, wanted_a: float, emf: float) -> float:
        """`wanted_a` within the limits of car and cells, constant voltage near the end; `emf` in V."""
        battery, limits = self.plant.battery, self.setup.limits
        if wanted_a >= 0:
            headroom = (min(battery.max_v, limits.max_voltage_v) - emf) / battery.r0_ohm
            most = min(limits.charge.max_current_a, battery.max_charge_a(), headroom)
            return max(0.0, min(wanted_a, most, limits.charge.max_power_w / max(emf, 1.0)))
        if battery.soc <= self.setup.minimum_soc:
            return 0.0
        headroom = (emf - max(battery.min_v, limits.min_voltage_v)) / battery.r0_ohm
        most = min(limits.discharge.max_current_a, headroom, limits.discharge.max_power_w / max(emf, 1.0))
        return -max(0.0, min(-wanted_a, most))

    def _bounded(self, wanted_w: float) -> float:
        """AC power within the limits of car, on-board charger and cells."""
        battery, plant = self.plant.battery, self.plant
        bounded = self.setup.limits.clamp_power(wanted_w)
        if not isinstance(plant, AcPlant):
            return bounded
        amps = self._current_limits()
        at_battery = (plant.converter.ac_w(a * battery.terminal_v(a)) for a in amps)
        least, most = at_battery
        return max(least, min(most, bounded))

    def _current_limits(self) -> tuple[float, float]:
        """Least (negative) and greatest battery current of an on-board charger."""
        battery = self.plant.battery
        headroom = max(0.0, (battery.max_v - battery.emf_v) / battery.r0_ohm)
        least = -battery.max_charge_a() if battery.soc > self.setup.minimum_soc else 0.0
        return least, min(battery.max_charge_a(), headroom)

    # --- questions ----------------------------------------------------------------------------

    def answer(self, question: api.AnyQuestion) -> Reply:
        """The answer to a question and the time it takes; the value may be an exception."""
        if isinstance(question, api.StoreContract):
            self.contracts = (*self.contracts, question.contract)
            reply = Reply(True, self.setup.store_s)
        elif isinstance(question, api.ServiceChoice):
            reply = Reply(self._choose_service(question), self.setup.service_s)
        else:
            reply = Reply(self._choose_schedule(question), self.setup.schedule_s)
        return self.faults.answer(question, reply) if self.faults.answer else reply

    def _choose_service(self, question: api.ServiceChoice) -> api.ParameterSet | None:
        for service in self.setup.services:
            for offer in question.offers:
                if offer.service == service and self.setup.control_mode in (None, offer.control_mode):
                    return offer
        return None

    def _choose_schedule(self, question: api.ScheduleChoice) -> api.ScheduleDecision:
        """The cheapest schedule (the first, without prices) and the car's plan within it."""
        if not question.options:
            self._schedule = None
            return api.ScheduleDecision(tuple_id=0, profile=())
        chosen = min(question.options, key=_mean_price)
        self._schedule, self._scheduled_at = chosen, self._now
        return api.ScheduleDecision(chosen.tuple_id, profile=self._profile(chosen))

    def _profile(self, option: api.ScheduleOption) -> tuple[api.PowerStep, ...]:
        """The plan as power steps, cut where plan or schedule change."""
        end = sum(step.duration_s for step in option.charge)
        cuts = {0, end}
        for steps in (option.charge, option.discharge):
            at = 0
            for step in steps:
                at += step.duration_s
                cuts.add(min(at, end))
        cuts.update(min(int(since), end) for since, _ in self.setup.plan)
        marks = sorted(cuts)
        return tuple(
            api.PowerStep(until - since, self._wish_at(option, since))
            for since, until in itertools.pairwise(marks)
        )

    def _wish_at(self, option: api.ScheduleOption, at: float) -> float:
        limits = self.setup.limits
        power = _at(self.setup.plan, at)
        wanted = limits.charge.max_power_w if power is None else power
        most = min(_power_of(option.charge, at), limits.charge.max_power_w)
        least = -min(_power_of(option.discharge, at), limits.discharge.max_power_w)
        return max(least, min(most, wanted))

    # --- levels -------------------------------------------------------------------------------

    def needs(self) -> api.EnergyNeeds:
        """Energy requests from the state of charge (Wh)."""
        battery, setup = self.plant.battery, self.setup
        soc, capacity = battery.soc, battery.capacity_wh
        bidirectional = self._bidirectional
        return api.EnergyNeeds(
            target_wh=(setup.target_soc - soc) * capacity,
            maximum_wh=(1.0 - soc) * capacity,
            minimum_wh=(setup.minimum_soc - soc) * capacity,
            v2x_maximum_wh=(0.9 - soc) * capacity if bidirectional else None,
            v2x_minimum_wh=(setup.minimum_soc - soc) * capacity if bidirectional else None,
        )

    @property
    def wish(self) -> Wish | None:
        """What the owner wants, since energy flows."""
        return None if self.energy_since is None else _at(self.setup.wishes, self.energy_s)

    def marks(self) -> tuple[Any, ...]:
        """All levels that count at once when they change, unlike measurements."""
        feedback = self.plant.ev_contactor.feedback
        return feedback, self.complete, self.wish, self.faults.emergency_stop, self.faults.fault

    def state(self) -> api.EvState:
        """The snapshot for the session."""
        self.decide()
        plant, battery, setup = self.plant, self.plant.battery, self.setup
        return api.EvState(
            soc_percent=min(100.0, max(0.0, battery.soc * 100)),
            capacity_wh=battery.capacity_wh,
            battery_voltage_v=battery.terminal_v(plant.current_a if plant.is_dc else 0.0),
            inlet_voltage_v=plant.outlet_v,
            current_a=plant.current_a,
            power_w=plant.power_w,
            contactor=plant.ev_contactor.feedback,
            limits=setup.limits,
            needs=self.needs(),
            departure_s=setup.departure_s,
            target_voltage_v=min(battery.max_v, setup.limits.max_voltage_v),
            target_current_a=self.target_a,
            target_power_w=self.target_w,
            minimum_soc=round(setup.minimum_soc * 100),
            target_soc=round(setup.target_soc * 100),
            complete=self.complete,
            wish=self.wish,
            emergency_stop=self.faults.emergency_stop,
            fault=self.faults.fault,
        )


def _at(steps: tuple[tuple[float, Any], ...], elapsed_s: float) -> Any:
    """The value of the last step that has begun, None before the first."""
    value = None
    for since, new in steps:
        if elapsed_s + 1e-9 >= since:
            value = new
    return value


def _power_of(steps: tuple[api.PowerStep, ...], elapsed_s: float) -> float:
    """The power of the step running at `elapsed_s`; zero after the last."""
    for step in steps:
        if elapsed_s < step.duration_s:
            return step.power_w
        elapsed_s -= step.duration_s
    return 0.0


def _mean_price(option: api.ScheduleOption) -> float:
    prices = option.price_per_kwh
    return sum(prices) / len(prices) if prices else 0.0
