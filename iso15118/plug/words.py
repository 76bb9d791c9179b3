"""What a plug machine is told and what it asks for."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from iso15118.control.common import CpState
from iso15118.events import Event


class Report(enum.Enum):
    """What the layers above the pilot report. Pilot, faults and wishes come as levels."""

    LINK_UP = "link established"
    LINK_FAILED = "matching failed"
    LINK_LOST = "link lost"
    SESSION_BEGUN = "session begun"
    SESSION_DONE = "session terminated"
    SESSION_PAUSED = "session paused"
    SESSION_BROKEN = "session broken"


@dataclass(frozen=True, slots=True)
class Communicate:
    """Discovery and sessions: wanted (True) or not. The EVSE answers SDP, the EV looks for it."""

    on: bool


@dataclass(frozen=True, slots=True)
class EvseLevels:
    """What the EVSE's plug machine needs to know, as levels.

    `basic_limit_a`: the current basic charging may draw per phase, 0 where it is not allowed or not authorised.
    `wake`: the station has energy for a paused vehicle again. `fault`: an emergency, the pilot tells it at
    once. `blocked`: out of order without danger; what runs is ended over the link, nothing new begins.
    """

    cp: CpState | None
    basic_limit_a: float = 0.0
    wake: bool = False
    fault: str = ""
    blocked: bool = False


@dataclass(frozen=True, slots=True)
class EvLevels:
    """What the EV's plug machine needs to know, as levels.

    `duty` in percent: 100 is a steady +12 V, 0 stands for E and F, None for no pilot at all (unplugged).
    `wake`: a paused vehicle wants to go on. `basic`: charging by duty cycle alone is welcome.
    """

    duty: float | None
    wake: bool = False
    basic: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PlugState(Event):
    """The plug went to another state; `why` is the signal that led there."""

    state: str
    previous: str
    why: str
