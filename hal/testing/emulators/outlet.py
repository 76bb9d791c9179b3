"""What a station's board is wired to: the pilot line with a car on it, contactor, lock, plug."""

from __future__ import annotations

import math

from hal.pilot_levels import PilotReading, classify
from hal.types import CpState
from hal.virtual.pilot_line import Debounced, PilotLine
from hal.virtual.relay import Bolt, Relay


class Outlet:
    """Physics of one outlet. `plug_ohm`: resistor of the plug in the socket (Ohm), inf without one.

    `pilot` is what a board's own measurement makes of the line, two equal looks in a row.
    """

    def __init__(self) -> None:
        self.line = PilotLine()
        self.relay = Relay()
        self.bolt = Bolt()
        self.plug_ohm = math.inf
        self.pilot: Debounced[PilotReading] = Debounced(self._read)

    @property
    def state(self) -> CpState | None:
        """State of the pilot; None while unknown."""
        return self.pilot.value.state if self.pilot.value else None

    @property
    def fault(self) -> str:
        """What is wrong with the line: "diode_fault", "pilot_short" or ""."""
        return self.pilot.value.fault if self.pilot.value else ""

    @property
    def due_s(self) -> float:
        """Time until something happens by itself."""
        return min(self.pilot.due_s, self.relay.due_s, self.bolt.due_s)

    def step(self, dt: float) -> bool:
        """Let time pass; True where pilot or contactor have changed."""
        self.bolt.step(dt)
        changed = self.pilot.step(dt)
        return self.relay.step(dt) or changed

    def _read(self) -> PilotReading:
        before = self.pilot.value.state if self.pilot.value else None
        return classify(self.line.high_v, self.line.low_v, self.line.duty, before)
