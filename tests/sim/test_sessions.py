"""Whole sessions under virtual time: all combinations, faults, determinism, energy."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from iso15118.control.common import Wish
from iso15118.events import EndReason
from iso15118.sim.faults import KINDS, fault
from iso15118.sim.run import Run, simulate
from iso15118.sim.scenarios import COMBINATIONS, demo, service_of, varied
from iso15118.sim.soak import Job, main, run_one


@pytest.mark.parametrize(("energy", "control"), COMBINATIONS)
class TestEveryCombination:
    def test_completes(self, energy: str, control: str) -> None:
        run = simulate(energy, control, seed=3)
        assert run.ok, run.explain()
        assert run.completed
        assert run.delivered_wh > 0.5
        assert (run.fed_back_wh > 0.1) == service_of(energy).bidirectional
        loops = [name for name in run.names if name.endswith("ChargeLoopReq")]
        assert len(loops) >= 20

    def test_varied_sessions_complete(self, energy: str, control: str) -> None:
        for seed in range(5):
            run = run_one(Job(energy, control, seed, faulty=False))
            assert run.ok, run.explain()

    def test_random_faults_break_no_rule(self, energy: str, control: str) -> None:
        for seed in range(100, 105):
            run = run_one(Job(energy, control, seed, faulty=True))
            assert run.ok, run.explain()


def test_the_same_seed_gives_the_same_log() -> None:
    first, second, other = (simulate("DC_BPT", "dynamic", seed, "random") for seed in (11, 11, 12))
    assert first.log_hash == second.log_hash
    assert first.log_hash != other.log_hash


def test_another_process_gives_the_same_log() -> None:
    code = "from iso15118.sim.run import simulate; print(simulate('DC', 'scheduled', 5, 'random').log_hash)"
    hashes = set()
    for hash_seed in ("0", "1", "4711"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        hashes.add(done.stdout.strip())
    assert hashes == {simulate("DC", "scheduled", 5, "random").log_hash}


class TestEnergy:
    @pytest.mark.parametrize(("energy", "wh"), [("DC", 2000.0), ("AC", 100.0)])
    def test_an_amount_is_charged(self, energy: str, wh: float) -> None:
        run = simulate(energy, "dynamic", wh=wh)
        assert run.ok, run.explain()
        assert run.delivered_wh == pytest.approx(wh, rel=0.02)

    def test_the_demo_charges_and_feeds_back(self) -> None:
        run = simulate(scenario=demo())
        assert run.ok, run.explain()
        charging_s = run.scenario.evse.setpoints[1][0]
        assert run.delivered_wh == pytest.approx(60_000 * charging_s / 3600, rel=0.05)
        flowing = [s.t for s in run.recording.samples if abs(s.current_a) > 1]
        feeding_s = flowing[-1] - flowing[0] - charging_s
        assert run.fed_back_wh == pytest.approx(20_000 * feeding_s / 3600, rel=0.05)
        recording = run.recording
        through = run.delivered_wh + run.fed_back_wh
        assert abs(recording.balance_wh) < 0.001 * through
        assert recording.meter_wh == pytest.approx((run.delivered_wh, run.fed_back_wh), rel=0.001)

    def test_the_meter_reaches_the_car(self) -> None:
        run = simulate("DC_BPT", "dynamic", wh=300.0)
        told = [
            e.message.meter_info.charged_energy_reading_wh
            for e in run.messages
            if getattr(e.message, "meter_info", None) is not None
        ]
        assert told == sorted(told)
        assert told[-1] == pytest.approx(300.0, abs=30.0)


class TestWishes:
    @pytest.mark.parametrize("side", ["evse", "ev"])
    def test_either_side_may_end_it(self, side: str) -> None:
        from dataclasses import replace

        scenario = varied("DC", "dynamic", 1)
        setup = replace(getattr(scenario, side), wishes=((1.0, Wish.TERMINATE),))
        run = simulate(scenario=replace(scenario, loops=None, **{side: setup}))
        assert run.completed, run.explain()
        assert run.ok, run.explain()


SIDED = {
    "half_close": ("SECC", "EVCC"),
    "peer_vanishes": ("SECC", "EVCC"),
    "controller_silence": ("SECC", "EVCC"),
    "emergency_stop": ("EVSE", "EV"),
    "hardware_fault": ("EVSE", "EV"),
}


def ends(run: Run) -> dict[str, EndReason]:
    return {role: end.reason for role, end in run.ends.items()}


class TestNamedFaults:
    """What each side makes of single faults; `ok` says that nothing dangerous happened."""

    @pytest.mark.parametrize("name", sorted(KINDS))
    @pytest.mark.parametrize("energy", ["AC", "DC_BPT"])
    def test_each_by_itself(self, name: str, energy: str) -> None:
        run = simulate(energy, "dynamic", seed=1, faults=[fault(name)], limit_s=900.0, loops=60)
        assert run.ok, run.explain()

    @pytest.mark.parametrize("at", [0.01, 0.7, 1.5, 2.5, 3.0, 3.3, 4.0, 5.0])
    @pytest.mark.parametrize("name", ["tcp_reset", "unplug", *SIDED])
    def test_at_any_time(self, name: str, at: float) -> None:
        for side in SIDED.get(name, ("",)):
            values = {"at": at} | ({"side": side} if side else {})
            run = simulate("DC", "scheduled", faults=[fault(name, **values)])
            assert run.ok, run.explain()

    def test_isolation_fault_ends_in_cable_check(self) -> None:
        run = simulate("DC", faults="isolation_fault")
        assert ends(run)["SECC"] is EndReason.REFUSED
        assert "CHARGE_LOOP" not in run.states("secc")
        assert run.delivered_wh == 0.0

    def test_wrong_voltage_keeps_the_car_from_closing(self) -> None:
        run = simulate("DC", faults="wrong_voltage(40)")
        assert ends(run)["EVCC"] is EndReason.TIMEOUT
        assert not any(sample.ev_closed for sample in run.recording.samples)

    def test_refused_authorization(self) -> None:
        run = simulate("AC", faults="refused_authorization")
        assert "SERVICE_DISCOVERY" not in run.states("secc")

    def test_a_damaged_discovery_is_repeated(self) -> None:
        run = simulate("AC", faults="sdp_corrupt(0.6)", seed=5)
        assert run.ok, run.explain()
        assert sum(type(e).__name__ == "SdpRequestSent" for e in run.events) > 1

    def test_odd_pieces_change_nothing(self) -> None:
        assert simulate("DC", faults="tcp_chunks(1)").names == simulate("DC").names

    def test_a_clock_step_ends_nothing(self) -> None:
        run = simulate("DC", faults="clock_step(5, -7200, SECC)")
        assert run.completed, run.explain()


def test_soak_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "1", "--first", "7"]) == 0
    assert "8 sessions, 0 failed" in capsys.readouterr().out
