"""The asyncio pump for any Machine: feed it, drain it, re-arm one timer.

A driver knows neither sockets nor controllers; `Ports` are the functions that do what the machine
wants. Everything runs on the event loop's own thread and clock.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from iso15118.machine import (
    Answer,
    Ask,
    Close,
    Datagram,
    Do,
    Emit,
    Frame,
    Input,
    Machine,
    Output,
    Send,
)


class _Tick:
    """Stands in the inbox for "time has passed"."""


_TICK: Final = _Tick()


def _nowhere(*_: Any) -> None:
    """A port nothing is connected to."""


async def _no_controller(question: Any) -> Any:
    raise LookupError(f"nobody answers {type(question).__name__}")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a machine's outputs go.

    `command_failed` and `question_failed` are told when the controller raised, with what it was given.
    `broken` is told when the machine itself raised: a defect, after which it is not used again.
    """

    emit: Callable[[Any], None] = _nowhere
    send: Callable[[bytes], None] = _nowhere
    send_to: Callable[[bytes, tuple[str, int]], None] = _nowhere
    send_frame: Callable[[bytes], None] = _nowhere
    close: Callable[[], None] = _nowhere
    command: Callable[[Any], None] = _nowhere
    ask: Callable[[Any], Awaitable[Any]] = _no_controller
    command_failed: Callable[[Any, BaseException], None] = _nowhere
    question_failed: Callable[[Any, BaseException], None] = _nowhere
    broken: Callable[[BaseException], None] = _nowhere


class Driver:
    """Pumps one machine from construction to `end`; needs a running event loop.

    An input that arrives while another one is worked on (a command that reports its effect at once)
    waits for the next turn of the loop, so that no controller can hold the loop for itself.
    """

    def __init__(self, machine: Machine, ports: Ports) -> None:
        self.machine = machine
        self.ended = False
        self._ports = ports
        self._loop = asyncio.get_running_loop()
        self._inbox: deque[Input | _Tick] = deque()
        self._pumping = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = math.inf
        self._closing: asyncio.TimerHandle | None = None
        self._questions: set[asyncio.Task[None]] = set()

    def feed(self, item: Input) -> None:
        """Give the machine one input and do what it wants; ignored once ended."""
        if self.ended:
            return
        self._inbox.append(item)
        if not self._pumping:
            self._pump()

    def end(self) -> None:
        """Stop: no timer fires, no question is answered, nothing comes out any more."""
        self.ended = True
        self._inbox.clear()
        for handle in (self._timer, self._closing):
            if handle is not None:
                handle.cancel()
        self._timer = self._closing = None
        for task in self._questions:
            task.cancel()

    async def aclose(self) -> None:
        """End, and wait until no question's task is left."""
        self.end()
        if self._questions:
            await asyncio.wait(self._questions)

    # --- the pump -----------------------------------------------------------------------------

    def _pump(self) -> None:
        if self.ended:
            return
        self._pumping = True
        try:
            for _ in range(len(self._inbox)):
                self._turn(self._inbox.popleft())
                if self.ended:
                    return
        except Exception as error:  # noqa: BLE001 - a defect must not leave the link half alive
            self.end()
            self._ports.broken(error)
            return
        finally:
            self._pumping = False
        if self._inbox:
            self._loop.call_soon(self._pump)
        self._arm()

    def _turn(self, item: Input | _Tick) -> None:
        if isinstance(item, _Tick):
            self.machine.tick(max(self._loop.time(), self._timer_due))
        else:
            self.machine.receive(item, self._loop.time())
        for output in self.machine.outputs():
            self._act(output)
            if self.ended:
                return

    def _arm(self) -> None:
        """One timer, moved only when the deadline has moved."""
        due = self.machine.deadline
        if self._timer is not None and due == self._timer_due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._loop.call_at(due, self._fire) if due < math.inf else None

    def _fire(self) -> None:
        """The timer may be early by the clock's resolution; the deadline itself is what counts."""
        self._timer = None
        self._inbox.append(_TICK)
        if not self._pumping:
            self._pump()

    # --- outputs ------------------------------------------------------------------------------

    def _act(self, output: Output) -> None:
        match output:
            case Send(data=data):
                self._ports.send(data)
            case Datagram(data=data, address=address):
                self._ports.send_to(data, address)
            case Frame(data=data):
                self._ports.send_frame(data)
            case Emit(event=event):
                self._ports.emit(event)
            case Do(command=command):
                self._do(command)
            case Ask(question=question):
                task = self._loop.create_task(self._answer(question))
                self._questions.add(task)
                task.add_done_callback(self._questions.discard)
            case Close(after=after):
                self._close(after)

    def _do(self, command: Any) -> None:
        try:
            self._ports.command(command)
        except Exception as error:  # noqa: BLE001 - firmware code; whatever it raises is a hardware fault
            self._ports.command_failed(command, error)

    async def _answer(self, question: Any) -> None:
        value: Any
        try:
            value = await self._ports.ask(question)
        except Exception as error:  # noqa: BLE001 - firmware code; the machine takes it as a refusal
            self._ports.question_failed(question, error)
            value = error
        self.feed(Answer(question, value))

    def _close(self, after: float) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        if after > 0:
            self._closing = self._loop.call_later(after, self._ports.close)
        else:
            self._ports.close()
