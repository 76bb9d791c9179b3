"""The EVCC as a Machine: drives a procedure, one operation at a time.

Whatever the station does, the procedure ends: every request has its message timeout, every
polling loop its bound. At the end, however it came, the power path is commanded open.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Final

from iso15118 import events
from iso15118.config import EvccConfig
from iso15118.control.ev import CloseContactor, Command, Deenergise, EvState, OpenContactor, SetPilot
from iso15118.errors import CodecError, LocalProtocolError
from iso15118.evcc.iso20.session import session
from iso15118.evcc.vocabulary import (
    Aside,
    Ev,
    Exchange,
    Operation,
    Query,
    Raw,
    SessionOver,
    Sleep,
    Until,
)
from iso15118.events import EndReason, Fault
from iso15118.exi.codec import decode, encode
from iso15118.exi.schema import info_of
from iso15118.machine import (
    Answer,
    Ask,
    Bytes,
    Close,
    Do,
    Emit,
    Entropy,
    Input,
    LinkDown,
    LinkUp,
    Output,
    PeerClosed,
    Send,
    Stop,
    TimerBook,
    Update,
    Utc,
)
from iso15118.messages.iso20.exchanges import exchange_of, is_failure
from iso15118.messages.iso20.types import V2GResponse
from iso15118.messages.payloads import HANDSHAKE, Phase, schema_for
from iso15118.messages.registry import schema_set
from iso15118.messages.sap import SupportedAppProtocolReq
from iso15118.security.binding import ConnectionFacts, carries_iso20
from iso15118.security.paused import PausedSession
from iso15118.wire.v2gtp import Frame, FrameReader, Ignored, PayloadType, encode_frame

if TYPE_CHECKING:
    from iso15118.security.contracts import Wallet

Procedure = Callable[[Ev], Awaitable[None]]

MESSAGE: Final = "V2G_EVCC_Msg_Timeout"
ASIDE: Final = "V2G_EVCC_Msg_Timeout of a side stream"
COMMUNICATION_SETUP: Final = "V2G_EVCC_CommunicationSetup_Timeout"
HARDWARE: Final = "hardware silence"
PAUSE: Final = "procedure"
QUESTION: Final = "question"
QUESTION_S: Final = 40.0
"""How long the controller may take: the time the standard gives the EVCC before its next request (Tables 215 to 217)."""


_ASIDES: Final = (PayloadType.METERING_CONFIRMATION,)


class EvccMachine:
    """One charging session on the car's side, from connection to close.

    Feed `LinkUp` once the connection stands, then `Update(EvState)`, `Bytes`, `Answer`,
    `PeerClosed`, `Stop`. `script` replaces the standard procedure. After `Close` nothing happens.
    `tls` is what the TLS handshake found out, without which there is no session unless `insecure_no_tls` is
    configured; `wallet` holds the contracts of Plug & Charge, `paused` is the session that was paused last, as a
    SessionPaused event gave it: where the station is the same, it goes on.
    """

    def __init__(
        self,
        config: EvccConfig,
        entropy: Entropy,
        utc: Utc,
        script: Procedure | None = None,
        state: EvState | None = None,
        *,
        tls: ConnectionFacts | None = None,
        wallet: Wallet | None = None,
        paused: PausedSession | None = None,
    ) -> None:
        self._config = config
        self._reader = FrameReader(config.max_payload)
        self._timers = TimerBook()
        self._out: deque[Output] = deque()
        self._ev = Ev(
            config,
            utc,
            self._emit,
            self._command,
            wallet=wallet,
            state=state or EvState(),
            secure=carries_iso20(tls),
            peer=(tls.peer or b"") if tls is not None else b"",
            paused=paused,
        )
        self._script = script or session
        self._routine: Generator[Operation, Any, None] | None = None
        self._waiting: Operation | None = None
        self._aside: type[V2GResponse] | None = None
        self._ended = False
        self._powered = False
        self._connected = False

    # --- the Machine interface ----------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When `tick` is due (monotonic seconds)."""
        return self._timers.deadline

    @property
    def ev(self) -> Ev:
        """The procedure's view; read-only, for observers."""
        return self._ev

    @property
    def ended(self) -> bool:
        """Whether the session is over."""
        return self._ended

    def receive(self, item: Input, now: float) -> None:
        """Take one input."""
        self._ev.now = now
        match item:
            case Update(state=state):
                self._update(state)
            case _ if self._ended:
                return
            case LinkUp():
                self._begin()
            case Bytes(data=data):
                self._octets(data)
            case Answer(question=question, value=value):
                self._answer(question, value)
            case PeerClosed():
                self._finish(EndReason.PEER_CLOSED, Fault.REMOTE, "the station closed the connection")
            case LinkDown():
                self._finish(EndReason.LOCAL, Fault.LOCAL, "the connection was cut")
            case Stop(reason=reason):
                self._ev.stop_reason = reason or "the EV stops"
                if isinstance(self._waiting, Query):
                    self._resume(None)

    def tick(self, now: float) -> None:
        """Let timers expire."""
        self._ev.now = now
        for name in self._timers.expired(now):
            if not self._ended:
                self._expire(name)

    def outputs(self) -> Iterator[Output]:
        """Take what is to be done now."""
        while self._out:
            yield self._out.popleft()

    # --- driving the procedure ----------------------------------------------------------------

    def _begin(self) -> None:
        if self._routine is not None:
            return
        if not self._ev.state.safe:
            self._unsafe()
            return
        for quirk in self._config.quirks:
            self._emit(events.Decision, what="quirk", why=quirk.value)
        self._timers.start(COMMUNICATION_SETUP, self._config.timers.communication_setup_s, self._ev.now)
        self._routine = self._script(self._ev).__await__()
        self._resume(None)

    def _resume(self, value: Any) -> None:
        """Let the procedure go on with `value` until it waits for something that is not there yet."""
        self._waiting = None
        self._timers.stop(MESSAGE, PAUSE, QUESTION)
        assert self._routine is not None
        try:
            while self._waiting is None:
                operation = self._routine.send(value)
                ready, value = self._start(operation)
                if not ready:
                    self._waiting = operation
        except StopIteration:
            self._finish(EndReason.LOCAL, Fault.NONE, "the procedure ended")
        except SessionOver as over:
            self._finish(over.reason, over.fault, over.detail, requirement=over.requirement)
        except CodecError as error:
            self._finish(EndReason.LOCAL, Fault.LOCAL, f"own message cannot be encoded: {error}")
        except Exception as error:  # noqa: BLE001 - a mistake in a procedure ends its session, nothing else
            self._fail(error)
        if self._ev.session_id != bytes(8):
            self._timers.stop(COMMUNICATION_SETUP)

    def _start(self, operation: Operation) -> tuple[bool, Any]:
        """Begin an operation: (whether it is done already, its result)."""
        now = self._ev.now
        match operation:
            case Exchange(message=message, timeout_s=timeout_s, commands=commands):
                self._send(message)
                for command in commands:
                    self._command(command)
                self._timers.start(MESSAGE, timeout_s, now)
            case Raw(octets=octets, timeout_s=timeout_s):
                self._out.append(Send(octets))
                self._timers.start(MESSAGE, timeout_s, now)
            case Sleep(seconds=seconds):
                self._timers.start(PAUSE, seconds, now)
            case Until(level=level, within_s=within_s):
                if level(self._ev.state):
                    return True, True
                self._timers.start(PAUSE, within_s, now)
            case Aside(message=message, response=response):
                self._send_aside(message, response)
                return True, None
            case Query(question=question):
                self._emit(events.QuestionAsked, question=question)
                self._out.append(Ask(question))
                self._timers.start(QUESTION, QUESTION_S, now)
            case _:
                raise TypeError(f"a procedure awaits the words of Ev only, not {operation!r}")
        return False, None

    def _expire(self, name: str) -> None:
        if name == PAUSE:
            self._resume(False)
            return
        self._emit(events.TimerExpired, timer=name)
        if name == QUESTION:
            self._resume(None)
            return
        if name == HARDWARE:
            self._finish(EndReason.LOCAL, Fault.LOCAL, "no state from our own hardware")
            return
        self._finish(EndReason.TIMEOUT, Fault.REMOTE, f"{name} expired in {self._ev.phase}")

    # --- octets -> responses ------------------------------------------------------------------

    def _octets(self, data: bytes) -> None:
        awaited = isinstance(self._waiting, (Exchange, Raw))
        if awaited and self._ev.now > self._timers.deadline:
            self.tick(self._ev.now)  # too late is too late, even if the timer was served late as well
        for item in self._reader.feed(data):
            if self._ended:
                return
            match item:
                case Frame():
                    awaited = self._frame(item, awaited=awaited)
                case Ignored(payload_type=kind, reason=reason):
                    self._emit(events.FrameIgnored, reason=reason, payload_type=kind)
                case lost:
                    self._finish(EndReason.PROTOCOL, Fault.REMOTE, f"framing lost: {lost.reason}")

    def _frame(self, frame: Frame, *, awaited: bool) -> bool:
        """Take a frame; returns whether a response is still awaited that octets at hand may answer.

        What came together with a response cannot answer the request which that response brought about.
        """
        phase = Phase(self._ev.namespace) if self._ev.namespace else HANDSHAKE
        namespace = schema_for(frame.payload_type, phase, frame.payload)
        if namespace is None:
            reason = "payload type out of place"
            self._emit(events.FrameIgnored, reason=reason, payload_type=int(frame.payload_type))
            return awaited
        try:
            message = decode(frame.payload, schema_set(namespace))
        except CodecError as error:
            self._finish(EndReason.PROTOCOL, Fault.REMOTE, f"undecodable message: {error}")
            return False
        self._emit(
            events.MessageReceived, message=message, exi=frame.payload, payload_type=int(frame.payload_type)
        )
        if frame.payload_type in _ASIDES and self._aside is not None:
            self._answered_aside(message)
            return awaited
        if awaited:
            self._resume(message)
        else:
            self._finish(EndReason.PROTOCOL, Fault.REMOTE, f"{type(message).__name__} without a request")
        return False

    # --- side stream --------------------------------------------------------------------------

    def _send_aside(self, message: Any, response: type[V2GResponse]) -> None:
        """Send beside the main stream, which goes on as if nothing were."""
        if self._aside is not None:
            raise LocalProtocolError("a side stream has one request at a time")
        self._aside = response
        self._ev.aside_pending = True
        self._send(message)
        self._timers.start(ASIDE, exchange_of(type(message)).evcc_timeout_s, self._ev.now)

    def _answered_aside(self, message: Any) -> None:
        """The response of the side stream: it is there, or it ends the session."""
        expected, self._aside = self._aside, None
        assert expected is not None
        self._ev.aside_pending = False
        self._timers.stop(ASIDE)
        if not isinstance(message, expected):
            detail = f"{type(message).__name__} in a side stream"
            self._finish(EndReason.PROTOCOL, Fault.REMOTE, detail)
        elif message.header.session_id != self._ev.session_id:
            self._finish(EndReason.PROTOCOL, Fault.REMOTE, "the response carries another session id")
        elif is_failure(message.response_code):
            detail = f"{type(message).__name__}: {message.response_code}"
            self._finish(EndReason.REFUSED, Fault.REMOTE, detail)

    # --- hardware and controller --------------------------------------------------------------

    def _update(self, state: EvState) -> None:
        before, self._ev.state = self._ev.state, state
        if self._ended:
            return
        for what in ("contactor", "emergency_stop", "fault", "wish", "complete"):
            old, new = getattr(before, what), getattr(state, what)
            if old != new:
                self._emit(events.HardwareChanged, what=what, old=old, new=new)
        if self._routine is None:
            return
        if self._powered:
            self._timers.start(HARDWARE, self._config.timers.hardware_silence_s, self._ev.now)
        if not state.safe:
            self._unsafe()
        elif isinstance(self._waiting, Until) and self._holds(self._waiting):
            self._resume(True)

    def _unsafe(self) -> None:
        state = self._ev.state
        detail = "emergency stop" if state.emergency_stop else f"hardware fault: {state.fault}"
        self._finish(EndReason.EMERGENCY, Fault.LOCAL, detail)

    def _holds(self, waiting: Until) -> bool:
        try:
            return waiting.level(self._ev.state)
        except Exception as error:  # noqa: BLE001 - the level is the procedure's own function
            self._fail(error)
            return False

    def _answer(self, question: Any, value: Any) -> None:
        if isinstance(self._waiting, Query) and self._waiting.question == question:
            self._emit(events.QuestionAnswered, question=question, answer=value)
            self._resume(value)

    # --- outputs ------------------------------------------------------------------------------

    def _command(self, command: Command) -> None:
        if isinstance(command, SetPilot):
            self._powered = command.ready
            self._timers.stop(HARDWARE)
            if command.ready:
                self._timers.start(HARDWARE, self._config.timers.hardware_silence_s, self._ev.now)
        elif isinstance(command, (CloseContactor, OpenContactor, Deenergise)):
            self._connected = isinstance(command, CloseContactor)
        self._emit(events.CommandIssued, command=command)
        self._out.append(Do(command))

    def _send(self, message: Any) -> None:
        namespace = info_of(type(message)).namespace
        exi = encode(message, schema_set(namespace))
        if isinstance(message, SupportedAppProtocolReq):
            payload_type = PayloadType.APP_PROTOCOL
        else:
            payload_type = exchange_of(type(message)).payload_type
        self._out.append(Send(encode_frame(payload_type, exi)))
        self._emit(events.MessageSent, message=message, exi=exi, payload_type=int(payload_type))

    def _fail(self, error: Exception) -> None:
        """The procedure itself is wrong: end its session, and say where to look."""
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f" at {place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place is not None else ""
        self._finish(EndReason.LOCAL, Fault.LOCAL, f"the procedure failed: {error!r}{where}")

    def _finish(self, reason: EndReason, fault: Fault, detail: str, *, requirement: str = "") -> None:
        """Open the power path first, then report and close."""
        if self._ended:
            return
        self._ended = True
        self._waiting = None
        self._timers.stop_all()
        self._abandon()
        orderly = reason in (EndReason.COMPLETED, EndReason.PAUSED)
        if self._connected or not orderly:
            self._command(Deenergise(detail))
        self._command(SetPilot(ready=False))
        self._timers.stop_all()
        self._emit(
            events.SessionEnded,
            reason=reason,
            fault=fault,
            detail=detail,
            state=self._ev.phase,
            requirement=requirement,
        )
        self._out.append(Close(0.0))

    def _abandon(self) -> None:
        """Let the procedure clean up; what it commands now comes before the power path is opened."""
        if self._routine is None:
            return
        try:
            self._routine.close()
        except Exception as error:  # noqa: BLE001 - the session is over already, and ends as it does
            self._emit(events.Decision, what="procedure", why=f"did not let go: {error!r}")

    def _emit(self, kind: type[events.Event], **values: Any) -> None:
        self._out.append(Emit(kind(t=self._ev.now, role="EVCC", **values)))
