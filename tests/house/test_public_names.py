"""The public face: every promised name exists where the lazy table and the packaging say."""

from __future__ import annotations

import ast
import importlib
import tomllib
from pathlib import Path
from typing import Any

import pytest
from house import ROOT, modules

import iso15118

METADATA: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize("name", iso15118.__all__)
def test_public_name_resolves(name: str) -> None:
    value = getattr(iso15118, name)
    home = iso15118._HOME[name]
    # The words of the hardware layer are declared there and spoken here.
    assert value.__module__ in (home, "hal.types"), f"{name} is defined in {value.__module__}"
    assert getattr(importlib.import_module(home), name) is value
    assert value.__doc__


def test_table_and_all_agree() -> None:
    assert set(iso15118.__all__) == set(iso15118._HOME)
    assert set(iso15118.__all__) <= set(dir(iso15118))


def test_type_checkers_see_the_same_names() -> None:
    module = next(m for m in modules("iso15118") if m.name == "iso15118")
    block = next(n for n in module.tree.body if isinstance(n, ast.If))
    seen = {
        alias.name: str(n.module) for n in block.body if isinstance(n, ast.ImportFrom) for alias in n.names
    }
    assert seen == dict(iso15118._HOME)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Chargr'"):
        _ = iso15118.Chargr  # type: ignore[attr-defined]


@pytest.mark.parametrize("package", ["iso15118", "hal", "certs"])
def test_package_is_typed(package: str, project: Path) -> None:
    assert (project / package / "py.typed").is_file()


def entry_points() -> list[str]:
    """Every "module:attribute" and "module" that the packaging promises."""
    groups = METADATA.get("entry-points", {}).values()
    return [*METADATA.get("scripts", {}).values(), *(value for group in groups for value in group.values())]


@pytest.mark.parametrize("target", entry_points())
def test_entry_point_exists(target: str) -> None:
    module, _, attribute = target.partition(":")
    found = importlib.import_module(module)
    assert not attribute or callable(getattr(found, attribute))
