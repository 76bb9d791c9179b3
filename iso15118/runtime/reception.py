"""Who becomes the one session of a charger: connections come in, finished handshakes decide.

A connection without TLS is the session at once. One with TLS is half open until its handshake is done; it blocks
nobody: the next one may shake hands beside it, and where too many do, the oldest has to go. The first that finishes
is the session, and the others are sent away. What became of a half-open connection is told in one go at its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from iso15118.events import Role
from iso15118.machine import Machine
from iso15118.rate import RateLimit
from iso15118.runtime.events import ConnectionRefused, InternalFault
from iso15118.runtime.session import Hardware, Session, peer_name
from iso15118.tls.events import TlsEstablished

_ROLE: Final[Role] = "SECC"
_TOLD_PER_S: Final = 5
IN_SESSION: Final = "a session is going on"


@dataclass(frozen=True, slots=True)
class Host:
    """What a reception uses of its charger.

    `closed` tells why nobody is received at present (empty: anybody is), `begun` and `free` are called when a
    connection has become the session and when the session is gone. `emit` takes the events of the session,
    `tell` all others.
    """

    hardware: Hardware
    state: Callable[[], Any]
    closed: Callable[[], str]
    begun: Callable[[], None]
    free: Callable[[], None]
    emit: Callable[[Any], None]
    tell: Callable[[Any], None]


class Reception:
    """Receives connections for one outlet; see the module. At most `half_open` may shake hands at a time."""

    def __init__(self, host: Host, half_open: int) -> None:
        self.session: Session | None = None
        self._host = host
        self._limit = half_open
        self._half_open: list[_HalfOpen] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._told = RateLimit(_TOLD_PER_S)

    @property
    def in_session(self) -> bool:
        """Whether a vehicle is being served."""
        return self.session is not None and self.session.result is None

    # --- for the sockets ----------------------------------------------------------------------

    def plain(self, make: Callable[[], Machine]) -> asyncio.Protocol:
        """The protocol of a new connection without TLS: the session, or a refusal."""
        machine = self._machine(make)
        if isinstance(machine, _Refusal):
            return machine
        session = self._session(machine, self._host.emit)
        self._begin(session)
        self._watch(self._until_over(session))
        return session

    def secure(self, make: Callable[[], Machine]) -> asyncio.Protocol:
        """The protocol of a new connection with TLS: half open, or a refusal."""
        machine = self._machine(make)
        if isinstance(machine, _Refusal):
            return machine
        while len(self._half_open) >= self._limit:
            self._send_away(self._half_open[0], "it had not finished its TLS handshake when others came")
        half = _HalfOpen(self._host.emit, self._established)
        half.session = session = self._session(machine, half)
        self._half_open.append(half)
        self._watch(self._until_open(half, session))
        return session

    # --- for the charger ----------------------------------------------------------------------

    def update(self, state: Any) -> None:
        """New levels, for whoever is there."""
        for half in self._half_open:
            half.session.update(state)
        if self.session is not None:
            self.session.update(state)

    def abort(self) -> None:
        """End what is there, now."""
        for half in tuple(self._half_open):
            self._send_away(half, self._host.closed() or "the charger stops")
        if self.session is not None and self.in_session:
            self.session.abort()

    async def aclose(self) -> None:
        """End everything, and wait until nothing is left of it."""
        self.abort()
        if self.session is not None:
            await self.session.aclose()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # --- connections --------------------------------------------------------------------------

    def _machine(self, make: Callable[[], Machine]) -> Machine | _Refusal:
        reason = self._host.closed() or (IN_SESSION if self.in_session else "")
        if reason:
            return _Refusal(lambda peer: self._refused(peer, reason))
        try:
            return make()
        except Exception as error:  # noqa: BLE001 - a defect; the next vehicle may fare better
            now, what = asyncio.get_running_loop().time(), "no session machine"
            self._host.tell(InternalFault(t=now, role=_ROLE, what=what, error=repr(error)))
            return _Refusal(lambda peer: self._refused(peer, what))

    def _session(self, machine: Machine, emit: Callable[[Any], None]) -> Session:
        return Session(_ROLE, machine, self._host.hardware, self._host.state(), emit)

    def _begin(self, session: Session) -> None:
        if self.session is not None:
            self.session.abort()  # it has ended and only waits for the vehicle to close
        self.session = session
        self._host.begun()

    def _established(self, chosen: _HalfOpen) -> None:
        """The first handshake that is done: its connection is the session."""
        self._half_open.remove(chosen)
        for half in tuple(self._half_open):
            self._send_away(half, IN_SESSION)
        self._begin(chosen.session)

    def _send_away(self, half: _HalfOpen, reason: str) -> None:
        self._half_open.remove(half)
        half.silent = True
        half.session.abort()
        self._refused(half.session.peer, reason)

    def _refused(self, peer: str, reason: str) -> None:
        now = asyncio.get_running_loop().time()
        if self._told.admit(now):
            unreported = self._told.take_refused()
            self._host.tell(
                ConnectionRefused(t=now, role=_ROLE, peer=peer, reason=reason, unreported=unreported)
            )

    def _watch(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _until_over(self, session: Session) -> None:
        """Make room for the next vehicle once `session` is over."""
        await session.finished.wait()
        if self.session is session:
            self.session = None
            self._host.free()
        await session.aclose()

    async def _until_open(self, half: _HalfOpen, session: Session) -> None:
        """A connection from its first octet; where it never was a session, tell what there is to tell."""
        await session.finished.wait()
        if half in self._half_open:
            self._half_open.remove(half)
            if self._told.admit(asyncio.get_running_loop().time()):
                for event in half.held:
                    self._host.tell(event)
        await self._until_over(session)


class _HalfOpen:
    """Takes the events of a connection that still shakes hands, and holds them back until it is the session."""

    session: Session

    def __init__(self, emit: Callable[[Any], None], established: Callable[[_HalfOpen], None]) -> None:
        self.held: list[Any] = []
        self.silent = False
        self._emit, self._established = emit, established
        self._open = False

    def __call__(self, event: Any) -> None:
        """Take `event`."""
        if self._open:
            self._emit(event)
        elif not self.silent:
            self.held.append(event)
            if isinstance(event, TlsEstablished):
                self._open = True
                self._established(self)
                for held in self.held:
                    self._emit(held)


class _Refusal(asyncio.Protocol):
    """Closes a connection at once."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close, and report."""
        peer = peer_name(transport)
        assert isinstance(transport, asyncio.Transport)
        transport.abort()
        self._told(peer)
