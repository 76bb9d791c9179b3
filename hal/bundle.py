"""The set of devices a charger or a car is built from, checked for completeness before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

from hal.device import Device
from hal.errors import HalError, Kind
from hal.meter import EnergyMeter
from hal.pilot import EvPilot, EvsePilot, Proximity
from hal.plc import EthernetPort
from hal.power import AcConverter, DcSupply
from hal.safety import ConnectorLock, ConnectorVoltage, Contactor, IsolationMonitor, SafetyChain, Thermometers
from hal.types import Fault
from hal.vehicle import TractionBattery


class _Bundle:
    """What both bundles can do with their devices."""

    def devices(self) -> Iterator[tuple[str, Device]]:
        """The parts that are there, by role; a device that plays two roles comes twice."""
        for field in fields(self):  # type: ignore[arg-type]
            device = getattr(self, field.name)
            if device is not None:
                yield field.name, device

    def require(self, energy: str, roles: tuple[str, ...]) -> None:
        """HalError(CONFIGURATION) naming every one of `roles` that is missing for `energy`."""
        missing = [role for role in roles if getattr(self, role) is None]
        if missing:
            raise HalError(
                type(self).__name__,
                Kind.CONFIGURATION,
                f"{energy} needs {', '.join(missing)}",
                next_step="Add a driver for each, or remove the service from the configuration",
            )

    def faults(self) -> list[tuple[str, Fault]]:
        """Every fault of every device, with the role of the device."""
        return [(role, fault) for role, device in self.devices() for fault in device.faults]

    def on_change(self, notify: Callable[[], None]) -> None:
        """Be told when any level of any device changes."""
        for device in self._distinct():
            device.on_change(notify)

    async def open(self) -> None:
        """Open every device, in the order of the fields; where one fails, close those that are open."""
        opened: list[Device] = []
        try:
            for device in self._distinct():
                opened.append(device)
                await device.open()
        except BaseException:
            for device in reversed(opened):
                await device.close()
            raise

    async def close(self) -> None:
        """Close every device, the last one first."""
        for device in reversed(list(self._distinct())):
            await device.close()

    def _distinct(self) -> Iterator[Device]:
        seen: set[int] = set()
        for _, device in self.devices():
            if id(device) not in seen:
                seen.add(id(device))
                yield device


@dataclass(frozen=True, slots=True)
class EvseHardware(_Bundle):
    """A charging station's devices. DC needs supply and isolation monitor, AC a contactor; see `check`."""

    pilot: EvsePilot
    contactor: Contactor
    lock: ConnectorLock | None = None
    safety: SafetyChain | None = None
    meter: EnergyMeter | None = None
    thermometers: Thermometers | None = None
    proximity: Proximity | None = None
    supply: DcSupply | None = None
    isolation: IsolationMonitor | None = None
    outlet: ConnectorVoltage | None = None
    port: EthernetPort | None = None

    def check(self, *, dc: bool) -> None:
        """Whether all is there for a DC (or AC) station; HalError(CONFIGURATION) names what is missing."""
        if dc:
            self.require("DC charging", ("supply", "isolation", "safety", "lock"))
        else:
            self.require("AC charging", ("safety",))


@dataclass(frozen=True, slots=True)
class EvHardware(_Bundle):
    """A car's devices. DC needs the inlet voltage, AC an on-board charger; see `check`."""

    pilot: EvPilot
    contactor: Contactor
    battery: TractionBattery
    lock: ConnectorLock | None = None
    inlet: ConnectorVoltage | None = None
    charger: AcConverter | None = None
    safety: SafetyChain | None = None
    thermometers: Thermometers | None = None
    port: EthernetPort | None = None

    def check(self, *, dc: bool) -> None:
        """Whether all is there for DC (or AC); HalError(CONFIGURATION) names what is missing."""
        self.require("DC charging" if dc else "AC charging", ("inlet",) if dc else ("charger",))
