"""A driver and the emulator of its device under virtual time.

    wire = Wire(device_dialog, emulator, noise=Noise(seed=4, lost=0.2))
    rig = WiredRig(wire, device, truth)       # opened; a `Rig` for the behaviour suites

`Wire` stands where `hal.drivers.link.Link` stands in real life, and does the same.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Awaitable, Generator
from itertools import count
from typing import Any, Final, Protocol

from hal.errors import HalError, Kind
from hal.testing.noise import Noise

LOOK_S: Final = 0.01
"""How often something that waits looks again."""
RECONNECT_S: Final = 0.2
"""A line that had hung up is opened again after this time."""
_STEPS: Final = 10_000
"""More steps without time passing are a dialog or an emulator that does not get on."""


class Talker(Protocol):
    """One end of a wire: a dialog or an emulator."""

    @property
    def deadline(self) -> float:
        """When `tick` has something to do (s)."""

    def received(self, data: bytes, now: float) -> None:
        """Octets have come."""

    def tick(self, now: float) -> None:
        """Time has passed."""

    def to_send(self) -> bytes:
        """What is to go out; b"" for nothing."""


class _Turn:
    """What a coroutine waits for under virtual time."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class Wire:
    """The line between `dialog` (of a driver) and `emulator`; `noise` is on what the emulator says.

    A cut loses all octets; with `hang_up` the driver's port notices, too, as with a pulled USB adapter.
    `noise_out` is on what the driver says.
    """

    def __init__(
        self,
        dialog: Any,
        emulator: Any,
        *,
        noise: Noise | None = None,
        noise_out: Noise | None = None,
        latency_s: float = 0.001,
        hang_up: bool = False,
        open_s: float = 5.0,
        settle_s: float = 1.0,
    ) -> None:
        self.dialog, self.emulator = dialog, emulator
        self._noise = {id(dialog): noise or Noise(), id(emulator): noise_out or Noise()}
        self._latency_s, self._hang_up, self._open_s, self._settle_s = latency_s, hang_up, open_s, settle_s
        self._now = 1000.0
        self._late: list[tuple[float, int, Any, bytes]] = []
        self._numbers = count()
        self._free_at = {id(dialog): -math.inf, id(emulator): -math.inf}
        self._users: set[int] = set()
        self._reopen_at = math.inf
        self.up, self.connected = True, False
        dialog.line = self
        emulator.tick(self._now)

    # --- what a dialog sees ---------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Virtual seconds."""
        return self._now

    def flush(self) -> None:
        """Let the dialog work and send."""
        if self.connected:
            self.dialog.tick(self._now)
            self._collect()

    async def enter(self, user: object) -> None:
        """Connect, and wait until the device is ready. HalError as from a `Link`."""
        self._users.add(id(user))
        try:
            if not self.connected and self._reopen_at == math.inf:
                self._connect()
            await self._until_ready()
        except HalError:
            await self.leave(user)
            raise

    async def leave(self, user: object) -> None:
        """The last user closes the line, after the hardware has confirmed that it is safe."""
        self._users.discard(id(user))
        if self._users or not (self.connected or self._reopen_at < math.inf):
            return
        end = self._now + self._settle_s
        while self.dialog.ready and not self.dialog.settled and self._now < end:
            await _Turn()
        self.connected, self._reopen_at = False, math.inf
        self.dialog.ended()

    async def _until_ready(self) -> None:
        dialog, end = self.dialog, self._now + self._open_s
        while not dialog.ready and dialog.refusal is None:
            if self._now >= end:
                raise HalError(dialog.name, Kind.TIMEOUT, "no device answers on this wire")
            await _Turn()
        if dialog.refusal is not None:
            raise dialog.refusal

    def _connect(self) -> None:
        if self._hang_up and not self.up:
            raise HalError(self.dialog.name, Kind.NOT_CONNECTED, "no such port")
        self.connected, self._reopen_at = True, math.inf
        self.dialog.opened(self._now)
        self._collect()

    # --- what a test does -----------------------------------------------------------------------

    def cut(self) -> None:
        """Nothing passes any more."""
        self.up = False
        if self._hang_up and self.connected:
            self.connected = False
            self.dialog.lost("it hung up", self._now)

    def restore(self) -> None:
        """Let octets pass again."""
        self.up = True
        if self._hang_up and self._users:
            self._reopen_at = self._now + RECONNECT_S

    def carry_out(self, action: Awaitable[None]) -> None:
        """Run a coroutine to its end, letting time pass while it waits; what it raises comes out here."""
        steps = action.__await__()
        while True:
            try:
                next(steps)
            except StopIteration:
                return
            self.run(LOOK_S)

    def run(self, seconds: float) -> None:
        """Let time pass; everything is handled on the way. AssertionError where an end does not get on."""
        end, stuck = self._now + seconds, 0
        self._collect()
        while True:
            due = min(self._deadline, end)
            stuck = stuck + 1 if due <= self._now else 0
            assert stuck < _STEPS, f"{self.dialog.name} or its emulator gets on"
            self._now = max(self._now, due)
            self._turn()
            if self._now >= end and self._deadline > end:
                return

    # --- the mechanism --------------------------------------------------------------------------

    @property
    def _deadline(self) -> float:
        dialog = self.dialog.deadline if self.connected else math.inf
        late = self._late[0][0] if self._late else math.inf
        return float(min(dialog, self.emulator.deadline, late, self._reopen_at))

    def _turn(self) -> None:
        if self._reopen_at <= self._now:
            self._connect()
        while self._late and self._late[0][0] <= self._now:
            _, _, end, data = heapq.heappop(self._late)
            if self.up and (end is self.emulator or self.connected):
                end.received(data, self._now)
                self._collect()
        self.emulator.tick(self._now)
        if self.connected and self.dialog.deadline <= self._now:
            self.dialog.tick(self._now)
        self._collect()

    def _collect(self) -> None:
        """Put what both ends say on its way."""
        for talker, hearer in ((self.dialog, self.emulator), (self.emulator, self.dialog)):
            while data := talker.to_send():
                self._put(hearer, data)

    def _put(self, hearer: Any, data: bytes) -> None:
        if not self.up:
            return
        # A line carries one message after the other, however slowly their octets come.
        start = max(self._now + self._latency_s, self._free_at[id(hearer)])
        for delay_s, portion in self._noise[id(hearer)].pass_on(data):
            self._free_at[id(hearer)] = start + delay_s
            heapq.heappush(self._late, (start + delay_s, next(self._numbers), hearer, portion))


class WiredRig:
    """A driver, opened, with its emulator. See `rig.Rig` for the times; `truth` as the suite wants it."""

    def __init__(
        self,
        wire: Wire,
        device: Any,
        truth: Any,
        *,
        settle_s: float = 1.0,
        noticed_s: float = 5.0,
        watchdog_s: float = 5.0,
        reconnect_s: float = 3.0,
    ) -> None:
        self.wire, self.device, self.truth = wire, device, truth
        self.settle_s, self.noticed_s = settle_s, noticed_s
        self.watchdog_s, self.reconnect_s = watchdog_s, reconnect_s
        self.open()

    @property
    def now(self) -> float:
        """Virtual seconds."""
        return self.wire.now

    @property
    def safe(self) -> bool:
        """What the truth says; a device that cannot energise is always safe."""
        return bool(getattr(self.truth, "safe", True))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.wire.run(seconds)

    def open(self) -> None:
        """Open the device."""
        self.wire.carry_out(self.device.open())

    def close(self) -> None:
        """Close the device."""
        self.wire.carry_out(self.device.close())

    def cut(self) -> None:
        """Cut the wire."""
        self.wire.cut()

    def restore(self) -> None:
        """Join the wire again."""
        self.wire.restore()

    def reboot(self) -> None:
        """Restart the emulator."""
        self.wire.emulator.reboot()
