"""The core interface: everything that decides is a Machine.

Bytes, updates, answers and time go in; outputs come out. A machine holds no socket, clock,
thread, randomness or logging. A driver (asyncio in `runtime`, virtual time in `sim`, or a
firmware's own loop) feeds it:

    machine.receive(item, now); for out in machine.outputs(): ...
    if now >= machine.deadline: machine.tick(now); for out in machine.outputs(): ...
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

Entropy = Callable[[int], bytes]
"""n -> n unpredictable octets (session ids, challenges, nonces)."""
Utc = Callable[[], float]
"""() -> seconds since the Unix epoch (header time stamps, certificate validity)."""

NEVER: Final = math.inf


# --- inputs -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LinkUp:
    """The transport is ready: connection open (session machines) or network joined (SDP)."""


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The transport is gone and will not come back for this machine."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """Octets from a stream peer, in any chunking."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Datagram:
    """One datagram from (or, as an output, to) `address` (host, port)."""

    data: bytes
    address: tuple[str, int]


@dataclass(frozen=True, slots=True)
class Frame:
    """A raw Ethernet frame without FCS: from the port to the modem or, as an output, for it."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PeerClosed:
    """The peer closed the stream, orderly or not."""


@dataclass(frozen=True, slots=True)
class Update:
    """A new level snapshot of our own hardware and wishes (EvseState or EvState)."""

    state: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """The controller's answer to an earlier Ask; `value` is an exception where it failed."""

    question: Any
    value: Any


@dataclass(frozen=True, slots=True)
class Stop:
    """Our own side wants to end the session in an orderly way."""

    reason: str


Input = LinkUp | LinkDown | Bytes | Datagram | Frame | PeerClosed | Update | Answer | Stop


# --- outputs ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """Octets for the stream peer, in one write."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Do:
    """A command for the controller. Never awaited; effects show up in the next Update."""

    command: Any


@dataclass(frozen=True, slots=True)
class Ask:
    """A question whose answer may take long; it comes back as Answer with the same question."""

    question: Any


@dataclass(frozen=True, slots=True)
class Emit:
    """Something observable happened (a dataclass of `iso15118.events`)."""

    event: Any


@dataclass(frozen=True, slots=True)
class Close:
    """Close the transport after `after` seconds; the machine is finished."""

    after: float = 0.0


Output = Send | Datagram | Frame | Do | Ask | Emit | Close


class Machine(Protocol):
    """What a driver needs to know of anything that decides."""

    @property
    def deadline(self) -> float:
        """When `tick` is due, on the driver's monotonic clock in seconds; inf = never."""

    def receive(self, item: Input, now: float) -> None:
        """Take one input."""

    def tick(self, now: float) -> None:
        """Let time pass; called at or after `deadline`."""

    def outputs(self) -> Iterator[Output]:
        """Take what is to be done now; drained after every call."""


# --- timers -----------------------------------------------------------------------------------


class TimerBook:
    """Named deadlines. Starting a running timer restarts it; expiry removes it.

    The earliest one is kept at hand: drivers ask for it far more often than it changes.
    """

    __slots__ = ("_due", "_earliest")

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._earliest: float | None = NEVER

    def start(self, name: str, seconds: float, now: float) -> None:
        """(Re)start `name` to expire `seconds` after `now`."""
        self._due[name] = now + seconds
        self._earliest = None

    def start_once(self, name: str, seconds: float, now: float) -> None:
        """Start `name` unless it is running."""
        if name not in self._due:
            self.start(name, seconds, now)

    def stop(self, *names: str) -> None:
        """Stop timers; those not running are ignored."""
        for name in names:
            if self._due.pop(name, None) is not None:
                self._earliest = None

    def stop_all(self) -> None:
        """Stop every timer."""
        self._due.clear()
        self._earliest = NEVER

    def running(self, name: str) -> bool:
        """Whether `name` is running."""
        return name in self._due

    @property
    def deadline(self) -> float:
        """The earliest due time; inf when nothing runs."""
        if self._earliest is None:
            self._earliest = min(self._due.values(), default=NEVER)
        return self._earliest

    def expired(self, now: float) -> list[str]:
        """Remove and return the names due at `now`, the earliest first."""
        if self.deadline > now:
            return []
        names = sorted((n for n, due in self._due.items() if due <= now), key=self._due.__getitem__)
        self.stop(*names)
        return names
