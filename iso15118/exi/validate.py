"""What a message breaks of its schema, without encoding it: bounds, lengths, counts and types.

Decoding does not enforce facets: real peers break some, and an answer may still be due.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from iso15118.exi.options import MAX_DEPTH
from iso15118.exi.scalars import codec_for
from iso15118.exi.schema import AnyElement, Field, Scalar, fields_of, info_of


@dataclass(frozen=True, slots=True)
class Violation:
    """A value that breaks its schema: `path` from the root down, `reason` in plain words."""

    path: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return f"{'/'.join(self.path)}: {self.reason}"


def validate(value: Any) -> tuple[Violation, ...]:
    """All violations in a message or part of one, in document order; empty if it is valid.

    The order of elements in hand-written content models (XML Signature key data) is left to the encoder.
    """
    if not _is_declared(value):
        return (Violation((), f"a declared type expected, not {type(value).__name__}"),)
    return tuple(_element(value, (info_of(value.__class__).tag,), 1))


def _is_declared(value: Any) -> bool:
    return "__schema__" in value.__class__.__dict__


def _element(value: Any, path: tuple[str, ...], depth: int) -> Iterator[Violation]:
    if depth > MAX_DEPTH:
        yield Violation(path, f"more than {MAX_DEPTH} elements inside one another")
        return
    if info_of(value.__class__).abstract:
        yield Violation(path, "an abstract type; one of its substitutes is needed")
    loose = info_of(value.__class__).content is not None
    for field in fields_of(value.__class__):
        yield from _field(field, getattr(value, field.attr), path, depth, loose)


def _field(field: Field, item: Any, path: tuple[str, ...], depth: int, loose: bool) -> Iterator[Violation]:
    if field.is_list:
        yield from _list(field, item, path, depth)
    elif item is None:
        if field.minimum and not loose:
            yield Violation((*path, field.name), "mandatory, but None")
    else:
        yield from _item(field, item, (*path, _label(field, item)), depth)


def _list(field: Field, items: Any, path: tuple[str, ...], depth: int) -> Iterator[Violation]:
    here = (*path, field.name)
    if not isinstance(items, (tuple, list)):
        yield Violation(here, f"tuple expected, not {type(items).__name__}")
        return
    count = sum(not (field.text and isinstance(item, str)) for item in items)
    if count < field.minimum:
        yield Violation(here, f"{count} items, at least {field.minimum} needed")
    if field.maximum is not None and count > field.maximum:
        yield Violation(here, f"{count} items, at most {field.maximum} allowed")
    for index, item in enumerate(items):
        yield from _item(field, item, (*path, f"{_label(field, item)}[{index}]"), depth)


def _item(field: Field, item: Any, path: tuple[str, ...], depth: int) -> Iterator[Violation]:
    if field.scalar is not None:
        yield from _scalar(field.scalar, item, path)
    elif field.text and isinstance(item, str):
        return
    elif isinstance(item, AnyElement):
        if not field.any:
            yield Violation(path, "no foreign element may stand here")
    elif not _is_declared(item):
        wanted = " or ".join(cls.__name__ for cls in field.classes)
        shown = "nothing (None)" if item is None else type(item).__name__
        yield Violation(path, f"{wanted} expected, not {shown}")
    elif not field.any and not _fits(field, item):
        wanted = " or ".join(cls.__name__ for cls in field.classes)
        yield Violation(path, f"{wanted} expected, not {type(item).__name__}")
    else:
        yield from _element(item, path, depth + 1)


def _fits(field: Field, item: Any) -> bool:
    """Whether an object's class, or a base of it, is one the field declares."""
    return isinstance(item, field.classes) or any(issubclass(cls, type(item)) for cls in field.classes)


def _scalar(scalar: Scalar, value: Any, path: tuple[str, ...]) -> Iterator[Violation]:
    reason = codec_for(scalar).violation(value)
    if reason:
        yield Violation(path, reason)


def _label(field: Field, item: Any) -> str:
    """The element name of an item: its own in choices and substitution groups."""
    if field.scalar is None and _is_declared(item) and (field.is_choice or field.is_reference):
        return info_of(item.__class__).tag
    return field.name
