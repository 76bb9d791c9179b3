"""A Modbus line with one or several units on it, RTU or TCP.

A unit is a table of registers that its kind fills; what is not in it is an illegal address.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Final

from hal.drivers.codecs import crc16_modbus
from hal.testing.emulators.emulator import Emulator

SILENCE_S: Final = 0.01
"""An incomplete request is forgotten after so long a silence."""
ANSWER_S: Final = 0.005

ILLEGAL_FUNCTION: Final = 1
ILLEGAL_ADDRESS: Final = 2
ILLEGAL_VALUE: Final = 3
BUSY: Final = 6


class Refused(Exception):
    """The unit answers with this exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class SlaveUnit:
    """One unit. A kind of device overrides `boot`, `pass_time`, `due_s`, `read` and `write`.

    `busy`: so many requests are answered by "busy" first; `mute`: it answers nothing.
    """

    def __init__(self) -> None:
        self.busy = 0
        self.mute = False
        self.writes: list[tuple[int, int]] = []
        """Every register written, with its value."""

    @property
    def due_s(self) -> float:
        """Time until something happens by itself."""
        return math.inf

    def boot(self) -> None:
        """Switched on."""

    def pass_time(self, dt: float) -> None:
        """Let this much time pass."""

    def read(self, function: int) -> Mapping[int, int]:
        """Registers by address, for function 3 or 4."""
        return {}

    def write(self, address: int, value: int) -> None:
        """Write a register. Raises Refused."""
        raise Refused(ILLEGAL_ADDRESS)


def float_registers(value: float) -> list[int]:
    """Single precision, high word first."""
    octets = struct.pack(">f", value)
    return [octets[0] << 8 | octets[1], octets[2] << 8 | octets[3]]


class ModbusSlave(Emulator):
    """The line. `tcp`: frames of Modbus TCP in place of RTU.

    `least_gap_s`: the shortest silence seen between an answer and the next request; negative for a request into an
    answer, as it must not happen on two wires.
    """

    def __init__(self, units: Mapping[int, SlaveUnit], *, tcp: bool = False) -> None:
        super().__init__()
        self.units, self._tcp = dict(units), tcp
        self._heard = bytearray()
        self._heard_at = -math.inf
        self._answers: list[tuple[float, bytes]] = []
        self._answered_at = -math.inf
        self.least_gap_s = math.inf

    @property
    def _due_s(self) -> float:
        answer = min((at for at, _ in self._answers), default=math.inf) - self.now
        return min([max(0.0, answer), *(unit.due_s for unit in self.units.values())])

    def _boot(self) -> None:
        self._heard.clear()
        self._answers.clear()
        for unit in self.units.values():
            unit.boot()

    def _pass(self, dt: float) -> None:
        for unit in self.units.values():
            unit.pass_time(dt)
        while self._answers and self._answers[0][0] <= self.now + 1e-9:
            self._send(self._answers.pop(0)[1])
            self._answered_at = self.now

    def _hear(self, data: bytes) -> None:
        free_at = self._answers[-1][0] if self._answers else self._answered_at
        self.least_gap_s = min(self.least_gap_s, self.now - free_at)
        if self.now - self._heard_at > SILENCE_S:
            self._heard.clear()
        self._heard_at = self.now
        self._heard += data
        take = self._take_tcp if self._tcp else self._take_rtu
        while take():
            pass

    def _take_rtu(self) -> bool:
        size = self._rtu_size()
        if size is None or len(self._heard) < size:
            return False
        frame = bytes(self._heard[:size])
        del self._heard[:size]
        if crc16_modbus(frame) == 0:  # over a frame with its own checksum
            answer = self._answer(frame[0], frame[1:-2])
            if answer:
                answer = frame[:1] + answer
                self._later(answer + crc16_modbus(answer).to_bytes(2, "little"))
        return True

    def _rtu_size(self) -> int | None:
        if len(self._heard) < 2:
            return None
        if self._heard[1] != 16:
            return 8
        return 9 + self._heard[6] if len(self._heard) > 6 else None

    def _take_tcp(self) -> bool:
        if len(self._heard) < 7:
            return False
        size = 6 + int.from_bytes(self._heard[4:6])
        if len(self._heard) < size:
            return False
        frame = bytes(self._heard[:size])
        del self._heard[:size]
        answer = self._answer(frame[6], frame[7:])
        if answer:
            self._later(frame[:4] + (len(answer) + 1).to_bytes(2) + frame[6:7] + answer)
        return True

    def _later(self, answer: bytes) -> None:
        self._answers.append((self.now + ANSWER_S, answer))

    def _answer(self, address: int, request: bytes) -> bytes:
        unit = self.units.get(address)
        if unit is None or unit.mute:
            return b""
        try:
            if unit.busy:
                unit.busy -= 1
                raise Refused(BUSY)
            return self._carry_out(unit, request)
        except Refused as refused:
            return bytes([request[0] | 0x80, refused.code])

    def _carry_out(self, unit: SlaveUnit, request: bytes) -> bytes:
        function, address, word = struct.unpack(">BHH", request[:5])
        if function in (3, 4):
            registers = unit.read(function)
            wanted = range(address, address + word)
            if not all(a in registers for a in wanted):
                raise Refused(ILLEGAL_ADDRESS)
            return struct.pack(f">BB{word}H", function, 2 * word, *(registers[a] for a in wanted))
        if function == 6:
            self._write(unit, address, [word])
        elif function == 16:
            self._write(unit, address, list(struct.unpack(f">{word}H", request[6:])))
        else:
            raise Refused(ILLEGAL_FUNCTION)
        return request[:5]

    def _write(self, unit: SlaveUnit, address: int, values: list[int]) -> None:
        for offset, value in enumerate(values):
            unit.write(address + offset, value)
            unit.writes.append((address + offset, value))
