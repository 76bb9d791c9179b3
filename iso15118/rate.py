"""A ceiling on how often something is done, so that a flood costs neither replies nor log lines."""

from __future__ import annotations

import math


class RateLimit:
    """Admits `per_second` actions in each second that begins with an admitted one."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._window_end = -math.inf
        self._left = 0
        self._refused = 0

    def admit(self, now: float) -> bool:
        """Whether one more is within the limit; counts it either way."""
        if now >= self._window_end:
            self._window_end = now + 1.0
            self._left = self._per_second
        if self._left == 0:
            self._refused += 1
            return False
        self._left -= 1
        return True

    def take_refused(self) -> int:
        """How many were refused since the last call."""
        refused, self._refused = self._refused, 0
        return refused
