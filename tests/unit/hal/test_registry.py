"""Every name of the registry leads to a factory, without an optional package being loaded."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from typing import Any

import pytest

from hal import registry
from hal.bundle import EvHardware, EvseHardware
from hal.errors import HalError, Kind
from hal.registry import BOARDS, BUSES, DRIVERS

ALL = {**DRIVERS, **BOARDS, **BUSES}
ROLES = {field.name for bundle in (EvseHardware, EvHardware) for field in fields(bundle)}
URLS: dict[str, dict[str, Any]] = {"linux-board": {"contactor": {"coil": "C", "mirror": "M"}}}


@pytest.mark.parametrize("name", ALL)
def test_a_name_leads_to_a_factory(name: str) -> None:
    table = next(table for table in (DRIVERS, BOARDS, BUSES) if name in table)
    assert callable(registry._factory(table, "none", "driver", name))


@pytest.mark.parametrize("name", BOARDS)
def test_boards_give_roles(name: str) -> None:
    devices = registry.make_board(name, **URLS.get(name, {"url": "serial:///dev/ttyS9"}))
    assert devices
    assert devices.keys() <= ROLES


def test_no_optional_package_is_loaded() -> None:
    code = (
        "import importlib, sys; from hal import build, registry as r\n"
        "for table in (r.DRIVERS, r.BOARDS, r.BUSES):\n"
        "    [importlib.import_module(target.partition(':')[0]) for target in table.values()]\n"
        "print(sorted({'can', 'gpiod', 'serial'} & sys.modules.keys()))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (registry.make, {}, "infypower: configuration: it needs url"),
        (registry.make, {"url": "can://can0", "modul": 1}, r"unknown option modul\. Did you mean modules\?"),
        (registry.make, {"url": "can://can0", "modules": 5}, "infypower: configuration"),
        (registry.make_board, {}, "infypower: configuration: no such board"),
        (registry.make_bus, {}, r"infypower: configuration: no such bus\. Known: modbus"),
    ],
)
def test_mistakes(make: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(HalError, match=message) as caught:
        make("infypower", **options)
    assert caught.value.kind is Kind.CONFIGURATION
