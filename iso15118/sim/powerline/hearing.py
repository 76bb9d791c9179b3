"""How a sound is heard at the other end: attenuation over the carrier groups of a cable."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from iso15118.sim.powerline.config import GROUPS

STEP_DB: Final = 1.5
SPREAD_DB: Final = 6.0
JITTER_DB: Final = 0.8


@dataclass(frozen=True, slots=True)
class Path:
    """The way from one port to another: the mean attenuation in dB, and each group's share around it."""

    mean_db: float
    shape_db: tuple[float, ...]

    @classmethod
    def of(cls, mean_db: float, chance: random.Random) -> Path:
        """A cable of this mean: neighbouring groups are alike, as on real ones."""
        level, walk = 0.0, []
        for _ in range(GROUPS):
            level = max(-SPREAD_DB, min(SPREAD_DB, level + chance.uniform(-STEP_DB, STEP_DB)))
            walk.append(level)
        middle = sum(walk) / GROUPS
        return cls(mean_db, tuple(level - middle for level in walk))

    def heard(self, chance: random.Random) -> bytes:
        """One sound: dB for each group, 0 to 255."""
        levels = (self.mean_db + share + chance.uniform(-JITTER_DB, JITTER_DB) for share in self.shape_db)
        return bytes(max(0, min(255, round(level))) for level in levels)
