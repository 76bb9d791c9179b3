"""The reference encodings in ../shared/vectors/exi: decoded, encoded, as XML and as JSON.

Each file is one test; what fails in it is listed together, by vector id.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from iso15118.errors import DecodeError
from iso15118.exi.as_json import from_json, to_json
from iso15118.exi.as_xml import from_xml, to_xml
from iso15118.exi.bits import BitReader, BitWriter
from iso15118.exi.codec import decode_detailed, encode
from iso15118.exi.explain import explain
from iso15118.exi.options import Options
from iso15118.exi.scalars import codec_for
from iso15118.exi.schema import Binary, Boolean, Enumeration, Integer, Text
from iso15118.messages.registry import SETS, schema_set

pytestmark = pytest.mark.vectors

GENERATED = (
    "sap",
    "iso20_cm",
    "iso20_ac",
    "iso20_dc",
    "iso20_wpt",
    "iso20_acdp",
    "xmldsig",
    "ac_der_iec",
    "ac_der_sae",
    "wpt-2",
    "acdp-2",
    "lists",
    "extra",
)
FOREIGN = ("captures", "peers")
OTHER_SERIALISER = ("ac_der_iec", "ac_der_sae", "wpt-2", "acdp-2")
"""Files whose `xml` has another order of namespace declarations and short empty tags."""

EMPTY_AS_END = Options(empty="ee", facets=False)
EMPTY_AS_CHARACTERS = Options(empty="ch", facets=False)

Vector = dict[str, Any]


def vectors(shared: Path, name: str) -> Iterator[Vector]:
    with (shared / "vectors" / "exi" / f"{name}.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            vector = json.loads(line)
            if vector.get("schema") in SETS:
                yield vector


def failures(found: Iterator[Vector], check: Callable[[Vector], str | None]) -> dict[str, str]:
    failed = {}
    count = 0
    for vector in found:
        count += 1
        try:
            reason = check(vector)
        except Exception as error:  # noqa: BLE001 - all are collected
            reason = f"{type(error).__name__}: {error}"
        if reason:
            failed[vector["id"]] = reason[:300]
    assert count, "no vector of a known schema set"
    return failed


def decoded(vector: Vector) -> Any:
    """What the vector's bits decode to; kept, as several checks ask."""
    if "decoded" not in vector:
        data, known = bytes.fromhex(vector["exi"]), schema_set(vector["schema"])
        vector["decoded"] = decode_detailed(data, known, fragment=vector["fragment"])
    return vector["decoded"]


def encoded(vector: Vector, value: Any, element: Any, options: Options) -> str:
    known = schema_set(vector["schema"])
    return encode(value, known, fragment=vector["fragment"], element=element, options=options).hex()


def check_decode_to_xml(vector: Vector) -> str | None:
    known, result = schema_set(vector["schema"]), decoded(vector)
    text, wanted = to_xml(result.value, known, element=result.element), vector["xml"]
    if vector["id"].split("-")[0] in ("iec", "sae", "wpt", "acdp"):
        text, wanted = ElementTree.canonicalize(text), ElementTree.canonicalize(wanted)
    return None if text == wanted else f"XML {text}"


def check_encode(vector: Vector) -> str | None:
    """From the XML and from the decoded object, in both spellings of empty values."""
    result = decoded(vector)
    value = from_xml(vector["xml"], schema_set(vector["schema"]))
    if value != result.value:
        return "XML and EXI give different objects"
    forms = [
        encoded(vector, value, result.element, options) for options in (EMPTY_AS_END, EMPTY_AS_CHARACTERS)
    ]
    missing = {vector["exi"], vector.get("exi_alt", vector["exi"])} - set(forms)
    return f"encoded as {forms}" if missing else None


def check_json(vector: Vector) -> str | None:
    known, result = schema_set(vector["schema"]), decoded(vector)
    data = json.loads(json.dumps(to_json(result.value, known, element=result.element)))
    return None if from_json(data, known) == result.value else f"JSON {data}"


def check_alternative(vector: Vector) -> str | None:
    """The spelling with zero-length characters, and the report of which one was met."""
    if "exi_alt" not in vector:
        return None
    known, first = schema_set(vector["schema"]), decoded(vector)
    second = decode_detailed(bytes.fromhex(vector["exi_alt"]), known, fragment=vector["fragment"])
    if second.value != first.value:
        return "the two spellings differ"
    return None if (first.empty, second.empty) == ("ee", "ch") else f"met {first.empty} and {second.empty}"


CHECKS = (check_decode_to_xml, check_encode, check_json, check_alternative)


def check_all(vector: Vector) -> str | None:
    return next((f"{check.__name__}: {reason}" for check in CHECKS if (reason := check(vector))), None)


@pytest.mark.parametrize("name", GENERATED + FOREIGN)
def test_decodes_and_encodes(shared: Path, name: str) -> None:
    """To the same XML text and back from it, to the same bits, through JSON, in both spellings."""
    assert failures(vectors(shared, name), check_all) == {}


def test_reads_full_lists_of_collapsed_grammars(shared: Path) -> None:
    """Josev's pre-compiled grammars write loop codes behind the last item of 16 large lists."""
    checked = 0
    for vector in vectors(shared, "lists"):
        if "josev_jar" not in vector or not re.fullmatch("[0-9a-f]+", str(vector["josev_jar"])):
            continue
        checked += 1
        known = schema_set(vector["schema"])
        value = decoded(vector).value
        looped = encoded(vector, value, None, Options(full_list="loop", empty="ee", facets=False))
        assert looped == vector["josev_jar"], vector["id"]
        result = decode_detailed(bytes.fromhex(looped), known, options=Options(full_list="loop"))
        assert result.value == value, vector["id"]
    assert checked


# --- input that is broken or odd --------------------------------------------------------------


def without_added_types(xml: str) -> str:
    """EXIficient's view of unknown elements and of xsi:type, without the attributes it adds."""
    return re.sub(r' xsi:type="ns\d:[^"]*"| xmlns:xsi="[^"]*"', "", xml)


def check_exotic(vector: Vector) -> str | None:
    known, result = schema_set(vector["schema"]), decoded(vector)
    text = to_xml(result.value, known)
    if text != without_added_types(vector["xml"]):
        return f"XML {text}"
    if from_xml(vector["xml"], known) != result.value:
        return "XML and EXI give different objects"
    again = encoded(vector, result.value, None, EMPTY_AS_END)
    return None if again == vector["exi"] else f"encoded as {again}"


def test_reads_exotic_signature_content(shared: Path) -> None:
    found = (v for v in vectors(shared, "deviations") if v["category"] == "exotic-xmldsig")
    assert failures(found, check_exotic) == {}


ACCEPTED_DEVIATIONS = ("dev-039", "dev-040", "dev-044")
"""xsi:type for a control mode, a redundant xsi:type, the empty value as end event."""


def test_refuses_other_deviations_cleanly(shared: Path) -> None:
    read = []
    for vector in vectors(shared, "deviations"):
        if vector["category"] == "exotic-xmldsig":
            continue
        try:
            decoded(vector)
        except DecodeError as error:
            located = error.bit is not None and (error.path or "root element" in error.reason)
            read += [] if located else [f"{vector['id']}: no place in {error}"]
        else:
            read.append(vector["id"])
    assert tuple(read) == ACCEPTED_DEVIATIONS


def test_xsi_type_gives_the_substituting_control_mode(shared: Path) -> None:
    vector = next(v for v in vectors(shared, "deviations") if v["id"] == "dev-039")
    value = decoded(vector).value
    assert type(value.cl_req_control_mode).__name__ == "Scheduled_AC_CLReqControlMode"
    assert "ac:Scheduled_AC_CLReqControlMode" in to_xml(value, schema_set(vector["schema"]))


def check_negative(vector: Vector) -> str | None:
    known = schema_set(vector["schema"])
    try:
        result = decode_detailed(bytes.fromhex(vector["exi"]), known, fragment=vector["fragment"])
    except DecodeError:
        return "refused" if vector["expect"] == "accept" else None
    if vector["expect"] == "error":
        return "accepted"
    found = vector["exificient"]
    if not found.startswith("decodes to: "):
        return "decoded, but EXIficient does not"
    text, wanted = to_xml(result.value, known), found.removeprefix("decodes to: ")
    return None if text == wanted or text.startswith(wanted.rstrip(".…")) else f"XML {text}"


def test_judges_broken_input(shared: Path) -> None:
    assert failures(vectors(shared, "negative"), check_negative) == {}


# --- single values ----------------------------------------------------------------------------


def scalar_of(datatype: str) -> Any:
    bounds = re.fullmatch(r"nBitUnsigned\[(-?\d+)\.\.(-?\d+)\]", datatype)
    if bounds:
        return Integer("integer", int(bounds[1]), int(bounds[2]))
    members = re.fullmatch(r"enumeration of (\d+)", datatype)
    if members:
        enumeration: Any = enum.Enum
        made = enumeration("made", {f"V{i}": f"V{i}" for i in range(int(members[1]))})
        return Enumeration(made)
    return {
        "unsignedInteger": Integer("nonNegativeInteger", 0),
        "signedInteger": Integer("integer"),
        "binary": Binary("hexBinary"),
        "boolean": Boolean(),
        "string": Text(),
    }[datatype]


def value_of(scalar: Any, text: str) -> Any:
    match scalar:
        case Integer():
            return int(text)
        case Binary():
            return bytes.fromhex(text)
        case Boolean():
            return text == "true"
        case Enumeration(members=members):
            return members(text)
    return text


def test_primitives(shared: Path) -> None:
    lines = (shared / "vectors" / "exi" / "primitives.jsonl").read_text(encoding="utf-8").splitlines()
    for vector in map(json.loads, lines):
        codec = codec_for(scalar_of(vector["datatype"]))
        value = value_of(codec.scalar, vector["value"])
        bits, width = codec.pack(value, True)
        assert width == vector["bits"], vector["id"]
        writer = BitWriter()
        writer.write(bits, width)
        assert writer.finish().hex() == vector["hex"], vector["id"]
        assert codec.read(BitReader(bytes.fromhex(vector["hex"])), 0) == (value, width), vector["id"]


# --- worked examples --------------------------------------------------------------------------

EXAMPLES = (
    ("1. Supp", "urn:iso:15118:2:2010:AppProtocol"),
    ("2. Supp", "urn:iso:15118:2:2010:AppProtocol"),
    ("3. Supp", "urn:iso:15118:2:2010:AppProtocol"),
    ("7. -20", "urn:iso:std:iso:15118:-20:CommonMessages"),
    ("8. -20", "urn:iso:std:iso:15118:-20:CommonMessages"),
    ("9. -20", "urn:iso:std:iso:15118:-20:CommonMessages"),
    ("10. -20", "urn:iso:std:iso:15118:-20:DC"),
    ("11. -20", "urn:iso:std:iso:15118:-20:AC"),
    ("12. -20", "urn:iso:std:iso:15118:-20:DC"),
    ("13. Fragment", "http://www.w3.org/2000/09/xmldsig#"),
    ("14. Fragment", "urn:iso:std:iso:15118:-20:CommonMessages"),
    ("16. Empty", "urn:iso:std:iso:15118:-20:CommonMessages"),
)


@pytest.mark.parametrize(("title", "namespace"), EXAMPLES)
def test_explains_the_worked_examples(shared: Path, title: str, namespace: str) -> None:
    document = (shared / "protocol" / "exi.md").read_text(encoding="utf-8")
    part = document[document.index(f"#### {title}") :]
    octets = re.search(r"^`([0-9a-f]+)`$", part, re.MULTILINE)
    table = re.search(r"```\n(.*?)\n```", part, re.DOTALL)
    assert octets
    assert table
    data = bytes.fromhex(octets[1])
    assert str(explain(data, schema_set(namespace), fragment="Fragment" in title)) == table[1]
