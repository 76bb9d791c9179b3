"""The clock: validity of certificates, schedules and meter readings depend on it."""

from __future__ import annotations

import datetime
import time
from typing import Final

from iso15118.runtime.checkup.findings import Finding, error, ok, warning

EARLIEST: Final = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
"""This program is younger than that."""
LATEST: Final = datetime.datetime(2060, 1, 1, tzinfo=datetime.UTC)
STEP_S: Final = 0.05
"""Wall clock and monotonic clock go apart by less, unless somebody sets the wall clock."""
_NEXT: Final = (
    "Let a time service set it (timedatectl set-ntp true); without network a clock with a battery is needed"
)


class Clock:
    """Watches the clock from its making until `check`."""

    def __init__(self) -> None:
        self._wall, self._monotonic = time.time(), time.monotonic()

    def check(self) -> Finding:
        """What the clock shows now, and whether it was set meanwhile."""
        wall = time.time()
        return judge_clock(wall, wall - self._wall - (time.monotonic() - self._monotonic))


def judge_clock(utc_s: float, drift_s: float) -> Finding:
    """`utc_s` since the Unix epoch; `drift_s` is what the wall clock has gained on the monotonic one."""
    now = datetime.datetime.fromtimestamp(utc_s, datetime.UTC)
    told = now.isoformat(timespec="seconds")
    if not EARLIEST <= now <= LATEST:
        return error(
            "clock", told, "it has not been set: certificates will seem not yet valid, or expired", _NEXT
        )
    if abs(drift_s) > STEP_S:
        return warning(
            "clock", f"{told}, set by {drift_s:+.2f} s meanwhile", "a time service is correcting it", _NEXT
        )
    return ok("clock", told)
