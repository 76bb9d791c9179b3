"""Who is at the other end of the connection, and what binds a session to it (ISO 15118-20 clause 8.3.4.1.4.3)."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final, Protocol

TLS_1_3: Final = 0x0304


class ConnectionFacts(Protocol):
    """What the transport found out in its handshake. `iso15118.tls` gives it as TlsFacts."""

    @property
    def version(self) -> int:
        """The TLS version by its number on the wire."""

    @property
    def peer(self) -> bytes | None:
        """The peer's own certificate (DER), verified; None where it showed none."""


def carries_iso20(facts: ConnectionFacts | None) -> bool:
    """Whether a connection may carry ISO 15118-20: TLS 1.3 with both sides authenticated [V2G20-2356] [V2G20-1237].

    What the peer offers does not count, only what was negotiated.
    """
    return facts is not None and facts.version >= TLS_1_3 and bool(facts.peer)


def session_binding(session_id: bytes, leaf: bytes) -> bytes:
    """What a paused session is remembered by: its id and the peer's leaf certificate (DER), hashed with SHA-512."""
    return hashlib.sha512(session_id + hashlib.sha512(leaf).digest()).digest()


def same_peer(binding: bytes, session_id: bytes, leaf: bytes | None) -> bool:
    """Whether a peer may go on with the session of a binding [V2G20-2545]; never without a certificate."""
    return bool(leaf) and hmac.compare_digest(binding, session_binding(session_id, leaf or b""))
