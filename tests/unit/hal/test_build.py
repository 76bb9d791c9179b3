"""Hardware from a file: roles, boards, buses, virtual devices; and what every mistake is told as."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from hal import build, registry
from hal.build import load_ev, load_evse
from hal.drivers.bender import BenderMonitor
from hal.drivers.infypower import InfySupply
from hal.errors import HalError, Kind
from hal.virtual.realtime import LiveBench

BUS = """
[bus.cabinet]
url = "tcp://127.0.0.1:9"
"""
ISOLATION = """
[isolation]
driver = "bender-isocha425"
bus = "cabinet"
"""
METER = """
[meter]
driver = "sdm630"
bus = "cabinet"
unit = 7
"""
SUPPLY = """
[supply]
driver = "infypower"
url = "can://can0"
modules = [0, 1]
"""
BOARD = """
[board.main]
driver = "linux-board"
contactor = { coil = "COIL", mirror = "MIRROR" }
safety = { emergency_stop = "STOP" }

[board.main.pilot]
pwm = { chip = "pwmchip0" }
high = { device = "adc", channel = 0 }
low = { device = "adc", channel = 1 }
"""


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(text: str) -> Path:
        path = tmp_path / "station.toml"
        path.write_text(text)
        return path

    return write


def told(path: Path, load: Any = load_evse) -> str:
    with pytest.raises(HalError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert caught.value.kind is Kind.CONFIGURATION
    return str(caught.value).removeprefix(f"{path}: configuration: ")


# --- what works -----------------------------------------------------------------------------------


def test_everything_virtual(write: Any) -> None:
    station = load_evse(write("virtual = true\n"))
    assert {role for role, _ in station.devices()} == {
        *("pilot", "contactor", "lock", "safety", "meter", "thermometers", "proximity"),
        *("supply", "isolation", "outlet"),
    }
    car = load_ev(write("virtual = true\n"))
    assert {"pilot", "battery", "inlet"} <= {role for role, _ in car.devices()}


def test_virtual_station_and_car_meet_on_a_bench(write: Any) -> None:
    async def run() -> None:
        bench = LiveBench()
        station, car = (
            load_evse(write("virtual = true"), bench=bench),
            load_ev(write("virtual = true"), bench=bench),
        )
        bench.plug()
        await station.open()
        await car.open()
        station.pilot.set_duty(5.0)
        async with asyncio.timeout(5):
            while not car.pilot.plugged or car.pilot.duty.value != 5.0:  # noqa: ASYNC110 - it is not told
                await asyncio.sleep(0.01)
        await car.close()
        await station.close()

    asyncio.run(run())


def test_an_ac_station(write: Any) -> None:
    station = load_evse(write('energy = "ac"\nvirtual = true\n'))
    assert station.supply is None
    assert load_ev(write("[virtual]\ndc = false\nphases = 1\n")).charger.ratings.phases == 1


def test_a_real_station(write: Any) -> None:
    text = 'lock = "virtual"\nthermometers = "virtual"\n' + BOARD + BUS + ISOLATION + METER + SUPPLY
    station = load_evse(write(text))
    assert isinstance(station.isolation, BenderMonitor)
    assert isinstance(station.supply, InfySupply)
    # One board, many roles: one dialog. One bus, two units: one dialog below both.
    assert station.pilot._dialog is station.contactor._dialog is station.safety._dialog
    assert station.pilot._dialog.line.url == "local://board"
    lines = {id(device._dialog._bus) for device in (station.isolation, station.meter)}
    assert len(lines) == 1
    assert type(station.lock).__name__ == "VirtualLock"


def test_the_file_of_the_docstring_is_right(write: Any) -> None:
    lines = str(build.__doc__).splitlines()
    station = load_evse(write("\n".join(line[4:] for line in lines if line.startswith("    "))))
    assert {role for role, _ in station.devices()} >= {"pilot", "contactor", "supply", "isolation", "lock"}


def test_a_role_of_its_own_beats_the_board(write: Any) -> None:
    text = BOARD + '[contactor]\ndriver = "virtual"\n'
    station = load_evse(write(text))
    assert type(station.contactor).__name__ == "VirtualContactor"
    assert station.pilot.name == "linux-board.pilot"


def test_two_boards_share_the_roles(write: Any) -> None:
    second = BOARD.replace("board.main", "board.second")
    station = load_evse(
        write(
            BOARD.replace("[board.main]", '[board.main]\nroles = ["pilot"]')
            + second.replace(
                "[board.second]", '[board.second]\nname = "two"\nroles = ["contactor", "safety"]'
            )
        )
    )
    assert (station.pilot.name, station.contactor.name) == ("linux-board.pilot", "two.contactor")


def test_a_driver_that_is_installed(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By entry points: a driver, a board and a bus of somebody else's package."""
    made: list[Any] = []

    class Entry:
        def __init__(self, name: str, factory: Any) -> None:
            self.name, self.load = name, lambda: factory

    bench = LiveBench()
    roles = bench.roles("evse")

    def bus(*, wire: str) -> str:
        made.append(wire)
        return wire

    def supply(*, bus: str) -> Any:
        made.append(bus)
        return roles["supply"]

    entries = {
        "iso15118.hal": [Entry("acme-supply", supply)],
        "iso15118.hal.boards": [
            Entry("acme-board", lambda: {r: d for r, d in roles.items() if r != "supply"})
        ],
        "iso15118.hal.buses": [Entry("acme-bus", bus)],
    }

    def entry_points(*, group: str, name: str | None = None) -> list[Entry]:
        return [entry for entry in entries.get(group, []) if name in (None, entry.name)]

    monkeypatch.setattr(registry.importlib.metadata, "entry_points", entry_points)
    text = '[board.a]\ndriver = "acme-board"\n[bus.b]\ndriver = "acme-bus"\nwire = "thin"\n'
    station = load_evse(write(text + '[supply]\ndriver = "acme-supply"\nbus = "b"\n'))
    assert station.supply is roles["supply"]
    assert made == ["thin", "thin"]
    assert "acme-supply" in registry.names()


# --- what does not --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no pilot, contactor. Write a table for each, or virtual = true for all that are not named"),
        ("pilot = \n", "no TOML: Invalid value (at line 1, column 9)"),
        ("[piloot]\n", "unknown key piloot. Did you mean pilot?"),
        ('energy = "wind"\n', "energy is 'wind'. Use dc or ac"),
        ('virtual = "all"\n', "virtual is 'all'. Use true, or a table of options of the bench"),
        ("[pilot]\n", '[pilot] it needs driver = "...". Known: virtual, bender-isocha425'),
        ('[supply]\ndriver = "infipower"\n', "[supply] infipower: no such driver. Did you mean infypower?"),
        ('[supply]\ndriver = "infypower"\n', "[supply] infypower: it needs url"),
        (
            '[supply]\ndriver = "infypower"\nurl = "can://can0"\nmodul = 1\n',
            "[supply] infypower: unknown option modul. Did you mean modules?",
        ),
        (
            '[supply]\ndriver = "infypower"\nurl = "can0"\n',
            "[supply] can0: no URL of a port. Use serial:///dev/ttyUSB0?baud=115200, tcp://host:port or can://can0",
        ),
        ("[supply]\ndriver = 7\n", '[supply] it needs driver = "..."'),
        ("supply = 7\n", "[supply] 7 is no table. Write [name] and keys below it"),
        ('[supply]\ndriver = "virtual"\nseed = 1\n', "[supply] unknown key seed. Known: none"),
        (
            'energy = "ac"\nsupply = "virtual"\n',
            "[supply] the virtual bench has none. It has contactor, lock, meter, pilot",
        ),
        (ISOLATION, "[isolation] no bus 'cabinet'. Known: none"),
        (
            BUS + ISOLATION.replace("cabinet", "cabinett"),
            "[isolation] no bus 'cabinett'. Did you mean cabinet?",
        ),
        (
            "virtual = true\n" + BUS,
            'nobody uses the bus cabinet. Write bus = "cabinet" in the table of a role',
        ),
        ('[bus.b]\ndriver = "canbus"\n', "[bus.b] canbus: no such bus. Known: modbus"),
        ("bus = 3\n", "[bus] 3 is no table. Write [name] and keys below it"),
        ("[bus.b]\n", "[bus.b] modbus: it needs url"),
        ("[board.b]\n", '[board.b] it needs driver = "..."'),
        (
            '[board.b]\ndriver = "linux-bord"\n',
            "[board.b] linux-bord: no such board. Did you mean linux-board?",
        ),
        (
            BOARD.replace("[board.main]", '[board.main]\nroles = ["lock"]'),
            "[board.main] the board has no lock. Known: contactor, pilot, safety",
        ),
        (
            BOARD + BOARD.replace("board.main", "board.second"),
            "[board.second] board.main has a contactor, too. Name the roles: roles = [...]",
        ),
        (
            BOARD.replace('mirror = "MIRROR"', 'miror = "MIRROR"'),
            "[board.main] linux-board.contactor: unknown key miror. Did you mean mirror?",
        ),
        (
            "virtual = true\n" + SUPPLY.replace("[supply]", "[meter]"),
            "[meter] its driver makes no EnergyMeter: no reading. Choose a driver for this role",
        ),
        ('energy = "dc"\n' + BOARD, "DC charging needs supply, isolation, lock. Add a driver for each"),
        ("virtual = true\n[virtual2]\n", "unknown key virtual2. Did you mean virtual?"),
        ("[virtual]\nspeed = 3\n", "[virtual] "),
    ],
)
def test_mistakes(write: Any, text: str, message: str) -> None:
    assert told(write(text)).startswith(message)


def test_a_key_below_the_wrong_table(write: Any) -> None:
    """TOML takes it for the table's, and the board says so."""
    assert "unknown key energy" in told(write(BOARD + 'energy = "dc"\n'))


def test_no_file(tmp_path: Path) -> None:
    assert told(tmp_path / "nothing.toml").startswith("No such file or directory. Check the path")


def test_no_text(tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe")
    assert told(path).startswith("no TOML")


def test_a_missing_package_keeps_its_kind(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "can", None)
    station = load_evse(write("virtual = true\n" + SUPPLY))  # nothing is opened yet
    with pytest.raises(HalError, match=r"iso15118-stack\[can\]"):
        asyncio.run(station.supply.open())


def test_a_bench_has_its_options_already(write: Any) -> None:
    bench = LiveBench()
    assert "options of a bench that is given" in told(
        write("[virtual]\nseed = 3\n"), lambda path: load_evse(path, bench=bench)
    )
