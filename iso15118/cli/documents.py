"""Messages as XML and JSON documents, with the name and the schema set of their root element."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from iso15118 import api
from iso15118.cli.main import UsageError
from iso15118.errors import DecodeError
from iso15118.exi.tables import QName


@dataclass(frozen=True, slots=True)
class Document:
    """A message, or any element where it stands in a fragment; `namespace` selects the schema set."""

    message: Any
    element: QName
    namespace: str


def read_exi(exi: bytes, namespace: str, *, fragment: bool) -> Document:
    """Decode an EXI stream of the set `namespace`."""
    from iso15118.exi import codec

    found = codec.decode_detailed(exi, api.schema_set_of(namespace), fragment=fragment)
    return Document(found.value, found.element, namespace)


def read_text(text: str, namespace: str | None) -> Document:
    """Read XML or JSON (told by the first character); without `namespace` the root element chooses the set."""
    if text.lstrip("\ufeff \t\r\n").startswith("<"):
        return _read_xml(text, namespace)
    return _read_json(text, namespace)


def write_exi(
    document: Document, *, fragment: bool, empty: Literal["ch", "ee"], lenient: bool = False
) -> bytes:
    """Encode as EXI; `empty` is the spelling of empty values, `lenient` leaves lengths and bounds unchecked."""
    from iso15118.exi import codec
    from iso15118.exi.options import Options

    tables = api.schema_set_of(document.namespace)
    options = Options(empty=empty, facets=not lenient)
    return codec.encode(
        document.message, tables, fragment=fragment, element=document.element, options=options
    )


def to_xml(document: Document) -> str:
    """The canonical XML, on one line."""
    from iso15118.exi import as_xml

    return as_xml.to_xml(document.message, api.schema_set_of(document.namespace), element=document.element)


def to_json(document: Document) -> str:
    """Indented JSON under the standard's names."""
    from iso15118.exi import as_json

    tables = api.schema_set_of(document.namespace)
    return _indented(as_json.to_json(document.message, tables, element=document.element))


def message_data(message: Any, namespace: str) -> Any:
    """A message as JSON-ready data under the standard's names."""
    from iso15118.exi import as_json

    return as_json.to_json(message, api.schema_set_of(namespace))


def discovery_data(message: Any) -> Any:
    """An SDP message as data: its fields under our own names, as it has no schema."""
    from iso15118.events import as_record

    record = as_record(message)
    return {record.pop("event"): record}


def discovery_json(message: Any) -> str:
    """An SDP message as indented JSON."""
    return _indented(discovery_data(message))


def _indented(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)


# --- text to objects --------------------------------------------------------------------------


def _read_xml(text: str, namespace: str | None) -> Document:
    from iso15118.exi import xml_input

    root = _root_of_xml(text)
    chosen = namespace or _set_with(root.namespace, root.name)
    return Document(xml_input.from_xml(text, api.schema_set_of(chosen)), root, chosen)


def _read_json(text: str, namespace: str | None) -> Document:
    from iso15118.exi import as_json

    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"neither XML nor JSON: {error}") from error
    if not isinstance(data, dict) or len(data) != 1:
        raise DecodeError("an object with one entry, the root element, is expected")
    name = next(iter(data))
    chosen = namespace or _set_of(name)
    tables = api.schema_set_of(chosen)
    message = as_json.from_json(data, tables)
    named = (e.qname for e in (*tables.elements, *tables.fragment_elements))
    return Document(message, next(q for q in named if name in (q.name, f"{{{q.namespace}}}{q.name}")), chosen)


class _Seen(Exception):
    """Ends the parsing: the start tag of the root element has been read."""


def _root_of_xml(text: str) -> QName:
    """The name of the root element; nothing behind its start tag is looked at."""
    from xml.parsers import expat  # DTDs, and so entities, are refused

    found: list[str] = []

    def start(name: str, _: object) -> None:
        found.append(name)
        raise _Seen

    def doctype(*_: object) -> None:
        raise DecodeError("document type declarations are not accepted")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(text, True)
    except _Seen:
        namespace, _, local = found[0].rpartition(" ")
        return QName(local, namespace)
    except (expat.ExpatError, ValueError) as error:
        raise DecodeError(f"not well-formed XML: {error}") from error
    raise DecodeError("no root element")


def _set_with(namespace: str, name: str) -> str:
    from iso15118.messages.registry import SETS

    if namespace not in SETS:
        raise UsageError(f"the root element {name} does not tell its schema set; name it with --schema")
    return namespace


def _set_of(name: str) -> str:
    from iso15118.exi.schema import info_of
    from iso15118.messages.registry import message_class

    try:
        return info_of(message_class(name)).namespace
    except KeyError:
        raise UsageError(
            f"no message is called {name!r}; for other elements name the set with --schema"
        ) from None
