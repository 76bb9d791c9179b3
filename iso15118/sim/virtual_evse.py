"""A charging station that exists only here: it carries out commands on a plant and tells levels.

It behaves as a firmware should: commands return at once, their effect shows in the snapshot. It protects
nothing by itself, so that what keeps a simulated session safe is the stack.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from hal.virtual.circuit import DcPlant, Plant
from iso15118.control import evse as api
from iso15118.control.common import Check, Wish
from iso15118.energy.offer import EnergyOffer
from iso15118.units import Envelope, Limits

SAFE_V: Final = 60.0
TEST_A: Final = 2.0
PHASE_LIMIT_S: Final = 10.0

DC_STATION: Final = Envelope(
    charge=Limits(max_power_w=150_000.0, max_current_a=300.0),
    discharge=Limits(max_power_w=50_000.0, max_current_a=150.0),
    max_voltage_v=920.0,
    min_voltage_v=150.0,
)
AC_STATION: Final = Envelope(
    charge=Limits(max_power_w=22_000.0, max_current_a=32.0),
    discharge=Limits(max_power_w=11_000.0, max_current_a=16.0),
    max_voltage_v=250.0,
    min_voltage_v=200.0,
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a controller answers, and how long it takes for it (s)."""

    value: Any
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class EvseSetup:
    """How a virtual station behaves.

    `setpoints` are (seconds since energy can flow, W or None for no wish) in rising order, `wishes` likewise
    with a Wish. `offer` None offers the full envelope at these prices (currency per kWh; some cars insist
    on prices). Delays in seconds.
    """

    limits: Envelope = DC_STATION
    accept: bool = True
    authorize_s: float = 0.3
    offer: EnergyOffer | None = None
    price_per_kwh: float | None = 0.39
    feed_in_per_kwh: float | None = 0.12
    offer_s: float = 0.2
    install_s: float = 0.8
    cable_check_s: float = 1.0
    lock_s: float = 0.3
    setpoints: tuple[tuple[float, float | None], ...] = ()
    wishes: tuple[tuple[float, Wish | None], ...] = ()
    meter_id: str = "SIM-METER-1"


class _Test(enum.Enum):
    """Phases of the cable check."""

    NONE = enum.auto()
    CLOSING = enum.auto()
    RAMPING = enum.auto()
    MEASURING = enum.auto()
    DISCHARGING = enum.auto()
    OPENING = enum.auto()


@dataclass(slots=True)
class EvseFaults:
    """What is broken; set by fault injection, read at each step.

    `fault` and `emergency_stop` show in the snapshot, `answer` replaces the next answers: a function of the
    question and the regular reply.
    """

    fault: str = ""
    emergency_stop: bool = False
    answer: Any = None
    authorize_s: float | None = None
    offer_s: float | None = None
    accept: bool | None = None


class VirtualEvse:
    """Commands in, levels out: `command`, `answer`, `state`; `step(now)` after each step of the plant."""

    def __init__(self, plant: Plant, setup: EvseSetup | None = None) -> None:
        self.plant = plant
        self.setup = setup or EvseSetup()
        self.faults = EvseFaults()
        self.back_end: Callable[[api.ContractRequest], api.ContractResponse] | None = None
        self.check = Check.IDLE
        self.energy_since: float | None = None
        self.energy_s = 0.0
        self._test = _Test.NONE
        self._test_since = 0.0
        self._test_v = min(500.0, self.setup.limits.max_voltage_v)
        self._now = 0.0
        self._ramping_off = self._opening = False
        self._lock_at: float | None = None
        self._unlocking = False
        plant.tester.duration_s = self.setup.cable_check_s

    # --- commands -----------------------------------------------------------------------------

    def command(self, command: api.Command) -> None:
        """Carry out `command`; returns at once."""
        match command:
            case api.LockConnector():
                self._unlocking = False
                if not self.plant.locked and self._lock_at is None:
                    self._lock_at = self._now + self.setup.lock_s
            case api.UnlockConnector():
                self._lock_at, self._unlocking = None, True
            case api.RunCableCheck():
                self._start_test()
            case api.SetDcTarget():
                self._drive(command)
            case api.CloseContactor():
                self._opening = False
                self.plant.evse_contactor.command(True)
            case api.OpenContactor():
                self._opening = True
                self._ramp_off()
            case api.Deenergise():
                self._off(Check.IDLE if self.check is Check.RUNNING else self.check)
            case api.SetAcTarget():
                pass

    def _drive(self, command: api.SetDcTarget) -> None:
        if not isinstance(self.plant, DcPlant):
            return
        if command.voltage_v <= 0:
            self._ramp_off()
            return
        self._ramping_off = False
        self.plant.supply.drive(command.voltage_v, command.current_a, command.min_voltage_v)

    def _ramp_off(self) -> None:
        if isinstance(self.plant, DcPlant):
            self.plant.supply.target_a = 0.0
        self._ramping_off = True

    def _off(self, check: Check) -> None:
        """Everything off, now."""
        self._ramping_off = self._opening = False
        self._test, self.check = _Test.NONE, check
        self.plant.tester.stop()
        self.plant.evse_contactor.command(False)
        if isinstance(self.plant, DcPlant):
            self.plant.supply.off()

    # --- time ---------------------------------------------------------------------------------

    def step(self, now: float) -> bool:
        """Carry on what commands have started; True where a level changed. The plant is at `now` already."""
        self._now = now
        check, changed = self.check, False
        if self._lock_at is not None and now >= self._lock_at:
            self.plant.locked, self._lock_at = True, None
            changed = True
        if self._unlocking and self._touch_safe():
            self.plant.locked, self._unlocking = False, False
            changed = True
        if self.energy_since is not None:
            self.energy_s = now - self.energy_since
        elif self.plant.both_closed:
            self.energy_since = now
        if self._test is not _Test.NONE:
            self._step_test(now)
        if self._ramping_off or self._opening:
            self._finish_off()
        return changed or self.check is not check

    def _touch_safe(self) -> bool:
        """Contactor open and no voltage at the outlet: the connector may be unlocked."""
        return not self.plant.evse_contactor.closed and self.plant.outlet_v < SAFE_V

    @property
    def due(self) -> float:
        """When `step` is to be called at the latest, besides each step of the plant; inf for never."""
        return self._lock_at if self._lock_at is not None else float("inf")

    def _finish_off(self) -> None:
        """Off once the current has gone; with AC the car controls the current, so open at once."""
        if isinstance(self.plant, DcPlant):
            if abs(self.plant.current_a) >= 1.0:
                return
            self.plant.supply.off()
        self._ramping_off = False
        if self._opening:
            self._opening = False
            self.plant.evse_contactor.command(False)

    def _start_test(self) -> None:
        if self._test is _Test.NONE and self.check is not Check.RUNNING and isinstance(self.plant, DcPlant):
            self.check = Check.RUNNING
            self.plant.evse_contactor.command(True)
            self._enter(_Test.CLOSING)

    def _enter(self, phase: _Test) -> None:
        self._test, self._test_since = phase, self._now

    def _step_test(self, now: float) -> None:
        """Close, raise the voltage, measure, discharge, open; any phase that takes too long fails."""
        plant = self.plant
        assert isinstance(plant, DcPlant)
        limit_s = PHASE_LIMIT_S + (plant.tester.duration_s if self._test is _Test.MEASURING else 0.0)
        if now - self._test_since > limit_s or not plant.pilot.seen.ready:
            self._off(Check.FAILED)
        elif self._test is _Test.CLOSING and plant.evse_contactor.closed:
            plant.supply.drive(self._test_v, TEST_A)
            self._enter(_Test.RAMPING)
        elif self._test is _Test.RAMPING and plant.outlet_v > 0.95 * self._test_v:
            plant.tester.start()
            self._enter(_Test.MEASURING)
        elif self._test is _Test.MEASURING and plant.tester.passed is not None:
            plant.supply.off()
            self._enter(_Test.DISCHARGING)
        elif self._test is _Test.DISCHARGING and plant.outlet_v < SAFE_V / 2:
            plant.evse_contactor.command(False)
            self._enter(_Test.OPENING)
        elif self._test is _Test.OPENING and not plant.evse_contactor.closed:
            self._test = _Test.NONE
            self.check = Check.PASSED if plant.tester.passed else Check.FAILED

    # --- questions ----------------------------------------------------------------------------

    def answer(self, question: api.AnyQuestion) -> Reply:
        """The answer to a question and the time it takes; the value may be an exception."""
        if isinstance(question, api.ContractRequest):
            none = api.ContractResponse(reason="no back end")
            reply = Reply(self.back_end(question) if self.back_end else none, self.setup.install_s)
        elif isinstance(question, api.AuthorizationQuestion):
            accept = self.setup.accept if self.faults.accept is None else self.faults.accept
            delay = self.setup.authorize_s if self.faults.authorize_s is None else self.faults.authorize_s
            reason = "virtual card accepted" if accept else "virtual card refused"
            reply = Reply(api.Authorization(accepted=accept, reason=reason), delay)
        else:
            self._test_v = self._test_voltage(question.limits.max_voltage_v)
            delay = self.setup.offer_s if self.faults.offer_s is None else self.faults.offer_s
            reply = Reply(self._offer(question), delay)
        return self.faults.answer(question, reply) if self.faults.answer else reply

    def _test_voltage(self, ev_max_v: float) -> float:
        """Test voltage of IEC 61851-23:2023 (CC.4.1.2) for a car of this maximum voltage."""
        most = self.setup.limits.max_voltage_v
        return min(500.0, ev_max_v + 50.0, most) if ev_max_v <= 500.0 else min(most, 1.1 * ev_max_v)

    def _offer(self, needs: api.ChargingNeeds) -> EnergyOffer:
        if self.setup.offer is not None:
            return self.setup.offer
        limits = needs.limits
        return EnergyOffer.flat(
            max_w=limits.charge.max_power_w,
            discharge_w=limits.discharge.max_power_w if needs.service.bidirectional else 0.0,
            price_per_kwh=self.setup.price_per_kwh,
            feed_in_per_kwh=self.setup.feed_in_per_kwh,
        )

    # --- levels -------------------------------------------------------------------------------

    def _at(self, steps: tuple[tuple[float, Any], ...]) -> Any:
        """The value of the last step that has begun; None before the first and before energy flows."""
        value = None
        if self.energy_since is not None:
            for since, new in steps:
                if self.energy_s + 1e-9 >= since:
                    value = new
        return value

    def marks(self) -> tuple[Any, ...]:
        """All levels that count at once when they change, unlike measurements."""
        plant = self.plant
        return (
            plant.pilot.seen,
            plant.evse_contactor.feedback,
            plant.locked,
            self.check,
            self.faults.emergency_stop,
            self.faults.fault,
            self._at(self.setup.setpoints),
            self._at(self.setup.wishes),
        )

    def state(self) -> api.EvseState:
        """The snapshot for the session."""
        plant, meter = self.plant, self.plant.meter
        return api.EvseState(
            cp=plant.pilot.seen,
            contactor=plant.evse_contactor.feedback,
            locked=plant.locked,
            voltage_v=plant.outlet_v,
            current_a=plant.current_a,
            power_w=plant.power_w,
            cable_check=self.check,
            limits=self.setup.limits,
            setpoint_w=self._at(self.setup.setpoints),
            meter=api.MeterReading(self.setup.meter_id, meter.shown_wh, meter.discharged_wh),
            wish=self._at(self.setup.wishes),
            emergency_stop=self.faults.emergency_stop,
            fault=self.faults.fault,
        )
