"""Events off the straight path: escape codes, wildcards, elements without a grammar (decoding).

EXI 1.0 section 8.5.4.4 for the second level. Only what has a legal use is accepted there: EE for
an empty value, and xsi:type. Everything else is refused by name; nothing is guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from iso15118.errors import DecodeError
from iso15118.exi.grammar import XSD_NAMESPACE, XSI_NAMESPACE, type_identity
from iso15118.exi.scalars import ScalarCodec
from iso15118.exi.schema import AnyElement, Enumeration, info_of
from iso15118.exi.tables import CONTENT_KEY, Kind, QName, State

if TYPE_CHECKING:
    from iso15118.exi.decoder import Decoder

XSI_TYPE: Final = QName("type", XSI_NAMESPACE)
ANY_TYPE: Final = QName("anyType", XSD_NAMESPACE)
EE: Final = "EE"
_FIRST: Final = ("xsi:type", "xsi:nil", "AT*", "ATu", "SE*", "CH")
_UNDECLARED: Final = {"F": _FIRST, "S": _FIRST[2:], "C": _FIRST[4:]}
"""The second-level events by kind of state; EE comes before them where it is not declared.

AT* is any attribute, ATu a declared one with an untyped value, CH untyped text.
"""


def events_of(state_kind: str, may_end: bool) -> tuple[str, ...]:
    """The second-level events of a state, in code order."""
    return _UNDECLARED[state_kind] if may_end else (EE, *_UNDECLARED[state_kind])


def _read_event(decoder: Decoder, state_kind: str, may_end: bool, at: int) -> tuple[str, int]:
    events = events_of(state_kind, may_end)
    width = (len(events) - 1).bit_length()
    code = decoder.reader.bits(at, width)
    if code >= len(events):
        raise DecodeError("second-level event code without a meaning", bit=at)
    table = " ".join(f"{name}={index}" for index, name in enumerate(events))
    _note(decoder, at, at + width, f"second level: {events[code]}   [{table}]")
    return events[code], at + width


def second_level(
    decoder: Decoder, kind: Kind, state: State, target: Any, at: int
) -> tuple[Kind, State | None, Any, int]:
    """Behind an escape code: how decoding goes on (state None: the element has ended)."""
    event, after = _read_event(decoder, state.kind, state.may_end, at)
    if event == EE and CONTENT_KEY in state.events:
        production = state.events[CONTENT_KEY]
        empty = production.codec.empty if production.codec else None
        if empty is not None and production.put is not None:
            production.put(target, empty)
            decoder.empty = "ee"
            _leave(decoder)
            return kind, None, target, after
    if event == "xsi:type":
        name, after = _read_name(decoder, after, "xsi:type ")
        actual = decoder.schema_set.kind(_actual_class(decoder, kind.cls, name, at))
        start = actual.compiled()
        target = actual.new()
        for put, default in actual.defaults:
            put(target, default)
        return actual, start, target, after
    expected = " or ".join(p.label for p in state.productions if p.qname) or "the end"
    reason = f"undeclared event {event}, where the schema has {expected}"
    raise DecodeError(reason, bit=at - state.width)


def _actual_class(decoder: Decoder, declared: type[Any], name: QName, at: int) -> type[Any]:
    if type_identity(declared) == name:
        return declared
    found = decoder.schema_set.types.get(name)
    if found is None or not issubclass(found, declared) or info_of(found).abstract:
        raise DecodeError(f"xsi:type {name.name} cannot stand for {declared.__name__}", bit=at)
    return found


def simple_element(decoder: Decoder, codec: ScalarCodec, at: int) -> tuple[Any, int]:
    """A simple element whose first bit, at `at`, is the escape code."""
    _note(decoder, at, at + 1, "escape to second level")
    event, after = _read_event(decoder, "F", False, at + 1)
    if event == EE and codec.empty is not None:
        decoder.empty = "ee"
        _leave(decoder)
        return codec.empty, after
    if event == "xsi:type":
        name, after = _read_name(decoder, after, "xsi:type ")
        if name.name in _type_names(codec):
            return decoder.leaf(codec, after)
    raise DecodeError(f"undeclared event {event}, where the schema has a value", bit=at)


def _type_names(codec: ScalarCodec) -> tuple[str, str]:
    scalar = codec.scalar
    builtin = "string" if isinstance(scalar, Enumeration) else getattr(scalar, "builtin", "boolean")
    return scalar.name, "" if scalar.name else builtin


def _note(decoder: Decoder, at: int, end: int, text: str) -> None:
    if decoder.trace is not None:
        decoder.trace.field(at, end, text)


def _leave(decoder: Decoder) -> None:
    if decoder.trace is not None:
        decoder.trace.leave()


def _read_name(decoder: Decoder, at: int, what: str = "") -> tuple[QName, int]:
    name, after = decoder.names.read(decoder.reader, at)
    _note(decoder, at, after, f"{what}{{{name.namespace}}}{name.name}")
    return name, after


# --- elements behind a wildcard ---------------------------------------------------------------


def wildcard(decoder: Decoder, at: int, depth: int) -> tuple[Any, int]:
    """The element behind SE(*): typed where it is a global element of the set, else AnyElement."""
    qname, after = _read_name(decoder, at)
    if decoder.trace is not None:
        decoder.trace.enter(qname.name)
    known = decoder.schema_set.class_named(qname.name, qname.namespace)
    try:
        if known is not None:
            return decoder.element(decoder.schema_set.kind(known), after, depth + 1)
        if depth >= decoder.options.max_depth:
            raise DecodeError(f"more than {decoder.options.max_depth} elements inside one another", bit=at)
        return _unknown(decoder, qname, after, depth + 1)
    except DecodeError as error:
        error.inside(qname.name)
        raise


def _unknown(decoder: Decoder, qname: QName, at: int, depth: int) -> tuple[AnyElement, int]:
    """An element of which the set knows nothing.

    Without built-in grammars (EXI profile) it starts with xsi:type="xs:anyType". EXIficient counts
    that attribute as learned all the same, so from the second time on one more bit precedes it.
    """
    reader = decoder.reader
    learned = qname in decoder.unknown
    decoder.unknown.add(qname)
    if learned:
        _note(decoder, at, at + 1, "grammar met before")
        if reader.bits(at, 1) == 0:
            return _any_type(decoder, qname, _expect(decoder, at + 1, ANY_TYPE), depth)
        at += 1
    if reader.bits(at, 2) != 1:
        raise DecodeError("unknown element without xsi:type", bit=at)
    _note(decoder, at, at + 2, "AT(*) of an unknown element")
    after = _expect(decoder, at + 2, XSI_TYPE)
    return _any_type(decoder, qname, _expect(decoder, after, ANY_TYPE), depth)


def _expect(decoder: Decoder, at: int, wanted: QName) -> int:
    name, after = _read_name(decoder, at)
    if name != wanted:
        raise DecodeError(f"{wanted.name} expected, not {name.name}", bit=at)
    return after


def _any_type(decoder: Decoder, qname: QName, at: int, depth: int) -> tuple[AnyElement, int]:
    """Content of xs:anyType: attributes, then text and elements in any order."""
    attributes: list[tuple[str, str, str]] = []
    children: list[Any] = []
    while True:
        if len(attributes) + len(children) > decoder.options.max_items:
            raise DecodeError(f"more than {decoder.options.max_items} parts of an unknown element", bit=at)
        code, at = _any_type_event(decoder, at, bool(children))
        if code == "AT":
            name, at = _read_name(decoder, at)
            text, at = _read_text(decoder, at)
            attributes.append((name.namespace, name.name, text))
        elif code == "SE":
            child, at = wildcard(decoder, at, depth)
            children.append(child)
        elif code == "CH":
            text, at = _read_text(decoder, at)
            children.append(text)
        else:
            _leave(decoder)
            return AnyElement(qname.namespace, qname.name, tuple(attributes), tuple(children)), at


def _any_type_event(decoder: Decoder, at: int, in_content: bool) -> tuple[str, int]:
    names = ("SE", "EE", "CH") if in_content else ("AT", "SE", "EE", "CH")
    width = 2 if in_content else 3
    code = decoder.reader.bits(at, width)
    if code >= len(names):
        raise DecodeError("undeclared event in an unknown element", bit=at)
    _note(decoder, at, at + width, f"{names[code]} of anyType")
    return names[code], at + width


def _read_text(decoder: Decoder, at: int) -> tuple[str, int]:
    text, after = decoder.reader.string(at)
    if decoder.trace is not None:
        decoder.trace.value(at, after, None, text)
    return text, after


# --- the relaxed fragment grammar -------------------------------------------------------------


def relaxed_element(decoder: Decoder, qname: QName, at: int, depth: int) -> tuple[AnyElement, int]:
    """A fragment root whose name is declared with different types (EXI 1.0 section 8.5.3)."""
    reader, schema_set = decoder.reader, decoder.schema_set
    names, elements = schema_set.attribute_names, schema_set.fragment_elements
    attributes: list[tuple[str, str, str]] = []
    children: list[Any] = []
    while True:
        offset = 0 if children else len(names) + 1
        count = offset + len(elements) + 3
        code = reader.bits(at, count.bit_length())
        _note(
            decoder,
            at,
            at + count.bit_length(),
            f"code {code} of the relaxed grammar   [{count} productions]",
        )
        at += count.bit_length()
        if code < offset:
            name, at = (names[code], at) if code < len(names) else _read_name(decoder, at)
            text, at = _read_text(decoder, at)
            attributes.append((name.namespace, name.name, text))
            continue
        code -= offset
        if code == len(elements) + 1:
            _leave(decoder)
            return AnyElement(qname.namespace, qname.name, tuple(attributes), tuple(children)), at
        if code == len(elements) + 2:
            child, at = _read_text(decoder, at)
        elif code == len(elements):
            child, at = wildcard(decoder, at, depth)
        elif code < len(elements) and elements[code].cls is not None:
            child, at = decoder.root(elements[code], at)
        else:
            raise DecodeError("event without support in a relaxed fragment", bit=at)
        children.append(child)
