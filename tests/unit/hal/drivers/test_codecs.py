"""Checksums by their published check values, COBS by its published examples."""

from __future__ import annotations

import random
import zlib

import pytest

from hal.drivers.codecs import (
    cobs_decode,
    cobs_encode,
    crc8_j1850,
    crc16_modbus,
    crc32_jamcrc,
    xor8,
)

CHECK = b"123456789"


def test_check_values() -> None:
    assert crc16_modbus(CHECK) == 0x4B37
    assert crc8_j1850(CHECK) == 0x4B
    assert crc32_jamcrc(CHECK) == 0x340BC6D9
    assert xor8(CHECK) == 0x31


def test_of_nothing() -> None:
    assert (crc16_modbus(b""), crc8_j1850(b""), crc32_jamcrc(b""), xor8(b"")) == (0xFFFF, 0, 0xFFFFFFFF, 0)


def test_appended_jamcrc_makes_the_whole_zero() -> None:
    data = b"any content"
    whole = data + crc32_jamcrc(data).to_bytes(4, "little")
    assert crc32_jamcrc(whole) == 0
    assert zlib.crc32(data) ^ crc32_jamcrc(data) == 0xFFFFFFFF


@pytest.mark.parametrize(
    ("plain", "coded"),
    [
        (b"", b"\x01"),
        (b"\0", b"\x01\x01"),
        (b"\0\0", b"\x01\x01\x01"),
        (b"\x11\x22\0\x33", b"\x03\x11\x22\x02\x33"),
        (b"\x11\x22\x33\x44", b"\x05\x11\x22\x33\x44"),
        (b"\x11\0\0\0", b"\x02\x11\x01\x01\x01"),
        (bytes(range(1, 255)), b"\xff" + bytes(range(1, 255))),
        (bytes(range(255)), b"\x01\xff" + bytes(range(1, 255))),
        (bytes(range(1, 256)), b"\xff" + bytes(range(1, 255)) + b"\x02\xff"),
        (bytes(range(2, 256)) + b"\0", b"\xff" + bytes(range(2, 256)) + b"\x01\x01"),
        (bytes(range(3, 256)) + b"\0\x01", b"\xfe" + bytes(range(3, 256)) + b"\x02\x01"),
    ],
)
def test_cobs_examples(plain: bytes, coded: bytes) -> None:
    assert cobs_encode(plain) == coded
    assert cobs_decode(coded) == plain


def test_cobs_of_anything_has_no_zero_and_comes_back() -> None:
    rng = random.Random(1)
    for _ in range(300):
        plain = bytes(rng.choice((0, 1, 255)) for _ in range(rng.randrange(600)))
        plain += b"\x07" * rng.choice((0, 253, 254, 255, 508))
        coded = cobs_encode(plain)
        assert 0 not in coded
        assert cobs_decode(coded) == plain


@pytest.mark.parametrize("coded", [b"\x05\x11", b"\x02\0", b"\0", b"\x02"])
def test_what_is_no_cobs_is_refused(coded: bytes) -> None:
    with pytest.raises(ValueError, match="COBS"):
        cobs_decode(coded)
