"""The parts of the bench against closed forms: pilot, insulation, protection, heat, moving parts, instruments."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.pilot_levels import PilotReading, classify
from hal.types import Check, CpState
from hal.virtual.gauges import IDEAL, REAL, Instrument, Pin, Registers
from hal.virtual.insulation import Insulation, Monitor, Poles
from hal.virtual.pilot_line import CAR_OHM, Debounced, PilotLine
from hal.virtual.protection import SafetyLoop
from hal.virtual.relay import Bolt, Relay


class TestPilotLevels:
    @pytest.mark.parametrize(("state", "volts"), [(CpState.B, 8.979), (CpState.C, 5.995), (CpState.D, 2.929)])
    def test_of_the_resistors(self, state: CpState, volts: float) -> None:
        line = PilotLine(plugged=True)
        line.state, line.duty = state, 5.0
        assert line.high_v == pytest.approx(volts, abs=0.001)
        assert line.low_v == -12.0  # the diode blocks

    def test_without_a_car(self) -> None:
        line = PilotLine()
        line.duty = 5.0
        assert (line.high_v, line.low_v, line.wire) == (12.0, -12.0, CpState.A)

    @pytest.mark.parametrize(("state", "volts"), [(CpState.B, 8.79), (CpState.C, 5.62), (CpState.D, 2.37)])
    def test_with_a_shorted_diode(self, state: CpState, volts: float) -> None:
        line = PilotLine(plugged=True)
        line.state, line.duty, line.diode_ok = state, 5.0, False
        assert line.high_v == pytest.approx(volts, abs=0.01)
        assert line.low_v == pytest.approx(-volts, abs=0.01)
        assert classify(line.high_v, line.low_v, 5.0, state) == PilotReading(CpState.E, "diode_fault")

    def test_of_a_short(self) -> None:
        line = PilotLine(plugged=True)
        line.short_ohm = 10.0
        for duty in (5.0, 100.0, 0.0):
            line.duty = duty
            reading = classify(line.high_v, line.low_v, duty, CpState.B)
            assert reading == PilotReading(CpState.E, "pilot_short")
        assert line.wire is CpState.E

    def test_steady_and_unavailable(self) -> None:
        line = PilotLine(plugged=True)
        assert classify(line.high_v, line.low_v, 100.0, None) == PilotReading(CpState.B)
        line.duty = 0.0
        assert (line.high_v, line.low_v) == (-12.0, -12.0)
        assert classify(-12.0, -12.0, 0.0, CpState.B) == PilotReading(CpState.F)
        line.powered = False
        assert classify(line.high_v, line.low_v, 100.0, CpState.B).state is CpState.E

    @given(
        state=st.sampled_from([CpState.B, CpState.C, CpState.D]),
        supply_v=st.floats(11.4, 12.6),
        source=st.floats(0.99, 1.01),
        resistor=st.floats(0.99, 1.01),
    )
    def test_tolerances_stay_in_the_window(
        self, state: CpState, supply_v: float, source: float, resistor: float
    ) -> None:
        ohm = CAR_OHM[state] * resistor
        high = 0.7 + (supply_v - 0.7) * ohm / (1000.0 * source + ohm)
        assert classify(high, -supply_v, 5.0, None) == PilotReading(state)

    @pytest.mark.parametrize(
        ("volts", "before", "state"),
        [
            (10.5, CpState.A, CpState.A),
            (10.5, CpState.B, CpState.B),
            (7.5, CpState.B, CpState.B),
            (7.5, CpState.C, CpState.C),
            (4.5, CpState.D, CpState.D),
            (13.5, CpState.A, None),
            (-5.0, CpState.B, None),
            (10.5, None, None),
        ],
    )
    def test_hysteresis_and_gaps(self, volts: float, before: CpState | None, state: CpState | None) -> None:
        assert classify(volts, -12.0, 5.0, before).state is state


class TestDebounced:
    def test_two_equal_looks(self) -> None:
        values = iter("xxyxyyyy")
        current = "x"
        level = Debounced(lambda: current)
        for value in values:
            current = value
            level.step(0.01)
        assert level.value == "y"
        assert level.due_s == math.inf

    def test_one_look_is_not_enough(self) -> None:
        current = "x"
        level = Debounced(lambda: current)
        for _ in range(2):
            assert level.due_s == pytest.approx(0.01)
            level.step(0.01)
        assert level.value == "x"
        current = "y"
        assert not level.step(0.01)
        current = "x"
        assert not level.step(0.01)
        assert level.value == "x"


class TestInsulation:
    def test_of_two_good_sides(self) -> None:
        poles = Insulation().from_station(cable=True, car=False)
        assert poles.fault_ohm == pytest.approx(2.5e6)
        assert poles.to_earth_v(500.0) == pytest.approx((250.0, -250.0))
        assert Insulation().from_station(cable=True, car=True).fault_ohm == pytest.approx(1.25e6)

    def test_a_pole_at_100_kohm_is_below_the_limit(self) -> None:
        poles = Poles(plus_ohm=5e6, minus_ohm=100e3)
        assert poles.fault_ohm == pytest.approx(98_039, abs=1)
        assert poles.to_earth_v(500.0) == pytest.approx((490.2, -9.8), abs=0.05)

    def test_the_cable_is_seen_through_the_contactor_only(self) -> None:
        insulation = Insulation()
        insulation.cable_minus_ohm = 50e3
        assert insulation.from_station(cable=False, car=False).fault_ohm == pytest.approx(2.5e6)
        assert insulation.from_station(cable=True, car=False).fault_ohm < 50e3

    def test_another_monitor_in_the_car(self) -> None:
        insulation = Insulation()
        insulation.car_monitor = True
        assert insulation.from_station(cable=True, car=True).fault_ohm == pytest.approx(1e6)

    def test_response_time(self) -> None:
        monitor = Monitor()
        monitor.connect(True)
        for _ in range(10):
            monitor.step(2e6, 0.1)
        assert monitor.reading_ohm == pytest.approx(2e6)
        for _ in range(100):
            monitor.step(50e3, 0.1)
        assert monitor.reading_ohm == pytest.approx(50e3 + 1.95e6 * math.exp(-4.0))

    def test_self_test_takes_3_s(self) -> None:
        monitor = Monitor()
        monitor.connect(True)
        monitor.start_test()
        monitor.step(1e6, 2.9)
        assert (monitor.check, monitor.reading_ohm) == (Check.RUNNING, None)
        monitor.step(1e6, 0.1)
        assert monitor.check is Check.PASSED


class TestProtection:
    def test_over_voltage_acts_after_10_ms(self) -> None:
        loop = SafetyLoop()
        loop.limit_v, loop.output_v = 550.0, 551.0
        loop.step(0.009)
        assert loop.intact
        assert loop.due_s == pytest.approx(0.001)
        loop.step(0.001)
        assert loop.tripped == {"over_voltage"}

    def test_a_shorter_peak_is_nothing(self) -> None:
        loop = SafetyLoop()
        loop.limit_v = 550.0
        for volts in (600.0, 500.0, 600.0, 500.0):
            loop.output_v = volts
            loop.step(0.009)
        assert loop.intact

    @pytest.mark.parametrize(
        ("dc_ma", "ac_ma", "after_s"),
        [(8.0, 0.0, 1.0), (70.0, 0.0, 0.3), (0.0, 35.0, 0.3), (5.0, 25.0, None)],
    )
    def test_residual_current(self, dc_ma: float, ac_ma: float, after_s: float | None) -> None:
        loop = SafetyLoop()
        loop.residual_dc_ma, loop.residual_ac_ma = dc_ma, ac_ma
        assert loop.due_s == (math.inf if after_s is None else after_s)
        loop.step(0.29)
        assert loop.intact
        loop.step(1.0)
        assert loop.intact is (after_s is None)

    def test_latched_until_reset_without_a_cause(self) -> None:
        loop = SafetyLoop()
        loop.causes.add("emergency_stop")
        loop.step(0.001)
        loop.reset()
        assert loop.tripped == {"emergency_stop"}
        loop.causes.clear()
        loop.step(1.0)
        assert not loop.intact
        loop.reset()
        assert loop.intact

    def test_heat(self) -> None:
        loop = SafetyLoop()
        loop.hottest_c = 96.0
        loop.step(0.001)
        loop.reset()
        assert loop.tripped == {"over_temperature"}


class TestHeat:
    @pytest.mark.parametrize(
        ("amps", "seconds", "kelvin"), [(125.0, 1e5, 9.4), (250.0, 1e5, 37.5), (500.0, 214.0, 45.0)]
    )
    def test_of_a_pin(self, amps: float, seconds: float, kelvin: float) -> None:
        pin = Pin()
        pin.step(amps, seconds)
        assert pin.celsius - 25.0 == pytest.approx(kelvin, abs=0.1)

    def test_cooled_by_a_liquid(self) -> None:
        pin = Pin(kelvin_per_w=0.4)
        pin.step(500.0, 1e5)
        assert pin.celsius - 25.0 == pytest.approx(20.0)


class TestMoving:
    def test_contactor_times(self) -> None:
        relay = Relay(lambda: 0.08)
        relay.command(True)
        assert relay.due_s == pytest.approx(0.08)
        relay.step(0.08)
        assert relay.closed
        assert relay.feedback.value == "unknown"  # bouncing
        relay.step(relay.due_s)
        assert relay.feedback.value == "closed"
        relay.command(False)
        relay.step(0.02)
        assert not relay.closed
        assert relay.feedback.value == "unknown"
        relay.step(0.005)
        assert relay.feedback.value == "open"

    def test_no_coil_without_the_safety_loop(self) -> None:
        relay = Relay()
        relay.enabled = False
        relay.command(True)
        relay.step(1.0)
        assert not relay.closed

    def test_bolt(self) -> None:
        bolt = Bolt()
        bolt.move(True)
        bolt.step(0.2)
        assert (bolt.sense, bolt.locked) == (None, False)
        bolt.move(True)
        bolt.step(0.1)
        assert bolt.sense is True

    def test_a_bolt_that_could_not_unlock_does_not_lock(self) -> None:
        bolt = Bolt()
        bolt.power_up()
        bolt.move(True)
        bolt.step(9.9)
        assert not bolt.locked
        bolt.step(0.1)
        bolt.step(0.3)
        assert bolt.locked


class TestInstruments:
    def test_real_ones_are_noisy_and_coarse(self) -> None:
        gauge = Instrument(REAL, Random(1))
        samples = [gauge.take(400.04, t).value for t in range(500)]
        assert len(set(samples)) > 5
        assert all(abs(s * 10 - round(s * 10)) < 1e-6 for s in samples)
        assert sum(samples) / len(samples) == pytest.approx(400.04, abs=0.05)

    def test_faults(self) -> None:
        gauge = Instrument(IDEAL, Random(1))
        gauge.stuck = True
        assert [gauge.take(v, v).value for v in (1.0, 2.0)] == [1.0, 1.0]
        gauge.stuck = False
        gauge.gain = 1000.0
        assert gauge.take(2.0, 0.0).value == 2000.0
        gauge.nan = True
        assert not gauge.take(2.0, 0.0).fresh(0.0, 1.0)

    def test_registers(self) -> None:
        registers = Registers(gain=1.005)
        for energy in (1000.0, -500.0, 0.7):
            registers.add(energy)
        registers.step(3000.0, 1.0)
        assert (registers.shown_import_wh, registers.shown_export_wh) == (1005.0, 502.0)
        assert registers.shown_w == pytest.approx(3015.0)
        registers.add(100.0)
        assert not registers.step(0.0, 0.5)
        assert registers.shown_import_wh == 1005.0
        assert registers.age_s == pytest.approx(0.5)
