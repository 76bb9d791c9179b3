"""No module-level mutable state: two chargers in one process must not meet."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from house import PACKAGES, Module, functions, modules

from tests.house.exceptions import MUTABLE_STATE

CONTAINERS = frozenset(
    [
        "list",
        "dict",
        "set",
        "bytearray",
        "deque",
        "defaultdict",
        "OrderedDict",
        "Counter",
        "WeakKeyDictionary",
        "WeakValueDictionary",
        "WeakSet",
    ]
)
MUTATORS = frozenset(
    [
        "append",
        "add",
        "update",
        "extend",
        "insert",
        "pop",
        "popitem",
        "popleft",
        "appendleft",
        "remove",
        "discard",
        "clear",
        "setdefault",
        "sort",
        "reverse",
    ]
)


def called(node: ast.expr) -> str:
    """The last part of the called name: `collections.deque(...)` -> deque."""
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).rpartition(".")[2].partition("[")[0]
    return ""


def is_mutable(value: ast.expr | None) -> bool:
    """Whether an expression makes a container that can change."""
    if isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp):
        return True
    return value is not None and called(value) in CONTAINERS


def assigned(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr | None, str]]:
    """(name, value, annotation) of the assignments of a module or class body."""
    for node in body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, node.value, ""
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node.value, ast.unparse(node.annotation)


def is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def unmarked(module: Module) -> Iterator[str]:
    """Containers of a module or class body that are not declared Final."""
    bodies = [("", module.tree.body)]
    bodies += [(f"{n.name}.", n.body) for n in ast.walk(module.tree) if isinstance(n, ast.ClassDef)]
    for prefix, body in bodies:
        for name, value, annotation in assigned(body):
            if is_mutable(value) and "Final" not in annotation and not is_dunder(name):
                yield f"{module.name}.{prefix}{name}"


def changed(module: Module) -> Iterator[str]:
    """Module-level containers that a function changes, and `global` statements."""
    constants = {name for name, value, _ in assigned(module.tree.body) if is_mutable(value)}
    for _, function in functions(module):
        for node in ast.walk(function):
            if isinstance(node, ast.Global):
                yield from (f"{module.name}.{name}" for name in node.names)
            elif (name := changed_name(node)) in constants:
                yield f"{module.name}.{name}"


def changed_name(node: ast.AST) -> str:
    """The plain name whose content `node` changes, or ""."""
    target: ast.AST | None = None
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        target = node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
        target = node.func.value
    return target.id if isinstance(target, ast.Name) else ""


def test_containers_are_constants() -> None:
    wrong = [name for m in modules(*PACKAGES) for name in unmarked(m) if name not in MUTABLE_STATE]
    assert not wrong, f"annotate as Final, or keep the state in an object: {wrong}"


def test_constants_are_never_changed() -> None:
    wrong = sorted({name for m in modules(*PACKAGES) for name in changed(m) if name not in MUTABLE_STATE})
    assert not wrong, f"functions change module-level objects: {wrong}"


def test_exceptions_are_still_needed() -> None:
    found = {name for m in modules(*PACKAGES) for name in (*unmarked(m), *changed(m))}
    assert not set(MUTABLE_STATE) - found
