"""The words between the link and the layer that owns the plug (D-LINK primitives of ISO 15118-3)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from iso15118.control.common import CpState


class DLink(enum.Enum):
    """What the link is asked to do."""

    MATCH = "match"  # match as soon as the peer does; after PAUSE: be up again
    TERMINATE = "terminate"  # leave the logical network, forget the key [V2G3-M07-19]
    ERROR = "error"  # leave, then match again when told [V2G3-M07-05]
    PAUSE = "pause"  # keep the logical network, leave the modem alone


class LinkStatus(enum.Enum):
    """D-LINK_READY: what has become of the link."""

    ESTABLISHED = "link established"
    FAILED = "matching failed"  # no link, there was none
    LOST = "link lost"  # no link, there was one


class LinkState(enum.Enum):
    """Where a link is."""

    CLOSED = "closed"  # no port to the modem
    LEAVING = "leaving"  # giving the modem a fresh key
    UNMATCHED = "unmatched"
    MATCHING = "matching"
    JOINING = "joining"  # key exchanged, the modems are finding each other
    MATCHED = "matched"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class PilotLevel:
    """The control pilot as measured; None while unknown."""

    cp: CpState | None
