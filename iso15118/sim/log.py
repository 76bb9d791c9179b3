"""The event log of a simulated run: as JSON lines, and as one number that tells whether two runs were the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator

from iso15118.events import Event, SessionEnded, as_record


def log_lines(events: Iterable[Event]) -> Iterator[str]:
    """One event a line."""
    for event in events:
        yield json.dumps(as_record(event), sort_keys=True, separators=(",", ":"))


def log_hash(events: Iterable[Event]) -> str:
    """SHA-256 over the log: equal for equal seeds, in any process."""
    digest = hashlib.sha256()
    for line in log_lines(events):
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def last_ends(events: Iterable[Event]) -> dict[str, SessionEnded]:
    """How each side's last session ended, by role; a side that never did is missing."""
    return {event.role: event for event in events if isinstance(event, SessionEnded)}
