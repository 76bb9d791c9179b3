"""The encoder: walks an object along the compiled tables and appends the bits of each event.

Bits collect in a local integer of moderate size and go to the output in whole octets, so the
cost per event does not grow with the message.
"""

from __future__ import annotations

from typing import Any

from iso15118.errors import EncodeError
from iso15118.exi import foreign
from iso15118.exi.grammar import Element, SchemaSet, type_identity
from iso15118.exi.names import NameTable
from iso15118.exi.options import Options
from iso15118.exi.scalars import ScalarCodec
from iso15118.exi.schema import info_of
from iso15118.exi.tables import (
    ATTRIBUTE,
    CHILD,
    CONTENT,
    END,
    END_KEY,
    ITEMS,
    TEXT,
    WILDCARD,
    Kind,
    Production,
    QName,
    State,
    Step,
)

_FLUSH_BITS = 256


class Encoder:
    """Encodes one message."""

    __slots__ = ("_names", "empty_as_end", "facets", "loop", "max_depth", "octets", "schema_set", "unknown")

    def __init__(self, schema_set: SchemaSet, options: Options) -> None:
        self.schema_set = schema_set
        self.facets = options.facets
        self.loop = options.full_list == "loop"
        self.empty_as_end = options.empty == "ee"
        self.max_depth = options.max_depth
        self.octets = bytearray()
        self.unknown: set[QName] = set()
        self._names: NameTable | None = None

    @property
    def names(self) -> NameTable:
        """The string tables for names, made when the first name is written."""
        if self._names is None:
            self._names = NameTable(self.schema_set)
        return self._names

    def flush(self, held: int, count: int) -> tuple[int, int]:
        """Move whole octets of the `count` held bits to the output; what remains is returned."""
        rest = count & 7
        self.octets += (held >> rest).to_bytes(count >> 3, "big")
        return held & ((1 << rest) - 1), rest

    def finish(self, held: int, count: int) -> bytes:
        """The message, padded with zero bits."""
        padding = -count & 7
        self.flush(held << padding, count + padding)
        return bytes(self.octets)

    # --- elements ---

    def root(self, element: Element, value: Any, held: int, count: int) -> tuple[int, int]:
        """The content of a root element, whatever its type."""
        try:
            if element.cls is not None:
                cls = element.cls
                if value.__class__ is not cls and type_identity_of(value) != type_identity(cls):
                    raise EncodeError(f"{cls.__name__} expected, not {type(value).__name__}")
                return self.element(self.schema_set.kind(value.__class__), value, held, count, 1)
            if element.scalar is not None:
                bits, width = self.leaf(self.schema_set.codec(element.scalar), value)
                return held << width | bits, count + width
            return foreign.relaxed_element(self, value, held, count)
        except EncodeError as error:
            error.inside(element.qname.name)
            raise

    def element(  # noqa: C901, PLR0912 - the inner loop: calls cost more than branches
        self, kind: Kind, value: Any, held: int, count: int, depth: int
    ) -> tuple[int, int]:
        """Append the content of one element, from its first event code to its EE."""
        state = kind.start or kind.compiled()
        if depth > self.max_depth:
            raise EncodeError(f"more than {self.max_depth} elements inside one another")
        facets = self.facets
        for step, item in zip(kind.steps, kind.fetch(value), strict=True):
            form = step.form
            if form == ITEMS:
                state, held, count = self.items(step, item, state, held, count, depth)
                continue
            if item is None:
                if step.required:
                    raise _inside(EncodeError("mandatory, but None"), step.name)
                continue
            production = state.events.get(step.select.get(item.__class__) if form == CHILD else step.key)
            if production is None:
                production = self.choose(step, item, state)
            if form == CHILD:
                held, count = held << production.width | production.code, count + production.width
                held, count = self.child(production, item, held, count, depth, production.label)
            else:
                try:
                    bits, width = production.codec.pack(item, facets)  # type: ignore[union-attr]
                except EncodeError as error:
                    raise _inside(error, step.name)  # noqa: B904
                if self.empty_as_end and not item and production.codec.empty is not None:  # type: ignore[union-attr]
                    held, count, ended = _empty(production, state, held, count, bits)
                    if ended:
                        return held, count
                else:
                    opened, closed = production.open_width, production.close_width
                    held = ((held << opened | production.open_bits) << width | bits) << closed
                    count += opened + width + closed
            state = production.next  # type: ignore[assignment]
            if count > _FLUSH_BITS:
                held, count = self.flush(held, count)
        end = state.events.get(END_KEY)
        if end is None or end.action != END:
            raise _unexpected("the end", state, abstract=end is not None)
        return held << end.width | end.code, count + end.width

    def record(self, kind: Kind, value: Any, held: int, count: int, depth: int) -> tuple[int, int]:
        """What `element` does, for a plain sequence of mandatory simple elements: every code is one 0."""
        facets = self.facets
        for production, item in zip(kind.record, kind.fetch(value), strict=True):  # type: ignore[arg-type]
            try:
                bits, width = production.codec.pack(item, facets)  # type: ignore[union-attr]
            except EncodeError as error:
                raise _inside(error, production.label)  # noqa: B904
            held = (held << width + 2 | bits) << 1
            count += width + 3
        if depth > self.max_depth:
            raise EncodeError(f"more than {self.max_depth} elements inside one another")
        return held << 1, count + 1

    def child(
        self, production: Production, item: Any, held: int, count: int, depth: int, label: str
    ) -> tuple[int, int]:
        """Append the content of a child element, or the name and content behind a wildcard."""
        kind = production.kind
        try:
            if kind is None:
                return foreign.wildcard(self, item, held, count, depth + 1)
            if kind.record is not None and not self.empty_as_end:
                return self.record(kind, item, held, count, depth + 1)
            return self.element(kind, item, held, count, depth + 1)
        except EncodeError as error:
            raise _inside(error, label)  # noqa: B904

    def items(
        self, step: Step, items: Any, state: State, held: int, count: int, depth: int
    ) -> tuple[State, int, int]:
        """Append the items of a list field."""
        if not isinstance(items, (tuple, list)):
            raise _inside(EncodeError(f"tuple expected, not {type(items).__name__}"), step.name)
        for number, item in enumerate(items, 1):
            production = self.choose(step, item, state)
            if production.kind is not None or production.action == WILDCARD:
                held, count = held << production.width | production.code, count + production.width
                label = f"{production.label}[{number - 1}]"
                held, count = self.child(production, item, held, count, depth, label)
            else:
                bits, width = self.simple_item(production, item, number)
                held, count = held << width | bits, count + width
            state = self.behind(production, number)
            if count > _FLUSH_BITS:
                held, count = self.flush(held, count)
        return state, held, count

    def simple_item(self, production: Production, item: Any, number: int) -> tuple[int, int]:
        """A list item without children: a leaf or mixed text, with its event code."""
        try:
            if production.action == TEXT:
                bits, width = foreign.text(item)
            else:
                bits, width = self.leaf(production.codec, item)  # type: ignore[arg-type]
        except EncodeError as error:
            raise _inside(error, f"{production.label}[{number - 1}]")  # noqa: B904
        return production.code << width | bits, production.width + width

    def behind(self, production: Production, number: int) -> State:
        """The state behind the `number`-th item of a list."""
        limit = production.limit
        if limit and number >= limit:
            if not self.loop or limit < 3:
                return production.full  # type: ignore[return-value]
            if number > limit:
                raise EncodeError(f"more than {limit} {production.label}")
        return production.next  # type: ignore[return-value]

    def leaf(self, codec: ScalarCodec, item: Any) -> tuple[int, int]:
        """CH, value and EE of a simple element."""
        bits, width = codec.pack(item, self.facets)
        if not item and self.empty_as_end and codec.empty is not None:
            return 8, 4
        return bits << 1, width + 2

    # --- choosing the event of a value ---

    def choose(self, step: Step, item: Any, state: State) -> Production:
        """The event of one value of a field in this state."""
        key = step.key
        if step.codec is None:
            key = step.select.get(item.__class__) or self.odd_key(step, item)
        production = state.events.get(key)
        if production is None:
            name = info_of(item.__class__).tag if hasattr(item, "__schema__") else step.name
            raise _unexpected(name, state)
        return production

    def odd_key(self, step: Step, item: Any) -> Any:
        """The key of a value whose class is not declared for the field but may stand there all the same."""
        identity = type_identity_of(item)
        if step.any_key is not None and identity is not None and info_of(item.__class__).element:
            return step.any_key
        if isinstance(identity, QName):  # another class for the same named type
            for cls, key in step.select.items():
                if "__schema__" in cls.__dict__ and type_identity(cls) == identity:
                    return key
        wanted = " or ".join(cls.__name__ for cls in step.select)
        shown = "nothing (None)" if item is None else type(item).__name__
        raise _inside(EncodeError(f"{wanted} expected, not {shown}"), step.name)


def type_identity_of(value: Any) -> Any:
    """The schema type of an object, None where it has none."""
    return type_identity(value.__class__) if "__schema__" in value.__class__.__dict__ else None


def _empty(production: Production, state: State, held: int, count: int, bits: int) -> tuple[int, int, bool]:
    """An empty value as undeclared EE: (held, count, whether that ended the element itself)."""
    if production.action == ATTRIBUTE:
        return (held << production.width | production.code) << 8 | bits, count + production.width + 8, False
    if production.action == CONTENT:
        # Second level of a state without declared EE: EE is the first of 7 (or 5) events, 3 bits.
        return (held << state.width | len(state.productions)) << 3, count + state.width + 3, True
    return (held << production.width | production.code) << 4 | 0b1000, count + production.width + 4, False


def _inside(error: EncodeError, name: str) -> EncodeError:
    error.inside(name)
    return error


def _unexpected(name: str, state: State, abstract: bool = False) -> EncodeError:
    if abstract:
        return EncodeError("an abstract type cannot be sent; use one of its substitutes")
    expected = " or ".join(p.label for p in state.productions if p.action not in (END, TEXT)) or "the end"
    return EncodeError(f"{expected} expected here, not {name}")
