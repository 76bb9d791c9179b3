"""Which element a value is the content of, as the root of a document or fragment."""

from __future__ import annotations

from typing import Any

from iso15118.errors import EncodeError
from iso15118.exi.grammar import Element, SchemaSet
from iso15118.exi.schema import AnyElement
from iso15118.exi.tables import QName


def root_element(
    value: Any, schema_set: SchemaSet, fragment: bool, element: str | QName | None
) -> tuple[Element, int]:
    """The root element of a value and its document code, or with `fragment` its fragment code.

    `element` names it where the class does not; EncodeError where no name can be found.
    """
    if element is None and not fragment:
        known = schema_set.roots.get(value.__class__)
        if known is not None:
            return known
    qname = _name(value, schema_set, fragment, element)
    codes = schema_set.fragment_codes if fragment else schema_set.document_codes
    code = codes.get(qname)
    if code is None:
        raise EncodeError(
            f"{qname.name} is no {'element' if fragment else 'root element'} of this schema set"
        )
    return (schema_set.fragment_elements if fragment else schema_set.elements)[code], code


def _name(value: Any, schema_set: SchemaSet, fragment: bool, element: str | QName | None) -> QName:
    if isinstance(element, QName):
        return element
    if element is not None:
        known = schema_set.fragment_elements if fragment else schema_set.elements
        names = [e.qname for e in known if e.qname.name == element]
        if len(names) != 1:
            raise EncodeError(f"{element}: {len(names)} elements of that name in this schema set")
        return names[0]
    if isinstance(value, AnyElement):
        return QName(value.name, value.namespace)
    if "__schema__" not in value.__class__.__dict__:
        raise EncodeError(f"a declared message expected, not {type(value).__name__}")
    found = schema_set.element_of(value.__class__)
    if found is None:
        raise EncodeError(f"{type(value).__name__} has no element name of its own: name the element")
    return found
