"""A session machine behind TLS, as one Machine.

Drivers feed it as they feed the session: Bytes are the octets of the wire, Send comes out encrypted. The session is
made when the handshake is done, with the facts of it (`TlsFacts`), so that no session of ISO 15118-20 can exist
without them. A connection that fails ends with TlsFailed and SessionEnded, and nothing of it reaches a session.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from iso15118.errors import Iso15118Error
from iso15118.events import EndReason, Fault, Role, SessionEnded
from iso15118.machine import (
    NEVER,
    Bytes,
    Close,
    Emit,
    Input,
    LinkDown,
    LinkUp,
    Machine,
    Output,
    PeerClosed,
    Send,
    Stop,
    TimerBook,
    Update,
    Utc,
)
from iso15118.tls import client_hello
from iso15118.tls.engine import Engine, TlsFacts
from iso15118.tls.errors import TlsError
from iso15118.tls.events import TlsEstablished, TlsFailed, TlsTruncated
from iso15118.tls.identity import Identity, TlsSettings, choose
from iso15118.tls.profile import TlsProfile

MAX_HANDSHAKE: Final = 65_536
"""Octets a peer may send before it is authenticated."""
CLOSE_S: Final = 1.0
"""How long the peer may take to answer close_notify."""
HANDSHAKE: Final = "TLS handshake"
CLOSING: Final = "TLS close"

MakeSession = Callable[[TlsFacts], Machine]


class TlsMachine:
    """One connection of either role; see the module. Inputs and outputs are those of the session it carries."""

    def __init__(self, role: Role, settings: TlsSettings, make: MakeSession, utc: Utc) -> None:
        self.role: Role = role
        self._settings, self._make, self._utc = settings, make, utc
        self._timers = TimerBook()
        self._out: deque[Output] = deque()
        self._hello = b""
        self._received = 0
        self._engine: Engine | None = None
        self._session: Machine | None = None
        self._state: Update | None = None
        self._failed: TlsError | None = None
        self._heard = self._over = self._closed_by_peer = False
        self._now = 0.0

    # --- the Machine interface ----------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When `tick` is due (monotonic seconds)."""
        session = self._session.deadline if self._session is not None else NEVER
        return min(self._timers.deadline, session)

    @property
    def session(self) -> Machine | None:
        """The session machine; None before the handshake is done."""
        return self._session

    def receive(self, item: Input, now: float) -> None:
        """Take one input."""
        self._now = now
        match item:
            case Update():
                self._state = item
                self._hand_on(item)
            case LinkUp() if self._session is None and not self._over:
                self._begin()
            case Bytes(data=data):
                self._guarded(self._last_words if self._over else self._octets, data)
            case PeerClosed():
                self._peer_closed()
            case LinkDown() | Stop() if self._session is None:
                self._fail(TlsError("ended before the handshake was done"))
            case _:
                self._hand_on(item)

    def tick(self, now: float) -> None:
        """Let timers expire, here and in the session."""
        self._now = now
        for name in self._timers.expired(now):
            if name == HANDSHAKE:
                limit = self._settings.handshake_s
                self._fail(TlsError(f"the TLS handshake took longer than {limit:g} s", remote=True))
            elif name == CLOSING:
                self._say_close()
        if self._session is not None and self._session.deadline <= now:
            self._session.tick(now)
            self._drain()

    def outputs(self) -> Iterator[Output]:
        """Take what is to be done now."""
        while self._out:
            yield self._out.popleft()

    # --- handshake ----------------------------------------------------------------------------

    def _begin(self) -> None:
        """The connection stands. The vehicle speaks first; the station waits for what it offers."""
        self._timers.start(HANDSHAKE, self._settings.handshake_s, self._now)
        if self.role == "EVCC":
            self._guarded(self._speak)

    def _speak(self) -> None:
        settings = self._settings
        identity = settings.identities[0] if settings.identities else None
        self._start(identity, _joined(settings.profiles))
        self._shake()

    def _start(self, identity: Identity | None, profile: TlsProfile) -> None:
        server = self.role == "SECC"
        self._engine = Engine(self._settings, identity, profile, server=server, utc=self._utc)

    def _octets(self, data: bytes) -> None:
        if self._session is None:
            self._received += len(data)
            if self._received > MAX_HANDSHAKE:
                raise TlsError(f"more than {MAX_HANDSHAKE} octets before the handshake was done", remote=True)
        if self._engine is None and not self._greet(data):
            return
        assert self._engine is not None
        if self._hello:
            data, self._hello = self._hello, b""
        self._engine.receive(data)
        if self._session is None and not self._shake():
            return
        self._read()

    def _greet(self, data: bytes) -> bool:
        """Gather the ClientHello and choose by it; True once chosen."""
        self._hello += data
        hello = client_hello.read(self._hello)
        if hello is None:
            return False
        identity = choose(self._settings, hello)
        if identity is None:
            # The library refuses it, and tells the vehicle so with the right alert.
            self._start(next(iter(self._settings.identities), None), self._settings.profiles[0])
        else:
            self._start(identity, identity.profile)
        return True

    def _shake(self) -> bool:
        assert self._engine is not None
        try:
            done = self._engine.handshake()
        finally:
            self._flush()
        if done:
            self._established(self._engine.facts())
        return done

    def _established(self, facts: TlsFacts) -> None:
        self._timers.stop(HANDSHAKE)
        peer = hashlib.sha256(facts.peer).hexdigest() if facts.peer else ""
        self._emit(
            TlsEstablished(
                t=self._now,
                role=self.role,
                version=facts.version.name,
                suite=facts.suite,
                group=facts.group,
                peer=peer,
                peer_name=facts.peer_name,
            )
        )
        self._session = self._make(facts)
        for item in (self._state, LinkUp()):
            if item is not None:
                self._hand_on(item)

    # --- the session --------------------------------------------------------------------------

    def _read(self) -> None:
        """Hand on what is decrypted; a refusal that comes only now is one of the handshake."""
        assert self._engine is not None
        plain = self._engine.read()
        if plain is None:
            self._closed_by_peer = True
            self._hand_on(PeerClosed())
            if self._timers.running(CLOSING):  # it has all it wanted
                self._timers.stop(CLOSING)
                self._say_close()
        elif plain:
            self._heard = True
            self._hand_on(Bytes(plain))
            self._read()
        else:
            self._flush()

    def _hand_on(self, item: Input) -> None:
        if self._session is not None:
            self._session.receive(item, self._now)
            self._drain()

    def _drain(self) -> None:
        assert self._session is not None
        for output in self._session.outputs():
            if isinstance(output, Send):
                self._encrypt(output.data)
            elif self._failed is not None and isinstance(output, Close):
                continue  # the connection is closed already
            elif isinstance(output, Close):
                if output.after > 0 and not self._closed_by_peer:
                    self._timers.start(CLOSING, output.after, self._now)
                else:
                    self._say_close()
            elif self._failed is not None and isinstance(output, Emit):
                self._emit(self._explained(output.event))
            else:
                self._out.append(output)

    def _encrypt(self, octets: bytes) -> None:
        if self._engine is not None and not self._over:
            self._guarded(self._engine.write, octets)
            self._flush()

    def _flush(self) -> None:
        if self._engine is not None and (octets := self._engine.pull()):
            self._out.append(Send(octets))

    # --- the end ------------------------------------------------------------------------------

    def _say_close(self) -> None:
        """close_notify, and a moment for the peer's."""
        if not self._over and self._engine is not None:
            self._engine.close()
            self._flush()
        self._over = True
        self._out.append(Close(after=0.0 if self._closed_by_peer else CLOSE_S))

    def _last_words(self, octets: bytes) -> None:
        """Behind our close_notify nothing counts but the peer's, which ends the wait for it."""
        if self._engine is None or self._failed is not None:
            return
        self._engine.receive(octets)
        plain = self._engine.read() and self._engine.read()
        if plain is None and not self._closed_by_peer:
            self._closed_by_peer = True
            self._out.append(Close())

    def _peer_closed(self) -> None:
        """The transport ended. Without close_notify before it, somebody may have cut it."""
        if self._session is None:
            self._fail(TlsError("the peer closed the connection during the TLS handshake", remote=True))
            return
        if not self._over and not self._closed_by_peer:
            self._emit(TlsTruncated(t=self._now, role=self.role))
        self._over = True
        self._hand_on(PeerClosed())

    def _guarded(self, act: Callable[..., object], *args: Any) -> None:
        """Whatever a peer sends ends at worst in a refusal."""
        try:
            act(*args)
        except TlsError as error:
            self._fail(error)
        except Iso15118Error as error:
            self._fail(TlsError(str(error)))

    def _fail(self, error: TlsError) -> None:
        if self._failed is not None or self._over:
            return
        self._failed = error
        self._timers.stop_all()
        refused_late = self._session is not None and self.role == "EVCC" and not self._heard
        if refused_late:
            # TLS 1.3: the station judges our certificate after our handshake is done.
            error = self._failed = TlsError(
                f"TLS authentication failed: {error.reason}", remote=error.remote, next_step=error.next_step
            )
        self._emit(
            TlsFailed(
                t=self._now,
                role=self.role,
                reason=error.reason,
                remote=error.remote,
                next_step=error.next_step,
            )
        )
        self._flush()
        self._over = True
        if self._session is None:
            self._emit(self._ending())
        else:
            self._hand_on(PeerClosed())
        self._out.append(Close())

    def _ending(self) -> SessionEnded:
        assert self._failed is not None
        fault = Fault.REMOTE if self._failed.remote else Fault.LOCAL
        return SessionEnded(
            t=self._now,
            role=self.role,
            reason=EndReason.SECURITY,
            fault=fault,
            detail=self._failed.diagnostics(),
            state="TLS",
        )

    def _explained(self, event: Any) -> Any:
        """The session's own end, told as what it is: the end of its connection."""
        assert self._failed is not None
        if not isinstance(event, SessionEnded):
            return event
        return dataclasses.replace(event, reason=EndReason.SECURITY, detail=self._failed.diagnostics())

    def _emit(self, event: Any) -> None:
        self._out.append(Emit(event))


def _joined(profiles: tuple[TlsProfile, ...]) -> TlsProfile:
    """What a vehicle offers: all its profiles at once, the first one's preferences first."""

    def union(name: str) -> tuple[Any, ...]:
        values = itertools.chain.from_iterable(getattr(profile, name) for profile in profiles)
        return tuple(dict.fromkeys(values))

    if len(profiles) == 1:
        return profiles[0]
    return TlsProfile(
        " and ".join(profile.name for profile in profiles),
        union("versions"),
        tls13_suites=union("tls13_suites"),
        tls12_suites=union("tls12_suites"),
        groups=union("groups"),
        signatures=union("signatures"),
    )
