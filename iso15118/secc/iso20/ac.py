"""AC and AC_BPT on the station's side: parameters and the charge loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from iso15118.control.common import ControlMode
from iso15118.control.evse import SetAcTarget
from iso15118.messages.iso20.ac import (
    AC_ChargeLoopReq,
    AC_ChargeLoopRes,
    AC_ChargeParameterDiscoveryReq,
    AC_ChargeParameterDiscoveryRes,
    AC_CPDReqEnergyTransferMode,
    AC_CPDResEnergyTransferMode,
    BPT_AC_CPDReqEnergyTransferMode,
    BPT_AC_CPDResEnergyTransferMode,
    BPT_Dynamic_AC_CLResControlMode,
    BPT_Scheduled_AC_CLResControlMode,
    Dynamic_AC_CLResControlMode,
    Scheduled_AC_CLResControlMode,
)
from iso15118.messages.iso20.numbers import rational, total
from iso15118.messages.iso20.types import CLResControlMode, ResponseCode
from iso15118.secc.iso20 import loop
from iso15118.secc.iso20.schedule import discharge_is_negative
from iso15118.secc.session import State, Step, View
from iso15118.units import NO_FLOW, Envelope, Limits


def charge_parameter_discovery(s: View, req: AC_ChargeParameterDiscoveryReq) -> Step:
    """Exchange limits in the variant of the service; unusable ones are refused [V2G20-1619]."""
    mode = req.ac_cpd_req_energy_transfer_mode
    ev, announced = ev_envelope(mode), s.evse.limits
    why = _variant_fault(s, mode) or loop.negative_limit(mode) or _parameter_fault(ev)
    if why:
        return s.fail(req, ResponseCode.FAILED_WRONG_CHARGE_PARAMETER, why, "V2G20-1619")
    negative = isinstance(mode, BPT_AC_CPDReqEnergyTransferMode) and mode.ev_maximum_discharge_power.value < 0
    told = replace(s, record=s.record.but(negative_discharge=negative))
    response = AC_ChargeParameterDiscoveryRes(
        header=s.header,
        response_code=ResponseCode.OK,
        ac_cpd_res_energy_transfer_mode=_transfer_mode(told, announced),
    )
    return s.reply(
        response, State.SCHEDULE_EXCHANGE, ev_limits=ev, announced=announced, negative_discharge=negative
    )


def ev_envelope(mode: AC_CPDReqEnergyTransferMode) -> Envelope:
    """The EV's limits of ChargeParameterDiscovery, as sums over the phases [V2G20-1817]."""
    discharge = NO_FLOW
    if isinstance(mode, BPT_AC_CPDReqEnergyTransferMode):
        discharge = _both(mode, "discharge", NO_FLOW)
    return Envelope(charge=_both(mode, "charge", NO_FLOW), discharge=discharge)


def _both(mode: Any, direction: str, known: Limits) -> Limits:
    most = total(mode, f"ev_maximum_{direction}_power")
    least = total(mode, f"ev_minimum_{direction}_power")
    size: Callable[[float], float] = abs if direction == "discharge" else lambda x: max(0.0, x)
    return Limits(
        max_power_w=known.max_power_w if most is None else size(most),
        min_power_w=known.min_power_w if least is None else size(least),
    )


def _variant_fault(s: View, mode: AC_CPDReqEnergyTransferMode) -> str:
    assert s.record.service is not None
    if isinstance(mode, BPT_AC_CPDReqEnergyTransferMode) == s.record.service.bidirectional:
        return ""
    return f"{type(mode).__name__} under service {s.record.service.name}"


def _parameter_fault(ev: Envelope) -> str:
    if ev.charge.max_power_w <= 0 and ev.discharge.max_power_w <= 0:
        return "the EV can take no power"
    for limits in (ev.charge, ev.discharge):
        if limits.max_power_w < limits.min_power_w:
            return f"minimum {limits.min_power_w:.0f} W above maximum {limits.max_power_w:.0f} W"
    return ""


def _transfer_mode(s: View, evse: Envelope) -> AC_CPDResEnergyTransferMode:
    assert s.record.service is not None
    values: dict[str, Any] = {
        "evse_maximum_charge_power": rational(evse.charge.max_power_w),
        "evse_minimum_charge_power": rational(evse.charge.min_power_w),
        "evse_nominal_frequency": rational(s.config.ac_nominal_frequency_hz),
    }
    if not s.record.service.bidirectional:
        return AC_CPDResEnergyTransferMode(**values)
    sign = -1.0 if discharge_is_negative(s) else 1.0
    return BPT_AC_CPDResEnergyTransferMode(
        **values,
        evse_maximum_discharge_power=rational(sign * evse.discharge.max_power_w),
        evse_minimum_discharge_power=rational(sign * evse.discharge.min_power_w),
    )


def charge_loop(s: View, req: AC_ChargeLoopReq) -> Step:
    """One turn: tell the EV how much power it may take or shall feed back."""
    mode: Any = req.cl_req_control_mode
    why = loop.control_mode_fault(s, mode)
    if why:
        return s.fail(req, ResponseCode.FAILED, why, "V2G20-1600")
    known = s.record.ev_limits
    ev = replace(
        known, charge=_both(mode, "charge", known.charge), discharge=_both(mode, "discharge", known.discharge)
    )
    needs = loop.needs_from(mode)
    envelope = loop.capped(_powers(s.limits, ev), *loop.scheduled_limits(s))
    code, watched, why = loop.profile_verdict(s, s.evse.power_w)
    if code is ResponseCode.FAILED_EV_POWER_PROFILE_VIOLATION:
        return s.fail(req, code, why, "V2G20-1864")
    power = loop.dynamic_power(s, envelope, needs)
    told, remembered = loop.told(s, req.meter_info_requested)
    response = AC_ChargeLoopRes(
        header=s.header,
        response_code=code,
        **told,
        cl_res_control_mode=_res_mode(s, power),
    )
    return s.reply(
        response,
        State.CHARGE_LOOP,
        do=(SetAcTarget(power, s.evse.setpoint_var or 0.0),),
        why=why,
        ev_limits=ev,
        needs=needs,
        loops=s.record.loops + 1,
        **watched,
        **remembered,
    )


def _powers(evse: Envelope, ev: Envelope) -> Envelope:
    """The tighter powers of both; AC has neither current nor voltage limits on this wire."""
    return replace(
        evse,
        charge=Limits(
            min(evse.charge.max_power_w, ev.charge.max_power_w),
            0.0,
            max(evse.charge.min_power_w, ev.charge.min_power_w),
        ),
        discharge=Limits(
            min(evse.discharge.max_power_w, ev.discharge.max_power_w),
            0.0,
            max(evse.discharge.min_power_w, ev.discharge.min_power_w),
        ),
    )


def _res_mode(s: View, power_w: float) -> CLResControlMode:
    """Dynamic: the set-point is mandatory. Scheduled: sent where the operator wants something else."""
    assert s.record.service is not None
    bidirectional = s.record.service.bidirectional
    values: dict[str, Any] = {"evse_present_active_power": rational(s.evse.power_w)}
    if s.evse.setpoint_var is not None:
        values["evse_target_reactive_power"] = rational(s.evse.setpoint_var)
    if s.record.control_mode is ControlMode.DYNAMIC:
        values["evse_target_active_power"] = rational(power_w)
        return (
            BPT_Dynamic_AC_CLResControlMode(**values)
            if bidirectional
            else Dynamic_AC_CLResControlMode(**values)
        )
    if s.evse.setpoint_w is not None:
        values["evse_target_active_power"] = rational(power_w)
    return (
        BPT_Scheduled_AC_CLResControlMode(**values)
        if bidirectional
        else Scheduled_AC_CLResControlMode(**values)
    )
