"""JSON-ready data: the form, and errors with their places."""

from __future__ import annotations

from typing import Any

import pytest

from iso15118.errors import DecodeError, EncodeError
from iso15118.exi.as_json import from_json, to_json
from iso15118.exi.schema import AnyElement
from iso15118.messages import namespaces, xmldsig
from iso15118.messages.iso20 import common, dc
from iso15118.messages.iso20.types import MessageHeader, RationalNumber, ResponseCode
from iso15118.messages.minimal import minimal
from iso15118.messages.registry import schema_set

COMMON = schema_set(namespaces.COMMON_MESSAGES)
DC = schema_set(namespaces.DC)
XMLDSIG = schema_set(namespaces.XMLDSIG)
HEADER = MessageHeader(session_id=bytes.fromhex("0a0b0c0d0e0f0000"), time_stamp=5)
HEADER_DATA = {"SessionID": "0A0B0C0D0E0F0000", "TimeStamp": 5}


def test_plain_message() -> None:
    value = dc.DC_CableCheckReq(header=HEADER)
    assert to_json(value, DC) == {"DC_CableCheckReq": {"Header": HEADER_DATA}}
    assert from_json(to_json(value, DC), DC) == value


def test_choices_attributes_lists_and_enumerations() -> None:
    value = common.AuthorizationSetupRes(
        header=HEADER,
        response_code=ResponseCode.OK,
        authorization_services=(common.Authorization.EIM, common.Authorization.PNC),
        certificate_installation_service=True,
        authorization_mode=common.PnC_ASResAuthorizationMode(gen_challenge=bytes(16)),
    )
    assert to_json(value, COMMON) == {
        "AuthorizationSetupRes": {
            "Header": HEADER_DATA,
            "ResponseCode": "OK",
            "AuthorizationServices": ["EIM", "PnC"],
            "CertificateInstallationService": True,
            "PnC_ASResAuthorizationMode": {"GenChallenge": "AAAAAAAAAAAAAAAAAAAAAA=="},
        }
    }
    parameter = common.Parameter(name="a", value=common.IntValue(value=-2))
    assert to_json(parameter, COMMON) == {"Parameter": {"@Name": "a", "intValue": -2}}
    rational = common.Parameter(name="a", value=common.RationalValue(exponent=0, value=1))
    assert to_json(rational, COMMON) == {
        "Parameter": {"@Name": "a", "rationalNumber": {"Exponent": 0, "Value": 1}}
    }
    for item in (value, parameter, rational):
        assert from_json(to_json(item, COMMON), COMMON) == item


def test_substitution_groups_appear_under_the_chosen_name() -> None:
    value = minimal(
        dc.DC_ChargeLoopReq, header=HEADER, cl_req_control_mode=minimal(dc.Dynamic_DC_CLReqControlMode)
    )
    data = to_json(value, DC)
    assert "Dynamic_DC_CLReqControlMode" in data["DC_ChargeLoopReq"]
    assert from_json(data, DC) == value


def test_mixed_and_foreign_content() -> None:
    value = xmldsig.KeyInfo(
        id="k",
        items=("t", xmldsig.KeyName(value="n"), AnyElement("urn:x", "q", (("", "a", "1"),), ("u", xmldsig.MgmtData(value="m")))),
    )  # fmt: skip
    foreign = {
        "namespace": "urn:x",
        "name": "q",
        "attributes": [["", "a", "1"]],
        "children": ["u", {"MgmtData": "m"}],
    }
    data = {"KeyInfo": {"@Id": "k", "#items": ["t", {"KeyName": "n"}, {"#any": foreign}]}}
    assert to_json(value, XMLDSIG) == data
    assert from_json(data, XMLDSIG) == value
    signature = xmldsig.SignatureValue(id="x", value=b"\1")
    assert to_json(signature, XMLDSIG) == {"SignatureValue": {"@Id": "x", "#text": "AQ=="}}
    assert from_json(to_json(signature, XMLDSIG), XMLDSIG) == signature


def test_simple_elements_and_ambiguous_names() -> None:
    assert to_json(57, COMMON, element="PresentSOC") == {"PresentSOC": 57}
    assert from_json({"PresentSOC": 57}, COMMON) == 57
    name = f"{{{namespaces.COMMON_TYPES}}}Exponent"
    assert from_json({name: 3}, COMMON) == 3
    assert to_json(RationalNumber(exponent=0, value=1), COMMON, element="Power") == {
        "Power": {"Exponent": 0, "Value": 1}
    }


@pytest.mark.parametrize(
    ("data", "path", "reason"),
    [
        (None, (), "one entry"),
        ({}, (), "one entry"),
        ({"Nothing": {}}, (), "is no element"),
        ({"SessionStopReq": 5}, ("SessionStopReq",), "an object expected, not int"),
        ({"SessionStopReq": {}}, ("SessionStopReq",), "Header is missing"),
        ({"SessionStopReq": {"Header": HEADER_DATA}}, ("SessionStopReq",), "ChargingSession is missing"),
        ({"SessionStopReq": {"Header": HEADER_DATA, "ChargingSession": "Rest"}}, ("SessionStopReq", "ChargingSession"), "'Rest' is no"),
        ({"SessionStopReq": {"Header": HEADER_DATA, "ChargingSession": 1}}, ("SessionStopReq", "ChargingSession"), "text expected, not int"),
        ({"SessionStopReq": {"Header": HEADER_DATA, "ChargingSession": "Pause", "X": 1}}, ("SessionStopReq",), "X is not declared here"),
        ({"SessionStopReq": {"Header": {"SessionID": 5, "TimeStamp": 1}}}, ("SessionStopReq", "Header", "SessionID"), "hexadecimal or base64 text"),
        ({"SessionStopReq": {"Header": {"SessionID": "00", "TimeStamp": "1"}}}, ("SessionStopReq", "Header", "TimeStamp"), "int expected, not str"),
        ({"SessionStopReq": {"Header": {"SessionID": "0", "TimeStamp": 1}}}, ("SessionStopReq", "Header", "SessionID"), "hexadecimal digits"),
        ({"EMAIDList": {"EMAID": "a"}}, (), "is no element"),
        ({"PrioritizedEMAIDs": {"EMAID": "a"}}, ("PrioritizedEMAIDs", "EMAID"), "an array expected, not str"),
        ({"GenChallenge": "%%%"}, ("GenChallenge",), "is not base64"),
    ],
)  # fmt: skip
def test_errors_name_the_place(data: Any, path: tuple[str, ...], reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        from_json(data, COMMON)
    assert caught.value.path == path
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    "items",
    [[5], [{}], [{"Nothing": {}}], [{"#any": 5}], [{"#any": {}}], "x", [{"a": 1, "b": 2}],
     [{"#any": {"namespace": "", "name": "a", "attributes": [], "children": [{}]}}],
     [{"#any": {"namespace": "", "name": "a", "attributes": [], "children": [5]}}],
     [{"#any": {"namespace": "", "name": "a", "attributes": [["x"]], "children": []}}]],
)  # fmt: skip
def test_broken_mixed_content(items: Any) -> None:
    with pytest.raises(DecodeError):
        from_json({"KeyInfo": {"#items": items}}, XMLDSIG)


def test_depth_is_bounded() -> None:
    data: Any = {"#any": {"namespace": "", "name": "a", "attributes": [], "children": []}}
    for _ in range(100):
        data = {"#any": {"namespace": "", "name": "a", "attributes": [], "children": [data]}}
    with pytest.raises(DecodeError, match="inside one another"):
        from_json({"Object": {"#items": [data]}}, XMLDSIG)


def test_wrong_types_are_encode_errors() -> None:
    broken: Any = common.SessionStopReq(header=HEADER, charging_session=5)  # type: ignore[arg-type]
    with pytest.raises(EncodeError) as caught:
        to_json(broken, COMMON)
    assert caught.value.path == ("ChargingSession",)
    with pytest.raises(EncodeError):
        to_json(5, COMMON)
