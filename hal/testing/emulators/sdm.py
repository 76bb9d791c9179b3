"""Eastron SDM630, SDM72 and SDM230 as units on a Modbus line."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hal.testing.emulators.modbus_slave import SlaveUnit, float_registers
from hal.virtual.gauges import Registers


class SdmUnit(SlaveUnit):
    """Counts in `registers`; `power_w` + is towards the outlet. `single_phase`: an SDM230.

    Fault: `nan` True, it tells no number for what it has counted.
    """

    def __init__(self, registers: Registers | None = None, *, single_phase: bool = False) -> None:
        super().__init__()
        self.registers = registers or Registers()
        self.power_w = 0.0
        self.nan = False
        self.voltages_v = (230.2, 229.9, 230.7)
        self._single_phase = single_phase

    @property
    def due_s(self) -> float:
        """Until it publishes again."""
        return self.registers.due_s

    def pass_time(self, dt: float) -> None:
        """Count what flows."""
        self.registers.add(self.power_w * dt / 3600.0)
        self.registers.step(self.power_w, dt)

    def read(self, function: int) -> Mapping[int, int]:
        """Input registers."""
        if function != 4:
            return {}
        shown = self.registers
        values = dict(zip((0, 2, 4), self.voltages_v, strict=True))
        values |= {
            72: math.nan if self.nan else shown.shown_import_wh / 1000.0,
            74: shown.shown_export_wh / 1000.0,
        }
        values[12 if self._single_phase else 52] = shown.shown_w
        return {
            address + offset: word
            for address, value in values.items()
            for offset, word in enumerate(float_registers(value))
        }
