"""`HalEvse`: a station's controller that drives the devices of an `EvseHardware`.

Commands return at once; what takes time goes on in `tick`, which is due at `deadline`: soon while anything is
energised, and at once when a device tells a change. `state` is the snapshot for the session, and reading it is
the session's sign of life.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from hal.bundle import EvseHardware
from hal.errors import HalError
from hal.safety import ConnectorLock
from hal.types import Clock, CpState, Severity
from iso15118.control import evse as api
from iso15118.control.common import Wish
from iso15118.energy.offer import EnergyOffer
from iso15118.hardware import events
from iso15118.hardware.config import HalEvseConfig
from iso15118.hardware.derating import derated, share
from iso15118.hardware.evse_power import EvsePower, rated
from iso15118.hardware.evse_rules import BLOCKS_START, EVSE_RULES, ONLY_WARNING, EvseSituation
from iso15118.hardware.metering import SessionMeter
from iso15118.hardware.readings import EvseReadings, read_evse
from iso15118.hardware.supervision import Finding, Guard, found_by
from iso15118.machine import Emit, Output
from iso15118.units import Envelope

BUSY_S: Final = 0.05
"""How often everything is looked at while energised."""
SHUTDOWN_S: Final = 0.01
"""The same while shutting down."""
IDLE_S: Final = 0.5
RESET_S: Final = 1.0
"""How often devices are reset while nothing is plugged in and a fault stands."""
UNSURE: Final = ("contactor_welded", "vehicle_contactor_welded", "outlet_implausible")
"""Faults with which the connector may be live whatever else is measured."""
TOLD_SHARE: Final = 0.05
"""A derating is told when it has changed by so much."""


class HalEvse:
    """Controller and guard of one outlet. Implements `iso15118.control.evse.EvseController`.

    `operator` answers the questions (authorization, energy offers); without one everybody may charge. `wish`,
    `setpoint_w`, `setpoint_var`, `basic_limit_a` and `wake` are the operator's own levels and go into the snapshot as they are.
    Raises HalError(CONFIGURATION) where a device is missing.
    """

    def __init__(
        self,
        hardware: EvseHardware,
        config: HalEvseConfig,
        clock: Clock,
        operator: api.EvseController | None = None,
    ) -> None:
        hardware.check(dc=hardware.supply is not None or hardware.isolation is not None)
        self.hardware, self.config = hardware, config
        self.operator = operator or api.EvseControllerBase()
        self.wish: Wish | None = None
        self.setpoint_w: float | None = None
        self.setpoint_var: float | None = None
        self.basic_limit_a, self.wake = 0.0, False
        self._clock = clock
        self._out: deque[Output] = deque()
        self._power = EvsePower(hardware, config, self._emit, self._own_fault)
        self._guard: Guard[EvseSituation] = Guard(EVSE_RULES, self._emit)
        self._meter = SessionMeter()
        self._lock_wanted, self._lock_held = False, ""
        self._agreed_w = 0.0
        self._heard_at = self._targeted_at = -math.inf
        self._isolation_at = -math.inf
        self._share = self._told_share = 1.0
        self._reset_at = -math.inf
        self._now, self._stirred = clock(), False
        self._readings: EvseReadings = read_evse(hardware, self._now)
        self._due = self._now
        hardware.on_change(self._changed)
        self.tick(self._now)

    # --- the controller's part --------------------------------------------------------------------

    def command(self, command: api.Command) -> None:
        """Carry out `command`; returns at once and never raises."""
        self._heard_at = now = self._clock()
        match command:
            case api.LockConnector():
                self._lock_wanted = True
            case api.UnlockConnector():
                self._lock_wanted = False
            case api.RunCableCheck():
                self._power.run_check()
            case api.SetDcTarget():
                self._targeted_at = now
                self._power.aim(command)
            case api.SetAcTarget(power_w=power):
                self._targeted_at, self._agreed_w = now, power
            case api.CloseContactor():
                self._power.want_closed()
            case api.OpenContactor():
                self._power.open_up()
            case api.SetPilotDuty() | api.SetPilotUnavailable():
                self._signal(command)
            case api.Deenergise(reason=reason):
                self._power.leave(reason, hurry=self._power.charging)
        self.tick(now)

    def _signal(self, command: api.SetPilotDuty | api.SetPilotUnavailable) -> None:
        """Show this on the pilot; in an emergency it stays where the shutdown has put it, or goes to F."""
        try:
            if isinstance(command, api.SetPilotUnavailable):
                self.hardware.pilot.set_unavailable()
            elif self.emergency and command.percent < 100.0:
                self._emit(events.Withheld, action="oscillate", reason=self._guard.latches.reason)
            else:
                self.hardware.pilot.set_duty(command.percent)
        except HalError as error:
            self._own_fault("command_refused", str(error))

    async def authorize(self, question: api.AuthorizationQuestion) -> api.Authorization:
        """The operator's decision; the connector is locked as soon as it is yes."""
        decision = await self.operator.authorize(question)
        if decision.accepted:
            self._lock_wanted = True
            self._meter.begin()
            self._due = self._now
        return decision

    async def offer_energy(self, question: api.ChargingNeeds) -> EnergyOffer:
        """The operator's offer. The car's greatest voltage is remembered for test and protection."""
        if question.limits.max_voltage_v > 0:
            self._power.ev_max_v = question.limits.max_voltage_v
        return await self.operator.offer_energy(question)

    async def install_contract(self, question: api.ContractRequest) -> api.ContractResponse:
        """The operator's answer; one who has no back end refuses."""
        install = getattr(self.operator, "install_contract", None)
        refused = api.ContractResponse(reason="the operator installs no contracts")
        return refused if install is None else await install(question)

    # --- levels -----------------------------------------------------------------------------------

    @property
    def emergency(self) -> bool:
        """Whether a fault asks for the pilot to say so (`EvseLevels.fault` of the plug)."""
        return self._guard.emergency

    @property
    def blocked(self) -> bool:
        """Whether nothing may begin (`EvseLevels.blocked` of the plug)."""
        return bool(self._guard.latches)

    @property
    def limits(self) -> Envelope:
        """What can be offered now: ratings, configuration, temperature."""
        return derated(rated(self.config, self._readings, self.hardware), self._share)

    def state(self) -> api.EvseState:
        """The snapshot for the session; unknown levels read as what is safe to assume."""
        self._heard_at = self._clock()
        readings, power = self._readings, self._power
        meter = readings.meter
        return api.EvseState(
            cp=readings.cp or CpState.E,
            contactor=readings.contactor,
            locked=readings.locked is True and self._locks,
            voltage_v=power.volts.value,
            current_a=power.amps.value,
            power_w=meter.power_w if meter is not None and not readings.dc else 0.0,
            cable_check=power.verdict,
            limits=self.limits,
            setpoint_w=self.setpoint_w,
            setpoint_var=self.setpoint_var,
            meter=self._meter.since_begin(),
            wish=self.wish,
            emergency_stop="emergency_stop" in self._guard.latches,
            fault="" if "emergency_stop" in self._guard.latches else self._guard.latches.reason,
            basic_limit_a=self.basic_limit_a,
            wake=self.wake,
        )

    @property
    def _locks(self) -> bool:
        """A connector that is to be unlocked does not count as locked, nor does a fixed cable nobody claimed."""
        return self._lock_wanted or self._power.energised

    # --- time -------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When `tick` is due (s on the shared clock)."""
        return self._due

    def outputs(self) -> Iterator[Output]:
        """Events since the last call."""
        while self._out:
            yield self._out.popleft()

    def tick(self, now: float) -> None:
        """Read the devices, judge, and carry on what is under way."""
        self._now, self._stirred = now, False
        self._readings = readings = read_evse(self.hardware, now)
        self._power.take(readings)
        self._meter.take(readings.meter)
        self._derate()
        self._judge()
        self._power.step(self.limits, self._guard.latches.reason)
        if not self._power.energised and self._power.leaving is None:
            self._guard.let_pass()
        if readings.cp is CpState.A and not self._power.energised:
            self._unplugged()
        self._lock()
        self._due = now + (SHUTDOWN_S if self._stirred else self._pace())

    def _pace(self) -> float:
        leaving = self._power.leaving
        if leaving is not None:
            return SHUTDOWN_S if self._now - leaving.since < 3.0 else IDLE_S
        return BUSY_S if self._power.energised or self._power.checking else IDLE_S

    def _changed(self) -> None:
        """A device tells a change: look at it as soon as possible; one that comes during a look waits a moment."""
        self._stirred = True
        self._due = self._now

    def reset(self) -> None:
        """The operator has repaired what was wrong: clear latches, as far as their causes are gone."""
        if not self._power.energised and self._power.leaving is None:
            self._release()

    # --- judgement --------------------------------------------------------------------------------

    def _judge(self) -> None:
        for finding in self._guard.judge(self._found(), self.situation(), self._now):
            self._take_fault(finding)

    def _found(self) -> Iterator[Finding]:
        return map(self._weighed, found_by(self._readings.tripped, self.hardware.faults()))

    def _weighed(self, finding: Finding) -> Finding:
        """The fault of a device that energy can do without is a warning once it flows."""
        if finding.device not in ONLY_WARNING:
            return finding
        if finding.code in BLOCKS_START and not self._power.was_closed:
            return finding
        return Finding(finding.code, Severity.WARNING, finding.detail, finding.device)

    def situation(self) -> EvseSituation:
        """What the rules look at now."""
        power, readings, config = self._power, self._readings, self.config
        output, now = power.output, self._now
        if readings.resistance.fresh(now, config.stale_s) or not power.charging:
            self._isolation_at = now
        return EvseSituation(
            readings,
            config,
            closed=power.was_closed and power.leaving is None and power.close,
            driving=power.driving,
            charging=power.charging,
            pre_charging=power.pre_charging,
            voltage_v=power.volts.value,
            voltage_fresh=power.volts.fresh(now, config.stale_s),
            current_a=power.amps.value,
            current_fresh=power.amps.fresh(now, config.stale_s),
            isolation_fresh=now - self._isolation_at <= config.stale_s,
            ev_max_v=power.ev_max_v,
            aim_v=output.target.voltage_v if output and output.target else 0.0,
            most_a=output.most_a if output else 0.0,
            least_a=output.least_a if output else 0.0,
            agreed_w=self._agreed_w,
            meter_fell=self._meter.fell,
            silent_s=self._silent_s(),
            **self._at_connector(),
        )

    def _at_connector(self) -> dict[str, Any]:
        outlet = self._power.outlet
        if outlet is None:
            return {}
        return {
            "outlet_v": outlet.volts.value,
            "outlet_fresh": outlet.fresh,
            "since_opened_s": self._now - outlet.opened_at,
        }

    def _silent_s(self) -> float:
        """Since the session was last heard: by snapshots read, and while power flows by its targets, too."""
        heard = self._heard_at
        flowing = self._power.charging if self._readings.dc else self._agreed_w != 0.0
        if flowing and self._power.energised:
            heard = min(heard, self._targeted_at)
        return self._now - heard if self._power.energised else 0.0

    def _own_fault(self, code: str, detail: str) -> None:
        self._take_fault(Finding(code, Severity.STOP, detail))

    def _take_fault(self, finding: Finding) -> None:
        """Hold it, tell it once, and shut down."""
        if self._guard.hold(finding) or self._power.energised:
            emergency = finding.severity is Severity.EMERGENCY
            self._power.leave(self._guard.latches.reason, emergency=emergency)
            self._agreed_w = 0.0

    def _derate(self) -> None:
        sample = self._readings.temperature
        if sample is None or not sample.fresh(self._now, self.config.stale_s):
            return
        self._share = share(sample.value, self.config.derate_from_c, self.config.stop_c)
        if abs(self._share - self._told_share) >= TOLD_SHARE or (self._share == 1.0 > self._told_share):
            self._told_share = self._share
            self._emit(events.Derated, share=round(self._share, 3), celsius=round(sample.value, 1))

    # --- plug and lock ----------------------------------------------------------------------------

    def _unplugged(self) -> None:
        """No car: nothing is remembered of the last one, latched faults go as far as their cause has gone."""
        self._lock_wanted = False
        self._agreed_w = 0.0
        self._power.forget()
        self._meter.end()
        if self._guard.latches and self._power.leaving is None and self._now - self._reset_at >= RESET_S:
            self._reset_at = self._now
            self._release()

    def _release(self) -> None:
        for _, device in self.hardware.devices():
            device.reset()
        self._readings = read_evse(self.hardware, self._now)
        self._guard.release(self._found(), self.situation(), self._now)

    def _lock(self) -> None:
        lock = self.hardware.lock
        if lock is None:
            return
        locked = self._readings.locked
        if self._lock_wanted and self._readings.cp is not CpState.A:
            if locked is False and not self.blocked:
                lock.lock()
        elif locked is True:
            self._unlock(lock)

    def _unlock(self, lock: ConnectorLock) -> None:
        """Unlock, or tell (once) what it waits for."""
        reason = self._power.unlock_objection() or self._may_be_live()
        if reason and reason != self._lock_held:
            self._emit(events.Withheld, action="unlock the connector", reason=reason)
        self._lock_held = reason
        if not reason:
            lock.unlock()

    def _may_be_live(self) -> str:
        """What is broken so that nothing else is to be believed of the connector."""
        if self._readings.cp is CpState.A:
            return ""
        held = (code for code in UNSURE if code in self._guard.latches)
        return next((code.replace("_", " ") for code in held), "")

    def _emit(self, kind: type[Any], **values: Any) -> None:
        self._out.append(Emit(kind(t=self._now, role="SECC", **values)))
