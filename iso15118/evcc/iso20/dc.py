"""DC and DC_BPT (and MCS) on the car's side."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from iso15118 import events
from iso15118.control.common import Contactor, ControlMode
from iso15118.control.ev import CloseContactor, OpenContactor, SetPilot, SetPower
from iso15118.evcc.iso20.delivery import display, start_delivery, stop_delivery
from iso15118.evcc.iso20.metering import confirm_meter
from iso15118.evcc.iso20.schedule import Schedule
from iso15118.evcc.iso20.stop import PILOT_SETTLE_S, Leaving, reason_to_leave
from iso15118.evcc.vocabulary import EarlyLeave, Ev, SessionOver
from iso15118.events import EndReason, Fault
from iso15118.messages.iso20 import dc as m
from iso15118.messages.iso20.numbers import number, rational
from iso15118.messages.iso20.types import CLReqControlMode, CLResControlMode, Processing, RationalNumber
from iso15118.units import NO_FLOW, Envelope, Limits

CURRENT_DOWN_A: Final = 1.0
TOUCH_SAFE_V: Final = 60.0
INLET_QUIET_S: Final = 2.0
"""How long the car waits for its inlet to lose voltage before it reports that it does not."""
STEADY_READINGS: Final = 2
"""Readings in a row, a poll apart, in which the pre-charge voltage has to match."""
OVERVOLTAGE: Final = 1.05
"""The station may exceed the car's maximum voltage by this factor before the car opens."""


async def discover_parameters(ev: Ev) -> None:
    """Exchange limits; the smaller of both rule from here on."""
    ev.begin("CHARGE_PARAMETER_DISCOVERY")
    request = m.DC_ChargeParameterDiscoveryReq(
        header=ev.header, dc_cpd_req_energy_transfer_mode=_transfer_mode(ev)
    )
    response = await ev.ask(request, m.DC_ChargeParameterDiscoveryRes)
    mode = response.dc_cpd_res_energy_transfer_mode
    assert ev.service is not None
    if isinstance(mode, m.BPT_DC_CPDResEnergyTransferMode) != ev.service.bidirectional:
        ev.fail(f"{type(mode).__name__} under service {ev.service.name}")
    ev.evse_limits = evse_envelope(mode)
    if ev.evse_limits.max_voltage_v < ev.state.limits.min_voltage_v:
        detail = f"the station reaches {ev.evse_limits.max_voltage_v:.0f} V only"
        raise EarlyLeave(detail, EndReason.LOCAL)


def _transfer_mode(ev: Ev) -> m.DC_CPDReqEnergyTransferMode:
    limits = ev.state.limits
    values: dict[str, Any] = {
        "ev_maximum_charge_power": rational(limits.charge.max_power_w),
        "ev_minimum_charge_power": rational(limits.charge.min_power_w),
        "ev_maximum_charge_current": rational(limits.charge.max_current_a),
        "ev_minimum_charge_current": rational(limits.charge.min_current_a),
        "ev_maximum_voltage": rational(limits.max_voltage_v),
        "ev_minimum_voltage": rational(limits.min_voltage_v),
        "target_soc": ev.state.target_soc,
    }
    assert ev.service is not None
    if not ev.service.bidirectional:
        return m.DC_CPDReqEnergyTransferMode(**values)
    return m.BPT_DC_CPDReqEnergyTransferMode(
        **values,
        ev_maximum_discharge_power=rational(limits.discharge.max_power_w),
        ev_minimum_discharge_power=rational(limits.discharge.min_power_w),
        ev_maximum_discharge_current=rational(limits.discharge.max_current_a),
        ev_minimum_discharge_current=rational(limits.discharge.min_current_a),
    )


def evse_envelope(mode: m.DC_CPDResEnergyTransferMode) -> Envelope:
    """The station's limits, discharge as magnitudes whatever sign it uses."""
    discharge = NO_FLOW
    if isinstance(mode, m.BPT_DC_CPDResEnergyTransferMode):
        discharge = Limits(
            abs(number(mode.evse_maximum_discharge_power)),
            abs(number(mode.evse_maximum_discharge_current)),
            abs(number(mode.evse_minimum_discharge_power)),
            abs(number(mode.evse_minimum_discharge_current)),
        )
    return Envelope(
        charge=Limits(
            abs(number(mode.evse_maximum_charge_power)),
            abs(number(mode.evse_maximum_charge_current)),
            abs(number(mode.evse_minimum_charge_power)),
            abs(number(mode.evse_minimum_charge_current)),
        ),
        discharge=discharge,
        max_voltage_v=number(mode.evse_maximum_voltage),
        min_voltage_v=number(mode.evse_minimum_voltage),
    )


async def check_cable(ev: Ev) -> None:
    """Signal readiness, then poll until the station's insulation test has passed [V2G20-1418]."""
    ev.begin("CABLE_CHECK")
    ev.do(SetPilot(ready=True))
    await ev.sleep(PILOT_SETTLE_S)
    begun = ev.now
    while True:
        response = await ev.ask(m.DC_CableCheckReq(header=ev.header), m.DC_CableCheckRes)
        if response.evse_processing is Processing.FINISHED:
            return
        if ev.now - begun >= ev.config.timers.cable_check_s:
            ev.expire("V2G_EVCC_CableCheck_Timeout")
        await ev.pause()


async def pre_charge(ev: Ev) -> None:
    """Let the station match the battery voltage, then close our contactor.

    The match has to last: an output on its way through the right voltage to a wrong one looks
    right in a single reading.
    """
    ev.begin("PRE_CHARGE")
    begun, matches = ev.now, 0
    while True:
        response = await _ask_pre_charge(ev, Processing.ONGOING)
        gap = abs(number(response.evse_present_voltage) - ev.state.battery_voltage_v)
        matches = matches + 1 if max(gap, _inlet_gap_v(ev)) <= ev.config.pre_charge_tolerance_v else 0
        if matches == STEADY_READINGS:
            break
        if ev.now - begun >= ev.config.timers.pre_charge_s:
            ev.expire("V2G_EVCC_PreCharge_Timeout")
        await ev.pause()
    await _ask_pre_charge(ev, Processing.FINISHED)
    ev.give_way()
    if _inlet_gap_v(ev) > ev.config.pre_charge_tolerance_v:  # what counts is the moment of closing
        ev.fail(f"the voltage left the battery's by {_inlet_gap_v(ev):.0f} V after pre-charge")
    ev.do(CloseContactor())
    if not await ev.until(lambda s: s.contactor is Contactor.CLOSED, ev.config.timers.contactor_s):
        raise SessionOver(EndReason.LOCAL, Fault.LOCAL, "our contactor does not close")


def _inlet_gap_v(ev: Ev) -> float:
    return abs(ev.state.inlet_voltage_v - ev.state.battery_voltage_v)


async def _ask_pre_charge(ev: Ev, processing: Processing) -> m.DC_PreChargeRes:
    request = m.DC_PreChargeReq(
        header=ev.header,
        ev_processing=processing,
        ev_present_voltage=rational(ev.state.inlet_voltage_v),
        ev_target_voltage=rational(ev.state.battery_voltage_v),
    )
    return await ev.ask(request, m.DC_PreChargeRes)


async def transfer(ev: Ev, schedule: Schedule) -> Leaving:
    """Power on, charge loop, power off, welding detection."""
    leaving = await start_delivery(ev, schedule) or await _loop(ev, schedule)
    await _current_down(ev, schedule)
    await stop_delivery(ev)
    ev.do(OpenContactor())
    if ev.config.welding_detection:
        await _detect_welding(ev)
    return leaving


async def _loop(ev: Ev, schedule: Schedule) -> Leaving:
    ev.enter("CHARGE_LOOP")
    loops = 0
    while True:
        response = await _turn(ev, schedule, loops, wanted=True)
        await confirm_meter(ev, response, schedule.tuple_id)
        loops += 1
        leaving = reason_to_leave(ev, response, loops, schedule.planned_w(ev.now))
        if leaving is not None:
            return leaving
        await ev.sleep(ev.config.loop_interval_s)


async def _turn(ev: Ev, schedule: Schedule, loops: int, *, wanted: bool) -> m.DC_ChargeLoopRes:
    """One exchange of the loop; `wanted` False asks for no current."""
    request = m.DC_ChargeLoopReq(
        header=ev.header,
        display_parameters=display(ev),
        meter_info_requested=loops % ev.config.meter_info_every == 0,
        ev_present_voltage=rational(ev.state.inlet_voltage_v),
        cl_req_control_mode=_control_mode(ev, schedule, wanted),
    )
    response = await ev.ask(request, m.DC_ChargeLoopRes)
    voltage, current = number(response.evse_present_voltage), number(response.evse_present_current)
    highest = max(voltage, ev.state.inlet_voltage_v)
    if highest > ev.state.limits.max_voltage_v * OVERVOLTAGE:
        ev.fail(f"the station drives {highest:.0f} V, our limit is {ev.state.limits.max_voltage_v:.0f} V")
    _follow_limits(ev, response.cl_res_control_mode)
    ev.emit(
        events.PowerFlow,
        voltage_v=voltage,
        current_a=current,
        power_w=voltage * current,
        soc_percent=ev.state.soc_percent,
    )
    return response


def _follow_limits(ev: Ev, mode: CLResControlMode) -> None:
    """The station's maxima rule from the response on that states them."""
    assert ev.service is not None
    before = ev.evse_limits
    discharge = _stated(mode, "discharge", before.discharge) if ev.service.bidirectional else NO_FLOW
    ev.evse_limits = replace(before, charge=_stated(mode, "charge", before.charge), discharge=discharge)


def _stated(mode: CLResControlMode, direction: str, before: Limits) -> Limits:
    power: RationalNumber | None = getattr(mode, f"evse_maximum_{direction}_power", None)
    current: RationalNumber | None = getattr(mode, f"evse_maximum_{direction}_current", None)
    return replace(
        before,
        max_power_w=before.max_power_w if power is None else abs(number(power)),
        max_current_a=before.max_current_a if current is None else abs(number(current)),
    )


def _control_mode(ev: Ev, schedule: Schedule, wanted: bool) -> CLReqControlMode:
    assert ev.service is not None
    bidirectional = ev.service.bidirectional
    if ev.control_mode is ControlMode.SCHEDULED:
        values = _scheduled(ev, schedule, wanted)
        if not bidirectional:
            return m.Scheduled_DC_CLReqControlMode(**values)
        return m.BPT_Scheduled_DC_CLReqControlMode(**values, **_discharge(ev, wanted))
    values = _dynamic(ev, wanted)
    if not bidirectional:
        return m.Dynamic_DC_CLReqControlMode(**values)
    needs = ev.state.needs
    if needs.v2x_maximum_wh is not None and needs.v2x_minimum_wh is not None:
        values["ev_maximum_v2x_energy_request"] = rational(needs.v2x_maximum_wh)
        values["ev_minimum_v2x_energy_request"] = rational(needs.v2x_minimum_wh)
    return m.BPT_Dynamic_DC_CLReqControlMode(**values, **_discharge(ev, wanted))


def _energy(ev: Ev) -> dict[str, Any]:
    needs = ev.state.needs
    return {
        "ev_target_energy_request": rational(needs.target_wh),
        "ev_maximum_energy_request": rational(needs.maximum_wh),
        "ev_minimum_energy_request": rational(needs.minimum_wh),
    }


def _scheduled(ev: Ev, schedule: Schedule, wanted: bool) -> dict[str, Any]:
    """Target voltage and current: what the battery wants, within the plan."""
    current = scheduled_current(ev, schedule) if wanted else 0.0
    return {
        **_energy(ev),
        "ev_target_current": rational(current),
        "ev_target_voltage": rational(ev.state.target_voltage_v or ev.state.limits.max_voltage_v),
        "ev_maximum_charge_power": rational(ev.state.limits.charge.max_power_w),
        "ev_maximum_charge_current": rational(ev.state.limits.charge.max_current_a),
        "ev_maximum_voltage": rational(ev.state.limits.max_voltage_v),
        "ev_minimum_voltage": rational(ev.state.limits.min_voltage_v),
    }


def scheduled_current(ev: Ev, schedule: Schedule) -> float:
    """The current to ask for: the battery's wish, within the plan and the limits of both sides."""
    planned = schedule.planned_w(ev.now)
    voltage = max(ev.state.inlet_voltage_v, ev.state.battery_voltage_v, 1.0)
    limits = ev.state.limits.within(ev.evse_limits)
    if planned < 0 and ev.state.needs.minimum_wh >= 0:
        return 0.0  # below its minimum the battery gives nothing, whatever was planned
    if planned < 0:
        return -min(-planned / voltage, _most_a(limits.discharge, voltage))
    return max(0.0, min(ev.state.target_current_a, planned / voltage, _most_a(limits.charge, voltage)))


def _most_a(limits: Limits, voltage: float) -> float:
    return min(limits.max_current_a, limits.max_power_w / voltage)


def _dynamic(ev: Ev, wanted: bool) -> dict[str, Any]:
    """Limits and energy requests; what the battery cannot take now is cut off the limits."""
    limits = ev.state.limits
    current = min(limits.charge.max_current_a, max(0.0, ev.state.target_current_a)) if wanted else 0.0
    return {
        **_energy(ev),
        "departure_time": ev.state.departure_s,
        "ev_maximum_charge_power": rational(limits.charge.max_power_w if wanted else 0.0),
        "ev_minimum_charge_power": rational(limits.charge.min_power_w if wanted else 0.0),
        "ev_maximum_charge_current": rational(current),
        "ev_maximum_voltage": rational(limits.max_voltage_v),
        "ev_minimum_voltage": rational(limits.min_voltage_v),
    }


def _discharge(ev: Ev, wanted: bool) -> dict[str, Any]:
    limits = ev.state.limits.discharge if wanted else NO_FLOW
    return {
        "ev_maximum_discharge_power": rational(limits.max_power_w),
        "ev_minimum_discharge_power": rational(limits.min_power_w),
        "ev_maximum_discharge_current": rational(limits.max_current_a),
    }


async def _current_down(ev: Ev, schedule: Schedule) -> None:
    """Ask for nothing until the current is below 1 A, for a bounded time."""
    ev.do(SetPower(0.0))
    begun = ev.now
    while True:
        response = await _turn(ev, schedule, 1, wanted=False)
        currents = abs(ev.state.current_a), abs(number(response.evse_present_current))
        if max(currents) < CURRENT_DOWN_A or ev.now - begun >= ev.config.timers.current_down_s:
            return
        await ev.sleep(ev.config.loop_interval_s)


async def _detect_welding(ev: Ev) -> None:
    """With our contactor open the inlet must lose its voltage; a welded one keeps it.

    A contactor that does not report open ends the session; a voltage that stays is told and left
    to the vehicle, for the station may discharge its output slowly.
    """
    ev.enter("WELDING_DETECTION")
    begun = ev.now
    while True:
        opened = ev.state.contactor is Contactor.OPEN
        quiet = abs(ev.state.inlet_voltage_v) < TOUCH_SAFE_V or ev.now - begun >= INLET_QUIET_S
        processing = Processing.FINISHED if opened and quiet else Processing.ONGOING
        await ev.ask(
            m.DC_WeldingDetectionReq(header=ev.header, ev_processing=processing), m.DC_WeldingDetectionRes
        )
        if processing is Processing.FINISHED:
            break
        if ev.now - begun >= ev.config.timers.welding_s:
            raise SessionOver(EndReason.LOCAL, Fault.LOCAL, "our contactor does not open")
        await ev.sleep(ev.config.poll_interval_s)
    if abs(ev.state.inlet_voltage_v) >= TOUCH_SAFE_V:
        why = f"{ev.state.inlet_voltage_v:.0f} V at the inlet after {INLET_QUIET_S:.0f} s: contactor may be welded"
        ev.decide("welding detection", why)
