"""Our own encodings, kept in the tree: the codec is tested where the reference data is not at hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from iso15118.exi.as_xml import to_xml
from iso15118.exi.codec import decode, encode
from iso15118.exi.options import Options
from iso15118.messages.registry import SETS, schema_set
from tests.unit.exi.generator import VECTORS, digest_of


def load() -> list[dict[str, Any]]:
    return [json.loads(line) for line in VECTORS.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("namespace", SETS)
def test_decodes_to_the_same_infoset_and_back_to_the_same_bits(namespace: str) -> None:
    known = schema_set(namespace)
    found = [vector for vector in load() if vector["schema"] == namespace]
    assert found
    for vector in found:
        octets = bytes.fromhex(vector["exi"])
        value = decode(octets, known)
        assert digest_of(to_xml(value, known)) == vector["xml"], vector["id"]
        assert encode(value, known) == octets, vector["id"]


def test_file_is_small_enough_to_keep() -> None:
    assert VECTORS.stat().st_size < 200_000


@pytest.mark.parametrize("namespace", SETS)
def test_reads_the_other_spelling_of_empty_values(namespace: str) -> None:
    known = schema_set(namespace)
    for vector in (v for v in load() if v["schema"] == namespace):
        value = decode(bytes.fromhex(vector["exi"]), known)
        assert decode(encode(value, known, options=Options(empty="ee")), known) == value, vector["id"]
