"""charger and vehicle with --hardware and --modem: two processes, each with the other side as a ghost on its bench."""

import contextlib
import dataclasses
import datetime
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from certs.pki import TestPki as Pki
from hal.build import load_evse
from hal.bundle import EvHardware, EvseHardware
from iso15118.cli.main import FAILED, USAGE, main
from iso15118.hardware import HalEvConfig, HalEvseConfig
from iso15118.runtime import lab

PROJECT = Path(__file__).parents[3]
PROGRAM = f"{sys.executable} -m iso15118.cli"

in_lab = pytest.mark.skipif(bool(lab.problem()), reason=f"no lab here: {lab.problem()}")


@pytest.fixture
def run(capsys):
    def call(*arguments):
        code = main([str(a) for a in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return call


@pytest.mark.parametrize(
    ("arguments", "told", "expected"),
    [
        (("charger", "--hardware", "no-such.toml"), "no such file", USAGE),
        (("vehicle", "--hardware", "no-such.toml"), "no such file", USAGE),
        (("charger", "--limits", "limits.toml"), "--hardware virtual", USAGE),
        (("charger", "--hardware", "virtual", "--limits", "no-such.toml"), "no-such.toml", USAGE),
        (("charger", "--modem", "none0"), "none0", FAILED),
        (("vehicle", "--modem", "udp:x"), "udp:8462", USAGE),
        (("charger", "--modem", "serial:///dev/ttyS2?bauds=1"), "baud", USAGE),
    ],
)
def test_wrong_calls(arguments, told, expected, run):
    command, *options = arguments
    code, out, err = run(command, "--interface", "lo", "--insecure-no-tls", *options)
    assert (code, out) == (expected, "")
    assert told in err


def test_a_file_that_does_not_fit_the_services(run, tmp_path):
    file = tmp_path / "station.toml"
    file.write_text('energy = "ac"\npilot = "virtual"\ncontactor = "virtual"\nsafety = "virtual"\n')
    code, _, err = run(
        "charger", "--interface", "lo", "--insecure-no-tls", "--energy", "DC", "--hardware", file
    )
    assert code == USAGE
    assert "supply" in err


def test_a_simulated_pilot_does_not_energise_real_devices_unless_that_is_allowed(run, tmp_path):
    file = tmp_path / "station.toml"
    file.write_text('energy = "dc"\nvirtual = true\n[supply]\ndriver = "infypower"\nurl = "can://can77"\n')
    call = ("charger", "--interface", "lo", "--insecure-no-tls", "--hardware", file)
    code, _, err = run(*call)
    assert code == USAGE
    assert "supply would be real" in err
    code, _, err = run(*call, "--allow-mixed")
    assert code == FAILED, "there is no such bus"
    assert "can77" in err


def blocks_of_the_manual():
    text = (PROJECT / "docs" / "hardware.md").read_text(encoding="utf-8")
    return re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_files_of_the_manual_are_good(tmp_path):
    hardware, limits = blocks_of_the_manual()
    file = tmp_path / "station.toml"
    file.write_text(hardware, encoding="utf-8")
    load_evse(file).check(dc=True)
    file.write_text(limits, encoding="utf-8")
    assert HalEvseConfig.from_toml(file).max_power_w == 60_000.0
    assert HalEvConfig.from_toml(file).max_power_w == 60_000.0


def test_the_roles_of_the_manual_are_those_of_the_bundles():
    text = (PROJECT / "docs" / "hardware.md").read_text(encoding="utf-8")
    table = text[text.index("| Role |") : text.index("`virtual = true` fills")]
    named = {
        name
        for row in table.splitlines()[2:]
        for name in re.findall(r"`(\w+)`", row.split("|")[1] if row else "")
    }
    assert named == {f.name for bundle in (EvseHardware, EvHardware) for f in dataclasses.fields(bundle)}


# --- in a private network -----------------------------------------------------------------------

PATIENT_SECC = "[timers]\nloop_sequence_s = 10.0\nhardware_silence_s = 10.0\n"
PATIENT_EVCC = "[timers]\nloop_message_s = 10.0\nhardware_silence_s = 10.0\n"


class Pair:
    """Charger and vehicle in a lab of their own. `network` goes before them, `options` to each."""

    def __init__(
        self,
        folder,
        energy,
        control,
        *,
        interfaces=("vse", "vev"),
        network="",
        options=("", ""),
        hardware=("virtual", "virtual"),
        security="--insecure-no-tls",
    ):
        self.files = [folder / "charger.jsonl", folder / "vehicle.jsonl"]
        (folder / "secc.toml").write_text(PATIENT_SECC)
        (folder / "evcc.toml").write_text(PATIENT_EVCC)
        common = f"--energy {energy} --once --json {security}"
        options = [f"{o} --hardware {h}" for o, h in zip(options, hardware, strict=True)]
        script = (
            f"{network} "
            f"{PROGRAM} charger --interface {interfaces[0]} --config {folder}/secc.toml {common} {options[0]} "
            f"> {self.files[0]} & "
            f"{PROGRAM} vehicle --interface {interfaces[1]} --config {folder}/evcc.toml {common} {options[1]} "
            f"--control {control} > {self.files[1]}; ev=$?; wait $!; echo $? $ev"
        )
        command = [sys.executable, "-m", "iso15118.cli", "lab", "--", "sh", "-c", script]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(command, **pipes, text=True, cwd=PROJECT, start_new_session=True)

    def result(self):
        """The exit codes, and the events of both."""
        try:
            out, err = self.process.communicate(timeout=50)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        events = [[json.loads(line) for line in file.read_text().splitlines()] for file in self.files]
        assert out.split() == ["0", "0"], err + "\n".join(str(side[-8:]) for side in events)
        return events


def of(events, kind):
    return [event for event in events if event["event"] == kind]


HUB = """
import asyncio, sys
from iso15118.sim.powerline.config import EV_MODEM, EVSE_MODEM
from iso15118.sim.powerline.hub import Hub
from iso15118.sim.powerline.medium import Medium
from iso15118.sim.powerline.veth import lay_cable, veth_hub

async def main():
    medium = Medium(1)
    ends = {}
    for name, mac, config in (("hev", "02ee00000001", EV_MODEM), ("hse", "02cc00000001", EVSE_MODEM)):
        port = medium.attach(bytes.fromhex(mac), config)
        lay_cable(name, f"{name}-hub", port.mac)
        ends[port] = f"{name}-hub"
    with Hub(medium) as hub, veth_hub(hub, ends):
        print("ready", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """At the same time, to save some: DC over Ethernet with TLS, AC over virtual modems with devices from a file."""
    dc, ac = tmp_path_factory.mktemp("dc"), tmp_path_factory.mktemp("ac")
    Pki(datetime.datetime.now(datetime.UTC)).write(dc / "pki")
    (ac / "hub.py").write_text(HUB)
    (ac / "devices.toml").write_text('energy = "ac"\nvirtual = true\n')
    over_modems = {
        "interfaces": ("hse", "hev"),
        "network": f"{sys.executable} {ac}/hub.py > {ac}/ready & hub=$!; trap 'kill $hub' EXIT; "
        f"until grep -q ready {ac}/ready; do sleep 0.05; done;",
        "options": ("--modem hse", "--modem hev --loops 50"),
        "hardware": (f"{ac}/devices.toml",) * 2,
    }
    started = {
        "DC_BPT": Pair(dc, "DC_BPT", "dynamic", options=("", "--loops 15"), security=f"--pki {dc}/pki"),
        "AC": Pair(ac, "AC", "scheduled", **over_modems),
    }
    return {name: pair.result() for name, pair in started.items()}


@in_lab
@pytest.mark.runtime
@pytest.mark.parametrize("energy", ["DC_BPT", "AC"])
def test_from_the_pilot_to_energy_and_to_the_unplugged_connector(energy, pairs):
    station, car = pairs[energy]
    for side in (station, car):
        assert [e["reason"] for e in of(side, "SessionEnded")] == ["completed"]
        assert max(e["power_w"] for e in of(side, "PowerFlow")) > 1000
        assert not of(side, "FaultFound")
    states = [e["state"] for e in of(station, "PlugState")]
    assert states[:4] == ["PLUGGED", "MATCHING", "LINKED", "SESSION"]
    assert "EMPTY" in states[4:]
    levels = {(e["what"], e["new"]) for e in of(station, "HardwareChanged")}
    assert {("cp", "C"), ("contactor", "closed"), ("locked", True)} <= levels
    steps = [e["step"] for e in of(station, "CableCheckStep")]
    assert ("monitor tests itself" in steps) is (energy == "DC_BPT")


@in_lab
@pytest.mark.runtime
def test_matching_over_raw_frames_before_the_session(pairs):
    for side in pairs["AC"]:
        assert of(side, "ModemIdentified")[0]["vendor"] == "qualcomm"
        assert of(side, "LinkReady")[0]["status"] == "link established"
        assert len(of(side, "KeySet")) >= 1


WAIT_AND_STOP = """
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "iso15118.cli", *sys.argv[1:]], stdout=subprocess.PIPE, text=True)
for line in child.stdout:
    if '"LINKED"' in line:
        child.send_signal(signal.SIGTERM)
        break
rest = child.stdout.read()
print(child.wait(20), "SessionEnded" in rest)
"""


@in_lab
@pytest.mark.runtime
def test_sigterm_ends_a_charger_whose_ghost_car_waits(tmp_path):
    (tmp_path / "stop.py").write_text(WAIT_AND_STOP)
    command = "charger --interface vse --hardware virtual --json --insecure-no-tls"
    lab_command = [sys.executable, "-m", "iso15118.cli", "lab", "--"]
    done = subprocess.run(
        [*lab_command, sys.executable, f"{tmp_path}/stop.py", *command.split()],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        cwd=PROJECT,
    )
    assert done.stdout.split() == ["0", "False"], done.stderr
