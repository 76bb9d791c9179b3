"""One recorded TCP connection: what it carries, its handshake, its messages.

Other than a machine that takes part in a session, the reader goes on behind damage: it resumes at the
next segment that begins with a V2GTP header, and tells what it could not read.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from iso15118.errors import Iso15118Error
from iso15118.exi.codec import decode
from iso15118.messages import namespaces
from iso15118.messages.payloads import HANDSHAKE, Phase, schema_by_type, schema_for
from iso15118.messages.registry import SETS, schema_set
from iso15118.messages.sap import ResponseCode, SupportedAppProtocolReq, SupportedAppProtocolRes
from iso15118.trace.packets import Address
from iso15118.trace.secrets import Secrets
from iso15118.trace.suites import UnreadableError
from iso15118.trace.tcp import Chunk
from iso15118.trace.tls import TlsReader
from iso15118.wire.v2gtp import Frame, FrameReader, Ignored, PayloadType, Received

TRACE_MAX_PAYLOAD: Final = 1 << 20
"""Octets: more than a machine accepts, so that a recording shows what a machine would refuse."""

_TLS_RECORD_TYPES: Final = range(20, 24)
_UNSUPPORTED: Final = "ISO 15118-2/DIN 70121 not supported yet"


@dataclass(frozen=True, slots=True)
class TraceItem:
    """One message, or one thing that is none; `t` in seconds since the Unix epoch.

    `raw` are the octets behind the V2GTP header (the whole datagram where there is none). `message` is
    None where nothing could be decoded; `error` says why, or what is wrong with a decoded one.
    `schema` is the namespace it was decoded with. For an unreadable frame `raw` is empty.
    """

    t: float
    src: Address
    dst: Address
    payload_type: int | None = None
    message: Any = None
    error: str | None = None
    raw: bytes = b""
    schema: str | None = None

    @property
    def name(self) -> str:
        """The message's name as the standard spells it; empty where there is none."""
        return "" if self.message is None else type(self.message).__name__

    @property
    def direction(self) -> str:
        """Who sent it: "EV>SECC", "SECC>EV", or empty where the message does not tell."""
        if self.name.endswith(("Req", "Request")):
            return "EV>SECC"
        return "SECC>EV" if self.name.endswith(("Res", "Response")) else ""


class Content(enum.Enum):
    """What a connection carries, as far as it is known."""

    UNKNOWN = "unknown"
    V2GTP = "V2GTP"
    TLS = "TLS"
    FOREIGN = "foreign"


@dataclass(slots=True)
class _Lane:
    """One direction: what was sent by `src`."""

    src: Address
    dst: Address
    reader: FrameReader = field(default_factory=lambda: FrameReader(TRACE_MAX_PAYLOAD))
    head: bytes = b""
    adrift: bool = False


class Conversation:
    """Turns the ordered octets of both directions into items.

    `announced`: an SDP answer named this port, so the connection is a charging session whatever it
    carries. `from_start`: the recording holds the opening of the connection. `secrets` gives what is known for
    connections with TLS; it is asked when the first one comes.
    """

    def __init__(
        self,
        a: Address,
        b: Address,
        announced: bool,
        from_start: bool,
        secrets: Callable[[], Secrets] = Secrets,
    ) -> None:
        self._secrets = secrets
        self._tls: TlsReader | None = None
        self._inner: Conversation | None = None
        self._lanes = {a: _Lane(a, b), b: _Lane(b, a)}
        self._announced = announced
        self._from_start = from_start
        self._offer: SupportedAppProtocolReq | None = None
        self._phase = HANDSHAKE
        self.content = Content.UNKNOWN

    def feed(self, src: Address, chunk: Chunk) -> Iterator[TraceItem]:
        """The items completed by a chunk that `src` sent."""
        if self.content is Content.FOREIGN:
            return
        lane = self._lanes[src]
        data = lane.head + chunk.data
        lane.head = b""
        if self.content is Content.UNKNOWN:
            if len(data) < 2:
                lane.head = data
                return
            yield from self._classify(lane, chunk.t, data)
        if self.content is Content.V2GTP:
            yield from self._read(lane, chunk, data)
        elif self._tls is not None:
            yield from self._decrypt(self._tls, lane, chunk, data)

    def _classify(self, lane: _Lane, t: float, data: bytes) -> Iterator[TraceItem]:
        """Decide from the first octets; a recording that begins within may need more than one try."""
        session = self._announced or lane.src[0].startswith("fe80:")
        if _begins_frame(data):
            self.content = Content.V2GTP
        elif session and data[0] in _TLS_RECORD_TYPES and data[1] == 3:
            self.content = Content.TLS
            self._tls = TlsReader(self._secrets())
        elif self._from_start:
            self.content = Content.FOREIGN
            if self._announced:
                yield TraceItem(t, lane.src, lane.dst, error="neither V2GTP nor TLS", raw=data)

    def _decrypt(self, tls: TlsReader, lane: _Lane, chunk: Chunk, data: bytes) -> Iterator[TraceItem]:
        """Records of TLS: what they carry is a conversation of its own."""
        try:
            if chunk.missing:
                raise UnreadableError(f"{chunk.missing} octets are missing in the recording")
            for plain in tls.feed(lane.src, data):
                if self._inner is None:
                    self._inner = Conversation(lane.src, lane.dst, announced=True, from_start=True)
                yield from self._inner.feed(lane.src, Chunk(chunk.t, plain))
        except UnreadableError as error:
            self._tls = None
            yield TraceItem(chunk.t, lane.src, lane.dst, error=f"a TLS connection: {error}")

    def _read(self, lane: _Lane, chunk: Chunk, data: bytes) -> Iterator[TraceItem]:
        if chunk.missing:
            lane.adrift = True
            error = f"{chunk.missing} octets are missing in the recording"
            yield TraceItem(chunk.t, lane.src, lane.dst, error=error)
        if lane.adrift or lane.reader.lost:
            if not _begins_frame(data):
                return
            lane.reader, lane.adrift = FrameReader(TRACE_MAX_PAYLOAD), False
        for received in lane.reader.feed(data):
            yield self._item(lane, chunk.t, received)

    def _item(self, lane: _Lane, t: float, received: Received) -> TraceItem:
        if isinstance(received, Frame):
            return self._decoded(lane, t, received)
        if isinstance(received, Ignored):
            error = f"{received.reason}, {received.length} octets"
            return TraceItem(t, lane.src, lane.dst, received.payload_type, error=error)
        return TraceItem(t, lane.src, lane.dst, error=f"framing lost: {received.reason}")

    def _decoded(self, lane: _Lane, t: float, frame: Frame) -> TraceItem:
        namespace, remark = self._schema(frame)
        message, error = _decode(frame.payload, namespace)
        if error and self._phase is HANDSHAKE and not self._from_start:
            error += "; the recording begins after the handshake, so the protocol is unknown"
        self._follow_handshake(message)
        return TraceItem(
            t=t,
            src=lane.src,
            dst=lane.dst,
            payload_type=frame.payload_type,
            message=message,
            error=error or remark,
            raw=frame.payload,
            schema=namespace,
        )

    def _schema(self, frame: Frame) -> tuple[str | None, str | None]:
        """The schema set of a frame, and what is odd about the frame."""
        namespace = schema_for(frame.payload_type, self._phase, frame.payload)
        if namespace is not None:
            odd = self._phase.is_iso20 and frame.payload_type == PayloadType.APP_PROTOCOL
            return namespace, "payload type 0x8001 after the handshake" if odd else None
        by_type = schema_by_type(frame.payload_type, frame.payload)
        if self._phase.protocol is None and not self._from_start:
            return by_type, None
        return by_type, f"payload type {frame.payload_type:#06x} is out of place here"

    def _follow_handshake(self, message: Any) -> None:
        if isinstance(message, SupportedAppProtocolReq):
            self._offer = message
        elif isinstance(message, SupportedAppProtocolRes):
            self._phase = _negotiated(self._offer, message)


def _begins_frame(data: bytes) -> bool:
    """Whether octets begin like the header of a message: version octets and the first type octet."""
    return data[:2] == b"\x01\xfe" and data[2:3] in (b"", b"\x80", b"\x81")


def _decode(exi: bytes, namespace: str | None) -> tuple[Any, str | None]:
    if namespace is None:
        return None, "no schema set belongs to this payload type"
    if namespace not in SETS:
        older = namespace in (namespaces.ISO2, namespaces.DIN)
        return None, _UNSUPPORTED if older else f"unknown protocol {namespace}"
    try:
        return decode(exi, schema_set(namespace)), None
    except Iso15118Error as error:
        return None, str(error)


def _negotiated(offer: SupportedAppProtocolReq | None, answer: SupportedAppProtocolRes) -> Phase:
    """The phase behind an answer; unchanged where it refuses or names nothing that was offered."""
    if offer is None or answer.response_code is ResponseCode.FAILED_NO_NEGOTIATION:
        return HANDSHAKE
    chosen = [p for p in offer.app_protocol if p.schema_id == answer.schema_id]
    return Phase(chosen[0].protocol_namespace) if chosen else HANDSHAKE
