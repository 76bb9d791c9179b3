"""Protocol Buffers from tables: known octets, and whatever else may come."""

from __future__ import annotations

import random

import pytest

from hal.drivers.protobuf import Field, Kind, Message, decode, encode, flat

INNER = Message(flat(Kind.FLOAT, voltage=1, current=2))
ALL = Message(
    {
        **flat(Kind.UINT, count=1),
        "flag": Field(2, Kind.BOOL),
        "text": Field(3, Kind.TEXT),
        "ratio": Field(4, Kind.FLOAT),
        "inner": Field(50, Kind.MESSAGE, INNER),
        "empty": Field(51, Kind.MESSAGE),
    },
    oneof=frozenset({"count", "inner", "empty"}),
)


@pytest.mark.parametrize(
    ("values", "octets"),
    [
        ({}, ""),
        ({"count": 0}, "08 00"),
        ({"count": 300}, "08 AC 02"),
        ({"count": 2**32 - 1}, "08 FF FF FF FF 0F"),
        ({"flag": False}, ""),
        ({"flag": True, "text": "1.0"}, "10 01 1A 03 31 2E 30"),
        ({"text": ""}, ""),
        ({"ratio": 0.5}, "25 00 00 00 3F"),
        ({"inner": {"voltage": 400.0, "current": 20.0}}, "92 03 0A 0D 00 00 C8 43 15 00 00 A0 41"),
        ({"inner": {"voltage": 0.0}}, "92 03 00"),
        ({"empty": {}}, "9A 03 00"),
    ],
)
def test_known_octets(values: dict[str, object], octets: str) -> None:
    data = bytes.fromhex(octets)
    assert encode(ALL, values) == data
    assert encode(ALL, decode(ALL, data)) == data


def test_unknown_fields_of_every_kind_are_skipped() -> None:
    data = bytes.fromhex("0805 f80107 f9010102030405060708 fa0103aabbcc fd0100000000 1001")
    assert decode(ALL, data) == {"count": 5, "flag": True}


@pytest.mark.parametrize(
    ("octets", "says"),
    [
        ("08", "without an end"),
        ("08 FF FF FF FF FF FF FF FF FF FF 01", "without an end"),
        ("1A 05 31", "cut short"),
        ("25 00 00", "cut short"),
        ("0B", "wire type 3"),
        ("0F 00", "wire type 7"),
        ("0D 00 00 00 00", "has wire type 5"),
        ("92 03 05 0D 00", "cut short"),
    ],
)
def test_what_is_no_message_is_refused(octets: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        decode(ALL, bytes.fromhex(octets))


def test_a_field_that_is_not_declared_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError, match="cout"):
        encode(ALL, {"cout": 1})


def test_anything_is_read_or_refused() -> None:
    rng = random.Random(1)
    for _ in range(3000):
        data = bytes(
            rng.choice((0x08, 0x92, 0x03, 0x1A, 0x25, rng.randrange(256))) for _ in range(rng.randrange(12))
        )
        try:
            told = decode(ALL, data)
        except ValueError:
            continue
        assert told.keys() <= ALL.fields.keys()
