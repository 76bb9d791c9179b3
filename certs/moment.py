"""The time of a judgement, from seconds since the Unix epoch as protocol machines carry it."""

from __future__ import annotations

import datetime
import math
from typing import Final

_EARLIEST_S: Final = 0.0
_LATEST_S: Final = 253_402_300_799.0  # the last second of the year 9999


def moment(utc_s: float) -> datetime.datetime:
    """`utc_s` as a time with zone. A clock that shows nonsense gives the end of time: nothing is valid then."""
    usable = utc_s if math.isfinite(utc_s) else _LATEST_S
    return datetime.datetime.fromtimestamp(min(max(usable, _EARLIEST_S), _LATEST_S), datetime.UTC)
