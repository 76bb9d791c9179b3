"""Energy meter at the outlet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hal.device import Device


@dataclass(frozen=True, slots=True)
class MeterReading:
    """Registers at one moment. Energy in Wh since the meter was made, by direction, both only growing.

    `signature` covers what the meter's maker says it covers: 64 octets at most (r || s) fit ISO 15118-20.
    """

    at: float  # s on the shared clock
    import_wh: float  # into the EV
    export_wh: float = 0.0  # out of the EV
    power_w: float = 0.0  # signed, + into the EV
    meter_id: str = ""
    status: int = 0
    signature: bytes | None = None
    taken_at: float | None = None  # s since the Unix epoch, where the meter has a clock


class EnergyMeter(Device, Protocol):
    """A meter that reads itself again and again."""

    @property
    def reading(self) -> MeterReading | None:
        """The last good reading; None before the first."""
