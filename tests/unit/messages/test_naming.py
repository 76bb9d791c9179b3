"""Python names and XML names: one rule, and exceptions only where the rule fails."""

from __future__ import annotations

import keyword
import re
import typing
from typing import Any

import pytest

from iso15118.exi.schema import V2GEnum, Xml, fields_of, info_of, xml_name
from iso15118.messages.iso20 import common, schedules
from tests.unit.messages import declared

CLASSES = declared.classes()
ENUMERATIONS = declared.enumerations()


@pytest.mark.parametrize(
    ("attr", "name"),
    [
        ("header", "Header"),
        ("session_id", "SessionID"),
        ("evseid", "EVSEID"),
        ("evcc_id", "EVCCID"),
        ("evse_present_voltage", "EVSEPresentVoltage"),
        ("ev_maximum_charge_power_l2", "EVMaximumChargePower_L2"),
        ("minimum_soc", "MinimumSOC"),
        ("ev_maximum_v2x_energy_request", "EVMaximumV2XEnergyRequest"),
        ("capacitive_energy_reading_varh", "CapacitiveEnergyReadingVARh"),
        ("charged_energy_reading_wh", "ChargedEnergyReadingWh"),
        ("supported_service_ids", "SupportedServiceIDs"),
        ("prioritized_emaids", "PrioritizedEMAIDs"),
        ("dso_cosphi_setpoint_value", "DSOCosPhiSetpointValue"),
        ("bpt_channel_selection", "BPT_ChannelSelection"),
        ("wpt_lf_data_package_list", "WPT_LF_DataPackageList"),
        ("dc_cpd_req_energy_transfer_mode", "DC_CPDReqEnergyTransferMode"),
        ("maximum_level_dc_injection", "MaximumLevelDCInjection"),
        ("j3072_certified", "J3072Certified"),
        ("ieee_1547_normal_category", "IEEE1547NormalCategory"),
    ],
)
def test_xml_name_follows_from_the_field_name(attr: str, name: str) -> None:
    assert xml_name(attr) == name


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: f"{c.__module__.rpartition('.')[2]}.{c.__name__}")
def test_explicit_names_are_needed_and_fields_are_snake_case(cls: type[Any]) -> None:
    hints = typing.get_type_hints(cls, include_extras=True)
    for field in fields_of(cls):
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", field.attr)
        assert not keyword.iskeyword(field.attr)
        explicit = [m.name for m in markers(hints[field.attr]) if isinstance(m, Xml)]
        assert xml_name(field.attr) not in explicit, f"{field.attr}: the rule gives this name anyway"


def markers(hint: Any) -> list[Any]:
    """Everything said about a type inside Annotated, at any depth."""
    own = list(getattr(hint, "__metadata__", ()))
    inner = [getattr(hint, "__origin__", None)] if own else list(typing.get_args(hint))
    return own + [m for part in inner if part is not None and part is not hint for m in markers(part)]


def test_messages_are_called_as_on_the_wire() -> None:
    wrong = [c for c in CLASSES if info_of(c).element and info_of(c).tag.lower() != c.__name__.lower()]
    assert not wrong


@pytest.mark.parametrize("members", ENUMERATIONS, ids=lambda e: e.__qualname__)
def test_enumeration_members_are_constants_named_after_their_value(members: type[V2GEnum]) -> None:
    for member in members:
        assert re.fullmatch(r"[A-Z][A-Z0-9_]*", member.name)
        assert re.sub(r"\W|_", "", member.name) == re.sub(r"\W|_", "", member.value).upper()
        assert str(member) == member.value


def test_members_are_not_lost_as_aliases() -> None:
    assert [e for e in ENUMERATIONS if len(e.__members__) != len(list(e))] == []


def test_common_offers_the_names_of_its_second_half() -> None:
    missing = [
        c.__name__ for c in declared.own_classes(schedules) if getattr(common, c.__name__, None) is not c
    ]
    assert not missing
