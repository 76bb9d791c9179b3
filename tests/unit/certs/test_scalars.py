"""Keys on Ed448 of which only the scalar is known: they sign as the keys they came from, and nobody gets them out."""

from __future__ import annotations

import copy
import hashlib
import random
import sys

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed448
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certs import issue, keys
from certs.curves import ED448, curve_of
from certs.errors import CertsError
from certs.keys import FileKeyStore, MemoryKeyStore, Signer
from certs.profiles import Role
from certs.scalars import ScalarEd448Key, scalar_of
from tests.unit.certs.made import pki


def pair(seed):
    """A key of a seed, and the one of its scalar."""
    whole = ed448.Ed448PrivateKey.from_private_bytes(random.Random(seed).randbytes(57))
    return whole, ScalarEd448Key(scalar_of(whole))


@pytest.mark.req("V2G20-2480")
def test_the_scalar_is_the_pruned_hash_read_from_its_other_end():
    whole, _ = pair(1)
    digest = bytearray(hashlib.shake_256(whole.private_bytes_raw()).digest(114)[:57])
    digest[0] &= 0xFC
    digest[55] |= 0x80
    digest[56] = 0
    number = int.from_bytes(digest, "little")
    assert scalar_of(whole) == number.to_bytes(56, "big")


@pytest.mark.parametrize("seed", range(25))
def test_it_has_the_public_key_of_the_seed_and_its_signatures_hold(seed):
    whole, key = pair(seed)
    assert key.public_key() == whole.public_key()
    message = random.Random(seed).randbytes(seed * 7)
    signature = key.sign(message)
    whole.public_key().verify(signature, message)
    assert len(signature) == 114
    with pytest.raises(InvalidSignature):
        whole.public_key().verify(signature, message + b"x")


def test_with_the_nonces_of_the_seed_it_signs_octet_for_octet_as_the_library():
    """Nothing but the origin of the nonces differs from RFC 8032."""
    for seed in range(10):
        whole, key = pair(seed)
        assert key.sign(b"message") != whole.sign(b"message")
        key._prefix = hashlib.shake_256(whole.private_bytes_raw()).digest(114)[57:]
        assert key.sign(b"message") == whole.sign(b"message")


def test_signatures_follow_from_key_and_content():
    (_, first), (_, again), (_, other) = pair(1), pair(1), pair(2)
    assert first.sign(b"a") == again.sign(b"a") == Signer(again).sign_message(b"a")
    assert len({first.sign(b"a"), first.sign(b"b"), other.sign(b"a")}) == 3
    nonces = {first.sign(bytes([n]))[:57] for n in range(50)}
    assert len(nonces) == 50, "one nonce for two messages gives the key away"


def test_it_is_a_key_like_any_other(tmp_path):
    whole, key = pair(3)
    assert curve_of(key) is ED448
    assert key is copy.copy(key) is copy.deepcopy(key)
    assert issue.read_request(issue.request(issue.name("x"), key)).public_key() == whole.public_key()
    identity = pki(curve="ed448").leaf(Role.CONTRACT, key=key)
    assert pki(curve="ed448").verdict(identity).ok
    store = MemoryKeyStore()
    store.store("contract", key)
    assert store.load("contract") is key


def test_no_file_can_hold_it_and_none_is_touched(tmp_path):
    _, key = pair(3)
    store = FileKeyStore(tmp_path / "keys", b"secret")
    identity = pki(curve="ed448").leaf(Role.CONTRACT, key=key)
    other = pki(curve="ed448").contract()
    other.write(tmp_path / "contract")
    before = {path: path.read_bytes() for path in (tmp_path / "contract").rglob("*") if path.is_file()}
    for keep in (
        lambda: keys.key_pem(key, b""),
        lambda: store.store("k", key),
        lambda: identity.write(tmp_path / "contract"),
        lambda: identity.write(tmp_path / "contract", unencrypted=True),
        key.private_bytes_raw,
        lambda: key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()),
        lambda: scalar_of(key),
    ):
        with pytest.raises(CertsError, match=r"a key file holds the seed.*fetch it again"):
            keep()
    assert store.names() == ()
    assert before == {path: path.read_bytes() for path in before}


def changed(scalar, at, octet):
    return scalar[:at] + bytes([octet]) + scalar[at + 1 :]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: b"",
        lambda s: s[1:],
        lambda s: s + b"\0",
        lambda s: b"\0" + s,
        lambda s: bytes(56),
        lambda s: b"\xff" * 56,
        lambda s: s[::-1],
        lambda s: changed(s, 0, s[0] & 0x7F),
        lambda s: changed(s, 55, s[55] | 1),
        lambda s: changed(s, 55, s[55] | 2),
    ],
)
def test_what_is_no_pruned_scalar_is_none(spoil):
    scalar = scalar_of(ed448.Ed448PrivateKey.from_private_bytes(bytes(57)))
    with pytest.raises(CertsError, match="not pruned") as caught:
        ScalarEd448Key(spoil(scalar))
    assert scalar.hex()[10:30] not in str(caught.value)


def test_it_never_shows():
    whole, key = pair(4)
    scalar = scalar_of(whole)
    number = int.from_bytes(scalar, "big")
    for text in (repr(key), str(key), f"{key}", repr([key]), repr(Signer(key))):
        for form in (str(number), f"{number:x}"[:20], scalar.hex()[20:60], key._prefix.hex()[:20]):
            assert form not in text
    assert repr(key) == "ScalarEd448Key(...)"


def test_without_the_extra_its_name_is_told(monkeypatch):
    whole, _ = pair(5)
    monkeypatch.setitem(sys.modules, "Crypto.PublicKey", None)
    with pytest.raises(CertsError, match=r"pycryptodome is not installed.*iso15118-stack\[x448\]"):
        ScalarEd448Key(scalar_of(whole))


def test_a_scalar_of_the_smallest_and_the_greatest_size():
    smallest = (1 << 447).to_bytes(56, "big")
    greatest = ((1 << 448) - 4).to_bytes(56, "big")
    for scalar in (smallest, greatest):
        key = ScalarEd448Key(scalar)
        key.public_key().verify(key.sign(b"m"), b"m")
