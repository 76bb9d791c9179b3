"""Contract keys: what is wrapped for one vehicle and one contract opens for no other."""

from __future__ import annotations

import dataclasses
import random

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x448
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

from certs import contract
from certs.contract import Wrapped
from certs.errors import CertsError
from tests.unit.certs.made import pki

PCID = "WMXP00000000000010"


@pytest.fixture
def modern():
    tree = pki()
    return tree.contract(), tree.provisioning()


@pytest.fixture
def older():
    tree = pki("iso15118-2")
    return tree.contract(), tree.provisioning()


def test_a_key_travels(modern, older):
    made, car = modern
    wrapped = contract.wrap_iso20(made.key, car.leaf.public_key(), PCID, made.leaf)
    assert (len(wrapped.dh_public_key), len(wrapped.encrypted_key)) == (133, 94)
    assert contract.unwrap_iso20(wrapped, car.key, PCID, made.leaf).key.public_key() == made.leaf.public_key()
    made, car = older
    wrapped = contract.wrap_iso2(made.key, car.leaf.public_key())
    assert (len(wrapped.dh_public_key), len(wrapped.encrypted_key)) == (65, 48)
    assert contract.unwrap_iso2(wrapped, car.key, made.leaf).key.public_key() == made.leaf.public_key()


def test_nothing_is_used_twice(modern):
    made, car = modern
    wrap = lambda: contract.wrap_iso20(made.key, car.leaf.public_key(), PCID, made.leaf)  # noqa: E731
    first, second = wrap(), wrap()
    assert first.dh_public_key != second.dh_public_key
    assert first.encrypted_key[:12] != second.encrypted_key[:12]


def test_another_vehicle_pcid_or_contract_cannot_open_it(modern):
    made, car = modern
    other = pki().provisioning()
    wrapped = contract.wrap_iso20(made.key, car.leaf.public_key(), PCID, made.leaf)
    for receiver, pcid, certificate in (
        (other.key, PCID, made.leaf),
        (car.key, "WMXP00000000000029", made.leaf),
        (car.key, PCID, pki().contract().leaf),
    ):
        with pytest.raises(CertsError, match="another vehicle or contract"):
            contract.unwrap_iso20(wrapped, receiver, pcid, certificate)


def test_the_key_of_another_certificate_is_discarded(modern, older):
    """Right vehicle, right additional data, but the key inside is not the contract's."""
    made, car = modern
    wrapped = contract.wrap_iso20(pki().contract().key, car.leaf.public_key(), PCID, made.leaf)
    with pytest.raises(CertsError, match="does not belong to the contract certificate"):
        contract.unwrap_iso20(wrapped, car.key, PCID, made.leaf)
    made, car = older
    wrapped = contract.wrap_iso2(pki("iso15118-2").contract().key, car.leaf.public_key())
    with pytest.raises(CertsError, match="does not belong"):
        contract.unwrap_iso2(wrapped, car.key, made.leaf)


@pytest.mark.req("V2G20-2572")
def test_malformed_fields(modern):
    made, car = modern
    good = contract.wrap_iso20(made.key, car.leaf.public_key(), PCID, made.leaf)
    point = good.dh_public_key
    for wrong, match in (
        (b"\x02" + point[1:], "wanted: 04"),
        (point[:-1], "132 octets"),
        (point + b"\0", "134 octets"),
        (b"", "0 octets"),
        (b"\x04" + bytes(132), "DHPublicKey"),
        (point[:-1] + bytes([point[-1] ^ 1]), "DHPublicKey"),  # not on the curve
    ):
        with pytest.raises(CertsError, match=match):
            contract.unwrap_iso20(Wrapped(wrong, good.encrypted_key), car.key, PCID, made.leaf)
    for length in (0, 12, 93, 95):
        with pytest.raises(CertsError, match=f"{length} octets, wanted are 94"):
            contract.unwrap_iso20(Wrapped(point, bytes(length)), car.key, PCID, made.leaf)


def test_damage_is_never_accepted(modern, older):
    rng = random.Random(4711)
    made, car = modern
    good = contract.wrap_iso20(made.key, car.leaf.public_key(), PCID, made.leaf)
    for _ in range(60):
        with pytest.raises(CertsError):
            contract.unwrap_iso20(damaged(good, rng), car.key, PCID, made.leaf)
    made, car = older
    good = contract.wrap_iso2(made.key, car.leaf.public_key())
    for _ in range(60):
        with pytest.raises(CertsError):
            contract.unwrap_iso2(damaged(good, rng), car.key, made.leaf)


def damaged(good, rng):
    """One bit of one field flipped."""
    field = rng.choice(("dh_public_key", "encrypted_key"))
    octets = bytearray(getattr(good, field))
    octets[rng.randrange(len(octets))] ^= 1 << rng.randrange(8)
    return dataclasses.replace(good, **{field: bytes(octets)})


def by_hand(made, car, aad):
    """A wrapped key as a peer with its own idea of the additional data makes it."""
    ephemeral = ec.generate_private_key(ec.SECP521R1())
    shared = ephemeral.exchange(ec.ECDH(), car.leaf.public_key())
    key = ConcatKDFHash(hashes.SHA512(), 32, contract.OTHER_INFO).derive(shared)
    scalar = made.key.private_numbers().private_value.to_bytes(66, "big")
    numbers = ephemeral.public_key().public_numbers()
    point = b"\x04" + numbers.x.to_bytes(66, "big") + numbers.y.to_bytes(66, "big")
    return Wrapped(point, bytes(12) + AESGCM(key).encrypt(bytes(12), scalar, aad))


@pytest.mark.req("V2G20-2492")
def test_forms_of_the_additional_data(modern):
    _, car = modern
    made = pki("iso15118-20").contract()
    key_id = contract.subject_key_id(made.leaf)
    assert len(key_id) == 8
    raw, none = by_hand(made, car, PCID.encode() + key_id), by_hand(made, car, b"")
    for wrapped, form in ((raw, "raw key identifier"), (none, "none")):
        with pytest.raises(CertsError, match="another vehicle or contract"):
            contract.unwrap_iso20(wrapped, car.key, PCID, made.leaf)
        found = contract.unwrap_iso20(wrapped, car.key, PCID, made.leaf, lenient_aad=True)
        assert found.aad == form
    # PCIDs are compared as text: case and separators do not count.
    wrapped = contract.wrap_iso20(made.key, car.leaf.public_key(), "wmx-p-00000000000010", made.leaf)
    assert contract.unwrap_iso20(wrapped, car.key, PCID, made.leaf).aad == "key identifier"


def test_the_tail_of_a_long_key_identifier(modern):
    _, car = modern
    made = pki("iso15118-2").contract()  # 20 octets; its curve is another, so the key cannot fit
    key_id = contract.subject_key_id(made.leaf)
    assert len(key_id) == 20
    modern_contract = pki().contract()
    wrapped = by_hand(modern_contract, car, contract.additional_data(PCID, key_id[-8:]))
    with pytest.raises(CertsError, match="does not belong"):  # it opened: only the comparison failed
        contract.unwrap_iso20(wrapped, car.key, PCID, made.leaf)


def test_keys_of_another_curve(modern, older):
    made, car = modern
    old_made, old_car = older
    with pytest.raises(CertsError, match="not on secp521r1"):
        contract.wrap_iso20(old_made.key, car.leaf.public_key(), PCID, made.leaf)
    with pytest.raises(CertsError, match="not on secp256r1"):
        contract.wrap_iso2(old_made.key, car.leaf.public_key())
    with pytest.raises(CertsError, match="not on secp521r1"):
        contract.unwrap_iso20(Wrapped(bytes(133), bytes(94)), old_car.key, PCID, made.leaf)


def test_x448(modern):
    car, other = x448.X448PrivateKey.generate(), x448.X448PrivateKey.generate()
    payload = bytes(range(56))
    wrapped = contract.wrap_x448(payload, car.public_key(), PCID, b"12345678")
    assert (len(wrapped.dh_public_key), len(wrapped.encrypted_key)) == (57, 84)
    assert contract.unwrap_x448(wrapped, car, PCID, b"12345678") == payload
    for receiver, pcid in ((other, PCID), (car, "WMXP00000000000029")):
        with pytest.raises(CertsError, match="another vehicle"):
            contract.unwrap_x448(wrapped, receiver, pcid, b"12345678")
    for point in (b"\x05" + wrapped.dh_public_key[1:], wrapped.dh_public_key[:-1], b"\x04" + bytes(56)):
        with pytest.raises(CertsError, match="DHPublicKey"):
            contract.unwrap_x448(Wrapped(point, wrapped.encrypted_key), car, PCID, b"12345678")
    with pytest.raises(CertsError, match="wanted are 56"):
        contract.wrap_x448(b"short", car.public_key(), PCID, b"12345678")
