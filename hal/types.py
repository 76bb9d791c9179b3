"""Values every device speaks: states, samples with time and quality, faults.

SI units everywhere: V, A, W, var, Wh, Ohm, degrees Celsius, s; percent for a duty cycle. One sign rule:
+ is energy flowing from the EVSE into the EV. Times are seconds on the monotonic clock that all devices of
one charger or car share.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

Clock = Callable[[], float]
"""() -> monotonic seconds."""

LEASE_S: Final = 2.0
"""How long an energising command holds unless it is repeated: a stuck controller de-energises."""


class CpState(enum.Enum):
    """Control pilot state (IEC 61851-1)."""

    A = "A"  # no vehicle
    B = "B"  # connected, not ready
    C = "C"  # ready to take energy
    D = "D"  # ready, ventilation required
    E = "E"  # fault
    F = "F"  # EVSE not available

    @property
    def ready(self) -> bool:
        """Whether the EV signals that it is ready for energy (C or D)."""
        return self in (CpState.C, CpState.D)


class ContactorState(enum.Enum):
    """Position of a contactor as measured (level, never an edge)."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"


class Check(enum.Enum):
    """Progress of a test that takes time (cable check, self test of an isolation monitor)."""

    IDLE = "idle"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"


class Quality(enum.Enum):
    """What a sample is worth."""

    GOOD = "good"
    INVALID = "invalid"  # the device itself says so, or nothing has been measured yet


@dataclass(frozen=True, slots=True)
class Sample:
    """A measured value with the time it was acquired (s on the shared clock).

    `bound` tells a value at the end of the range: an isolation monitor's "> 2 MOhm" is (2e6, ">").
    """

    value: float
    at: float
    quality: Quality = Quality.GOOD
    bound: Literal["=", "<", ">"] = "="

    def fresh(self, now: float, max_age_s: float) -> bool:
        """Whether the value is good and not older than `max_age_s`; a doubt is a no."""
        return self.quality is Quality.GOOD and math.isfinite(self.value) and now - self.at <= max_age_s


NOTHING: Final = Sample(math.nan, -math.inf, Quality.INVALID)
"""What a device tells before its first measurement."""


class Severity(enum.IntEnum):
    """What a fault asks for."""

    WARNING = 1  # tell the operator
    STOP = 2  # error shutdown: supply off, contactors open, the EV is told over the link
    EMERGENCY = 3  # emergency shutdown: pilot to X1 as well, everything off now


@dataclass(frozen=True, slots=True)
class Fault:
    """Something is wrong with a device: `code` is stable, lower_snake ("contactor_welded").

    A latched fault stays until `reset` and until its cause is gone.
    """

    code: str
    severity: Severity
    latched: bool = False
    detail: str = ""
