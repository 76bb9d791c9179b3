"""A medium in real time: what arrives goes to whoever has connected to the port. Needs a running event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self

from iso15118.machine import NEVER
from iso15118.sim.powerline.medium import Medium, Port

Receive = Callable[[bytes], None]


class Hub:
    """Carries a medium on the running loop until `close`; a context manager."""

    def __init__(self, medium: Medium) -> None:
        self.medium = medium
        self._loop = asyncio.get_running_loop()
        self._receivers: dict[Port, Receive] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def now(self) -> float:
        """The medium's time: the loop's."""
        return self._loop.time()

    def connect(self, port: Port, receive: Receive) -> None:
        """Hand what arrives at a port to `receive`, in place of whoever had it."""
        self._receivers[port] = receive

    def disconnect(self, port: Port) -> None:
        """Nobody listens at a port any more: what arrives is lost."""
        self._receivers.pop(port, None)

    def send(self, port: Port, octets: bytes) -> None:
        """A host sends a frame."""
        self.medium.send(port, octets, self.now)
        self.turn()

    def turn(self) -> None:
        """Deliver what has arrived, and come back when there is more; to be called after planning anything."""
        for port, octets in self.medium.due(self.now):
            receive = self._receivers.get(port)
            if receive is not None:
                receive(octets)
        self._stop()
        if self.medium.deadline < NEVER:
            self._timer = self._loop.call_at(self.medium.deadline, self.turn)

    def close(self) -> None:
        """Deliver nothing more."""
        self._stop()
        self._receivers.clear()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
