"""The insulation test of a DC station, step by step (IEC 61851-23 CC.4.1.2).

`step` is called again and again with what is measured and says what is wanted next; it touches no device. Any
step that takes too long, and any reading that does not fit, fails the whole; after a verdict everything is off
except the contactor of a passed test, which pre-charge needs closed.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from hal.types import Check, ContactorState
from iso15118.hardware.config import CableCheckConfig
from iso15118.hardware.readings import EvseReadings

CURRENT_REACHED: Final = 0.9
"""From this share of its limit on, a supply counts as being at its current limit."""
RISING_V: Final = 5.0
"""A voltage that moved less than this within `short_s` does not rise."""


class Step(enum.Enum):
    """Where the test is."""

    DISCHARGED = "output below 60 V"
    CLOSING = "contactor closes"
    RISING = "voltage rises"
    SELF_TEST = "monitor tests itself"
    READING = "resistance"
    FALLING = "output discharges"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the test wants of the devices now."""

    close: bool = False
    voltage_v: float = 0.0
    measure: bool = False
    test_monitor: bool = False


class CableCheck:
    """One run. `verdict` is RUNNING until PASSED or FAILED; `detail` says what was found.

    Other parameters: the test voltage (V), the resistance below which the test fails (Ohm), and the voltage
    that counts as off (V).
    """

    def __init__(self, config: CableCheckConfig, test_v: float, least_ohm: float, safe_v: float) -> None:
        self.config = config
        self.test_v, self.least_ohm, self.safe_v = test_v, least_ohm, safe_v
        self.at = Step.DISCHARGED
        self.verdict = Check.RUNNING
        self.detail = ""
        self._since: float | None = None
        self._high_v = 0.0
        self._high_at = 0.0
        self._off_since: float | None = None
        self._read_at = float("-inf")
        self._good = 0
        self._testing = False

    def step(self, readings: EvseReadings, voltage_v: float, current_a: float) -> Wish:
        """Go on with these readings; voltage and current as far as they can be believed."""
        if self._since is None:
            self._since = readings.now
        while self.verdict is Check.RUNNING:
            before = self.at
            _STEPS[self.at](self, readings, voltage_v, current_a)
            if self.at is before:
                break
            self._since = readings.now
        return self.wish

    @property
    def wish(self) -> Wish:
        """What is wanted in this step."""
        if self.verdict is not Check.RUNNING:
            return Wish(close=self.verdict is Check.PASSED)
        powered = self.at in (Step.RISING, Step.SELF_TEST, Step.READING)
        return Wish(
            close=self.at is not Step.DISCHARGED,
            voltage_v=self.test_v if powered else 0.0,
            measure=powered,
            test_monitor=self.at is Step.SELF_TEST and not self._testing,
        )

    def fail(self, detail: str) -> None:
        """End the test, failed."""
        if self.verdict is Check.RUNNING:
            self.verdict, self.detail = Check.FAILED, detail

    # --- steps ----------------------------------------------------------------------------------

    def _late(self, now: float, limit_s: float, what: str) -> None:
        assert self._since is not None
        if now - self._since > limit_s:
            self.fail(f"{what} after {limit_s:g} s")

    def discharged(self, readings: EvseReadings, voltage_v: float, current_a: float) -> None:
        """No voltage before the contactor closes."""
        if abs(voltage_v) < self.safe_v and not readings.supply_on:
            self.at = Step.CLOSING
        else:
            self._late(readings.now, self.config.discharge_s, f"{voltage_v:.0f} V at the output")

    def closing(self, readings: EvseReadings, voltage_v: float, current_a: float) -> None:
        """The contactor tells closed."""
        if readings.contactor is ContactorState.CLOSED:
            self.at = Step.RISING
            self._high_v, self._high_at = voltage_v, readings.now
        else:
            self._late(readings.now, self.config.closing_s, f"contactor is {readings.contactor.value}")

    def rising(self, readings: EvseReadings, voltage_v: float, current_a: float) -> None:
        """The voltage comes up; it does not where the poles are shorted."""
        if abs(voltage_v - self.test_v) <= self.config.tolerance_v:
            self.at = Step.SELF_TEST
            return
        if voltage_v > self.test_v:
            self.fail(f"{voltage_v:.0f} V at the output, {self.test_v:.0f} V wanted")
        if voltage_v > self._high_v + RISING_V or current_a < self.config.current_a * CURRENT_REACHED:
            self._high_v, self._high_at = max(voltage_v, self._high_v), readings.now
        elif readings.now - self._high_at >= self.config.short_s:
            self.fail(f"short circuit: {current_a:.1f} A at {voltage_v:.0f} V")
        self._late(readings.now, self.config.rise_s, f"{voltage_v:.0f} V of {self.test_v:.0f} V")

    def self_testing(self, readings: EvseReadings, voltage_v: float, current_a: float) -> None:
        """The monitor finds itself in order."""
        self._hold(readings.now, voltage_v)
        test = readings.self_test
        if test is Check.RUNNING:
            self._testing = True
        elif self._testing and test is Check.PASSED:
            self.at = Step.READING
        elif self._testing and test is Check.FAILED:
            self.fail("the isolation monitor's self test failed")
        self._late(readings.now, self.config.self_test_s, "the isolation monitor's self test did not end")

    def reading(self, readings: EvseReadings, voltage_v: float, current_a: float) -> None:
        """So many good resistances in a row."""
        self._hold(readings.now, voltage_v)
        sample = readings.resistance
        if sample.fresh(readings.now, self.config.reading_s) and (
            sample.at >= self._read_at + self.config.reading_interval_s
        ):
            self._read_at = sample.at
            self._good += 1
            self.detail = f"{sample.bound if sample.bound != '=' else ''}{sample.value / 1000:.0f} kOhm"
            if sample.value < self.least_ohm:
                self.fail(f"insulation resistance {self.detail}")
            elif self._good >= self.config.readings:
                self.at = Step.FALLING
        limit_s = self.config.readings * max(self.config.reading_s, self.config.reading_interval_s)
        self._late(readings.now, limit_s, "no resistance was measured")

    def falling(self, readings: EvseReadings, voltage_v: float, current_a: float) -> None:
        """The supply is off and the cable has lost its voltage."""
        if abs(voltage_v) < self.safe_v and not readings.supply_on:
            self.at, self.verdict = Step.DONE, Check.PASSED
        else:
            self._late(readings.now, self.config.discharge_s, f"still {voltage_v:.0f} V at the output")

    def _hold(self, now: float, voltage_v: float) -> None:
        """The test voltage has to stay; a supply that does not keep it is not to be trusted."""
        if abs(voltage_v - self.test_v) <= self.config.tolerance_v:
            self._off_since = None
            return
        self._off_since = now if self._off_since is None else self._off_since
        if now - self._off_since > self.config.short_s:
            self.fail(f"{voltage_v:.0f} V at the output, {self.test_v:.0f} V wanted")


def voltage_to_test(ev_max_v: float, evse_max_v: float) -> float:
    """The voltage to test a car of this maximum with (V, IEC 61851-23:2023 CC.4.1.2)."""
    return min(500.0, ev_max_v + 50.0, evse_max_v) if ev_max_v <= 500.0 else min(evse_max_v, 1.1 * ev_max_v)


def over_voltage_limit(ev_max_v: float) -> float:
    """Above this the hardware acts by itself (V, IEC 61851-23:2023 table 103)."""
    return next((limit for most, limit in _OVER_VOLTAGE if ev_max_v <= most), 1375.0)


_OVER_VOLTAGE: Final = ((500.0, 550.0), (750.0, 825.0), (850.0, 935.0), (1000.0, 1100.0))

_STEPS: Final[Mapping[Step, Callable[[CableCheck, EvseReadings, float, float], None]]] = MappingProxyType(
    {
        Step.DISCHARGED: CableCheck.discharged,
        Step.CLOSING: CableCheck.closing,
        Step.RISING: CableCheck.rising,
        Step.SELF_TEST: CableCheck.self_testing,
        Step.READING: CableCheck.reading,
        Step.FALLING: CableCheck.falling,
    }
)
