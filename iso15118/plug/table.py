"""Runs a table of plug states: signals in, outputs of a row out."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from iso15118.events import Role
from iso15118.machine import NEVER, Do, Emit, Output
from iso15118.plug.words import Communicate, PlugState
from iso15118.slac.dlink import DLink

S = TypeVar("S", bound=enum.Enum)
M = TypeVar("M", bound="PlugTable[Any]")

TIMER = "timer"
"""The signal that a row's time is over."""


@dataclass(frozen=True, slots=True)
class Row(Generic[S]):
    """One state.

    `pilot` makes the command for what is signalled (None: as it is), `link` what the link is asked on entry,
    `communicate` whether discovery and sessions are on, `lasts` names the timer (an attribute of the
    configuration, in s), `on` maps a signal to the next state or to a method that decides.
    """

    on: Mapping[Any, S | Callable[[Any], S]]
    pilot: Callable[[Any], Any] | None = None
    link: DLink | None = None
    communicate: bool = False
    lasts: str = ""
    basic: bool = False


class PlugTable(Generic[S]):
    """A Machine whose state is a row of a table. Subclasses turn levels into signals."""

    role: Role

    def __init__(self, table: Mapping[S, Row[S]], start: S, config: Any) -> None:
        self.state = start
        self.config = config
        self.now = 0.0
        self.deadline = NEVER
        self._table = table
        self._started = False
        self._pilot: Any = None
        self._communicating = False
        self._out: list[Output] = []

    @property
    def row(self) -> Row[S]:
        """The row of the present state."""
        return self._table[self.state]

    def tick(self, now: float) -> None:
        """The row's time may be over."""
        self.now = now
        if now >= self.deadline:
            self.deadline = NEVER
            self.signal(TIMER)

    def outputs(self) -> Iterator[Output]:
        """Take what is to be done now."""
        out, self._out = self._out, []
        return iter(out)

    def signal(self, signal: Any) -> None:
        """Follow the table; a signal the row does not name changes nothing."""
        step = self.row.on.get(signal)
        if step is None:
            return
        following: S = step(self) if callable(step) else step
        if following is not self.state or step is following:
            self._enter(following, signal)

    def do(self, command: Any) -> None:
        """Output a command."""
        self._out.append(Do(command))

    def start(self) -> None:
        """Ask for what the first row asks for; repeating it changes nothing."""
        if not self._started:
            self._started = True
            self._ask(self.row)

    def signalled(self) -> None:
        """Bring what the pilot shows in line with the row; call when levels it depends on have changed."""
        if self.row.pilot is not None and (wanted := self.row.pilot(self)) != self._pilot:
            self._show(wanted)

    def _show(self, wanted: Any) -> None:
        self._pilot = wanted
        self.do(wanted)

    def _enter(self, state: S, why: Any) -> None:
        previous, self.state = self.state, state
        row = self.row
        reason = why.value if isinstance(why, enum.Enum) else str(why)
        self._out.append(
            Emit(PlugState(t=self.now, role=self.role, state=state.name, previous=previous.name, why=reason))
        )
        self.deadline = self.now + getattr(self.config, row.lasts) if row.lasts else NEVER
        self._ask(row)
        self.entered()

    def _ask(self, row: Row[S]) -> None:
        """What a row wants: talking ends before the link does, and begins after it."""
        if self._communicating and not row.communicate:
            self._communicate(on=False)
        if row.pilot is not None:
            self._show(row.pilot(self))
        if row.link is not None:
            self.do(row.link)
        if row.communicate and not self._communicating:
            self._communicate(on=True)

    def _communicate(self, *, on: bool) -> None:
        self._communicating = on
        self.do(Communicate(on))

    def entered(self) -> None:
        """A state was entered; levels that hold already may lead on at once."""
