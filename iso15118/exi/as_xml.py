"""Objects as XML text and back. One canonical form: inclusive C14N with fixed prefixes on the root."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any, Final

from iso15118.errors import EncodeError
from iso15118.exi.grammar import SchemaSet
from iso15118.exi.lexical import to_text
from iso15118.exi.roots import root_element
from iso15118.exi.schema import AnyElement, Scalar, info_of
from iso15118.exi.tables import ATTRIBUTE, CONTENT, QName, Step
from iso15118.exi.xml_input import from_xml

__all__ = ["PREFIXES", "from_xml", "to_xml"]

PREFIXES: Final = MappingProxyType(
    {
        "urn:iso:15118:2:2010:AppProtocol": "app",
        "urn:iso:std:iso:15118:-20:CommonMessages": "cm",
        "urn:iso:std:iso:15118:-20:CommonTypes": "ct",
        "urn:iso:std:iso:15118:-20:AC": "ac",
        "urn:iso:std:iso:15118:-20:DC": "dc",
        "urn:iso:std:iso:15118:-20:WPT": "wpt",
        "urn:iso:std:iso:15118:-20:ACDP": "acdp",
        "urn:iso:std:iso:15118:-20:AC-DER-IEC": "der",
        "urn:iso:std:iso:15118:-20:AC-DER-SAE": "der",
        "http://www.w3.org/2000/09/xmldsig#": "ds",
        "urn:iso:15118:2:2013:MsgDef": "v2g",
        "urn:iso:15118:2:2013:MsgHeader": "hd",
        "urn:iso:15118:2:2013:MsgBody": "bd",
        "urn:iso:15118:2:2013:MsgDataTypes": "dt",
        "urn:din:70121:2012:MsgDef": "v2g",
        "urn:din:70121:2012:MsgHeader": "hd",
        "urn:din:70121:2012:MsgBody": "bd",
        "urn:din:70121:2012:MsgDataTypes": "dt",
    }
)
"""The customary prefix of each namespace; others become x0, x1, ... in order of appearance."""

_UNWRITABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_TEXT_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"})
_ATTRIBUTE_ESCAPES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#x9;", "\n": "&#xA;", "\r": "&#xD;"}
)


def to_xml(
    value: Any, schema_set: SchemaSet, *, element: str | QName | None = None, fragment: bool = True
) -> str:
    """The XML text of a message or, with `fragment`, of any element of the set.

    `element` names the root where the class of `value` does not. EncodeError for values that XML
    cannot hold (control characters) or that are of the wrong type.
    """
    root, _ = root_element(value, schema_set, fragment, element)
    writer = _Writer(schema_set)
    writer.root(root.qname, value, root.scalar)
    return writer.text()


class _Writer:
    """Collects the text; the namespace declarations go into the root tag at the end."""

    def __init__(self, schema_set: SchemaSet) -> None:
        self.schema_set = schema_set
        self.parts: list[str] = []
        self.used: dict[str, str] = {}
        self.declarations_at = 0

    def text(self) -> str:
        declared = sorted((prefix, uri) for uri, prefix in self.used.items())
        text = "".join(f' xmlns:{prefix}="{uri.translate(_ATTRIBUTE_ESCAPES)}"' for prefix, uri in declared)
        self.parts[self.declarations_at] = text
        return "".join(self.parts)

    def name(self, qname: QName) -> str:
        if not qname.namespace:
            return qname.name
        prefix = self.used.get(qname.namespace)
        if prefix is None:
            prefix = PREFIXES.get(qname.namespace)
            if prefix is None:
                prefix = f"x{sum(p.startswith('x') for p in self.used.values())}"
            self.used[qname.namespace] = prefix
        return f"{prefix}:{qname.name}"

    def root(self, qname: QName, value: Any, scalar: Scalar | None) -> None:
        name = self.name(qname)
        self.parts += [f"<{name}", ""]
        self.declarations_at = 1
        try:
            if scalar is not None:
                self.parts += [">", _escaped(_lexical(scalar, value))]
            else:
                self.content(value)
        except EncodeError as error:
            error.inside(qname.name)
            raise
        self.parts.append(f"</{name}>")

    def element(self, qname: QName, value: Any) -> None:
        name = self.name(qname)
        self.parts.append(f"<{name}")
        try:
            self.content(value)
        except EncodeError as error:
            error.inside(qname.name)
            raise
        self.parts.append(f"</{name}>")

    def content(self, value: Any) -> None:
        """Attributes, the end of the start tag, and what is inside."""
        if isinstance(value, AnyElement):
            self.foreign(value)
            return
        if "__schema__" not in value.__class__.__dict__:
            raise EncodeError(f"a declared type expected, not {type(value).__name__}")
        kind = self.schema_set.kind(value.__class__)
        kind.compiled()
        pairs = list(zip(kind.steps, kind.fetch(value), strict=True))
        self.attributes(
            (QName(step.field.name, step.field.namespace), _lexical(step.field.scalar, item))
            for step, item in pairs
            if step.form == ATTRIBUTE and item is not None
        )
        self.parts.append(">")
        for step, item in pairs:
            if step.form == CONTENT:
                self.parts.append(_escaped(_lexical(step.field.scalar, item)))
            elif step.form != ATTRIBUTE and item is not None:
                self.field(step, item)

    def attributes(self, found: Any) -> None:
        for qname, text in sorted(found, key=lambda pair: (pair[0].namespace, pair[0].name)):
            checked = _checked(text).translate(_ATTRIBUTE_ESCAPES)
            self.parts.append(f' {self.name(qname)}="{checked}"')

    def field(self, step: Step, value: Any) -> None:
        for item in value if step.field.is_list else (value,):
            if step.codec is not None:
                name = self.name(QName(step.field.name, step.field.namespace))
                self.parts.append(f"<{name}>{_escaped(_lexical(step.codec.scalar, item))}</{name}>")
            else:
                self.child(step, item)

    def child(self, step: Step, item: Any) -> None:
        if isinstance(item, str):
            self.parts.append(_escaped(item))
            return
        if isinstance(item, AnyElement):
            self.element(QName(item.name, item.namespace), item)
            return
        qname = step.names.get(item.__class__)
        if qname is None and len(step.names) == 1 and not step.field.any:
            qname = next(iter(step.names.values()))
        if qname is None:
            if "__schema__" not in item.__class__.__dict__:
                raise EncodeError(f"{step.name}: a declared type expected, not {type(item).__name__}")
            info = info_of(item.__class__)
            qname = QName(info.tag, info.namespace)
        self.element(qname, item)

    def foreign(self, value: AnyElement) -> None:
        self.attributes((QName(name, namespace), text) for namespace, name, text in value.attributes)
        self.parts.append(">")
        for child in value.children:
            if isinstance(child, str):
                self.parts.append(_escaped(child))
            elif isinstance(child, AnyElement):
                self.element(QName(child.name, child.namespace), child)
            else:
                info = info_of(child.__class__)
                self.element(QName(info.tag, info.namespace), child)


def _lexical(scalar: Scalar | None, value: Any) -> str:
    assert scalar is not None, "attributes and leaves have simple types"
    try:
        return to_text(scalar, value)
    except (AttributeError, TypeError):
        raise EncodeError(f"{type(value).__name__} is no value of {scalar}") from None


def _escaped(text: str) -> str:
    return _checked(text).translate(_TEXT_ESCAPES)


def _checked(text: str) -> str:
    found = _UNWRITABLE.search(text)
    if found:
        raise EncodeError(f"character U+{ord(found.group()):04X} has no place in XML")
    return text
