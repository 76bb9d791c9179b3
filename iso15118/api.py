"""Decode, encode and explain single messages: the codec without a session.

Every function takes octets or hex text, as a V2GTP frame (starts 01 FE) or as bare EXI (starts 80).
A frame tells its schema set by its payload type; bare EXI does not, so the namespace is needed.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from iso15118.errors import ConfigError, DecodeError, EncodeError, FramingError
from iso15118.messages.payloads import payload_type_for, schema_by_type
from iso15118.wire.v2gtp import (
    INVERSE_VERSION,
    MANUFACTURER_FIRST,
    VERSION,
    PayloadType,
    decode_datagram,
    decode_header,
    encode_frame,
)

if TYPE_CHECKING:
    from iso15118.exi.explain import Explanation
    from iso15118.exi.grammar import SchemaSet
    from iso15118.exi.tables import QName

_FRAME_START: Final = bytes((VERSION, INVERSE_VERSION))

_SIDE_STREAM: Final = MappingProxyType(
    {
        "MeteringConfirmationReq": PayloadType.METERING_CONFIRMATION,
        "MeteringConfirmationRes": PayloadType.METERING_CONFIRMATION,
        "ACDP_SystemStatusReq": PayloadType.ACDP_SYSTEM_STATUS,
        "ACDP_SystemStatusRes": PayloadType.ACDP_SYSTEM_STATUS,
        "VehicleCheckInReq": PayloadType.PARKING_STATUS,
        "VehicleCheckInRes": PayloadType.PARKING_STATUS,
        "VehicleCheckOutReq": PayloadType.PARKING_STATUS,
        "VehicleCheckOutRes": PayloadType.PARKING_STATUS,
    }
)
"""Messages that travel in a side stream only (ISO 15118-20, payload types 0x8102 to 0x8104)."""


def decode(data: bytes | str, namespace: str | None = None, *, fragment: bool = False) -> Any:
    """The message in `data`: a V2GTP frame, or bare EXI of the schema set `namespace`.

    `namespace` given together with a frame overrides what the payload type says. `fragment` reads an
    EXI fragment, the form that signatures cover. An SDP frame gives its SDP message.
    Raises FramingError (no frame), DecodeError (not a message of that set).
    """
    octets = _octets(data)
    if namespace is None and is_discovery(octets):
        from iso15118.wire import sdp

        return sdp.decode(octets)
    from iso15118.exi import codec

    exi, chosen = exi_of(octets, namespace)
    return codec.decode(exi, schema_set_of(chosen), fragment=fragment)


def encode(
    message: Any,
    frame: bool = True,
    namespace: str | None = None,
    *,
    fragment: bool = False,
    element: str | QName | None = None,
) -> bytes:
    """The octets of `message`: a V2GTP frame with the right payload type, or with `frame` False bare EXI.

    `namespace` is the schema set; by default that of the message's own schema. It must be given for an
    AC message within a grid-code session (AC_DER_IEC, AC_DER_SAE). A fragment is never framed; `element`
    names its root where the class does not (types that stand under several element names).
    Raises EncodeError where a value does not fit the schema.
    """
    from iso15118.exi import codec

    chosen = namespace or _own_namespace(message)
    exi = codec.encode(message, schema_set_of(chosen), fragment=fragment, element=element)
    return framed(exi, message, chosen) if frame and not fragment else exi


def explain(message: Any, namespace: str | None = None, *, fragment: bool = False) -> str:
    """The bit map of a message object, of a V2GTP frame or of bare EXI, as text: bits, event, field, value.

    A message that does not decode is explained up to the bit where it fails.
    """
    return str(explanation(message, namespace, fragment=fragment))


def explanation(message: Any, namespace: str | None = None, *, fragment: bool = False) -> Explanation:
    """What `explain` prints, as rows, with the error if there is one."""
    from iso15118.exi import explain as engine

    if isinstance(message, (bytes, bytearray, memoryview, str)):
        exi, chosen = exi_of(_octets(message), namespace)
    else:
        chosen = namespace or _own_namespace(message)
        exi = encode(message, frame=False, namespace=chosen, fragment=fragment)
    return engine.explain(exi, schema_set_of(chosen), fragment=fragment)


def framed(exi: bytes, message: Any, namespace: str) -> bytes:
    """`exi`, the encoding of `message`, behind a V2GTP header. EncodeError where no payload type carries it."""
    return encode_frame(_payload_type(message, namespace), exi)


def schema_set_of(namespace: str) -> SchemaSet:
    """The tables of a schema set. ConfigError, with the known ones, where there is no such set."""
    from iso15118.messages.registry import SETS, schema_set

    if namespace not in SETS:
        raise ConfigError("schema set", f"{namespace!r} is not known; accepted: {', '.join(SETS)}")
    return schema_set(namespace)


def is_discovery(octets: bytes) -> bool:
    """Whether `octets` start like the frame of an SDP message."""
    return is_frame(octets) and PayloadType.SDP_REQUEST <= decode_header(octets)[0] < MANUFACTURER_FIRST


def is_frame(octets: bytes) -> bool:
    """Whether `octets` start like a V2GTP frame; EXI starts with 80."""
    return octets[:2] == _FRAME_START


def exi_of(octets: bytes, namespace: str | None = None) -> tuple[bytes, str]:
    """The EXI octets and the schema set of a V2GTP frame or of bare EXI with its `namespace`."""
    if not is_frame(octets):
        return octets, _needed(namespace)
    payload_type, payload = decode_datagram(octets)
    return payload, namespace or _namespace_in_frame(payload_type, payload)


def _octets(data: bytes | bytearray | memoryview | str) -> bytes:
    if not isinstance(data, str):
        return bytes(data)
    try:
        return bytes.fromhex(data)
    except ValueError as error:
        raise FramingError(f"this is not hexadecimal text: {error}") from error


def _needed(namespace: str | None) -> str:
    if namespace is None:
        raise DecodeError(
            "bare EXI does not tell its schema set (and a V2GTP frame would start with 01fe); give the namespace"
        )
    return namespace


def _namespace_in_frame(payload_type: int, payload: bytes) -> str:
    """The schema set by payload type alone, as nothing is known of the session."""
    namespace = schema_by_type(payload_type, payload)
    if namespace is None:
        raise FramingError(f"payload type {payload_type:#06x} carries no message of ISO 15118-20", bit=16)
    return namespace


def _own_namespace(message: Any) -> str:
    from iso15118.exi.schema import info_of

    try:
        return info_of(type(message)).namespace
    except TypeError:
        raise EncodeError(f"{type(message).__name__} is not a declared message") from None


def _payload_type(message: Any, namespace: str) -> PayloadType:
    side = _SIDE_STREAM.get(type(message).__name__)
    if side is not None:
        return side
    try:
        return payload_type_for(namespace)
    except KeyError:
        raise EncodeError(
            f"no V2GTP payload type carries messages of {namespace}; use frame=False",
            (type(message).__name__,),
        ) from None
