"""What asks is a procedure: one coroutine at a time, resumed by frames, requests or the time.

There is one thing to wait for, `Wait`; no event loop is involved.
"""

from __future__ import annotations

import types
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any

from iso15118.machine import NEVER


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for the first item that `accept` makes something of, at most until `until` (monotonic s)."""

    accept: Callable[[Any], Any]
    until: float


@types.coroutine
def wait(operation: Wait) -> Generator[Wait, Any, Any]:
    """What `accept` made of an item; None where the time came first."""
    return (yield operation)


class Lane:
    """Runs one procedure. Whoever owns it hands over items and the time."""

    def __init__(self) -> None:
        self._routine: Generator[Wait, Any, None] | None = None
        self._waiting: Wait | None = None

    @property
    def deadline(self) -> float:
        """Until when the procedure waits; inf where it does not, or has ended."""
        return self._waiting.until if self._waiting is not None else NEVER

    def start(self, procedure: Awaitable[None]) -> None:
        """Run `procedure` in place of what ran before."""
        self.stop()
        self._routine = procedure.__await__()
        self._go(lambda routine: routine.send(None))

    def stop(self) -> None:
        """End what runs; it puts back what it has moved."""
        routine, self._routine, self._waiting = self._routine, None, None
        if routine is not None:
            routine.close()

    def offer(self, item: Any) -> bool:
        """Whether the procedure waited for `item`; it has gone on then."""
        result = self._waiting.accept(item) if self._waiting is not None else None
        if result is None:
            return False
        self._go(lambda routine: routine.send(result))
        return True

    def tick(self, now: float) -> None:
        """The time waited for may have come."""
        if now >= self.deadline:
            self._go(lambda routine: routine.send(None))

    def interrupt(self, error: Exception) -> None:
        """Raise `error` where the procedure waits."""
        self._go(lambda routine: routine.throw(error))

    def _go(self, step: Callable[[Generator[Wait, Any, None]], Wait]) -> None:
        if self._routine is None:
            return
        self._waiting = None
        try:
            self._waiting = step(self._routine)
        except StopIteration:
            self._routine = None
