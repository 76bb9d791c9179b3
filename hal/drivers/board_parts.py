"""Devices of boards whose own controller watches pilot and contactors and tells what it sees.

The board's dialog hands its reports to `take`; what is wanted it reads from the levels.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final

from hal.drivers.dialog import Dialog
from hal.drivers.driver import Driver, LeasedDriver
from hal.errors import HalError, Kind
from hal.pilot import STEADY_DUTY
from hal.pilot_levels import PILOT_FAULTS, check_duty
from hal.safety import NOT_CLOSING, WELDED
from hal.types import LEASE_S, NOTHING, ContactorState, CpState, Fault, Sample, Severity

POSITION_S: Final = 0.5
"""A contactor is broken when two reports so far apart disagree with the command, and none between agrees."""


class ToldPilot(Driver):
    """`EvsePilot`. The board tells the state, not the voltage: `high_v` is never measured."""

    def __init__(self, name: str, dialog: Dialog) -> None:
        super().__init__(name, dialog)
        self._duty = STEADY_DUTY
        self._state: CpState | None = None
        self._since = -math.inf
        self._broken: Collection[str] = ()

    @property
    def state(self) -> CpState | None:
        """As the board tells; None while unknown."""
        return self._state

    @property
    def since(self) -> float:
        """When the first report of this state came."""
        return self._since

    @property
    def high_v(self) -> Sample:
        """Never measured."""
        return NOTHING

    @property
    def duty(self) -> float:
        """What is commanded."""
        return self._duty

    def set_duty(self, percent: float) -> None:
        """5.0 digital, 10.0 to 96.0 basic charging, 100.0 steady +12 V."""
        check_duty(self.name, percent)
        self._want(percent)

    def set_unavailable(self) -> None:
        """Hold -12 V until the next `set_duty`."""
        self._want(0.0)

    def _want(self, percent: float) -> None:
        if self._dialog.ready:
            self._set("_duty", percent)
            self._dialog.line.flush()

    # --- the dialog's part ----------------------------------------------------------------------

    def take(self, state: CpState | None, now: float) -> None:
        """The board reports its state; E where it has found the line broken."""
        told = CpState.E if self._broken else state
        if told is not self._state:
            self._since = now
        self._set("_state", told)

    def take_faults(self, broken: Collection[str]) -> None:
        """The board reports what is wrong with the line: codes of `PILOT_FAULTS`."""
        self._broken = broken
        for code, fault in PILOT_FAULTS.items():
            if code in broken:
                self.blame(fault)
            elif not fault.latched:
                self.clear(code)

    def forget(self) -> None:
        """Steady +12 V."""
        self._set("_duty", STEADY_DUTY)

    def unknown(self) -> None:
        """The state is not known."""
        self._set("_state", None)

    def _persists(self, code: str) -> bool:
        return code in self._broken


class ToldContactor(LeasedDriver):
    """`Contactor` of a board that closes it only while the car is ready, and reports its position."""

    def __init__(self, name: str, dialog: Dialog, position_s: float = POSITION_S) -> None:
        super().__init__(name, dialog)
        self._position_s = position_s
        self._state = ContactorState.UNKNOWN
        self._commanded = False
        self._disagrees_since = math.inf

    @property
    def state(self) -> ContactorState:
        """As the board tells."""
        return self._state

    @property
    def wanted(self) -> bool:
        """What is commanded and still leased."""
        return self.leased(self._now)

    def close_contacts(self, *, lease_s: float = LEASE_S) -> None:
        """Close, and hold for `lease_s`."""
        self._energise(lease_s)

    def open_contacts(self) -> None:
        """Open."""
        self._release()

    # --- the dialog's part ----------------------------------------------------------------------

    def take(self, position: ContactorState, now: float, *, may_close: bool) -> None:
        """The board reports; it keeps the contactor open unless it `may_close`."""
        self._set("_state", position)
        wanted = self.leased(now)
        expected = ContactorState.CLOSED if wanted else ContactorState.OPEN
        if position is expected or (wanted and not may_close):
            self._disagrees_since = math.inf
        elif wanted is not self._commanded or self._disagrees_since == math.inf:
            self._disagrees_since = now
        elif now >= self._disagrees_since + self._position_s:
            self.blame(NOT_CLOSING if wanted else WELDED)
            self.forget()
        self._commanded = wanted

    @property
    def settled(self) -> bool:
        """Whether it is not closed any more."""
        return self._state is not ContactorState.CLOSED

    def unknown(self) -> None:
        """The position is not known."""
        self._set("_state", ContactorState.UNKNOWN)
        self._disagrees_since = math.inf

    def _persists(self, code: str) -> bool:
        return code == WELDED.code and self._state is not ContactorState.OPEN


class ToldSafety(Driver):
    """`SafetyChain` of an AC board: it does not measure the output, so it cannot be armed."""

    def __init__(self, name: str, dialog: Dialog) -> None:
        super().__init__(name, dialog)
        self._tripped: frozenset[str] = frozenset()

    @property
    def tripped(self) -> frozenset[str]:
        """What has tripped."""
        return self._tripped

    @property
    def armed(self) -> bool:
        """Never."""
        return False

    def arm(self, limit_v: float) -> None:
        """HalError(REFUSED): the board does not measure the output."""
        raise HalError(
            self.name,
            Kind.REFUSED,
            f"it cannot supervise an output of {limit_v} V",
            next_step="Use a DC supply with an over-voltage monitor of its own",
        )

    def disarm(self) -> None:
        """There is nothing to end."""

    def take(self, tripped: Collection[str]) -> None:
        """The board reports what has tripped; each is a fault until the board says otherwise."""
        for code in self._tripped - frozenset(tripped):
            self.clear(code)
        self._set("_tripped", frozenset(tripped))
        for code in tripped:
            self.blame(Fault(code, Severity.EMERGENCY, latched=True))

    def _persists(self, code: str) -> bool:
        return code in self._tripped


class ToldProximity(Driver):
    """`Proximity` of a type 2 socket."""

    def __init__(self, name: str, dialog: Dialog) -> None:
        super().__init__(name, dialog)
        self._ampacity_a: float | None = None

    @property
    def ampacity_a(self) -> float | None:
        """What the cable carries; None for a fault."""
        return self._ampacity_a

    def take(self, ampacity_a: float | None) -> None:
        """The board reports."""
        self._set("_ampacity_a", ampacity_a)

    def unknown(self) -> None:
        """Nothing is known."""
        self._set("_ampacity_a", None)
