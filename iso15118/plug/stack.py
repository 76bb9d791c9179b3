"""A plug with the link below it, as one Machine: all that a runtime or a simulation has to serve of either side.

The plug's table decides, the link matches; here they only hear of each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final, Protocol

from iso15118.control.common import CpState
from iso15118.machine import Do, Emit, Frame, Input, LinkDown, LinkUp, Output, Stop, Update
from iso15118.plug.ev import EvPlug
from iso15118.plug.evse import EvsePlug
from iso15118.plug.words import EvLevels, EvseLevels, Report
from iso15118.slac.dlink import DLink, LinkStatus, PilotLevel
from iso15118.slac.events import LinkReady, Validating

REPORTS: Final = {
    LinkStatus.ESTABLISHED: Report.LINK_UP,
    LinkStatus.FAILED: Report.LINK_FAILED,
    LinkStatus.LOST: Report.LINK_LOST,
}


class Link(Protocol):
    """A Machine that takes DLink requests and tells LinkReady: `slac`, or `direct` where nothing is to be matched."""

    @property
    def deadline(self) -> float:
        """When `tick` is due."""

    def receive(self, item: Any, now: float) -> None:
        """Take an input or a DLink request."""

    def tick(self, now: float) -> None:
        """Let time pass."""

    def outputs(self) -> Iterator[Output]:
        """Take what is to be done now."""


class PlugStack:
    """Machine.

    Inputs: Update(EvseLevels or EvLevels), Report (what sessions report), LinkUp and LinkDown of the port to the
    modem, Frame, Stop. Outputs: Frame; Do with pilot and contactor commands and Communicate; Emit.
    """

    def __init__(self, plug: EvsePlug | EvPlug, link: Link) -> None:
        self.plug, self.link = plug, link
        self.peer: bytes | None = None
        """Host MAC of the matched peer; None while there is none or it is not known."""
        self._levels: EvseLevels | EvLevels | None = None
        self._pilot: CpState | None = None
        self._validating = False
        self._out: list[Output] = []

    @property
    def deadline(self) -> float:
        """When `tick` is due (monotonic seconds)."""
        return min(self.plug.deadline, self.link.deadline)

    def receive(self, item: Input | Report, now: float) -> None:
        """Take one input."""
        match item:
            case Update(state=(EvseLevels() | EvLevels()) as levels):
                self._levels = levels
                self._measured(now)
            case Report():
                self.plug.report(item, now)
            case Frame() | LinkUp() | LinkDown() | Stop():
                self.link.receive(item, now)
            case _:
                pass
        self._settle(now)

    def tick(self, now: float) -> None:
        """Let time pass."""
        if self.link.deadline <= now:
            self.link.tick(now)
        if self.plug.deadline <= now:
            self.plug.tick(now)
        self._settle(now)

    def outputs(self) -> Iterator[Output]:
        """Take what is to be done now."""
        out, self._out = self._out, []
        return iter(out)

    # --- between the two ----------------------------------------------------------------------

    def _measured(self, now: float) -> None:
        """New levels: the link first, so that an unplugged one is silent before the plug acts."""
        levels = self._levels
        assert levels is not None
        pilot = _pilot_of(levels)
        if pilot is not self._pilot:
            self._pilot = pilot
            self.link.receive(Update(PilotLevel(pilot)), now)
        if isinstance(levels, EvseLevels) and self._validating and pilot is not None and pilot.ready:
            levels = replace(levels, cp=CpState.B)  # a toggle of validation is no wish for energy
        self.plug.receive(Update(levels), now)

    def _settle(self, now: float) -> None:
        """Carry words to and fro until neither has any."""
        while turn := [*self.plug.outputs(), *self.link.outputs()]:
            for output in turn:
                self._route(output, now)

    def _route(self, output: Output, now: float) -> None:
        match output:
            case Do(command=DLink() as request):
                self.link.receive(request, now)
                return
            case Emit(event=LinkReady() as ready):
                self.peer = ready.peer if ready.established else None
                self._out.append(output)
                self.plug.report(REPORTS[ready.status], now)
                return
            case Emit(event=Validating(on=on)):
                self._validating = on
                if self._levels is not None:
                    self._measured(now)
            case _:
                pass
        self._out.append(output)


def _pilot_of(levels: EvseLevels | EvLevels) -> CpState | None:
    """The pilot as the link wants to know it: on the car's side only whether a charger is there and alive."""
    if isinstance(levels, EvseLevels):
        return levels.cp
    if levels.duty is None:
        return CpState.A
    return CpState.B if levels.duty > 0.5 else CpState.F
