"""What the EVSE offers for a charging session: schedules, prices, and the check of the EV's plan.

Times are durations in seconds from the offer's start, powers in W. Schedules are limits per
direction, as magnitudes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

DAY_S: Final = 86_400
MAX_TUPLES: Final = 3
_TUPLE_ID_MAX: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class OfferStep:
    """`duration_s` seconds with at most these powers, at these energy fees (currency per kWh).

    `feed_in_per_kwh` is what the schedule says about energy fed back.
    """

    duration_s: int
    charge_w: float
    discharge_w: float = 0.0
    price_per_kwh: float | None = None
    feed_in_per_kwh: float | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """One schedule tuple. Steps follow each other without gaps.

    `tolerance_w`: the EV must stay within this deviation of the plan it announces; None = the
    station does not watch. `currency` ISO 4217, used where steps carry a price.
    """

    steps: tuple[OfferStep, ...]
    tuple_id: int = 1
    currency: str = "EUR"
    tolerance_w: float | None = None

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError("an offer needs at least one step")
        if not all(s.duration_s > 0 and s.charge_w >= 0 and s.discharge_w >= 0 for s in self.steps):
            raise ValueError("steps need a positive duration and powers as magnitudes")
        if not 1 <= self.tuple_id <= _TUPLE_ID_MAX:
            raise ValueError(f"tuple id {self.tuple_id} is not within 1 to {_TUPLE_ID_MAX}")
        if self.tolerance_w is not None and not 0 <= self.tolerance_w < math.inf:
            raise ValueError(f"{self.tolerance_w} W is no tolerance")

    @property
    def duration_s(self) -> int:
        """Length of the schedule."""
        return sum(s.duration_s for s in self.steps)

    def limits_at(self, elapsed_s: float) -> tuple[float, float]:
        """(charge W, discharge W) allowed `elapsed_s` after the start; zero after the end."""
        for step in self.steps:
            if elapsed_s < step.duration_s:
                return step.charge_w, step.discharge_w
            elapsed_s -= step.duration_s
        return 0.0, 0.0


@dataclass(frozen=True, slots=True)
class EnergyOffer:
    """One to three schedule tuples, best first."""

    offers: tuple[Offer, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.offers) <= MAX_TUPLES:
            raise ValueError(f"1 to {MAX_TUPLES} schedule tuples can be offered, not {len(self.offers)}")
        if len({o.tuple_id for o in self.offers}) != len(self.offers):
            raise ValueError("schedule tuple ids must differ")

    @classmethod
    def flat(
        cls,
        *,
        max_w: float,
        discharge_w: float = 0.0,
        price_per_kwh: float | None = None,
        feed_in_per_kwh: float | None = None,
        currency: str = "EUR",
        duration_s: int = DAY_S,
    ) -> EnergyOffer:
        """One tuple with constant power (W) and price for `duration_s`."""
        step = OfferStep(duration_s, max_w, discharge_w, price_per_kwh, feed_in_per_kwh)
        return cls((Offer((step,), currency=currency),))

    def find(self, tuple_id: int) -> Offer | None:
        """The tuple with this id."""
        return next((o for o in self.offers if o.tuple_id == tuple_id), None)


@dataclass(frozen=True, slots=True)
class PlanStep:
    """A stretch of the EV's plan: signed power for a duration."""

    duration_s: float
    power_w: float


def plan_violation(plan: tuple[PlanStep, ...], offer: Offer, start_s: float = 0.0) -> str | None:
    """Why the EV's plan does not fit the offer; None if it does.

    `start_s` is when the plan starts, in seconds after the offer's start (may be negative). Each
    entry is judged by its inside, a minute from its edges: peers' clocks are not exact, and the
    charge loop enforces the limits second by second anyway.
    """
    at = max(0.0, start_s)
    for number, step in enumerate(plan):
        end = at + step.duration_s
        margin = min(_CLOCK_MARGIN_S, step.duration_s / 2)
        for charge_w, discharge_w in _limits_between(offer, at + margin, end - margin):
            if step.power_w > charge_w * _ROUNDING + _SLACK_W:
                return f"entry {number}: {step.power_w:.0f} W where {charge_w:.0f} W are offered"
            if -step.power_w > discharge_w * _ROUNDING + _SLACK_W:
                return (
                    f"entry {number}: {step.power_w:.0f} W where {discharge_w:.0f} W of discharge are offered"
                )
        at = end
    return None


_CLOCK_MARGIN_S: Final = 60.0
_SLACK_W: Final = 1.0
_ROUNDING: Final = 1.001  # RationalNumber keeps four significant digits


def _limits_between(offer: Offer, start_s: float, end_s: float) -> list[tuple[float, float]]:
    """The limits of every offer step that overlaps [start, end); beyond the end nothing is allowed."""
    found, begin = [], 0.0
    for step in offer.steps:
        if begin <= end_s and begin + step.duration_s > start_s:
            found.append((step.charge_w, step.discharge_w))
        begin += step.duration_s
    if end_s > begin:
        found.append((0.0, 0.0))
    return found


def power_at(plan: tuple[PlanStep, ...], elapsed_s: float) -> float:
    """The planned power (signed W) `elapsed_s` after the plan's start; zero after its end."""
    for step in plan:
        if elapsed_s < step.duration_s:
            return step.power_w
        elapsed_s -= step.duration_s
    return 0.0
