"""A station and a car from devices to messages, under virtual time.

A `Bench` of virtual hardware, `HalEvse` and `HalEv` on it, both session machines on top, their octets
delivered after a moment instead of over a network.

    world = HardwareWorld("DC_BPT", "dynamic", seed=7)
    world.plug()
    world.run_until(lambda: world.current_a > 50)
    world.bench.inject("contactor_welded")
    world.run(10)
    assert not world.watcher.verdict()

It judges nothing: `watcher` does, of the physics alone; `events` has what everybody told.
"""

from __future__ import annotations

import math
import random
from typing import Any, Final

from iso15118.config import EvccConfig, SeccConfig
from iso15118.control import evse
from iso15118.evcc.machine import EvccMachine
from iso15118.events import SessionEnded
from iso15118.hardware import HalEv, HalEvse
from iso15118.machine import (
    Answer,
    Ask,
    Bytes,
    Close,
    Do,
    Emit,
    Input,
    LinkUp,
    Machine,
    Output,
    PeerClosed,
    Send,
    Update,
)
from iso15118.secc.machine import SeccMachine
from iso15118.sim.bench_world import UPDATE_S, BenchWorld, answer_of, marks_of
from iso15118.sim.log import last_ends

LATENCY_S: Final = 0.002
ANSWER_S: Final = 0.1
CONNECT_S: Final = 0.2
"""From plugging in until both sides are connected: instead of matching and discovery."""


class SessionSide:
    """A session machine with the controller it commands; a `Part`.

    `gone`: its computer has stopped, nothing of it answers or ticks any more.
    """

    def __init__(self, world: HardwareWorld, machine: Machine, controller: HalEvse | HalEv) -> None:
        self._world, self.machine, self.controller = world, machine, controller
        self.peer: SessionSide = self
        self.connected = self.closed = self.gone = False
        self._marks: Any = None
        self._update_at = math.inf

    @property
    def deadline(self) -> float:
        """The earliest of session, controller and next snapshot."""
        if self.gone:
            return math.inf
        due = self.controller.deadline
        served = self.connected and not self.closed
        return min(due, self.machine.deadline, self._update_at) if served else due

    def tick(self, now: float) -> None:
        """Controller first, then a snapshot where a level that matters changed, then the session."""
        if now >= self.controller.deadline:
            self.controller.tick(now)
            self._world.take(self, self.controller.outputs())
        if self.connected and not self.closed:
            self._tell(now)
            if now >= self.machine.deadline:
                self.machine.tick(now)
                self._world.take(self, self.machine.outputs())

    def feed(self, item: Input) -> None:
        """Hand the session an input."""
        if not (self.gone or self.closed):
            self.machine.receive(item, self._world.now)
            self._world.take(self, self.machine.outputs())

    def connect(self) -> None:
        """The transport stands."""
        if not self.gone:
            self.connected = True
            self._tell(self._world.now)
            self.feed(LinkUp())

    def close(self) -> None:
        """The transport is closed by this side; the other learns of it."""
        if not self.closed:
            self.closed, self._update_at = True, math.inf
            self._world.later(LATENCY_S, self.peer.feed, PeerClosed())

    def _tell(self, now: float) -> None:
        state = self.controller.state()
        marks = marks_of(state)
        if marks != self._marks or now >= self._update_at or self._update_at == math.inf:
            self._marks, self._update_at = marks, now + UPDATE_S
            self.feed(Update(state))


class HardwareWorld(BenchWorld):
    """Both sides of one session, joined directly; `loops` ends it after so many charge loops. See BenchWorld."""

    def __init__(
        self,
        service: str = "DC",
        control: str = "dynamic",
        *,
        seed: int = 0,
        loops: int | None = None,
        **hardware: Any,
    ) -> None:
        super().__init__(service, control, seed=seed, **hardware)
        energy, mode = self.energy, self.mode
        secc = SeccConfig(services=(energy,), control_modes=(mode,), insecure_no_tls=True)
        evcc = EvccConfig(services=(energy,), control_mode=mode, max_loops=loops, insecure_no_tls=True)
        self.secc = SeccMachine(secc, random.Random(f"secc {seed}").randbytes, self.bench.utc)
        self.evcc = EvccMachine(evcc, random.Random(f"evcc {seed}").randbytes, self.bench.utc)
        self.sides = {
            "SECC": SessionSide(self, self.secc, self.hal_evse),
            "EVCC": SessionSide(self, self.evcc, self.hal_ev),
        }
        self.sides["SECC"].peer, self.sides["EVCC"].peer = self.sides["EVCC"], self.sides["SECC"]
        self.parts = list(self.sides.values())

    def plug(self) -> None:
        """Put the connector in; both sides are connected a moment later."""
        self.bench.plug()
        self.hal_evse.command(evse.SetPilotDuty(5.0))
        for side in self.sides.values():
            self.later(CONNECT_S, side.connect)

    def vanish(self, role: str) -> None:
        """The computer of "SECC" or "EVCC" stops."""
        self.sides[role].gone = True

    @property
    def ends(self) -> dict[str, SessionEnded]:
        """How each session ended, by role."""
        return last_ends(self.events)

    @property
    def ended(self) -> bool:
        """Whether every session that still has a computer is over."""
        return all(side.closed or side.gone for side in self.sides.values())

    def take(self, side: SessionSide, outputs: Any) -> None:
        """Carry out what a side wants; a stopped computer wants nothing."""
        output: Output
        for output in outputs:
            match output:
                case Emit(event=event):
                    self.events.append(event)
                case Send(data=data):
                    self.later(LATENCY_S, side.peer.feed, Bytes(data))
                case Do(command=command):
                    side.controller.command(command)
                    self.take(side, side.controller.outputs())
                case Ask(question=question):
                    self.later(ANSWER_S, side.feed, Answer(question, answer_of(side.controller, question)))
                case Close(after=after):
                    self.later(after, side.close)
