"""The charger's side of SDP: tell the EV where to connect, and be silent whenever that is due.

Silent on everything malformed, before the data link is up, while a session is active and after the
set-up time has passed without a connection. A bad datagram never ends the service.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from typing import Any, Final

from iso15118.discovery.events import SdpAnswered, SdpDatagramIgnored, SdpListening, SdpSilent
from iso15118.errors import ConfigError, FramingError
from iso15118.machine import Datagram, Emit, Input, LinkDown, LinkUp, Output, Stop, TimerBook, Update
from iso15118.rate import RateLimit
from iso15118.wire import sdp

SETUP_WINDOW_S: Final = 18.0
"""SECC performance time of the communication set-up."""

_WINDOW: Final = "COMMUNICATION_SETUP"
_REPORTS_PER_S: Final = 20
_NO_LINK: Final = "the data link is not up"
_SESSION_ACTIVE: Final = "a session is active"


@dataclass(frozen=True, slots=True)
class SeccEndpoints:
    """Where the SECC listens: its IPv6 address on the charging interface and one port per security.

    None means that this security is not offered. `plain_port` set means that the operator allows
    connections without TLS. May also be given later, as Update(SeccEndpoints(...)).
    """

    address: str
    tls_port: int | None = None
    plain_port: int | None = None

    def __post_init__(self) -> None:
        try:
            address = IPv6Address(self.address)
        except AddressValueError as error:
            raise ConfigError("address", str(error)) from None
        if address.is_unspecified or address.is_multicast:
            raise ConfigError("address", f"{address} is no unicast address")
        for key, port in (("tls_port", self.tls_port), ("plain_port", self.plain_port)):
            if port is not None and not 1 <= port <= 0xFFFF:
                raise ConfigError(key, f"{port}; accepted: 1 to 65535, or none")
        if self.tls_port is None and self.plain_port is None:
            raise ConfigError("tls_port", "a port for TLS, for plain TCP or for both")


@dataclass(frozen=True, slots=True)
class SdpAvailability:
    """Given as Update: False when a connection was accepted, True after the session has ended.

    The end of a session opens a new set-up window.
    """

    accepting: bool


@dataclass(frozen=True, slots=True)
class SdpServerConfig:
    """Endpoints and policy.

    `tls_enforced` answers TLS alone, even where a plain port exists. `silent_on_plain` leaves a
    request without TLS unanswered where only TLS is offered; otherwise TLS is the answer.
    `window_s` is how long after plug-in requests are answered, in seconds; None: without limit.
    """

    endpoints: SeccEndpoints
    tls_enforced: bool = False
    silent_on_plain: bool = False
    window_s: float | None = SETUP_WINDOW_S
    max_answers_per_s: int = 20

    def __post_init__(self) -> None:
        if self.tls_enforced and self.endpoints.tls_port is None:
            raise ConfigError("tls_enforced", "needs a TLS port")
        if self.window_s is not None and self.window_s <= 0:
            raise ConfigError("window_s", "above 0 s, or none")
        if self.max_answers_per_s < 4:
            raise ConfigError("max_answers_per_s", "4 or more: an EV asks every 250 ms")


class SdpServer:
    """Machine: LinkUp, Datagram, Update, LinkDown in; Datagram to the asking EV and Emit out."""

    def __init__(self, config: SdpServerConfig) -> None:
        self._config = config
        self._endpoints = config.endpoints
        self._timers = TimerBook()
        self._out: deque[Output] = deque()
        self._link = False
        self._silence = _NO_LINK  # empty while requests are answered
        self._answers = RateLimit(config.max_answers_per_s)
        self._reports = RateLimit(_REPORTS_PER_S)

    @property
    def deadline(self) -> float:
        """When the set-up window ends; inf while none is open."""
        return self._timers.deadline

    @property
    def listening(self) -> bool:
        """Whether requests are answered at present."""
        return not self._silence

    def receive(self, item: Input, now: float) -> None:
        """Take one input. Never raises for what a peer sent."""
        match item:
            case Datagram():
                self._on_datagram(item, now)
            case LinkUp():
                self._link = True
                self._listen(now)
            case LinkDown():
                self._link = False
                self._be_silent(_NO_LINK, now)
            case Update(state=state):
                self._on_update(state, now)
            case Stop(reason=reason):
                self._link = False
                self._be_silent(reason or "stopped", now)
            case _:
                pass

    def tick(self, now: float) -> None:
        """Close the set-up window."""
        if _WINDOW in self._timers.expired(now):
            self._be_silent(f"no connection within {self._config.window_s:g} s of plug-in", now)

    def outputs(self) -> Iterator[Output]:
        """Take what is to be done now."""
        while self._out:
            yield self._out.popleft()

    def _on_update(self, state: Any, now: float) -> None:
        if isinstance(state, SeccEndpoints):
            self._endpoints = state
        elif isinstance(state, SdpAvailability) and self._link:
            if not state.accepting:
                self._be_silent(_SESSION_ACTIVE, now)
            elif self._silence == _SESSION_ACTIVE:
                self._listen(now)

    def _listen(self, now: float) -> None:
        self._silence = ""
        window = self._config.window_s
        if window is not None:
            self._timers.start(_WINDOW, window, now)
        self._out.append(Emit(SdpListening(t=now, role="SECC", window_s=window)))

    def _be_silent(self, reason: str, now: float) -> None:
        if not self._silence:
            self._out.append(Emit(SdpSilent(t=now, role="SECC", reason=reason)))
        self._silence = reason
        self._timers.stop_all()

    def _on_datagram(self, item: Datagram, now: float) -> None:
        """Answer a request, or tell why not."""
        try:
            message = sdp.decode(item.data)
        except FramingError as error:
            self._ignore(item, str(error), now)
            return
        if not isinstance(message, sdp.SdpRequest):
            self._ignore(item, f"{type(message).__name__} is no wired request", now)
        elif not 1 <= item.address[1] <= 0xFFFF:
            self._ignore(item, "the sender's port cannot be answered", now)
        elif self._silence:
            self._ignore(item, self._silence, now)
        elif (security := self._security(message)) is None:
            self._ignore(item, "no endpoint with the security the policy demands", now)
        elif not self._answers.admit(now):
            self._ignore(item, "too many requests", now)
        else:
            self._answer(item, message, security, now)

    def _security(self, request: sdp.SdpRequest) -> sdp.Security | None:
        """The answer's security by what is asked for and what is offered; None: stay silent.

        [V2G2-626], [V2G20-1238]: TLS where both sides have it. [V2G2-627]: plain where the SECC has
        nothing else, so that the EV may decide. Asked for none: plain if the operator allows it.
        """
        tls = self._endpoints.tls_port is not None
        plain = self._endpoints.plain_port is not None and not self._config.tls_enforced
        if request.security is sdp.Security.TLS:
            return sdp.Security.TLS if tls else sdp.Security.NONE if plain else None
        if plain:
            return sdp.Security.NONE
        return sdp.Security.TLS if tls and not self._config.silent_on_plain else None

    def _answer(self, item: Datagram, request: sdp.SdpRequest, security: sdp.Security, now: float) -> None:
        tls = security is sdp.Security.TLS
        port = (self._endpoints.tls_port if tls else self._endpoints.plain_port) or 0
        address = IPv6Address(self._endpoints.address.partition("%")[0])
        response = sdp.SdpResponse(address, port, security)
        self._out.append(Datagram(sdp.encode(response), item.address))
        answered = SdpAnswered(
            t=now,
            role="SECC",
            client=item.address,
            tls_requested=request.security is sdp.Security.TLS,
            tls_offered=tls,
            port=port,
        )
        self._out.append(Emit(answered))

    def _ignore(self, item: Datagram, reason: str, now: float) -> None:
        if self._reports.admit(now):
            unreported = self._reports.take_refused()
            event = SdpDatagramIgnored(
                t=now, role="SECC", source=item.address, reason=reason, unreported=unreported
            )
            self._out.append(Emit(event))
