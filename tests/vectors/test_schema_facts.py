"""Every declaration agrees with the schemas in both directions: nothing missing, nothing invented."""

from __future__ import annotations

from pathlib import Path

import pytest

from iso15118.exi.schema import fields_of, info_of
from tests.unit.messages import declared
from tests.vectors import xsd

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "schemas"
SCHEMAS = xsd.load(FOLDER) if FOLDER.is_dir() else None

pytestmark = [
    pytest.mark.vectors,
    pytest.mark.skipif(SCHEMAS is None, reason="no schemas: ../shared/schemas is not there"),
]

OUR_SIMPLE = declared.simple_types()
OUR_COMPLEX = declared.complex_types()
OUR_ELEMENTS = declared.elements()
THEIR_SIMPLE = xsd.prefixed(SCHEMAS.simple) if SCHEMAS else {}
THEIR_COMPLEX = xsd.prefixed(SCHEMAS.complex) if SCHEMAS else {}
THEIR_ELEMENTS = xsd.prefixed(SCHEMAS.elements) if SCHEMAS else {}


@pytest.mark.parametrize("name", sorted(OUR_SIMPLE | THEIR_SIMPLE))
def test_simple_type(name: str) -> None:
    """Built-in, facets, enumeration values in order; declared once."""
    assert SCHEMAS is not None
    assert name in THEIR_SIMPLE, "declared, but no schema has it"
    assert name in OUR_SIMPLE, "in the schemas, but not declared"
    (scalar,) = OUR_SIMPLE[name]
    assert declared.scalar_fact(scalar) == SCHEMAS.simple_fact(THEIR_SIMPLE[name])


@pytest.mark.parametrize("name", sorted(OUR_COMPLEX | THEIR_COMPLEX))
def test_complex_type(name: str) -> None:
    """Base, abstractness, attributes, and the whole content with inherited parts; declared once."""
    assert SCHEMAS is not None
    assert name in THEIR_COMPLEX, "declared, but no schema has it"
    assert name in OUR_COMPLEX, "in the schemas, but not declared"
    (cls,) = OUR_COMPLEX[name]
    assert declared.type_facts(cls) == SCHEMAS.type_facts(THEIR_COMPLEX[name])


@pytest.mark.parametrize("name", sorted(OUR_ELEMENTS | THEIR_ELEMENTS))
def test_global_element(name: str) -> None:
    """Type, abstractness, substitution group; declared once."""
    assert SCHEMAS is not None
    assert name in THEIR_ELEMENTS, "declared, but no schema has it"
    assert name in OUR_ELEMENTS, "in the schemas, but not declared"
    (cls,) = OUR_ELEMENTS[name]
    assert declared.element_facts(cls) == SCHEMAS.element_facts(THEIR_ELEMENTS[name])


def test_the_schemas_were_read_to_their_end() -> None:
    """An empty side would make every test above pass; the sizes are those of the schema files."""
    assert (len(THEIR_SIMPLE), len(THEIR_COMPLEX), len(THEIR_ELEMENTS)) == (74, 265, 127)


def test_other_classes_are_alternatives_of_a_choice() -> None:
    """A class that is neither a schema type of its own nor a global element only names an alternative."""
    known = {
        cls for found in (OUR_COMPLEX, OUR_ELEMENTS) for declared_as in found.values() for cls in declared_as
    }
    used = {c for cls in declared.classes() for f in fields_of(cls) if f.is_choice for c in f.classes}
    others = [cls for cls in declared.classes() if cls not in known]
    assert [cls.__name__ for cls in others if cls not in used] == []
    added = [cls.__name__ for cls in others if declared.is_same_type(cls) and info_of(cls).own_fields]
    assert added == []
