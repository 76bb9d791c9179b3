"""Modbus: frames over a serial line (RTU) or TCP, and the bus on which several units share one port.

    line = registry.make_bus("modbus", url="serial:///dev/ttyUSB0?baud=9600&parity=N")
    monitor = registry.make("bender-isocha425", bus=line, unit=3)
    meter = registry.make("sdm630", bus=line, unit=1)

Each unit is known, lost and found by itself: a meter that is dead leaves the isolation monitor on the same wires
alone. The bus is open while one of its devices is. RTU answers are as long as their function says (Modbus over
serial line 1.02), so nothing depends on measuring the silence of 3.5 characters.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, Protocol

from hal.drivers import ports
from hal.drivers.codecs import crc16_modbus
from hal.drivers.dialog import MISSES, Dialog, Request, RequestDialog
from hal.drivers.link import Link
from hal.errors import HalError, Kind

READ_HOLDING: Final = 3
READ_INPUT: Final = 4
WRITE_SINGLE: Final = 6
WRITE_MULTIPLE: Final = 16
_ERROR: Final = 0x80
"""Added to the function in an answer that is an exception."""
EXCEPTIONS: Final = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal value",
    4: "device failure",
    5: "acknowledged, not done yet",
    6: "busy",
    8: "memory parity error",
    10: "gateway without path",
    11: "no answer behind the gateway",
}
_LASTING: Final = frozenset((1, 2, 3))
"""Exceptions that the same question brings again; after the others it may be answered."""
MOST_REGISTERS: Final = 123
LINE: Final = {"baud": "19200", "parity": "E"}
GAP_S: Final = 0.02
"""Silence between two frames on a serial line, at the least: some devices need it after a write."""
TIMEOUT_S: Final = 0.3
ROUNDS: Final = 2
"""So often a unit is asked in vain before its neighbours stop waiting for it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A unit's answer to what it cannot do: an exception code."""

    code: int

    def __str__(self) -> str:
        return f"exception {self.code} ({EXCEPTIONS.get(self.code, 'unknown')})"


def no_matter(*_: Any) -> None:
    """What is done about an answer that nobody waits for."""


# --- what is asked and answered -----------------------------------------------------------------


def read_request(function: int, address: int, count: int) -> bytes:
    """Ask for `count` registers from `address` (as sent, 0 ...), holding or input ones by `function`."""
    return struct.pack(">BHH", function, address, count)


def write_single_request(address: int, value: int) -> bytes:
    """Write one holding register."""
    return struct.pack(">BHH", WRITE_SINGLE, address, value)


def write_request(address: int, values: Sequence[int]) -> bytes:
    """Write holding registers from `address` on."""
    head = struct.pack(">BHHB", WRITE_MULTIPLE, address, len(values), 2 * len(values))
    return head + struct.pack(f">{len(values)}H", *values)


def answer_size(request: bytes, answer: bytes) -> int | None:
    """Octets of the answer to `request` that begins with `answer`; None while that cannot be told.

    ValueError where it is no answer to this request.
    """
    if not answer:
        return None
    if answer[0] == request[0] | _ERROR:
        return 2
    if answer[0] != request[0]:
        raise ValueError(f"function {answer[0]} instead of {request[0]}")
    if request[0] not in (READ_HOLDING, READ_INPUT):
        return 5
    if len(answer) < 2:
        return None
    octets = 2 * int.from_bytes(request[3:5])
    if answer[1] != octets:
        raise ValueError(f"{answer[1]} octets of registers instead of {octets}")
    return 2 + octets


def parse_answer(request: bytes, answer: bytes) -> tuple[int, ...] | Refusal:
    """The registers in a whole answer, () for a write. ValueError where it does not fit, or may fit later."""
    if answer[0] & _ERROR:
        if answer[1] not in _LASTING:
            raise ValueError(str(Refusal(answer[1])))
        return Refusal(answer[1])
    if request[0] in (READ_HOLDING, READ_INPUT):
        return struct.unpack(f">{answer[1] // 2}H", answer[2:])
    if answer != request[:5]:
        raise ValueError("it tells of another write")
    return ()


def float32(registers: Sequence[int], *, low_word_first: bool = False) -> float:
    """IEEE 754 single in two registers, as the float64 of the same value."""
    high, low = reversed(registers) if low_word_first else registers
    value: float = struct.unpack(">f", struct.pack(">HH", high, low))[0]
    return value


# --- frames -------------------------------------------------------------------------------------


class Framing(Protocol):
    """How requests and answers are put on a line."""

    def wrap(self, unit: int, request: bytes) -> bytes:
        """The frame that goes out."""

    def unwrap(self, frame: bytes, request: bytes, data: bytes) -> bytes | None:
        """The answer in all `data` heard since `frame` with `request` went out; None while it is not complete.

        ValueError for anything else: another unit, function or length, a wrong checksum, more than an answer.
        """


class Rtu:
    """Serial line: unit, function ..., CRC."""

    def wrap(self, unit: int, request: bytes) -> bytes:
        """The frame that goes out."""
        frame = bytes([unit]) + request
        return frame + crc16_modbus(frame).to_bytes(2, "little")

    def unwrap(self, frame: bytes, request: bytes, data: bytes) -> bytes | None:
        """The answer, checked."""
        if data[:1] != frame[:1]:
            raise ValueError(f"unit {data[0]} instead of {frame[0]}")
        size = answer_size(request, data[1:])
        if size is None or len(data) < size + 3:
            return None
        if len(data) > size + 3:
            raise ValueError("more than an answer")
        if crc16_modbus(data[:-2]) != int.from_bytes(data[-2:], "little"):
            raise ValueError("checksum")
        return data[1:-2]


class Tcp:
    """Modbus TCP: transaction, 0, length, unit, function ...; answers to older transactions are skipped."""

    def __init__(self) -> None:
        self._transaction = 0

    def wrap(self, unit: int, request: bytes) -> bytes:
        """The frame that goes out."""
        self._transaction = (self._transaction + 1) & 0xFFFF
        return struct.pack(">HHHB", self._transaction, 0, len(request) + 1, unit) + request

    def unwrap(self, frame: bytes, request: bytes, data: bytes) -> bytes | None:
        """The answer, checked."""
        while len(data) >= 7:
            transaction, protocol, length, unit = struct.unpack(">HHHB", data[:7])
            if protocol or not 3 <= length <= 254:
                raise ValueError("no Modbus TCP")
            if len(data) < 6 + length:
                return None
            answer, data = data[7 : 6 + length], data[6 + length :]
            if transaction == int.from_bytes(frame[:2]):
                if unit != frame[6]:
                    raise ValueError(f"unit {unit} instead of {frame[6]}")
                if answer_size(request, answer) != len(answer):
                    raise ValueError("another length than the function has")
                return answer
        return None


# --- the bus ------------------------------------------------------------------------------------


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
        self._connected, self._free_at = True, -math.inf
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
        failed: Callable[[str, float], None] = no_matter,
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

    def _fail(self, request: bytes, failed: Callable[[str, float], None], reason: str, now: float) -> None:
        """One question that is never answered is a loss, although others are answered meanwhile."""
        self._vain[request] = self._vain.get(request, 0) + 1
        if self.ready and self._vain[request] >= MISSES:
            self._step = 0
            self._lose(reason)
        if not self.ready:
            self._vain.clear()
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
        self._rounds += not self.ready
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
            why = f"unit {unit.address} does not answer"
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


def silence_s(baud: int) -> float:
    """Between two frames (Modbus over serial line 1.02, 2.5.1.1): 3.5 characters of 11 bits, at least 1.75 ms."""
    return max(3.5 * 11 / baud, 0.00175)
