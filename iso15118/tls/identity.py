"""Who we are on a TLS connection, whom we trust, and which of our chains a vehicle can check."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from iso15118.tls.client_hello import BY_CERTIFICATE, BY_KEY, NAMED, ClientHello
from iso15118.tls.profile import ISO20, TlsProfile

ChainCheck = Callable[[tuple[bytes, ...]], str]
"""DER certificates of the peer, leaf first -> "" where accepted, else the reason in plain words.

A reason with an attribute `alert` (a number of TLS) decides what the peer is told; else that is bad_certificate.
"""
StatusCheck = Callable[[tuple[bytes, ...], bytes], str]
"""The peer's chain and its stapled OCSP response (empty: none) -> "" where accepted, else the reason."""


def accept_chain(chain: tuple[bytes, ...]) -> str:  # noqa: ARG001 - the signature of a check
    """Nothing beyond what the TLS library verifies: signatures up to a trusted root, validity."""
    return ""


def accept_status(chain: tuple[bytes, ...], response: bytes) -> str:  # noqa: ARG001
    """Take any OCSP answer, also none."""
    return ""


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate chain with its key. DER, leaf first, the root not among them.

    `key` is a private key of the `cryptography` package, `root` the DER name of the root the chain ends at, `status`
    the OCSP response stapled for the leaf (empty: none). `root_hashes` are further ways to name that root, see `hashes_of`.
    """

    chain: tuple[bytes, ...]
    key: Any = field(repr=False)
    root: bytes = b""
    status: bytes = b""
    profile: TlsProfile = ISO20
    root_hashes: frozenset[tuple[int, bytes]] = frozenset()


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Everything one side needs to open TLS connections.

    `identities` in order of preference; a vehicle uses the first, a station the first a vehicle can check.
    `roots` are DER certificates of trust anchors. `key_log` is told NSS key log lines; None is right outside a
    laboratory.
    """

    identities: tuple[Identity, ...]
    roots: tuple[bytes, ...]
    profiles: tuple[TlsProfile, ...] = (ISO20,)
    check_chain: ChainCheck = accept_chain
    check_status: StatusCheck = accept_status
    key_log: Callable[[str], None] | None = None
    handshake_s: float = 10.0


def choose(settings: TlsSettings, hello: ClientHello) -> Identity | None:
    """The identity to show this vehicle: of a profile it offers, ending at a root it names [V2G20-1007].

    Without a name that fits, the first of the right profile [V2G20-2378]; None where it offers no profile of ours.
    """
    usable = [i for i in settings.identities if i.profile in settings.profiles and _offered(i, hello)]
    # The newest protocol both speak: a vehicle that offers TLS 1.3 is not answered with 1.2.
    usable.sort(key=lambda i: -max(i.profile.versions))
    newest = [i for i in usable if i.profile.versions == usable[0].profile.versions]
    names = {name_key(name) for name in hello.authorities}
    names |= {name_key(entry.value) for entry in hello.trusted_ca if entry.kind == NAMED}
    hashes = {(entry.kind, entry.value) for entry in hello.trusted_ca}
    for identity in newest:
        if (identity.root and name_key(identity.root) in names) or identity.root_hashes & hashes:
            return identity
    return newest[0] if newest else None


def _offered(identity: Identity, hello: ClientHello) -> bool:
    return any(hello.offers(version) for version in identity.profile.versions)


def hashes_of(key: bytes, certificate: bytes) -> frozenset[tuple[int, bytes]]:
    """How trusted_ca_keys names a root besides its name: by its public key (the octets of the bit string), or as a whole."""
    return frozenset({(BY_KEY, _sha1(key)), (BY_CERTIFICATE, _sha1(certificate))})


def _sha1(octets: bytes) -> bytes:
    return hashlib.sha1(octets, usedforsecurity=False).digest()  # a name, no proof


def name_key(der: bytes) -> frozenset[tuple[bytes, bytes]]:
    """A distinguished name as a set of (attribute type, folded text): peers reorder and retype what they name.

    Empty where the octets are no Name.
    """
    try:
        pairs = []
        for relative in _parts(_content(der, 0x30)):
            for attribute in _parts(_content(relative, 0x31)):
                kind, value = list(_parts(_content(attribute, 0x30)))
                pairs.append((_content(kind, 0x06), b" ".join(_value(value).lower().split())))
        return frozenset(pairs)
    except (ValueError, IndexError):
        return frozenset()


def _content(der: bytes, tag: int) -> bytes:
    if der[0] != tag:
        raise ValueError("another type")
    return _value(der)


def _value(der: bytes) -> bytes:
    start, length = _header(der)
    return der[start : start + length]


def _header(der: bytes) -> tuple[int, int]:
    """Where the value begins and how long it is."""
    length = der[1]
    if length < 0x80:
        start = 2
    else:
        count = length & 0x7F
        start, length = 2 + count, int.from_bytes(der[2 : 2 + count])
    if len(der) < start + length:
        raise ValueError("cut off")
    return start, length


def _parts(content: bytes) -> Iterator[bytes]:
    while content:
        start, length = _header(content)
        yield content[: start + length]
        content = content[start + length :]
