"""The interlock: every command passes here before it leaves the machine.

Pure functions over what the session remembers and the hardware snapshot. A refused command is
reported and never sent; what de-energises is never refused.
"""

from __future__ import annotations

from typing import Final

from iso15118.control.common import Check, Contactor, CpState
from iso15118.control.evse import CloseContactor, Command, EvseState, RunCableCheck, SetDcTarget
from iso15118.events import Fault
from iso15118.secc.session import Record, State

SAFE_VOLTAGE_V: Final = 60.0
"""Touch-safe DC voltage (IEC 61851-23): below it a contactor may close onto an idle output."""

_OVERVOLTAGE: Final = 1.1
"""The output may exceed the EV's maximum voltage by this factor before everything opens."""

_DC_POWER_STATES: Final = (State.CABLE_CHECKED, State.PRE_CHARGE, State.CHARGE_LOOP)
_POWER_STATES: Final = (State.CABLE_CHECK, State.POWER_DELIVERY, *_DC_POWER_STATES)
_EARLY_STATES: Final = (State.SUPPORTED_APP_PROTOCOL, State.SESSION_SETUP)


def danger(record: Record, evse: EvseState) -> tuple[str, Fault]:
    """Why power has to go off now, and on whose account; an empty reason if it may stay.

    While the contactor is on its way to open, the EV may leave state C and the contactor may move.
    """
    if evse.emergency_stop:
        return "emergency stop", Fault.LOCAL
    if evse.fault:
        return f"hardware fault: {evse.fault}", Fault.LOCAL
    if evse.cp in (CpState.E, CpState.F) and record.state not in _EARLY_STATES:
        return f"control pilot {evse.cp.value}", Fault.LOCAL
    return _while_energised(record, evse) if record.energised and not record.opening else ("", Fault.NONE)


def must_open(record: Record, evse: EvseState) -> bool:
    """Whether the contactor has to open though nothing is driven any more.

    In welding detection a DC station's contactor stays closed, so that the EV can see what its own does, but only while
    the EV is ready (IEC 61851-23 CC): outside C and D nothing is connected.
    """
    closed = evse.contactor is Contactor.CLOSED
    return record.state is State.WELDING_DETECTION and closed and not evse.cp.ready


def _while_energised(record: Record, evse: EvseState) -> tuple[str, Fault]:
    if record.state in _POWER_STATES and not evse.cp.ready:
        return f"control pilot {evse.cp.value} while energised", Fault.REMOTE
    if record.state in _POWER_STATES and not evse.locked:
        return "connector unlocked while energised", Fault.LOCAL
    if record.state is State.CHARGE_LOOP and evse.contactor is not Contactor.CLOSED:
        return "contactor opened by itself", Fault.LOCAL
    if _overvoltage(record, evse):
        return (
            f"{evse.voltage_v:.0f} V at the outlet, the EV takes {record.ev_limits.max_voltage_v:.0f} V",
            Fault.LOCAL,
        )
    return "", Fault.NONE


def _overvoltage(record: Record, evse: EvseState) -> bool:
    """Whether a DC output that the EV is connected to exceeds what the EV takes."""
    connected = record.state in (State.PRE_CHARGE, State.CHARGE_LOOP)
    dc = record.service is not None and record.service.is_dc
    return connected and dc and evse.voltage_v > record.ev_limits.max_voltage_v * _OVERVOLTAGE


def objection(command: Command, record: Record, evse: EvseState) -> str | None:
    """Why `command` must not be carried out now; None if it may."""
    match command:
        case RunCableCheck():
            return _common(record, evse)
        case CloseContactor():
            return _common(record, evse) or _closing(record, evse)
        case SetDcTarget(voltage_v=0.0, current_a=0.0):
            return None
        case SetDcTarget():
            return _common(record, evse) or _driving(command, record, evse)
    return None


def _common(record: Record, evse: EvseState) -> str | None:
    if record.tripped:
        return f"de-energised before: {record.tripped}"
    if evse.emergency_stop:
        return "emergency stop is pressed"
    if evse.fault:
        return f"hardware fault: {evse.fault}"
    if not record.authorized:
        return "not authorized"
    if not evse.cp.ready:
        return f"control pilot is {evse.cp.value}, not C or D"
    if not evse.locked:
        return "connector is not locked"
    return None


def _closing(record: Record, evse: EvseState) -> str | None:
    if record.service is None:
        return "no energy service selected"
    if record.service.is_ac:
        return None
    if evse.cable_check is not Check.PASSED:
        return f"cable check is {evse.cable_check.value}"
    if evse.contactor is Contactor.OPEN and abs(evse.voltage_v) > SAFE_VOLTAGE_V:
        return f"{evse.voltage_v:.0f} V at the outlet before closing"
    return None


def _driving(command: SetDcTarget, record: Record, evse: EvseState) -> str | None:
    if evse.cable_check is not Check.PASSED:
        return f"cable check is {evse.cable_check.value}"
    if record.state not in _DC_POWER_STATES:
        return f"no power in state {record.state.value}"
    if command.current_a < 0 and not (record.service and record.service.bidirectional):
        return "the selected service does not discharge"
    most = min(record.ev_limits.max_voltage_v, record.announced.max_voltage_v)
    if command.voltage_v > most * 1.001:
        return f"{command.voltage_v:.0f} V above the agreed {most:.0f} V"
    return None
