"""Bender isoCHA425HV as a unit on a Modbus line, measuring a resistance by the physics of `Monitor`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from hal.testing.emulators.modbus_slave import (
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    Refused,
    SlaveUnit,
    float_registers,
)
from hal.types import Check
from hal.virtual.insulation import RANGE_OHM, Monitor

_EXTERNAL: Final = 0b10 << 14
_DEVICE_ERROR: Final = 2 << 8
_LARGER: Final = 0b10 << 6
_INVALID: Final = 0b11 << 6
_OHM, _VOLT = 2, 4
_STEP_S: Final = 0.1


class BenderUnit(SlaveUnit):
    """`earth_ohm`: both poles in parallel; `output_v`: between the poles; `begin_s`: until a self test shows.

    The monitor's `test_fails` and `test_hangs` are its faults; `deaf` True: it confirms a self test and does none.
    `device_error` True: it reports an own error.
    """

    def __init__(self, *, firmware: int = 501) -> None:
        super().__init__()
        self.monitor = Monitor()
        self.firmware = firmware
        self.earth_ohm, self.output_v = 5_000_000.0, 0.0
        self.begin_s = 0.5
        self.deaf = self.device_error = False
        self._begin_left_s = math.inf

    @property
    def due_s(self) -> float:
        """It measures all the time."""
        return min(_STEP_S, self.monitor.due_s, self._begin_left_s)

    def boot(self) -> None:
        """Not measuring, no self test."""
        self.monitor.power_up()
        self._begin_left_s = math.inf

    def pass_time(self, dt: float) -> None:
        """Let this much time pass."""
        self.monitor.step(self.earth_ohm, dt)
        self._begin_left_s -= dt
        if self._begin_left_s <= 1e-9:
            self._begin_left_s = math.inf
            self.monitor.start_test()

    def read(self, function: int) -> Mapping[int, int]:
        """All it has."""
        if function != 3:
            return {}
        half = self.output_v / 2
        blocks = {
            1000: self._insulation(71),
            1008: [*float_registers(self.output_v), _VOLT, 76],
            1016: [*float_registers(half), _VOLT, 76],
            1020: [*float_registers(-half), _VOLT, 76],
            1028: self._insulation(71),
            3026: [int(self.monitor.measuring)],
            9820: [425, self.firmware, 2025, 3, 14, 1],
        }
        return {start + offset: word for start, words in blocks.items() for offset, word in enumerate(words)}

    def write(self, address: int, value: int) -> None:
        """Measuring on or off, self test."""
        if address == 3026:
            if value not in (0, 1):
                raise Refused(ILLEGAL_VALUE)
            self.monitor.connect(value == 1)
        elif address == 8005:
            if value != 0x5445:
                raise Refused(ILLEGAL_VALUE)
            if not self.deaf and self.monitor.check is not Check.RUNNING:
                self._begin_left_s = self.begin_s
        else:
            raise Refused(ILLEGAL_ADDRESS)

    def _insulation(self, channel: int) -> list[int]:
        monitor, ohm = self.monitor, self.monitor.reading_ohm
        state = _OHM
        if monitor.check is Check.RUNNING:
            state |= _EXTERNAL
        elif monitor.check is Check.FAILED or self.device_error:
            state |= _DEVICE_ERROR
        if ohm is None:
            state |= _INVALID
        elif ohm > RANGE_OHM:
            state |= _LARGER
        return [*float_registers(min(ohm or 0.0, RANGE_OHM)), state, channel]
