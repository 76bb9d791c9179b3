"""Ethernet frames on the UART or the SPI data phase of a Qualcomm power-line modem.

    AA AA AA AA | length (2, low octet first) | 2 reserved | frame (60 to 1518 octets) | 55 55

A frame may contain all of these octets itself: only the length tells where it ends. What SPI puts in front of
each frame is noise to the decoder, which it skips.
"""

from __future__ import annotations

from typing import Final

START: Final = b"\xaa\xaa\xaa\xaa"
END: Final = b"\x55\x55"
HEADER: Final = 8
"""Octets before the frame: start, length, reserved."""
SHORTEST: Final = 60
LONGEST: Final = 1518
"""Octets of an Ethernet frame without FCS, as the modem takes it."""


def encode(frame: bytes) -> bytes:
    """The octets to send for one frame; a short one is padded with zeros. ValueError beyond 1518 octets."""
    if len(frame) > LONGEST:
        raise ValueError(f"a frame of {len(frame)} octets; the modem takes {LONGEST} at most")
    padded = frame.ljust(SHORTEST, b"\0")
    return START + len(padded).to_bytes(2, "little") + b"\0\0" + padded + END


class Decoder:
    """Finds the frames in a stream that arrives in any portions, with noise anywhere.

    After an impossible length or a missing end the search goes on behind the first octet of the start that
    was wrong: a frame that hides behind it is still found.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0

    @property
    def pending(self) -> bool:
        """Whether a frame has begun and not ended; after a silence it never will, see `skip`."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that these octets complete."""
        self._buffer += data
        frames = []
        while (frame := self._next()) is not None:
            if frame:
                frames.append(frame)
        del self._buffer[: self._at]
        self._at = 0
        return frames

    def skip(self) -> list[bytes]:
        """Give up the frame that has begun; the complete ones that it had swallowed are returned."""
        frames: list[bytes] = []
        while self._buffer and not frames:
            del self._buffer[0]
            frames = self.feed(b"")
        return frames

    def _next(self) -> bytes | None:
        """The next frame, or b"" where one was none; None for lack of octets. Moves behind what it has judged."""
        start = self._buffer.find(START, self._at)
        if start < 0:
            self._at = max(self._at, len(self._buffer) - _tail(self._buffer))
            return None
        self._at = start
        body = start + HEADER
        if len(self._buffer) < body:
            return None
        length = int.from_bytes(self._buffer[start + 4 : start + 6], "little")
        end = body + length + len(END)
        if SHORTEST <= length <= LONGEST:
            if len(self._buffer) < end:
                return None
            if self._buffer.endswith(END, body + length, end):
                self._at = end
                return bytes(self._buffer[body : body + length])
        self._at = start + 1
        return b""


def _tail(buffer: bytearray) -> int:
    """How many octets at the end may be the beginning of a start."""
    return next(n for n in range(len(START) - 1, -1, -1) if buffer.endswith(START[:n]))
