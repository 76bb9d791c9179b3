"""The X448 key of a provisioning certificate on Ed448: issued, accepted, read back, kept; and what strangers make of it."""

from __future__ import annotations

import dataclasses
import random
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import UnrecognizedExtension

from certs import agreement, keys, reading
from certs.chain import validate
from certs.curves import ED448, SECP521R1
from certs.errors import CertsError
from certs.identity import Identity
from certs.issue import sign
from certs.keys import HardwareEd448Key
from certs.pki import EXAMPLES, TestPki
from certs.profiles import Role
from certs.reasons import Reason
from tests.unit.certs.made import AT, KINDS, pki
from tests.unit.certs.test_fuzz import mutations


def tree():
    return pki(curve="ed448")


def info(public_key):
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def carrying(value, *, critical=False, role=Role.PROVISIONING):
    """A leaf whose extension holds these octets."""
    making = tree()._making(role, EXAMPLES[role], None, AT)
    extra = ((UnrecognizedExtension(agreement.ALTERNATE_KEY, value), critical),)
    return sign(making.but(alternate=None, extra=extra).draft, making.issuer)


# --- issuing --------------------------------------------------------------------------------------


@pytest.mark.req("V2G20-2534")
def test_a_provisioning_certificate_on_ed448_has_an_x448_key_that_anybody_can_read():
    made = tree().provisioning()
    (found,) = [each for each in made.leaf.extensions if each.oid.dotted_string == "2.5.29.72"]
    assert not found.critical
    assert found.value.public_bytes() == info(made.agreement.public_key())
    assert b"\x06\x03\x2b\x65\x6f" in found.value.public_bytes()  # 1.3.101.111
    assert agreement.public_key_of(made.leaf) == made.agreement.public_key()
    assert len(made.chain[0]) <= 1600
    assert tree().verdict(made).ok
    assert "agreement" not in repr(made)


@pytest.mark.parametrize(("protocol", "curve"), KINDS)
@pytest.mark.parametrize("role", [Role.SECC, Role.PROVISIONING, Role.CONTRACT, Role.CPS])
def test_no_other_certificate_has_one(protocol, curve, role):
    made = pki(protocol, curve).leaf(role)
    wanted = curve == "ed448" and role is Role.PROVISIONING
    assert (made.agreement is not None) == wanted
    assert (agreement.public_key_of(made.leaf) is not None) == wanted


def test_a_seed_gives_the_same_key_again_and_each_vehicle_its_own():
    first, again, other = (TestPki(AT, curve="ed448", seed=seed) for seed in ("a", "a", "b"))
    octets = lambda pki, pcid="": pki.provisioning(pcid).agreement.private_bytes_raw()  # noqa: E731
    assert octets(first) == octets(again)
    assert len({octets(first), octets(other), octets(first, "WMX-P-0000000000002")}) == 3
    assert first.provisioning().chain == again.provisioning().chain


def test_a_key_in_hardware_gets_one_too():
    inside = ED448.generate()
    made = tree().leaf(Role.PROVISIONING, key=HardwareEd448Key(inside.public_key(), inside.sign))
    assert made.agreement is not None
    assert tree().leaf(Role.PROVISIONING, key=SECP521R1.generate()).agreement is None


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", "alternate public key"),
        (b"\x30\x00", "alternate public key"),
        (info(x448.X448PrivateKey.generate().public_key()) + b"\0", "alternate public key"),
        (info(x25519.X25519PrivateKey.generate().public_key()), "X25519PublicKey; wanted is an X448 key"),
        (info(ec.generate_private_key(ec.SECP521R1()).public_key()), "wanted is an X448 key"),
        (info(ED448.generate().public_key()), "wanted is an X448 key"),
        (bytes(600), "alternate public key"),
    ],
)
def test_another_kind_of_key_is_refused_with_a_reason(value, why):
    leaf = carrying(value)
    with pytest.raises(CertsError, match=why):
        agreement.public_key_of(leaf)
    assert agreement.objection(x448.X448PrivateKey.generate(), leaf)
    # What the certificate is for otherwise does not suffer.
    chain = (reading.der(leaf), *tree().provisioning().chain[1:])
    assert validate(chain, Role.PROVISIONING, tree().roots[Role.OEM_ROOT], AT).ok


def test_mutated_extensions_give_a_key_or_a_reason():
    rng = random.Random(2534)
    right = info(x448.X448PrivateKey.generate().public_key())
    refused = 0
    for changed in mutations(right, rng, 300):
        try:
            found = agreement.public_key_of(carrying(changed))
        except CertsError:
            refused += 1
        else:
            assert isinstance(found, x448.X448PublicKey)
            assert len(changed) == len(right)
    assert refused > 150


def test_a_critical_one_and_one_in_a_contract_are_refused():
    value = info(x448.X448PrivateKey.generate().public_key())
    for leaf, role, root, reason in (
        (carrying(value, critical=True), Role.PROVISIONING, Role.OEM_ROOT, Reason.CRITICAL_EXTENSION),
        (carrying(value, role=Role.CONTRACT), Role.CONTRACT, Role.MO_ROOT, Reason.EXTENSION),
    ):
        chain = (reading.der(leaf), *tree().leaf(role).chain[1:])
        assert validate(chain, role, tree().roots[root], AT).refusal.reason is reason


# --- on disk --------------------------------------------------------------------------------------


@pytest.mark.parametrize("unencrypted", [False, True])
def test_it_is_kept_beside_the_key_by_the_same_rules(tmp_path, unencrypted):
    made = tree().provisioning()
    made.write(tmp_path, unencrypted=unencrypted)
    file = tmp_path / "agreement.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (b"ENCRYPTED" in file.read_bytes()) is not unencrypted
    found = Identity.load(tmp_path)
    assert found.agreement.private_bytes_raw() == made.agreement.private_bytes_raw()
    assert tree().verdict(found).ok
    file.chmod(0o644)
    if unencrypted:
        with pytest.raises(CertsError, match="others may read it"):
            Identity.load(tmp_path)


def test_no_other_identity_has_the_file(tmp_path):
    tree().write(tmp_path / "pki")
    assert [path.parent.name for path in (tmp_path / "pki").rglob("agreement.pem")] == ["provisioning"]


def test_another_issuing_leaves_none_behind(tmp_path):
    tree().provisioning().write(tmp_path)
    pki().provisioning().write(tmp_path)
    assert not (tmp_path / "agreement.pem").exists()
    assert Identity.load(tmp_path).agreement is None


def test_without_it_the_identity_serves_for_all_else(tmp_path):
    tree().provisioning().write(tmp_path)
    (tmp_path / "agreement.pem").unlink()
    found = Identity.load(tmp_path)
    assert found.agreement is None
    assert tree().verdict(found).ok


def test_a_key_in_hardware_and_the_second_one_in_a_file(tmp_path):
    inside = ED448.generate()
    key = HardwareEd448Key(inside.public_key(), inside.sign)
    made = tree().leaf(Role.PROVISIONING, key=key)
    made.write(tmp_path)
    assert not (tmp_path / "key.pem").exists()
    found = Identity.load(tmp_path, key=key)
    assert found.agreement.public_key() == made.agreement.public_key()


def test_what_does_not_fit_is_told(tmp_path):
    made, other = tree().provisioning(), tree().provisioning()
    swapped = dataclasses.replace(made, agreement=other.agreement)
    refusal = tree().verdict(swapped).refusal
    assert refusal.reason is Reason.KEY_MISMATCH
    assert "not the certificate's" in str(refusal)
    swapped.write(tmp_path)
    with pytest.raises(CertsError, match=r"not the certificate's. Put agreement\.pem and chain\.pem"):
        Identity.load(tmp_path)
    astray = dataclasses.replace(pki().provisioning(), agreement=other.agreement)
    assert "none in the certificate" in str(pki().verdict(astray).refusal)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "it cannot be read"),
        (keys.key_pem(ED448.generate(), b""), "no X448 key"),
        (keys.key_pem(x448.X448PrivateKey.generate(), b"another"), "the passphrase is wrong"),
    ],
)
def test_a_file_that_holds_something_else_is_named(tmp_path, text, why):
    tree().provisioning().write(tmp_path)
    (tmp_path / "agreement.pem").write_bytes(text)
    with pytest.raises(CertsError, match=rf"agreement\.pem: {why}"):
        Identity.load(tmp_path)
