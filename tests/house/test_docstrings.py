"""Public things say what they are for; nothing is left to be done."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from house import PACKAGES, Function, Module, modules

# Spelled in pieces, so that this file passes its own test.
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX|HA" + r"CK)\b")


def public_definitions(module: Module) -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """Public functions, classes and methods of a module."""
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name, node
        if isinstance(node, Function) and not node.name.startswith("_") and not is_overload(node):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for inner in node.body:
                if isinstance(inner, Function) and not inner.name.startswith("_") and not is_overload(inner):
                    yield f"{node.name}.{inner.name}", inner


def described_methods() -> dict[str, set[str]]:
    """Class name -> methods that it or a base of it describes, over the whole product."""
    classes = [n for m in modules(*PACKAGES) for n in ast.walk(m.tree) if isinstance(n, ast.ClassDef)]
    described = {
        c.name: {f.name for f in c.body if isinstance(f, Function) and ast.get_docstring(f)} for c in classes
    }
    for _ in range(4):  # deep enough for any inheritance here
        for cls in classes:
            for base in bases(cls):
                described[cls.name] |= described.get(base, set())
    return described


def bases(cls: ast.ClassDef) -> list[str]:
    """The names of the base classes, without module and type parameters."""
    return [ast.unparse(b).partition("[")[0].rpartition(".")[2] for b in cls.bases]


def is_overload(function: Function) -> bool:
    """Whether only the types of a function are repeated here."""
    return any(ast.unparse(d).endswith(("overload", ".setter", "override")) for d in function.decorator_list)


@pytest.mark.parametrize("module", modules(*PACKAGES), ids=lambda m: m.path)
def test_module_says_what_it_is_for(module: Module) -> None:
    docstring = ast.get_docstring(module.tree) or ""
    least = 30 if module.is_package else 15
    assert len(docstring) >= least, f"{module.path} needs a docstring that says what it is for"


def test_public_definitions_are_described() -> None:
    described = described_methods()
    silent = []
    for module in modules(*PACKAGES):
        for name, definition in public_definitions(module):
            owner, _, method = name.rpartition(".")
            if not ast.get_docstring(definition) and method not in described.get(owner, ()):
                silent.append(f"{module.path}:{definition.lineno} {name}")
    assert not silent, "no docstring:\n" + "\n".join(silent)


def test_nothing_is_left_to_be_done() -> None:
    """A missing part is an error with a clear message, or an issue, never a note in the code."""
    wrong = [
        f"{m.path}:{number}"
        for m in modules(*PACKAGES, "tests", "docs/_ext", "examples", "bench")
        for number, line in enumerate(m.text.splitlines(), start=1)
        if UNFINISHED.search(line)
    ]
    assert not wrong, wrong
