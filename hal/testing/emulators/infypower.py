"""InfyPower modules on a CAN bus, version 1.13 or BEG1K075G, each with a `Converter` of its own.

    bus = InfyBus([InfyModule(0), InfyModule(1, family="beg1k075g")])

It hears and says records of frames (4 octets identifier with bit 31 for 29 bits, length, 8 octets of data).
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence
from typing import Final

from hal.testing.emulators.emulator import Emulator
from hal.virtual.converter import Converter

RECORD: Final = struct.Struct(">IB8s")
EXTENDED: Final = 1 << 31
SILENCE_S: Final = 10.0
"""A module that hears nothing for so long switches off."""
ANSWER_S: Final = 0.005
BOOT_S: Final = 3.0
STEP_S: Final = 0.02
LEAST_A: Final = 1.0
"""What a module that is on gives at least, whatever it is told."""


class InfyModule:
    """One module: 30 kW, 150 to 1000 V, 100 A; the BEG 22 kW, 200 to 1000 V, 73.3 A, both directions.

    `flags` are octets 5, 6, 7 of the status, besides the bits that follow from what it does.
    `dead`: it neither hears nor answers, and what it does goes on.
    """

    def __init__(self, number: int, *, family: str = "v1.13") -> None:
        self.number, self.bidirectional = number, family == "beg1k075g"
        watts, least_v, amps = (22_000.0, 200.0, 73.3) if self.bidirectional else (30_000.0, 150.0, 100.0)
        taken = amps if self.bidirectional else 0.0
        self.converter = Converter(max_v=1000.0, max_a=amps, max_w=watts, import_max_a=taken)
        self.least_v = least_v
        self.flags = [0, 0, 0]
        self.dead = False
        self.boot()

    def boot(self) -> None:
        """Power up: off, as a rectifier, without set-points."""
        self.converter.off()
        self.set_v = self.set_a = 0.0
        self.on = self.inverting = False
        self.quiet_s, self.starting_s = 0.0, BOOT_S

    def step(self, dt: float) -> None:
        """Let time pass."""
        self.quiet_s += dt
        self.starting_s = max(0.0, self.starting_s - dt)
        if self.quiet_s > SILENCE_S and self.on:
            self.switch(False)
        converter = self.converter
        converter.pass_time(dt)
        converter.charge(converter.capacitance_f, converter.leak_s, dt)

    def switch(self, on: bool) -> None:
        """On or off."""
        self.on = on
        self._apply()

    def set(self, volts: float, amps: float) -> None:
        """New set-points; less than it can regulate becomes the least it can."""
        self.set_v, self.set_a = volts, max(LEAST_A, amps)
        self._apply()

    def _apply(self) -> None:
        if not self.on:
            self.converter.off()
        elif self.set_v:
            self.converter.drive(self.set_v, -self.set_a if self.inverting else self.set_a)

    @property
    def state(self) -> bytes:
        """Octets 4 to 7 of the status."""
        return bytes([0, self.flags[0], self.flags[1] | (not self.on), self.flags[2]])

    # --- what is asked and told -----------------------------------------------------------------

    def answer_v1(self, command: int, data: bytes) -> bytes | None:
        """The data of the answer to a frame of version 1.13; None for no answer."""
        converter = self.converter
        if command == 0x03:
            return struct.pack(">2f", converter.voltage_v, converter.current_a)
        if command == 0x04:
            return bytes(4) + self.state
        if command == 0x0A:
            tens_w = int(converter.max_w / 10)
            return struct.pack(
                ">4H", int(converter.max_v), int(self.least_v), int(converter.max_a * 10), tens_w
            )
        if command == 0x1A:
            self.switch(data[0] == 0)
        elif command == 0x1C:
            millivolts, milliamps = struct.unpack(">2I", data)
            self.set(millivolts / 1000, milliamps / 1000)
        else:
            return None
        return data

    def read_beg(self, code: int) -> int | None:
        """The value of a code, or None for an unknown one."""
        converter = self.converter
        values = {
            0x1001: converter.voltage_v * 1000,
            0x1002: abs(converter.current_a) * 1000,
            0x1110: int.from_bytes(self.state),
            0x1111: self.inverting,
            0x1130: converter.max_v * 1000,
            0x1131: self.least_v * 1000,
            0x1132: converter.max_a * 1000,
            0x1133: converter.max_w * 1000,
        }
        return round(values[code]) if code in values else None

    def write_beg(self, code: int, value: int) -> int:
        """Carry out; returns the error, 0 for none."""
        if code == 0x1001:
            self.set(value / 1000, self.set_a)
        elif code == 0x1002:
            self.set(self.set_v, value / 1000)
        elif (code, value) in ((0x1110, 0xA0), (0x1110, 0xA1)):
            self.switch(value == 0xA0)
        elif (code, value) in ((0x2110, 0xA0), (0x2110, 0xA1)):
            if self.on:
                return 3
            self.inverting = value == 0xA1
        else:
            return 2
        return 0


class InfyBus(Emulator):
    """All modules on the bus, numbered from 0 in group 1; each answers a few milliseconds later."""

    def __init__(self, modules: Sequence[InfyModule], *, group: int = 1) -> None:
        super().__init__()
        self.modules, self.group = list(modules), group
        self._late: deque[tuple[float, bytes]] = deque()

    @property
    def _due_s(self) -> float:
        return min(STEP_S, self._late[0][0] - self.now) if self._late else STEP_S

    def _boot(self) -> None:
        self._late.clear()
        for module in self.modules:
            module.boot()

    def _pass(self, dt: float) -> None:
        for module in self.modules:
            module.step(dt)
        while self._late and self._late[0][0] <= self.now + 1e-9:
            self._send(self._late.popleft()[1])

    def _hear(self, data: bytes) -> None:
        for start in range(0, len(data) - RECORD.size + 1, RECORD.size):
            word, length, content = RECORD.unpack_from(data, start)
            if word & EXTENDED and length == 8 and word & 0xFF == 0xF0:
                self._frame(word & ~EXTENDED, content)

    def _frame(self, identifier: int, data: bytes) -> None:
        destination, command = identifier >> 8 & 0xFF, identifier >> 16 & 0x3F
        if identifier >> 22 & 0xF == 0xB:
            if destination == self.group and command == 0x02 and self.modules:
                self._answer(self.modules[0], command, bytes([0, 0, len(self.modules), 0, 0, 0, 0, 0]))
            return
        for module in self.modules:
            if destination in (module.number, 0x3F) and not module.dead and not module.starting_s:
                module.quiet_s = 0.0
                self._to_module(module, command, data)

    def _to_module(self, module: InfyModule, command: int, data: bytes) -> None:
        if not module.bidirectional:
            content = module.answer_v1(command, data)
            if content is not None:
                self._answer(module, command, content)
            return
        code, _, value = struct.unpack(">HHI", data)
        if command == 0x24:
            self._answer(module, command, data, module.write_beg(code, value))
        elif command == 0x23:
            shown = module.read_beg(code)
            error = 2 if shown is None else 0
            self._answer(module, command, struct.pack(">HHI", code, 0, shown or 0), error)

    def _answer(self, module: InfyModule, command: int, data: bytes, error: int = 0) -> None:
        identifier = error << 26 | 0xA << 22 | command << 16 | 0xF0 << 8 | module.number
        when = max(self.now + ANSWER_S, self._late[-1][0] if self._late else 0.0)
        self._late.append((when, RECORD.pack(identifier | EXTENDED, 8, data)))
