"""Bit maps of messages, whole and broken."""

from __future__ import annotations

from iso15118.exi.codec import encode
from iso15118.exi.explain import explain
from iso15118.exi.fragment import fragment
from iso15118.exi.options import Options
from iso15118.exi.schema import AnyElement
from iso15118.messages import namespaces, xmldsig
from iso15118.messages.iso20 import acdp
from iso15118.messages.minimal import minimal
from iso15118.messages.registry import schema_set

SAP = schema_set(namespaces.SAP)
XMLDSIG = schema_set(namespaces.XMLDSIG)

RESPONSE = """\
    0  10000000           header
    8  01                 SE(supportedAppProtocolRes) = document code 1 (2 bits, 3 codes)
   10  0                  SE(ResponseCode)
   11  0                  CH
   12  00                 OK_SuccessfulNegotiation = value 0 of 3
   14  0                  EE(ResponseCode)
   15  00                 SE(SchemaID)   [SchemaID=0 EE=1, esc=2]
   17  0                  CH
   18  00000001           1 - (0) = 1 in 8 bits
   26  0                  EE(SchemaID)
   27  0                  EE(supportedAppProtocolRes)
   28  0000               padding to byte 4"""


def test_table_of_a_message() -> None:
    assert str(explain(bytes.fromhex("80400040"), SAP)) == RESPONSE


def test_rows_carry_paths_and_values() -> None:
    rows = explain(bytes.fromhex("80400040"), SAP).rows
    row = next(row for row in rows if row.value == 1)
    assert (row.start, row.end, row.bits) == (18, 26, "00000001")
    assert row.path == ("supportedAppProtocolRes", "SchemaID")


def test_trailing_octets() -> None:
    explanation = explain(bytes.fromhex("804000400102"), SAP)
    assert str(explanation.rows[-1]).endswith("2 trailing bytes, ignored")
    assert explanation.rows[-1].end == 48


def test_broken_messages_are_explained_up_to_the_error() -> None:
    explanation = explain(bytes.fromhex("804c80"), SAP)
    assert explanation.decoded is None
    assert explanation.error
    assert [row.start for row in explanation.rows] == [0, 8, 10]
    assert str(explanation).endswith(
        "error: supportedAppProtocolRes/ResponseCode: value 3 of responseCodeType is not assigned at bit 12"
    )
    assert str(explain(b"", SAP)) == "error: empty message at bit 0"


def test_long_lists_of_alternatives_are_counted() -> None:
    known = schema_set(namespaces.COMMON_MESSAGES)
    octets = fragment(5, known, element="PresentSOC")
    assert "fragment code" in str(explain(octets, known, fragment=True))
    status = minimal(acdp.ACDP_SystemStatusReq)
    text = str(explain(encode(status, schema_set(namespaces.ACDP)), schema_set(namespaces.ACDP)))
    assert "SE(EVTechnicalStatus)" in text


def test_dialects_are_followed() -> None:
    known = schema_set(namespaces.ACDP)
    request = minimal(acdp.ACDP_DisconnectReq)
    octets = encode(request, known, options=Options(acdp_order="cbv2g"))
    explanation = explain(octets, known)
    assert explanation.decoded
    assert explanation.decoded.value == request


def test_foreign_elements_and_the_relaxed_grammar() -> None:
    inner = AnyElement("urn:x", "a", (("", "b", "1"),), ("text",))
    value = xmldsig.Object(items=(inner, inner, "t"))
    octets = encode(value, XMLDSIG)
    text = str(explain(octets, XMLDSIG))
    for expected in (
        "SE(*)",
        "{urn:x}a",
        "anyType",
        "grammar met before",
        "AT of anyType",
        'characters "text"',
    ):
        assert expected in text
    known = schema_set(namespaces.AC_DER_IEC)
    relaxed = fragment("12", known, element="IntentionalDelayPowerControl")
    assert "relaxed grammar" in str(explain(relaxed, known, fragment=True))
