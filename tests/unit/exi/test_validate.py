"""Violations of facets and types, found without encoding."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from iso15118.exi.schema import AnyElement
from iso15118.exi.validate import Violation, validate
from iso15118.messages import sap, xmldsig
from iso15118.messages.iso20 import common, dc, types
from iso15118.messages.iso20.types import MessageHeader, RationalNumber
from iso15118.messages.minimal import minimal

HEADER = MessageHeader(session_id=bytes(8), time_stamp=5)
STOP = common.SessionStopReq(header=HEADER, charging_session=common.ChargingSession.PAUSE)


def altered(original: Any, /, **changes: Any) -> Any:
    return dataclasses.replace(original, **changes)


def test_valid_messages() -> None:
    assert validate(STOP) == ()
    loop = minimal(
        dc.DC_ChargeLoopReq, header=HEADER, cl_req_control_mode=minimal(dc.Dynamic_DC_CLReqControlMode)
    )
    assert validate(loop) == ()


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        (altered(STOP, header=altered(HEADER, session_id=b"1")), "SessionStopReq/Header/SessionID", "1 octets, at least 8 needed"),
        (altered(STOP, header=altered(HEADER, time_stamp=-1)), "SessionStopReq/Header/TimeStamp", "-1 is outside 0..18446744073709551615"),
        (altered(STOP, header=None), "SessionStopReq/Header", "mandatory, but None"),
        (altered(STOP, header=STOP), "SessionStopReq/Header", "MessageHeader expected, not SessionStopReq"),
        (altered(STOP, header=5), "SessionStopReq/Header", "MessageHeader expected, not int"),
        (altered(STOP, charging_session="Pause"), "SessionStopReq/ChargingSession", "ChargingSession expected, not str"),
        (altered(STOP, ev_termination_code="x" * 81), "SessionStopReq/EVTerminationCode", "81 characters, at most 80 allowed"),
        (sap.SupportedAppProtocolReq(app_protocol=()), "supportedAppProtocolReq/AppProtocol", "0 items, at least 1 needed"),
        (common.SubCertificates(certificate=(b"",) * 4), "SubCertificates/Certificate", "4 items, at most 3 allowed"),
        (common.SubCertificates(certificate=(b"", bytes(1601))), "SubCertificates/Certificate[1]", "1601 octets, at most 1600 allowed"),
        (altered(common.SubCertificates(certificate=()), certificate=b"x"), "SubCertificates/Certificate", "tuple expected, not bytes"),
        (altered(common.SubCertificates(certificate=()), certificate=(None,)), "SubCertificates/Certificate[0]", "bytes expected, not nothing (None)"),
        (RationalNumber(exponent=128, value=0), "RationalNumber/Exponent", "128 is outside -128..127"),
        (types.CLReqControlMode(), "CLReqControlMode", "an abstract type; one of its substitutes is needed"),
        (altered(xmldsig.Transforms(transform=()), transform=(AnyElement("", "a"),)), "Transforms/Transform[0]", "no foreign element may stand here"),
    ],
)  # fmt: skip
def test_violations(value: Any, path: str, reason: str) -> None:
    assert [str(violation) for violation in validate(value)] == [f"{path}: {reason}"]


def test_all_violations_are_found() -> None:
    broken = altered(STOP, header=MessageHeader(session_id=b"", time_stamp=-1), ev_termination_code="x" * 99)
    assert [violation.path[-1] for violation in validate(broken)] == [
        "SessionID",
        "TimeStamp",
        "EVTerminationCode",
    ]


@pytest.mark.parametrize("value", [None, 5, "text", object])
def test_what_is_no_message(value: Any) -> None:
    (violation,) = validate(value)
    assert violation == Violation((), f"a declared type expected, not {type(value).__name__}")


def test_choices_in_mixed_content() -> None:
    key: Any = xmldsig.RSAKeyValue(modulus=b"", exponent=b"")
    info = xmldsig.KeyInfo(items=("text", xmldsig.KeyName(value="k"), AnyElement("urn:x", "a"), key))
    assert validate(info) == ()  # any global element may stand behind the wildcard
    assert validate(xmldsig.KeyInfo(items=("text",)))[0].reason == "0 items, at least 1 needed"
    wrong = altered(info, items=(5, None))
    assert [v.path[-1] for v in validate(wrong)] == ["Items[0]", "Items[1]"]
