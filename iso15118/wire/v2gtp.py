"""V2GTP: the 8-octet header in front of every message, and frames out of a TCP or TLS stream.

Header, big endian: version 0x01, inverse version 0xFE, payload type (16 bit), payload length
(32 bit, without the header). A stream reader has three ways to meet a bad header: a foreign payload type
or an empty payload is skipped, unanswered; a payload above the limit and a wrong version end
the reading, because what follows cannot be told apart from payload (ISO 15118-2 [V2G2-092],
[V2G2-094], [V2G2-800]; taken over by ISO 15118-20).
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import Final

from iso15118.errors import FramingError

VERSION: Final = 0x01
INVERSE_VERSION: Final = 0xFE
HEADER_LENGTH: Final = 8
MAX_LENGTH_FIELD: Final = 0xFFFF_FFFF
DEFAULT_MAX_PAYLOAD: Final = 65_536
"""Octets. The largest real messages, CertificateInstallationRes, stay well below."""

MANUFACTURER_FIRST: Final = 0xA000
"""First payload type of the manufacturers' range, which reaches up to 0xFFFF."""

_HEADER: Final = struct.Struct(">BBHI")


class PayloadType(enum.IntEnum):
    """What a frame carries. All others are reserved or, from 0xA000, the manufacturers' own."""

    APP_PROTOCOL = 0x8001
    """SupportedAppProtocol; after the handshake also every ISO 15118-2 and DIN 70121 message."""
    COMMON = 0x8002
    AC = 0x8003
    DC = 0x8004
    ACDP = 0x8005
    WPT = 0x8006
    AC_DER_IEC = 0x8010
    AC_DER_SAE = 0x8011
    SCHEDULE_RENEGOTIATION = 0x8101
    METERING_CONFIRMATION = 0x8102
    ACDP_SYSTEM_STATUS = 0x8103
    PARKING_STATUS = 0x8104
    SDP_REQUEST = 0x9000
    SDP_RESPONSE = 0x9001
    SDP_WIRELESS_REQUEST = 0x9002
    SDP_WIRELESS_RESPONSE = 0x9003
    SDP_EMSP_REQUEST = 0x9004
    SDP_EMSP_RESPONSE = 0x9005

    @property
    def is_discovery(self) -> bool:
        """Whether it travels in UDP datagrams only, never in a session's stream."""
        return self >= PayloadType.SDP_REQUEST


@dataclass(frozen=True, slots=True)
class Frame:
    """One payload with its type; `payload` is never empty and never above the reader's limit."""

    payload_type: PayloadType
    payload: bytes


@dataclass(frozen=True, slots=True)
class Ignored:
    """A frame to leave unanswered; its `length` octets are skipped and reading goes on."""

    payload_type: int
    length: int
    reason: str


@dataclass(frozen=True, slots=True)
class Oversize:
    """A payload longer than the reader's `limit`. Nothing after it is read: close the connection."""

    payload_type: PayloadType
    length: int
    limit: int

    @property
    def reason(self) -> str:
        """What happened, in one line."""
        return f"payload of {self.length} octets, the limit is {self.limit}"


@dataclass(frozen=True, slots=True)
class FramingLost:
    """The octets where a header is due are none. Nothing after it is read: close the connection.

    `octets` are the two offending ones.
    """

    reason: str
    octets: bytes


Received = Frame | Ignored | Oversize | FramingLost


def encode_frame(payload_type: int, payload: bytes) -> bytes:
    """Header and payload, ready to send. FramingError where a field cannot hold its value."""
    if not 0 <= payload_type <= 0xFFFF:
        raise FramingError(f"payload type {payload_type:#x} does not fit 16 bits")
    if not 0 < len(payload) <= MAX_LENGTH_FIELD:
        raise FramingError(f"a payload of {len(payload)} octets cannot be framed")
    return _HEADER.pack(VERSION, INVERSE_VERSION, payload_type, len(payload)) + payload


def decode_header(octets: bytes | bytearray) -> tuple[int, int]:
    """Payload type and payload length out of the first 8 octets. FramingError names the defect."""
    if len(octets) < HEADER_LENGTH:
        raise FramingError(f"{len(octets)} octets are no V2GTP header", bit=0)
    version, inverse, payload_type, length = _HEADER.unpack_from(octets)
    if (version, inverse) != (VERSION, INVERSE_VERSION):
        raise FramingError(_version_fault(version, inverse), bit=0)
    return payload_type, length


def decode_datagram(datagram: bytes) -> tuple[int, bytes]:
    """Type and payload of a datagram that holds exactly one frame. FramingError names the defect."""
    payload_type, length = decode_header(datagram)
    if length != len(datagram) - HEADER_LENGTH:
        present = len(datagram) - HEADER_LENGTH
        raise FramingError(f"length field says {length} octets, the datagram holds {present}", bit=32)
    return payload_type, datagram[HEADER_LENGTH:]


class FrameReader:
    """Cuts a byte stream into frames, however the transport chunks it.

    Memory is bounded by `max_payload` plus one chunk: nothing is allocated from a length field, and
    skipped payloads are not kept.
    """

    def __init__(self, max_payload: int = DEFAULT_MAX_PAYLOAD) -> None:
        if not 0 < max_payload <= MAX_LENGTH_FIELD:
            raise ValueError(f"max_payload {max_payload} is not within 1 to {MAX_LENGTH_FIELD}")
        self._max_payload = max_payload
        self._buffer = bytearray()
        self._skip = 0
        self._lost = False

    @property
    def lost(self) -> bool:
        """Whether reading has ended (after FramingLost or Oversize); `feed` then drops everything."""
        return self._lost

    @property
    def buffered(self) -> int:
        """Octets of an unfinished frame that are kept at present."""
        return len(self._buffer)

    @property
    def inside_frame(self) -> bool:
        """Whether the stream stands within a frame: an end of stream now would cut it off."""
        return bool(self._buffer) or self._skip > 0

    def feed(self, data: bytes) -> list[Received]:
        """Take a chunk; returns what it completes, in order. Never raises for what a peer sent."""
        found: list[Received] = []
        if not self._lost:
            self._buffer += data
        while not self._lost and self._drop_skipped() and (item := self._next()) is not None:
            found.append(item)
        return found

    def _drop_skipped(self) -> bool:
        """Throw away octets of an ignored payload; whether the stream stands at a frame again."""
        if self._skip:
            dropped = min(self._skip, len(self._buffer))
            del self._buffer[:dropped]
            self._skip -= dropped
        return self._skip == 0

    def _next(self) -> Received | None:
        """The item at the front of the buffer, or None where more octets are needed."""
        front = bytes(self._buffer[:2])
        if len(front) < 2:
            return None
        if front != bytes((VERSION, INVERSE_VERSION)):
            return self._lose(FramingLost(_version_fault(*front), front))
        if len(self._buffer) < HEADER_LENGTH:
            return None
        code, length = decode_header(self._buffer)
        ignored = self._why_ignored(code, length)
        if ignored:
            del self._buffer[:HEADER_LENGTH]
            self._skip = length
            return Ignored(code, length, ignored)
        payload_type = PayloadType(code)
        if length > self._max_payload:
            return self._lose(Oversize(payload_type, length, self._max_payload))
        return self._take(payload_type, length)

    def _take(self, payload_type: PayloadType, length: int) -> Frame | None:
        end = HEADER_LENGTH + length
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[HEADER_LENGTH:end])
        del self._buffer[:end]
        return Frame(payload_type, payload)

    def _lose(self, item: Oversize | FramingLost) -> Oversize | FramingLost:
        self._lost = True
        self._buffer.clear()
        return item

    @staticmethod
    def _why_ignored(code: int, length: int) -> str:
        """Why a stream frame of this header is to be skipped; empty where it is not."""
        if code >= MANUFACTURER_FIRST:
            return "manufacturer's payload type"
        try:
            payload_type = PayloadType(code)
        except ValueError:
            return "reserved payload type"
        if payload_type.is_discovery:
            return "discovery message in a session stream"
        return "" if length else "empty payload"


def _version_fault(version: int, inverse: int) -> str:
    return f"version octets {version:02x} {inverse:02x} instead of {VERSION:02x} {INVERSE_VERSION:02x}"
