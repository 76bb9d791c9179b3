"""The conversation that all boards of the Yeti family share.

The board is restarted, told its safe state, and then followed: it says once a second that it is alive, with the
time since it started, and at any time what has changed. What is wanted of it is said at once, and again whenever
it has shown that it did not restart: after a restart nothing is wanted any more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from hal.drivers.dialog import Dialog
from hal.drivers.protobuf import Message
from hal.drivers.yeti_frames import Decoder, say

BEAT_S: Final = 1.0
SILENCE_S: Final = 5.0
POSITION_S: Final = 2.0
"""As of `board_parts`; positions are reported once a second."""
RESET_S: Final = 1.0
"""So long a restart may take before the board is spoken to anyway."""
RESYNC: Final = 3
"""So many words at first, of which noise before may have spoilt some."""
_ROUND: Final = 1 << 32  # the board's time counts modulo this


class YetiDialog(Dialog):
    """A kind of board overrides `_wanted`, `_safe` and `_take`."""

    def __init__(self, name: str, to: Message, frm: Message, reset: Any) -> None:
        super().__init__(name)
        self._to, self._from, self._reset_word = to, frm, reset
        self._begin(-math.inf)

    def _wanted(self, now: float) -> Mapping[str, Any]:
        """What the board is to do, by field of `to`."""
        raise NotImplementedError

    def _safe(self, field: str, value: Any) -> bool:
        """Whether this energises nothing and may be said at any time."""
        raise NotImplementedError

    def _take(self, told: Mapping[str, Any], now: float) -> None:
        """The board reports, by field of `frm`."""
        raise NotImplementedError

    def restart(self) -> None:
        """Restart the board: nothing is wanted of it any more."""
        for part in self.parts:
            part.forget()
        self.ready = False
        self._start(self.line.now)
        self.line.flush()

    # --- the dialog -----------------------------------------------------------------------------

    def _begin(self, now: float) -> None:
        self._decoder = Decoder(self._from)
        self._said: dict[str, Any] = {}
        self._board_time: int | None = None
        self._began_at = self._heard_at = now
        self._sync_at, self._beat_at = now + RESET_S, math.inf

    def _start(self, now: float) -> None:
        self._begin(now)
        self._send(b"\0" + say(self._to, "reset", self._reset_word))

    def _hear(self, data: bytes, now: float) -> None:
        for told in self._decoder.feed(data):
            if "own_words" in told:
                self._refuse("it hears its own words", "Check that RX and TX are not joined; switch echo off")
                return
            self._heard_at = now
            if "reset" in told:
                self._restarted(now)
            elif "keep_alive" in told:
                self._is_alive(told["keep_alive"].get("time", 0), now)
            if self._synced:
                self._met()
                self._take(told, now)

    @property
    def _synced(self) -> bool:
        return self._beat_at < math.inf

    def _restarted(self, now: float) -> None:
        for part in self.parts:
            part.forget()
        self._said.clear()
        self._board_time = None
        self._sync(now)

    def _sync(self, now: float) -> None:
        for _ in range(RESYNC):
            self._say_alive(now)

    def _is_alive(self, time: int, now: float) -> None:
        if self._board_time is not None and (time - self._board_time) % _ROUND >= _ROUND // 2:
            self._restarted(now)
        self._board_time = time
        self._said.clear()

    def _say_alive(self, now: float) -> None:
        self._beat_at = now + BEAT_S
        time = int(now - self._began_at) + 1
        self._send(say(self._to, "keep_alive", {"time": time, "sw": "1.0"}))

    def _work(self, now: float) -> None:
        if self.refusal is not None:
            return
        if now >= self._heard_at + SILENCE_S:
            self._heard_at = now
            self._lose(f"the board has been silent for {SILENCE_S:g} s")
        if not self._synced:
            if now >= self._sync_at:
                self._sync(now)
            return
        if now >= self._beat_at:
            self._say_alive(now)
            self._said = {name: value for name, value in self._said.items() if not self._safe(name, value)}
        for name, value in self._wanted(now).items():
            if name not in self._said or self._said[name] != value:
                self._said[name] = value
                self._send(say(self._to, name, value))

    @property
    def _due(self) -> float:
        if self.refusal is not None:
            return math.inf
        return min(self._heard_at + SILENCE_S, self._beat_at if self._synced else self._sync_at)
