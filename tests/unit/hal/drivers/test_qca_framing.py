"""Framing of the modem's UART: bytes, and a decoder that finds its way back."""

from __future__ import annotations

import random

import pytest

from hal.drivers.qca_framing import LONGEST, SHORTEST, Decoder, encode


def frames(count: int, rng: random.Random) -> list[bytes]:
    """Frames full of the octets that the framing itself uses."""
    return [
        bytes(rng.choice((0xAA, 0x55, 0x00, rng.randrange(256))) for _ in range(rng.randint(60, 300)))
        for _ in range(count)
    ]


def test_a_frame_on_the_wire() -> None:
    frame = bytes(range(60))
    assert encode(frame) == bytes.fromhex("aaaaaaaa3c000000") + frame + b"\x55\x55"
    assert encode(bytes(1518))[:8] == bytes.fromhex("aaaaaaaaee050000")


def test_a_short_frame_is_padded_and_a_long_one_refused() -> None:
    assert Decoder().feed(encode(b"\x01\x02")) == [b"\x01\x02" + bytes(58)]
    with pytest.raises(ValueError, match="1519"):
        encode(bytes(1519))


@pytest.mark.parametrize("chunk", [1, 2, 7, 64, 100_000])
def test_frames_come_in_any_portions(chunk: int) -> None:
    sent = frames(40, random.Random(1))
    wire = b"".join(map(encode, sent))
    decoder, got = Decoder(), []
    for start in range(0, len(wire), chunk):
        got += decoder.feed(wire[start : start + chunk])
    assert got == sent
    assert not decoder.pending


def test_noise_between_frames_costs_no_frame() -> None:
    rng = random.Random(2)
    sent: list[bytes] = [rng.randbytes(rng.randint(60, 300)) for _ in range(500)]
    got, decoder = [], Decoder()
    for frame in sent:
        got += decoder.feed(bytes(rng.choice((0xAA, 0x55, 0, 0x3C)) for _ in range(rng.randrange(12))))
        got += decoder.feed(encode(frame))
    got += decoder.feed(bytes(2000))
    assert got == sent


def test_lost_octets_cost_no_frame_but_their_own() -> None:
    rng = random.Random(3)
    sent = frames(60, rng)
    broken = set(rng.sample(range(60), 15))
    wire = b""
    for number, frame in enumerate(sent):
        coded = encode(frame)
        cut = rng.randrange(9, len(coded) - 2)
        wire += coded[:cut] + coded[cut + 1 :] if number in broken else coded
    got = Decoder().feed(wire + bytes(2000))
    assert [frame for number, frame in enumerate(sent) if number not in broken] == got


@pytest.mark.parametrize("length", [0, 1, SHORTEST - 1, LONGEST + 1, 0xFFFF])
def test_an_impossible_length_is_no_frame(length: int) -> None:
    bad = b"\xaa" * 4 + length.to_bytes(2, "little") + b"\0\0"
    assert Decoder().feed(bad + encode(bytes(60))) == [bytes(60)]


def test_the_length_that_spi_puts_in_front_is_skipped() -> None:
    frame = bytes(range(200)) * 2 + bytes(16)  # 416 octets: the prefix ends in AA
    prefix = (len(frame) + 10).to_bytes(4, "big")
    assert prefix.endswith(b"\xaa")
    assert Decoder().feed((prefix + encode(frame)) * 3) == [frame] * 3


def test_a_frame_without_an_end_is_given_up_after_a_silence() -> None:
    decoder = Decoder()
    good = encode(bytes(60))
    assert decoder.feed(b"\xaa" * 4 + b"\xe8\x03\0\0" + good + good) == []
    assert decoder.pending
    assert decoder.skip() == [bytes(60)] * 2
    assert not decoder.pending
    assert decoder.skip() == []


def test_endless_noise_is_not_kept() -> None:
    decoder = Decoder()
    rng = random.Random(4)
    for _ in range(20):
        assert decoder.feed(rng.randbytes(5000)) == []
    assert len(decoder._buffer) <= LONGEST + 10
