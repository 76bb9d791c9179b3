"""SECC discovery protocol: the octets of its requests and responses, one V2GTP frame a datagram.

Wired (0x9000/0x9001, ISO 15118-2 and -20) and wireless (0x9002/0x9003, -20 only). Parsing is
strict: a datagram is either exactly one well-formed message or a FramingError that names the defect.
Whether a well-formed answer is also usable is the discovery client's business.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address
from types import MappingProxyType
from typing import Final, TypeVar

from iso15118.errors import FramingError
from iso15118.wire.v2gtp import HEADER_LENGTH, PayloadType, decode_datagram, encode_frame

SDP_PORT: Final = 15118
ALL_NODES: Final = "ff02::1"
"""Multicast destination of the request; the sender scopes it to the charging interface."""

UNKNOWN_EVID: Final = "ZZ00000"
"""EVID of an EV that has none to tell [V2G20-2281]."""

EVID_LENGTH: Final = 20
EVSEID_LENGTHS: Final = (36, 37)
"""Implementations differ in the EVSEID field by one octet; both are read, the first is written."""

MAX_DATAGRAM: Final = 2048
"""Octets. Longer datagrams are refused unread; the longest fixed message has 70."""

_WIRED_REQUEST: Final = struct.Struct(">BB")
_WIRED_RESPONSE: Final = struct.Struct(">16sHBB")
_WIRELESS_REQUEST: Final = struct.Struct(">BBHB")
_WIRELESS_RESPONSE: Final = struct.Struct(">16sHBBBB")

E = TypeVar("E", bound=enum.IntEnum)


class Security(enum.IntEnum):
    """What protects the connection; all other values are reserved."""

    TLS = 0x00
    NONE = 0x10


class TransportProtocol(enum.IntEnum):
    """What carries the connection. UDP is defined, and never used."""

    TCP = 0x00
    UDP = 0x10


class DiagStatus(enum.IntEnum):
    """How far the wireless SECC is in finding the EV's parking space."""

    ONGOING = 0x00
    FINISHED_WITH_EVSEID = 0x01
    FINISHED_WITHOUT_EVSEID = 0x02
    NO_SECC_FOUND = 0x10


class CouplingType(enum.IntEnum):
    """Which coupler the EV and the EVSE have."""

    PANTOGRAPH_INVERSE_CROSS_RAIL = 0x00
    PANTOGRAPH_INVERSE_IN_LINE = 0x01
    PANTOGRAPH_INVERSE_DOME = 0x02
    PANTOGRAPH_ON_EV = 0x03
    UNDERNEATH = 0x04
    SIDE_OR_ROOF = 0x05
    WPT = 0x10
    MANIPULATOR_ON_INFRASTRUCTURE = 0x20
    MANIPULATOR_ON_EV = 0x21
    SIDE_CONTACT = 0x30
    CONDUCTIVE_MANUAL = 0x40
    NOT_APPLICABLE = 0xFF


class PairingMethod(enum.IntFlag):
    """Positioning and pairing methods, independent of the octet they are transmitted in."""

    PPD_INFRASTRUCTURE = 0x01
    PPD_EV = 0x02
    WPT_LF_INFRASTRUCTURE = 0x04
    WPT_LF_EV = 0x08
    WPT_CAMERA_EV = 0x10
    MANIPULATOR_INFRARED = 0x20
    DIRECTED_WLAN = 0x40


class Padding(enum.Enum):
    """How a short identifier fills its field; both spellings are met, and stripped on reading."""

    NUL_RIGHT = "NUL octets behind the text"
    ZERO_LEFT = "ASCII zeros in front of the text"


@dataclass(frozen=True, slots=True)
class SdpRequest:
    """Wired request (0x9000): which security the EV wants."""

    security: Security = Security.TLS
    transport: TransportProtocol = TransportProtocol.TCP


@dataclass(frozen=True, slots=True)
class SdpResponse:
    """Wired response (0x9001): where the SECC listens, and with which security."""

    address: IPv6Address
    port: int
    security: Security
    transport: TransportProtocol = TransportProtocol.TCP


@dataclass(frozen=True, slots=True)
class WirelessSdpRequest:
    """Wireless request (0x9002). `pairing` is the 16-bit field as sent: see `pairing_field`."""

    security: Security
    transport: TransportProtocol
    pairing: int
    coupling: CouplingType
    evid: str = UNKNOWN_EVID
    evse_id: str = ""

    @property
    def pairing_methods(self) -> PairingMethod:
        """The methods named in `pairing`, whichever of its two octets holds them."""
        return PairingMethod((self.pairing >> 8 | self.pairing) & 0x7F)


@dataclass(frozen=True, slots=True)
class WirelessSdpResponse:
    """Wireless response (0x9003)."""

    address: IPv6Address
    port: int
    security: Security
    transport: TransportProtocol
    status: DiagStatus
    coupling: CouplingType
    evse_id: str = ""


@dataclass(frozen=True, slots=True)
class EmspExtension:
    """Discovery of e-mobility service providers (0x9004, 0x9005): recognised, not interpreted."""

    payload_type: PayloadType
    payload: bytes


SendableSdpMessage = SdpRequest | SdpResponse | WirelessSdpRequest | WirelessSdpResponse
SdpMessage = SendableSdpMessage | EmspExtension


def pairing_field(methods: PairingMethod, high_octet: bool = True) -> int:
    """The 16-bit pairing field for `methods`; implementations disagree on which octet it is."""
    return int(methods) << 8 if high_octet else int(methods)


# --- encoding ---------------------------------------------------------------------------------


def encode(
    message: SendableSdpMessage,
    evse_id_length: int = EVSEID_LENGTHS[0],
    padding: Padding = Padding.NUL_RIGHT,
) -> bytes:
    """The datagram of a message. FramingError where a value does not fit its field.

    `evse_id_length` (36 or 37) and `padding` matter to wireless messages only.
    """
    if evse_id_length not in EVSEID_LENGTHS:
        raise FramingError(f"EVSEID field of {evse_id_length} octets; accepted: 36, 37")
    if isinstance(message, SdpRequest):
        payload = _WIRED_REQUEST.pack(message.security, message.transport)
        return encode_frame(PayloadType.SDP_REQUEST, payload)
    if isinstance(message, SdpResponse):
        return encode_frame(PayloadType.SDP_RESPONSE, _wired_response(message))
    if isinstance(message, WirelessSdpRequest):
        payload = _wireless_request(message, padding)
        payload_type = PayloadType.SDP_WIRELESS_REQUEST
    else:
        payload = _wireless_response(message)
        payload_type = PayloadType.SDP_WIRELESS_RESPONSE
    return encode_frame(payload_type, payload + _padded(message.evse_id, evse_id_length, padding, "EVSEID"))


def _wired_response(message: SdpResponse) -> bytes:
    port = _fits(message.port, "port")
    return _WIRED_RESPONSE.pack(message.address.packed, port, message.security, message.transport)


def _wireless_request(message: WirelessSdpRequest, padding: Padding) -> bytes:
    pairing = _fits(message.pairing, "pairing")
    head = _WIRELESS_REQUEST.pack(message.security, message.transport, pairing, message.coupling)
    return head + _padded(message.evid, EVID_LENGTH, padding, "EVID")


def _wireless_response(message: WirelessSdpResponse) -> bytes:
    head = (message.address.packed, _fits(message.port, "port"), message.security, message.transport)
    return _WIRELESS_RESPONSE.pack(*head, message.status, message.coupling)


def _fits(value: int, what: str) -> int:
    if not 0 <= value <= 0xFFFF:
        raise FramingError(f"{value} does not fit 16 bits", (what,))
    return value


def _padded(text: str, length: int, padding: Padding, what: str) -> bytes:
    if not text.isascii() or len(text) > length:
        raise FramingError(f"{text!r} is not ASCII of at most {length} characters", (what,))
    octets = text.encode("ascii")
    if padding is Padding.ZERO_LEFT:
        return octets.rjust(length, b"0")
    return octets.ljust(length, b"\0")


# --- decoding ---------------------------------------------------------------------------------


def decode(datagram: bytes) -> SdpMessage:
    """The message in a datagram. FramingError names the defect; nothing else is raised."""
    if len(datagram) > MAX_DATAGRAM:
        raise FramingError(f"datagram of {len(datagram)} octets, the limit is {MAX_DATAGRAM}")
    code, payload = decode_datagram(datagram)
    parse = _PARSERS.get(code)
    if parse is None:
        raise FramingError(f"payload type {code:#06x} is no discovery message", bit=16)
    return parse(payload)


def _parse_request(payload: bytes) -> SdpRequest:
    _require_length(payload, _WIRED_REQUEST.size)
    security, transport = _WIRED_REQUEST.unpack(payload)
    return SdpRequest(_member(Security, security, 0), _member(TransportProtocol, transport, 1))


def _parse_response(payload: bytes) -> SdpResponse:
    _require_length(payload, _WIRED_RESPONSE.size)
    packed, port, security, transport = _WIRED_RESPONSE.unpack(payload)
    return SdpResponse(
        IPv6Address(packed), port, _member(Security, security, 18), _member(TransportProtocol, transport, 19)
    )


def _parse_wireless_request(payload: bytes) -> WirelessSdpRequest:
    fixed = _WIRELESS_REQUEST.size + EVID_LENGTH
    _require_length(payload, *(fixed + n for n in EVSEID_LENGTHS))
    security, transport, pairing, coupling = _WIRELESS_REQUEST.unpack_from(payload)
    return WirelessSdpRequest(
        security=_member(Security, security, 0),
        transport=_member(TransportProtocol, transport, 1),
        pairing=pairing,
        coupling=_member(CouplingType, coupling, 4),
        evid=_stripped(payload[_WIRELESS_REQUEST.size : fixed], "EVID"),
        evse_id=_stripped(payload[fixed:], "EVSEID"),
    )


def _parse_wireless_response(payload: bytes) -> WirelessSdpResponse:
    fixed = _WIRELESS_RESPONSE.size
    _require_length(payload, *(fixed + n for n in EVSEID_LENGTHS))
    packed, port, security, transport, status, coupling = _WIRELESS_RESPONSE.unpack_from(payload)
    return WirelessSdpResponse(
        address=IPv6Address(packed),
        port=port,
        security=_member(Security, security, 18),
        transport=_member(TransportProtocol, transport, 19),
        status=_member(DiagStatus, status, 20),
        coupling=_member(CouplingType, coupling, 21),
        evse_id=_stripped(payload[fixed:], "EVSEID"),
    )


def _parse_emsp_request(payload: bytes) -> EmspExtension:
    return EmspExtension(PayloadType.SDP_EMSP_REQUEST, payload)


def _parse_emsp_response(payload: bytes) -> EmspExtension:
    return EmspExtension(PayloadType.SDP_EMSP_RESPONSE, payload)


_PARSERS: Final[MappingProxyType[int, Callable[[bytes], SdpMessage]]] = MappingProxyType(
    {
        PayloadType.SDP_REQUEST: _parse_request,
        PayloadType.SDP_RESPONSE: _parse_response,
        PayloadType.SDP_WIRELESS_REQUEST: _parse_wireless_request,
        PayloadType.SDP_WIRELESS_RESPONSE: _parse_wireless_response,
        PayloadType.SDP_EMSP_REQUEST: _parse_emsp_request,
        PayloadType.SDP_EMSP_RESPONSE: _parse_emsp_response,
    }
)


def _require_length(payload: bytes, *accepted: int) -> None:
    if len(payload) not in accepted:
        wanted = " or ".join(map(str, accepted))
        raise FramingError(f"payload of {len(payload)} octets instead of {wanted}", bit=32)


def _member(enumeration: type[E], value: int, offset: int) -> E:
    """The enumeration member; reserved values are a defect at payload octet `offset`."""
    try:
        return enumeration(value)
    except ValueError:
        bit = (HEADER_LENGTH + offset) * 8
        raise FramingError(f"reserved value {value:#04x}", (enumeration.__name__,), bit) from None


def _stripped(field: bytes, what: str) -> str:
    """The identifier in a padded field: NULs on the right and ASCII zeros on the left are filling."""
    try:
        return field.rstrip(b"\0").lstrip(b"0").decode("ascii")
    except UnicodeDecodeError:
        raise FramingError("not ASCII", (what,)) from None
