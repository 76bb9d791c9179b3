"""What a check finds: a value that says how bad it is, what was found, why, and what to do."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Level(enum.Enum):
    """How bad a finding is. Only an ERROR keeps a session from working."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding about `subject`. `cause` and `next_step` are empty where there is nothing to explain or to do."""

    level: Level
    subject: str
    found: str
    cause: str = ""
    next_step: str = ""


def ok(subject: str, found: str) -> Finding:
    """As it should be."""
    return Finding(Level.OK, subject, found)


def note(subject: str, found: str, cause: str = "", next_step: str = "") -> Finding:
    """Worth knowing, or not to be judged from here."""
    return Finding(Level.NOTE, subject, found, cause, next_step)


def warning(subject: str, found: str, cause: str, next_step: str) -> Finding:
    """Works, or may work, but is not as it should be."""
    return Finding(Level.WARNING, subject, found, cause, next_step)


def error(subject: str, found: str, cause: str, next_step: str) -> Finding:
    """No session will work like this."""
    return Finding(Level.ERROR, subject, found, cause, next_step)


def failed(findings: Iterable[Finding]) -> bool:
    """Whether there is an error among them."""
    return any(finding.level is Level.ERROR for finding in findings)


def summary(findings: Iterable[Finding]) -> str:
    """How many there are of which level, in one line."""
    levels = [finding.level for finding in findings]
    counts = ((levels.count(level), level.value) for level in (Level.ERROR, Level.WARNING, Level.NOTE))
    told = ", ".join(f"{count} {name}{'s' if count != 1 else ''}" for count, name in counts if count)
    return f"{len(levels)} checks: {told or 'all as it should be'}"
