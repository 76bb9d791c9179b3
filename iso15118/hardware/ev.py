"""`HalEv`: a car's controller that drives the devices of an `EvHardware`.

The mirror of `HalEvse`: commands return at once, `tick` carries on at `deadline`, `state` is the snapshot and
the session's sign of life. The battery management decides how much may flow; this decides whether.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from hal.bundle import EvHardware
from hal.errors import HalError
from hal.types import Clock, ContactorState, CpState, Severity
from hal.vehicle import BatteryStatus
from iso15118.control import ev as api
from iso15118.control.common import Wish
from iso15118.hardware import events
from iso15118.hardware.config import HalEvConfig
from iso15118.hardware.derating import derated, share
from iso15118.hardware.ev_rules import EV_RULES, EvSituation
from iso15118.hardware.gauge import Gauge
from iso15118.hardware.interlock import Action, EvPermit, ev_objection
from iso15118.hardware.readings import EvReadings, read_ev
from iso15118.hardware.supervision import Finding, Guard, found_by
from iso15118.machine import Emit, Output
from iso15118.units import NO_FLOW, Envelope, Limits

BUSY_S: Final = 0.05
SHUTDOWN_S: Final = 0.01
IDLE_S: Final = 0.5
RESET_S: Final = 1.0
NO_CURRENT_A: Final = 1.0
INLET_MOST_V: Final = 1500.0
"""No inlet sees more; a reading above it is none."""


@dataclass(slots=True)
class _Leaving:
    """A shutdown under way; `hurry`: the contactor opens whatever flows."""

    since: float
    hurry: bool = False
    energised: bool = True


class HalEv:
    """Controller and guard of one inlet. Implements `iso15118.control.ev.EvController`.

    `owner` answers the questions (which service, which schedule); the default takes what is offered first.
    `wish`, `wake` and `basic` are the owner's and go into the snapshot as they are. Raises HalError(CONFIGURATION) where a device
    is missing.
    """

    def __init__(
        self, hardware: EvHardware, config: HalEvConfig, clock: Clock, owner: api.EvController | None = None
    ) -> None:
        hardware.check(dc=hardware.charger is None)
        self.hardware, self.config = hardware, config
        self.owner = owner or api.EvControllerBase()
        self.wish: Wish | None = None
        self.wake, self.basic = False, True
        self._duty: float | None = None
        self._clock = clock
        self._out: deque[Output] = deque()
        self._guard: Guard[EvSituation] = Guard(EV_RULES, self._emit)
        self._inlet = Gauge(INLET_MOST_V)
        self._ready_wanted = self._ready = self._close = self._was_closed = False
        self._leaving: _Leaving | None = None
        self._target_w = self._target_var = self._basic_a = 0.0
        self._heard_at = self._targeted_at = self._reset_at = self._not_ready_at = -math.inf
        self._share = 1.0
        self._withheld = ""
        self._now, self._stirred = clock(), False
        self._readings: EvReadings = read_ev(hardware, self._now)
        self._due = self._now
        hardware.on_change(self._changed)
        self.tick(self._now)

    # --- the controller's part --------------------------------------------------------------------

    def command(self, command: api.Command) -> None:
        """Carry out `command`; returns at once and never raises."""
        self._heard_at = now = self._clock()
        match command:
            case api.SetPilot(ready=True, brief=True):
                self._toggle()
            case api.SetPilot(ready=ready):
                self._signal(ready=ready)
            case api.CloseContactor():
                self._want_closed()
            case api.OpenContactor():
                self._open()
            case api.SetPower(power_w=power, reactive_var=reactive):
                self._targeted_at = now
                self._target_w, self._target_var = power, reactive
            case api.ChargeBasic(limit_a=limit):
                self._charge_basic(limit)
            case api.Deenergise(reason=reason):
                self._leave(reason)
        self.tick(now)

    async def choose_service(self, question: api.ServiceChoice) -> api.ParameterSet | None:
        """The owner's choice."""
        return await self.owner.choose_service(question)

    async def choose_schedule(self, question: api.ScheduleChoice) -> api.ScheduleDecision:
        """The owner's choice."""
        return await self.owner.choose_schedule(question)

    async def store_contract(self, question: api.StoreContract) -> bool:
        """Whether the owner keeps the contract; without a place for it, it serves this session alone."""
        store = getattr(self.owner, "store_contract", None)
        return store is not None and bool(await store(question))

    def _signal(self, *, ready: bool) -> None:
        self._ready_wanted = ready and self._leaving is None
        if not ready:
            self._not_ready()

    def _toggle(self) -> None:
        """State C for a moment: nothing is connected meanwhile, so nothing has to be locked for it."""
        if not self.energised and self._leaving is None and not self._guard.latches:
            self.hardware.pilot.set_state(CpState.C)

    def _not_ready(self) -> None:
        if self._ready_wanted or self._ready:
            self._not_ready_at = self._now
        self._ready_wanted = self._ready = False
        self.hardware.pilot.set_state(CpState.B)

    def _open(self) -> None:
        self._close = False
        self._target_w = self._target_var = 0.0
        if self.hardware.charger is not None:
            self.hardware.charger.off()
        self.hardware.contactor.open_contacts()

    def _charge_basic(self, limit_a: float) -> None:
        """By the duty cycle alone: ready, connected, and no more than the limit."""
        self._basic_a = limit_a
        if limit_a > 0:
            self._ready_wanted = self._close = self._leaving is None
        else:
            self._open()
            self._not_ready()

    # --- levels -----------------------------------------------------------------------------------

    @property
    def limits(self) -> Envelope:
        """What battery, charger and configuration take now, less where contacts are warm."""
        battery = self._readings.battery
        if battery is None:
            return Envelope()
        return derated(self._allowed_by(battery), self._share)

    def _allowed_by(self, battery: BatteryStatus) -> Envelope:
        config, charger = self.config, self.hardware.charger
        gives = config.max_discharge_w > 0 and battery.soc_percent > config.minimum_soc
        into = (
            battery.max_charge_w,
            config.max_power_w,
            charger.ratings.max_power_w if charger else math.inf,
        )
        out = (
            battery.max_discharge_w,
            config.max_discharge_w,
            charger.ratings.import_max_power_w if charger else math.inf,
        )
        charge_a = min(battery.max_charge_a, config.max_current_a)
        discharge_a = min(battery.max_discharge_a, config.max_discharge_a or math.inf)
        dc = charger is None
        return Envelope(
            charge=Limits(min(into), charge_a, config.min_power_w),
            discharge=Limits(min(out), discharge_a, config.min_power_w) if gives else NO_FLOW,
            max_voltage_v=battery.max_voltage_v if dc else config.nominal_v * 1.1,
            min_voltage_v=battery.min_voltage_v if dc else config.nominal_v * 0.9,
            phases=3 if charger is None else charger.ratings.phases,
        )

    def state(self) -> api.EvState:
        """The snapshot for the session."""
        self._heard_at = self._clock()
        readings, config, limits = self._readings, self.config, self.limits
        battery = readings.battery or _NO_BATTERY
        complete = battery.soc_percent >= config.target_soc
        latches = self._guard.latches
        stopped = "emergency_stop" in latches
        power = readings.power.value if readings.power.fresh(self._now, config.stale_s) else 0.0
        return api.EvState(
            soc_percent=battery.soc_percent,
            capacity_wh=battery.capacity_wh,
            battery_voltage_v=battery.voltage_v,
            inlet_voltage_v=self._inlet.value,
            current_a=battery.current_a,
            power_w=battery.voltage_v * battery.current_a if readings.dc else power,
            reactive_var=self._reactive_var(),
            contactor=readings.contactor,
            limits=limits,
            needs=self._needs(battery),
            departure_s=config.departure_s,
            target_voltage_v=battery.max_voltage_v,
            target_current_a=0.0 if complete else limits.charge.max_current_a,
            target_power_w=0.0 if complete else limits.charge.max_power_w,
            minimum_soc=round(config.minimum_soc),
            target_soc=round(config.target_soc),
            complete=complete,
            wish=self.wish,
            emergency_stop=stopped,
            fault="" if stopped else latches.reason,
            duty=self._duty,
            wake=self.wake,
            basic=self.basic,
        )

    def _look_at_pilot(self) -> None:
        """What the pilot offers: None where nothing is plugged in or nothing is known yet, 0 where it is no more."""
        duty = self._readings.duty
        if self.hardware.pilot.plugged is False:
            self._duty = None
        elif duty.fresh(self._now, self.config.stale_s):
            self._duty = duty.value
        elif self._duty is not None:
            self._duty = 0.0

    def _reactive_var(self) -> float:
        measured = self.hardware.charger.measured if self.hardware.charger else {}
        return sum(sample.value for name, sample in measured.items() if name.startswith("var."))

    def _needs(self, battery: BatteryStatus) -> api.EnergyNeeds:
        config, per_percent = self.config, battery.capacity_wh / 100.0
        feeds_back = config.max_discharge_w > 0
        return api.EnergyNeeds(
            target_wh=(config.target_soc - battery.soc_percent) * per_percent,
            maximum_wh=(100.0 - battery.soc_percent) * per_percent,
            minimum_wh=(config.minimum_soc - battery.soc_percent) * per_percent,
            v2x_maximum_wh=(config.maximum_soc - battery.soc_percent) * per_percent if feeds_back else None,
            v2x_minimum_wh=(config.minimum_soc - battery.soc_percent) * per_percent if feeds_back else None,
        )

    # --- time -------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When `tick` is due (s on the shared clock)."""
        return self._due

    def outputs(self) -> Iterator[Output]:
        """Events since the last call."""
        while self._out:
            yield self._out.popleft()

    @property
    def energised(self) -> bool:
        """Whether the car asks for energy or is connected to the cable."""
        return self._ready or self._close or self._was_closed

    def tick(self, now: float) -> None:
        """Read the devices, judge, and carry on what is under way."""
        self._now, self._stirred = now, False
        self._readings = readings = read_ev(self.hardware, now)
        self._inlet.take(readings.inlet)
        self._look_at_pilot()
        closed = readings.contactor is ContactorState.CLOSED
        self._was_closed = (self._close or self._was_closed) and (
            closed or (self._close and self._was_closed)
        )
        self._derate()
        for finding in self._guard.judge(self._found(), self.situation(), now):
            self._take_fault(finding)
        if self._leaving is not None:
            self._leave_on(self._leaving)
        else:
            self._go_on()
        if not self.energised and self._leaving is None:
            self._guard.let_pass()
        if readings.plugged is False and not self.energised:
            self._unplugged()
        self._lock()
        self._due = now + (SHUTDOWN_S if self._stirred else self._pace())

    def _pace(self) -> float:
        if self._leaving is not None:
            return SHUTDOWN_S if self._now - self._leaving.since < 3.0 else IDLE_S
        return BUSY_S if self.energised else IDLE_S

    def _changed(self) -> None:
        """A device tells a change: look at it as soon as possible; one that comes during a look waits a moment."""
        self._stirred = True
        self._due = self._now

    def _found(self) -> Iterator[Finding]:
        return found_by(self._readings.tripped, self.hardware.faults())

    def situation(self) -> EvSituation:
        """What the rules look at now."""
        readings, battery = self._readings, self._readings.battery
        limits = self._allowed_by(battery) if battery is not None else Envelope()
        dc = readings.dc
        return EvSituation(
            readings,
            self.config,
            ready=self._ready,
            closed=self._was_closed and self._close,
            inlet_v=self._inlet.value,
            inlet_fresh=self._inlet.fresh(self._now, self.config.stale_s),
            max_v=battery.max_voltage_v if battery is not None else math.inf,
            most_a=limits.charge.max_current_a if dc else math.inf,
            least_a=-limits.discharge.max_current_a if dc else -math.inf,
            silent_s=self._silent_s(),
        )

    def _silent_s(self) -> float:
        """Since the session was last heard: by snapshots read, and while converting by its set-points, too."""
        heard = self._heard_at
        if self._target_w and not self._basic_a:
            heard = min(heard, self._targeted_at)
        return self._now - heard if self.energised else 0.0

    def _derate(self) -> None:
        sample = self._readings.temperature
        if sample is None or not sample.fresh(self._now, self.config.stale_s):
            return
        before, self._share = self._share, share(sample.value, self.config.derate_from_c, self.config.stop_c)
        if (before < 1.0) != (self._share < 1.0):
            self._emit(events.Derated, share=round(self._share, 3), celsius=round(sample.value, 1))

    # --- power ------------------------------------------------------------------------------------

    def _want_closed(self) -> None:
        """Close as soon as it may be; a contactor that reads closed before anybody closes it cannot be told from a weld."""
        asked = self._close or self._was_closed or self.hardware.contactor.wanted
        if not asked and self._readings.contactor is ContactorState.CLOSED:
            self._take_fault(
                Finding("contactor_welded", Severity.STOP, "it reads closed before it is asked to close")
            )
        self._close = self._leaving is None

    def _go_on(self) -> None:
        if self._ready_wanted and not self._ready and self._readings.locked:
            self._ready = True
            self._energise(self.hardware.pilot.set_state, CpState.C)
        if self._close:
            self._hold_closed()
        if self.hardware.charger is not None and self._close:
            self._convert()

    def _hold_closed(self) -> None:
        held = self._was_closed or self.hardware.contactor.wanted
        if self._permitted(Action.HOLD if held else Action.CLOSE):
            self._energise(self.hardware.contactor.close_contacts)
        elif held:
            self._leave(self._withheld)

    def _convert(self) -> None:
        charger = self.hardware.charger
        assert charger is not None
        power = self._bounded_w()
        if not power or not self._permitted(Action.CONVERT):
            if charger.on:
                charger.off()
            return
        reactive = max(
            -charger.ratings.max_reactive_var, min(charger.ratings.max_reactive_var, self._target_var)
        )
        self._energise(charger.drive, power, reactive)

    def _bounded_w(self) -> float:
        """What is to be converted, within everybody's limits."""
        limits = self.limits
        if self._basic_a > 0:
            wanted = self._basic_a * limits.phases * self.config.nominal_v
            battery = self._readings.battery or _NO_BATTERY
            return limits.clamp_power(wanted if battery.soc_percent < self.config.target_soc else 0.0)
        return limits.clamp_power(self._target_w)

    def _permitted(self, action: Action) -> bool:
        battery = self._readings.battery
        fresh = battery is not None and self._now - battery.at <= self.config.stale_s
        permit = EvPermit(
            self._readings,
            barred=self._guard.latches.reason,
            gap_v=abs(self._inlet.value - (battery.voltage_v if battery is not None else 0.0)),
            fresh=fresh and self._inlet.fresh(self._now, self.config.stale_s),
            close_v=self.config.close_v,
        )
        reason = ev_objection(action, permit)
        if reason and reason != self._withheld:
            self._emit(events.Withheld, action=action.value, reason=reason)
        self._withheld = reason
        return not reason

    def _energise(self, what: Any, *values: Any) -> None:
        try:
            what(*values)
        except HalError as error:
            self._take_fault(Finding("command_refused", Severity.STOP, str(error)))

    # --- shutting down ----------------------------------------------------------------------------

    def _take_fault(self, finding: Finding) -> None:
        if self._guard.hold(finding) or self.energised:
            self._leave(self._guard.latches.reason, hurry=finding.severity is Severity.EMERGENCY)

    def _leave(self, why: str, *, hurry: bool = False) -> None:
        """Tell the station by the pilot, stop converting; the contactor opens when the current has gone."""
        if self._leaving is None:
            if self.energised:
                self._emit(events.ShutdownBegun, why=why, emergency=hurry)
            self._leaving = _Leaving(self._now, energised=self.energised)
            self._close = False
            self._target_w = self._target_var = self._basic_a = 0.0
            self._not_ready()
        self._leaving.hurry |= hurry

    def _leave_on(self, leaving: _Leaving) -> None:
        if self.hardware.charger is not None:
            self.hardware.charger.off()
        elapsed_s = self._now - leaving.since
        battery = self._readings.battery
        known = battery is not None and self._now - battery.at <= self.config.stale_s
        gone = known and battery is not None and abs(battery.current_a) < NO_CURRENT_A
        if not (leaving.hurry or gone or elapsed_s >= self.config.open_wait_s):
            return
        self.hardware.contactor.open_contacts()
        if self._readings.contactor is ContactorState.OPEN:
            self._leaving, self._was_closed = None, False
            if leaving.energised:
                self._emit(events.Deenergised, after_s=round(elapsed_s, 3))

    # --- plug and lock ----------------------------------------------------------------------------

    def _unplugged(self) -> None:
        if self._guard.latches and self._leaving is None and self._now - self._reset_at >= RESET_S:
            self._reset_at = self._now
            self.reset()

    def reset(self) -> None:
        """What was wrong has been repaired: clear latches, as far as their causes are gone."""
        if not self.energised and self._leaving is None:
            for _, device in self.hardware.devices():
                device.reset()
            self._readings = read_ev(self.hardware, self._now)
            self._guard.release(self._found(), self.situation(), self._now)

    def _lock(self) -> None:
        lock = self.hardware.lock
        if lock is None:
            return
        locked = self._readings.locked
        if self._ready_wanted:
            if locked is False and not self._guard.latches:
                lock.lock()
        elif locked is True and self._may_unlock():
            lock.unlock()

    def _may_unlock(self) -> bool:
        if self.energised or self._leaving is not None or "contactor_welded" in self._guard.latches:
            return False
        if self._readings.contactor is not ContactorState.OPEN:
            return False
        if not self._readings.dc:
            return self._now - self._not_ready_at >= self.config.unlock_s or self._readings.plugged is False
        fresh = self._inlet.fresh(self._now, self.config.stale_s)
        return fresh and abs(self._inlet.value) < self.config.safe_v

    def _emit(self, kind: type[Any], **values: Any) -> None:
        self._out.append(Emit(kind(t=self._now, role="EVCC", **values)))


_NO_BATTERY: Final = BatteryStatus(
    at=-math.inf,
    soc_percent=0.0,
    voltage_v=0.0,
    current_a=0.0,
    capacity_wh=0.0,
    max_voltage_v=0.0,
    min_voltage_v=0.0,
    max_charge_a=0.0,
    max_discharge_a=0.0,
    max_charge_w=0.0,
    max_discharge_w=0.0,
)
