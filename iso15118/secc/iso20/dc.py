"""DC and DC_BPT (and MCS) on the station's side: parameters, cable check, pre-charge, loop, welding."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final

from iso15118.control.common import Check, Contactor, ControlMode
from iso15118.control.evse import CloseContactor, LockConnector, OpenContactor, RunCableCheck, SetDcTarget
from iso15118.events import Fault
from iso15118.messages.iso20.dc import (
    BPT_DC_CPDReqEnergyTransferMode,
    BPT_DC_CPDResEnergyTransferMode,
    BPT_Dynamic_DC_CLResControlMode,
    BPT_Scheduled_DC_CLResControlMode,
    DC_CableCheckReq,
    DC_CableCheckRes,
    DC_ChargeLoopReq,
    DC_ChargeLoopRes,
    DC_ChargeParameterDiscoveryReq,
    DC_ChargeParameterDiscoveryRes,
    DC_CPDReqEnergyTransferMode,
    DC_CPDResEnergyTransferMode,
    DC_PreChargeReq,
    DC_PreChargeRes,
    DC_WeldingDetectionReq,
    DC_WeldingDetectionRes,
    Dynamic_DC_CLReqControlMode,
    Dynamic_DC_CLResControlMode,
    Scheduled_DC_CLReqControlMode,
    Scheduled_DC_CLResControlMode,
)
from iso15118.messages.iso20.numbers import number, rational
from iso15118.messages.iso20.types import CLReqControlMode, CLResControlMode, Processing, ResponseCode
from iso15118.secc.iso20 import loop
from iso15118.secc.iso20.schedule import discharge_is_negative
from iso15118.secc.session import EvNeeds, State, Step, View
from iso15118.units import NO_FLOW, Envelope, Limits

PRE_CHARGE_CURRENT_A: Final = 2.0
"""Current limit while the output follows the battery voltage before the EV's contactor closes."""
_NEARLY: Final = 0.995
"""A limit counts as achieved from this share of it on."""


# --- ChargeParameterDiscovery -----------------------------------------------------------------


def charge_parameter_discovery(s: View, req: DC_ChargeParameterDiscoveryReq) -> Step:
    """Exchange limits in the variant of the service; unusable ones are refused [V2G20-2272]."""
    mode = req.dc_cpd_req_energy_transfer_mode
    ev, announced = ev_envelope(mode), s.evse.limits
    why = _variant_fault(s, mode) or loop.negative_limit(mode) or parameter_fault(ev, announced)
    if why:
        return s.fail(req, ResponseCode.FAILED_WRONG_CHARGE_PARAMETER, why, "V2G20-2272")
    negative = isinstance(mode, BPT_DC_CPDReqEnergyTransferMode) and mode.ev_maximum_discharge_power.value < 0
    told = replace(s, record=s.record.but(negative_discharge=negative))
    response = DC_ChargeParameterDiscoveryRes(
        header=s.header,
        response_code=ResponseCode.OK,
        dc_cpd_res_energy_transfer_mode=_transfer_mode(told, announced),
    )
    return s.reply(
        response,
        State.SCHEDULE_EXCHANGE,
        ev_limits=ev,
        announced=announced,
        negative_discharge=negative,
    )


def ev_envelope(mode: DC_CPDReqEnergyTransferMode) -> Envelope:
    """The EV's limits of ChargeParameterDiscovery."""
    discharge = NO_FLOW
    if isinstance(mode, BPT_DC_CPDReqEnergyTransferMode):
        discharge = _limits(
            mode.ev_maximum_discharge_power,
            mode.ev_maximum_discharge_current,
            mode.ev_minimum_discharge_power,
            mode.ev_minimum_discharge_current,
        )
    return Envelope(
        charge=_limits(
            mode.ev_maximum_charge_power,
            mode.ev_maximum_charge_current,
            mode.ev_minimum_charge_power,
            mode.ev_minimum_charge_current,
        ),
        discharge=discharge,
        max_voltage_v=loop.not_negative(mode.ev_maximum_voltage, 0.0),
        min_voltage_v=loop.not_negative(mode.ev_minimum_voltage, 0.0),
    )


def _limits(max_power: Any, max_current: Any, min_power: Any, min_current: Any) -> Limits:
    return Limits(*(loop.magnitude(x, 0.0) for x in (max_power, max_current, min_power, min_current)))


def _variant_fault(s: View, mode: DC_CPDReqEnergyTransferMode) -> str:
    assert s.record.service is not None
    bpt = isinstance(mode, BPT_DC_CPDReqEnergyTransferMode)
    if bpt == s.record.service.bidirectional:
        return ""
    return f"{type(mode).__name__} under service {s.record.service.name}"


def parameter_fault(ev: Envelope, evse: Envelope) -> str:
    """Why these EV limits cannot work with these EVSE limits; empty if they can."""
    if ev.max_voltage_v <= 0 or ev.max_voltage_v < ev.min_voltage_v:
        return f"voltage window {ev.min_voltage_v:.0f} to {ev.max_voltage_v:.0f} V"
    if ev.max_voltage_v < evse.min_voltage_v or ev.min_voltage_v > evse.max_voltage_v:
        return (
            f"EV voltage {ev.min_voltage_v:.0f} to {ev.max_voltage_v:.0f} V does not meet "
            f"{evse.min_voltage_v:.0f} to {evse.max_voltage_v:.0f} V"
        )
    for limits in (ev.charge, ev.discharge):
        if limits.max_power_w < limits.min_power_w or limits.max_current_a < limits.min_current_a:
            return f"minimum above maximum: {limits}"
    return ""


def _transfer_mode(s: View, evse: Envelope) -> DC_CPDResEnergyTransferMode:
    assert s.record.service is not None
    values: dict[str, Any] = {
        "evse_maximum_charge_power": rational(evse.charge.max_power_w),
        "evse_minimum_charge_power": rational(evse.charge.min_power_w),
        "evse_maximum_charge_current": rational(evse.charge.max_current_a),
        "evse_minimum_charge_current": rational(evse.charge.min_current_a),
        "evse_maximum_voltage": rational(evse.max_voltage_v),
        "evse_minimum_voltage": rational(evse.min_voltage_v),
    }
    if not s.record.service.bidirectional:
        return DC_CPDResEnergyTransferMode(**values)
    return BPT_DC_CPDResEnergyTransferMode(
        **values,
        **_discharge(s, evse.discharge),
        evse_minimum_discharge_current=rational(_sign(s) * evse.discharge.min_current_a),
    )


def _sign(s: View) -> float:
    return -1.0 if discharge_is_negative(s) else 1.0


def _discharge(s: View, limits: Limits) -> dict[str, Any]:
    sign = _sign(s)
    return {
        "evse_maximum_discharge_power": rational(sign * limits.max_power_w),
        "evse_minimum_discharge_power": rational(sign * limits.min_power_w),
        "evse_maximum_discharge_current": rational(sign * limits.max_current_a),
    }


# --- CableCheck and PreCharge -----------------------------------------------------------------


def cable_check(s: View, req: DC_CableCheckReq) -> Step:
    """Lock, test the insulation, answer Ongoing until it has passed; a failed test ends the session.

    A verdict counts only after the test was seen running: one left over from before does not.
    """
    if s.record.overdue:
        why = "insulation test took too long"
        return s.fail(req, ResponseCode.FAILED, why, fault=Fault.LOCAL)
    if not s.evse.cp.ready:
        if s.expired:
            why = f"control pilot {s.evse.cp.value} in cable check"
            return s.fail(req, ResponseCode.FAILED, why, "V2G20-1418")
        return s.wait(s.config.timers.pilot_s, do=(LockConnector(),))
    if not s.evse.locked:
        return s.reply(_cable_check_res(s, Processing.ONGOING), do=(LockConnector(),))
    if not s.record.energised:
        return s.reply(
            _cable_check_res(s, Processing.ONGOING), do=(RunCableCheck(),), energised=True, opening=False
        )
    if s.record.check_seen and s.evse.cable_check is Check.FAILED:
        return s.fail(req, ResponseCode.FAILED, "insulation test failed", fault=Fault.LOCAL)
    if s.record.check_seen and s.evse.cable_check is Check.PASSED:
        return s.reply(_cable_check_res(s, Processing.FINISHED), State.CABLE_CHECKED)
    return s.reply(_cable_check_res(s, Processing.ONGOING))


def _cable_check_res(s: View, processing: Processing) -> DC_CableCheckRes:
    return DC_CableCheckRes(header=s.header, response_code=ResponseCode.OK, evse_processing=processing)


def pre_charge(s: View, req: DC_PreChargeReq) -> Step:
    """Follow the EV's target voltage with little current; the EV decides when it is close enough.

    A target above what both sides can do is followed up to there and no further: simulators in
    the field ask for 20 kV, and a refusal would only hide their fault.
    """
    most = min(s.limits.max_voltage_v, s.record.ev_limits.max_voltage_v)
    target = max(0.0, min(number(req.ev_target_voltage), most))
    response = DC_PreChargeRes(
        header=s.header,
        response_code=ResponseCode.OK,
        evse_present_voltage=rational(s.evse.voltage_v),
    )
    if req.ev_processing is Processing.FINISHED:
        return s.reply(response, State.PRE_CHARGE, pre_charged=True)
    drive = SetDcTarget(target, PRE_CHARGE_CURRENT_A)
    closed = s.evse.contactor is Contactor.CLOSED
    return s.reply(
        response,
        State.PRE_CHARGE,
        do=(drive,) if closed else (CloseContactor(),),
        target_voltage_v=target,
        pre_charged=False,
    )


# --- charge loop ------------------------------------------------------------------------------


def charge_loop(s: View, req: DC_ChargeLoopReq) -> Step:
    """One turn: take the EV's wish, drive the output within every limit, answer with true values."""
    mode = req.cl_req_control_mode
    why = loop.control_mode_fault(s, mode)
    if why:
        return s.fail(req, ResponseCode.FAILED, why, "V2G20-1600")
    ev = _updated(s.record.ev_limits, mode)
    needs = loop.needs_from(mode)
    limits = s.limits
    envelope = loop.capped(limits.within(ev), *loop.scheduled_limits(s))
    wish_v, wish_a = _wish(s, req, envelope, needs)
    target = _target(s, envelope, wish_v, wish_a, ev)
    code, watched, why = loop.profile_verdict(s, s.evse.voltage_v * s.evse.current_a)
    if code is ResponseCode.FAILED_EV_POWER_PROFILE_VIOLATION:
        return s.fail(req, code, why, "V2G20-1864")
    told, remembered = loop.told(s, req.meter_info_requested)
    response = DC_ChargeLoopRes(
        header=s.header,
        response_code=code,
        **told,
        evse_present_current=rational(s.evse.current_a),
        evse_present_voltage=rational(s.evse.voltage_v),
        evse_power_limit_achieved=_achieved(
            wish_v * wish_a, limits.charge.max_power_w, limits.discharge.max_power_w
        ),
        evse_current_limit_achieved=_achieved(
            wish_a, limits.charge.max_current_a, limits.discharge.max_current_a
        ),
        evse_voltage_limit_achieved=wish_v >= limits.max_voltage_v * _NEARLY,
        cl_res_control_mode=_res_mode(s, limits),
    )
    return s.reply(
        response,
        State.CHARGE_LOOP,
        do=(target,),
        why=why,
        ev_limits=ev,
        needs=needs,
        target_voltage_v=wish_v,
        loops=s.record.loops + 1,
        **watched,
        **remembered,
    )


def _updated(known: Envelope, mode: Any) -> Envelope:
    """The EV's limits with what this request says anew; what it leaves out stays."""
    assert isinstance(mode, (Scheduled_DC_CLReqControlMode, Dynamic_DC_CLReqControlMode))
    charge, discharge = known.charge, known.discharge
    return Envelope(
        charge=Limits(
            loop.not_negative(mode.ev_maximum_charge_power, charge.max_power_w),
            loop.not_negative(mode.ev_maximum_charge_current, charge.max_current_a),
            loop.not_negative(mode.ev_minimum_charge_power, charge.min_power_w),
            charge.min_current_a,
        ),
        discharge=Limits(
            loop.magnitude(getattr(mode, "ev_maximum_discharge_power", None), discharge.max_power_w),
            loop.magnitude(getattr(mode, "ev_maximum_discharge_current", None), discharge.max_current_a),
            loop.magnitude(getattr(mode, "ev_minimum_discharge_power", None), discharge.min_power_w),
            discharge.min_current_a,
        ),
        max_voltage_v=loop.not_negative(mode.ev_maximum_voltage, known.max_voltage_v),
        min_voltage_v=loop.not_negative(mode.ev_minimum_voltage, known.min_voltage_v),
        phases=known.phases,
    )


def _wish(s: View, req: DC_ChargeLoopReq, envelope: Envelope, needs: EvNeeds) -> tuple[float, float]:
    """(V, signed A) wanted: by the EV in Scheduled mode, by the station in Dynamic mode."""
    mode: CLReqControlMode = req.cl_req_control_mode
    if isinstance(mode, Scheduled_DC_CLReqControlMode):
        # Some EVs control current alone and leave the voltage 0 or stale [V2G20-2183].
        voltage = number(mode.ev_target_voltage) or s.record.target_voltage_v
        return voltage, number(mode.ev_target_current)
    power = loop.dynamic_power(s, envelope, needs)
    voltage = s.evse.voltage_v if s.evse.voltage_v > 1.0 else s.record.target_voltage_v
    return envelope.max_voltage_v, power / voltage if voltage > 1.0 else 0.0


def _target(s: View, envelope: Envelope, wish_v: float, wish_a: float, ev: Envelope) -> SetDcTarget:
    """The output's set-points within every limit of both sides."""
    voltage = max(0.0, min(wish_v, envelope.max_voltage_v))
    current = envelope.clamp_current(wish_a)
    limits = envelope.charge if current >= 0 else envelope.discharge
    most = limits.max_power_w / max(s.evse.voltage_v, 1.0)
    current = math.copysign(min(abs(current), most), current) if current else 0.0
    return SetDcTarget(voltage, current, ev.min_voltage_v if current < 0 else 0.0)


def _achieved(wish: float, charge: float, discharge: float) -> bool:
    return abs(wish) >= (charge if wish >= 0 else discharge) * _NEARLY and wish != 0


def _res_mode(s: View, now: Envelope) -> CLResControlMode:
    assert s.record.service is not None
    values: dict[str, Any] = {
        "evse_maximum_charge_power": rational(now.charge.max_power_w),
        "evse_minimum_charge_power": rational(now.charge.min_power_w),
        "evse_maximum_charge_current": rational(now.charge.max_current_a),
        "evse_maximum_voltage": rational(now.max_voltage_v),
    }
    dynamic = s.record.control_mode is ControlMode.DYNAMIC
    if not s.record.service.bidirectional:
        return Dynamic_DC_CLResControlMode(**values) if dynamic else Scheduled_DC_CLResControlMode(**values)
    values |= _discharge(s, now.discharge)
    values["evse_minimum_voltage"] = rational(now.min_voltage_v)
    return (
        BPT_Dynamic_DC_CLResControlMode(**values) if dynamic else BPT_Scheduled_DC_CLResControlMode(**values)
    )


# --- welding detection ------------------------------------------------------------------------


def welding_detection(s: View, req: DC_WeldingDetectionReq) -> Step:
    """Report the outlet voltage while the EV tests its contactors; then the station's opens as well."""
    response = DC_WeldingDetectionRes(
        header=s.header,
        response_code=ResponseCode.OK,
        evse_present_voltage=rational(s.evse.voltage_v),
    )
    over = req.ev_processing is Processing.FINISHED
    return s.reply(response, State.WELDING_DETECTION, do=(OpenContactor(),) if over else ())
