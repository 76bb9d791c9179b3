"""A complete charging station and a complete car on one bench, in virtual time.

    bench = Bench(dc=True, seed=4711)
    station, car = bench.evse(), bench.ev()
    bench.plug()
    bench.run(1.0)

The truth is in `wire`, `circuit`, `station` and `car`; the devices of `evse()` and `ev()` tell what instruments
make of it. Faults are switched by name, see `faults`. It never reads a clock: time passes by `step`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final, Protocol

from hal.bundle import EvHardware, EvseHardware
from hal.virtual.ac_circuit import AcCircuit, OnBoardCharger
from hal.virtual.battery import Battery
from hal.virtual.converter import Converter
from hal.virtual.dc_circuit import DcCircuit
from hal.virtual.device import Line, VirtualDevice
from hal.virtual.faults import aim
from hal.virtual.gauges import IDEAL, POLL_S, Instrument, Metrology, Pin, Registers
from hal.virtual.insulation import Insulation, Monitor
from hal.virtual.measuring import (
    VirtualBattery,
    VirtualConnectorVoltage,
    VirtualIsolationMonitor,
    VirtualMeter,
    VirtualThermometers,
)
from hal.virtual.pilot_line import PilotLine
from hal.virtual.pilots import VirtualEvPilot, VirtualEvsePilot, VirtualProximity
from hal.virtual.power import VirtualAcConverter, VirtualDcSupply
from hal.virtual.protection import SafetyLoop
from hal.virtual.relay import Bolt, Relay
from hal.virtual.switchgear import VirtualContactor, VirtualLock, VirtualSafetyChain

CLOSING_S: Final = (0.03, 0.1)
"""Contactors need a time drawn from this range to close."""
SHORTEST_S: Final = 1e-4
EPOCH_S: Final = 1_767_225_600.0
"""A bench begins on 1 January 2026."""
SIDES: Final = ("evse", "ev")
PILOT_TOLERANCE: Final = 0.03
"""Of the pilot's +-12 V; with real instruments the oscillator is real, too."""
FIXED_CABLE_OHM: Final = 220.0
"""The resistor in the plug on the bench: 32 A."""


class Process(Protocol):
    """Something that goes on by itself: a ramp, a contact that flaps."""

    @property
    def due_s(self) -> float:
        """Time until it wants to be called; inf when it is over."""

    def step(self, dt: float) -> None:
        """Let time pass."""


@dataclass(slots=True)
class Side:
    """The true state of a station or a car."""

    relay: Relay
    loop: SafetyLoop = field(default_factory=SafetyLoop)
    bolt: Bolt = field(default_factory=Bolt)
    pins: dict[str, Pin] = field(
        default_factory=lambda: {"pin+": Pin(), "pin-": Pin(), "board": Pin(r_ohm=0.0)}
    )


class Bench:
    """Both sides with their devices. `dc` False is AC with `phases`; the same `seed` repeats a run to the bit.

    `metrology` IDEAL measures exactly, REAL like a usual power module. `converter` and `charger` replace the
    station's DC module and the car's on-board charger.
    """

    def __init__(
        self,
        *,
        dc: bool = True,
        seed: int = 0,
        battery: Battery | None = None,
        converter: Converter | None = None,
        charger: OnBoardCharger | None = None,
        phases: int = 3,
        metrology: Metrology = IDEAL,
        meter: Registers | None = None,
    ) -> None:
        self.now = self.utc_step_s = 0.0
        self.random = Random(seed)  # noqa: S311 - repeatable on purpose
        self.metrology = metrology
        tolerance = self.random.uniform(-PILOT_TOLERANCE, PILOT_TOLERANCE) if metrology.noise else 0.0
        self.wire = PilotLine(supply_v=12.0 * (1.0 + tolerance))
        self.plug_ohm = math.inf
        self.station, self.car = Side(self._relay()), Side(self._relay())
        battery, relays = battery or Battery(), (self.station.relay, self.car.relay)
        self.circuit: DcCircuit | AcCircuit = (
            DcCircuit(battery, *relays, converter or Converter())
            if dc
            else AcCircuit(battery, *relays, charger or OnBoardCharger(), phases=phases)
        )
        self.circuit.plugged = False
        self.insulation: Insulation = Insulation()
        self.monitor: Monitor = Monitor()
        self.registers: Registers = meter or Registers()
        self.processes: dict[tuple[str, str], Process] = {}
        self.observers: list[Callable[[], None]] = []
        self.devices: dict[tuple[str, str], VirtualDevice] = {}
        self._to_poll_s = POLL_S
        self._make_devices()

    # --- what a user does -----------------------------------------------------------------------

    @property
    def dc(self) -> bool:
        """Whether it is a DC bench."""
        return self.circuit.is_dc

    def evse(self) -> EvseHardware:
        """The station's devices, opened."""
        return EvseHardware(**self._opened("evse"))  # type: ignore[arg-type]

    def ev(self) -> EvHardware:
        """The car's devices, opened."""
        return EvHardware(**self._opened("ev"))  # type: ignore[arg-type]

    def roles(self, side: str) -> dict[str, VirtualDevice]:
        """The devices of "evse" or "ev" by their role in the bundle, opened or not."""
        return {role: device for (of, role), device in self.devices.items() if of == side}

    def device(self, side: str, role: str) -> VirtualDevice:
        """The device that plays `role` of the bundle on `side` ("evse" or "ev"); KeyError for none."""
        return self.devices[side, role]

    def side(self, name: str) -> Side:
        """The truth of "evse" or "ev"."""
        return {"evse": self.station, "ev": self.car}[name]

    def plug(self) -> None:
        """Put the connector into the inlet."""
        self._mate(True)

    def unplug(self) -> None:
        """Pull it out, by force if it is locked; what flows breaks off."""
        self._mate(False)

    def _mate(self, plugged: bool) -> None:
        self.wire.plugged = plugged
        self.plug_ohm = FIXED_CABLE_OHM if plugged else math.inf
        self.circuit.plug(plugged)

    def inject(self, name: str, *, side: str | None = None, role: str | None = None) -> None:
        """Throw a switch of `faults.FAULTS`; without side and role the first that can break so.

        KeyError for an unknown name, ValueError where it cannot happen.
        """
        switch, target = aim(self, name, side, role)
        switch.effect.on(target)

    def heal(self, name: str, *, side: str | None = None, role: str | None = None) -> None:
        """Throw it back. What has happened stays so: a device that restarted, a bolt that fell open."""
        switch, target = aim(self, name, side, role)
        switch.effect.off(target)

    def utc(self) -> float:
        """The wall clock (s since the Unix epoch): runs with the bench, but may be set (`utc_step_s`)."""
        return EPOCH_S + self.now + self.utc_step_s

    @property
    def due_s(self) -> float:
        """Longest step after which no level can have changed before its end (s)."""
        return max(SHORTEST_S, min(self._dues()))

    def step(self, dt: float) -> None:
        """Let `dt` pass (s), in as many parts as things happen."""
        self._observe()
        end = self.now + dt
        while end - self.now > 1e-9:
            part = min(self.due_s, end - self.now)
            self._advance(part)

    def hop(self, longest_s: float) -> None:
        """One part of a `step`: until something can have changed, at most `longest_s`."""
        self._observe()
        self._advance(min(self.due_s, longest_s))

    def run(self, seconds: float) -> None:
        """The same as `step`, for the reader."""
        self.step(seconds)

    # --- time -----------------------------------------------------------------------------------

    def _dues(self) -> list[float]:
        dues = [device.due_s for device in self.devices.values()]
        dues += [process.due_s for process in self.processes.values()]
        dues += [self._to_poll_s, self.circuit.due_s, self.registers.due_s]
        return dues

    def _advance(self, dt: float) -> None:
        self.now += dt
        for process in self.processes.values():
            process.step(dt)
        self.circuit.step(dt)
        self._measure(dt)
        self._protect(dt)
        self._to_poll_s -= dt
        polled = self._to_poll_s <= 1e-9
        if polled:
            self._to_poll_s = POLL_S
        for device in self.devices.values():
            device.advance(polled)
        self._observe()

    def _observe(self) -> None:
        for observer in self.observers:
            observer()

    def _measure(self, dt: float) -> None:
        """Meter, temperatures, insulation, pilot and locks."""
        circuit = self.circuit
        self.registers.add(circuit.energy_wh)
        self.registers.step(circuit.power_w, dt)
        for side in (self.station, self.car):
            side.bolt.step(dt)
            for pin in side.pins.values():
                pin.step(circuit.current_a, dt)
        poles = self.insulation.from_station(cable=self.station.relay.closed, car=self.circuit.closed)
        self.monitor.step(poles.fault_ohm, dt)
        for pilot in self._pilots:
            pilot.pass_time(dt)

    def _protect(self, dt: float) -> None:
        """Safety loops: what they open, they open here, before any software knows."""
        for side, voltage in ((self.station, self.circuit.outlet_v), (self.car, self.circuit.inlet_v)):
            side.loop.output_v = voltage
            side.loop.hottest_c = max(pin.celsius for pin in side.pins.values())
            side.loop.step(dt)
            side.relay.enabled = side.loop.intact
            if not side.loop.intact:
                side.relay.command(False)
        if not self.station.loop.intact:
            self.circuit.stop_station()
        if not self.car.loop.intact:
            self.circuit.stop_car()

    # --- what it is built of --------------------------------------------------------------------

    def _relay(self) -> Relay:
        return Relay(lambda: self.random.uniform(*CLOSING_S))

    def _clock(self) -> float:
        return self.now

    def _gauge(self) -> Instrument:
        return Instrument(self.metrology, self.random)

    def _opened(self, side: str) -> dict[str, VirtualDevice]:
        roles = self.roles(side)
        for device in roles.values():
            device.connect()
        return roles

    def _make_devices(self) -> None:
        for side in SIDES:
            self._make_common(side)
        evse_pilot = VirtualEvsePilot(*self._named("evse", "pilot"), self.wire, self._gauge())
        ev_pilot = VirtualEvPilot(*self._named("ev", "pilot"), self.wire)
        self._pilots = (evse_pilot, ev_pilot)
        self.devices |= {("evse", "pilot"): evse_pilot, ("ev", "pilot"): ev_pilot}
        self.devices["evse", "meter"] = VirtualMeter(*self._named("evse", "meter"), self.registers, self.utc)
        self.devices["evse", "proximity"] = VirtualProximity(
            *self._named("evse", "proximity"), lambda: self.plug_ohm
        )
        self.devices["ev", "battery"] = VirtualBattery(
            *self._named("ev", "battery"), self.circuit.battery, lambda: self.circuit.battery_a
        )
        if isinstance(self.circuit, DcCircuit):
            self._make_dc(self.circuit)
        else:
            self.devices["ev", "charger"] = VirtualAcConverter(
                *self._named("ev", "charger"), self.circuit, self.car.loop, (self._gauge(), self._gauge())
            )

    def _make_common(self, name: str) -> None:
        side = self.side(name)
        self.devices[name, "contactor"] = VirtualContactor(
            *self._named(name, "contactor"), side.relay, side.loop
        )
        self.devices[name, "lock"] = VirtualLock(*self._named(name, "lock"), side.bolt)
        self.devices[name, "safety"] = VirtualSafetyChain(*self._named(name, "safety"), side.loop)
        self.devices[name, "thermometers"] = VirtualThermometers(
            *self._named(name, "thermometers"), side.pins, self._gauge()
        )

    def _make_dc(self, circuit: DcCircuit) -> None:
        self.devices["evse", "supply"] = VirtualDcSupply(
            *self._named("evse", "supply"),
            circuit.converter,
            self.station.loop,
            (self._gauge(), self._gauge()),
        )
        self.devices["evse", "isolation"] = VirtualIsolationMonitor(
            *self._named("evse", "isolation"), self.monitor, Instrument(IDEAL, self.random), self._disturbed
        )
        self.devices["evse", "outlet"] = VirtualConnectorVoltage(
            *self._named("evse", "outlet"), lambda: self.circuit.outlet_v, self._gauge()
        )
        self.devices["ev", "inlet"] = VirtualConnectorVoltage(
            *self._named("ev", "inlet"), lambda: self.circuit.inlet_v, self._gauge()
        )

    def _named(self, side: str, role: str) -> tuple[str, Callable[[], float], Line]:
        return f"virtual.{side}.{role}", self._clock, Line(self.random, self.metrology.delay_s)

    def _disturbed(self) -> bool:
        return self.insulation.car_monitor and self.circuit.closed
