"""What a Linux board moves: the contactor and the lock of the connector."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hal.drivers.driver import LeasedDriver
from hal.drivers.linux_dialog import LOOK_S, BoardDialog, Member
from hal.drivers.linux_io import Adc
from hal.safety import FEEDBACK_S, LOCK_FAILED, NOT_CLOSING, WELDED
from hal.types import LEASE_S, ContactorState


@dataclass(frozen=True, slots=True)
class ContactorPins:
    """The contactor: lines `coil` and `mirror` (active when the main contacts are closed).

    `rest_s`: after opening it closes again only after this time.
    """

    coil: str
    mirror: str
    rest_s: float = 10.0


class BoardContactor(LeasedDriver, Member):
    """`Contactor` with a mirror contact."""

    def __init__(self, name: str, dialog: BoardDialog, pins: ContactorPins) -> None:
        super().__init__(name, dialog)
        self._pins = pins
        self.outputs, self.inputs = (pins.coil,), (pins.mirror,)
        self._coil = False
        self._opened_at = self._agreed_at = -math.inf
        self._state = ContactorState.UNKNOWN

    @property
    def state(self) -> ContactorState:
        """As the mirror contact tells."""
        return self._state

    @property
    def wanted(self) -> bool:
        """What is commanded and still leased."""
        return self.leased(self._now)

    def close_contacts(self, *, lease_s: float = LEASE_S) -> None:
        """Close, and hold for `lease_s`; shortly after opening only when the rest is over."""
        self._energise(lease_s)

    def open_contacts(self) -> None:
        """Open."""
        self._release()

    # --- the board's part -----------------------------------------------------------------------

    def begin(self, now: float) -> None:
        super().begin(now)
        self.rest()
        if self._coil:
            self._coil, self._opened_at = False, now
        self._agreed_at = now

    def rest(self) -> None:
        self._board.lines.set(self._pins.coil, False)

    def work(self, now: float) -> None:
        rested = now >= self._opened_at + self._pins.rest_s
        coil = self.leased(now) and (self._coil or rested)
        if coil is not self._coil:
            self._board.lines.set(self._pins.coil, coil)
            self._coil, self._agreed_at = coil, now
            if not coil:
                self._opened_at = now
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            closed = self._board.lines.get(self._pins.mirror)
            self._set("_state", ContactorState.CLOSED if closed else ContactorState.OPEN)
            self._supervise(closed, now)

    def _supervise(self, closed: bool, now: float) -> None:
        if closed is self._coil:
            self._agreed_at = now
        elif now >= self._agreed_at + FEEDBACK_S:
            self.blame(NOT_CLOSING if self._coil else WELDED)
            self.forget()

    @property
    def due(self) -> float:
        return min(super().due, self._look_at) if self._dialog.ready else super().due

    @property
    def settled(self) -> bool:
        """Whether the hardware does what is wanted."""
        return self._coil is self.wanted and self._coil is (self._state is ContactorState.CLOSED)

    def unknown(self) -> None:
        """Drop the levels: the board is not reached."""
        self._set("_state", ContactorState.UNKNOWN)

    def _persists(self, code: str) -> bool:
        return code == WELDED.code and self._state is not ContactorState.OPEN


# --- lock ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LockPins:
    """The lock: lines `forward` (locks) and `backward` of its motor's bridge, `sense` (see `Adc`, V).

    `locked_v` and `unlocked_v` are the windows of the sense, `pulse_s` how long the motor runs (at most 4 s).
    `capacitor` (see `Adc`, V) must show `capacitor_v` before it locks: without it, nobody could unlock again.
    """

    forward: str
    backward: str
    sense: Mapping[str, Any]
    locked_v: tuple[float, float] = (0.0, 0.85)
    unlocked_v: tuple[float, float] = (2.9, 3.3)
    pulse_s: float = 0.6
    capacitor: Mapping[str, Any] = field(default_factory=dict)
    capacitor_v: float = 10.0

    def __post_init__(self) -> None:
        if not 0.0 < self.pulse_s <= 4.0:
            raise ValueError(f"pulse_s is {self.pulse_s}, but a motor runs for more than 0 and at most 4 s")


class BoardLock(Member):
    """`ConnectorLock` with a motor that is run for a time, and a sense; nothing but a command moves it."""

    def __init__(self, name: str, dialog: BoardDialog, pins: LockPins) -> None:
        super().__init__(name, dialog)
        self._pins = pins
        self.outputs = (pins.forward, pins.backward)
        self._sense = Adc(dialog.files, **pins.sense)
        self._capacitor = Adc(dialog.files, **pins.capacitor) if pins.capacitor else None
        self._goal: bool | None = None
        self._direction: bool | None = None  # of the motor
        self._stop_at = math.inf
        self._locked: bool | None = None

    @property
    def locked(self) -> bool | None:
        """As sensed."""
        return self._locked

    def lock(self) -> None:
        """Lock."""
        self._want(True)

    def unlock(self) -> None:
        """Unlock."""
        self._want(False)

    def reset(self) -> None:
        """Clear `lock_failed`; the bolt stays where it is until told again."""
        self._goal = None
        super().reset()

    def _want(self, lock: bool) -> None:
        if self._dialog.ready:
            self._goal = lock
            self._dialog.line.flush()

    # --- the board's part -----------------------------------------------------------------------

    def begin(self, now: float) -> None:
        super().begin(now)
        self._sense.open()
        if self._capacitor is not None:
            self._capacitor.open()
        self.rest()

    def work(self, now: float) -> None:
        if self._direction is not None:
            if now >= self._stop_at or self._goal is not self._direction:
                self._stop(now)
        elif now >= self._look_at:
            self._look(now)
        if self._direction is None and self._goal is not None:
            if self._locked is self._goal:
                self._goal = None
            elif not self._goal or self._charged():
                self._drive(self._goal, now + self._pins.pulse_s)
                self._set("_locked", None)

    def _stop(self, now: float) -> None:
        """The motor has run for its time, or something else is wanted."""
        finished = self._goal is self._direction
        self.rest()
        self._look(now)
        if finished and self._locked is not self._goal:
            self.blame(LOCK_FAILED)
            self._goal = None

    def rest(self) -> None:
        self._drive(None, math.inf)

    def _drive(self, direction: bool | None, until: float) -> None:
        self._board.lines.set(self._pins.forward, direction is True)
        self._board.lines.set(self._pins.backward, direction is False)
        self._direction, self._stop_at = direction, until

    def _look(self, now: float) -> None:
        self._look_at = now + LOOK_S
        volts = self._sense.read()
        windows = {True: self._pins.locked_v, False: self._pins.unlocked_v}
        sensed = [locked for locked, (least, most) in windows.items() if least <= volts <= most]
        self._set("_locked", sensed[0] if sensed else None)

    def _charged(self) -> bool:
        return self._capacitor is None or self._capacitor.read() >= self._pins.capacitor_v

    @property
    def due(self) -> float:
        if not self._dialog.ready:
            return math.inf
        return self._look_at if self._direction is None else self._stop_at

    @property
    def settled(self) -> bool:
        """Whether the hardware does what is wanted."""
        return self._direction is None

    def forget(self) -> None:
        """Want nothing any more."""
        self._goal = None

    def unknown(self) -> None:
        """Drop the levels: the board is not reached."""
        self._direction, self._stop_at = None, math.inf
        self._set("_locked", None)
