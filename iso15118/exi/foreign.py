"""Elements the schema set does not know, and mixed text (encoding).

Written as EXIficient does under the EXI profile: SE(*), the name, xsi:type="xs:anyType", then the
grammar of that type. Does not occur in V2G; kept so that whatever is decoded can be encoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iso15118.errors import EncodeError
from iso15118.exi.bits import join, pack_string
from iso15118.exi.schema import AnyElement, fields_of, info_of
from iso15118.exi.tables import QName
from iso15118.exi.undeclared import ANY_TYPE, XSI_TYPE

if TYPE_CHECKING:
    from iso15118.exi.encoder import Encoder

_ANY_TYPE_CODES = ({"AT": 0, "SE": 1, "EE": 2, "CH": 3}, {"SE": 0, "EE": 1, "CH": 2})
"""Event codes of xs:anyType: before and after its first child; 3 and 2 bits."""


def text(value: Any) -> tuple[int, int]:
    """A string value outside typed content."""
    if not isinstance(value, str):
        raise EncodeError(f"str expected, not {type(value).__name__}")
    return pack_string(value)


def wildcard(encoder: Encoder, value: Any, held: int, count: int, depth: int) -> tuple[int, int]:
    """The name and content of the element behind SE(*)."""
    if depth > encoder.max_depth:
        raise EncodeError(f"more than {encoder.max_depth} elements inside one another")
    if isinstance(value, AnyElement):
        qname = QName(value.name, value.namespace)
        if encoder.schema_set.class_named(*qname) is not None:
            raise EncodeError(f"{value.name} is known to the schema set: use its class")
        bits, width = encoder.names.pack(qname)
        return _unknown(encoder, value, qname, held << width | bits, count + width, depth)
    cls: type[Any] = value.__class__
    info = info_of(cls) if "__schema__" in cls.__dict__ else None
    if info is None or encoder.schema_set.class_named(info.tag, info.namespace) is not cls:
        raise EncodeError(f"a global element or AnyElement expected, not {cls.__name__}")
    bits, width = encoder.names.pack(QName(info.tag, info.namespace))
    return encoder.element(encoder.schema_set.kind(cls), value, held << width | bits, count + width, depth)


def _unknown(
    encoder: Encoder, value: AnyElement, qname: QName, held: int, count: int, depth: int
) -> tuple[int, int]:
    learned = qname in encoder.unknown
    encoder.unknown.add(qname)
    parts = [(1, 1)] if learned else []
    parts += [(1, 2), encoder.names.pack(XSI_TYPE), encoder.names.pack(ANY_TYPE)]
    for namespace, name, content in value.attributes:
        parts += [(0, 3), encoder.names.pack(QName(name, namespace)), text(content)]
    bits, width = join(parts)
    held, count = encoder.flush(held << width | bits, count + width)
    for index, child in enumerate(value.children):
        held, count = _event("CH" if isinstance(child, str) else "SE", bool(index), held, count)
        held, count = _child(encoder, child, held, count, depth)
    return _event("EE", bool(value.children), held, count)


def _event(name: str, in_content: bool, held: int, count: int) -> tuple[int, int]:
    width = 2 if in_content else 3
    return held << width | _ANY_TYPE_CODES[in_content][name], count + width


def _child(encoder: Encoder, child: Any, held: int, count: int, depth: int) -> tuple[int, int]:
    if isinstance(child, str):
        bits, width = text(child)
        return held << width | bits, count + width
    try:
        return wildcard(encoder, child, held, count, depth + 1)
    except EncodeError as error:
        error.inside(child.name if isinstance(child, AnyElement) else type(child).__name__)
        raise


# --- the relaxed fragment grammar -------------------------------------------------------------


def relaxed_element(encoder: Encoder, value: Any, held: int, count: int) -> tuple[int, int]:
    """A fragment root whose name is declared with different types: all values as strings."""
    names, elements = encoder.schema_set.attribute_names, encoder.schema_set.fragment_elements
    attributes, children = _parts(value)
    first = len(names) + 1
    total = first + len(elements) + 3
    for qname, content in attributes:
        if qname in names:
            parts = [(names.index(qname), total.bit_length()), text(content)]
        else:
            parts = [(len(names), total.bit_length()), encoder.names.pack(qname), text(content)]
        bits, width = join(parts)
        held, count = held << width | bits, count + width
    for child in children:
        width = total.bit_length()
        if not isinstance(child, str):
            raise EncodeError("only text is supported in a relaxed fragment")
        held, count = held << width | total - 1, count + width
        bits, width = text(child)
        held, count = held << width | bits, count + width
        first, total = 0, len(elements) + 3
    width = total.bit_length()
    return held << width | first + len(elements) + 1, count + width


def _parts(value: Any) -> tuple[list[tuple[QName, str]], tuple[Any, ...]]:
    """Attributes in order and children, of an AnyElement or of an object with text alone."""
    if isinstance(value, AnyElement):
        return sorted((QName(name, namespace), v) for namespace, name, v in value.attributes), value.children
    if isinstance(value, str):
        return [], (value,)
    if "__schema__" not in value.__class__.__dict__:
        raise EncodeError(f"a declared type expected, not {type(value).__name__}")
    attributes, children = [], []
    for field in fields_of(value.__class__):
        item = getattr(value, field.attr)
        if item is None:
            continue
        if field.kind == "attribute":
            attributes.append((QName(field.name, field.namespace), item))
        else:
            children.append(item)
    return sorted(attributes), tuple(children)
