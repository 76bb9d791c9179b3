"""A bench for the EVCC machine: a station made of answers, a car made of levels, and virtual time.

`Bench(service, mode)` is a car at a well-behaved station. `bench.station.on(...)` changes what the station
answers to one kind of request, `bench.run()` lets time jump from event to event until the session has ended.
Nothing of the stack's own station is used.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from iso15118 import events
from iso15118.config import EvccConfig
from iso15118.control import ev as control
from iso15118.control.common import Contactor, ControlMode, EnergyService
from iso15118.errors import CodecError
from iso15118.evcc.machine import EvccMachine
from iso15118.exi.codec import decode, encode
from iso15118.exi.schema import info_of
from iso15118.machine import Answer, Ask, Bytes, Close, Do, Emit, LinkUp, PeerClosed, Send, Update
from iso15118.messages.iso20 import common
from iso15118.messages.payloads import payload_type_for, schema_by_type
from iso15118.messages.registry import schema_set
from iso15118.units import NO_FLOW, Envelope, Limits
from iso15118.wire.v2gtp import Frame, FrameReader, PayloadType, encode_frame
from tests.unit.evcc.station import Station

START: Final = 100.0
"""Monotonic time at the start: the session must not depend on a clock that begins at zero."""
CAR_UTC: Final = 1_764_000_000.0
"""The car's wall clock at the start, wrong by some minutes against the station's."""
LATENCY_S: Final = 0.005
CONTACTOR_S: Final = 0.05
UPDATE_S: Final = 0.5
LIMIT_S: Final = 2000.0

AC, DC = EnergyService.AC, EnergyService.DC
AC_BPT, DC_BPT = EnergyService.AC_BPT, EnergyService.DC_BPT
SCHEDULED, DYNAMIC = ControlMode.SCHEDULED, ControlMode.DYNAMIC
SERVICES: Final = (AC, AC_BPT, DC, DC_BPT)
COMBINATIONS: Final = tuple((s, c) for s in SERVICES for c in (SCHEDULED, DYNAMIC))

CLOSE_IT, OPEN_IT = control.CloseContactor(), control.OpenContactor()
PILOT_B, PILOT_C = control.SetPilot(ready=False), control.SetPilot(ready=True)


def car(service: EnergyService = DC, **changes: Any) -> control.EvState:
    """A car at 350 V that wants 80 A (DC) or 7 kW (AC)."""
    back = service.bidirectional
    state = control.EvState(
        soc_percent=40.0,
        battery_voltage_v=350.0,
        limits=Envelope(
            charge=Limits(40_000.0, 100.0),
            discharge=Limits(15_000.0, 40.0) if back else NO_FLOW,
            max_voltage_v=420.0,
            min_voltage_v=200.0,
        ),
        needs=control.EnergyNeeds(20_000.0, 30_000.0, -1000.0),
        target_voltage_v=400.0,
        target_current_a=80.0,
        target_power_w=7000.0,
    )
    return replace(state, **changes)


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as the station received it."""

    t: float
    message: Any
    frame: Frame


@dataclass(repr=False, eq=False)
class Bench:
    """One car, one station, one session."""

    service: EnergyService = DC
    mode: ControlMode = DYNAMIC
    config: EvccConfig | None = None
    state: control.EvState | None = None
    station: Station | None = None
    script: Any = None
    controller: Any = None
    tls: Any = None
    wallet: Any = None
    paused: Any = None
    answers: bool = True
    chunk: Callable[[bytes], list[bytes]] = lambda data: [data]

    now: float = START
    wall_offset: float = 0.0
    requests: list[Sent] = field(default_factory=list)
    commands: list[tuple[float, Any]] = field(default_factory=list)
    seen_events: list[Any] = field(default_factory=list)
    questions: list[Any] = field(default_factory=list)
    log: list[Any] = field(default_factory=list)
    closed_at: float | None = None
    frozen: bool = False
    stuck_contactor: bool = False

    def __post_init__(self) -> None:
        self.config = self.config or config(self.service)
        self.state = self.state or car(self.service)
        self.station = self.station or Station(self.service, self.mode)
        if self.controller is None:
            self.controller = control.EvControllerBase()
            self.controller.wanted = (self.service,)
        self.machine = EvccMachine(
            self.config,
            bytes,
            self.utc,
            self.script,
            self.state,
            tls=self.tls,
            wallet=self.wallet,
            paused=self.paused,
        )
        self._reader = FrameReader()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._hooks: list[tuple[Callable[[], bool], Callable[[], None]]] = []
        self.at(0.0, lambda: self.machine.receive(LinkUp(), self.now))
        self.at(UPDATE_S, self._refresh)

    # --- time ---------------------------------------------------------------------------------

    def utc(self) -> float:
        """The car's wall clock."""
        return CAR_UTC + self.wall_offset + self.now - START

    def at(self, after: float, act: Callable[[], None]) -> None:
        """Do `act` `after` seconds from now."""
        self._count += 1
        heapq.heappush(self._heap, (self.now + after, self._count, act))

    def when(self, condition: Callable[[], bool], act: Callable[[], None]) -> Bench:
        """Do `act` once, as soon as `condition` holds."""
        self._hooks.append((condition, act))
        return self

    def run(self, until: Callable[[], bool] | None = None) -> Bench:
        """Let time pass until the session is over (or `until`). Fails where nothing ends it."""
        while not self.machine.ended and not (until and until()):
            due = self._heap[0][0]
            if self.machine.deadline <= due:
                self.now = max(self.now, self.machine.deadline)
                self.machine.tick(self.now)
            else:
                self.now, _, act = heapq.heappop(self._heap)
                act()
            self._drain()
            assert self.now < START + LIMIT_S, f"no end in sight in {self.machine.ev.phase}"
        return self

    def feed(self, item: Any) -> None:
        """Give the machine an input now."""
        self.machine.receive(item, self.now)
        self._drain()

    # --- the car ------------------------------------------------------------------------------

    def update(self, **levels: Any) -> None:
        """Change levels and tell the machine."""
        assert self.state is not None
        self.state = replace(self.state, **levels)
        if not self.frozen:
            self.machine.receive(Update(self.state), self.now)

    def _refresh(self) -> None:
        self.update()
        self.at(UPDATE_S, self._refresh)

    def _obey(self, command: Any) -> None:
        match command:
            case control.CloseContactor() if not self.stuck_contactor:
                self.at(CONTACTOR_S, lambda: self.update(contactor=Contactor.CLOSED))
            case control.OpenContactor() | control.Deenergise() if not self.stuck_contactor:
                gone = {"contactor": Contactor.OPEN, "current_a": 0.0, "power_w": 0.0}
                self.at(CONTACTOR_S, lambda: self.update(**gone))
            case control.SetPower(power_w=power):
                self.at(0.02, lambda: self.update(power_w=power))

    # --- outputs ------------------------------------------------------------------------------

    def _drain(self) -> None:
        outputs = list(self.machine.outputs())
        # What was encoded a moment ago need not be decoded again; a test compares both once.
        emitted = (o.event for o in outputs if isinstance(o, Emit))
        known = {e.exi: e.message for e in emitted if isinstance(e, events.MessageSent)}
        for output in outputs:
            self.log.append(output)
            match output:
                case Send(data=data):
                    for item in self._reader.feed(data):
                        self._received(item, known)
                case Do(command=command):
                    self.commands.append((self.now, command))
                    self._obey(command)
                case Ask(question=question):
                    self.questions.append(question)
                    if self.answers:
                        self._answer(question)
                case Emit(event=event):
                    self.seen_events.append(event)
                case Close():
                    self.closed_at = self.now
        due = [h for h in self._hooks if h[0]()]
        self._hooks = [h for h in self._hooks if h not in due]
        for _, act in due:
            act()
            self._drain()

    def _answer(self, question: Any) -> None:
        choose = {
            control.ServiceChoice: self.controller.choose_service,
            control.ScheduleChoice: self.controller.choose_schedule,
            control.StoreContract: self.controller.store_contract,
        }[type(question)]
        try:
            choose(question).send(None)
        except StopIteration as done:
            value = done.value
        except Exception as error:  # noqa: BLE001 - whatever a controller raises becomes its answer
            value = error
        self.at(0.01, lambda: self.machine.receive(Answer(question, value), self.now))

    def _received(self, item: Any, known: dict[bytes, Any]) -> None:
        if not isinstance(item, Frame):
            return
        message = known.get(item.payload) or readable(item)
        self.requests.append(Sent(self.now, message, item))
        assert self.station is not None
        for reply in self.station.answer(self, message):
            self.send(reply)

    def send(self, reply: Any, after: float = LATENCY_S) -> None:
        """Let the station send a message (an object), octets, or close the connection."""
        if reply is CLOSE:
            self.at(after, lambda: self.machine.receive(PeerClosed(), self.now))
            return
        data = reply if isinstance(reply, bytes) else framed(reply)
        for part in self.chunk(data):
            self.at(after, lambda part=part: self.machine.receive(Bytes(part), self.now))

    # --- what was seen ------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        """The requests by name, in order."""
        return [type(s.message).__name__ for s in self.requests]

    @property
    def steps(self) -> list[str]:
        """The requests by name, repetitions left out."""
        return squeeze(self.names)

    @property
    def last(self) -> Any:
        """The last request."""
        return self.requests[-1].message

    def all(self, name: str) -> list[Any]:
        """All requests of this name."""
        return [s.message for s in self.requests if type(s.message).__name__ == name]

    def one(self, name: str) -> Any:
        """The only request of this name."""
        found = self.all(name)
        assert len(found) == 1, (name, self.names)
        return found[0]

    def seen(self, kind: type[Any]) -> list[Any]:
        """All events of a kind."""
        return [e for e in self.seen_events if isinstance(e, kind)]

    @property
    def ended(self) -> events.SessionEnded:
        """How the session ended."""
        found = self.seen(events.SessionEnded)
        assert len(found) == 1, "a session ends once"
        return found[0]

    @property
    def outcome(self) -> tuple[str, str]:
        """Reason and fault of the end, in words."""
        return self.ended.reason.value, self.ended.fault.value

    @property
    def orders(self) -> list[Any]:
        """The commands, in order."""
        return [c for _, c in self.commands]

    def asked_for(self, name: str) -> Callable[[], bool]:
        """A condition: the EV has sent this request."""
        return lambda: name in self.names

    def in_phase(self, phase: str) -> Callable[[], bool]:
        """A condition: the procedure is in this phase."""
        return lambda: self.machine.ev.phase == phase

    @property
    def left_safely(self) -> bool:
        """Whether the last words on contactor and pilot were "open" and "not ready", and it was closed."""
        contactor = [c for c in self.orders if isinstance(c, SWITCHING)]
        pilot = [c for c in self.orders if isinstance(c, control.SetPilot)]
        opened = not contactor or not isinstance(contactor[-1], control.CloseContactor)
        return opened and pilot[-1:] == [PILOT_B] and self.closed_at is not None


SWITCHING: Final = (control.CloseContactor, control.OpenContactor, control.Deenergise)
CLOSE: Final = object()
"""Instead of a reply: the station closes the connection."""


def config(*services: EnergyService, **changes: Any) -> EvccConfig:
    """A car's configuration for a laboratory without TLS, three charge loops long."""
    values = {"services": services or (DC,), "insecure_no_tls": True, "max_loops": 3} | changes
    return EvccConfig(**values)


def readable(frame: Frame) -> Any:
    """The message in a frame; None where there is none."""
    namespace = schema_by_type(frame.payload_type, frame.payload)
    try:
        return decode(frame.payload, schema_set(namespace)) if namespace else None
    except CodecError:
        return None


def framed(message: Any) -> bytes:
    """A message as octets on the wire."""
    namespace = info_of(type(message)).namespace
    aside = isinstance(message, common.MeteringConfirmationRes)
    kind = PayloadType.METERING_CONFIRMATION if aside else payload_type_for(namespace)
    return encode_frame(kind, encode(message, schema_set(namespace)))


def squeeze(names: list[str]) -> list[str]:
    """Repetitions in a row left out."""
    return [n for i, n in enumerate(names) if i == 0 or n != names[i - 1]]
