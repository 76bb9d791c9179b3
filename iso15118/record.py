"""Frozen value classes that are cheap to declare.

`dataclasses.dataclass(frozen=True)` compiles six methods per class, about a millisecond each time:
a quarter of a second for one protocol on a desktop, seconds on a controller board. Here the
methods are shared by all classes; fields, `replace`, `asdict` and pattern matching stay those of
`dataclasses`, and the type checkers see the same thing.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeVar, dataclass_transform

T = TypeVar("T")

_MISSING: Final = dataclasses.MISSING


def record(cls: type[T]) -> type[T]:
    """Make `cls` a frozen, slotted dataclass with keyword-only fields."""
    shape = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True, kw_only=True)
    kept: type[T] = _equip(shape(cls))
    return kept


@dataclass_transform(frozen_default=True)
def value_class(cls: type[T]) -> type[T]:
    """The same for small values of our own: fields may be given by position."""
    shape = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)
    made: Any = _equip(shape(cls))
    made.__init__ = _init_by_position
    kept: type[T] = made
    return kept


def _equip(made: Any) -> Any:
    made.__layout__ = tuple(
        (field.name, getattr(made, field.name).__set__, field.default) for field in dataclasses.fields(made)
    )
    made.__shown__ = tuple(field.name for field in dataclasses.fields(made) if field.repr)
    made.__values__ = _reader(tuple(name for name, _, _ in made.__layout__))
    for method in (_init, _repr, _eq, _hash, _setattr, _delattr, _reduce):
        setattr(made, f"__{method.__name__.strip('_')}__", method)
    return made


def _init_by_position(self: Any, *given: Any, **values: Any) -> None:
    if len(given) > len(self.__layout__):
        raise TypeError(f"{type(self).__name__} has {len(self.__layout__)} fields, {len(given)} given")
    for (name, _, _), item in zip(self.__layout__, given, strict=False):
        if name in values:
            raise TypeError(f"{type(self).__name__}: {name!r} is given twice")
        values[name] = item
    _init(self, **values)


def _init(self: Any, **values: Any) -> None:
    given = len(values)
    for name, put, default in self.__layout__:
        if name in values:
            put(self, values[name])
            given -= 1
        elif default is _MISSING:
            raise TypeError(f"{type(self).__name__} needs {name!r}")
        else:
            put(self, default)
    if given:
        known = {name for name, _, _ in self.__layout__}
        raise TypeError(f"{type(self).__name__} has no field {min(set(values) - known)!r}")


def _repr(self: Any) -> str:
    values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__shown__)
    return f"{type(self).__name__}({values})"


def _reader(names: tuple[str, ...]) -> Callable[[Any], Any]:
    """A function that gives the values of these fields, for comparing and hashing."""
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda self: tuple(getattr(self, name) for name in names)


def _eq(self: Any, other: object) -> Any:
    if type(self) is not type(other):
        return NotImplemented
    values = type(self).__values__  # type: ignore[attr-defined]
    return values(self) == values(other)


def _hash(self: Any) -> int:
    return hash(type(self).__values__(self))


def _setattr(self: Any, name: str, value: object) -> NoReturn:  # noqa: ARG001 - the signature is Python's
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: Any, name: str) -> NoReturn:  # noqa: ARG001
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _reduce(self: Any) -> tuple[Any, ...]:
    return _rebuild, (type(self), {name: getattr(self, name) for name, _, _ in self.__layout__})


def _rebuild(cls: type[Any], values: dict[str, Any]) -> Any:
    return cls(**values)
