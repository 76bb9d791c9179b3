"""A station's power path: contactor, supply and isolation monitor, and the sequences over them.

It wants (cable check, target, contactor) and leaves (ramp down, or shut down); `step` carries both on. What
energises asks the interlock each time it is renewed; leases end by themselves where `step` is not called.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from hal.bundle import EvseHardware
from hal.errors import HalError
from hal.pilot import STEADY_DUTY
from hal.types import LEASE_S, Check, ContactorState
from iso15118.control.evse import SetDcTarget
from iso15118.hardware import events
from iso15118.hardware.cable_check import CableCheck, over_voltage_limit, voltage_to_test
from iso15118.hardware.config import HalEvseConfig
from iso15118.hardware.dc_output import DcOutput
from iso15118.hardware.gauge import Gauge
from iso15118.hardware.interlock import Action, EvsePermit, evse_objection
from iso15118.hardware.outlet import Outlet
from iso15118.hardware.readings import EvseReadings
from iso15118.units import Envelope

NO_CURRENT_A: Final = 1.0
RAMP_S: Final = 1.3
"""An orderly end waits so long for the current to come down; the session waits 1.4 s."""
HELD_S: Final = 0.15
"""A supply that has been off for so long has discharged the output by half, unless a battery holds it."""
HURRY_S: Final = 0.04
"""A supply that should be off is given so long to tell that it is, where the contactor has to open."""
SURELY_OFF_S: Final = LEASE_S + 0.1
"""After this time without renewal every lease has ended."""
CREDIBLE: Final = 1.25
"""A reading above the ratings by more than this factor is no reading."""


@dataclass(slots=True)
class Leaving:
    """A shutdown under way. From `hurried_at` on the contactor does not wait for the output to discharge."""

    why: str
    since: float
    hurried_at: float = math.inf
    emergency: bool = False
    energised: bool = True


class EvsePower:
    """See the module. `emit` takes a kind of event and its values; `fault` a code and detail of a new fault."""

    def __init__(
        self,
        hardware: EvseHardware,
        config: HalEvseConfig,
        emit: Callable[..., None],
        fault: Callable[[str, str], None],
    ) -> None:
        self._hardware, self._config, self._emit, self._fault = hardware, config, emit, fault
        supply = hardware.supply
        self.output = DcOutput(supply.ratings, config.ramp_up_a_s, config.ramp_down_a_s) if supply else None
        most_v, most_a = (
            (supply.ratings.max_voltage_v, supply.ratings.max_current_a) if supply else (0.0, 0.0)
        )
        self.volts, self.amps = Gauge(most_v * CREDIBLE), Gauge(most_a * CREDIBLE)
        measured = hardware.outlet is not None
        self.outlet = Outlet(config, most_v * CREDIBLE, measured=measured) if supply else None
        self.check: CableCheck | None = None
        self.leaving: Leaving | None = None
        self.close = False
        self.was_closed = False
        self.driving = False
        self.ev_max_v = math.inf
        self._closed_at = -math.inf
        self._opening_since: float | None = None
        self._stopping_since: float | None = None
        self._supply_off_at = -math.inf
        self._supply_off_v = 0.0
        self._withheld = ""
        self._now = 0.0
        self._readings: EvseReadings | None = None
        self._barred = ""

    # --- what is so -----------------------------------------------------------------------------

    @property
    def energised(self) -> bool:
        """Whether there is, may be or is about to be voltage on the cable from here."""
        return self.driving or self.close or self.was_closed

    @property
    def checking(self) -> bool:
        """Whether a cable check runs."""
        return self.check is not None and self.check.verdict is Check.RUNNING

    @property
    def charging(self) -> bool:
        """Whether power is wanted beyond cable check and pre-charge (DC), or the contactor closed (AC)."""
        if self.output is None:
            return self.was_closed
        return self.driving and not self.checking and not self.output.pre_charging

    @property
    def pre_charging(self) -> bool:
        """Whether only a voltage is wanted at the output, by the session."""
        return self.driving and not self.checking and self.output is not None and self.output.pre_charging

    @property
    def verdict(self) -> Check:
        """Of the cable check."""
        return self.check.verdict if self.check is not None else Check.IDLE

    @property
    def _staying(self) -> bool:
        """Whether no shutdown is under way; what was done just now may have begun one."""
        return self.leaving is None

    # --- what is wanted -------------------------------------------------------------------------

    def run_check(self) -> None:
        """Begin a cable check unless one runs."""
        if self.output is None or self.checking or self.leaving is not None or self._closed_unasked():
            return
        ratings_v = self.output.max_voltage_v
        test_v = voltage_to_test(min(self.ev_max_v, ratings_v), ratings_v)
        self.check = CableCheck(
            self._config.cable_check, test_v, self._config.isolation_ohm, self._config.safe_v
        )

    def aim(self, target: SetDcTarget) -> None:
        """Follow this target; a voltage of zero ends it."""
        if self.output is None or self.leaving is not None:
            return
        if target.voltage_v <= 0:
            self._stop_supply()
        else:
            self._stopping_since = None
            self.output.target = target

    def want_closed(self) -> None:
        """Close the contactor, as soon as the interlock allows it."""
        if self.leaving is None and not self._closed_unasked():
            self.close, self._opening_since = True, None

    def _closed_unasked(self) -> bool:
        """A contactor that reads closed before anybody closes it cannot be told from a weld; a fault if it does."""
        asked = self.close or self.was_closed or self._hardware.contactor.wanted
        closed = self._readings is not None and self._readings.contactor is ContactorState.CLOSED
        if closed and not asked:
            self._fault("contactor_welded", "it reads closed before it is asked to close")
        return closed and not asked

    def open_up(self) -> None:
        """Bring the current to zero, then open; a cable check ends, failed."""
        if self.checking:
            self.leave("opened during the cable check")
        elif self.leaving is None and self._opening_since is None:
            self._opening_since = self._now
            self._stop_supply()

    def _stop_supply(self) -> None:
        if self.output is not None and self._stopping_since is None:
            self.output.ramp_down()
            self._stopping_since = self._now

    def leave(self, why: str, *, emergency: bool = False, hurry: bool = False) -> None:
        """Everything off, now: supply first, then contactor. Repeating it only makes it more urgent."""
        if self.leaving is None:
            energised = self.energised
            if energised:
                self._emit(events.ShutdownBegun, why=why, emergency=emergency)
            self.leaving = Leaving(why, self._now, energised=energised)
            if self.outlet is not None:
                self.outlet.doubt()
            self._suspect_vehicle()
            self._switch_off()
        if hurry or emergency:
            self.leaving.hurried_at = min(self.leaving.hurried_at, self._now)
        if emergency and not self.leaving.emergency:
            self.leaving.emergency = True
            if self._hardware.pilot.duty > 0.0:  # state F says more than a steady +12 V
                self._hardware.pilot.set_duty(STEADY_DUTY)

    def _switch_off(self) -> None:
        if self.check is not None:
            self.check.fail("interrupted")
            if self.check.verdict is Check.PASSED:
                self.check = None
        self.close = False
        self._opening_since = self._stopping_since = None
        self._supply_off()
        if self._hardware.isolation is not None:
            self._hardware.isolation.stop()

    def _supply_off(self) -> None:
        if self._hardware.supply is not None and self.output is not None:
            self._hardware.supply.off()
            self.output.stop()
            if self.driving:
                self._supply_off_at, self._supply_off_v = self._now, self.volts.value
        self.driving = False

    # --- time -----------------------------------------------------------------------------------

    def take(self, readings: EvseReadings) -> None:
        """New readings; to be called before rules are judged and before `step`."""
        self._now, self._readings = readings.now, readings
        self.volts.take(readings.voltage)
        self.amps.take(readings.current)
        closed = readings.contactor is ContactorState.CLOSED
        wanted = self.close or self.checking
        self.was_closed = (wanted and (closed or self.was_closed)) or (closed and self.was_closed)
        if self.output is not None:
            self.output.bound(self._now)
        if self.outlet is not None:
            self.outlet.take(readings, self.volts, fresh=self._fresh, driving=self.driving)

    @property
    def _fresh(self) -> bool:
        age_s = self._config.stale_s
        return self.volts.fresh(self._now, age_s) and self.amps.fresh(self._now, age_s)

    def step(self, limits: Envelope, barred: str) -> None:
        """Carry on what is wanted within `limits`; `barred` is why nothing may be energised."""
        self._barred = barred
        if self.leaving is not None:
            self._leave_on(self.leaving)
            return
        if self.checking:
            self._check_on()
        elif self.output is not None and self.output.target is not None:
            self._drive_on(self.output, limits)
        if self._staying and self.close and not self.checking:
            self._hold_closed()
        if self._staying and self._opening_since is not None:
            self._open_on(self._opening_since)

    def permit(self) -> EvsePermit:
        """What the interlock looks at."""
        assert self._readings is not None
        return EvsePermit(
            self._readings,
            barred=self._barred,
            ventilation=self._config.ventilation,
            voltage_v=self.volts.value,
            fresh=self._fresh,
            connector_live=self.outlet is not None and self.outlet.live,
            safe_v=self._config.safe_v,
            checked=self.verdict is Check.PASSED,
            since_closing_s=self._now - self._closed_at,
            pause_s=self._config.pause_s,
        )

    def _allowed(self, action: Action) -> bool:
        reason = evse_objection(action, self.permit())
        if reason and reason != self._withheld:
            self._emit(events.Withheld, action=action.value, reason=reason)
        self._withheld = reason
        return not reason

    def _energise(self, what: Callable[..., None], *values: Any) -> None:
        try:
            what(*values)
        except HalError as error:
            self._fault("command_refused", str(error))

    def _hold_closed(self) -> None:
        """Close, or renew; where it may not stay closed, everything goes off."""
        contactor = self._hardware.contactor
        held = contactor.wanted or self.was_closed
        if not self._allowed(Action.HOLD if held else Action.CLOSE):
            if held:
                self.leave(self._withheld, hurry=not self._ready)
            elif self._barred:
                self.close = False  # a wish does not outlive the fault that forbids it
            return
        if not held:
            self._closed_at = self._now
        self._energise(contactor.close_contacts)

    @property
    def _ready(self) -> bool:
        return self._readings is not None and self._readings.ready

    # --- cable check ----------------------------------------------------------------------------

    def _check_on(self) -> None:
        check, readings = self.check, self._readings
        assert check is not None and readings is not None and self._hardware.isolation is not None
        before = check.at
        wish = check.step(readings, self.volts.value, self.amps.value)
        if check.at is not before:
            self._emit(events.CableCheckStep, step=check.at.value, detail=check.detail)
        if check.verdict is Check.FAILED:
            self._fault("cable_check_failed", check.detail)
            return
        self.close = wish.close
        if wish.close:
            self._hold_closed()
        if wish.measure and self._staying:
            self._hardware.isolation.start()
            self._test(check, wish.voltage_v)
        elif self.driving:
            self._supply_off()
        if wish.test_monitor:
            self._hardware.isolation.start_self_test()

    def _test(self, check: CableCheck, voltage_v: float) -> None:
        assert self._hardware.supply is not None and self._readings is not None and self.output is not None
        self._arm()
        if not self._readings.armed:
            return
        if not self._allowed(Action.TEST):
            self.leave(self._withheld)
            return
        self._drives()
        current_a = max(check.config.current_a, self.output.least_regulated_a)
        self.output.allow(current_a)
        self._energise(self._hardware.supply.drive, voltage_v, current_a)

    def _arm(self) -> None:
        assert self._readings is not None and self.output is not None
        if self._hardware.safety is not None and not self._readings.armed:
            most_v = self.ev_max_v if math.isfinite(self.ev_max_v) else self.output.max_voltage_v
            self._energise(self._hardware.safety.arm, over_voltage_limit(most_v))

    # --- target ---------------------------------------------------------------------------------

    def _drive_on(self, output: DcOutput, limits: Envelope) -> None:
        output.advance(self._now, limits, self.volts.value)
        if self._stopping_since is not None and self._current_gone(self._stopping_since):
            self._stopping_since = None
            self._supply_off()
            return
        assert self._hardware.supply is not None
        if not self._allowed(Action.DRIVE):
            if self.driving:
                self.leave(self._withheld, hurry=not self._ready)
            return
        self._drives()
        self._energise(self._hardware.supply.drive, *output.set_points())

    def _drives(self) -> None:
        assert self.outlet is not None
        self.driving = True
        self.outlet.energised()

    def _current_gone(self, since: float) -> bool:
        assert self.output is not None
        gone = self.output.idle and abs(self.amps.value) < NO_CURRENT_A
        return gone or not self.driving or self._now - since > RAMP_S

    # --- opening --------------------------------------------------------------------------------

    def _open_on(self, since: float) -> None:
        """The orderly end: the supply is off, the output discharged or held by a battery."""
        assert self._readings is not None
        if self.driving:
            return
        if self.output is not None and not self._output_quiet(max(since, self._supply_off_at)):
            return
        self._suspect_vehicle()
        self.close = False
        self._hardware.contactor.open_contacts()
        if self._hardware.isolation is not None:
            self._hardware.isolation.stop()
        if self._readings.contactor is ContactorState.OPEN:
            self._opening_since = None

    def _suspect_vehicle(self) -> None:
        """After an orderly end the car has opened its contactor; if its battery still holds the cable, it has not."""
        closed = self._readings is not None and self._readings.contactor is ContactorState.CLOSED
        volts = self.volts
        held = closed and not self.driving and volts.value >= max(self._config.safe_v, self._supply_off_v / 2)
        if held and self.output is not None and volts.at - self._supply_off_at >= HELD_S:
            self._fault("vehicle_contactor_welded", f"{self.volts.value:.0f} V with the supply off")

    def _output_quiet(self, since: float) -> bool:
        assert self._readings is not None
        waited = self._now - since >= self._config.discharge_wait_s
        return not self._readings.supply_on and (abs(self.volts.value) < self._config.safe_v or waited)

    def _leave_on(self, leaving: Leaving) -> None:
        readings = self._readings
        assert readings is not None
        if self._hardware.supply is not None:
            self._hardware.supply.off()
        elapsed_s = self._now - leaving.since
        if self._may_open(leaving, elapsed_s):
            self._hardware.contactor.open_contacts()
            if readings.contactor is ContactorState.OPEN and not readings.supply_on:
                self.leaving = None
                self.was_closed = False
                if leaving.energised:
                    self._emit(events.Deenergised, after_s=round(elapsed_s, 3))

    def _may_open(self, leaving: Leaving, elapsed_s: float) -> bool:
        """Not under load where that can be helped: the supply tells that it is off, or its lease has ended.

        A car that is not ready any more, and an emergency, wait a moment only.
        """
        readings = self._readings
        assert readings is not None
        if self.output is None or elapsed_s >= SURELY_OFF_S:
            return True
        if not readings.ready:
            leaving.hurried_at = min(leaving.hurried_at, self._now)
        quiet = not readings.supply_on or (self._fresh and abs(self.amps.value) < NO_CURRENT_A)
        if self._now >= leaving.hurried_at:
            return quiet or self._now - leaving.hurried_at >= HURRY_S
        dead = abs(self.volts.value) < self._config.safe_v
        return quiet and (dead or elapsed_s >= self._config.discharge_wait_s)

    # --- lock -----------------------------------------------------------------------------------

    def unlock_objection(self) -> str:
        """Why the connector must not be unlocked, as somebody could touch a voltage; "" if it may."""
        readings = self._readings
        assert readings is not None
        if self.energised or self.leaving is not None:
            return "energised"
        if readings.contactor is not ContactorState.OPEN:
            return f"the contactor is {readings.contactor.value}"
        return "" if self.outlet is None else self.outlet.objection(readings.cp)

    def forget(self) -> None:
        """The connector is out: nothing of this car counts for the next."""
        self.check = None
        self.ev_max_v = math.inf
        if self._hardware.safety is not None and self.output is not None:
            self._hardware.safety.disarm()


def rated(config: HalEvseConfig, readings: EvseReadings | None, hardware: EvseHardware) -> Envelope:
    """What the hardware and the configuration allow, before any derating."""
    return _rated_dc(config, hardware) if hardware.supply is not None else _rated_ac(config, readings)


def _least(*values: float | None) -> float:
    return min((v for v in values if v is not None), default=0.0)


def _rated_dc(config: HalEvseConfig, hardware: EvseHardware) -> Envelope:
    assert hardware.supply is not None
    ratings = hardware.supply.ratings
    most = Envelope()
    return replace(
        most,
        charge=replace(
            most.charge,
            max_power_w=_least(ratings.max_power_w, config.max_power_w),
            max_current_a=_least(ratings.max_current_a, config.max_current_a),
            min_current_a=ratings.min_current_a,
        ),
        discharge=replace(
            most.discharge,
            max_power_w=_least(ratings.import_max_power_w, config.max_discharge_w),
            max_current_a=_least(ratings.import_max_current_a, config.max_discharge_a),
        ),
        max_voltage_v=_least(ratings.max_voltage_v, config.max_voltage_v),
        min_voltage_v=max(ratings.min_voltage_v, config.min_voltage_v),
    )


AC_CURRENT_A: Final = 32.0
"""What an AC outlet carries where neither configuration nor cable say less."""


def _rated_ac(config: HalEvseConfig, readings: EvseReadings | None) -> Envelope:
    cable_a = readings.ampacity_a if readings is not None else None
    current = _least(AC_CURRENT_A, config.max_current_a, cable_a)
    of_current = current * config.phases * config.nominal_v
    most = Envelope()
    return replace(
        most,
        charge=replace(
            most.charge, max_power_w=_least(of_current, config.max_power_w), max_current_a=current
        ),
        discharge=replace(
            most.discharge,
            max_power_w=min(of_current, config.max_discharge_w or 0.0),
            max_current_a=current if config.max_discharge_w else 0.0,
        ),
        max_voltage_v=config.nominal_v * 1.1,
        min_voltage_v=config.nominal_v * 0.9,
        phases=config.phases,
    )
