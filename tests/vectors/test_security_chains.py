"""Recorded chains and OCSP responses: every verdict and every reason."""

from __future__ import annotations

import base64
import datetime
import json

import pytest

from certs import ocsp, reading
from certs.chain import Mode, Policy, validate
from certs.ocsp import Revocation
from certs.profiles import ISO2, ISO20, Role

pytestmark = pytest.mark.vectors

ROLES = {
    "secc": Role.SECC,
    "vehicle": Role.VEHICLE,
    "contract": Role.CONTRACT,
    "oem-prov": Role.PROVISIONING,
}
STRICT = Policy(emaid_digit=True, revocation=Mode.SKIP)


@pytest.fixture
def chains(shared):
    return json.loads((shared / "vectors" / "security" / "chains.json").read_text())


@pytest.fixture
def answers(shared):
    return json.loads((shared / "vectors" / "security" / "ocsp.json").read_text())


def judge(case, at, policy=STRICT):
    protocol, _, role = case["profile"].partition("-")
    chain = [base64.b64decode(text) for text in (case["leaf"], *case["sub_certificates"])]
    roots = [reading.certificate(base64.b64decode(text)) for text in case["trusted_roots"]]
    rules = ISO2 if protocol == "iso2" else ISO20
    return validate(chain, ROLES[role], roots, at, rules=rules, policy=policy)


@pytest.mark.req("V2G20-822")
@pytest.mark.req("V2G20-2598")
def test_recorded_chains_get_their_verdict_and_reason(chains):
    at = datetime.datetime.fromisoformat(chains["validation_time"])
    assert len(chains["chains"]) == 43
    for case in chains["chains"]:
        verdict = judge(case, at)
        reason = verdict.refusal.reason.value if verdict.refusal else None
        assert (verdict.ok, reason) == (case["expect"] == "accept", case["reason"]), case["name"]
        assert verdict.ok == (str(verdict) == "")


def test_order_of_the_supplied_certificates_does_not_matter(chains):
    at = datetime.datetime.fromisoformat(chains["validation_time"])
    for case in chains["chains"]:
        turned = {**case, "sub_certificates": case["sub_certificates"][::-1]}
        verdict = judge(turned, at)
        assert (verdict.refusal.reason.value if verdict.refusal else None) == case["reason"], case["name"]


def test_a_laboratory_tolerates_profiles_and_no_forgery(chains):
    at = datetime.datetime.fromisoformat(chains["validation_time"])
    still_refused = {
        "expired",
        "not_yet_valid",
        "signature",
        "untrusted_root",
        "incomplete_chain",
        "issuer_not_ca",
        "critical_extension",
    }
    for case in chains["chains"]:
        verdict = judge(case, at, Policy(lab=True, revocation=Mode.SKIP))
        if case["reason"] in still_refused:
            assert verdict.refusal.reason.value == case["reason"], case["name"]
        elif case["reason"]:
            assert verdict.ok, case["name"]
            assert case["reason"] in {finding.reason.value for finding in verdict.warnings}, case["name"]


@pytest.mark.req("V2G20-1021")
def test_recorded_ocsp_responses_get_their_verdict(answers):
    at = datetime.datetime.fromisoformat(answers["validation_time"])
    leaf, issuer = (reading.certificate(base64.b64decode(answers[name])) for name in ("leaf", "issuer"))
    assert len(answers["responses"]) == 13
    for case in answers["responses"]:
        status = ocsp.check(base64.b64decode(case["response"]), leaf, issuer, at)
        found = "invalid" if status.kind is Revocation.UNRELATED else status.kind.value
        assert found == case["expect"], case["name"]
        assert status.kind is Revocation.GOOD or status.detail, case["name"]
