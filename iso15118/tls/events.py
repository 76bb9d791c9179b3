"""What a TLS connection can tell."""

from __future__ import annotations

from dataclasses import dataclass

from iso15118.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsEstablished(Event):
    """The handshake succeeded. `peer` is the fingerprint (SHA-256) of the peer's certificate and `peer_name` its CN (SECCID
    or EVCCID), both empty for none.
    """

    version: str
    suite: str
    group: str
    peer: str = ""
    peer_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFailed(Event):
    """No session over this connection; `reason` names the rule, `remote` whether the peer refused us or broke it."""

    reason: str
    remote: bool
    next_step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsTruncated(Event):
    """The peer closed the connection without close_notify: what came before may not be all it said."""
