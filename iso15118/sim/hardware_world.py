"""A station and a car from devices to messages, under virtual time.

A `Bench` of virtual hardware, `HalEvse` and `HalEv` on it, both session machines on top, their octets
delivered after a moment. One heap holds what is planned; what decides has a `deadline` and a `tick`.

    world = HardwareWorld("DC_BPT", "dynamic", seed=7)
    world.plug()
    world.run_until(lambda: world.current_a > 50)
    world.bench.inject("contactor_welded")
    world.run(10)
    assert not world.watcher.verdict()

It judges nothing: `watcher` does, of the physics alone; `events` has what everybody told.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from hal.virtual.bench import Bench
from hal.virtual.watch import Watcher
from iso15118.config import EvccConfig, SeccConfig
from iso15118.control import ev, evse
from iso15118.control.common import ControlMode, EnergyService
from iso15118.evcc.machine import EvccMachine
from iso15118.events import SessionEnded
from iso15118.hardware import HalEv, HalEvConfig, HalEvse, HalEvseConfig
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

LATENCY_S: Final = 0.002
ANSWER_S: Final = 0.1
UPDATE_S: Final = 0.2
CONNECT_S: Final = 0.2
"""From plugging in until both sides are connected: instead of matching and discovery."""
MAX_INSTANTS: Final = 1000
SAME_S: Final = 1e-9
"""Times so close together are the same: the bench's clock is a sum of steps."""


class Part(Protocol):
    """What lives in the world: whatever is due at `deadline` happens in `tick`."""

    @property
    def deadline(self) -> float:
        """When `tick` is due (s)."""

    def tick(self, now: float) -> None:
        """Let time pass."""


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


class HardwareWorld:
    """Both sides of one session. `service` and `control` by name; the same `seed` repeats a run to the bit.

    `station` and `car` configure the controllers, `operator` and `owner` answer their questions; `loops` ends
    the session after so many charge loops. `bench` replaces the usual hardware.
    """

    def __init__(
        self,
        service: str = "DC",
        control: str = "dynamic",
        *,
        seed: int = 0,
        bench: Bench | None = None,
        station: HalEvseConfig | None = None,
        car: HalEvConfig | None = None,
        operator: evse.EvseController | None = None,
        owner: ev.EvController | None = None,
        loops: int | None = None,
    ) -> None:
        energy, mode = EnergyService[service], ControlMode[control.upper()]
        self.bench = bench or Bench(dc=energy.is_dc, seed=seed)
        self.watcher = Watcher(self.bench)
        self.events: list[Any] = []
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = self._instants = 0
        self.hal_evse = HalEvse(self.bench.evse(), station or HalEvseConfig(), self._clock, operator)
        self.hal_ev = HalEv(self.bench.ev(), car or HalEvConfig(), self._clock, owner or _Owner(energy, mode))
        secc = SeccConfig(services=(energy,), control_modes=(mode,), insecure_no_tls=True)
        evcc = EvccConfig(services=(energy,), control_mode=mode, max_loops=loops, insecure_no_tls=True)
        self.secc = SeccMachine(secc, random.Random(f"secc {seed}").randbytes, self.bench.utc)
        self.evcc = EvccMachine(evcc, random.Random(f"evcc {seed}").randbytes, self.bench.utc)
        self.sides = {
            "SECC": SessionSide(self, self.secc, self.hal_evse),
            "EVCC": SessionSide(self, self.evcc, self.hal_ev),
        }
        self.sides["SECC"].peer, self.sides["EVCC"].peer = self.sides["EVCC"], self.sides["SECC"]
        self.parts: list[Part] = list(self.sides.values())

    # --- what a test does -------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self.bench.now

    def plug(self) -> None:
        """Put the connector in; both sides are connected a moment later."""
        self.bench.plug()
        self.hal_evse.command(evse.SetPilotDuty(5.0))
        for side in self.sides.values():
            self.later(CONNECT_S, side.connect)

    def vanish(self, role: str) -> None:
        """The computer of "SECC" or "EVCC" stops."""
        self.sides[role].gone = True

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.run_until(lambda: False, seconds)

    def run_until(self, reached: Callable[[], bool], limit_s: float) -> bool:
        """Let time pass until `reached`, at most `limit_s`; whether it came."""
        end = self.now + limit_s
        while not reached():
            if self.now >= end - SAME_S:
                return False
            self._pass(end)
        return True

    @property
    def ends(self) -> dict[str, SessionEnded]:
        """How each session ended, by role."""
        return {event.role: event for event in self.events if isinstance(event, SessionEnded)}

    @property
    def ended(self) -> bool:
        """Whether every session that still has a computer is over."""
        return all(side.closed or side.gone for side in self.sides.values())

    @property
    def current_a(self) -> float:
        """At the outlet, true, signed."""
        return self.bench.circuit.current_a

    @property
    def power_w(self) -> float:
        """At the outlet, true, signed."""
        return self.bench.circuit.power_w

    # --- time -------------------------------------------------------------------------------------

    def later(self, seconds: float, act: Callable[..., None], *args: Any) -> None:
        """Call `act(*args)` after `seconds`."""
        self._count += 1
        heapq.heappush(self._heap, (self.now + seconds, self._count, act, args))

    def _pass(self, end: float) -> None:
        """To whatever happens next: something planned, a deadline, a change in the hardware."""
        due = min([end, *(part.deadline for part in self.parts)])
        if self._heap:
            due = min(due, self._heap[0][0])
        if due > self.now + SAME_S:
            self._instants = 0
            self.bench.hop(due - self.now)
        else:
            self._instants += 1
            if self._instants > MAX_INSTANTS:
                raise RuntimeError(f"time stands still at {self.now} s: a deadline never passes")
        self._serve()

    def _serve(self) -> None:
        while self._heap and self._heap[0][0] <= self.now + SAME_S:
            _, _, act, args = heapq.heappop(self._heap)
            act(*args)
        for part in self.parts:
            if part.deadline <= self.now + SAME_S:
                part.tick(max(self.now, part.deadline))

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
                    self.later(ANSWER_S, side.feed, Answer(question, _answer(side.controller, question)))
                case Close(after=after):
                    self.later(after, side.close)

    def _clock(self) -> float:
        return self.bench.now


def marks_of(state: evse.EvseState | ev.EvState) -> tuple[Any, ...]:
    """Levels the session has to learn of at once, unlike measurements."""
    common = (state.contactor, state.wish, state.emergency_stop, state.fault)
    if isinstance(state, ev.EvState):
        return (*common, state.complete)
    return (*common, state.cp, state.locked, state.cable_check, state.setpoint_w)


def _answer(controller: HalEvse | HalEv, question: Any) -> Any:
    """The controller's answer, at once: nobody here waits for anything."""
    match question, controller:
        case evse.AuthorizationQuestion(), HalEvse():
            return _result(controller.authorize(question))
        case evse.ChargingNeeds(), HalEvse():
            return _result(controller.offer_energy(question))
        case ev.ServiceChoice(), HalEv():
            return _result(controller.choose_service(question))
        case ev.ScheduleChoice(), HalEv():
            return _result(controller.choose_schedule(question))
    raise TypeError(f"{type(controller).__name__} is not asked {type(question).__name__}")


def _result(coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise TypeError("an operator or owner in a virtual world answers without awaiting anything")


class _Owner(ev.EvControllerBase):
    """Wants this service in this mode, at full power."""

    def __init__(self, service: EnergyService, mode: ControlMode) -> None:
        self.wanted, self.control_mode = (service,), mode
