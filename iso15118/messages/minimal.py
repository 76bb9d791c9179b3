"""The smallest schema-valid instance of a declared type.

A refusal must be schema-valid although its contents do not count [V2G20-736]; tests use it too.
"""

from __future__ import annotations

from typing import Any, TypeVar

from iso15118.exi.schema import Binary, Boolean, Enumeration, Field, Integer, Text, fields_of

T = TypeVar("T")


def minimal(cls: type[T], **given: Any) -> T:
    """An instance of `cls` with `given` fields, every other mandatory field at its lowest value.

    Lowest: numbers at their minimum or 0, false, the first enumeration member, empty text, zero
    octets of the shortest length, the first alternative of a choice.
    """
    values = dict(given)
    for field in fields_of(cls):
        if field.attr not in values and field.minimum:
            one = _lowest(field)
            values[field.attr] = (one,) * field.minimum if field.is_list else one
    return cls(**values)


def _lowest(field: Field) -> Any:
    match field.scalar:
        case None:
            return minimal(field.classes[0])
        case Boolean():
            return False
        case Integer(minimum=low):
            return low if low is not None and low > 0 else 0
        case Text():
            return ""
        case Binary(min_length=length):
            return bytes(length or 0)
        case Enumeration(members=members):
            return next(iter(members))
