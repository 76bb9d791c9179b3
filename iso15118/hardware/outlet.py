"""What a DC station knows of the voltage at its connector: what closing asks, and what unlocking waits for.

Two instruments can tell: the supply's, while the contactor is closed, and one at the connector where the station has
it. The absence of a voltage is believed of an instrument that has shown it before; without one that does, a cable is
given time to empty itself, which helps with everything but a battery that a welded contactor in the car leaves on it.
"""

from __future__ import annotations

import math
from typing import Final

from hal.types import ContactorState, CpState
from iso15118.hardware.config import HalEvseConfig
from iso15118.hardware.gauge import Gauge
from iso15118.hardware.readings import EvseReadings

SUDDEN: Final = 0.2
"""A cable that is cut off empties itself in seconds: what falls to such a share from one reading to the next has not."""


class Outlet:
    """Follows the voltage at the connector. `measured`: there is an instrument of its own; `most_v` it can show."""

    def __init__(self, config: HalEvseConfig, most_v: float, *, measured: bool) -> None:
        self.volts = Gauge(most_v)
        self.measured = measured
        self.opened_at = -math.inf
        """When the contactor was last seen to have opened (s)."""
        self._config = config
        self._now = 0.0
        self._was_open = True
        self._dead = True
        self._supply_proven = False
        self._proven = False

    @property
    def fresh(self) -> bool:
        """Whether the voltage at the connector is measured now."""
        return self.measured and self.volts.fresh(self._now, self._config.stale_s)

    @property
    def live(self) -> bool:
        """Whether a voltage that is not touch-safe is measured there now."""
        return self.fresh and abs(self.volts.value) >= self._config.safe_v

    # --- what happens ---------------------------------------------------------------------------

    def take(self, readings: EvseReadings, supply: Gauge, *, fresh: bool, driving: bool) -> None:
        """New readings; `supply` is what the supply shows (`fresh`: now), `driving` whether it is commanded on."""
        self._now = readings.now
        self._measure(readings)
        is_open = readings.contactor is ContactorState.OPEN
        if is_open and not self._was_open:
            self.opened_at = self._now
        self._was_open = is_open
        live = abs(supply.value) >= self._config.safe_v
        self._supply_proven = self._supply_proven or (live and driving)
        if readings.contactor is ContactorState.CLOSED:
            self._dead = self._supply_proven and fresh and not live and not readings.supply_on
            self._proven = fresh and self._agrees(supply.value) and (live or self._proven)

    def _measure(self, readings: EvseReadings) -> None:
        before_v = abs(self.volts.value)
        self.volts.take(readings.outlet)
        cut_off = readings.contactor is not ContactorState.CLOSED
        if cut_off and before_v >= self._config.safe_v and abs(self.volts.value) < SUDDEN * before_v:
            self._proven = False  # it is the instrument that has gone

    def _agrees(self, supply_v: float) -> bool:
        return self.fresh and abs(self.volts.value - supply_v) <= self._config.outlet_tolerance_v

    def energised(self) -> None:
        """The supply is driven."""
        self._dead = False

    def doubt(self) -> None:
        """Something is wrong, and it may be the supply's measurement."""
        self._supply_proven = False

    # --- what follows ---------------------------------------------------------------------------

    def objection(self, cp: CpState | None) -> str:
        """Why the connector must not be unlocked with the contactor open; "" if it may."""
        if self.live:
            return "there is voltage at the connector"
        if self._dead or (self._proven and self.fresh):
            return ""
        if self.measured and not self.fresh and cp is not CpState.A:
            return "the voltage at the connector is not measured"
        if cp not in (CpState.A, CpState.B):
            return "the car is ready, and the voltage at the connector is not known"
        waited = self._now - self.opened_at >= self._config.unlock_s
        return "" if waited else "the cable is given time to empty itself"
