"""A station's board without a controller of its own, made from tables (extra `linux-io`).

    [board.main]                                    # see `hal.build`
    driver = "linux-board"
    gpio = "/dev/gpiochip0"                         # lines go by their names, "!NAME" is active when low
    heartbeat = "COIL_PUMP"
    contactor = { coil = "COIL", mirror = "MIRROR" }
    proximity = { input = { device = "ads7950", channel = 2 }, pull_up_ohm = 1000, series_ohm = 220 }
    thermometers = { "pin+" = { device = "max31865", channel = "temp" } }
    outlet = { device = "ads7950", channel = 4, gain = 401.0 }   # a DC station's connector; a car's: inlet
    safety = { emergency_stop = "!STOP" }

    [board.main.pilot]
    pwm = { chip = "pwmchip0", channel = 0 }
    high = { device = "ads7950", channel = 0, gain = 9.582, offset_v = -16.013 }
    low = { device = "ads7950", channel = 1, gain = 9.582, offset_v = -16.013 }

    [board.main.lock]
    forward = "LOCK_IN1"
    backward = "LOCK_IN2"
    sense = { device = "ads7950", channel = 3 }

There is no controller to act when this process dies: name a `heartbeat` line that feeds a charge pump or a
watchdog in the supply of the contactor's coil; it changes with each look as long as the process lives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from types import MappingProxyType
from typing import Any, Final, TypeVar

from hal.drivers.driver import Driver
from hal.drivers.link import Link
from hal.drivers.linux_dialog import BoardDialog
from hal.drivers.linux_gauges import (
    BoardPilot,
    BoardProximity,
    BoardSafety,
    BoardThermometers,
    BoardVoltage,
    PilotPins,
    ProximityPins,
)
from hal.drivers.linux_io import Files, GpiodLines
from hal.drivers.linux_switches import BoardContactor, BoardLock, ContactorPins, LockPins
from hal.errors import HalError, Kind
from hal.registry import suggest

URL: Final = "local://board"

T = TypeVar("T")
Table = Mapping[str, Any]

ROLES: Final[Mapping[str, tuple[Any, type | None]]] = MappingProxyType(
    {
        "pilot": (BoardPilot, PilotPins),
        "contactor": (BoardContactor, ContactorPins),
        "lock": (BoardLock, LockPins),
        "proximity": (BoardProximity, ProximityPins),
        "outlet": (BoardVoltage, None),
        "inlet": (BoardVoltage, None),
        "thermometers": (BoardThermometers, None),
        "safety": (BoardSafety, None),
    }
)
"""Role -> its driver, and what its table holds; for a voltage the input (see `Adc`), for thermometers such a table a
place, for the safety chain a line for each thing that trips."""


def board(
    *,
    gpio: str = "/dev/gpiochip0",
    heartbeat: str = "",
    name: str = "linux-board",
    root: str = "/",
    **roles: Table,
) -> dict[str, Driver]:
    """The devices of these tables, role -> device; what a table holds is declared in `ROLES`.

    `root` is where the kernel's files begin. HalError(CONFIGURATION) for tables that are not as declared.
    """
    dialog = BoardDialog(name, Files(root), GpiodLines(gpio), heartbeat=heartbeat)
    devices = assemble(dialog, roles)
    Link(URL, dialog)
    return devices


def assemble(dialog: BoardDialog, roles: Mapping[str, Table]) -> dict[str, Driver]:
    """Put devices on a dialog. HalError(CONFIGURATION) as of `board`."""
    return {role: _device(dialog, role, table) for role, table in roles.items()}


def _device(dialog: BoardDialog, role: str, table: Table) -> Driver:
    name = f"{dialog.name}.{role}"
    if role not in ROLES:
        raise HalError(
            name,
            Kind.CONFIGURATION,
            f"unknown option {role}",
            next_step=suggest(role, {*ROLES, "gpio", "heartbeat"}),
        )
    kind, pins = ROLES[role]
    try:
        device: Driver = kind(name, dialog, table if pins is None else _pins(pins, table))
    except (TypeError, ValueError) as error:
        raise HalError(name, Kind.CONFIGURATION, str(error)) from error
    return device


def _pins(declared: type[T], table: Table) -> T:
    """The table as declared. ValueError names keys that are missing or unknown."""
    known = {f.name: f for f in fields(declared)}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise ValueError(f"unknown key {key}. {suggest(key, known)}")
    missing = [
        key
        for key, f in known.items()
        if f.default is MISSING and f.default_factory is MISSING and key not in table
    ]
    if missing:
        raise ValueError(f"{', '.join(missing)} missing")
    return declared(**table)
