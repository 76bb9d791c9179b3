"""RationalNumber arithmetic, time stamps, and limits."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iso15118.messages.iso20.numbers import number, rational, stamp, utc_of
from iso15118.messages.iso20.types import RationalNumber
from iso15118.units import NO_FLOW, Envelope, Limits, from_rational, to_rational


@pytest.mark.parametrize(
    ("value", "exponent", "mantissa"),
    [
        (0, 0, 0),
        (-0.0, 0, 0),
        (1, 0, 1),
        (32767, 0, 32767),
        (-32767, 0, -32767),
        (32768, 1, 3277),
        (400.5, -1, 4005),
        (0.5, -1, 5),
        (0.1, -1, 1),
        (-12.25, -2, -1225),
        (150_000, 1, 15000),
        (3_750_000, 3, 3750),
        (327.675, -1, 3277),
        (1e-128, -128, 1),
        (5e-324, 0, 0),
        (32767e127, 127, 32767),
    ],
)
def test_known_rational_numbers(value: float, exponent: int, mantissa: int) -> None:
    assert to_rational(value) == (exponent, mantissa)
    assert rational(value) == RationalNumber(exponent=exponent, value=mantissa)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e132, -3.3e131])
def test_values_without_a_rational_number(value: float) -> None:
    with pytest.raises(ValueError, match="no RationalNumber"):
        to_rational(value)


@given(st.floats(-1e131, 1e131))
def test_every_other_number_keeps_four_digits_and_fits_the_schema(value: float) -> None:
    exponent, mantissa = to_rational(value)
    assert -128 <= exponent <= 127
    assert -32767 <= mantissa <= 32767
    assert from_rational(exponent, mantissa) == pytest.approx(value, rel=2e-4, abs=1e-127)


@given(st.integers(-32767, 32767))
def test_small_integers_are_exact(value: int) -> None:
    assert from_rational(*to_rational(value)) == value


@given(st.integers(-9999, 9999), st.integers(-3, 6))
def test_decimal_values_come_back_as_they_were_written(mantissa: int, exponent: int) -> None:
    value = from_rational(exponent, mantissa)
    assert from_rational(*to_rational(value)) == value


def test_number_of_nothing_is_nothing() -> None:
    assert number(None) is None
    assert number(RationalNumber(exponent=-1, value=29900)) == 2990.0
    assert number(RationalNumber(exponent=-5, value=0)) == 0.0


def test_time_stamps_in_both_units() -> None:
    assert stamp(1_750_000_000.25) == 1_750_000_000_250_000
    assert stamp(1_750_000_000.75, "s") == 1_750_000_000


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000])
def test_unit_of_a_time_stamp_is_told_by_its_size(unit: int) -> None:
    assert utc_of(1_761_478_592 * unit) == 1_761_478_592.0


# --- limits -----------------------------------------------------------------------------------


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("value", [-1.0, -1e-9, math.nan, -math.inf])
def test_limits_are_magnitudes(index: int, value: float) -> None:
    values = [1.0] * 4
    values[index] = value
    with pytest.raises(ValueError, match="magnitudes"):
        Limits(*values)


def test_the_tighter_of_two_limits() -> None:
    assert Limits(10, 5, 1, 2).within(Limits(8, 6, 3, 1)) == Limits(8, 5, 3, 2)
    assert NO_FLOW.within(Limits(8, 6)) == NO_FLOW


def test_the_intersection_of_two_envelopes() -> None:
    mine = Envelope(Limits(10), Limits(4), 900, 150, 3)
    theirs = Envelope(Limits(8), Limits(6), 450, 300, 1)
    assert mine.within(theirs) == Envelope(Limits(8), Limits(4), 450, 300, 1)
    assert mine.within(theirs) == theirs.within(mine)


def test_bidirectional_means_that_power_may_flow_back() -> None:
    assert Envelope(Limits(1), Limits(1)).bidirectional
    assert not Envelope(Limits(1)).bidirectional


@pytest.mark.parametrize(
    ("wish", "power"),
    [(500, 500), (5_000, 1_000), (50, 0), (100, 100), (0, 0), (-500, -400), (-10, 0), (-20, -20), (-0.0, 0)],
)
def test_clamp(wish: float, power: float) -> None:
    limits = Envelope(Limits(1_000, 1_000, 100, 100), Limits(400, 400, 20, 20))
    assert limits.clamp_power(wish) == power
    assert limits.clamp_current(wish) == power
    assert Envelope().clamp_power(wish) == 0
    assert Envelope().clamp_current(wish) == 0


@given(st.floats(allow_nan=False), st.floats(0, 1e9), st.floats(0, 1e9), st.floats(0, 1e9))
def test_clamped_values_are_within_the_limits(
    wish: float, charge: float, discharge: float, least: float
) -> None:
    envelope = Envelope(Limits(charge, charge, least, least), Limits(discharge, discharge))
    for value in (envelope.clamp_power(wish), envelope.clamp_current(wish)):
        assert -discharge <= value <= charge
        assert value <= 0 or value >= least
        assert value * wish >= 0 or value == 0
