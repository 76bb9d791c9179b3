"""Issuing: what a certificate says, and the public face of the package."""

from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtensionOID, NameOID

import certs
from certs import issue, reading
from certs.chain import Mode, Policy, validate
from certs.curves import curve_of
from certs.errors import CertsError
from certs.issue import BACKDATED, Authority, draft, sign
from certs.profiles import ISO2, ISO20, LEAF_ROLES, PROTOCOLS, Role, Usage
from certs.reasons import Reason
from tests.unit.certs.made import AT, DAY, KINDS, pki

PROJECT = Path(__file__).parents[3]


@pytest.mark.parametrize(("protocol", "curve"), KINDS)
def test_certificates_say_what_their_profile_says(protocol, curve):
    tree = pki(protocol, curve)
    issued = {role: authority.certificate for role, authority in tree.authorities.items()}
    issued |= {role: tree.leaf(role).leaf for role in LEAF_ROLES if role in tree.rules.profiles}
    for role, certificate in issued.items():
        profile = tree.rules.profile(role)
        basic = reading.extension(certificate, x509.BasicConstraints)
        assert basic.critical
        assert (basic.value.ca, basic.value.path_length) == (profile.ca, profile.path_length)
        usage = reading.extension(certificate, x509.KeyUsage)
        assert usage.critical
        assert {
            u
            for u in Usage
            if u.value not in ("encipher_only", "decipher_only") and getattr(usage.value, u.value)
        } == profile.usage
        purposes = reading.extension(certificate, x509.ExtendedKeyUsage)
        assert (purposes is None) == (profile.extended is None)
        domains = [a.value for a in certificate.subject.get_attributes_for_oid(NameOID.DOMAIN_COMPONENT)]
        assert domains == ([profile.domain] if profile.domain else [])
        assert curve_of(certificate.public_key()) is tree.curve
        assert certificate.not_valid_before_utc == AT - BACKDATED
        assert certificate.not_valid_after_utc <= AT + profile.days * DAY


@pytest.mark.parametrize(("protocol", "curve"), KINDS)
def test_key_identifiers_link_a_chain(protocol, curve):
    tree = pki(protocol, curve)
    chain = [*tree.secc().certificates, tree.authorities[Role.V2G_ROOT].certificate]
    for lower, upper in zip(chain, [*chain[1:], chain[-1]], strict=True):
        authority = reading.extension(lower, x509.AuthorityKeyIdentifier).value
        assert authority.key_identifier == reading.extension(upper, x509.SubjectKeyIdentifier).value.digest
        assert authority.authority_cert_issuer is authority.authority_cert_serial_number is None
        assert len(authority.key_identifier) == (8 if tree.rules.short_key_id else 20)


def test_long_key_identifiers_are_those_of_the_library():
    public_key = pki("iso15118-2").secc().leaf.public_key()
    expected = x509.SubjectKeyIdentifier.from_public_key(public_key).digest
    assert issue.key_id(public_key, short=False) == expected
    short = issue.key_id(public_key, short=True)
    assert short[0] >> 4 == 4
    assert (short[0] & 0x0F, short[1:]) == (expected[12] & 0x0F, expected[13:])


def test_an_issuer_without_key_identifier_gets_one_computed():
    tree = pki()
    authority = tree.authorities[Role.CPO_SUB_2]
    bare = reading.certificate(without_key_id(tree, authority))
    leaf = sign(secc_draft(tree), Authority(bare, authority.key))
    named = reading.extension(leaf, x509.AuthorityKeyIdentifier).value.key_identifier
    assert named == issue.key_id(bare.public_key(), short=True)


def secc_draft(tree):
    key = tree.curve.generate()
    return draft(tree.rules.profile(Role.SECC), tree.rules, "x", key.public_key(), AT, "Test")


def without_key_id(tree, authority):
    builder = x509.CertificateBuilder(
        authority.certificate.subject,
        authority.certificate.subject,
        authority.certificate.public_key(),
        7,
        AT,
        AT + DAY,
        [],
    )
    return reading.der(builder.sign(authority.key, issue.digest_of(authority.key)))


def test_two_common_names_are_none():
    tree = pki()
    wanted = secc_draft(tree)
    two = x509.Name([*wanted.subject, x509.NameAttribute(NameOID.COMMON_NAME, "y")])
    authority = tree.authorities[Role.CPS_SUB_2]
    profile = tree.rules.profile(Role.CPS)
    key = tree.curve.generate()
    cps = draft(profile, tree.rules, "x", key.public_key(), AT, "Test")
    both = x509.Name([*two, x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "CPS")])
    leaf = sign(dataclasses.replace(cps, subject=both), authority)
    chain = [reading.der(each) for each in (leaf, *authority.shown)]
    verdict = validate(chain, Role.CPS, tree.roots[Role.V2G_ROOT], AT)
    assert verdict.refusal.reason is Reason.SUBJECT
    assert "exactly one CN" in str(verdict)


def test_a_sub_ca_without_path_length_breaks_its_profile():
    tree = pki()
    profile, above = tree.rules.profile(Role.CPO_SUB_2), tree.authorities[Role.CPO_SUB_1]
    key = tree.curve.generate()
    wanted = draft(profile, tree.rules, "Endless", key.public_key(), AT, "Test", above)
    endless = dataclasses.replace(wanted, basic=x509.BasicConstraints(ca=True, path_length=None))
    authority = Authority(sign(endless, above), key, above.shown)
    chain = [reading.der(each) for each in (sign(secc_draft(tree), authority), *authority.shown)]
    policy = Policy(revocation=Mode.SKIP)
    verdict = validate(chain, Role.SECC, tree.roots[Role.V2G_ROOT], AT, policy=policy)
    assert verdict.refusal.reason is Reason.PATH_LENGTH
    assert "the profile wants 0" in str(verdict)


def test_what_cannot_be_issued():
    tree = pki()
    with pytest.raises(CertsError, match="subject"):
        issue.name("x" * 65)
    backwards = dataclasses.replace(secc_draft(tree), not_after=AT - DAY)
    with pytest.raises(CertsError, match="certificate for 'x'"):
        sign(backwards, tree.authorities[Role.CPO_SUB_2])
    with pytest.raises(CertsError, match="of no curve"):
        issue.digest_of(rsa.generate_private_key(65537, 2048))
    with pytest.raises(CertsError, match="more than 16384"):
        issue.read_request(bytes(20_000))


def test_tables_of_profiles_are_closed():
    """Every issuer, anchor and role that a profile names is there, and above it in the table."""
    for rules in PROTOCOLS.values():
        seen = []
        for role, profile in rules.profiles.items():
            assert profile.role is role
            assert profile.issuer is None or profile.issuer in seen
            assert all(anchor in rules.profiles for anchor in profile.anchors)
            assert profile.demanded <= profile.usage
            assert not profile.usage & profile.forbidden
            seen.append(role)
    assert set(ISO20.profiles) - set(ISO2.profiles) == {Role.VEHICLE, Role.VEHICLE_SUB_1, Role.VEHICLE_SUB_2}


def test_extended_key_usage_is_critical_and_the_rest_is_not():
    leaf = pki().vehicle().leaf
    critical = {e.oid for e in leaf.extensions if e.critical}
    assert critical == {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
    }


# --- the public face -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", certs.__all__)
def test_public_names(name):
    value = getattr(certs, name)
    assert value.__module__ == certs._HOME[name]
    assert getattr(importlib.import_module(certs._HOME[name]), name) is value
    assert value.__doc__


def test_unknown_names():
    assert set(certs.__all__) == set(certs._HOME) <= set(dir(certs))
    with pytest.raises(AttributeError, match="no attribute 'Certs'"):
        _ = certs.Certs


def test_import_is_light():
    code = "import sys, certs; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, timeout=50, check=False).returncode == 0
