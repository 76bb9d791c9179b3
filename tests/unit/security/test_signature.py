"""XML signatures over EXI fragments: what is accepted, and everything a forger may try."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448

from certs.errors import CertsError
from certs.keys import HardwareKey, Signer
from iso15118.errors import EncodeError
from iso15118.exi.codec import decode, encode
from iso15118.exi.fragment import signed_info_forms
from iso15118.messages import namespaces, xmldsig
from iso15118.messages.iso20 import common
from iso15118.messages.iso20.types import MessageHeader
from iso15118.messages.registry import schema_set
from iso15118.security.algorithms import CANONICAL_EXI, ISO2, ISO2_P256, ISO20, ISO20_AND_P256, for_key
from iso15118.security.contracts import OwnKey
from iso15118.security.signature import MAX_REFERENCES, Flaw, sign, verify

SET = schema_set(namespaces.COMMON_MESSAGES)
KEYS = {
    "secp521r1": ec.derive_private_key(7**180, ec.SECP521R1()),
    "secp256r1": ec.derive_private_key(7**90, ec.SECP256R1()),
    "ed448": ed448.Ed448PrivateKey.from_private_bytes(bytes(range(57))),
}
CURVES = sorted(KEYS)


def element(identifier="id1", challenge=bytes(16)):
    chain = common.ContractCertificateChain(
        certificate=b"leaf", sub_certificates=common.SubCertificates(certificate=(b"sub",))
    )
    return common.PnC_AReqAuthorizationMode(
        id=identifier, gen_challenge=challenge, contract_certificate_chain=chain
    )


def signed(curve="secp521r1", elements=None):
    key = KEYS[curve]
    algorithms = for_key(key.public_key(), ISO20_AND_P256)
    return sign(elements or {"id1": element()}, Signer(key), algorithms, SET)


def check(signature, elements=None, curve="secp521r1", **given):
    given = {"allowed": ISO20_AND_P256} | given
    return verify(signature, elements or {"id1": element()}, KEYS[curve].public_key(), SET, **given)


def resigned(signature, curve="secp521r1", **changes):
    """The signature over a changed SignedInfo, as the owner of the key could make it."""
    info = replace(signature.signed_info, **changes)
    (octets,) = signed_info_forms(info, schema_set(namespaces.XMLDSIG))
    key = KEYS[curve]
    algorithms = for_key(key.public_key(), ISO20_AND_P256)
    value = xmldsig.SignatureValue(value=algorithms.sign(Signer(key), octets))
    return replace(signature, signed_info=info, signature_value=value)


def reference(signature, **changes):
    """The one Reference of a signature, changed, as a list."""
    return (replace(signature.signed_info.reference[0], **changes),)


@pytest.mark.req("V2G20-2473")
@pytest.mark.req("V2G20-2476")
@pytest.mark.parametrize("curve", CURVES)
def test_signature_of_every_curve_holds_and_names_its_algorithms(curve):
    verdict = check(signed(curve), curve=curve)
    assert verdict.ok
    assert verdict.form == "standalone"
    assert str(verdict) == f"valid ({verdict.algorithms}, standalone)"


@pytest.mark.req("V2G20-1000")
@pytest.mark.parametrize("curve", CURVES)
def test_signature_survives_the_wire_and_has_its_fixed_width(curve):
    signature = signed(curve)
    request = common.AuthorizationReq(
        header=MessageHeader(session_id=bytes(8), time_stamp=1, signature=signature),
        selected_authorization_service=common.Authorization.PNC,
        authorization_mode=element(),
    )
    received = decode(encode(request, SET), SET)
    assert check(received.header.signature, {"id1": received.authorization_mode}, curve).ok
    wanted = {"secp521r1": 132, "secp256r1": 64, "ed448": 114}[curve]
    assert len(received.header.signature.signature_value.value) == wanted


@pytest.mark.req("V2G20-1000")
@pytest.mark.parametrize("value", [b"", bytes(131), bytes(132), b"\xff" * 132, bytes(133)])
def test_malformed_value_is_refused_and_does_not_raise(value):
    broken = replace(signed(), signature_value=xmldsig.SignatureValue(value=value))
    assert check(broken).flaw is Flaw.VALUE


@pytest.mark.parametrize("curve", CURVES)
def test_value_of_another_key_is_refused(curve):
    other = {"secp521r1": ec.SECP521R1(), "secp256r1": ec.SECP256R1()}.get(curve)
    key = (
        ec.derive_private_key(11**70, other) if other else ed448.Ed448PrivateKey.from_private_bytes(bytes(57))
    )
    assert (
        verify(signed(curve), {"id1": element()}, key.public_key(), SET, allowed=ISO20_AND_P256).flaw
        is Flaw.VALUE
    )


def test_p256_is_refused_in_iso15118_20_unless_it_is_allowed():
    assert check(signed("secp256r1"), curve="secp256r1", allowed=ISO20).flaw is Flaw.ALGORITHM
    assert check(signed("secp256r1"), curve="secp256r1", allowed=ISO2).ok
    assert check(signed("secp521r1"), allowed=ISO2).flaw is Flaw.ALGORITHM


@pytest.mark.parametrize("key", [ec.derive_private_key(5, ec.SECP384R1()).public_key(), None, object()])
def test_key_of_a_strange_kind_is_refused(key):
    assert verify(signed(), {"id1": element()}, key, SET).flaw is Flaw.ALGORITHM


def test_missing_signature_is_told():
    verdict = check(None)
    assert verdict.flaw is Flaw.MISSING
    assert "no signature" in str(verdict)


def test_changed_element_is_refused():
    changed = {"id1": element(challenge=b"\1" * 16)}
    verdict = check(signed(), changed)
    assert verdict.flaw is Flaw.DIGEST
    assert "id1" in str(verdict)


# --- signature wrapping ---------------------------------------------------------------------------


@pytest.mark.req("V2G20-764")
def test_signature_over_another_element_proves_nothing():
    """A valid signature, replayed beside an element that it does not cover."""
    assert check(signed(elements={"id2": element("id2")})).flaw is Flaw.REFERENCES


def test_signature_over_more_than_the_element_is_refused():
    both = signed(elements={"id1": element(), "id2": element("id2")})
    assert check(both).flaw is Flaw.REFERENCES


def test_signature_over_less_than_all_elements_is_refused():
    both = {"id1": element(), "id2": element("id2")}
    assert check(signed(), both).flaw is Flaw.REFERENCES
    assert check(signed(elements=both), both).ok


def test_element_named_twice_is_refused():
    signature = signed()
    doubled = resigned(signature, reference=signature.signed_info.reference * 2)
    assert check(doubled).flaw is Flaw.REFERENCES
    assert check(doubled, {"id1": element(), "id2": element("id2")}).flaw is Flaw.REFERENCES


def test_number_of_references_is_bounded():
    signature = signed()
    many = resigned(signature, reference=signature.signed_info.reference * (MAX_REFERENCES + 40))
    verdict = check(many)
    assert verdict.flaw is Flaw.REFERENCES
    assert str(verdict).count("#id1") <= MAX_REFERENCES + 2


@pytest.mark.parametrize("uri", [None, "", "#", "id1", "#ID1", "#id1 ", "http://x#id1"])
def test_reference_has_to_name_the_element(uri):
    signature = signed()
    odd = resigned(signature, reference=reference(signature, uri=uri))
    assert check(odd).flaw is Flaw.REFERENCES


# --- algorithm confusion --------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["canonicalization", "signature", "digest", "transform"])
@pytest.mark.parametrize(
    "uri",
    [
        "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
        ISO2_P256.signature_uri,
        CANONICAL_EXI,
        for_key(KEYS["secp521r1"].public_key(), ISO20).signature_uri,
        for_key(KEYS["secp521r1"].public_key(), ISO20).digest_uri,
    ],
)
def test_every_algorithm_is_checked_in_its_own_place(place, uri):
    """Also the right URI at the wrong place."""
    signature = signed()
    transforms = xmldsig.Transforms(transform=(xmldsig.Transform(algorithm=uri),))
    changed = {
        "canonicalization": {"canonicalization_method": xmldsig.CanonicalizationMethod(algorithm=uri)},
        "signature": {"signature_method": xmldsig.SignatureMethod(algorithm=uri)},
        "digest": {"reference": reference(signature, digest_method=xmldsig.DigestMethod(algorithm=uri))},
        "transform": {"reference": reference(signature, transforms=transforms)},
    }[place]
    odd = resigned(signature, **changed)
    assert check(odd).flaw is (None if odd.signed_info == signature.signed_info else Flaw.ALGORITHM)


def test_reference_without_transforms_is_accepted():
    signature = signed()
    assert check(resigned(signature, reference=reference(signature, transforms=None))).ok


# --- forbidden parts ------------------------------------------------------------------------------


def forbidden():
    signature = signed()
    info = signature.signed_info
    two = xmldsig.Transforms(transform=info.reference[0].transforms.transform * 2)
    spoken = xmldsig.Transforms(transform=(xmldsig.Transform(algorithm=CANONICAL_EXI, items=("x",)),))
    value = signature.signature_value
    key_info = xmldsig.KeyInfo(items=(xmldsig.KeyName(value="mine"),))
    sha = info.reference[0].digest_method
    return {
        "SignedInfo/Id": resigned(signature, id="a"),
        "SignatureValue/Id": replace(signature, signature_value=replace(value, id="a")),
        "KeyInfo": replace(signature, key_info=key_info),
        "Object": replace(signature, object=(xmldsig.Object(items=("x",)),)),
        "HMACOutputLength": resigned(
            signature, signature_method=replace(info.signature_method, hmac_output_length=0)
        ),
        "CanonicalizationMethod content": resigned(
            signature, canonicalization_method=replace(info.canonicalization_method, items=("x",))
        ),
        "SignatureMethod content": resigned(
            signature, signature_method=replace(info.signature_method, items=("x",))
        ),
        "Reference/Type": resigned(signature, reference=reference(signature, type="x")),
        "DigestMethod content": resigned(
            signature, reference=reference(signature, digest_method=replace(sha, items=("x",)))
        ),
        "Transform content": resigned(signature, reference=reference(signature, transforms=spoken)),
        "a second Transform": resigned(signature, reference=reference(signature, transforms=two)),
    }


@pytest.mark.req("V2G20-764")
@pytest.mark.parametrize("part", sorted(forbidden()))
def test_forbidden_part_is_refused_by_name(part):
    verdict = check(forbidden()[part])
    assert verdict.flaw is Flaw.FORM
    assert part in verdict.detail


# --- both grammars of SignedInfo -------------------------------------------------------------------


@pytest.mark.req("V2G20-1449")
def test_combined_grammar_is_a_tolerance_that_can_be_switched_off():
    signature = signed()
    _, octets = signed_info_forms(signature.signed_info, schema_set(namespaces.XMLDSIG), SET)
    key = KEYS["secp521r1"]
    value = for_key(key.public_key(), ISO20).sign(Signer(key), octets)
    combined = replace(signature, signature_value=xmldsig.SignatureValue(value=value))
    assert check(combined).form == "combined"
    assert check(combined, combined=False).flaw is Flaw.VALUE
    assert check(signature, combined=False).form == "standalone"


def test_oversized_content_is_judged_by_its_bits():
    """Whether a certificate may be that long is decided elsewhere; the signature over it is right."""
    chain = common.ContractCertificateChain(
        certificate=bytes(1601), sub_certificates=common.SubCertificates(certificate=(b"sub",))
    )
    large = replace(element(), contract_certificate_chain=chain)
    with pytest.raises(EncodeError, match="1601"):
        signed(elements={"id1": large})
    assert check(signed(), {"id1": large}).flaw is Flaw.DIGEST


def test_element_that_cannot_be_encoded_is_a_verdict_too():
    unnameable = replace(element(), gen_challenge="text")
    verdict = check(signed(), {"id1": unnameable})
    assert verdict.flaw is Flaw.DIGEST


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("curve", CURVES)
def test_own_keys_sign_the_same_way_each_time_and_never_show(curve):
    key = OwnKey(KEYS[curve])
    algorithms = for_key(KEYS[curve].public_key(), ISO20_AND_P256)
    first, second = (sign({"id1": element()}, key, algorithms, SET) for _ in range(2))
    assert first == second
    assert check(first, curve=curve).ok
    assert repr(key) == str(key) == "OwnKey(...)"


def test_key_of_the_wrong_kind_is_an_error_of_our_own():
    with pytest.raises(CertsError):
        OwnKey(KEYS["ed448"]).sign_digest(bytes(64))
    with pytest.raises(CertsError):
        OwnKey(KEYS["secp521r1"]).sign_message(b"x")


def test_key_in_hardware_signs_in_its_own_way():
    inside = Signer(KEYS["secp521r1"])
    key = OwnKey(HardwareKey(KEYS["secp521r1"].public_key(), inside.sign_digest))
    assert check(sign({"id1": element()}, key, ISO20[0], SET)).ok
