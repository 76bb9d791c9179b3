"""What the source tree says about itself, read without importing it: modules, functions, requirements.

Used by the house tests and by the generated pages of the manual.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("iso15118", "hal", "certs")

REQUIREMENT: Final = re.compile(r"V2G\d*(?:-[A-Z]{2})?-(?:[AM]\d\d-)?\d+")
"""A requirement id, for example V2G20-460 or V2G-DC-500."""
_CITED: Final = re.compile(rf"\[({REQUIREMENT.pattern})\]")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name, path below the root, text and syntax tree."""

    name: str
    path: str
    text: str
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        """Whether this is the `__init__` of a package."""
        return self.path.endswith("__init__.py")

    @property
    def lines(self) -> int:
        """Length in lines."""
        return self.text.count("\n")


@dataclass(frozen=True)
class Place:
    """Where something is said: file below the root, line, and the function or class around it."""

    path: str
    line: int
    name: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """All Python files below these folders of the project, in order of path."""
    found = sorted(p for folder in folders for p in (ROOT / folder).rglob("*.py") if "_build" not in p.parts)
    return tuple(_load(p) for p in found)


def _load(path: Path) -> Module:
    below = path.relative_to(ROOT)
    parts = below.with_suffix("").parts
    text = path.read_text(encoding="utf-8")
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Module(name, below.as_posix(), text, ast.parse(text, filename=below.as_posix()))


def functions(module: Module) -> Iterator[tuple[str, Function]]:
    """Every function of a module with its qualified name, nested ones included."""
    yield from _walk(module.tree, "")


def _walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
    for child in ast.iter_child_nodes(node):
        inner = prefix
        if isinstance(child, Function | ast.ClassDef):
            inner = f"{prefix}.{child.name}" if prefix else child.name
        if isinstance(child, Function):
            yield inner, child
        yield from _walk(child, inner)


def requirements_cited() -> dict[str, list[Place]]:
    """Requirement ids written as `[V2G20-nnn]` in the code, and where."""
    cited: dict[str, list[Place]] = {}
    for module in modules(*PACKAGES):
        for number, line in enumerate(module.text.splitlines(), start=1):
            for match in _CITED.finditer(line):
                cited.setdefault(match.group(1), []).append(Place(module.path, number))
    return cited


def requirements_tested() -> dict[str, list[Place]]:
    """Requirement ids in `pytest.mark.req("...")` of the tests, and where.

    The mark may stand on a test, on a class, in a `pytestmark` or in a `pytest.param`.
    """
    tested: dict[str, list[Place]] = {}
    for module in modules("tests"):
        for name, call in _mark_calls(module.tree, ""):
            for arg in call.args:
                if isinstance(arg, ast.Constant) and isinstance(arg.value, str):
                    tested.setdefault(arg.value, []).append(Place(module.path, call.lineno, name))
    return tested


def _mark_calls(node: ast.AST, owner: str) -> Iterator[tuple[str, ast.Call]]:
    for child in ast.iter_child_nodes(node):
        name = owner
        if isinstance(child, Function | ast.ClassDef):
            name = f"{owner}.{child.name}" if owner else child.name
        if isinstance(child, ast.Call) and ast.unparse(child.func) == "pytest.mark.req":
            yield name, child
        yield from _mark_calls(child, name)
