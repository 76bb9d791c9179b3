"""Hardware files, ports and devices as the doctor sees them."""

import asyncio
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from hal.types import Fault, Severity
from hal.virtual.realtime import LiveBench
from iso15118.runtime.checkup import hardware as check
from iso15118.runtime.checkup.findings import Level

FILE = """
energy = "dc"
virtual = true

[board.main]
driver = "chargebyte"
url = "serial:///dev/ttyNOWHERE"

[bus.cabinet]
url = "serial:///dev/ttyNOWHERE2?baud=9600"

[isolation]
driver = "bender-isocha425"
bus = "cabinet"
unit = 3

[supply]
driver = "infypower"
url = "can://can77"
"""


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "station.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(("role", "device"), [("SECC", "isolation"), ("EVCC", "battery")])
def test_a_complete_file(role, device, file):
    finding, hardware = check.load(file("virtual = true\nenergy = 'dc'\n"), role)
    assert finding.level is Level.OK
    assert device in finding.found
    assert hardware is not None


@pytest.mark.parametrize(
    ("text", "told"),
    [("energy = 'dc'\n", "no pilot"), ("energy = \n", "no TOML"), ("pilott = 'virtual'\n", "unknown key")],
)
def test_a_file_with_something_wrong(text, told, file):
    finding, hardware = check.load(file(text), "SECC")
    assert (finding.level, hardware) == (Level.ERROR, None)
    assert told in finding.found


def test_a_station_that_does_not_see_its_connector():
    bench = LiveBench(dc=True)
    station = bench.evse()
    assert list(check.blind_spots(station)) == []
    assert list(check.blind_spots(LiveBench(dc=False).evse())) == []
    assert list(check.blind_spots(bench.ev())) == []
    [blind] = check.blind_spots(replace(station, outlet=None))
    assert (blind.level, blind.next_step) == (Level.WARNING, "Add an `outlet` to the hardware file")


def test_the_ports_of_a_file(file):
    path = file(FILE)
    ports = ["serial:///dev/ttyNOWHERE", "serial:///dev/ttyNOWHERE2?baud=9600", "can://can77"]
    assert check.ports_of(path) == ports
    assert [check.check_port(port).level for port in ports] == [Level.ERROR] * 3
    assert check.ports_of(path.parent / "none.toml") == []


def test_a_tcp_port_is_not_tried():
    assert check.check_port("tcp://192.0.2.1:8462").level is Level.NOTE


@pytest.fixture
def line():
    ours, theirs = os.openpty()
    yield os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


def test_a_free_serial_port(line):
    assert check.check_port(f"serial://{line}").level is Level.OK


HOLD = "import sys; held = open(sys.argv[1], 'rb', 0); print('holding', flush=True); sys.stdin.read()"


def test_a_serial_port_somebody_else_uses(line):
    if not check.PROCESSES.is_dir():
        pytest.skip("no /proc here")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLD, line], text=True, **pipes) as other:
        assert other.stdout.readline() == "holding\n"
        finding = check.check_port(f"serial://{line}")
        other.stdin.close()
    assert finding.level is Level.ERROR
    assert f"({other.pid})" in finding.found


def test_a_serial_port_that_may_not_be_used(line, monkeypatch):
    monkeypatch.setattr(check.os, "access", lambda *_: False)
    finding = check.check_port(f"serial://{line}")
    assert (finding.level, finding.found) == (Level.ERROR, "may not be used")


def opened(hardware):
    async def look():
        return [finding async for finding in check.check_devices(hardware)]

    return asyncio.run(look())


def test_devices_open_by_themselves_and_are_closed_again():
    bench = LiveBench(dc=True)
    found = opened(bench.evse())
    assert [f.level for f in found] == [Level.OK] * 10
    assert "virtual.evse.pilot answers" in found[0].found
    assert not any(device.opened for device in bench.devices.values())


def test_a_device_that_is_not_there(file):
    _, hardware = check.load(file(FILE), "SECC")
    found = {f.subject: f for f in opened(hardware)}
    assert found["device pilot"].level is Level.ERROR
    assert found["device meter"].level is Level.OK


@pytest.mark.parametrize(
    ("severity", "level"), [(Severity.WARNING, Level.WARNING), (Severity.STOP, Level.ERROR)]
)
def test_faults_a_device_reports(severity, level, monkeypatch):
    bench = LiveBench(dc=True)
    faults = frozenset({Fault("over_temperature", severity, detail="95 degrees")})
    monkeypatch.setattr(type(bench.device("evse", "supply")), "faults", property(lambda _: faults))
    found = [f for f in opened(bench.evse()) if f.subject == "device supply"]
    assert [f.level for f in found] == [Level.OK, level]
    assert found[1].cause == "95 degrees"
