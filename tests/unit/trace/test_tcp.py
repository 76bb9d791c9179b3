"""TCP streams out of segments in any order, repeated, overlapping, with holes."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iso15118.trace.tcp import MAX_AHEAD, MAX_WAITING, Chunk, StreamAssembler

TEXT = bytes(range(200))


def assemble(segments: list[tuple[int, bytes]], isn: int = 99) -> tuple[bytes, list[int]]:
    """The octets put in order (`isn` + 1 is position 0 of the stream) and the gaps met."""
    stream = StreamAssembler()
    stream.open(isn)
    chunks = [
        c for t, (at, data) in enumerate(segments) for c in stream.feed(t, (isn + 1 + at) % 2**32, data)
    ]
    chunks += stream.flush()
    return b"".join(c.data for c in chunks), [c.missing for c in chunks if c.missing]


def test_in_order() -> None:
    assert assemble([(0, b"ab"), (2, b"cd"), (4, b"")]) == (b"abcd", [])


def test_out_of_order() -> None:
    assert assemble([(2, b"cd"), (4, b"ef"), (0, b"ab")]) == (b"abcdef", [])


def test_a_late_segment_carries_the_time_it_came() -> None:
    stream = StreamAssembler()
    stream.open(0)
    assert stream.feed(5.0, 3, b"cd") == []
    assert stream.feed(6.0, 1, b"ab") == [Chunk(6.0, b"ab"), Chunk(6.0, b"cd")]


@pytest.mark.parametrize(
    "segments",
    [
        [(0, b"abc"), (0, b"abc"), (3, b"d")],
        [(0, b"abc"), (2, b"cd")],
        [(0, b"ab"), (0, b"abcd")],
        [(2, b"cd"), (2, b"c"), (0, b"ab")],
        [(2, b"c"), (2, b"cd"), (0, b"ab")],
        [(1, b"bcd"), (2, b"c"), (0, b"a")],
        [(2, b"cd"), (1, b"bc"), (0, b"ab")],
        [(0, b"abcd"), (3, b"d"), (3, b"")],
    ],
)
def test_repetition_and_overlap(segments: list[tuple[int, bytes]]) -> None:
    assert assemble(segments) == (b"abcd", [])


def test_the_first_of_what_overlaps_counts() -> None:
    assert assemble([(0, b"abc"), (2, b"XYZ")]) == (b"abcYZ", [])


def test_across_the_wrap_around() -> None:
    isn = 2**32 - 50
    pieces = [(at, TEXT[at : at + 10]) for at in range(0, 200, 10)]
    random.Random(1).shuffle(pieces)
    assert assemble(pieces, isn) == (TEXT, [])


def test_a_recording_that_begins_within() -> None:
    stream = StreamAssembler()
    assert stream.feed(0, 5000, b"ab") == [Chunk(0, b"ab")]
    assert stream.feed(0, 4990, b"earlier") == []
    assert stream.feed(1, 5002, b"cd") == [Chunk(1, b"cd")]


def test_a_hole_is_told_at_the_end() -> None:
    assert assemble([(0, b"ab"), (5, b"fg"), (10, b"kl"), (7, b"hi")]) == (b"abfghikl", [3, 1])


def test_a_hole_is_given_up_when_too_much_waits_behind_it() -> None:
    stream = StreamAssembler()
    stream.open(99)
    given_out: list[Chunk] = []
    for n in range(MAX_WAITING + 1):
        given_out += stream.feed(n, 110 + n, b"x")
    assert given_out[0] == Chunk(MAX_WAITING, b"x", missing=10)
    assert sum(len(c.data) for c in given_out) == MAX_WAITING + 1
    assert stream.feed(999, 110 + MAX_WAITING + 1, b"y") == [Chunk(999, b"y")]


def test_sequence_numbers_out_of_any_window_are_damage() -> None:
    assert assemble([(0, b"ab"), (MAX_AHEAD + 10, b"x"), (-5, b"old"), (2, b"cd")]) == (b"abcd", [])


@given(
    cuts=st.lists(st.integers(1, 199), max_size=20, unique=True),
    repeated=st.lists(st.tuples(st.integers(0, 199), st.integers(1, 60)), max_size=10),
    seed=st.integers(0, 1000),
    isn=st.sampled_from([0, 99, 2**31 - 60, 2**32 - 100, 2**32 - 1]),
)
def test_any_order_with_any_repetition_gives_the_stream(
    cuts: list[int], repeated: list[tuple[int, int]], seed: int, isn: int
) -> None:
    edges = [0, *sorted(cuts), len(TEXT)]
    segments = [(a, TEXT[a:b]) for a, b in itertools.pairwise(edges)]
    segments += [(at, TEXT[at : at + length]) for at, length in repeated]
    random.Random(seed).shuffle(segments)
    assert assemble(segments, isn) == (TEXT, [])
