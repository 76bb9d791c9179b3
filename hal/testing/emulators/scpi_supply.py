"""SCPI supplies with the physics of `Converter`: EA Elektro-Automatik PSB 10000, Delta Elektronika SM15K.

A value out of limits is ignored and queues an error; so does a command that is unknown, or that comes while
somebody else has control. One line after the other is carried out.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from hal.testing.emulators.emulator import Emulator
from hal.virtual.converter import Converter

ANSWER_S: Final = 0.003
QUEUE: Final = 10
_STEP_S: Final = 0.05

OUT_OF_RANGE: Final = (-222, "Data out of range")
CONFLICT: Final = (-221, "Settings conflict")
UNKNOWN: Final = (-113, "Undefined header")


class ScpiSupplyEmulator(Emulator):
    """The part all families share. `battery`: (V, Ohm) at the output, None for an open one.

    `alarm()` switches it off as a protection does. `limit_v` is a limit set at its front panel. `answer_s`: what
    it takes to carry out a line.
    """

    max_v, max_a, max_w = 1000.0, 60.0, 30_000.0

    def __init__(self) -> None:
        super().__init__()
        self.converter = Converter(
            max_v=self.max_v,
            max_a=self.max_a,
            max_w=self.max_w,
            import_max_a=self.max_a,
            import_max_w=self.max_w,
        )
        self.battery: tuple[float, float] | None = None
        self.limit_v = self.max_v
        self.answer_s = ANSWER_S
        self.commands: list[str] = []
        """Every line heard."""
        self.errors: deque[tuple[int, str]] = deque(maxlen=QUEUE)
        self.volts = self.source = self.sink = 0.0
        self._heard = bytearray()
        self._waiting: deque[tuple[float, str]] = deque()

    @property
    def on(self) -> bool:
        """Whether it converts."""
        return self.converter.on

    def alarm(self) -> None:
        """A protection trips."""
        self.converter.off()

    def forget(self) -> None:
        """Lose the set-points and go on."""
        self.volts = self.source = self.sink = 0.0
        self._adjust()

    # --- the carrier's part ---------------------------------------------------------------------

    @property
    def _due_s(self) -> float:
        line = self._waiting[0][0] - self.now if self._waiting else math.inf
        return max(0.0, min(line, _STEP_S))

    def _boot(self) -> None:
        self.converter.off()
        self.volts = self.source = self.sink = 0.0
        self.errors.clear()
        self._heard.clear()
        self._waiting.clear()

    def _hear(self, data: bytes) -> None:
        self._heard += data
        while b"\n" in self._heard:
            line, _, rest = bytes(self._heard).partition(b"\n")
            self._heard[:] = rest
            begin = max(self.now, self._waiting[-1][0] if self._waiting else self.now)
            self._waiting.append((begin + self.answer_s, line.decode("ascii", "replace").strip()))

    def _pass(self, dt: float) -> None:
        converter = self.converter
        converter.pass_time(dt)
        if self.battery is not None:
            emf_v, ohm = self.battery
            converter.load(emf_v, ohm, dt)
            converter.voltage_v = emf_v + converter.current_a * ohm
        else:
            converter.charge(converter.capacitance_f, converter.leak_s, dt)
        while self._waiting and self._waiting[0][0] <= self.now + 1e-9:
            line = self._waiting.popleft()[1]
            self.commands.append(line)
            answer = self._carry_out(line)
            if answer is not None:
                self._send(f"{answer}\n".encode())

    # --- a family's part ------------------------------------------------------------------------

    def _carry_out(self, line: str) -> str | None:
        """Do what a line says; the answer, if it is a question."""
        raise NotImplementedError

    def _switch(self, on: bool) -> None:
        if on:
            self.converter.on = True
            self._adjust()
        else:
            self.converter.off()

    def _adjust(self) -> None:
        """A source below its set-point, a sink above it, where the battery tells which."""
        if not self.converter.on:
            return
        above = self.battery is not None and self.battery[0] > self.volts
        sinking = self.sink > 0 and (above or not self.source)
        self.converter.drive(self.volts, -self.sink if sinking else self.source)

    def _accept(self, attribute: str, text: str, most: float, *, sign: int = 1) -> None:
        """Take a set-point within 0 ... `most`, or 0 ... -`most`."""
        try:
            value = sign * float(text)
        except ValueError:
            value = math.nan
        if not 0.0 <= value <= most:
            self.errors.append(OUT_OF_RANGE)
            return
        if attribute:
            setattr(self, attribute, value)
        self._adjust()


class EaPsb(ScpiSupplyEmulator):
    """PSB 10000. `local` True: somebody at the front panel does not let go of it."""

    local = False

    def _boot(self) -> None:
        super()._boot()
        self.remote = False

    @property
    def _owner(self) -> str:
        return "LOCAL" if self.local else "REMOTE" if self.remote else "NONE"

    def _carry_out(self, line: str) -> str | None:
        head, _, value = line.upper().partition(" ")
        if head.endswith("?"):
            return self._tell(head)
        if head == "*CLS":
            self.errors.clear()
        elif head == "SYST:LOCK":
            self.remote = value == "ON" and not self.local
            if value == "ON" and self.local:
                self.errors.append(CONFLICT)
        elif not self.remote or self.local:
            self.errors.append(CONFLICT)
        else:
            self._command(head, value)
        return None

    def _command(self, head: str, value: str) -> None:
        limits = {
            "VOLT": ("volts", self.limit_v),
            "CURR": ("source", self.max_a),
            "SINK:CURR": ("sink", self.max_a),
            "POW": ("", self.max_w),
            "SINK:POW": ("", self.max_w),
        }
        if head == "OUTP" and value in ("ON", "OFF"):
            self._switch(value == "ON")
        elif head in limits:
            attribute, most = limits[head]
            self._accept(attribute, value, most)
        else:
            self.errors.append(UNKNOWN)

    def _tell(self, head: str) -> str | None:
        volts, amps = self.converter.voltage_v, self.converter.current_a
        answers = {
            "*IDN?": "EA Elektro-Automatik, PSB 11000-60, 1234567890, V3.02",
            "SYST:LOCK:OWNER?": self._owner,
            "OUTP?": "ON" if self.on else "OFF",
            "MEAS:VOLT?": f"{volts:.1f}V",
            "MEAS:CURR?": f"{amps:.1f}A",
            "MEAS:ARR?": f"{volts:.1f}V, {amps:.1f}A, {volts * amps:.0f}W",
            "SYST:NOM:VOLT?": f"{self.max_v:g}V",
            "SYST:NOM:CURR?": f"{self.max_a:g}A",
            "SYST:NOM:POW?": f"{self.max_w:g}W",
        }
        if head == "SYST:ERR?":
            code, text = self.errors.popleft() if self.errors else (0, "No error")
            return f'{code},"{text}"'
        if head not in answers:
            self.errors.append(UNKNOWN)
        return answers.get(head)


class DeltaSm15k(ScpiSupplyEmulator):
    """SM15K, with its watchdog: any line within the time that was set, or the output goes off."""

    def _boot(self) -> None:
        super()._boot()
        self.remote: set[str] = set()
        self.watchdog_s = self.left_s = math.inf
        self.tripped = False

    @property
    def _due_s(self) -> float:
        return max(0.0, min(super()._due_s, self.left_s))

    def _hear(self, data: bytes) -> None:
        self.left_s = self.watchdog_s
        super()._hear(data)

    def _pass(self, dt: float) -> None:
        super()._pass(dt)
        self.left_s -= dt
        if self.left_s <= 1e-9:
            self.tripped, self.watchdog_s, self.left_s = True, math.inf, math.inf
            self.converter.off()

    def _carry_out(self, line: str) -> str | None:
        head, _, value = line.lower().partition(" ")
        if head.endswith("?"):
            return self._tell(head)
        if head == "*cls":
            self.errors.clear()
        elif head.startswith("system:remote:") and value == "ethernet":
            self.remote.add(head[-2:])
        elif head == "system:communicate:watchdog":
            self._watch(value)
        elif len(self.remote) < 3:
            self.errors.append(CONFLICT)
        else:
            self._command(head, value)
        return None

    def _watch(self, value: str) -> None:
        verb, _, text = value.partition(",")
        if verb == "set" and text.isdecimal() and 20 <= int(text) <= 10_000:
            self.watchdog_s = self.left_s = int(text) / 1000.0
            self.tripped = False
        else:
            self.errors.append(OUT_OF_RANGE)

    def _command(self, head: str, value: str) -> None:
        limits = {
            "source:voltage": ("volts", self.limit_v),
            "source:current": ("source", self.max_a),
            "source:power": ("", self.max_w),
        }
        negative = {
            "source:current:negative": ("sink", self.max_a),
            "source:power:negative": ("", self.max_w),
        }
        if head == "output" and value in ("0", "1"):
            self._switch(value == "1")
        elif head in limits:
            attribute, most = limits[head]
            self._accept(attribute, value, most)
        elif head in negative:
            attribute, most = negative[head]
            self._accept(attribute, value, most, sign=-1)
        else:
            self.errors.append(UNKNOWN)

    def _tell(self, head: str) -> str | None:
        answers = {
            "*idn?": "DELTA ELEKTRONIKA BV,SM1000-CP-60,000001234567,V1.23",
            "output?": str(int(self.on)),
            "measure:voltage?": f"{self.converter.voltage_v:.4f}",
            "measure:current?": f"{self.converter.current_a:.4f}",
            "source:voltage:maximum?": f"{self.max_v:.4f}",
            "source:current:maximum?": f"{self.max_a:.4f}",
            "source:current:negative:maximum?": f"{-self.max_a:.4f}",
            "source:power:maximum?": f"{self.max_w:.4f}",
            "source:power:negative:maximum?": f"{-self.max_w:.4f}",
        }
        if head == "system:error?":
            code, text = self.errors.popleft() if self.errors else (0, "None")
            return f"{code},{text}"
        if head == "system:communicate:watchdog?":
            left = 0 if self.tripped else -1 if self.watchdog_s == math.inf else round(self.watchdog_s * 1000)
            self.tripped = False
            return str(left)
        if head not in answers:
            self.errors.append(UNKNOWN)
        return answers.get(head)
