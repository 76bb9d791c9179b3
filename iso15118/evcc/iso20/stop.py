"""Leaving the charge loop, and SessionStop, on the car's side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NoReturn

from iso15118.control.common import Contactor, ControlMode, Wish
from iso15118.control.ev import OpenContactor, SetPilot
from iso15118.evcc.iso20.pause import keep
from iso15118.evcc.vocabulary import EarlyLeave, Ev, SessionOver
from iso15118.events import EndReason, Fault
from iso15118.messages.iso20 import common as m
from iso15118.messages.iso20.types import ChargeLoopRes, EvseNotification, EVSEStatus

PILOT_SETTLE_S: Final = 0.05
"""After setting the control pilot the car waits this long before it sends a request that depends on it."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """Why and how the car leaves: terminate, pause or renegotiate the service."""

    how: m.ChargingSession
    why: str


TERMINATE: Final = m.ChargingSession.TERMINATE


def reason_to_leave(ev: Ev, response: ChargeLoopRes, loops: int, planned_w: float) -> Leaving | None:
    """Whether the car leaves the loop after this response; None to go on.

    `planned_w` is the car's plan for now, which decides whether it may pause in Scheduled mode.
    """
    asked = asked_by_station(ev, response.evse_status)
    if asked is not None:
        return asked
    if ev.stop_reason:
        return Leaving(TERMINATE, ev.stop_reason)
    if ev.state.wish is not None:
        return _own_wish(ev, ev.state.wish, planned_w)
    if ev.state.complete:
        return Leaving(TERMINATE, "charging complete")
    if ev.config.max_loops is not None and loops >= ev.config.max_loops:
        return Leaving(TERMINATE, f"{loops} charge loops done")
    return None


def asked_by_station(ev: Ev, status: EVSEStatus | None) -> Leaving | None:
    """What the station's notification makes of the session; None to go on."""
    if status is None:
        return None
    match status.evse_notification:
        case EvseNotification.TERMINATE:
            return Leaving(TERMINATE, "the station asks to terminate")
        case EvseNotification.PAUSE:
            return Leaving(m.ChargingSession.PAUSE, "the station asks to pause")
        case EvseNotification.SERVICE_RENEGOTIATION if ev.renegotiation_supported:
            return Leaving(m.ChargingSession.SERVICE_RENEGOTIATION, "the station asks to renegotiate")
        case EvseNotification.METERING_CONFIRMATION if ev.contract is not None:
            return None  # no reason to leave: `metering` answers it
        case other:
            ev.decide("EVSENotification", f"{other} is not acted on")
            return None


def _own_wish(ev: Ev, wish: Wish, planned_w: float) -> Leaving:
    if wish is Wish.SERVICE_RENEGOTIATION and ev.renegotiation_supported:
        return Leaving(m.ChargingSession.SERVICE_RENEGOTIATION, "the EV wants another service")
    if wish is Wish.PAUSE and ev.control_mode is ControlMode.SCHEDULED:
        if planned_w == 0:
            return Leaving(m.ChargingSession.PAUSE, "the EV pauses")
        return Leaving(TERMINATE, f"the EV wants to pause while its plan says {planned_w:.0f} W, so it stops")
    if wish is Wish.PAUSE:
        return Leaving(TERMINATE, "the EV wants to pause, which in Dynamic mode only the station may ask for")
    return Leaving(TERMINATE, "the EV stops")


async def stop_session(ev: Ev, leaving: Leaving) -> None:
    """SessionStop; returns only where the station agreed to a service renegotiation [V2G20-1477]."""
    await _stop(ev, leaving)
    if leaving.how is m.ChargingSession.SERVICE_RENEGOTIATION:
        return
    if leaving.how is m.ChargingSession.PAUSE:
        keep(ev)
        raise SessionOver(EndReason.PAUSED, Fault.NONE, leaving.why)
    raise SessionOver(EndReason.COMPLETED, Fault.NONE, leaving.why)


async def leave_early(ev: Ev, early: EarlyLeave) -> NoReturn:
    """SessionStop before any power has flowed, our contactor open again where it was closed already."""
    if ev.state.contactor is not Contactor.OPEN:
        ev.do(OpenContactor())
        await ev.until(lambda s: s.contactor is Contactor.OPEN, ev.config.timers.contactor_s)
    await _stop(ev, Leaving(TERMINATE, early.detail))
    raise SessionOver(early.stopped, early.fault, early.detail)


async def _stop(ev: Ev, leaving: Leaving) -> None:
    ev.enter("SESSION_STOP")
    ev.decide("SessionStop", leaving.why)
    ev.do(SetPilot(ready=False))
    await ev.sleep(PILOT_SETTLE_S)
    request = m.SessionStopReq(
        header=ev.header, charging_session=leaving.how, ev_termination_explanation=leaving.why[:160]
    )
    await ev.ask(request, m.SessionStopRes)
