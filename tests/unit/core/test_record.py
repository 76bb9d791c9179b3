"""Frozen value classes with shared methods behave like frozen dataclasses."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from iso15118.exi.schema import Group, Integer, Occurs
from iso15118.messages.iso20.types import DisplayParameters, RationalNumber
from iso15118.record import value_class

RATIONAL = RationalNumber(exponent=-1, value=5)


def test_values_compare_hash_and_show_their_fields() -> None:
    assert RATIONAL == RationalNumber(exponent=-1, value=5) != RationalNumber(exponent=0, value=5)
    assert len({RATIONAL, RationalNumber(exponent=-1, value=5)}) == 1
    assert object() != RATIONAL
    assert repr(RATIONAL) == "RationalNumber(exponent=-1, value=5)"
    assert Integer("byte", 0, 1) != Integer("short", 0, 1)


@value_class
class Nothing:
    """No field."""


@value_class
class Single:
    """One field."""

    value: int


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (Nothing(), Nothing(), Single(1)),
        (Single(1), Single(1), Single(2)),
        (Occurs(1, 2), Occurs(1, 2), Occurs(1, 3)),
    ],
)
def test_equal_by_their_fields_however_many(one: Any, same: Any, other: Any) -> None:
    assert one == same
    assert hash(one) == hash(same)
    assert one != other


@pytest.mark.parametrize("value", [RATIONAL, Integer("byte", 0, 1), Group("choice", ("a", "b"))])
def test_values_are_frozen_copied_and_pickled(value: Any) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.value = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        del value.value
    assert copy.deepcopy(value) == value
    assert pickle.loads(pickle.dumps(value)) == value
    assert dataclasses.replace(value) == value


def test_fields_by_name_and_by_position() -> None:
    assert Occurs(1, 2) == Occurs(minimum=1, maximum=2) == Occurs(1, maximum=2)
    assert Occurs() == Occurs(0, None)
    assert DisplayParameters().present_soc is None


RATIONAL_CLASS: Any = RationalNumber
OCCURS_CLASS: Any = Occurs
INTEGER_CLASS: Any = Integer


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: RATIONAL_CLASS(exponent=1), "RationalNumber needs 'value'"),
        (lambda: RATIONAL_CLASS(exponent=1, value=1, unit="V"), "RationalNumber has no field 'unit'"),
        (lambda: RATIONAL_CLASS(1, 2), "positional"),
        (lambda: OCCURS_CLASS(1, 2, 3), "Occurs has 2 fields, 3 given"),
        (lambda: OCCURS_CLASS(1, minimum=2), "'minimum' is given twice"),
        (INTEGER_CLASS, "Integer needs 'builtin'"),
    ],
)
def test_wrong_arguments(make: Any, reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        make()
