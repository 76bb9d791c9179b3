"""The compiled form of a grammar: what the encoder, the decoder and `explain` walk.

Plain records without behaviour, made by `grammar`. A `Kind` is the grammar of one class within
one schema set, a `State` one position in it, a `Production` one event that may occur there.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from iso15118.exi.bits import BitReader
from iso15118.exi.scalars import ScalarCodec
from iso15118.exi.schema import AnyElement, Field


class QName(NamedTuple):
    """An XML name. Sorts as EXI wants it: by local name, then by namespace."""

    name: str
    namespace: str


class Action(enum.IntEnum):
    """What an event means to the one who meets it."""

    FIXED = 0
    """SE, CH and EE of a simple element whose value takes a fixed number of bits."""
    VALUE = 1
    """The same with a value of varying length."""
    CHILD = 2
    """SE of an element with a grammar of its own."""
    END = 3
    """EE of this element."""
    ATTRIBUTE = 4
    CONTENT = 5
    """CH of a type with simple content."""
    TEXT = 6
    """CH in mixed content."""
    WILDCARD = 7
    """SE(*)"""
    ESCAPE = 8
    """The undeclared events of the second level follow."""
    UNASSIGNED = 9
    """No event has this code."""
    ABSTRACT = 10
    """EE of an abstract type, which no element can have."""


# The interpreter loops compare with plain integers: a member of an IntEnum costs a lookup more.
FIXED: Final = 0
VALUE: Final = 1
CHILD: Final = 2
END: Final = 3
ATTRIBUTE: Final = 4
CONTENT: Final = 5
TEXT: Final = 6
WILDCARD: Final = 7
ESCAPE: Final = 8
UNASSIGNED: Final = 9
ABSTRACT: Final = 10


class Slot:
    """Access to one field of a class, past the frozen dataclass's guard."""

    __slots__ = ("attr", "field", "many", "put", "take")

    def __init__(self, cls: type[Any], field: Field) -> None:
        descriptor = getattr(cls, field.attr)
        self.attr = field.attr
        self.field = field
        self.many = field.is_list
        self.put: Callable[[Any, Any], None] = descriptor.__set__
        self.take: Callable[[Any], Any] = descriptor.__get__

    def add(self, target: Any, value: Any) -> int:
        """Append to the list being collected in this field; the number of its items so far."""
        items = self.take(target)
        if items:
            items.append(value)
            return len(items)
        self.put(target, [value])
        return 1


class Production:
    """An event of one state: its code, what it carries and where it leads."""

    __slots__ = (
        "action", "close_width", "code", "codec", "frame", "full", "key", "kind", "limit", "many", "mask", "next", "open_bits",
        "open_width", "put", "qname", "reads", "shift", "size", "slot", "solid", "values", "width",
    )  # fmt: skip

    def __init__(self, action: int, qname: QName | None = None) -> None:
        self.action = action
        self.qname = qname
        self.code = self.width = 0
        self.key: Any = None
        self.kind: Kind | None = None
        self.codec: ScalarCodec | None = None
        self.reads: Callable[[BitReader, int], tuple[Any, int]] | None = None
        self.slot: Slot | None = None
        self.put: Callable[[Any, Any], None] | None = None
        self.many = False
        self.solid = False  # a leaf of which no empty value exists
        self.next: State | None = None
        self.full: State | None = None
        self.limit = 0
        # Decoding a fixed leaf: CH, value and EE in one field; `frame` marks the CH and EE bits.
        self.shift = self.mask = self.frame = self.size = 0
        self.values: tuple[Any, ...] = ()
        # Encoding: the event code (of a simple element: and its CH bit), and the width of its EE.
        self.open_bits = self.open_width = self.close_width = 0

    @property
    def label(self) -> str:
        """The local name, for paths and tables."""
        return self.qname.name if self.qname else "*"

    def place(self, code: int, width: int) -> None:
        """Give the production its event code in its state."""
        self.code, self.width = code, width
        self.close_width = 1 if self.action in (FIXED, VALUE) else 0
        self.open_bits, self.open_width = code << self.close_width, width + self.close_width

    def bind(self, slot: Slot) -> None:
        """Tell into which field the value goes."""
        self.slot, self.many = slot, slot.many
        self.put = None if slot.many else slot.put

    def carry(self, codec: ScalarCodec) -> None:
        """Make it a leaf of a simple type."""
        self.codec = codec
        self.reads = codec.reads
        self.solid = codec.empty is None
        if self.action != ATTRIBUTE and codec.width >= 0:
            self.values = codec.values
            self.size = codec.width + 2
            self.shift = 64 - self.size
            self.mask = (1 << self.size) - 1
            self.frame = 1 << (codec.width + 1) | 1


class State:
    """A position in a grammar: the productions in event code order.

    `kind` is F (first state of an element), S (after an attribute) or C (content).
    """

    __slots__ = ("events", "kind", "productions", "row", "width")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.productions: tuple[Production, ...] = ()
        self.events: dict[Any, Production] = {}
        self.width = 0
        self.row: tuple[int, int, tuple[Production, ...]] = (64, 0, ())

    def fill(self, productions: list[Production]) -> None:
        """Number the productions; the first free code is the escape to the second level."""
        count = len(productions)
        self.productions = tuple(productions)
        self.width = count.bit_length()
        for code, production in enumerate(productions):
            production.place(code, self.width)
            self.events[production.key] = production
        escape = Production(ESCAPE)
        escape.place(count, self.width)
        spare = (1 << self.width) - count - 1
        unassigned = Production(UNASSIGNED)
        unassigned.place(count + 1, self.width)
        table = (*productions, escape, *(unassigned,) * spare)
        self.row = (64 - self.width, (1 << self.width) - 1, table)

    @property
    def may_end(self) -> bool:
        """Whether EE is declared here."""
        return END_KEY in self.events


END_KEY: Final = "/"
CONTENT_KEY: Final = "="


class Step:
    """One field as the encoder meets it: how to look up the event of each value."""

    __slots__ = (
        "any_key",
        "attr",
        "codec",
        "field",
        "form",
        "key",
        "name",
        "names",
        "required",
        "select",
        "text_key",
    )

    def __init__(self, field: Field, required: bool) -> None:
        self.field = field
        self.attr = field.attr
        self.name = field.name
        self.names: dict[type[Any], QName] = {}
        """Element name by class, for fields of complex type."""
        self.codec: ScalarCodec | None = None
        self.required = required
        self.form = _form(field)
        self.key: Any = CONTENT_KEY if self.form == CONTENT else field.attr
        self.select: dict[type[Any], Any] = {}
        self.any_key: Any = (field.attr, AnyElement) if field.any else None
        self.text_key: Any = (field.attr, str) if field.text else None


ITEMS: Final = 11
"""Step form: a list, whatever its items are. The other forms are ATTRIBUTE, CONTENT, VALUE, CHILD."""


def _form(field: Field) -> int:
    if field.is_list:
        return ITEMS
    if field.kind == "attribute":
        return ATTRIBUTE
    if field.kind == "content":
        return CONTENT
    return VALUE if field.scalar is not None else CHILD


class Kind:
    """The grammar of one class within one schema set; compiled when first needed."""

    __slots__ = (
        "_compile",
        "cls",
        "defaults",
        "fetch",
        "lists",
        "name",
        "new",
        "record",
        "start",
        "states",
        "steps",
    )

    def __init__(self, cls: type[Any], compile_kind: Callable[[Kind], State]) -> None:
        self.cls = cls
        self.name = cls.__name__
        self._compile = compile_kind
        self.start: State | None = None
        self.states: tuple[State, ...] = ()
        self.record: tuple[Production, ...] | None = None
        """The leaves of a type that is a plain sequence of mandatory simple elements."""
        self.defaults: tuple[tuple[Callable[[Any, Any], None], Any], ...] = ()
        self.lists: tuple[Slot, ...] = ()
        self.steps: tuple[Step, ...] = ()
        self.fetch: Callable[[Any], tuple[Any, ...]] = tuple
        self.new: Callable[[], Any] = cls

    def compiled(self) -> State:
        """The first state, compiled now if it was not."""
        if self.start is None:
            self.start = self._compile(self)
        return self.start
