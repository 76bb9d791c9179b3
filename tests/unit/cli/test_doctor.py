"""iso15118 doctor: on this machine, and in a private network with something broken."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from iso15118.cli.main import FAILED, OK, USAGE, main
from iso15118.runtime import lab

PROJECT = Path(__file__).parents[3]
DOCTOR = f"{sys.executable} -m iso15118.cli doctor --json"

in_lab = pytest.mark.skipif(bool(lab.problem()), reason=f"no lab here: {lab.problem()}")


@pytest.fixture
def run(capsys):
    def call(*arguments):
        code = main(["doctor", *map(str, arguments)])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return call


def findings(out):
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def test_without_options_it_looks_at_the_clock_and_says_what_it_did_not_look_at(run):
    code, out, err = run("--json")
    found = {f["subject"]: f["level"] for f in findings(out)}
    assert (code, err) == (OK, "")
    assert found == {"certificates": "note", "interface": "note", "modem": "note", "clock": "ok"}


def test_as_text_with_a_summary(run):
    code, out, _ = run("--interface", "none0")
    assert code == FAILED
    assert "\nerror    interface none0: not there\n" in out
    assert "         because: " in out
    assert "         next:    " in out
    assert out.splitlines()[-1].endswith("checks: 1 error, 2 notes")


def test_the_interface_is_that_of_the_modem_where_none_is_named(run):
    subjects = [f["subject"] for f in findings(run("--modem", "none0", "--json")[1])]
    assert subjects == ["certificates", "interface none0", "modem port", "clock"]


def test_devices_are_opened_only_when_told(run, tmp_path):
    file = tmp_path / "station.toml"
    file.write_text('energy = "dc"\nvirtual = true\n')
    subjects = [f["subject"] for f in findings(run("--hardware", file, "--json")[1])]
    assert f"hardware file {file}" in subjects
    assert not any(subject.startswith("device ") for subject in subjects)
    code, out, _ = run("--hardware", file, "--open", "--json")
    assert code == OK
    assert {f["level"] for f in findings(out) if f["subject"].startswith("device ")} == {"ok"}


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("insecure_no_tls = true\n", "warning"),
        ('evse_id = "DE*ABC*E1*1"\n', "ok"),
        ('evse_idd = "DE*ABC*E1*1"\n', "error"),
    ],
)
def test_the_configuration_is_read(text, level, run, tmp_path):
    file = tmp_path / "charger.toml"
    file.write_text(text)
    found = findings(run("--config", file, "--json")[1])
    assert [f["level"] for f in found if f["subject"].startswith("configuration")] == [level]


def test_certificates_are_looked_at(run, tmp_path):
    code, out, _ = run("--pki", tmp_path, "--json")
    assert code == FAILED
    assert any(f["subject"].startswith("certificates") for f in findings(out))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--open",), "--hardware"),
        (("--listen", "-1"), "0 or more"),
        (("--role", "boat"), "vehicle"),
        (("--modem", "udp:many"), "udp:8462"),
        (("--modem", "udp:8462?colour=red"), "colour"),
        (("--modem", "serial:///dev/ttyS2?bauds=9600"), "baud"),
    ],
)
def test_wrong_calls(arguments, told, run):
    code, _, err = run(*arguments)
    assert code == USAGE
    assert told in err


# --- in a private network ----------------------------------------------------------------------


def lab_sh(script):
    command = [sys.executable, "-m", "iso15118.cli", "lab", "--", "sh", "-c", script]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, cwd=PROJECT, start_new_session=True) as process:
        try:
            out, err = process.communicate(timeout=50)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@in_lab
@pytest.mark.runtime
def test_interfaces_in_good_and_in_bad_order():
    broken = {
        "fine": "true",
        "good": "true",
        "mtu": "ip link set vse mtu 1000",
        "carrier": "ip link set vse mtu 1500; ip link set vev down",
        "down": "ip link set vse down",
        "ipv6": "ip link set vev up; ip link set vse up; echo 1 > /proc/sys/net/ipv6/conf/vse/disable_ipv6",
    }
    modem = dict.fromkeys(("good", "down"), "--modem vse")  # it takes a while until nobody has answered
    done = lab_sh(
        "; ".join(
            f"{how}; echo {name}; {DOCTOR} --interface vse {modem.get(name, '')}; echo code $?"
            for name, how in broken.items()
        )
    )
    seen, codes = {}, []
    for line in done.stdout.splitlines():
        if line in broken:
            name = line
            seen[name] = {}
        elif line.startswith("{"):
            finding = json.loads(line)
            seen[name].setdefault(finding["subject"], finding)
        else:
            codes.append(line)
    assert seen["good"]["interface vse"]["level"] == "ok", done.stderr
    assert codes[:3] == ["code 0", "code 1", "code 1"]
    assert seen["good"]["discovery"]["level"] == "ok"
    assert seen["good"]["connections"]["level"] == "ok"
    assert seen["good"]["modem port"]["level"] == "ok"
    assert seen["good"]["modem"]["found"] == "nobody answers"
    assert seen["mtu"]["interface vse"]["found"] == "MTU 1000"
    assert seen["carrier"]["interface vse"]["level"] == "warning"
    assert seen["down"]["interface vse"]["found"] == "down"
    assert seen["down"]["modem port"]["level"] == "error"
    if "off" not in seen["ipv6"]["link-local address"]["found"]:
        pytest.skip("this system does not let IPv6 be switched off in a namespace")
    assert seen["ipv6"]["link-local address"]["level"] == "error"


@in_lab
@pytest.mark.runtime
def test_another_charger_on_the_interface_is_found(tmp_path):
    told = tmp_path / "charger.jsonl"
    done = lab_sh(
        f"{sys.executable} -m iso15118.cli charger --interface vse --json --insecure-no-tls > {told} 2>&1 & "
        f"until grep -q ChargerListening {told}; do sleep 0.05; done; {DOCTOR} --interface vse; kill $!; wait $!"
    )
    found = {f["subject"]: f for f in findings(done.stdout)}
    assert found["discovery"]["level"] == "error", done.stderr
    assert "another charger" in found["discovery"]["cause"]
