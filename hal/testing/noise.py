"""A bad line: messages are lost or spoilt, octets come one at a time; the same seed gives the same noise."""

from __future__ import annotations

from random import Random


class Noise:
    """What becomes of messages on their way. `lost` and `corrupted` are shares of all messages (0 to 1).

    `octet_s`: octets arrive singly, this far apart (115200 baud: 87e-6); None for whole messages.
    """

    def __init__(
        self, seed: int = 1, *, lost: float = 0.0, corrupted: float = 0.0, octet_s: float | None = None
    ) -> None:
        self._random = Random(seed)  # noqa: S311 - repeatable on purpose
        self.lost, self.corrupted, self.octet_s = lost, corrupted, octet_s
        self.lost_count = self.corrupted_count = 0

    def pass_on(self, message: bytes) -> list[tuple[float, bytes]]:
        """What arrives of a message: portions, each with its delay (s) after the first could arrive."""
        draw = self._random.random()
        if draw < self.lost:
            self.lost_count += 1
            return []
        if draw < self.lost + self.corrupted:
            self.corrupted_count += 1
            message = self._spoil(message)
        if self.octet_s is None:
            return [(0.0, message)] if message else []
        return [(n * self.octet_s, message[n : n + 1]) for n in range(len(message))]

    def _spoil(self, message: bytes) -> bytes:
        """One octet is another one, is missing or is too many; or the end is missing."""
        at = self._random.randrange(len(message))
        octet = bytes([message[at] ^ self._random.randint(1, 255)])
        how = self._random.randrange(4)
        if how == 0:
            return message[:at] + octet + message[at + 1 :]
        if how == 1:
            return message[:at] + message[at + 1 :]
        if how == 2:
            return message[:at] + octet + message[at:]
        return message[:at]
