"""From a declared class to its states: attributes, content model, event codes.

EXI 1.0 section 8.5.4: the states of a type are derived from its declaration alone; the schema
set adds the substitution groups and gives the type of each child.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, Final, NamedTuple, Protocol

from iso15118.exi import tables
from iso15118.exi.particles import ANY, Continuation, Terminal, content_of, expand
from iso15118.exi.particles import Step as Next
from iso15118.exi.scalars import ScalarCodec
from iso15118.exi.schema import AnyElement, Field, Scalar, TypeInfo, fields_of, info_of
from iso15118.exi.tables import Kind, Production, QName, Slot, State, Step

_RECORD_LEAVES: Final = 12


class Context(Protocol):
    """What a schema set knows beyond a single class."""

    def kind(self, cls: type[Any]) -> Kind:
        """The grammar of a class."""

    def codec(self, scalar: Scalar) -> ScalarCodec:
        """The codec of a simple type."""

    def substitutes(self, cls: type[Any]) -> tuple[type[Any], ...]:
        """The global elements that may stand for one, itself included."""


class Alternative(NamedTuple):
    """One element name that may stand for a terminal; `cls` None: simple type or wildcard."""

    qname: QName | None
    cls: type[Any] | None


def alternatives(terminal: Terminal, context: Context) -> tuple[Alternative, ...]:
    """The element names that match a terminal, in event code order (a wildcard is qname None)."""
    field = terminal.field
    if field.scalar is not None:
        return (Alternative(QName(field.name, field.namespace), None),)
    if not field.is_choice:
        only = field.classes[0]
        if field.is_reference:
            return tuple(global_element(member) for member in context.substitutes(only))
        return (Alternative(QName(field.name, field.namespace), only),)
    found: list[Alternative] = []
    for cls in field.classes:
        info = info_of(cls)
        if terminal.alternative not in (None, info.tag):
            continue
        if info.element:
            found.extend(global_element(member) for member in context.substitutes(cls))
        else:
            found.append(Alternative(QName(info.tag, field.namespace), cls))
    if field.any and terminal.alternative in (None, ANY):
        found.append(Alternative(None, None))
    return tuple(found)


def global_element(cls: type[Any]) -> Alternative:
    """A class under its own element name."""
    info = info_of(cls)
    return Alternative(QName(info.tag, info.namespace), cls)


def compile_kind(kind: Kind, context: Context) -> State:
    """Fill in a kind: access to its fields, and its states. The first state is returned."""
    cls = kind.cls
    fields = fields_of(cls)
    slots = {field.attr: Slot(cls, field) for field in fields}
    kind.new = functools.partial(cls.__new__, cls)
    kind.defaults = tuple(
        (slots[f.attr].put, () if f.is_list else None) for f in fields if f.is_list or f.minimum == 0
    )
    kind.lists = tuple(slots[f.attr] for f in fields if f.is_list)
    kind.steps = _steps(cls, fields, context)
    kind.fetch = _fetch([step.attr for step in kind.steps])
    builder = _Builder(context, slots, info_of(cls))
    start = builder.build(cls, fields)
    kind.states = tuple(builder.states)
    kind.record = _record(start)
    return start


def _record(state: State) -> tuple[Production, ...] | None:
    """The leaves of a short grammar without any choice, None for every other.

    Short: the decoder reads all fixed leaves before it looks whether the message has ended.
    """
    leaves: list[Production] = []
    while len(state.productions) == 1 and len(leaves) <= _RECORD_LEAVES:
        production = state.productions[0]
        if production.action == tables.END:
            return tuple(leaves) or None
        if production.action not in (tables.FIXED, tables.VALUE) or production.many:
            return None
        leaves.append(production)
        assert production.next is not None, "only EE leads nowhere"
        state = production.next
    return None


def _fetch(attrs: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """All field values of an object at once, in the order of the steps."""
    if not attrs:
        return lambda _: ()
    if len(attrs) == 1:
        single = attrgetter(attrs[0])
        return lambda value: (single(value),)
    return attrgetter(*attrs)


def _attributes(fields: Iterable[Field]) -> list[Field]:
    return sorted((f for f in fields if f.kind == "attribute"), key=lambda f: (f.name, f.namespace))


def _steps(cls: type[Any], fields: tuple[Field, ...], context: Context) -> tuple[Step, ...]:
    by_group = info_of(cls).content is not None
    ordered = _attributes(fields) + [f for f in fields if f.kind != "attribute"]
    steps = []
    for field in ordered:
        step = Step(field, required=field.minimum > 0 and not by_group)
        if field.scalar is not None:
            step.codec = context.codec(field.scalar)
        else:
            for alternative in alternatives(Terminal(field), context):
                if alternative.cls is not None and alternative.qname is not None:
                    step.select[alternative.cls] = (field.attr, alternative.cls)
                    step.names[alternative.cls] = alternative.qname
            if field.text:
                step.select[str] = step.text_key
            if field.any:
                step.select[AnyElement] = step.any_key
        steps.append(step)
    return tuple(steps)


class _Event:
    """A production in the making: where it leads, from all continuations that offer it."""

    def __init__(self, terminal: Terminal, alternative: Alternative) -> None:
        self.terminal = terminal
        self.alternative = alternative
        self.then: dict[Continuation, None] = {}
        self.full: dict[Continuation, None] = {}
        self.limit = 0

    def merge(self, step: Next) -> None:
        if step.terminal.field != self.terminal.field or (self.then and step.limit != self.limit):
            raise TypeError(
                f"ambiguous content model: {self.alternative.qname} of {self.terminal.field.attr}"
            )
        self.then[step.then] = None
        self.limit = step.limit
        if step.limit:
            self.full[step.full] = None


class _Builder:
    """Builds the states of one class."""

    def __init__(self, context: Context, slots: dict[str, Slot], info: TypeInfo) -> None:
        self.context = context
        self.slots = slots
        self.text = next((s for s in slots.values() if s.field.text), None) if info.mixed else None
        self.end_action = tables.ABSTRACT if info.abstract else tables.END
        self.memo: dict[tuple[Continuation, ...], State] = {}
        self.states: list[State] = []

    def build(self, cls: type[Any], fields: tuple[Field, ...]) -> State:
        content = next((f for f in fields if f.kind == "content"), None)
        if content is not None:
            initial = self.simple_content(content)
        else:
            initial = self.content_state((content_of(cls),))
        return self.attribute_states(_attributes(fields), initial)

    def new_state(self, kind: str) -> State:
        state = State(kind)
        self.states.append(state)
        return state

    # --- attributes ---

    def attribute_states(self, attributes: list[Field], initial: State) -> State:
        """The chain of states that offer the attributes; each ends with the first required one."""
        following: list[State] = []
        state = initial
        for passed in range(len(attributes), -1, -1):
            state = self.new_state("S" if passed else "F")
            productions = []
            for index in range(passed, len(attributes)):
                productions.append(self.attribute(attributes[index], following[len(attributes) - index - 1]))
                if attributes[index].minimum:
                    break
            else:
                productions += [_copy(p) for p in initial.productions]
            state.fill(productions)
            following.append(state)
        return state

    def attribute(self, field: Field, following: State) -> Production:
        production = Production(tables.ATTRIBUTE, QName(field.name, field.namespace))
        production.key = field.attr
        production.bind(self.slots[field.attr])
        assert field.scalar is not None, "attributes have simple types"
        production.carry(self.context.codec(field.scalar))
        production.next = following
        return production

    # --- content ---

    def simple_content(self, field: Field) -> State:
        state, end = self.new_state("C"), self.new_state("C")
        end.fill([self.end()])
        production = Production(tables.CONTENT)
        production.key = tables.CONTENT_KEY
        production.bind(self.slots[field.attr])
        assert field.scalar is not None, "simple content has a simple type"
        production.carry(self.context.codec(field.scalar))
        production.next = end
        state.fill([production])
        return state

    def content_state(self, continuations: tuple[Continuation, ...]) -> State:
        """The state for "one of these may be still to come"; equal ones are built once."""
        known = self.memo.get(continuations)
        if known is not None:
            return known
        state = self.memo[continuations] = self.new_state("C")
        events, may_end = self.events(continuations)
        productions = [self.element(event) for event in events.values()]
        productions.sort(key=lambda p: p.action == tables.WILDCARD)  # stable: SE(*) behind all SE(name)
        if may_end:
            productions.append(self.end())
        if self.text is not None:
            productions.append(self.mixed_text(state))
        state.fill(productions)
        return state

    def events(self, continuations: tuple[Continuation, ...]) -> tuple[dict[QName | None, _Event], bool]:
        events: dict[QName | None, _Event] = {}
        may_end = False
        for continuation in continuations:
            for step in expand(continuation):
                if step is None:
                    may_end = True
                    continue
                for alternative in alternatives(step.terminal, self.context):
                    event = events.setdefault(alternative.qname, _Event(step.terminal, alternative))
                    event.merge(step)
        return events, may_end

    def element(self, event: _Event) -> Production:
        field, (qname, cls) = event.terminal.field, event.alternative
        production = Production(tables.CHILD, qname)
        production.key = (field.attr, cls)
        production.bind(self.slots[field.attr])
        if field.scalar is not None:
            codec = self.context.codec(field.scalar)
            production.action = tables.FIXED if codec.width >= 0 else tables.VALUE
            production.key = field.attr
            production.carry(codec)
        elif cls is None:
            production.action = tables.WILDCARD
            production.key = (field.attr, AnyElement)
        else:
            production.kind = self.context.kind(cls)
        production.next = self.content_state(tuple(event.then))
        production.limit = event.limit
        if event.limit:
            production.full = self.content_state(tuple(event.full))
        return production

    def end(self) -> Production:
        production = Production(self.end_action)
        production.key = tables.END_KEY
        return production

    def mixed_text(self, state: State) -> Production:
        assert self.text is not None, "only called for mixed content"
        production = Production(tables.TEXT)
        production.key = (self.text.attr, str)
        production.bind(self.text)
        production.next = state
        return production


def _copy(original: Production) -> Production:
    copy = Production(original.action, original.qname)
    for name in Production.__slots__:
        setattr(copy, name, getattr(original, name))
    return copy
