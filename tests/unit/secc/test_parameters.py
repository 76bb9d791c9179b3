"""Charge parameters and schedules: variants, limits, offers, and what the EV plans."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from iso15118.control.common import ControlMode, EnergyService
from iso15118.control.evse import ChargingNeeds
from iso15118.energy.offer import EnergyOffer, Offer, OfferStep
from iso15118.events import Fault
from iso15118.messages.iso20 import ac, common, dc
from iso15118.messages.iso20 import schedules as plan
from iso15118.messages.iso20.numbers import number
from iso15118.messages.iso20.types import Processing, ResponseCode
from iso15118.secc.iso20.schedule import fit
from iso15118.secc.session import State
from iso15118.units import Envelope, Limits
from tests.unit.secc.harness import DC_LIMITS, Bench, reach
from tests.unit.secc.messages import R

S, Code = State, ResponseCode


def parameters(made: Bench, **values: float):
    return made.send(made.ev.charge_parameters(**values))


# --- DC ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["DC", "DC_BPT", "MCS", "MCS_BPT"])
def test_dc_limits_come_in_the_variant_of_the_service(service: str) -> None:
    made = reach(S.CHARGE_PARAMETER_DISCOVERY, service)
    response = parameters(made)
    mode = response.dc_cpd_res_energy_transfer_mode
    assert response.response_code is Code.OK
    assert isinstance(mode, dc.BPT_DC_CPDResEnergyTransferMode) == service.endswith("BPT")
    assert number(mode.evse_maximum_charge_power) == 150_000
    assert number(mode.evse_minimum_charge_power) == 100
    assert number(mode.evse_maximum_charge_current) == 300
    assert number(mode.evse_minimum_charge_current) == 1
    assert (number(mode.evse_maximum_voltage), number(mode.evse_minimum_voltage)) == (920, 150)
    assert made.record.announced == DC_LIMITS
    assert made.record.ev_limits.charge == Limits(100_000, 250)


@pytest.mark.parametrize(
    ("configured", "peer", "sent"),
    [
        ("mirror", 1, 1),
        ("mirror", -1, -1),
        ("positive", -1, 1),
        ("negative", 1, -1),
    ],
)
def test_sign_of_discharge_limits(configured: str, peer: int, sent: int) -> None:
    made = reach(S.CHARGE_PARAMETER_DISCOVERY, "DC_BPT", "SCHEDULED", discharge_sign=configured)
    response = parameters(
        made, ev_maximum_discharge_power=peer * 10_000, ev_maximum_discharge_current=peer * 30
    )
    mode = response.dc_cpd_res_energy_transfer_mode
    assert number(mode.evse_maximum_discharge_power) == sent * 20_000
    assert number(mode.evse_maximum_discharge_current) == sent * 50
    assert made.record.ev_limits.discharge == Limits(10_000, 30)
    offered = made.send(made.ev.schedule_exchange()).control_mode.schedule_tuple[0]
    entry = offered.discharging_schedule.power_schedule.power_schedule_entries.power_schedule_entry[0]
    assert number(entry.power) == sent * 10_000


@pytest.mark.req("V2G20-2272")
@pytest.mark.parametrize(
    "values",
    [
        {"ev_maximum_voltage": 0.0},
        {"ev_maximum_voltage": 250.0, "ev_minimum_voltage": 300.0},
        {"ev_maximum_voltage": -450.0},
        {"ev_minimum_voltage": -10.0},
        {"ev_maximum_voltage": 140.0, "ev_minimum_voltage": 50.0},
        {"ev_maximum_voltage": 1500.0, "ev_minimum_voltage": 1000.0},
        {"ev_maximum_charge_power": 10.0, "ev_minimum_charge_power": 100.0},
        {"ev_maximum_charge_current": 10.0, "ev_minimum_charge_current": 20.0},
        {"ev_maximum_charge_power": -50_000.0},
        {"ev_maximum_charge_current": -50.0},
        {"ev_minimum_charge_power": -1.0},
        {"ev_maximum_discharge_power": 10.0, "ev_minimum_discharge_power": 100.0},
        {"ev_maximum_discharge_current": -1.0, "ev_minimum_discharge_current": -20.0},
    ],
    ids=str,
)
def test_implausible_dc_parameters(values: dict[str, float]) -> None:
    service = "DC_BPT" if any("discharge" in k for k in values) else "DC"
    made = reach(S.CHARGE_PARAMETER_DISCOVERY, service)
    response = parameters(made, **values)
    assert response.response_code is Code.FAILED_WRONG_CHARGE_PARAMETER
    assert made.end.requirement == "V2G20-2272"
    assert made.end.fault is Fault.REMOTE


@pytest.mark.parametrize(("service", "requirement"), [("DC", "V2G20-2272"), ("AC", "V2G20-1619")])
@pytest.mark.req("V2G20-2272")
@pytest.mark.req("V2G20-1619")
def test_variant_that_does_not_fit_the_service(service: str, requirement: str) -> None:
    for bpt, name in ((True, service), (False, f"{service}_BPT")):
        made = reach(S.CHARGE_PARAMETER_DISCOVERY, name)
        response = parameters(made, bpt=bpt)
        assert response.response_code is Code.FAILED_WRONG_CHARGE_PARAMETER
        assert made.end.requirement == requirement
        mode = getattr(response, f"{service.lower()}_cpd_res_energy_transfer_mode")
        assert type(mode).__name__.startswith("BPT_") == bpt, "refused in the variant of the request"


# --- AC ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["AC", "AC_BPT"])
def test_ac_limits_come_in_the_variant_of_the_service(service: str) -> None:
    made = reach(S.CHARGE_PARAMETER_DISCOVERY, service, ac_nominal_frequency_hz=60.0)
    mode = parameters(made).ac_cpd_res_energy_transfer_mode
    assert isinstance(mode, ac.BPT_AC_CPDResEnergyTransferMode) == service.endswith("BPT")
    assert number(mode.evse_maximum_charge_power) == 22_000
    assert number(mode.evse_minimum_charge_power) == 1_380
    assert number(mode.evse_nominal_frequency) == 60
    if service == "AC_BPT":
        assert number(mode.evse_maximum_discharge_power) == 11_000


@pytest.mark.req("V2G20-1817")
def test_base_element_alone_is_the_sum_of_the_phases() -> None:
    made = reach(S.CHARGE_PARAMETER_DISCOVERY, "AC")
    parameters(made, ev_maximum_charge_power=11_000)
    assert made.record.ev_limits.charge.max_power_w == 11_000


@pytest.mark.req("V2G20-1818")
def test_per_phase_values_add_up() -> None:
    made = reach(S.CHARGE_PARAMETER_DISCOVERY, "AC_BPT")
    parameters(
        made,
        ev_maximum_charge_power=3_000,
        ev_maximum_charge_power_l2=2_000,
        ev_maximum_charge_power_l3=1_000,
        ev_maximum_discharge_power=-3_000,
        ev_maximum_discharge_power_l2=-500,
    )
    assert made.record.ev_limits.charge.max_power_w == 6_000
    assert made.record.ev_limits.discharge.max_power_w == 3_500
    assert made.record.negative_discharge


@pytest.mark.req("V2G20-1619")
@pytest.mark.parametrize(
    "values",
    [
        {"ev_maximum_charge_power": 0.0, "ev_minimum_charge_power": 0.0},
        {"ev_maximum_charge_power": 1_000.0},
        {"ev_maximum_charge_power": -11_000.0},
        {"ev_maximum_charge_power": 5_000.0, "ev_maximum_charge_power_l2": -1.0},
        {"ev_maximum_discharge_power": 10.0, "ev_minimum_discharge_power": 100.0},
    ],
    ids=str,
)
def test_implausible_ac_parameters(values: dict[str, float]) -> None:
    made = reach(S.CHARGE_PARAMETER_DISCOVERY, "AC_BPT" if any("discharge" in k for k in values) else "AC")
    response = parameters(made, **values)
    assert response.response_code is Code.FAILED_WRONG_CHARGE_PARAMETER
    assert made.end.requirement == "V2G20-1619"


def test_car_that_only_feeds_back_is_no_mistake() -> None:
    made = reach(S.CHARGE_PARAMETER_DISCOVERY, "AC_BPT")
    response = parameters(made, ev_maximum_charge_power=0.0, ev_minimum_charge_power=0.0)
    assert response.response_code is Code.OK


# --- schedule exchange ------------------------------------------------------------------------


def test_needs_of_the_ev_reach_the_controller() -> None:
    made = reach(S.SCHEDULE_EXCHANGE, "DC_BPT", "DYNAMIC")
    response = made.send(
        made.ev.schedule_exchange(
            points=12, ev_maximum_v2x_energy_request=9_000, ev_minimum_v2x_energy_request=-9_000
        )
    )
    assert response.evse_processing is Processing.FINISHED
    assert response.control_mode == plan.Dynamic_SEResControlMode()
    needs = made.questions[-1]
    assert isinstance(needs, ChargingNeeds)
    assert (needs.service, needs.control_mode) == (EnergyService.DC_BPT, ControlMode.DYNAMIC)
    assert needs.limits.charge == Limits(100_000, 250, 100, 1), "the tighter of both sides"
    assert needs.limits.discharge == Limits(10_000, 30)
    assert (needs.max_points, needs.departure_s, needs.round) == (12, 3600, 1)
    assert (needs.target_wh, needs.max_wh, needs.min_wh) == (20_000, 40_000, -5_000)
    assert (needs.v2x_max_wh, needs.v2x_min_wh) == (9_000, -9_000)


def test_scheduled_needs_are_optional() -> None:
    made = reach(S.SCHEDULE_EXCHANGE, "AC", "SCHEDULED")
    response = made.send(made.ev.schedule_exchange())
    needs = made.questions[-1]
    assert (needs.departure_s, needs.target_wh, needs.v2x_max_wh) == (None, None, None)
    assert [t.schedule_tuple_id for t in response.control_mode.schedule_tuple] == [1]
    assert made.at is S.POWER_DELIVERY


@pytest.mark.req("V2G20-1600")
@pytest.mark.parametrize("control", ["DYNAMIC", "SCHEDULED"])
def test_needs_in_the_other_control_mode(control: str) -> None:
    made = reach(S.SCHEDULE_EXCHANGE, "DC", control)
    response = made.send(made.ev.schedule_exchange(dynamic=control == "SCHEDULED"))
    assert response.response_code is Code.FAILED
    assert made.end.requirement == "V2G20-1600"
    assert not made.questions[1:]


@pytest.mark.parametrize("control", ["DYNAMIC", "SCHEDULED"])
def test_ongoing_schedule_is_schema_valid_in_the_mode_of_the_request(control: str) -> None:
    made = reach(S.SCHEDULE_EXCHANGE, "DC", control)
    made.answering = False
    made.send(made.ev.schedule_exchange())
    made.advance(1.0)
    response = made.sent[-1]
    assert response.evse_processing is Processing.ONGOING
    assert isinstance(response.control_mode, plan.Dynamic_SEResControlMode) == (control == "DYNAMIC")
    assert made.at is S.SCHEDULE_EXCHANGE
    made.answer(EnergyOffer.flat(max_w=5_000))
    finished = made.send(made.ev.schedule_exchange())
    assert finished.evse_processing is Processing.FINISHED
    assert made.at is S.CABLE_CHECK


def offered(made: Bench, offer: EnergyOffer, **asked: int) -> tuple[plan.ScheduleTuple, ...]:
    made.offer = offer
    return made.send(made.ev.schedule_exchange(**asked)).control_mode.schedule_tuple


def entries(schedule: plan.ChargingSchedule) -> list[tuple[int, float]]:
    steps = schedule.power_schedule.power_schedule_entries.power_schedule_entry
    return [(s.duration, number(s.power)) for s in steps]


def test_offers_above_the_limits_are_cut() -> None:
    made = reach(S.SCHEDULE_EXCHANGE, "DC_BPT", "SCHEDULED")
    step = OfferStep(600, 500_000.0, 90_000.0)
    (only,) = offered(made, EnergyOffer((Offer((step, OfferStep(60, math.inf)), tuple_id=42),)))
    assert only.schedule_tuple_id == 42
    assert entries(only.charging_schedule) == [(600, 100_000), (60, 100_000)]
    assert entries(only.discharging_schedule) == [(600, 10_000), (60, 0)]
    assert made.record.offer.find(42).limits_at(0) == (100_000, 10_000)


def test_no_discharge_is_offered_where_none_is_possible() -> None:
    made = reach(S.SCHEDULE_EXCHANGE, "DC", "SCHEDULED")
    (only,) = offered(made, EnergyOffer.flat(max_w=5_000, discharge_w=5_000))
    assert only.discharging_schedule is None


def test_prices_of_both_directions() -> None:
    made = reach(S.SCHEDULE_EXCHANGE, "DC_BPT", "SCHEDULED")
    priced = OfferStep(600, 5_000, 5_000, 0.39, 0.08)
    only, other = offered(
        made,
        EnergyOffer((Offer((priced,), 1, "CHF"), Offer((priced, OfferStep(60, 1.0)), 2))),
    )
    charging, feeding = only.charging_schedule.price_schedule, only.discharging_schedule.price_schedule
    assert (charging.currency, charging.language, charging.price_schedule_id) == ("CHF", "en", 1)
    (stack,) = charging.price_rule_stacks.price_rule_stack
    assert (stack.duration, number(stack.price_rule[0].energy_fee)) == (600, 0.39)
    assert number(feeding.price_rule_stacks.price_rule_stack[0].price_rule[0].energy_fee) == 0.08
    assert other.charging_schedule.price_schedule is None, "a step without a price"


def test_prices_can_be_switched_off() -> None:
    made = reach(S.SCHEDULE_EXCHANGE, "DC", "SCHEDULED", prices=False)
    (only,) = offered(made, EnergyOffer.flat(max_w=5_000, price_per_kwh=0.3))
    assert only.charging_schedule.price_schedule is None


def test_tolerance_is_told() -> None:
    made = reach(S.SCHEDULE_EXCHANGE, "AC", "SCHEDULED")
    (only,) = offered(made, EnergyOffer((Offer((OfferStep(60, 5_000),), tolerance_w=250.0),)))
    assert number(only.charging_schedule.power_schedule.power_tolerance) == 250


def test_long_schedules_are_merged_to_the_points_the_ev_supports() -> None:
    made = reach(S.SCHEDULE_EXCHANGE, "AC", "SCHEDULED")
    steps = tuple(OfferStep(60, 1_000.0 + i, price_per_kwh=i / 100) for i in range(100))
    (only,) = offered(made, EnergyOffer((Offer(steps),)), points=12)
    merged = entries(only.charging_schedule)
    assert len(merged) == 12
    assert sum(s for s, _ in merged) == 6_000
    stacks = only.charging_schedule.price_schedule.price_rule_stacks.price_rule_stack
    assert len(stacks) == 12
    original, at = Offer(steps), 0
    for (seconds, watts), stack in zip(merged, stacks, strict=True):
        inside = [original.limits_at(at + s)[0] for s in range(0, seconds, 60)]
        assert watts == pytest.approx(min(inside), rel=1e-3), "never more than any of the merged steps"
        assert number(stack.price_rule[0].energy_fee) == pytest.approx((max(inside) - 1000) / 100)
        at += seconds


def test_merging_keeps_the_lesser_of_both_directions() -> None:
    steps = (OfferStep(60, 5.0, 9.0, 0.1, 0.5), OfferStep(60, 7.0, 3.0, 0.4, 0.2), OfferStep(900, 1.0))
    limits = Envelope(charge=Limits(100), discharge=Limits(100))
    (merged,) = fit(EnergyOffer((Offer(steps),)), limits, 2).offers
    assert merged.steps == (OfferStep(120, 5.0, 3.0, 0.4, 0.2), OfferStep(900, 1.0))


@pytest.mark.parametrize(
    "answer", [RuntimeError("no grid"), None, 5_000, Offer((OfferStep(1, 1.0),))], ids=str
)
def test_no_offer_from_the_controller_fails(answer: object) -> None:
    made = reach(S.SCHEDULE_EXCHANGE)
    made.answering = False
    made.send(made.ev.schedule_exchange())
    made.answer(answer)
    assert made.sent[-1].response_code is Code.FAILED
    assert made.end.fault is Fault.LOCAL


@pytest.mark.parametrize(
    "offer",
    [
        EnergyOffer.flat(max_w=1.0, duration_s=2**33),
        EnergyOffer.flat(max_w=1.0, duration_s=1.5),  # type: ignore[arg-type]
        EnergyOffer((Offer((OfferStep(60, 1.0, 0.0, 0.3),), currency="EURO"),)),
        EnergyOffer.flat(max_w=1.0, price_per_kwh=math.nan),
        EnergyOffer.flat(max_w=1.0, price_per_kwh=1e200),
    ],
    ids=["too-long", "half-seconds", "currency", "nan", "price"],
)
def test_offer_that_no_message_can_carry_fails_and_does_not_crash(offer: EnergyOffer) -> None:
    made = reach(S.SCHEDULE_EXCHANGE, "DC", "SCHEDULED")
    made.offer = offer
    response = made.send(made.ev.schedule_exchange())
    assert response.response_code is Code.FAILED
    assert made.end.fault is Fault.LOCAL
    assert "unusable value" in made.end.detail


def test_session_stop_while_the_controller_thinks_forgets_the_question() -> None:
    made = reach(S.SCHEDULE_EXCHANGE)
    made.answering = False
    made.send(made.ev.schedule_exchange())
    made.advance(1.0)
    made.send(made.ev.session_stop("SERVICE_RENEGOTIATION"))
    made.send(made.ev.service_discovery())
    made.send(made.ev.service_detail())
    made.send(made.ev.service_selection())
    made.send(made.ev.charge_parameters(ev_maximum_charge_power=7_000))
    asked = len(made.questions)
    assert made.send(made.ev.schedule_exchange()) is None
    assert len(made.questions) == asked + 1, "asked anew, for the new selection"
    assert made.questions[-1].limits.charge.max_power_w == 7_000


def test_limits_below_the_announced_ones_hold_at_once() -> None:
    made = reach(S.SCHEDULE_EXCHANGE, "DC", "SCHEDULED")
    made.levels(limits=replace(DC_LIMITS, charge=Limits(30_000, 300)))
    (only,) = offered(made, EnergyOffer.flat(max_w=1e6))
    assert entries(only.charging_schedule)[0][1] == 30_000


def test_ev_offer_and_price_data_are_no_obstacle() -> None:
    made = reach(S.SCHEDULE_EXCHANGE, "AC", "SCHEDULED")
    rules = plan.EVPriceRule(energy_fee=R(0.2), power_range_start=R(-1))
    sells = plan.EVEnergyOffer(
        ev_power_schedule=plan.EVPowerSchedule(
            time_anchor=0,
            ev_power_schedule_entries=plan.EVPowerScheduleEntryList(
                ev_power_schedule_entry=(plan.EVPowerScheduleEntry(duration=60, power=R(-5_000)),)
            ),
        ),
        ev_absolute_price_schedule=plan.EVAbsolutePriceSchedule(
            time_anchor=0,
            currency="EUR",
            price_algorithm="x",
            ev_price_rule_stacks=plan.EVPriceRuleStackList(
                ev_price_rule_stack=(plan.EVPriceRuleStack(duration=60, ev_price_rule=(rules,)),)
            ),
        ),
    )
    mode = plan.Scheduled_SEReqControlMode(ev_energy_offer=sells)
    request = made.ev.make(common.ScheduleExchangeReq, maximum_supporting_points=12, control_mode=mode)
    assert made.send(request).response_code is Code.OK
