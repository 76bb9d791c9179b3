"""What each protocol demands of TLS, as data (ISO 15118-20 clause 7.7.3, tables 5 to 8; ISO 15118-2 clause 7.7.3)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final


class Version(enum.IntEnum):
    """TLS versions by their number on the wire."""

    TLS12 = 0x0303
    TLS13 = 0x0304


@dataclass(frozen=True, slots=True)
class TlsProfile:
    """Ordered lists by the names of the TLS library; all are limits, nothing else is offered or accepted.

    `mutual`: the vehicle has to show a certificate.
    """

    name: str
    versions: tuple[Version, ...]
    tls13_suites: tuple[str, ...] = ()
    tls12_suites: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    signatures: tuple[str, ...] = ()
    mutual: bool = True


SUITES_20: Final = ("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
"""[V2G20-2458] [V2G20-2459] in this order; AES-128-GCM is not among them."""

ISO20: Final = TlsProfile(
    "iso15118-20",
    (Version.TLS13,),
    tls13_suites=SUITES_20,
    groups=("secp521r1", "X448"),
    signatures=("ecdsa_secp521r1_sha512", "ed448"),
)
"""TLS 1.3, mutual, both curve families [V2G20-2674]."""

ISO2: Final = TlsProfile(
    "iso15118-2",
    (Version.TLS12,),
    tls12_suites=("ECDHE-ECDSA-AES128-SHA256",),
    groups=("prime256v1",),
    signatures=("ecdsa_secp256r1_sha256",),
    mutual=False,
)
"""TLS 1.2, the station alone shows a certificate. Static ECDH, the other suite of the standard, is gone from TLS libraries."""

POST_QUANTUM: Final = TlsProfile(
    "iso15118-20 with a post-quantum group",
    (Version.TLS13,),
    tls13_suites=SUITES_20,
    groups=("X25519MLKEM768", "secp521r1", "X448"),
    signatures=("ecdsa_secp521r1_sha512", "ed448"),
)
"""An experiment outside the standard: a hybrid group first. Peers of the plain profile still find secp521r1."""

LAB_P256: Final = TlsProfile(
    "laboratory, TLS 1.3 with P-256",
    (Version.TLS13,),
    tls13_suites=SUITES_20,
    groups=("secp521r1", "X448", "prime256v1"),
    signatures=("ecdsa_secp521r1_sha512", "ed448", "ecdsa_secp256r1_sha256"),
)
"""Not conforming: for peers whose ISO 15118-20 certificates are on secp256r1."""
