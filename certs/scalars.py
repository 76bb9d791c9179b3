"""Ed448 keys of which the scalar alone is known: what a contract key is that came by X448. An experiment.

An Ed448 private key is a seed of 57 octets, and the X448 form of a contract key carries 56. Its scalar fits exactly:
the first half of the seed's SHAKE256, pruned (RFC 8032 clause 5.2.5), has a 57th octet that is always zero. Nobody gets
back from the scalar to the seed, and `cryptography` signs with seeds alone: here the points are multiplied by
pycryptodome (extra `x448`), which is loaded when it is needed.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, NoReturn

from cryptography.hazmat.primitives.asymmetric import ed448

from certs.errors import CertsError

SCALAR_OCTETS: Final = 56
_POINT_OCTETS: Final = 57
"""Of an encoded point, of a seed, and of the half of a seed's hash that nonces come from."""
_HASH_OCTETS: Final = 2 * _POINT_OCTETS
_COFACTOR: Final = 4
_TOP_BIT: Final = 8 * SCALAR_OCTETS - 1
_ORDER: Final = 2**446 - 13818066809895115352007386748515426880336692474882178609894547503885
_BASE_X: Final = 0x4F1970C66BED0DED221D15A622BF36DA9E146570470F1767EA6DE324A3D3A46412AE1AF72AB66511433B80E18B00938E2626A82BC70CC05E
_BASE_Y: Final = 0x693F46716EB6BC248876203756C9C7624BEA73736CA3984087789C1E05A0C2D73AD3FF1CE67C39C4FDBD132C4ED7C8AD9808795BF230FA14
"""Order and base point (RFC 8032 clause 5.2)."""
_DOMAIN: Final = b"SigEd448\0\0"
"""Plain Ed448 without a context."""
_PREFIX_LABEL: Final = b"iso15118-20 contract key by X448: nonce prefix\0"


class ScalarEd448Key(ed448.Ed448PrivateKey):
    """An Ed448 key made of its scalar (56 octets, big-endian); CertsError unless it is a pruned one.

    It signs as RFC 8032 says. What nonces come from is the second half of the seed's hash there; it did not travel with
    the scalar, so it follows from the scalar here: equal content gives equal signatures.
    """

    def __init__(self, scalar: bytes) -> None:
        number = int.from_bytes(scalar, "big")
        if len(scalar) != SCALAR_OCTETS or number % _COFACTOR or not number >> _TOP_BIT:
            raise CertsError("contract key", "it is no scalar of Ed448: wrong length, or not pruned")
        self._scalar = number
        self._prefix = hashlib.shake_256(_PREFIX_LABEL + scalar).digest(_POINT_OCTETS)
        self._public = _times_base(number)

    def public_key(self) -> ed448.Ed448PublicKey:
        """The public half."""
        return ed448.Ed448PublicKey.from_public_bytes(self._public)

    def sign(self, data: Any) -> bytes:
        """An Ed448 signature over the data (114 octets)."""
        message = bytes(data)
        nonce = _number(_DOMAIN, self._prefix, message)
        # Twice the order more changes no point, and gives every nonce the same length.
        commitment = _times_base(nonce + 2 * _ORDER)
        challenge = _number(_DOMAIN, commitment, self._public, message)
        response = (nonce + challenge * self._scalar) % _ORDER
        return commitment + response.to_bytes(_POINT_OCTETS, "little")

    def private_bytes(self, *_: object) -> NoReturn:
        """Not offered."""
        self._refuse()

    def private_bytes_raw(self) -> NoReturn:
        """Not offered."""
        self._refuse()

    @staticmethod
    def _refuse() -> NoReturn:
        raise CertsError(
            "Ed448 key",
            "only its scalar is known, and a key file holds the seed, which does not follow from it",
            next_step="Keep the contract in memory and fetch it again when it is gone",
        )

    def __repr__(self) -> str:
        return "ScalarEd448Key(...)"

    def __copy__(self) -> ScalarEd448Key:
        return self

    def __deepcopy__(self, _: dict[int, Any]) -> ScalarEd448Key:
        return self


def scalar_of(key: ed448.Ed448PrivateKey) -> bytes:
    """The scalar of a key (56 octets), big-endian as all integers are [V2G20-2480]; CertsError where no seed is at hand."""
    pruned = bytearray(hashlib.shake_256(key.private_bytes_raw()).digest(SCALAR_OCTETS))
    pruned[0] &= 0x100 - _COFACTOR
    pruned[-1] |= 0x80
    return bytes(reversed(pruned))


def demand_library() -> Any:
    """The module that multiplies points; CertsError where it is not installed."""
    try:
        from Crypto.PublicKey import ECC
    except ImportError:
        raise CertsError(
            "contracts on Ed448", "pycryptodome is not installed", next_step="Install iso15118-stack[x448]"
        ) from None
    return ECC


def _times_base(factor: int) -> bytes:
    """A multiple of the base point, encoded: y little-endian, and above it whether x is odd."""
    point = demand_library().EccPoint(_BASE_X, _BASE_Y, "Ed448") * factor
    return (int(point.y) | (int(point.x) & 1) << (8 * _POINT_OCTETS - 1)).to_bytes(_POINT_OCTETS, "little")


def _number(*parts: bytes) -> int:
    """A number below the order, drawn by hashing."""
    digest = hashlib.shake_256(b"".join(parts)).digest(_HASH_OCTETS)
    return int.from_bytes(digest, "little") % _ORDER
