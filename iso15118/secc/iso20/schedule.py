"""ScheduleExchange on the station's side: the EV's needs go out, an offer comes back."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from iso15118.control.common import ControlMode
from iso15118.energy.offer import EnergyOffer, Offer, OfferStep
from iso15118.events import Fault
from iso15118.messages.iso20.common import (
    AbsolutePriceSchedule,
    ChargingSchedule,
    Dynamic_SEReqControlMode,
    Dynamic_SEResControlMode,
    PowerSchedule,
    PowerScheduleEntry,
    PowerScheduleEntryList,
    PriceRule,
    PriceRuleStack,
    PriceRuleStackList,
    Scheduled_SEReqControlMode,
    Scheduled_SEResControlMode,
    ScheduleExchangeReq,
    ScheduleExchangeRes,
    ScheduleTuple,
)
from iso15118.messages.iso20.numbers import number, rational
from iso15118.messages.iso20.types import Processing, ResponseCode
from iso15118.messages.minimal import minimal
from iso15118.secc.iso20.setup import ANSWER_HOLD_S
from iso15118.secc.session import EvNeeds, State, Step, View, needs_of
from iso15118.units import Envelope

STACKED_ENERGY: Final = "urn:iso:std:iso:15118:-20:PriceAlgorithm:3-StackedEnergy"


def schedule_exchange(s: View, req: ScheduleExchangeReq) -> Step:
    """Ongoing until the controller has an offer, then Finished with it."""
    wrong = _mode_mismatch(s, req)
    if wrong:
        return s.fail(req, ResponseCode.FAILED, wrong, "V2G20-1600")
    if s.record.pending is None:
        needs = ev_needs(req.control_mode)
        question = needs_of(s, needs, req.control_mode.departure_time, req.maximum_supporting_points)
        step = s.ask(question, ANSWER_HOLD_S)
        return replace(step, record=step.record.but(needs=needs))
    if s.record.overdue and not s.record.answered:
        why = "the controller offered nothing in time"
        return s.fail(req, ResponseCode.FAILED, why, fault=Fault.LOCAL)
    if s.record.answered:
        return _offered(s, req)
    if s.held and not s.expired:
        return s.wait(ANSWER_HOLD_S)
    return s.reply(_ongoing(s, req))


def ev_needs(mode: Dynamic_SEReqControlMode | Scheduled_SEReqControlMode) -> EvNeeds:
    """The energy requests of a ScheduleExchangeReq."""
    v2x = mode if isinstance(mode, Dynamic_SEReqControlMode) else None
    return EvNeeds(
        target_wh=number(mode.ev_target_energy_request),
        maximum_wh=number(mode.ev_maximum_energy_request),
        minimum_wh=number(mode.ev_minimum_energy_request),
        v2x_maximum_wh=number(v2x.ev_maximum_v2x_energy_request) if v2x else None,
        v2x_minimum_wh=number(v2x.ev_minimum_v2x_energy_request) if v2x else None,
    )


def _mode_mismatch(s: View, req: ScheduleExchangeReq) -> str:
    dynamic = isinstance(req.control_mode, Dynamic_SEReqControlMode)
    wanted = s.record.control_mode
    if dynamic == (wanted is ControlMode.DYNAMIC):
        return ""
    return f"{'Dynamic' if dynamic else 'Scheduled'} needs in a {wanted.name if wanted else '?'} session"


def _ongoing(s: View, req: ScheduleExchangeReq) -> ScheduleExchangeRes:
    """The schema wants a control mode even while nothing is offered: an empty or placeholder one."""
    dynamic = isinstance(req.control_mode, Dynamic_SEReqControlMode)
    mode = Dynamic_SEResControlMode() if dynamic else minimal(Scheduled_SEResControlMode)
    return ScheduleExchangeRes(
        header=s.header, response_code=ResponseCode.OK, evse_processing=Processing.ONGOING, control_mode=mode
    )


def _offered(s: View, req: ScheduleExchangeReq) -> Step:
    answer = s.record.answer
    if not isinstance(answer, EnergyOffer):
        why = f"the controller's offer is unusable: {answer!r}"
        return s.fail(req, ResponseCode.FAILED, why, fault=Fault.LOCAL)
    limits = s.limits.within(s.record.ev_limits)
    offer = fit(answer, limits, req.maximum_supporting_points)
    mode: Dynamic_SEResControlMode | Scheduled_SEResControlMode
    if isinstance(req.control_mode, Dynamic_SEReqControlMode):
        mode = Dynamic_SEResControlMode()
    else:
        mode = Scheduled_SEResControlMode(schedule_tuple=tuple(_tuple(s, x) for x in offer.offers))
    response = ScheduleExchangeRes(
        header=s.header, response_code=ResponseCode.OK, evse_processing=Processing.FINISHED, control_mode=mode
    )
    assert s.record.service is not None
    after = State.POWER_DELIVERY if s.record.service.is_ac else State.CABLE_CHECK
    return s.reply(response, after, offer=offer, offer_at=s.now, rounds=s.record.rounds + 1, **s.settled())


def fit(offer: EnergyOffer, limits: Envelope, points: int) -> EnergyOffer:
    """The offer within what both sides can do, with at most `points` steps per schedule.

    A controller that offers more than the limits is cut, never believed.
    """
    return EnergyOffer(tuple(replace(x, steps=_merge(_cut(x, limits), points)) for x in offer.offers))


def _cut(offer: Offer, limits: Envelope) -> tuple[OfferStep, ...]:
    return tuple(
        replace(
            step,
            charge_w=min(step.charge_w, limits.charge.max_power_w),
            discharge_w=min(step.discharge_w, limits.discharge.max_power_w),
        )
        for step in offer.steps
    )


def _merge(steps: tuple[OfferStep, ...], points: int) -> tuple[OfferStep, ...]:
    """Merge neighbours into the lower power and the dearer price until `points` steps remain."""
    merged = list(steps)
    while len(merged) > points:
        at = min(range(len(merged) - 1), key=lambda i: merged[i].duration_s + merged[i + 1].duration_s)
        merged[at : at + 2] = [_merged(merged[at], merged[at + 1])]
    return tuple(merged)


def _merged(first: OfferStep, second: OfferStep) -> OfferStep:
    """Two neighbours as one, never better for the EV than either."""
    prices = [p for p in (first.price_per_kwh, second.price_per_kwh) if p is not None]
    feed_in = [p for p in (first.feed_in_per_kwh, second.feed_in_per_kwh) if p is not None]
    return OfferStep(
        first.duration_s + second.duration_s,
        min(first.charge_w, second.charge_w),
        min(first.discharge_w, second.discharge_w),
        max(prices) if prices else None,
        min(feed_in) if feed_in else None,
    )


def _tuple(s: View, offer: Offer) -> ScheduleTuple:
    discharging = any(step.discharge_w for step in offer.steps)
    sign = -1.0 if discharge_is_negative(s) else 1.0
    charge = [(x.charge_w, x.price_per_kwh) for x in offer.steps]
    discharge = [(sign * x.discharge_w, x.feed_in_per_kwh) for x in offer.steps]
    return ScheduleTuple(
        schedule_tuple_id=offer.tuple_id,
        charging_schedule=_schedule(s, offer, charge),
        discharging_schedule=_schedule(s, offer, discharge) if discharging else None,
    )


def discharge_is_negative(s: View) -> bool:
    """Which sign discharge limits are sent with: as configured, or as the EV does it."""
    return s.config.discharge_sign == "negative" or (
        s.config.discharge_sign == "mirror" and s.record.negative_discharge
    )


def _schedule(s: View, offer: Offer, steps: list[tuple[float, float | None]]) -> ChargingSchedule:
    """One direction's schedule from (power, energy fee) per step; priced where every step is."""
    entries = tuple(
        PowerScheduleEntry(duration=step.duration_s, power=rational(power))
        for step, (power, _) in zip(offer.steps, steps, strict=True)
    )
    power = PowerSchedule(
        time_anchor=s.stamp(),
        power_tolerance=None if offer.tolerance_w is None else rational(offer.tolerance_w),
        power_schedule_entries=PowerScheduleEntryList(power_schedule_entry=entries),
    )
    fees = [fee for _, fee in steps if fee is not None]
    priced = s.config.prices and len(fees) == len(steps)
    return ChargingSchedule(power_schedule=power, price_schedule=_prices(s, offer, fees) if priced else None)


def _prices(s: View, offer: Offer, fees: list[float]) -> AbsolutePriceSchedule:
    stacks = tuple(
        PriceRuleStack(
            duration=step.duration_s,
            price_rule=(PriceRule(energy_fee=rational(fee), power_range_start=rational(0)),),
        )
        for step, fee in zip(offer.steps, fees, strict=True)
    )
    return AbsolutePriceSchedule(
        time_anchor=s.stamp(),
        price_schedule_id=offer.tuple_id,
        currency=offer.currency,
        language=s.config.language,
        price_algorithm=STACKED_ENERGY,
        price_rule_stacks=PriceRuleStackList(price_rule_stack=stacks),
    )
