"""Virtual DC supply and AC converter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hal.errors import HalError, Kind
from hal.power import AcRatings, DcRatings
from hal.types import LEASE_S, NOTHING, Clock, Sample
from hal.virtual.ac_circuit import AcCircuit
from hal.virtual.converter import Converter
from hal.virtual.device import LeasedDevice, Line
from hal.virtual.gauges import Instrument
from hal.virtual.protection import SafetyLoop


class VirtualDcSupply(LeasedDevice):
    """A `Converter`, which an open `SafetyLoop` keeps off."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        line: Line,
        converter: Converter,
        loop: SafetyLoop,
        gauges: tuple[Instrument, Instrument],
    ) -> None:
        super().__init__(name, clock, line)
        self._converter, self._loop = converter, loop
        self.voltmeter, self.ammeter = gauges
        self._set = (0.0, 0.0)
        self._levels.update(self._unknown())

    @property
    def ratings(self) -> DcRatings:
        """What the hardware can do."""
        converter = self._converter
        return DcRatings(
            max_voltage_v=converter.max_v,
            max_current_a=converter.max_a,
            max_power_w=converter.max_w,
            import_max_current_a=converter.import_max_a,
            import_max_power_w=converter.import_max_w,
        )

    @property
    def on(self) -> bool:
        """Whether the output is on as far as known."""
        on: bool = self._levels["on"]
        return on

    @property
    def voltage(self) -> Sample:
        """At the output."""
        sample: Sample = self._levels["voltage"]
        return sample

    @property
    def current(self) -> Sample:
        """Signed, + into the EV."""
        sample: Sample = self._levels["current"]
        return sample

    def drive(self, voltage_v: float, current_a: float, *, lease_s: float = LEASE_S) -> None:
        """Switch on with these set-points and hold them for `lease_s`."""
        ratings = self.ratings
        if not 0.0 <= voltage_v <= ratings.max_voltage_v:
            raise HalError(
                self._name, Kind.OUT_OF_RANGE, f"{voltage_v} V, rated for 0 to {ratings.max_voltage_v:g} V"
            )
        least, most = -ratings.import_max_current_a, ratings.max_current_a
        if not least <= current_a <= most:
            raise HalError(self._name, Kind.OUT_OF_RANGE, f"{current_a} A, rated for {least:g} to {most:g} A")
        self._loop.require_intact(self._name)
        self._check(lease_s)
        self._set = (voltage_v, current_a)
        self._lease(lease_s)

    def off(self) -> None:
        """Stop converting, now, and discharge the output."""
        self._release()

    def _energise(self) -> None:
        if self._loop.intact:
            self._converter.drive(*self._set)

    def _drop(self) -> None:
        self._converter.off()

    def _signals(self) -> dict[str, Any]:
        return {"on": self._converter.on}

    def _samples(self, now: float) -> dict[str, Any]:
        converter = self._converter
        return {
            "voltage": self.voltmeter.take(converter.voltage_v, now),
            "current": self.ammeter.take(converter.current_a, now),
        }

    def _unknown(self) -> dict[str, Any]:
        voltage, current = self._levels.get("voltage", NOTHING), self._levels.get("current", NOTHING)
        return {"on": True, "voltage": voltage, "current": current}

    def _supervise(self) -> None:
        if not self._loop.intact:
            self._forget()


class VirtualAcConverter(LeasedDevice):
    """The on-board charger of an `AcCircuit`."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        line: Line,
        circuit: AcCircuit,
        loop: SafetyLoop,
        gauges: tuple[Instrument, Instrument],
    ) -> None:
        super().__init__(name, clock, line)
        self._circuit, self._charger, self._loop = circuit, circuit.charger, loop
        self.wattmeter, self.analyser = gauges
        self._set = (0.0, 0.0)
        self._levels.update(self._unknown())

    @property
    def ratings(self) -> AcRatings:
        """What the hardware can do."""
        circuit = self._circuit
        most_w = self._charger.apparent_va * 0.95
        amps = self._charger.apparent_va / (circuit.phases * circuit.mains_v)
        return AcRatings(
            max_power_w=most_w,
            max_current_a=amps,
            phases=circuit.phases,
            import_max_power_w=most_w,
            max_reactive_var=self._charger.apparent_va / 2,
        )

    @property
    def on(self) -> bool:
        """Whether it converts as far as known."""
        on: bool = self._levels["on"]
        return on

    @property
    def power(self) -> Sample:
        """Active power of all phases."""
        sample: Sample = self._levels["power"]
        return sample

    @property
    def measured(self) -> Mapping[str, Sample]:
        """Voltage, current and powers of each phase, frequency."""
        samples: Mapping[str, Sample] = self._levels["measured"]
        return samples

    def drive(self, power_w: float, reactive_var: float = 0.0, *, lease_s: float = LEASE_S) -> None:
        """Convert this much for `lease_s`."""
        ratings = self.ratings
        if not -ratings.import_max_power_w <= power_w <= ratings.max_power_w:
            raise HalError(self._name, Kind.OUT_OF_RANGE, f"{power_w} W, rated for {ratings.max_power_w:g} W")
        if not abs(reactive_var) <= ratings.max_reactive_var or math.isnan(reactive_var):
            raise HalError(
                self._name,
                Kind.OUT_OF_RANGE,
                f"{reactive_var} var, rated for {ratings.max_reactive_var:g} var",
            )
        self._loop.require_intact(self._name)
        self._check(lease_s)
        self._set = (power_w, reactive_var)
        self._lease(lease_s)

    def off(self) -> None:
        """Stop converting, now."""
        self._release()

    def _energise(self) -> None:
        if self._loop.intact:
            self._charger.drive(*self._set)

    def _drop(self) -> None:
        self._charger.off()

    def _signals(self) -> dict[str, Any]:
        return {"on": self._charger.on}

    def _samples(self, now: float) -> dict[str, Any]:
        circuit, charger = self._circuit, self._charger
        volts = circuit.inlet_v if circuit.ev.closed else 0.0
        each = {"V": volts, "A": circuit.current_a}
        each |= {"W": charger.power_w / circuit.phases, "var": charger.reactive_var / circuit.phases}
        phases = {
            f"{unit}.L{phase + 1}": self.analyser.take(value, now)
            for phase in range(circuit.phases)
            for unit, value in each.items()
        }
        if volts:
            phases["Hz"] = self.analyser.take(circuit.mains_hz, now)
        return {"power": self.wattmeter.take(charger.power_w, now), "measured": phases}

    def _unknown(self) -> dict[str, Any]:
        power, measured = self._levels.get("power", NOTHING), self._levels.get("measured", {})
        return {"on": True, "power": power, "measured": measured}

    def _supervise(self) -> None:
        if not self._loop.intact:
            self._forget()
