"""Both virtual controllers against their plant, without any session."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hal.virtual.battery import Battery
from hal.virtual.circuit import AcPlant, DcPlant, Plant
from iso15118.control import ev, evse
from iso15118.control.common import Check, Contactor, ControlMode, CpState, EnergyService, Wish
from iso15118.energy.offer import EnergyOffer
from iso15118.errors import ConfigError
from iso15118.sim.controllers import DC_CAR, DC_STATION, EvseSetup, EvSetup, VirtualEv, VirtualEvse
from iso15118.sim.scenarios import COMBINATIONS, basic, control_of, service_of, varied
from iso15118.units import Envelope, Limits


class Bench:
    """A plant with both controllers and a stop watch."""

    def __init__(self, plant: Plant, station: EvseSetup | None = None, car: EvSetup | None = None) -> None:
        self.plant = plant
        self.evse, self.ev = VirtualEvse(plant, station), VirtualEv(plant, car)
        self.now = 0.0

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end - 1e-9:
            dt = min(self.plant.due_s, end - self.now)
            self.plant.step(dt)
            self.now += dt
            self.evse.step(self.now)
            self.ev.step(self.now)

    def checked(self) -> Bench:
        """Ready, locked, cable check passed."""
        self.ev.command(ev.SetPilot(ready=True))
        self.evse.command(evse.LockConnector())
        self.wait(0.5)
        self.evse.command(evse.RunCableCheck())
        self.wait(4.0)
        return self


def dc() -> Bench:
    return Bench(DcPlant(Battery(soc=0.5)))


class TestStation:
    def test_cable_check_passes_and_leaves_everything_open(self) -> None:
        bench = dc()
        assert bench.evse.state().cable_check is Check.IDLE
        bench.checked()
        state = bench.evse.state()
        assert state.cable_check is Check.PASSED
        assert state.contactor is Contactor.OPEN
        assert state.locked
        assert state.cp is CpState.C
        assert state.voltage_v < 60.0

    def test_cable_check_shows_at_once_and_raises_the_voltage(self) -> None:
        bench = dc()
        bench.ev.command(ev.SetPilot(ready=True))
        bench.wait(0.1)
        bench.evse.command(evse.RunCableCheck())
        assert bench.evse.state().cable_check is Check.RUNNING
        bench.wait(1.0)
        assert bench.evse.state().voltage_v == pytest.approx(500.0, abs=10.0)

    @pytest.mark.parametrize("broken", ["leak", "stuck", "welded", "pilot"])
    def test_cable_check_fails(self, broken: str) -> None:
        bench = dc()
        if broken == "leak":
            bench.plant.tester.minus_ohm = 50_000.0
        bench.plant.evse_contactor.stuck_open = broken == "stuck"
        bench.plant.evse_contactor.welded = broken == "welded"
        bench.ev.command(ev.SetPilot(ready=broken != "pilot"))
        bench.wait(0.1)
        bench.evse.command(evse.RunCableCheck())
        bench.wait(15.0)
        assert bench.evse.state().cable_check is Check.FAILED
        assert bench.evse.state().voltage_v < 60.0

    def test_deenergise_ends_a_running_check(self) -> None:
        bench = dc()
        bench.ev.command(ev.SetPilot(ready=True))
        bench.wait(0.1)
        bench.evse.command(evse.RunCableCheck())
        bench.wait(0.8)
        bench.evse.command(evse.Deenergise("test"))
        bench.wait(1.0)
        assert bench.evse.state().cable_check is Check.IDLE
        assert bench.plant.outlet_v < 60.0

    def test_pre_charge_charge_and_stop(self) -> None:
        bench = dc().checked()
        bench.evse.command(evse.CloseContactor())
        bench.wait(0.1)
        bench.evse.command(evse.SetDcTarget(bench.ev.state().battery_voltage_v, 2.0))
        bench.wait(1.0)
        assert bench.ev.state().inlet_voltage_v == pytest.approx(bench.ev.state().battery_voltage_v, abs=1.0)
        bench.ev.command(ev.CloseContactor())
        bench.wait(0.1)
        bench.evse.command(evse.SetDcTarget(403.0, 100.0))
        bench.wait(2.0)
        assert bench.evse.state().current_a == pytest.approx(100.0)
        bench.evse.command(evse.OpenContactor())
        bench.wait(0.05)
        assert bench.evse.state().contactor is Contactor.CLOSED  # the current is still ramping down
        bench.wait(1.0)
        assert bench.evse.state().contactor is Contactor.OPEN
        assert bench.plant.evse_contactor.load_breaks == 0

    def test_unlocks_only_once_it_is_safe(self) -> None:
        bench = dc().checked()
        bench.evse.command(evse.CloseContactor())
        bench.evse.command(evse.SetDcTarget(400.0, 2.0))
        bench.wait(1.0)
        bench.evse.command(evse.UnlockConnector())
        bench.wait(0.1)
        assert bench.plant.locked
        bench.evse.command(evse.Deenergise("test"))
        bench.wait(1.0)
        assert not bench.plant.locked

    def test_answers(self) -> None:
        station = VirtualEvse(DcPlant(), EvseSetup(accept=False, authorize_s=3.0))
        reply = station.answer(evse.AuthorizationQuestion("WMI"))
        assert (reply.value.accepted, reply.delay_s) == (False, 3.0)
        needs = evse.ChargingNeeds(EnergyService.DC_BPT, ControlMode.DYNAMIC, DC_STATION.within(DC_CAR), 12)
        offer = station.answer(needs).value
        assert isinstance(offer, EnergyOffer)
        assert offer.offers[0].limits_at(0.0) == (120_000.0, 40_000.0)
        one_way = replace(needs, service=EnergyService.DC)
        assert station.answer(one_way).value.offers[0].limits_at(0.0) == (120_000.0, 0.0)


class TestCar:
    def test_chooses_service_and_mode(self) -> None:
        car = VirtualEv(
            DcPlant(), EvSetup(services=(EnergyService.DC_BPT,), control_mode=ControlMode.DYNAMIC)
        )
        offers = tuple(
            ev.ParameterSet(service, mode, {"ControlMode": mode}) for service in (2, 6) for mode in (1, 2)
        )
        chosen = car.answer(ev.ServiceChoice(offers)).value
        assert (chosen.service, chosen.control_mode) == (6, 2)
        assert car.answer(ev.ServiceChoice(offers[:2])).value is None

    def test_plans_within_the_schedule(self) -> None:
        setup = EvSetup(plan=((0.0, 50_000.0), (100.0, -30_000.0)))
        car = VirtualEv(DcPlant(), setup)
        option = ev.ScheduleOption(
            1,
            (ev.PowerStep(60, 20_000.0), ev.PowerStep(140, 80_000.0)),
            (ev.PowerStep(150, 10_000.0), ev.PowerStep(50, 0.0)),
        )
        decision = car.answer(ev.ScheduleChoice(ControlMode.SCHEDULED, (option,))).value
        assert decision.profile == (
            ev.PowerStep(60, 20_000.0),
            ev.PowerStep(40, 50_000.0),
            ev.PowerStep(50, -10_000.0),
            ev.PowerStep(50, 0.0),
        )

    def test_needs_follow_the_state_of_charge(self) -> None:
        car = VirtualEv(DcPlant(Battery(soc=0.5, capacity_wh=50_000.0)))
        needs = car.needs()
        assert needs.target_wh == pytest.approx(15_000.0)
        assert needs.maximum_wh == pytest.approx(25_000.0)
        assert needs.minimum_wh == pytest.approx(-15_000.0)
        assert needs.v2x_maximum_wh is None

    def test_a_full_car_is_complete(self) -> None:
        car = VirtualEv(DcPlant(Battery(soc=0.85)))
        assert car.state().complete
        assert car.state().target_current_a == 0.0

    def test_ac_power_needs_a_grant(self) -> None:
        limits = Envelope(charge=Limits(max_power_w=11_000.0))
        bench = Bench(AcPlant(Battery(soc=0.5)), car=EvSetup(limits=limits))
        bench.plant.evse_contactor.command(True)
        bench.ev.command(ev.CloseContactor())
        bench.wait(1.0)
        assert bench.plant.power_w == 0.0
        bench.ev.command(ev.SetPower(50_000.0))
        bench.wait(2.0)
        assert bench.ev.state().power_w == pytest.approx(11_000.0, rel=1e-4)
        bench.ev.command(ev.Deenergise("test"))
        bench.wait(0.1)
        assert bench.ev.state().power_w == 0.0
        assert bench.ev.state().contactor is Contactor.OPEN

    def test_wishes_come_and_go(self) -> None:
        bench = Bench(AcPlant(), car=EvSetup(wishes=((1.0, Wish.PAUSE), (2.0, None))))
        assert bench.ev.state().wish is None
        bench.plant.evse_contactor.command(True)
        bench.ev.command(ev.CloseContactor())
        bench.wait(1.5)
        assert bench.ev.state().wish is Wish.PAUSE
        bench.wait(1.0)
        assert bench.ev.state().wish is None

    def test_a_lost_pilot_is_a_fault(self) -> None:
        bench = dc().checked()
        bench.plant.pilot.plugged = False
        bench.wait(0.1)
        assert bench.ev.state().fault == "control pilot lost"
        assert bench.evse.state().cp is CpState.A


class TestScenarios:
    @pytest.mark.parametrize(("energy", "control"), COMBINATIONS)
    def test_follow_the_seed(self, energy: str, control: str) -> None:
        assert varied(energy, control, 1) == varied(energy, control, 1) != varied(energy, control, 2)
        plain = basic(energy, control)
        bidirectional = bool(plain.evse.setpoints or plain.ev.plan)
        assert bidirectional == service_of(energy).bidirectional == plain.evse.limits.bidirectional

    def test_names(self) -> None:
        assert service_of("dc_bpt") is EnergyService.DC_BPT
        assert control_of("Dynamic") is ControlMode.DYNAMIC
        for call, text in ((service_of, "WPT"), (control_of, "manual")):
            with pytest.raises(ConfigError, match="accepted"):
                call(text)
