"""ScheduleExchange on the car's side: needs out, schedules in, and the car's choice."""

from __future__ import annotations

from dataclasses import dataclass

from iso15118.control.common import ControlMode
from iso15118.control.ev import PowerStep, ScheduleChoice, ScheduleDecision, ScheduleOption
from iso15118.evcc.vocabulary import Ev
from iso15118.messages.iso20 import common as m
from iso15118.messages.iso20.numbers import number, rational
from iso15118.messages.iso20.types import Processing


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
        """The planned power now (signed); zero after the plan's end."""
        elapsed = now - self.start
        for step in self.profile:
            if elapsed < step.duration_s:
                return step.power_w
            elapsed -= step.duration_s
        return 0.0


async def exchange_schedule(ev: Ev) -> Schedule:
    """Poll until the station has planned, then choose."""
    ev.enter("SCHEDULE_EXCHANGE")
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
        await ev.sleep(ev.config.poll_interval_s)
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
    options = () if isinstance(mode, m.Dynamic_SEResControlMode) else tuple(map(_option, mode.schedule_tuple))
    decision = await ev.query(ScheduleChoice(ev.control_mode, options))
    if not isinstance(decision, ScheduleDecision):
        decision = ScheduleDecision(tuple_id=options[0].tuple_id if options else 0, profile=())
    if not options:
        everything = PowerStep(max(1, ev.state.departure_s), ev.state.limits.charge.max_power_w)
        return Schedule(None, decision.profile or (everything,), True, None, ev.now)
    option = next((x for x in options if x.tuple_id == decision.tuple_id), options[0])
    profile = decision.profile or option.charge
    return Schedule(option.tuple_id, profile, decision.tolerance_accepted, option, ev.now)


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
        for step in schedule.profile[:2048]
    )
    return m.EVPowerProfile(
        time_anchor=ev.stamp(),
        control_mode=mode,
        ev_power_profile_entries=m.EVPowerProfileEntryList(ev_power_profile_entry=entries),
    )
