"""Every fault switch on the whole of session machines, controllers and bench; the judge looks at the physics alone."""

from __future__ import annotations

import pytest

from hal.virtual.battery import Battery
from hal.virtual.bench import Bench
from hal.virtual.faults import FAULTS, Case, Phase, cases
from hal.virtual.gauges import REAL
from iso15118.control.common import ControlMode, EnergyService
from iso15118.control.ev import EvControllerBase, PowerStep, ScheduleChoice, ScheduleDecision
from iso15118.hardware.events import Deenergised, FaultFound, ShutdownBegun
from iso15118.sim.hardware_world import HardwareWorld
from tests.hw.reactions import Trial, build

CASES = [*cases(Bench(dc=True)), *cases(Bench(dc=False))]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reaction(case: Case) -> None:
    assert Trial(case).run() == []


def test_every_switch_is_tried() -> None:
    assert {case.switch.name for case in CASES} == set(FAULTS)


# --- nothing broken -----------------------------------------------------------------------------


class Planner(EvControllerBase):
    """Charges for some seconds, then feeds back for some."""

    def __init__(self, service: EnergyService, charge_s: int, discharge_w: float) -> None:
        self.wanted, self.control_mode = (service,), ControlMode.SCHEDULED
        self.charge_s, self.discharge_w = charge_s, discharge_w

    async def choose_schedule(self, question: ScheduleChoice) -> ScheduleDecision:
        option = question.options[0]
        first = PowerStep(self.charge_s, min(8_000.0, option.charge[0].power_w))
        rest = PowerStep(option.charge[0].duration_s - self.charge_s, -self.discharge_w)
        return ScheduleDecision(option.tuple_id, (first, rest))


def finish(world: HardwareWorld) -> None:
    assert world.run_until(lambda: world.ended, 400.0), world.ends
    world.run(10.0)
    assert all(end.as_intended for end in world.ends.values()), world.ends
    assert world.watcher.verdict() == []
    assert world.watcher.rest_since is not None
    assert not world.bench.station.bolt.locked
    assert not world.bench.car.bolt.locked
    assert [e for e in world.events if isinstance(e, (FaultFound, ShutdownBegun))] == []


def charge_loops(world: HardwareWorld) -> float:
    """Charging at 8 kW for 150 turns of about 0.1 s."""
    return 8_000.0 * 150 * 0.104 / 3600


@pytest.mark.parametrize("service", ["DC", "AC", "DC_BPT", "AC_BPT"])
@pytest.mark.parametrize("control", ["dynamic", "scheduled"])
def test_healthy_session_charges(service: str, control: str) -> None:
    world = build(service, control=control, loops=150)
    world.hal_evse.setpoint_w = 8_000.0 if control == "dynamic" or service.startswith("AC") else None
    if control == "scheduled":
        world.hal_ev.owner = Planner(EnergyService[service], 3_000, 0.0)
    world.plug()
    finish(world)
    assert world.bench.circuit.delivered_wh == pytest.approx(charge_loops(world), rel=0.1)
    assert world.bench.circuit.fed_back_wh < 0.1
    meter = world.hal_evse.state().meter
    assert meter is not None


@pytest.mark.parametrize("service", ["DC_BPT", "AC_BPT"])
@pytest.mark.parametrize("control", ["dynamic", "scheduled"])
def test_healthy_session_feeds_back(service: str, control: str) -> None:
    world = build(service, control=control, loops=150)
    world.hal_evse.setpoint_w = -8_000.0 if control == "dynamic" else None
    if control == "scheduled":
        world.hal_ev.owner = Planner(EnergyService[service], 1, 8_000.0)
    world.plug()
    finish(world)
    assert world.bench.circuit.fed_back_wh == pytest.approx(charge_loops(world), rel=0.15)
    assert world.bench.circuit.delivered_wh < 5.0


@pytest.mark.parametrize("service", ["DC", "AC"])
@pytest.mark.parametrize("seed", [1, 2])
def test_real_instruments_trip_nothing(service: str, seed: int) -> None:
    """Noise, resolution and delay; at full power, up to a full battery with DC."""
    bench = Bench(dc=service == "DC", seed=seed, metrology=REAL, battery=Battery(soc=0.795))
    world = HardwareWorld(service, seed=seed, bench=bench, loops=None if service == "DC" else 150)
    world.plug()
    finish(world)


def test_both_directions_in_one_session() -> None:
    world = build("DC_BPT", loops=300)
    world.hal_evse.setpoint_w = 20_000.0
    world.plug()
    assert world.run_until(lambda: world.power_w > 19_000, 30.0)
    world.hal_evse.setpoint_w = -10_000.0
    assert world.run_until(lambda: world.power_w < -9_000, 30.0)
    finish(world)


def test_same_seed_same_run() -> None:
    runs = []
    for _ in range(2):
        world = build("AC", loops=20)
        world.plug()
        world.run_until(lambda w=world: w.ended, 30.0)
        runs.append([str(event) for event in world.events])
    assert runs[0] == runs[1]


# --- silence ------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["DC", "AC"])
@pytest.mark.parametrize("role", ["SECC", "EVCC"])
def test_silent_session_de_energises(service: str, role: str) -> None:
    """The session machine of a side says and reads nothing any more; its controller and the other side go on."""
    trial = Trial(next(c for c in CASES if c.energy == service.lower() and c.phase is Phase.CHARGING))
    trial.bring_to(Phase.CHARGING)
    world = trial.world
    world.sides[role].closed = True  # nobody serves it any more; the transport stays as it is
    begun = world.now
    assert world.run_until(lambda: world.watcher.off_since is not None, 3.0)
    assert world.now - begun <= 2.5
    assert world.run_until(lambda: world.sides[role].peer.closed, 5.0)
    world.run(2.0)
    assert any(isinstance(e, Deenergised) and e.role == role for e in world.events)
    assert world.watcher.verdict() == []


@pytest.mark.parametrize("service", ["DC", "AC"])
def test_both_sessions_silent(service: str) -> None:
    """Nobody is left but the controllers: the station's notices by itself, and the car's."""
    trial = Trial(next(c for c in CASES if c.energy == service.lower() and c.phase is Phase.CHARGING))
    trial.bring_to(Phase.CHARGING)
    world = trial.world
    for side in world.sides.values():
        side.closed = True
    assert world.run_until(lambda: world.watcher.off_since is not None, 2.5)
    world.run(1.0)
    silent = {e.role for e in world.events if isinstance(e, FaultFound) and e.code == "session_silent"}
    assert silent
    assert world.watcher.verdict() == []
