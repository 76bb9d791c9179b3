"""Encoding and decoding: options, errors with their places, limits."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from iso15118.errors import DecodeError, EncodeError
from iso15118.exi.codec import decode, decode_detailed, encode
from iso15118.exi.fragment import fragment, signed_info_forms
from iso15118.exi.options import ACDP_CBV2G, FULL_LIST_LOOP, MAX_MESSAGE_OCTETS, Options
from iso15118.exi.schema import AnyElement, fields_of, info_of
from iso15118.exi.tables import QName
from iso15118.messages import namespaces, sap, xmldsig
from iso15118.messages.iso20 import ac, acdp, common, dc, types
from iso15118.messages.iso20.types import MessageHeader, RationalNumber, ResponseCode
from iso15118.messages.minimal import minimal
from iso15118.messages.registry import SETS, schema_set

SAP = schema_set(namespaces.SAP)
COMMON = schema_set(namespaces.COMMON_MESSAGES)
DC = schema_set(namespaces.DC)
AC = schema_set(namespaces.AC)
ACDP = schema_set(namespaces.ACDP)
XMLDSIG = schema_set(namespaces.XMLDSIG)

HEADER = MessageHeader(session_id=bytes.fromhex("0102030405060708"), time_stamp=1_700_000_000)
SESSION_STOP = common.SessionStopReq(
    header=HEADER, charging_session=common.ChargingSession.TERMINATE, ev_termination_code=""
)
RATIONAL = RationalNumber(exponent=-1, value=-3985)


def altered(original: Any, /, **changes: Any) -> Any:
    """A copy with fields the type checker would not allow."""
    return dataclasses.replace(original, **changes)


# --- one message, bit by bit ------------------------------------------------------------------


def test_welding_detection_response() -> None:
    message = dc.DC_WeldingDetectionRes(
        header=HEADER, response_code=ResponseCode.WARNING_STANDBY_NOT_ALLOWED, evse_present_voltage=RATIONAL
    )
    octets = bytes.fromhex("8050040081018202830384080e2cfaa062260fe3203e00")
    assert encode(message, DC) == octets
    assert decode(octets, DC) == message


def test_objects_are_of_the_declared_classes_and_frozen() -> None:
    value = decode(bytes.fromhex("80400040"), SAP)
    assert value == sap.SupportedAppProtocolRes(
        response_code=sap.ResponseCode.OK_SUCCESSFUL_NEGOTIATION, schema_id=1
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.schema_id = 2
    assert hash(value) == hash(altered(value))


def test_lists_are_tuples() -> None:
    offer = sap.AppProtocol(
        protocol_namespace="urn:x",
        version_number_major=1,
        version_number_minor=0,
        schema_id=0,
        priority=1,
    )
    message = sap.SupportedAppProtocolReq(app_protocol=(offer, offer))
    assert isinstance(decode(encode(message, SAP), SAP).app_protocol, tuple)
    assert encode(altered(message, app_protocol=[offer, offer]), SAP) == encode(message, SAP)


def test_trailing_octets_and_padding_bits_are_ignored() -> None:
    assert decode(bytes.fromhex("8040004fab00"), SAP).schema_id == 1
    assert decode_detailed(bytes.fromhex("80400040"), SAP).bits == 28


# --- options ----------------------------------------------------------------------------------


def test_both_spellings_of_an_empty_value() -> None:
    as_end = encode(SESSION_STOP, COMMON, options=Options(empty="ee"))
    as_characters = encode(SESSION_STOP, COMMON)
    assert as_end.hex() == "8094040081018202830384080e2cfaa0622210"
    assert as_characters != as_end
    for octets, spelling in ((as_end, "ee"), (as_characters, "ch")):
        result = decode_detailed(octets, COMMON)
        assert (result.value, result.empty) == (SESSION_STOP, spelling)
    assert (
        decode_detailed(encode(altered(SESSION_STOP, ev_termination_code=None), COMMON), COMMON).empty is None
    )


@pytest.mark.parametrize("spelling", ["ch", "ee"])
def test_empty_simple_content_with_and_without_attribute(spelling: Any) -> None:
    for value in (
        xmldsig.SignatureValue(value=b""),
        xmldsig.SignatureValue(id="x", value=b""),
        xmldsig.KeyName(value=""),
        xmldsig.KeyInfo(id="", items=(xmldsig.KeyName(value=""),)),
    ):
        octets = encode(value, XMLDSIG, options=Options(empty=spelling))
        result = decode_detailed(octets, XMLDSIG)
        assert (result.value, result.empty) == (value, spelling)


def full_offer(count: int) -> sap.SupportedAppProtocolReq:
    return sap.SupportedAppProtocolReq(
        app_protocol=tuple(
            sap.AppProtocol(
                protocol_namespace=f"urn:example:{i}",
                version_number_major=i,
                version_number_minor=0,
                schema_id=i,
                priority=i,
            )
            for i in range(1, count + 1)
        )
    )


def root_ids(count: int) -> common.CertificateInstallationReq:
    serial = xmldsig.X509IssuerSerial(issuer_name="CN=Root", serial_number=2**90 + 1)
    return common.CertificateInstallationReq(
        header=HEADER,
        oem_provisioning_certificate_chain=common.SignedCertificateChain(id="id1", certificate=b"cert"),
        list_of_root_certificate_ids=types.ListOfRootCertificateIDs(root_certificate_id=(serial,) * count),
        maximum_contract_certificate_chains=255,
    )


def test_full_lists_of_other_encoders() -> None:
    exact = encode(root_ids(20), COMMON)
    looped = encode(root_ids(20), COMMON, options=Options(full_list="loop"))
    assert exact != looped
    assert decode_detailed(exact, COMMON).dialect == ()
    assert decode_detailed(looped, COMMON).dialect == (FULL_LIST_LOOP,)
    assert decode(looped, COMMON) == root_ids(20)
    with pytest.raises(DecodeError):
        decode(looped, COMMON, options=Options(tolerant=False))
    assert decode_detailed(looped, COMMON, options=Options(full_list="loop")).dialect == ()


def test_lists_that_are_not_full_do_not_depend_on_the_dialect() -> None:
    assert encode(full_offer(19), SAP) == encode(full_offer(19), SAP, options=Options(full_list="loop"))


@pytest.mark.parametrize("form", ["exact", "loop"])
def test_lists_beyond_their_maximum_cannot_be_written(form: Any) -> None:
    value = altered(
        full_offer(20), app_protocol=(*full_offer(20).app_protocol, full_offer(1).app_protocol[0])
    )
    with pytest.raises(EncodeError) as caught:
        encode(value, SAP, options=Options(full_list=form))
    assert caught.value.path[0] == "supportedAppProtocolReq"


def test_order_of_acdp_document_codes() -> None:
    request = minimal(acdp.ACDP_DisconnectReq, header=HEADER)
    response = minimal(acdp.ACDP_ConnectRes, header=HEADER)
    swapped = Options(acdp_order="cbv2g")
    assert encode(request, ACDP)[1] >> 2 == 2
    assert encode(request, ACDP, options=swapped)[1] >> 2 == 1
    assert encode(response, ACDP, options=swapped)[1] >> 2 == 2
    assert encode(minimal(acdp.ACDP_ConnectReq), ACDP, options=swapped)[1] >> 2 == 0
    for value in (request, response):
        assert decode(encode(value, ACDP, options=swapped), ACDP, options=swapped) == value
    found = decode_detailed(encode(request, ACDP, options=swapped), ACDP)
    assert (found.value, found.dialect) == (request, (ACDP_CBV2G,))


def test_facets_bind_the_encoder_unless_told_otherwise() -> None:
    odd = altered(SESSION_STOP, header=altered(HEADER, session_id=b"\0"))
    with pytest.raises(EncodeError, match="1 octets, at least 8 needed") as caught:
        encode(odd, COMMON)
    assert caught.value.path == ("SessionStopReq", "Header", "SessionID")
    octets = encode(odd, COMMON, options=Options(facets=False))
    assert decode(octets, COMMON) == odd


# --- fragments --------------------------------------------------------------------------------


def test_fragments_of_local_elements_need_a_name_only_where_the_class_has_none() -> None:
    chain = common.SignedCertificateChain(id="id1", certificate=b"\1\2")
    octets = fragment(chain, COMMON)
    result = decode_detailed(octets, COMMON, fragment=True)
    assert result.element == QName("OEMProvisioningCertificateChain", namespaces.COMMON_MESSAGES)
    assert result.value == chain
    with pytest.raises(EncodeError, match="name the element"):
        fragment(RATIONAL, COMMON)
    named = fragment(RATIONAL, COMMON, element="EnergyFee")
    assert decode(named, COMMON, fragment=True) == RATIONAL


def test_fragments_of_simple_elements() -> None:
    octets = fragment(57, COMMON, element="PresentSOC")
    assert decode_detailed(octets, COMMON, fragment=True).element.name == "PresentSOC"
    assert decode(octets, COMMON, fragment=True) == 57
    with pytest.raises(EncodeError, match="2 elements of that name"):
        fragment(1, COMMON, element="Exponent")
    qname = QName("Exponent", namespaces.COMMON_TYPES)
    assert decode(fragment(1, COMMON, element=qname), COMMON, fragment=True) == 1


def test_end_of_fragment_is_checked() -> None:
    octets = bytearray(fragment(57, COMMON, element="PresentSOC"))
    octets[-2] ^= 0x10
    with pytest.raises(DecodeError, match="end of fragment"):
        decode(bytes(octets), COMMON, fragment=True)


def test_signed_info_is_signed_under_its_own_schema() -> None:
    info = xmldsig.SignedInfo(
        canonicalization_method=xmldsig.CanonicalizationMethod(algorithm="a"),
        signature_method=xmldsig.SignatureMethod(algorithm="b"),
        reference=(
            xmldsig.Reference(
                uri="#id1",
                digest_method=xmldsig.DigestMethod(algorithm="c"),
                digest_value=xmldsig.DigestValue(value=bytes(32)),
            ),
        ),
    )
    alone, combined = signed_info_forms(info, XMLDSIG, COMMON)
    assert alone == fragment(info, XMLDSIG) == signed_info_forms(info, XMLDSIG)[0]
    assert alone != combined
    assert decode(combined, COMMON, fragment=True) == decode(alone, XMLDSIG, fragment=True) == info


def test_name_declared_with_two_types_uses_the_relaxed_grammar() -> None:
    known = schema_set(namespaces.AC_DER_IEC)
    octets = fragment("12", known, element="IntentionalDelayPowerControl")
    name = known.fragment_elements[
        known.fragment_codes[QName("IntentionalDelayPowerControl", known.namespace)]
    ]
    assert name.is_relaxed
    result = decode(octets, known, fragment=True)
    assert result == AnyElement(known.namespace, "IntentionalDelayPowerControl", (), ("12",))
    assert fragment(result, known) == octets
    with_attributes = altered(result, attributes=(("", "Id", "x"), ("urn:x", "y", "z")))
    assert decode(fragment(with_attributes, known), known, fragment=True) == with_attributes
    assert decode(fragment(altered(result, children=()), known), known, fragment=True).children == ()


# --- errors when decoding ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("octets", "path", "bit", "reason"),
    [
        ("", (), 0, "empty message"),
        ("00400040", (), 0, "EXI header 0x00"),
        ("81400040", (), 0, "EXI header 0x81"),
        ("80", (), 8, "message ends"),
        ("80c0", (), 8, "root element code 3"),
        ("806c40", ("supportedAppProtocolRes",), 10, "undeclared event AT*, where the schema has ResponseCode"),
        ("804c80", ("supportedAppProtocolRes", "ResponseCode"), 12, "value 3 of responseCodeType is not assigned"),
        ("8041c0", ("supportedAppProtocolRes",), 15, "event code without a meaning"),
        ("8040", ("supportedAppProtocolRes",), 16, "message ends"),
        ("804000", ("supportedAppProtocolRes", "SchemaID"), 18, "message ends"),
        ("8050", ("supportedAppProtocolRes", "ResponseCode"), 11, "undeclared event EE"),
        ("80400060", ("supportedAppProtocolRes", "SchemaID"), 26, "undeclared event behind the value"),
    ],
)  # fmt: skip
def test_errors_name_the_place(octets: str, path: tuple[str, ...], bit: int, reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(bytes.fromhex(octets), SAP)
    assert (caught.value.path, caught.value.bit) == (path, bit)
    assert reason in caught.value.reason
    assert caught.value.diagnostics()


def test_items_of_lists_are_numbered() -> None:
    octets = encode(full_offer(3), SAP)
    with pytest.raises(DecodeError) as caught:
        decode(octets[:-4], SAP)
    assert caught.value.path[:2] == ("supportedAppProtocolReq", "AppProtocol[2]")


def test_abstract_elements_are_refused() -> None:
    message = minimal(
        dc.DC_ChargeLoopReq, header=HEADER, cl_req_control_mode=minimal(dc.Dynamic_DC_CLReqControlMode)
    )
    octets = encode(message, DC)
    member = len(octets) * 8  # the control mode's code is found by flipping 3 (Dynamic) to 2 (the head)
    head = 0
    for bit in range(100, member - 2):
        trial = int.from_bytes(octets, "big") ^ (1 << (member - 1 - bit))
        try:
            decode(trial.to_bytes(len(octets), "big"), DC)
        except DecodeError as error:
            head += "abstract" in error.reason and error.path[-1] == "CLReqControlMode"
    assert head == 1


def test_long_input_is_refused_unread() -> None:
    with pytest.raises(DecodeError, match="octets, at most"):
        decode(b"\x80" + bytes(MAX_MESSAGE_OCTETS), SAP)


def test_deep_input_is_refused() -> None:
    inner: Any = AnyElement("urn:x", "a")
    for _ in range(80):
        inner = AnyElement("urn:x", "a", (), (inner,))
    value = xmldsig.Object(items=(inner,))
    with pytest.raises(EncodeError, match="inside one another"):
        encode(value, XMLDSIG)
    octets = encode(value, XMLDSIG, options=Options(max_depth=200))
    with pytest.raises(DecodeError, match="inside one another"):
        decode(octets, XMLDSIG)
    assert decode(octets, XMLDSIG, options=Options(max_depth=200)) == value


def test_unbounded_lists_are_bounded_by_the_options() -> None:
    value = xmldsig.X509Data(items=(xmldsig.X509SubjectName(value="s"),) * 50)
    octets = encode(value, XMLDSIG)
    assert decode(octets, XMLDSIG) == value
    with pytest.raises(DecodeError, match="more than 49"):
        decode(octets, XMLDSIG, options=Options(max_items=49))


# --- errors when encoding ---------------------------------------------------------------------

LOOP = minimal(
    dc.DC_ChargeLoopReq,
    header=HEADER,
    ev_present_voltage=RATIONAL,
    cl_req_control_mode=minimal(dc.Dynamic_DC_CLReqControlMode),
)


@pytest.mark.parametrize(
    ("changes", "path", "reason"),
    [
        ({"header": None}, ("Header",), "mandatory, but None"),
        ({"header": RATIONAL}, ("Header",), "MessageHeader expected, not RationalNumber"),
        ({"header": altered(HEADER, time_stamp="1")}, ("Header", "TimeStamp"), "int expected, not str"),
        ({"header": altered(HEADER, time_stamp=None)}, ("Header", "TimeStamp"), "mandatory, but None"),
        ({"header": altered(HEADER, time_stamp=-1)}, ("Header", "TimeStamp"), "-1 is outside 0.."),
        ({"header": altered(HEADER, time_stamp=2**64)}, ("Header", "TimeStamp"), "outside"),
        ({"header": altered(HEADER, time_stamp=True)}, ("Header", "TimeStamp"), "int expected, not bool"),
        ({"header": altered(HEADER, session_id="ab")}, ("Header", "SessionID"), "bytes expected, not str"),
        ({"meter_info_requested": 1}, ("MeterInfoRequested",), "bool expected, not int"),
        ({"ev_present_voltage": altered(RATIONAL, exponent=200)}, ("EVPresentVoltage", "Exponent"), "200 is outside"),
        ({"ev_present_voltage": altered(RATIONAL, value=40000)}, ("EVPresentVoltage", "Value"), "40000 is outside"),
        ({"ev_present_voltage": altered(RATIONAL, value=1.5)}, ("EVPresentVoltage", "Value"), "int expected, not float"),
        ({"ev_present_voltage": altered(RATIONAL, value=None)}, ("EVPresentVoltage", "Value"), "int expected, not"),
        ({"ev_present_voltage": 5}, ("EVPresentVoltage",), "RationalNumber expected, not int"),
        ({"cl_req_control_mode": minimal(ac.Dynamic_AC_CLReqControlMode)}, ("CLReqControlMode",), "expected, not Dynamic_AC"),
        ({"cl_req_control_mode": types.CLReqControlMode()}, ("CLReqControlMode",), "abstract"),
        ({"display_parameters": types.DisplayParameters(present_soc=101)}, ("DisplayParameters", "PresentSOC"), "101 is outside 0..100"),
    ],
)  # fmt: skip
def test_encoding_errors_name_the_value(changes: dict[str, Any], path: tuple[str, ...], reason: str) -> None:
    with pytest.raises(EncodeError) as caught:
        encode(altered(LOOP, **changes), DC)
    assert caught.value.path == ("DC_ChargeLoopReq", *path)
    assert reason in caught.value.reason
    assert caught.value.diagnostics()


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        (sap.SupportedAppProtocolReq(app_protocol=()), (), "AppProtocol expected here, not the end"),
        (altered(full_offer(1), app_protocol=None), ("AppProtocol",), "tuple expected, not NoneType"),
        (altered(full_offer(1), app_protocol="abc"), ("AppProtocol",), "tuple expected, not str"),
        (altered(full_offer(1), app_protocol=(None,)), ("AppProtocol",), "AppProtocol expected, not nothing (None)"),
        (altered(full_offer(1), app_protocol=(altered(full_offer(1).app_protocol[0], priority=0),)), ("AppProtocol[0]", "Priority"), "0 is outside 1..20"),
        (altered(full_offer(1), app_protocol=(altered(full_offer(1).app_protocol[0], protocol_namespace="x" * 101),)), ("AppProtocol[0]", "ProtocolNamespace"), "101 characters, at most 100 allowed"),
    ],
)  # fmt: skip
def test_encoding_errors_in_lists(value: Any, path: tuple[str, ...], reason: str) -> None:
    with pytest.raises(EncodeError) as caught:
        encode(value, SAP)
    assert caught.value.path == ("supportedAppProtocolReq", *path)
    assert reason in caught.value.reason


@pytest.mark.parametrize("value", [None, 5, "text", b"", object(), sap.SupportedAppProtocolReq])
def test_what_is_no_message_cannot_be_encoded(value: Any) -> None:
    with pytest.raises(EncodeError, match="expected"):
        encode(value, SAP)


def test_messages_of_other_sets_cannot_be_encoded() -> None:
    with pytest.raises(EncodeError, match="is no root element of this schema set"):
        encode(SESSION_STOP, DC)
    with pytest.raises(EncodeError, match="Header"):
        encode(HEADER, DC)


def test_enumerations_are_not_mixed_up() -> None:
    wrong = altered(minimal(dc.DC_CableCheckRes, header=HEADER), response_code=types.Processing.FINISHED)
    with pytest.raises(EncodeError, match="ResponseCode expected, not Processing"):
        encode(wrong, DC)
    with pytest.raises(EncodeError, match="ResponseCode expected, not str"):
        encode(altered(wrong, response_code="OK"), DC)


def test_elements_in_impossible_combinations() -> None:
    value = xmldsig.DSAKeyValue(p=b"1", y=b"2")
    with pytest.raises(EncodeError, match="Q expected here, not Y"):
        encode(value, XMLDSIG)
    spki = xmldsig.SPKIData(items=(AnyElement("urn:x", "a"),))
    with pytest.raises(EncodeError, match="SPKISexp expected here"):
        encode(spki, XMLDSIG)


def test_foreign_elements_must_be_foreign() -> None:
    with pytest.raises(EncodeError, match="use its class"):
        encode(xmldsig.Object(items=(AnyElement(namespaces.XMLDSIG, "KeyName"),)), XMLDSIG)
    with pytest.raises(EncodeError, match="expected, not int"):
        encode(altered(xmldsig.Object(), items=(5,)), XMLDSIG)
    with pytest.raises(EncodeError, match="global element or AnyElement expected, not int"):
        encode(xmldsig.Object(items=(AnyElement("urn:x", "a", (), (5,)),)), XMLDSIG)
    with pytest.raises(EncodeError, match="str expected"):
        encode(xmldsig.Object(items=(AnyElement("urn:x", "a", (("", "b", 5),)),)), XMLDSIG)  # type: ignore[arg-type]


def test_another_class_for_the_same_type_is_welcome() -> None:
    """`common.RationalValue` and `types.RationalNumber` are one schema type."""
    value = common.RationalValue(exponent=-1, value=-3985)
    message = minimal(dc.DC_PreChargeRes, header=HEADER, evse_present_voltage=value)
    assert encode(message, DC) == encode(altered(message, evse_present_voltage=RATIONAL), DC)


@pytest.mark.parametrize("namespace", [n for n in SETS if n != namespaces.XMLDSIG])
def test_every_minimal_message_round_trips(namespace: str) -> None:
    known = schema_set(namespace)
    for element in known.elements:
        if element.cls is None or not element.qname.name.endswith(("Req", "Res")):
            continue
        mode = {}
        for field in fields_of(element.cls):  # the head of a group is abstract: one of its members
            if field.is_reference and info_of(field.classes[0]).abstract:
                members = known.substitutes(field.classes[0])
                mode[field.attr] = minimal(next(m for m in members if not info_of(m).abstract))
        value = minimal(element.cls, **mode)
        assert decode(encode(value, known), known) == value
