"""Keys in memory, in files, and in hardware that only signs."""

from __future__ import annotations

import copy
import dataclasses
import stat

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certs import contract, issue, keys
from certs.curves import CURVES, ED448, SECP256R1, SECP521R1, curve_of
from certs.errors import CertsError
from certs.keys import FileKeyStore, HardwareEd448Key, HardwareKey, MemoryKeyStore, Signer
from certs.profiles import Role
from tests.unit.certs.made import AT, pki

PASSPHRASE = b"correct horse"


@pytest.fixture(params=["memory", "file", "unencrypted file"])
def store(request, tmp_path):
    if request.param == "memory":
        return MemoryKeyStore()
    if request.param == "file":
        return FileKeyStore(tmp_path / "keys", PASSPHRASE)
    return FileKeyStore(tmp_path / "keys", unencrypted=True)


@pytest.mark.parametrize("curve", CURVES.values(), ids=lambda c: c.name)
def test_a_store_keeps_keys(store, curve):
    assert store.names() == ()
    made = store.generate("secc", curve)
    assert curve_of(made) is curve
    assert store.names() == ("secc",)
    assert store.load("secc").public_key() == made.public_key()
    with pytest.raises(CertsError, match="there is one already"):
        store.generate("secc", curve)
    other = curve.generate()
    store.store("secc", other)
    assert store.load("secc").public_key() == other.public_key()
    store.delete("secc")
    assert store.names() == ()
    for use in (store.load, store.delete):
        with pytest.raises(CertsError, match="not in this store"):
            use("secc")


def test_names_stay_in_the_store(store):
    for name in ("../secc", "", ".hidden", "a/b", "x" * 65):
        with pytest.raises(CertsError):
            store.generate(name, SECP256R1)
        with pytest.raises(CertsError):
            store.store(name, SECP256R1.generate())
        with pytest.raises(CertsError):
            store.load(name)


def test_files_are_encrypted_and_private(tmp_path):
    store = FileKeyStore(tmp_path / "keys", PASSPHRASE)
    store.generate("secc", SECP521R1)
    (path,) = (tmp_path / "keys").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert b"ENCRYPTED PRIVATE KEY" in path.read_bytes()
    for wrong, match in ((b"wrong", "passphrase is wrong"), (b"", "there is no passphrase")):
        with pytest.raises(CertsError, match=match):
            keys.read_key(path, wrong)


def test_saving_in_the_clear_has_to_be_said(tmp_path):
    with pytest.raises(CertsError, match="unencrypted=True"):
        FileKeyStore(tmp_path)
    with pytest.raises(CertsError, match="unencrypted=True"):
        FileKeyStore(tmp_path, PASSPHRASE, unencrypted=True)
    store = FileKeyStore(tmp_path, unencrypted=True)
    store.generate("secc", SECP256R1)
    path = tmp_path / "secc.key.pem"
    path.chmod(0o644)
    with pytest.raises(CertsError, match="chmod 600"):
        store.load("secc")


def test_files_that_are_no_keys(tmp_path):
    store = FileKeyStore(tmp_path, PASSPHRASE)
    path = tmp_path / "x.key.pem"
    foreign = rsa.generate_private_key(65537, 2048)
    rsa_pem = foreign.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for text, match in (
        (b"", "cannot be read"),
        (
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "wrong or the file",
        ),
        (bytes(20_000), "more than 16384"),
        (rsa_pem, "of no curve"),
    ):
        keys.write_private(path, text)
        with pytest.raises(CertsError, match=match):
            store.load("x")
    path.unlink()
    path.mkdir()
    with pytest.raises(CertsError, match="directory"):
        store.load("x")


def test_passphrase_files(tmp_path):
    path = tmp_path / "passphrase"
    keys.write_private(path, b"secret\nmore\n")
    assert keys.read_passphrase(path) == b"secret"
    path.chmod(0o640)
    with pytest.raises(CertsError, match="others may read it"):
        keys.read_passphrase(path)
    keys.write_private(path, b"\n")
    with pytest.raises(CertsError, match="empty"):
        keys.read_passphrase(path)
    with pytest.raises(CertsError, match="No such file"):
        keys.read_passphrase(tmp_path / "nowhere")
    with pytest.raises(CertsError, match="No such file"):
        keys.write_private(tmp_path / "nowhere" / "x", b"")


# --- signatures of messages ------------------------------------------------------------------------


def digest(curve, octets):
    hashing = hashes.Hash(curve.digest)
    hashing.update(octets)
    return hashing.finalize()


@pytest.mark.parametrize("curve", [SECP256R1, SECP521R1], ids=lambda c: c.name)
def test_raw_signatures_have_a_fixed_width(curve):
    key = curve.generate()
    for number in range(24):
        octets = bytes([number])
        raw = Signer(key).sign_digest(digest(curve, octets))
        assert len(raw) == 2 * curve.coordinate
        r, s = (
            int.from_bytes(raw[: curve.coordinate], "big"),
            int.from_bytes(raw[curve.coordinate :], "big"),
        )
        der = keys.encode_dss_signature(r, s)
        key.public_key().verify(der, octets, ec.ECDSA(curve.digest))


def test_ed448_signs_messages():
    key = ED448.generate()
    key.public_key().verify(Signer(key).sign_message(b"hello"), b"hello")
    with pytest.raises(CertsError, match="not digests"):
        Signer(key).sign_digest(bytes(64))
    with pytest.raises(CertsError, match="not messages"):
        Signer(SECP521R1.generate()).sign_message(b"hello")


# --- keys in hardware, played by keys in software --------------------------------------------------


def in_hardware(curve):
    """A key that can be used and not be had."""
    inside = curve.generate()
    if curve is ED448:
        return HardwareEd448Key(inside.public_key(), inside.sign)

    def exchange(point):
        return inside.exchange(
            ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(inside.curve, point)
        ).lstrip(b"\0")

    return HardwareKey(inside.public_key(), Signer(inside).sign_digest, exchange)


@pytest.mark.parametrize("curve", CURVES.values(), ids=lambda c: c.name)
def test_hardware_keys_are_certified_and_sign(curve):
    key = in_hardware(curve)
    assert issue.read_request(issue.request(issue.name("x"), key)).public_key() == key.public_key()
    tree = pki("iso15118-2" if curve is SECP256R1 else "iso15118-20", curve.name)
    identity = tree.leaf(Role.SECC, key=key)
    assert tree.verdict(identity).ok
    authority = dataclasses.replace(tree.authorities[Role.CPO_SUB_2], key=key)
    assert authority.key is copy.deepcopy(key) is copy.copy(key)
    if curve.coordinate:
        raw = Signer(key).sign_digest(digest(curve, b"m"))
        assert len(raw) == 2 * curve.coordinate
        assert decode_dss_signature(key.sign(b"m", ec.ECDSA(curve.digest)))
    else:
        assert len(Signer(key).sign_message(b"m")) == 114


def test_hardware_keys_unwrap_contracts():
    tree = pki()
    key = in_hardware(SECP521R1)
    car = tree.leaf(Role.PROVISIONING, key=key)
    made = tree.contract()
    for _ in range(4):
        wrapped = contract.wrap_iso20(made.key, car.leaf.public_key(), "WMXP00000000000010", made.leaf)
        found = contract.unwrap_iso20(wrapped, key, "WMXP00000000000010", made.leaf)
        assert found.key.public_key() == made.leaf.public_key()


@pytest.mark.parametrize("curve", [SECP521R1, ED448], ids=lambda c: c.name)
def test_hardware_keys_do_not_leave(curve, tmp_path):
    key = in_hardware(curve)
    assert not keys.can_leave(key)
    assert keys.can_leave(curve.generate())
    for export in (lambda: keys.key_pem(key, b""), lambda: FileKeyStore(tmp_path, b"x").store("k", key)):
        with pytest.raises(CertsError, match="cannot leave its hardware"):
            export()
    other = key.private_numbers if curve is SECP521R1 else key.private_bytes_raw
    with pytest.raises(CertsError, match="cannot leave"):
        other()


def test_hardware_without_key_agreement():
    inside = SECP521R1.generate()
    key = HardwareKey(inside.public_key(), Signer(inside).sign_digest)
    with pytest.raises(CertsError, match="no key agreement"):
        key.exchange(ec.ECDH(), inside.public_key())


def test_a_fresh_key_asks_for_nothing_but_a_time():
    assert pki().leaf(Role.SECC, at=AT).leaf.not_valid_before_utc < AT
