"""Protocol Buffers for flat messages, from tables: what small boards speak, without generated code.

    PWM = Message({"duty": Field(103, Kind.UINT)}, oneof=frozenset({"duty"}))
    encode(PWM, duty=500)       # B8 06 F4 03

As of proto3: a field that is zero, false or empty is left out, except where it belongs to a `oneof`, which says
by its presence which message this is. Fields that are not in the table are skipped.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

_LONGEST_VARINT: Final = 10
_FIXED: Final = {1: 8, 5: 4}  # wire type -> octets


class Kind(enum.Enum):
    """Of a field; the value is its type on the wire."""

    UINT = (0, "uint")
    BOOL = (0, "bool")
    TEXT = (2, "text")
    MESSAGE = (2, "message")
    FLOAT = (5, "float")

    @property
    def wire(self) -> int:
        """Wire type."""
        return self.value[0]


class Field(NamedTuple):
    """Number and kind of a field; `message` is the table of a nested one."""

    number: int
    kind: Kind
    message: Message | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """Fields by name, in the order of their numbers; those of `oneof` are sent even when they are zero."""

    fields: Mapping[str, Field] = field(default_factory=dict)
    oneof: frozenset[str] = frozenset()


def flat(kind: Kind, **numbers: int) -> dict[str, Field]:
    """Fields of one kind: `flat(Kind.FLOAT, voltage=1, current=2)`."""
    return {name: Field(number, kind) for name, number in numbers.items()}


def encode(message: Message, values: Mapping[str, Any]) -> bytes:
    """The octets of a message. KeyError for a name that is not in the table."""
    out = bytearray()
    unknown = values.keys() - message.fields.keys()
    if unknown:
        raise KeyError(f"no field {', '.join(sorted(unknown))}")
    for name, (number, kind, nested) in message.fields.items():
        if name in values and (values[name] or name in message.oneof):
            out += _varint(number << 3 | kind.wire) + _content(kind, nested, values[name])
    return bytes(out)


def decode(message: Message, data: bytes) -> dict[str, Any]:
    """The fields that are present. ValueError for what is no such message."""
    known = {entry.number: (name, entry) for name, entry in message.fields.items()}
    found: dict[str, Any] = {}
    position = 0
    while position < len(data):
        key, position = _read_varint(data, position)
        wire = key & 7
        raw, position = _read_raw(data, position, wire)
        name, entry = known.get(key >> 3, ("", None))
        if entry is None:
            continue
        if entry.kind.wire != wire:
            raise ValueError(f"field {key >> 3} has wire type {wire}")
        found[name] = _value(entry, raw)
    return found


def _content(kind: Kind, nested: Message | None, value: Any) -> bytes:
    if kind is Kind.FLOAT:
        return struct.pack("<f", value)
    if kind.wire == 0:
        return _varint(int(value))
    body = value.encode() if kind is Kind.TEXT else encode(nested or Message(), value)
    return _varint(len(body)) + body


def _value(entry: Field, raw: Any) -> Any:
    if entry.kind is Kind.FLOAT:
        return struct.unpack("<f", raw)[0]
    if entry.kind is Kind.TEXT:
        return raw.decode(errors="replace")
    if entry.kind is Kind.MESSAGE:
        return decode(entry.message or Message(), raw)
    return bool(raw) if entry.kind is Kind.BOOL else raw


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for count, octet in enumerate(data[position : position + _LONGEST_VARINT]):
        value |= (octet & 0x7F) << 7 * count
        if octet < 0x80:
            return value, position + count + 1
    raise ValueError(f"a number without an end at octet {position}")


def _read_raw(data: bytes, position: int, wire: int) -> tuple[Any, int]:
    """A number, or the octets of anything else."""
    if wire == 0:
        return _read_varint(data, position)
    if wire == 2:
        length, position = _read_varint(data, position)
    elif wire in _FIXED:
        length = _FIXED[wire]
    else:
        raise ValueError(f"wire type {wire} at octet {position}")
    if position + length > len(data):
        raise ValueError(f"a field is cut short at octet {position}")
    return data[position : position + length], position + length
