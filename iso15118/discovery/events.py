"""What discovery can tell: results, refused datagrams, contradictions."""

from __future__ import annotations

from dataclasses import dataclass

from iso15118.events import Event

Address = tuple[str, int]
"""Host and port of a datagram's other side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SdpRequestSent(Event):
    """The EV asked once more; `number` counts from 1."""

    number: int
    tls: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SeccFound(Event):
    """The first usable answer: connect to `address` (IPv6, without scope), port `port`.

    `tls` tells what the SECC speaks there. False although TLS was asked for is a downgrade, seen
    only where the configuration allows it; ISO 15118-20 must not be offered then.
    """

    address: str
    port: int
    tls: bool
    downgraded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryFailed(Event):
    """No usable answer; `requests` were sent."""

    reason: str
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SdpConflict(Event):
    """Another answer than the one in use came from `source`: a second SECC, or a forged answer.

    The first answer stays in use. Both sides are spelled "[address]:port TLS|plain".
    """

    source: Address
    used: str
    other: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SdpDatagramIgnored(Event):
    """A datagram was left unanswered or unused; `unreported` earlier ones were not told of."""

    source: Address
    reason: str
    unreported: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SdpAnswered(Event):
    """The SECC told an EV where to connect."""

    client: Address
    tls_requested: bool
    tls_offered: bool
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SdpListening(Event):
    """The SECC answers requests from now on, for `window_s` seconds (None: without limit)."""

    window_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SdpSilent(Event):
    """The SECC answers no request from now on."""

    reason: str
