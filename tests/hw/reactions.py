"""Tries a fault switch on the whole of session machines, controllers and bench, and says what went wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hal.types import Severity
from hal.virtual.ac_circuit import OnBoardCharger
from hal.virtual.bench import Bench
from hal.virtual.converter import Converter
from hal.virtual.faults import Case, Phase, Reaction, unkeepable
from iso15118.hardware import HalEvConfig, HalEvseConfig
from iso15118.hardware.config import CableCheckConfig
from iso15118.hardware.events import FaultFound
from iso15118.machine import Stop
from iso15118.secc.session import State
from iso15118.sim.hardware_world import HardwareWorld

STATION = HalEvseConfig(
    max_discharge_w=20_000.0,
    ramp_up_a_s=80.0,
    cable_check=CableCheckConfig(readings=2, reading_interval_s=0.3),
)
CAR = HalEvConfig(max_discharge_w=20_000.0, max_discharge_a=60.0)
CHARGE_W = 40_000.0
SLACK_S = 0.06
"""The phase of a poll, and that the world looks at the end of steps."""
TOUCH_SAFE_S = 5.0
"""A cable cut off at full voltage empties itself in so long."""


def build(energy: str, **options: Any) -> HardwareWorld:
    dc = energy.startswith("DC")
    bench = Bench(
        dc=dc,
        seed=11,
        converter=Converter(rise_a_s=100.0) if dc else None,
        charger=None if dc else OnBoardCharger(start_s=0.3, slew_w_s=20_000.0),
    )
    options = {"station": STATION, "car": CAR, **options}
    world = HardwareWorld(energy, options.pop("control", "dynamic"), seed=11, bench=bench, **options)
    world.hal_evse.setpoint_w = CHARGE_W if dc else 9_000.0
    return world


@dataclass
class Trial:
    """One case, from plug-in to the end; `problems` is what should not be."""

    case: Case
    world: HardwareWorld = field(init=False)
    problems: list[str] = field(default_factory=list)
    t0: float = 0.0

    def __post_init__(self) -> None:
        self.world = build(self.case.energy.upper())

    # --- getting there ----------------------------------------------------------------------------

    def run(self) -> list[str]:
        self.bring_to(self.case.phase)
        self.inject()
        {
            Reaction.RIDE_THROUGH: self.rides_through,
            Reaction.WARNING: self.warns,
            Reaction.REFUSE_START: self.refuses,
            Reaction.STOP: self.stops,
            Reaction.EMERGENCY: self.stops,
            Reaction.HARDWARE: self.stops,
            Reaction.HOLD_LOCK: self.holds_lock,
        }[self.case.switch.reaction]()
        return self.problems

    def bring_to(self, phase: Phase) -> None:
        world = self.world
        if phase is Phase.IDLE:
            world.run(0.5)
            return
        world.plug()
        reached = {
            Phase.CABLE_CHECK: lambda: world.bench.circuit.outlet_v > 400.0,
            Phase.PRE_CHARGE: lambda: world.secc.record.state is State.PRE_CHARGE,
            Phase.CHARGING: lambda: abs(world.power_w) > (35_000.0 if world.bench.dc else 8_000.0),
        }[phase]
        assert world.run_until(reached, 30.0), "the session did not come so far"

    def inject(self) -> None:
        world, case = self.world, self.case
        world.bench.inject(case.switch.name, side=case.side, role=case.role)
        if case.switch.name == "controller_killed":
            world.vanish("SECC" if case.side == "evse" else "EVCC")
        self.t0 = world.now
        if case.phase is Phase.IDLE:
            world.plug()

    # --- reactions --------------------------------------------------------------------------------

    def expect(self, ok: bool, words: str) -> None:
        if not ok:
            self.problems.append(words)

    def rides_through(self) -> None:
        world = self.world
        world.run(3.0)
        self.expect(abs(world.power_w) > 5_000.0, "energy stopped")
        self.finish_well()
        grave = [e for e in self.found if e.severity is not Severity.WARNING]
        self.expect(not grave, f"faults: {grave}")
        self.judge(())

    def warns(self) -> None:
        world, name = self.world, self.case.switch.name
        told = world.run_until(lambda: bool(self.found), self.case.switch.within_s)
        self.expect(told, f"nobody was told of {name}")
        self.expect(
            all(e.severity is Severity.WARNING for e in self.found), f"more than a warning: {self.found}"
        )
        self.expect(abs(world.power_w) > 5_000.0, "energy stopped")
        self.finish_well()
        self.judge(("meter",))

    def finish_well(self) -> None:
        world = self.world
        if self.case.switch.name == "pilot_flickers":  # no state B can be told apart from it
            world.bench.heal("pilot_flickers")
        world.evcc.receive(Stop("done"), world.now)
        self.expect(world.run_until(lambda: world.ended, 20.0), "a session does not end")
        self.expect(all(e.as_intended for e in world.ends.values()), f"not completed: {world.ends}")
        self.settle()

    def settle(self) -> None:
        """Until nobody can touch a voltage any more, and a little longer."""
        world = self.world
        world.run(0.5)  # a car that opens late leaves a charged cable
        world.run_until(lambda: world.watcher.rest_since is not None, 10.0)
        world.run(0.5)
        self.expect(world.watcher.rest_since is not None, "never at rest")

    def refuses(self) -> None:
        world, switch = self.world, self.case.switch
        relay = world.bench.side(self.case.side).relay
        if switch.name.startswith("contactor"):
            world.run_until(lambda: relay.wanted or world.ended, 60.0)
            self.t0 = world.now
        elif self.case.phase is Phase.IDLE:
            world.run_until(lambda: world.bench.circuit.outlet_v >= 60.0 or world.ended, 60.0)
            self.t0 = world.now
        self.ends_in(switch.within_s, touch=not switch.name.startswith("contactor"))
        moved = world.bench.circuit.delivered_wh + world.bench.circuit.fed_back_wh
        self.expect(moved < 0.5, f"{moved:.2f} Wh flowed")
        self.expect(not any(e.as_intended for e in world.ends.values()), "a session was completed")

    def stops(self) -> None:
        world, switch = self.world, self.case.switch
        if switch.name in ("supply_deaf", "supply_reading_stuck"):
            world.run(0.3)
            world.hal_evse.setpoint_w = CHARGE_W / 5
            self.t0 = world.now
        if self.case.phase is Phase.IDLE and switch.name != "emergency_stop":
            world.run(0.5)
        self.ends_in(switch.within_s)
        if switch.reaction is Reaction.EMERGENCY and self.case.side == "evse":
            self.expect(world.bench.wire.duty in (0.0, 100.0), f"pilot at {world.bench.wire.duty} %")
        if self.case.side == "evse" and switch.name != "controller_killed":
            self.expect(self.reported(), "nobody was told")

    def reported(self) -> bool:
        return bool(self.found)

    @property
    def found(self) -> list[FaultFound]:
        return [e for e in self.world.events if isinstance(e, FaultFound) and e.t >= self.t0 - 1e-6]

    def ends_in(self, within_s: float, *, touch: bool = False) -> None:
        """Off in time, both sessions over, nothing violated."""
        world = self.world
        world.run_until(
            lambda: world.watcher.off_since is not None and world.now > self.t0 + 0.001, within_s + 5.0
        )
        if self.case.switch.name == "overheats":
            self.expect(not world.bench.station.loop.tripped | world.bench.car.loop.tripped, "too late")
        world.run(max(0.0, self.t0 + within_s - world.now))
        self.expect(world.run_until(lambda: world.ended, 70.0), f"a session does not end: {world.ends}")
        self.settle()
        watcher = world.watcher
        since = watcher.rest_since if touch else watcher.off_since
        took = (since if since is not None else world.now) - self.t0
        self.expect(
            took <= within_s + SLACK_S,
            f"{'at rest' if touch else 'off'} after {took:.3f} s, {within_s} s allowed",
        )
        if not touch and watcher.rest_since is not None:
            rest = watcher.rest_since - self.t0
            self.expect(rest <= within_s + TOUCH_SAFE_S, f"at rest after {rest:.3f} s")
        self.judge(())

    def holds_lock(self) -> None:
        world, case = self.world, self.case
        world.run(0.5)
        world.evcc.receive(Stop("done"), world.now)
        relay = world.bench.side(case.side).relay
        world.run_until(lambda: not relay.wanted, 20.0)
        self.t0 = world.now
        world.run(case.switch.within_s)
        self.expect(self.reported(), "nobody was told")
        self.expect(world.run_until(lambda: world.ended, 70.0), "a session does not end")
        world.run(15.0)
        self.expect(world.bench.side(case.side).bolt.locked, "unlocked")
        controller = world.hal_evse if case.side == "evse" else world.hal_ev
        self.expect(bool(controller.state().fault), "a new start would be allowed")
        self.judge(())

    def judge(self, ignore: tuple[str, ...]) -> None:
        violations = self.world.watcher.verdict(ignore=(*ignore, *self.excused()))
        self.expect(not violations, f"violated: {[str(v) for v in violations]}")

    def excused(self) -> tuple[str, ...]:
        case = self.case
        return unkeepable(case.switch.name, case.energy, case.side, case.role)
