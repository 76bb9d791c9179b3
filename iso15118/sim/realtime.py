"""Virtual hardware that runs in real time, for `Charger` and `Vehicle` on real sockets.

`BenchStation` and `BenchCar` are ideal and alone: the other side is another program that shares no wire
but the network with them, so each pretends what it cannot measure. `run_plant` lets both sides of one
simulated circuit live in one process.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from hal.virtual.circuit import Plant
from iso15118.control import ev, evse
from iso15118.control.common import Check, Contactor, ControlMode, CpState, EnergyService
from iso15118.energy.offer import EnergyOffer
from iso15118.sim.virtual_ev import AC_CAR, VirtualEv
from iso15118.sim.virtual_evse import DC_STATION, Reply, VirtualEvse
from iso15118.units import Envelope, Limits

if TYPE_CHECKING:
    from iso15118.security.provisioning import BackEnd

STEP_S: Final = 0.02
REPORT_S: Final = 0.2
"""Levels are told at least this often, and at once where something switched."""

SWITCH_S: Final = 0.06
PILOT_S: Final = 0.2
PRE_CHARGE_A: Final = 2.0
"""A set-point of this current only brings the outlet to a voltage: the car is not connected yet."""


class BenchStation(evse.EvseControllerBase):
    """A charging station without hardware: commands take effect after a moment, everybody may charge.

    The pilot cannot be measured: the car counts as ready (C) once the connector is locked, and as not ready
    (B) some time after the contactor has opened. `metered` False is a station without a meter. `back_end` hands out
    contracts.
    """

    def __init__(
        self,
        limits: Envelope = DC_STATION,
        *,
        cable_check_s: float = 1.0,
        metered: bool = True,
        back_end: BackEnd | None = None,
    ) -> None:
        self.metered = metered
        self.back_end = back_end
        self.state = evse.EvseState(cp=CpState.B, limits=limits)
        self.cable_check_s = cable_check_s
        self._later: list[tuple[float, dict[str, Any]]] = []
        self._now = 0.0
        self._charged_wh = self._discharged_wh = 0.0

    async def install_contract(self, question: evse.ContractRequest) -> evse.ContractResponse:
        """What the back end says."""
        return await super().install_contract(question) if self.back_end is None else self.back_end(question)

    def command(self, command: evse.Command) -> None:
        """Carry out `command`."""
        match command:
            case evse.LockConnector():
                self._set(locked=True)
                self._after(SWITCH_S, cp=CpState.C)
            case evse.UnlockConnector():
                self._set(locked=False)
            case evse.RunCableCheck():
                if self.state.cable_check is not Check.RUNNING:
                    self._set(cable_check=Check.RUNNING)
                    self._after(self.cable_check_s, cable_check=Check.PASSED)
            case evse.SetDcTarget(voltage_v=voltage, current_a=current):
                self._drive(voltage, current)
            case evse.SetAcTarget(power_w=power):
                self._set(power_w=power if self.state.contactor is Contactor.CLOSED else 0.0)
            case evse.CloseContactor():
                self._after(SWITCH_S, contactor=Contactor.CLOSED)
            case evse.OpenContactor() | evse.Deenergise():
                self._off()

    async def offer_energy(self, question: evse.ChargingNeeds) -> EnergyOffer:
        """All that both sides can, with prices: some cars insist on them."""
        limits = question.limits
        discharge_w = limits.discharge.max_power_w if question.service.bidirectional else 0.0
        return EnergyOffer.flat(
            max_w=limits.charge.max_power_w,
            discharge_w=discharge_w,
            price_per_kwh=0.39,
            feed_in_per_kwh=0.08,
        )

    def plug_in(self) -> None:
        """A car is there, not ready yet."""
        self._later.clear()
        self._set(cp=CpState.B, cable_check=Check.IDLE)

    def step(self, now: float) -> bool:
        """Let time pass up to `now`; True where something switched."""
        elapsed_h = (now - self._now) / 3600 if self._now else 0.0
        self._now = now
        self._meter(elapsed_h)
        due = [change for at, change in self._later if at <= now]
        self._later = [(at, change) for at, change in self._later if at > now]
        for change in due:
            self._set(**change)
        return bool(due)

    def _drive(self, voltage_v: float, current_a: float) -> None:
        """Pre-charge sets the voltage; from then on a battery holds it, as far as the set-point allows."""
        if voltage_v <= 0 or abs(current_a) == PRE_CHARGE_A:
            self._set(voltage_v=max(voltage_v, 0.0), current_a=0.0)
        else:
            closed = self.state.contactor is Contactor.CLOSED
            held = min(self.state.voltage_v, voltage_v)
            self._set(voltage_v=held, current_a=current_a if closed else 0.0)

    def _meter(self, elapsed_h: float) -> None:
        power = self.state.power_w or self.state.voltage_v * self.state.current_a
        self._charged_wh += max(0.0, power) * elapsed_h
        self._discharged_wh += max(0.0, -power) * elapsed_h
        if self.metered:
            self._set(meter=evse.MeterReading("BENCH-1", self._charged_wh, self._discharged_wh))

    def _off(self) -> None:
        self._set(voltage_v=0.0, current_a=0.0, power_w=0.0)
        if any(change.get("contactor") is Contactor.OPEN for _, change in self._later):
            return  # on its way: commands may be repeated
        self._later = [(at, change) for at, change in self._later if "contactor" not in change]
        self._after(SWITCH_S, contactor=Contactor.OPEN)
        self._after(SWITCH_S + PILOT_S, cp=CpState.B, cable_check=Check.IDLE)

    def _set(self, **levels: Any) -> None:
        self.state = replace(self.state, **levels)

    def _after(self, seconds: float, **levels: Any) -> None:
        self._later.append((self._now + seconds, levels))


class BenchCar(ev.EvControllerBase):
    """A car without hardware: it is ready when told, and its battery takes what it asks for.

    The inlet cannot be measured: it shows the battery's voltage while the car is ready. It wants `service`
    in `control_mode` (None: whatever is offered first) and charges with `power_w`, by default 20 kW DC
    or 7 kW AC.
    """

    def __init__(
        self,
        service: EnergyService = EnergyService.DC,
        control_mode: ControlMode | None = None,
        *,
        limits: Envelope | None = None,
        battery_v: float = 400.0,
        soc: float = 0.4,
        capacity_wh: float = 60_000.0,
        power_w: float | None = None,
    ) -> None:
        self.wanted, self.control_mode = (service,), control_mode
        if power_w is None:
            power_w = 7_000.0 if service.is_ac else 20_000.0
        self.power_w = power_w
        needs = ev.EnergyNeeds((0.8 - soc) * capacity_wh, (1.0 - soc) * capacity_wh, 0.0)
        self.state = ev.EvState(
            soc_percent=soc * 100,
            capacity_wh=capacity_wh,
            battery_voltage_v=battery_v,
            limits=limits or (AC_CAR if service.is_ac else _car_limits(battery_v)),
            needs=needs,
            target_voltage_v=battery_v * 1.05,
            target_current_a=power_w / battery_v,
            target_power_w=power_w,
        )
        self._later: list[tuple[float, dict[str, Any]]] = []
        self._now = 0.0

    def command(self, command: ev.Command) -> None:
        """Carry out `command`."""
        match command:
            case ev.SetPilot(ready=ready):
                self._set(inlet_voltage_v=self.state.battery_voltage_v if ready else 0.0)
            case ev.CloseContactor():
                self._after(SWITCH_S, contactor=Contactor.CLOSED)
            case ev.SetPower(power_w=power):
                self._flow(math.copysign(min(abs(power), self.power_w), power))
            case ev.OpenContactor() | ev.Deenergise():
                self._later.clear()
                self._flow(0.0)
                self._after(SWITCH_S, contactor=Contactor.OPEN, inlet_voltage_v=0.0)

    def step(self, now: float) -> bool:
        """Let time pass up to `now`; True where something switched."""
        elapsed_h = (now - self._now) / 3600 if self._now else 0.0
        self._now = now
        soc = self.state.soc_percent + self.state.power_w * elapsed_h / self.state.capacity_wh * 100
        self._set(soc_percent=max(0.0, min(100.0, soc)))
        due = [change for at, change in self._later if at <= now]
        self._later = [(at, change) for at, change in self._later if at > now]
        for change in due:
            self._set(**change)
        return bool(due)

    def _flow(self, power_w: float) -> None:
        power = power_w if self.state.contactor is Contactor.CLOSED else 0.0
        self._set(power_w=power, current_a=power / self.state.battery_voltage_v)

    def _set(self, **levels: Any) -> None:
        self.state = replace(self.state, **levels)

    def _after(self, seconds: float, **levels: Any) -> None:
        self._later.append((self._now + seconds, levels))


def _car_limits(battery_v: float) -> Envelope:
    return Envelope(
        charge=Limits(max_power_w=100_000.0, max_current_a=250.0),
        discharge=Limits(max_power_w=10_000.0, max_current_a=25.0),
        max_voltage_v=battery_v * 1.1,
        min_voltage_v=battery_v * 0.7,
    )


async def run_bench(bench: BenchStation | BenchCar, write: Callable[[Any], None]) -> None:
    """Let `bench` live and tell its levels to `write` (`charger.evse.write`, `vehicle.ev.write`); endless."""
    loop = asyncio.get_running_loop()
    told, state = -math.inf, None
    while True:
        now = loop.time()
        switched = bench.step(now)
        if switched or now - told >= REPORT_S or _differs(state, bench.state):
            told, state = now, bench.state
            write(state)
        await asyncio.sleep(STEP_S)


def _differs(one: Any, other: Any) -> bool:
    """Whether a level that counts at once differs; measurements can wait for the next report."""
    names = (
        "cp",
        "contactor",
        "locked",
        "cable_check",
        "voltage_v",
        "inlet_voltage_v",
        "current_a",
        "power_w",
    )
    return any(getattr(one, name, None) != getattr(other, name, None) for name in names)


# --- both sides of one circuit ----------------------------------------------------------------


class LiveEvse:
    """A `VirtualEvse` as controller: its answers take their time."""

    def __init__(self, virtual: VirtualEvse) -> None:
        self.virtual = virtual

    def command(self, command: evse.Command) -> None:
        """Carry out `command`."""
        self.virtual.command(command)

    async def authorize(self, question: evse.AuthorizationQuestion) -> evse.Authorization:
        """The virtual answer."""
        answer: evse.Authorization = await _answer(self.virtual.answer(question))
        return answer

    async def offer_energy(self, question: evse.ChargingNeeds) -> EnergyOffer:
        """The virtual answer."""
        answer: EnergyOffer = await _answer(self.virtual.answer(question))
        return answer

    async def install_contract(self, question: evse.ContractRequest) -> evse.ContractResponse:
        """The virtual answer."""
        answer: evse.ContractResponse = await _answer(self.virtual.answer(question))
        return answer


class LiveEv:
    """A `VirtualEv` as controller: its answers take their time."""

    def __init__(self, virtual: VirtualEv) -> None:
        self.virtual = virtual

    def command(self, command: ev.Command) -> None:
        """Carry out `command`."""
        self.virtual.command(command)

    async def choose_service(self, question: ev.ServiceChoice) -> ev.ParameterSet | None:
        """The virtual answer."""
        answer: ev.ParameterSet | None = await _answer(self.virtual.answer(question))
        return answer

    async def choose_schedule(self, question: ev.ScheduleChoice) -> ev.ScheduleDecision:
        """The virtual answer."""
        answer: ev.ScheduleDecision = await _answer(self.virtual.answer(question))
        return answer

    async def store_contract(self, question: ev.StoreContract) -> bool:
        """The virtual answer."""
        answer: bool = await _answer(self.virtual.answer(question))
        return answer


async def _answer(reply: Reply) -> Any:
    await asyncio.sleep(reply.delay_s)
    if isinstance(reply.value, BaseException):
        raise reply.value
    return reply.value


async def run_plant(
    plant: Plant,
    station: VirtualEvse,
    car: VirtualEv,
    write_evse: Callable[[evse.EvseState], None],
    write_ev: Callable[[ev.EvState], None],
) -> None:
    """Let a simulated circuit and both its controllers live in real time; endless."""
    loop = asyncio.get_running_loop()
    before, told = loop.time(), -math.inf
    marks: tuple[Any, ...] = ()
    while True:
        now = loop.time()
        while before < now - 1e-9:
            dt = min(plant.due_s, now - before)
            plant.step(dt)
            before += dt
            station.step(before)
            car.step(before)
        seen = (station.marks(), car.marks())
        if seen != marks or now - told >= REPORT_S:
            marks, told = seen, now
            write_evse(station.state())
            write_ev(car.state())
        await asyncio.sleep(STEP_S)
