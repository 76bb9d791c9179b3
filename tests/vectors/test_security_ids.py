"""Recorded identifiers and their check digits."""

from __future__ import annotations

import json

import pytest

from certs import ids
from certs.errors import CertsError
from certs.ids import Check, Kind

pytestmark = pytest.mark.vectors


@pytest.fixture
def recorded(shared):
    return json.loads((shared / "vectors" / "security" / "ids.json").read_text())


def test_matrix_digits_of_emaids(recorded):
    for case in recorded["emaid_iso_matrix"]:
        assert ids.matrix_digit(case["id"]) == case["check"]
        assert ids.with_check_digit(Kind.EMAID, case["id"]) == case["id"] + case["check"]
        assert ids.parse(Kind.EMAID, case["id"] + case["check"]).check is Check.RIGHT


def test_modulo_digits(recorded):
    for case in recorded["din_91286"]:
        assert ids.modulo_digit([case["id"]]) == case["check"]
    for case in recorded["iso20_annex_c6"]:
        kind, body = Kind[case["kind"]], "".join(case["elements"])
        assert ids.modulo_digit(case["elements"]) == case["check"]
        assert ids.with_check_digit(kind, body) == body + case["check"]


def test_normalisation(recorded):
    for case in recorded["normalisation"]:
        if case["normalised"] is None:
            with pytest.raises(CertsError, match="not of the form"):
                ids.parse(Kind.EMAID, case["input"])
        else:
            assert ids.parse(Kind.EMAID, case["input"]).text == case["normalised"]


def test_invalid_identifiers(recorded):
    for case in recorded["invalid"]:
        kind = Kind[case["kind"]]
        if "check digit" in case["why"]:
            assert ids.parse(kind, case["value"]).check is Check.WRONG
        else:
            with pytest.raises(CertsError, match="not of the form"):
                ids.parse(kind, case["value"])


def test_outlets(recorded):
    for case in recorded["evseid"]:
        if case["valid"]:
            assert ids.parse(Kind.EVSEID, case["value"]).text == case["value"]
        else:
            with pytest.raises(CertsError):
                ids.parse(Kind.EVSEID, case["value"])
