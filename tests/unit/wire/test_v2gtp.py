"""V2GTP frames out of a byte stream, however it is chunked and whatever it holds."""

from __future__ import annotations

import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iso15118.errors import FramingError
from iso15118.wire.v2gtp import (
    Frame,
    FrameReader,
    FramingLost,
    Ignored,
    Oversize,
    PayloadType,
    Received,
    decode_datagram,
    decode_header,
    encode_frame,
)

STREAM_TYPES = [t for t in PayloadType if not t.is_discovery]
FIRST = encode_frame(PayloadType.COMMON, bytes.fromhex("808c0200"))
SECOND = encode_frame(PayloadType.DC, bytes.fromhex("802c040000000000000000080e2cfaa062"))


def feed_all(chunks: list[bytes], limit: int = 65_536) -> list[Received]:
    reader = FrameReader(limit)
    return [item for chunk in chunks for item in reader.feed(chunk)]


def header(payload_type: int, length: int) -> bytes:
    return bytes.fromhex("01fe") + payload_type.to_bytes(2, "big") + length.to_bytes(4, "big")


def test_a_frame_is_header_and_payload() -> None:
    assert SECOND.hex() == "01fe800400000011802c040000000000000000080e2cfaa062"
    assert decode_header(SECOND) == (0x8004, 17)
    assert decode_datagram(SECOND) == (0x8004, SECOND[8:])


@pytest.mark.parametrize(("payload_type", "payload"), [(0x10000, b"x"), (-1, b"x"), (0x8002, b"")])
def test_what_cannot_be_framed_is_refused(payload_type: int, payload: bytes) -> None:
    with pytest.raises(FramingError):
        encode_frame(payload_type, payload)


@pytest.mark.parametrize("octets", [b"", FIRST[:7], b"\x02\xfe" + FIRST[2:], b"\x01\xff" + FIRST[2:]])
def test_a_bad_header_is_named(octets: bytes) -> None:
    with pytest.raises(FramingError):
        decode_header(octets)


@pytest.mark.parametrize("datagram", [FIRST[:-1], FIRST + b"\0", header(0x9000, 0xFFFF_FFFF)])
def test_a_datagram_holds_exactly_one_frame(datagram: bytes) -> None:
    with pytest.raises(FramingError, match="length field"):
        decode_datagram(datagram)


@pytest.mark.parametrize("cut", range(len(FIRST + SECOND) + 1))
def test_split_at_every_boundary(cut: int) -> None:
    stream = FIRST + SECOND
    assert feed_all([stream[:cut], stream[cut:]]) == [
        Frame(PayloadType.COMMON, FIRST[8:]),
        Frame(PayloadType.DC, SECOND[8:]),
    ]


def test_several_frames_in_one_segment_and_the_next_one_begun() -> None:
    reader = FrameReader()
    assert len(reader.feed(FIRST * 5 + SECOND[:11])) == 5
    assert reader.inside_frame
    assert reader.buffered == 11
    assert reader.feed(SECOND[11:]) == [Frame(PayloadType.DC, SECOND[8:])]
    assert not reader.inside_frame


@pytest.mark.req("V2G2-800")
@pytest.mark.parametrize("payload_type", STREAM_TYPES)
def test_an_empty_payload_is_skipped(payload_type: PayloadType) -> None:
    found = feed_all([header(payload_type, 0) + FIRST])
    assert found == [Ignored(payload_type, 0, "empty payload"), Frame(PayloadType.COMMON, FIRST[8:])]


@pytest.mark.req("V2G2-094")
@pytest.mark.parametrize(
    ("payload_type", "reason"),
    [
        (0x0000, "reserved"),
        (0x8000, "reserved"),
        (0x8007, "reserved"),
        (0x8105, "reserved"),
        (0x9FFF, "reserved"),
        (0x9000, "discovery"),
        (0x9001, "discovery"),
        (0xA000, "manufacturer"),
        (0xFFFF, "manufacturer"),
    ],
)
def test_a_foreign_payload_type_is_skipped(payload_type: int, reason: str) -> None:
    foreign = header(payload_type, 300) + bytes(300)
    ignored, frame = feed_all([foreign[:100], foreign[100:] + FIRST])
    assert isinstance(ignored, Ignored)
    assert (ignored.payload_type, ignored.length) == (payload_type, 300)
    assert reason in ignored.reason
    assert frame == Frame(PayloadType.COMMON, FIRST[8:])


def test_a_huge_foreign_payload_is_skipped_without_being_kept() -> None:
    reader = FrameReader()
    reader.feed(header(0xA000, 8 << 20))
    chunk = bytes(64 << 10)
    tracemalloc.start()
    for _ in range(128):
        assert reader.feed(chunk) == []
        assert reader.buffered == 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 256 << 10
    assert reader.feed(FIRST) == [Frame(PayloadType.COMMON, FIRST[8:])]


@pytest.mark.req("V2G2-092")
@pytest.mark.parametrize("front", [b"\x02\xfe", b"\x01\x01", b"\x16\x03", b"GE", b"\0\0"])
def test_wrong_version_octets_end_the_reading(front: bytes) -> None:
    reader = FrameReader()
    found = reader.feed(FIRST + front + SECOND)
    assert found[0] == Frame(PayloadType.COMMON, FIRST[8:])
    assert isinstance(found[1], FramingLost)
    assert found[1].octets == front
    assert front.hex(" ") in found[1].reason
    assert len(found) == 2
    assert reader.lost
    assert reader.feed(SECOND) == []
    assert reader.buffered == 0


def test_a_wrong_version_is_seen_before_the_header_is_complete() -> None:
    reader = FrameReader()
    assert reader.feed(b"\x16") == []
    assert isinstance(reader.feed(b"\x03")[0], FramingLost)


@pytest.mark.parametrize("length", [101, 65_537, 0xFFFF_FFFF])
def test_an_oversize_payload_ends_the_reading_before_it_arrives(length: int) -> None:
    reader = FrameReader(max_payload=100)
    (found,) = reader.feed(header(0x8002, length) + bytes(50))
    assert found == Oversize(PayloadType.COMMON, length, 100)
    assert str(length) in found.reason
    assert reader.lost
    assert reader.buffered == 0
    assert reader.feed(FIRST) == []


def test_a_payload_of_exactly_the_limit_is_read() -> None:
    frame = encode_frame(PayloadType.DC, bytes(100))
    assert feed_all([frame], limit=100) == [Frame(PayloadType.DC, bytes(100))]


def test_the_length_field_alone_allocates_nothing() -> None:
    tracemalloc.start()
    readers = [FrameReader(max_payload=1 << 30) for _ in range(20)]
    for reader in readers:
        reader.feed(header(0x8002, 1 << 30))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 10


@pytest.mark.parametrize("limit", [0, -1, 1 << 32])
def test_a_senseless_limit_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="max_payload"):
        FrameReader(limit)


# --- any chunking yields the same ------------------------------------------------------------------

frames = st.builds(encode_frame, st.sampled_from(STREAM_TYPES), st.binary(min_size=1, max_size=60))
foreign = st.builds(
    lambda code, body: header(code, len(body)) + body,
    st.sampled_from([0x8007, 0x9000, 0xA000, 0xFFFF]),
    st.binary(max_size=40),
)
broken = st.one_of(
    st.binary(min_size=2, max_size=20), st.just(header(0x8002, 201)), st.just(header(0x8003, 0))
)
streams = st.lists(st.one_of(frames, frames, foreign, broken), max_size=8).map(b"".join)


def chunked(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({min(c, len(data)) for c in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(stream=streams, cuts=st.lists(st.integers(0, 400), max_size=12))
def test_any_chunking_yields_the_same(stream: bytes, cuts: list[int]) -> None:
    whole = feed_all([stream], limit=200)
    assert feed_all(chunked(stream, cuts), limit=200) == whole
    assert feed_all([bytes([octet]) for octet in stream], limit=200) == whole


@given(messages=st.lists(st.tuples(st.sampled_from(STREAM_TYPES), st.binary(min_size=1)), max_size=6))
def test_what_is_framed_comes_out_again(messages: list[tuple[PayloadType, bytes]]) -> None:
    stream = b"".join(encode_frame(*m) for m in messages)
    assert feed_all([stream]) == [Frame(*m) for m in messages]


@given(noise=st.lists(st.binary(max_size=50), max_size=10))
def test_noise_raises_nothing_and_is_not_hoarded(noise: list[bytes]) -> None:
    reader = FrameReader(max_payload=64)
    for chunk in noise:
        reader.feed(chunk)
        assert reader.buffered <= 64 + 8
