"""A driver from data sheet to passing suite: a box with a contactor, its emulator, and the promises it keeps.

    RelayBox data sheet (the device does not exist)
    Serial, 9600 8N1. One line up, one line down. A line ends with *hh and LF; hh is the exclusive or of all
    octets before the star, as two hexadecimal digits. Answers take 20 ms; after power-up it is silent for 2 s.
      ID    answer RB1
      ON    energise the coil; answer ON. To be repeated within 3 s, otherwise the box opens by itself.
      OFF   answer OFF
      ST    answer ST c m: coil and mirror contact, 0 or 1

docs/write-a-driver.md explains it step by step.
"""

import math

from hal.drivers.codecs import xor8
from hal.drivers.dialog import RESEND_S, Polls, Request, RequestDialog
from hal.drivers.driver import LeasedDriver
from hal.drivers.link import Link
from hal.safety import FEEDBACK_S, NOT_CLOSING, WELDED, Contactor
from hal.testing import behaviours
from hal.testing.emulators.emulator import Emulator
from hal.testing.noise import Noise
from hal.testing.wire import Wire, WiredRig
from hal.types import LEASE_S, ContactorState
from hal.virtual.relay import Relay

# --- the driver: what would be hal/drivers/relaybox.py ------------------------------------------


def line(text):
    """A line as it goes out."""
    return f"{text}*{xor8(text.encode()):02X}\n".encode()


def words(data):
    """The words of an answer; None while it is not complete, ValueError where it is spoilt."""
    if not data.endswith(b"\n"):
        return None
    text, _, check = data[:-1].decode("ascii").rpartition("*")
    if int(check, 16) != xor8(text.encode()):
        raise ValueError("wrong check")
    return text.split()


def ask(word, done=lambda *_: None):
    """A request; `done` gets the words of the answer. Short timeouts: a loss must show before a restart is over."""
    return Request(line(word), words, done, timeout_s=0.1)


class RelayBox(RequestDialog):
    """What is said to the box. It knows no port and no clock: octets and the time go in, octets come out."""

    def __init__(self, name):
        super().__init__(name)
        self.contactor = BoxContactor(name, self)
        self.polls = Polls(status=0.1)
        self.said, self.said_at = "", -math.inf

    def _identify(self, step):
        """First who it is, then the safe state, then how it is. Commands count only after that."""
        if step == 0:
            return ask("ID", self.identified)
        if step == 1:
            return self.say("OFF", self.line.now)
        return ask("ST", self.status) if step == 2 else None

    def _next(self, now):
        """What is wanted comes before what is due to be read, and is said again each second."""
        wanted = "ON" if self.contactor.leased(now) else "OFF"
        if wanted != self.said or now >= self.said_at + RESEND_S:
            return self.say(wanted, now)
        if self.polls.due(now):
            self.polls.asked("status", now)
            return ask("ST", self.status)
        return None

    @property
    def _idle_until(self):
        """When `_next` will have something, if nothing is commanded before."""
        return min(self.polls.due_at, self.said_at + RESEND_S)

    def say(self, word, now):
        self.said, self.said_at = word, now
        return ask(word)

    def identified(self, answer, now):
        if answer != ["RB1"]:
            self._refuse(f"it says {answer}", "Is this another device?")

    def status(self, answer, now):
        match answer:
            case ["ST", ("0" | "1") as coil, ("0" | "1") as mirror]:
                self.contactor.told(coil == "1", mirror == "1", self.said == "ON", now)


class BoxContactor(LeasedDriver):
    """The device: levels that the dialog fills, commands that it carries out, leases from `LeasedDriver`."""

    def __init__(self, name, dialog):
        super().__init__(name, dialog)
        self._state = ContactorState.UNKNOWN
        self._coil = False
        self._differs_at = math.inf

    @property
    def state(self):
        return self._state

    @property
    def wanted(self):
        return self.leased(self._now)

    def close_contacts(self, *, lease_s=LEASE_S):
        self._energise(lease_s)

    def open_contacts(self):
        self._release()

    def told(self, coil, mirror, said_on, now):
        """The box says how it is."""
        if self._coil and not coil and said_on:
            self.forget()  # it has restarted, or its watchdog has acted: never on again by itself
        if mirror is coil or coil is not self._coil:
            self._differs_at = math.inf
        self._differs_at = min(self._differs_at, now if mirror is not coil else math.inf)
        if now >= self._differs_at + FEEDBACK_S:
            self.blame(NOT_CLOSING if coil else WELDED)
            self.forget()
        self._coil = coil
        self._set("_state", ContactorState.CLOSED if mirror else ContactorState.OPEN)

    @property
    def settled(self):
        """Whether the hardware has confirmed what is wanted; `close` waits for it."""
        return self._coil is self.wanted and self._coil is (self._state is ContactorState.CLOSED)

    def unknown(self):
        """The box is not heard: what it told means nothing any more."""
        self._set("_state", ContactorState.UNKNOWN)

    def _persists(self, code):
        return code == WELDED.code and self._state is not ContactorState.OPEN


def relaybox(url, *, name=""):
    """The factory, for the registry or an entry point."""
    dialog = RelayBox(name or f"relaybox@{url}")
    Link(url, dialog, baud=9600)
    return dialog.contactor


# --- the emulator: what would be hal/testing/emulators/relaybox.py ------------------------------


class EmulatedBox(Emulator):
    """Written from the data sheet, not from the driver; the contactor is the bench's own."""

    def __init__(self):
        super().__init__()
        self.relay = Relay()
        self.heard = b""

    def _boot(self):
        self.heard, self.quiet_s, self.ready_at = b"", 0.0, self.now + 2.0
        self.relay.command(False)

    @property
    def _due_s(self):
        patience = max(1e-6, 3.0 - self.quiet_s) if self.relay.wanted else math.inf
        return min(self.relay.due_s, patience)

    def _pass(self, dt):
        self.quiet_s += dt
        if self.quiet_s >= 3.0 - 1e-9:
            self.relay.command(False)
        self.relay.step(dt)

    def _hear(self, data):
        if self.now < self.ready_at:
            return
        *lines, self.heard = (self.heard + data).split(b"\n")
        for text in lines:
            word = text.partition(b"*")[0]
            if text == word + b"*%02X" % xor8(word):
                self.answer(word.decode())

    def answer(self, word):
        if word == "ON":
            self.quiet_s = 0.0
        if word in ("ON", "OFF"):
            self.relay.command(word == "ON")
        closed = self.relay.feedback is ContactorState.CLOSED
        said = {"ID": "RB1", "ST": f"ST {self.relay.wanted:d} {closed:d}"}.get(word, word)
        self._send(b"%s*%02X\n" % (said.encode(), xor8(said.encode())))


# --- the test: what would be tests/hw/test_relaybox.py ------------------------------------------


class Truth:
    """What is physically the case, and what a test can break."""

    def __init__(self, box):
        self.relay = box.relay

    @property
    def closed(self):
        return self.relay.closed

    @property
    def safe(self):
        return not self.relay.closed

    def weld(self):
        self.relay.welded = True

    def stick(self):
        self.relay.stuck_open = True


LINES = {
    "clean": Noise(),
    "one octet at a time": Noise(octet_s=0.001),
    "20 % lost, 30 % spoilt": Noise(seed=2, lost=0.2, corrupted=0.3),
}


def rig(noise):
    """Driver and emulator joined by a virtual wire; opened."""
    box, dialog = EmulatedBox(), RelayBox("box")
    wire = Wire(dialog, box, noise=noise, open_s=30.0)
    times = {"settle_s": 5.0, "noticed_s": 8.0, "watchdog_s": 3.5, "reconnect_s": 10.0}
    return WiredRig(wire, dialog.contactor, Truth(box), **times)


def main():
    for name, noise in LINES.items():
        suite = behaviours(Contactor)
        for behaviour in suite:
            behaviour(rig(noise))
        print(f"{name}: all {len(suite)} promises of a contactor are kept")


if __name__ == "__main__":
    main()
