"""The conformance page of the manual: requirements cited in the code against tests that show them."""

from __future__ import annotations

from collections.abc import Iterator

from house import Place, requirements_cited, requirements_tested


def page() -> str:
    """The page as Markdown; the same tree always gives the same text."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    cited, tested = requirements_cited(), requirements_tested()
    known = sorted(set(cited) | set(tested), key=_order)
    yield "# Conformance"
    yield ""
    yield (
        f"{len(known)} requirements are named in this version: {len(cited)} by the code that fulfils "
        f"them, {len(tested)} by tests that show it. This is a record of what was looked at, not a claim "
        "to cover the standard. The page is written from the source: an id in square brackets in the "
        "code, and `@pytest.mark.req` on a test; an id in the code without a test fails the build's tests."
    )
    yield ""
    if not known:
        return
    yield "| requirement | code | tests |"
    yield "|---|---|---|"
    for requirement in known:
        yield f"| {requirement} | {_files(cited.get(requirement, []))} | {_tests(tested.get(requirement, []))} |"


def _order(requirement: str) -> tuple[str, int]:
    family, _, number = requirement.rpartition("-")
    return family, int(number)


def _files(places: list[Place]) -> str:
    # No line numbers: they would change the page with every unrelated edit.
    return ", ".join(f"`{path}`" for path in sorted({place.path for place in places})) or "none"


def _tests(places: list[Place]) -> str:
    names = {f"`{place.path.removeprefix('tests/')}` {place.name}".rstrip() for place in places}
    return "<br>".join(sorted(names)) or "none"
