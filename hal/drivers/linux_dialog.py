"""The common part of a board without a controller of its own: what hangs on Linux's PWM, ADC and GPIO.

All devices (`linux_gauges`, `linux_switches`) are looked at by the event loop, so the converters have to be fast
(some 0.1 ms a reading). `linux_board` makes them from tables.
"""

from __future__ import annotations

import contextlib
import math
from typing import Final

from hal.drivers.dialog import RESEND_S, Dialog
from hal.drivers.driver import Driver
from hal.drivers.linux_io import Files, Lines
from hal.errors import HalError

LOOK_S: Final = 0.01
"""How often pilot, contactor and lock are looked at."""


class BoardDialog(Dialog):
    """The common part: opens files and lines, lets every device look and act, and begins again after an error.

    What is missing at the first start is a refusal; what goes away later is the fault "communication".
    """

    def __init__(self, name: str, files: Files, lines: Lines, *, heartbeat: str = "") -> None:
        super().__init__(name)
        self.files, self.lines = files, lines
        self.members: list[Member] = []
        self._heartbeat, self._beat, self._beat_at = heartbeat, False, math.inf
        self._retry_at = math.inf
        self._known = False

    def _start(self, now: float) -> None:
        try:
            outputs = [line for member in self.members for line in member.outputs]
            inputs = [line for member in self.members for line in member.inputs]
            self.lines.open(tuple(filter(None, [*outputs, self._heartbeat])), tuple(filter(None, inputs)))
            for member in self.members:
                member.begin(now)
        except HalError as error:
            self._fail(error.detail, now)
            if not self._known:
                self.refusal = error
        except (OSError, ValueError) as error:
            self._fail(str(error), now)
        else:
            self._known, self._retry_at = True, math.inf
            self._beat_at = now if self._heartbeat else math.inf
            self._met()

    def _work(self, now: float) -> None:
        if now >= self._retry_at and self.refusal is None:
            self._start(now)
        if not self.ready:
            return
        try:
            for member in self.members:
                member.work(now)
            if now >= self._beat_at:
                self._beat, self._beat_at = not self._beat, now + LOOK_S
                self.lines.set(self._heartbeat, self._beat)
        except (OSError, ValueError) as error:  # ValueError: a file that holds no number
            self._fail(str(error), now)

    def _fail(self, reason: str, now: float) -> None:
        self._rest()
        self._retry_at = now + RESEND_S
        self._beat_at = math.inf
        self._lose(reason)

    @property
    def _due(self) -> float:
        return self._beat_at if self.ready else self._retry_at

    def lost(self, reason: str, now: float) -> None:
        """The carrier begins anew."""
        self._fail(reason, now)
        super().lost(reason, now)

    def ended(self) -> None:
        """Nobody uses the board any more; everything is off by now."""
        self._retry_at = self._beat_at = math.inf
        self._rest()
        super().ended()

    def _rest(self) -> None:
        """Leave everything safe, as far as it can be reached, and let go."""
        for member in self.members:
            with contextlib.suppress(OSError):
                member.rest()
        self.lines.close()


class Member(Driver):
    """A device on a board; `begin`, `work` and `rest` may raise OSError.

    `outputs` and `inputs` are the lines it needs ("" for none), `_look_at` is when it has something to do.
    """

    outputs: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()

    def __init__(self, name: str, board: BoardDialog) -> None:
        super().__init__(name, board)
        self._board = board
        self._look_at = math.inf
        board.members.append(self)

    @property
    def due(self) -> float:
        """When it looks again."""
        return self._look_at if self._board.ready else math.inf

    def begin(self, now: float) -> None:
        """Open what it needs, make it safe, look from now on."""
        self._look_at = now

    def work(self, now: float) -> None:
        """Do what is wanted, and look if it is time to."""

    def rest(self) -> None:
        """Leave it safe."""
