"""SDP octets: the golden frames, strictness, the open points of the wireless form."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iso15118.errors import FramingError
from iso15118.wire import sdp
from iso15118.wire.sdp import (
    CouplingType,
    DiagStatus,
    EmspExtension,
    Padding,
    PairingMethod,
    SdpRequest,
    SdpResponse,
    Security,
    TransportProtocol,
    WirelessSdpRequest,
    WirelessSdpResponse,
)
from iso15118.wire.v2gtp import PayloadType, encode_frame

REQUEST = bytes.fromhex("01fe9000000000020000")
RESPONSE = bytes.fromhex("01fe900100000014fe800000000000000000000000000001fa6d0000")
ADDRESS = IPv6Address("fe80::1")


def test_golden_request() -> None:
    assert sdp.encode(SdpRequest()) == REQUEST
    assert sdp.decode(REQUEST) == SdpRequest(Security.TLS, TransportProtocol.TCP)
    assert sdp.encode(SdpRequest(Security.NONE)).hex() == "01fe9000000000021000"


def test_golden_response() -> None:
    response = SdpResponse(ADDRESS, 64109, Security.TLS)
    assert sdp.encode(response) == RESPONSE
    assert sdp.decode(RESPONSE) == response
    assert sdp.encode(SdpResponse(ADDRESS, 64109, Security.NONE))[-2:] == b"\x10\x00"


@pytest.mark.parametrize(
    ("datagram", "defect"),
    [
        (b"", "no V2GTP header"),
        (REQUEST[:7], "no V2GTP header"),
        (b"\x02" + REQUEST[1:], "version"),
        (b"\x01\x01" + REQUEST[2:], "version"),
        (REQUEST[:-1], "length field"),
        (REQUEST + b"\0", "length field"),
        (bytes.fromhex("01fe900000000000"), "0 octets instead of 2"),
        (bytes.fromhex("01fe900000000003000000"), "3 octets instead of 2"),
        (bytes.fromhex("01fe90000000000101"), "1 octets instead of 2"),
        (encode_frame(0x9001, RESPONSE[8:] + b"\0"), "21 octets instead of 20"),
        (encode_frame(0x9001, RESPONSE[8:-1]), "19 octets instead of 20"),
        (encode_frame(0x8001, b"\0\0"), "no discovery message"),
        (encode_frame(0x9006, b"\0\0"), "no discovery message"),
        (bytes.fromhex("01fe9000000000020100"), "Security: reserved value 0x01"),
        (bytes.fromhex("01fe9000000000020001"), "TransportProtocol: reserved value 0x01"),
        (encode_frame(0x9002, bytes(60)), "60 octets instead of 61 or 62"),
        (encode_frame(0x9003, bytes(57)), "57 octets instead of 58 or 59"),
        (encode_frame(0x9000, bytes(3000)), "the limit is 2048"),
    ],
)
def test_what_is_malformed_is_named(datagram: bytes, defect: str) -> None:
    with pytest.raises(FramingError) as caught:
        sdp.decode(datagram)
    assert defect in str(caught.value)


def test_a_reserved_value_is_located() -> None:
    with pytest.raises(FramingError) as caught:
        sdp.decode(encode_frame(0x9001, RESPONSE[8:-2] + b"\x05\x00"))
    assert caught.value.bit == (8 + 18) * 8


def test_values_that_do_not_fit_are_refused() -> None:
    with pytest.raises(FramingError, match="port"):
        sdp.encode(SdpResponse(ADDRESS, 65_536, Security.TLS))
    with pytest.raises(FramingError, match="EVSEID"):
        sdp.encode(wireless_request(evse_id="x" * 37))
    with pytest.raises(FramingError, match="EVID"):
        sdp.encode(wireless_request(evid="ä"))
    with pytest.raises(FramingError, match="accepted: 36, 37"):
        sdp.encode(wireless_request(), evse_id_length=38)


# --- wireless --------------------------------------------------------------------------------------


def wireless_request(**changes: object) -> WirelessSdpRequest:
    values: dict[str, object] = {
        "security": Security.TLS,
        "transport": TransportProtocol.TCP,
        "pairing": sdp.pairing_field(PairingMethod.WPT_LF_EV | PairingMethod.PPD_EV),
        "coupling": CouplingType.WPT,
        "evse_id": "DE*ABC*E1",
    }
    return WirelessSdpRequest(**(values | changes))  # type: ignore[arg-type]


def wireless_response(**changes: object) -> WirelessSdpResponse:
    values: dict[str, object] = {
        "address": ADDRESS,
        "port": 64109,
        "security": Security.TLS,
        "transport": TransportProtocol.TCP,
        "status": DiagStatus.FINISHED_WITH_EVSEID,
        "coupling": CouplingType.PANTOGRAPH_ON_EV,
        "evse_id": "DE*ABC*E1",
    }
    return WirelessSdpResponse(**(values | changes))  # type: ignore[arg-type]


def test_wireless_request_by_offset() -> None:
    payload = sdp.encode(wireless_request())[8:]
    assert len(payload) == 61
    assert payload[:5] == bytes.fromhex("00000a0010")
    assert payload[5:25] == b"ZZ00000".ljust(20, b"\0")
    assert payload[25:] == b"DE*ABC*E1".ljust(36, b"\0")


def test_wireless_response_by_offset() -> None:
    datagram = sdp.encode(wireless_response(), padding=Padding.ZERO_LEFT)
    assert datagram[:8] == bytes.fromhex("01fe90030000003a")
    assert datagram[8:30] == ADDRESS.packed + bytes.fromhex("fa6d00000103")
    assert datagram[30:] == b"DE*ABC*E1".rjust(36, b"0")


@pytest.mark.req("V2G20-2281")
def test_an_ev_without_id_says_so() -> None:
    assert wireless_request().evid == "ZZ00000"


@pytest.mark.parametrize("length", sdp.EVSEID_LENGTHS)
@pytest.mark.parametrize("padding", Padding)
def test_both_lengths_and_both_paddings_are_read(length: int, padding: Padding) -> None:
    for message in (wireless_request(), wireless_response(), wireless_response(evse_id="")):
        assert sdp.decode(sdp.encode(message, length, padding)) == message


@pytest.mark.parametrize("high_octet", [True, False])
def test_pairing_methods_are_read_from_either_octet(high_octet: bool) -> None:
    methods = PairingMethod.DIRECTED_WLAN | PairingMethod.PPD_INFRASTRUCTURE
    field = sdp.pairing_field(methods, high_octet)
    assert field == (0x4100 if high_octet else 0x0041)
    decoded = sdp.decode(sdp.encode(wireless_request(pairing=field)))
    assert isinstance(decoded, WirelessSdpRequest)
    assert decoded.pairing_methods == methods


def test_an_identifier_that_is_no_ascii_is_refused() -> None:
    with pytest.raises(FramingError, match="EVSEID"):
        sdp.decode(encode_frame(0x9002, bytes(5 + 20) + b"\xff" * 36))


@pytest.mark.parametrize("code", [0x9004, 0x9005])
@pytest.mark.parametrize("payload", [b"", b"DE8AA"])
def test_the_emsp_extension_is_recognised(code: int, payload: bytes) -> None:
    datagram = bytes.fromhex("01fe") + code.to_bytes(2, "big") + len(payload).to_bytes(4, "big") + payload
    assert sdp.decode(datagram) == EmspExtension(PayloadType(code), payload)


# --- properties ------------------------------------------------------------------------------------


@given(st.integers(0, 2**128 - 1), st.integers(0, 65535), st.sampled_from(Security))
def test_responses_come_back(address: int, port: int, security: Security) -> None:
    response = SdpResponse(IPv6Address(address), port, security)
    assert sdp.decode(sdp.encode(response)) == response


@given(st.binary(max_size=80), st.sampled_from([b"", b"\x01\xfe\x90", RESPONSE[:8], REQUEST[:8]]))
def test_anything_is_a_message_or_a_framing_error(noise: bytes, front: bytes) -> None:
    try:
        message = sdp.decode(front + noise)
    except FramingError:
        return
    if not isinstance(message, EmspExtension | WirelessSdpRequest | WirelessSdpResponse):
        assert sdp.encode(message) == front + noise
