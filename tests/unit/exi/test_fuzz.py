"""Broken input of all kinds: an object or a DecodeError, in bounded time, and nothing else."""

from __future__ import annotations

import random
import time

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
from tests.unit.exi.mutation import mutations

MUTATIONS = 20_000
SECONDS = 60  # of CPU; a good ten times what is needed: slow machines pass, quadratic decoders do not
LOOSE = Options(facets=False)


@pytest.mark.timeout(240)
def test_mutated_messages_decode_or_are_refused() -> None:
    started = time.process_time()
    read = misplaced = 0
    for number, (namespace, octets) in enumerate(mutations(MUTATIONS)):
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
    for number, (namespace, octets) in enumerate(mutations(MUTATIONS)):
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
