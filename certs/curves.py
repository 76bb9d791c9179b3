"""The curves of ISO 15118 certificates, as data."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448

PrivateKey = ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey
"""A key that signs. Keys in hardware are of these types too, see `keys.HardwareKey`."""
PublicKey = ec.EllipticCurvePublicKey | ed448.Ed448PublicKey


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve. `digest` is the hash of its signatures, None where the algorithm brings its own.

    `coordinate` is the width of a coordinate, of r and of s in octets; 0 where there is none. `derive` makes a key of
    `seed` octets.
    """

    name: str
    generate: Callable[[], PrivateKey]
    digest: hashes.SHA256 | hashes.SHA512 | None
    signature_oid: str
    coordinate: int
    seed: int
    derive: Callable[[bytes], PrivateKey]

    def seeded(self, seed: str) -> Curve:
        """The same curve, whose keys follow from `seed`: for simulations. Who knows the seed knows the keys."""
        numbers = itertools.count()

        def generate() -> PrivateKey:
            label = f"{self.name} {seed} {next(numbers)}".encode()
            return self.derive(hashlib.shake_256(label).digest(self.seed))

        return replace(self, generate=generate)


def _point(curve: ec.EllipticCurve) -> Callable[[bytes], PrivateKey]:
    return lambda seed: ec.derive_private_key(1 + int.from_bytes(seed, "big"), curve)


SECP256R1: Final = Curve(
    "secp256r1",
    lambda: ec.generate_private_key(ec.SECP256R1()),
    hashes.SHA256(),
    "1.2.840.10045.4.3.2",  # ecdsa-with-SHA256
    32,
    31,  # fewer than the order has
    _point(ec.SECP256R1()),
)
SECP521R1: Final = Curve(
    "secp521r1",
    lambda: ec.generate_private_key(ec.SECP521R1()),
    hashes.SHA512(),
    "1.2.840.10045.4.3.4",  # ecdsa-with-SHA512
    66,
    65,  # fewer than the order has
    _point(ec.SECP521R1()),
)
ED448: Final = Curve(
    "ed448",
    ed448.Ed448PrivateKey.generate,
    None,
    "1.3.101.113",
    0,
    57,
    ed448.Ed448PrivateKey.from_private_bytes,
)

CURVES: Final = MappingProxyType({curve.name: curve for curve in (SECP521R1, ED448, SECP256R1)})


def curve_of(key: Any) -> Curve | None:
    """The curve of a public or private key; None for every other kind of key."""
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        return CURVES.get(key.curve.name)
    return ED448 if isinstance(key, ed448.Ed448PublicKey | ed448.Ed448PrivateKey) else None
