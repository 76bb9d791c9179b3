"""Signature and digest algorithms by protocol and curve, as data (ISO 15118-20 [V2G20-2473] to [V2G20-2476])."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

CANONICAL_EXI: Final = "http://www.w3.org/TR/canonical-exi/"


class SigningKey(Protocol):
    """A private key that signs, wherever it is kept. `certs.Signer` is one."""

    def sign_digest(self, digest: bytes) -> bytes:
        """ECDSA over a digest: r || s, each as wide as the curve's order."""

    def sign_message(self, message: bytes) -> bytes:
        """EdDSA over the message itself."""


@dataclass(frozen=True, slots=True)
class Algorithms:
    """One way to sign. `curve` is the name of the key's curve.

    `hash` is what ECDSA signs, `coordinate` the octets of r and of s; both are empty for EdDSA.
    """

    name: str
    signature_uri: str
    digest_uri: str
    digest: Callable[[bytes], bytes]
    curve: str
    hash: hashes.SHA256 | hashes.SHA512 | None = None
    coordinate: int = 0

    def sign(self, key: SigningKey, octets: bytes) -> bytes:
        """The SignatureValue over `octets`."""
        return key.sign_message(octets) if self.hash is None else key.sign_digest(self.digest(octets))

    def fits(self, public_key: Any) -> bool:
        """Whether a public key is on the curve of these algorithms."""
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            return public_key.curve.name == self.curve
        return isinstance(public_key, ed448.Ed448PublicKey) and self.curve == "ed448"

    def verifies(self, public_key: Any, signature: bytes, octets: bytes) -> bool:
        """Whether `signature` over `octets` is right; False for every malformed one."""
        try:
            if self.hash is None:
                public_key.verify(signature, octets)
            else:
                public_key.verify(
                    self._as_der(signature), self.digest(octets), ec.ECDSA(Prehashed(self.hash))
                )
        except (InvalidSignature, ValueError):
            return False
        return True

    def _as_der(self, signature: bytes) -> bytes:
        """Fixed-width r || s [V2G20-1000] in the form the library takes; ValueError where it is not that."""
        if len(signature) != 2 * self.coordinate:
            raise ValueError(f"{len(signature)} octets")
        r = int.from_bytes(signature[: self.coordinate])
        s = int.from_bytes(signature[self.coordinate :])
        return encode_dss_signature(r, s)


def _sha256(octets: bytes) -> bytes:
    return hashlib.sha256(octets).digest()


def _sha512(octets: bytes) -> bytes:
    return hashlib.sha512(octets).digest()


def _shake256(octets: bytes) -> bytes:
    """64 octets: the standard does not name the length; this is what implementations use."""
    return hashlib.shake_256(octets).digest(64)


ISO20_P521: Final = Algorithms(
    "ecdsa-sha512",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
    "http://www.w3.org/2001/04/xmlenc#sha512",
    _sha512,
    "secp521r1",
    hashes.SHA512(),
    66,
)
ISO20_ED448: Final = Algorithms(
    "ed448",
    "urn:iso:std:iso:15118:-20:Security:xmldsig#Ed448",
    "urn:iso:std:iso:15118:-20:Security:xmlenc#SHAKE256",
    _shake256,
    "ed448",
)
ISO2_P256: Final = Algorithms(
    "ecdsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    "http://www.w3.org/2001/04/xmlenc#sha256",
    _sha256,
    "secp256r1",
    hashes.SHA256(),
    32,
)

ISO20: Final = (ISO20_P521, ISO20_ED448)
ISO2: Final = (ISO2_P256,)
ISO20_AND_P256: Final = (*ISO20, ISO2_P256)
"""For peers that know nothing but SHA-256 on P-256, also in ISO 15118-20 (`Quirk.P256_SIGNATURES`)."""


def for_key(public_key: Any, allowed: tuple[Algorithms, ...]) -> Algorithms | None:
    """The allowed algorithms of this key's curve; None where there are none."""
    return next((each for each in allowed if each.fits(public_key)), None)
