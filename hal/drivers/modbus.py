"""Modbus: the bus on which several units share one port, a serial line or TCP.

    line = registry.make_bus("modbus", url="serial:///dev/ttyUSB0?baud=9600&parity=N")
    monitor = registry.make("bender-isocha425", bus=line, unit=3)
    meter = registry.make("sdm630", bus=line, unit=1)

Each unit is known, lost and found by itself: a meter that is dead leaves the isolation monitor on the same wires
alone. The bus is open while one of its devices is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, Literal

from hal.drivers import ports
from hal.drivers.dialog import COMMUNICATION, MISSES, Dialog, Request, RequestDialog
from hal.drivers.link import Link
from hal.drivers.modbus_frames import (
    READ_HOLDING,
    Framing,
    Refusal,
    Rtu,
    Tcp,
    parse_answer,
    read_request,
    silence_s,
    write_request,
    write_single_request,
)
from hal.errors import HalError, Kind
from hal.types import Fault, Severity

LINE: Final = {"baud": "19200", "parity": "E"}
GAP_S: Final = 0.02
"""Silence between two frames on a serial line, at the least: some devices need it after a write."""
TIMEOUT_S: Final = 0.3
ROUNDS: Final = 2
"""So often a unit is asked in vain before its neighbours stop waiting for it."""


class Bus(Dialog):
    """One port with several units, one of which is asked at a time, in turn.

    It is `ready` when all units in use are known or have been asked in vain, and at least one has answered.
    """

    def __init__(self, name: str, framing: Framing | None = None, *, gap_s: float = GAP_S) -> None:
        super().__init__(name)
        self.framing: Framing = framing or Rtu()
        self._gap_s = gap_s
        self._units: list[Unit] = []
        self._connected = False
        self._free_at = -math.inf

    @property
    def settled(self) -> bool:
        """Whether every unit that is heard has confirmed what is wanted of it."""
        return all(unit.settled or not unit.ready for unit in self._units)

    def admit(self, unit: Unit, user: object) -> None:
        """`user` needs this unit from now on."""
        unit.users.add(user)
        if unit in self._units:
            return
        self._units.append(unit)
        self.ready = False
        if self._connected:
            unit.opened(self.line.now)
            self.line.flush()

    def dismiss(self, unit: Unit, user: object) -> None:
        """`user` needs it no more; it is spoken to until it has confirmed that it is safe."""
        unit.users.discard(user)
        self.line.flush()

    def grants(self, unit: Unit, now: float) -> bool:
        """Whether `unit` may say something now."""
        busy = next((other for other in self._units if other.waiting), None)
        return busy is unit or (busy is None and now >= self._free_at)

    def hush(self, now: float) -> None:
        """The line has become free; it has to be silent for a moment."""
        self._free_at = now + self._gap_s

    def blame(self, reason: str) -> None:
        """Why opening fails, if it does."""
        self.trouble = Fault(COMMUNICATION, Severity.STOP, detail=reason)

    def lost(self, reason: str, now: float) -> None:
        """The connection is gone, for all units."""
        self._connected = False
        for unit in self._units:
            unit.lost(reason, now)
        super().lost(reason, now)

    def ended(self) -> None:
        """The connection was closed on purpose."""
        self._connected = False
        for unit in self._units:
            unit.ended()
        self._units.clear()
        super().ended()

    def _start(self, now: float) -> None:
        self._connected, self._free_at, self.trouble = True, -math.inf, None
        for unit in self._units:
            unit.opened(now)

    def _hear(self, data: bytes, now: float) -> None:
        for unit in self._units:
            if unit.waiting:
                unit.received(data, now)
                return

    def _work(self, now: float) -> None:
        for unit in list(self._units):
            unit.tick(now)
            self._send(unit.to_send())
            if unit.waiting:  # whoever has just had his turn is the last to be asked next time
                self._units.remove(unit)
                self._units.append(unit)
            elif not unit.users and (unit.settled or not unit.ready):
                self._units.remove(unit)
                unit.ended()
        heard = any(unit.ready or unit.refusal is not None for unit in self._units)
        self.ready = heard and all(unit.decided for unit in self._units)

    @property
    def _due(self) -> float:
        busy = next((unit for unit in self._units if unit.waiting), None)
        leases = min((part.due for unit in self._units for part in unit.parts), default=math.inf)
        if busy is not None:
            return min(busy.deadline, leases)
        turn = min((unit.deadline for unit in self._units), default=math.inf)
        return min(max(turn, self._free_at), leases)


class Unit(RequestDialog):
    """What is said to one unit of a bus. A kind of device overrides `_identify` and `_next`, and makes its requests
    by `_read`, `_write` and `_write_single`. HalError(CONFIGURATION) for an impossible address.
    """

    def __init__(self, name: str, bus: Bus, address: int) -> None:
        super().__init__(name)
        if not 0 <= address <= 247:
            raise HalError(
                name, Kind.CONFIGURATION, f"no Modbus unit {address}", next_step="Use 1 to 247, as set there"
            )
        self.address = address
        self.users: set[object] = set()
        self.decided = False
        """Known, or asked in vain for long enough."""
        self.why = "no answer"
        """Why it could not be asked, the last time that it could not."""
        self._bus = bus
        self._rounds = 0
        self._vain: dict[bytes, int] = {}  # request -> how often in a row without an answer
        self.line = _Share(bus, self)

    @property
    def waiting(self) -> bool:
        """Whether the line is this unit's, because it has been asked."""
        return self._waiting

    # --- for a kind of device -------------------------------------------------------------------

    def _read(
        self,
        address: int,
        count: int,
        done: Callable[..., None],
        *,
        function: int = READ_HOLDING,
        **more: Any,
    ) -> Request:
        """Read `count` registers; `done(registers, now)`. `more` as for `_ask_for`."""
        return self._ask_for(read_request(function, address, count), done, **more)

    def _write(self, address: int, values: Iterable[int], done: Callable[..., None], **more: Any) -> Request:
        """Write registers (function 16); `done((), now)`."""
        return self._ask_for(write_request(address, tuple(values)), done, **more)

    def _write_single(self, address: int, value: int, done: Callable[..., None], **more: Any) -> Request:
        """Write one register (function 6); `done((), now)`."""
        return self._ask_for(write_single_request(address, value), done, **more)

    def _ask_for(
        self,
        request: bytes,
        done: Callable[[tuple[int, ...], float], None],
        *,
        check: Callable[[tuple[int, ...]], None] | None = None,
        refused: Callable[[Refusal, float], None] | None = None,
        failed: Callable[[str, float], None] | None = None,
    ) -> Request:
        """`check(registers)` raises ValueError where they make no sense; `refused(refusal, now)` in place of
        `done` where the unit says no, by default `_denied`; `failed(reason, now)` after all retries.
        """
        frame = self._bus.framing.wrap(self.address, request)
        return Request(
            frame,
            partial(self._parse, frame, request, check),
            partial(self._deliver, request, done, refused or self._denied),
            partial(self._fail, request, failed),
            timeout_s=TIMEOUT_S,
        )

    def _denied(self, refusal: Refusal, now: float) -> None:
        """The unit says no to what every such device can do: it is another device."""
        self._refuse(
            f"unit {self.address}: {refusal}", "Check the driver, the unit's address and its firmware"
        )

    # --- the bus's part -------------------------------------------------------------------------

    def _parse(
        self, frame: bytes, request: bytes, check: Callable[[tuple[int, ...]], None] | None, data: bytes
    ) -> tuple[int, ...] | Refusal | None:
        answer = self._bus.framing.unwrap(frame, request, data)
        if answer is None:
            return None
        registers = parse_answer(request, answer)
        if check is not None and not isinstance(registers, Refusal):
            check(registers)
        return registers

    def _deliver(
        self, request: bytes, done: Callable[..., None], refused: Callable[..., None], answer: Any, now: float
    ) -> None:
        self._vain.pop(request, None)
        (refused if isinstance(answer, Refusal) else done)(answer, now)

    def _fail(
        self, request: bytes, failed: Callable[[str, float], None] | None, reason: str, now: float
    ) -> None:
        """One question that is never answered is a loss, although others are answered meanwhile."""
        self._vain[request] = self._vain.get(request, 0) + 1
        if self.ready and self._vain[request] >= MISSES:
            self._step = 0
            self._lose(reason)
        if not self.ready:
            self._vain.clear()
        if failed is not None:
            failed(reason, now)

    def _start(self, now: float) -> None:
        super()._start(now)
        self._vain.clear()
        self.decided, self._rounds = False, 0

    def _work(self, now: float) -> None:
        if self._bus.grants(self, now):
            super()._work(now)
        if self.ready or self.refusal is not None or self._rounds >= ROUNDS:
            self.decided = True

    def _close(self, now: float) -> None:
        super()._close(now)
        self._bus.hush(now)

    def _try_again(self, reason: str, now: float) -> None:
        self._bus.hush(now)
        super()._try_again(reason, now)

    def _give_up(self, request: Request, reason: str, now: float) -> None:
        if not self.ready:
            self._rounds += 1
            self.why = reason
            self._bus.blame(f"unit {self.address}: {reason}")
        super()._give_up(request, reason, now)


class _Share:
    """The line of one unit: that of its bus, and whether this unit is there."""

    def __init__(self, bus: Bus, unit: Unit) -> None:
        self._bus, self._unit = bus, unit

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return self._bus.line.now

    def flush(self) -> None:
        """Something was commanded."""
        self._bus.line.flush()

    async def enter(self, user: object) -> None:
        """Connect, and wait until the unit is known; HalError where it is not."""
        unit = self._unit
        self._bus.admit(unit, user)
        try:
            await self._bus.line.enter(user)
        except BaseException:
            self._bus.dismiss(unit, user)
            raise
        if not unit.ready:
            why = f"unit {unit.address} does not answer ({unit.why})"
            error = unit.refusal or HalError(
                unit.name, Kind.TIMEOUT, why, next_step="Check its address, power, wiring and line settings"
            )
            await self.leave(user)
            raise error

    async def leave(self, user: object) -> None:
        """`user` needs the unit no more."""
        self._bus.dismiss(self._unit, user)
        await self._bus.line.leave(user)


def bus(url: str, *, framing: Literal["rtu", "tcp"] | None = None, **serial_options: Any) -> Bus:
    """The bus on a port (see `ports`); a serial one is 19200 8E1 unless its URL says otherwise.

    Framing is Modbus TCP for tcp://, unless a gateway passes on serial frames: framing="rtu".
    HalError(CONFIGURATION) for a URL that is none.
    """
    options = {**LINE, **serial_options}
    parts = ports.check(url, **options)
    if parts.scheme == "tcp":
        line = Bus(url, Rtu() if framing == "rtu" else Tcp(), gap_s=GAP_S if framing == "rtu" else 0.0)
    else:
        baud = int(ports.serial_options(url, parts, options)["baud"])
        line = Bus(url, Rtu(), gap_s=max(GAP_S, silence_s(baud)))
    Link(url, line, **options)
    return line


def bus_for(driver: str, url: str, shared: Bus | None, **options: Any) -> Bus:
    """The bus of a driver that is given either a port of its own (`options` as for `bus`) or a shared bus.

    HalError(CONFIGURATION) where it is given both or none.
    """
    if bool(url) is (shared is not None):
        raise HalError(
            driver,
            Kind.CONFIGURATION,
            "it needs a port, or a bus that it shares",
            next_step='Give it url="serial:///dev/ttyUSB0", or bus=',
        )
    return shared or bus(url, **options)
