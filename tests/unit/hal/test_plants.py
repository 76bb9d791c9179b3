"""The physics against closed forms and against energy conservation."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.virtual.battery import Battery
from hal.virtual.plants import (
    AcConverter,
    Contactor,
    DcSupply,
    IsolationTester,
    Meter,
    PilotCircuit,
)
from iso15118.control.common import Contactor as Position
from iso15118.control.common import CpState


def cell_block(**changes: float) -> Battery:
    """96 cells of 150 Ah: open-circuit voltage 355.2 V at half."""
    probe = Battery(capacity_wh=1000.0)
    values: dict[str, float] = {
        "capacity_wh": 150.0 * 3600.0 * 1000.0 / probe.capacity_as,
        "soc": 0.5,
    } | changes
    return Battery(**values)  # type: ignore[arg-type]


class TestBattery:
    def test_a_minute_at_125_a(self) -> None:
        battery = cell_block()
        assert battery.open_circuit_v == pytest.approx(355.2)
        energy = sum(battery.step(125.0, 0.1) for _ in range(600))
        assert battery.soc - 0.5 == pytest.approx(125.0 * 60 / (150.0 * 3600))
        assert battery.polarised_v == pytest.approx(0.03 * 125 * (1 - math.exp(-2)), rel=1e-6)
        assert battery.terminal_v(125.0) == pytest.approx(367.0, abs=0.5)
        assert energy == pytest.approx(763.0, rel=0.005)

    def test_step_response_at_100_a(self) -> None:
        battery = cell_block()
        rest = battery.open_circuit_v
        assert battery.terminal_v(100.0) - rest == pytest.approx(6.0)
        battery.step(100.0, 30.0)
        assert battery.polarised_v == pytest.approx(3.0 * (1 - math.exp(-1)))

    def test_one_long_step_equals_many_short_ones(self) -> None:
        one, many = cell_block(soc=0.2), cell_block(soc=0.2)
        whole = one.step(80.0, 600.0)
        parts = sum(many.step(80.0, 0.5) for _ in range(1200))
        assert whole == pytest.approx(parts, rel=1e-9)
        assert one.soc == pytest.approx(many.soc, rel=1e-12)
        assert one.polarised_v == pytest.approx(many.polarised_v, rel=1e-9)

    @settings(max_examples=50)
    @given(st.lists(st.tuples(st.floats(-300, 300), st.floats(0.001, 60)), min_size=1, max_size=20))
    def test_energy_is_stored_or_lost(self, steps: list[tuple[float, float]]) -> None:
        battery = cell_block()
        before = battery.stored_wh
        taken = sum(battery.step(current, dt) for current, dt in steps)
        kept = battery.stored_wh - before + battery.polarised_wh
        assert taken == pytest.approx(kept + battery.loss_wh, abs=1e-6)
        assert battery.loss_wh >= 0

    def test_stored_energy_of_a_full_battery_is_its_capacity(self) -> None:
        assert Battery(capacity_wh=60_000.0, soc=1.0).stored_wh == pytest.approx(60_000.0)

    def test_current_for_a_power(self) -> None:
        battery = cell_block()
        for power in (-20_000.0, -1.0, 0.0, 11_000.0):
            current = battery.current_for(power)
            assert current * battery.terminal_v(current) == pytest.approx(power, abs=1e-6)

    def test_taper(self) -> None:
        amps = [cell_block(soc=soc).max_charge_a() for soc in (0.3, 0.5, 0.7, 0.9, 1.0)]
        assert amps == sorted(amps, reverse=True)
        assert amps[0] == pytest.approx(375.0)
        assert amps[-1] == pytest.approx(15.0)

    def test_refuses_nonsense(self) -> None:
        with pytest.raises(ValueError, match="state of charge"):
            Battery(soc=1.2)


class TestDcSupply:
    def test_open_output_ramps_and_discharges(self) -> None:
        supply = DcSupply(volts_s=500.0)
        supply.drive(490.0, 2.0)
        supply.step_open(0.5)
        assert supply.voltage_v == pytest.approx(250.0)
        supply.step_open(0.5)
        assert supply.voltage_v == pytest.approx(490.0)
        supply.off()
        supply.step_open(0.1)
        assert supply.voltage_v == pytest.approx(490.0 * math.exp(-1.0))
        assert math.log(500 / 60) * supply.discharge_ohm * supply.capacitance_f == pytest.approx(
            0.212, abs=0.001
        )

    def test_constant_current_then_constant_voltage(self) -> None:
        supply = DcSupply(up_a_s=1e9)
        supply.drive(400.0, 100.0)
        assert supply.step_loaded(350.0, 0.1, 0.1) == pytest.approx(100.0)
        assert supply.step_loaded(395.0, 0.1, 0.1) == pytest.approx(50.0)
        assert supply.step_loaded(405.0, 0.1, 0.1) == 0.0

    def test_discharges_down_to_the_floor(self) -> None:
        supply = DcSupply(up_a_s=1e9)
        supply.drive(400.0, -100.0, floor_v=340.0)
        assert supply.step_loaded(360.0, 0.1, 0.1) == pytest.approx(-100.0)
        assert supply.step_loaded(345.0, 0.1, 0.1) == pytest.approx(-50.0)
        assert supply.step_loaded(335.0, 0.1, 0.1) == 0.0

    def test_ramp(self) -> None:
        supply = DcSupply(up_a_s=25.0)
        supply.drive(500.0, 124.0)
        steps = 0
        while supply.step_loaded(350.0, 0.07, 0.01) < 124.0:
            steps += 1
        assert steps * 0.01 == pytest.approx(4.96, abs=0.05)

    def test_a_reversal_passes_through_zero(self) -> None:
        supply = DcSupply(up_a_s=100.0, down_a_s=100.0)
        supply.drive(400.0, 50.0)
        for _ in range(10):
            supply.step_loaded(350.0, 0.07, 0.1)
        supply.drive(400.0, -50.0, 300.0)
        course = [supply.step_loaded(350.0, 0.07, 0.1) for _ in range(12)]
        assert course == pytest.approx([40, 30, 20, 10, 0, -10, -20, -30, -40, -50, -50, -50])

    def test_keeps_its_own_limits(self) -> None:
        supply = DcSupply(max_a=10.0, max_w=1750.0, up_a_s=1e9)
        supply.drive(5000.0, 500.0)
        assert (supply.target_v, supply.target_a) == (1000.0, 10.0)
        assert supply.step_loaded(350.0, 0.1, 0.1) == pytest.approx(5.0)


class TestContactor:
    def test_times(self) -> None:
        contactor = Contactor(close_s=0.06, open_s=0.02)
        contactor.command(True)
        assert contactor.due_s == pytest.approx(0.06)
        assert not contactor.step(0.05)
        assert contactor.step(0.01)
        assert contactor.feedback is Position.CLOSED
        contactor.command(False)
        assert contactor.step(0.02, current_a=6.0)
        assert contactor.load_breaks == 1

    def test_repeating_a_command_does_not_delay_it(self) -> None:
        contactor = Contactor(close_s=0.06)
        contactor.command(True)
        contactor.step(0.04)
        contactor.command(True)
        assert contactor.step(0.02)

    def test_revoked_before_it_moved(self) -> None:
        contactor = Contactor()
        contactor.command(True)
        contactor.step(0.03)
        contactor.command(False)
        assert not contactor.step(1.0)
        assert not contactor.closed

    def test_faults(self) -> None:
        stuck, welded, late = Contactor(), Contactor(), Contactor()
        stuck.stuck_open, late.late_s = True, 2.0
        for contactor in (stuck, welded, late):
            contactor.command(True)
            contactor.step(1.0)
        assert (stuck.closed, welded.closed, late.closed) == (False, True, False)
        late.step(1.1)
        assert late.closed
        welded.welded = True
        welded.command(False)
        welded.step(1.0)
        assert welded.closed

    def test_bounce_is_told_as_unknown(self) -> None:
        contactor = Contactor(bounce_s=0.05)
        contactor.command(True)
        contactor.step(0.06)
        assert contactor.feedback is Position.UNKNOWN
        contactor.step(0.05)
        assert contactor.feedback is Position.CLOSED


class TestIsolationTester:
    @pytest.mark.parametrize(("minus", "passed"), [(5e6, True), (100_000.0, False), (150_000.0, True)])
    def test_verdict(self, minus: float, passed: bool) -> None:
        tester = IsolationTester(duration_s=2.0, minus_ohm=minus)
        tester.start()
        tester.step(5.0, 0.0)  # without voltage nothing is measured
        assert tester.passed is None
        tester.step(1.0, 500.0)
        assert tester.passed is None
        tester.step(1.0, 500.0)
        assert tester.passed is passed

    def test_a_pole_at_100_kohm_is_below_the_limit(self) -> None:
        assert IsolationTester(minus_ohm=100_000.0).fault_ohm == pytest.approx(98_039, abs=1)


class TestSmallOnes:
    def test_converter(self) -> None:
        converter = AcConverter(efficiency=0.9, min_w=500.0, ramp_w_s=1000.0)
        converter.target_w = 3000.0
        assert [converter.ramp(1.0) for _ in range(4)] == [1000.0, 2000.0, 3000.0, 3000.0]
        converter.target_w = 400.0
        assert [converter.ramp(1.0) for _ in range(3)] == [2000.0, 1000.0, 0.0]
        assert converter.battery_w(1000.0) == pytest.approx(900.0)
        assert converter.battery_w(-900.0) == pytest.approx(-1000.0)
        for power in (-700.0, 700.0):
            assert converter.ac_w(converter.battery_w(power)) == pytest.approx(power)

    def test_meter_never_nets(self) -> None:
        meter = Meter()
        for energy in (5.0, -2.0, 1.0):
            meter.add(energy)
        assert (meter.charged_wh, meter.discharged_wh) == (6.0, 2.0)

    def test_pilot(self) -> None:
        pilot = PilotCircuit(delay_s=0.03)
        assert pilot.seen is CpState.B
        pilot.ready = True
        assert pilot.wire is CpState.C
        assert not pilot.step(0.02)
        assert pilot.step(0.01)
        assert pilot.seen is CpState.C

    def test_pilot_ignores_a_flicker(self) -> None:
        pilot = PilotCircuit(delay_s=0.03)
        pilot.ready = True
        pilot.step(0.02)
        pilot.ready = False
        assert not pilot.step(0.1)
        assert pilot.seen is CpState.B

    def test_the_car_notices_a_lost_pilot(self) -> None:
        pilot = PilotCircuit()
        pilot.plugged = False
        pilot.step(0.03)
        assert pilot.lost
        assert pilot.seen is CpState.A
