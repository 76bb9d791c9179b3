"""Who imports what: the sans-IO rule of floors 0-4, the free-standing packages, a light `import iso15118`."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import Module, modules

# Rooms of floors 5-7; everything else in the stack decides and therefore does no I/O.
UPPER_ROOMS = ("iso15118.runtime", "iso15118.sim", "iso15118.trace", "iso15118.cli")

FORBIDDEN_BELOW = frozenset(
    [
        "asyncio",
        "concurrent",
        "datetime",
        "logging",
        "multiprocessing",
        "queue",
        "random",
        "scapy",
        "secrets",
        "select",
        "selectors",
        "signal",
        "socket",
        "socketserver",
        "ssl",
        "subprocess",
        "threading",
        "time",
        "uuid",
    ]
)
# Reading a configuration file is a caller's convenience; everything else stays off the disk.
MAY_OPEN_FILES = frozenset({"iso15118.config"})
ACTS = ("open", "print", "input")
HEAVY = ("asyncio", "scapy", "asn1tools")


def imported(module: Module) -> set[str]:
    """Dotted names a module imports, anywhere in it: also inside functions and under TYPE_CHECKING."""
    names: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def needed_at_run_time(module: Module, known: frozenset[str]) -> set[str]:
    """Modules of the project that a module imports when it runs, also late, inside a function."""
    needed = set()
    for node in run_time_nodes(module.tree):
        if isinstance(node, ast.Import):
            needed |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            # `from package import module` needs the module; `from module import name` the module itself.
            needed |= below & known or {node.module}
    return needed & known - {module.name}


def run_time_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes except those under `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield child
            yield from run_time_nodes(child)


def top(name: str) -> str:
    """The first part of a dotted name."""
    return name.partition(".")[0]


def lower_floors() -> list[Module]:
    """The modules of floors 0-4 (the root package, which only names others, is not one of them)."""
    return [m for m in modules("iso15118") if m.name != "iso15118" and not m.name.startswith(UPPER_ROOMS)]


def test_deciding_code_does_no_io() -> None:
    wrong = {
        m.path: sorted(bad)
        for m in lower_floors()
        if (bad := {top(n) for n in imported(m)} & FORBIDDEN_BELOW)
    }
    assert not wrong, f"imports that floors 0-4 must not have: {wrong}"


@pytest.mark.parametrize("package", ["iso15118", "hal", "certs"])
def test_there_are_no_cycles(package: str) -> None:
    found = modules(package)
    known = frozenset(m.name for m in found)
    order = graphlib.TopologicalSorter({m.name: needed_at_run_time(m, known) for m in found})
    try:
        order.prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"each of these is imported by the next: {' -> '.join(error.args[1])}")


def test_deciding_code_does_not_open_files_or_print() -> None:
    wrong = [
        f"{module.path}:{node.lineno} {node.func.id}()"
        for module in lower_floors()
        if module.name not in MAY_OPEN_FILES
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ACTS
    ]
    assert not wrong, wrong


@pytest.mark.parametrize(
    ("package", "strangers"), [("hal", {"iso15118", "certs"}), ("certs", {"iso15118", "hal"})]
)
def test_package_stands_alone(package: str, strangers: set[str]) -> None:
    wrong = {m.path: bad for m in modules(package) if (bad := {top(n) for n in imported(m)} & strangers)}
    assert not wrong


def test_stack_knows_no_device() -> None:
    """Only the simulation and the command line may choose hardware; the rest sees protocols."""
    devices = ("hal.drivers", "hal.virtual")
    free = ("iso15118.sim", "iso15118.cli")
    wrong = [
        m.path
        for m in modules("iso15118")
        if not m.name.startswith(free) and any(n.startswith(devices) for n in imported(m))
    ]
    assert not wrong


def test_product_does_not_import_tests_or_tools() -> None:
    # The pytest plugin is a plugin of pytest.
    plugin = "iso15118.sim.pytest_plugin"
    banned = {"tests", "docs", "bench", "examples", "hypothesis", "pytest"}
    wrong = {
        m.path: bad
        for m in modules("iso15118", "hal", "certs")
        if m.name != plugin and (bad := {top(n) for n in imported(m)} & banned)
    }
    assert not wrong


def loaded_by(statement: str, project: Path) -> set[str]:
    """Names of the modules a fresh interpreter has loaded after `statement`."""
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=project, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_import_is_light(project: Path) -> None:
    loaded = loaded_by("import iso15118", project)
    assert not loaded & {*HEAVY, "iso15118.messages", "dataclasses"}


def test_deciding_code_loads_no_event_loop(project: Path) -> None:
    """Not even through somebody else's module: all of floors 0-4 together, in a fresh interpreter."""
    statement = "\n".join(f"import {m.name}" for m in lower_floors())
    assert not loaded_by(statement, project) & set(HEAVY)
