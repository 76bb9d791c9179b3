"""Short functions, short files."""

from __future__ import annotations

import ast

from house import PACKAGES, Function, functions, modules

from tests.house.exceptions import LONG_FILES, LONG_FUNCTIONS

FUNCTION_LIMIT = 60
USUAL_FUNCTION = 30
FILE_LIMIT = 500
MESSAGES_LIMIT = 900


def body_lines(function: Function) -> int:
    """Lines from `def` to the end, without the docstring: explaining must not cost."""
    end = function.end_lineno or function.lineno
    first = function.body[0]
    docstring = 0
    if ast.get_docstring(function, clean=False) is not None:
        docstring = (first.end_lineno or first.lineno) - first.lineno + 1
    return end - function.lineno + 1 - docstring


def all_lengths() -> dict[str, int]:
    """Lines of every function of the product."""
    return {f"{m.name}.{name}": body_lines(f) for m in modules(*PACKAGES) for name, f in functions(m)}


def test_no_function_is_longer_than_a_screen() -> None:
    long = {name: n for name, n in all_lengths().items() if n > FUNCTION_LIMIT and name not in LONG_FUNCTIONS}
    assert not long, f"functions with more than {FUNCTION_LIMIT} lines: {long}"


def test_nine_of_ten_functions_are_short() -> None:
    lengths = sorted(all_lengths().values())
    share = sum(n <= USUAL_FUNCTION for n in lengths) / len(lengths)
    assert share >= 0.9, f"only {share:.0%} of {len(lengths)} functions have at most {USUAL_FUNCTION} lines"


def test_no_file_is_too_long() -> None:
    long = {}
    for module in modules(*PACKAGES, "tests", "docs/_ext", "examples", "bench"):
        limit = MESSAGES_LIMIT if module.path.startswith("iso15118/messages/") else FILE_LIMIT
        if module.lines > limit and module.path not in LONG_FILES:
            long[module.path] = module.lines
    assert not long, f"files longer than {FILE_LIMIT} lines (messages {MESSAGES_LIMIT}): {long}"


def test_exceptions_are_still_needed() -> None:
    lengths = all_lengths()
    short = [name for name in LONG_FUNCTIONS if lengths.get(name, 0) <= FUNCTION_LIMIT]
    files = {m.path: m.lines for m in modules(*PACKAGES, "tests", "docs/_ext", "examples", "bench")}
    small = [path for path in LONG_FILES if files.get(path, 0) <= FILE_LIMIT]
    assert not short + small, f"remove from tests/house/exceptions.py: {short + small}"
