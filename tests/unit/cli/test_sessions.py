"""demo, simulate, charger, vehicle and lab."""

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


# --- demo -------------------------------------------------------------------------------------


def test_demo_charges_and_feeds_back():
    done = subprocess.run(
        [sys.executable, "-m", "iso15118.cli", "demo"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=PROJECT,
    )
    out = done.stdout
    assert (done.returncode, done.stderr) == (OK, "")
    assert out.index(" charging ") < out.index(" discharging ")
    for part in (
        "SessionSetupReq",
        "DC_ChargeLoopRes",
        "SessionStopRes",
        "Wh back",
        "as intended",
        "matching chose",
        "plug     SESSION",
        "cable check: contactor closes",
        "TlsEstablished version=TLS13",
        "a contract of DETST, stored",
        "Wh confirmed",
        "plug     EMPTY: unplugged",
    ):
        assert part in out
    assert len(out.splitlines()) < 150


# --- simulate ---------------------------------------------------------------------------------


@pytest.mark.parametrize("energy", ["AC", "DC", "AC_BPT", "DC_BPT"])
@pytest.mark.parametrize("control", ["scheduled", "dynamic"])
def test_simulate_as_json(energy, control, run):
    code, out, _ = run(
        "simulate", "--energy", energy, "--control", control, "--seed", 5, "--loops", 3, "--json"
    )
    *events, summary = map(json.loads, out.splitlines())
    assert code == OK
    assert summary["ok"] is True
    assert (summary["energy"], summary["control"], summary["seed"]) == (energy, control, 5)
    assert summary["messages"] == sum(e["event"] == "MessageSent" for e in events)
    assert all({"event", "t", "role"} <= e.keys() for e in events)
    assert {e["role"] for e in events if e["event"] == "SessionEnded"} == {"SECC", "EVCC"}


def test_the_same_seed_gives_the_same_session(run):
    first, second, other = (
        run("simulate", "--seed", s, "--faults", "tcp_jitter", "--json")[1] for s in (3, 3, 4)
    )
    assert first == second
    assert first != other


def test_a_session_that_does_not_end_as_intended_fails(run):
    code, out, _ = run("simulate", "--faults", "refused_authorization", "--json")
    summary = json.loads(out.splitlines()[-1])
    assert code == FAILED
    assert summary["ok"] is False
    assert summary["violations"] == []
    assert summary["faults"] == ["refused_authorization"]


def test_a_harmless_fault_does_not_fail(run):
    code, out, _ = run("simulate", "--faults", "late_contactor(0.2), tcp_chunks")
    assert code == OK
    assert "late_contactor" in out


def test_many_sessions_are_judged_by_the_rules_alone(run):
    code, out, _ = run("simulate", "--runs", 8, "--faults", "--json")
    summaries = [json.loads(line) for line in out.splitlines()]
    assert code == OK
    assert [s["seed"] for s in summaries] == list(range(1, 9))
    assert len({(s["energy"], s["control"]) for s in summaries}) == 8
    assert all(s["faults"] and s["ok"] for s in summaries)
    assert "broke a rule" in run("simulate", "--runs", 2)[1]


def test_simulate_from_plug_to_unplug(run):
    code, out, _ = run("simulate", "--plug", "--energy", "ac", "--json", "--faults", "link_loss(0.05)")
    *events, summary = map(json.loads, out.splitlines())
    assert code == OK
    assert summary["ok"] is True
    assert summary["plug"]["secc"][-1] == "EMPTY"
    assert summary["faults"] == ["link_loss(rate=0.05)"]
    assert {"PlugState", "LinkReady", "MessageSent", "SessionEnded"} <= {e["event"] for e in events}
    code, out, _ = run("simulate", "--plug", "--energy", "AC", "--runs", 2)
    assert code == OK
    assert out.count("ok  seed") == 2


def test_simulate_a_pause_and_what_comes_after_it(run):
    code, out, _ = run("simulate", "--plug", "--energy", "AC", "--faults", "station_pauses(at=6, seconds=20)")
    assert code == OK
    assert out.count("kept     what the session needs to go on") == 2
    assert out.count("pause    over: the session goes on") == 2
    assert out.count("OK_OldSessionJoined") == 1


@pytest.mark.parametrize("plug", [(), ("--plug",)])
def test_simulate_by_contract_over_tls_unless_told_otherwise(plug, run):
    code, out, _ = run("simulate", "--energy", "AC", "--install", "--loops", 3, *plug)
    assert code == OK
    for part in (
        "TlsEstablished version=TLS13 suite=TLS_AES_256_GCM_SHA384",
        "a contract of DETST, stored",
        "PnC_AReqAuthorizationMode",
        "as intended",
    ):
        assert part in out
    by_card = run("simulate", "--energy", "AC", "--auth", "eim", "--loops", 3, *plug)[1]
    assert "TlsEstablished" in by_card
    assert "EIM_AReqAuthorizationMode" in by_card
    plain = run("simulate", "--energy", "AC", "--insecure-no-tls", "--loops", 3, *plug)[1]
    assert "TlsEstablished" not in plain
    assert "EIM_AReqAuthorizationMode" in plain


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--install", "--auth", "eim"), "--auth pnc"),
        (("--insecure-no-tls", "--auth", "pnc"), "takes TLS"),
        (("--insecure-no-tls", "--install"), "over TLS"),
        (("--plug", "--faults", "late_contactor"), "contactor_slow"),
        (("--plug", "--energy", "WPT"), "AC, "),
        (("--energy", "WPT"), "AC, "),
        (("--control", "manual"), "dynamic"),
        (("--faults", "earthquake"), "late_contactor"),
        (("--faults", "late_contactor(fast)"), "number"),
        (("--runs", "0"), "1 or more"),
        (("--seed", "x"), "invalid int"),
    ],
)
def test_simulate_says_what_is_wrong(arguments, told, run):
    code, out, err = run("simulate", *arguments)
    assert (code, out) == (USAGE, "")
    assert told in err


# --- charger and vehicle ----------------------------------------------------------------------


@pytest.mark.parametrize("command", ["charger", "vehicle"])
def test_no_session_without_tls_unless_allowed(command, run):
    code, out, err = run(command, "--interface", "lo")
    assert (code, out) == (USAGE, "")
    assert "pki init DIR" in err
    assert "--pki DIR" in err
    assert "--insecure-no-tls" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("charger", "--interface", "none0", "--insecure-no-tls"), "none0"),
        (("vehicle", "--interface", "none0", "--insecure-no-tls"), "none0"),
        (("charger",), "--interface"),
        (("charger", "--interface", "lo", "--port", "70000"), "65535"),
        (("charger", "--interface", "lo", "--energy", "AC,DC", "--insecure-no-tls"), "one kind"),
        (("charger", "--interface", "lo", "--config", "no-such.toml"), "no-such.toml"),
        (("vehicle", "--interface", "lo", "--energy", "steam"), "steam"),
        (("vehicle", "--interface", "lo", "--loops", "-1"), "0 or more"),
    ],
)
def test_wrong_calls_of_charger_and_vehicle(arguments, told, run):
    code, out, err = run(*arguments)
    assert (code, out) == (USAGE, "")
    assert told in err


def test_the_configuration_file_is_read_and_checked(run, tmp_path):
    file = tmp_path / "charger.toml"
    file.write_text('evse_idd = "DE*ABC*E1"\n')
    code, _, err = run("charger", "--interface", "lo", "--config", file)
    assert code == USAGE
    assert "evse_id" in err


def test_a_lab_needs_a_command(run):
    assert run("lab")[0] == USAGE
    assert run("lab", "--")[0] == USAGE


def patience(folder):
    """Options for either side: a busy machine must not decide, 0.5 s turns are tested under virtual time."""
    (folder / "secc.toml").write_text("[timers]\nloop_sequence_s = 10.0\nhardware_silence_s = 10.0\n")
    (folder / "evcc.toml").write_text("[timers]\nloop_message_s = 10.0\nhardware_silence_s = 10.0\n")
    return f"--config {folder}/secc.toml", f"--config {folder}/evcc.toml"


def lab_sh(script):
    """A shell script inside the lab; all that it started ends with it, even where it hangs."""
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
def test_the_lab_hands_on_the_exit_code():
    assert lab_sh("exit 7").returncode == 7


@in_lab
@pytest.mark.runtime
@pytest.mark.parametrize(("energy", "control"), [("DC_BPT", "dynamic"), ("AC", "scheduled")])
def test_charger_and_vehicle_over_a_network(energy, control, tmp_path):
    station = tmp_path / "station.jsonl"
    secc, evcc = patience(tmp_path)
    done = lab_sh(
        f"{PROGRAM} charger --interface vse {secc} --energy {energy} --once --json --insecure-no-tls > {station} & "
        f"{PROGRAM} vehicle --interface vev {evcc} --energy {energy} --control {control} --loops 3 --once --json "
        "--insecure-no-tls; ev=$?; wait $!; echo station=$? vehicle=$ev"
    )
    *events, codes = done.stdout.splitlines()
    assert codes == "station=0 vehicle=0", done.stderr
    assert "WITHOUT TLS" in done.stderr
    for lines in (events, station.read_text().splitlines()):
        ended = [e for e in map(json.loads, lines) if e["event"] == "SessionEnded"]
        assert [e["reason"] for e in ended] == ["completed"]


STOP = """
import signal, subprocess, sys
command = [sys.executable, "-m", "iso15118.cli", *sys.argv[2:], "--json", "--insecure-no-tls"]
child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
for line in child.stdout:
    if sys.argv[1] in line:
        child.send_signal(signal.SIGTERM)
        break
rest = child.stdout.read()
print(child.wait(20), '"SessionEnded"' in line + rest)
"""


@in_lab
@pytest.mark.runtime
def test_sigterm_ends_a_waiting_charger(tmp_path):
    (tmp_path / "stop.py").write_text(STOP)
    done = lab_sh(f"{sys.executable} {tmp_path}/stop.py ChargerListening charger --interface vse")
    assert done.stdout.split() == ["0", "False"], done.stderr


@in_lab
@pytest.mark.runtime
@pytest.mark.parametrize("stopped", ["charger", "vehicle"])
def test_sigterm_in_a_session_ends_it_in_an_orderly_way_on_both_sides(stopped, tmp_path):
    (tmp_path / "stop.py").write_text(STOP)
    stop = f"{sys.executable} {tmp_path}/stop.py DC_ChargeLoopRes"
    secc, evcc = patience(tmp_path)
    sides = {
        "charger": f"charger --interface vse --once {secc}",
        "vehicle": f"vehicle --interface vev --energy DC --loops 0 --once {evcc}",
    }
    other = "vehicle" if stopped == "charger" else "charger"
    done = lab_sh(
        f"{PROGRAM} {sides[other]} --insecure-no-tls > {tmp_path}/other.txt & "
        f"{stop} {sides[stopped]}; wait $!; echo $?"
    )
    assert done.stdout.split() == ["0", "True", "0"], done.stderr
    assert "ended    completed" in (tmp_path / "other.txt").read_text()
