"""What the devices of one side tell at one moment, as one value: everything else is judged on it."""

from __future__ import annotations

from dataclasses import dataclass

from hal.bundle import EvHardware, EvseHardware
from hal.meter import MeterReading
from hal.types import NOTHING, Check, ContactorState, CpState, Sample
from hal.vehicle import BatteryStatus
from iso15118.hardware.derating import hottest


@dataclass(frozen=True, slots=True)
class EvseReadings:
    """Levels of a station's devices. What is not there is None, or NOTHING for a sample."""

    now: float
    dc: bool
    cp: CpState | None
    contactor: ContactorState
    locked: bool | None
    tripped: frozenset[str]
    armed: bool
    supply_on: bool
    voltage: Sample
    current: Sample
    outlet: Sample
    resistance: Sample
    self_test: Check
    temperature: Sample | None
    meter: MeterReading | None
    ampacity_a: float | None

    @property
    def ready(self) -> bool:
        """Whether the EV is ready for energy (pilot C or D)."""
        return self.cp is not None and self.cp.ready


@dataclass(frozen=True, slots=True)
class EvReadings:
    """Levels of a car's devices, likewise."""

    now: float
    dc: bool
    cp: CpState
    duty: Sample
    plugged: bool | None
    contactor: ContactorState
    locked: bool | None
    tripped: frozenset[str]
    inlet: Sample
    battery: BatteryStatus | None
    converting: bool
    power: Sample
    temperature: Sample | None


def read_evse(hardware: EvseHardware, now: float) -> EvseReadings:
    """Read all levels of a station. Without a lock the cable is fixed and cannot come off."""
    supply, isolation, safety = hardware.supply, hardware.isolation, hardware.safety
    return EvseReadings(
        now=now,
        dc=supply is not None,
        cp=hardware.pilot.state,
        contactor=hardware.contactor.state,
        locked=hardware.lock.locked if hardware.lock else True,
        tripped=safety.tripped if safety else frozenset(),
        armed=safety.armed if safety else False,
        supply_on=supply.on if supply else False,
        voltage=supply.voltage if supply else NOTHING,
        current=supply.current if supply else NOTHING,
        outlet=hardware.outlet.voltage if hardware.outlet else NOTHING,
        resistance=isolation.resistance if isolation else NOTHING,
        self_test=isolation.self_test if isolation else Check.IDLE,
        temperature=hottest(hardware.thermometers.temperatures) if hardware.thermometers else None,
        meter=hardware.meter.reading if hardware.meter else None,
        ampacity_a=hardware.proximity.ampacity_a if hardware.proximity else None,
    )


def read_ev(hardware: EvHardware, now: float) -> EvReadings:
    """Read all levels of a car."""
    inlet, charger = hardware.inlet, hardware.charger
    return EvReadings(
        now=now,
        dc=inlet is not None,
        cp=hardware.pilot.state,
        duty=hardware.pilot.duty,
        plugged=hardware.pilot.plugged,
        contactor=hardware.contactor.state,
        locked=hardware.lock.locked if hardware.lock else True,
        tripped=hardware.safety.tripped if hardware.safety else frozenset(),
        inlet=inlet.voltage if inlet else NOTHING,
        battery=hardware.battery.status,
        converting=charger.on if charger else False,
        power=charger.power if charger else NOTHING,
        temperature=hottest(hardware.thermometers.temperatures) if hardware.thermometers else None,
    )
