"""ScheduleExchange on the car's side: needs out, schedules in, and the car's choice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from iso15118.control.common import ControlMode
from iso15118.control.ev import PowerStep, ScheduleChoice, ScheduleDecision, ScheduleOption
from iso15118.evcc.vocabulary import Ev
from iso15118.messages.iso20 import common as m
from iso15118.messages.iso20.numbers import number, rational, utc_of
from iso15118.messages.iso20.types import Processing

DAY_S: Final = 86_400.0
"""A schedule's TimeAnchor farther from now than this (0, last year) says nothing: it begins now."""
CLOCK_SKEW_S: Final = 1.0
"""Stations that stamp in seconds may place the beginning of a schedule this far ahead."""
MAX_PROFILE_STEPS: Final = 2048


@dataclass(frozen=True, slots=True)
class Schedule:
    """What the car has chosen: a tuple (None in Dynamic mode) and its power plan, from `start` on.

    `option` are the station's limits over time; `start` is monotonic.
    """

    tuple_id: int | None
    profile: tuple[PowerStep, ...]
    tolerance_accepted: bool
    option: ScheduleOption | None
    start: float

    def planned_w(self, now: float) -> float:
        """The planned power now (signed); zero before the plan's beginning and after its end."""
        elapsed = now - self.start
        if elapsed < -CLOCK_SKEW_S:
            return 0.0
        for step in self.profile:
            if elapsed < step.duration_s:
                return step.power_w
            elapsed -= step.duration_s
        return 0.0


async def exchange_schedule(ev: Ev) -> Schedule:
    """Poll until the station has planned, then choose."""
    ev.begin("SCHEDULE_EXCHANGE")
    begun = ev.now
    while True:
        response = await ev.ask(
            m.ScheduleExchangeReq(
                header=ev.header,
                maximum_supporting_points=ev.config.supporting_points,
                control_mode=_needs(ev),
            ),
            m.ScheduleExchangeRes,
        )
        if response.evse_processing is Processing.FINISHED:
            break
        if ev.now - begun >= ev.config.timers.ongoing_s:
            ev.expire("V2G_EVCC_Ongoing_Timeout")
        await ev.pause()
    dynamic = isinstance(response.control_mode, m.Dynamic_SEResControlMode)
    if dynamic != (ev.control_mode is ControlMode.DYNAMIC):
        ev.fail(f"{type(response.control_mode).__name__} in the other control mode", "V2G20-1600")
    return await _choose(ev, response)


def _needs(ev: Ev) -> m.Dynamic_SEReqControlMode | m.Scheduled_SEReqControlMode:
    state, needs = ev.state, ev.state.needs
    if ev.control_mode is ControlMode.SCHEDULED:
        return m.Scheduled_SEReqControlMode(
            departure_time=state.departure_s,
            ev_target_energy_request=rational(needs.target_wh),
            ev_maximum_energy_request=rational(needs.maximum_wh),
            ev_minimum_energy_request=rational(needs.minimum_wh),
        )
    v2x = needs.v2x_maximum_wh is not None and needs.v2x_minimum_wh is not None  # [V2G20-2681]
    return m.Dynamic_SEReqControlMode(
        departure_time=state.departure_s,
        minimum_soc=state.minimum_soc,
        target_soc=state.target_soc,
        ev_target_energy_request=rational(needs.target_wh),
        ev_maximum_energy_request=rational(needs.maximum_wh),
        ev_minimum_energy_request=rational(needs.minimum_wh),
        ev_maximum_v2x_energy_request=rational(needs.v2x_maximum_wh or 0.0) if v2x else None,
        ev_minimum_v2x_energy_request=rational(needs.v2x_minimum_wh or 0.0) if v2x else None,
    )


async def _choose(ev: Ev, response: m.ScheduleExchangeRes) -> Schedule:
    mode = response.control_mode
    assert ev.control_mode is not None
    offered = () if isinstance(mode, m.Dynamic_SEResControlMode) else mode.schedule_tuple
    options = tuple(map(_option, offered))
    starts = [_begins(ev, x.charging_schedule.power_schedule.time_anchor) for x in offered]
    decision = await ev.query(ScheduleChoice(ev.control_mode, options))
    fault = _fault(ev, decision, options)
    if fault:
        ev.decide("schedule", f"{fault}: the first offer at full power instead")
        decision = ScheduleDecision(tuple_id=options[0].tuple_id if options else 0, profile=())
    if not options:
        everything = PowerStep(max(1, ev.state.departure_s), ev.state.limits.charge.max_power_w)
        return Schedule(None, _within(ev, decision.profile or (everything,)), True, None, ev.now)
    number_of = next(i for i, x in enumerate(options) if x.tuple_id == decision.tuple_id)
    option = options[number_of]
    profile = _within(ev, decision.profile or option.charge)
    return Schedule(option.tuple_id, profile, decision.tolerance_accepted, option, starts[number_of])


def _begins(ev: Ev, time_anchor: int) -> float:
    """When a schedule begins, on the monotonic clock."""
    ahead = utc_of(time_anchor) - ev.secc_utc
    return ev.now + ahead if abs(ahead) <= DAY_S else ev.now


def _fault(ev: Ev, decision: object, options: tuple[ScheduleOption, ...]) -> str:
    """Why the controller's decision cannot be used; empty where it can."""
    if not isinstance(decision, ScheduleDecision):
        return "no decision"
    if options and decision.tuple_id not in [x.tuple_id for x in options]:
        return f"schedule tuple {decision.tuple_id} was not offered"
    if len(decision.profile) > MAX_PROFILE_STEPS:
        return f"{len(decision.profile)} steps, at most {MAX_PROFILE_STEPS} can be told"
    if any(x.duration_s < 0 or not math.isfinite(x.power_w) for x in decision.profile):
        return "a power profile that is none"
    assert ev.service is not None
    if not ev.service.bidirectional and any(x.power_w < 0 for x in decision.profile):
        return f"discharging under service {ev.service.name}"
    return ""


def _within(ev: Ev, profile: tuple[PowerStep, ...]) -> tuple[PowerStep, ...]:
    """The plan within what the car can do."""
    most, least = ev.state.limits.charge.max_power_w, -ev.state.limits.discharge.max_power_w
    steps = profile[:MAX_PROFILE_STEPS]
    return tuple(PowerStep(x.duration_s, max(least, min(most, x.power_w))) for x in steps)


def _option(offered: m.ScheduleTuple) -> ScheduleOption:
    """A schedule tuple in plain numbers; powers as magnitudes whatever sign the station uses."""
    charging, discharging = offered.charging_schedule, offered.discharging_schedule
    price = charging.price_schedule
    tolerance = charging.power_schedule.power_tolerance
    return ScheduleOption(
        tuple_id=offered.schedule_tuple_id,
        charge=_steps(charging),
        discharge=_steps(discharging) if discharging else (),
        price_per_kwh=_prices(price) if isinstance(price, m.AbsolutePriceSchedule) else (),
        currency=price.currency if isinstance(price, m.AbsolutePriceSchedule) else "",
        tolerance_w=None if tolerance is None else abs(number(tolerance)),
    )


def _steps(schedule: m.ChargingSchedule) -> tuple[PowerStep, ...]:
    entries = schedule.power_schedule.power_schedule_entries.power_schedule_entry
    return tuple(PowerStep(x.duration, abs(_total(x))) for x in entries)


def _total(entry: m.PowerScheduleEntry) -> float:
    return number(entry.power) + sum(number(x) for x in (entry.power_l2, entry.power_l3) if x is not None)


def _prices(schedule: m.AbsolutePriceSchedule) -> tuple[float, ...]:
    """The energy fee of the lowest power range of each stack (currency per kWh)."""
    return tuple(number(x.price_rule[0].energy_fee) for x in schedule.price_rule_stacks.price_rule_stack)


def power_profile(ev: Ev, schedule: Schedule) -> m.EVPowerProfile:
    """The car's plan for PowerDeliveryReq; sent in Dynamic mode too, where it informs only."""
    mode: m.Dynamic_EVPPTControlMode | m.Scheduled_EVPPTControlMode = m.Dynamic_EVPPTControlMode()
    if schedule.tuple_id is not None:
        accepted = (
            m.PowerToleranceAcceptance.POWER_TOLERANCE_CONFIRMED
            if schedule.tolerance_accepted
            else m.PowerToleranceAcceptance.POWER_TOLERANCE_NOT_CONFIRMED
        )
        mode = m.Scheduled_EVPPTControlMode(
            selected_schedule_tuple_id=schedule.tuple_id, power_tolerance_acceptance=accepted
        )
    entries = tuple(
        m.PowerScheduleEntry(duration=step.duration_s, power=rational(step.power_w))
        for step in schedule.profile
    )
    return m.EVPowerProfile(
        time_anchor=ev.stamp(schedule.start),
        control_mode=mode,
        ev_power_profile_entries=m.EVPowerProfileEntryList(ev_power_profile_entry=entries),
    )
