"""Resistance of both poles to earth, and the monitor that measures it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from hal.types import Check

OWN_OHM: Final = 5_000_000.0
"""Each pole of either side to earth, when all is well."""
RANGE_OHM: Final = 2_000_000.0
"""Above it a monitor only tells that it is more."""
RESPONSE_S: Final = 2.5
"""Time constant of a reading: 98 % of a step within 10 s (IEC 61557-8)."""
FIRST_READING_S: Final = 1.0
SELF_TEST_S: Final = 3.0
CAR_MONITOR_OHM: Final = 10_000_000.0
CAR_MONITOR_RIPPLE: Final = 0.2
CAR_MONITOR_PERIOD_S: Final = 4.0


def parallel(*ohms: float) -> float:
    """Resistance of resistors side by side; inf for none."""
    siemens = sum(1.0 / ohm for ohm in ohms)
    return 1.0 / siemens if siemens else math.inf


@dataclass(frozen=True, slots=True)
class Poles:
    """Resistance of plus and minus to earth (Ohm)."""

    plus_ohm: float
    minus_ohm: float

    @property
    def fault_ohm(self) -> float:
        """What is judged: both poles in parallel."""
        return parallel(self.plus_ohm, self.minus_ohm)

    def to_earth_v(self, voltage_v: float) -> tuple[float, float]:
        """(plus to earth, minus to earth) with `voltage_v` between the poles: a divider."""
        share = self.plus_ohm / (self.plus_ohm + self.minus_ohm)
        return voltage_v * share, -voltage_v * (1.0 - share)


class Insulation:
    """Where resistance to earth sits: in the station, in the cable (faults), in the car.

    `car_monitor` True: the car has left its own monitor on, which loads the line and disturbs readings.
    """

    __slots__ = ("cable_minus_ohm", "cable_plus_ohm", "car_monitor", "car_ohm", "station_ohm")

    def __init__(self) -> None:
        self.station_ohm = self.car_ohm = OWN_OHM
        self.cable_plus_ohm = self.cable_minus_ohm = math.inf
        self.car_monitor = False

    def from_station(self, *, cable: bool, car: bool) -> Poles:
        """What the station's monitor sees with the `cable` connected, and the `car` behind it."""
        plus, minus = [self.station_ohm], [self.station_ohm]
        if cable:
            plus.append(self.cable_plus_ohm)
            minus.append(self.cable_minus_ohm)
        if cable and car:
            own = [self.car_ohm] + ([CAR_MONITOR_OHM] if self.car_monitor else [])
            plus += own
            minus += own
        return Poles(parallel(*plus), parallel(*minus))


class Monitor:
    """An insulation monitor: a slow reading, a range, a self test during which there is none.

    `reading_ohm` is None while there is nothing to tell. Faults: `test_fails`, `test_hangs`.
    """

    __slots__ = (
        "_filtered_ohm",
        "_since_s",
        "_test_left_s",
        "check",
        "measuring",
        "test_fails",
        "test_hangs",
    )

    def __init__(self) -> None:
        self.measuring = self.test_fails = self.test_hangs = False
        self.check = Check.IDLE
        self._filtered_ohm = self._test_left_s = math.inf
        self._since_s = 0.0

    def connect(self, measuring: bool) -> None:
        """Connect to the output and measure, or disconnect; repeating changes nothing."""
        if measuring != self.measuring:
            self.measuring, self._since_s, self._filtered_ohm = measuring, 0.0, math.nan

    def start_test(self) -> None:
        """Begin a self test unless one runs."""
        if self.check is not Check.RUNNING:
            self.check, self._test_left_s = Check.RUNNING, SELF_TEST_S

    def power_up(self) -> None:
        """Disconnected, no test."""
        self.connect(False)
        self.check, self._test_left_s = Check.IDLE, math.inf

    @property
    def due_s(self) -> float:
        """Time until the self test ends; inf while none runs."""
        return math.inf if self.check is not Check.RUNNING or self.test_hangs else self._test_left_s

    @property
    def reading_ohm(self) -> float | None:
        """The filtered resistance, uncut; None while it is not valid."""
        valid = self.measuring and self.check is not Check.RUNNING and self._since_s + 1e-9 >= FIRST_READING_S
        return self._filtered_ohm if valid else None

    def step(self, true_ohm: float, dt: float) -> None:
        """Let time pass with this resistance to earth."""
        if self.check is Check.RUNNING and not self.test_hangs:
            self._test_left_s -= dt
            if self._test_left_s <= 1e-9:
                self.check = Check.FAILED if self.test_fails else Check.PASSED
        if not self.measuring:
            return
        self._since_s += dt
        if math.isnan(self._filtered_ohm):
            self._filtered_ohm = true_ohm
        else:
            self._filtered_ohm = true_ohm + (self._filtered_ohm - true_ohm) * math.exp(-dt / RESPONSE_S)
