"""Content models as algebra: from "what is declared" to "what may come next".

A content model is a particle. A *continuation* is the sequence of particles still to be matched;
`expand` lists what may come next in a continuation, in the order that gives the EXI event codes
(EXI 1.0 section 8.5.4.1). Bounded lists do not unroll: an `Open` particle offers the same
item again and again and leaves the counting to whoever walks the grammar.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from iso15118.exi.schema import Field, Group, fields_of, info_of
from iso15118.record import value_class

ANY = "*"
"""The alternative of a choice that is a wildcard."""


class Terminal:
    """One element of a field; `alternative` restricts a choice to one element name (or ANY).

    Compared by identity (cheap): a content model holds one object per field and alternative.
    """

    __slots__ = ("alternative", "field")

    def __init__(self, field: Field, alternative: str | None = None) -> None:
        self.field = field
        self.alternative = alternative


@value_class
class Sequence:
    """All parts, in order."""

    parts: tuple[Particle, ...]


@value_class
class Choice:
    """One of the parts."""

    parts: tuple[Particle, ...]


@value_class
class Repeat:
    """`part`, `minimum` to `maximum` times; None is unbounded."""

    part: Particle
    minimum: int
    maximum: int | None


@value_class
class Open:
    """The optional rest of a bounded list; `limit` items of the field make it full."""

    part: Terminal
    limit: int


Particle = Terminal | Sequence | Choice | Repeat | Open
Continuation = tuple[Particle, ...]


@value_class
class Step:
    """One possible next element: `then` is the continuation behind it, `full` behind the last one."""

    terminal: Terminal
    then: Continuation
    limit: int = 0
    full: Continuation = ()


def expand(continuation: Continuation) -> Iterator[Step | None]:
    """What may come next, in event code order; None stands for the end of the element."""
    return _expand(continuation, set())


def _expand(continuation: Continuation, seen: set[Continuation]) -> Iterator[Step | None]:
    if continuation in seen:
        return
    seen.add(continuation)
    if not continuation:
        yield None
        return
    head, rest = continuation[0], continuation[1:]
    match head:
        case Terminal():
            yield Step(head, rest)
        case Open(part, limit):
            yield Step(part, continuation, limit, rest)
            yield from _expand(rest, seen)
        case Sequence(parts):
            yield from _expand(parts + rest, seen)
        case Choice(parts):
            for branch in parts:
                yield from _expand((branch, *rest), seen)
        case Repeat():
            yield from _expand_repeat(head, rest, seen)


def _expand_repeat(head: Repeat, rest: Continuation, seen: set[Continuation]) -> Iterator[Step | None]:
    if head.minimum:
        again = None if head.maximum is None else head.maximum - 1
        yield from _expand((head.part, *_repeat(head.part, head.minimum - 1, again), *rest), seen)
        return
    if head.maximum is None:
        yield from _expand((head.part, head, *rest), seen)
    elif head.maximum:
        yield from _expand((head.part, *_repeat(head.part, 0, head.maximum - 1), *rest), seen)
    yield from _expand(rest, seen)


def _repeat(part: Particle, minimum: int, maximum: int | None) -> Continuation:
    """`part` again, normalised: nothing, once, an open list or a general repetition."""
    if maximum == 0:
        return ()
    if minimum == 0 and maximum is not None and maximum > 1 and isinstance(part, Terminal):
        assert part.field.maximum is not None, "a bounded list has a bounded field"
        return (Open(part, part.field.maximum),)
    return (part,) if minimum == maximum == 1 else (Repeat(part, minimum, maximum),)


# --- from a declaration -----------------------------------------------------------------------


def content_of(cls: type[Any]) -> Continuation:
    """The content model of a class: its hand-written one, or all element fields in order."""
    fields = {f.attr: f for f in fields_of(cls) if f.kind == "element"}
    group = info_of(cls).content
    if group is None:
        return tuple(p for f in fields.values() for p in _repeat(Terminal(f), f.minimum, f.maximum))
    terminals: dict[str, Terminal] = {}
    return (_group(group, fields, terminals),)


def _group(group: Group, fields: dict[str, Field], terminals: dict[str, Terminal]) -> Particle:
    parts = tuple(
        _group(part, fields, terminals) if isinstance(part, Group) else _part(part, fields, terminals)
        for part in group.parts
    )
    body: Particle = Choice(parts) if group.kind == "choice" else Sequence(parts)
    return body if group.minimum == group.maximum == 1 else Repeat(body, group.minimum, group.maximum)


def _part(name: str, fields: dict[str, Field], terminals: dict[str, Terminal]) -> Particle:
    """A field named in a hand-written group.

    "items:Tag" is one alternative of a choice, exactly once; a list occurs as its field says; any
    other field exactly once (optional parts are written as groups).
    """
    attr, _, alternative = name.partition(":")
    field = fields[attr]
    terminal = terminals.setdefault(name, Terminal(field, alternative or None))
    if field.is_list and not alternative:
        return Sequence(_repeat(terminal, field.minimum, field.maximum))
    return terminal
