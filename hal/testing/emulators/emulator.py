"""The base of all emulators."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

_LEAST_STEP_S: Final = 1e-6


class Emulator:
    """A device on a serial line or a TCP connection.

    A kind of device overrides `_hear` (octets came), `_pass` (its physics, with no event inside the time that
    passes), `_due_s` and `_boot`; it calls `_send` with one message at a time, which is what noise loses.
    `silent`: it hears nothing and says nothing, but goes on otherwise.
    """

    def __init__(self) -> None:
        self.now = -math.inf
        self.silent = False
        self._out: deque[bytes] = deque()

    # --- the carrier's part ---------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When `tick` has something to do (s on the carrier's clock); inf for never."""
        return self.now + self._due_s

    def received(self, data: bytes, now: float) -> None:
        """Octets have come, in any portions, possibly garbage."""
        self.tick(now)
        if not self.silent:
            self._hear(data)

    def tick(self, now: float) -> None:
        """Time has passed; the first call switches the device on."""
        if self.now == -math.inf:
            self.now = now
            self._boot()
        while now - self.now > 1e-9:
            dt = min(max(self._due_s, _LEAST_STEP_S), now - self.now)
            self.now = now if now - self.now - dt <= 1e-9 else self.now + dt
            self._pass(dt)
        if self._due_s <= 0.0:
            self._pass(0.0)

    def to_send(self) -> bytes:
        """The next message that is to go out; b"" when there is none."""
        return self._out.popleft() if self._out else b""

    def reboot(self) -> None:
        """Power off and on: everything it was told is forgotten."""
        self._out.clear()
        self._boot()

    # --- a kind of device's part ----------------------------------------------------------------

    def _send(self, message: bytes) -> None:
        if not self.silent:
            self._out.append(message)

    @property
    def _due_s(self) -> float:
        """Time until something happens by itself."""
        return math.inf

    def _boot(self) -> None:
        """It has been switched on: the safe state."""

    def _hear(self, data: bytes) -> None:
        """Octets have come."""

    def _pass(self, dt: float) -> None:
        """Let this much time pass; `now` is its end."""
