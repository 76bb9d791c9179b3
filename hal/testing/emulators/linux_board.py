"""A Linux board: the kernel's files for PWM and ADC with their rules, GPIO lines, and what hangs on them.

It stands in for `hal.drivers.linux_io.Files` (`files`) and `Lines` (`lines`). `gone`: the chips have vanished.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Callable
from typing import Final

from hal.testing.emulators.emulator import Emulator
from hal.types import ContactorState
from hal.virtual.pilot_line import PilotLine
from hal.virtual.relay import Bolt, Relay

PWM: Final = "sys/class/pwm/pwmchip0"
IIO: Final = "sys/bus/iio/devices"
ADC: Final = f"{IIO}/iio:device1"
SCALE: Final = 3300.0 / 4095
"""Millivolts a step of a 12-bit converter at 3.3 V."""
PUMP_S: Final = 0.3
"""So long the charge pump feeds the coil after the heartbeat has stopped."""
LEAST_S: Final = 1e-6
"""What is left of a time after rounding is over."""
PILOT_GAIN: Final = 4561 / 476
PILOT_OFFSET_V: Final = -16.013
DIVIDER: Final = 401.0
"""Of the voltage at the connector: 3.3 V at the converter are 1323 V."""
PULL_UP_OHM: Final = 1000.0
SERIES_OHM: Final = 220.0


class LinuxBoard(Emulator):
    """The hardware; without `pumped`, the coil is fed without a heartbeat, too."""

    def __init__(self, *, pumped: bool = True) -> None:
        super().__init__()
        self.wire, self.relay, self.bolt = PilotLine(), Relay(), Bolt()
        self.plug_ohm, self.celsius, self.capacitor_v = math.inf, 25.0, 12.0
        self.connector_v = 0.0
        self.pressed = False
        self.gone = False
        self.pumped = pumped
        self.pump_left_s = 0.0
        self.files, self.lines = KernelFiles(self), GpioLines(self)
        self.coil = False
        self._feed()

    @property
    def _due_s(self) -> float:
        pump_s = self.pump_left_s if self.pump_left_s > 0 else math.inf
        return max(LEAST_S, min(self.relay.due_s, self.bolt.due_s, pump_s))

    def _pass(self, dt: float) -> None:
        self.pump_left_s = max(0.0, self.pump_left_s - dt)
        self._feed()
        self.relay.step(dt)
        self.bolt.step(dt)

    def _feed(self) -> None:
        self.relay.enabled = not self.pumped or self.pump_left_s > 1e-9
        self.relay.command(self.coil)

    def oscillate(self, percent: float) -> None:
        """What the PWM gives reaches the pilot."""
        self.wire.duty = percent

    def output(self, name: str, active: bool, before: bool) -> None:
        """A line is driven."""
        if name == "HEARTBEAT" and active is not before:
            self.pump_left_s = PUMP_S
            self._feed()
        elif name == "COIL":
            self.coil = active
            self._feed()
        elif name in ("LOCK", "UNLOCK") and active:
            self.bolt.move(name == "LOCK")

    def input(self, name: str) -> bool:
        """A line is read."""
        if name == "MIRROR":
            return self.relay.feedback is ContactorState.CLOSED
        return self.pressed

    @property
    def channels(self) -> dict[int, Callable[[], float]]:
        """Volts at the converter's inputs."""
        return {
            0: lambda: (self.wire.high_v - PILOT_OFFSET_V) / PILOT_GAIN,
            1: lambda: (self.wire.low_v - PILOT_OFFSET_V) / PILOT_GAIN,
            2: self._proximity_v,
            3: lambda: {True: 0.4, False: 3.1, None: 1.8}[self.bolt.sense],
            4: lambda: self.capacitor_v * 22 / 90 / 2,
            5: lambda: self.connector_v / DIVIDER,
        }

    def _proximity_v(self) -> float:
        ohm = self.plug_ohm + SERIES_OHM
        return 3.3 if ohm == math.inf else 3.3 * ohm / (ohm + PULL_UP_OHM)

    def check(self) -> None:
        """OSError where the chips are not there."""
        if self.gone:
            raise OSError(errno.ENODEV, "No such device")


class KernelFiles:
    """The files: PWM chip 0 with one channel, an ADC `test-adc` and a thermometer `test-temp`."""

    def __init__(self, board: LinuxBoard) -> None:
        self._board = board
        self._pwm = {"period": "0", "duty_cycle": "0", "polarity": "normal", "enable": "0"}
        self.exported = False

    def read(self, path: str) -> str:
        """The content of a file."""
        self._board.check()
        directory, _, name = path.rpartition("/")
        if directory == f"{PWM}/pwm0" and self.exported:
            return self._pwm[name]
        if directory == ADC:
            return self._converter(name)
        content = {
            f"{IIO}/iio:device0/name": "test-temp",
            f"{IIO}/iio:device0/in_temp_raw": str(round(self._board.celsius * 16)),
            f"{IIO}/iio:device0/in_temp_scale": "62.5",
        }
        if path not in content:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        return content[path]

    def _converter(self, name: str) -> str:
        if name in ("name", "in_voltage_scale"):
            return "test-adc" if name == "name" else str(SCALE)
        channel = int(name.removeprefix("in_voltage").removesuffix("_raw"))
        raw = round(self._board.channels[channel]() * 1000.0 / SCALE)
        return str(min(max(raw, 0), 4095))

    def write(self, path: str, text: str) -> None:
        """Write a file; the kernel refuses what is impossible."""
        self._board.check()
        directory, _, name = path.rpartition("/")
        if path == f"{PWM}/export" and text == "0" and not self.exported:
            self.exported = True
        elif directory == f"{PWM}/pwm0" and self.exported:
            self._set(name, text)
        else:
            raise OSError(errno.EINVAL, "Invalid argument", path)

    def _set(self, name: str, text: str) -> None:
        now = {**self._pwm, name: text}
        if int(now["duty_cycle"]) > int(now["period"]) or (now["enable"] == "1" and now["period"] == "0"):
            raise OSError(errno.EINVAL, "Invalid argument", name)
        if name == "polarity" and self._pwm["enable"] == "1":
            raise OSError(errno.EBUSY, "Device or resource busy", name)
        self._pwm = now
        share = int(now["duty_cycle"]) / int(now["period"]) if now["enable"] == "1" else 0.0
        self._board.oscillate(100.0 * (share if now["polarity"] == "normal" else 1.0 - share))

    def exists(self, path: str) -> bool:
        """Whether there is such a file or directory."""
        if path in (PWM, f"{PWM}/pwm0"):
            return not self._board.gone and (path == PWM or self.exported)
        try:
            self.read(path)
        except (OSError, ValueError, KeyError):
            return False
        return True

    def names(self, path: str) -> list[str]:
        """What is in a directory."""
        if self._board.gone:
            return []
        return {IIO: ["iio:device0", "iio:device1"], "sys/class/pwm": ["pwmchip0"]}.get(path, [])


class GpioLines:
    """Lines by name, as a chip has them: HEARTBEAT, COIL, LOCK, UNLOCK, PEAK_RESET out, MIRROR, STOP in."""

    def __init__(self, board: LinuxBoard) -> None:
        self._board = board
        self.values: dict[str, bool] = {}
        self.taken: tuple[str, ...] = ()

    def open(self, outputs: tuple[str, ...], inputs: tuple[str, ...]) -> None:
        """Take the lines."""
        self._board.check()
        self.taken = (*outputs, *inputs)
        for name in outputs:
            self.set(name, False)

    def set(self, name: str, active: bool) -> None:
        """Drive an output."""
        self._board.check()
        self._require(name)
        before = self.values.get(name, False)
        self.values[name] = active
        self._board.output(name, active, before)

    def get(self, name: str) -> bool:
        """Read an input."""
        self._board.check()
        self._require(name)
        return self._board.input(name)

    def close(self) -> None:
        """Let go; outputs stay as they are."""
        self.taken = ()

    def _require(self, name: str) -> None:
        if name not in self.taken:
            raise OSError(errno.EPERM, f"the line {name} is not taken")
