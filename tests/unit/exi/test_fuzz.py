"""Broken input of all kinds: an object or a DecodeError, in bounded time, and nothing else."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator

import pytest

from iso15118.errors import DecodeError
from iso15118.exi.as_json import to_json
from iso15118.exi.as_xml import from_xml, to_xml
from iso15118.exi.codec import decode, encode
from iso15118.exi.explain import explain
from iso15118.exi.options import MAX_MESSAGE_OCTETS, Options
from iso15118.exi.validate import validate
from iso15118.messages import namespaces
from iso15118.messages.registry import SETS, schema_set
from tests.unit.exi.generator import VECTORS

MUTATIONS = 20_000
SECONDS = 60  # of CPU; a good ten times what is needed: slow machines pass, quadratic decoders do not
LOOSE = Options(facets=False)


def corpus() -> list[tuple[str, bytes]]:
    lines = VECTORS.read_text(encoding="utf-8").splitlines()
    return [(vector["schema"], bytes.fromhex(vector["exi"])) for vector in map(json.loads, lines)]


def mutated(octets: bytes, other: bytes, source: random.Random) -> bytes:
    data = bytearray(octets)
    for _ in range(source.choice([1, 1, 1, 2, 4, 16])):
        at = source.randrange(len(data)) if data else 0
        match source.randrange(7):
            case 0 | 1 | 2 if data:
                data[at] ^= 1 << source.randrange(8)
            case 3 if data:
                data[at] = source.choice([0, 1, 0x7F, 0x80, 0xFF, source.randrange(256)])
            case 4:
                del data[at:]
            case 5:
                data[at:at] = source.randbytes(source.randrange(1, 9))
            case 6:
                data[at:] = other[at:]
    return bytes(data)


def mutations() -> Iterator[tuple[str, bytes]]:
    source = random.Random(20_000)
    originals = corpus()
    for _ in range(MUTATIONS):
        namespace, octets = source.choice(originals)
        yield namespace, mutated(octets, source.choice(originals)[1], source)


@pytest.mark.timeout(240)
def test_mutated_messages_decode_or_are_refused() -> None:
    started = time.process_time()
    read = misplaced = 0
    for number, (namespace, octets) in enumerate(mutations()):
        known = schema_set(namespace)
        try:
            value = decode(octets, known)
        except DecodeError as error:
            misplaced += error.bit is None or not 0 <= error.bit <= 8 * len(octets)
            continue
        read += 1
        if number % 10 == 0:  # what was read can be judged, written and read again
            validate(value)
            assert decode(encode(value, known, options=LOOSE), known) == value
            to_json(value, known)
            from_xml(to_xml(value, known), known)
    assert misplaced == 0
    assert time.process_time() - started < SECONDS
    assert MUTATIONS / 100 < read < MUTATIONS  # both outcomes were met


def test_broken_messages_can_be_explained() -> None:
    for number, (namespace, octets) in enumerate(mutations()):
        if number == 500:
            break
        explanation = explain(octets, schema_set(namespace))
        assert (explanation.error is None) != (explanation.decoded is None)
        assert str(explanation)


@pytest.mark.parametrize("namespace", SETS)
@pytest.mark.parametrize("fragment", [False, True])
def test_noise(namespace: str, fragment: bool) -> None:
    known = schema_set(namespace)
    source = random.Random(f"noise/{namespace}")
    for _ in range(300):
        octets = b"\x80" + source.randbytes(source.randrange(120))
        try:
            value = decode(octets, known, fragment=fragment)
        except DecodeError:
            continue
        assert value is not None


@pytest.mark.parametrize("namespace", SETS)
@pytest.mark.parametrize("filling", ["00", "ff", "01", "80", "5a", "a5", "12345678", "0240", "1020408102"])
def test_long_monotonous_input_takes_little_time(namespace: str, filling: str) -> None:
    known = schema_set(namespace)
    pattern = bytes.fromhex(filling)
    body = (pattern * (MAX_MESSAGE_OCTETS // len(pattern) + 1))[: MAX_MESSAGE_OCTETS - 2]
    started = time.process_time()
    for code in range(0, len(known.elements), 5):
        head = (0x80 << known.document_width | code) << (8 - known.document_width)
        octets = bytearray(head.to_bytes(2, "big") + body)
        octets[1] |= body[0] & (0xFF >> known.document_width)
        try:
            decode(bytes(octets), known)
        except DecodeError:
            continue
    assert time.process_time() - started < SECONDS


def test_the_longest_message_takes_little_time() -> None:
    """A SignedInfo full of references up to the size limit: linear in the length."""
    known = schema_set(namespaces.XMLDSIG)
    reference = "<Reference><DigestMethod Algorithm='a'/><DigestValue/></Reference>"
    text = (
        "<SignedInfo xmlns='http://www.w3.org/2000/09/xmldsig#'><CanonicalizationMethod Algorithm='a'/>"
        f"<SignatureMethod Algorithm='a'/>{reference * 4096}</SignedInfo>"
    )
    octets = encode(from_xml(text, known), known)
    started = time.process_time()
    value = decode(octets, known)
    assert len(value.reference) == 4096
    assert time.process_time() - started < SECONDS / 4
    cut = octets[:-1000]
    with pytest.raises(DecodeError):
        decode(cut, known)
