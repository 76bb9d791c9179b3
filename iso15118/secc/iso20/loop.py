"""What AC and DC charge loops share: notifications, metering, the EV's plan, limit arithmetic."""

from __future__ import annotations

from typing import Any, Final

from iso15118.control.common import ControlMode, Wish
from iso15118.control.evse import MeterReading
from iso15118.energy.offer import power_at
from iso15118.exi.schema import fields_of
from iso15118.messages.iso20.numbers import number, stamp
from iso15118.messages.iso20.types import (
    CLReqControlMode,
    Dynamic_CLReqControlMode,
    EvseNotification,
    EVSEStatus,
    MeterInfo,
    RationalNumber,
    ResponseCode,
)
from iso15118.quirks import Quirk
from iso15118.secc.session import EvNeeds, View
from iso15118.units import Envelope, Limits

PAUSE_DELAY_DYNAMIC_S: Final = 60  # [V2G20-1850]
RENEGOTIATION_DELAY_S: Final = 60
CONFIRMATION_DELAY_S: Final = 30
VIOLATION_INTERVAL_S: Final = 10.0
"""Deviations from the plan within this time of a counted one are the same: an EV takes time to ramp."""
_NOTIFICATIONS: Final = {
    Wish.TERMINATE: EvseNotification.TERMINATE,
    Wish.PAUSE: EvseNotification.PAUSE,
    Wish.SERVICE_RENEGOTIATION: EvseNotification.SERVICE_RENEGOTIATION,
}


def wish_of(s: View) -> Wish | None:
    """What the station wants of the EV now; a service renegotiation only where it was announced."""
    if s.record.stopping:
        return Wish.TERMINATE
    if s.evse.wish is Wish.SERVICE_RENEGOTIATION and not s.config.service_renegotiation:
        return Wish.TERMINATE
    return s.evse.wish


def status(s: View) -> EVSEStatus | None:
    """The notification for the EV, repeated until it reacts; None where there is nothing to say."""
    wish = wish_of(s)
    if wish is None:
        return None
    dynamic = s.record.control_mode is ControlMode.DYNAMIC
    delay = {Wish.PAUSE: PAUSE_DELAY_DYNAMIC_S if dynamic else 0, Wish.TERMINATE: 0}
    return EVSEStatus(
        notification_max_delay=delay.get(wish, RENEGOTIATION_DELAY_S), evse_notification=_NOTIFICATIONS[wish]
    )


def told(s: View, requested: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """What every loop response tells of status and meter, and what to remember of it.

    A reading that is to be confirmed goes out with its notification [V2G20-1083]; wishes of the station come first.
    """
    own = status(s)
    if own is None and _confirmation_due(s):
        assert s.evse.meter is not None
        reading = _as_meter_info(s.evse.meter, s)
        notification = EVSEStatus(
            notification_max_delay=CONFIRMATION_DELAY_S,
            evse_notification=EvseNotification.METERING_CONFIRMATION,
        )
        return {"evse_status": notification, "meter_info": reading}, {"unconfirmed": reading}
    return {"evse_status": own, "meter_info": meter_info(s, requested)}, {}


def _confirmation_due(s: View) -> bool:
    """Only who pays by contract can sign; one confirmation at a time."""
    every, record = s.config.confirm_meter_every, s.record
    ready = bool(record.payer) and record.unconfirmed is None and s.evse.meter is not None
    return bool(every) and ready and (record.loops + 1) % every == 0


def meter_info(s: View, requested: bool) -> MeterInfo | None:
    """The meter on request, and unasked in the first loop response [V2G20-1081] [V2G20-1833]."""
    reading = s.evse.meter
    if reading is None or not (requested or s.record.loops == 0):
        return None
    return _as_meter_info(reading, s)


def _as_meter_info(reading: MeterReading, s: View) -> MeterInfo:
    bidirectional = s.record.service is not None and s.record.service.bidirectional
    told = bidirectional and Quirk.NO_DISCHARGED_READING not in s.config.quirks
    taken, (charged_wh, discharged_wh) = reading.taken_at, s.record.carried_wh
    return MeterInfo(
        meter_id=reading.meter_id[:32],
        charged_energy_reading_wh=max(0, round(reading.charged_wh + charged_wh)),
        bpt_discharged_energy_reading_wh=max(0, round(reading.discharged_wh + discharged_wh))
        if told
        else None,
        meter_signature=reading.signature,
        meter_status=reading.status,
        meter_timestamp=None if taken is None else stamp(taken, s.config.time_unit),
    )


def control_mode_fault(s: View, mode: CLReqControlMode) -> str:
    """Why the control mode of a loop request does not fit the selected set; empty if it does [V2G20-1600]."""
    record = s.record
    assert record.service is not None and record.control_mode is not None
    dynamic = isinstance(mode, Dynamic_CLReqControlMode)
    if dynamic != (record.control_mode is ControlMode.DYNAMIC):
        return f"{type(mode).__name__} in a {record.control_mode.name} session"
    if type(mode).__name__.startswith("BPT_") != record.service.bidirectional:
        return f"{type(mode).__name__} under service {record.service.name}"
    return ""


def needs_from(mode: Any) -> EvNeeds:
    """The energy requests of a loop request."""
    return EvNeeds(
        target_wh=number(mode.ev_target_energy_request),
        maximum_wh=number(mode.ev_maximum_energy_request),
        minimum_wh=number(mode.ev_minimum_energy_request),
        v2x_maximum_wh=number(getattr(mode, "ev_maximum_v2x_energy_request", None)),
        v2x_minimum_wh=number(getattr(mode, "ev_minimum_v2x_energy_request", None)),
    )


def magnitude(value: RationalNumber | None, otherwise: float) -> float:
    """A discharge limit as magnitude, whichever sign the peer uses; `otherwise` where absent."""
    return otherwise if value is None else abs(number(value))


def not_negative(value: RationalNumber | None, otherwise: float) -> float:
    """A charge or voltage limit; a negative one allows nothing. `otherwise` where absent."""
    return otherwise if value is None else max(0.0, number(value))


def negative_limit(mode: Any) -> str:
    """Which charge or voltage limit of ChargeParameterDiscovery is negative; empty if none is."""
    for field in fields_of(type(mode)):
        value = getattr(mode, field.attr)
        if isinstance(value, RationalNumber) and value.value < 0 and "_discharge_" not in field.attr:
            return f"{field.name} is {number(value):g}"
    return ""


def may_charge(needs: EvNeeds) -> bool:
    """Whether the EV's energy requests leave room for charging."""
    return needs.maximum_wh is None or needs.maximum_wh > 0


def may_discharge(needs: EvNeeds) -> bool:
    """Whether the EV's energy requests allow feeding back: it is above its minimum and its V2X floor."""
    if needs.minimum_wh is not None and needs.minimum_wh >= 0:
        return False
    return needs.v2x_minimum_wh is None or needs.v2x_minimum_wh <= 0


def scheduled_limits(s: View) -> tuple[float, float]:
    """(charge W, discharge W) of the chosen schedule now; no limit where none was chosen."""
    record = s.record
    offer = record.offer.find(record.tuple_id) if record.offer and record.tuple_id is not None else None
    if offer is None or record.control_mode is ControlMode.DYNAMIC:
        return float("inf"), float("inf")
    return offer.limits_at(s.now - record.offer_at)


def capped(envelope: Envelope, charge_w: float, discharge_w: float) -> Envelope:
    """The envelope with its powers cut further."""
    return Envelope(
        charge=_capped(envelope.charge, charge_w),
        discharge=_capped(envelope.discharge, discharge_w),
        max_voltage_v=envelope.max_voltage_v,
        min_voltage_v=envelope.min_voltage_v,
        phases=envelope.phases,
    )


def _capped(limits: Limits, power_w: float) -> Limits:
    most = min(limits.max_power_w, power_w)
    return Limits(most, limits.max_current_a, limits.min_power_w, limits.min_current_a)


def dynamic_power(s: View, envelope: Envelope, needs: EvNeeds) -> float:
    """The power the station wants now (signed W): the operator's set-point within every limit."""
    wish = envelope.charge.max_power_w if s.evse.setpoint_w is None else s.evse.setpoint_w
    if wish > 0 and not may_charge(needs):
        return 0.0
    if wish < 0 and not may_discharge(needs):
        return 0.0
    return envelope.clamp_power(wish)


def profile_verdict(s: View, power_w: float) -> tuple[ResponseCode, dict[str, Any], str]:
    """Whether the EV keeps to its plan, where the schedule sets a tolerance [V2G20-1864].

    Returns the response code, what to remember, and why.
    """
    record = s.record
    offer = record.offer.find(record.tuple_id) if record.offer and record.tuple_id is not None else None
    if offer is None or offer.tolerance_w is None or not record.plan:
        return ResponseCode.OK, {}, ""
    planned = power_at(record.plan, s.now - record.plan_at)
    if abs(power_w - planned) <= offer.tolerance_w:
        return ResponseCode.OK, {}, ""
    why = f"{power_w:.0f} W where {planned:.0f} W are planned (tolerance {offer.tolerance_w:.0f} W)"
    if s.now - record.violated_at < VIOLATION_INTERVAL_S:
        return ResponseCode.WARNING_EV_POWER_PROFILE_VIOLATION, {}, why
    if record.violations >= s.config.profile_violations:
        return ResponseCode.FAILED_EV_POWER_PROFILE_VIOLATION, {}, why
    changes = {"violations": record.violations + 1, "violated_at": s.now}
    return ResponseCode.WARNING_EV_POWER_PROFILE_VIOLATION, changes, why
