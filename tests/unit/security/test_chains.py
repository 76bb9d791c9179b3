"""Judging chains: what the session is told, and that a peer's octets never raise."""

from __future__ import annotations

import math

import pytest

from certs.chain import LAB
from certs.defects import Defect
from certs.profiles import Role
from iso15118.messages.iso20.types import ResponseCode
from iso15118.security.chains import MAX_OCTETS, RootsJudge, common_name, leaf_key
from tests.unit.security.made import AT_S, DAY, contract, pki, strangers


def judge(roots=None):
    return RootsJudge(Role.CONTRACT, roots or pki().roots[Role.MO_ROOT])


def test_trusted_chain_tells_identity_and_end():
    found = judge()(contract().chain, AT_S)
    assert found.ok
    assert found.identity == common_name(contract().chain[0])
    assert found.code == "OK"
    assert found.not_after == contract().leaf.not_valid_after_utc.timestamp()
    assert leaf_key(contract().chain) == contract().leaf.public_key()


@pytest.mark.parametrize(
    ("at_s", "code"),
    [
        (AT_S + 10_000 * DAY, "WARNING_CertificateExpired"),
        (AT_S - 10_000 * DAY, "WARNING_CertificateNotYetValid"),
        (math.nan, "WARNING_CertificateExpired"),
        (math.inf, "WARNING_CertificateExpired"),
        (-1e30, "WARNING_CertificateNotYetValid"),
    ],
)
def test_time_is_the_given_one_whatever_it_is(at_s, code):
    found = judge()(contract().chain, at_s)
    assert not found.ok
    assert found.code == code


def test_root_of_the_same_name_is_another_root():
    found = judge(strangers().roots[Role.MO_ROOT])(contract().chain, AT_S)
    assert not found.ok


def test_unknown_root_is_told_apart():
    found = judge(pki().roots[Role.V2G_ROOT])(contract().chain, AT_S)
    assert (found.unknown_root, found.code) == (True, "WARNING_eMSPUnknown")
    assert not judge()(contract().chain, AT_S).unknown_root


INVISIBLE = (Defect.WRONG_CHECK_DIGIT, Defect.STALE_STATUS, Defect.SWAPPED_KEY)
"""What a chain alone does not show, or what refuses no contract by default."""


@pytest.mark.parametrize("defect", pki().possible_defects(Role.CONTRACT))
def test_every_defect_has_a_response_code_of_the_message(defect):
    chain = pki().contract(defect=defect)
    evidence = pki().evidence(chain)
    found = RootsJudge(Role.CONTRACT, pki().roots[Role.MO_ROOT], evidence=lambda: evidence)(chain.chain, AT_S)
    assert found.ok == (defect in INVISIBLE)
    assert ResponseCode(found.code).value == found.code


@pytest.mark.parametrize("octets", [b"", b"\x30", b"\x30\x82\xff\xff", bytes(1600), b"x" * 20_000])
def test_malformed_certificates_are_judged_and_have_no_key(octets):
    rest = contract().chain[1:]
    assert not judge()((octets, *rest), AT_S).ok
    assert not judge()((contract().chain[0], octets), AT_S).ok
    assert leaf_key((octets, *rest)) is None
    assert common_name(octets) == ""


def test_oversized_chains_are_not_even_read():
    chain = contract().chain
    assert leaf_key((chain[0], bytes(MAX_OCTETS + 1))) is None
    assert leaf_key(chain[:1] * 6) is None
    assert leaf_key(()) is None
    assert not judge()(chain[:1] * 6, AT_S).ok


def test_judge_takes_the_rules_it_is_given():
    strict = judge()
    lab = RootsJudge(Role.CONTRACT, pki().roots[Role.MO_ROOT], policy=LAB)
    odd = contract(Defect.WRONG_KEY_USAGE)
    assert not strict(odd.chain, AT_S).ok
    assert lab(odd.chain, AT_S).ok
    assert "roots" not in repr(lab)
