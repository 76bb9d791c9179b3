"""The private network, and discovery inside it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from iso15118.errors import LinkError
from iso15118.runtime import lab as module
from iso15118.runtime.lab import lab, problem

PROJECT = Path(__file__).resolve().parent.parent.parent
LAB = "import sys; from iso15118.runtime.lab import lab; sys.exit(lab(sys.argv[1:]))"


@pytest.fixture
def possible():
    if reason := problem():
        pytest.skip(reason)


def in_lab(*command, **options):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    return subprocess.Popen([sys.executable, "-c", LAB, *command], env=environment, text=True, **options)


def test_a_missing_program_is_named_with_its_package(monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda tool, path: None if tool == "ip" else "/bin/" + tool)
    with pytest.raises(LinkError, match="'ip'; install the package iproute2"):
        lab(["true"])


def test_a_system_without_namespaces_is_told_what_to_change(monkeypatch):
    def refused(*args, **kwargs):
        return subprocess.CompletedProcess(args, 1, "", "unshare: Operation not permitted")

    monkeypatch.setattr(module.subprocess, "run", refused)
    monkeypatch.setattr(module.shutil, "which", lambda tool, path: "/bin/" + tool)
    with pytest.raises(LinkError, match=r"(?s)not permitted.*userns"):
        lab(["true"])


@pytest.mark.usefixtures("possible")
def test_both_ends_are_there_and_the_exit_code_is_handed_on():
    script = "ip -6 address show scope link -tentative | grep -c 'inet6 fe80'; exit 7"
    process = in_lab("sh", "-c", script, stdout=subprocess.PIPE)
    assert process.communicate(timeout=20)[0].strip() == "2"
    assert process.returncode == 7


@pytest.mark.usefixtures("possible")
def test_signals_reach_the_command():
    script = (
        "import signal, time; signal.signal(15, lambda *_: exit(9)); print('up', flush=True); time.sleep(30)"
    )
    process = in_lab(sys.executable, "-c", script, stdout=subprocess.PIPE)
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=5) == 9
    process.stdout.close()


@pytest.mark.usefixtures("possible")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_command_ended_by_a_signal_gives_128_and_its_number(number):
    process = in_lab("sh", "-c", f"kill -{int(number)} $$")
    assert process.wait(timeout=20) == 128 + number


DISCOVERY = """
import asyncio, sys
sys.path.insert(0, {folder!r})
from iso15118.config import EvccConfig, SeccConfig
from iso15118.runtime.charger import Charger
from iso15118.runtime.vehicle import Vehicle
from iso15118.runtime.net import find_interface
from iso15118.discovery.events import SdpAnswered, SdpDatagramIgnored, SdpListening, SdpSilent, SeccFound
from iso15118.runtime.sinks import Memory
from iso15118.sim.realtime import BenchStation, BenchCar
from support import PATIENT_CAR, PATIENT_EVSE, living, drive, until

async def main():
    seen, ev = Memory(), Memory()
    bench, car = BenchStation(cable_check_s=0.1), BenchCar()
    config = SeccConfig(**PATIENT_EVSE)
    charger = Charger(config, bench, "vse", state=bench.state, sinks=[seen])
    async with charger, living(bench, charger.evse.write):
        # A charger on another cable of the same host hears nothing of this one.
        deaf_seen = Memory()
        deaf = Charger(config, BenchStation(), "x1", state=bench.state, sinks=[deaf_seen])
        async with deaf:
            vehicle = Vehicle(EvccConfig(**PATIENT_CAR, max_loops=2), car, "vev", state=car.state, sinks=[ev])
            result = await drive(vehicle, car)
        assert result.as_intended, result
        (found,) = ev.of(SeccFound)
        assert found.address == find_interface("vse").address, found
        assert len(seen.of(SdpAnswered)) == 1
        assert deaf_seen.of(SdpListening) and not deaf_seen.of(SdpAnswered, SdpDatagramIgnored)
        await until(lambda: len(seen.of(SdpListening)) == 2)
        kinds = [type(e).__name__ for e in seen.of(SdpListening, SdpSilent)]
        assert kinds == ["SdpListening", "SdpSilent", "SdpListening"], kinds
        print("fine")

asyncio.run(main())
"""


@pytest.mark.usefixtures("possible")
@pytest.mark.runtime
def test_discovery_finds_the_charger_through_the_cable_and_pauses_in_session():
    program = DISCOVERY.format(folder=str(Path(__file__).parent))
    second_cable = "ip link add x1 type veth peer name x2; ip link set x1 up; ip link set x2 up; "
    python = second_cable + f'exec "{sys.executable}" -c "$0"'
    process = in_lab("sh", "-c", python, program, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=40)
    assert out.strip() == "fine", err[-3000:]


# --- the program ------------------------------------------------------------------------------


def cli(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "iso15118.cli", *arguments]
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.runtime
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_regression_18_a_signal_ends_the_charger_within_a_second(number):
    process = cli("charger", "--interface", "lo", "--insecure-no-tls", "--json")
    try:
        assert "ChargerListening" in process.stdout.readline()
        begun = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=5)
    finally:
        process.kill()
    assert time.monotonic() - begun < 1.0
    assert process.returncode in (0, 1)
    assert "Traceback" not in err
