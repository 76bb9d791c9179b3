"""A charging station on a bench: the SECC machine, its hardware and its EV, under virtual time.

`Bench` feeds requests (as objects, encoded on the way), levels and answers, lets time pass from deadline
to deadline, and keeps what came out. `reach` brings one to a state; it is made once for each state and
copied from then on.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from iso15118.config import SeccConfig
from iso15118.control import evse as api
from iso15118.control.common import Check, Contactor, ControlMode, CpState, EnergyService
from iso15118.control.evse import EvseState, MeterReading
from iso15118.energy.offer import EnergyOffer
from iso15118.events import SessionEnded
from iso15118.exi.codec import decode, encode
from iso15118.machine import Answer, Ask, Bytes, Close, Do, Emit, LinkUp, Output, Send, Update
from iso15118.messages import namespaces as ns
from iso15118.messages.payloads import HANDSHAKE, Phase, schema_for
from iso15118.messages.registry import schema_set
from iso15118.secc.machine import SeccMachine
from iso15118.secc.session import Record, State
from iso15118.units import Envelope, Limits
from iso15118.wire.v2gtp import HEADER_LENGTH, decode_header, encode_frame
from tests.unit.secc.messages import Ev, lane_of

DC_LIMITS = Envelope(
    charge=Limits(max_power_w=150_000.0, max_current_a=300.0, min_power_w=100.0, min_current_a=1.0),
    discharge=Limits(max_power_w=20_000.0, max_current_a=50.0),
    max_voltage_v=920.0,
    min_voltage_v=150.0,
)
AC_LIMITS = Envelope(
    charge=Limits(max_power_w=22_000.0, min_power_w=1_380.0),
    discharge=Limits(max_power_w=11_000.0),
)
STARTED_AT = 1_750_000_000.0


@dataclass
class Clock:
    """Seconds since the start; also the wall clock and the entropy of a bench, so that copies keep theirs."""

    now: float = 0.0
    drawn: int = 0

    def utc(self) -> float:
        return STARTED_AT + self.now

    def entropy(self, count: int) -> bytes:
        self.drawn += 1
        return (0xA000 + self.drawn).to_bytes(count, "big")


@dataclass
class Bench:
    """See the module. `obedient`: hardware does at once what it is told. `contract` answers ContractRequests."""

    config: SeccConfig
    state: EvseState
    clock: Clock = field(default_factory=Clock)
    obedient: bool = True
    accept: bool = True
    offer: EnergyOffer | None = None
    answering: bool = True
    contract: Any = None
    tls: Any = None
    trust: Any = None
    paused: Any = None

    def __post_init__(self) -> None:
        self.machine = SeccMachine(
            self.config,
            self.clock.entropy,
            self.clock.utc,
            self.state,
            tls=self.tls,
            trust=self.trust,
            paused=self.paused,
        )
        self.ev = Ev()
        self.sent: list[Any] = []
        self.payload_types: list[int] = []
        self.commands: list[Any] = []
        self.questions: list[Any] = []
        self.events: list[Any] = []
        self.outputs: list[Output] = []
        self.close: Close | None = None
        self.closed_at: float | None = None

    # --- what is fed --------------------------------------------------------------------------

    def feed(self, item: Any) -> None:
        self.machine.receive(item, self.clock.now)
        self.drain()

    def link_up(self) -> None:
        self.feed(LinkUp())

    def send(self, message: Any, payload_type: int | None = None) -> Any:
        """Send a request; the response it brought, or None."""
        return self.send_octets(frame_of(message, payload_type))

    def send_octets(self, octets: bytes) -> Any:
        before = len(self.sent)
        self.feed(Bytes(octets))
        return self.sent[-1] if len(self.sent) > before else None

    def levels(self, **levels: Any) -> None:
        """Write a level snapshot; without arguments the same levels again."""
        self.state = replace(self.state, **levels)
        self.feed(Update(self.state))

    def answer(self, value: Any, question: Any = None) -> None:
        self.feed(Answer(question or self.questions[-1], value))

    def advance(self, seconds: float) -> None:
        """Let time pass while nobody says anything; timers fire when they are due."""
        end = self.clock.now + seconds
        while self.machine.deadline <= end:
            self.clock.now = max(self.clock.now, self.machine.deadline)
            self.machine.tick(self.clock.now)
            self.drain()
        self.clock.now = end

    def powered(self, seconds: float) -> None:
        """Let time pass with hardware that keeps reporting."""
        end = self.clock.now + seconds
        while self.clock.now < end - 1e-9:
            self.advance(min(1.0, end - self.clock.now))
            self.levels()

    # --- what comes out -----------------------------------------------------------------------

    def drain(self) -> None:
        for output in list(self.machine.outputs()):
            self.outputs.append(output)
            match output:
                case Send(data=data):
                    self.sent.append(self.read(data))
                case Do(command=command):
                    self.commands.append(command)
                case Ask(question=question):
                    self.questions.append(question)
                case Emit(event=event):
                    self.events.append(event)
                case Close():
                    assert self.close is None, "closed twice"
                    self.close, self.closed_at = output, self.clock.now + output.after
        self.react()

    def read(self, data: bytes) -> Any:
        """Decode a response as the EV would, and see that it is schema-valid to the last bit."""
        payload_type, length = decode_header(data)
        exi = data[HEADER_LENGTH:]
        assert len(exi) == length, "one response, one frame"
        namespace = self.machine.record.namespace
        phase = Phase(namespace) if namespace and payload_type != 0x8001 else HANDSHAKE
        schemas = schema_set(schema_for(payload_type, phase, exi))
        message = decode(exi, schemas)
        assert encode(message, schemas) == exi
        self.payload_types.append(payload_type)
        if type(message).__name__ == "SessionSetupRes":
            self.ev.session_id = message.header.session_id
        return message

    def react(self) -> None:
        """Obedient hardware and controller: effects of new commands, answers to new questions."""
        commands, self.seen = self.commands[self.seen :], len(self.commands)
        if self.obedient:
            for command in commands:
                for levels in effects(command, self.state):
                    if replace(self.state, **levels) != self.state:
                        self.levels(**levels)
        if self.answering and len(self.questions) > self.answered:
            self.answered = len(self.questions)
            self.answer(self.reply(self.questions[-1]))

    seen: int = 0
    answered: int = 0

    def reply(self, question: Any) -> Any:
        if isinstance(question, api.AuthorizationQuestion):
            return api.Authorization(self.accept, "bench")
        if isinstance(question, api.ContractRequest):
            return self.contract
        limits = question.limits
        flat = EnergyOffer.flat(max_w=limits.charge.max_power_w, discharge_w=limits.discharge.max_power_w)
        return self.offer or flat

    # --- looking at it ------------------------------------------------------------------------

    @property
    def record(self) -> Record:
        return self.machine.record

    @property
    def at(self) -> State:
        return self.machine.record.state

    @property
    def end(self) -> SessionEnded | None:
        return next((e for e in self.events if isinstance(e, SessionEnded)), None)

    def seen_events(self, kind: type[Any]) -> list[Any]:
        return [e for e in self.events if isinstance(e, kind)]

    def issued(self, kind: type[Any]) -> list[Any]:
        return [c for c in self.commands if isinstance(c, kind)]

    def forget(self) -> None:
        """Look only at what comes from now on."""
        self.react()
        for kept in (self.sent, self.payload_types, self.commands, self.events, self.outputs):
            kept.clear()
        self.seen = 0

    def fork(self) -> Bench:
        return copy.deepcopy(self)


def frame_of(message: Any, payload_type: int | None = None) -> bytes:
    """A request as the EV sends it."""
    namespace, usual = lane_of(message)
    return encode_frame(payload_type or usual, encode(message, schema_set(namespace)))


def effects(command: Any, state: EvseState) -> list[dict[str, Any]]:
    """The levels that follow from a command, one snapshot after the other."""
    levels: list[dict[str, Any]] = []
    match command:
        case api.LockConnector() | api.UnlockConnector():
            levels = [{"locked": isinstance(command, api.LockConnector)}]
        case api.RunCableCheck():
            levels = [{"cable_check": Check.RUNNING}, {"cable_check": Check.PASSED}]
        case api.CloseContactor():
            levels = [{"contactor": Contactor.CLOSED}]
        case api.SetDcTarget(voltage_v=0.0):
            levels = [{"current_a": 0.0}]
        case api.SetDcTarget(voltage_v=voltage, current_a=current) if state.contactor is Contactor.CLOSED:
            levels = [{"voltage_v": min(voltage, 400.0), "current_a": current}]
        case api.SetAcTarget(power_w=power):
            levels = [{"power_w": power}]
        case api.OpenContactor() | api.Deenergise():
            levels = [{"contactor": Contactor.OPEN, "voltage_v": 0.0, "current_a": 0.0, "power_w": 0.0}]
    return levels


# --- a bench in a state -----------------------------------------------------------------------


def bench(service: str = "DC", control: str = "DYNAMIC", **given: Any) -> Bench:
    """A bench with an EV plugged in (state B) and the connection up, before SupportedAppProtocol.

    `given`: fields of SeccConfig, or of EvseState.
    """
    wanted = EnergyService[service]
    levels = {k: given.pop(k) for k in list(given) if k in EvseState.__dataclass_fields__}
    settings: dict[str, Any] = {
        "services": (wanted,),
        "control_modes": (ControlMode[control],),
        "insecure_no_tls": True,
    }
    state = EvseState(
        cp=CpState.B,
        limits=AC_LIMITS if wanted.is_ac else DC_LIMITS,
        meter=MeterReading("METER", 12.4, 3.0),
    )
    made = Bench(SeccConfig(**(settings | given)), replace(state, **levels))
    made.ev.service, made.ev.control = wanted, ControlMode[control]
    made.link_up()
    return made


def reach(state: State, service: str = "DC", control: str = "DYNAMIC", **given: Any) -> Bench:
    """A bench whose session stands in `state`."""
    if given:
        return _walk(bench(service, control, **given), state)
    return _cached(state, service, control).fork()


@cache
def _cached(state: State, service: str, control: str) -> Bench:
    return _walk(bench(service, control), state)


def walk(made: Bench, state: State) -> Bench:
    """Go on from the present state to `state`, as an EV does that has no doubts."""
    return _walk(made, state)


def _walk(made: Bench, state: State) -> Bench:
    for _ in range(60):
        if made.at is state:
            made.forget()
            return made
        NEXT[made.at](made)
        made.clock.now += 0.02
        assert made.end is None, made.end
    raise AssertionError(f"{state} was not reached; the session stands in {made.at}")


def _ready(made: Bench) -> None:
    if not made.state.cp.ready:
        made.levels(cp=CpState.C)


def _cable_check(made: Bench) -> None:
    _ready(made)
    made.send(made.ev.cable_check())


def _pre_charge(made: Bench) -> None:
    if made.record.pre_charged:
        made.send(made.ev.start())
    else:
        done = abs(made.state.voltage_v - 400.0) < 1.0
        made.send(made.ev.pre_charge(400.0, finished=done))


def _start(made: Bench) -> None:
    _ready(made)
    made.send(made.ev.start())


def _stop(made: Bench) -> None:
    made.send(made.ev.power_delivery("STOP"))


NEXT: dict[State, Callable[[Bench], Any]] = {
    State.SUPPORTED_APP_PROTOCOL: lambda b: b.send(b.ev.handshake()),
    State.SESSION_SETUP: lambda b: b.send(b.ev.session_setup()),
    State.AUTHORIZATION_SETUP: lambda b: b.send(b.ev.authorization_setup()),
    State.AUTHORIZATION: lambda b: b.send(b.ev.authorization()),
    State.SERVICE_DISCOVERY: lambda b: b.send(b.ev.service_discovery()),
    State.SERVICE_DETAIL: lambda b: b.send(b.ev.service_detail()),
    State.SERVICE_SELECTION: lambda b: b.send(b.ev.service_selection()),
    State.CHARGE_PARAMETER_DISCOVERY: lambda b: b.send(b.ev.charge_parameters()),
    State.SCHEDULE_EXCHANGE: lambda b: b.send(b.ev.schedule_exchange()),
    State.CABLE_CHECK: _cable_check,
    State.CABLE_CHECKED: lambda b: b.send(b.ev.pre_charge(400.0)),
    State.PRE_CHARGE: _pre_charge,
    State.POWER_DELIVERY: _start,
    State.CHARGE_LOOP: _stop,
    State.WELDING_DETECTION: lambda b: b.levels(cp=CpState.B) or b.send(b.ev.session_stop()),
    State.SESSION_STOP: lambda b: b.levels(cp=CpState.B) or b.send(b.ev.session_stop()),
}

COMMON_STATES = (
    State.SESSION_SETUP,
    State.AUTHORIZATION_SETUP,
    State.AUTHORIZATION,
    State.SERVICE_DISCOVERY,
    State.SERVICE_DETAIL,
    State.SERVICE_SELECTION,
    State.CHARGE_PARAMETER_DISCOVERY,
    State.SCHEDULE_EXCHANGE,
)
DC_STATES = (
    *COMMON_STATES,
    State.CABLE_CHECK,
    State.CABLE_CHECKED,
    State.PRE_CHARGE,
    State.CHARGE_LOOP,
    State.WELDING_DETECTION,
)
AC_STATES = (*COMMON_STATES, State.POWER_DELIVERY, State.CHARGE_LOOP, State.SESSION_STOP)

__all__ = ["AC_STATES", "Bench", "DC_STATES", "bench", "frame_of", "ns", "reach", "walk"]
