"""What has to hold before anything is energised: one table of conditions, one pure function.

Everything that closes a contactor or switches a converter on asks here first, with each renewal. What
de-energises never asks.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hal.types import ContactorState, CpState
from iso15118.hardware.readings import EvReadings, EvseReadings


class Action(enum.Enum):
    """What energises."""

    CLOSE = "close the contactor"
    HOLD = "keep the contactor closed"
    TEST = "put the test voltage on the cable"
    DRIVE = "drive the output"
    CONVERT = "run the on-board charger"


@dataclass(frozen=True, slots=True)
class EvsePermit:
    """What a station's conditions look at: readings and what the controller knows.

    `barred` is why nothing may be energised, "" for nothing. `since_closing_s` since the contactor last closed.
    """

    readings: EvseReadings
    barred: str = ""
    ventilation: bool = False
    voltage_v: float = 0.0
    fresh: bool = True
    connector_live: bool = False
    safe_v: float = 60.0
    checked: bool = False
    since_closing_s: float = float("inf")
    pause_s: float = 10.0
    since_opening_s: float = float("inf")


@dataclass(frozen=True, slots=True)
class EvPermit:
    """What a car's conditions look at."""

    readings: EvReadings
    barred: str = ""
    gap_v: float = 0.0
    fresh: bool = True
    close_v: float = 20.0


def _barred(p: EvsePermit | EvPermit) -> str:
    return p.barred


def _tripped(p: EvsePermit | EvPermit) -> str:
    tripped = p.readings.tripped
    return f"safety chain: {', '.join(sorted(tripped))}" if tripped else ""


def _unlocked(p: EvsePermit | EvPermit) -> str:
    return "" if p.readings.locked else "the connector is not locked"


def _not_ready(p: EvsePermit) -> str:
    cp = p.readings.cp
    if cp is CpState.D and not p.readings.dc and not p.ventilation:
        return "pilot D, and no ventilation"
    return "" if p.readings.ready else f"pilot {cp.value if cp else 'unknown'}, not C or D"


def _live_output(p: EvsePermit) -> str:
    if not p.readings.dc:
        return ""
    if p.readings.supply_on:
        return "the supply is on"
    if not p.fresh:
        return "the voltage at the output is not known"
    return f"{p.voltage_v:.0f} V at the output" if abs(p.voltage_v) >= p.safe_v else ""


def _live_connector(p: EvsePermit) -> str:
    return "there is voltage at the connector" if p.connector_live else ""


def _too_soon(p: EvsePermit) -> str:
    left_s = p.pause_s - p.since_closing_s
    return f"closed before, {left_s:.1f} s to wait" if left_s > 0 and not p.readings.dc else ""


def _not_closed(p: EvsePermit | EvPermit) -> str:
    state = p.readings.contactor
    return "" if state is ContactorState.CLOSED else f"the contactor is {state.value}"


def _unarmed(p: EvsePermit) -> str:
    return "" if p.readings.armed else "over-voltage protection is not armed"


def _blind(p: EvsePermit) -> str:
    return "" if p.fresh else "the output is not measured"


def _unchecked(p: EvsePermit) -> str:
    return "" if p.checked else "no cable check has passed"


def _pilot_lost(p: EvPermit) -> str:
    cp = p.readings.cp
    return "" if cp.ready else f"pilot {cp.value}, not C or D"


def _gap(p: EvPermit) -> str:
    if not p.readings.dc:
        return ""
    if not p.fresh:
        return "inlet or battery voltage is not known"
    return f"{p.gap_v:.0f} V across the contactor" if p.gap_v >= p.close_v else ""


_EVSE: Final[tuple[tuple[Callable[[EvsePermit], str], frozenset[Action]], ...]] = (
    (_barred, frozenset(Action)),
    (_tripped, frozenset(Action)),
    (_not_ready, frozenset(Action)),
    (_unlocked, frozenset(Action)),
    (_live_output, frozenset({Action.CLOSE})),
    (_live_connector, frozenset({Action.CLOSE})),
    (_too_soon, frozenset({Action.CLOSE})),
    (_not_closed, frozenset({Action.TEST, Action.DRIVE})),
    (_unarmed, frozenset({Action.TEST, Action.DRIVE})),
    (_blind, frozenset({Action.TEST, Action.DRIVE})),
    (_unchecked, frozenset({Action.DRIVE})),
)
_EV: Final[tuple[tuple[Callable[[EvPermit], str], frozenset[Action]], ...]] = (
    (_barred, frozenset(Action)),
    (_tripped, frozenset(Action)),
    (_pilot_lost, frozenset(Action)),
    (_unlocked, frozenset(Action)),
    (_gap, frozenset({Action.CLOSE})),
    (_not_closed, frozenset({Action.CONVERT})),
)


def evse_objection(action: Action, permit: EvsePermit) -> str:
    """Why a station must not do this now; "" if it may."""
    return next((why for check, of in _EVSE if action in of and (why := check(permit))), "")


def ev_objection(action: Action, permit: EvPermit) -> str:
    """Why a car must not do this now; "" if it may."""
    return next((why for check, of in _EV if action in of and (why := check(permit))), "")
