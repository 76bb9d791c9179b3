"""Recorded signatures, session bindings and meter records: every octet and every verdict."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448

from certs.keys import Signer
from iso15118.exi.codec import decode
from iso15118.exi.fragment import fragment, signed_info_forms
from iso15118.messages import namespaces, xmldsig
from iso15118.messages.iso20 import common
from iso15118.messages.registry import schema_set
from iso15118.security.algorithms import ISO2, ISO2_P256, ISO20, ISO20_AND_P256, for_key
from iso15118.security.binding import same_peer, session_binding
from iso15118.security.contracts import OwnKey
from iso15118.security.meter_records import read_ocmf
from iso15118.security.signature import Flaw, sign, verify

pytestmark = pytest.mark.vectors
SET = schema_set(namespaces.COMMON_MESSAGES)
XMLDSIG = schema_set(namespaces.XMLDSIG)


def vectors(shared, name):
    return json.loads((shared / "vectors" / "security" / f"{name}.json").read_text())


def cases(shared, protocol):
    return [c for c in vectors(shared, "xmldsig")["cases"] if c["protocol"].startswith(protocol)]


def key_of(case):
    kind, octets = case["key"]["type"], bytes.fromhex(case["key"]["private"])
    if kind == "Ed448":
        return ed448.Ed448PrivateKey.from_private_bytes(octets)
    curve = ec.SECP521R1() if kind == "P-521" else ec.SECP256R1()
    return ec.derive_private_key(int.from_bytes(octets), curve)


def mode(shared):
    """The signed element of the ISO 15118-20 cases, which is the same in all."""
    case = next(c for c in cases(shared, "-20") if "certificate" in c)
    subs = tuple(bytes.fromhex(text) for text in case["sub_certificates"])
    return common.PnC_AReqAuthorizationMode(
        id=case["Id"],
        gen_challenge=bytes.fromhex(case["GenChallenge"]),
        contract_certificate_chain=common.ContractCertificateChain(
            certificate=bytes.fromhex(case["certificate"]),
            sub_certificates=common.SubCertificates(certificate=subs),
        ),
    )


def info_of(octets):
    return decode(octets, XMLDSIG, fragment=True)


def recorded(case, form):
    value = xmldsig.SignatureValue(value=bytes.fromhex(case[f"signature_over_{form}"]))
    info = info_of(bytes.fromhex(case["signed_info_standalone"]))
    return xmldsig.Signature(signed_info=info, signature_value=value)


@pytest.mark.req("V2G20-2473")
@pytest.mark.req("V2G20-2476")
def test_elements_digests_and_signatures_of_iso15118_20(shared):
    element = mode(shared)
    found = cases(shared, "-20")
    assert len(found) == 3
    for case in found:
        key = key_of(case)
        algorithms = for_key(key.public_key(), ISO20_AND_P256)
        octets = fragment(element, SET)
        assert octets.hex() == case["fragment_exi"], case["name"]
        assert algorithms.digest(octets).hex() == case["digest"], case["name"]
        made = sign({"id1": element}, Signer(key), algorithms, SET)
        alone, combined = signed_info_forms(made.signed_info, XMLDSIG, SET)
        assert alone.hex() == case["signed_info_standalone"], case["name"]
        assert combined.hex() == case["signed_info_combined"], case["name"]
        for form in ("standalone", "combined"):
            if f"signature_over_{form}" not in case:
                continue
            verdict = verify(
                recorded(case, form), {"id1": element}, key.public_key(), SET, allowed=ISO20_AND_P256
            )
            assert (verdict.ok, verdict.form) == (True, form), case["name"]


def test_signatures_of_own_keys_are_the_recorded_ones_to_the_last_bit(shared):
    for case in cases(shared, "-20"):
        key = key_of(case)
        algorithms = for_key(key.public_key(), ISO20_AND_P256)
        made = sign({"id1": mode(shared)}, OwnKey(key), algorithms, SET)
        assert made.signature_value.value.hex() == case["signature_over_standalone"], case["name"]


def test_the_rivals_signature_needs_its_quirk(shared):
    case = next(c for c in cases(shared, "-20") if "josev" in c["name"])
    args = recorded(case, "standalone"), {"id1": mode(shared)}, key_of(case).public_key(), SET
    assert verify(*args, allowed=ISO20).flaw is Flaw.ALGORITHM
    assert verify(*args, allowed=ISO20_AND_P256).ok


def test_signed_info_and_values_of_iso15118_2(shared):
    """The message itself belongs to a schema set that is not declared here: its fragment is taken as recorded."""
    for case in cases(shared, "-2 ") or [c for c in cases(shared, "-2") if c["protocol"] == "-2"]:
        octets = bytes.fromhex(case["signed_info_standalone"])
        info = info_of(octets)
        assert signed_info_forms(info, XMLDSIG) == (octets,), case["name"]
        assert info.signature_method.algorithm == ISO2_P256.signature_uri
        if "key" not in case:
            assert [r.uri for r in info.reference] == ["#id1", "#id2", "#id3", "#id4"]
            continue
        assert ISO2_P256.digest(bytes.fromhex(case["fragment_exi"])).hex() == case["digest"]
        assert info.reference[0].digest_value.value.hex() == case["digest"]
        public, value = key_of(case).public_key(), bytes.fromhex(case["signature_over_standalone"])
        assert for_key(public, ISO2) is ISO2_P256
        assert ISO2_P256.verifies(public, value, octets)
        assert not ISO2_P256.verifies(public, value, octets + b"\0")


def test_worked_example_of_iso15118_2(shared):
    example = vectors(shared, "xmldsig")["annex_j2"]
    octets = bytes.fromhex(example["signed_info_exi_standalone"])
    info = info_of(octets)
    assert info.reference[0].uri == example["reference_uri"]
    assert info.reference[0].digest_value.value.hex() == example["fragment_sha256"]
    assert ISO2_P256.digest(octets).hex() == example["signed_info_sha256"]
    assert signed_info_forms(info, XMLDSIG) == (octets,)
    point = bytes.fromhex(example["public_point"])
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    assert ISO2_P256.verifies(public, bytes.fromhex(example["signature_raw_rs"]), octets)


@pytest.mark.req("V2G20-2545")
def test_session_bindings(shared):
    found = vectors(shared, "session_binding")
    for case in found["cases"]:
        session_id, leaf = bytes.fromhex(case["session_id"]), bytes.fromhex(case["leaf_der"])
        assert session_binding(session_id, leaf).hex() == case["binding"]
        for wrong in found["not_equal"]:
            assert not same_peer(bytes.fromhex(wrong["value"]), session_id, leaf), wrong["name"]


def test_meter_records(shared):
    found = vectors(shared, "metering")["ocmf"]
    key = bytes.fromhex(found["public_spki_der"])
    record = read_ocmf(found["record"])
    assert record.verifies(key)
    assert record.raw_signature.hex() == found["raw_rs"]
    assert len(found["negative"]) == 2
    assert not any(read_ocmf(text).verifies(key) for text in found["negative"])
