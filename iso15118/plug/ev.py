"""The life of an inlet: what the vehicle signals, when it matches, looks for the charger, sleeps and wakes.

Sources: ISO 15118-3 and the reading of IEC 61851-1 Annex A for the vehicle.
"""

from __future__ import annotations

import enum
from typing import Final

from iso15118.config import EvPlugConfig
from iso15118.control.ev import ChargeBasic, Command, SetPilot
from iso15118.events import Role
from iso15118.machine import Input, Update
from iso15118.plug.table import TIMER, PlugTable, Row
from iso15118.plug.words import EvLevels, Report
from iso15118.slac.dlink import DLink


class State(enum.Enum):
    """Where an inlet is."""

    UNPLUGGED = enum.auto()
    WAITING = enum.auto()  # plugged in, nothing offered (steady +12 V, E or F)
    SETTLING = enum.auto()  # an offer has to stand for a moment
    MATCHING = enum.auto()  # SLAC under way
    LINKED = enum.auto()  # in one network, looking for the charger
    SESSION = enum.auto()  # talking to it
    LEAVING = enum.auto()  # terminated: what is still on its way arrives before the network is left
    DONE = enum.auto()  # terminated; until unplugged
    PAUSING = enum.auto()  # paused, the charger still oscillates
    ASLEEP = enum.auto()  # paused, steady +12 V
    TOGGLE = enum.auto()  # waking the charger: C for a moment
    WAKING = enum.auto()  # woken: until it oscillates
    BROKEN = enum.auto()  # communication broke: before matching once more
    NO_LINK = enum.auto()  # matching failed at 5 %: nothing to charge by
    BASIC = enum.auto()  # charging by the duty cycle alone


class Signal(enum.Enum):
    """What the pilot offers, and what the vehicle wants."""

    UNPLUGGED = "unplugged"
    UNAVAILABLE = "charger unavailable"
    STEADY = "no oscillation"
    DIGITAL = "digital communication offered"
    NOMINAL = "current offered by duty cycle"
    WAKE = "vehicle wants to go on"


class EvPlug(PlugTable[State]):
    """Machine. Inputs: Update(EvLevels), and `report` for what the layers above report.

    Outputs: Do with SetPilot (wake-up toggles), ChargeBasic, Communicate; Emit(PlugState). The pilot state
    during a session is the session's own business.
    """

    role: Role = "EVCC"

    def __init__(self, config: EvPlugConfig | None = None) -> None:
        super().__init__(TABLE, State.UNPLUGGED, config or EvPlugConfig())
        self.levels = EvLevels(None)
        self.attempts = 0
        self._kept = False  # the logical network, over a pause
        self._basic_a = 0.0

    # --- inputs -------------------------------------------------------------------------------

    def receive(self, item: Input, now: float) -> None:
        """Take new levels."""
        if isinstance(item, Update) and isinstance(item.state, EvLevels):
            self.now = now
            self.start()
            old, self.levels = self.levels, item.state
            offer = offered(item.state.duty)
            if offer is not offered(old.duty):
                self._take(offer)
            if item.state.wake and not old.wake:
                self._take(Signal.WAKE)
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
        if signal is Signal.UNPLUGGED and self.state is not State.UNPLUGGED:
            self._enter(State.UNPLUGGED, signal)
        else:
            self.signal(signal)

    def entered(self) -> None:
        """What the pilot offers already leads on."""
        if self.state is State.WAITING:
            self.signal(offered(self.levels.duty))
        elif self.state is State.WAKING and offered(self.levels.duty) is Signal.DIGITAL:
            self._enter(self.resumed(), Signal.DIGITAL)
        elif self.state is State.PAUSING and offered(self.levels.duty) is Signal.STEADY:
            self._enter(State.ASLEEP, Signal.STEADY)
        elif self.state in (State.UNPLUGGED, State.LINKED):
            self.attempts = 0
        if self.row.link is not None:
            self._kept = self.row.link is DLink.PAUSE

    # --- what rows ask ------------------------------------------------------------------------

    def pilot_rest(self) -> Command:
        """State B."""
        return SetPilot(ready=False)

    def pilot_toggle(self) -> Command:
        """State C, for a moment."""
        return SetPilot(ready=True, brief=True)

    def settled(self) -> State:
        """The offer stands: communicate at 5 %, and at a nominal duty cycle where that is wished."""
        digital = offered(self.levels.duty) is Signal.DIGITAL
        return State.MATCHING if digital or self.config.hlc_at_nominal else State.BASIC

    def without_link(self) -> State:
        """No communication: charge by the duty cycle where one is offered."""
        nominal = offered(self.levels.duty) is Signal.NOMINAL
        return State.BASIC if nominal and self.levels.basic else State.NO_LINK

    def resumed(self) -> State:
        """The charger oscillates again: go on in the network that was kept, or match anew."""
        return State.LINKED if self._kept else State.SETTLING

    def wake(self) -> State:
        """Toggle the pilot, at most so many times in a row."""
        self.attempts += 1
        return State.TOGGLE if self.attempts <= self.config.wake_attempts else State.ASLEEP

    # --- basic charging -----------------------------------------------------------------------

    def _basic(self) -> None:
        """Follow the duty cycle while the row charges by it."""
        limit_a = limit_of(self.levels.duty) if self.row.basic and self.levels.basic else 0.0
        if limit_a != self._basic_a:
            self._basic_a = limit_a
            self.do(ChargeBasic(limit_a))


def offered(duty: float | None) -> Signal:
    """What a duty cycle (percent) means; what is not allowed is as good as a steady pilot."""
    if duty is None:
        return Signal.UNPLUGGED
    if duty <= 0.5:
        return Signal.UNAVAILABLE
    if 3.0 <= duty <= 7.0:
        return Signal.DIGITAL
    return Signal.NOMINAL if 8.0 <= duty <= 97.0 else Signal.STEADY


def limit_of(duty: float | None) -> float:
    """Current (A per phase) a duty cycle allows (IEC 61851-1 Table A.8); 0 where it allows none by itself."""
    if duty is None or not 8.0 <= duty <= 97.0:
        return 0.0
    if duty < 10.0:
        return 6.0
    if duty <= 85.0:
        return duty * 0.6
    return min((duty - 64.0) * 2.5, 80.0)


_P = EvPlug
_LOST: Final = {Signal.UNAVAILABLE: State.WAITING}

TABLE: Final[dict[State, Row[State]]] = {
    State.UNPLUGGED: Row(
        {
            Signal.DIGITAL: State.SETTLING,
            Signal.NOMINAL: State.SETTLING,
            Signal.STEADY: State.WAITING,
            Signal.UNAVAILABLE: State.WAITING,
        },
        pilot=_P.pilot_rest,
        link=DLink.TERMINATE,
    ),
    State.WAITING: Row(
        {Signal.DIGITAL: State.SETTLING, Signal.NOMINAL: State.SETTLING},
        pilot=_P.pilot_rest,
        link=DLink.TERMINATE,
    ),
    State.SETTLING: Row(
        {TIMER: _P.settled, Signal.STEADY: State.WAITING, **_LOST},
        lasts="settle_s",
    ),
    State.MATCHING: Row(
        {
            Report.LINK_UP: State.LINKED,
            Report.LINK_FAILED: _P.without_link,
            Signal.STEADY: State.WAITING,
            **_LOST,
        },
        link=DLink.MATCH,
    ),
    State.LINKED: Row(
        {
            Report.SESSION_BEGUN: State.SESSION,
            Report.SESSION_BROKEN: State.BROKEN,
            Report.LINK_LOST: State.BROKEN,
            TIMER: State.BROKEN,
            **_LOST,
        },
        link=DLink.MATCH,  # after a pause: be up again
        communicate=True,
        lasts="setup_s",
    ),
    State.SESSION: Row(
        {
            Report.SESSION_DONE: State.LEAVING,
            Report.SESSION_PAUSED: State.PAUSING,
            Report.SESSION_BROKEN: State.BROKEN,
            Report.LINK_LOST: State.BROKEN,
            **_LOST,
        },
        communicate=True,
    ),
    State.LEAVING: Row(
        {TIMER: State.DONE, Signal.STEADY: State.DONE, Report.LINK_LOST: State.DONE, **_LOST},
        lasts="leave_s",
    ),
    State.DONE: Row(
        {Signal.WAKE: _P.wake},
        link=DLink.TERMINATE,
    ),
    State.PAUSING: Row(
        {Signal.STEADY: State.ASLEEP, Signal.WAKE: State.WAKING, Report.LINK_LOST: State.BROKEN, **_LOST},
        link=DLink.PAUSE,
    ),
    State.ASLEEP: Row(
        {
            Signal.DIGITAL: _P.resumed,
            Signal.NOMINAL: _P.resumed,
            Signal.WAKE: _P.wake,
            Report.LINK_LOST: State.WAITING,
            **_LOST,
        },
    ),
    State.TOGGLE: Row(
        {TIMER: State.WAKING, **_LOST},
        pilot=_P.pilot_toggle,
        lasts="toggle_s",
    ),
    State.WAKING: Row(
        {Signal.DIGITAL: _P.resumed, Signal.NOMINAL: _P.resumed, TIMER: _P.wake, **_LOST},
        pilot=_P.pilot_rest,
        lasts="wake_s",
    ),
    State.BROKEN: Row(
        {TIMER: State.WAITING, Signal.STEADY: State.WAITING, **_LOST},
        pilot=_P.pilot_rest,
        link=DLink.ERROR,
        lasts="resetup_s",
    ),
    State.NO_LINK: Row(
        {Signal.STEADY: State.WAITING, Signal.NOMINAL: _P.without_link, TIMER: State.WAITING, **_LOST},
        pilot=_P.pilot_rest,
        lasts="retry_s",
    ),
    State.BASIC: Row(
        {Signal.STEADY: State.WAITING, Signal.DIGITAL: State.SETTLING, **_LOST},
        basic=True,
    ),
}
