"""Contract keys on Ed448 on their way by X448: the scalar travels, and opens for one vehicle and one contract alone."""

from __future__ import annotations

import dataclasses
import random
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ed448, x448

from certs import contract
from certs.contract import Wrapped
from certs.curves import ED448
from certs.errors import CertsError
from certs.profiles import Role
from certs.scalars import ScalarEd448Key, scalar_of
from tests.unit.certs.made import pki
from tests.unit.certs.test_contract import PCID, damaged
from tests.unit.certs.test_secrets import told


def tree():
    return pki(curve="ed448")


@pytest.fixture
def sides():
    """A contract, and the car that it is for."""
    return tree().contract(), tree().provisioning()


def wrapped_for(car, made, key=None, **given):
    return contract.wrap_ed448(key or made.key, car.agreement.public_key(), PCID, made.leaf, **given)


def by_hand(car, made, payload):
    """56 octets of a sender with ideas of its own."""
    key_id = contract.subject_key_id(made.leaf)
    return contract.wrap_x448(payload, car.agreement.public_key(), PCID, key_id)


@pytest.mark.req("V2G20-2507")
def test_a_key_travels(sides):
    made, car = sides
    wrapped = wrapped_for(car, made)
    assert (len(wrapped.dh_public_key), len(wrapped.encrypted_key)) == (57, 84)
    found = contract.unwrap_ed448(wrapped, car.agreement, PCID, made.leaf)
    assert isinstance(found.key, ScalarEd448Key)
    assert found.aad == "key identifier"
    made.leaf.public_key().verify(found.key.sign(b"paid"), b"paid")
    assert "Key" not in repr(found)


def test_keys_of_any_seed_travel():
    """Scalars with whatever octets at their ends, and public keys of either sign."""
    car, rng, signs = tree().provisioning(), random.Random(448), set()
    for _ in range(40):
        key = ed448.Ed448PrivateKey.from_private_bytes(rng.randbytes(57))
        made = tree().leaf(Role.CONTRACT, key=key)
        found = contract.unwrap_ed448(wrapped_for(car, made), car.agreement, PCID, made.leaf)
        assert found.key.public_key() == key.public_key()
        signs.add(key.public_key().public_bytes_raw()[-1])
    assert signs == {0x00, 0x80}


@pytest.mark.parametrize("payload", [1 << 447, (1 << 447) + 4, (1 << 448) - 4, (1 << 447) + (0xFF << 8)])
def test_scalars_with_zeros_and_ones_at_their_ends_travel(payload):
    scalar = payload.to_bytes(56, "big")
    key, car = ScalarEd448Key(scalar), tree().provisioning()
    made = tree().leaf(Role.CONTRACT, key=key)
    found = contract.unwrap_ed448(by_hand(car, made, scalar), car.agreement, PCID, made.leaf)
    assert found.key.sign(b"m") == key.sign(b"m")


def test_nothing_is_used_twice_unless_it_is_given(sides):
    made, car = sides
    first, second = wrapped_for(car, made), wrapped_for(car, made)
    assert first.dh_public_key != second.dh_public_key
    assert first.encrypted_key[:12] != second.encrypted_key[:12]
    given = {"ephemeral": x448.X448PrivateKey.from_private_bytes(bytes(range(56))), "iv": bytes(12)}
    assert wrapped_for(car, made, **given) == wrapped_for(car, made, **given)


def test_another_vehicle_pcid_or_contract_cannot_open_it(sides):
    made, car = sides
    wrapped = wrapped_for(car, made)
    for receiver, pcid, leaf in (
        (tree().provisioning().agreement, PCID, made.leaf),
        (car.agreement, "WMXP00000000000029", made.leaf),
        (car.agreement, PCID, tree().contract().leaf),
    ):
        with pytest.raises(CertsError, match="another vehicle or contract"):
            contract.unwrap_ed448(wrapped, receiver, pcid, leaf)


def test_the_scalar_of_another_contract_is_discarded_and_not_quoted(sides):
    made, car = sides
    other = tree().contract()
    with pytest.raises(CertsError, match="does not belong to the contract certificate") as caught:
        contract.unwrap_ed448(wrapped_for(car, made, other.key), car.agreement, PCID, made.leaf)
    scalar = scalar_of(other.key)
    for form in (scalar.hex()[20:60], str(int.from_bytes(scalar, "big"))):
        assert form not in told(caught.value)
    on_p521 = pki().contract()
    with pytest.raises(CertsError, match="does not belong to the contract certificate"):
        contract.unwrap_ed448(wrapped_for(car, on_p521, other.key), car.agreement, PCID, on_p521.leaf)


@pytest.mark.req("V2G20-2480")
def test_other_readings_of_the_field_are_refused(sides):
    """Little-endian, unpruned, reduced, a piece of the seed: none of it is taken for a key."""
    made, car = sides
    scalar = scalar_of(made.key)
    number = int.from_bytes(scalar, "big")
    order = 2**446 - 13818066809895115352007386748515426880336692474882178609894547503885
    seed = made.key.private_bytes_raw()
    for payload in (
        scalar[::-1],
        (number % order).to_bytes(56, "big"),
        (number | 1).to_bytes(56, "big"),
        (number ^ (1 << 447)).to_bytes(56, "big"),
        bytes(56),
        seed[:56],
        seed[1:],
    ):
        with pytest.raises(CertsError, match=r"not pruned|does not belong"):
            contract.unwrap_ed448(by_hand(car, made, payload), car.agreement, PCID, made.leaf)


@pytest.mark.req("V2G20-2572")
def test_malformed_fields(sides):
    made, car = sides
    good = wrapped_for(car, made)
    point = good.dh_public_key
    points = (b"\x02" + point[1:], point[1:], point[:-1], point + b"\0", point.ljust(133, b"\0"), b"")
    for wrong in points:
        with pytest.raises(CertsError, match="57 octets that begin with 04"):
            contract.unwrap_ed448(Wrapped(wrong, good.encrypted_key), car.agreement, PCID, made.leaf)
    for low in (bytes(56), (1).to_bytes(56, "little"), (2**448 - 2**224 - 2).to_bytes(56, "little")):
        with pytest.raises(CertsError, match="DHPublicKey"):
            contract.unwrap_ed448(Wrapped(b"\x04" + low, good.encrypted_key), car.agreement, PCID, made.leaf)
    for length in (0, 12, 83, 85, 94):
        with pytest.raises(CertsError, match=f"{length} octets, wanted are 84"):
            contract.unwrap_ed448(Wrapped(point, bytes(length)), car.agreement, PCID, made.leaf)


def test_a_vehicle_with_a_key_of_low_order_gets_nothing(sides):
    made, _ = sides
    low = x448.X448PublicKey.from_public_bytes(bytes(56))
    with pytest.raises(CertsError, match="X448 key of the vehicle"):
        contract.wrap_ed448(made.key, low, PCID, made.leaf)


def test_damage_is_never_accepted(sides):
    made, car = sides
    rng, good = random.Random(4712), wrapped_for(car, made)
    for _ in range(80):
        with pytest.raises(CertsError):
            contract.unwrap_ed448(damaged(good, rng), car.agreement, PCID, made.leaf)
    tag = dataclasses.replace(
        good, encrypted_key=good.encrypted_key[:-1] + bytes([good.encrypted_key[-1] ^ 1])
    )
    with pytest.raises(CertsError, match="changed on its way"):
        contract.unwrap_ed448(tag, car.agreement, PCID, made.leaf)


@pytest.mark.req("V2G20-2492")
def test_forms_of_the_additional_data(sides):
    made, car = sides
    raw = contract.wrap_x448(scalar_of(made.key), car.agreement.public_key(), "", b"")  # none at all
    with pytest.raises(CertsError, match="another vehicle or contract"):
        contract.unwrap_ed448(raw, car.agreement, PCID, made.leaf)
    found = contract.unwrap_ed448(raw, car.agreement, PCID, made.leaf, lenient_aad=True)
    assert found.aad == "none"


def test_a_key_that_cannot_leave_is_not_wrapped(sides):
    made, car = sides
    found = contract.unwrap_ed448(wrapped_for(car, made), car.agreement, PCID, made.leaf)
    with pytest.raises(CertsError, match="only its scalar is known"):
        wrapped_for(car, made, found.key)


def test_without_the_extra_a_service_wraps_and_a_vehicle_says_what_it_lacks(sides, monkeypatch):
    made, car = sides
    monkeypatch.setitem(sys.modules, "Crypto.PublicKey", None)
    wrapped = wrapped_for(car, made, ED448.generate())
    with pytest.raises(CertsError, match=r"iso15118-stack\[x448\]"):
        contract.unwrap_ed448(wrapped, car.agreement, PCID, made.leaf)
