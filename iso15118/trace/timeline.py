"""A whole recording as one sequence of discovery and session messages."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from iso15118.errors import FramingError
from iso15118.trace.packets import Address, TcpSegment, UdpDatagram, parse
from iso15118.trace.pcap import CapturedFrame, CaptureError, read_frames
from iso15118.trace.secrets import Secrets
from iso15118.trace.session import Conversation, TraceItem
from iso15118.trace.tcp import Chunk, StreamAssembler
from iso15118.wire import sdp
from iso15118.wire.v2gtp import HEADER_LENGTH, decode_header


def open_capture(path: str | Path, keylog: str | Path | None = None) -> Iterator[TraceItem]:
    """The messages of a pcap or pcapng file, decoded as they are asked for.

    Connections with TLS are opened with the secrets of the file `keylog`, and with those the recording carries along.
    CaptureError at once where `path` is no capture, ConfigError where `keylog` is no key log. Damage further on ends
    the sequence with an item that tells it.
    """
    given = Secrets()
    if keylog is not None:
        given.add_file(keylog)

    @functools.cache
    def secrets() -> Secrets:
        given.add_recorded(path)
        return given

    return timeline(read_frames(path), secrets)


def timeline(
    frames: Iterable[CapturedFrame], secrets: Callable[[], Secrets] = Secrets
) -> Iterator[TraceItem]:
    """The messages in captured frames, in the order in which they were completed.

    `secrets` is asked for what opens TLS when the first such connection comes.
    """
    recording = _Recording(secrets)
    damage: CaptureError | None = None
    try:
        for frame in frames:
            yield from recording.feed(frame)
    except CaptureError as error:
        damage = error
    yield from recording.flush()
    if damage is not None:
        nowhere = ("", 0)
        yield TraceItem(recording.t, nowhere, nowhere, error=str(damage))


class _Connection:
    """A TCP connection: both directions put in order, and what they mean."""

    def __init__(self, segment: TcpSegment, announced: bool, secrets: Callable[[], Secrets]) -> None:
        a, b = segment.src, segment.dst
        self.opened_by = segment.sequence if segment.syn else None
        self._streams = {a: StreamAssembler(), b: StreamAssembler()}
        self._conversation = Conversation(a, b, announced, from_start=segment.syn, secrets=secrets)

    def feed(self, t: float, segment: TcpSegment) -> Iterator[TraceItem]:
        stream = self._streams[segment.src]
        if segment.syn:
            stream.open(segment.sequence)
        sequence = segment.sequence + segment.syn
        yield from self._read(segment.src, stream.feed(t, sequence % (1 << 32), segment.payload))

    def flush(self) -> Iterator[TraceItem]:
        for src, stream in self._streams.items():
            yield from self._read(src, stream.flush())

    def _read(self, src: Address, chunks: list[Chunk]) -> Iterator[TraceItem]:
        for chunk in chunks:
            yield from self._conversation.feed(src, chunk)


class _Recording:
    """All that is known while frames go by."""

    def __init__(self, secrets: Callable[[], Secrets]) -> None:
        self.t = 0.0
        self._secrets = secrets
        self._announced: set[Address] = set()
        self._connections: dict[frozenset[Address], _Connection] = {}

    def feed(self, frame: CapturedFrame) -> Iterator[TraceItem]:
        self.t = frame.t
        packet = parse(frame)
        if isinstance(packet, UdpDatagram) and sdp.SDP_PORT in (packet.src[1], packet.dst[1]):
            yield self._discovery(packet)
        elif isinstance(packet, TcpSegment):
            yield from self._segment(packet)

    def flush(self) -> Iterator[TraceItem]:
        for connection in self._connections.values():
            yield from connection.flush()
        self._connections.clear()

    def _discovery(self, packet: UdpDatagram) -> TraceItem:
        try:
            message = sdp.decode(packet.payload)
        except FramingError as error:
            return TraceItem(self.t, packet.src, packet.dst, error=str(error), raw=packet.payload)
        if isinstance(message, sdp.SdpResponse | sdp.WirelessSdpResponse):
            self._announced.add((str(message.address), message.port))
        payload_type, _ = decode_header(packet.payload)
        raw = packet.payload[HEADER_LENGTH:]
        return TraceItem(self.t, packet.src, packet.dst, payload_type, message, raw=raw)

    def _segment(self, segment: TcpSegment) -> Iterator[TraceItem]:
        key = frozenset((segment.src, segment.dst))
        connection = self._connections.get(key)
        if connection and segment.opening and segment.sequence != connection.opened_by:
            yield from connection.flush()
            connection = None
        if connection is None:
            announced = not self._announced.isdisjoint(key)
            connection = self._connections[key] = _Connection(segment, announced, self._secrets)
        yield from connection.feed(self.t, segment)
