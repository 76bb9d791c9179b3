"""A small device with a line-based protocol, its emulator and its driver, to test what drivers are built on."""

from __future__ import annotations

import math

from hal.drivers.codecs import xor8
from hal.drivers.dialog import Polls, Request, RequestDialog
from hal.drivers.driver import LeasedDriver
from hal.testing.emulators.emulator import Emulator
from hal.types import LEASE_S, NOTHING, Fault, Sample, Severity


class ToyDevice(Emulator):
    """`ID` -> `TOY`, `ON` and `OFF` -> `OK`, `READ` -> a number. Off by itself 2 s after the last word.

    Answers end with their checksum, in hexadecimal behind a star.
    """

    identity = b"TOY"

    def __init__(self) -> None:
        super().__init__()
        self.on = False
        self.value = 42.0
        self.words: list[bytes] = []
        self._rest = b""
        self._left_s = math.inf

    def _boot(self) -> None:
        self.on, self._rest, self._left_s = False, b"", math.inf

    @property
    def _due_s(self) -> float:
        return self._left_s

    def _pass(self, dt: float) -> None:
        self._left_s -= dt
        if self._left_s <= 1e-9:
            self.on, self._left_s = False, math.inf

    def _hear(self, data: bytes) -> None:
        *words, self._rest = (self._rest + data).split(b"\n")
        for word in words:
            self.words.append(word)
            self._left_s = 2.0
            if word in (b"ON", b"OFF"):
                self.on = word == b"ON"
            answers = {b"ID": self.identity, b"ON": b"OK", b"OFF": b"OK", b"READ": b"%.1f" % self.value}
            if answer := answers.get(word):
                self._send(b"%s*%02X\n" % (answer, xor8(answer)))


def _line(data: bytes) -> bytes | None:
    line, end, rest = data.partition(b"\n")
    if not end:
        return None
    word, _, check = line.rpartition(b"*")
    if rest or check != b"%02X" % xor8(word):
        raise ValueError("no line with a checksum")
    return word


def _ok(data: bytes) -> bytes | None:
    word = _line(data)
    if word not in (None, b"OK"):
        raise ValueError(f"not OK but {word!r}")
    return word


def _number(data: bytes) -> float | None:
    word = _line(data)
    return None if word is None else float(word)


class ToyDialog(RequestDialog):
    """Identifies, switches off, then follows the drivers and reads once a second."""

    def __init__(self) -> None:
        super().__init__("toy", gap_s=0.001)
        self.polls = Polls(read=0.5)
        self.driver = ToyDriver(self)

    def _identify(self, step: int) -> Request | None:
        if step == 0:
            return Request(b"ID\n", _line, self._identified)
        return Request(b"OFF\n", _ok, self.driver.confirm_off) if step == 1 else None

    def _identified(self, answer: bytes, now: float) -> None:
        if answer != b"TOY":
            self._refuse(f"not a toy but {answer!r}", "Connect a toy")

    def _next(self, now: float) -> Request | None:
        driver = self.driver
        if driver.wanted(now) != driver.told:
            word = b"ON\n" if driver.wanted(now) else b"OFF\n"
            return Request(word, _ok, driver.confirm_on if driver.wanted(now) else driver.confirm_off)
        if self.polls.due(now):
            self.polls.asked("read", now)
            return Request(b"READ\n", _number, driver.take)
        return None

    @property
    def _idle_until(self) -> float:
        return self.polls.due_at


class ToyDriver(LeasedDriver):
    """Switches the toy."""

    def __init__(self, dialog: ToyDialog) -> None:
        super().__init__("toy", dialog)
        self.value = NOTHING
        self.told: bool | None = None

    def wanted(self, now: float) -> bool:
        """Whether it is to be on."""
        return self.leased(now)

    def switch_on(self, *, lease_s: float = LEASE_S) -> None:
        """On."""
        self._energise(lease_s)

    def switch_off(self) -> None:
        """Off."""
        self._release()

    def trip(self) -> None:
        """A latched fault."""
        self.blame(Fault("tripped", Severity.STOP, latched=True))

    @property
    def settled(self) -> bool:
        return self.told is False

    def unknown(self) -> None:
        self.told = None

    def confirm_on(self, _: bytes, now: float) -> None:
        """It says that it is on."""
        self._set("told", True)

    def confirm_off(self, _: bytes, now: float) -> None:
        """It says that it is off."""
        self._set("told", False)

    def take(self, value: float, now: float) -> None:
        """It says a value."""
        self._set("value", Sample(value, now))
