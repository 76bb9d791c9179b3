"""What only a car has: its battery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hal.device import Device


@dataclass(frozen=True, slots=True)
class BatteryStatus:
    """What the battery management tells at one moment. Limits are >= 0; current is signed, + charging."""

    at: float
    soc_percent: float
    voltage_v: float
    current_a: float
    capacity_wh: float
    max_voltage_v: float
    min_voltage_v: float
    max_charge_a: float
    max_discharge_a: float
    max_charge_w: float
    max_discharge_w: float
    temperature_c: float = 25.0


class TractionBattery(Device, Protocol):
    """Battery management, usually on the car's CAN."""

    @property
    def status(self) -> BatteryStatus | None:
        """The last status; None before the first."""
