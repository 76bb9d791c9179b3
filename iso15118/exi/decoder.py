"""The decoder: an interpreter over the compiled tables.

One engine for everything: with a trace it also tells which bits mean what (`explain`). Where a
message leaves the straight path (escape codes, wildcards) `undeclared` takes over.
"""

from __future__ import annotations

from typing import Any, Protocol

from iso15118.errors import DecodeError
from iso15118.exi import undeclared
from iso15118.exi.bits import BitReader
from iso15118.exi.grammar import Element, SchemaSet
from iso15118.exi.names import NameTable
from iso15118.exi.options import EmptyForm, Options
from iso15118.exi.scalars import ScalarCodec
from iso15118.exi.tables import (
    ABSTRACT,
    ATTRIBUTE,
    CHILD,
    CONTENT,
    END,
    ESCAPE,
    FIXED,
    TEXT,
    VALUE,
    WILDCARD,
    Kind,
    Production,
    QName,
    State,
)


class Trace(Protocol):
    """Hears of every field that is read, in order."""

    def root(self, at: int, end: int, qname: QName, text: str) -> None:
        """The code of the root element."""

    def event(self, at: int, state: State, production: Production) -> None:
        """An event code at bit `at`; its width is that of the state."""

    def value(self, at: int, end: int, codec: ScalarCodec | None, value: Any) -> None:
        """A value (a plain string where `codec` is None)."""

    def leaf(self, at: int, end: int, codec: ScalarCodec, value: Any) -> None:
        """A simple element behind its SE: a CH bit, the value, an EE bit."""

    def field(self, at: int, end: int, text: str) -> None:
        """Anything else."""

    def enter(self, name: str) -> None:
        """An element whose name was read from the stream begins."""

    def leave(self) -> None:
        """The innermost open element has ended without an EE of its grammar."""


class Decoder:
    """Decodes one message. Afterwards the flags tell what was met on the way."""

    __slots__ = (
        "_names", "empty", "full_seen", "loop", "max_depth", "options", "reader", "schema_set", "trace", "unknown",
    )  # fmt: skip

    def __init__(
        self, reader: BitReader, schema_set: SchemaSet, options: Options, trace: Trace | None
    ) -> None:
        self.reader = reader
        self.schema_set = schema_set
        self.options = options
        self.trace = trace
        self.max_depth = options.max_depth
        self.loop = options.full_list == "loop"
        self.full_seen = False
        self.empty: EmptyForm | None = None
        self.unknown: set[QName] = set()
        self._names: NameTable | None = None

    @property
    def names(self) -> NameTable:
        """The string tables for names, made when the first name is read."""
        if self._names is None:
            self._names = NameTable(self.schema_set)
        return self._names

    # --- elements ---

    def root(self, element: Element, at: int) -> tuple[Any, int]:
        """The content of a root element, whatever its type."""
        try:
            if element.cls is not None:
                return self.element(self.schema_set.kind(element.cls), at, 1)
            if element.scalar is not None:
                return self.leaf(self.schema_set.codec(element.scalar), at)
            return undeclared.relaxed_element(self, element.qname, at, 1)
        except DecodeError as error:
            error.inside(element.qname.name)
            raise

    def element(self, kind: Kind, at: int, depth: int) -> tuple[Any, int]:  # noqa: C901, PLR0912, PLR0915
        """The object of `kind` whose first event code is at bit `at`, and the offset behind its EE.

        This is the inner loop of the product: local names, no calls for the common events.
        """
        state = kind.start or kind.compiled()
        if depth > self.max_depth:
            raise DecodeError(f"more than {self.max_depth} elements inside one another", bit=at)
        reader, trace = self.reader, self.trace
        words, end = reader.words, reader.end
        target = kind.new()
        production: Production | None = None
        for put, default in kind.defaults:
            put(target, default)
        while True:
            if at > end:
                raise self.cut_off(production, at)
            shift, mask, table = state.row
            production = table[(words[at >> 5] >> (shift - (at & 31))) & mask]
            if trace is not None:
                trace.event(at, state, production)
            at += state.width
            action = production.action
            if action == FIXED:
                bits = (words[at >> 5] >> (production.shift - (at & 31))) & production.mask
                value = production.values[bits >> 1 & (production.mask >> 2)]
                if bits & production.frame or value is None or trace is not None:
                    value, at = self.child_leaf(production, at)
                else:
                    at += production.size
            elif action == VALUE:
                value, at = self.child_leaf(production, at)
            elif action == CHILD:
                child: Kind = production.kind  # type: ignore[assignment]
                try:
                    if child.record is not None and trace is None:
                        value, at = self.record(child, at, depth + 1)
                    else:
                        value, at = self.element(child, at, depth + 1)
                except DecodeError as error:
                    error.inside(self.label(production, target))
                    raise
            elif action == END:
                for slot in kind.lists:
                    items = slot.take(target)
                    if items:
                        slot.put(target, tuple(items))
                return target, at
            elif action == ESCAPE:
                kind, following, target, at = undeclared.second_level(self, kind, state, target, at)
                if following is None:
                    return target, at
                state = following
                continue
            else:
                value, at = self.other(production, at, depth)
            put_value = production.put
            if put_value is not None:
                put_value(target, value)
                state = production.next  # type: ignore[assignment]
            else:
                state = self.collect(production, target, value, at)

    def record(self, kind: Kind, at: int, depth: int) -> tuple[Any, int]:
        """What `element` does, for a type that is a plain sequence of mandatory simple elements.

        Every event code is a single 0; at the first bit that is not, `element` has its say.
        """
        reader = self.reader
        words, start = reader.words, at
        target = kind.new()
        for production in kind.record:  # type: ignore[union-attr]
            if production.action == FIXED:
                bits = (words[at >> 5] >> (production.shift - 1 - (at & 31))) & (production.mask << 1 | 1)
                value = production.values[bits >> 1 & (production.mask >> 2)]
                if bits & (production.frame | 1 << production.size) or value is None:
                    return self.element(kind, start, depth)
                at += production.size + 1
            else:
                if (words[at >> 5] >> (62 - (at & 31))) & 3:
                    return self.element(kind, start, depth)
                try:
                    value, at = production.reads(reader, at + 2)  # type: ignore[misc]
                except DecodeError:
                    return self.element(kind, start, depth)  # the same error, with its path
                if (words[at >> 5] >> (63 - (at & 31))) & 1 or not (value or production.solid):
                    return self.element(kind, start, depth)
                at += 1
            production.put(target, value)  # type: ignore[misc]
        if at >= reader.end or (words[at >> 5] >> (63 - (at & 31))) & 1:
            return self.element(kind, start, depth)
        return target, at + 1

    def collect(self, production: Production, target: Any, value: Any, at: int) -> State:
        """Add an item to a list; the state behind it."""
        count = production.slot.add(target, value)  # type: ignore[union-attr]
        limit = production.limit
        following: State = production.next  # type: ignore[assignment]
        if limit:
            if count == limit:
                self.full_seen = True
                if not self.loop or limit < 3:
                    return production.full  # type: ignore[return-value]
            elif count > limit:
                raise DecodeError(f"more than {limit} {production.label}", bit=at)
        elif count > self.options.max_items:
            raise DecodeError(f"more than {self.options.max_items} {production.label}", bit=at)
        return following

    def other(self, production: Production, at: int, depth: int) -> tuple[Any, int]:
        """The events that are rare: attributes, character content, wildcards."""
        action = production.action
        if action in (ATTRIBUTE, CONTENT):
            value, after = production.codec.read(self.reader, at)  # type: ignore[union-attr]
            if self.trace is not None:
                self.trace.value(at, after, production.codec, value)
            if not value and action == CONTENT and production.codec.empty is not None:  # type: ignore[union-attr]
                self.empty = "ch"
            return value, after
        if action == TEXT:
            value, after = self.reader.string(at)
            if self.trace is not None:
                self.trace.value(at, after, None, value)
            return value, after
        if action == WILDCARD:
            return undeclared.wildcard(self, at, depth)
        if action == ABSTRACT:
            reason = "an abstract type: the substituting element or xsi:type is missing"
        else:
            reason = "event code without a meaning"
        raise DecodeError(reason, bit=at - production.width)

    # --- leaves ---

    def child_leaf(self, production: Production, at: int) -> tuple[Any, int]:
        """A simple element behind its SE."""
        reader = self.reader
        words = reader.words
        try:
            if self.trace is None and not (words[at >> 5] >> (63 - (at & 31))) & 1:
                value, after = production.reads(reader, at + 1)  # type: ignore[misc]
                if (
                    (value or production.solid)
                    and after < reader.end
                    and not (words[after >> 5] >> (63 - (after & 31))) & 1
                ):
                    return value, after + 1
            return self.leaf(production.codec, at)  # type: ignore[arg-type]
        except DecodeError as error:
            error.inside(production.label)
            raise

    def leaf(self, codec: ScalarCodec, at: int) -> tuple[Any, int]:
        """CH, value and EE of a simple type. The value and the offset behind the EE."""
        reader, trace = self.reader, self.trace
        words = reader.words
        if (words[at >> 5] >> (63 - (at & 31))) & 1:
            return undeclared.simple_element(self, codec, at)
        value, after = codec.read(reader, at + 1)
        if (words[after >> 5] >> (63 - (after & 31))) & 1:
            raise DecodeError("undeclared event behind the value", bit=after)
        if after >= reader.end:
            raise reader.too_short(after)
        if not value and codec.empty is not None:
            self.empty = "ch"
        if trace is not None:
            trace.leaf(at, after + 1, codec, value)
        return value, after + 1

    def cut_off(self, last: Production | None, at: int) -> DecodeError:
        """The error for a message that ended before bit `at`, within or behind the last event."""
        if last is None or last.action != FIXED or at - last.size > self.reader.end:
            return self.reader.too_short(at)
        error = self.reader.too_short(at - last.size + 1)
        error.inside(last.label)
        return error

    def label(self, production: Production, target: Any) -> str:
        """The name of a child for a path, with its index where it is one of a list."""
        if not production.many:
            return production.label
        items = production.slot.take(target)  # type: ignore[union-attr]
        return f"{production.label}[{len(items)}]"
