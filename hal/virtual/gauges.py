"""What instruments make of the truth: noise, resolution, delay; heat of the contacts; energy registers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Final

from hal.types import Quality, Sample

POLL_S: Final = 0.05
"""How often a virtual device is asked for its samples."""


@dataclass(frozen=True, slots=True)
class Metrology:
    """How well is measured: relative noise (rms), resolution per quantity, delay (s).

    `REAL` is a usual power module; the default measures exactly.
    """

    noise: float = 0.0
    resolution: float = 0.0
    delay_s: float = 0.0


IDEAL: Final = Metrology()
REAL: Final = Metrology(noise=0.0005, resolution=0.1, delay_s=0.05)


class Instrument:
    """Takes samples of one quantity.

    Faults: `gain` (a wrong scale), `offset`, `stuck` (the same value again and again, freshly stamped), `nan`.
    """

    __slots__ = ("_held", "_metrology", "_random", "gain", "nan", "offset", "stuck")

    def __init__(self, metrology: Metrology, random: Random) -> None:
        self._metrology, self._random = metrology, random
        self.gain, self.offset = 1.0, 0.0
        self.stuck = self.nan = False
        self._held: float | None = None

    def take(self, true: float, at: float) -> Sample:
        """A sample of `true`, acquired at `at`."""
        if self.nan:
            return Sample(math.nan, at, Quality.GOOD)
        if not self.stuck:
            self._held = None
        elif self._held is not None:
            return Sample(self._held, at)
        value = true * self.gain + self.offset
        if self._metrology.noise:
            value += self._random.gauss(0.0, self._metrology.noise) * abs(value)
        if self._metrology.resolution:
            value = round(value / self._metrology.resolution) * self._metrology.resolution
        if self.stuck:
            self._held = value
        return Sample(value, at)


class Pin:
    """A contact that heats up by the current through it.

    `r_ohm` contact resistance, `kelvin_per_w` to the ambient, `tau_s`. Fault: `heater_w` from elsewhere.
    """

    __slots__ = ("ambient_c", "celsius", "heater_w", "kelvin_per_w", "r_ohm", "tau_s")

    def __init__(
        self,
        *,
        r_ohm: float = 0.2e-3,
        kelvin_per_w: float = 3.0,
        tau_s: float = 600.0,
        ambient_c: float = 25.0,
    ) -> None:
        self.r_ohm, self.kelvin_per_w, self.tau_s = r_ohm, kelvin_per_w, tau_s
        self.ambient_c = self.celsius = ambient_c
        self.heater_w = 0.0

    def step(self, current_a: float, dt: float) -> None:
        """Let time pass; exact for a constant current."""
        settled = self.ambient_c + (current_a * current_a * self.r_ohm + self.heater_w) * self.kelvin_per_w
        self.celsius = settled + (self.celsius - settled) * math.exp(-dt / self.tau_s)


class Registers:
    """A meter's two registers with their class error and resolution, published now and then.

    Faults: `frozen` counts no more, `jump_wh` shifts the import register, `refuses` tells nothing at all.
    """

    __slots__ = (
        "_left_s",
        "export_wh",
        "frozen",
        "gain",
        "import_wh",
        "jump_wh",
        "publish_s",
        "refuses",
        "resolution_wh",
        "shown_export_wh",
        "shown_import_wh",
        "shown_w",
    )

    def __init__(self, *, gain: float = 1.0, resolution_wh: float = 1.0, publish_s: float = 1.0) -> None:
        self.gain, self.resolution_wh, self.publish_s = gain, resolution_wh, publish_s
        self.import_wh = self.export_wh = self.jump_wh = 0.0
        self.shown_import_wh = self.shown_export_wh = self.shown_w = 0.0
        self.frozen = self.refuses = False
        self._left_s = publish_s

    def add(self, energy_wh: float) -> None:
        """Count energy at the outlet, + into the EV."""
        if self.frozen:
            return
        if energy_wh >= 0:
            self.import_wh += energy_wh * self.gain
        else:
            self.export_wh -= energy_wh * self.gain

    def step(self, power_w: float, dt: float) -> bool:
        """Let time pass; True where new values were published."""
        self._left_s -= dt
        if self._left_s > 1e-9:
            return False
        self._left_s = self.publish_s
        self.shown_import_wh = self._shown(self.import_wh + self.jump_wh)
        self.shown_export_wh = self._shown(self.export_wh)
        self.shown_w = 0.0 if self.frozen else power_w * self.gain
        return True

    @property
    def due_s(self) -> float:
        """Time until the next publication."""
        return max(0.0, self._left_s)

    @property
    def age_s(self) -> float:
        """Since the last publication."""
        return self.publish_s - self.due_s

    def _shown(self, wh: float) -> float:
        return math.floor(wh / self.resolution_wh + 1e-9) * self.resolution_wh
