"""What the runtime can tell, besides what the machines do: sockets, connections, controller faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from iso15118.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargerListening(Event):
    """The charger accepts connections on `interface`, at `address` and TCP `port`, with or without TLS."""

    interface: str
    address: str
    port: int
    tls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected(Event):
    """A TCP connection stands; `peer` is "[address]:port"."""

    peer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRefused(Event):
    """A connection was closed at once; `unreported` earlier ones were not told of."""

    peer: str
    reason: str
    unreported: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectFailed(Event):
    """The vehicle could not connect to the address that discovery gave."""

    peer: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected(Event):
    """The TCP connection is gone; `reason` is empty where it was closed in an orderly way."""

    peer: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerFault(Event):
    """The controller raised `error` while it carried out or answered `what`."""

    what: Any
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InternalFault(Event):
    """A defect of this package or of what was plugged into it; the session it hit was ended."""

    what: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsDropped(Event):
    """Nobody took events for long: the `count` oldest were dropped."""

    count: int
