"""What all virtual devices share: a driver and its hardware in one, and the line between them.

The driver's half knows what is wanted and what the hardware last told; the hardware's half acts on a part of
the bench. Where the line is cut, commands are lost and levels stand still, leases and the hardware's watchdog
end by themselves, and after the return of the line nothing is energised until told again.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any, Final

from hal.errors import HalError, Kind
from hal.meter import MeterReading
from hal.types import LEASE_S, Clock, Fault, Sample, Severity
from hal.vehicle import BatteryStatus

WATCHDOG_S: Final = 2.0
"""Hardware that hears nothing for so long goes to its safe state."""
BOOT_S: Final = 0.5
MISSED: Final = 3
"""So many polls in a row without an answer are the fault "communication"."""
COMMUNICATION: Final = Fault("communication", Severity.STOP, detail="the hardware does not answer")


class Line:
    """The way between driver and hardware.

    `loss` is the share of exchanges that fail, after all retries; what is told comes `latency_s` late;
    `doubled`: everything is said twice.
    """

    __slots__ = ("_random", "doubled", "latency_s", "loss", "up")

    def __init__(self, random: Random, latency_s: float = 0.0) -> None:
        self._random, self.latency_s = random, latency_s
        self.up = True
        self.doubled = False
        self.loss = 0.0

    def carries(self) -> bool:
        """Whether an exchange succeeds now."""
        return self.up and (not self.loss or self._random.random() >= self.loss)


async def _nothing() -> None:
    """What opening and closing wait for on a bench that is stepped by its user."""


class VirtualDevice:
    """The base. A device says how its hardware is told (`_push`), made safe (`_drop`) and read.

    `_signals` are what counts at once (states, positions), `_samples` what is measured at each poll. Both are
    dictionaries of levels; `_unknown` replaces them while the line is lost.
    """

    def __init__(self, name: str, clock: Clock, line: Line) -> None:
        self._name, self._clock, self.line = name, clock, line
        self._levels: dict[str, Any] = {}
        self._late: deque[tuple[float, dict[str, Any]]] = deque()
        self._faults: dict[str, Fault] = {}
        self._listeners: list[Callable[[], None]] = []
        self._told: Any = None
        self._told_faults: frozenset[str] = frozenset()
        self._stirred = True
        self._missed = 0
        self._heard_at = -math.inf
        self._boot_until = -math.inf
        self._rebooted = False
        self.opened = False
        self.before_open: Callable[[], Awaitable[None]] = _nothing
        self.after_close: Callable[[], Awaitable[None]] = _nothing

    # --- the protocol's part --------------------------------------------------------------------

    @property
    def name(self) -> str:
        """For logs and errors."""
        return self._name

    @property
    def faults(self) -> frozenset[Fault]:
        """What is wrong now."""
        return frozenset(self._faults.values())

    @property
    def lost(self) -> bool:
        """Whether the hardware has not answered for some time."""
        return COMMUNICATION.code in self._faults

    def on_change(self, notify: Callable[[], None]) -> None:
        """Call `notify` whenever a level or a fault has changed."""
        self._listeners.append(notify)

    def reset(self) -> None:
        """Clear latched faults whose cause is gone."""
        self._faults = {c: f for c, f in self._faults.items() if not f.latched or self._persists(c)}
        self._tell()

    async def open(self) -> None:
        """Connect; the device is de-energised then."""
        await self.before_open()
        self.connect()

    async def close(self) -> None:
        """De-energise, then let go."""
        self.disconnect()
        await self.after_close()

    def connect(self) -> None:
        """What `open` does, at once. Raises HalError(NOT_CONNECTED) where the hardware does not answer."""
        if self.opened:
            return
        if not self.line.up or self._booting:
            raise HalError(self._name, Kind.NOT_CONNECTED, "the hardware does not answer")
        self.opened = True
        self._missed, self._heard_at, self._rebooted = 0, self._clock(), False
        self._faults.pop(COMMUNICATION.code, None)
        self._forget()
        self._push()
        self._receive({**self._signals(), **self._samples(self._clock())})

    def disconnect(self) -> None:
        """What `close` does, at once."""
        if self.opened:
            self._forget()
            self._send()
            self.opened = False

    # --- the bench's part -----------------------------------------------------------------------

    @property
    def due_s(self) -> float:
        """Time until something happens here besides the polls; inf for nothing."""
        return math.inf

    @property
    def _booting(self) -> bool:
        return self._clock() < self._boot_until - 1e-9

    def reboot(self) -> None:
        """The hardware restarts: it forgets everything and answers again after a while."""
        self._drop()
        self._power_up()
        self._boot_until = self._clock() + BOOT_S
        self._rebooted = True

    def advance(self, polled: bool) -> None:
        """The bench has let time pass; `polled` at each poll."""
        self._run_hardware()
        if not self.opened:
            return
        if polled:
            self._poll()
        elif self.line.up and not self.line.loss and not self.lost and not self._booting:
            self._receive(self._signals())
        while self._late and self._late[0][0] <= self._clock() + 1e-9:
            self._take(self._late.popleft()[1])
        self._supervise()
        self._tell()

    def _run_hardware(self) -> None:
        """What the hardware does alone: its watchdog."""
        if self._clock() - self._heard_at > WATCHDOG_S:
            self._heard_at = math.inf  # once
            self._drop()

    def _send(self) -> None:
        """Tell the hardware what is wanted, if it can be reached; the next poll does it otherwise."""
        if self.opened and not self.lost and not self._booting and self.line.carries():
            self._push()

    def _poll(self) -> None:
        if self._booting or not self.line.carries():
            self._missed += 1
            if self._missed >= MISSED and not self.lost:
                self._faults[COMMUNICATION.code] = COMMUNICATION
                self._late.clear()
                self._take(self._unknown())
                self._forget()
            return
        self._missed, self._heard_at = 0, self._clock()
        if self.lost or self._rebooted:
            self._rebooted = False
            self._forget()
            self._faults.pop(COMMUNICATION.code, None)
        for _ in range(2 if self.line.doubled else 1):
            self._push()
            self._receive({**self._signals(), **self._samples(self._clock())})

    def _receive(self, levels: dict[str, Any]) -> None:
        if self.line.latency_s:
            self._late.append((self._clock() + self.line.latency_s, levels))
        else:
            self._take(levels)

    def _take(self, levels: Mapping[str, Any]) -> None:
        mine = self._levels
        for name, level in levels.items():
            if mine.get(name) != level:
                mine[name] = level
                self._stirred = True

    def news(self) -> tuple[frozenset[str], tuple[Any, ...]]:
        """What `on_change` is about: codes of the faults, all levels without the time they were acquired."""
        return frozenset(self._faults), tuple(_without_time(level) for level in self._levels.values())

    def _tell(self) -> None:
        """Call the listeners if anything but the age of a sample has changed."""
        if not self._listeners or not (self._stirred or self._faults.keys() != self._told_faults):
            return
        self._stirred, self._told_faults = False, frozenset(self._faults)
        news = self.news()
        if news != self._told:
            self._told = news
            for listener in self._listeners:
                listener()

    # --- a kind of device's part ----------------------------------------------------------------

    def _push(self) -> None:
        """Make the hardware do what is wanted."""

    def _drop(self) -> None:
        """The hardware's own way into its safe state."""

    def _power_up(self) -> None:
        """What else the hardware loses when it restarts."""

    def _forget(self) -> None:
        """Want nothing that energises any more."""

    def _signals(self) -> dict[str, Any]:
        """States and positions now."""
        return {}

    def _samples(self, now: float) -> dict[str, Any]:
        """What is measured now."""
        return {}

    def _unknown(self) -> Mapping[str, Any]:
        """Levels while the hardware does not answer."""
        return {}

    def _supervise(self) -> None:
        """Find faults in the levels."""

    def _persists(self, code: str) -> bool:
        """Whether the cause of a latched fault is still there."""
        return False


class LeasedDevice(VirtualDevice):
    """A device that energises: `_energise` is repeated with each poll while the lease lasts, then comes `_drop`."""

    def __init__(self, name: str, clock: Clock, line: Line) -> None:
        super().__init__(name, clock, line)
        self._until = self._hardware_until = -math.inf

    @property
    def due_s(self) -> float:
        """Time until the hardware's lease ends."""
        left = self._hardware_until - self._clock()
        return left if left > 0 else math.inf

    @property
    def leased(self) -> bool:
        """Whether it is to be energised, as far as the driver is concerned."""
        return self._clock() < self._until - 1e-9

    def _check(self, lease_s: float) -> None:
        """HalError where energising is refused, before anything has changed."""
        if not (math.isfinite(lease_s) and lease_s > 0):
            raise HalError(
                self._name, Kind.OUT_OF_RANGE, f"a lease of {lease_s} s", next_step=f"Use {LEASE_S} s"
            )
        latched = sorted(fault.code for fault in self._faults.values() if fault.latched)
        if latched:
            raise HalError(
                self._name,
                Kind.REFUSED,
                f"fault {', '.join(latched)}",
                next_step="Remove the cause, then reset the device",
            )
        if not self.opened:
            raise HalError(
                self._name, Kind.NOT_CONNECTED, "the device is not open", next_step="Open it first"
            )

    def _lease(self, lease_s: float) -> None:
        """Energise for `lease_s` from now; forgotten while the hardware does not answer."""
        if not self.lost:
            self._until = self._clock() + lease_s
            self._send()

    def _release(self) -> None:
        self._until = -math.inf
        self._send()

    def _forget(self) -> None:
        self._until = -math.inf

    def _push(self) -> None:
        if self.leased:
            self._hardware_until = self._until
            self._energise()
        else:
            self._hardware_until = -math.inf
            self._drop()

    def _run_hardware(self) -> None:
        super()._run_hardware()
        if self._hardware_until <= self._clock() + 1e-9 and self._hardware_until != -math.inf:
            self._hardware_until = -math.inf
            self._drop()

    def _power_up(self) -> None:
        self._hardware_until = -math.inf

    def _energise(self) -> None:
        """Make the hardware do what is wanted."""
        raise NotImplementedError


def _without_time(level: Any) -> Any:
    """What of a level is news: all but when it was acquired."""
    if isinstance(level, Sample):
        return (level.value if math.isfinite(level.value) else None, level.quality, level.bound)
    if isinstance(level, dict):
        return {key: _without_time(value) for key, value in level.items()}
    if isinstance(level, MeterReading):
        return replace(level, at=0.0, taken_at=None)
    return replace(level, at=0.0) if isinstance(level, BatteryStatus) else level
