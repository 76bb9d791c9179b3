"""What lies between two machines: a TCP connection without loss, and a link that loses datagrams.

Both only decide when and how octets arrive; the world delivers them. All chance comes from one seeded
generator. Times in virtual seconds.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

DATAGRAM_DELAY_S: Final = 0.002


@dataclass(slots=True)
class Stream:
    """One direction of a TCP connection: octets arrive in order, late, in any pieces.

    `delay_s` + up to `jitter_s`; between `stalled` begin and end nothing arrives. `chunk` > 0 cuts writes
    into pieces of 1 to `chunk` octets.
    """

    chance: random.Random
    delay_s: float = 0.002
    jitter_s: float = 0.0
    chunk: int = 0
    stalled: tuple[float, float] = (math.inf, math.inf)
    last_s: float = 0.0

    def arrivals(self, data: bytes, now: float) -> Iterator[tuple[float, bytes]]:
        """(when, octets) for a write at `now`."""
        for piece in self._pieces(data):
            self.last_s = self._after_stall(max(self.last_s, now + self._latency()))
            yield self.last_s, piece

    def closing(self, now: float) -> float:
        """When the end of the stream arrives: after all that was written."""
        return self._after_stall(max(self.last_s, now + self.delay_s))

    def _latency(self) -> float:
        return self.delay_s + (self.chance.random() * self.jitter_s if self.jitter_s else 0.0)

    def _after_stall(self, at: float) -> float:
        begin, end = self.stalled
        return end if begin <= at < end else at

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        if self.chunk <= 0:
            yield data
            return
        at = 0
        while at < len(data):
            size = self.chance.randint(1, self.chunk)
            yield data[at : at + size]
            at += size


@dataclass(slots=True)
class Connection:
    """A TCP connection: one stream per sender ("SECC", "EVCC"); `cut` after a reset."""

    streams: dict[str, Stream]
    cut: bool = False
    closed: set[str] = field(default_factory=set)

    @classmethod
    def between(cls, chance: random.Random) -> Connection:
        """A fast, clean connection."""
        return cls({"SECC": Stream(chance), "EVCC": Stream(chance)})


@dataclass(slots=True)
class DatagramLink:
    """UDP on the link: each datagram may be lost, doubled, overtaken or damaged, by probability.

    `change` is somebody on the link who rewrites what passes.
    """

    chance: random.Random
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    change: Callable[[bytes], bytes] | None = None

    def arrivals(self, data: bytes, now: float) -> Iterator[tuple[float, bytes]]:
        """(when, octets) for a datagram sent at `now`; none where it is lost."""
        if self.change is not None:
            data = self.change(data)
        copies = 1 if self.chance.random() >= self.duplicate else 2
        for _ in range(copies):
            if self.chance.random() < self.loss:
                continue
            late = 0.4 * self.chance.random() if self.chance.random() < self.reorder else 0.0
            yield now + DATAGRAM_DELAY_S + late, self._damaged(data)

    def _damaged(self, data: bytes) -> bytes:
        if not data or self.chance.random() >= self.corrupt:
            return data
        damaged = bytearray(data)
        if self.chance.random() < 0.3:
            del damaged[self.chance.randrange(len(damaged)) :]
        else:
            damaged[self.chance.randrange(len(damaged))] ^= 1 << self.chance.randrange(8)
        return bytes(damaged)
