"""Modbus requests and answers, and their frames on a serial line (RTU) or on TCP.

RTU answers are as long as their function says (Modbus over serial line 1.02), so that nothing depends on measuring
the silence of 3.5 characters.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from hal.drivers.codecs import crc16_modbus

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


@dataclass(frozen=True, slots=True)
class Refusal:
    """A unit's answer to what it cannot do: an exception code."""

    code: int

    def __str__(self) -> str:
        return f"exception {self.code} ({EXCEPTIONS.get(self.code, 'unknown')})"


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


def silence_s(baud: int) -> float:
    """Between two frames (Modbus over serial line 1.02, 2.5.1.1): 3.5 characters of 11 bits, at least 1.75 ms."""
    return max(3.5 * 11 / baud, 0.00175)
