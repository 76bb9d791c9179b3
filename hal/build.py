"""A station's or a car's devices from a TOML file: `load_evse("station.toml")`.

    energy = "dc"                       # what the set is checked for: "dc" or "ac"
    lock = "virtual"                    # or `virtual = true` for all roles that are not named

    [board.main]                        # several devices behind one connection; each takes its role
    driver = "chargebyte"
    url = "serial:///dev/ttyS1"

    [bus.cabinet]                       # one port that several drivers share
    url = "serial:///dev/ttyUSB0?baud=9600"

    [isolation]                         # a table for each further role (the fields of `bundle`)
    driver = "bender-isocha425"
    bus = "cabinet"
    unit = 3

    [supply]
    driver = "infypower"
    url = "can://can0"

Every error names the file, the table, what is wrong and what would be right. Nothing is opened here.
"""

from __future__ import annotations

import tomllib
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hal import registry
from hal.bundle import EvHardware, EvseHardware
from hal.errors import HalError, Kind

if TYPE_CHECKING:
    from hal.virtual.realtime import LiveBench

VIRTUAL: Final = "virtual"
BUS: Final = "modbus"
"""What kind of bus a table of `bus` is, if it does not say."""
ENERGIES: Final = ("ac", "dc")

Hardware = EvseHardware | EvHardware
Table = dict[str, Any]


def load_evse(path: str | Path, *, bench: LiveBench | None = None) -> EvseHardware:
    """The devices of a station, checked for completeness; virtual ones stand on `bench`, or on a new one.

    HalError(CONFIGURATION) for whatever is wrong with the file, HalError(MISSING_EXTRA) where a driver's package
    is not installed.
    """
    hardware = _Builder(Path(path), EvseHardware, "evse", bench).build()
    assert isinstance(hardware, EvseHardware)
    return hardware


def load_ev(path: str | Path, *, bench: LiveBench | None = None) -> EvHardware:
    """The devices of a car. As `load_evse`; on the same `bench`, virtual station and car meet."""
    hardware = _Builder(Path(path), EvHardware, "ev", bench).build()
    assert isinstance(hardware, EvHardware)
    return hardware


class _Builder:
    """One file being read. `_where` is the table that is being worked on, for errors."""

    def __init__(self, path: Path, bundle: type[Hardware], side: str, bench: LiveBench | None) -> None:
        self._path, self._bundle, self._side, self._bench = path, bundle, side, bench
        self._where = ""
        self._protocols = _protocols(bundle)
        self._tables = self._read()
        self._virtual: Mapping[str, Any] | None = None
        self._buses: Table = {}
        self._used: set[str] = set()

    def build(self) -> Hardware:
        """Everything."""
        tables = self._tables
        self._expect_keys(tables, {*self._protocols, "board", "bus", "energy", VIRTUAL})
        energy = tables.get("energy")
        if energy not in (*ENERGIES, None):
            raise self._error(f"energy is {energy!r}", "Use dc or ac")
        if not isinstance(tables.get(VIRTUAL, False), bool | dict):
            raise self._error(
                f"virtual is {tables[VIRTUAL]!r}", "Use true, or a table of options of the bench"
            )
        self._make_buses()
        devices = self._boards()
        for role in self._protocols:
            if role in tables:
                self._where = role
                devices[role] = self._role(role, tables[role])
        if tables.get(VIRTUAL, False) is not False:
            devices = {**self._on_the_bench(), **devices}
        self._where = ""
        return self._whole(devices, energy or ("dc" if {"supply", "inlet"} & devices.keys() else "ac"))

    def _make_buses(self) -> None:
        for name, table in self._named("bus").items():
            self._where = f"bus.{name}"
            options = self._options(table)
            self._buses[name] = self._made(registry.make_bus, options.pop("driver", BUS), **options)

    def _whole(self, devices: Table, energy: str) -> Hardware:
        for name in self._buses.keys() - self._used:
            raise self._error(f"nobody uses the bus {name}", f'Write bus = "{name}" in the table of a role')
        for role, device in devices.items():
            self._where = role
            self._require_protocol(role, device)
        self._where = ""
        needed = [f.name for f in fields(self._bundle) if f.default is MISSING]
        missing = [role for role in needed if role not in devices]
        if missing:
            raise self._error(
                f"no {', '.join(missing)}",
                "Write a table for each, or virtual = true for all that are not named",
            )
        bundle = self._bundle(**devices)
        try:
            bundle.check(dc=energy == "dc")
        except HalError as error:
            raise self._error(error.detail, error.next_step) from error
        return bundle

    # --- one role -------------------------------------------------------------------------------

    def _role(self, role: str, table: Any) -> Any:
        options = {"driver": table} if isinstance(table, str) else self._options(table)
        driver = options.pop("driver", None)
        if not isinstance(driver, str):
            raise self._error('it needs driver = "..."', f"Known: {VIRTUAL}, {', '.join(registry.names())}")
        if driver == VIRTUAL:
            self._expect_keys(options, set())
            if role not in self._on_the_bench():
                raise self._error(
                    "the virtual bench has none", f"It has {', '.join(sorted(self._on_the_bench()))}"
                )
            return self._on_the_bench()[role]
        if "bus" in options:
            options["bus"] = self._bus(options["bus"])
        return self._made(registry.make, driver, **options)

    def _bus(self, name: Any) -> Any:
        if name not in self._buses:
            raise self._error(f"no bus {name!r}", registry.suggest(str(name), self._buses))
        self._used.add(name)
        return self._buses[name]

    def _require_protocol(self, role: str, device: Any) -> None:
        protocol = self._protocols[role]
        lacking = [name for name in _members(protocol) if not hasattr(type(device), name)]
        if lacking:
            raise self._error(
                f"its driver makes no {protocol.__name__}: no {', '.join(lacking)}",
                "Choose a driver for this role, or move the table to the role it is for",
            )

    # --- several roles at once ------------------------------------------------------------------

    def _boards(self) -> Table:
        devices: Table = {}
        owner: dict[str, str] = {}
        for name, table in self._named("board").items():
            self._where = f"board.{name}"
            options = self._options(table)
            driver, roles = options.pop("driver", None), options.pop("roles", None)
            if not isinstance(driver, str):
                raise self._error('it needs driver = "..."')
            made = self._made(registry.make_board, driver, **options)
            for role in made if roles is None else roles:
                if role not in made or role not in self._protocols:
                    raise self._error(f"the board has no {role}", registry.suggest(role, made))
                if role in owner and role not in self._tables:
                    raise self._error(
                        f"board.{owner[role]} has a {role}, too", "Name the roles: roles = [...]"
                    )
                owner[role], devices[role] = name, made[role]
        return devices

    def _on_the_bench(self) -> Mapping[str, Any]:
        """The virtual devices of this side; all of a file stand on one bench."""
        if self._virtual is None:
            from hal.virtual.realtime import LiveBench

            options = self._tables.get(VIRTUAL)
            options = options if isinstance(options, dict) else {}
            where, self._where = self._where, VIRTUAL
            if self._bench is None:
                dc = self._tables.get("energy") != "ac"
                self._bench = self._made(LiveBench, **{"dc": dc, **options})
            elif options:
                raise self._error("options of a bench that is given", "Leave them away")
            self._where = where
            self._virtual = self._bench.roles(self._side)
        return self._virtual

    # --- reading --------------------------------------------------------------------------------

    def _read(self) -> Table:
        try:
            with self._path.open("rb") as file:
                return tomllib.load(file)
        except OSError as error:
            raise self._error(error.strerror or str(error), "Check the path") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise self._error(f"no TOML: {error}") from error

    def _named(self, kind: str) -> Table:
        """The tables [kind.NAME]."""
        self._where = kind
        return self._options(self._tables.get(kind, {}))

    def _options(self, table: Any) -> Table:
        if not isinstance(table, dict):
            raise self._error(f"{table!r} is no table", "Write [name] and keys below it")
        return dict(table)

    def _expect_keys(self, table: Table, known: set[str]) -> None:
        for key in table.keys() - known:
            raise self._error(f"unknown key {key}", registry.suggest(key, known))

    def _made(self, factory: Callable[..., Any], /, *words: str, **options: Any) -> Any:
        """What the factory makes; its errors tell where in the file they come from."""
        try:
            return factory(*words, **options)
        except HalError as error:
            raise self._error(f"{error.device}: {error.detail}", error.next_step, error.kind) from error
        except (TypeError, ValueError) as error:
            raise self._error(str(error)) from error

    def _error(self, what: str, next_step: str = "", kind: Kind = Kind.CONFIGURATION) -> HalError:
        table = f"[{self._where}] " if self._where else ""
        return HalError(str(self._path), kind, f"{table}{what}", next_step=next_step)


def _protocols(bundle: type) -> dict[str, Any]:
    """Role -> device protocol."""
    hints = typing.get_type_hints(bundle)
    return {
        f.name: next(t for t in (typing.get_args(hints[f.name]) or (hints[f.name],)) if t is not type(None))
        for f in fields(bundle)
    }


def _members(protocol: Any) -> list[str]:
    """What a device of this protocol has."""
    own = (cls for cls in protocol.__mro__ if cls.__module__.startswith("hal."))
    return sorted({name for cls in own for name in vars(cls) if not name.startswith("_")})
