"""A measured level with a memory: what it last showed that can be believed, and since when."""

from __future__ import annotations

import math

from hal.types import Sample


class Gauge:
    """Follows samples of one quantity. A value above `most` in size, or none at all, is not believed.

    `value` is the last believed one; 0.0 before the first.
    """

    __slots__ = ("at", "most", "value")

    def __init__(self, most: float) -> None:
        self.most = most
        self.value = 0.0
        self.at = -math.inf

    def take(self, sample: Sample) -> None:
        """Take a sample; doubtful ones leave the old value, which grows older."""
        if sample.fresh(sample.at, 0.0) and abs(sample.value) <= self.most:
            self.value, self.at = sample.value, sample.at

    def fresh(self, now: float, max_age_s: float) -> bool:
        """Whether the value is young enough to act on."""
        return now - self.at <= max_age_s
