"""The control pilot as a wire: oscillator, resistors, diode; and how either end reads it.

Voltages follow from the network of IEC 61851-1 annex A: +-12 V behind 1 kOhm at the station, a diode and a
switched resistor in the car.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from hal.types import CpState

SOURCE_OHM: Final = 1000.0
DIODE_V: Final = 0.7
PLUGGED_OHM: Final = 2740.0
READY_OHM: Final = 1300.0
VENTILATION_OHM: Final = 270.0
SAMPLE_S: Final = 0.01
"""Both ends look this often; two equal looks in a row count."""

CAR_OHM: Final = {
    CpState.B: PLUGGED_OHM,
    CpState.C: PLUGGED_OHM * READY_OHM / (PLUGGED_OHM + READY_OHM),
    CpState.D: PLUGGED_OHM * VENTILATION_OHM / (PLUGGED_OHM + VENTILATION_OHM),
}
"""What the car puts between pilot and earth."""


class PilotLine:
    """Everything on the wire. `duty` in percent: 100 = steady +12 V, 0 = steady -12 V.

    `state` is the resistor the car has switched (B, C, D). Faults: `diode_ok` False, `short_ohm` to earth,
    `powered` False (the oscillator gives 0 V), `flicker` a second state the resistor changes to and fro with
    at each look, faster than two equal looks. `supply_v` within 12 V +-3 %.
    """

    __slots__ = ("diode_ok", "duty", "flicker", "plugged", "powered", "short_ohm", "state", "supply_v")

    def __init__(self, *, plugged: bool = False, supply_v: float = 12.0) -> None:
        self.supply_v, self.plugged = supply_v, plugged
        self.duty = 100.0
        self.powered = self.diode_ok = True
        self.state = CpState.B
        self.short_ohm = math.inf
        self.flicker: CpState | None = None

    @property
    def wire(self) -> CpState:
        """What is truly the case: A, the car's resistor, E without a usable line, F while -12 V is held."""
        if not self.powered or self.short_ohm < SOURCE_OHM:
            return CpState.E
        if self.duty == 0.0:
            return CpState.F
        if not self.plugged:
            return CpState.A
        return self.state if self.diode_ok else CpState.E

    @property
    def high_v(self) -> float:
        """Positive peak at the station's end (V); where nothing is positive, the steady level."""
        if not self.powered:
            return 0.0
        return self._level(self.supply_v if self.duty > 0.0 else -self.supply_v)

    @property
    def low_v(self) -> float:
        """Negative peak at the station's end (V); without oscillation, the steady level."""
        if not self.powered:
            return 0.0
        return self._level(self.supply_v if self.duty == 100.0 else -self.supply_v)

    def _level(self, source_v: float) -> float:
        """Voltage of the node for a steady source: through the diode only what is above its drop flows."""
        drive, conductance = source_v / SOURCE_OHM, 1.0 / SOURCE_OHM + 1.0 / self.short_ohm
        without = drive / conductance
        if not self.plugged:
            return without
        car = 1.0 / CAR_OHM[self.state]
        if not self.diode_ok:
            return drive / (conductance + car)
        return (drive + car * DIODE_V) / (conductance + car) if without > DIODE_V else without

    def flip(self) -> None:
        """Change to the other state of a flickering contact."""
        if self.flicker is not None:
            self.state, self.flicker = self.flicker, self.state


T = TypeVar("T")


class Debounced(Generic[T]):
    """A level that counts after two equal looks in a row, `period_s` apart; None before the first two.

    `looks` counts them.
    """

    __slots__ = ("_candidate", "_left_s", "_read", "looks", "period_s", "value")

    def __init__(self, read: Callable[[], T], period_s: float = SAMPLE_S) -> None:
        self._read, self.period_s = read, period_s
        self.value: T | None = None
        self._candidate: T | None = None
        self._left_s = math.inf
        self.looks = 0

    @property
    def due_s(self) -> float:
        """Time until the next look that matters; inf while nothing changes."""
        if self._left_s != math.inf:
            return self._left_s
        return self.period_s if self._read() != self.value else math.inf

    def forget(self) -> None:
        """Begin again, as after power-up."""
        self.value = self._candidate = None
        self._left_s = math.inf

    def step(self, dt: float) -> bool:
        """Let time pass; True where the level has changed."""
        if self._left_s == math.inf:
            if self._read() == self.value:
                return False
            self._left_s, self._candidate = self.period_s, None
        self._left_s -= dt
        if self._left_s > 1e-9:
            return False
        self._left_s = self.period_s
        return self._look()

    def _look(self) -> bool:
        self.looks += 1
        reading = self._read()
        if reading != self._candidate:
            self._candidate = reading
            return False
        self._left_s = math.inf
        changed, self.value = reading != self.value, reading
        return changed
