"""Which suite belongs to which device protocol."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from hal.meter import EnergyMeter
from hal.pilot import EvPilot, EvsePilot, Proximity
from hal.plc import EthernetPort
from hal.power import AcConverter, DcSupply
from hal.safety import (
    ConnectorLock,
    ConnectorVoltage,
    Contactor,
    IsolationMonitor,
    SafetyChain,
    Thermometers,
)
from hal.testing import ethernet, gauges, pilots, switches
from hal.testing.common import Behaviour
from hal.vehicle import TractionBattery

SUITES: Final[dict[type, tuple[Behaviour, ...]]] = {
    EvsePilot: pilots.EVSE_PILOT,
    EvPilot: pilots.EV_PILOT,
    Proximity: pilots.PROXIMITY,
    Contactor: switches.CONTACTOR,
    ConnectorLock: switches.LOCK,
    DcSupply: switches.DC_SUPPLY,
    AcConverter: switches.AC_CONVERTER,
    IsolationMonitor: gauges.ISOLATION,
    SafetyChain: gauges.SAFETY,
    Thermometers: gauges.THERMOMETERS,
    EnergyMeter: gauges.METER,
    TractionBattery: gauges.BATTERY,
    ConnectorVoltage: gauges.CONNECTOR_VOLTAGE,
    EthernetPort: ethernet.ETHERNET,
}
"""Device protocol -> what it promises."""


def behaviours(protocol: type, *, without: Collection[str] = ()) -> list[Behaviour]:
    """The suite of a device protocol, leaving out what needs one of `without`.

    KeyError for what is no device protocol, ValueError for a need that no behaviour of the suite has.
    """
    suite = SUITES[protocol]
    unknown = set(without) - {need for behaviour in suite for need in behaviour.needs}
    if unknown:
        raise ValueError(f"no behaviour of {protocol.__name__} needs {', '.join(sorted(unknown))}")
    return [behaviour for behaviour in suite if not behaviour.needs & set(without)]
