"""What the hardware controllers tell: faults, shutdowns, steps of sequences, and why nothing was energised."""

from __future__ import annotations

from dataclasses import dataclass

from hal.types import Severity
from iso15118.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultFound(Event):
    """Something is wrong: `code` in lower_snake, `device` the role in the bundle or "" for a judgement of ours."""

    code: str
    severity: Severity
    device: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultCleared(Event):
    """What was latched is forgotten: its cause is gone and the connector is out."""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownBegun(Event):
    """Power goes off; `emergency` also takes the pilot to steady +12 V."""

    why: str
    emergency: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Deenergised(Event):
    """No converter runs and the contactor is open; `after_s` since the shutdown began."""

    after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld(Event):
    """The interlock did not let something be energised."""

    action: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CableCheckStep(Event):
    """The cable check goes on to `step`; `detail` is what the last one found."""

    step: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Derated(Event):
    """Limits are at this share (0..1) because of the temperature (degrees Celsius)."""

    share: float
    celsius: float
