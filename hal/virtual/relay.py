"""What moves: a contactor with its mirror contact, and the bolt that holds the plug."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from hal.types import ContactorState
from hal.virtual.plants import Contactor

BOUNCE_S: Final = 0.003
MIRROR_S: Final = 0.005
"""The mirror contact follows the main contacts this much later."""
BREAK_A: Final = 5.0
"""Opening above this current is a load break."""
CLOSE_S: Final = 0.06
OPEN_S: Final = 0.02
BOLT_S: Final = 0.3
CAPACITOR_S: Final = 10.0
"""After power-up a lock first charges what it needs to unlock without mains."""


class Relay(Contactor):
    """A contactor whose feedback is unknown while contacts bounce and the mirror contact follows.

    `closing_s` draws the time of each closing. `enabled` False is an open safety loop: the coil has no supply,
    whatever is commanded. Further fault: `inverted`, a mirror contact that tells the opposite.
    """

    __slots__ = ("_closing_s", "_slip", "enabled", "inverted")

    def __init__(self, closing_s: Callable[[], float] = lambda: CLOSE_S) -> None:
        super().__init__(close_s=CLOSE_S, open_s=OPEN_S)
        self._closing_s = closing_s
        self.enabled = True
        self.inverted = False
        self._slip: bool | None = None

    def command(self, close: bool) -> None:
        """Energise (True) or release the coil."""
        close = close and self.enabled
        if close and not self.wanted:
            self.close_s = self._closing_s()
        super().command(close)

    def slip(self, closed: bool) -> None:
        """Let the contacts move in the next step, whatever the coil does (a broken spring, a blow)."""
        self._slip = closed

    @property
    def due_s(self) -> float:
        """Time until the contact or its feedback changes; inf when it rests."""
        return super().due_s if self._slip is None else 0.0

    def step(self, dt: float, current_a: float = 0.0) -> bool:
        """Let time pass; True where the feedback changed. `current_a` is what it would interrupt."""
        if self._slip is None:
            return super().step(dt, current_a)
        moved, self.closed, self._slip = self.closed is not self._slip, self._slip, None
        self._left_s, self._unsure_s = math.inf, MIRROR_S
        self.load_breaks += moved and not self.closed and abs(current_a) > BREAK_A
        return moved

    @property
    def feedback(self) -> ContactorState:
        """The position as the mirror contact tells it."""
        told = super().feedback
        if not self.inverted or told is ContactorState.UNKNOWN:
            return told
        return ContactorState.OPEN if self.closed else ContactorState.CLOSED

    def _move(self, current_a: float) -> bool:
        moved = super()._move(current_a)
        if moved:
            self._unsure_s = MIRROR_S + (BOUNCE_S if self.closed else 0.0)
        return moved


class Bolt:
    """A motor lock. `locked` is the truth, `sense` what its contact tells (None while the motor runs).

    Locking waits for the capacitor that could unlock again without mains. Faults: `jammed` does not move;
    `drop` opens by itself, which `dropped` tells until it is locked again.
    """

    __slots__ = ("_charge_left_s", "_goal", "_left_s", "dropped", "jammed", "locked")

    def __init__(self) -> None:
        self.locked = self.jammed = self.dropped = False
        self._goal: bool | None = None
        self._left_s = math.inf
        self._charge_left_s = 0.0

    @property
    def sense(self) -> bool | None:
        """The position; None while moving."""
        return None if self._left_s != math.inf else self.locked

    @property
    def waiting(self) -> bool:
        """Whether it has been told to move and has not finished."""
        return self._goal is not None

    @property
    def due_s(self) -> float:
        """Time until it has moved or may move; inf while it rests."""
        if self._left_s != math.inf:
            return self._left_s
        return self._charge_left_s if self._goal else math.inf

    def power_up(self) -> None:
        """The unlock capacitor is empty."""
        self._charge_left_s = CAPACITOR_S
        self._goal, self._left_s = None, math.inf

    def move(self, lock: bool) -> None:
        """Start the motor; towards where it stands or already moves nothing happens."""
        if self._goal is None and lock == self.locked:
            return
        if lock != self._goal:
            self._goal, self._left_s = lock, math.inf

    def drop(self) -> None:
        """Come open without having been told."""
        self.locked, self._goal, self._left_s = False, None, math.inf
        self.dropped = True

    def step(self, dt: float) -> None:
        """Let time pass."""
        self._charge_left_s = max(0.0, self._charge_left_s - dt)
        if self._goal is None:
            return
        if self._left_s == math.inf:
            if self._goal and self._charge_left_s > 1e-9:
                return
            self._left_s = BOLT_S
        self._left_s -= dt
        if self._left_s <= 1e-9:
            if not self.jammed:
                self.locked = self._goal
                self.dropped = self.dropped and not self.locked
            self._goal, self._left_s = None, math.inf
