"""The second key of a certificate whose first one cannot agree on keys: X448 beside Ed448.

A provisioning certificate receives contract keys, and Ed448 only signs. So it carries an X448 key as well: its
alternate public key, a non-critical extension of X.509 whose value is a SubjectPublicKeyInfo [V2G20-2534].
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import x448
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from certs import reading
from certs.curves import ED448, curve_of
from certs.errors import CertsError
from certs.profiles import Profile, Usage

ALTERNATE_KEY: Final = x509.ObjectIdentifier("2.5.29.72")
"""subjectAltPublicKeyInfo."""
KEY_OCTETS: Final = 56
"""Of an X448 key, either half."""


def needed(profile: Profile, public_key: Any) -> bool:
    """Whether a certificate of this profile with this key has to carry an X448 key too."""
    return Usage.AGREEMENT in profile.demanded and curve_of(public_key) is ED448


def fresh(seed: str = "") -> x448.X448PrivateKey:
    """A key that agrees; it follows from `seed` where there is one, for simulations (see `Curve.seeded`)."""
    if not seed:
        return x448.X448PrivateKey.generate()
    return x448.X448PrivateKey.from_private_bytes(
        hashlib.shake_256(f"x448 {seed}".encode()).digest(KEY_OCTETS)
    )


def extension(public_key: x448.X448PublicKey) -> x509.UnrecognizedExtension:
    """The extension that carries a key."""
    info = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return x509.UnrecognizedExtension(ALTERNATE_KEY, info)


def public_key_of(found: x509.Certificate) -> x448.X448PublicKey | None:
    """The X448 key in a certificate, None where there is none; CertsError for one that cannot be used."""
    values = [each.value for each in found.extensions if each.oid == ALTERNATE_KEY]
    if not values:
        return None
    what = "alternate public key of the certificate"
    key = reading.guarded(what, lambda: load_der_public_key(values[0].public_bytes()))
    if not isinstance(key, x448.X448PublicKey):
        raise CertsError(what, f"{type(key).__name__}; wanted is an X448 key")
    return key


def objection(key: x448.X448PrivateKey | None, found: x509.Certificate) -> str:
    """Why a private key is not the one of a certificate's X448 key; empty: it is, or (None) none is at hand."""
    if key is None:
        return ""
    try:
        public_key = public_key_of(found)
    except CertsError as error:
        return str(error)
    if public_key is None:
        return "there is a key to agree with, and none in the certificate"
    return "" if key.public_key() == public_key else "the key to agree with is not the certificate's"
