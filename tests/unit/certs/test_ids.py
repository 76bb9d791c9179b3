"""Identifiers: forms, folding, check digits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certs import ids
from certs.errors import CertsError
from certs.ids import Check, Kind

LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
BODIES = {
    Kind.EMAID: st.from_regex(r"\A[A-Z]{2}[A-Z0-9]{12}\Z"),
    Kind.EVCCID: st.from_regex(r"\A[A-HJ-NPR-Z0-9]{3}V[A-HJ-NPR-Z0-9]{15,40}\Z"),
    Kind.PCID: st.from_regex(r"\A[A-HJ-NPR-Z0-9]{17,40}\Z"),
    Kind.SECCID: st.from_regex(r"\A[A-Z]{2}[A-Z0-9]{3}S[A-Z0-9]{32,60}\Z"),
}


@pytest.mark.parametrize("kind", BODIES)
@given(data=st.data())
def test_completed_identifiers_are_right(kind, data):
    body = data.draw(BODIES[kind])
    complete = ids.with_check_digit(kind, body)
    assert complete[:-1] == body
    found = ids.parse(kind, complete)
    assert found.check is Check.RIGHT
    assert found.expected == complete[-1]
    assert ids.parse(kind, complete.lower()).text == complete


@given(BODIES[Kind.EMAID], st.integers(0, 13), st.sampled_from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
def test_the_matrix_digit_finds_every_wrong_character(body, place, other):
    changed = body[:place] + other + body[place + 1 :]
    assert (ids.matrix_digit(changed) == ids.matrix_digit(body)) == (changed == body)


def test_an_emaid_may_carry_either_digit():
    body = "DE8AACA2B3C4D5"
    other = ids.modulo_digit(["DE", "8AA", "CA2B3C4D5"])
    assert other != "L"
    assert ids.parse(Kind.EMAID, body + other).check is Check.RIGHT
    assert ids.parse(Kind.EMAID, body).check is Check.ABSENT


def test_the_short_pcid_of_iso2_has_no_check_digit():
    found = ids.parse(Kind.PCID, "WMXP1234567890ABC")
    assert found.check is Check.ABSENT
    assert found.expected == "5"


@pytest.mark.parametrize(
    "text", ["", "DE", "DE\u017fAACA2B3C4D5L", "DE8AACA2B3C4D5L ß", "x" * 10_000, "DE-8AACA2B3C4D5L"]
)
def test_what_is_no_emaid(text):
    with pytest.raises(CertsError, match="not of the form") as caught:
        ids.parse(Kind.EMAID, text)
    assert len(str(caught.value)) < 300


def test_outlets_keep_their_separators():
    assert str(ids.parse(Kind.EVSEID, "de*abc*e1*1")) == "DE*ABC*E1*1"
    with pytest.raises(CertsError):
        ids.parse(Kind.EVSEID, "DE*ABC*E")
