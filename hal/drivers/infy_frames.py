"""Frames of InfyPower modules, of both families, as tables: what is read, how it is decoded, what is written.

    identifier = error << 26 | device << 22 | command << 16 | destination << 8 | source

Version 1.13 has a command per matter; the bidirectional BEG1K075G has one command to read and one to write, and
the matter is a code in the first two octets. Values are big-endian.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from hal.drivers.can_port import Frame, unpack
from hal.types import Fault, Severity

CONTROLLER: Final = 0xF0
"""Address of the one who asks."""
EVERYBODY: Final = 0x3F
"""Address of all modules; those of single ones are smaller."""
SINGLE: Final = 0x0A
"""Device number of a frame to one module."""
GROUP: Final = 0x0B
"""Device number of a frame to a group."""
STARTING: Final = 7
ERRORS: Final = MappingProxyType(
    {2: "the command is unknown", 3: "the data are invalid", STARTING: "it is starting"}
)
"""What the error field of an answer says."""
COUNT: Final = 0x02
"""Command: how many modules a group has; they are numbered from 0."""


class Identifier(NamedTuple):
    """The fields of an identifier."""

    source: int
    destination: int
    command: int
    device: int = SINGLE
    error: int = 0

    @classmethod
    def split(cls, identifier: int) -> Identifier:
        """The fields of these 29 bits."""
        return cls(
            identifier & 0xFF,
            identifier >> 8 & 0xFF,
            identifier >> 16 & 0x3F,
            identifier >> 22 & 0xF,
            identifier >> 26 & 0x7,
        )

    def join(self) -> int:
        """As 29 bits."""
        low = self.command << 16 | self.destination << 8 | self.source
        return self.error << 26 | self.device << 22 | low


def to_module(module: int, command: int, data: bytes, device: int = SINGLE) -> Frame:
    """A frame from the controller, its data filled up with zeros."""
    return Frame(Identifier(CONTROLLER, module, command, device).join(), data.ljust(8, b"\0"))


class Status(NamedTuple):
    """What a module tells of itself: whether its output is on, codes of what is wrong."""

    on: bool
    faults: frozenset[str]


OUTPUT_OFF: Final = (6, 0)
"""(octet, bit) of the status: the output is off."""
FAULTS: Final = (
    (7, 0, Fault("output_short", Severity.STOP)),
    (7, 5, Fault("discharge_failed", Severity.STOP)),
    (6, 1, Fault("module_fault", Severity.STOP)),
    (6, 2, Fault("module_protection", Severity.STOP)),
    (6, 3, Fault("fan_failed", Severity.WARNING)),
    (6, 4, Fault("over_temperature", Severity.STOP)),
    (6, 5, Fault("output_over_voltage", Severity.STOP)),
    (6, 7, Fault("module_communication", Severity.STOP)),
    (5, 1, Fault("module_number_conflict", Severity.STOP)),
    (5, 2, Fault("current_sharing", Severity.WARNING)),
    (5, 3, Fault("phase_lost", Severity.STOP)),
    (5, 4, Fault("input_imbalance", Severity.WARNING)),
    (5, 5, Fault("input_under_voltage", Severity.STOP)),
    (5, 6, Fault("input_over_voltage", Severity.STOP)),
)
"""(octet, bit, fault) of the status. Not faults: asleep, walking in, limiting its power, power factor corrector off."""


def _status(data: bytes) -> dict[str, Any]:
    octet, bit = OUTPUT_OFF
    wrong = frozenset(fault.code for octet, bit, fault in FAULTS if data[octet] >> bit & 1)
    return {"status": Status(not data[octet] >> bit & 1, wrong)}


def _output(data: bytes) -> dict[str, Any]:
    volts, amps = struct.unpack(">ff", data)
    if not (math.isfinite(volts) and math.isfinite(amps)):
        raise ValueError("an output that is no number")
    return {"voltage_v": volts, "current_a": amps}


def _capability(data: bytes) -> dict[str, Any]:
    most_v, least_v, tenths_a, tens_w = struct.unpack(">4H", data)
    return {"max_v": float(most_v), "min_v": float(least_v), "max_a": tenths_a / 10, "max_w": tens_w * 10.0}


def _milli(name: str) -> Callable[[bytes], dict[str, Any]]:
    return lambda data: {name: int.from_bytes(data[4:8]) / 1000.0}


@dataclass(frozen=True, slots=True)
class Item:
    """Something a module can be asked: command, first octets of question and answer, and what the answer says.

    `decode` takes the eight octets of the answer; ValueError where they make no sense.
    """

    command: int
    code: bytes
    decode: Callable[[bytes], dict[str, Any]]

    def question(self, module: int) -> bytes:
        """As a record for the bus."""
        return to_module(module, self.command, self.code).pack()

    def answer(self, module: int, records: bytes) -> dict[str, Any] | None:
        """What the module says about it among these records; None while it does not.

        ValueError where it says that something is wrong, or what makes no sense.
        """
        for sender, frame in to_controller(records):
            asked = sender.source == module and sender.command == self.command
            if asked and frame.data.startswith(self.code):
                if sender.error:
                    raise ValueError(ERRORS.get(sender.error, f"error {sender.error}"))
                return self.decode(frame.data)
        return None


def to_controller(records: bytes) -> Iterator[tuple[Identifier, Frame]]:
    """Whole frames to the controller; others on the bus are not for us."""
    for frame in unpack(records):
        sender = Identifier.split(frame.identifier)
        if sender.destination == CONTROLLER and frame.extended and len(frame.data) == 8:
            yield sender, frame


def group_size(records: bytes) -> int | None:
    """How many modules the group has that was asked, or None while nobody has said so."""
    for sender, frame in to_controller(records):
        if sender.command == COUNT:
            if not frame.data[2]:
                raise ValueError("a group without modules")
            return frame.data[2]
    return None


@dataclass(frozen=True, slots=True)
class Family:
    """How one family of modules is spoken to.

    `ratings` and `polls` (with periods, s) name what is read, out of `items`. `set(V, A)` are the commands, with
    their data, that set a module; currents are rounded down. `switch` is the command to switch it, `off` and `on`
    its data. `writes` are all commands that change something.
    """

    items: Mapping[str, Item]
    ratings: tuple[str, ...]
    polls: Mapping[str, float]
    writes: frozenset[int]
    switch: int
    off: bytes
    on: bytes
    set: Callable[[float, float], tuple[tuple[int, bytes], ...]]
    gap_s: float
    inverter: tuple[bytes, bytes] | None = None
    """Data that make it a rectifier, an inverter; None where it is always the first."""


def _milli_pair(volts: float, amps: float) -> bytes:
    return struct.pack(">II", round(volts * 1000), int(amps * 1000 + 1e-6))


def _word(code: int, value: int) -> bytes:
    return struct.pack(">HHI", code, 0, value)


V1_13: Final = Family(
    items={
        "output": Item(0x03, b"", _output),
        "status": Item(0x04, b"", _status),
        "capability": Item(0x0A, b"", _capability),
    },
    ratings=("capability",),
    polls={"output": 0.2, "status": 0.25},
    writes=frozenset({0x1A, 0x1C}),
    switch=0x1A,
    off=b"\1" + bytes(7),
    on=bytes(8),
    set=lambda volts, amps: ((0x1C, _milli_pair(volts, amps)),),
    gap_s=0.01,
)
BEG1K075G: Final = Family(
    items={
        "voltage": Item(0x23, b"\x10\x01", _milli("voltage_v")),
        "current": Item(0x23, b"\x10\x02", _milli("current_a")),
        "status": Item(0x23, b"\x11\x10", _status),
        "direction": Item(0x23, b"\x11\x11", lambda data: {"inverting": bool(data[7] & 1)}),
        "most_volts": Item(0x23, b"\x11\x30", _milli("max_v")),
        "least_volts": Item(0x23, b"\x11\x31", _milli("min_v")),
        "amps": Item(0x23, b"\x11\x32", _milli("max_a")),
        "watts": Item(0x23, b"\x11\x33", _milli("max_w")),
    },
    ratings=("most_volts", "least_volts", "amps", "watts"),
    polls={"voltage": 0.3, "current": 0.3, "status": 0.3, "direction": 0.6},
    writes=frozenset({0x24}),
    switch=0x24,
    off=_word(0x1110, 0xA1),
    on=_word(0x1110, 0xA0),
    set=lambda volts, amps: (
        (0x24, _word(0x1001, round(volts * 1000))),
        (0x24, _word(0x1002, int(amps * 1000 + 1e-6))),
    ),
    gap_s=0.05,
    inverter=(_word(0x2110, 0xA0), _word(0x2110, 0xA1)),
)
FAMILIES: Final = MappingProxyType({"v1.13": V1_13, "beg1k075g": BEG1K075G})
