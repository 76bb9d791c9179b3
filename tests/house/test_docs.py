"""The manual and the README say nothing that is not so."""

from __future__ import annotations

import ast
import doctest
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from house import ROOT

import iso15118

BLOCK = re.compile(r"^```(?P<language>python|pycon)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
FRAGMENT = re.compile(r"(\d+|\+[a-z0-9-]+)(\.\w+)?\.(added|changed|fixed|removed|security)\.md")


@dataclass(frozen=True)
class Block:
    """A code block of a page."""

    path: str
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


def pages() -> list[str]:
    """README and the hand-written pages, below the root."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    return sorted(p.relative_to(ROOT).as_posix() for p in found)


def blocks(language: str) -> list[Block]:
    """Code blocks of one language in all pages."""
    return [block for block in all_blocks() if block.language == language]


def all_blocks() -> Iterator[Block]:
    """Code blocks of all pages."""
    for path in pages():
        text = (ROOT / path).read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 2
            yield Block(path, line, match["language"], match["code"])


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_example_is_python_and_its_imports_exist(block: Block) -> None:
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree = compile(block.code, str(block), "exec", flags)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                __import__(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found = __import__(node.module, fromlist=[a.name for a in node.names])
            missing = [a.name for a in node.names if not hasattr(found, a.name)]
            assert not missing, f"{block}: {node.module} has no {missing}"


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_example_uses_public_names(block: Block) -> None:
    used = set(re.findall(r"\biso15118\.([a-z]+|[A-Z]\w+)\b(?=\()", block.code))
    assert not used - set(iso15118.__all__), f"{block}: not public: {used - set(iso15118.__all__)}"


@pytest.mark.parametrize("path", sorted({block.path for block in blocks("pycon")}))
def test_sessions_in_page_run(path: str) -> None:
    """The interactive sessions of one page, in order and in one interpreter."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    said: list[str] = []
    shared_names: dict[str, object] = {}
    for block in (b for b in blocks("pycon") if b.path == path):
        test = doctest.DocTestParser().get_doctest(block.code, shared_names, str(block), path, block.line)
        test.globs = shared_names  # the parser hands every block a copy
        doctest.DocTestRunner(optionflags=flags, verbose=False).run(test, out=said.append, clear_globs=False)
    assert not said, "".join(said)


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for path in pages():
        folder = (ROOT / path).parent
        for target in re.findall(r"\]\(([^)#\s]+)", (ROOT / path).read_text(encoding="utf-8")):
            elsewhere = "://" in target or target.startswith(("mailto:", "_generated/"))
            if not elsewhere and not (folder / target).exists():
                broken.append(f"{path}: {target}")
    assert not broken, broken


def test_changelog_fragments_have_proper_names() -> None:
    names = [p.name for p in (ROOT / "changelog.d").iterdir() if p.name not in (".gitkeep", "README.md")]
    odd = [name for name in names if not FRAGMENT.fullmatch(name)]
    assert not odd, f"want <issue>.<kind>.md: {odd}"
