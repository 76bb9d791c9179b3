"""Schedules: what stations send, what the controller makes of it, what the EV announces and follows."""

from __future__ import annotations

import pytest

from iso15118 import events
from iso15118.control.ev import EvControllerBase, PowerStep, ScheduleChoice, ScheduleDecision, ScheduleOption
from iso15118.machine import Answer
from iso15118.messages.iso20 import common as m
from iso15118.messages.iso20.numbers import number, rational
from iso15118.messages.iso20.types import RationalNumber
from iso15118.units import Limits
from tests.unit.evcc.harness import AC, AC_BPT, DC, DC_BPT, DYNAMIC, SCHEDULED, Bench, car, config
from tests.unit.evcc.station import STATION_UTC, entry, offer, schedule


class Planner(EvControllerBase):
    """Decides as told."""

    def __init__(self, service, decision):
        self.wanted = (service,)
        self.decision = decision

    async def choose_schedule(self, question):
        if isinstance(self.decision, BaseException):
            raise self.decision
        return self.decision(question) if callable(self.decision) else self.decision


def session(*offers, service=DC, decision=None, **changes):
    """A Scheduled session at a station with these offers."""
    controller = None if decision is None else Planner(service, decision)
    bench = Bench(service, SCHEDULED, controller=controller, **changes)
    bench.station.offers = offers or bench.station.offers
    return bench


def options(bench):
    """The offers as the controller saw them."""
    return next(q.options for q in bench.questions if hasattr(q, "options"))


def profile(bench):
    """The EVPowerProfile, as (duration, power)."""
    sent = bench.all("PowerDeliveryReq")[0].ev_power_profile
    entries = sent.ev_power_profile_entries.ev_power_profile_entry
    return [(x.duration, number(x.power)) for x in entries]


def mode_of(bench):
    return bench.all("PowerDeliveryReq")[0].ev_power_profile.control_mode


def absolute(*fees, **more):
    """An AbsolutePriceSchedule with one rule per stack."""
    rules = tuple(
        m.PriceRule(energy_fee=rational(f), power_range_start=rational(0.0), parking_fee=rational(1.0))
        for f in fees
    )
    stacks = tuple(m.PriceRuleStack(duration=3600, price_rule=(r,)) for r in rules)
    return m.AbsolutePriceSchedule(
        time_anchor=0,
        price_schedule_id=1,
        currency="EUR",
        language="eng",
        price_algorithm="urn:iso:std:iso:15118:-20:PriceAlgorithm:1-Power",
        price_rule_stacks=m.PriceRuleStackList(price_rule_stack=stacks),
        **more,
    )


def levels(count, *values):
    entries = tuple(m.PriceLevelScheduleEntry(duration=60, price_level=v) for v in values)
    return m.PriceLevelSchedule(
        time_anchor=1_577_836_800_000_000,
        price_schedule_id=2,
        number_of_price_levels=count,
        price_level_schedule_entries=m.PriceLevelScheduleEntryList(price_level_schedule_entry=entries),
    )


# --- what stations send -----------------------------------------------------------------------


def test_no_price_is_legal():
    bench = session(offer(1, schedule(entry(60, 11_000.0)))).run()
    assert bench.outcome == ("completed", "none")
    assert options(bench)[0] == ScheduleOption(tuple_id=1, charge=(PowerStep(60, 11_000.0),))


def test_absolute_prices_reach_the_controller():
    bench = session(offer(42, schedule(entry(7200, 11_000.0), price_schedule=absolute(0.39, 0.25)))).run()
    (option,) = options(bench)
    assert (option.currency, option.price_per_kwh) == ("EUR", (0.39, 0.25))


@pytest.mark.parametrize(("count", "values"), [(1, (0,)), (0, (0,)), (3, (2, 9, 1))])
def test_price_levels_are_taken_whatever_their_numbers(count, values):
    bench = session(offer(48, schedule(price_schedule=levels(count, *values)))).run()
    assert bench.outcome == ("completed", "none")
    assert options(bench)[0].price_per_kwh == ()


@pytest.mark.parametrize("anchor", [0, 1, 1_577_836_800_000_000, 2**64 - 1, 1_577_836_800])
def test_odd_time_anchor_means_now(anchor):
    """0, the year 2020, seconds, beyond all time: the schedule begins with the choice."""
    bench = session(offer(1, schedule(entry(3600, 11_000.0), anchor=anchor))).run()
    assert bench.outcome == ("completed", "none")
    chosen_at = next(
        e.t for e in bench.seen(events.QuestionAnswered) if "Schedule" in type(e.question).__name__
    )
    sent = bench.all("PowerDeliveryReq")[0].ev_power_profile.time_anchor
    assert sent / 1e6 == pytest.approx(STATION_UTC + chosen_at - 100.0, abs=0.05)
    currents = [number(x.cl_req_control_mode.ev_target_current) for x in bench.all("DC_ChargeLoopReq")]
    assert currents[0] == pytest.approx(11_000 / 350, rel=1e-3)


@pytest.mark.parametrize("unit", [1.0, 1e3, 1e6])
@pytest.mark.parametrize(("begun_s", "power"), [(30.0, 11_000.0), (100.0, 3500.0), (1000.0, 0.0)])
def test_schedule_that_has_begun_is_followed_from_there(unit, begun_s, power):
    """The station re-offers a running schedule: what has elapsed is over."""
    anchor = int((STATION_UTC - begun_s) * unit)
    bench = session(offer(1, schedule(entry(60, 11_000.0), entry(600, 3500.0), anchor=anchor))).run()
    current = number(bench.all("DC_ChargeLoopReq")[0].cl_req_control_mode.ev_target_current)
    assert current == pytest.approx(power / 350, rel=1e-3)
    sent = bench.all("PowerDeliveryReq")[0].ev_power_profile.time_anchor
    assert sent / 1e6 == pytest.approx(STATION_UTC - begun_s, abs=1.1), "announced on the same time line"


@pytest.mark.parametrize(("ahead_s", "power"), [(1.2, 11_000.0), (600.0, 0.0)])
def test_schedule_that_has_not_begun_lets_nothing_flow(ahead_s, power):
    anchor = int((STATION_UTC + ahead_s) * 1e6)
    bench = session(offer(1, schedule(entry(3600, 11_000.0), anchor=anchor))).run()
    current = number(bench.all("DC_ChargeLoopReq")[0].cl_req_control_mode.ev_target_current)
    assert current == pytest.approx(power / 350, rel=1e-3)


def test_nothing_flows_after_the_end_of_the_plan():
    bench = session(
        offer(1, schedule(entry(1, 11_000.0), entry(1, 7000.0))), config=config(max_loops=25)
    ).run()
    currents = [number(x.cl_req_control_mode.ev_target_current) for x in bench.all("DC_ChargeLoopReq")]
    assert currents[0] == pytest.approx(11_000 / 350, rel=1e-3)
    assert 20.0 in [pytest.approx(c) for c in currents]
    assert currents[-2] == 0.0


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("service", [DC_BPT, AC_BPT])
def test_discharge_schedule_is_read_by_magnitude(service, sign):
    discharging = schedule(entry(3600, sign * 9000.0))
    bench = session(offer(1, schedule(entry(3600, 11_000.0)), discharging), service=service).run()
    assert options(bench)[0].discharge == (PowerStep(3600, 9000.0),)
    assert bench.outcome == ("completed", "none")


@pytest.mark.req("V2G20-1818")
@pytest.mark.parametrize(("phases", "total"), [((), 3000.0), ((2000.0,), 5000.0), ((2000.0, 1000.0), 6000.0)])
def test_powers_per_phase_are_summed_up(phases, total):
    bench = session(offer(1, schedule(entry(60, 3000.0, *phases))), service=AC).run()
    assert options(bench)[0].charge == (PowerStep(60, total),)


@pytest.mark.parametrize(("tolerance", "seen"), [(None, None), (500.0, 500.0), (-500.0, 500.0)])
@pytest.mark.parametrize("accepted", [True, False])
def test_tolerance_is_told_and_always_answered(tolerance, seen, accepted):
    more = {} if tolerance is None else {"power_tolerance": rational(tolerance)}

    def decide(question):
        return ScheduleDecision(1, (), tolerance_accepted=accepted)

    bench = session(offer(1, schedule(entry(60, 1000.0), **more)), decision=decide).run()
    assert options(bench)[0].tolerance_w == seen
    expected = m.PowerToleranceAcceptance.POWER_TOLERANCE_CONFIRMED
    if not accepted:
        expected = m.PowerToleranceAcceptance.POWER_TOLERANCE_NOT_CONFIRMED
    assert mode_of(bench).power_tolerance_acceptance is expected


@pytest.mark.parametrize(
    "extreme", [RationalNumber(exponent=127, value=32_767), RationalNumber(exponent=-128, value=-1)]
)
def test_absurd_powers_are_cut_to_what_the_car_can_do(extreme):
    step = m.PowerScheduleEntry(duration=2**32 - 1, power=extreme)
    bench = session(offer(2**32 - 1, schedule(step))).run()
    assert bench.outcome == ("completed", "none")
    assert profile(bench)[0][1] in (40_000.0, pytest.approx(0.0))


def test_full_list_of_entries_is_taken():
    entries = [entry(60, float(i)) for i in range(1024)]
    bench = session(offer(1, schedule(*entries))).run()
    assert bench.outcome == ("completed", "none")
    assert len(profile(bench)) == 1024


def test_dynamic_mode_has_no_options_and_announces_full_power_until_departure():
    bench = Bench(DC, DYNAMIC, state=car(departure_s=1234)).run()
    assert options(bench) == ()
    assert profile(bench) == [(1234, 40_000.0)]
    assert isinstance(mode_of(bench), m.Dynamic_EVPPTControlMode)


@pytest.mark.parametrize("price", [None, absolute(0.3), levels(1, 0)])
def test_dynamic_response_with_prices_and_goals_is_taken(price):
    bench = Bench(DC, DYNAMIC)
    goals = m.Dynamic_SEResControlMode(departure_time=99, minimum_soc=30, target_soc=80, price_schedule=price)
    bench.station.alter("ScheduleExchangeReq", control_mode=goals, go_to_pause=True)
    assert bench.run().outcome == ("completed", "none")


# --- the choice -------------------------------------------------------------------------------


def three():
    return tuple(offer(n, schedule(entry(60, 1000.0 * n))) for n in (5, 3, 9))


def test_chosen_tuple_is_named_and_its_plan_announced():
    bench = session(
        *three(), decision=ScheduleDecision(3, (PowerStep(30, 2500.0), PowerStep(30, 500.0)))
    ).run()
    assert mode_of(bench).selected_schedule_tuple_id == 3
    assert profile(bench) == [(30, 2500.0), (30, 500.0)]


def test_choice_without_a_plan_takes_all_that_is_offered():
    bench = session(*three(), decision=ScheduleDecision(9, ())).run()
    assert (mode_of(bench).selected_schedule_tuple_id, profile(bench)) == (9, [(60, 9000.0)])


BAD_DECISIONS = {
    "nothing": None,
    "text": "the cheap one",
    "unknown tuple": ScheduleDecision(4, (PowerStep(60, 99_000.0),)),
    "zero": ScheduleDecision(0, ()),
    "too long": ScheduleDecision(3, (PowerStep(1, 1.0),) * 2049),
    "backwards": ScheduleDecision(3, (PowerStep(-1, 1.0),)),
    "no number": ScheduleDecision(3, (PowerStep(60, float("nan")),)),
    "infinite": ScheduleDecision(3, (PowerStep(60, float("inf")),)),
    "discharge": ScheduleDecision(3, (PowerStep(60, -1000.0),)),
}


@pytest.mark.parametrize("kind", BAD_DECISIONS)
def test_unusable_choice_becomes_the_first_offer_whole(kind):
    """Its tuple with its plan: never the tuple of one and the plan of another."""
    bench = session(*three(), decision=lambda q: BAD_DECISIONS[kind]).run()
    assert bench.outcome == ("completed", "none")
    assert mode_of(bench).selected_schedule_tuple_id == 5
    assert profile(bench) == [(60, 5000.0)]
    assert any(e.what == "schedule" for e in bench.seen(events.Decision))


@pytest.mark.parametrize("kind", ["nothing", "too long", "no number", "discharge"])
def test_unusable_plan_in_dynamic_mode_becomes_full_power(kind):
    bench = Bench(DC, DYNAMIC, controller=Planner(DC, lambda q: BAD_DECISIONS[kind])).run()
    assert bench.outcome == ("completed", "none")
    assert profile(bench) == [(3600, 40_000.0)]


def test_plan_is_cut_to_what_the_car_can_do():
    state = car(DC_BPT)
    assert state.limits.discharge == Limits(15_000.0, 40.0)
    plan = (PowerStep(60, 90_000.0), PowerStep(60, -90_000.0))
    bench = session(service=DC_BPT, state=state, decision=ScheduleDecision(1, plan)).run()
    assert profile(bench) == [(60, 40_000.0), (60, -15_000.0)]


@pytest.mark.parametrize("mode", [SCHEDULED, DYNAMIC])
@pytest.mark.parametrize("error", [RuntimeError("planner broke"), ValueError()])
def test_planner_that_fails_ends_the_session(mode, error):
    bench = Bench(DC, mode, controller=Planner(DC, error)).run()
    assert bench.outcome == ("local", "local")
    assert bench.ended.detail == f"ScheduleChoice: {error!r}"
    assert bench.left_safely


def test_supporting_points_of_the_configuration_are_told():
    bench = Bench(config=config(supporting_points=12)).run()
    assert bench.one("ScheduleExchangeReq").maximum_supporting_points == 12


def test_answer_to_another_question_is_not_taken():
    bench = Bench(DC, SCHEDULED, answers=False)
    bench.run(until=bench.in_phase("SERVICE_DETAIL"))
    bench.run(until=lambda: bool(bench.questions))
    bench.feed(Answer(ScheduleChoice(SCHEDULED, ()), ScheduleDecision(1, ())))
    assert bench.machine.ev.phase == "SERVICE_DETAIL"
    assert not bench.seen(events.QuestionAnswered)
    bench.feed(Answer(bench.questions[0], bench.questions[0].offers[0]))
    assert bench.machine.ev.phase == "SERVICE_SELECTION"
    bench.feed(Answer(bench.questions[0], None))
    assert not bench.machine.ended
