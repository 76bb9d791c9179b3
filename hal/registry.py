"""From a driver's name to a device: `hal.open_device("scpi", port="/dev/ttyUSB0")`.

Names are looked up in the table below, then among installed entry points of the group `iso15118.hal`. The module
of a driver is imported when its device is made, so that nobody pays for what he does not use.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
from typing import Any, Final

from hal.errors import HalError, Kind

ENTRY_POINTS: Final = "iso15118.hal"

DRIVERS: Final[dict[str, str]] = {
    "virtual-evse-pilot": "hal.virtual.realtime:evse_pilot",
    "virtual-evse-contactor": "hal.virtual.realtime:evse_contactor",
    "virtual-evse-lock": "hal.virtual.realtime:evse_lock",
    "virtual-evse-safety": "hal.virtual.realtime:evse_safety",
    "virtual-evse-meter": "hal.virtual.realtime:evse_meter",
    "virtual-evse-thermometers": "hal.virtual.realtime:evse_thermometers",
    "virtual-evse-proximity": "hal.virtual.realtime:evse_proximity",
    "virtual-evse-supply": "hal.virtual.realtime:evse_supply",
    "virtual-evse-isolation": "hal.virtual.realtime:evse_isolation",
    "virtual-ev-pilot": "hal.virtual.realtime:ev_pilot",
    "virtual-ev-contactor": "hal.virtual.realtime:ev_contactor",
    "virtual-ev-lock": "hal.virtual.realtime:ev_lock",
    "virtual-ev-safety": "hal.virtual.realtime:ev_safety",
    "virtual-ev-thermometers": "hal.virtual.realtime:ev_thermometers",
    "virtual-ev-battery": "hal.virtual.realtime:ev_battery",
    "virtual-ev-inlet": "hal.virtual.realtime:ev_inlet",
    "virtual-ev-charger": "hal.virtual.realtime:ev_charger",
}
"""Name -> "module:factory"."""


def names() -> list[str]:
    """Every driver that can be asked for."""
    return sorted({*DRIVERS, *(e.name for e in importlib.metadata.entry_points(group=ENTRY_POINTS))})


def make(name: str, **options: Any) -> Any:
    """Make the device `name` with its options; it is not opened yet.

    HalError(CONFIGURATION) for an unknown name or options the driver does not take,
    HalError(MISSING_EXTRA) where a package is missing.
    """
    factory = _factory(name)
    try:
        return factory(**options)
    except TypeError as error:
        raise HalError(name, Kind.CONFIGURATION, str(error)) from error


def extra(name: str, module: str, extra_name: str) -> Any:
    """Import `module`, which comes with the extra `extra_name`; HalError(MISSING_EXTRA) where it is absent."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise HalError(
            name,
            Kind.MISSING_EXTRA,
            f"the package {error.name or module} is not installed",
            next_step=f"pip install 'iso15118-stack[{extra_name}]'",
        ) from error


def _factory(name: str) -> Any:
    target = DRIVERS.get(name)
    if target is not None:
        module, _, attribute = target.partition(":")
        return getattr(importlib.import_module(module), attribute)
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS, name=name):
        return entry.load()
    close = difflib.get_close_matches(name, names(), n=1)
    hint = f"Did you mean {close[0]}?" if close else f"Known: {', '.join(names())}"
    raise HalError(name, Kind.CONFIGURATION, "no such driver", next_step=hint)
