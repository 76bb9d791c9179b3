"""Every requirement the code says it fulfils is shown by a test."""

from __future__ import annotations

from house import REQUIREMENT, requirements_cited, requirements_tested

from tests.house.exceptions import UNTESTED_REQUIREMENTS


def test_cited_requirements_are_tested() -> None:
    tested = requirements_tested()
    missing = [
        f"{requirement}  cited at {', '.join(map(str, places))}"
        for requirement, places in sorted(requirements_cited().items())
        if requirement not in tested and requirement not in UNTESTED_REQUIREMENTS
    ]
    assert not missing, 'no test is marked @pytest.mark.req("...") for:\n' + "\n".join(missing)


def test_marks_name_requirements() -> None:
    odd = {
        name: str(places[0])
        for name, places in requirements_tested().items()
        if not REQUIREMENT.fullmatch(name)
    }
    assert not odd, f"not requirement ids: {odd}"


def test_exceptions_are_still_needed() -> None:
    needed = set(requirements_cited()) - set(requirements_tested())
    assert not set(UNTESTED_REQUIREMENTS) - needed
