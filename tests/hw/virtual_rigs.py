"""Benches in a known state, and rigs for the behaviour suites: each virtual device on a bench of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from hal.meter import EnergyMeter
from hal.pilot import EvPilot, EvsePilot, Proximity
from hal.power import AcConverter, DcSupply
from hal.safety import (
    ConnectorLock,
    ConnectorVoltage,
    Contactor,
    IsolationMonitor,
    SafetyChain,
    Thermometers,
)
from hal.types import CpState
from hal.vehicle import TractionBattery
from hal.virtual.bench import Bench
from hal.virtual.device import BOOT_S, WATCHDOG_S
from hal.virtual.watch import Watcher


def charging_dc(seed: int = 1, **options: Any) -> tuple[Bench, Watcher]:
    """A bench on which 100 A flow, with leases that outlive every test."""
    bench = Bench(seed=seed, **options)
    watcher = Watcher(bench)
    station, car = bench.evse(), bench.ev()
    bench.plug()
    station.pilot.set_duty(5.0)
    for lock in (station.lock, car.lock):
        lock.lock()
    bench.run(0.5)
    car.pilot.set_state(CpState.C)
    bench.run(0.1)
    station.contactor.close_contacts(lease_s=1000.0)
    bench.run(0.2)
    station.supply.drive(bench.circuit.battery.emf_v, 2.0, lease_s=1000.0)
    bench.run(1.5)
    car.contactor.close_contacts(lease_s=1000.0)
    bench.run(0.3)
    station.supply.drive(420.0, 100.0, lease_s=1000.0)
    bench.run(5.0)
    return bench, watcher


def stop(bench: Bench) -> None:
    """In the right order: current, car's contactor, voltage, station's contactor, locks."""
    station, car = bench.evse(), bench.ev()
    station.supply.off()
    bench.run(0.1)
    car.contactor.open_contacts()
    bench.run(0.5)
    station.contactor.open_contacts()
    car.pilot.set_state(CpState.B)
    bench.run(0.2)
    for lock in (station.lock, car.lock):
        lock.unlock()
    bench.run(0.5)


class VirtualRig:
    """One device of a bench; the other devices are there, too."""

    noticed_s = 0.25
    watchdog_s = WATCHDOG_S + 0.2
    reconnect_s = BOOT_S + 0.2

    def __init__(self, bench: Bench, side: str, role: str, truth: Any, *, settle_s: float = 1.0) -> None:
        self.bench, self.truth, self.settle_s = bench, truth, settle_s
        (bench.evse if side == "evse" else bench.ev)()
        self.device: Any = bench.device(side, role)

    @property
    def now(self) -> float:
        return self.bench.now

    @property
    def safe(self) -> bool:
        return bool(self.truth.safe)

    def run(self, seconds: float) -> None:
        self.bench.run(seconds)

    def open(self) -> None:
        self.device.connect()

    def close(self) -> None:
        self.device.disconnect()

    def cut(self) -> None:
        self.device.line.up = False

    def restore(self) -> None:
        self.device.line.up = True

    def reboot(self) -> None:
        self.device.reboot()


class Truth:
    """What is physically the case on a bench; nothing that can be energised, unless told otherwise below."""

    safe = True

    def __init__(self, bench: Bench, side: str) -> None:
        self.bench, self.side = bench, bench.side(side)


class EvsePilotTruth(Truth):
    @property
    def duty(self) -> float:
        return self.bench.wire.duty

    @property
    def safe(self) -> bool:
        return self.duty in (0.0, 100.0)

    def vehicle(self, state: CpState) -> None:
        wire = self.bench.wire
        wire.short_ohm = 10.0 if state is CpState.E else math.inf
        wire.plugged = state is not CpState.A
        if state in (CpState.B, CpState.C, CpState.D):
            wire.state = state


class EvPilotTruth(Truth):
    def __init__(self, bench: Bench, side: str) -> None:
        super().__init__(bench, side)
        bench.plug()

    @property
    def state(self) -> CpState:
        return self.bench.wire.state

    @property
    def safe(self) -> bool:
        return self.state is CpState.B

    def station(self, duty: float) -> None:
        pilot = self.bench.evse().pilot
        pilot.set_duty(duty) if duty else pilot.set_unavailable()

    def plug(self, plugged: bool) -> None:
        self.bench.plug() if plugged else self.bench.unplug()


class ContactorTruth(Truth):
    @property
    def closed(self) -> bool:
        return self.side.relay.closed

    @property
    def safe(self) -> bool:
        return not self.closed

    def weld(self) -> None:
        self.side.relay.welded = True

    def stick(self) -> None:
        self.side.relay.stuck_open = True


class LockTruth(Truth):
    @property
    def locked(self) -> bool:
        return self.side.bolt.locked

    def jam(self) -> None:
        self.side.bolt.jammed = True


class SupplyTruth(Truth):
    @property
    def _converter(self) -> Any:
        return self.bench.circuit.converter  # type: ignore[union-attr]

    @property
    def on(self) -> bool:
        return self._converter.on

    @property
    def safe(self) -> bool:
        return not self.on

    @property
    def voltage_v(self) -> float:
        return self._converter.voltage_v

    @property
    def current_limit_a(self) -> float:
        return self._converter.limit_a

    def forget(self) -> None:
        self._converter.set_v = self._converter.set_a = 0.0


class ConverterTruth(Truth):
    def __init__(self, bench: Bench, side: str) -> None:
        super().__init__(bench, side)
        bench.plug()
        for relay in (bench.station.relay, bench.car.relay):
            relay.slip(True)

    @property
    def power_w(self) -> float:
        return self.bench.circuit.power_w

    @property
    def safe(self) -> bool:
        return not self.bench.circuit.charger.on  # type: ignore[union-attr]


class IsolationTruth(Truth):
    @property
    def measuring(self) -> bool:
        return self.bench.monitor.measuring

    @property
    def safe(self) -> bool:
        return not self.measuring

    def earth(self, ohm: float) -> None:
        self.bench.insulation.station_ohm = 2 * ohm

    def break_self_test(self) -> None:
        self.bench.monitor.test_fails = True


class SafetyTruth(Truth):
    def trip(self, name: str) -> None:
        self.side.loop.causes.add(name)

    def clear(self, name: str) -> None:
        self.side.loop.causes.discard(name)

    def output(self, voltage_v: float) -> None:
        self.bench.plug()
        self.bench.station.relay.slip(True)
        self.bench.run(0.01)
        self.bench.circuit.converter.voltage_v = voltage_v  # type: ignore[union-attr]


class ThermometersTruth(Truth):
    def heat(self, celsius: float) -> None:
        for pin in self.side.pins.values():
            pin.ambient_c = pin.celsius = celsius


class MeterTruth(Truth):
    def count(self, import_wh: float, export_wh: float) -> None:
        self.bench.registers.add(import_wh)
        self.bench.registers.add(-export_wh)


class ProximityTruth(Truth):
    def insert(self, ohm: float | None) -> None:
        self.bench.plug_ohm = math.inf if ohm is None else ohm


class BatteryTruth(Truth):
    def charge(self, soc_percent: float) -> None:
        battery = self.bench.circuit.battery
        battery.charge_as = soc_percent / 100.0 * battery.capacity_as


class ConnectorTruth(Truth):
    def apply(self, voltage_v: float) -> None:
        circuit = self.bench.circuit
        circuit.plug(True)
        circuit.outlet_v = voltage_v
        circuit.cable_bleeder_ohm = math.inf  # type: ignore[union-attr]


def rig(
    side: str, role: str, truth: Callable[[Bench, str], Any], settle_s: float = 1.0, dc: bool = True
) -> VirtualRig:
    bench = Bench(dc=dc, seed=1)
    return VirtualRig(bench, side, role, truth(bench, side), settle_s=settle_s)


DEVICES: list[tuple[type, Callable[[], VirtualRig]]] = [
    (EvsePilot, partial(rig, "evse", "pilot", EvsePilotTruth)),
    (EvPilot, partial(rig, "ev", "pilot", EvPilotTruth)),
    (Proximity, partial(rig, "evse", "proximity", ProximityTruth)),
    (Contactor, partial(rig, "evse", "contactor", ContactorTruth)),
    (Contactor, partial(rig, "ev", "contactor", ContactorTruth)),
    (ConnectorLock, partial(rig, "evse", "lock", LockTruth)),
    (ConnectorLock, partial(rig, "ev", "lock", LockTruth)),
    (DcSupply, partial(rig, "evse", "supply", SupplyTruth, 2.0)),
    (AcConverter, partial(rig, "ev", "charger", ConverterTruth, 20.0, False)),
    (IsolationMonitor, partial(rig, "evse", "isolation", IsolationTruth, 20.0)),
    (SafetyChain, partial(rig, "evse", "safety", SafetyTruth)),
    (SafetyChain, partial(rig, "ev", "safety", SafetyTruth)),
    (Thermometers, partial(rig, "evse", "thermometers", ThermometersTruth)),
    (EnergyMeter, partial(rig, "evse", "meter", MeterTruth, 2.0)),
    (TractionBattery, partial(rig, "ev", "battery", BatteryTruth)),
    (ConnectorVoltage, partial(rig, "ev", "inlet", ConnectorTruth)),
    (ConnectorVoltage, partial(rig, "evse", "outlet", ConnectorTruth)),
]
