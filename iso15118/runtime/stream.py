"""The event stream of one charger or vehicle: a bounded queue with listeners."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from iso15118.events import Role
from iso15118.runtime.events import EventsDropped, InternalFault

MAX_EVENTS: Final = 10_000
"""How many events wait for a reader before the oldest are dropped."""

Sink = Callable[[Any], None]
"""Called with every event, at once and on the event loop: it must return quickly."""


class EventStream:
    """Events go to every sink at once, and wait for `take`."""

    def __init__(self, role: Role, sinks: Iterable[Sink] = (), limit: int = MAX_EVENTS) -> None:
        self._role = role
        self._sinks = list(sinks)
        self._limit = limit
        self._events: deque[Any] = deque()
        self._dropped = 0
        self._wake = asyncio.Event()

    def emit(self, event: Any) -> None:
        """Add one event. A sink that raises is reported and not called again."""
        for sink in tuple(self._sinks):
            try:
                sink(event)
            except Exception as error:  # noqa: BLE001 - an observer must not disturb what it observes
                self._sinks.remove(sink)
                what = f"event sink {sink!r} is not called any more"
                self.emit(InternalFault(t=event.t, role=self._role, what=what, error=repr(error)))
        if len(self._events) >= self._limit:
            self._events.popleft()
            self._dropped += 1
        self._events.append(event)
        self._wake.set()

    def close(self) -> None:
        """Let `take` return once more although no event comes."""
        self._wake.set()

    async def take(self) -> list[Any]:
        """All events that wait; waits for the first one. May be empty after `close`."""
        await self._wake.wait()
        return self.take_now()

    def take_now(self) -> list[Any]:
        """All events that wait, without waiting."""
        self._wake.clear()
        events = list(self._events)
        self._events.clear()
        if self._dropped and events:
            events.insert(0, EventsDropped(t=events[0].t, role=self._role, count=self._dropped))
            self._dropped = 0
        return events
