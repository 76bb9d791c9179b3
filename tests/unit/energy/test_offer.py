"""Offers: what they allow when, and whether a plan keeps to them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iso15118.energy.offer import DAY_S, EnergyOffer, Offer, OfferStep, PlanStep, plan_violation, power_at

TWO = Offer((OfferStep(600, 3_000.0), OfferStep(300, 5_000.0, 2_000.0)))


def test_limits_over_time() -> None:
    assert TWO.duration_s == 900
    assert TWO.limits_at(-5.0) == (3_000, 0)
    assert TWO.limits_at(0.0) == (3_000, 0)
    assert TWO.limits_at(599.9) == (3_000, 0)
    assert TWO.limits_at(600.0) == (5_000, 2_000)
    assert TWO.limits_at(899.9) == (5_000, 2_000)
    assert TWO.limits_at(900.0) == (0, 0)


def test_flat_offer() -> None:
    offer = EnergyOffer.flat(
        max_w=7_000, discharge_w=3_000, price_per_kwh=0.3, feed_in_per_kwh=0.1, currency="CHF"
    )
    (only,) = offer.offers
    assert (only.duration_s, only.currency, only.tuple_id) == (DAY_S, "CHF", 1)
    assert only.steps == (OfferStep(DAY_S, 7_000, 3_000, 0.3, 0.1),)
    assert offer.find(1) is only
    assert offer.find(2) is None


@pytest.mark.parametrize(
    "steps",
    [
        (),
        (OfferStep(0, 1.0),),
        (OfferStep(-1, 1.0),),
        (OfferStep(1, -1.0),),
        (OfferStep(1, 1.0, -1.0),),
        (OfferStep(1, math.nan),),
        (OfferStep(1, 1.0), OfferStep(1, 1.0, math.nan)),
    ],
)
def test_steps_that_make_no_offer(steps: tuple[OfferStep, ...]) -> None:
    with pytest.raises(ValueError, match="step"):
        Offer(steps)


@pytest.mark.parametrize("tuple_id", [0, -1, 2**32])
def test_tuple_ids_fit_the_message(tuple_id: int) -> None:
    with pytest.raises(ValueError, match="tuple id"):
        Offer((OfferStep(1, 1.0),), tuple_id)


@pytest.mark.parametrize("tolerance", [-1.0, math.nan, math.inf])
def test_tolerance_is_a_magnitude(tolerance: float) -> None:
    with pytest.raises(ValueError, match="tolerance"):
        Offer((OfferStep(1, 1.0),), tolerance_w=tolerance)


def test_one_to_three_tuples_with_ids_of_their_own() -> None:
    made = [Offer((OfferStep(1, 1.0),), i) for i in (1, 2, 3, 4)]
    EnergyOffer(tuple(made[:3]))
    for wrong in ((), tuple(made), (made[0], made[0])):
        with pytest.raises(ValueError, match="tuple"):
            EnergyOffer(wrong)


@pytest.mark.parametrize(
    ("plan", "start_s", "fits"),
    [
        ([(900, 3_000.0)], 0.0, True),
        ([(600, 3_000.0), (300, 5_000.0)], 0.0, True),
        ([(600, 3_000.0), (300, -2_000.0)], 0.0, True),
        ([(600, 3_000.9), (300, 5_000.0)], 0.0, True),
        ([(600, 3_003.0)], 0.0, True),
        ([(600, 3_010.0)], 0.0, False),
        ([(900, 5_000.0)], 0.0, False),
        ([(300, 5_000.0)], 600.0, True),
        ([(300, 5_000.0)], 580.0, True),
        ([(300, 5_000.0)], 500.0, False),
        ([(300, 5_000.0)], -50.0, False),
        ([(600, -10.0)], 0.0, False),
        ([(600, 0.0), (300, -2_010.0)], 0.0, False),
        ([(2_000, 0.0)], 0.0, True),
        ([(900, 0.0), (300, 100.0)], 0.0, False),
        ([(10, 5_000.0)], 0.0, False),
        ([(10, 5_000.0)], 700.0, True),
        ([(10, 1.0)], 2_000.0, True),
        ([(10, 2.0)], 2_000.0, False),
        ([], 0.0, True),
    ],
)
def test_plan_against_offer(plan: list[tuple[float, float]], start_s: float, fits: bool) -> None:
    why = plan_violation(tuple(PlanStep(*step) for step in plan), TWO, start_s)
    assert (why is None) == fits, why


def test_why_a_plan_does_not_fit() -> None:
    charging = plan_violation((PlanStep(60, 0.0), PlanStep(60, 9_000.0)), TWO)
    assert charging == "entry 1: 9000 W where 3000 W are offered"
    feeding = plan_violation((PlanStep(600, 0.0), PlanStep(60, -9_000.0)), TWO)
    assert feeding == "entry 1: -9000 W where 2000 W of discharge are offered"


def test_power_of_a_plan() -> None:
    plan = (PlanStep(10, 100.0), PlanStep(5, -50.0))
    assert [power_at(plan, t) for t in (-1, 0, 9.9, 10, 14.9, 15, 1e9)] == [100, 100, 100, -50, -50, 0, 0]
    assert power_at((), 0.0) == 0.0


STEPS = st.lists(
    st.builds(OfferStep, st.integers(1, 7200), st.floats(0, 1e5), st.floats(0, 1e5)), min_size=1, max_size=8
)


@given(STEPS)
def test_the_offer_itself_is_a_plan_that_fits(steps: list[OfferStep]) -> None:
    offer = Offer(tuple(steps))
    assert plan_violation(tuple(PlanStep(s.duration_s, s.charge_w) for s in steps), offer) is None
    assert plan_violation(tuple(PlanStep(s.duration_s, -s.discharge_w) for s in steps), offer) is None


@given(STEPS, st.floats(0, 60_000), st.floats(-2e5, 2e5))
def test_a_plan_that_fits_stays_within_the_offer_away_from_the_edges(
    steps: list[OfferStep], start_s: float, power_w: float
) -> None:
    """Peers' clocks differ by up to a minute; inside of that nothing is tolerated but rounding."""
    offer, length = Offer(tuple(steps)), 600.0
    if plan_violation((PlanStep(length, power_w),), offer, start_s) is not None:
        return
    for at in range(60, 541, 30):
        charge_w, discharge_w = offer.limits_at(start_s + at)
        assert power_w <= charge_w * 1.001 + 1.0
        assert -power_w <= discharge_w * 1.001 + 1.0
