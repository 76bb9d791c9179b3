"""The primitive codings: round trips, limits, and reading at any bit offset."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iso15118.errors import DecodeError, EncodeError
from iso15118.exi.bits import (
    BIG_INTEGER_GROUPS,
    UNSIGNED_GROUPS,
    BitReader,
    BitWriter,
    pack_binary,
    pack_signed,
    pack_string,
    pack_unsigned,
)

OFFSETS = st.integers(0, 70)
TEXT = st.text(st.characters(min_codepoint=32, exclude_categories=("Cs", "Cn", "Co")), max_size=40)


def written(offset: int, packed: tuple[int, int]) -> BitReader:
    """A message with a value at `offset`, ones before and behind it."""
    writer = BitWriter()
    writer.write((1 << offset) - 1, offset)
    writer.write(*packed)
    writer.write(0xFF, 8)
    return BitReader(writer.finish())


@given(OFFSETS, st.integers(0, 32), st.integers(0, 2**32 - 1))
def test_fields_of_up_to_32_bits(offset: int, width: int, value: int) -> None:
    value &= (1 << width) - 1
    assert written(offset, (value, width)).bits(offset, width) == value


@given(OFFSETS, st.integers(0, 2**70 - 1))
def test_unsigned(offset: int, value: int) -> None:
    packed = pack_unsigned(value)
    assert written(offset, packed).unsigned(offset) == (value, offset + packed[1])
    assert packed[1] == 8 * max(1, -(-value.bit_length() // 7))


@given(OFFSETS, st.integers(-(2**70), 2**70 - 1))
def test_signed(offset: int, value: int) -> None:
    packed = pack_signed(value)
    assert written(offset, packed).signed(offset) == (value, offset + packed[1])


@given(OFFSETS, st.binary(max_size=200))
def test_binary(offset: int, value: bytes) -> None:
    packed = pack_binary(value)
    assert written(offset, packed).binary(offset) == (value, offset + packed[1])


@given(OFFSETS, TEXT)
def test_string(offset: int, value: str) -> None:
    packed = pack_string(value)
    assert written(offset, packed).string(offset) == (value, offset + packed[1])


@given(st.lists(st.tuples(st.integers(0, 2**90 - 1), st.integers(90, 100))))
def test_writer_keeps_every_bit(parts: list[tuple[int, int]]) -> None:
    writer = BitWriter()
    for bits, width in parts:
        writer.write(bits, width)
    expected = "".join(f"{bits:0{width}b}" for bits, width in parts)
    assert len(writer) == len(expected)
    found = "".join(f"{octet:08b}" for octet in writer.finish())
    assert found[: len(expected)] == expected
    assert set(found[len(expected) :]) <= {"0"}
    assert len(found) - len(expected) < 8


@pytest.mark.parametrize("data", ["81808000", "8180808080808080807f"])
def test_integers_that_are_longer_than_needed_are_read(data: str) -> None:
    value, end = BitReader(bytes.fromhex(data)).unsigned(0)
    assert value % 128 == 1
    assert end == 4 * len(data)


def test_integers_have_at_most_ten_groups() -> None:
    with pytest.raises(DecodeError, match="more than 10 groups") as caught:
        BitReader(b"\x80" * UNSIGNED_GROUPS + b"\x00").unsigned(0)
    assert caught.value.bit == 0


def test_serial_numbers_may_be_longer() -> None:
    value = 2**159 + 12345  # 20 octets, as certificates allow
    bits, width = pack_signed(value)
    reader = written(0, (bits, width))
    assert reader.signed(0, BIG_INTEGER_GROUPS) == (value, width)
    with pytest.raises(DecodeError, match="more than 24 groups"):
        BitReader(b"\xff" * 40).signed(0, BIG_INTEGER_GROUPS)


@pytest.mark.parametrize("cut", range(4))
def test_nothing_is_read_beyond_the_end(cut: int) -> None:
    reader = BitReader(bytes.fromhex("80808001")[:cut])
    with pytest.raises(DecodeError, match="message ends"):
        reader.unsigned(0)
    with pytest.raises(DecodeError, match="message ends"):
        reader.bits(8 * cut - 7 if cut else 0, 8)
    with pytest.raises(DecodeError, match="message ends"):
        BitReader(bytes(cut)).signed(8 * cut)


def test_announced_lengths_are_checked_before_anything_is_made() -> None:
    bits, width = pack_unsigned(2**62)
    reader = written(0, (bits, width))
    with pytest.raises(DecodeError, match="4611686018427387902 characters announced, at most 1 left"):
        reader.string(0)
    with pytest.raises(DecodeError, match="4611686018427387904 octets announced, 1 left"):
        reader.binary(0)


@pytest.mark.parametrize("length", [0, 1])
def test_string_table_hits_are_refused(length: int) -> None:
    with pytest.raises(DecodeError, match="string-table hit") as caught:
        BitReader(bytes([255, length, 0, 0])).string(8)
    assert caught.value.bit == 8


@pytest.mark.parametrize("point", [0, 0x10, 0xD800, 0xDFFF, 0xFFFE, 0x110000, 2**60])
def test_what_is_no_character_is_refused(point: int) -> None:
    bits, width = pack_unsigned(point)
    reader = written(16, (3 << width | bits, 8 + width))
    with pytest.raises(DecodeError, match=f"U\\+{point:04X}"):
        reader.string(16)


@pytest.mark.parametrize("text", ["\0", "a\x10", "\ud800", "é\x00"])
def test_what_is_no_character_is_not_written(text: str) -> None:
    with pytest.raises(EncodeError, match="cannot be sent"):
        pack_string(text)


def test_control_characters_of_xml_pass() -> None:
    packed = pack_string("a\tb\nc\r")
    assert written(3, packed).string(3) == ("a\tb\nc\r", 3 + packed[1])


def test_position_of_a_bad_character() -> None:
    with pytest.raises(DecodeError) as caught:
        BitReader(b"\x05ab\x07").string(0)
    assert caught.value.bit == 24
