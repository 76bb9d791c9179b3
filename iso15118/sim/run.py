"""One simulated session from one call: `simulate("DC_BPT", "dynamic", seed=7, faults="late_contactor(2.5)")`."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hal.virtual.battery import Battery
from hal.virtual.circuit import AcPlant, DcPlant, Plant
from iso15118.config import EvccConfig, SeccConfig
from iso15118.control.common import ControlMode
from iso15118.evcc.machine import EvccMachine
from iso15118.events import MessageSent, Role, SessionEnded, StateEntered
from iso15118.machine import Entropy, Machine, Utc
from iso15118.runtime.security import Security, session_config
from iso15118.secc.machine import SeccMachine
from iso15118.sim.attacks import ATTACKS, demand_target
from iso15118.sim.checkers import Violation, check
from iso15118.sim.faults import Fault, parse
from iso15118.sim.log import last_ends, log_hash, log_lines
from iso15118.sim.scenarios import Scenario, basic
from iso15118.sim.virtual_ev import VirtualEv
from iso15118.sim.virtual_evse import VirtualEvse
from iso15118.sim.world import MakeMachine, Recording, World

if TYPE_CHECKING:
    from iso15118.sim.tls import Credentials, MakeSession
    from iso15118.tls.engine import TlsFacts

Script = Callable[[Any], Any]
"""An EV procedure in place of the regular one: `async def rude(ev): ...`."""


@dataclass(frozen=True)
class Run:
    """What came out of a simulated session.

    `recording` has everything; the properties are what tests and people ask for.
    """

    seed: int
    scenario: Scenario
    recording: Recording

    @property
    def events(self) -> list[Any]:
        """The events of both roles, in time order."""
        return self.recording.events

    @property
    def messages(self) -> tuple[MessageSent, ...]:
        """What both sides sent, in order (t, role, message, exi)."""
        return tuple(e for e in self.recording.events if isinstance(e, MessageSent))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the messages both sides sent, in order."""
        return tuple(type(e.message).__name__ for e in self.messages)

    def states(self, role: str = "SECC") -> list[str]:
        """The states a side went through, in order; `role` "secc" or "evcc"."""
        events = (e for e in self.recording.events if isinstance(e, StateEntered))
        return [e.state for e in events if e.role == role.upper()]

    @property
    def ends(self) -> dict[str, SessionEnded]:
        """How each side ended, by role; a side that never did is missing."""
        return last_ends(self.events)

    @property
    def completed(self) -> bool:
        """Whether both sides ended by SessionStop."""
        ends = self.ends
        return len(ends) == 2 and all(e.as_intended for e in ends.values())

    @functools.cached_property
    def violations(self) -> tuple[Violation, ...]:
        """What must not happen and did."""
        return check(self.recording)

    @property
    def ok(self) -> bool:
        """Whether no checker was broken, and, without faults or a script, the session was completed."""
        return not self.violations and (
            self.completed or bool(self.recording.faults) or self.recording.scripted
        )

    @property
    def delivered_wh(self) -> float:
        """Energy through the outlet into the car."""
        return self.recording.delivered_wh

    @property
    def fed_back_wh(self) -> float:
        """Energy through the outlet out of the car."""
        return self.recording.fed_back_wh

    @property
    def duration(self) -> float:
        """Virtual seconds from plug-in until the last side closed (or the world was cut off)."""
        closed = self.recording.closed
        return max(closed.values()) if len(closed) == 2 else self.recording.duration_s

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What was injected."""
        return self.recording.faults

    def log_lines(self) -> Iterator[str]:
        """The event log as JSON, one event a line."""
        return log_lines(self.events)

    @functools.cached_property
    def log_hash(self) -> str:
        """SHA-256 over the event log: equal for equal seeds, in any process."""
        return log_hash(self.events)

    def explain(self) -> str:
        """What happened, in a few lines: for a failed assertion or a terminal."""
        scenario = self.scenario
        title = f"{scenario.service.name} {scenario.control.name.lower()}, seed {self.seed}"
        lines = [f"{title}, faults: {', '.join(map(str, self.faults)) or 'none'}"]
        for role, end in sorted(self.ends.items()):
            lines.append(f"{role} {end.t:.3f} s in {end.state}: {end.reason.value}: {end.detail}")
        if self.recording.discovery_failed:
            lines.append("no connection")
        lines.append(f"{self.delivered_wh:.1f} Wh delivered, {self.fed_back_wh:.1f} Wh fed back")
        return "\n".join([*lines, *(f"VIOLATION {v}" for v in self.violations)])


def simulate(  # noqa: PLR0913 - what a test or a command line may say of a session
    energy: str = "DC",
    control: str = "dynamic",
    seed: int = 0,
    faults: str | Iterable[Fault | str] = (),
    script: Script | None = None,
    *,
    scenario: Scenario | None = None,
    loops: int | None = None,
    wh: float | None = None,
    limit_s: float = 7200.0,
    tls: bool | Credentials = False,
    auth: str = "eim",
    install: bool = False,
) -> Run:
    """Simulate a session to its end and return what happened.

    Either `scenario`, or `energy` and `control` name what is done: `loops` charge loops (default 20), or as
    many as `wh` Wh take. `faults` as text or values of `faults.py`. `script` replaces the EV's procedure.
    `limit_s` cuts off a session that does not end. `tls`: mutual TLS 1.3 in between, with good certificates or those
    given. `auth`: "eim" (a card) or "pnc" (a contract, which the car fetches first where `install` is said).
    """
    chosen = scenario or basic(energy, control)
    if loops is not None:
        chosen = replace(chosen, loops=loops)
    if wh is not None:
        chosen = replace(chosen, loops=None, ev=replace(chosen.ev, energy_wh=wh))
        if scenario is None:  # an amount is charged straight away, without feeding back in between
            chosen = replace(chosen, ev=replace(chosen.ev, plan=()), evse=replace(chosen.evse, setpoints=()))
    if tls:
        chosen = replace(chosen, tls=_credentials(tls))
    if auth != "eim" or install:
        from iso15118.sim.contracts import contracts_for  # sessions by card load no cryptography

        chosen = replace(chosen, pnc=contracts_for(auth, install=install))
    injected = tuple(_faults(faults, seed, chosen))
    world = build(seed, chosen, injected, script, limit_s)
    world.recording.scripted = script is not None
    return Run(seed, chosen, world.run())


def build(
    seed: int,
    scenario: Scenario,
    faults: tuple[Fault, ...] = (),
    script: Script | None = None,
    limit_s: float = 7200.0,
) -> World:
    """The world of a scenario, ready to run. ConfigError for an attack on what the scenario does not have."""
    attacks = tuple(fault for fault in faults if fault.name in ATTACKS)
    scenario = _attacked(scenario, attacks)
    plant = plant_for(scenario)
    station = scenario.secc or secc_config(scenario)
    car = scenario.evcc or evcc_config(scenario)
    pnc = scenario.pnc
    trust, wallet = (pnc.trust, pnc.wallet) if pnc is not None else (None, None)
    evse = VirtualEvse(plant, scenario.evse)
    evse.back_end = pnc.back_end(random.Random(f"cps {seed}").randbytes) if pnc is not None else None

    def make_secc(entropy: Entropy, utc: Utc, facts: TlsFacts | None = None) -> Machine:
        honest = SeccMachine(session_config(station, facts), entropy, utc, tls=facts, trust=trust)
        return _lying("SECC", honest, attacks, scenario, utc)

    def make_evcc(entropy: Entropy, utc: Utc, facts: TlsFacts | None = None) -> Machine:
        honest = EvccMachine(session_config(car, facts), entropy, utc, script, tls=facts, wallet=wallet)
        return _lying("EVCC", honest, attacks, scenario, utc)

    tls = scenario.tls
    return World(
        seed,
        plant=plant,
        evse=evse,
        ev=VirtualEv(plant, scenario.ev),
        make_secc=_behind_tls("SECC", tls.secc, make_secc) if tls is not None else make_secc,
        make_evcc=_behind_tls("EVCC", tls.evcc, make_evcc) if tls is not None else make_evcc,
        faults=faults,
        limit_s=limit_s,
        tls=tls is not None,
    )


def _attacked(scenario: Scenario, attacks: tuple[Fault, ...]) -> Scenario:
    for fault in attacks:
        from iso15118.sim.impostors import disguised  # sessions in peace load no cryptography

        demand_target(fault, scenario)
        scenario = disguised(scenario, fault)
    return scenario


def _lying(role: Role, machine: Machine, attacks: tuple[Fault, ...], scenario: Scenario, utc: Utc) -> Machine:
    for fault in attacks:
        from iso15118.sim.dishonest import lying

        machine = lying(role, machine, fault, scenario, utc)
    return machine


def _behind_tls(role: Role, security: Security, make: MakeSession) -> MakeMachine:
    from iso15118.sim.tls import behind_tls  # sessions without TLS do not load its library

    return behind_tls(role, security, make)


def _credentials(given: bool | Credentials) -> Credentials:
    from iso15118.sim.tls import credentials

    return credentials() if isinstance(given, bool) else given


def plant_for(scenario: Scenario) -> Plant:
    """The circuit of a scenario, with its battery."""
    ev = scenario.ev
    battery = Battery(capacity_wh=ev.capacity_wh, cells=ev.cells, soc=ev.soc)
    return DcPlant(battery) if scenario.service.is_dc else AcPlant(battery)


def secc_config(scenario: Scenario) -> SeccConfig:
    """The station's configuration of a scenario: this service, both control modes."""
    modes = (scenario.control, *(m for m in ControlMode if m is not scenario.control))
    plain = SeccConfig(
        services=(scenario.service,), control_modes=modes, insecure_no_tls=scenario.tls is None
    )
    if scenario.pnc is None:
        return plain
    from iso15118.sim.contracts import station_taking

    return station_taking(scenario.pnc, plain)


def evcc_config(scenario: Scenario) -> EvccConfig:
    """The car's configuration of a scenario: where there are contracts it pays by nothing else."""
    plain = EvccConfig(
        services=(scenario.service,),
        control_mode=scenario.control,
        max_loops=scenario.loops,
        poll_interval_s=0.2,
        insecure_no_tls=scenario.tls is None,
    )
    if scenario.pnc is None:
        return plain
    from iso15118.sim.contracts import car_paying

    return car_paying(plain)


def _faults(given: str | Iterable[Fault | str], seed: int, scenario: Scenario) -> Iterator[Fault]:
    dc = scenario.service.is_dc
    if isinstance(given, str):
        yield from parse(given, seed=seed, dc=dc, more=ATTACKS)
        return
    for item in given:
        if isinstance(item, Fault):
            yield item
        else:
            yield from parse(item, seed=seed, dc=dc, more=ATTACKS)
