"""XML text: the canonical form out, tolerant and safe in."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from iso15118.errors import DecodeError, EncodeError
from iso15118.exi.as_xml import from_xml, to_xml
from iso15118.exi.schema import AnyElement
from iso15118.messages import namespaces, xmldsig
from iso15118.messages.iso20 import ac, common
from iso15118.messages.iso20.types import MessageHeader
from iso15118.messages.registry import schema_set

COMMON = schema_set(namespaces.COMMON_MESSAGES)
XMLDSIG = schema_set(namespaces.XMLDSIG)
SAP = schema_set(namespaces.SAP)
HEADER = MessageHeader(session_id=bytes.fromhex("0a0b0c0d0e0f0000"), time_stamp=5)
STOP = common.SessionStopReq(header=HEADER, charging_session=common.ChargingSession.PAUSE)

STOP_XML = (
    '<cm:SessionStopReq xmlns:cm="urn:iso:std:iso:15118:-20:CommonMessages"'
    ' xmlns:ct="urn:iso:std:iso:15118:-20:CommonTypes"><ct:Header><ct:SessionID>0A0B0C0D0E0F0000</ct:SessionID>'
    "<ct:TimeStamp>5</ct:TimeStamp></ct:Header><cm:ChargingSession>Pause</cm:ChargingSession></cm:SessionStopReq>"
)


def test_canonical_form() -> None:
    assert to_xml(STOP, COMMON) == STOP_XML
    assert from_xml(STOP_XML, COMMON) == STOP


def test_attributes_and_escapes() -> None:
    value = common.Parameter(name='<&">\t', value=common.FiniteString(value="a<b>&\"c'\r\n"))
    text = to_xml(value, COMMON)
    assert text == (
        '<cm:Parameter xmlns:cm="urn:iso:std:iso:15118:-20:CommonMessages" cm:Name="&lt;&amp;&quot;>&#x9;">'
        "<cm:finiteString>a&lt;b&gt;&amp;\"c'&#xD;\n</cm:finiteString></cm:Parameter>"
    )
    assert from_xml(text, COMMON) == value


def test_any_prefixes_blanks_comments_and_octets() -> None:
    text = """<?xml version="1.0" encoding="UTF-8"?>
    <SessionStopReq xmlns="urn:iso:std:iso:15118:-20:CommonMessages" xmlns:q="urn:iso:std:iso:15118:-20:CommonTypes">
      <q:Header> <!-- who -->
        <q:SessionID> 0a0b0c0d0e0f0000 </q:SessionID>
        <q:TimeStamp>\n+05 </q:TimeStamp>
      </q:Header>
      <ChargingSession>Pause</ChargingSession>
    </SessionStopReq>""".strip()
    assert from_xml(text, COMMON) == STOP
    assert from_xml(text.encode(), COMMON) == STOP


def test_elements_without_a_name_of_their_own() -> None:
    assert to_xml(57, COMMON, element="PresentSOC") == (
        '<ct:PresentSOC xmlns:ct="urn:iso:std:iso:15118:-20:CommonTypes">57</ct:PresentSOC>'
    )
    assert from_xml(to_xml(57, COMMON, element="PresentSOC"), COMMON) == 57
    with pytest.raises(EncodeError, match="name the element"):
        to_xml(HEADER.__class__(session_id=b"", time_stamp=1), SAP)


def test_foreign_elements_get_prefixes_in_order() -> None:
    known = xmldsig.KeyName(value="k")
    inner = AnyElement("urn:b", "b", (("", "x", "1"), ("urn:c", "y", "2")), ("text", known))
    value = xmldsig.Object(items=("t", AnyElement("urn:a", "a", (), (inner, AnyElement("", "n")))))
    text = to_xml(value, XMLDSIG)
    assert text == (
        '<ds:Object xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:x0="urn:a" xmlns:x1="urn:b" xmlns:x2="urn:c">t<x0:a>'
        '<x1:b x="1" x2:y="2">text<ds:KeyName>k</ds:KeyName></x1:b><n></n></x0:a></ds:Object>'
    )
    assert from_xml(text, XMLDSIG) == value


def test_xsi_type_for_a_control_mode() -> None:
    text = (
        '<AC_ChargeLoopReq xmlns="urn:iso:std:iso:15118:-20:AC" xmlns:ct="urn:iso:std:iso:15118:-20:CommonTypes"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><ct:Header><ct:SessionID>0102030405060708</ct:SessionID>'
        "<ct:TimeStamp>1</ct:TimeStamp></ct:Header><ct:MeterInfoRequested>false</ct:MeterInfoRequested>{mode}</AC_ChargeLoopReq>"
    )
    mode = '<ct:CLReqControlMode xsi:type="{}"><EVPresentActivePower><ct:Exponent>0</ct:Exponent><ct:Value>5</ct:Value></EVPresentActivePower></ct:CLReqControlMode>'
    known = schema_set(namespaces.AC)
    value = from_xml(text.format(mode=mode.format("ac:Scheduled_AC_CLReqControlModeType")), known)
    assert isinstance(value.cl_req_control_mode, ac.Scheduled_AC_CLReqControlMode)
    with pytest.raises(DecodeError, match="cannot stand for CLReqControlMode"):
        from_xml(text.format(mode=mode.format("ct:RationalNumberType")), known)
    with pytest.raises(DecodeError, match="abstract"):
        from_xml(text.format(mode="<ct:CLReqControlMode/>"), known)


@pytest.mark.parametrize(
    ("old", "new", "path", "reason"),
    [
        ("<ct:TimeStamp>5</ct:TimeStamp>", "", ("SessionStopReq", "ct:Header"), "TimeStamp is missing"),
        (">5<", ">x<", ("SessionStopReq", "Header", "TimeStamp"), "'x' is no unsignedLong"),
        (">5<", f">{'9' * 400}<", ("SessionStopReq", "Header", "TimeStamp"), "is no unsignedLong"),
        (">Pause<", ">Rest<", ("SessionStopReq", "ChargingSession"), "'Rest' is no chargingSessionType"),
        (">0A0B", ">XY", ("SessionStopReq", "Header", "SessionID"), "is not hexadecimal digits"),
        ("<cm:ChargingSession>", "<cm:Wrong/><cm:ChargingSession>", ("SessionStopReq",), "ChargingSession expected, not Wrong"),
        ("<cm:ChargingSession>", "text<cm:ChargingSession>", ("SessionStopReq",), "text where ChargingSession"),
        (">Pause<", "><cm:a/><", ("SessionStopReq", "ChargingSession"), "a inside a simple value"),
        ("<ct:Header>", '<ct:Header a="1">', ("SessionStopReq", "Header"), "attribute a is not declared"),
        ("</cm:SessionStopReq>", "", (), "not well-formed"),
        ("<cm:SessionStopReq", "<!DOCTYPE a><cm:SessionStopReq", (), "document type"),
        ("cm:SessionStopReq", "cm:Nothing", (), "is no element of this schema set"),
    ],
)  # fmt: skip
def test_errors_name_the_place(old: str, new: str, path: tuple[str, ...], reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        from_xml(STOP_XML.replace(old, new), COMMON)
    assert caught.value.path == tuple(name.removeprefix("ct:") for name in path)
    assert reason in caught.value.reason


@pytest.mark.parametrize("text", ["", "no xml", b"\xff\xfe\x00", "<a>" * 100, "<a/>" * 2, "\x00"])
def test_rubbish_is_refused(text: Any) -> None:
    with pytest.raises(DecodeError):
        from_xml(text, COMMON)


def test_entities_are_not_expanded() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>'
    with pytest.raises(DecodeError, match="document type"):
        from_xml(bomb, COMMON)


def test_lists_are_bounded() -> None:
    entry = "<AppProtocol><ProtocolNamespace>u</ProtocolNamespace><VersionNumberMajor>1</VersionNumberMajor><VersionNumberMinor>0</VersionNumberMinor><SchemaID>1</SchemaID><Priority>1</Priority></AppProtocol>"
    text = '<supportedAppProtocolReq xmlns="urn:iso:15118:2:2010:AppProtocol">{}</supportedAppProtocolReq>'
    text = text.replace("<supp", "<app:supp").replace("</supp", "</app:supp").replace("xmlns=", "xmlns:app=")
    assert len(from_xml(text.format(entry * 20), SAP).app_protocol) == 20
    with pytest.raises(DecodeError, match="the end expected, not AppProtocol"):
        from_xml(text.format(entry * 21), SAP)


@pytest.mark.parametrize("text", ["\x01", "\ufffe", "\ud800"])
def test_characters_without_a_place_in_xml(text: str) -> None:
    with pytest.raises(EncodeError, match="no place in XML") as caught:
        to_xml(xmldsig.KeyInfo(items=(xmldsig.KeyName(value=text),)), XMLDSIG)
    assert caught.value.path == ("KeyInfo", "KeyName")


def test_wrong_types_are_encode_errors() -> None:
    for value in (None, 5, common.SessionStopReq):
        with pytest.raises(EncodeError):
            to_xml(value, COMMON)
    broken: Any = common.SessionStopReq(header=5, charging_session=common.ChargingSession.PAUSE)  # type: ignore[arg-type]
    with pytest.raises(EncodeError):
        to_xml(broken, COMMON)


def test_parser_is_loaded_only_when_needed() -> None:
    program = (
        "import sys, iso15118.exi.as_xml, iso15118.exi.codec; "
        "sys.exit('xml.parsers.expat' in sys.modules or 'pyexpat' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
