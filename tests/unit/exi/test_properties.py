"""Random objects of every set: EXI, XML and JSON round trips, and bit maps without gaps."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iso15118.exi.as_json import from_json, to_json
from iso15118.exi.as_xml import from_xml, to_xml
from iso15118.exi.codec import decode, decode_detailed, encode
from iso15118.exi.explain import explain
from iso15118.exi.options import Options
from iso15118.exi.validate import validate
from iso15118.messages.registry import SETS, schema_set
from tests.unit.exi.generator import Generator

ALL_SETS = pytest.mark.parametrize("namespace", SETS)
SEEDS = st.integers(0, 2**64)
FEW = settings(max_examples=25)


def message(namespace: str, seed: int, foreign: bool = True) -> Any:
    return Generator(schema_set(namespace), random.Random(seed), foreign).message()


@ALL_SETS
@FEW
@given(seed=SEEDS)
def test_exi_round_trip_in_every_form(namespace: str, seed: int) -> None:
    known, value = schema_set(namespace), message(namespace, seed)
    for options in (
        Options(),
        Options(empty="ee"),
        Options(full_list="loop"),
        Options(empty="ee", full_list="loop", facets=False, tolerant=False),
    ):
        octets = encode(value, known, options=options)
        assert decode(octets, known, options=options) == value


@ALL_SETS
@FEW
@given(seed=SEEDS)
def test_fragments_round_trip(namespace: str, seed: int) -> None:
    known, value = schema_set(namespace), message(namespace, seed)
    result = decode_detailed(encode(value, known, fragment=True), known, fragment=True)
    assert result.value == value


@ALL_SETS
@FEW
@given(seed=SEEDS)
def test_xml_and_json_round_trip(namespace: str, seed: int) -> None:
    known, value = schema_set(namespace), message(namespace, seed)
    assert from_xml(to_xml(value, known), known) == value
    assert from_json(json.loads(json.dumps(to_json(value, known))), known) == value


@ALL_SETS
@FEW
@given(seed=SEEDS)
def test_what_fits_the_schema_is_valid(namespace: str, seed: int) -> None:
    assert validate(message(namespace, seed)) == ()


@ALL_SETS
@FEW
@given(seed=SEEDS, spelling=st.sampled_from(["ch", "ee"]))
def test_bit_maps_cover_every_bit_once(namespace: str, seed: int, spelling: Any) -> None:
    known, value = schema_set(namespace), message(namespace, seed)
    octets = encode(value, known, options=Options(empty=spelling))
    explanation = explain(octets, known)
    assert explanation.error is None
    assert explanation.decoded
    assert explanation.decoded.value == value
    at = 0
    for row in explanation.rows:
        assert row.start == at, row
        at = row.end
    assert at == 8 * len(octets)
