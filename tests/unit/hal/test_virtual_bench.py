"""The bench as a whole: from plug to plug, protection, single devices, anything at all, real time, names."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hal.virtual
from hal import registry
from hal.errors import HalError, Kind
from hal.types import ContactorState, CpState, Quality, Severity
from hal.virtual.bench import Bench
from hal.virtual.faults import cases
from hal.virtual.gauges import REAL
from hal.virtual.realtime import LiveBench
from hal.virtual.watch import Watcher
from tests.hw.virtual_rigs import charging_dc, stop


class TestSession:
    def test_dc_from_plug_to_plug(self) -> None:
        bench, watcher = charging_dc()
        station, car = bench.evse(), bench.ev()
        assert watcher.rest_since is None
        assert station.supply.current.value == pytest.approx(100.0, abs=0.1)
        assert car.battery.status.current_a == pytest.approx(100.0, abs=0.1)
        assert station.supply.voltage.value - car.inlet.voltage.value == pytest.approx(1.0, abs=0.01)
        bench.run(60.0)
        station.supply.off()
        bench.run(0.05)
        stop(bench)
        assert bench.circuit.outlet_v < 60.0
        assert station.meter.reading.import_wh > 500.0
        bench.unplug()
        bench.run(0.1)
        assert station.pilot.state is CpState.A
        assert car.pilot.plugged is False
        assert car.pilot.duty.quality is Quality.INVALID
        assert watcher.verdict() == []
        assert watcher.at_rest
        assert abs(bench.circuit.balance_wh()) < 1e-9

    def test_ac(self) -> None:
        bench = Bench(dc=False, phases=1)
        watcher = Watcher(bench)
        station, car = bench.evse(), bench.ev()
        station.check(dc=False)
        car.check(dc=False)
        bench.plug()
        station.lock.lock()
        station.pilot.set_duty(26.7)
        bench.run(0.5)
        car.pilot.set_state(CpState.C)
        bench.run(0.1)
        assert car.pilot.duty.value == pytest.approx(26.7)
        assert station.proximity.ampacity_a == 32.0
        for contactor in (station.contactor, car.contactor):
            contactor.close_contacts(lease_s=1000.0)
        bench.run(0.2)
        car.charger.drive(3600.0, lease_s=1000.0)
        bench.run(60.0)
        measured = car.charger.measured
        assert measured["V.L1"].value == 230.0
        assert measured["W.L1"].value == pytest.approx(3600.0)
        assert measured["Hz"].value == 50.0
        assert "W.L2" not in measured
        assert bench.circuit.current_a == pytest.approx(15.8, abs=0.1)
        car.charger.off()
        bench.run(0.05)
        station.contactor.open_contacts()
        bench.run(0.1)
        station.lock.unlock()
        bench.run(0.5)
        assert watcher.verdict() == []

    def test_steps_of_any_length_give_the_same(self) -> None:
        ends = []
        for parts in (1, 7, 200):
            bench, _ = charging_dc()
            for _ in range(parts):
                bench.step(10.0 / parts)
            ends.append((bench.circuit.delivered_wh, bench.station.pins["pin+"].celsius, bench.now))
        assert ends[0] == pytest.approx(ends[1], rel=1e-4)
        assert ends[0] == pytest.approx(ends[2], rel=1e-4)

    def test_the_seed_decides(self) -> None:
        closings = [charging_dc(seed, metrology=REAL)[0].circuit.closings for seed in (1, 1, 2)]
        assert closings[0] == closings[1]
        assert closings[0] != closings[2]

    def test_real_instruments(self) -> None:
        bench, _ = charging_dc(metrology=REAL)
        sample = bench.evse().supply.current
        assert sample.value == pytest.approx(100.0, abs=0.5)
        assert 0.05 - 1e-9 <= bench.now - sample.at <= 0.1 + 1e-9

    def test_lease_ends_everything(self) -> None:
        bench, watcher = charging_dc()
        station = bench.evse()
        station.supply.drive(420.0, 100.0, lease_s=1.0)
        station.contactor.close_contacts(lease_s=1.5)
        ends_at = bench.now + 1.0
        bench.run(2.0)
        assert watcher.rest_since == pytest.approx(ends_at + 0.52, abs=0.01)
        assert station.contactor.state is ContactorState.OPEN
        assert not station.supply.on


class TestProtection:
    def test_over_voltage_acts_within_10_ms(self) -> None:
        bench = Bench(seed=1)
        watcher = Watcher(bench)
        station = bench.evse()
        station.safety.arm(550.0)
        station.contactor.close_contacts(lease_s=100.0)
        station.supply.drive(540.0, 2.0, lease_s=100.0)
        bench.run(2.0)
        assert station.safety.armed
        bench.circuit.converter.volts_s = 1e6
        bench.inject("over_voltage")
        above_at = bench.now
        while not station.safety.tripped:
            bench.step(0.001)
        assert bench.now - above_at <= 0.02
        bench.step(0.025)
        assert not bench.station.relay.closed
        assert not bench.circuit.converter.on
        assert watcher.verdict(ignore=("pilot", "unlocked")) == []
        with pytest.raises(HalError) as refused:
            station.contactor.close_contacts()
        assert refused.value.kind is Kind.REFUSED
        assert "over_voltage" in str(refused.value)
        bench.heal("over_voltage")
        bench.run(5.0)
        station.safety.reset()
        bench.run(1.0)
        assert not bench.station.relay.closed  # a new command is needed
        station.contactor.close_contacts()
        bench.run(0.2)
        assert bench.station.relay.closed

    def test_a_car_that_lets_go_under_load_lifts_the_voltage(self) -> None:
        bench, watcher = charging_dc()
        before = bench.circuit.outlet_v
        bench.inject("battery_disconnects")
        bench.run(0.001)
        assert watcher.peak_v == pytest.approx(math.sqrt(before**2 + 1e-4 / 102e-6 * 100.0**2), abs=1.0)
        bench.run(0.3)
        assert {fault.code for fault in bench.ev().contactor.faults} == {"contactor_not_closing"}

    def test_isolation_falls_as_seen_by_the_station(self) -> None:
        bench, _ = charging_dc()
        station = bench.evse()
        station.isolation.start()
        bench.run(2.0)
        assert station.isolation.resistance.value == pytest.approx(1.25e6, rel=0.01)
        bench.inject("isolation_ramps")
        bench.run(4.0)
        assert station.isolation.resistance.value > 300e3
        bench.run(12.0)
        assert station.isolation.resistance.value < 100e3

    def test_temperatures_follow_the_current(self) -> None:
        bench, _ = charging_dc()
        bench.evse().supply.drive(430.0, 250.0, lease_s=1000.0)
        bench.run(300.0)
        pin = bench.evse().thermometers.temperatures["pin-"].value
        assert 25.0 + 37.5 * (1 - math.exp(-0.5)) == pytest.approx(pin, abs=1.0)


class TestDevices:
    def test_a_refused_command_changes_nothing(self) -> None:
        bench, _ = charging_dc()
        station = bench.evse()
        for lease_s in (0.0, -1.0, math.nan, math.inf):
            with pytest.raises(HalError, match="lease"):
                station.supply.drive(300.0, 1.0, lease_s=lease_s)
        bench.run(1.0)
        assert (bench.circuit.converter.set_v, bench.circuit.converter.set_a) == (420.0, 100.0)

    def test_a_closed_device_does_not_energise(self) -> None:
        bench = Bench()
        station = bench.evse()
        bench.device("evse", "contactor").disconnect()
        with pytest.raises(HalError) as refused:
            station.contactor.close_contacts()
        assert refused.value.kind is Kind.NOT_CONNECTED

    def test_a_missing_diode_stays_until_the_car_has_gone(self) -> None:
        bench, _ = charging_dc()
        station = bench.evse()
        bench.inject("pilot_diode_short")
        bench.run(0.05)
        assert station.pilot.state is CpState.E
        bench.heal("pilot_diode_short")
        station.pilot.reset()
        bench.run(1.0)
        assert station.pilot.state is CpState.E
        assert {fault.code for fault in station.pilot.faults} == {"diode_fault"}
        bench.unplug()
        bench.run(0.1)
        assert station.pilot.state is CpState.A
        assert not station.pilot.faults

    def test_a_flickering_pilot_is_not_noticed(self) -> None:
        bench, _ = charging_dc()
        since = bench.evse().pilot.since
        bench.inject("pilot_flickers")
        seen = set()
        for _ in range(100):
            bench.run(0.01)
            seen.add(bench.wire.wire)
            assert bench.evse().pilot.state is CpState.C
        assert seen == {CpState.B, CpState.C}
        assert bench.evse().pilot.since == since

    def test_a_slow_line_does_not_look_like_a_weld(self) -> None:
        bench, _ = charging_dc()
        bench.inject("line_delays", role="contactor")
        stop(bench)
        bench.run(1.0)
        assert bench.evse().contactor.state is ContactorState.OPEN
        assert not bench.evse().faults()

    def test_an_emergency_stop_is_told_as_what_it_is(self) -> None:
        bench, _ = charging_dc()
        bench.inject("emergency_stop")
        bench.run(0.1)
        (fault,) = bench.evse().safety.faults
        assert (fault.code, fault.severity, fault.latched) == ("emergency_stop", Severity.EMERGENCY, True)
        bench.heal("emergency_stop")
        bench.evse().safety.reset()
        bench.run(0.1)
        assert not bench.evse().safety.faults
        assert not bench.evse().supply.on

    def test_cold_cells_take_little(self) -> None:
        bench = Bench(seed=1)
        car = bench.ev()
        warm = car.battery.status.max_charge_a
        bench.device("ev", "battery").celsius = -10.0
        bench.run(0.1)
        assert car.battery.status.max_charge_a == pytest.approx(0.2 * warm)
        bench.circuit.battery.charge_as = 0.04 * bench.circuit.battery.capacity_as
        bench.run(0.1)
        assert car.battery.status.max_discharge_a == 0.0

    def test_the_wall_clock_steps_and_nothing_else(self) -> None:
        bench, _ = charging_dc()
        before = bench.evse().meter.reading
        bench.inject("clock_steps_back")
        bench.run(1.0)
        after = bench.evse().meter.reading
        assert after.taken_at - before.taken_at == pytest.approx(-3599.0)
        assert after.at - before.at == pytest.approx(1.0)
        assert bench.circuit.current_a == pytest.approx(100.0, abs=0.1)


class TestAnything:
    """Whatever is pressed in whatever order: no exception, no energy from nowhere."""

    @settings(max_examples=40, deadline=None)
    @given(
        dc=st.booleans(), orders=st.lists(st.tuples(st.integers(0, 99), st.floats(0.01, 3.0)), max_size=25)
    )
    def test_on_any_bench(self, dc: bool, orders: list[tuple[int, float]]) -> None:
        bench = charging_dc(5, metrology=REAL)[0] if dc else Bench(dc=False, seed=5, metrology=REAL)
        station, car = bench.evse(), bench.ev()
        possible = [case for case in cases(bench) if case.role is None or case.role == "contactor"]
        presses: list[Any] = [
            bench.plug,
            bench.unplug,
            lambda: station.pilot.set_duty(5.0),
            lambda: car.pilot.set_state(CpState.C),
            station.contactor.close_contacts,
            car.contactor.close_contacts,
            station.contactor.open_contacts,
            station.lock.lock,
            station.lock.unlock,
            lambda: station.safety.arm(500.0),
            station.safety.reset,
        ]
        if dc:
            presses += [lambda: station.supply.drive(410.0, 80.0), lambda: station.supply.drive(300.0, -80.0)]
            presses += [station.supply.off, station.isolation.start, station.isolation.start_self_test]
        else:
            presses += [lambda: car.charger.drive(9000.0), lambda: car.charger.drive(-9000.0, 1000.0)]
        for number, seconds in orders:
            try:
                if number < 60:
                    presses[number % len(presses)]()
                else:
                    case = possible[number % len(possible)]
                    bench.inject(case.switch.name, side=case.side, role=case.role)
            except HalError as refused:
                assert refused.kind is Kind.REFUSED  # noqa: PT017
            bench.step(seconds)
        circuit = bench.circuit
        assert abs(circuit.balance_wh()) < 1e-6
        assert all(map(math.isfinite, (circuit.outlet_v, circuit.current_a, circuit.power_w)))


class TestRealTime:
    def test_a_bundle_follows_the_event_loop(self) -> None:
        async def main() -> None:
            bench = LiveBench(seed=1)
            station, car = hal.virtual.evse_bundle(bench), hal.virtual.ev_bundle(bench)
            bench.plug()
            changed = asyncio.Event()
            station.on_change(changed.set)
            await station.open()
            await car.open()
            await station.open()
            loop = asyncio.get_running_loop()
            assert loop.time() - bench.now < 5.0
            while station.pilot.state is not CpState.B:
                changed.clear()
                await changed.wait()
            car.pilot.set_state(CpState.C)
            while station.pilot.state is not CpState.C:
                changed.clear()
                await changed.wait()
            assert not station.faults()
            await station.close()
            await car.close()
            stopped_at = bench.now
            await asyncio.sleep(0.03)
            assert bench.now == stopped_at
            assert bench.wire.state is CpState.B
            assert len(asyncio.all_tasks()) == 1

        asyncio.run(main())

    def test_a_dead_line_cannot_be_opened(self) -> None:
        async def main() -> None:
            bench = LiveBench()
            station = bench.evse()
            bench.device("evse", "lock").line.up = False
            with pytest.raises(HalError) as failed:
                await station.open()
            assert failed.value.kind is Kind.NOT_CONNECTED
            await asyncio.sleep(0)
            assert len(asyncio.all_tasks()) == 1

        asyncio.run(main())


class TestRegistry:
    @pytest.mark.parametrize("name", [n for n in registry.names() if n.startswith("virtual-ev")])
    def test_every_name_makes_its_device(self, name: str) -> None:
        device = registry.make(name)
        _, side, role = name.split("-", 2)
        assert device.name == f"virtual.{side}.{role}"

    def test_devices_of_one_bench(self) -> None:
        bench = LiveBench(seed=1)
        assert registry.make("virtual-evse-pilot", bench=bench) is bench.device("evse", "pilot")
        with pytest.raises(HalError, match="this bench has") as wrong:
            registry.make("virtual-ev-charger", bench=bench)
        assert wrong.value.kind is Kind.CONFIGURATION

    def test_every_role_has_a_name(self) -> None:
        roles = {*Bench(dc=True).devices, *Bench(dc=False).devices}
        assert {f"virtual-{side}-{role}" for side, role in roles} <= set(registry.names())
