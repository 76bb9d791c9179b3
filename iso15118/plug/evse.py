"""The life of an outlet: pilot, matching, discovery and sessions, basic charging where nothing else works.

Sources: ISO 15118-3 (the D-LINK rules and pilot sequences, requirement ids M06 and M07), IEC 61851-1 Annex A
(sequences), and the recorded timing of chargers in the field.
"""

from __future__ import annotations

import enum
from typing import Final

from iso15118.config import EvsePlugConfig
from iso15118.control.common import CpState
from iso15118.control.evse import (
    CloseContactor,
    Command,
    LockConnector,
    OpenContactor,
    SetPilotDuty,
    SetPilotUnavailable,
    UnlockConnector,
)
from iso15118.events import Role
from iso15118.machine import Input, Update
from iso15118.plug.table import TIMER, PlugTable, Row
from iso15118.plug.words import EvseLevels, Report
from iso15118.slac.dlink import DLink

DIGITAL_DUTY: Final = 5.0
STEADY_DUTY: Final = 100.0
MIN_BASIC_A: Final = 6.0
BASIC_ON: Final = (LockConnector(), CloseContactor())
BASIC_OFF: Final = (OpenContactor(), UnlockConnector())
"""What begins and ends basic charging."""


class State(enum.Enum):
    """Where an outlet is."""

    EMPTY = enum.auto()  # nothing plugged in
    PLUGGED = enum.auto()  # a vehicle is there, +12 V still steady
    MATCHING = enum.auto()  # oscillating, SLAC under way
    LINKED = enum.auto()  # in one network, discovery answered
    SESSION = enum.auto()  # a vehicle is served
    ENDING = enum.auto()  # SessionStop(Terminate) answered
    ENDED = enum.auto()  # until unplugged, or the vehicle wakes us
    PAUSING = enum.auto()  # SessionStop(Pause) answered
    PAUSED = enum.auto()  # asleep, the network kept
    STEP_X1 = enum.auto()  # steady +12 V for a while: communication starts over
    STEP_EF = enum.auto()  # E/F pulse: the vehicle starts over
    HOLD_X1 = enum.auto()  # before oscillating again
    BASIC = enum.auto()  # charging by duty cycle alone
    BASIC_STOP = enum.auto()  # no longer allowed: the vehicle is given time to stop by itself
    WAITING = enum.auto()  # no communication, nothing authorised
    FAULTED = enum.auto()  # out of order until repaired and unplugged


class Signal(enum.Enum):
    """What the pilot and the station's own levels say."""

    VEHICLE = "vehicle plugged in"
    READY = "vehicle ready"
    NOT_READY = "vehicle not ready"
    GONE = "unplugged"
    WAKE = "energy available"
    BASIC_ALLOWED = "basic charging allowed"
    BASIC_FORBIDDEN = "basic charging no longer allowed"
    FAULT = "fault"
    REPAIRED = "fault gone"


class EvsePlug(PlugTable[State]):
    """Machine. Inputs: Update(EvseLevels), and `report` for what the layers above report.

    Outputs: Do with SetPilotDuty, SetPilotUnavailable, DLink, Communicate, and for basic charging LockConnector,
    CloseContactor, OpenContactor and UnlockConnector; Emit(PlugState).
    """

    role: Role = "SECC"

    def __init__(self, config: EvsePlugConfig | None = None, *, dc: bool = True) -> None:
        super().__init__(TABLE, State.EMPTY, config or EvsePlugConfig())
        self.dc = dc
        self.levels = EvseLevels(None)
        self.restarts = 0
        self._energised = False

    # --- inputs -------------------------------------------------------------------------------

    def receive(self, item: Input, now: float) -> None:
        """Take new levels."""
        if isinstance(item, Update) and isinstance(item.state, EvseLevels):
            self.now = now
            self.start()
            old, self.levels = self.levels, item.state
            for signal in _changes(old, item.state):
                self._take(signal)
            self.signalled()
            self._basic()

    def report(self, report: Report, now: float) -> None:
        """Take what the link or a session reports."""
        self.now = now
        self._take(report)
        self._basic()

    def tick(self, now: float) -> None:
        """The row's time may be over."""
        super().tick(now)
        self._basic()

    def _take(self, signal: Signal | Report) -> None:
        if signal is Signal.GONE and self.state is not State.FAULTED:
            if self.state is not State.EMPTY:
                self._enter(State.EMPTY, signal)
        elif signal is Signal.FAULT:
            if self.state is not State.FAULTED:
                self._enter(State.FAULTED, signal)
        else:
            self.signal(signal)

    def entered(self) -> None:
        """Levels that hold already lead on."""
        if self.state is State.EMPTY:
            self.restarts = 0
            if self.levels.fault:
                self._enter(State.FAULTED, Signal.FAULT)
            elif _plugged(self.levels.cp):
                self._enter(State.PLUGGED, Signal.VEHICLE)
        elif self.state is State.WAITING and self.basic_allowed:
            self._enter(State.BASIC, Signal.BASIC_ALLOWED)
        elif self.state is State.BASIC_STOP and not (self.levels.cp and self.levels.cp.ready):
            self._enter(State.WAITING, Signal.NOT_READY)
        elif self.state in (State.ENDING, State.PAUSING):
            self.restarts = 0

    # --- what rows ask ------------------------------------------------------------------------

    @property
    def basic_allowed(self) -> bool:
        """Whether charging by duty cycle may happen now."""
        return not self.dc and self.levels.basic_limit_a >= MIN_BASIC_A

    def pilot_steady(self) -> Command:
        """+12 V (X1)."""
        return SetPilotDuty(STEADY_DUTY)

    def pilot_oscillating(self) -> Command:
        """5 %, or the current limit where the vehicle may choose."""
        if self.config.nominal_duty and self.basic_allowed:
            return self.pilot_limit()
        return SetPilotDuty(DIGITAL_DUTY)

    def pilot_limit(self) -> Command:
        """The duty cycle of the current limit."""
        return SetPilotDuty(duty_of(self.levels.basic_limit_a))

    def pilot_unavailable(self) -> Command:
        """-12 V (F)."""
        return SetPilotUnavailable()

    def restart(self) -> State:
        """Communication broke: start over, but not for ever [V2G3-M07-05]."""
        return self._again(State.STEP_X1)

    def rematch(self) -> State:
        """Matching failed: E/F pulse and again, at most C_sequ_retry times [V2G3-M06-07]."""
        return self._again(State.STEP_EF)

    def _again(self, step: State) -> State:
        if self.levels.blocked:
            return State.ENDED  # for good: the vehicle is not asked to try again
        if self.restarts < self.config.retries:
            self.restarts += 1
            return step
        if self.dc:
            return State.MATCHING  # keep listening: there is nothing else a DC outlet can do
        return State.WAITING

    def after_steps(self) -> State:
        """Oscillate again, if the vehicle is still there."""
        return State.MATCHING if _plugged(self.levels.cp) else State.EMPTY

    def repaired(self) -> State:
        """Back in order once the vehicle has been unplugged."""
        safe = not self.levels.fault and self.levels.cp in (CpState.A, None)
        return State.EMPTY if safe else State.FAULTED

    # --- basic charging -----------------------------------------------------------------------

    def _basic(self) -> None:
        """Energise while the row charges by duty cycle, it is allowed, and the vehicle is ready."""
        nominal = self.state is State.MATCHING and self.config.nominal_duty
        charging = self.row.basic or (nominal and self.basic_allowed)
        wanted = charging and not self.levels.fault and self.levels.cp is CpState.C
        if wanted != self._energised:
            self._energised = wanted
            for command in BASIC_ON if wanted else BASIC_OFF:
                self.do(command)


def duty_of(limit_a: float) -> float:
    """Duty cycle in percent for a current limit of 6 to 80 A (IEC 61851-1 Table A.7)."""
    limit_a = min(max(limit_a, MIN_BASIC_A), 80.0)
    return limit_a / 0.6 if limit_a <= 51.0 else limit_a / 2.5 + 64.0


def _plugged(cp: CpState | None) -> bool:
    return cp in (CpState.B, CpState.C, CpState.D)


def _changes(old: EvseLevels, new: EvseLevels) -> list[Signal]:
    """What is new, the gravest first. E, F and unknown are neither plugged nor unplugged."""
    signals = []
    if new.fault and not old.fault:
        signals.append(Signal.FAULT)
    if new.cp is CpState.A and old.cp is not CpState.A:
        signals.append(Signal.GONE)
    if (old.fault and not new.fault) or (new.cp is CpState.A and old.cp is not CpState.A):
        signals.append(Signal.REPAIRED)
    if _plugged(new.cp) and not _plugged(old.cp):
        signals.append(Signal.VEHICLE)
    ready = new.cp is not None and new.cp.ready
    if ready != (old.cp is not None and old.cp.ready):
        signals.append(Signal.READY if ready else Signal.NOT_READY)
    if new.wake and not old.wake:
        signals.append(Signal.WAKE)
    allowed, was_allowed = new.basic_limit_a >= MIN_BASIC_A, old.basic_limit_a >= MIN_BASIC_A
    if allowed != was_allowed:
        signals.append(Signal.BASIC_ALLOWED if allowed else Signal.BASIC_FORBIDDEN)
    return signals


_P = EvsePlug

TABLE: Final[dict[State, Row[State]]] = {
    State.EMPTY: Row(
        {Signal.VEHICLE: State.PLUGGED},
        pilot=_P.pilot_steady,
        link=DLink.TERMINATE,
    ),
    State.PLUGGED: Row(
        {TIMER: State.MATCHING},
        pilot=_P.pilot_steady,
        lasts="plugged_s",
    ),
    State.MATCHING: Row(
        {Report.LINK_UP: State.LINKED, Report.LINK_FAILED: _P.rematch},
        pilot=_P.pilot_oscillating,
        link=DLink.MATCH,
    ),
    State.LINKED: Row(
        {Report.SESSION_BEGUN: State.SESSION, Report.LINK_LOST: _P.restart, TIMER: _P.restart},
        pilot=_P.pilot_oscillating,
        link=DLink.MATCH,  # after a pause: be up again
        communicate=True,
        lasts="setup_s",
    ),
    State.SESSION: Row(
        {
            Report.SESSION_DONE: State.ENDING,
            Report.SESSION_PAUSED: State.PAUSING,
            Report.SESSION_BROKEN: _P.restart,
            Report.LINK_LOST: _P.restart,
        },
        communicate=True,
    ),
    State.ENDING: Row(
        {TIMER: State.ENDED, Report.LINK_LOST: State.ENDED},
        lasts="end_s",
    ),
    State.ENDED: Row(
        {Signal.READY: State.HOLD_X1},
        pilot=_P.pilot_steady,
        link=DLink.TERMINATE,
    ),
    State.PAUSING: Row(
        {TIMER: State.PAUSED},
        lasts="end_s",
    ),
    State.PAUSED: Row(
        {Signal.READY: State.LINKED, Signal.WAKE: State.LINKED, Report.LINK_LOST: State.ENDED},
        pilot=_P.pilot_steady,
        link=DLink.PAUSE,
    ),
    State.STEP_X1: Row(
        {TIMER: State.STEP_EF},
        pilot=_P.pilot_steady,
        link=DLink.ERROR,
        lasts="step_x1_s",
    ),
    State.STEP_EF: Row(
        {TIMER: State.HOLD_X1},
        pilot=_P.pilot_unavailable,
        link=DLink.ERROR,
        lasts="step_ef_s",
    ),
    State.HOLD_X1: Row(
        {TIMER: _P.after_steps},
        pilot=_P.pilot_steady,
        lasts="hold_x1_s",
    ),
    State.BASIC: Row(
        {Signal.BASIC_FORBIDDEN: State.BASIC_STOP},
        pilot=_P.pilot_limit,
        basic=True,
    ),
    State.BASIC_STOP: Row(
        {Signal.NOT_READY: State.WAITING, TIMER: State.WAITING, Signal.BASIC_ALLOWED: State.BASIC},
        pilot=_P.pilot_steady,
        lasts="open_after_x1_s",
        basic=True,
    ),
    State.WAITING: Row(
        {Signal.BASIC_ALLOWED: State.BASIC},
        pilot=_P.pilot_steady,
    ),
    State.FAULTED: Row(
        {Signal.REPAIRED: _P.repaired},
        pilot=_P.pilot_unavailable,
        link=DLink.TERMINATE,
    ),
}
