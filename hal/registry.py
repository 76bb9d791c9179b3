"""From a driver's name to a device: `registry.make("scpi", url="serial:///dev/ttyUSB0")`.

Names are looked up in the tables below, then among installed entry points of the groups `iso15118.hal`,
`iso15118.hal.boards` and `iso15118.hal.buses`. The module of a driver is imported when its device is made, so
that nobody pays for what he does not use. `build` makes a whole station or car from a file.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import inspect
from collections.abc import Iterable, Mapping
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
    "virtual-evse-outlet": "hal.virtual.realtime:evse_outlet",
    "virtual-ev-pilot": "hal.virtual.realtime:ev_pilot",
    "virtual-ev-contactor": "hal.virtual.realtime:ev_contactor",
    "virtual-ev-lock": "hal.virtual.realtime:ev_lock",
    "virtual-ev-safety": "hal.virtual.realtime:ev_safety",
    "virtual-ev-thermometers": "hal.virtual.realtime:ev_thermometers",
    "virtual-ev-battery": "hal.virtual.realtime:ev_battery",
    "virtual-ev-inlet": "hal.virtual.realtime:ev_inlet",
    "virtual-ev-charger": "hal.virtual.realtime:ev_charger",
    "infypower": "hal.drivers.infypower:supply",
    "bender-isocha425": "hal.drivers.bender:isolation_monitor",
    "sdm630": "hal.drivers.meters:sdm630",
    "sdm72": "hal.drivers.meters:sdm72",
    "sdm230": "hal.drivers.meters:sdm230",
    "ea-psb": "hal.drivers.scpi:ea_psb",
    "ea-psi": "hal.drivers.scpi:ea_psi",
    "delta-sm15k": "hal.drivers.scpi:delta_sm15k",
    "modem-interface": "hal.drivers.packet_port:PacketPort",
    "modem-uart": "hal.drivers.uart_port:UartPort",
    "modem-udp": "hal.drivers.udp_port:UdpPort",
}
"""Name -> "module:factory"; the factory makes one device."""

BOARDS: Final[dict[str, str]] = {
    "linux-board": "hal.drivers.linux_board:board",
    "chargebyte": "hal.drivers.chargebyte:board",
    "yeti": "hal.drivers.yeti:board",
    "yeti-ev": "hal.drivers.yeti_ev:board",
}
"""Name -> "module:factory" of what has several devices on one connection: the factory makes them all, role ->
device (the roles of `bundle`). A name may stand in `DRIVERS`, too, for a board that is used for one role."""

BUSES: Final[dict[str, str]] = {
    "modbus": "hal.drivers.modbus:bus",
}
"""Name -> "module:factory" of what drivers share: the factory makes it, the drivers take it as `bus`."""


def names() -> list[str]:
    """Every driver of one device that can be asked for."""
    return _names(DRIVERS, ENTRY_POINTS)


def make(name: str, /, **options: Any) -> Any:
    """Make the device `name` with its options; it is not opened yet.

    HalError(CONFIGURATION) for an unknown name or options the driver does not take,
    HalError(MISSING_EXTRA) where a package is missing.
    """
    return _make(DRIVERS, ENTRY_POINTS, "driver", name, options)


def make_board(name: str, /, **options: Any) -> Mapping[str, Any]:
    """Make all devices of the board `name`, role -> device; they share its connection. Errors as of `make`."""
    board: Mapping[str, Any] = _make(BOARDS, f"{ENTRY_POINTS}.boards", "board", name, options)
    return board


def make_bus(name: str, /, **options: Any) -> Any:
    """Make the bus `name`, which drivers take as their option `bus`. Errors as of `make`."""
    return _make(BUSES, f"{ENTRY_POINTS}.buses", "bus", name, options)


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


def _make(table: Mapping[str, str], group: str, kind: str, name: str, options: Mapping[str, Any]) -> Any:
    factory = _factory(table, group, kind, name)
    _check(name, inspect.signature(factory).parameters, options)
    try:
        return factory(**options)
    except (TypeError, ValueError) as error:
        raise HalError(name, Kind.CONFIGURATION, str(error)) from error


def _check(name: str, known: Mapping[str, inspect.Parameter], options: Mapping[str, Any]) -> None:
    """HalError(CONFIGURATION) for options that are not among `known`, and for those that are missing."""
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    for option in () if anything else sorted(options.keys() - known.keys()):
        raise HalError(name, Kind.CONFIGURATION, f"unknown option {option}", next_step=suggest(option, known))
    missing = [
        option
        for option, parameter in known.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        and option not in options
    ]
    if missing:
        raise HalError(name, Kind.CONFIGURATION, f"it needs {', '.join(missing)}")


def suggest(word: str, known: Iterable[str]) -> str:
    """What may have been meant by an unknown word."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1)
    return f"Did you mean {close[0]}?" if close else f"Known: {', '.join(known) or 'none'}"


def _factory(table: Mapping[str, str], group: str, kind: str, name: str) -> Any:
    target = table.get(name)
    if target is not None:
        module, _, attribute = target.partition(":")
        return getattr(importlib.import_module(module), attribute)
    for entry in importlib.metadata.entry_points(group=group, name=name):
        return entry.load()
    hint = suggest(name, _names(table, group))
    raise HalError(name, Kind.CONFIGURATION, f"no such {kind}", next_step=hint)


def _names(table: Mapping[str, str], group: str) -> list[str]:
    return sorted({*table, *(entry.name for entry in importlib.metadata.entry_points(group=group))})
