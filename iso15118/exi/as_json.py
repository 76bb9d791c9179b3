"""Objects as JSON-ready data and back: XML names, one entry per element.

    {"DC_CableCheckReq": {"Header": {"SessionID": "0102030405060708", "TimeStamp": 1700000000}}}

Attributes are written "@Id"; binaries as in XML (capital hexadecimal, base64); numbers and booleans
as such; lists as arrays; a choice under the name of the element chosen. A type that is nothing but a
value is that value; beside attributes the value is "#text". Mixed or repeated choices keep their order
in "#items"; an element unknown to the schema is {"#any": {...}}.
"""

from __future__ import annotations

from typing import Any, Final

from iso15118.errors import DecodeError, EncodeError
from iso15118.exi.grammar import Element, SchemaSet
from iso15118.exi.lexical import from_text, to_text
from iso15118.exi.options import MAX_DEPTH
from iso15118.exi.roots import root_element
from iso15118.exi.schema import AnyElement, Binary, Boolean, Integer, Scalar, info_of
from iso15118.exi.tables import ATTRIBUTE, CONTENT, ITEMS, Kind, QName, Step

TEXT_KEY: Final = "#text"
ITEMS_KEY: Final = "#items"
ANY_KEY: Final = "#any"


def to_json(value: Any, schema_set: SchemaSet, *, element: str | QName | None = None) -> dict[str, Any]:
    """A message, or any element of the set, as data for `json.dumps`. EncodeError for wrong types."""
    root, _ = root_element(value, schema_set, True, element)
    writer = _Writer(schema_set)
    content = writer.leaf(root.scalar, value) if root.scalar is not None else writer.element(value)
    return {_root_name(root.qname, schema_set): content}


def from_json(data: Any, schema_set: SchemaSet) -> Any:
    """The object such data stands for. DecodeError with the path of what does not fit."""
    if not isinstance(data, dict) or len(data) != 1:
        raise DecodeError("an object with one entry, the root element, is expected")
    name, content = next(iter(data.items()))
    element = _root(name, schema_set)
    reader = _Reader(schema_set)
    try:
        if element.scalar is not None:
            return reader.leaf(element.scalar, content)
        return reader.foreign(content) if element.cls is None else reader.element(element.cls, content, 1)
    except DecodeError as error:
        error.inside(name)
        raise


def _root_name(qname: QName, schema_set: SchemaSet) -> str:
    """The local name, or "{namespace}name" where the set knows several of that name."""
    found = [e.qname for e in schema_set.fragment_elements if e.qname.name == qname.name]
    return qname.name if found == [qname] else f"{{{qname.namespace}}}{qname.name}"


def _root(name: Any, schema_set: SchemaSet) -> Element:
    for element in (*schema_set.elements, *schema_set.fragment_elements):
        if name in (element.qname.name, f"{{{element.qname.namespace}}}{element.qname.name}"):
            return element
    raise DecodeError(f"{name!r} is no element of this schema set")


class _Writer:
    """Objects to data."""

    def __init__(self, schema_set: SchemaSet) -> None:
        self.schema_set = schema_set

    def leaf(self, scalar: Scalar, value: Any) -> Any:
        codec = self.schema_set.codec(scalar)
        reason = codec.violation(value)
        if reason and " expected, not " in reason:
            raise EncodeError(reason)
        return value if isinstance(scalar, (Boolean, Integer)) else to_text(scalar, value)

    def element(self, value: Any) -> Any:
        if isinstance(value, AnyElement):
            return self.foreign(value)
        if "__schema__" not in value.__class__.__dict__:
            raise EncodeError(f"a declared type expected, not {type(value).__name__}")
        kind = self.schema_set.kind(value.__class__)
        kind.compiled()
        if _is_plain(kind):
            return self.leaf(_scalar(kind.steps[0]), kind.fetch(value)[0])
        found: dict[str, Any] = {}
        for step, item in zip(kind.steps, kind.fetch(value), strict=True):
            if item is None or (step.form == ITEMS and not item):
                continue
            try:
                self.field(step, item, found)
            except EncodeError as error:
                error.inside(step.name)
                raise
        return found

    def field(self, step: Step, item: Any, found: dict[str, Any]) -> None:
        if step.codec is not None:
            scalar = step.codec.scalar
            listed = step.form == ITEMS
            found[_key(step)] = [self.leaf(scalar, i) for i in item] if listed else self.leaf(scalar, item)
        elif step.form != ITEMS:
            found[self.name(step, item)] = self.element(item)
        elif _is_ordered(step):
            found[ITEMS_KEY] = [
                i if isinstance(i, str) else {self.name(step, i): self.element(i)} for i in item
            ]
        else:
            found[_key(step)] = [self.element(i) for i in item]

    def name(self, step: Step, item: Any) -> str:
        if isinstance(item, AnyElement):
            return ANY_KEY
        qname = step.names.get(item.__class__)
        if qname is not None:
            return qname.name
        if len(step.names) == 1 and not step.field.any:
            return step.name
        if "__schema__" not in item.__class__.__dict__:
            raise EncodeError(f"a declared type expected, not {type(item).__name__}")
        return info_of(item.__class__).tag

    def foreign(self, value: AnyElement) -> dict[str, Any]:
        children = [c if isinstance(c, str) else {self.any_name(c): self.element(c)} for c in value.children]
        return {
            "namespace": value.namespace,
            "name": value.name,
            "attributes": [list(attribute) for attribute in value.attributes],
            "children": children,
        }

    @staticmethod
    def any_name(value: Any) -> str:
        return ANY_KEY if isinstance(value, AnyElement) else info_of(value.__class__).tag


class _Reader:
    """Data to objects."""

    def __init__(self, schema_set: SchemaSet) -> None:
        self.schema_set = schema_set

    def leaf(self, scalar: Scalar, data: Any) -> Any:
        match scalar:
            case Boolean() | Integer():
                reason = self.schema_set.codec(scalar).violation(data)
                if reason and " expected, not " in reason:
                    raise DecodeError(reason)
                return data
            case _ if isinstance(data, str):
                return from_text(scalar, data)
        what = "hexadecimal or base64 text" if isinstance(scalar, Binary) else "text"
        raise DecodeError(f"{what} expected, not {type(data).__name__}")

    def element(self, cls: type[Any], data: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise DecodeError(f"more than {MAX_DEPTH} elements inside one another")
        kind = self.schema_set.kind(cls)
        kind.compiled()
        if _is_plain(kind):
            return cls(**{kind.steps[0].attr: self.leaf(_scalar(kind.steps[0]), data)})
        if not isinstance(data, dict):
            raise DecodeError(f"an object expected, not {type(data).__name__}")
        rest = dict(data)
        values: dict[str, Any] = {}
        for step in kind.steps:
            self.field(step, rest, values, depth)
        if rest:
            raise DecodeError(f"{next(iter(rest))} is not declared here")
        return cls(**values)

    def field(self, step: Step, rest: dict[str, Any], values: dict[str, Any], depth: int) -> None:
        name = self.present(step, rest)
        if name is None:
            if step.required and step.field.minimum:
                raise DecodeError(f"{step.name} is missing")
            if step.form == ITEMS:
                values[step.attr] = ()
            return
        data = rest.pop(name)
        try:
            values[step.attr] = self.value(step, name, data, depth)
        except DecodeError as error:
            error.inside(name)
            raise

    def present(self, step: Step, rest: dict[str, Any]) -> str | None:
        if step.codec is not None or (step.form == ITEMS and not _is_ordered(step)):
            name = _key(step)
            return name if name in rest else None
        if step.form == ITEMS:
            return ITEMS_KEY if ITEMS_KEY in rest else None
        return next((q.name for q in step.names.values() if q.name in rest), None)

    def value(self, step: Step, name: str, data: Any, depth: int) -> Any:
        if step.form != ITEMS:
            return self.single(step, name, data, depth)
        if not isinstance(data, list):
            raise DecodeError(f"an array expected, not {type(data).__name__}")
        if _is_ordered(step):
            return tuple(self.item(step, item, depth) for item in data)
        return tuple(self.single(step, name, item, depth) for item in data)

    def single(self, step: Step, name: str, data: Any, depth: int) -> Any:
        if step.codec is not None:
            return self.leaf(step.codec.scalar, data)
        cls = next(cls for cls, qname in step.names.items() if qname.name == name)
        return self.element(cls, data, depth + 1)

    def item(self, step: Step, data: Any, depth: int) -> Any:
        if isinstance(data, str) and step.text_key is not None:
            return data
        name, content = _single_entry(data)
        for cls, qname in step.names.items():
            if qname.name == name:
                return self.element(cls, content, depth + 1)
        return self.any_element(name, content, depth + 1)

    def any_element(self, name: Any, data: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise DecodeError(f"more than {MAX_DEPTH} elements inside one another")
        if name == ANY_KEY:
            return self.foreign(data, depth)
        known = self.schema_set.class_named(name)
        if known is None:
            raise DecodeError(f"{name!r} is no element of this schema set")
        return self.element(known, data, depth)

    def foreign(self, data: Any, depth: int = 1) -> AnyElement:
        try:
            attributes = tuple((str(ns), str(name), str(text)) for ns, name, text in data["attributes"])
            children = tuple(self.foreign_child(c, depth) for c in data["children"])
            return AnyElement(str(data["namespace"]), str(data["name"]), attributes, children)
        except (KeyError, TypeError, ValueError):
            raise DecodeError("namespace, name, attributes and children expected") from None

    def foreign_child(self, data: Any, depth: int) -> Any:
        if isinstance(data, str):
            return data
        return self.any_element(*_single_entry(data), depth + 1)


def _single_entry(data: Any) -> tuple[Any, Any]:
    if not isinstance(data, dict) or len(data) != 1:
        raise DecodeError("an object with one entry expected")
    name, content = next(iter(data.items()))
    return name, content


def _key(step: Step) -> str:
    if step.form == ATTRIBUTE:
        return "@" + step.name
    return TEXT_KEY if step.form == CONTENT else step.name


def _is_plain(kind: Kind) -> bool:
    """Whether a type is nothing but a value."""
    return len(kind.steps) == 1 and kind.steps[0].form == CONTENT


def _is_ordered(step: Step) -> bool:
    """Whether a list mixes elements of several names, so that their order must be kept."""
    return step.codec is None and (len(step.names) != 1 or step.field.any)


def _scalar(step: Step) -> Scalar:
    assert step.codec is not None, "simple content has a simple type"
    return step.codec.scalar
