"""The power that flows is the power that was agreed: set-points, schedules, prices, limits, taper."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hal.virtual.circuit import Sample
from iso15118.energy.offer import EnergyOffer, Offer, OfferStep
from iso15118.sim.run import Run, simulate
from iso15118.sim.scenarios import Scenario, basic
from iso15118.units import Limits


def powers(run: Run, since: float, until: float) -> list[float]:
    """True power at the outlet between two times, counted from the first current on."""
    samples = run.recording.samples
    first = next(s.t for s in samples if abs(s.power_w) > 1)
    return [s.power_w for s in samples if since <= s.t - first <= until]


def with_setpoints(scenario: Scenario, *steps: tuple[float, float | None]) -> Scenario:
    return replace(scenario, evse=replace(scenario.evse, setpoints=steps))


@pytest.mark.parametrize("energy", ["DC_BPT", "AC_BPT"])
def test_dynamic_follows_the_set_point(energy: str) -> None:
    scenario = with_setpoints(basic(energy, loops=90), (0.0, 4000.0), (3.0, -3000.0), (6.0, 0.0))
    run = simulate(scenario=scenario)
    assert run.ok, run.explain()
    assert powers(run, 1.5, 2.8) == pytest.approx([4000.0] * len(powers(run, 1.5, 2.8)), rel=0.03)
    assert powers(run, 4.5, 5.8) == pytest.approx([-3000.0] * len(powers(run, 4.5, 5.8)), rel=0.03)
    assert max(map(abs, powers(run, 7.0, 8.0))) < 50.0


def test_without_a_set_point_the_car_takes_what_it_can() -> None:
    run = simulate(scenario=replace(basic("DC", loops=60)))
    last = powers(run, 4.0, 5.0)
    assert min(last) > 75_000.0  # 250 A, the car's limit


@pytest.mark.parametrize("energy", ["DC", "AC"])
def test_scheduled_keeps_below_the_schedule(energy: str) -> None:
    steps = (OfferStep(6, 9000.0, price_per_kwh=0.3), OfferStep(3600, 3000.0, price_per_kwh=0.3))
    plain = basic(energy, "scheduled", loops=90)
    run = simulate(scenario=replace(plain, evse=replace(plain.evse, offer=EnergyOffer((Offer(steps),)))))
    assert run.ok, run.explain()
    assert max(s.power_w for s in run.recording.samples) < 9000.0 * 1.02
    late = [s.power_w for s in run.recording.samples if s.t > 8.0 and s.power_w > 1.0]
    assert late
    assert max(late) < 3000.0 * 1.02


def test_the_cheapest_of_three_schedules_is_chosen() -> None:
    offers = tuple(
        Offer((OfferStep(3600, watts, price_per_kwh=price),), tuple_id=number)
        for number, watts, price in ((1, 9000.0, 0.5), (2, 7000.0, 0.2), (3, 8000.0, 0.4))
    )
    plain = basic("DC", "scheduled", loops=40)
    run = simulate(scenario=replace(plain, evse=replace(plain.evse, offer=EnergyOffer(offers))))
    assert run.ok, run.explain()
    assert max(s.power_w for s in run.recording.samples) == pytest.approx(7000.0, rel=0.02)


def test_the_station_is_the_weaker_side() -> None:
    plain = basic("DC", loops=60)
    limits = replace(plain.evse.limits, charge=Limits(max_power_w=20_000.0, max_current_a=40.0))
    run = simulate(scenario=replace(plain, evse=replace(plain.evse, limits=limits)))
    assert run.ok, run.explain()
    assert max(s.current_a for s in run.recording.samples) == pytest.approx(40.0, abs=1.0)


def test_a_full_battery_takes_little() -> None:
    plain = basic("DC", loops=60)
    run = simulate(scenario=replace(plain, ev=replace(plain.ev, soc=0.97, target_soc=1.0)))
    assert run.ok, run.explain()

    def ampere(sample: Sample) -> float:
        return sample.current_a

    one_c = 60_000.0 / 362.0
    assert 0.05 * one_c < max(map(ampere, run.recording.samples)) < 0.3 * one_c
    assert max(s.outlet_v for s in run.recording.samples if s.ev_closed) < 4.2 * 96 + 5


def test_the_session_ends_at_the_target() -> None:
    plain = basic("DC", loops=None)
    run = simulate(scenario=replace(plain, ev=replace(plain.ev, soc=0.498, target_soc=0.5)))
    assert run.completed, run.explain()
    assert run.delivered_wh == pytest.approx(0.002 * 60_000, rel=0.2)


def test_an_empty_car_does_not_feed_back() -> None:
    scenario = with_setpoints(basic("DC_BPT", loops=30), (0.0, -5000.0))
    run = simulate(scenario=replace(scenario, ev=replace(scenario.ev, soc=0.15, minimum_soc=0.2)))
    assert run.ok, run.explain()
    assert run.fed_back_wh < 0.01
