"""Random objects that fit a schema set, made by walking its grammars.

Used by the property and fuzz tests, and run as a program to write `vectors.jsonl`:

    python -m tests.unit.exi.generator
"""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

from iso15118.exi.as_xml import to_xml
from iso15118.exi.codec import encode
from iso15118.exi.grammar import SchemaSet
from iso15118.exi.scalars import ScalarCodec
from iso15118.exi.schema import AnyElement, Binary, Boolean, Enumeration, Integer, Text, info_of
from iso15118.exi.tables import END, END_KEY, TEXT, WILDCARD, Kind, Production
from iso15118.messages.registry import SETS, schema_set

VECTORS = Path(__file__).with_name("vectors.jsonl")
SEED = 15118
PER_ROOT = 3

LETTERS = "abcXYZ 0189-_.:/#&<>\"'\t\n\u00fc\u20ac\u4e2d\U0001f600"
EDGES = (
    0,
    1,
    63,
    64,
    127,
    128,
    255,
    256,
    4095,
    4096,
    16383,
    16384,
    2**21,
    2**28,
    2**31,
    2**32 - 1,
    2**63,
    2**64 - 1,
)


class Generator:
    """Objects from a seeded source of randomness."""

    def __init__(self, schema: SchemaSet, source: random.Random, foreign: bool = True) -> None:
        self.schema = schema
        self.source = source
        self.foreign = foreign

    def message(self) -> Any:
        """An object of a random root element of the set's own namespace."""
        roots = [e.cls for e in self.schema.elements if e.cls and not info_of(e.cls).abstract]
        own = [cls for cls in roots if info_of(cls).namespace == self.schema.namespace]
        return self.object(self.source.choice(own or roots))

    def object(self, cls: type[Any], depth: int = 0) -> Any:
        kind = self.schema.kind(cls)
        values = self.walk(kind, depth)
        for step in kind.steps:
            if step.field.is_list:
                values[step.attr] = tuple(values.get(step.attr, ()))
        return cls(**values)

    def walk(self, kind: Kind, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        state = kind.compiled()
        while True:
            production = self.pick(list(state.productions), depth, values)
            if production.action == END:
                return values
            value = self.value(production, depth)
            assert production.slot
            if production.many:
                values.setdefault(production.slot.attr, []).append(value)
                count = len(values[production.slot.attr])
                full = bool(production.limit) and count == production.limit
                following = production.full if full else production.next
            else:
                values[production.slot.attr] = value
                following = production.next
            assert following
            state = following

    def pick(self, choices: list[Production], depth: int, values: dict[str, Any]) -> Production:
        """One event that keeps the object finite, and its text as XML would have it."""
        usable = []
        for production in choices:
            if production.kind is not None and info_of(production.kind.cls).abstract:
                continue
            if production.action in (TEXT, WILDCARD) and not self.foreign:
                continue
            if production.action == TEXT and _ends_with_text(values, production):
                continue
            usable.append(production)
        usable = usable or choices
        end = next((p for p in usable if p.key == END_KEY), None)
        collected = max((len(v) for v in values.values() if isinstance(v, list)), default=0)
        if end is not None and (depth > 6 or collected > 5 or self.source.random() < 0.35):
            return end
        return self.source.choice(usable)

    def value(self, production: Production, depth: int) -> Any:
        if production.action == TEXT:
            return self.text(20) or "t"
        if production.action == WILDCARD:
            return self.any_element(depth)
        if production.codec is not None:
            return self.scalar(production.codec)
        assert production.kind
        return self.object(production.kind.cls, depth + 1)

    def scalar(self, codec: ScalarCodec) -> Any:
        match codec.scalar:
            case Boolean():
                return self.source.random() < 0.5
            case Enumeration(members=members):
                return self.source.choice(list(members))
            case Integer(minimum=low, maximum=high):
                return self.integer(-(2**70) if low is None else low, 2**70 if high is None else high)
            case Text(max_length=longest):
                return self.text(200 if longest is None else longest)
            case Binary(min_length=shortest, max_length=longest):
                low = shortest or 0
                return self.source.randbytes(self.integer(low, min(low + 140, longest or 10**6)))

    def integer(self, low: int, high: int) -> int:
        edges = [sign * edge for edge in EDGES for sign in (1, -1) if low <= sign * edge <= high]
        return self.source.choice([low, high, self.source.randint(low, high), *edges])

    def text(self, longest: int) -> str:
        length = self.source.choice([0, 1, longest, self.source.randint(0, longest)])
        return "".join(self.source.choices(LETTERS, k=min(length, longest))).strip() or "x" * min(length, 1)

    def any_element(self, depth: int) -> Any:
        if self.source.random() < 0.3:
            cls = self.schema.class_named("KeyName", "http://www.w3.org/2000/09/xmldsig#")
            if cls is not None:
                return cls(value=self.text(20))
        inner = () if depth > 6 or self.source.random() < 0.5 else (self.any_element(depth + 2),)
        names = self.source.sample(["a", "b", "c"], self.source.randint(0, 2))
        attributes = tuple(("", name, self.text(10)) for name in sorted(names))
        text = self.text(10)
        namespace = self.source.choice(["", "urn:other", self.schema.namespace])
        return AnyElement(
            namespace, self.source.choice(["p", "q"]), attributes, (text, *inner) if text else inner
        )


def _ends_with_text(values: dict[str, Any], production: Production) -> bool:
    assert production.slot
    items = values.get(production.slot.attr)
    return isinstance(items, list) and bool(items) and isinstance(items[-1], str)


def vectors() -> list[dict[str, Any]]:
    """Messages of every root of every set with their encodings, the same at every run."""
    found = []
    for namespace in SETS:
        known = schema_set(namespace)
        for element in known.elements:
            cls = element.cls
            if cls is None or info_of(cls).abstract or element.qname.namespace != namespace:
                continue
            for number in range(PER_ROOT):
                source = random.Random(f"{SEED}/{namespace}/{element.qname.name}/{number}")
                value = Generator(known, source, foreign=number == 0).object(cls)
                octets = encode(value, known)
                if len(octets) > 1500:
                    continue
                identity = f"{namespace.rpartition(':')[2]}/{element.qname.name}/{number}"
                digest = digest_of(to_xml(value, known))
                found.append({"id": identity, "schema": namespace, "exi": octets.hex(), "xml": digest})
    return found


def digest_of(xml: str) -> str:
    """Enough of a hash to pin an infoset in few octets."""
    return hashlib.sha256(xml.encode()).hexdigest()[:12]


def main() -> None:
    lines = "".join(json.dumps(vector) + "\n" for vector in vectors())
    VECTORS.write_text(lines, encoding="utf-8")
    print(f"{VECTORS}: {lines.count(chr(10))} vectors, {len(lines)} octets")


if __name__ == "__main__":
    main()
