"""Recorded TLS connections, 1.3 and 1.2, opened with the secrets of a key log.

Reads records and handshakes as far as keys follow from them, and takes the application data out. It takes part in
nothing, so it judges no certificate and no Finished; but each record has to pass its own authentication.
Sources: RFC 8446 (sections 5, 7), RFC 5246 (section 6), RFC 7366 (encrypt-then-mac).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from iso15118.tls.errors import Alert
from iso15118.trace.secrets import APPLICATION, HANDSHAKE, MASTER, Secrets
from iso15118.trace.suites import SUITES, Opener, Suite, UnreadableError

MAX_RECORD: Final = (1 << 14) + 2048
MAX_EARLY: Final = 64
"""Encrypted records kept while the other side's ServerHello is still to come."""

_CHANGE_CIPHER_SPEC: Final = 20
_ALERT: Final = 21
_HANDSHAKE: Final = 22
_APPLICATION: Final = 23
_CLIENT_HELLO: Final = 1
_SERVER_HELLO: Final = 2
_FINISHED: Final = 20
_KEY_UPDATE: Final = 24
_TLS13: Final = 0x0304
_SUPPORTED_VERSIONS: Final = 43
_ENCRYPT_THEN_MAC: Final = 22
_CLOSE_NOTIFY: Final = 0
_ALERTS: Final = MappingProxyType({alert.value: alert.name.lower() for alert in Alert})
_RETRY: Final = hashlib.sha256(b"HelloRetryRequest").digest()


@dataclass(frozen=True, slots=True)
class Record:
    """One TLS record: its type, its five octets of header, and what follows them."""

    kind: int
    header: bytes
    body: bytes


@dataclass(slots=True)
class _Lane:
    """One direction."""

    label: str  # CLIENT or SERVER, as in the key log
    octets: bytes = b""
    handshake: bytes = b""
    early: list[Record] = field(default_factory=list)
    opener: Opener | None = None
    secret: bytes = b""
    shaking: bool = True
    encrypted: bool = False


class TlsReader:
    """A connection from its first octet; `feed` gives the application data. UnreadableError ends it for good."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._lanes: dict[Any, _Lane] = {}
        self._random = self._server_random = b""
        self._suite: Suite | None = None
        self._tls13 = self._mac_last = False

    @property
    def suite(self) -> str:
        """The name of the cipher suite; empty before ServerHello."""
        return self._suite.name if self._suite else ""

    def feed(self, sender: Any, octets: bytes) -> Iterator[bytes]:
        """Octets that `sender` sent; whoever speaks first is the client."""
        lane = self._lanes.get(sender)
        if lane is None:
            lane = self._lanes[sender] = _Lane("SERVER" if self._lanes else "CLIENT")
        lane.octets += octets
        for record in _records(lane):
            yield from self._record(lane, record)

    # --- records ------------------------------------------------------------------------------

    def _record(self, lane: _Lane, record: Record) -> Iterator[bytes]:
        if self._suite is None and record.kind == _APPLICATION:
            if not self._random or len(lane.early) >= MAX_EARLY:
                raise UnreadableError("its handshake is not in the recording")
            lane.early.append(record)
        elif record.kind == _CHANGE_CIPHER_SPEC:
            # In TLS 1.3 it means nothing and may come early; in TLS 1.2 the side's next record is encrypted.
            lane.encrypted = lane.encrypted or (self._suite is not None and not self._tls13)
        elif record.kind == _APPLICATION if self._tls13 else lane.encrypted:
            yield from self._opened(lane, record)
        elif record.kind == _HANDSHAKE:
            yield from self._messages(lane, record.body)
        elif record.kind == _ALERT:
            _told(lane, record.body)

    def _opened(self, lane: _Lane, record: Record) -> Iterator[bytes]:
        if lane.opener is None:
            self._key(lane)
        assert lane.opener is not None
        kind, plain = lane.opener.open(record.kind, record.header, record.body)
        if kind == _APPLICATION:
            yield plain
        elif kind == _HANDSHAKE:
            yield from self._messages(lane, plain)
        elif kind == _ALERT:
            _told(lane, plain)

    # --- handshake ----------------------------------------------------------------------------

    def _messages(self, lane: _Lane, octets: bytes) -> Iterator[bytes]:
        lane.handshake += octets
        while len(lane.handshake) >= 4:
            end = 4 + int.from_bytes(lane.handshake[1:4], "big")
            if len(lane.handshake) < end:
                return
            kind, body = lane.handshake[0], lane.handshake[4:end]
            lane.handshake = lane.handshake[end:]
            yield from self._message(lane, kind, body)

    def _message(self, lane: _Lane, kind: int, body: bytes) -> Iterator[bytes]:
        if kind == _CLIENT_HELLO and not self._random:
            self._random = body[2:34]
        elif kind == _SERVER_HELLO and body[2:34] != _RETRY:
            yield from self._chosen(body)
        elif kind == _FINISHED and self._tls13 and lane.shaking:
            lane.shaking, lane.opener = False, None
        elif kind == _KEY_UPDATE and self._tls13 and not lane.shaking:
            assert self._suite is not None
            lane.secret = self._suite.expand(lane.secret, "traffic upd", self._suite.hash_size)
            lane.opener = self._suite.opener13(lane.secret)

    def _chosen(self, body: bytes) -> Iterator[bytes]:
        """ServerHello: version, suite, and what has waited for them."""
        if len(body) < 38:
            raise UnreadableError("its ServerHello is cut short")
        self._server_random = body[2:34]
        at = 35 + body[34]
        code = int.from_bytes(body[at : at + 2], "big")
        extensions = _extensions(body[at + 5 :])
        self._tls13 = int.from_bytes(extensions.get(_SUPPORTED_VERSIONS, b""), "big") == _TLS13
        self._mac_last = _ENCRYPT_THEN_MAC in extensions
        self._suite = SUITES.get(code)
        if self._suite is None:
            raise UnreadableError(f"cipher suite {code:#06x} is not one that can be read here")
        for lane in self._lanes.values():
            early, lane.early = lane.early, []
            for record in early:
                yield from self._record(lane, record)

    # --- keys ---------------------------------------------------------------------------------

    def _key(self, lane: _Lane) -> None:
        assert self._suite is not None
        if self._tls13:
            lane.secret = self._secret(f"{lane.label}_{HANDSHAKE if lane.shaking else APPLICATION}")
            lane.opener = self._suite.opener13(lane.secret)
        else:
            seed = self._server_random + self._random
            lane.opener = self._suite.opener12(
                self._secret(MASTER), seed, client=lane.label == "CLIENT", mac_last=self._mac_last
            )

    def _secret(self, label: str) -> bytes:
        secret = self._secrets.get(label, self._random)
        if secret is None:
            known = "no key log was given" if not len(self._secrets) else f"the key log has no {label} for it"
            raise UnreadableError(f"its messages are encrypted, and {known}")
        return secret


def _told(lane: _Lane, alert: bytes) -> None:
    """An alert: close_notify is an orderly end, any other one breaks the connection off."""
    if len(alert) == 2 and alert[1] != _CLOSE_NOTIFY:
        name = _ALERTS.get(alert[1], "of a kind of its own")
        raise UnreadableError(f"the {lane.label.lower()} ended it with alert {alert[1]}, {name}")


def _records(lane: _Lane) -> Iterator[Record]:
    """Whole records off the front of what a direction has sent."""
    while len(lane.octets) >= 5:
        header = lane.octets[:5]
        length = int.from_bytes(header[3:5], "big")
        if header[0] not in range(20, 25) or header[1] != 3 or length > MAX_RECORD:
            raise UnreadableError(f"no TLS record begins with {header.hex()}")
        if len(lane.octets) < 5 + length:
            return
        body, lane.octets = lane.octets[5 : 5 + length], lane.octets[5 + length :]
        yield Record(header[0], header, body)


def _extensions(octets: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at + 4 <= len(octets):
        kind, length = (
            int.from_bytes(octets[at : at + 2], "big"),
            int.from_bytes(octets[at + 2 : at + 4], "big"),
        )
        found[kind] = octets[at + 4 : at + 4 + length]
        at += 4 + length
    return found
