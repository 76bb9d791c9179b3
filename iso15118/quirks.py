"""Named tolerances for peers that deviate, as data: off by default, and visible in the log.

A quirk is switched on in the configuration of one side, by name. Each says whose defect it is and
what we do differently; nothing else in the stack knows about particular products.
"""

from __future__ import annotations

import enum


class Quirk(enum.Enum):
    """What to do differently for a peer, and why."""

    NO_DISCHARGED_READING = "no_discharged_reading"
    """MeterInfo without BPT_DischargedEnergyReadingWh: EcoG's EVCC 0.31 refuses the element."""
