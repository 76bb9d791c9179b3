"""Exchanges, and the smallest valid message of every kind."""

from __future__ import annotations

import pytest

from iso15118.exi.codec import decode, encode
from iso15118.exi.schema import info_of
from iso15118.messages import namespaces as ns
from iso15118.messages import payloads
from iso15118.messages.iso20 import ac, acdp, common, dc, wpt
from iso15118.messages.iso20.exchanges import exchange_of, is_failure
from iso15118.messages.iso20.types import (
    ChargeLoopReq,
    ResponseCode,
    V2GMessage,
    V2GRequest,
    V2GResponse,
)
from iso15118.messages.minimal import minimal
from iso15118.messages.registry import schema_set
from iso15118.messages.sap import AppProtocol, SupportedAppProtocolReq

MODULES = (common, ac, dc, wpt, acdp)
MESSAGES = [
    value
    for module in MODULES
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, V2GMessage) and value.__module__ == module.__name__
]
REQUESTS = [m for m in MESSAGES if issubclass(m, V2GRequest)]
NEEDS_MODE = {
    "AC_ChargeLoopReq": ("cl_req_control_mode", ac.Dynamic_AC_CLReqControlMode),
    "AC_ChargeLoopRes": ("cl_res_control_mode", ac.Dynamic_AC_CLResControlMode),
    "DC_ChargeLoopReq": ("cl_req_control_mode", dc.Dynamic_DC_CLReqControlMode),
    "DC_ChargeLoopRes": ("cl_res_control_mode", dc.Dynamic_DC_CLResControlMode),
}


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda c: c.__name__)
def test_smallest_message_is_schema_valid(cls: type) -> None:
    given = {}
    if cls.__name__ in NEEDS_MODE:
        attr, mode = NEEDS_MODE[cls.__name__]
        given[attr] = minimal(mode)
    message = minimal(cls, **given)
    schemas = schema_set(info_of(cls).namespace)
    assert decode(encode(message, schemas), schemas) == message


def test_smallest_values_respect_their_bounds() -> None:
    request = minimal(SupportedAppProtocolReq)
    lowest = AppProtocol(
        protocol_namespace="", version_number_major=0, version_number_minor=0, schema_id=0, priority=1
    )
    assert request.app_protocol == (lowest,)
    installation = minimal(common.SignedInstallationData)
    assert len(installation.dh_public_key) == 133
    assert minimal(common.SessionSetupReq, evcc_id="EV").evcc_id == "EV"
    assert minimal(common.ServiceDiscoveryReq).supported_service_ids is None


# --- exchanges --------------------------------------------------------------------------------


@pytest.mark.parametrize("request_class", REQUESTS, ids=lambda c: c.__name__)
def test_every_request_has_its_response_and_its_lane(request_class: type[V2GRequest]) -> None:
    exchange = exchange_of(request_class)
    assert exchange.request is request_class
    assert issubclass(exchange.response, V2GResponse)
    assert exchange.response.__name__ == request_class.__name__.removesuffix("Req") + "Res"
    phase = payloads.Phase(ns.DC)
    assert payloads.schema_for(exchange.payload_type, phase) == info_of(request_class).namespace
    assert exchange.secc_performance_s < exchange.evcc_timeout_s


@pytest.mark.req("V2G20-1499")
@pytest.mark.req("V2G20-1501")
@pytest.mark.req("V2G20-5069")
@pytest.mark.parametrize("request_class", [r for r in REQUESTS if issubclass(r, ChargeLoopReq)])
def test_times_of_the_charge_loops(request_class: type[V2GRequest]) -> None:
    exchange = exchange_of(request_class)
    times = (exchange.evcc_timeout_s, exchange.secc_performance_s, exchange.secc_sequence_s)
    assert times == (0.5, 0.25, 0.5)


def test_times_of_all_others() -> None:
    slow = {common.CertificateInstallationReq, common.ServiceDetailReq}
    for request_class in REQUESTS:
        if issubclass(request_class, ChargeLoopReq):
            continue
        exchange = exchange_of(request_class)
        expected = (5.0, 4.5, 60.0) if request_class in slow else (2.0, 1.5, 60.0)
        times = (exchange.evcc_timeout_s, exchange.secc_performance_s, exchange.secc_sequence_s)
        assert times == expected, request_class


@pytest.mark.parametrize(
    ("request_class", "payload_type"),
    [
        (common.SessionSetupReq, 0x8002),
        (ac.AC_ChargeLoopReq, 0x8003),
        (dc.DC_PreChargeReq, 0x8004),
        (acdp.ACDP_ConnectReq, 0x8005),
        (wpt.WPT_PairingReq, 0x8006),
        (common.MeteringConfirmationReq, 0x8102),
        (acdp.ACDP_SystemStatusReq, 0x8103),
        (common.VehicleCheckInReq, 0x8104),
        (common.VehicleCheckOutReq, 0x8104),
    ],
)
def test_lanes(request_class: type[V2GRequest], payload_type: int) -> None:
    assert exchange_of(request_class).payload_type == payload_type


@pytest.mark.parametrize("other", [common.SessionSetupRes, SupportedAppProtocolReq, AppProtocol, int])
def test_what_is_no_request_has_no_exchange(other: type) -> None:
    with pytest.raises(KeyError):
        exchange_of(other)


def test_failures_are_the_third_family_of_the_codes() -> None:
    codes = list(ResponseCode)
    assert [c for c in codes if is_failure(c)] == codes[21:]
    assert len(codes) == 40
    assert is_failure("Failed_NoNegotiation")
    assert not is_failure("OK_SuccessfulNegotiation")
