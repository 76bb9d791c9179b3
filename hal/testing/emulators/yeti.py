"""Boards of the Yeti family: the station's and the car's.

They report what has changed at once, and everything once a second. After five seconds without the host's
"keep alive" they restart. Their encoding is written here anew, to check that of the drivers.
"""

from __future__ import annotations

import math
import struct
from typing import Any, Final

from hal.drivers.codecs import crc32_jamcrc
from hal.pilot_levels import ampacity_a
from hal.testing.emulators.emulator import Emulator
from hal.testing.emulators.outlet import Outlet
from hal.types import CpState

ALIVE_S: Final = 1.0
HOST_S: Final = 5.0
BOOT_S: Final = 0.1
_STATES: Final = tuple(CpState)
_CABLES: Final = {0.0: 0, 13.0: 1, 20.0: 2, 32.0: 3, 63.0: 4, None: 5}


# --- octets -------------------------------------------------------------------------------------


def number(field: int, value: int) -> bytes:
    """A field with a whole number."""
    return _base128(field * 8) + _base128(value)


def real(field: int, value: float) -> bytes:
    """A field with a float; left out where zero."""
    return _base128(field * 8 + 5) + struct.pack("<f", value) if value else b""


def nested(field: int, *content: bytes) -> bytes:
    """A field with a message."""
    body = b"".join(content)
    return _base128(field * 8 + 2) + _base128(len(body)) + body


def _base128(value: int) -> bytes:
    low, high = value % 128, value // 128
    return bytes([low + 128]) + _base128(high) if high else bytes([low])


def stuffed(message: bytes) -> bytes:
    """A packet: checksum, no zeros inside, a zero at the end."""
    data = message + struct.pack("<I", crc32_jamcrc(message))
    out, block = bytearray(), bytearray()
    for octet in data:
        if octet:
            block.append(octet)
        if not octet or len(block) == 254:
            out += bytes([len(block) + 1]) + block
            block.clear()
    return bytes(out + bytes([len(block) + 1]) + block + b"\0")


def unstuffed(data: bytes) -> bytes | None:
    """The message in a packet; None for what is none."""
    out = b""
    while data:
        count = data[0]
        if count == 0 or len(data) < count:
            return None
        out += data[1:count] + (b"\0" if count < 255 and len(data) > count else b"")
        data = data[count:]
    return out[:-4] if len(out) > 4 and crc32_jamcrc(out[:-4]) == int.from_bytes(out[-4:], "little") else None


def fields(message: bytes) -> dict[int, Any]:
    """Number -> whole number or octets."""
    found: dict[int, Any] = {}
    while message:
        key, message = _take_number(message)
        if key % 8 == 0:
            found[key // 8], message = _take_number(message)
        elif key % 8 == 2:
            length, message = _take_number(message)
            found[key // 8], message = message[:length], message[length:]
        else:
            return {}
    return found


def _take_number(data: bytes) -> tuple[int, bytes]:
    value = 0
    for place, octet in enumerate(data):
        value += octet % 128 << 7 * place
        if octet < 128:
            return value, data[place + 1 :]
    return 0, b""


# --- what both boards do ------------------------------------------------------------------------


class _Board(Emulator):
    keep_alive_field = 0

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[dict[int, Any]] = []
        self.reason = 0
        self._line = b""
        self._told: dict[str, bytes] = {}
        self._restart()

    def _restart(self) -> None:
        self._line, self._told = b"", {}
        self._boot_s, self._alive_s, self._host_s = BOOT_S, math.inf, math.inf
        self._up_s = 0.0
        self._safe()

    def _boot(self) -> None:
        self.reason = 0
        self._restart()

    @property
    def _due_s(self) -> float:
        return min(self._boot_s, self._alive_s, self._host_s, self._physics_due_s)

    def _pass(self, dt: float) -> None:
        self._up_s += dt
        self._boot_s, self._alive_s, self._host_s = self._boot_s - dt, self._alive_s - dt, self._host_s - dt
        self._physics(dt)
        if self._boot_s <= 1e-9:
            self._boot_s, self._alive_s, self._host_s = math.inf, 0.0, HOST_S
            self._say_reset()
        if self._host_s <= 1e-9:
            self._restart()
            self.reason = 1
        if self._boot_s == math.inf:
            if self._alive_s <= 1e-9:
                self._alive_s = ALIVE_S
                self._told.clear()
                self._tell(nested(3, number(1, int(self._up_s)), real(7, 32.0), real(8, 6.0), number(9, 3)))
            self._report()

    def _hear(self, data: bytes) -> None:
        *parts, self._line = ((self._line + data)[-4096:]).split(b"\0")
        for part in parts:
            message = unstuffed(part)
            if message is not None and self._boot_s == math.inf:
                told = fields(message)
                self.heard.append(told)
                if self.keep_alive_field in told:
                    self._host_s = HOST_S
                self._obey(told)

    def _tell(self, message: bytes) -> None:
        self._send(stuffed(message))

    def _tell_if_new(self, what: str, message: bytes) -> None:
        if self._told.get(what) != message:
            self._told[what] = message
            self._tell(message)

    def _safe(self) -> None:
        raise NotImplementedError

    def _say_reset(self) -> None:
        raise NotImplementedError

    def _obey(self, told: dict[int, Any]) -> None:
        raise NotImplementedError

    @property
    def _physics_due_s(self) -> float:
        raise NotImplementedError

    def _physics(self, dt: float) -> None:
        raise NotImplementedError

    def _report(self) -> None:
        raise NotImplementedError


# --- the station's board ------------------------------------------------------------------------


class YetiBoard(_Board):
    """Pilot, relay, lock, residual-current device and meter of a station.

    `wh` and `watts`: what the meter shows.
    """

    keep_alive_field = 100

    def __init__(self) -> None:
        self.outlet = Outlet()
        self.errors: set[int] = set()
        self.wh, self.watts = 1000.0, 0.0
        super().__init__()

    def trip(self, *errors: int) -> None:
        """Let these error flags stand (2 to 4, 7), and no others."""
        self.errors = set(errors)
        self._drive()
        self._report()

    def _safe(self) -> None:
        self._power = False
        self.outlet.relay.command(False)
        self.outlet.line.duty = 100.0
        self.outlet.pilot.forget()

    def _say_reset(self) -> None:
        self._tell(number(101, self.reason))

    def _obey(self, told: dict[int, Any]) -> None:
        if 105 in told:
            self._boot()
        if 102 in told:
            self.outlet.bolt.move(bool(told[102]))
        if 103 in told:
            self.outlet.line.duty = min(told[103], 10000) / 100
        if 104 in told:
            self._power = bool(told[104])
        self._drive()

    @property
    def _flags(self) -> set[int]:
        outlet = self.outlet
        found = {"diode_fault": {1}, "pilot_short": {6}}.get(outlet.fault, set()) | self.errors
        return found | {5} if outlet.bolt.jammed and not outlet.bolt.waiting and self._lock_failed else found

    _lock_failed = False

    def _drive(self) -> None:
        ready = self.outlet.state is not None and self.outlet.state.ready
        self.outlet.relay.command(self._power and ready and not self.errors)

    @property
    def _physics_due_s(self) -> float:
        return self.outlet.due_s

    def _physics(self, dt: float) -> None:
        waiting = self.outlet.bolt.waiting
        self.outlet.step(dt)
        if waiting and not self.outlet.bolt.waiting:
            self._lock_failed = self.outlet.bolt.jammed
        self._drive()

    def _report(self) -> None:
        outlet = self.outlet
        if outlet.state is not None:
            self._tell_if_new("cp", number(102, _STATES.index(outlet.state)))
        self._tell_if_new("relay", number(103, int(outlet.relay.closed)))
        flags = b"".join(number(flag, 1) for flag in sorted(self._flags))
        self._tell_if_new("errors", nested(104, flags))
        self._tell_if_new("pp", number(106, _CABLES[ampacity_a(outlet.plug_ohm)]))
        sense = outlet.bolt.sense
        self._tell_if_new("lock", number(107, 0 if sense is None else 1 + sense))
        if "meter" not in self._told:
            self._told["meter"] = b""
            self._tell(
                nested(
                    108, number(1, int(self._up_s)), real(2, 230.0), real(12, self.wh), real(17, self.watts)
                )
            )


# --- the car's board ----------------------------------------------------------------------------


class YetiEvBoard(_Board):
    """The car's resistor on the pilot line of an outlet, and a contactor."""

    keep_alive_field = 13

    def __init__(self) -> None:
        self.outlet = Outlet()
        self.outlet.line.plugged = True
        super().__init__()

    def _safe(self) -> None:
        self.enabled = False
        self.outlet.relay.command(False)
        self.outlet.line.state = CpState.B

    def _say_reset(self) -> None:
        self._tell(nested(7))

    def _obey(self, told: dict[int, Any]) -> None:
        if 23 in told:
            self._boot()
        if 6 in told:
            self.enabled = True
        if 7 in told:
            self._safe()
        if 21 in told:
            self.outlet.relay.command(bool(fields(told[21]).get(1)) and self.enabled)
        if 25 in told and self.enabled:
            state = _STATES[fields(told[25]).get(1, 0)]
            if state in (CpState.B, CpState.C, CpState.D):
                self.outlet.line.state = state

    @property
    def _physics_due_s(self) -> float:
        return self.outlet.due_s

    def _physics(self, dt: float) -> None:
        self.outlet.step(dt)

    def _report(self) -> None:
        line = self.outlet.line
        high_v, low_v = (line.high_v, line.low_v) if line.plugged else (0.0, 0.0)
        running = line.plugged and 0.0 < line.duty < 100.0
        self._tell_if_new(
            "measured",
            nested(
                5,
                real(1, line.duty if running else 0.0),
                real(2, high_v),
                real(3, low_v),
                number(4, 1) if running else b"",
                number(5, 1) if self.outlet.relay.closed else b"",
            ),
        )
        if self.outlet.state is not None:
            event = _STATES.index(self.outlet.state) if line.plugged else 8
            self._tell_if_new("event", nested(6, number(1, event) if event else b""))
