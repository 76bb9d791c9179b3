"""The watcher finds each broken rule, and nothing where none is broken."""

from __future__ import annotations

import math

import pytest

from hal.types import CpState
from hal.virtual.bench import Bench
from hal.virtual.circuit import Closing
from hal.virtual.watch import Watcher
from tests.hw.virtual_rigs import charging_dc, stop


class TestWatcher:
    """Each rule, broken by hand."""

    def rules(self, watcher: Watcher) -> set[str]:
        return {violation.rule for violation in watcher.verdict()}

    def test_contactor_and_current_without_pilot(self) -> None:
        bench, watcher = charging_dc()
        bench.ev().pilot.set_state(CpState.B)
        at = bench.now
        bench.run(0.099)
        assert not watcher.verdict()
        bench.run(0.1)
        assert self.rules(watcher) == {"contactor without pilot", "current without pilot"}
        assert watcher.verdict()[0].t == pytest.approx(at)
        assert "state B" in str(watcher.verdict()[0])

    @pytest.mark.parametrize(("difference", "rules"), [(19.0, set()), (-25.0, {"ev closing"})])
    def test_closing_onto_a_difference(self, difference: float, rules: set[str]) -> None:
        bench, watcher = charging_dc()
        stop(bench)
        bench.car.relay.slip(True)
        bench.circuit.outlet_v = bench.circuit.battery.emf_v + difference
        for lock in (bench.station.bolt, bench.car.bolt):
            lock.locked = True
        bench.step(1e-6)
        assert {v.rule for v in watcher.verdict()} == rules

    def test_station_closing_onto_a_battery(self) -> None:
        bench, watcher = charging_dc()
        bench.circuit.closings.append(Closing(bench.now, "evse", 30.0, 400.0))
        bench.circuit.closings.append(Closing(bench.now, "evse", 300.0, 0.0))  # onto an empty cable
        bench.step(0.01)
        assert [str(v) for v in watcher.verdict()] == [
            f"evse closing at {bench.now - 0.01:.3f} s: 30 V across the contactor"
        ]

    def test_opening_under_load(self) -> None:
        bench, watcher = charging_dc()
        bench.evse().contactor.open_contacts()
        bench.run(0.1)
        assert self.rules(watcher) == {"opening under load"}

    def test_unlocking_under_voltage(self) -> None:
        bench, watcher = charging_dc()
        bench.ev().lock.unlock()
        bench.run(0.5)
        assert self.rules(watcher) == {"ev unlocking"}
        bench.evse().lock.unlock()
        bench.run(2.0)
        assert self.rules(watcher) == {"ev unlocking", "evse unlocking", "unlocked"}

    def test_a_bolt_that_fell_open_is_no_unlocking(self) -> None:
        bench, watcher = charging_dc()
        for side in ("evse", "ev"):
            bench.inject("lock_drops", side=side)
        bench.run(0.5)
        assert not watcher.verdict()
        bench.run(1.0)
        assert self.rules(watcher) == {"unlocked"}

    def test_over_voltage(self) -> None:
        bench, watcher = charging_dc()
        bench.evse().safety.arm(300.0)
        bench.station.loop._over_voltage.after_s = math.inf  # a monitor that does nothing
        bench.run(0.1)
        assert self.rules(watcher) == {"over-voltage"}

    def test_isolation(self) -> None:
        bench, watcher = charging_dc()
        bench.inject("isolation_steps")
        bench.run(15.0)
        assert not watcher.verdict()
        bench.run(6.0)
        assert self.rules(watcher) == {"isolation"}

    def test_meter(self) -> None:
        bench, watcher = charging_dc()
        bench.run(10.0)
        assert not watcher.verdict()
        bench.inject("meter_frozen")
        bench.run(5.0)
        assert self.rules(watcher) == {"import meter"}
        assert watcher.verdict(ignore=("meter",)) == []

    def test_ac_closing_too_soon(self) -> None:
        bench = Bench(dc=False)
        watcher = Watcher(bench)
        for closed in (True, False, True):
            bench.station.relay.slip(closed)
            bench.run(0.05)
        assert "closing too soon" in self.rules(watcher)

    def test_rest(self) -> None:
        bench, watcher = charging_dc()
        assert watcher.rest_since is None
        bench.inject("contactor_welded")
        stop(bench)
        assert bench.station.relay.closed
        assert watcher.rest_since is not None
