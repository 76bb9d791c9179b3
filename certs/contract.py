"""Contract keys on their way to the vehicle: wrapped for its provisioning key, unwrapped and checked there.

ISO 15118-2 encrypts with AES-CBC, which proves nothing: only the comparison with the contract certificate tells
whether the key is right. ISO 15118-20 encrypts with AES-GCM and binds PCID and certificate as additional data. Here
both compare before anything is returned. Ephemeral keys and initialization vectors are fresh unless the caller gives them.
Keys on Ed448 are an experiment: no other implementation has them, see `wrap_ed448`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, x448
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from certs import reading
from certs.agreement import KEY_OCTETS
from certs.curves import PrivateKey
from certs.errors import CertsError
from certs.scalars import SCALAR_OCTETS, ScalarEd448Key, scalar_of

OTHER_INFO: Final = b"\x01\x55\x56"
"""Algorithm identifier 1, parties U and V: the same in both protocols ([V2G2-818], [V2G20-2535])."""
ISO2_FIELD: Final = 48
ISO20_FIELD: Final = 94
X448_FIELD: Final = 84
"""Octets of the encrypted key: vector, content and, in ISO 15118-20, the tag [V2G20-2497]."""
_P256: Final = 32
_P521: Final = 66
_CBC_IV: Final = 16
_GCM_IV: Final = 12


@dataclass(frozen=True, slots=True)
class Wrapped:
    """What goes into the response: the sender's ephemeral public key, and the encrypted private key."""

    dh_public_key: bytes
    encrypted_key: bytes


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """A contract key that fits its certificate. `aad` names the form of additional data that matched."""

    key: PrivateKey
    aad: str = ""

    def __repr__(self) -> str:
        return f"Unwrapped(aad={self.aad!r})"


# --- ISO 15118-2 -----------------------------------------------------------------------------------


def wrap_iso2(
    contract_key: ec.EllipticCurvePrivateKey,
    receiver: ec.EllipticCurvePublicKey,
    *,
    ephemeral: ec.EllipticCurvePrivateKey | None = None,
    iv: bytes | None = None,
) -> Wrapped:
    """Encrypt a contract key for a vehicle: secp256r1, AES-128-CBC without padding."""
    _demand_curve(contract_key, "secp256r1")
    _demand_curve(receiver, "secp256r1")
    ephemeral = ephemeral or ec.generate_private_key(ec.SECP256R1())
    iv = os.urandom(_CBC_IV) if iv is None else iv
    session_key = _derive(ephemeral.exchange(ec.ECDH(), receiver), hashes.SHA256(), 16)
    encryptor = Cipher(algorithms.AES(session_key), modes.CBC(iv)).encryptor()
    return Wrapped(
        _point(ephemeral), iv + encryptor.update(_scalar(contract_key, _P256)) + encryptor.finalize()
    )


def unwrap_iso2(
    wrapped: Wrapped, receiver: ec.EllipticCurvePrivateKey, contract: x509.Certificate
) -> Unwrapped:
    """The contract key, in a vehicle that has the `receiver` key; CertsError unless it fits the contract certificate.

    `receiver` is the provisioning key, or at an update the key of the old contract.
    """
    _demand_length(wrapped.encrypted_key, ISO2_FIELD)
    _demand_curve(receiver, "secp256r1")
    peer = _peer(wrapped.dh_public_key, ec.SECP256R1())
    session_key = _derive(receiver.exchange(ec.ECDH(), peer), hashes.SHA256(), 16)
    iv, content = wrapped.encrypted_key[:_CBC_IV], wrapped.encrypted_key[_CBC_IV:]
    decryptor = Cipher(algorithms.AES(session_key), modes.CBC(iv)).decryptor()
    return Unwrapped(_fitting(decryptor.update(content) + decryptor.finalize(), ec.SECP256R1(), contract))


# --- ISO 15118-20 ----------------------------------------------------------------------------------


def additional_data(pcid: str, key_id: bytes) -> bytes:
    """PCID and the contract certificate's subject key identifier, both as upper-case text [V2G20-2492]."""
    return (pcid.upper().replace("-", "") + key_id.hex().upper()).encode("ascii")


def wrap_iso20(
    contract_key: ec.EllipticCurvePrivateKey,
    receiver: ec.EllipticCurvePublicKey,
    pcid: str,
    contract: x509.Certificate,
    *,
    ephemeral: ec.EllipticCurvePrivateKey | None = None,
    iv: bytes | None = None,
) -> Wrapped:
    """Encrypt a contract key for the vehicle of a PCID: secp521r1, AES-256-GCM."""
    _demand_curve(contract_key, "secp521r1")
    _demand_curve(receiver, "secp521r1")
    ephemeral = ephemeral or ec.generate_private_key(ec.SECP521R1())
    iv = os.urandom(_GCM_IV) if iv is None else iv
    session_key = _derive(ephemeral.exchange(ec.ECDH(), receiver), hashes.SHA512(), 32)
    aad = additional_data(pcid, subject_key_id(contract))
    return Wrapped(_point(ephemeral), iv + AESGCM(session_key).encrypt(iv, _scalar(contract_key, _P521), aad))


def unwrap_iso20(
    wrapped: Wrapped,
    receiver: ec.EllipticCurvePrivateKey,
    pcid: str,
    contract: x509.Certificate,
    *,
    lenient_aad: bool = False,
) -> Unwrapped:
    """The contract key, in a vehicle that has the provisioning key `receiver`; CertsError unless all of it fits.

    The text of the standard leaves two readings of the additional data, both are tried. `lenient_aad` also takes what
    some laboratories send: the raw key identifier, or none at all.
    """
    _demand_length(wrapped.encrypted_key, ISO20_FIELD)
    _demand_curve(receiver, "secp521r1")
    peer = _peer(wrapped.dh_public_key, ec.SECP521R1())
    session_key = _derive(receiver.exchange(ec.ECDH(), peer), hashes.SHA512(), 32)
    forms = _aad_forms(pcid, subject_key_id(contract), lenient=lenient_aad)
    form, scalar = _opened(session_key, wrapped.encrypted_key, forms)
    return Unwrapped(_fitting(scalar, ec.SECP521R1(), contract), form)


def _opened(session_key: bytes, field: bytes, forms: Iterator[tuple[str, bytes]]) -> tuple[str, bytes]:
    """The form of additional data that matches, and what was encrypted with it."""
    for form, aad in forms:
        try:
            return form, AESGCM(session_key).decrypt(field[:_GCM_IV], field[_GCM_IV:], aad)
        except InvalidTag:
            continue
    raise CertsError(
        "contract key",
        "it was encrypted for another vehicle or contract, or was changed on its way",
        next_step="Discard the response; the contract has to be provisioned again",
    )


def _aad_forms(pcid: str, key_id: bytes, *, lenient: bool) -> Iterator[tuple[str, bytes]]:
    yield "key identifier", additional_data(pcid, key_id)
    if len(key_id) > 8:
        yield "last 8 octets of the key identifier", additional_data(pcid, key_id[-8:])
    if lenient:
        yield "raw key identifier", pcid.upper().encode("ascii") + key_id
        yield "none", b""


def subject_key_id(certificate: x509.Certificate) -> bytes:
    """A certificate's subject key identifier; CertsError where it has none."""
    found = reading.extension(certificate, x509.SubjectKeyIdentifier)
    if found is None:
        raise CertsError(
            "contract certificate", "it has no subject key identifier, which the key is bound to"
        )
    return found.value.digest


# --- ISO 15118-20, keys on Ed448: an experiment ----------------------------------------------------


def wrap_ed448(
    contract_key: ed448.Ed448PrivateKey,
    receiver: x448.X448PublicKey,
    pcid: str,
    contract: x509.Certificate,
    *,
    ephemeral: x448.X448PrivateKey | None = None,
    iv: bytes | None = None,
) -> Wrapped:
    """Encrypt a contract key on Ed448 for the vehicle of a PCID, whose X448 key agrees. Experimental.

    A private key has 57 octets and the field carries 56. The reading taken here: what travels is the scalar, pruned, in
    the byte order of all integers. It fits exactly, and "scalar times base point is the contract's public key" can then be
    checked as the standard has it [V2G20-2507].
    """
    scalar, key_id = scalar_of(contract_key), subject_key_id(contract)
    return wrap_x448(scalar, receiver, pcid, key_id, ephemeral=ephemeral, iv=iv)


def unwrap_ed448(
    wrapped: Wrapped,
    receiver: x448.X448PrivateKey,
    pcid: str,
    contract: x509.Certificate,
    *,
    lenient_aad: bool = False,
) -> Unwrapped:
    """The contract key, in a vehicle that has the X448 key `receiver`; CertsError unless all of it fits. Experimental.

    Read as `wrap_ed448` writes it; `lenient_aad` as in `unwrap_iso20`. Also CertsError where the extra `x448` is missing.
    """
    forms = _aad_forms(pcid, subject_key_id(contract), lenient=lenient_aad)
    form, scalar = _opened(_x448_session_key(wrapped, receiver), wrapped.encrypted_key, forms)
    key = ScalarEd448Key(scalar)
    if key.public_key() != contract.public_key():
        _unfit("it does not belong to the contract certificate")
    return Unwrapped(key, form)


def wrap_x448(
    payload: bytes,
    receiver: x448.X448PublicKey,
    pcid: str,
    key_id: bytes,
    *,
    ephemeral: x448.X448PrivateKey | None = None,
    iv: bytes | None = None,
) -> Wrapped:
    """Encrypt 56 octets for a vehicle with an X448 key: the transport alone, see `wrap_ed448` for what it carries."""
    _demand_length(payload, SCALAR_OCTETS)
    ephemeral = ephemeral or x448.X448PrivateKey.generate()
    iv = os.urandom(_GCM_IV) if iv is None else iv
    # A receiver of low order has no secret in common with anybody, which the library finds out here.
    shared = reading.guarded("X448 key of the vehicle", lambda: ephemeral.exchange(receiver))
    session_key = _derive(shared, hashes.SHA512(), 32)
    public = b"\x04" + ephemeral.public_key().public_bytes_raw()
    return Wrapped(public, iv + AESGCM(session_key).encrypt(iv, payload, additional_data(pcid, key_id)))


def unwrap_x448(wrapped: Wrapped, receiver: x448.X448PrivateKey, pcid: str, key_id: bytes) -> bytes:
    """The 56 octets sent to an X448 key; CertsError where they were meant for another vehicle or changed.

    The transport alone: the octets are returned as they are, and compared with no certificate.
    """
    forms = _aad_forms(pcid, key_id, lenient=False)
    return _opened(_x448_session_key(wrapped, receiver), wrapped.encrypted_key, forms)[1]


def _x448_session_key(wrapped: Wrapped, receiver: x448.X448PrivateKey) -> bytes:
    _demand_length(wrapped.encrypted_key, X448_FIELD)
    if len(wrapped.dh_public_key) != 1 + KEY_OCTETS or wrapped.dh_public_key[0] != 4:
        raise CertsError("DHPublicKey", "an X448 key is 57 octets that begin with 04")
    peer = x448.X448PublicKey.from_public_bytes(wrapped.dh_public_key[1:])
    shared = reading.guarded("DHPublicKey", lambda: receiver.exchange(peer))
    return _derive(shared, hashes.SHA512(), 32)


# --- what both share -------------------------------------------------------------------------------


def _derive(shared: bytes, algorithm: hashes.HashAlgorithm, length: int) -> bytes:
    return ConcatKDFHash(algorithm, length, OTHER_INFO).derive(shared)


def _fitting(
    scalar: bytes, curve: ec.EllipticCurve, contract: x509.Certificate
) -> ec.EllipticCurvePrivateKey:
    """The key of a scalar: in range, padding bits zero [V2G20-2678], the one of the certificate [V2G20-2507]."""
    value = int.from_bytes(scalar, "big")
    if value.bit_length() > curve.key_size:
        _unfit("its padding bits are not zero")
    try:
        key = ec.derive_private_key(value, curve)
    except ValueError:
        key = None
    if key is None:
        _unfit("it is no number of the curve")
    if key.public_key() != contract.public_key():
        _unfit("it does not belong to the contract certificate")
    return key


def _unfit(cause: str) -> NoReturn:
    raise CertsError(
        "contract key",
        cause,
        next_step="Discard the whole response; the sender encrypted for another key or curve",
    ) from None


def _peer(octets: bytes, curve: ec.EllipticCurve) -> ec.EllipticCurvePublicKey:
    """The sender's ephemeral public key: an uncompressed point of the curve [V2G20-2572]."""
    width = (curve.key_size + 7) // 8
    if len(octets) != 1 + 2 * width or octets[0] != 4:
        raise CertsError(
            "DHPublicKey", f"{len(octets)} octets; wanted: 04 and {2 * width} octets of coordinates"
        )
    return reading.guarded("DHPublicKey", lambda: ec.EllipticCurvePublicKey.from_encoded_point(curve, octets))


def _point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _scalar(key: ec.EllipticCurvePrivateKey, width: int) -> bytes:
    """Fixed width: one in two secp521r1 keys, one in 256 others begins with a zero octet."""
    return key.private_numbers().private_value.to_bytes(width, "big")


def _demand_length(field: bytes, wanted: int) -> None:
    if len(field) != wanted:
        raise CertsError("encrypted contract key", f"{len(field)} octets, wanted are {wanted}")


def _demand_curve(key: Any, wanted: str) -> None:
    curve = getattr(key, "curve", None)
    if curve is None or curve.name != wanted:
        raise CertsError("key", f"not on {wanted}, which this protocol wants")
