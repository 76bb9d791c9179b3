"""Escape codes, xsi:type and names from the stream: messages put together bit by bit."""

from __future__ import annotations

from typing import Any

import pytest

from iso15118.errors import DecodeError, EncodeError
from iso15118.exi.bits import BitWriter, pack_octets, pack_string, pack_unsigned
from iso15118.exi.codec import decode, decode_detailed, encode
from iso15118.exi.explain import explain
from iso15118.exi.fragment import fragment
from iso15118.exi.grammar import XSD_NAMESPACE, SchemaSet
from iso15118.exi.names import NameTable
from iso15118.exi.schema import AnyElement
from iso15118.exi.tables import QName
from iso15118.exi.undeclared import ANY_TYPE, XSI_TYPE
from iso15118.messages import namespaces, sap, xmldsig
from iso15118.messages.registry import schema_set

SAP = schema_set(namespaces.SAP)
XMLDSIG = schema_set(namespaces.XMLDSIG)
DER = schema_set(namespaces.AC_DER_IEC)


def stream(*parts: tuple[int, int]) -> bytes:
    writer = BitWriter()
    writer.write(0x80, 8)
    for bits, width in parts:
        writer.write(bits, width)
    return writer.finish()


def name(qname: QName, known: SchemaSet = SAP) -> tuple[int, int]:
    return NameTable(known).pack(qname)


RESPONSE = ((1, 2), (0, 1))  # SE(supportedAppProtocolRes), SE(ResponseCode)
XSI_TYPE_ON_LEAF = ((1, 1), (1, 3))
VALUE_AND_END = ((0, 1), (0, 2), (0, 1), (1, 2))  # CH, OK, EE, EE


def test_redundant_type_of_a_simple_element() -> None:
    octets = stream(
        *RESPONSE, *XSI_TYPE_ON_LEAF, name(QName("responseCodeType", namespaces.SAP)), *VALUE_AND_END
    )
    assert decode(octets, SAP) == sap.SupportedAppProtocolRes(
        response_code=sap.ResponseCode.OK_SUCCESSFUL_NEGOTIATION
    )
    assert "xsi:type {urn:iso:15118:2:2010:AppProtocol}responseCodeType" in str(explain(octets, SAP))


@pytest.mark.parametrize(
    "qname", [QName("idType", namespaces.SAP), QName("string", XSD_NAMESPACE), QName("x", "urn:x")]
)
def test_another_type_of_a_simple_element(qname: QName) -> None:
    octets = stream(*RESPONSE, *XSI_TYPE_ON_LEAF, name(qname), *VALUE_AND_END)
    with pytest.raises(DecodeError, match="undeclared event xsi:type") as caught:
        decode(octets, SAP)
    assert (caught.value.path, caught.value.bit) == (("supportedAppProtocolRes", "ResponseCode"), 11)


def test_builtin_type_of_a_simple_element() -> None:
    octets = stream(
        (5, 5), (1, 1), (1, 3), name(QName("string", XSD_NAMESPACE), XMLDSIG), (0, 1), pack_string("k"), (0, 1)
    )  # fmt: skip
    with pytest.raises(DecodeError, match="xsi:type string cannot stand for KeyName"):
        decode(octets, XMLDSIG)  # KeyName is a class of its own here


@pytest.mark.parametrize(
    ("type_name", "reason"),
    [
        (QName("RationalNumberType", namespaces.COMMON_TYPES), "cannot stand for CLReqControlMode"),
        (
            QName("Scheduled_CLReqControlModeType", namespaces.COMMON_TYPES),
            "cannot stand for CLReqControlMode",
        ),
        (QName("Nothing", "urn:x"), "cannot stand for CLReqControlMode"),
    ],
)
def test_types_that_cannot_stand_for_a_control_mode(type_name: QName, reason: str) -> None:
    known = schema_set(namespaces.AC)
    head = bytes.fromhex("80080400810182028303840012851802")  # up to xsi:type of CLReqControlMode
    whole = bytes.fromhex("800804008101820283038400128518025490000a50")
    prefix = explain(whole, known).rows
    start = next(row.start for row in prefix if row.text.startswith("xsi:type"))
    writer = BitWriter()
    writer.write(int.from_bytes(whole, "big") >> (8 * len(whole) - start), start)
    writer.write(*name(type_name, known))
    writer.write(0, 64)
    assert writer.finish()[:8] == head[:8]
    with pytest.raises(DecodeError, match=reason) as caught:
        decode(writer.finish(), known)
    assert caught.value.path == ("AC_ChargeLoopReq", "CLReqControlMode")


# --- second level by kind of state ------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "event"),
    [(0, "EE"), (2, "xsi:nil"), (3, "AT*"), (4, "ATu"), (5, "SE*"), (6, "CH")],
)
def test_undeclared_events_of_a_first_state(code: int, event: str) -> None:
    with pytest.raises(
        DecodeError, match=f"undeclared event {event.replace('*', '.')}, where the schema has Resp"
    ):
        decode(stream((1, 2), (1, 1), (code, 3), (0, 32)), SAP)


def test_second_level_code_without_a_meaning() -> None:
    with pytest.raises(DecodeError, match="second-level event code without a meaning"):
        decode(stream((1, 2), (1, 1), (7, 3), (0, 32)), SAP)


def test_undeclared_events_behind_an_attribute() -> None:
    known_head = ((4, 5), (0, 4), pack_string("k"))  # KeyInfo, Id
    events = [(0, "EE"), (1, "AT*"), (2, "ATu"), (3, "SE*"), (4, "CH")]
    for code, event in events:
        with pytest.raises(DecodeError) as caught:
            decode(stream(*known_head, (9, 4), (code, 3), (0, 32)), XMLDSIG)
        assert f"undeclared event {event}, where" in caught.value.reason


# --- names ------------------------------------------------------------------------------------

OBJECT_ANY = ((9, 5), (3, 3))  # Object, SE(*)
UNKNOWN = (1, 2)  # AT(*) of an element without a grammar


def unknown(*content: tuple[int, int], first: QName = XSI_TYPE, second: QName = ANY_TYPE) -> bytes:
    table = NameTable(XMLDSIG)
    return stream(
        *OBJECT_ANY, table.pack(QName("foo", "")), UNKNOWN, table.pack(first), table.pack(second), *content
    )


def test_an_unknown_element() -> None:
    assert decode(unknown((2, 3), (1, 2)), XMLDSIG) == xmldsig.Object(items=(AnyElement("", "foo"),))


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (unknown((2, 3), (1, 2), first=QName("nil", XSI_TYPE.namespace)), "type expected, not nil"),
        (unknown((2, 3), (1, 2), second=QName("string", XSD_NAMESPACE)), "anyType expected, not string"),
        (unknown((4, 3)), "undeclared event in an unknown element"),
        (unknown((3, 3), pack_string("t"), (3, 2)), "undeclared event in an unknown element"),
        (stream(*OBJECT_ANY, name(QName("foo", ""), XMLDSIG), (0, 2)), "unknown element without xsi:type"),
        (stream(*OBJECT_ANY, (7, 3)), "URI 6 of 5"),
        (stream(*OBJECT_ANY, (1, 3), (0, 8), (7, 3)), "local name 7 of 7"),
        (stream(*OBJECT_ANY, (0, 3), pack_octets(5, b"urn:x"), (0, 8)), "local name 0 of 0"),
        (stream(*OBJECT_ANY, (0, 3), pack_unsigned(2**40)), "characters announced"),
    ],
)  # fmt: skip
def test_broken_unknown_elements(octets: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        decode(octets, XMLDSIG)


def test_element_met_before_may_use_what_was_learned() -> None:
    """A processor that uses the learned xsi:type attribute writes one bit instead of three and a name."""
    table = NameTable(XMLDSIG)
    foo = QName("foo", "")
    octets = stream(
        *OBJECT_ANY, table.pack(foo), UNKNOWN, table.pack(XSI_TYPE), table.pack(ANY_TYPE), (2, 3),
        (0, 2), table.pack(foo), (0, 1), table.pack(ANY_TYPE), (2, 3), (1, 2),
    )  # fmt: skip
    assert decode(octets, XMLDSIG) == xmldsig.Object(items=(AnyElement("", "foo"),) * 2)


# --- the relaxed grammar ----------------------------------------------------------------------

RELAXED = QName("IntentionalDelayPowerControl", namespaces.AC_DER_IEC)


def relaxed(*content: tuple[int, int]) -> bytes:
    return stream((DER.fragment_codes[RELAXED], DER.fragment_width), *content)


def test_elements_inside_a_relaxed_fragment() -> None:
    first = len(DER.attribute_names) + 1
    elements = len(DER.fragment_elements)
    wide, narrow = (first + elements + 3).bit_length(), (elements + 3).bit_length()
    key_name = QName("KeyName", namespaces.XMLDSIG)
    end = ((elements + 1, narrow), (elements + 1, DER.fragment_width))
    value = ((0, 1), pack_string("k"), (0, 1))
    declared = relaxed((first + DER.fragment_codes[key_name], wide), *value, *end)
    wildcard = relaxed((first + elements, wide), name(key_name, DER), *value, *end)
    for octets in (declared, wildcard):
        found = decode_detailed(octets, DER, fragment=True)
        assert found.value == AnyElement(RELAXED.namespace, RELAXED.name, (), (xmldsig.KeyName(value="k"),))
    scalar = DER.fragment_codes[QName("TimeStamp", namespaces.COMMON_TYPES)]
    with pytest.raises(DecodeError, match="without support"):
        decode(relaxed((first + scalar, wide), (0, 32)), DER, fragment=True)


def test_objects_with_text_alone_fit_a_relaxed_fragment() -> None:
    value = xmldsig.SignatureProperty(target="#a", id="b", items=("text",))
    text_only: Any = xmldsig.XPath(value="/a")
    assert decode(fragment(text_only, DER, element=RELAXED), DER, fragment=True).children == ("/a",)
    for broken in (value, 5):
        with pytest.raises(EncodeError):
            fragment(broken, DER, element=RELAXED)


def test_depth_of_foreign_elements_is_bounded_when_encoding() -> None:
    inner: Any = xmldsig.KeyName(value="k")
    for _ in range(70):
        inner = xmldsig.KeyInfo(items=(AnyElement("", "a", (), (inner,)),))
    with pytest.raises(EncodeError, match="inside one another"):
        encode(inner, XMLDSIG)
