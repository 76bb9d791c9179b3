"""What every bit of a message means: bit range, event or value, path.

The map comes from the decoder itself (one engine), so it cannot differ from what is decoded. A
message that does not decode is explained up to the bit where it fails.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

from iso15118.errors import DecodeError
from iso15118.exi.codec import decode_detailed
from iso15118.exi.grammar import SchemaSet
from iso15118.exi.options import ACDP_CBV2G, DEFAULT, FULL_LIST_LOOP, Decoded, Options
from iso15118.exi.scalars import (
    BinaryCodec,
    BoundedCodec,
    EnumerationCodec,
    IntegerCodec,
    ScalarCodec,
    UnsignedCodec,
)
from iso15118.exi.tables import (
    ATTRIBUTE,
    CHILD,
    CONTENT,
    END,
    ESCAPE,
    FIXED,
    TEXT,
    VALUE,
    WILDCARD,
    Production,
    QName,
    State,
)

_LISTED_PRODUCTIONS: Final = 8


@dataclass(frozen=True, slots=True)
class Row:
    """A run of bits with one meaning. `start` and `end` count from the first bit of the stream.

    `path` names the open elements; `value` is set where the bits are (the end of) a value.
    """

    start: int
    end: int
    bits: str
    text: str
    path: tuple[str, ...]
    value: Any = None

    def __str__(self) -> str:
        return f"{self.start:5}  {self.bits:<18} {self.text}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The rows of a message, and what it decodes to or why it does not."""

    rows: tuple[Row, ...]
    decoded: Decoded | None
    error: DecodeError | None

    def __str__(self) -> str:
        lines = [str(row) for row in self.rows]
        if self.error is not None:
            lines.append(f"error: {self.error}")
        return "\n".join(lines)


def explain(
    data: bytes, schema_set: SchemaSet, *, fragment: bool = False, options: Options = DEFAULT
) -> Explanation:
    """The bit map of an EXI stream; `str()` of it is a table for people. Raises nothing."""
    trace = _Tracer(bytes(data))
    try:
        dialect = decode_detailed(data, schema_set, fragment=fragment, options=options).dialect
        options = _adapted(options, dialect)
    except DecodeError:
        pass  # explained below, up to where it fails
    try:
        decoded = decode_detailed(data, schema_set, fragment=fragment, options=options, trace=trace)
    except DecodeError as error:
        return Explanation(tuple(trace.rows), None, error)
    trace.padding(decoded.bits)
    return Explanation(tuple(trace.rows), decoded, None)


def _adapted(options: Options, dialect: tuple[str, ...]) -> Options:
    if FULL_LIST_LOOP in dialect:
        options = dataclasses.replace(options, full_list="loop")
    if ACDP_CBV2G in dialect:
        options = dataclasses.replace(options, acdp_order="cbv2g")
    return options


class _Tracer:
    """Collects the rows while the decoder runs."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.rows: list[Row] = []
        self.path: list[str] = []

    # --- what the decoder calls ---

    def root(self, at: int, end: int, qname: QName, text: str) -> None:
        self.path.append(qname.name)
        self.field(at, end, f"SE({qname.name}) = {text}")

    def event(self, at: int, state: State, production: Production) -> None:
        end = at + state.width
        action = production.action
        if action in (FIXED, VALUE, CHILD):
            self.path.append(production.label)
        self.field(at, end, self._event_text(production) + _alternatives(state, production))
        if action == END:
            self.path.pop()

    def value(self, at: int, end: int, codec: ScalarCodec | None, value: Any) -> None:
        if codec is None or (isinstance(value, str) and codec.empty == ""):
            self._text(at, end, value)
        elif isinstance(codec, BinaryCodec):
            split = end - 8 * len(value)
            self.field(at, split, f"{len(value)} bytes follow")
            if value:
                self._add(split, end, value.hex(), value, f"({end - split} bits)")
        elif isinstance(codec, IntegerCodec) and codec.width < 0:
            bits = self._groups(at, end, not isinstance(codec, UnsignedCodec))
            self._add(at, end, _integer_text(codec, value), value, bits)
        else:
            self._add(at, end, _fixed_text(codec, value), value)

    def leaf(self, at: int, end: int, codec: ScalarCodec, value: Any) -> None:
        self.field(at, at + 1, "CH")
        self.value(at + 1, end - 1, codec, value)
        self.field(end - 1, end, f"EE({self.path[-1]})")
        self.path.pop()

    def field(self, at: int, end: int, text: str) -> None:
        self._add(at, end, text)

    def enter(self, name: str) -> None:
        self.path.append(name)

    def leave(self) -> None:
        self.path.pop()

    # --- rows ---

    def padding(self, at: int) -> None:
        """The bits behind the message."""
        octets = (at + 7) // 8
        if at % 8:
            self._add(at, octets * 8, f"padding to byte {octets}")
        else:
            self.rows.append(Row(at, at, "-", f"no padding needed, {octets} bytes", ()))
        if octets < len(self.data):
            self._add(octets * 8, len(self.data) * 8, f"{len(self.data) - octets} trailing bytes, ignored")

    def _text(self, at: int, end: int, value: str) -> None:
        width = sum(8 * max(1, (ord(c).bit_length() + 6) // 7) for c in value)
        split = end - width
        self.field(at, split, f"length {len(value)}+2")
        if value:
            self._add(split, end, f'characters "{value}"', value, f"({end - split} bits)")

    def _add(self, at: int, end: int, text: str, value: Any = None, bits: str | None = None) -> None:
        if bits is None:
            bits = self._raw(at, end)
            if len(bits) > 16:
                bits = f"({end - at} bits)"
        self.rows.append(Row(at, end, bits, text, tuple(self.path), value))

    def _raw(self, at: int, end: int) -> str:
        end = min(end, 8 * len(self.data))
        window = int.from_bytes(self.data[at >> 3 : (end + 7) >> 3], "big") >> (-end & 7)
        return f"{window & ((1 << (end - at)) - 1):0{end - at}b}" if end > at else ""

    def _groups(self, at: int, end: int, signed: bool) -> str:
        """The bits of an integer, a blank between sign and groups."""
        raw = self._raw(at, end)
        head, rest = (raw[:1], raw[1:]) if signed else ("", raw)
        groups = [head] if head else []
        return " ".join(groups + [rest[i : i + 8] for i in range(0, len(rest), 8)])

    def _event_text(self, production: Production) -> str:
        match production.action:
            case action if action in (FIXED, VALUE, CHILD):
                return f"SE({production.label})"
            case action if action == END:
                return f"EE({self.path[-1]})"
            case action if action == ATTRIBUTE:
                return f"AT({production.label})"
            case action if action in (CONTENT, TEXT):
                return "CH"
            case action if action == WILDCARD:
                return "SE(*)"
            case action if action == ESCAPE:
                return "escape to second level"
        return "unassigned event code"


def _alternatives(state: State, production: Production) -> str:
    """What else could stand here: shown where there is a choice."""
    count = len(state.productions)
    if count < 2 or production.action == ESCAPE:
        return ""
    if count > _LISTED_PRODUCTIONS:
        return f"   [{count} productions, esc={count}]"
    listed = " ".join(f"{_short(p)}={p.code}" for p in state.productions)
    return f"   [{listed}, esc={count}]"


def _short(production: Production) -> str:
    match production.action:
        case action if action == END:
            return "EE"
        case action if action == ATTRIBUTE:
            return f"AT {production.label}"
        case action if action in (CONTENT, TEXT):
            return "CH"
        case action if action == WILDCARD:
            return "SE*"
    return production.label


def _integer_text(codec: IntegerCodec, value: int) -> str:
    if isinstance(codec, UnsignedCodec):
        return f"{value} as Unsigned Integer"
    if value < 0:
        return f"{value} as Integer: sign, then -n-1 = {-value - 1}"
    return f"{value} as Integer: sign, then n = {value}"


def _fixed_text(codec: ScalarCodec, value: Any) -> str:
    if isinstance(codec, BoundedCodec):
        return f"{value} - ({codec.minimum}) = {value - codec.values[0]} in {codec.width} bits"
    if isinstance(codec, EnumerationCodec):
        members = [member for member in codec.values if member is not None]
        return f"{value.value} = value {members.index(value)} of {len(members)}"
    return "true" if value else "false"
