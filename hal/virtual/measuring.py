"""Virtual instruments: isolation monitor, thermometers, meter; the car's battery, the voltage at the connector."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from hal.meter import MeterReading
from hal.types import NOTHING, Check, Clock, Fault, Quality, Sample, Severity
from hal.vehicle import BatteryStatus
from hal.virtual.battery import Battery
from hal.virtual.device import Line, VirtualDevice
from hal.virtual.gauges import Instrument, Pin, Registers
from hal.virtual.insulation import CAR_MONITOR_PERIOD_S, CAR_MONITOR_RIPPLE, RANGE_OHM, Monitor

SELF_TEST_FAILED: Final = Fault("self_test_failed", Severity.STOP, latched=True)
METER_REFUSES: Final = Fault("meter_refuses", Severity.STOP, detail="no legal transaction can be started")
SIGNATURE_INVALID: Final = Fault(
    "signature_invalid", Severity.WARNING, detail="the reading's signature is wrong"
)
MIN_SOC: Final = 0.05
"""The management lets nobody discharge below this."""
COLD_FACTOR: Final = 0.2
"""Of the charging current, below freezing."""


class VirtualIsolationMonitor(VirtualDevice):
    """A `Monitor`. `disturbed()` tells whether another monitor works on the same line."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        line: Line,
        monitor: Monitor,
        gauge: Instrument,
        disturbed: Callable[[], bool],
    ) -> None:
        super().__init__(name, clock, line)
        self._monitor, self._disturbed = monitor, disturbed
        self.ohmmeter = gauge
        self._wanted = self._test_wanted = False
        self._levels.update(self._unknown())

    @property
    def resistance(self) -> Sample:
        """Both poles to earth in parallel."""
        sample: Sample = self._levels["resistance"]
        return sample

    @property
    def self_test(self) -> Check:
        """Progress of the last self test."""
        check: Check = self._levels["self_test"]
        return check

    def start(self) -> None:
        """Connect to the output and measure."""
        self._wanted = not self.lost
        self._send()

    def stop(self) -> None:
        """Disconnect from the output."""
        self._wanted = False
        self._send()

    def start_self_test(self) -> None:
        """Test itself."""
        self._test_wanted = not self.lost
        self._send()

    @property
    def due_s(self) -> float:
        """Time until the self test ends."""
        return self._monitor.due_s

    def _push(self) -> None:
        self._monitor.connect(self._wanted)
        if self._test_wanted:
            self._test_wanted = False
            self._monitor.start_test()
            self._faults.pop(SELF_TEST_FAILED.code, None)

    def _drop(self) -> None:
        self._monitor.connect(False)

    def _power_up(self) -> None:
        self._monitor.power_up()

    def _forget(self) -> None:
        self._wanted = self._test_wanted = False

    def _signals(self) -> dict[str, Any]:
        signals: dict[str, Any] = {"self_test": self._monitor.check}
        if self._monitor.reading_ohm is None:
            signals["resistance"] = Sample(math.nan, self._clock(), Quality.INVALID)
        return signals

    def _samples(self, now: float) -> dict[str, Any]:
        ohm = self._monitor.reading_ohm
        if ohm is None:
            return {}
        if self._disturbed():
            ohm *= 1.0 + CAR_MONITOR_RIPPLE * math.sin(2 * math.pi * now / CAR_MONITOR_PERIOD_S)
        sample = self.ohmmeter.take(ohm, now)
        return {"resistance": Sample(RANGE_OHM, now, bound=">") if sample.value > RANGE_OHM else sample}

    def _unknown(self) -> dict[str, Any]:
        resistance = self._levels.get("resistance", NOTHING)
        return {"resistance": resistance, "self_test": self._levels.get("self_test", Check.IDLE)}

    def _supervise(self) -> None:
        if self.self_test is Check.FAILED:
            self._faults[SELF_TEST_FAILED.code] = SELF_TEST_FAILED

    def _persists(self, code: str) -> bool:
        return self.self_test is Check.FAILED


class VirtualThermometers(VirtualDevice):
    """One sensor at each `Pin`."""

    def __init__(
        self, name: str, clock: Clock, line: Line, pins: Mapping[str, Pin], gauge: Instrument
    ) -> None:
        super().__init__(name, clock, line)
        self._pins = pins
        self.thermometer = gauge
        self._levels["temperatures"] = {}

    @property
    def temperatures(self) -> Mapping[str, Sample]:
        """By place, in degrees Celsius."""
        temperatures: Mapping[str, Sample] = self._levels["temperatures"]
        return temperatures

    def _samples(self, now: float) -> dict[str, Any]:
        take = self.thermometer.take
        return {"temperatures": {place: take(pin.celsius, now) for place, pin in self._pins.items()}}


class VirtualMeter(VirtualDevice):
    """Reads `Registers`, with the time of its own wall clock `utc()`.

    Faults: `bad_signature` True, and those of the registers.
    """

    def __init__(
        self, name: str, clock: Clock, line: Line, registers: Registers, utc: Callable[[], float]
    ) -> None:
        super().__init__(name, clock, line)
        self._registers, self._utc = registers, utc
        self.bad_signature = False
        self._levels["reading"] = None

    @property
    def reading(self) -> MeterReading | None:
        """The last good reading."""
        reading: MeterReading | None = self._levels["reading"]
        return reading

    def _samples(self, now: float) -> dict[str, Any]:
        registers = self._registers
        if registers.refuses:
            return {}
        return {
            "reading": MeterReading(
                at=now - registers.age_s,
                import_wh=registers.shown_import_wh,
                export_wh=registers.shown_export_wh,
                power_w=registers.shown_w,
                meter_id=self._name,
                taken_at=self._utc() - registers.age_s,
            )
        }

    def _supervise(self) -> None:
        for fault, present in (
            (METER_REFUSES, self._registers.refuses),
            (SIGNATURE_INVALID, self.bad_signature),
        ):
            if present and not self.lost:
                self._faults[fault.code] = fault
            else:
                self._faults.pop(fault.code, None)


class VirtualBattery(VirtualDevice):
    """The management of a `Battery`; `current_a()` flows into it. `celsius` decides what it takes."""

    def __init__(
        self, name: str, clock: Clock, line: Line, battery: Battery, current_a: Callable[[], float]
    ) -> None:
        super().__init__(name, clock, line)
        self._battery, self._current_a = battery, current_a
        self.celsius = 25.0
        self._levels["status"] = None

    @property
    def status(self) -> BatteryStatus | None:
        """The last status."""
        status: BatteryStatus | None = self._levels["status"]
        return status

    def _samples(self, now: float) -> dict[str, Any]:
        battery, current = self._battery, self._current_a()
        voltage = battery.terminal_v(current)
        charge_a = battery.max_charge_a() * (COLD_FACTOR if self.celsius < 0.0 else 1.0)
        one_c = battery.capacity_as / 3600.0
        discharge_a = 2.5 * one_c if battery.soc > MIN_SOC else 0.0
        status = BatteryStatus(
            at=now,
            soc_percent=min(100.0, max(0.0, battery.soc * 100.0)),
            voltage_v=voltage,
            current_a=current,
            capacity_wh=battery.capacity_wh,
            max_voltage_v=battery.max_v,
            min_voltage_v=battery.min_v,
            max_charge_a=charge_a,
            max_discharge_a=discharge_a,
            max_charge_w=charge_a * battery.max_v,
            max_discharge_w=discharge_a * battery.min_v,
            temperature_c=self.celsius,
        )
        return {"status": status}


class VirtualConnectorVoltage(VirtualDevice):
    """The voltage on the connector's side of a contactor: `voltage_v()`."""

    def __init__(
        self, name: str, clock: Clock, line: Line, voltage_v: Callable[[], float], gauge: Instrument
    ) -> None:
        super().__init__(name, clock, line)
        self._voltage_v = voltage_v
        self.voltmeter = gauge
        self._levels["voltage"] = NOTHING

    @property
    def voltage(self) -> Sample:
        """In V."""
        sample: Sample = self._levels["voltage"]
        return sample

    def _samples(self, now: float) -> dict[str, Any]:
        return {"voltage": self.voltmeter.take(self._voltage_v(), now)}
