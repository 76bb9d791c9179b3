"""Simulated sessions behind TLS: the same course for the same seed, the same rules, and refusals."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from iso15118.control.evse import CloseContactor
from iso15118.events import CommandIssued, EndReason, MessageSent
from iso15118.runtime.security import Security
from iso15118.sim.checkers import check
from iso15118.sim.faults import draw
from iso15118.sim.run import simulate
from iso15118.sim.scenarios import COMBINATIONS, varied
from iso15118.sim.tls import Credentials, credentials, simulated_pki
from iso15118.tls.events import TlsEstablished, TlsFailed

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("energy", "control"), COMBINATIONS)
def test_each_session_runs_behind_tls_and_does_the_same(energy, control):
    plain, secure = (simulate(energy, control, 5, loops=4, tls=tls) for tls in (False, True))
    assert secure.ok, secure.explain()
    assert secure.completed
    assert tuple(dict.fromkeys(secure.names)) == tuple(dict.fromkeys(plain.names))
    assert secure.states() == plain.states()
    (station, car) = (e for e in secure.events if isinstance(e, TlsEstablished))
    assert (station.version, car.version) == ("TLS13", "TLS13")
    assert not any(b"\x01\xfe\x80" in data[:3] for _, _, data in secure.recording.wire)


def test_the_log_follows_from_the_seed_in_any_process():
    here = simulate("DC", seed=3, loops=3, tls=True).log_hash
    assert simulate("DC", seed=3, loops=3, tls=True).log_hash == here
    program = (
        "from iso15118.sim.run import simulate; print(simulate('DC', seed=3, loops=3, tls=True).log_hash)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    assert done.stdout.strip() == here


@pytest.mark.parametrize("seed", range(16))
def test_faults_break_no_rule_behind_tls_either(seed):
    energy, control = COMBINATIONS[seed % 8]
    scenario = dataclasses.replace(varied(energy, control, seed), tls=credentials())
    run = simulate(seed=seed, faults=draw(seed, dc=energy.startswith("DC")), scenario=scenario, limit_s=900.0)
    assert run.ok, run.explain()


@pytest.mark.parametrize(
    ("side", "defect", "reason"),
    [("secc", "expired", "expired"), ("secc", "revoked", "revoked"), ("evcc", "wrong-role", "another role")],
)
def test_who_is_not_trusted_gets_no_session_and_nothing_is_energised(side, defect, reason):
    pki = simulated_pki()
    bad = Security(pki.secc(defect=defect) if side == "secc" else pki.vehicle(defect=defect))
    run = simulate("DC", seed=1, tls=dataclasses.replace(credentials(), **{side: bad}))
    assert not run.violations
    assert not run.messages or not any(e.role == "SECC" for e in run.events if isinstance(e, MessageSent))
    assert {end.reason for end in run.ends.values()} == {EndReason.SECURITY}
    refusal = next(e for e in run.events if isinstance(e, TlsFailed) and "refused:" in e.reason)
    assert reason in refusal.reason
    assert refusal.role == ("EVCC" if side == "secc" else "SECC")
    assert not any(isinstance(e, CommandIssued) and isinstance(e.command, CloseContactor) for e in run.events)
    assert run.delivered_wh == 0.0


def test_a_clock_that_is_wrong_is_a_reason_to_refuse():
    run = simulate("DC", seed=1, faults="clock_step(at=0.0, seconds=900000000, side=EVCC)", tls=True)
    assert "expired" in run.ends["EVCC"].detail
    assert not run.violations


def test_octets_outside_tls_are_a_violation():
    recording = simulate("DC", seed=1, loops=2, tls=True).recording
    t, sender, _ = recording.wire[4]
    recording.wire[4] = (t, sender, bytes.fromhex("01fe800100000001"))
    (found,) = check(recording)
    assert found.checker == "log equals wire"
    assert "outside TLS" in found.detail


def test_credentials_show_no_key():
    assert "PRIVATE" not in repr(credentials())
    assert isinstance(credentials(), Credentials)


def test_sessions_without_tls_load_no_library():
    program = (
        "import sys; from iso15118.sim.run import simulate; assert simulate('DC', loops=2).ok; "
        "sys.exit('OpenSSL' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, cwd=PROJECT).returncode == 0
