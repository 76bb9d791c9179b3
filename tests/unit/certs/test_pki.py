"""The test PKI: what it makes is accepted, what it spoils is refused with the right reason."""

from __future__ import annotations

import dataclasses
import datetime

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from certs import reading
from certs.chain import LAB, STRICT, Evidence, Mode, Policy, validate
from certs.curves import SECP521R1
from certs.defects import RECIPES, Defect
from certs.errors import CertsError
from certs.identity import anchors
from certs.issue import Authority, draft, sign
from certs.pki import EXAMPLES, TestPki
from certs.profiles import LEAF_ROLES, PROTOCOLS, Role
from certs.reasons import EXPLANATIONS, Reason
from tests.unit.certs.made import AT, DAY, KINDS, pki


def spoilt():
    """(protocol, curve, role, defect) for every defect that a leaf of the kind can have."""
    for protocol, curve in KINDS:
        tree = pki(protocol, curve)
        for role in LEAF_ROLES:
            if role in tree.rules.profiles:
                for defect in tree.possible_defects(role):
                    yield pytest.param(
                        protocol, curve, role, defect, id=f"{protocol}-{curve}-{role.value}-{defect.value}"
                    )


@pytest.mark.parametrize(("protocol", "curve", "role", "defect"), list(spoilt()))
def test_every_defect_is_refused_with_its_reason(protocol, curve, role, defect):
    tree = pki(protocol, curve)
    verdict = tree.verdict(tree.leaf(role, defect=defect), policy=STRICT)
    assert verdict.refusal is not None
    assert verdict.refusal.reason is RECIPES[defect].reason
    assert EXPLANATIONS[verdict.refusal.reason].text in str(verdict)


def test_every_defect_can_be_made():
    possible = {param.values[3] for param in spoilt()}
    assert possible == set(Defect)


@pytest.mark.parametrize(("protocol", "curve"), KINDS)
@pytest.mark.parametrize("role", LEAF_ROLES)
def test_what_is_not_spoilt_is_accepted(protocol, curve, role):
    tree = pki(protocol, curve)
    if role not in tree.rules.profiles:
        with pytest.raises(CertsError, match="no such certificate"):
            tree.leaf(role)
        return
    leaf = tree.leaf(role)
    verdict = tree.verdict(leaf, policy=STRICT)
    assert verdict.ok, str(verdict)
    assert verdict.warnings == ()
    assert verdict.identity == EXAMPLES[role]
    assert verdict.path.anchor in tree.roots[anchor_role(role)]
    assert all(len(der) <= tree.rules.max_octets for der in leaf.chain)
    assert len(leaf.chain) == 3
    assert leaf.root == verdict.path.anchor.subject.public_bytes()


def anchor_role(role):
    return {
        Role.SECC: Role.V2G_ROOT,
        Role.CPS: Role.V2G_ROOT,
        Role.CONTRACT: Role.MO_ROOT,
    }.get(role, Role.OEM_ROOT)


@pytest.mark.parametrize("role", [Role.SECC, Role.VEHICLE, Role.PROVISIONING, Role.CONTRACT, Role.CPS])
def test_no_role_passes_for_another(role):
    tree = pki()
    every_root = tuple(root for group in tree.roots.values() for root in group)
    for other in LEAF_ROLES:
        leaf = tree.leaf(other)
        verdict = validate(leaf.chain, role, every_root, AT, policy=Policy(revocation=Mode.SKIP))
        assert verdict.ok == (other is role), (role, other, str(verdict))


@pytest.mark.parametrize("role", [Role.SECC, Role.PROVISIONING, Role.CONTRACT, Role.CPS])
def test_no_role_passes_for_another_in_iso2(role):
    tree = pki("iso15118-2")
    every_root = tuple(root for group in tree.roots.values() for root in group)
    for other in (Role.SECC, Role.PROVISIONING, Role.CONTRACT, Role.CPS):
        leaf = tree.leaf(other)
        policy = Policy(revocation=Mode.SKIP)
        verdict = validate(leaf.chain, role, every_root, AT, rules=tree.rules, policy=policy)
        assert verdict.ok == (other is role), (role, other, str(verdict))


def test_validity_is_that_of_the_profile_within_the_issuer():
    tree = pki()
    secc = tree.secc()
    assert secc.leaf.not_valid_after_utc - AT == 90 * DAY
    late = tree.leaf(Role.SECC, at=AT + 700 * DAY)
    assert late.leaf.not_valid_after_utc == tree.authorities[Role.CPO_SUB_2].certificate.not_valid_after_utc
    for moment, reason in ((AT + 91 * DAY, Reason.EXPIRED), (AT - DAY, Reason.NOT_YET_VALID)):
        assert tree.verdict(secc, moment).refusal.reason is reason


@pytest.mark.req("V2G20-2598")
def test_a_vehicle_is_named_by_organisation_and_identifier_alone():
    tree = pki()
    leaf = tree.vehicle()
    assert [a.oid for a in leaf.leaf.subject] == [NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME]
    more = x509.Name([*leaf.leaf.subject, x509.NameAttribute(NameOID.COUNTRY_NAME, "DE")])
    verdict = reissued(tree, Role.VEHICLE, subject=more)
    assert verdict.refusal.reason is Reason.SUBJECT
    amended = x509.Name([*leaf.leaf.subject, x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "EV")])
    assert reissued(tree, Role.VEHICLE, subject=amended).ok


def reissued(tree, role, policy=STRICT, **changes):
    """The verdict on a leaf whose draft was changed."""
    key = SECP521R1.generate()
    issuer = tree.authorities[tree.rules.profile(role).issuer]
    wanted = draft(tree.rules.profile(role), tree.rules, EXAMPLES[role], key.public_key(), AT, "Test", issuer)
    certificate = sign(dataclasses.replace(wanted, **changes), issuer)
    chain = [reading.der(each) for each in (certificate, *issuer.shown)]
    policy = dataclasses.replace(policy, revocation=Mode.SKIP)
    return validate(chain, role, anchors(tree.roots, role, tree.rules), AT, rules=tree.rules, policy=policy)


def test_identifiers_and_pointers_may_be_critical():
    critical = frozenset(
        {
            ExtensionOID.SUBJECT_KEY_IDENTIFIER,
            ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
            ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
            ExtensionOID.CRL_DISTRIBUTION_POINTS,
        }
    )
    assert reissued(pki(), Role.SECC, critical=critical, crl="http://crl.invalid/").ok
    assert reissued(pki(), Role.SECC, ocsp="", crl="http://crl.invalid/").ok


@pytest.mark.req("V2G20-2686")
def test_a_contract_carries_no_extension_of_its_own():
    strange = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), False)
    assert reissued(pki(), Role.CONTRACT, extra=(strange,)).refusal.reason is Reason.EXTENSION
    assert reissued(pki(), Role.SECC, extra=(strange,)).ok


@pytest.mark.req("V2G20-822")
def test_a_provisioning_key_has_to_agree_on_keys():
    from certs.profiles import Usage

    verdict = reissued(pki(), Role.PROVISIONING, usage=frozenset({Usage.SIGNATURE}))
    assert verdict.refusal.reason is Reason.KEY_USAGE
    assert "key_agreement" in str(verdict)


def test_a_wrong_emaid_digit_is_told_and_refused_only_where_wanted():
    tree = pki()
    leaf = tree.contract(defect=Defect.WRONG_CHECK_DIGIT)
    told = tree.verdict(leaf)
    assert told.ok
    assert [finding.reason for finding in told.warnings] == [Reason.SUBJECT]
    assert not tree.verdict(leaf, policy=STRICT).ok


def test_a_cross_certificate_leads_to_another_root():
    tree = pki()
    other, cross = tree.cross_certified()
    leaf = tree.secc()
    chain = (*leaf.chain, reading.der(cross))
    policy = Policy(revocation=Mode.SKIP)
    verdict = validate(chain, Role.SECC, (other,), AT, policy=policy)
    assert verdict.ok, str(verdict)
    assert verdict.path.anchor == other
    without = validate(leaf.chain, Role.SECC, (other,), AT, policy=policy)
    assert without.refusal.reason is Reason.UNTRUSTED_ROOT


def test_a_path_that_works_is_found_beside_one_that_does_not():
    """Root roll-over: the old root has expired, the cross certificate leads to the new one."""
    tree = pki()
    other, cross = tree.cross_certified()
    root = tree.authorities[Role.V2G_ROOT]
    expired = draft(tree.rules.profile(Role.V2G_ROOT), tree.rules, "x", root.key.public_key(), AT, "Test")
    wanted = dataclasses.replace(
        expired, subject=root.certificate.subject, not_before=AT - 9 * DAY, not_after=AT - DAY
    )
    old = sign(wanted, Authority(root.certificate, root.key))
    chain = (*tree.secc().chain, reading.der(cross))
    verdict = validate(chain, Role.SECC, (old, other), AT, policy=Policy(revocation=Mode.SKIP))
    assert verdict.ok, str(verdict)


def test_a_root_that_the_peer_sends_is_no_anchor():
    tree, stranger = pki(), TestPki(AT)
    chain = (*stranger.secc().chain, reading.der(stranger.authorities[Role.V2G_ROOT].certificate))
    verdict = validate(chain, Role.SECC, tree.roots[Role.V2G_ROOT], AT)
    assert verdict.refusal.reason is Reason.SIGNATURE  # the name is known, the key is not


def test_revocation_modes():
    tree = pki()
    secc, roots = tree.secc(), tree.roots[Role.V2G_ROOT]
    without = validate(secc.chain, Role.SECC, roots, AT)
    assert without.refusal.reason is Reason.STATUS_UNKNOWN
    soft = validate(secc.chain, Role.SECC, roots, AT, policy=Policy(revocation=Mode.SOFT))
    assert soft.ok
    assert [finding.reason for finding in soft.warnings] == [Reason.STATUS_UNKNOWN]
    assert validate(secc.chain, Role.SECC, roots, AT, evidence=tree.evidence(secc)).ok
    revoked = Evidence(crls=(tree.crl(Role.SECC, (secc.leaf,), AT),))
    verdict = validate(secc.chain, Role.SECC, roots, AT, policy=LAB, evidence=revoked)
    assert verdict.refusal.reason is Reason.REVOKED
    # A good answer beside it does not help.
    both = dataclasses.replace(revoked, ocsp=(secc.status,))
    assert validate(secc.chain, Role.SECC, roots, AT, evidence=both).refusal.reason is Reason.REVOKED


def test_a_revoked_sub_ca_refuses_the_chain():
    tree = pki()
    leaf = tree.secc()
    sub_1 = tree.authorities[Role.CPO_SUB_1]
    from certs import crl

    revoked = crl.issue(sub_1, {leaf.certificates[1].serial_number: AT}, AT)
    evidence = Evidence(ocsp=(leaf.status,), crls=(revoked,))
    verdict = leaf.check(tree.roots[Role.V2G_ROOT], AT, evidence=evidence)
    assert verdict.refusal.reason is Reason.REVOKED
    assert "CPO Sub-CA 2" in str(verdict)


@pytest.mark.req("V2G20-1240")
@pytest.mark.req("V2G20-2432")
@pytest.mark.req("V2G20-1078")
def test_who_has_to_be_asked_about():
    tree = pki()
    every_root = tuple(root for group in tree.roots.values() for root in group)
    unknown = {role: validate(tree.leaf(role).chain, role, every_root, AT) for role in LEAF_ROLES}
    assert not unknown[Role.SECC].ok
    assert not unknown[Role.VEHICLE].ok
    assert unknown[Role.CONTRACT].ok
    assert unknown[Role.CONTRACT].warnings
    assert unknown[Role.CPS].ok
    assert not unknown[Role.CPS].warnings


def test_bounds_of_a_chain():
    tree = pki()
    assert validate((), Role.SECC, (), AT).refusal.reason is Reason.MALFORMED
    six = (*tree.secc().chain, *tree.secc().chain)
    assert validate(six, Role.SECC, tree.roots[Role.V2G_ROOT], AT).refusal.reason is Reason.SIZE
    huge = (bytes(100_000),)
    assert validate(huge, Role.SECC, tree.roots[Role.V2G_ROOT], AT).refusal.reason is Reason.SIZE


def test_our_own_mistakes_are_errors():
    tree = pki()
    with pytest.raises(CertsError, match="no time zone"):
        validate(tree.secc().chain, Role.SECC, (), datetime.datetime(2026, 6, 1))  # noqa: DTZ001
    with pytest.raises(CertsError, match="no such certificate"):
        validate(tree.secc().chain, Role.VEHICLE, (), AT, rules=PROTOCOLS["iso15118-2"])
    with pytest.raises(CertsError, match="accepted: expired"):
        tree.secc(defect="rusty")
    with pytest.raises(CertsError, match="cannot have it"):
        tree.secc(defect="wrong-domain")
    with pytest.raises(CertsError, match="no leaf"):
        tree.leaf(Role.V2G_ROOT)
    with pytest.raises(CertsError, match="accepted: iso15118-20, iso15118-2"):
        TestPki(AT, "iso15118-3")
    with pytest.raises(CertsError, match="iso15118-2 uses secp256r1"):
        TestPki(AT, "iso15118-2", "ed448")
    with pytest.raises(CertsError, match="not of the form"):
        tree.vehicle("somebody")
    with pytest.raises(CertsError, match="its check digit should be"):
        tree.vehicle("WMXV0000000000000019")


def test_identifiers_are_completed():
    tree = pki()
    assert tree.verdict(tree.contract("DE-ABC-C12345678")).identity == "DEABCC123456788"
    with pytest.raises(CertsError, match="should be 8"):
        tree.contract("DE-ABC-C12345678-1")
    assert tree.verdict(tree.vehicle("WMX-V-123456789ABCDEF")).identity[:-1] == "WMXV123456789ABCDEF"


def test_every_reason_has_its_words():
    assert set(EXPLANATIONS) == set(Reason)
    for explanation in EXPLANATIONS.values():
        assert explanation.text
        assert explanation.next_step


@pytest.mark.parametrize("curve", ["secp521r1", "ed448"])
def test_a_seed_makes_the_same_pki_again(curve):
    def everything(seed, *, reverse=False):
        tree = TestPki(AT, curve=curve, seed=seed)
        wanted = [
            (role, defect) for role in (Role.SECC, Role.CONTRACT) for defect in (None, Defect.UNKNOWN_ROOT)
        ]
        order = wanted[::-1] if reverse else wanted
        leaves = {each: tree.leaf(each[0], defect=each[1]) for each in order}
        return [c for each in wanted for c in leaves[each].chain], leaves

    first, leaves = everything("a")
    assert everything("a", reverse=True)[0] == first
    assert not set(everything("b")[0]) & set(first)
    tree = TestPki(AT, curve=curve, seed="a")
    assert tree.verdict(leaves[Role.CONTRACT, None], policy=STRICT).ok
    assert not tree.verdict(leaves[Role.CONTRACT, Defect.UNKNOWN_ROOT], policy=STRICT).ok
    assert len(set(first)) == len({x509.load_der_x509_certificate(each).serial_number for each in first})


def test_without_a_seed_no_two_are_alike():
    assert TestPki(AT).secc().leaf.serial_number != TestPki(AT).secc().leaf.serial_number


def test_with_a_seed_a_spoilt_leaf_is_not_the_good_one():
    tree = TestPki(AT, seed="a")
    good, revoked = tree.contract(), tree.contract(defect=Defect.REVOKED)
    assert good.leaf.serial_number != revoked.leaf.serial_number
