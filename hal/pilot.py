"""Control pilot of both sides, and proximity (IEC 61851-1)."""

from __future__ import annotations

from typing import Final, Protocol

from hal.device import Device
from hal.types import CpState, Sample

DIGITAL_DUTY: Final = 5.0
"""Percent: digital communication required."""
STEADY_DUTY: Final = 100.0
"""Percent: no oscillation, +12 V (X1)."""


class EvsePilot(Device, Protocol):
    """The station's end of the control pilot: oscillator and voltage measurement.

    `close` leaves +12 V (X1).
    """

    @property
    def state(self) -> CpState | None:
        """The debounced state; None while unknown (not measured yet, connection lost, voltage outside all windows).

        E for 0 V, diode fault or short; F while this side holds -12 V.
        """

    @property
    def since(self) -> float:
        """When the line entered this state (s on the shared clock)."""

    @property
    def high_v(self) -> Sample:
        """Peak of the positive half wave (V)."""

    @property
    def duty(self) -> float:
        """What is commanded: 100.0 for X1, 0.0 while F is held, else percent."""

    def set_duty(self, percent: float) -> None:
        """5.0 digital, 10.0 to 96.0 basic charging, 100.0 steady +12 V (X1). Else HalError(OUT_OF_RANGE)."""

    def set_unavailable(self) -> None:
        """Hold -12 V (state F) until the next `set_duty`; a device without it holds 0 V (E)."""


class EvPilot(Device, Protocol):
    """The car's end of the control pilot: resistor and duty-cycle measurement. `close` leaves B."""

    @property
    def duty(self) -> Sample:
        """Duty cycle in percent; 100 for a steady +12 V, 0 for E or F, INVALID where nothing is plugged."""

    @property
    def plugged(self) -> bool | None:
        """Whether a connector is in the inlet (proximity); None when unknown."""

    @property
    def state(self) -> CpState:
        """What is signalled: B, C or D; A while nothing is plugged; E or F while the station holds these."""

    def set_state(self, state: CpState) -> None:
        """Signal B, C or D; anything else is HalError(OUT_OF_RANGE)."""


class Proximity(Device, Protocol):
    """Proximity contact: coding of the cable in a socket, or presence of a connector in an inlet."""

    @property
    def ampacity_a(self) -> float | None:
        """What the cable carries (13, 20, 32, 63 or 70 A); 0.0 for no plug, None when out of all windows."""
