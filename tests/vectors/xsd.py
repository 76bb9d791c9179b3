"""XML schemas as the same comparable text that `tests.unit.messages.declared` makes of our declarations.

Knows the parts of XML Schema that the V2G schemas use, and stops at any other.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.unit.messages.declared import (
    PREFIXES,
    WILDCARD,
    Particle,
    group,
    interval,
    model_lines,
    qualified,
)

XS = "{http://www.w3.org/2001/XMLSchema}"
FILES = (
    "V2G_CI_AppProtocol.xsd",
    "xmldsig-core-schema.xsd",
    *(f"iso15118_20/V2G_CI_{n}.xsd" for n in ("CommonTypes", "CommonMessages", "AC", "DC", "WPT", "ACDP")),
    "reconstructed/V2G_CI_AC_DER_IEC.xsd",
    "reconstructed/V2G_CI_AC_DER_SAE.xsd",
)
RANGES = {
    "byte": (-128, 127),
    "short": (-(2**15), 2**15 - 1),
    "int": (-(2**31), 2**31 - 1),
    "unsignedByte": (0, 2**8 - 1),
    "unsignedShort": (0, 2**16 - 1),
    "unsignedInt": (0, 2**32 - 1),
    "unsignedLong": (0, 2**64 - 1),
    "integer": (None, None),
}
FACETS = {"minInclusive", "maxInclusive", "length", "minLength", "maxLength", "enumeration"}

Name = tuple[str, str]
"""Namespace and local name."""


@dataclass(frozen=True)
class Node:
    """A schema component with what is needed to resolve the names in it."""

    tag: ElementTree.Element
    namespaces: dict[str, str]
    target: str
    element_form: bool
    attribute_form: bool

    @property
    def kind(self) -> str:
        return self.tag.tag.removeprefix(XS)

    def get(self, name: str, default: str = "") -> str:
        return self.tag.get(name, default)

    def children(self, *kinds: str) -> Iterator[Node]:
        """Child components of these kinds; any other than documentation is an error."""
        for child in self.tag:
            node = Node(child, self.namespaces, self.target, self.element_form, self.attribute_form)
            if node.kind in kinds:
                yield node
            elif node.kind != "annotation":
                raise NotImplementedError(f"xs:{node.kind} in xs:{self.kind}")

    def only(self, *kinds: str) -> Node:
        (child,) = self.children(*kinds)
        return child

    def resolve(self, attribute: str) -> Name:
        """The name an attribute refers to."""
        prefix, _, local = self.get(attribute).rpartition(":")
        return self.namespaces.get(prefix, ""), local

    def occurs(self) -> tuple[int, int | None]:
        most = self.get("maxOccurs", "1")
        return int(self.get("minOccurs", "1")), None if most == "unbounded" else int(most)


class Schemas:
    """All schema files, ready to be asked for facts."""

    def __init__(self, folder: Path) -> None:
        self.elements: dict[Name, Node] = {}
        self.complex: dict[Name, Node] = {}
        self.simple: dict[Name, Node] = {}
        tables = {"element": self.elements, "complexType": self.complex, "simpleType": self.simple}
        for file in FILES:
            for node in read(folder / file).children("import", *tables):
                if node.kind != "import":
                    tables[node.kind][node.target, node.get("name")] = node

    # --- names ---

    def type_name(self, name: Name, home: str) -> str:
        """A type as a declaration names it: built-ins bare, simple types bare, enumerations prefixed."""
        if name[0] == XS[1:-1]:
            return name[1]
        if name in self.complex:
            return qualified(name[1], name[0], home)
        enumerated = any(
            n.kind == "enumeration" for n in self.simple[name].only("restriction").children(*FACETS)
        )
        return qualified(name[1], name[0], "") if enumerated else name[1]

    # --- facts ---

    def simple_fact(self, name: Name) -> str:
        """The built-in a simple type derives from, and its facets along the chain of restrictions."""
        facets: dict[str, list[str]] = {}
        while name[0] != XS[1:-1]:
            restriction = self.simple[name].only("restriction")
            own: dict[str, list[str]] = {}
            for node in restriction.children(*FACETS):
                own.setdefault(node.kind, []).append(node.get("value"))
            facets = own | facets
            name = restriction.resolve("base")
        builtin = name[1]
        if "enumeration" in facets:
            return "enumeration " + " | ".join(facets["enumeration"])
        if builtin in RANGES:
            low, high = RANGES[builtin]
            return f"{builtin} {interval(_bound(facets, 'minInclusive', low), _bound(facets, 'maxInclusive', high))}"
        length = _bound(facets, "length", None)
        bounds = (_bound(facets, "minLength", length), _bound(facets, "maxLength", length))
        return f"{builtin} length {interval(*bounds)}"

    def element_facts(self, name: Name) -> list[str]:
        node = self.elements[name]
        anonymous = not node.get("type")
        facts = ["type (anonymous)" if anonymous else f"type {self.type_name(node.resolve('type'), '')}"]
        facts += ["abstract"] * (node.get("abstract") == "true")
        if node.get("substitutionGroup"):
            head = node.resolve("substitutionGroup")
            facts.append(f"substitutes {qualified(head[1], head[0], '')}")
        return facts + (self._complex_facts(node.only("complexType")) if anonymous else [])

    def type_facts(self, name: Name) -> list[str]:
        return self._complex_facts(self.complex[name])

    def _complex_facts(self, node: Node) -> list[str]:
        facts = []
        base = self._base(node)
        if base is not None and base in self.complex:
            facts.append(f"extends {self.type_name(base, '')}")
        facts += ["abstract"] * (node.get("abstract") == "true") + ["mixed"] * (node.get("mixed") == "true")
        facts += sorted(self._attributes(node, node.target))
        content = next(self._bodies(node)) if node.tag.find(f"{XS}simpleContent") is not None else None
        if content is not None:
            facts.append(f"content {self.type_name(content.resolve('base'), '')}")
        return facts + model_lines(self._content(node, node.target))

    # --- parts of a complex type ---

    def _bodies(self, node: Node) -> Iterator[Node]:
        """Where the particles and attributes of a complex type stand."""
        derived = [n for n in node.children("complexContent", "simpleContent", *_BODY) if n.kind not in _BODY]
        yield from (n.only("extension") for n in derived)
        if not derived:
            yield node

    def _base(self, node: Node) -> Name | None:
        body = next(self._bodies(node))
        return body.resolve("base") if body.kind == "extension" else None

    def _attributes(self, node: Node, home: str) -> Iterator[str]:
        base = self._base(node)
        if base in self.complex:
            yield from self._attributes(self.complex[base], home)
        for attribute in next(self._bodies(node)).children(*_BODY):
            if attribute.kind == "attribute":
                mark = "" if attribute.get("use") == "required" else "?"
                form = attribute.get("form") == "qualified" or attribute.attribute_form
                name = qualified(attribute.get("name"), attribute.target if form else "", home)
                yield f"@{name}{mark} {self.type_name(attribute.resolve('type'), home)}"

    def _content(self, node: Node, home: str) -> Particle:
        base = self._base(node)
        inherited = [self._content(self.complex[base], home)] if base in self.complex else []
        own = [
            self._particle(n, home)
            for n in next(self._bodies(node)).children(*_BODY)
            if n.kind != "attribute"
        ]
        return group("sequence", iter(inherited + own))

    def _particle(self, node: Node, home: str) -> Particle:
        if node.kind in ("sequence", "choice"):
            parts = (self._particle(n, home) for n in node.children("sequence", "choice", "element", "any"))
            return group(node.kind, parts, *node.occurs())
        if node.kind == "any":
            return Particle(*node.occurs(), WILDCARD)
        if node.get("ref"):
            namespace, local = node.resolve("ref")
            return Particle(*node.occurs(), f"{qualified(local, namespace, home)} (reference)")
        namespace = node.target if node.element_form else ""
        name = qualified(node.get("name"), namespace, home)
        if self._is_like_global((namespace, node.get("name")), node):
            return Particle(*node.occurs(), f"{name} (reference)")
        return Particle(*node.occurs(), f"{name} {self.type_name(node.resolve('type'), home)}")

    def _is_like_global(self, name: Name, local: Node) -> bool:
        """Whether a local element could as well be a reference: same name and type, no substitutes."""
        node = self.elements.get(name)
        if node is None or node.resolve("type") != local.resolve("type"):
            return False
        return not any(n.resolve("substitutionGroup") == name for n in self.elements.values())


_BODY = ("sequence", "choice", "attribute")


def read(path: Path) -> Node:
    """The root of a schema file, with its namespace prefixes. A DOCTYPE's external part is not loaded."""
    prefixes: dict[str, str] = {}
    root: ElementTree.Element | None = None
    for event, value in ElementTree.iterparse(path, events=("start-ns", "start", "end")):
        if event == "start-ns":
            prefixes[value[0]] = value[1]
        elif event == "start" and root is None:
            root = value
    assert root is not None
    forms = (root.get(f"{kind}FormDefault") == "qualified" for kind in ("element", "attribute"))
    return Node(root, prefixes, root.get("targetNamespace", ""), *forms)


@functools.cache
def load(folder: Path) -> Schemas:
    """The schemas of a folder, read once."""
    return Schemas(folder)


def prefixed(names: dict[Name, Node]) -> dict[str, Name]:
    """Names with prefixes, as the declarations write them."""
    return {f"{PREFIXES[namespace]}:{local}": (namespace, local) for namespace, local in names}


def _bound(facets: dict[str, list[str]], facet: str, default: int | None) -> int | None:
    return int(facets[facet][0]) if facet in facets else default
