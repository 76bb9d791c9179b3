"""Bender ISOMETER isoCHA425HV: an isolation monitor for DC charging on Modbus RTU (19200 8E1, unit 3 as shipped).

    monitor = registry.make("bender-isocha425", url="serial:///dev/ttyUSB0", unit=3)

A measurement is four registers: the value, alarm and test bits with unit and validity, the channel. The number
alone is worth nothing. Thresholds, relays and start-up delay stay as they were set at the device; it is read
only but for measuring on and off (register 3026, written on change only) and the self test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from hal.drivers.dialog import Polls, Request
from hal.drivers.driver import Driver
from hal.drivers.modbus import Bus, Unit, bus_for
from hal.drivers.modbus_frames import Refusal, float32
from hal.types import NOTHING, Check, Fault, Quality, Sample, Severity

UNIT: Final = 3
LINE: Final = {"baud": "19200", "parity": "E", "bits": "8", "stop": "1"}

INSULATION: Final = 1000
IDENTITY: Final = 9820
MEASURING: Final = 3026
SELF_TEST: Final = 8005
START_SELF_TEST: Final = 0x5445

BEGIN_S: Final = 10.0
"""Within this time a self test that was started shows."""
SELF_TEST_S: Final = 60.0
"""Within this time it has ended; firmware before 5.00 takes 22 s and another 10 s until it measures again."""

SELF_TEST_FAILED: Final = "self_test_failed"
DEVICE_ERROR: Final = "device_error"

_INTERNAL_ERROR: Final = 2
"""Alarm bits, while no test runs."""
_EXTERNAL_TEST: Final = 2
"""Test bits, while a test runs that was asked for."""
_OHM: Final = 2
_CHANNELS: Final = (1, 71)
"""Descriptions of insulation values; anything else is the answer to another question."""
_BOUNDS: Final[dict[int, Literal["=", "<", ">"]]] = {0: "=", 1: "<", 2: ">"}
"""Validity bits; 3 is invalid."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measuring channel: four registers. `bound` is None where the device calls the value invalid."""

    value: float
    alarm: int
    test: int
    unit: int
    bound: Literal["=", "<", ">"] | None
    channel: int

    @classmethod
    def of(cls, registers: tuple[int, ...]) -> Measurement:
        """Take the registers apart."""
        state, channel = registers[2:]
        return cls(
            value=float32(registers[:2]),
            alarm=state >> 8 & 0x07,
            test=state >> 14,
            unit=state & 0x1F,
            bound=_BOUNDS.get(state >> 6 & 0x03),
            channel=channel,
        )

    @property
    def broken(self) -> bool:
        """Whether the device says that it does not work."""
        return self.alarm == _INTERNAL_ERROR and not self.test


def _check_insulation(registers: tuple[int, ...]) -> None:
    measured = Measurement.of(registers)
    if measured.unit != _OHM or measured.channel not in _CHANNELS:
        raise ValueError(f"channel {measured.channel} in unit {measured.unit} is no insulation resistance")


class _Isometer(Unit):
    """What is said to the device."""

    def __init__(self, name: str, line: Bus, address: int) -> None:
        super().__init__(name, line, address)
        self.monitor = BenderMonitor(name, self)
        self._polls = Polls(insulation=0.2, measuring=1.0)

    def _identify(self, step: int) -> Request | None:
        monitor = self.monitor
        if step == 0:
            return self._read(IDENTITY, 6, self._identified)
        if step == 1:
            return self._write(MEASURING, [0], partial(monitor.hear_told, False))
        if step == 2:
            return self._read_insulation()
        return None

    def _identified(self, registers: tuple[int, ...], now: float) -> None:
        self.monitor.firmware = registers[1]

    def _next(self, now: float) -> Request | None:
        monitor = self.monitor
        if monitor.measuring is not monitor.wanted:
            value = int(monitor.wanted)
            return self._write(MEASURING, [value], partial(monitor.hear_told, monitor.wanted))
        if monitor.test_asked:
            return self._write(
                SELF_TEST,
                [START_SELF_TEST],
                monitor.hear_test_accepted,
                refused=monitor.hear_test_refused,
                failed=monitor.hear_test_refused,
            )
        due = self._polls.due(now)
        if due is None:
            return None
        self._polls.asked(due, now)
        return self._read_insulation() if due == "insulation" else self._read_measuring()

    @property
    def _idle_until(self) -> float:
        return self._polls.due_at

    def _read_insulation(self) -> Request:
        return self._read(INSULATION, 4, self.monitor.hear_insulation, check=_check_insulation)

    def _read_measuring(self) -> Request:
        return self._read(MEASURING, 1, self.monitor.hear_measuring)


class BenderMonitor(Driver):
    """The device as an `IsolationMonitor`.

    Faults: "self_test_failed" (latched, until the next self test begins), "device_error".
    """

    def __init__(self, name: str, dialog: _Isometer) -> None:
        super().__init__(name, dialog)
        self.firmware = 0
        """As the device tells it: 501 is 5.01; known after `open`. From 5.00 on cable checks are fast."""
        self.wanted = False
        """Whether it is to measure; `measuring` is whether it does, None while that is not known."""
        self.measuring: bool | None = None
        self.test_asked = False
        """A self test is to be started."""
        self._test_began = False
        self._test_since = math.inf
        self._resistance, self._self_test = NOTHING, Check.IDLE

    # --- the protocol ---------------------------------------------------------------------------

    @property
    def resistance(self) -> Sample:
        """Both poles to earth in parallel (Ohm); bound ">" above the range."""
        return self._resistance

    @property
    def self_test(self) -> Check:
        """Progress of the last self test."""
        return self._self_test

    def start(self) -> None:
        """Measure; without effect while the device is not heard (a fault says so)."""
        self.wanted = self._dialog.ready
        self._dialog.line.flush()

    def stop(self) -> None:
        """Measure no more."""
        self.wanted = False
        self._dialog.line.flush()

    def start_self_test(self) -> None:
        """Test itself; a test that cannot be started has failed."""
        if self._self_test is Check.RUNNING:
            return
        self.clear(SELF_TEST_FAILED)
        self._set("_self_test", Check.RUNNING)
        self._test_began, self._test_since = False, self._now
        self._set("_resistance", Sample(math.nan, self._now, Quality.INVALID))
        self.test_asked = self._dialog.ready
        if not self.test_asked:
            self._fail_test("the device is not heard")
        self._dialog.line.flush()

    # --- the dialog's part ----------------------------------------------------------------------

    @property
    def settled(self) -> bool:
        """Whether it does or does not measure, as wanted."""
        return self.measuring is self.wanted

    @property
    def due(self) -> float:
        """When the self test is given up."""
        return self._test_end

    def tick(self, now: float) -> None:
        """A self test must begin, and end."""
        if now >= self._test_end:
            self._fail_test("it did not end" if self._test_began else "it did not begin")

    def forget(self) -> None:
        """Want no measurement."""
        self.wanted = self.test_asked = False

    def unknown(self) -> None:
        """Nobody knows what a test would have shown."""
        self.measuring = None
        if self._self_test is Check.RUNNING:
            self._fail_test("the device is not heard any more")

    def hear_told(self, measuring: bool, registers: tuple[int, ...], now: float) -> None:
        """The device has confirmed that it measures, or does not."""
        self.measuring = measuring
        if not measuring:
            self._set("_resistance", Sample(math.nan, now, Quality.INVALID))

    def hear_measuring(self, registers: tuple[int, ...], now: float) -> None:
        """What the device says it does. A device that has stopped by itself was restarted."""
        if self.measuring and not registers[0]:
            self.forget()
        self.measuring = registers[0] != 0

    def hear_insulation(self, registers: tuple[int, ...], now: float) -> None:
        """A measurement has come."""
        measured = Measurement.of(registers)
        if measured.broken:
            self.blame(
                Fault(DEVICE_ERROR, Severity.STOP, detail="the isolation monitor reports an own error")
            )
        else:
            self.clear(DEVICE_ERROR)
        if self._self_test is Check.RUNNING:
            self._follow_test(measured)
        self._set("_resistance", self._sample(measured, now))

    def hear_test_accepted(self, registers: tuple[int, ...], now: float) -> None:
        """The device begins its self test."""
        self.test_asked = False

    def hear_test_refused(self, reason: str | Refusal, now: float) -> None:
        """The device does not want to."""
        self._fail_test(str(reason))

    # --- inside ---------------------------------------------------------------------------------

    @property
    def _test_end(self) -> float:
        """When the self test is given up; inf while none runs."""
        if self._self_test is not Check.RUNNING:
            return math.inf
        return self._test_since + (SELF_TEST_S if self._test_began else BEGIN_S)

    def _follow_test(self, measured: Measurement) -> None:
        """The result counts only after the test has been seen to run and to end."""
        if measured.test == _EXTERNAL_TEST:
            self._test_began = True
        elif self._test_began and measured.broken:
            self._fail_test("the device reports an error")
        elif self._test_began and not measured.test:
            self._set("_self_test", Check.PASSED)

    def _fail_test(self, why: str) -> None:
        self.test_asked = False
        self._set("_self_test", Check.FAILED)
        self.blame(Fault(SELF_TEST_FAILED, Severity.STOP, latched=True, detail=why))

    def _persists(self, code: str) -> bool:
        return self._self_test is Check.FAILED

    def _sample(self, measured: Measurement, now: float) -> Sample:
        testing = measured.test or self._self_test is Check.RUNNING
        sound = math.isfinite(measured.value) and measured.value >= 0.0 and not measured.broken
        if measured.bound is None or testing or not sound or not self.measuring:
            return Sample(math.nan, now, Quality.INVALID)
        return Sample(measured.value, now, bound=measured.bound)


def isolation_monitor(
    url: str = "",
    *,
    unit: int = UNIT,
    bus: Bus | None = None,
    name: str = "",
    framing: Literal["rtu", "tcp"] | None = None,
) -> BenderMonitor:
    """An isoCHA425HV at the port `url` (see `hal.drivers.ports`), or on a `bus` that it shares with others.

    HalError(CONFIGURATION) for an impossible port or unit.
    """
    line = bus_for("bender-isocha425", url, bus, framing=framing, **LINE)
    return _Isometer(name or f"isolation@{line.name}:{unit}", line, unit).monitor
