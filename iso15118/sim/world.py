"""A world under virtual time: two machines, a network, a plant, one event heap.

`World(seed, ...)` builds both machines with seeded entropy and virtual clocks, runs discovery, connects
them, and lets time jump from event to event until both have ended. It judges nothing: it fills a
`Recording`, which the checkers read.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from hal.virtual.bench import EPOCH_S
from hal.virtual.circuit import Closing, Plant, Sample
from iso15118.discovery.events import DiscoveryFailed, SeccFound
from iso15118.discovery.sdp_client import SdpClient, SdpClientConfig
from iso15118.discovery.sdp_server import SdpAvailability, SdpServer, SdpServerConfig, SeccEndpoints
from iso15118.machine import (
    Answer,
    Ask,
    Bytes,
    Close,
    Datagram,
    Do,
    Emit,
    Entropy,
    Input,
    LinkUp,
    Machine,
    PeerClosed,
    Send,
    Update,
    Utc,
)
from iso15118.sim.controllers import VirtualEv, VirtualEvse
from iso15118.sim.faults import Fault
from iso15118.sim.injection import inject
from iso15118.sim.network import Connection, DatagramLink

UPDATE_S: Final = 0.1
IDLE_UPDATE_S: Final = 0.2
SETTLE_S: Final = 3.0
"""How long the plant is watched after both sides have ended."""
CONNECT_S: Final = 0.004
RETRY_S: Final = 1.0
MAX_INSTANTS: Final = 10_000

SECC_ADDRESS: Final = "fe80::5ecc"
SECC_PORT: Final = 49_152
_EV: Final = ("fe80::e", 50_000)
_SECC: Final = (SECC_ADDRESS, 15_118)

MakeMachine = Callable[[Entropy, Utc], Machine]


@dataclass(slots=True)
class Clock:
    """A side's wall clock: virtual time with its own rate and offset."""

    rate: float = 1.0
    offset_s: float = 0.0


@dataclass(slots=True)
class Recording:
    """All that was observed: events of both roles, octets on the wire, the truth in the plant.

    `wire` holds (t, sender, octets), `closed` when each transport closed, `tls` tells that the octets are TLS records.
    `gone` are roles whose computer was stopped by a fault, `overrun` tells that the world was cut off,
    `scripted` that the car was played by a script, whose manners are its own affair. `hits` are (t, attack, side)
    when an attack on the wire took place.
    """

    faults: tuple[Fault, ...] = ()
    events: list[Any] = field(default_factory=list)
    wire: list[tuple[float, str, bytes]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)
    closed: dict[str, float] = field(default_factory=dict)
    gone: dict[str, float] = field(default_factory=dict)
    connected_at: float | None = None
    discovery_failed: bool = False
    overrun: bool = False
    duration_s: float = 0.0
    delivered_wh: float = 0.0
    fed_back_wh: float = 0.0
    meter_wh: tuple[float, float] = (0.0, 0.0)
    balance_wh: float = 0.0
    is_dc: bool = True
    scripted: bool = False
    tls: bool = False
    hits: list[tuple[float, str, str]] = field(default_factory=list)


class Side:
    """One machine with its controller, and what the world knows of it."""

    __slots__ = (
        "alive",
        "closed",
        "controller",
        "deadline",
        "finished",
        "machine",
        "marks",
        "next_update",
        "other",
        "role",
        "silent_until",
    )

    def __init__(self, role: str, machine: Machine, controller: Any) -> None:
        self.role, self.machine, self.controller = role, machine, controller
        self.other = "EVCC" if role == "SECC" else "SECC"
        self.alive = True
        self.finished = self.closed = False
        self.deadline = math.inf  # the machine's, read after each call: only a call can change it
        self.silent_until = -1.0
        self.next_update = 0.0
        self.marks: tuple[Any, ...] = ()

    @property
    def running(self) -> bool:
        """Whether the machine is to be served."""
        return self.alive and not self.closed


class World:
    """Both sides from plug-in to the end. `run()` returns the recording; `at()` plans an intervention.

    `tls`: the machines speak TLS, and discovery says so.
    """

    def __init__(
        self,
        seed: int,
        *,
        plant: Plant,
        evse: VirtualEvse,
        ev: VirtualEv,
        make_secc: MakeMachine,
        make_evcc: MakeMachine,
        faults: tuple[Fault, ...] = (),
        limit_s: float = 7200.0,
        tls: bool = False,
    ) -> None:
        self.now = 0.0
        self.plant, self.evse, self.ev = plant, evse, ev
        self.limit_s = limit_s
        self.clocks = {"SECC": Clock(), "EVCC": Clock()}
        self.connection = Connection.between(random.Random(f"tcp {seed}"))
        self.datagrams = DatagramLink(random.Random(f"udp {seed}"))
        self.recording = Recording(faults=faults, is_dc=plant.is_dc, tls=tls)
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        self._instants = 0
        self._moved = True
        self._plant_at = self._plant_due = 0.0
        self._settled_at = math.inf
        self._tls = tls
        self._changes: dict[str, tuple[str, Callable[[bytes], bytes]]] = {}
        ports = {"tls_port" if tls else "plain_port": SECC_PORT}
        self._sdp_client = SdpClient(SdpClientConfig(tls=tls))
        self._sdp_server = SdpServer(SdpServerConfig(SeccEndpoints(SECC_ADDRESS, **ports)))
        secc = make_secc(random.Random(f"secc {seed}").randbytes, self._utc("SECC"))
        evcc = make_evcc(random.Random(f"evcc {seed}").randbytes, self._utc("EVCC"))
        self.sides = {"SECC": Side("SECC", secc, evse), "EVCC": Side("EVCC", evcc, ev)}
        self._sides = tuple(self.sides.values())
        for fault in faults:
            inject(self, fault)

    def at(self, when: float, act: Callable[..., None], *args: Any) -> None:
        """Call `act(*args)` at virtual time `when`; it may change anything."""
        self._later(when, self._intervene, act, args)

    def run(self) -> Recording:
        """From plug-in until both sides have ended and the plant has settled."""
        self._touched()
        self._discover()
        while self.now < self._settled_at:
            due = self._due()
            if due > self.limit_s:
                self.recording.overrun = True
                break
            self._advance(due)
            self._serve()
        return self._finish()

    # --- interventions ------------------------------------------------------------------------

    def reset(self) -> None:
        """Both ends of the connection learn that it is gone; what is under way is lost."""
        if self.recording.connected_at is not None and not self.connection.cut:
            self.connection.cut = True
            for side in self._sides:
                self._later(self.now + 0.001, self._peer_closed, side)

    def end_stream(self, role: str) -> None:
        """`role`'s sending direction ends; it may not know."""
        if self.recording.connected_at is not None and role not in self.connection.closed:
            self.connection.closed.add(role)
            other = self.sides[self.sides[role].other]
            self._later(self.connection.streams[role].closing(self.now), self._peer_closed, other)

    def vanish(self, role: str) -> None:
        """`role`'s computer stops: it answers, ticks and tells nothing any more."""
        side = self.sides[role]
        if not side.running:
            return
        side.alive = False
        self.recording.gone[role] = self.now
        if self.recording.connected_at is None:
            self._give_up()
        self._maybe_settle()

    def silence(self, role: str, seconds: float) -> None:
        """`role`'s controller gives no snapshots and no answers for a while; commands still arrive."""
        self.sides[role].silent_until = self.now + seconds

    def intercept(self, role: str, name: str, change: Callable[[bytes], bytes]) -> None:
        """The next write of `role` arrives as what `change` makes of it: an attack called `name`."""
        self._changes[role] = (name, change)

    def hit(self, name: str, role: str) -> None:
        """Note that an attack on what `role` sends took place."""
        self.recording.hits.append((self.now, name, role))

    def _intervene(self, act: Callable[..., None], args: tuple[Any, ...]) -> None:
        self._sync()
        act(*args)
        self._touched()

    # --- time ---------------------------------------------------------------------------------

    def _later(self, when: float, act: Callable[..., None], *args: Any) -> None:
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, act, args))

    def _due(self) -> float:
        """When something happens next."""
        due = min(self._settled_at, self._plant_due)
        if self._heap:
            due = min(due, self._heap[0][0])
        if self.recording.connected_at is None:
            return max(self.now, min(due, self._sdp_client.deadline, self._sdp_server.deadline))
        for side in self._sides:
            if side.alive and not side.closed:
                due = min(due, side.deadline, side.next_update)
        return max(due, self.now)

    def _advance(self, due: float) -> None:
        if due > self.now:
            self._instants = 0
            self.now = due
        else:
            self._instants += 1
            if self._instants > MAX_INSTANTS:
                raise RuntimeError(f"time stands still at {self.now} s: a machine's deadline never passes")
        if due >= self._plant_due:
            self._sync()

    def _sync(self) -> None:
        """Bring the plant to the present. It may lag behind while nobody looks at it or touches it."""
        now = self.now
        dt = now - self._plant_at
        if dt > 0.0:
            self._plant_at = now
            moved = self.plant.step(dt)
            moved = self.evse.step(now) or moved
            self._moved = self.ev.step(now) or moved or self._moved
            self._sample()
            self._plant_due = min(now + self.plant.due_s, self.evse.due)

    def _touched(self) -> None:
        """Something was commanded or broken: levels and the next switching time may differ."""
        self._moved = True
        self._plant_due = min(self.now + self.plant.due_s, self.evse.due)

    def _sample(self) -> None:
        plant, evse = self.plant, self.evse
        self.recording.samples.append(
            Sample(
                self.now,
                plant.evse_contactor.closed,
                plant.ev_contactor.closed,
                plant.outlet_v,
                plant.current_a,
                plant.power_w,
                plant.pilot.wire,
                plant.locked,
                evse.check.value,
                bool(evse.faults.emergency_stop or evse.faults.fault),
                bool(self.ev.faults.emergency_stop or self.ev.faults.fault),
            )
        )

    def _serve(self) -> None:
        """Everything that is due now: planned calls, expired timers, snapshots."""
        now = self.now
        while self._heap and self._heap[0][0] <= now:
            _, _, act, args = heapq.heappop(self._heap)
            act(*args)
        if self.recording.connected_at is None:
            self._tick_discovery()
            return
        moved, self._moved = self._moved, False
        for side in self._sides:
            if side.alive and not side.closed:
                if side.deadline <= now:
                    side.machine.tick(now)
                    self._drain(side)
                if moved or now >= side.next_update:
                    self._update(side)

    def _update(self, side: Side) -> None:
        """A snapshot: at once where a level changed, else from time to time."""
        now = self.now
        if now < side.silent_until:
            side.next_update = max(side.next_update, side.silent_until)
            return
        self._sync()
        while not side.closed:
            marks = side.controller.marks()
            if now < side.next_update and marks == side.marks:
                return
            side.marks = marks
            flowing = self.plant.outlet_v > 1.0
            side.next_update = now + (UPDATE_S if flowing else IDLE_UPDATE_S)
            self._feed(side, Update(side.controller.state()))

    # --- machines -----------------------------------------------------------------------------

    def _feed(self, side: Side, item: Input) -> None:
        side.machine.receive(item, self.now)
        self._drain(side)

    def _drain(self, side: Side) -> None:
        for out in side.machine.outputs():
            match out:
                case Emit(event=event):
                    self.recording.events.append(event)
                case Send(data=data):
                    self._send(side, data)
                case Do(command=command):
                    self._sync()
                    side.controller.command(command)
                    self._touched()
                case Ask(question=question):
                    reply = side.controller.answer(question)
                    self._later(self.now + reply.delay_s, self._answer, side, Answer(question, reply.value))
                case Close(after=after):
                    side.finished = True
                    self._later(self.now + after, self._close, side)
        side.deadline = side.machine.deadline

    def _answer(self, side: Side, answer: Answer) -> None:
        if side.running and self.now >= side.silent_until:
            self._feed(side, answer)

    def _send(self, side: Side, data: bytes) -> None:
        self.recording.wire.append((self.now, side.role, data))
        if self.connection.cut or side.role in self.connection.closed:
            return
        if side.role in self._changes:
            name, change = self._changes.pop(side.role)
            data = change(data)
            self.hit(name, side.role)
        other = self.sides[side.other]
        for when, piece in self.connection.streams[side.role].arrivals(data, self.now):
            self._later(when, self._arrive, other, piece)

    def _arrive(self, side: Side, data: bytes) -> None:
        if side.running and not self.connection.cut:
            self._feed(side, Bytes(data))

    def _peer_closed(self, side: Side) -> None:
        if not side.running:
            return
        self._feed(side, PeerClosed())
        if side.finished:
            self._close(side)

    def _close(self, side: Side) -> None:
        if side.closed:
            return
        side.closed = True
        self.recording.closed[side.role] = self.now
        self.end_stream(side.role)
        self._maybe_settle()

    def _maybe_settle(self) -> None:
        if not any(side.running for side in self._sides):
            self._settled_at = min(self._settled_at, self.now + SETTLE_S)

    # --- discovery ----------------------------------------------------------------------------

    def _discover(self) -> None:
        self._sdp_server.receive(LinkUp(), self.now)
        self._drain_sdp(self._sdp_server, self._to_client)
        self._look()

    def _look(self) -> None:
        self._sdp_client.receive(LinkUp(), self.now)
        self._drain_sdp(self._sdp_client, self._to_server)

    def _tick_discovery(self) -> None:
        if self._sdp_client.deadline <= self.now:
            self._sdp_client.tick(self.now)
            self._drain_sdp(self._sdp_client, self._to_server)
        if self._sdp_server.deadline <= self.now:
            self._sdp_server.tick(self.now)
            self._drain_sdp(self._sdp_server, self._to_client)

    def _to_server(self, data: bytes) -> None:
        self._sdp_server.receive(Datagram(data, _EV), self.now)
        self._drain_sdp(self._sdp_server, self._to_client)

    def _to_client(self, data: bytes) -> None:
        self._sdp_client.receive(Datagram(data, _SECC), self.now)
        self._drain_sdp(self._sdp_client, self._to_server)

    def _drain_sdp(self, machine: SdpClient | SdpServer, to: Callable[[bytes], None]) -> None:
        """`machine`'s datagrams go to `to`; what it found or gave up decides what follows."""
        for out in machine.outputs():
            if isinstance(out, Datagram):
                for when, data in self.datagrams.arrivals(out.data, self.now):
                    self._later(when, to, data)
            elif isinstance(out, Emit):
                self.recording.events.append(out.event)
                self._discovered(out.event)

    def _discovered(self, event: Any) -> None:
        if isinstance(event, DiscoveryFailed):
            self._give_up()
        elif isinstance(event, SeccFound) and not self._connecting(event):
            self._later(self.now + RETRY_S, self._retry)

    def _connecting(self, found: SeccFound) -> bool:
        """Connect where the answer was not damaged on its way; nobody listens anywhere else."""
        right = (found.address, found.port, found.tls) == (SECC_ADDRESS, SECC_PORT, self._tls)
        if right:
            self._later(self.now + CONNECT_S, self._connect)
        return right

    def _retry(self) -> None:
        """The connection was refused: start discovery over, within the time for setting up."""
        if self.now < 20.0:
            self._look()
        else:
            self._give_up()

    def _give_up(self) -> None:
        self.recording.discovery_failed = True
        self._settled_at = min(self._settled_at, self.now + 0.1)

    def _connect(self) -> None:
        if self.recording.connected_at is not None:
            return
        self.recording.connected_at = self.now
        self._sdp_server.receive(Update(SdpAvailability(accepting=False)), self.now)
        self._drain_sdp(self._sdp_server, self._to_client)
        for side in self._sides:
            if side.alive:
                self._update(side)
                self._feed(side, LinkUp())

    # --- the end ------------------------------------------------------------------------------

    def _utc(self, role: str) -> Utc:
        clock = self.clocks[role]
        return lambda: EPOCH_S + self.now * clock.rate + clock.offset_s

    def _finish(self) -> Recording:
        self._sync()
        recording, plant = self.recording, self.plant
        recording.duration_s = self.now
        recording.closings = plant.closings
        recording.delivered_wh, recording.fed_back_wh = plant.delivered_wh, plant.fed_back_wh
        recording.meter_wh = (plant.meter.shown_wh, plant.meter.discharged_wh)
        recording.balance_wh = plant.balance_wh()
        return recording
