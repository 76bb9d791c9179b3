"""XML text to objects: any prefixes, blanks between elements allowed, DTD and entities forbidden.

The element order is checked with the same tables that decode EXI.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from iso15118.errors import DecodeError
from iso15118.exi.grammar import XML_NAMESPACE, XSI_NAMESPACE, Element, SchemaSet, type_identity
from iso15118.exi.lexical import from_text
from iso15118.exi.options import MAX_DEPTH, MAX_MESSAGE_OCTETS, MAX_UNBOUNDED_ITEMS
from iso15118.exi.schema import AnyElement, Scalar
from iso15118.exi.tables import (
    ATTRIBUTE,
    CONTENT,
    CONTENT_KEY,
    END,
    END_KEY,
    TEXT,
    WILDCARD,
    Kind,
    Production,
    QName,
    State,
)

_BLANK = " \t\r\n"
MAX_XML_OCTETS = 16 * MAX_MESSAGE_OCTETS
"""XML is longer than EXI; longer input is refused unread."""


@dataclass(slots=True)
class Node:
    """An element as it was read. `children` are nodes and text."""

    qname: QName
    attributes: dict[QName, str]
    children: list[Node | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text of an element without child elements."""
        for child in self.children:
            if isinstance(child, Node):
                raise DecodeError(f"{child.qname.name} inside a simple value")
        return "".join(c for c in self.children if isinstance(c, str))


def from_xml(text: str | bytes, schema_set: SchemaSet) -> Any:
    """The object an XML document stands for: of a message, or of any element of the set.

    Raises DecodeError with the path of what does not fit.
    """
    node = parse(text)
    element = _root(node.qname, schema_set)
    try:
        return _Builder(schema_set).root(element, node)
    except DecodeError as error:
        error.inside(node.qname.name)
        raise


def _root(qname: QName, schema_set: SchemaSet) -> Element:
    code = schema_set.document_codes.get(qname)
    if code is not None:
        return schema_set.elements[code]
    code = schema_set.fragment_codes.get(qname)
    if code is None:
        raise DecodeError(f"{{{qname.namespace}}}{qname.name} is no element of this schema set")
    return schema_set.fragment_elements[code]


# --- text to nodes ----------------------------------------------------------------------------


def parse(text: str | bytes) -> Node:
    """The tree of an XML document. DecodeError if it is not well-formed, too large or has a DTD."""
    from xml.parsers import expat

    if len(text) > MAX_XML_OCTETS:
        raise DecodeError(f"more than {MAX_XML_OCTETS} octets of XML")
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    tree = _Tree()
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.characters
    parser.StartDoctypeDeclHandler = tree.doctype
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise DecodeError(f"not well-formed XML: {error}") from None
    except (ValueError, UnicodeError) as error:
        raise DecodeError(f"not readable as XML: {error}") from None
    if tree.root is None:
        raise DecodeError("no root element")
    return tree.root


class _Tree:
    """Builds nodes from parser events."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.open: list[Node] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        node = Node(_qname(name), {_qname(key): value for key, value in attributes.items()})
        if len(self.open) >= MAX_DEPTH:
            raise DecodeError(f"more than {MAX_DEPTH} elements inside one another")
        if self.open:
            self.open[-1].children.append(node)
        else:
            self.root = node
        self.open.append(node)

    def end(self, _: str) -> None:
        self.open.pop()

    def characters(self, text: str) -> None:
        children = self.open[-1].children
        if children and isinstance(children[-1], str):
            children[-1] += text
        else:
            children.append(text)

    def doctype(self, *_: object) -> None:
        raise DecodeError("document type declarations are not accepted")


def _qname(name: str) -> QName:
    namespace, _, local = name.rpartition(" ")
    return QName(local, namespace)


# --- nodes to objects -------------------------------------------------------------------------


class _Builder:
    """Makes objects of nodes."""

    def __init__(self, schema_set: SchemaSet) -> None:
        self.schema_set = schema_set

    def root(self, element: Element, node: Node) -> Any:
        if element.cls is not None:
            return self.element(element.cls, node)
        if element.scalar is not None:
            return self.leaf(element.scalar, node)
        return self.foreign(node)

    def leaf(self, scalar: Scalar, node: Node) -> Any:
        return from_text(scalar, node.text)

    def element(self, declared: type[Any], node: Node) -> Any:
        cls = self.actual(declared, node)
        kind = self.schema_set.kind(cls)
        state = kind.compiled()
        target = kind.new()
        for put, default in kind.defaults:
            put(target, default)
        state = self.attributes(kind, state, target, node)
        if CONTENT_KEY in state.events:
            production = state.events[CONTENT_KEY]
            _store(production, target, from_text(_scalar(production), node.text))
        else:
            state = self.children(state, target, node)
            end = state.events.get(END_KEY)
            if end is None or end.action != END:
                raise DecodeError(f"{_expected(state)} is missing" if end is None else "an abstract type")
        for slot in kind.lists:
            slot.put(target, tuple(slot.take(target)))
        return target

    def actual(self, declared: type[Any], node: Node) -> type[Any]:
        """The class, which xsi:type may have changed. Its prefix is lost; local names are unambiguous."""
        name = node.attributes.get(QName("type", XSI_NAMESPACE))
        if name is None:
            return declared
        local = name.rpartition(":")[2]
        identity = type_identity(declared)
        if isinstance(identity, QName) and identity.name == local:
            return declared
        for qname, cls in self.schema_set.types.items():
            if qname.name == local and issubclass(cls, declared):
                return cls
        raise DecodeError(f"xsi:type {local} cannot stand for {declared.__name__}")

    def attributes(self, kind: Kind, state: State, target: Any, node: Node) -> State:
        given = {
            q: v for q, v in node.attributes.items() if q.namespace not in (XSI_NAMESPACE, XML_NAMESPACE)
        }
        for step in kind.steps:
            if step.form != ATTRIBUTE:
                continue
            text = given.pop(QName(step.field.name, step.field.namespace), None)
            if text is None:
                if step.required:
                    raise DecodeError(f"attribute {step.name} is missing")
                continue
            production = state.events[step.key]
            _store(production, target, from_text(_scalar(production), text))
            state = _next(production)
        if given:
            raise DecodeError(f"attribute {next(iter(given)).name} is not declared")
        return state

    def children(self, state: State, target: Any, node: Node) -> State:
        for child in _significant(node):
            production = _find(state, child)
            value = child if isinstance(child, str) else self.child(production, child)
            if not production.many:
                _store(production, target, value)
                state = _next(production)
                continue
            assert production.slot is not None, "productions with values have a slot"
            count = production.slot.add(target, value)
            if count > (production.limit or MAX_UNBOUNDED_ITEMS):
                raise DecodeError(f"more than {production.limit or MAX_UNBOUNDED_ITEMS} {production.label}")
            full = production.full if production.limit and count == production.limit else None
            state = full or _next(production)
        return state

    def child(self, production: Production, node: Node) -> Any:
        try:
            if production.codec is not None:
                return self.leaf(production.codec.scalar, node)
            if production.kind is not None:
                return self.element(production.kind.cls, node)
            return self.any_element(node)
        except DecodeError as error:
            error.inside(node.qname.name)
            raise

    def any_element(self, node: Node) -> Any:
        known = self.schema_set.class_named(*node.qname)
        return self.foreign(node) if known is None else self.element(known, node)

    def foreign(self, node: Node) -> AnyElement:
        attributes = tuple(
            (q.namespace, q.name, text) for q, text in node.attributes.items() if q.namespace != XSI_NAMESPACE
        )
        children = tuple(
            c if isinstance(c, str) else self.any_element(c) for c in _significant(node, mixed=True)
        )
        return AnyElement(node.qname.namespace, node.qname.name, attributes, children)


def _significant(node: Node, mixed: bool = False) -> Iterator[Node | str]:
    """The children that count: blank text only where it is all there is."""
    alone = mixed and len(node.children) == 1
    for child in node.children:
        if isinstance(child, Node) or alone or child.strip(_BLANK):
            yield child


def _find(state: State, child: Node | str) -> Production:
    if isinstance(child, str):
        for production in state.productions:
            if production.action == TEXT:
                return production
        raise DecodeError(f"text where {_expected(state)} is expected")
    wildcard = None
    for production in state.productions:
        if production.qname == child.qname and production.action not in (ATTRIBUTE, CONTENT):
            return production
        if production.action == WILDCARD:
            wildcard = production
    if wildcard is None:
        raise DecodeError(f"{_expected(state)} expected, not {child.qname.name}")
    return wildcard


def _expected(state: State) -> str:
    names = [p.label for p in state.productions if p.action not in (END, TEXT, ATTRIBUTE)]
    return " or ".join(names) or "the end"


def _next(production: Production) -> State:
    assert production.next is not None, "only EE leads nowhere"
    return production.next


def _scalar(production: Production) -> Scalar:
    assert production.codec is not None, "attributes and simple content have a simple type"
    return production.codec.scalar


def _store(production: Production, target: Any, value: Any) -> None:
    assert production.put is not None, "a field that is no list"
    production.put(target, value)


__all__ = ["Node", "from_xml", "parse"]
