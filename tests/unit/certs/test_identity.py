"""Identities on disk: written as a station or a car uses them, read back, and refused in plain words."""

from __future__ import annotations

import dataclasses
import stat

import pytest

from certs import directory
from certs.chain import Evidence
from certs.errors import CertsError
from certs.identity import Identity
from certs.keys import HardwareKey, Signer
from certs.pki import TestPki
from certs.profiles import Role
from certs.reasons import Reason
from tests.unit.certs.made import AT, DAY, KINDS, pki


@pytest.mark.parametrize(("protocol", "curve"), KINDS)
def test_a_written_pki_is_read_back_and_issues_more(protocol, curve, tmp_path):
    tree = pki(protocol, curve)
    tree.write(tmp_path / "pki")
    again = TestPki.load(tmp_path / "pki", AT + 10 * DAY)
    assert (again.rules, again.curve, again.organisation) == (tree.rules, tree.curve, "Test")
    assert again.roots == tree.roots
    for folder in directory.identities(tmp_path / "pki"):
        identity = Identity.load(folder)
        assert folder.name == identity.role.value
        assert tree.verdict(identity).ok
    fresh = again.secc()
    assert again.verdict(fresh).ok
    assert tree.verdict(fresh, AT + 10 * DAY).ok
    with pytest.raises(CertsError, match="there is one already"):
        tree.write(tmp_path / "pki")


def test_the_layout(tmp_path):
    pki().write(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["ca", "contract", "cps", "pki.toml", "provisioning", "roots", "secc", "vehicle"]
    assert sorted(path.name for path in (tmp_path / "secc").iterdir()) == [
        "chain.pem",
        "identity.toml",
        "key.pem",
        "ocsp.der",
        "passphrase",
        "roots",
    ]
    assert sorted(path.name for path in (tmp_path / "secc" / "roots").iterdir()) == [
        "mo-root.pem",
        "oem-root.pem",
        "v2g-root.pem",
    ]
    assert [path.name for path in (tmp_path / "vehicle" / "roots").iterdir()] == ["v2g-root.pem"]
    assert len(list((tmp_path / "ca").iterdir())) == 13


def test_secrets_on_disk_are_private_and_keys_encrypted(tmp_path):
    pki().write(tmp_path)
    keys = list(tmp_path.rglob("key.pem"))
    passphrases = list(tmp_path.rglob("passphrase"))
    assert len(keys) == len(passphrases) == 18
    for path in (*keys, *passphrases):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert all(b"ENCRYPTED" in path.read_bytes() for path in keys)
    assert len({path.read_bytes() for path in passphrases}) == 18


def test_keys_in_the_clear_have_to_be_asked_for(tmp_path):
    secc = pki().secc()
    secc.write(tmp_path)
    secc.write(tmp_path, unencrypted=True)
    assert not (tmp_path / "passphrase").exists()
    assert b"ENCRYPTED" not in (tmp_path / "key.pem").read_bytes()
    assert Identity.load(tmp_path).chain == secc.chain


def test_an_identity_comes_back_as_it_was(tmp_path):
    secc = pki().secc()
    secc.write(tmp_path)
    found = Identity.load(tmp_path)
    assert (found.role, found.chain, found.status, found.rules) == (
        Role.SECC,
        secc.chain,
        secc.status,
        secc.rules,
    )
    assert found.roots == secc.roots
    assert found.key.public_key() == secc.leaf.public_key()
    assert found.roots_for(Role.VEHICLE) == (*secc.roots[Role.OEM_ROOT], *secc.roots[Role.V2G_ROOT])
    assert found.roots_for(Role.CONTRACT) == (*secc.roots[Role.MO_ROOT], *secc.roots[Role.V2G_ROOT])


def test_the_passphrase_may_be_elsewhere(tmp_path):
    pki().secc().write(tmp_path / "secc")
    (tmp_path / "secc" / "passphrase").rename(tmp_path / "credential")
    assert Identity.load(tmp_path / "secc", passphrase_file=tmp_path / "credential")
    with pytest.raises(CertsError, match="there is no passphrase"):
        Identity.load(tmp_path / "secc")


def test_a_key_in_hardware_is_given(tmp_path):
    inside = pki().curve.generate()
    key = HardwareKey(inside.public_key(), Signer(inside).sign_digest)
    identity = pki().leaf(Role.SECC, key=key)
    identity.write(tmp_path)
    assert not (tmp_path / "key.pem").exists()
    assert pki().verdict(Identity.load(tmp_path, key=key)).ok


def spoil(path, text):
    path.write_bytes(text)


@pytest.mark.parametrize(
    ("file", "text", "match"),
    [
        ("chain.pem", b"", "chain.pem"),
        ("chain.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "chain.pem"),
        ("key.pem", b"no key", "key.pem: it cannot be read"),
        ("passphrase", b"wrong\n", "passphrase is wrong"),
        ("identity.toml", b"role = [", "identity.toml"),
        ("identity.toml", b'role = "king"\nprotocol = "iso15118-20"', "role 'king'"),
        ("identity.toml", b'role = "secc"\nprotocol = "x"', "protocol 'x'"),
        ("identity.toml", b"\xff", "identity.toml"),
        ("roots/v2g-root.pem", b"?", "v2g-root.pem"),
        ("ocsp.der", bytes(20_000), "ocsp.der: more than"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, file, text, match):
    pki().secc().write(tmp_path)
    spoil(tmp_path / file, text)
    with pytest.raises(CertsError, match=match):
        Identity.load(tmp_path)


def test_roots_have_a_class(tmp_path):
    pki().secc().write(tmp_path)
    (tmp_path / "roots" / "v2g-root.pem").rename(tmp_path / "roots" / "my.pem")
    with pytest.raises(CertsError, match="role 'my'"):
        Identity.load(tmp_path)


def test_key_and_chain_of_two_issuings(tmp_path):
    pki().secc().write(tmp_path / "a")
    pki().secc().write(tmp_path / "b", unencrypted=True)
    (tmp_path / "b" / "key.pem").replace(tmp_path / "a" / "key.pem")
    with pytest.raises(CertsError, match="does not belong to the first certificate"):
        Identity.load(tmp_path / "a")
    swapped = pki().secc(defect="swapped-key")
    assert pki().verdict(swapped).refusal.reason is Reason.KEY_MISMATCH


def test_a_directory_that_is_none(tmp_path):
    with pytest.raises(CertsError, match=r"identity\.toml"):
        Identity.load(tmp_path)
    with pytest.raises(CertsError, match="pki init"):
        TestPki.load(tmp_path, AT)
    assert list(directory.identities(tmp_path / "nowhere")) == []


def test_evidence_can_replace_the_staple():
    tree = pki()
    secc = tree.secc().with_status(b"")
    roots = tree.roots[Role.V2G_ROOT]
    assert secc.check(roots, AT).refusal.reason is Reason.STATUS_UNKNOWN
    assert secc.check(roots, AT, evidence=Evidence(crls=(tree.crl(Role.SECC, (), AT),))).ok
    assert dataclasses.replace(secc, status=tree.status(secc, AT)).check(roots, AT).ok
