"""What is said on one connection, without the connection: octets and the time in, octets out.

A `Dialog` belongs to one port, and all devices behind that port share it (`driver.Driver`). It runs under any
clock: `link.Link` carries it over a serial port or TCP, tests carry it under virtual time. `RequestDialog` is the
dialog of a master that asks one thing at a time and is answered (Modbus, SCPI).

Whatever a device sends, a dialog never raises. What it hears wrong it ignores or asks again; where the device
stays silent, the fault "communication" stands and nothing is energised any more until somebody commands it anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from hal.errors import HalError, Kind
from hal.types import Fault, Severity

COMMUNICATION: Final = "communication"
"""Code of the fault of every device that does not answer."""
RESEND_S: Final = 1.0
"""What is wanted is said again at least so often: a device may have lost it without telling."""
RETRIES: Final = 2
PAUSE_S: Final = 0.02
"""Silence before a request is repeated, so that the rest of a broken answer has passed."""
MISSES: Final = 3
"""So many requests in a row without an answer, retries included, are the fault "communication"."""
BUFFER_LIMIT: Final = 4096
"""Octets of an answer that is not complete yet."""


class Line(Protocol):
    """What carries a dialog: a `Link`, or a wire under virtual time."""

    @property
    def now(self) -> float:
        """Monotonic seconds."""

    def flush(self) -> None:
        """Something was commanded: let the dialog work, send what it says, look at its deadline again."""

    async def enter(self, user: object) -> None:
        """Connect unless connected, and wait until the dialog is ready. Raises HalError."""

    async def leave(self, user: object) -> None:
        """`user` needs the connection no more; with the last one it ends. Never raises."""


class Part(Protocol):
    """What a dialog needs of a device on it; `driver.Driver` is the implementation."""

    @property
    def due(self) -> float:
        """When `tick` has something to do (s); inf for never."""

    @property
    def settled(self) -> bool:
        """Whether the hardware has confirmed what is wanted of it."""

    def tick(self, now: float) -> None:
        """End leases, supervise."""

    def forget(self) -> None:
        """Want nothing any more that energises: the hardware was restarted or is not heard."""

    def unknown(self) -> None:
        """Drop levels that mean nothing while the hardware is not heard."""

    def announce(self) -> None:
        """Tell the listeners if a level or a fault has changed."""


class Uncarried:
    """The line of a dialog that has none yet."""

    now: Final = 0.0

    def flush(self) -> None:
        """There is nowhere to send to."""

    async def enter(self, user: object) -> None:
        """Always HalError(CONFIGURATION)."""
        raise HalError(
            "device", Kind.CONFIGURATION, "its dialog has no line", next_step="Make a Link with it"
        )

    async def leave(self, user: object) -> None:
        """There is nothing to leave."""


class Dialog:
    """The base: state of the connection, and the order in which things happen.

    A kind of device overrides `_start` (the connection stands), `_hear` (octets came), `_work` (say what is to
    be said now; after everything that happens) and `_due`. It calls `_send`, `_met` once the device is identified
    and has been told its safe state, `_lose` when it is silent, and `_refuse` when it is not what it should be.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.parts: list[Part] = []
        self.line: Line = Uncarried()
        self.ready = False
        """Identified, told the safe state, and heard since."""
        self.refusal: HalError | None = None
        """Why this device cannot be used although it answers."""
        self.trouble: Fault | None = None
        """The fault "communication", while it stands."""
        self._out = bytearray()

    @property
    def deadline(self) -> float:
        """When `tick` is to be called (s); inf for never."""
        return min(self._due, *(part.due for part in self.parts), math.inf)

    @property
    def settled(self) -> bool:
        """Whether the hardware has confirmed what is wanted of it; a connection may be closed then."""
        return all(part.settled for part in self.parts)

    def opened(self, now: float) -> None:
        """The connection stands (again)."""
        self._out.clear()
        self.ready, self.refusal = False, None
        for part in self.parts:
            part.forget()
        self._start(now)
        self._after(now)

    def received(self, data: bytes, now: float) -> None:
        """Octets have come, in any portions, possibly garbage."""
        self._hear(data, now)
        self._after(now)

    def lost(self, reason: str, now: float) -> None:
        """The connection is gone; `reason` in plain words."""
        self._out.clear()
        self._lose(reason)
        self._announce()

    def ended(self) -> None:
        """The connection was closed on purpose: no fault, and nothing is known any more."""
        self._out.clear()
        self.ready, self.trouble = False, None
        for part in self.parts:
            part.forget()
            part.unknown()
        self._announce()

    def tick(self, now: float) -> None:
        """Time has passed, or something was commanded."""
        self._after(now)

    def to_send(self) -> bytes:
        """What is to go out; to be asked for after every call."""
        out = bytes(self._out)
        self._out.clear()
        return out

    # --- for a kind of device -------------------------------------------------------------------

    def _send(self, data: bytes) -> None:
        self._out += data

    def _met(self) -> None:
        """The device is identified and safe: commands count from now on."""
        if self.refusal is None:
            self.ready, self.trouble = True, None

    def _lose(self, reason: str) -> None:
        """The device is not heard: nothing is wanted of it any more until it is commanded anew."""
        self.ready = False
        self.trouble = Fault(COMMUNICATION, Severity.STOP, detail=reason)
        for part in self.parts:
            part.forget()
            part.unknown()

    def _refuse(self, why: str, next_step: str = "") -> None:
        """The device is not usable: `open` fails with this."""
        self.refusal = HalError(self.name, Kind.PROTOCOL, why, next_step=next_step)
        self._lose(why)

    def _start(self, now: float) -> None:
        """The connection stands: begin to identify the device."""

    def _hear(self, data: bytes, now: float) -> None:
        """Octets have come."""

    def _work(self, now: float) -> None:
        """Say what is to be said now."""

    @property
    def _due(self) -> float:
        """When `_work` has something to do without anything happening before."""
        return math.inf

    # --- the order ------------------------------------------------------------------------------

    def _after(self, now: float) -> None:
        for part in self.parts:
            part.tick(now)
        self._work(now)
        self._announce()

    def _announce(self) -> None:
        for part in self.parts:
            part.announce()


def _no_matter(*_: Any) -> None:
    """What is done about an answer nobody waits for."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked, and what becomes of the answer.

    `parse` takes all octets heard since the request and gives the answer, or None while it is not complete; it
    raises ValueError where they make no sense. Without `parse` no answer is expected.
    `done(answer, now)` and `failed(reason, now)` are called once, one of them, after all retries.
    """

    data: bytes
    parse: Callable[[bytes], Any] | None = None
    done: Callable[[Any, float], None] = _no_matter
    failed: Callable[[str, float], None] = _no_matter
    timeout_s: float = 0.5
    retries: int = RETRIES


class RequestDialog(Dialog):
    """Asks one thing at a time. `gap_s` is the least time between an answer and the next request.

    A kind of device overrides `_identify` and `_next`; it may override `_idle_until`.
    """

    def __init__(self, name: str, *, gap_s: float = 0.0) -> None:
        super().__init__(name)
        self._gap_s = gap_s
        self._buffer = bytearray()
        self._asked: Request | None = None
        self._tries = 0
        self._waiting = self._pressed = False
        self._until = -math.inf  # of the answer while waiting, else of the pause
        self._step = self._missed = 0

    def _identify(self, step: int) -> Request | None:
        """The request of this step (0, 1, ...) on the way to a device that is known and safe; None after the last.

        After a step that fails it begins again with 0.
        """
        return None

    def _next(self, now: float) -> Request | None:
        """What to ask now of a device that is ready: first what is wanted of it, then what is due to be read."""
        return None

    @property
    def _idle_until(self) -> float:
        """When `_next` will have something, if nothing is commanded before."""
        return math.inf

    def _start(self, now: float) -> None:
        self._asked, self._waiting, self._until = None, False, -math.inf
        self._step = self._missed = 0

    @property
    def _due(self) -> float:
        if self.refusal is not None:
            return math.inf
        if self._asked is not None or self._pressed or not self.ready:
            return self._until
        return max(self._until, self._idle_until)

    def _hear(self, data: bytes, now: float) -> None:
        request = self._asked
        if request is None or request.parse is None or not self._waiting:
            return
        self._buffer += data
        try:
            answer = request.parse(bytes(self._buffer))
        except ValueError as error:
            self._try_again(f"an answer that makes no sense ({error})", now)
            return
        if answer is not None:
            self._close(now)
            self._missed = 0
            request.done(answer, now)
        elif len(self._buffer) > BUFFER_LIMIT:
            self._try_again("an answer without an end", now)

    def _work(self, now: float) -> None:
        self._pressed = now < self._until  # what was commanded in a pause is looked at when it ends
        if self._pressed or self.refusal is not None:
            return
        if self._waiting:
            self._try_again("no answer", now)
        elif self._asked is not None:
            self._ask(self._asked, now)
        else:
            self._ask_next(now)

    def _ask_next(self, now: float) -> None:
        if self.ready:
            request = self._next(now)
        else:
            request = self._identify(self._step)
            if request is None:
                self._met()
                request = self._next(now)
        if request is not None:
            self._tries = 0
            self._ask(request, now)

    def _ask(self, request: Request, now: float) -> None:
        self._asked = request
        self._tries += 1
        self._buffer.clear()
        self._send(request.data)
        if request.parse is None:
            self._close(now)
            request.done(None, now)
        else:
            self._waiting, self._until = True, now + request.timeout_s

    def _close(self, now: float) -> None:
        """The request is answered."""
        self._asked, self._waiting, self._until = None, False, now + self._gap_s
        if not self.ready:
            self._step += 1

    def _try_again(self, reason: str, now: float) -> None:
        request = self._asked
        assert request is not None
        self._waiting, self._until = False, now + max(PAUSE_S, self._gap_s)
        if self._tries > request.retries:
            self._give_up(request, reason, now)

    def _give_up(self, request: Request, reason: str, now: float) -> None:
        self._asked = None
        self._missed += 1
        if not self.ready:
            self._step, self._until = 0, now + RESEND_S
        elif self._missed >= MISSES:
            self._lose(reason)
            self._step = self._missed = 0
        request.failed(reason, now)


class Polls:
    """What is asked again and again: `Polls(status=0.25, temperature=2.0)`, names with their periods (s)."""

    def __init__(self, **period_s: float) -> None:
        self._period_s = period_s
        self._due_at = dict.fromkeys(period_s, -math.inf)

    @property
    def due_at(self) -> float:
        """When something is due."""
        return min(self._due_at.values(), default=math.inf)

    def due(self, now: float) -> str | None:
        """The name that has waited longest of those due, or None."""
        name = min(self._due_at, key=lambda name: self._due_at[name], default=None)
        return name if name is not None and self._due_at[name] <= now else None

    def asked(self, name: str, now: float) -> None:
        """It is due again a period from now."""
        self._due_at[name] = now + self._period_s[name]

    def hasten(self, name: str) -> None:
        """It is due at once."""
        self._due_at[name] = -math.inf
