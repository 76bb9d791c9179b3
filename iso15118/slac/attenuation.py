"""How near is which EVSE: averaging what the modem heard, and choosing by what the EVSEs report.

All values in dB, one octet for each of 58 carrier groups; lower is nearer. Pure functions.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from iso15118.config import AttenuationLimits

GROUPS: Final = 58
"""Carrier groups of an attenuation profile."""


# --- EVSE: from profiles to the report ----------------------------------------------------------


def average(profiles: Sequence[bytes], receive_loss_db: Sequence[int] = (0,)) -> bytes:
    """The mean of each group over `profiles` (at least one, all of one length), rounded down.

    `receive_loss_db`, one value or one a group, is subtracted. Each result is 0 to 255, and not all of
    them 0: such a report is refused by cars in the field.
    """
    loss = list(receive_loss_db) * (GROUPS if len(receive_loss_db) == 1 else 1)
    count = len(profiles)
    means = [sum(group) // count for group in zip(*profiles, strict=True)]
    levels = [min(max(mean - lost, 0), 255) for mean, lost in zip(means, loss, strict=False)]
    if not any(levels):
        levels[0] = 1
    return bytes(levels)


def overall(aag: bytes, transmit_loss_db: float = 0.0) -> float:
    """The mean over the groups of a report (at least one), less what our own wiring takes."""
    return sum(aag) / len(aag) - transmit_loss_db


# --- EV: from reports to a choice ---------------------------------------------------------------


class Finding(enum.Enum):
    """What an attenuation says (ISO 15118-3)."""

    FOUND = "found"
    POTENTIALLY_FOUND = "potentially found"
    NOT_FOUND = "not found"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An EVSE that reported: its MAC, the report, and the doubts collected on the way."""

    mac: bytes
    aag: bytes
    num_sounds: int
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate with its overall attenuation (dB) and what it says."""

    candidate: Candidate
    overall_db: float
    finding: Finding


@dataclass(frozen=True, slots=True)
class Choice:
    """EVSEs in the order to try them. `prove`: they have to pass validation first, for the reason `why`."""

    order: tuple[Ranked, ...]
    prove: bool
    why: str


def classify(overall_db: float, limits: AttenuationLimits) -> Finding:
    """What an overall attenuation says under these limits."""
    if overall_db < limits.direct_db:
        return Finding.FOUND
    return Finding.POTENTIALLY_FOUND if overall_db < limits.indirect_db else Finding.NOT_FOUND


def doubts(aag: bytes, num_sounds: int, sounds_sent: int) -> tuple[str, ...]:
    """What makes a report hard to believe. A real cable attenuates, and not each group alike.

    A simulated charger may look like that as well, so a doubt is no refusal: whoever is above doubt is
    preferred.
    """
    remarks = []
    if len(aag) != GROUPS:
        remarks.append(f"{len(aag)} groups instead of {GROUPS}")
    if not any(aag):
        remarks.append("no attenuation at all")
    elif len(set(aag)) == 1:
        remarks.append("the same attenuation in all groups")
    if num_sounds > sounds_sent:
        remarks.append(f"heard {num_sounds} sounds of {sounds_sent} sent so far")
    return tuple(remarks)


def rank(candidate: Candidate, limits: AttenuationLimits, transmit_loss_db: float = 0.0) -> Ranked:
    """A candidate with what its report says."""
    level_db = overall(candidate.aag, transmit_loss_db)
    return Ranked(candidate, level_db, classify(level_db, limits))


def choose(ranking: Sequence[Ranked], limits: AttenuationLimits) -> Choice | None:
    """Whom to match with: the nearest above doubt, else the nearest; None where nobody is near enough.

    A doubtful one that is as near, or claims to be, is a reason for proof, not for trust.
    """
    near = [r for r in ranking if r.finding is not Finding.NOT_FOUND]
    order = tuple(sorted(near, key=lambda r: (bool(r.candidate.doubts), r.overall_db)))
    if not order:
        return None
    first = order[0]
    if first.finding is Finding.POTENTIALLY_FOUND:
        return Choice(order, prove=True, why=f"{first.overall_db:.1f} dB is not clearly at our cable")
    rivals = [r for r in order[1:] if r.overall_db - first.overall_db < limits.margin_db]
    if rivals:
        gap_db = min(r.overall_db for r in rivals) - first.overall_db
        return Choice((first, *rivals), prove=True, why=f"another EVSE reports {gap_db:+.1f} dB")
    return Choice(order[:1], prove=False, why=f"the nearest of {len(ranking)} at {first.overall_db:.1f} dB")
