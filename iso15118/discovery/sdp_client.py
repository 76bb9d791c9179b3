"""The EV's side of SDP: ask, repeat, judge the answers, settle on the first usable one.

Fed with LinkUp once an IPv6 link-local address is there. Every answer is judged by itself, a bad
one leaves the repetition running. After the first usable answer no other one counts, but a
contradicting one is reported: someone else on the link claims to be the charger.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from iso15118.discovery.events import (
    DiscoveryFailed,
    SdpConflict,
    SdpDatagramIgnored,
    SdpRequestSent,
    SeccFound,
)
from iso15118.errors import ConfigError, FramingError
from iso15118.machine import Datagram, Emit, Input, LinkDown, LinkUp, Output, Stop, TimerBook
from iso15118.rate import RateLimit
from iso15118.wire import sdp

REQUEST_INTERVAL_S: Final = 0.25  # [V2G2-159]
MAX_REQUESTS: Final = 50  # [V2G2-161]
COMMUNICATION_SETUP_S: Final = 20.0

_REPEAT: Final = "SDP_REPEAT"
_SETUP: Final = "COMMUNICATION_SETUP"
_REPORTS_PER_S: Final = 20
_MAX_CONFLICTS: Final = 8


@dataclass(frozen=True, slots=True)
class SdpClientConfig:
    """What the EV asks for and what it accepts.

    `tls` is what the request says; ISO 15118-20 needs it. `allow_plain` lets an answer without TLS
    count although TLS was asked for: a downgrade that leaves only ISO 15118-2 with external
    payment and DIN 70121 [V2G2-628]. `allow_tls` False is an EV that has no TLS at all.
    `link_local_only` False accepts other unicast addresses, for tests on the loopback interface.
    Times in seconds.
    """

    tls: bool = True
    allow_plain: bool = False
    allow_tls: bool = True
    link_local_only: bool = True
    interval_s: float = REQUEST_INTERVAL_S
    max_requests: int = MAX_REQUESTS
    setup_timeout_s: float = COMMUNICATION_SETUP_S

    def __post_init__(self) -> None:
        if self.tls and not self.allow_tls:
            raise ConfigError("allow_tls", "an EV without TLS cannot ask for it: set tls = false, too")
        if self.interval_s <= 0 or self.setup_timeout_s <= 0:
            raise ConfigError("interval_s", "times are above 0 s")
        if not 1 <= self.max_requests <= MAX_REQUESTS:
            raise ConfigError("max_requests", f"1 to {MAX_REQUESTS}")


class SdpClient:
    """Machine: LinkUp and Datagram in; Datagram to the all-nodes group and Emit out.

    Ends with Emit(SeccFound) or Emit(DiscoveryFailed); a further LinkUp starts over.
    """

    def __init__(self, config: SdpClientConfig | None = None) -> None:
        self._config = config or SdpClientConfig()
        self._timers = TimerBook()
        self._out: deque[Output] = deque()
        self._running = False
        self._sent = 0
        self._used: sdp.SdpResponse | None = None
        self._conflicts = 0
        self._reports = RateLimit(_REPORTS_PER_S)

    @property
    def deadline(self) -> float:
        """When the next request or the give-up is due."""
        return self._timers.deadline

    def receive(self, item: Input, now: float) -> None:
        """Take LinkUp (start over), Datagram, LinkDown or Stop (give up); others mean nothing here."""
        match item:
            case LinkUp():
                self._start(now)
            case Datagram():
                self._judge(item, now)
            case LinkDown():
                self._fail("the link went down", now)
            case Stop(reason=reason):
                self._fail(reason, now)
            case _:
                pass

    def tick(self, now: float) -> None:
        """Repeat the request or give up."""
        due = self._timers.expired(now)
        if _SETUP in due:
            self._fail(f"no usable answer within {self._config.setup_timeout_s:g} s", now)
        elif _REPEAT in due and self._sent >= self._config.max_requests:
            self._fail(f"no usable answer to {self._sent} requests", now)
        elif _REPEAT in due:
            self._ask(now)

    def outputs(self) -> Iterator[Output]:
        """Take what is to be done now."""
        while self._out:
            yield self._out.popleft()

    def _start(self, now: float) -> None:
        self._running = True
        self._sent = self._conflicts = 0
        self._used = None
        self._timers.start(_SETUP, self._config.setup_timeout_s, now)
        self._ask(now)

    def _ask(self, now: float) -> None:
        security = sdp.Security.TLS if self._config.tls else sdp.Security.NONE
        self._sent += 1
        self._timers.start(_REPEAT, self._config.interval_s, now)
        self._out.append(Datagram(sdp.encode(sdp.SdpRequest(security)), (sdp.ALL_NODES, sdp.SDP_PORT)))
        self._out.append(Emit(SdpRequestSent(t=now, role="EVCC", number=self._sent, tls=self._config.tls)))

    def _fail(self, reason: str, now: float) -> None:
        if self._running:
            self._out.append(Emit(DiscoveryFailed(t=now, role="EVCC", reason=reason, requests=self._sent)))
        self._finish()
        self._used = None

    def _finish(self) -> None:
        self._running = False
        self._timers.stop_all()

    def _judge(self, item: Datagram, now: float) -> None:
        try:
            message = sdp.decode(item.data)
        except FramingError as error:
            self._ignore(item, str(error), now)
            return
        if not isinstance(message, sdp.SdpResponse):
            self._ignore(item, f"{type(message).__name__} is no answer to a wired request", now)
        elif self._used is not None:
            self._compare(message, self._used, item, now)
        elif not self._running:
            self._ignore(item, "an answer while none is awaited", now)
        elif reason := self._why_unusable(message):
            self._ignore(item, reason, now)
        else:
            self._use(message, now)

    def _why_unusable(self, response: sdp.SdpResponse) -> str:
        """Why a well-formed answer cannot be used; empty where it can."""
        address, config = response.address, self._config
        if response.port == 0:
            return "the answer names port 0"
        if address.is_unspecified or address.is_multicast:
            return f"{address} is no unicast address"
        if config.link_local_only and not address.is_link_local:
            return f"{address} is no link-local address"
        if response.transport is not sdp.TransportProtocol.TCP:
            return "the answer names a transport other than TCP"
        return self._why_insecure(response.security)

    def _why_insecure(self, security: sdp.Security) -> str:
        tls = security is sdp.Security.TLS
        if tls and not self._config.allow_tls:
            return "the SECC insists on TLS, which is not allowed here"
        if not tls and self._config.tls and not self._config.allow_plain:
            return "TLS was asked for, the answer denies it"
        return ""

    def _use(self, response: sdp.SdpResponse, now: float) -> None:
        self._used = response
        self._finish()
        tls = response.security is sdp.Security.TLS
        found = SeccFound(
            t=now,
            role="EVCC",
            address=str(response.address),
            port=response.port,
            tls=tls,
            downgraded=self._config.tls and not tls,
        )
        self._out.append(Emit(found))

    def _compare(self, other: sdp.SdpResponse, used: sdp.SdpResponse, item: Datagram, now: float) -> None:
        """A later answer: the same one again is a repetition, another one a contradiction."""
        if other == used or self._conflicts >= _MAX_CONFLICTS:
            return
        self._conflicts += 1
        conflict = SdpConflict(
            t=now, role="EVCC", source=item.address, used=_spelled(used), other=_spelled(other)
        )
        self._out.append(Emit(conflict))

    def _ignore(self, item: Datagram, reason: str, now: float) -> None:
        if self._reports.admit(now):
            unreported = self._reports.take_refused()
            event = SdpDatagramIgnored(
                t=now, role="EVCC", source=item.address, reason=reason, unreported=unreported
            )
            self._out.append(Emit(event))


def _spelled(response: sdp.SdpResponse) -> str:
    security = "TLS" if response.security is sdp.Security.TLS else "plain"
    return f"[{response.address}]:{response.port} {security}"
