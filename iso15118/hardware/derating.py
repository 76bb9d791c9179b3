"""Less power where contacts are warm: a straight line from full to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from hal.types import Sample
from iso15118.units import Envelope, Limits

LEAST: Final = 0.05
"""Smaller shares count as nothing: most supplies do not regulate there."""


def hottest(temperatures: Mapping[str, Sample]) -> Sample | None:
    """The hottest place; one whose sensor tells nothing comes first. None without sensors."""
    if not temperatures:
        return None
    return max(temperatures.values(), key=lambda s: s.value if s.fresh(s.at, 0.0) else float("inf"))


def share(celsius: float, begin_c: float, stop_c: float) -> float:
    """1.0 up to `begin_c`, 0.0 from `stop_c` on."""
    left = (stop_c - celsius) / (stop_c - begin_c)
    return 1.0 if left >= 1.0 else left if left >= LEAST else 0.0


def derated(envelope: Envelope, part: float) -> Envelope:
    """The envelope with the maxima of both directions cut to `part`."""
    if part >= 1.0:
        return envelope
    return replace(envelope, charge=_cut(envelope.charge, part), discharge=_cut(envelope.discharge, part))


def _cut(limits: Limits, part: float) -> Limits:
    return replace(limits, max_power_w=limits.max_power_w * part, max_current_a=limits.max_current_a * part)
