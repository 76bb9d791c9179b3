"""EXI messages to objects and back: the two functions the rest of the stack uses.

    message = decode(payload, schema_set(namespace))
    payload = encode(message, schema_set(namespace))

Profile: bit-packed, schema-informed, not strict, nothing preserved, no value tables, header 0x80.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from iso15118.errors import DecodeError
from iso15118.exi.bits import BitReader
from iso15118.exi.decoder import Decoder, Trace
from iso15118.exi.encoder import Encoder
from iso15118.exi.grammar import Element, SchemaSet
from iso15118.exi.options import ACDP_CBV2G, DEFAULT, FULL_LIST_LOOP, HEADER, HEADER_BITS, Decoded, Options
from iso15118.exi.roots import root_element
from iso15118.exi.tables import QName

_SWAPPED: Final = ("ACDP_ConnectRes", "ACDP_DisconnectReq")
"""Roots whose document codes cbv2g numbers the other way round."""


def decode(data: bytes, schema_set: SchemaSet, *, fragment: bool = False, options: Options = DEFAULT) -> Any:
    """The message in `data` (no V2GTP header), an object of its declared class.

    With `fragment` the stream is an EXI fragment, as it is hashed for signatures. Trailing octets
    and padding bits are ignored. Raises DecodeError, and nothing else, whatever `data` is.
    """
    return decode_detailed(data, schema_set, fragment=fragment, options=options).value


def encode(
    value: Any,
    schema_set: SchemaSet,
    *,
    fragment: bool = False,
    element: str | QName | None = None,
    options: Options = DEFAULT,
) -> bytes:
    """The EXI stream of a message, or with `fragment` of any element.

    `element` names the root where the class does not: types used under several names. Raises
    EncodeError with the path of the value that does not fit.
    """
    encoder = Encoder(schema_set, options)
    root, code = root_element(value, schema_set, fragment, element)
    width = schema_set.fragment_width if fragment else schema_set.document_width
    if options.acdp_order != "spec" and not fragment:
        code = _reordered(code, schema_set)
    held, count = encoder.root(root, value, HEADER << width | code, HEADER_BITS + width)
    if fragment:
        held = held << width | len(schema_set.fragment_elements) + 1
        count += width
    return encoder.finish(held, count)


def decode_detailed(
    data: bytes,
    schema_set: SchemaSet,
    *,
    fragment: bool = False,
    options: Options = DEFAULT,
    trace: Trace | None = None,
) -> Decoded:
    """Like `decode`, with the root's name, the length read and the dialect met."""
    decoder = Decoder(_open(data, options), schema_set, options, trace)
    try:
        return _decode_once(decoder, fragment, ())
    except DecodeError as error:
        if not options.tolerant or trace is not None:
            raise
        for changed, dialect in _other_dialects(decoder, error):
            try:
                return _decode_once(Decoder(decoder.reader, schema_set, changed, None), fragment, (dialect,))
            except DecodeError:
                continue
        raise


def _open(data: bytes, options: Options) -> BitReader:
    if len(data) > options.max_octets:
        raise DecodeError(f"{len(data)} octets, at most {options.max_octets} are read")
    if not data:
        raise DecodeError("empty message", bit=0)
    if data[0] != HEADER:
        raise DecodeError(f"EXI header 0x{data[0]:02X}, only 0x{HEADER:02X} is in use", bit=0)
    return BitReader(bytes(data))


def _decode_once(decoder: Decoder, fragment: bool, dialect: tuple[str, ...]) -> Decoded:
    reader, schema_set = decoder.reader, decoder.schema_set
    elements = schema_set.fragment_elements if fragment else schema_set.elements
    width = schema_set.fragment_width if fragment else schema_set.document_width
    code = reader.bits(HEADER_BITS, width)
    if decoder.options.acdp_order != "spec" and not fragment:
        code = _reordered(code, schema_set)
    if code >= len(elements):
        raise DecodeError(f"root element code {code}: unknown to this schema set", bit=HEADER_BITS)
    element = elements[code]
    if decoder.trace is not None:
        _trace_root(decoder.trace, element, code, width, len(elements) + 1 + fragment, fragment)
    value, at = decoder.root(element, HEADER_BITS + width)
    if at > reader.end:
        raise reader.too_short(at)
    if fragment:
        at = _end_of_fragment(decoder, at, width)
    return Decoded(value, element.qname, at, decoder.empty, dialect)


def _end_of_fragment(decoder: Decoder, at: int, width: int) -> int:
    code = decoder.reader.bits(at, width)
    expected = len(decoder.schema_set.fragment_elements) + 1
    if code != expected:
        raise DecodeError(f"end of fragment expected, not code {code}", bit=at)
    if decoder.trace is not None:
        decoder.trace.field(at, at + width, f"ED = code {code}")
    return at + width


def _trace_root(trace: Trace, element: Element, code: int, width: int, codes: int, fragment: bool) -> None:
    trace.field(0, HEADER_BITS, "header")
    form = "fragment" if fragment else "document"
    trace.root(
        HEADER_BITS, HEADER_BITS + width, element.qname, f"{form} code {code} ({width} bits, {codes} codes)"
    )


# --- dialects ---------------------------------------------------------------------------------


def _reordered(code: int, schema_set: SchemaSet) -> int:
    """The document code by element name, where the peer orders ACDP's by type name."""
    swapped = [schema_set.document_codes.get(QName(name, schema_set.namespace)) for name in _SWAPPED]
    return swapped[1 - swapped.index(code)] or 0 if code in swapped else code


def _other_dialects(decoder: Decoder, error: DecodeError) -> list[tuple[Options, str]]:
    """The options under which a message that failed may be readable."""
    found = []
    if decoder.full_seen and decoder.options.full_list == "exact":
        found.append((dataclasses.replace(decoder.options, full_list="loop"), FULL_LIST_LOOP))
    if error.path[:1] and error.path[0] in _SWAPPED and decoder.options.acdp_order == "spec":
        found.append((dataclasses.replace(decoder.options, acdp_order="cbv2g"), ACDP_CBV2G))
    return found
