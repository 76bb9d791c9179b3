"""One plug-in from one call: `plug_in("DC_BPT", "dynamic", seed=7, mishaps="link_loss(0.05)")`."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from hal.virtual.bench import Bench
from hal.virtual.faults import aim, unkeepable
from hal.virtual.watch import Violation
from iso15118.events import SessionEnded
from iso15118.hardware import HalEvConfig, HalEvseConfig
from iso15118.plug.ev import State as Inlet
from iso15118.plug.evse import State as Outlet
from iso15118.plug.words import PlugState
from iso15118.sim.faults import Fault, parse
from iso15118.sim.log import last_ends, log_hash, log_lines
from iso15118.sim.plugged.mishaps import MISHAPS, befall
from iso15118.sim.plugged.world import PluggedWorld
from iso15118.sim.scenarios import control_of, service_of

LOOPS: Final = 40
STATION: Final = HalEvseConfig(max_discharge_w=20_000.0)
GIVING_CAR: Final = HalEvConfig(max_discharge_w=20_000.0, max_discharge_a=60.0)
PLUG_AT_S: Final = 0.5
BEGIN_S: Final = 1.0
"""By then both sides have noticed that something is plugged in."""
PATIENCE_S: Final = 90.0
"""A person waits no longer for a charge to end before pulling the connector, by force if need be."""
GOODBYE_S: Final = 4.0
"""From the end of a charge until the connector is pulled."""
NO_CURRENT_A: Final = 1.0
REST_S: Final = 60.0
"""From pulling the connector until everything has to be at rest."""


@dataclass(frozen=True)
class PlugRun:
    """What came out of one plug-in. `world` has everything; the properties are what tests and people ask for."""

    seed: int
    mishaps: tuple[Fault, ...]
    world: PluggedWorld
    rested: bool

    @property
    def events(self) -> list[Any]:
        """What both sides told, in order of time."""
        return self.world.events

    @property
    def ends(self) -> dict[str, SessionEnded]:
        """How each side's last session ended, by role."""
        return last_ends(self.events)

    def states(self, role: str) -> list[str]:
        """The plug states a side went through, in order; `role` "secc" or "evcc"."""
        told = (e for e in self.events if isinstance(e, PlugState))
        return [event.state for event in told if event.role == role.upper()]

    @property
    def completed(self) -> bool:
        """Whether a session ended by SessionStop on both sides."""
        ends = self.ends
        return len(ends) == 2 and all(end.as_intended for end in ends.values())

    @property
    def violations(self) -> list[Violation]:
        """What must never be physically the case and was, but for what nobody can help with what is broken."""
        excused = (rule for fault in self.world.broken for rule in _excuses(fault, self.world.bench))
        return self.world.watcher.verdict(ignore=tuple(excused))

    @property
    def ok(self) -> bool:
        """Whether it ended at rest without a violation, and, without mishaps, with a completed session."""
        return self.rested and not self.violations and (self.completed or bool(self.mishaps))

    @property
    def delivered_wh(self) -> float:
        """Energy through the outlet into the car."""
        return self.world.bench.registers.import_wh

    @property
    def fed_back_wh(self) -> float:
        """Energy through the outlet out of the car."""
        return self.world.bench.registers.export_wh

    @property
    def duration(self) -> float:
        """Virtual seconds."""
        return self.world.now

    def log_lines(self) -> Iterator[str]:
        """The event log as JSON, one event a line."""
        return log_lines(self.events)

    @functools.cached_property
    def log_hash(self) -> str:
        """SHA-256 over the event log: equal for equal seeds, in any process."""
        return log_hash(self.events)

    def explain(self) -> str:
        """What happened, in a few lines."""
        world = self.world
        title = f"{world.energy.name} {world.mode.name.lower()}, seed {self.seed}"
        lines = [f"{title}, mishaps: {', '.join(map(str, self.mishaps)) or 'none'}"]
        lines += [f"{role}: {' '.join(self.states(role))}" for role in ("secc", "evcc")]
        lines += [
            f"{role} {end.t:.3f} s in {end.state}: {end.reason.value}: {end.detail}"
            for role, end in sorted(self.ends.items())
        ]
        if not self.rested:
            lines.append("not at rest in the end")
        return "\n".join([*lines, *(f"VIOLATION {violation}" for violation in self.violations)])


def plug_in(
    energy: str = "DC",
    control: str = "dynamic",
    seed: int = 0,
    mishaps: str | Iterable[Fault] = (),
    *,
    loops: int | None = LOOPS,
    setpoints: Sequence[tuple[float, float]] = (),
    tls: bool = False,
    auth: str = "eim",
    install: bool = False,
    **options: Any,
) -> PlugRun:
    """Plug in, charge, pull out; `loops` charge loops, or (None) as long as the car wants.

    `mishaps` as text or values of `mishaps.MISHAPS`; `setpoints` are what the operator wants from when on: (s since
    plug-in, W). `tls`: mutual TLS 1.3. `auth`: "eim", free charging, or "pnc" (over TLS), a contract, which the car
    fetches first where `install` is said. `options` go to PluggedWorld.
    """
    if tls or auth != "eim" or install:
        from iso15118.sim.plugged.trust import secured  # sessions without TLS load no cryptography

        service, mode = service_of(energy), control_of(control)
        options = secured(service, mode, seed, options, auth=auth, install=install)
    world = _world(energy, control, seed, loops, options)
    dc = world.energy.is_dc
    befalling = (
        parse(mishaps, seed=seed, dc=dc, kinds=MISHAPS) if isinstance(mishaps, str) else tuple(mishaps)
    )
    world.run(PLUG_AT_S)
    for mishap in befalling:
        befall(world, mishap)
    for at_s, power_w in setpoints:
        world.later(at_s, setattr, world.hal_evse, "setpoint_w", power_w)
    world.plug()
    world.run(BEGIN_S)
    world.run_until(lambda: _over(world), PATIENCE_S)
    world.run(GOODBYE_S)
    world.unplug()
    rested = world.run_until(lambda: _at_rest(world), REST_S)
    world.run(1.0)
    return PlugRun(seed, befalling, world, rested)


def _world(energy: str, control: str, seed: int, loops: int | None, options: dict[str, Any]) -> PluggedWorld:
    gives = service_of(energy).bidirectional
    usual = {"station": STATION, "car": GIVING_CAR} if gives else {"station": STATION}
    world = PluggedWorld(energy, control, seed=seed, **(usual | options))
    world.evcc_config = replace(world.evcc_config, max_loops=loops)
    return world


def _excuses(fault: Fault, bench: Bench) -> tuple[str, ...]:
    values: dict[str, Any] = dict(fault.values)
    energy = "dc" if bench.dc else "ac"
    if fault.name == "computer_stops":
        return unkeepable("controller_killed", energy, values["side"].lower(), None)
    switch, target = aim(bench, fault.name, _lower(values.get("side")), _lower(values.get("role")))
    return unkeepable(switch.name, energy, target.side_name, target.role or None)


def _lower(word: str | None) -> str | None:
    return word.lower() if word is not None else None


def _over(world: PluggedWorld) -> bool:
    """Whether both sides say that it is done, or will not begin any more; or nobody plugs in again."""
    station, car = world.station, world.car
    done = car.gone or car.plug.plug.state in (Inlet.DONE, Inlet.NO_LINK)
    ended = station.gone or station.plug.plug.state in (Outlet.ENDED, Outlet.FAULTED)
    return (done and ended) or not (world.bench.circuit.plugged or world.replugging)


def _at_rest(world: PluggedWorld) -> bool:
    """Nothing flows, nothing is closed, and both plugs know that they are alone, where a pilot still tells them."""
    welded = world.bench.station.relay.welded and abs(world.current_a) < NO_CURRENT_A
    if not (world.watcher.at_rest or welded):  # a welded contactor leaves the mains at the outlet
        return False
    station, car = world.station, world.car
    outlet = station.gone or station.plug.plug.state in (Outlet.EMPTY, Outlet.FAULTED)
    inlet = car.gone or car.plug.plug.state is Inlet.UNPLUGGED
    quiet = all(
        side.gone or side.session is None for side in (station, car)
    )  # a stopped computer keeps its last state
    return (outlet and inlet) or (bool(world.broken) and quiet)
