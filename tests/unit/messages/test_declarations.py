"""What every declared class promises: immutable, described, and unchanged unless on purpose."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from pathlib import Path
from typing import Any

import pytest

from iso15118.exi.schema import V2GEnum, fields_of
from iso15118.messages.iso20.dc import DC_ChargeLoopReq
from iso15118.messages.iso20.types import RationalNumber
from tests.unit.messages import declared

PINNED = Path(__file__).with_name("declared_facts.txt")
CLASSES = declared.classes()


def name_of(cls: type[Any]) -> str:
    return f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}"


@pytest.mark.parametrize("cls", CLASSES, ids=name_of)
def test_instances_cannot_change(cls: type[Any]) -> None:
    blank = object.__new__(cls)
    assert not hasattr(blank, "__dict__"), "slots are missing"
    for field in dataclasses.fields(cls):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(blank, field.name, None)
        with pytest.raises(dataclasses.FrozenInstanceError):
            delattr(blank, field.name)
    lists = [f.attr for f in fields_of(cls) if f.is_list]
    defaults = {f.name: f.default for f in dataclasses.fields(cls)}
    assert all(defaults[attr] in ((), dataclasses.MISSING) for attr in lists)


def test_a_message_is_a_value() -> None:
    volts = RationalNumber(exponent=-1, value=4000)
    assert volts == RationalNumber(exponent=-1, value=4000)
    assert hash(volts) == hash(RationalNumber(exponent=-1, value=4000))
    with pytest.raises(dataclasses.FrozenInstanceError):
        volts.value = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        RationalNumber(-1, 4000)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="needs 'value'"):
        RationalNumber(exponent=-1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="no field 'unit'"):
        RationalNumber(exponent=-1, value=4000, unit="V")  # type: ignore[call-arg]
    assert volts != (-1, 4000)
    assert repr(volts) == "RationalNumber(exponent=-1, value=4000)"


def test_a_message_is_copied_and_pickled_like_any_value() -> None:
    volts = RationalNumber(exponent=-1, value=4000)
    assert pickle.loads(pickle.dumps(volts)) == copy.deepcopy(volts) == volts
    assert dataclasses.replace(volts, value=3) == RationalNumber(exponent=-1, value=3)
    assert dataclasses.asdict(volts) == {"exponent": -1, "value": 4000}


@pytest.mark.parametrize("cls", [*CLASSES, *declared.enumerations()], ids=name_of)
def test_docstring_says_something(cls: type[Any]) -> None:
    text = cls.__doc__ or ""
    first = text.strip().splitlines()[0]
    assert first.endswith(".")
    assert 10 < len(first) <= 100
    assert not text.startswith(f"{cls.__name__}("), "made by dataclass"
    assert ("TO" + "DO") not in text
    assert not any(text == base.__doc__ for base in cls.__mro__[1:]), "inherited"


@pytest.mark.parametrize("module", declared.declaring_modules(), ids=lambda m: m.__name__)
def test_module_says_which_set_it_is(module: Any) -> None:
    text = inspect.getdoc(module) or ""
    assert len(text) > 60
    namespaces = {cls.__schema__.namespace for cls in declared.own_classes(module)}
    assert namespaces == {module.NS}


def test_enumerations_name_their_schema_type() -> None:
    assert [e.__name__ for e in declared.enumerations() if not e.__schema_name__.endswith("Type")] == []
    assert not V2GEnum.__members__


def test_facts_of_a_message_in_full() -> None:
    """The inherited part first, in the order of the wire; written by hand."""
    assert declared.type_facts(DC_ChargeLoopReq) == [
        "extends ct:ChargeLoopReqType",
        "ct:Header ct:MessageHeaderType",
        "ct:DisplayParameters? ct:DisplayParametersType",
        "ct:MeterInfoRequested boolean",
        "EVPresentVoltage ct:RationalNumberType",
        "ct:CLReqControlMode (reference)",
    ]


def test_nothing_has_changed_unnoticed() -> None:
    """On purpose? `python -m tests.unit.messages.declared > tests/unit/messages/declared_facts.txt`."""
    assert declared.snapshot().splitlines() == PINNED.read_text(encoding="utf-8").splitlines()
