"""From the words of controllers and sessions to those of a plug."""

from __future__ import annotations

from iso15118.control.ev import EvState
from iso15118.control.evse import EvseState
from iso15118.events import EndReason, SessionEnded
from iso15118.plug.words import EvLevels, EvseLevels, Report


def report_of(ended: SessionEnded) -> Report:
    """What a plug is told of a session that has ended."""
    if ended.reason is EndReason.COMPLETED:
        return Report.SESSION_DONE
    return Report.SESSION_PAUSED if ended.reason is EndReason.PAUSED else Report.SESSION_BROKEN


def outlet_levels(state: EvseState) -> EvseLevels:
    """What a plug needs of the station's levels; where anything is wrong there is no basic charging."""
    return EvseLevels(
        cp=state.cp,
        basic_limit_a=state.basic_limit_a if state.safe else 0.0,
        wake=state.wake,
        fault="emergency stop" if state.emergency_stop else "",
        blocked=bool(state.fault),
    )


def inlet_levels(state: EvState) -> EvLevels:
    """What a plug needs of the car's levels."""
    return EvLevels(duty=state.duty, wake=state.wake and state.safe, basic=state.basic and state.safe)
