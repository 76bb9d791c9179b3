"""PowerDelivery and SessionStop on the station's side: switching power on, off, and ending."""

from __future__ import annotations

from typing import Any, Final

from iso15118.control.common import Contactor, ControlMode, CpState, Wish
from iso15118.control.evse import (
    CloseContactor,
    Command,
    LockConnector,
    OpenContactor,
    SetAcTarget,
    SetDcTarget,
)
from iso15118.energy.offer import Offer, PlanStep, plan_violation, power_at
from iso15118.events import EndReason, Fault
from iso15118.messages.iso20.common import (
    ChargeProgress,
    ChargingSession,
    EVPowerProfile,
    PowerDeliveryReq,
    PowerDeliveryRes,
    PowerToleranceAcceptance,
    Scheduled_EVPPTControlMode,
    SessionStopReq,
    SessionStopRes,
)
from iso15118.messages.iso20.numbers import number, utc_of
from iso15118.messages.iso20.types import Processing, ResponseCode
from iso15118.secc.iso20 import loop
from iso15118.secc.session import State, Step, View

OUTPUT_OFF: Final[tuple[Command, ...]] = (SetDcTarget(0.0, 0.0), OpenContactor())
AC_OFF: Final[tuple[Command, ...]] = (SetAcTarget(0.0), OpenContactor())
CURRENT_GONE_A: Final = 1.0
"""Below this the EV may open its contactors (IEC 61851-23)."""


def power_delivery(s: View, req: PowerDeliveryReq) -> Step:
    """Start, stop, standby or renegotiation, as the EV asks."""
    match req.charge_progress:
        case ChargeProgress.START:
            return _start(s, req)
        case ChargeProgress.STOP:
            return _stop(s, req)
        case ChargeProgress.STANDBY:
            code = ResponseCode.WARNING_STANDBY_NOT_ALLOWED
            return s.reply(_res(s, code), why="standby is not supported")
        case ChargeProgress.SCHEDULE_RENEGOTIATION:
            if s.record.state is not State.CHARGE_LOOP:
                return s.fail(req, ResponseCode.FAILED, "schedule renegotiation before the charge loop")
            why = "schedule renegotiation is not served yet"
            return s.fail(req, ResponseCode.FAILED_POWER_DELIVERY_NOT_APPLIED, why)


def _res(s: View, code: ResponseCode = ResponseCode.OK) -> PowerDeliveryRes:
    return PowerDeliveryRes(header=s.header, response_code=code, evse_status=loop.status(s))


# --- start ------------------------------------------------------------------------------------


def _start(s: View, req: PowerDeliveryReq) -> Step:
    assert s.record.service is not None
    if s.record.service.is_dc and s.record.state is not State.CHARGE_LOOP:
        why = _pre_charge_fault(s)
        if why:
            return s.fail(req, ResponseCode.FAILED, why)
    if req.ev_processing is not Processing.FINISHED:
        if s.record.overdue:
            return s.fail(req, ResponseCode.FAILED, "the EV's power profile took too long")
        return s.reply(_res(s))
    code, why, changes = _judge_profile(s, req.ev_power_profile)
    if code.value.startswith("FAILED"):
        return s.fail(req, code, why)
    if s.record.state is State.CHARGE_LOOP:
        return s.reply(_res(s, code), why="power profile replaced", **changes)
    return _energise(s, req, code, why, changes)


def _pre_charge_fault(s: View) -> str:
    if not s.record.pre_charged:
        return "pre-charge was not finished by the EV"
    gap = abs(s.evse.voltage_v - s.record.target_voltage_v)
    if gap > s.config.pre_charge_tolerance_v:
        return f"{s.evse.voltage_v:.0f} V at the outlet, {s.record.target_voltage_v:.0f} V wanted"
    return ""


def _energise(s: View, req: PowerDeliveryReq, code: ResponseCode, why: str, changes: dict[str, Any]) -> Step:
    """Answer only once the contactor is closed as measured; give up before the EV does."""
    if s.evse.contactor is Contactor.CLOSED and s.evse.cp.ready:
        return s.reply(
            _res(s, code), State.CHARGE_LOOP, why=why, energised=True, opening=False, loops=0, **changes
        )
    if s.expired:
        if not s.evse.cp.ready:
            pilot = f"control pilot {s.evse.cp.value} after PowerDeliveryReq"
            return s.fail(req, ResponseCode.FAILED_POWER_DELIVERY_NOT_APPLIED, pilot, "V2G20-847")
        return _contactor_fault(s, req)
    if not s.evse.locked:
        return s.wait(s.config.timers.contactor_s, do=(LockConnector(),))
    if not s.evse.cp.ready:
        return s.wait(s.config.timers.contactor_s)
    return s.wait(s.config.timers.contactor_s, do=(CloseContactor(),), energised=True)


def _contactor_fault(s: View, req: PowerDeliveryReq) -> Step:
    why = f"contactor is {s.evse.contactor.value}"
    return s.fail(req, ResponseCode.FAILED_CONTACTOR_ERROR, why, fault=Fault.LOCAL)


def _judge_profile(s: View, profile: EVPowerProfile | None) -> tuple[ResponseCode, str, dict[str, Any]]:
    """The response code for the EV's power profile, why, and what to remember of it."""
    if s.record.control_mode is ControlMode.DYNAMIC:
        return ResponseCode.OK, "", {}
    if profile is None:
        return ResponseCode.FAILED_EV_POWER_PROFILE_INVALID, "a Scheduled start needs a power profile", {}
    mode = profile.control_mode
    if not isinstance(mode, Scheduled_EVPPTControlMode):
        return ResponseCode.FAILED_EV_POWER_PROFILE_INVALID, "a Dynamic profile in a Scheduled session", {}
    offer = s.record.offer.find(mode.selected_schedule_tuple_id) if s.record.offer else None
    if offer is None:
        why = f"schedule tuple {mode.selected_schedule_tuple_id} was not offered"
        return ResponseCode.FAILED_SCHEDULE_SELECTION_INVALID, why, {}
    plan, plan_at = _plan(s, profile)
    fault = plan_violation(plan, offer, plan_at - s.record.offer_at)
    if fault:
        return ResponseCode.FAILED_EV_POWER_PROFILE_INVALID, fault, {}
    code = _tolerance_code(offer, mode.power_tolerance_acceptance)
    return code, "", {"tuple_id": offer.tuple_id, "plan": plan, "plan_at": plan_at}


def _plan(s: View, profile: EVPowerProfile) -> tuple[tuple[PlanStep, ...], float]:
    """The profile as plan, and its start on the monotonic clock.

    A TimeAnchor of zero, or far from our own clock, means "now": peers' clocks are not trusted.
    """
    steps = tuple(
        PlanStep(
            entry.duration,
            number(entry.power) + sum(number(x) for x in (entry.power_l2, entry.power_l3) if x),
        )
        for entry in profile.ev_power_profile_entries.ev_power_profile_entry
    )
    ahead = utc_of(profile.time_anchor) - s.utc() if profile.time_anchor else 0.0
    at = s.now + ahead if abs(ahead) < 60.0 else s.now
    return steps, max(at, s.record.offer_at)


def _tolerance_code(offer: Offer, acceptance: PowerToleranceAcceptance | None) -> ResponseCode:
    if offer.tolerance_w is None:
        return ResponseCode.OK
    if acceptance is PowerToleranceAcceptance.POWER_TOLERANCE_CONFIRMED:
        return ResponseCode.OK_POWER_TOLERANCE_CONFIRMED
    return ResponseCode.WARNING_POWER_TOLERANCE_NOT_CONFIRMED


# --- stop -------------------------------------------------------------------------------------


def _stop(s: View, req: PowerDeliveryReq) -> Step:
    """AC: contactor open, and only then OK. DC: no current any more, and only then OK."""
    assert s.record.service is not None
    if s.record.service.is_dc:
        return _stop_dc(s, req)
    if s.evse.contactor is Contactor.OPEN:
        return s.reply(_res(s), State.SESSION_STOP, energised=False, opening=False)
    if s.expired:
        return _contactor_fault(s, req)
    return s.wait(s.config.timers.contactor_s, do=AC_OFF, opening=True)


def _stop_dc(s: View, req: PowerDeliveryReq) -> Step:
    """The station's contactor stays closed, so that welding detection sees what the EV's does (IEC 61851-23 CC)."""
    off: tuple[Command, ...] = (SetDcTarget(0.0, 0.0),)
    if s.evse.contactor is Contactor.OPEN or abs(s.evse.current_a) < CURRENT_GONE_A:
        return s.reply(_res(s), State.WELDING_DETECTION, do=off, energised=False, opening=False)
    if s.expired:
        why = f"{s.evse.current_a:.0f} A still flow"
        return s.fail(req, ResponseCode.FAILED_POWER_DELIVERY_NOT_APPLIED, why, fault=Fault.LOCAL)
    return s.wait(s.config.timers.contactor_s, do=off, opening=True)


def session_stop(s: View, req: SessionStopReq) -> Step:
    """End, pause, or go back to service discovery; power is off before any of it."""
    if s.record.energised or s.evse.contactor is Contactor.CLOSED:
        return _power_off_first(s, req)
    if s.evse.cp not in (CpState.A, CpState.B) and s.record.service is not None:
        if s.expired:
            why = f"control pilot {s.evse.cp.value} at SessionStop"
            return s.fail(req, ResponseCode.FAILED, why, "V2G20-921")
        return s.wait(s.config.timers.pilot_s)
    match req.charging_session:
        case ChargingSession.TERMINATE:
            return _end(s, EndReason.COMPLETED, _explanation(req))
        case ChargingSession.PAUSE:
            why = _pause_fault(s)
            if why:
                return s.fail(req, ResponseCode.FAILED_PAUSE_NOT_ALLOWED, why)
            return _end(s, EndReason.PAUSED, _explanation(req))
        case ChargingSession.SERVICE_RENEGOTIATION:
            return _renegotiate(s, req)


def _power_off_first(s: View, req: SessionStopReq) -> Step:
    """SessionStop in the middle of power transfer: stop energy at once, then answer."""
    if s.evse.contactor is Contactor.CLOSED and s.expired:
        return s.fail(req, ResponseCode.FAILED, "contactor does not open", fault=Fault.LOCAL)
    off = AC_OFF if s.record.service is not None and s.record.service.is_ac else OUTPUT_OFF
    if s.evse.contactor is Contactor.CLOSED:
        return s.wait(s.config.timers.contactor_s, do=off, opening=True)
    return s.wait(s.config.timers.contactor_s, do=off, energised=False, opening=False)


def _end(s: View, reason: EndReason, why: str) -> Step:
    response = SessionStopRes(header=s.header, response_code=ResponseCode.OK)
    return s.reply(response, State.ENDED, why=why, ending=reason)


def _explanation(req: SessionStopReq) -> str:
    parts = (req.ev_termination_code, req.ev_termination_explanation)
    return " ".join(x for x in parts if x)


def _pause_fault(s: View) -> str:
    """Why a pause is not allowed; empty if it is."""
    if not s.config.pause_allowed:
        return "this station does not pause"
    if s.record.service is None:
        return "nothing to pause before a service is selected"
    if loop.wish_of(s) is Wish.PAUSE:
        return ""
    if s.record.control_mode is ControlMode.DYNAMIC:
        return "in Dynamic mode only the station asks for a pause"
    if not s.record.loops:
        return "nothing to pause before the charge loop"
    planned = power_at(s.record.plan, s.now - s.record.plan_at)
    return "" if planned == 0 else f"the power profile is at {planned:.0f} W, not 0"


def _renegotiate(s: View, req: SessionStopReq) -> Step:
    """Back to ServiceDiscovery on the same connection; never a way around authorization [V2G20-1477]."""
    if s.record.service is None or not s.record.authorized:
        why = "service renegotiation before a service was selected"
        return s.fail(req, ResponseCode.FAILED_SEQUENCE_ERROR, why, "V2G20-459")
    if not s.config.service_renegotiation:
        code = ResponseCode.FAILED_NO_SERVICE_RENEGOTIATION_SUPPORTED
        return s.fail(req, code, "service renegotiation is not supported", "V2G20-1477")
    fresh: dict[str, Any] = {
        "service": None,
        "control_mode": None,
        "offered": frozenset(),
        "offer": None,
        "tuple_id": None,
        "plan": (),
        "loops": 0,
        "violations": 0,
        "pre_charged": False,
        "check_seen": False,
        "opening": False,
        "unconfirmed": None,
        **s.settled(),
    }
    response = SessionStopRes(header=s.header, response_code=ResponseCode.OK)
    return s.reply(response, State.SERVICE_DISCOVERY, why="service renegotiation", **fresh)
