"""`HalEv` on a bench: what it commands, what it withholds, what it lets go."""

from __future__ import annotations

from typing import Any

import pytest

from hal.bundle import EvHardware
from hal.errors import HalError
from hal.types import ContactorState, CpState
from hal.virtual.ac_circuit import OnBoardCharger
from hal.virtual.battery import Battery
from hal.virtual.bench import Bench
from hal.virtual.watch import Watcher
from iso15118.control import ev as api
from iso15118.control.common import ControlMode
from iso15118.hardware import HalEv, HalEvConfig
from iso15118.hardware.events import Deenergised, Derated, FaultCleared, FaultFound, Withheld

BOTH_WAYS = HalEvConfig(max_discharge_w=10_000.0, max_discharge_a=40.0)


class Car:
    """A car under test at a station whose devices are moved by hand; the session is a voice that goes on."""

    def __init__(self, *, dc: bool = True, config: HalEvConfig = BOTH_WAYS, soc: float = 0.5) -> None:
        charger = None if dc else OnBoardCharger(start_s=0.1, slew_w_s=50_000.0)
        self.bench = Bench(dc=dc, seed=5, charger=charger, battery=Battery(soc=soc))
        self.watcher = Watcher(self.bench)
        self.station = self.bench.evse()
        self.hal = HalEv(self.bench.ev(), config, lambda: self.bench.now)
        self.events: list[Any] = []
        self.repeated: list[api.Command] = []
        self.alive = True

    def run(self, seconds: float) -> None:
        end, heard = self.bench.now + seconds, self.bench.now
        while self.bench.now < end - 1e-9:
            self.bench.hop(max(1e-4, min(end, self.hal.deadline) - self.bench.now))
            if self.bench.now >= self.hal.deadline:
                self.hal.tick(self.bench.now)
            if self.alive and self.bench.now >= heard + 0.1:
                heard = self.bench.now
                self.hal.state()
                for command in self.repeated:
                    self.hal.command(command)
        self.events += [output.event for output in self.hal.outputs()]

    def ready(self, duty: float = 5.0) -> Car:
        self.bench.plug()
        self.station.pilot.set_duty(duty)
        self.station.lock.lock()
        self.run(0.5)
        self.hal.command(api.SetPilot(ready=True))
        self.run(0.6)
        assert self.bench.wire.wire is CpState.C
        return self

    def connected(self) -> Car:
        """DC: pre-charged and closed. AC: both contactors closed."""
        self.ready()
        self.station.contactor.close_contacts(lease_s=1000.0)
        self.run(0.2)
        if self.bench.dc:
            self.station.supply.drive(self.bench.circuit.battery.emf_v, 2.0, lease_s=1000.0)
            self.run(1.5)
        self.hal.command(api.CloseContactor())
        self.run(0.3)
        assert self.hal.state().contactor is ContactorState.CLOSED
        return self

    def told(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def test_incomplete_hardware_is_refused() -> None:
    car = Bench(dc=True, seed=1).ev()
    with pytest.raises(HalError, match="DC charging needs inlet"):
        HalEv(EvHardware(car.pilot, car.contactor, car.battery), HalEvConfig(), lambda: 0.0)


def test_questions_go_to_the_owner() -> None:
    car = Car()
    offer = api.ParameterSet(service=2, parameter_set_id=1, values={"ControlMode": 2})
    for question, answer in (
        (car.hal.choose_service(api.ServiceChoice((offer,))), offer),
        (car.hal.choose_schedule(api.ScheduleChoice(ControlMode.DYNAMIC, ())), api.ScheduleDecision(0, ())),
    ):
        with pytest.raises(StopIteration) as stop:
            question.send(None)
        assert stop.value.value == answer


def test_the_inlet_is_locked_before_the_car_is_ready() -> None:
    car = Car()
    car.bench.plug()
    car.station.pilot.set_duty(5.0)
    car.run(0.3)
    car.hal.command(api.SetPilot(ready=True))
    car.run(0.1)
    assert car.bench.wire.wire is CpState.B
    car.run(0.5)
    assert car.bench.car.bolt.locked
    assert car.bench.wire.wire is CpState.C
    car.hal.command(api.SetPilot(ready=False))
    car.run(0.7)
    assert car.bench.wire.wire is CpState.B
    assert not car.bench.car.bolt.locked


def test_no_closing_onto_a_difference() -> None:
    car = Car().ready()
    car.station.contactor.close_contacts(lease_s=1000.0)
    car.run(0.2)
    car.station.supply.drive(car.bench.circuit.battery.emf_v + 16.0, 2.0, lease_s=1000.0)
    car.run(1.5)
    car.hal.command(api.CloseContactor())
    car.run(1.0)
    assert not car.bench.car.relay.closed
    assert car.told(Withheld)[-1].reason == "16 V across the contactor"


def test_levels_for_the_session() -> None:
    car = Car(config=HalEvConfig(max_power_w=50_000.0, max_current_a=120.0, target_soc=80, minimum_soc=20))
    car.run(0.2)
    state = car.hal.state()
    assert state.soc_percent == pytest.approx(50.0)
    assert (state.limits.charge.max_power_w, state.limits.charge.max_current_a) == (50_000.0, 120.0)
    assert state.limits.max_voltage_v == pytest.approx(403.2)
    assert not state.limits.bidirectional
    assert state.needs.target_wh == pytest.approx(18_000.0)
    assert state.needs.minimum_wh == pytest.approx(-18_000.0)
    assert state.needs.v2x_maximum_wh is None
    assert (state.target_current_a, state.complete) == (120.0, False)
    full = Car(soc=0.85)
    full.run(0.2)
    assert full.hal.state().complete
    assert full.hal.state().target_current_a == 0.0
    assert full.hal.state().needs.v2x_maximum_wh == pytest.approx(3_000.0)
    assert full.hal.state().limits.discharge.max_power_w == 10_000.0
    empty = Car(soc=0.15)
    empty.run(0.2)
    assert not empty.hal.state().limits.bidirectional, "below its minimum it gives nothing"


def test_dc_charge_and_the_way_out() -> None:
    car = Car().connected()
    car.station.supply.drive(403.0, 80.0, lease_s=1000.0)
    car.run(5.0)
    assert car.hal.state().current_a == pytest.approx(80.0, abs=1.0)
    car.station.supply.off()
    car.run(0.1)
    car.hal.command(api.OpenContactor())
    car.run(0.5)
    assert not car.bench.car.relay.closed
    car.hal.command(api.SetPilot(ready=False))
    car.station.contactor.open_contacts()
    car.run(1.0)
    assert not car.bench.car.bolt.locked
    assert car.watcher.verdict() == []
    assert car.told(FaultFound) == []


def test_deenergise_tells_the_station_first() -> None:
    car = Car().connected()
    car.station.supply.drive(403.0, 50.0, lease_s=1000.0)
    car.run(3.0)
    car.hal.command(api.Deenergise("enough"))
    assert car.bench.wire.wire is CpState.B
    assert car.bench.car.relay.wanted, "not under load, if the station takes the current away"
    car.run(0.1)
    car.station.supply.off()
    car.run(0.15)
    assert not car.bench.car.relay.closed
    assert car.bench.car.relay.load_breaks == 0
    assert car.told(Deenergised)


def test_a_station_that_goes_on_is_cut_off() -> None:
    car = Car().connected()
    car.station.supply.drive(403.0, 50.0, lease_s=1000.0)
    car.run(3.0)
    car.hal.command(api.Deenergise("enough"))
    car.run(0.4)
    assert not car.bench.car.relay.closed
    assert car.hal.state().fault == ""
    car.hal.command(api.CloseContactor())
    car.run(0.5)
    assert not car.bench.car.relay.closed, "not ready"


@pytest.mark.parametrize("gone", ["steady", "unavailable", "unplugged"])
def test_loss_of_the_pilot_opens_at_once(gone: str) -> None:
    car = Car().connected()
    car.station.supply.drive(403.0, 50.0, lease_s=1000.0)
    car.run(3.0)
    {
        "steady": lambda: car.station.pilot.set_duty(100.0),
        "unavailable": car.station.pilot.set_unavailable,
        "unplugged": car.bench.unplug,
    }[gone]()
    car.run(0.15)
    assert not car.bench.car.relay.closed
    assert [event.code for event in car.told(FaultFound)] == ["pilot_lost"]
    if gone == "unplugged":
        car.run(2.0)
        assert car.hal.state().fault == ""
        assert car.told(FaultCleared)


def test_emergency_stop_shows_in_the_state() -> None:
    car = Car().connected()
    car.bench.inject("emergency_stop", side="ev")
    car.run(0.3)
    state = car.hal.state()
    assert state.emergency_stop
    assert state.fault == ""
    car.bench.heal("emergency_stop", side="ev")
    car.hal.reset()
    car.run(0.2)
    assert not car.hal.state().emergency_stop


def test_warm_contacts_lower_the_limits() -> None:
    car = Car()
    for pin in car.bench.car.pins.values():
        pin.ambient_c = pin.celsius = 70.0
    car.run(0.5)
    assert car.told(Derated)[-1].share == pytest.approx(0.5, abs=0.01)
    assert car.hal.state().limits.discharge.max_power_w == pytest.approx(5_000.0, rel=0.02)


def test_silence_ends_it() -> None:
    car = Car().connected()
    car.alive = False
    car.run(2.6)
    assert [event.code for event in car.told(FaultFound)] == ["session_silent"]
    assert not car.bench.car.relay.closed


# --- AC -------------------------------------------------------------------------------------------


def test_ac_follows_the_set_point_both_ways() -> None:
    car = Car(dc=False).connected()
    car.repeated = [api.SetPower(7_000.0, 500.0)]
    car.run(1.0)
    assert car.bench.circuit.power_w == pytest.approx(7_000.0, rel=0.01)
    assert car.hal.state().power_w == pytest.approx(7_000.0, rel=0.01)
    assert car.hal.state().reactive_var != 0.0
    car.repeated = [api.SetPower(-9_000.0, 1e6)]
    car.run(1.0)
    assert car.bench.circuit.power_w == pytest.approx(-9_000.0, rel=0.01)
    car.repeated = [api.SetPower(-90_000.0)]
    car.run(1.0)
    assert car.bench.circuit.power_w == pytest.approx(-10_000.0, rel=0.01), "its own limit"
    car.repeated = []
    car.hal.command(api.OpenContactor())
    car.run(0.2)
    assert car.bench.circuit.power_w == 0.0
    assert not car.bench.car.relay.closed
    car.hal.command(api.SetPilot(ready=False))
    car.station.contactor.open_contacts()
    car.run(1.0)
    assert car.bench.car.bolt.locked, "an AC inlet is not measured"
    car.run(2.5)
    assert not car.bench.car.bolt.locked
    assert car.watcher.verdict() == []


def test_ac_set_points_that_stop_coming() -> None:
    car = Car(dc=False).connected()
    car.hal.command(api.SetPower(7_000.0))
    car.run(1.0)
    assert car.bench.circuit.power_w > 6_900.0
    car.run(1.5)
    assert car.bench.circuit.power_w == 0.0
    assert [event.code for event in car.told(FaultFound)] == ["session_silent"]


@pytest.mark.parametrize(("soc", "power_w"), [(0.5, 6.0 * 3 * 230), (0.85, 0.0)])
def test_basic_charging(soc: float, power_w: float) -> None:
    car = Car(dc=False, soc=soc)
    car.bench.plug()
    car.station.pilot.set_duty(10.0)
    car.run(0.3)
    car.hal.command(api.ChargeBasic(6.0))
    car.run(0.7)
    assert car.bench.wire.wire is CpState.C
    car.station.contactor.close_contacts(lease_s=1000.0)
    car.run(3.0)
    assert car.bench.circuit.power_w == pytest.approx(power_w, abs=5.0)
    car.hal.command(api.ChargeBasic(0.0))
    car.run(0.1)
    assert car.bench.wire.wire is CpState.B
    assert not car.bench.car.relay.closed
    assert car.told(FaultFound) == []
