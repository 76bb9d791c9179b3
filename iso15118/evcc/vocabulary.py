"""The words of an EV procedure: ask, sleep, until, query, do, begin.

A procedure is a coroutine `async def (ev: Ev) -> None`. Awaiting a word hands an operation to the
machine, which answers it when the response, the level, the answer or the time has come. There
is no event loop behind it; asyncio is not involved.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from iso15118 import events
from iso15118.config import EvccConfig
from iso15118.control.common import ControlMode, EnergyService, Wish
from iso15118.control.ev import AnyQuestion, Command, EvState
from iso15118.events import EndReason, Fault
from iso15118.machine import Utc
from iso15118.messages.iso20.exchanges import exchange_of, is_failure
from iso15118.messages.iso20.numbers import stamp, utc_of
from iso15118.messages.iso20.types import ChargeLoopReq, MessageHeader, V2GRequest, V2GResponse
from iso15118.messages.sap import SupportedAppProtocolReq, SupportedAppProtocolRes
from iso15118.security.paused import PausedSession
from iso15118.units import Envelope

if TYPE_CHECKING:  # cryptography is loaded where a contract is shown, and nowhere else
    from iso15118.security.contracts import Contract, Wallet

R = TypeVar("R", bound=V2GResponse)

LATEST_UTC_S: Final = 253_402_300_800.0
"""The year 10000: a station's clock beyond it is not followed."""


class SessionOver(Exception):
    """Ends a procedure: how, whose fault, and why. Caught by the machine, never by a driver."""

    def __init__(self, reason: EndReason, fault: Fault, detail: str, requirement: str = "") -> None:
        super().__init__(detail)
        self.reason = reason
        self.fault = fault
        self.detail = detail
        self.requirement = requirement


class EarlyLeave(SessionOver):
    """No power flows yet and the session is to end by SessionStop, after which it counts as `stopped`.

    Where there is no session to stop it is a local end.
    """

    def __init__(
        self, detail: str, stopped: EndReason = EndReason.COMPLETED, fault: Fault = Fault.NONE
    ) -> None:
        super().__init__(EndReason.LOCAL, fault, detail)
        self.stopped = stopped


# --- operations: what a procedure waits for ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class Exchange:
    """Send `message`, wait for the response at most `timeout_s`; then carry out `commands` at once."""

    message: Any
    timeout_s: float
    commands: tuple[Command, ...] = ()


@dataclass(frozen=True, slots=True)
class Raw:
    """Send these octets as they are, wait for a response (rude procedures)."""

    octets: bytes
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Sleep:
    """Let time pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Until:
    """Wait for a level, at most `within_s`; resumes with whether it came."""

    level: Callable[[EvState], bool]
    within_s: float


@dataclass(frozen=True, slots=True)
class Query:
    """Ask the controller; resumes with its answer."""

    question: AnyQuestion


@dataclass(frozen=True, slots=True)
class Aside:
    """Send `message` beside the main stream and go on; the machine sees to its response."""

    message: V2GRequest
    response: type[V2GResponse]


Operation = Exchange | Raw | Sleep | Until | Query | Aside


@types.coroutine
def _result_of(operation: Operation) -> Generator[Operation, Any, Any]:
    """Hand `operation` to the machine; its result once the machine resumes the procedure."""
    return (yield operation)


# --- the procedure's view of the world --------------------------------------------------------


@dataclass(slots=True)
class Ev:
    """What a procedure sees and says. One per session.

    The fields above the line are the session's memory, set by the procedures; those below are
    kept up to date by the machine. `wallet` holds the contracts, `contract` is the one that pays; `secure`
    tells whether the connection may carry ISO 15118-20, `peer` is the station's TLS certificate (DER), `paused` a session
    that may go on; `aside_pending` whether a side stream awaits its response.
    """

    config: EvccConfig
    utc: Utc
    emit: Callable[..., None]
    command: Callable[[Command], None]

    session_id: bytes = bytes(8)
    namespace: str = ""
    evse_id: str = ""
    service: EnergyService | None = None
    parameter_set_id: int = 0
    control_mode: ControlMode | None = None
    renegotiation_supported: bool = False
    evse_limits: Envelope = field(default_factory=Envelope)
    clock_ahead_s: float = 0.0
    phase: str = "SUPPORTED_APP_PROTOCOL"
    wallet: Wallet | None = None
    authorized: bool = False
    contract: Contract | None = None

    state: EvState = field(default_factory=EvState)
    secure: bool = False
    peer: bytes = field(default=b"", repr=False)
    paused: PausedSession | None = None
    aside_pending: bool = False
    now: float = 0.0
    stop_reason: str = ""
    last_stamp: int = 0

    @property
    def header(self) -> MessageHeader:
        """The header of a request sent now; time stamps follow the SECC's clock and only grow.

        In whole seconds they may repeat, since requests are sent more often.
        """
        step = 1 if self.config.time_unit == "us" else 0
        self.last_stamp = max(self.last_stamp + step, self.stamp())
        return MessageHeader(session_id=self.session_id, time_stamp=self.last_stamp)

    @property
    def secc_utc(self) -> float:
        """The SECC's time now, in seconds since the epoch."""
        return self.utc() + self.clock_ahead_s

    def stamp(self, at: float | None = None) -> int:
        """The SECC's time now, or `at` a monotonic time, as TimeStamp or TimeAnchor."""
        past_s = 0.0 if at is None else self.now - at
        return max(0, stamp(self.secc_utc - past_s, self.config.time_unit))

    def follow_clock(self, time_stamp: int) -> None:
        """Take over the SECC's clock, whatever it shows, unless it is beyond all sense."""
        theirs = utc_of(time_stamp)
        if theirs < LATEST_UTC_S:
            self.clock_ahead_s = theirs - self.utc()
            self.last_stamp = 0

    # --- words that wait ---

    async def ask(
        self,
        request: V2GRequest,
        response: type[R],
        *,
        then: tuple[Command, ...] = (),
        accept_failure: bool = False,
    ) -> R:
        """Send `request`, return its response.

        `then` is commanded right after sending. Ends the session where the response is late,
        of another type, FAILED (unless `accept_failure`) [V2G20-735], or of another session.
        """
        exchange = exchange_of(type(request))
        loop = isinstance(request, ChargeLoopReq)
        timeout_s = self.config.timers.loop_message_s if loop else exchange.evcc_timeout_s
        answer = await _result_of(Exchange(request, timeout_s, then))
        if not isinstance(answer, response):
            self.fail(f"{type(answer).__name__} instead of {response.__name__}")
        if is_failure(answer.response_code):
            if accept_failure:
                return answer
            detail = f"{response.__name__}: {answer.response_code}"
            raise SessionOver(EndReason.REFUSED, Fault.REMOTE, detail)
        if self.session_id not in (bytes(8), answer.header.session_id):
            self.fail("the response carries another session id")
        return answer

    async def ask_aside(self, request: V2GRequest, response: type[V2GResponse]) -> None:
        """Send `request` in its side stream and go on at once. One at a time; a refusal or silence ends the session."""
        await _result_of(Aside(request, response))

    async def negotiate(self, request: SupportedAppProtocolReq) -> SupportedAppProtocolRes:
        """The SupportedAppProtocol exchange."""
        answer = await _result_of(Exchange(request, 2.0))
        if not isinstance(answer, SupportedAppProtocolRes):
            self.fail(f"{type(answer).__name__} instead of SupportedAppProtocolRes")
        return answer

    async def send_raw(self, octets: bytes, timeout_s: float = 2.0) -> Any:
        """Send octets as they are and return the next message, whatever it is."""
        return await _result_of(Raw(octets, timeout_s))

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        if seconds > 0:
            await _result_of(Sleep(seconds))

    async def pause(self) -> None:
        """The pause between two polls before power flows; a wish to stop cuts the polling off."""
        self.give_way()
        await self.sleep(self.config.poll_interval_s)
        self.give_way()

    async def until(self, level: Callable[[EvState], bool], within_s: float) -> bool:
        """Wait for a level of our own hardware; False when `within_s` has passed."""
        return bool(await _result_of(Until(level, within_s)))

    async def query(self, question: AnyQuestion) -> Any:
        """Ask our own controller; an exception it raised ends the session.

        None where it does not answer in time, or where our side wants to stop meanwhile.
        """
        answer = await _result_of(Query(question))
        if isinstance(answer, BaseException):
            raise SessionOver(EndReason.LOCAL, Fault.LOCAL, f"{type(question).__name__}: {answer!r}")
        return answer

    # --- words that do not wait ---

    def do(self, *commands: Command) -> None:
        """Command our own hardware."""
        for command in commands:
            self.command(command)

    def decide(self, what: str, why: str) -> None:
        """Explain a decision in the event stream."""
        self.emit(events.Decision, what=what, why=why)

    def enter(self, phase: str) -> None:
        """Go to the next phase of the session."""
        if phase != self.phase:
            self.emit(events.StateEntered, state=phase, previous=self.phase)
            self.phase = phase

    def begin(self, phase: str) -> None:
        """Enter a phase in which no power flows yet, unless our side wants to stop."""
        self.give_way()
        self.enter(phase)

    def give_way(self) -> None:
        """A point where no power flows: leave by SessionStop if our side wants to stop."""
        if self.stop_reason:
            raise EarlyLeave(self.stop_reason)
        if self.state.wish is Wish.TERMINATE:
            raise EarlyLeave("the EV stops")

    def fail(self, detail: str, requirement: str = "") -> NoReturn:
        """End the session: the station broke the protocol."""
        raise SessionOver(EndReason.PROTOCOL, Fault.REMOTE, detail, requirement)

    def expire(self, timer: str) -> NoReturn:
        """End the session: a process of the station took too long."""
        self.emit(events.TimerExpired, timer=timer)
        raise SessionOver(EndReason.TIMEOUT, Fault.REMOTE, f"{timer} expired")
