"""`HalEvse` on a bench: what it commands, what it withholds, what it lets go."""

from __future__ import annotations

from typing import Any

import pytest

from hal.bundle import EvseHardware
from hal.errors import HalError
from hal.types import Check, ContactorState, CpState
from hal.virtual.ac_circuit import OnBoardCharger
from hal.virtual.bench import Bench
from hal.virtual.watch import Watcher
from iso15118.control import evse as api
from iso15118.control.common import ControlMode, EnergyService
from iso15118.hardware import HalEvse, HalEvseConfig
from iso15118.hardware.config import CableCheckConfig
from iso15118.hardware.events import Deenergised, Derated, FaultCleared, FaultFound, ShutdownBegun, Withheld
from iso15118.units import Envelope, Limits

QUICK = HalEvseConfig(
    max_discharge_w=20_000.0, cable_check=CableCheckConfig(readings=1, reading_interval_s=0.1)
)


class Post:
    """A station under test with a car whose devices are moved by hand; the session is a voice that goes on."""

    def __init__(self, *, dc: bool = True, config: HalEvseConfig = QUICK, bench: Bench | None = None) -> None:
        charger = OnBoardCharger(start_s=0.1, slew_w_s=50_000.0)
        self.bench = bench or Bench(dc=dc, seed=3, charger=None if dc else charger)
        self.watcher = Watcher(self.bench)
        self.car = self.bench.ev()
        self.hal = HalEvse(self.bench.evse(), config, lambda: self.bench.now)
        self.events: list[Any] = []
        self.repeated: list[api.Command] = []
        self.alive = True

    def command(self, *commands: api.Command) -> None:
        for command in commands:
            self.hal.command(command)

    def run(self, seconds: float) -> None:
        end, heard = self.bench.now + seconds, self.bench.now
        while self.bench.now < end - 1e-9:
            self.bench.hop(max(1e-4, min(end, self.hal.deadline) - self.bench.now))
            if self.bench.now >= self.hal.deadline:
                self.hal.tick(self.bench.now)
            if self.alive and self.bench.now >= heard + 0.1:
                heard = self.bench.now
                self.hal.state()
                self.command(*self.repeated)
        self.events += [output.event for output in self.hal.outputs()]

    def plugged(self, state: CpState = CpState.C) -> Post:
        self.bench.plug()
        self.command(api.SetPilotDuty(5.0), api.LockConnector())
        self.run(0.5)
        self.car.pilot.set_state(state)
        self.run(0.3)
        return self

    def checked(self) -> Post:
        self.plugged()
        ask(self.hal.offer_energy(needs()))
        self.command(api.RunCableCheck())
        self.run(8.0)
        assert self.state.cable_check is Check.PASSED, self.events
        return self

    def charging(self, amps: float = 50.0) -> Post:
        self.checked()
        volts = self.bench.circuit.battery.emf_v
        self.repeated = [api.SetDcTarget(volts, 2.0)]
        self.run(1.5)
        self.car.contactor.close_contacts(lease_s=1000.0)
        self.run(0.3)
        self.repeated = [api.SetDcTarget(403.0, amps)]
        self.run(5.0)
        assert self.bench.circuit.current_a == pytest.approx(amps, abs=1.0)
        return self

    @property
    def state(self) -> api.EvseState:
        return self.hal.state()

    def told(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def ask(question: Any) -> Any:
    try:
        question.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the operator does not wait for anything")


def needs(max_v: float = 410.0) -> api.ChargingNeeds:
    limits = Envelope(charge=Limits(100_000.0, 300.0), max_voltage_v=max_v)
    return api.ChargingNeeds(EnergyService.DC, ControlMode.DYNAMIC, limits, max_points=12)


# --- start ----------------------------------------------------------------------------------------


def test_incomplete_hardware_is_refused() -> None:
    station = Bench(dc=True, seed=1).evse()
    with pytest.raises(HalError, match="DC charging needs isolation, safety"):
        HalEvse(
            EvseHardware(station.pilot, station.contactor, lock=station.lock, supply=station.supply),
            QUICK,
            lambda: 0.0,
        )


def test_questions_go_to_the_operator() -> None:
    post = Post()
    post.bench.plug()
    post.run(0.3)
    decision = ask(post.hal.authorize(api.AuthorizationQuestion("EV1")))
    assert decision.accepted
    post.run(0.5)
    assert post.bench.station.bolt.locked, "locked as soon as it is yes"
    offer = ask(post.hal.offer_energy(needs()))
    assert offer.offers[0].steps[0].charge_w == 100_000.0


class Refusing(api.EvseControllerBase):
    async def authorize(self, question: api.AuthorizationQuestion) -> api.Authorization:
        return api.Authorization(accepted=False)


def test_refused_car_is_not_locked_in() -> None:
    post = Post()
    post.hal.operator = Refusing()
    post.bench.plug()
    assert not ask(post.hal.authorize(api.AuthorizationQuestion("EV1"))).accepted
    post.run(1.0)
    assert not post.bench.station.bolt.locked


def test_limits_are_ratings_and_configuration() -> None:
    dc = Post(config=HalEvseConfig(max_power_w=50_000.0, max_current_a=125.0)).hal.limits
    assert (dc.charge.max_power_w, dc.charge.max_current_a, dc.max_voltage_v) == (50_000.0, 125.0, 1000.0)
    assert dc.discharge == Limits(100_000.0, 200.0)
    post = Post(dc=False, config=HalEvseConfig(max_discharge_w=5_000.0))
    post.bench.plug()
    post.run(0.3)
    assert post.hal.limits.charge == Limits(32.0 * 3 * 230.0, 32.0)
    assert post.hal.limits.discharge.max_power_w == 5_000.0
    post.bench.plug_ohm = 1500.0
    post.run(0.6)
    assert post.hal.limits.charge.max_current_a == 13.0, "a thin cable"
    assert Post(dc=False, config=HalEvseConfig()).hal.limits.discharge == Limits()


# --- pilot ----------------------------------------------------------------------------------------


def test_pilot_commands() -> None:
    post = Post()
    post.command(api.SetPilotDuty(5.0))
    assert post.bench.wire.duty == 5.0
    post.command(api.SetPilotUnavailable())
    assert post.bench.wire.duty == 0.0
    post.command(api.SetPilotDuty(7.0))
    post.run(0.1)
    assert post.told(FaultFound)[0].code == "command_refused"


def test_no_oscillation_in_an_emergency() -> None:
    post = Post().plugged()
    post.bench.inject("emergency_stop")
    post.run(0.2)
    assert post.state.emergency_stop
    assert post.hal.emergency
    assert post.hal.blocked
    assert post.bench.wire.duty == 100.0
    post.command(api.SetPilotDuty(5.0))
    assert post.bench.wire.duty == 100.0
    post.command(api.SetPilotUnavailable())
    assert post.bench.wire.duty == 0.0
    post.run(0.1)
    assert any(event.action == "oscillate" for event in post.told(Withheld))


# --- cable check and output -----------------------------------------------------------------------


def test_nothing_is_energised_while_the_pilot_says_no() -> None:
    post = Post().plugged(CpState.B)
    post.command(api.CloseContactor())
    post.run(1.0)
    assert post.bench.station.relay.closed is False
    assert [event.reason for event in post.told(Withheld)] == ["pilot B, not C or D"]
    post.command(api.RunCableCheck())
    post.run(2.0)
    assert post.state.cable_check is Check.FAILED
    assert post.watcher.peak_v < 1.0


def test_no_power_without_a_cable_check() -> None:
    post = Post().plugged()
    post.command(api.CloseContactor())
    post.repeated = [api.SetDcTarget(355.0, 2.0)]
    post.run(1.0)
    assert post.watcher.peak_v < 1.0
    assert not post.hal._power.driving
    assert post.told(Withheld)


def test_cable_check_arms_the_protection_for_this_car() -> None:
    post = Post().checked()
    assert post.bench.station.loop.limit_v == 550.0
    assert post.watcher.peak_v == pytest.approx(460.0, abs=1.0)
    assert post.bench.circuit.outlet_v < 60.0
    assert post.state.contactor is ContactorState.CLOSED
    post.command(api.RunCableCheck())
    post.run(0.2)
    assert post.state.cable_check is Check.RUNNING, "once more, when told"
    post.command(api.RunCableCheck())
    post.run(8.0)
    assert post.state.cable_check is Check.PASSED


def test_orderly_end() -> None:
    post = Post().charging()
    post.repeated = []
    post.command(api.SetDcTarget(0.0, 0.0))
    post.run(0.8)
    assert not post.bench.circuit.converter.on
    assert post.bench.station.relay.closed, "closed until welding detection is over"
    post.car.contactor.open_contacts()
    post.run(0.5)
    post.command(api.OpenContactor(), api.UnlockConnector())
    post.run(1.0)
    assert not post.bench.station.relay.closed
    assert not post.bench.station.bolt.locked
    assert post.watcher.verdict() == []
    assert not post.told(FaultFound)
    meter = post.state.meter
    assert meter is not None
    assert meter.charged_wh > 10.0


def test_open_contactor_alone_brings_the_current_down_first() -> None:
    post = Post().charging(100.0)
    post.repeated = []
    post.command(api.OpenContactor())
    post.run(2.5)
    assert not post.bench.station.relay.closed
    assert post.bench.station.relay.load_breaks == 0
    assert post.watcher.verdict() == []


def test_a_battery_that_stays_on_the_cable_keeps_the_lock() -> None:
    post = Post().charging()
    post.repeated = []
    post.command(api.SetDcTarget(0.0, 0.0))
    post.run(1.5)
    post.command(api.OpenContactor(), api.UnlockConnector())
    post.run(20.0)
    assert [event.code for event in post.told(FaultFound)] == [
        "vehicle_contactor_welded",
        "connector_live",
    ]
    assert post.bench.station.bolt.locked
    post.command(api.CloseContactor())
    post.run(1.0)
    assert not post.bench.station.relay.closed
    post.hal.reset()
    post.run(1.0)
    assert [event.code for event in post.told(FaultCleared)] == ["vehicle_contactor_welded"]
    assert post.hal.blocked, "as long as the voltage is there"
    post.car.contactor.open_contacts()
    post.run(5.0)
    assert not post.bench.station.bolt.locked
    post.hal.reset()
    post.run(1.0)
    assert not post.hal.blocked


def test_a_car_that_is_not_ready_any_more() -> None:
    post = Post().charging()
    post.repeated = []
    post.car.pilot.set_state(CpState.B)
    post.run(0.1)
    assert not post.bench.station.relay.closed
    assert not post.hal.blocked, "that is no fault"
    assert post.state.cable_check is Check.IDLE, "and nothing goes on without a new test"
    post.run(1.0)
    assert post.told(Deenergised)
    assert not post.watcher.verdict(ignore=("current",))


def test_deenergise_at_any_moment() -> None:
    post = Post().plugged()
    post.command(api.RunCableCheck())
    post.run(2.0)
    post.command(api.Deenergise("enough"), api.SetDcTarget(400.0, 10.0), api.CloseContactor())
    post.run(1.0)
    assert not post.bench.station.relay.closed
    assert post.state.cable_check is Check.FAILED
    assert [event.why for event in post.told(ShutdownBegun)] == ["enough"]
    assert post.bench.circuit.outlet_v < 60.0
    post.command(api.Deenergise("again"))
    post.run(0.5)
    assert len(post.told(ShutdownBegun)) == 1


def test_end_of_the_session_during_the_cable_check() -> None:
    post = Post().plugged()
    post.command(api.RunCableCheck())
    post.run(2.0)
    post.command(api.SetDcTarget(0.0, 0.0), api.OpenContactor())
    post.run(0.6)
    assert not post.bench.station.relay.closed
    assert post.bench.circuit.outlet_v < 60.0
    assert post.state.cable_check is Check.FAILED
    assert not post.hal.blocked


def test_silence_ends_it() -> None:
    post = Post().charging()
    post.repeated = []
    post.run(2.5)
    assert [event.code for event in post.told(FaultFound)] == ["session_silent"]
    assert not post.bench.station.relay.closed
    unread = Post().charging()
    unread.alive = False
    unread.run(2.5)
    assert not unread.bench.station.relay.closed


def test_energy_out_of_the_car() -> None:
    post = Post().charging()
    post.repeated = [api.SetDcTarget(403.0, -40.0, 300.0)]
    post.run(8.0)
    assert post.bench.circuit.current_a == pytest.approx(-40.0, abs=1.0)
    assert post.watcher.verdict() == []


# --- temperature, faults, unplugging --------------------------------------------------------------


def test_warm_contacts_lower_the_limits() -> None:
    post = Post()
    for pin in post.bench.station.pins.values():
        pin.ambient_c = pin.celsius = 70.0
    post.run(1.0)
    assert post.state.limits.charge.max_power_w == pytest.approx(175_000.0, rel=0.01)
    assert post.told(Derated)[-1].share == pytest.approx(0.5, abs=0.01)
    for pin in post.bench.station.pins.values():
        pin.ambient_c = pin.celsius = 30.0
    post.run(1.0)
    assert post.told(Derated)[-1].share == 1.0


def test_faults_go_with_the_car_as_far_as_their_cause_has_gone() -> None:
    post = Post().plugged()
    post.bench.inject("emergency_stop")
    post.run(0.5)
    post.bench.unplug()
    post.run(2.5)
    assert post.hal.blocked, "the button is still pressed"
    post.bench.heal("emergency_stop")
    post.run(2.5)
    assert not post.hal.blocked
    assert [event.code for event in post.told(FaultCleared)] == ["emergency_stop"]
    assert len(post.told(FaultFound)) == 1


def test_a_meter_that_refuses_blocks_the_start_and_no_more() -> None:
    refusing = Post().plugged()
    refusing.bench.inject("meter_refuses")
    refusing.run(0.3)
    assert "meter refuses" in refusing.state.fault
    running = Post().charging()
    running.bench.inject("meter_refuses")
    running.run(1.0)
    assert not running.state.fault
    assert running.bench.circuit.current_a > 40.0
    assert [event.code for event in running.told(FaultFound)] == ["meter_refuses"]


def test_reset_does_nothing_while_energised() -> None:
    post = Post().charging()
    post.hal.reset()
    post.run(0.5)
    assert post.bench.circuit.current_a > 40.0


# --- AC -------------------------------------------------------------------------------------------


def test_basic_charging_by_the_plug() -> None:
    """Close, no session, a car that comes and goes: at least 10 s between two closings."""
    post = Post(dc=False).plugged()
    post.command(api.SetPilotDuty(26.7), api.CloseContactor())
    post.run(0.5)
    closed_at = post.bench.now
    post.car.contactor.close_contacts(lease_s=1000.0)
    post.car.charger.drive(8_000.0, lease_s=1000.0)
    post.run(1.0)
    assert post.bench.circuit.power_w > 7_900.0
    post.car.pilot.set_state(CpState.B)
    post.run(0.1)
    assert not post.bench.station.relay.closed
    post.car.pilot.set_state(CpState.C)
    post.command(api.CloseContactor())
    post.run(5.0)
    assert not post.bench.station.relay.closed
    assert "closed before" in post.told(Withheld)[-1].reason
    post.run(closed_at + 11.0 - post.bench.now)
    assert post.bench.station.relay.closed
    post.command(api.OpenContactor())
    post.run(0.1)
    assert not post.bench.station.relay.closed
    assert not post.watcher.verdict(ignore=("current without",))


def test_ac_without_a_lock_device() -> None:
    bench = Bench(dc=False, seed=1)
    devices = bench.evse()
    station = EvseHardware(devices.pilot, devices.contactor, safety=devices.safety, meter=devices.meter)
    hal = HalEvse(station, HalEvseConfig(), lambda: bench.now)
    assert hal.state().locked is False
    hal.command(api.LockConnector())
    assert hal.state().locked is True
    assert hal.state().power_w == 0.0
