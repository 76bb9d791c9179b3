"""Machines at the ports of a medium, under virtual time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from iso15118.machine import Emit, Frame, LinkUp, Machine, Output
from iso15118.sim.powerline.medium import Medium, Port

MAX_INSTANTS: Final = 10_000
"""So many steps without time passing, and something runs in a circle."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A frame that passed a port: when, which way ("out" of the host or "in"), its octets."""

    t: float
    port: Port
    way: str
    octets: bytes


class LinkWorld:
    """Runs machines that exchange frames over a medium. `events` are all that they told: (port, event).

    `frames` is what passed the ports, `asked` the other outputs a host has to serve (Do ...), for `serve`.
    """

    def __init__(self, medium: Medium, *, start: float = 0.0) -> None:
        self.medium, self.now = medium, start
        self.events: list[tuple[Port, Any]] = []
        self.frames: list[Carried] = []
        self._machines: dict[Port, Machine] = {}
        self._serve: dict[Port, Callable[[Output], None]] = {}
        self._deadlines: dict[Port, float] = {}

    def connect(self, port: Port, machine: Machine, serve: Callable[[Output], None] | None = None) -> None:
        """Put a machine at a port and tell it that the port is open. `serve` gets what is neither frame nor event."""
        self._machines[port] = machine
        if serve is not None:
            self._serve[port] = serve
        self.give(port, LinkUp())

    def give(self, port: Port, item: Any) -> None:
        """An input for the machine at a port, now."""
        machine = self._machines[port]
        machine.receive(item, self.now)
        self._drain(port, machine)

    def run(self, until: float) -> None:
        """Let the time pass up to `until`. RuntimeError where a machine never lets it pass."""
        instants = 0
        while (due := self._next()) <= until:
            instants = instants + 1 if due <= self.now else 0
            if instants > MAX_INSTANTS:
                raise RuntimeError(f"nothing but steps without time at {self.now} s")
            self.now = max(self.now, due)
            self._step()
        self.now = max(self.now, until)

    def run_until(self, reached: Callable[[], bool], limit: float) -> bool:
        """Let the time pass until `reached`, at most to `limit`; whether it was."""
        while not reached():
            due = self._next()
            if due > limit:
                self.now = max(self.now, limit)
                return reached()
            self.run(due)
        return True

    def told(self, port: Port, kind: type[Any]) -> list[Any]:
        """The events of one kind from the machine at a port."""
        return [event for at, event in self.events if at is port and isinstance(event, kind)]

    def _next(self) -> float:
        return min(self.medium.deadline, *self._deadlines.values(), float("inf"))

    def _step(self) -> None:
        for port, octets in self.medium.due(self.now):
            self.frames.append(Carried(self.now, port, "in", octets))
            if port in self._machines:
                self.give(port, Frame(octets))
        for port, machine in self._machines.items():
            if self._deadlines[port] <= self.now:
                machine.tick(self.now)
                self._drain(port, machine)

    def _drain(self, port: Port, machine: Machine) -> None:
        for output in machine.outputs():
            match output:
                case Frame(data=octets):
                    self.frames.append(Carried(self.now, port, "out", octets))
                    self.medium.send(port, octets, self.now)
                case Emit(event=event):
                    self.events.append((port, event))
                case other if port in self._serve:
                    self._serve[port](other)
                case _:
                    pass
        self._deadlines[port] = machine.deadline
