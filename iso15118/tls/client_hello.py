"""Reads a ClientHello before the TLS library does: versions, CA names and what else decides which chain is shown.

Sizes are limited, nothing is trusted, and whatever is malformed is a TlsError with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from iso15118.tls.errors import TlsError

MAX_SIZE: Final = 16_384
MAX_EXTENSIONS: Final = 64
_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_V2GTP: Final = b"\x01\xfe"

MAX_FRAGMENT_LENGTH: Final = 1
TRUSTED_CA_KEYS: Final = 3
STATUS_REQUEST: Final = 5
SUPPORTED_GROUPS: Final = 10
SIGNATURE_ALGORITHMS: Final = 13
STATUS_REQUEST_V2: Final = 17
SUPPORTED_VERSIONS: Final = 43
CERTIFICATE_AUTHORITIES: Final = 47


BY_KEY: Final = 1
NAMED: Final = 2
BY_CERTIFICATE: Final = 3
"""How an entry of trusted_ca_keys names a root (RFC 6066, 6): SHA-1 of its key, its name, SHA-1 of all of it."""


@dataclass(frozen=True, slots=True)
class TrustedCa:
    """One entry of trusted_ca_keys; kind 0 is pre-agreed and names nothing."""

    kind: int
    value: bytes = b""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a vehicle offers. Numbers as on the wire, in its order of preference.

    `authorities` are the DER names it trusts (RFC 8446, 4.2.4), `trusted_ca` what it names in TLS 1.2.
    """

    legacy_version: int
    suites: tuple[int, ...]
    extensions: dict[int, bytes]
    versions: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    signatures: tuple[int, ...] = ()
    authorities: tuple[bytes, ...] = ()
    trusted_ca: tuple[TrustedCa, ...] = ()
    max_fragment_length: int | None = None

    def offers(self, version: int) -> bool:
        """Whether this TLS version is offered (without the extension: by the legacy field)."""
        return version in self.versions if self.versions else version == self.legacy_version

    @property
    def wants_status(self) -> bool:
        """Whether it asks for OCSP responses (status_request or its second version)."""
        return STATUS_REQUEST in self.extensions or STATUS_REQUEST_V2 in self.extensions


def read(octets: bytes) -> ClientHello | None:
    """The ClientHello at the start of a connection; None while it is incomplete. TlsError if it is none.

    Handshake messages may span records; at most MAX_SIZE octets are looked at.
    """
    message = _handshake(octets)
    if message is None:
        return None
    body = _Reader(message, "ClientHello")
    legacy = body.number(2)
    body.take(32)
    body.vector(1)
    suites = _numbers(body.vector(2), "cipher suites")
    body.vector(1)
    extensions: dict[int, bytes] = {}
    if body.left:
        for kind, content in _extensions(body.vector(2)):
            if kind in extensions:
                raise TlsError(f"ClientHello: extension {kind} stands twice")
            extensions[kind] = content
    if body.left:
        raise TlsError("ClientHello: octets after the extensions")
    return ClientHello(
        legacy,
        suites,
        extensions,
        versions=_numbers(_list(extensions, SUPPORTED_VERSIONS, 1), "supported_versions"),
        groups=_numbers(_list(extensions, SUPPORTED_GROUPS), "supported_groups"),
        signatures=_numbers(_list(extensions, SIGNATURE_ALGORITHMS), "signature_algorithms"),
        authorities=tuple(_each(_list(extensions, CERTIFICATE_AUTHORITIES))),
        trusted_ca=tuple(_trusted(_list(extensions, TRUSTED_CA_KEYS))),
        max_fragment_length=_fragment_length(extensions.get(MAX_FRAGMENT_LENGTH)),
    )


def _list(extensions: dict[int, bytes], kind: int, size: int = 2) -> bytes:
    """The list that fills an extension, its length in `size` octets; empty where the extension is absent."""
    if kind not in extensions:
        return b""
    reader = _Reader(extensions[kind], f"extension {kind}")
    content = reader.vector(size)
    if reader.left:
        raise TlsError(f"extension {kind}: octets after the list", remote=True)
    return content


def _handshake(octets: bytes) -> bytes | None:
    """The body of the first handshake message, put together from its records."""
    if octets[:2] == _V2GTP[: len(octets[:2])] and octets:
        raise TlsError(
            "the vehicle speaks V2GTP in the clear where TLS is required",
            remote=True,
            next_step="It was told to use TLS in discovery; allow plain TCP only in a laboratory",
        )
    gathered, position = b"", 0
    while True:
        if len(octets) - position < 5:
            _check_type(octets[position : position + 1])
            return None
        _check_type(octets[position : position + 1])
        length = int.from_bytes(octets[position + 3 : position + 5])
        if octets[position + 1] != 3 or not 0 < length <= MAX_SIZE:
            raise TlsError("not a TLS record", remote=True)
        fragment = octets[position + 5 : position + 5 + length]
        gathered += fragment
        if (body := _complete(gathered)) is not None:
            return body
        if len(fragment) < length:
            return None
        position += 5 + length


def _check_type(first: bytes) -> None:
    if first and first[0] != _HANDSHAKE:
        raise TlsError(f"the connection does not begin with a TLS handshake (type {first[0]})", remote=True)


def _complete(gathered: bytes) -> bytes | None:
    if gathered and gathered[0] != _CLIENT_HELLO:
        raise TlsError(f"the handshake begins with message {gathered[0]}, not with ClientHello", remote=True)
    if len(gathered) < 4:
        return None
    length = int.from_bytes(gathered[1:4])
    if length > MAX_SIZE:
        raise TlsError(f"a ClientHello of {length} octets is too long", remote=True)
    return gathered[4 : 4 + length] if len(gathered) >= 4 + length else None


class _Reader:
    """Takes fields off the front; anything missing is a TlsError."""

    def __init__(self, octets: bytes, what: str) -> None:
        self._octets, self._at, self._what = octets, 0, what

    @property
    def left(self) -> int:
        return len(self._octets) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise TlsError(f"{self._what} ends in the middle of a field", remote=True)
        self._at += count
        return self._octets[self._at - count : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def vector(self, size: int) -> bytes:
        """A field with its length in front."""
        return self.take(self.number(size))


def _numbers(octets: bytes, what: str) -> tuple[int, ...]:
    if len(octets) % 2:
        raise TlsError(f"{what}: an odd number of octets", remote=True)
    return tuple(int.from_bytes(octets[i : i + 2]) for i in range(0, len(octets), 2))


def _extensions(octets: bytes) -> Iterator[tuple[int, bytes]]:
    reader = _Reader(octets, "extensions")
    for _ in range(MAX_EXTENSIONS):
        if not reader.left:
            return
        yield reader.number(2), reader.vector(2)
    raise TlsError(f"ClientHello: more than {MAX_EXTENSIONS} extensions", remote=True)


def _each(content: bytes) -> Iterator[bytes]:
    names = _Reader(content, "certificate_authorities")
    while names.left:
        yield names.vector(2)


def _trusted(content: bytes) -> Iterator[TrustedCa]:
    entries = _Reader(content, "trusted_ca_keys")
    while entries.left:
        kind = entries.number(1)
        if kind == 0:
            yield TrustedCa(0)
        elif kind in (1, 3):
            yield TrustedCa(kind, entries.take(20))
        elif kind == 2:
            yield TrustedCa(2, entries.vector(2))
        else:
            raise TlsError(f"trusted_ca_keys: unknown kind {kind}", remote=True)


def _fragment_length(content: bytes | None) -> int | None:
    if content is None:
        return None
    if len(content) != 1 or content[0] not in (1, 2, 3, 4):
        raise TlsError("max_fragment_length: not one of the four codes", remote=True)
    return int(256 << content[0])
