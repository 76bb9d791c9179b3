"""Octets from strangers: a verdict or a CertsError, never anything else. Seeded."""

from __future__ import annotations

import base64
import random

import pytest

from certs import crl, est, issue, ocsp, reading
from certs.chain import LAB, Evidence, validate
from certs.errors import CertsError
from certs.ocsp import Revocation
from certs.profiles import Role
from certs.reasons import Reason
from tests.unit.certs.made import AT, pki


def mutations(octets, rng, count):
    """Flipped, cut, grown, spliced, and with lengths that lie."""
    for _ in range(count):
        changed = bytearray(octets)
        match rng.randrange(5):
            case 0:
                for _ in range(rng.randrange(1, 4)):
                    changed[rng.randrange(len(changed))] = rng.randrange(256)
            case 1:
                del changed[rng.randrange(len(changed)) :]
            case 2:
                place = rng.randrange(len(changed))
                changed[place:place] = rng.randbytes(rng.randrange(1, 30))
            case 3:
                place = rng.randrange(len(changed))
                del changed[place : place + rng.randrange(1, 30)]
            case 4:
                place = rng.randrange(len(changed))
                changed[place : place + 5] = bytes([0x30, 0x84, 0xFF, 0xFF, rng.randrange(256)])
        yield bytes(changed)


@pytest.mark.parametrize(("protocol", "curve"), [("iso15118-20", "secp521r1"), ("iso15118-20", "ed448")])
def test_mutated_certificates_are_judged_and_never_accepted(protocol, curve):
    tree = pki(protocol, curve)
    leaf = tree.secc()
    rng = random.Random(15118)
    roots, evidence = tree.roots[Role.V2G_ROOT], tree.evidence(leaf)
    seen = set()
    for place in (0, 1, 2):
        for changed in mutations(leaf.chain[place], rng, 250):
            chain = [*leaf.chain[:place], changed, *leaf.chain[place + 1 :]]
            verdict = validate(chain, Role.SECC, roots, AT, policy=LAB, evidence=evidence)
            if changed != leaf.chain[place]:
                assert not verdict.ok
                seen.add(verdict.refusal.reason)
            str(verdict)
    assert {Reason.MALFORMED, Reason.SIGNATURE, Reason.INCOMPLETE_CHAIN} <= seen


def test_every_cut_of_a_certificate_is_an_error():
    octets = pki().secc().chain[0]
    for cut in range(len(octets)):
        with pytest.raises(CertsError):
            reading.certificate(octets[:cut])
    with pytest.raises(CertsError):
        reading.certificate(octets + b"\0")
    with pytest.raises(CertsError, match="more than 16384"):
        reading.certificate(bytes(16_385))


def test_noise_is_an_error():
    rng = random.Random(1)
    for length in (*range(40), 100, 1000, 16_000):
        octets = rng.randbytes(length)
        for read in (reading.certificate, reading.certificates, issue.read_request, est.read_attributes):
            if octets or read is not est.read_attributes:
                with pytest.raises(CertsError):
                    read(octets)
        with pytest.raises(CertsError):
            est.read_bag(base64.b64encode(octets), "bag")


def test_mutated_answers_prove_nothing_wrong():
    tree = pki()
    leaf = tree.secc()
    revoked = tree.secc(defect="revoked")
    issuer = leaf.certificates[1]
    rng = random.Random(2)
    for changed in mutations(revoked.status, rng, 300):
        assert ocsp.check(changed, revoked.leaf, issuer, AT).kind is not Revocation.GOOD
    listed = tree.crl(Role.SECC, (leaf.leaf,), AT)
    for changed in mutations(listed, rng, 300):
        assert crl.check(changed, leaf.leaf, issuer, AT).kind is not Revocation.GOOD
        verdict = leaf.check(tree.roots[Role.V2G_ROOT], AT, evidence=Evidence((changed,), (changed,)))
        assert not verdict.ok


def test_mutated_requests_are_refused():
    tree = pki()
    request = issue.request(issue.name("x"), tree.curve.generate())
    rng = random.Random(3)
    for changed in mutations(request, rng, 300):
        if changed != request:
            with pytest.raises(CertsError):
                issue.read_request(changed)


def test_files_with_many_certificates():
    leaf = pki().secc()
    text = reading.pem(leaf.certificates)
    assert reading.certificates(text) == leaf.certificates
    assert reading.certificates(leaf.chain[0]) == leaf.certificates[:1]
    shuffled = [leaf.certificates[i] for i in (2, 0, 1)]
    assert reading.in_order(shuffled) == leaf.certificates
    stranger = pki("iso15118-2").secc().leaf
    assert set(reading.in_order([stranger, *shuffled])) == {stranger, *shuffled}
    with pytest.raises(CertsError, match="more than"):
        reading.certificates(bytes(300_000))
