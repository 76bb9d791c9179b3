"""Power electronics: the station's DC supply, AC converters of either side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from hal.device import Device
from hal.types import LEASE_S, Sample


@dataclass(frozen=True, slots=True)
class DcRatings:
    """What a DC supply can do. `import_*` towards the grid (all >= 0; 0 = one direction only).

    `min_current_a` is the smallest current it regulates; below it asks for less, not for more.
    """

    max_voltage_v: float
    max_current_a: float
    max_power_w: float
    min_voltage_v: float = 0.0
    min_current_a: float = 0.0
    import_max_current_a: float = 0.0
    import_max_power_w: float = 0.0

    @property
    def bidirectional(self) -> bool:
        """Whether energy can flow from the EV into the grid."""
        return self.import_max_current_a > 0


class DcSupply(Device, Protocol):
    """A DC source (and sink): constant current up to a voltage."""

    @property
    def ratings(self) -> DcRatings:
        """What the hardware can do; known after `open`."""

    @property
    def on(self) -> bool:
        """Whether the output is on as far as known; in doubt True."""

    @property
    def voltage(self) -> Sample:
        """At the output (V)."""

    @property
    def current(self) -> Sample:
        """Signed (A), + into the EV."""

    def drive(self, voltage_v: float, current_a: float, *, lease_s: float = LEASE_S) -> None:
        """Switch on with these set-points and hold them for `lease_s`.

        current_a >= 0: at most this current, up to `voltage_v`. current_a < 0: take at most this current
        from the EV, down to `voltage_v` (the floor). HalError(OUT_OF_RANGE) outside the ratings.
        """

    def off(self) -> None:
        """Stop converting, now, and discharge the output where the hardware can."""


@dataclass(frozen=True, slots=True)
class AcRatings:
    """What an AC converter can do, all phases together; `import_*` is out of the EV (0 = one direction)."""

    max_power_w: float
    max_current_a: float  # per phase
    phases: int = 3
    import_max_power_w: float = 0.0
    max_reactive_var: float = 0.0


class AcConverter(Device, Protocol):
    """An AC converter at the grid: an on-board charger, or a bench's source and sink."""

    @property
    def ratings(self) -> AcRatings:
        """What the hardware can do; known after `open`."""

    @property
    def on(self) -> bool:
        """Whether it converts as far as known; in doubt True."""

    @property
    def power(self) -> Sample:
        """Active power of all phases (W), + into the EV."""

    @property
    def measured(self) -> Mapping[str, Sample]:
        """More levels by name: "V.L1" "A.L1" "W.L1" "var.L1" ... "Hz"; only what is measured."""

    def drive(self, power_w: float, reactive_var: float = 0.0, *, lease_s: float = LEASE_S) -> None:
        """Convert this much for `lease_s`; HalError(OUT_OF_RANGE) outside the ratings."""

    def off(self) -> None:
        """Stop converting, now."""
