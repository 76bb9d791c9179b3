"""The SECC as a Machine: octets, hardware levels, answers and time in; octets and commands out.

The order of checks is the standard's: framing, EXI, session id, state, content [V2G20-460]
[V2G20-459]. Whatever a peer does, this machine answers or ends; it never raises.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from iso15118 import events
from iso15118.config import SeccConfig
from iso15118.control.common import Check, CpState
from iso15118.control.evse import Command, Deenergise, EvseState, OpenContactor, UnlockConnector
from iso15118.errors import CodecError, ConfigError
from iso15118.events import EndReason, Fault
from iso15118.exi.codec import decode, encode
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
from iso15118.messages import namespaces
from iso15118.messages.iso20.common import SessionSetupReq, SessionStopReq
from iso15118.messages.iso20.exchanges import exchange_of, is_failure
from iso15118.messages.iso20.types import ResponseCode, V2GRequest, V2GResponse
from iso15118.messages.payloads import HANDSHAKE, Phase, schema_for
from iso15118.messages.registry import schema_set
from iso15118.messages.sap import SupportedAppProtocolReq
from iso15118.secc import sap, timers
from iso15118.secc.commander import Commander
from iso15118.secc.interlock import danger, must_open
from iso15118.secc.iso20 import pause
from iso15118.secc.iso20.table import Handler, handler_for
from iso15118.secc.session import Record, State, Step, View
from iso15118.security.binding import ConnectionFacts, carries_iso20
from iso15118.security.paused import PausedSession
from iso15118.wire.v2gtp import Frame, FrameReader, Ignored, PayloadType, encode_frame

if TYPE_CHECKING:  # cryptography is loaded where a contract is shown, and nowhere else
    from iso15118.security.plug_and_charge import StationTrust

MAX_WAITING_REQUESTS: Final = 4


class SeccMachine:
    """One charging session on the station's side, from connection to close.

    Feed `LinkUp` once the connection stands, `Update(EvseState)` whenever a level changes (and at
    least every `hardware_silence_s` while energised), `Bytes`, `Answer`, `PeerClosed`, `Stop`.
    After `Close` has come out nothing more happens.

    `tls` is what the TLS handshake found out, without which there is no session unless `insecure_no_tls` is
    configured; `trust` judges contracts for Plug & Charge. `paused` is what a SessionPaused event gave last.
    """

    def __init__(
        self,
        config: SeccConfig,
        entropy: Entropy,
        utc: Utc,
        state: EvseState | None = None,
        *,
        tls: ConnectionFacts | None = None,
        trust: StationTrust | None = None,
        paused: PausedSession | None = None,
    ) -> None:
        if "PnC" in config.authorization and trust is None:
            raise ConfigError(
                "authorization", "PnC needs somebody who judges contracts: SeccMachine(trust=...)"
            )
        self._config = config
        self._entropy = entropy
        self._utc = utc
        self._evse = state or EvseState()
        self._tls, self._trust, self._paused = tls, trust, paused
        self._record = Record()
        self._reader = FrameReader(config.max_payload)
        self._timers = TimerBook()
        self._out: deque[Output] = deque()
        self._lane = (namespaces.SAP, PayloadType.APP_PROTOCOL)
        self._exi = b""
        self._held: V2GRequest | None = None
        self._waiting: deque[Frame] = deque()
        self._commander = Commander(self._emit, self._do)
        self._ended = False
        self._last = self._record.state
        self._now = 0.0

    # --- the Machine interface ----------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When `tick` is due (monotonic seconds)."""
        return self._timers.deadline

    @property
    def record(self) -> Record:
        """What the session remembers; read-only, for observers."""
        return self._record

    @property
    def ended(self) -> bool:
        """Whether the session is over."""
        return self._ended

    def receive(self, item: Input, now: float) -> None:
        """Take one input."""
        self._now = now
        match item:
            case Update(state=state):
                self._update(state)
            case _ if self._ended:
                return
            case LinkUp():
                for quirk in self._config.quirks:
                    self._emit(events.Decision, what="quirk", why=quirk.value)
                self._timers.start(timers.COMMUNICATION_SETUP, self._config.timers.communication_setup_s, now)
            case Bytes(data=data):
                self.tick(now)  # a late request is late, whichever of both the driver noticed first
                self._octets(data)
            case Answer(question=question, value=value):
                self._answer(question, value)
            case PeerClosed():
                self._finish(EndReason.PEER_CLOSED, Fault.REMOTE, "the EV closed the connection")
            case LinkDown():
                self._finish(EndReason.LOCAL, Fault.LOCAL, "the connection was cut")
            case Stop(reason=reason):
                self._stop(reason)

    def tick(self, now: float) -> None:
        """Let timers expire."""
        self._now = now
        for name in self._timers.expired(now):
            if not self._ended:
                self._expire(name)

    def outputs(self) -> Iterator[Output]:
        """Take what is to be done now."""
        while self._out:
            yield self._out.popleft()

    # --- octets -> requests -------------------------------------------------------------------

    def _octets(self, data: bytes) -> None:
        if self._ended:
            return
        for item in self._reader.feed(data):
            if self._ended:
                return
            match item:
                case Frame():
                    self._frame(item)
                case Ignored(payload_type=kind, reason=reason):
                    self._emit(events.FrameIgnored, reason=reason, payload_type=kind)
                case lost:
                    self._finish(EndReason.PROTOCOL, Fault.REMOTE, f"framing lost: {lost.reason}")

    def _frame(self, frame: Frame) -> None:
        if self._held is not None:
            if len(self._waiting) >= MAX_WAITING_REQUESTS:
                self._finish(EndReason.PROTOCOL, Fault.REMOTE, "too many requests at once")
            else:
                self._waiting.append(frame)
            return
        phase = Phase(self._record.namespace) if self._record.namespace else HANDSHAKE
        namespace = schema_for(frame.payload_type, phase, frame.payload)
        if namespace is None:
            reason = "payload type out of place"
            self._emit(events.FrameIgnored, reason=reason, payload_type=int(frame.payload_type))
            return
        try:
            message = decode(frame.payload, schema_set(namespace))
        except CodecError as error:
            self._finish(EndReason.PROTOCOL, Fault.REMOTE, f"undecodable message: {error}", delay=True)
            return
        self._emit(
            events.MessageReceived, message=message, exi=frame.payload, payload_type=int(frame.payload_type)
        )
        if frame.payload_type not in timers.ASIDES:
            self._timers.stop(timers.SEQUENCE)
        self._lane, self._exi = (namespace, frame.payload_type), frame.payload
        if isinstance(message, SupportedAppProtocolReq):
            self._negotiate(message)
        elif isinstance(message, V2GRequest):
            self._apply(message, self._decide(message, self._view()))
        else:
            self._finish(
                EndReason.PROTOCOL, Fault.REMOTE, f"{type(message).__name__} is no request", delay=True
            )

    def _negotiate(self, request: SupportedAppProtocolReq) -> None:
        allowed = self._config.insecure_no_tls or carries_iso20(self._tls)
        served = sap.served_namespaces(self._config.services) if allowed else ()
        choice = sap.choose(request, served)
        self._send(
            encode(choice.response, schema_set(namespaces.SAP)), PayloadType.APP_PROTOCOL, choice.response
        )
        self._emit(events.Decision, what="SupportedAppProtocol", why=choice.why)
        if choice.taken is None:
            self._finish(EndReason.REFUSED, Fault.REMOTE, choice.why, delay=True)
            return
        self._enter(self._record.but(state=State.SESSION_SETUP, namespace=choice.taken.protocol_namespace))
        self._timers.start(timers.SEQUENCE, self._config.timers.sequence_s, self._now)

    def _decide(self, request: V2GRequest, view: View) -> Step:
        """Checks common to all requests, then the handler of the table."""
        record = view.record
        handler = self._handler(request)
        opening = isinstance(request, SessionSetupReq) or record.state is State.SESSION_SETUP
        if not opening and request.header.session_id != record.session_id:
            code = ResponseCode.FAILED_UNKNOWN_SESSION
            return view.fail(request, code, "another session id", "V2G20-460")
        if handler is None:
            why = f"{type(request).__name__} in state {record.state.value}"
            return view.fail(request, ResponseCode.FAILED_SEQUENCE_ERROR, why, "V2G20-459")
        if record.tripped and not record.lets_leave(request):
            return view.fail(request, ResponseCode.FAILED, record.tripped, fault=record.trip_fault)
        if record.stopping and record.service is None and not isinstance(request, SessionStopReq):
            return view.fail(request, ResponseCode.FAILED, record.stopping, fault=Fault.LOCAL)
        try:
            return handler(view, request)
        except (ValueError, ArithmeticError) as error:
            return self._distrust(request, error)

    def _handler(self, request: V2GRequest) -> Handler | None:
        """Who serves `request` now; messages of another energy transfer's schema set nobody does."""
        namespace, payload_type = self._lane
        if namespace not in (self._record.namespace, namespaces.COMMON_MESSAGES):
            return None
        aside = exchange_of(type(request)).payload_type in timers.ASIDES
        if aside != (payload_type in timers.ASIDES):  # in the main stream it would prolong the loop's timer
            return None
        return handler_for(self._record.namespace, self._record.state, request)

    def _distrust(self, request: V2GRequest, error: Exception) -> Step:
        """Levels, offers or settings of our own that no message can carry: power off, and out."""
        self._trip(f"unusable value: {error}")
        return self._view().fail(request, ResponseCode.FAILED, self._record.tripped, fault=Fault.LOCAL)

    def _view(self, *, held: bool = False, expired: bool = False) -> View:
        return View(
            self._record,
            self._evse,
            self._config,
            self._now,
            self._utc,
            self._entropy,
            self._exi,
            self._tls,
            self._trust,
            self._paused,
            held=held,
            expired=expired,
        )

    # --- steps --------------------------------------------------------------------------------

    def _apply(self, request: V2GRequest, step: Step) -> None:
        """Carry out what a handler decided."""
        try:
            exi = self._encoded(step.response)
        except CodecError as error:
            step = self._distrust(request, error)
            exi = self._encoded(step.response)
        self._enter(step.record)
        for command in step.commands:
            self._command(command)
        if step.question is not None:
            self._emit(events.QuestionAsked, question=step.question)
            self._out.append(Ask(step.question))
        if step.why and step.fault is Fault.REMOTE:
            self._emit(events.ProtocolFault, reason=step.why, requirement=step.requirement)
        elif step.why:
            self._emit(events.Decision, what=type(request).__name__, why=step.why)
        if step.response is None:
            self._hold(request, step.hold_s)
            return
        self._held = None
        self._timers.stop(timers.HOLD)
        self._respond(request, step.response, exi)
        if step.ending is not None:
            self._conclude(step)
        while self._waiting and self._held is None:
            self._frame(self._waiting.popleft())

    def _hold(self, request: V2GRequest, limit_s: float) -> None:
        self._held = request
        self._timers.start_once(timers.HOLD, limit_s, self._now)

    def _retry(self, *, expired: bool = False) -> None:
        """Call the handler of the held request again: something moved, or it may not wait longer."""
        request = self._held
        if request is None or self._ended:
            return
        self._apply(request, self._decide(request, self._view(held=True, expired=expired)))

    def _encoded(self, response: V2GResponse | None) -> bytes:
        """The response in the schema set its request came in."""
        namespace, _ = self._lane
        return b"" if response is None else encode(response, schema_set(namespace))

    def _respond(self, request: V2GRequest, response: V2GResponse, exi: bytes) -> None:
        exchange, (_, payload_type) = exchange_of(type(request)), self._lane
        if payload_type is PayloadType.APP_PROTOCOL:  # some EVs send CertificateInstallationReq this way
            payload_type = exchange.payload_type
        self._send(exi, payload_type, response)
        if payload_type in timers.ASIDES:
            return
        self._watch_processing(request, response)
        if exchange.secc_sequence_s < 1.0 and not is_failure(response.response_code):
            self._timers.start(timers.SEQUENCE, self._config.timers.loop_sequence_s, self._now)
            self._emit_power()
        else:
            self._timers.start(timers.SEQUENCE, self._config.timers.sequence_s, self._now)
        if self._record.session_id and self._timers.running(timers.COMMUNICATION_SETUP):
            self._timers.stop(timers.COMMUNICATION_SETUP)
            self._emit(
                events.SessionEstablished, session_id=self._record.session_id, peer_id=self._record.evcc_id
            )
            if self._paused is not None and pause.pause_is_over(self._view()):
                over = self._paused.session_id
                self._emit(events.PauseEnded, session_id=over, resumed=self._record.resumed)

    def _watch_processing(self, request: V2GRequest, response: V2GResponse) -> None:
        """Bound every polling phase: answered FAILED before the EV's own timer runs out."""
        bound = timers.polling(request, response, self._record.state, self._config.timers)
        if bound is not None:
            self._timers.start_once(*bound, self._now)
        elif self._record.pending is None:
            self._timers.stop(*timers.POLLING)
            if self._record.overdue:
                self._record = self._record.but(overdue=False)

    def _conclude(self, step: Step) -> None:
        """The last response is out: end, and leave closing to the EV for a while [V2G20-1643]."""
        assert step.ending is not None
        reason = step.ending
        if self._record.tripped and step.fault is Fault.LOCAL:
            reason = EndReason.EMERGENCY if self._evse.emergency_stop else EndReason.LOCAL
        self._finish(reason, step.fault, step.why, requirement=step.requirement, delay=True)

    # --- hardware, controller, time -----------------------------------------------------------

    def _update(self, state: EvseState) -> None:
        before, self._evse = self._evse, state
        if self._ended:
            return
        self._note_changes(before, state)
        record = self._record
        if record.energised:
            self._timers.start(timers.HARDWARE, self._config.timers.hardware_silence_s, self._now)
            if state.cable_check in (Check.RUNNING, Check.IDLE) and not record.check_seen:
                self._record = record.but(check_seen=True)
        self._guard()
        self._watch_notification()
        self._retry()

    def _guard(self) -> None:
        """Any doubt about safety de-energises now; the EV is told with its next request."""
        record = self._record
        why, fault = danger(record, self._evse)
        if why and not record.tripped:
            self._trip(why, fault)
        if must_open(record, self._evse):
            self._command(OpenContactor())
        if self._evse.cp is CpState.A and record.energised:
            self._finish(EndReason.LOCAL, Fault.REMOTE, "unplugged while energised", delay=True)

    def _trip(self, why: str, fault: Fault = Fault.LOCAL) -> None:
        self._record = self._record.but(tripped=why, trip_fault=fault)
        self._command(Deenergise(why))
        self._record = self._record.but(energised=False)
        self._timers.stop(timers.HARDWARE)

    def _watch_notification(self) -> None:
        """An EV that never reacts to a notification is de-energised."""
        wanted = self._evse.wish is not None or bool(self._record.stopping)
        if wanted and self._record.state is State.CHARGE_LOOP:
            self._timers.start_once(timers.NOTIFICATION, timers.NOTIFICATION_REACTION_S, self._now)
        else:
            self._timers.stop(timers.NOTIFICATION)

    def _answer(self, question: Any, value: Any) -> None:
        if self._record.pending is None or self._record.pending != question or self._record.answered:
            return
        self._emit(events.QuestionAnswered, question=question, answer=value)
        self._record = self._record.but(answered=True, answer=value)
        self._retry()

    def _stop(self, reason: str) -> None:
        self._record = self._record.but(stopping=reason or "the station stops")
        self._watch_notification()

    def _expire(self, name: str) -> None:
        if name == timers.HOLD:
            self._retry(expired=True)
            return
        self._emit(events.TimerExpired, timer=name, requirement=timers.REQUIREMENTS.get(name, ""))
        if name in timers.POLLING:
            self._record = self._record.but(overdue=True)
        elif name in (timers.HARDWARE, timers.NOTIFICATION):
            silent = name == timers.HARDWARE
            why = "no hardware state" if silent else "the EV ignored the notification"
            self._trip(why, Fault.LOCAL if silent else Fault.REMOTE)
            self._retry()
        else:
            requirement = timers.REQUIREMENTS.get(name, "")
            self._finish(EndReason.TIMEOUT, Fault.REMOTE, f"{name} expired", requirement=requirement)

    def _note_changes(self, before: EvseState, after: EvseState) -> None:
        for what in ("cp", "contactor", "locked", "cable_check", "emergency_stop", "fault", "wish"):
            old, new = getattr(before, what), getattr(after, what)
            if old != new:
                self._emit(events.HardwareChanged, what=what, old=old, new=new)

    # --- outputs ------------------------------------------------------------------------------

    def _command(self, command: Command) -> None:
        self._commander.give(command, self._record, self._evse, self._now)

    def _do(self, command: Command) -> None:
        self._out.append(Do(command))

    def _send(self, exi: bytes, payload_type: PayloadType, message: Any) -> None:
        self._out.append(Send(encode_frame(payload_type, exi)))
        self._emit(events.MessageSent, message=message, exi=exi, payload_type=int(payload_type))

    def _emit_power(self) -> None:
        evse = self._evse
        power = evse.power_w or evse.voltage_v * evse.current_a
        self._emit(events.PowerFlow, voltage_v=evse.voltage_v, current_a=evse.current_a, power_w=power)

    def _enter(self, record: Record) -> None:
        before = self._record
        self._record = record
        if record.state is not State.ENDED:
            self._last = record.state
        if record.energised and not before.energised:
            self._timers.start(timers.HARDWARE, self._config.timers.hardware_silence_s, self._now)
        if not record.energised:
            self._timers.stop(timers.HARDWARE)
        if record.state is not before.state:
            self._watch_notification()
            self._emit(events.StateEntered, state=record.state.value, previous=before.state.value)
        if record.service is not None and before.service is None and record.control_mode is not None:
            self._emit(
                events.ServiceSelected,
                service=record.service.name,
                parameter_set_id=record.parameter_set_id,
                control_mode=record.control_mode.name,
            )

    def _finish(
        self, reason: EndReason, fault: Fault, detail: str, *, requirement: str = "", delay: bool = False
    ) -> None:
        """De-energise, report, and close; `delay` leaves the EV time to close first."""
        if self._ended:
            return
        self._ended = True
        self._held = None
        self._waiting.clear()
        self._timers.stop_all()
        if reason not in (EndReason.COMPLETED, EndReason.PAUSED) and not self._record.tripped:
            self._command(Deenergise(detail))
        self._command(UnlockConnector())
        paused = pause.kept(self._view()) if reason is EndReason.PAUSED else None
        if paused is not None:
            self._emit(events.SessionPaused, session=paused)
        self._record = self._record.but(state=State.ENDED, energised=False)
        self._emit(
            events.SessionEnded,
            reason=reason,
            fault=fault,
            detail=detail,
            state=self._last.value,
            requirement=requirement,
        )
        self._out.append(Close(self._config.timers.close_s if delay else 0.0))

    def _emit(self, kind: type[events.Event], **values: Any) -> None:
        self._out.append(Emit(kind(t=self._now, role="SECC", **values)))
