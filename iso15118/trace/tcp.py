"""One direction of a TCP connection, put back in order from captured segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_MODULUS: Final = 1 << 32
_HALF: Final = 1 << 31
MAX_AHEAD: Final = 16 << 20
"""Octets. No window of a charging session reaches further; segments beyond are damage."""
MAX_WAITING: Final = 64
"""Segments kept while an earlier one is missing; then it is given up as lost to the recording."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Octets in order, seen at `t`; `missing` octets before them are not in the recording."""

    t: float
    data: bytes
    missing: int = 0


@dataclass(frozen=True, slots=True)
class _Waiting:
    t: float
    data: bytes


class StreamAssembler:
    """Orders segments, drops what was sent twice, keeps the first of what overlaps.

    A recording that begins within the connection starts with the first segment seen.
    """

    def __init__(self) -> None:
        self._next: int | None = None
        self._waiting: dict[int, _Waiting] = {}

    def open(self, sequence: int) -> None:
        """A segment with SYN: the stream begins behind its sequence number."""
        if self._next is None:
            self._next = (sequence + 1) % _MODULUS

    def feed(self, t: float, sequence: int, payload: bytes) -> list[Chunk]:
        """Take a segment; returns what is in order now."""
        if not payload:
            return []
        if self._next is None:
            self._next = sequence
        ahead = _distance(sequence, self._next)
        if ahead > MAX_AHEAD or ahead + len(payload) <= 0:
            return []
        kept = self._waiting.get(sequence)
        if kept is None or len(kept.data) < len(payload):
            self._waiting[sequence] = _Waiting(t, payload)
        chunks = self._in_order(t)
        if len(self._waiting) > MAX_WAITING:
            chunks += self._skip_gap(t)
        return chunks

    def flush(self) -> list[Chunk]:
        """The recording is over: give out what waits, with the gaps before it."""
        chunks: list[Chunk] = []
        while self._waiting:
            chunks += self._skip_gap(0.0)
        return chunks

    def _in_order(self, t: float, missing: int = 0) -> list[Chunk]:
        """Take out all waiting segments that touch the position reached.

        A segment that closes a gap makes those behind it readable, at its own time `t`.
        """
        chunks: list[Chunk] = []
        while (sequence := self._first_waiting()) is not None:
            position = self._position
            ahead = _distance(sequence, position)
            if ahead > 0:
                break
            segment = self._waiting.pop(sequence)
            data = segment.data[-ahead:]
            if data:
                chunks.append(Chunk(max(t, segment.t), data, missing))
                self._next = (position + len(data)) % _MODULUS
                missing = 0
        return chunks

    def _skip_gap(self, t: float) -> list[Chunk]:
        """Give up what is missing before the first waiting segment (there must be one)."""
        position = self._position
        first = min(self._waiting, key=lambda s: _distance(s, position))
        self._next = first
        return self._in_order(t, missing=_distance(first, position))

    def _first_waiting(self) -> int | None:
        position = self._position
        return min(self._waiting, key=lambda s: _distance(s, position), default=None)

    @property
    def _position(self) -> int:
        return self._next or 0


def _distance(sequence: int, position: int) -> int:
    """How far a sequence number is ahead of a position (negative: behind), across the wrap-around."""
    return (sequence - position + _HALF) % _MODULUS - _HALF
