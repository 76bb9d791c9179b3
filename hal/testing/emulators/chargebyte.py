"""Safety controller of a chargebyte board (Charge SOM): pilot, up to three contactors, inputs, thermometers.

After switching on it takes 0.3 s, then answers inquiries and says nothing by itself until the first command.
From then on it reports ten times a second, and goes to its safe state where the host is silent for a second, an
input trips, a contact is too hot or the pilot is shorted. Only switching it off and on ends that.
"""

from __future__ import annotations

import math
from typing import Final

from hal.drivers.codecs import crc8_j1850
from hal.pilot_levels import ampacity_a
from hal.testing.emulators.emulator import Emulator
from hal.testing.emulators.outlet import Outlet
from hal.types import ContactorState, CpState

STARTUP_S: Final = 0.3
REPORT_S: Final = 0.1
HOST_S: Final = 1.0
SELF_TEST_S: Final = 0.8
HOT_C: Final = 90.0

_STATE_BITS: Final = {state: bits for bits, state in enumerate(CpState, start=1)}
_CABLE_BITS: Final = {0.0: 0, 13.0: 1, 20.0: 2, 32.0: 3, 63.0: 4, None: 7}
_POSITION_BITS: Final = {ContactorState.UNKNOWN: 0, ContactorState.OPEN: 1, ContactorState.CLOSED: 2}
_UNUSED: Final = 3


def frame(identifier: int, content: bytes) -> bytes:
    """A frame as the board sends it."""
    inner = bytes([identifier, *content])
    return b"\xa5" + inner + bytes([crc8_j1850(inner)]) + b"\x03"


class SafetyController(Emulator):
    """The board. `emergency`, `rcm_error`: inputs; `celsius`: of the four channels, None where there is none."""

    version = bytes([1, 2, 3, 0x81, 3, 0, 1, 0])

    def __init__(self) -> None:
        super().__init__()
        self.outlet = Outlet()
        self.emergency: list[bool | None] = [False, False, None]
        self.rcm_error = False
        self.celsius: list[float | None] = [25.0, 25.0, None, None]
        self.broken_thermometer: int | None = None
        self.reason = 0
        self.heard: list[tuple[int, bytes]] = []
        self._line = b""
        self._boot()

    # --- hardware -------------------------------------------------------------------------------

    def _boot(self) -> None:
        self.reason, self._close, self._duty_tenths, self._pwm = 0, False, 0, False
        self._startup_s, self._host_s, self._report_s, self._test_s = STARTUP_S, math.inf, math.inf, math.inf
        self._line = b""
        self.outlet.pilot.forget()
        self._drive()

    @property
    def _due_s(self) -> float:
        return min(self._startup_s, self._host_s, self._report_s, self._test_s, self.outlet.due_s)

    def _pass(self, dt: float) -> None:
        self.outlet.step(dt)
        self._startup_s = _left(self._startup_s, dt)
        self._host_s, self._report_s, self._test_s = self._host_s - dt, self._report_s - dt, self._test_s - dt
        if self._startup_s == 0.0:
            self._startup_s = math.inf
        if self._test_s <= 1e-9:
            self._test_s = math.inf
        if self._report_s != math.inf:
            self._protect()
        self._drive()
        if self._report_s <= 1e-9:
            self._report_s = REPORT_S
            self._report()

    def _protect(self) -> None:
        if self._host_s <= 1e-9:
            self._host_s = math.inf
            self._safe(2)
        for number, pressed in enumerate(self.emergency):
            if pressed:
                self._safe(16 + number)
        for channel, celsius in enumerate(self.celsius):
            if celsius is not None and celsius > HOT_C:
                self._safe(7 + channel)
        if self.rcm_error:
            self._safe(20)
        if self.outlet.fault:
            self._safe(13 if self.outlet.fault == "pilot_short" else 14)

    def _safe(self, reason: int) -> None:
        self.reason = self.reason or reason

    def _drive(self) -> None:
        """Contactor and oscillator follow."""
        state = self.outlet.state
        self.outlet.relay.command(self._close and not self.reason and state is not None and state.ready)
        self.outlet.line.duty = self._duty_tenths / 10 if self._pwm and not self.reason else 0.0

    # --- frames ---------------------------------------------------------------------------------

    def _hear(self, data: bytes) -> None:
        self._line = (self._line + data)[-4096:]
        while (at := self._line.find(b"\xa5")) >= 0 and len(self._line) >= at + 12:
            raw = self._line[at : at + 12]
            if raw[11] == 3 and raw[10] == crc8_j1850(raw[1:10]):
                self._line = self._line[at + 12 :]
                self._obey(raw[1], raw[2:10])
            else:
                self._line = self._line[at + 1 :]

    def _obey(self, identifier: int, content: bytes) -> None:
        if self._startup_s != math.inf:
            return
        self.heard.append((identifier, content))
        if identifier == 0x06:
            self._pwm = bool(content[0] & 0x80)
            self._duty_tenths = (content[0] & 3) << 8 | content[1]
            self._close = bool(content[2] & 7)
            self._host_s = HOST_S
            if self._report_s == math.inf:
                self._report_s = REPORT_S
            self._drive()
        elif identifier == 0xFF and content[0] == 0x0A:
            self._send(frame(0x0A, self.version))
        elif identifier == 0xFF and content[:2] == b"\xfe\x01":
            self._test_s = SELF_TEST_S
            self._send(frame(0xFE, bytes([1, 0, 0, 0, 0, 0, 0, 0])))

    def _report(self) -> None:
        outlet = self.outlet
        duty = 0 if self.reason else self._duty_tenths
        head = (0x80 if self._pwm and not self.reason else 0) | (0x04 if self.reason else 0)
        pilot = _STATE_BITS.get(outlet.state, 0) if outlet.state else 0
        pilot |= {"pilot_short": 8, "diode_fault": 16}.get(outlet.fault, 0)
        contactors = _POSITION_BITS[outlet.relay.feedback] | _UNUSED << 2 | _UNUSED << 4
        inputs = 0
        for number, pressed in enumerate(self.emergency):
            inputs |= (_UNUSED if pressed is None else int(pressed)) << 2 * number
        monitor = 3 if self.rcm_error else 2 if self._test_s != math.inf else 1
        content = bytes(
            [
                head | duty >> 8,
                duty & 0xFF,
                pilot,
                _CABLE_BITS[ampacity_a(outlet.plug_ohm)],
                contactors,
                inputs | monitor << 6,
                self.reason,
                0,
            ]
        )
        self._send(frame(0x07, content))
        self._send(frame(0x08, b"".join(self._channel(number) for number in range(4))))

    def _channel(self, number: int) -> bytes:
        celsius = self.celsius[number]
        tenths = 0x1FFF if celsius is None else round(celsius * 10) & 0x3FFF
        flags = int(self.reason == 7 + number) | 2 * (self.broken_thermometer == number)
        return (tenths << 2 | flags).to_bytes(2, "big")


def _left(seconds: float, dt: float) -> float:
    return max(0.0, seconds - dt) if seconds - dt > 1e-9 else 0.0
