"""OCSP and CRL: what proves something, what does not, and responses kept for stapling."""

from __future__ import annotations

import dataclasses
import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as library

from certs import crl, ocsp
from certs.issue import digest_of
from certs.ocsp import Revocation, StapleCache
from certs.profiles import Role
from certs.responder import Responder
from tests.unit.certs.made import AT, DAY, KINDS, pki


def issuing(tree, role=Role.SECC):
    return tree.authorities[tree.rules.profile(role).issuer]


@pytest.mark.parametrize(("protocol", "curve"), KINDS)
def test_a_responder_answers_for_what_it_knows(protocol, curve):
    tree = pki(protocol, curve)
    leaf, stranger = tree.secc().leaf, tree.secc().leaf
    issuer = issuing(tree).certificate
    responder = tree.responder(Role.SECC, (leaf,))
    asked = ocsp.request(leaf, issuer)
    assert ocsp.check(responder.answer(asked, AT), leaf, issuer, AT).kind is Revocation.GOOD
    told = ocsp.check(responder.revoke(leaf, AT).answer(asked, AT), leaf, issuer, AT)
    assert told.kind is Revocation.REVOKED
    assert "revoked on 2026-06-01" in told.detail
    unknown = ocsp.check(responder.answer(ocsp.request(stranger, issuer), AT), stranger, issuer, AT)
    assert "unauthorized" in unknown.detail
    assert "malformed" in ocsp.check(responder.answer(b"what?", AT), leaf, issuer, AT).detail


def test_a_responder_answers_in_the_words_of_the_asker():
    tree = pki()
    leaf, issuer = tree.secc().leaf, issuing(tree).certificate
    responder = tree.responder(Role.SECC, (leaf,))
    for algorithm in (hashes.SHA1(), hashes.SHA512()):
        builder = library.OCSPRequestBuilder().add_certificate(leaf, issuer, algorithm)
        answered = responder.answer(builder.build().public_bytes(Encoding.DER), AT)
        assert library.load_der_ocsp_response(answered).hash_algorithm.name == algorithm.name
        assert ocsp.check(answered, leaf, issuer, AT).kind is Revocation.GOOD


@pytest.mark.req("V2G20-1021")
def test_a_response_is_valid_for_a_week_at_most():
    tree = pki()
    leaf, authority = tree.secc().leaf, issuing(tree)
    issuer = authority.certificate
    responder = Responder(authority, ())
    week = responder.about(leaf, AT)
    kinds = {days: ocsp.check(week, leaf, issuer, AT + days * DAY).kind for days in (-1, 0, 7, 8)}
    assert kinds == {
        -1: Revocation.INVALID,
        0: Revocation.GOOD,
        7: Revocation.GOOD,
        8: Revocation.INVALID,
    }
    longer = dataclasses.replace(responder, valid=8 * DAY).about(leaf, AT)
    assert "more than a week" in ocsp.check(longer, leaf, issuer, AT).detail
    early = responder.about(leaf, AT + datetime.timedelta(minutes=4))
    assert ocsp.check(early, leaf, issuer, AT).kind is Revocation.GOOD  # clocks differ a little


def test_a_response_about_another_certificate_proves_nothing():
    tree = pki()
    leaf, other = tree.secc().leaf, tree.secc()
    status = ocsp.check(other.status, leaf, issuing(tree).certificate, AT)
    assert status.kind is Revocation.UNRELATED


def test_signers_have_to_be_appointed():
    tree, stranger = pki(), pki(at=AT + DAY)
    leaf, authority = tree.secc().leaf, issuing(tree)
    foreign = Responder(issuing(stranger), ()).signer or issuing(stranger)
    signed_by_stranger = Responder(authority, (), signer=foreign).about(leaf, AT)
    assert "not appointed" in ocsp.check(signed_by_stranger, leaf, authority.certificate, AT).detail
    # A leaf of the same authority is not appointed either.
    secc = tree.secc()
    by_leaf = Responder(
        authority, (), signer=dataclasses.replace(authority, certificate=secc.leaf, key=secc.key)
    )
    assert "may not sign OCSP" in ocsp.check(by_leaf.about(leaf, AT), leaf, authority.certificate, AT).detail
    signer = tree.responder(Role.SECC)
    late = dataclasses.replace(signer, valid=DAY).about(leaf, AT + 100 * DAY)
    told = ocsp.check(late, leaf, authority.certificate, AT + 100 * DAY)
    assert "not valid now" in told.detail


def test_a_cut_or_huge_response_proves_nothing():
    tree = pki()
    leaf, issuer = tree.secc(), issuing(tree).certificate
    for cut in range(1, len(leaf.status), 17):
        assert ocsp.check(leaf.status[:cut], leaf.leaf, issuer, AT).kind is Revocation.INVALID
    assert ocsp.check(bytes(20_000), leaf.leaf, issuer, AT).kind is Revocation.INVALID
    assert ocsp.check(b"", leaf.leaf, issuer, AT).kind is Revocation.MISSING


def test_where_to_ask():
    tree = pki()
    assert ocsp.responder_url(tree.secc().leaf) == "http://ocsp.invalid/"
    assert ocsp.responder_url(tree.secc(defect="no-revocation-pointer").leaf) == ""


@pytest.mark.parametrize(("protocol", "curve"), KINDS)
def test_lists(protocol, curve):
    tree = pki(protocol, curve)
    leaf, other, authority = tree.secc().leaf, tree.secc().leaf, issuing(tree)
    found = tree.crl(Role.SECC, (leaf,), AT)
    assert crl.check(found, leaf, authority.certificate, AT).kind is Revocation.REVOKED
    assert crl.check(found, other, authority.certificate, AT).kind is Revocation.GOOD
    assert crl.check(found, other, authority.certificate, AT + 8 * DAY).kind is Revocation.INVALID
    assert crl.check(found, other, authority.certificate, AT - DAY).kind is Revocation.INVALID
    above = tree.authorities[Role.CPO_SUB_1].certificate
    assert crl.check(found, other, above, AT).kind is Revocation.UNRELATED


def test_lists_that_prove_nothing():
    tree, stranger = pki(), pki(at=AT + DAY)
    leaf, authority = tree.secc().leaf, issuing(tree)
    issuer = authority.certificate
    forged = crl.issue(issuing(stranger), {}, AT)
    assert "signature" in crl.check(forged, leaf, issuer, AT).detail
    lasting = crl.issue(authority, {}, AT, valid=30 * DAY)
    assert "more than a week" in crl.check(lasting, leaf, issuer, AT).detail
    delta = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(AT)
        .next_update(AT + DAY)
        .add_extension(x509.DeltaCRLIndicator(1), critical=True)
        .sign(authority.key, digest_of(authority.key))
        .public_bytes(Encoding.DER)
    )
    assert "partial" in crl.check(delta, leaf, issuer, AT).detail
    assert crl.check(b"\x30\x80", leaf, issuer, AT).kind is Revocation.INVALID
    assert crl.check(bytes(2_000_000), leaf, issuer, AT).kind is Revocation.INVALID
    unfit = tree.secc(defect="issued-by-leaf").certificates[1]
    own = crl.issue(dataclasses.replace(authority, certificate=unfit), {}, AT)
    assert "may not sign lists" in crl.check(own, leaf, unfit, AT).detail


# --- responses kept for stapling -------------------------------------------------------------------


@pytest.fixture
def kept():
    tree = pki()
    secc = tree.secc()
    path = tree.verdict(secc).path.elements
    return tree, secc, StapleCache(path[:2], path[1:3])


def answer(tree, query, at):
    return next(
        Responder(authority, ()).about(query.certificate, at)
        for authority in tree.authorities.values()
        if authority.certificate == query.issuer
    )


def test_the_cache_asks_for_what_is_missing_and_at_half_time(kept):
    tree, secc, cache = kept
    queries = cache.due(AT)
    assert [query.certificate for query in queries] == list(secc.certificates[:2])
    assert all(query.url == "http://ocsp.invalid/" for query in queries)
    asked = library.load_der_ocsp_request(queries[0].body)
    assert asked.serial_number == secc.leaf.serial_number
    assert isinstance(asked.hash_algorithm, hashes.SHA256)
    assert cache.staples(AT) == (b"", b"")
    for query in queries:
        assert cache.store(query, answer(tree, query, AT), AT).kind is Revocation.GOOD
    assert cache.due(AT) == ()
    assert cache.due_at() == AT + 3.5 * DAY
    assert len(cache.due(AT + 3.5 * DAY)) == 2
    assert all(cache.staples(AT + 7 * DAY))
    assert cache.staples(AT + 8 * DAY) == (b"", b"")


def test_a_bad_answer_does_not_replace_a_good_one(kept):
    tree, _, cache = kept
    query = cache.due(AT)[0]
    good = answer(tree, query, AT)
    cache.store(query, good, AT)
    later = AT + 4 * DAY
    assert cache.store(query, b"gateway timeout", later).kind is Revocation.INVALID
    assert cache.staples(later)[0] == good
    assert query.certificate in [each.certificate for each in cache.due(later)]
    fresh = answer(tree, query, later)
    cache.store(query, fresh, later)
    assert cache.staples(later)[0] == fresh


def test_certificates_without_a_responder_are_left_out():
    tree = pki()
    leaf = tree.secc(defect="no-revocation-pointer")
    cache = StapleCache((leaf.leaf,), (leaf.certificates[1],))
    assert cache.due(AT) == ()
    assert StapleCache((), ()).due_at() > AT + 10_000 * DAY
