"""What a Linux board measures: pilot, proximity, connector voltage, temperatures, the inputs of the safety chain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from hal.drivers.linux_dialog import LOOK_S, BoardDialog, Member
from hal.drivers.linux_io import Adc, Pwm
from hal.errors import HalError, Kind
from hal.pilot import STEADY_DUTY
from hal.pilot_levels import PILOT_FAULTS, PilotJudge, ampacity_a, check_duty
from hal.types import NOTHING, CpState, Fault, Quality, Sample, Severity

SETTLE_S: Final = 0.003
"""After a change of the duty cycle peaks are measured only then."""
RESET_S: Final = 0.0015
"""A peak detector is emptied for so long, and has to settle for a little longer than this."""
SLOW_S: Final = 0.1
"""How often cable and temperatures are looked at."""
SENSIBLE_C: Final = (-50.0, 200.0)
"""Outside, a thermometer is broken or not there."""


@dataclass(frozen=True, slots=True)
class PilotPins:
    """The pilot: `pwm` (chip, channel, inverted), `high` and `low` (see `Adc`: peaks of the pilot in V).

    `reset` is a line that empties the peak detectors while it is active.
    """

    pwm: Mapping[str, Any]
    high: Mapping[str, Any]
    low: Mapping[str, Any]
    reset: str = ""


class BoardPilot(Member):
    """`EvsePilot` by PWM and two peak detectors."""

    def __init__(self, name: str, dialog: BoardDialog, pins: PilotPins) -> None:
        super().__init__(name, dialog)
        self._pwm = Pwm(dialog.files, **pins.pwm)
        self._high, self._low = Adc(dialog.files, **pins.high), Adc(dialog.files, **pins.low)
        self._reset = pins.reset
        self.outputs = (pins.reset,)
        self._judge = PilotJudge()
        self._duty = self._put = STEADY_DUTY
        self._phase = 0
        self._state: CpState | None = None
        self._high_v = NOTHING

    @property
    def state(self) -> CpState | None:
        """The debounced state."""
        return self._state

    @property
    def since(self) -> float:
        """When the line entered this state."""
        return self._judge.since

    @property
    def high_v(self) -> Sample:
        """Peak of the positive half wave."""
        return self._high_v

    @property
    def duty(self) -> float:
        """What is commanded."""
        return self._duty

    def set_duty(self, percent: float) -> None:
        """5.0 digital, 10.0 to 96.0 basic charging, 100.0 steady +12 V."""
        check_duty(self._name, percent)
        self._want(percent)

    def set_unavailable(self) -> None:
        """Hold -12 V."""
        self._want(0.0)

    def _want(self, percent: float) -> None:
        if self._dialog.ready:
            self._duty = percent
            self._dialog.line.flush()

    # --- the board's part -----------------------------------------------------------------------

    def begin(self, now: float) -> None:
        self._pwm.open(STEADY_DUTY)
        self._put = STEADY_DUTY
        self._high.open()
        self._low.open()
        self._phase, self._look_at = 0, now + SETTLE_S

    def work(self, now: float) -> None:
        if self._duty != self._put:
            self._pwm.set_duty(self._duty)
            self._put = self._duty
            self._phase, self._look_at = 0, now + SETTLE_S
        elif now >= self._look_at:
            self._look(now)

    def _look(self, now: float) -> None:
        if self._reset and self._phase < 2:
            self._board.lines.set(self._reset, self._phase == 0)
            self._look_at = now + (RESET_S if self._phase == 0 else SETTLE_S)
            self._phase += 1
            return
        self._phase, self._look_at = 0, now + LOOK_S
        high_v, low_v = self._high.read(), self._low.read()
        judge = self._judge
        judge.look(high_v, low_v, self._put, now)
        self._set("_high_v", Sample(high_v, now))
        self._set("_state", judge.state)
        for fault in PILOT_FAULTS.values():
            if fault in judge.faults:
                self.blame(fault)
            else:
                self.clear(fault.code)

    def rest(self) -> None:
        self._pwm.set_duty(STEADY_DUTY)

    def _persists(self, code: str) -> bool:
        return any(fault.code == code for fault in self._judge.faults)

    @property
    def settled(self) -> bool:
        """Whether the hardware does what is wanted."""
        return self._put == self._duty

    def forget(self) -> None:
        """Want nothing any more."""
        self._duty = STEADY_DUTY

    def unknown(self) -> None:
        """Drop the levels: the board is not reached."""
        self._judge.forget()
        self._set("_state", None)


# --- proximity ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProximityPins:
    """The contact: `input` (see `Adc`, V), pulled up to `supply_v`, with `series_ohm` in front of the cable."""

    input: Mapping[str, Any]
    supply_v: float = 3.3
    pull_up_ohm: float = 1000.0
    series_ohm: float = 0.0

    def ohm(self, volts: float) -> float:
        """The resistor in the plug (Ohm), inf for none."""
        if volts >= self.supply_v:
            return math.inf
        return self.pull_up_ohm * volts / (self.supply_v - volts) - self.series_ohm


class BoardProximity(Member):
    """`Proximity` by one converter input; two equal looks count."""

    def __init__(self, name: str, dialog: BoardDialog, pins: ProximityPins) -> None:
        super().__init__(name, dialog)
        self._pins, self._input = pins, Adc(dialog.files, **pins.input)
        self._candidate: float | None = None
        self._ampacity: float | None = None

    @property
    def ampacity_a(self) -> float | None:
        """What the cable carries."""
        return self._ampacity

    def begin(self, now: float) -> None:
        super().begin(now)
        self._input.open()

    def work(self, now: float) -> None:
        if now >= self._look_at:
            self._look_at = now + SLOW_S
            told = ampacity_a(self._pins.ohm(self._input.read()))
            if told == self._candidate:
                self._set("_ampacity", told)
            self._candidate = told

    def unknown(self) -> None:
        """Drop the levels: the board is not reached."""
        self._candidate = None
        self._set("_ampacity", None)


# --- voltage at the connector -------------------------------------------------------------------


class BoardVoltage(Member):
    """`ConnectorVoltage` by one converter input behind an isolated divider, whose ratio is its `gain` (see `Adc`)."""

    def __init__(self, name: str, dialog: BoardDialog, pins: Mapping[str, Any]) -> None:
        super().__init__(name, dialog)
        self._input = Adc(dialog.files, **pins)
        self._voltage = NOTHING

    @property
    def voltage(self) -> Sample:
        """In V."""
        return self._voltage

    def begin(self, now: float) -> None:
        super().begin(now)
        self._input.open()

    def work(self, now: float) -> None:
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._set("_voltage", Sample(self._input.read(), now))


# --- temperatures -------------------------------------------------------------------------------


class BoardThermometers(Member):
    """`Thermometers` by channels that the kernel gives in degrees (see `Adc`), place by place."""

    def __init__(self, name: str, dialog: BoardDialog, places: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(name, dialog)
        self._inputs = {place: Adc(dialog.files, **pins) for place, pins in places.items()}
        self._samples: Mapping[str, Sample] = MappingProxyType({})

    @property
    def temperatures(self) -> Mapping[str, Sample]:
        """By place."""
        return self._samples

    def begin(self, now: float) -> None:
        super().begin(now)
        for sensor in self._inputs.values():
            sensor.open()

    def work(self, now: float) -> None:
        if now >= self._look_at:
            self._look_at = now + SLOW_S
            samples = {place: _temperature(sensor.read(), now) for place, sensor in self._inputs.items()}
            self._set("_samples", MappingProxyType(samples))


def _temperature(celsius: float, now: float) -> Sample:
    least, most = SENSIBLE_C
    return Sample(celsius, now, Quality.GOOD if least <= celsius <= most else Quality.INVALID)


# --- safety chain -------------------------------------------------------------------------------


class BoardSafety(Member):
    """`SafetyChain` as inputs that are active while something has tripped; no voltage is supervised.

    `inputs` are names of what trips ("emergency_stop", "residual_current", "door") with their lines.
    """

    def __init__(self, name: str, dialog: BoardDialog, inputs: Mapping[str, str]) -> None:
        super().__init__(name, dialog)
        self._lines = dict(inputs)
        self.inputs = tuple(inputs.values())
        self._there: frozenset[str] = frozenset()
        self._tripped: frozenset[str] = frozenset()

    @property
    def tripped(self) -> frozenset[str]:
        """What has tripped."""
        return self._tripped

    @property
    def armed(self) -> bool:
        """Never: there is no monitor of the voltage."""
        return False

    def arm(self, limit_v: float) -> None:
        """HalError(OUT_OF_RANGE) for no voltage, else HalError(REFUSED)."""
        if not (math.isfinite(limit_v) and limit_v > 0):
            raise HalError(self._name, Kind.OUT_OF_RANGE, f"an over-voltage limit of {limit_v} V")
        raise HalError(
            self._name,
            Kind.REFUSED,
            "this board supervises no voltage",
            next_step="DC needs a safety chain with an over-voltage monitor",
        )

    def disarm(self) -> None:
        """There is nothing to disarm."""

    def reset(self) -> None:
        """Clear what has tripped and is not there any more."""
        self._set("_tripped", self._there)
        super().reset()

    def work(self, now: float) -> None:
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._there = frozenset(name for name, line in self._lines.items() if self._board.lines.get(line))
            self._set("_tripped", self._tripped | self._there)
            for name in self._tripped:
                self.blame(Fault(name, Severity.EMERGENCY, latched=True))

    def _persists(self, code: str) -> bool:
        return code in self._tripped
