"""The circuits of the bench against closed forms and against energy conservation."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.virtual.ac_circuit import AcCircuit, OnBoardCharger
from hal.virtual.battery import Battery
from hal.virtual.converter import Converter
from hal.virtual.dc_circuit import DcCircuit
from hal.virtual.relay import Relay
from hal.virtual.wiring import Circuit


def block_150_ah() -> Battery:
    """96 cells of 150 Ah at half: 355.2 V at rest."""
    probe = Battery(capacity_wh=1000.0)
    return Battery(capacity_wh=150.0 * 3600.0 * 1000.0 / probe.capacity_as, soc=0.5)


def dc_circuit(**converter: float) -> DcCircuit:
    return DcCircuit(block_150_ah(), Relay(), Relay(), Converter(**converter))


def let_pass(circuit: Circuit, seconds: float) -> None:
    end = circuit.elapsed_s + seconds
    while circuit.elapsed_s < end - 1e-9:
        circuit.step(min(max(1e-4, circuit.due_s), end - circuit.elapsed_s))


def until(circuit: Circuit, condition, limit_s: float = 60.0) -> float:
    """Seconds until `condition()`, to a millisecond."""
    start = circuit.elapsed_s
    while not condition():
        assert circuit.elapsed_s - start < limit_s
        circuit.step(0.001)
    return circuit.elapsed_s - start


def closed_circuit() -> DcCircuit:
    """Both contactors closed without a difference of voltage, nothing flows."""
    circuit = dc_circuit()
    circuit.converter.voltage_v = circuit.outlet_v = circuit.battery.emf_v
    for relay in (circuit.evse, circuit.ev):
        relay.slip(True)
    circuit.step(0.001)
    return circuit


class TestDischarge:
    def make(self) -> DcCircuit:
        circuit = dc_circuit()
        circuit.evse.slip(True)
        circuit.step(0.001)
        circuit.converter.voltage_v = circuit.outlet_v = 500.0
        return circuit

    def test_by_bleeders_takes_too_long(self) -> None:
        circuit = self.make()
        assert until(circuit, lambda: circuit.outlet_v < 60.0) == pytest.approx(19.66, abs=0.02)

    def test_actively(self) -> None:
        circuit = self.make()
        circuit.converter.drive(500.0, 2.0)
        circuit.converter.off()
        assert circuit.outlet_v**2 / circuit.converter.discharge_ohm == pytest.approx(250.0)
        assert until(circuit, lambda: circuit.outlet_v < 60.0) == pytest.approx(0.216, abs=0.003)
        assert circuit.farad * 500.0**2 / 2 == pytest.approx(12.75, abs=0.01)

    def test_the_resistor_is_spared(self) -> None:
        circuit = self.make()
        circuit.converter.drive(500.0, 2.0)
        circuit.converter.off()
        let_pass(circuit, 2.1)
        assert circuit.converter.leak_s == pytest.approx(1e-5)

    def test_the_cable_alone(self) -> None:
        circuit = self.make()
        circuit.evse.slip(False)
        assert until(circuit, lambda: circuit.outlet_v < 500.0 / math.e) == pytest.approx(2.0, abs=0.01)


class TestOpenOutput:
    def test_ramp_of_a_cable_check(self) -> None:
        circuit = dc_circuit()
        circuit.evse.slip(True)
        circuit.converter.drive(490.0, 2.0)
        assert until(circuit, lambda: circuit.outlet_v > 489.99) == pytest.approx(0.98, abs=0.002)

    def test_limited_by_the_capacitor_alone(self) -> None:
        circuit = dc_circuit(volts_s=1e9)
        circuit.evse.slip(True)
        circuit.step(0.001)
        circuit.converter.drive(490.0, 2.0)
        assert until(circuit, lambda: circuit.outlet_v > 489.99) == pytest.approx(0.025, abs=0.0015)

    def test_a_short_stops_at_220_v(self) -> None:
        circuit = dc_circuit()
        circuit.evse.slip(True)
        circuit.short_ohm = 110.0
        circuit.converter.drive(490.0, 2.0)
        let_pass(circuit, 1.0)
        assert circuit.outlet_v == pytest.approx(220.0, abs=0.5)
        assert circuit.current_a == pytest.approx(2.0, abs=0.01)
        assert circuit.converter.current_a == pytest.approx(2.0, abs=0.01)
        circuit.converter.discharge_ohm = math.inf
        circuit.converter.off()
        assert until(circuit, lambda: circuit.outlet_v < 60.0) == pytest.approx(0.0146, abs=0.0011)

    def test_capacitors_share_their_charge(self) -> None:
        circuit = dc_circuit()
        circuit.converter.voltage_v = 400.0
        circuit.evse.slip(True)
        circuit.step(1e-6)
        assert circuit.outlet_v == pytest.approx(400.0 * 100 / 102, abs=0.01)
        assert circuit.closings[-1].difference_v == pytest.approx(400.0, abs=0.01)
        assert not circuit.evse.welded

    def test_voltage_falls_only_by_itself(self) -> None:
        circuit = dc_circuit()
        circuit.evse.slip(True)
        circuit.converter.drive(400.0, 2.0)
        let_pass(circuit, 1.0)
        circuit.converter.drive(300.0, 2.0)
        let_pass(circuit, 1.0)
        assert circuit.outlet_v == pytest.approx(400.0 * math.exp(-1.0 / 9.27), abs=0.5)

    def test_taking_current_empties_it_to_the_floor(self) -> None:
        circuit = dc_circuit()
        circuit.evse.slip(True)
        circuit.converter.drive(400.0, 2.0)
        let_pass(circuit, 1.0)
        circuit.converter.drive(300.0, -10.0)
        let_pass(circuit, 0.1)
        assert 296.0 < circuit.outlet_v <= 300.0  # then the bleeders go on

    @settings(max_examples=30)
    @given(st.floats(50.0, 900.0), st.floats(0.5, 20.0), st.floats(50.0, 1e6), st.integers(1, 40))
    def test_steps_hardly_matter(self, volts: float, amps: float, short: float, parts: int) -> None:
        ends = []
        for count in (1, parts):
            converter = Converter()
            converter.drive(volts, amps)
            for _ in range(count):
                converter.charge(1e-4, 1e-5 + 1.0 / short, 0.02 / count)
            ends.append(converter.voltage_v)
        assert ends[0] == pytest.approx(ends[1], rel=0.05, abs=0.5)


class TestClosing:
    def test_inrush(self) -> None:
        circuit = dc_circuit()
        circuit.evse.slip(True)
        circuit.step(0.001)
        circuit.converter.voltage_v = circuit.outlet_v = circuit.battery.emf_v - 0.7
        circuit.ev.slip(True)
        circuit.step(1e-6)
        assert circuit.closings[-1].difference_v == pytest.approx(-0.7, abs=0.001)
        assert circuit.closings[-1].inrush_a == pytest.approx(-10.0, abs=0.11)
        assert not circuit.ev.welded

    @pytest.mark.parametrize(
        ("difference", "welds"), [(20.0, False), (34.0, False), (36.0, True), (-40.0, True)]
    )
    def test_above_500_a_welds(self, difference: float, welds: bool) -> None:
        circuit = dc_circuit()
        circuit.evse.slip(True)
        circuit.step(0.001)
        circuit.converter.voltage_v = circuit.outlet_v = circuit.battery.emf_v + difference
        circuit.ev.slip(True)
        circuit.step(1e-6)
        assert circuit.closings[-1].inrush_a == pytest.approx(difference / 0.07, rel=0.01)
        assert circuit.ev.welded is welds

    def test_onto_an_empty_cable_is_recorded(self) -> None:
        circuit = dc_circuit()
        circuit.ev.slip(True)
        circuit.step(0.001)
        assert circuit.closings[-1].difference_v == pytest.approx(-355.2, abs=0.1)
        assert not circuit.ev.welded
        circuit.step(0.001)
        assert circuit.inlet_v == pytest.approx(355.2, abs=0.1)


class TestLoaded:
    def test_ramp_and_lag(self) -> None:
        circuit = closed_circuit()
        circuit.converter.drive(500.0, 124.0)
        assert until(circuit, lambda: circuit.current_a > 123.75) == pytest.approx(4.99, abs=0.02)

    def test_ramp_does_not_depend_on_steps(self) -> None:
        coarse, fine = closed_circuit(), closed_circuit()
        for circuit, count in ((coarse, 10), (fine, 2000)):
            circuit.converter.drive(500.0, 100.0)
            for _ in range(count):
                circuit.step(2.0 / count)
        assert coarse.current_a == pytest.approx(fine.current_a, rel=1e-6)
        assert coarse.battery.charge_as == pytest.approx(fine.battery.charge_as, rel=1e-6)

    def test_a_minute_at_125_a(self) -> None:
        circuit = closed_circuit()
        circuit.converter.rise_a_s = 1e9
        circuit.converter.lag_s = 1e-6
        circuit.converter.drive(500.0, 125.0)
        battery = circuit.battery
        assert battery.open_circuit_v == pytest.approx(355.2, abs=0.001)
        let_pass(circuit, 60.0)
        assert battery.soc - 0.5 == pytest.approx(0.01389, abs=1e-5)
        assert battery.polarised_v == pytest.approx(3.24, abs=0.05)
        assert circuit.outlet_v == pytest.approx(368.3, abs=0.3)
        assert circuit.delivered_wh == pytest.approx(764.1, abs=1.5)

    def test_step_response_at_100_a(self) -> None:
        battery = block_150_ah()
        rest = battery.open_circuit_v
        found = [battery.terminal_v(100.0) - rest]
        for _ in range(2):
            battery.step(100.0, 30.0)
            found.append(battery.terminal_v(100.0) - battery.open_circuit_v)
        assert found == pytest.approx([6.0, 7.9, 8.59], abs=0.01)

    def test_constant_voltage(self) -> None:
        circuit = closed_circuit()
        circuit.converter.drive(circuit.battery.emf_v + 3.5, 400.0)
        let_pass(circuit, 10.0)
        assert circuit.outlet_v == pytest.approx(358.7, abs=0.1)
        assert 0.0 < circuit.current_a < 50.0

    def test_power_is_limited(self) -> None:
        circuit = closed_circuit()
        circuit.converter.max_w = 20_000.0
        circuit.converter.drive(500.0, 400.0)
        let_pass(circuit, 5.0)
        assert circuit.power_w == pytest.approx(20_000.0, rel=0.02)

    def test_feeding_back_down_to_the_floor(self) -> None:
        circuit = closed_circuit()
        circuit.converter.drive(340.0, -100.0)
        let_pass(circuit, 6.0)
        assert circuit.current_a == pytest.approx(-100.0, abs=0.1)
        circuit.converter.drive(circuit.battery.emf_v - 0.7, -100.0)
        let_pass(circuit, 5.0)
        assert circuit.current_a == pytest.approx(-10.0, abs=1.0)

    def test_off_is_at_once(self) -> None:
        circuit = closed_circuit()
        circuit.converter.drive(500.0, 100.0)
        let_pass(circuit, 6.0)
        circuit.converter.off()
        circuit.step(1e-4)
        assert circuit.current_a == 0.0

    def test_energy_is_conserved_both_ways_and_through_a_short(self) -> None:
        circuit = closed_circuit()
        circuit.converter.drive(420.0, 200.0)
        let_pass(circuit, 300.0)
        circuit.short_ohm = 100.0
        let_pass(circuit, 60.0)
        circuit.converter.drive(300.0, -150.0)
        let_pass(circuit, 300.0)
        circuit.evse.slip(False)
        let_pass(circuit, 60.0)
        through = circuit.delivered_wh + circuit.fed_back_wh
        assert circuit.delivered_wh > 5000.0
        assert circuit.fed_back_wh > 3000.0
        assert abs(circuit.balance_wh()) < 1e-9 * through

    @settings(max_examples=25, deadline=None)
    @given(
        st.lists(
            st.tuples(st.floats(250.0, 430.0), st.floats(-200.0, 300.0), st.floats(0.01, 20.0)),
            min_size=1,
            max_size=6,
        )
    )
    def test_energy_is_conserved_whatever_is_asked(self, orders: list[tuple[float, float, float]]) -> None:
        circuit = closed_circuit()
        for volts, amps, seconds in orders:
            circuit.converter.drive(volts, amps)
            let_pass(circuit, seconds)
        assert abs(circuit.balance_wh()) < 1e-6


class TestBreaking:
    @pytest.mark.parametrize("side", ["evse", "ev"])
    def test_under_load(self, side: str) -> None:
        circuit = closed_circuit()
        circuit.converter.drive(420.0, 200.0)
        let_pass(circuit, 9.0)
        before = circuit.outlet_v
        relay = getattr(circuit, side)
        relay.slip(False)
        circuit.step(1e-4)
        assert relay.load_breaks == 1
        farad = 102e-6 if side == "ev" else 100e-6
        expected = math.sqrt(before**2 + 100e-6 / farad * 200.0**2)
        assert circuit.converter.voltage_v == pytest.approx(expected, rel=0.01)
        assert circuit.current_a == 0.0

    def test_pulling_the_plug(self) -> None:
        circuit = closed_circuit()
        circuit.converter.drive(420.0, 200.0)
        let_pass(circuit, 9.0)
        circuit.plug(False)
        assert circuit.current_a == 0.0
        circuit.step(0.001)
        assert circuit.inlet_v == pytest.approx(circuit.battery.emf_v)
        assert circuit.outlet_v > 400.0


class TestAc:
    def make(self, phases: int = 3) -> AcCircuit:
        circuit = AcCircuit(block_150_ah(), Relay(), Relay(), OnBoardCharger(), phases=phases)
        for relay in (circuit.evse, circuit.ev):
            relay.slip(True)
        circuit.step(0.001)
        return circuit

    def test_three_phases(self) -> None:
        circuit = self.make()
        circuit.charger.drive(11_000.0, 0.0)
        let_pass(circuit, 2.9)
        assert circuit.power_w == 0.0  # it takes 3 s to start
        let_pass(circuit, 10.0)
        assert circuit.power_w == pytest.approx(11_000.0)
        assert circuit.current_a == pytest.approx(11_000.0 / 0.99 / 3 / 230.0, rel=0.001)
        assert circuit.outlet_v == 230.0

    def test_feeding_back_with_reactive_power(self) -> None:
        circuit = self.make()
        circuit.charger.drive(-10_000.0, -5000.0)
        let_pass(circuit, 60.0)
        assert circuit.power_w == pytest.approx(-10_000.0)
        assert circuit.current_a < 0.0
        apparent = math.hypot(circuit.charger.power_w, circuit.charger.reactive_var)
        assert apparent <= circuit.charger.apparent_va + 1e-6

    def test_energy_is_conserved(self) -> None:
        circuit = self.make(phases=1)
        for power, seconds in ((3600.0, 600.0), (-3000.0, 300.0), (0.0, 60.0)):
            circuit.charger.drive(power, 0.0)
            let_pass(circuit, seconds)
        assert circuit.delivered_wh > 500.0
        assert circuit.fed_back_wh > 200.0
        assert abs(circuit.balance_wh()) < 1e-6

    def test_no_mains_no_power(self) -> None:
        circuit = self.make()
        circuit.charger.drive(11_000.0, 0.0)
        let_pass(circuit, 20.0)
        circuit.evse.slip(False)
        circuit.step(0.001)
        assert (circuit.power_w, circuit.current_a) == (0.0, 0.0)

    def test_refuses_two_phases(self) -> None:
        with pytest.raises(ValueError, match="phases"):
            AcCircuit(Battery(), Relay(), Relay(), OnBoardCharger(), phases=2)
