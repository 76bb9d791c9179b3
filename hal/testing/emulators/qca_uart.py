"""The UART of a Qualcomm power-line modem: the framing alone, whatever is on the other side of it.

`on_frame` is told of each frame from the host; `bring` sends one to the host.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hal.testing.emulators.emulator import Emulator

_HEAD: Final = 8


class QcaUart(Emulator):
    """Takes a frame where start, length and end are right; everything else it throws away."""

    def __init__(self, on_frame: Callable[[bytes], None]) -> None:
        super().__init__()
        self._on_frame = on_frame
        self._line = b""

    def bring(self, frame: bytes) -> None:
        """Send a frame to the host."""
        self._send(b"\xaa\xaa\xaa\xaa" + bytes([len(frame) % 256, len(frame) // 256, 0, 0]) + frame + b"UU")

    def _boot(self) -> None:
        self._line = b""

    def _hear(self, data: bytes) -> None:
        self._line += data
        while (start := self._line.find(b"\xaa\xaa\xaa\xaa")) >= 0:
            self._line = self._line[start:]
            if len(self._line) < _HEAD:
                return
            length = self._line[4] + 256 * self._line[5]
            if not 60 <= length <= 1518:
                self._line = self._line[1:]
                continue
            if len(self._line) < _HEAD + length + 2:
                return
            frame, end = self._line[_HEAD : _HEAD + length], self._line[_HEAD + length :]
            if end.startswith(b"UU"):
                self._on_frame(frame)
                self._line = end[2:]
            else:
                self._line = self._line[1:]
        self._line = self._line[-3:]
