"""What `iso15118 charger` and `iso15118 vehicle` share: options, signals, event output."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from types import FrameType
from typing import Any

from iso15118.cli import trust
from iso15118.cli.printing import Transcript, json_line
from iso15118.events import Role


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """The options of both roles."""
    parser.add_argument(
        "--interface", required=True, metavar="IF", help="network interface, for example eth1"
    )
    parser.add_argument("--config", metavar="FILE", help="configuration in TOML; options override it")
    parser.add_argument(
        "--once", action="store_true", help="end after one session; exit code 0 if it went well"
    )
    parser.add_argument("--json", action="store_true", help="print events as JSON, one a line")
    trust.add_options(parser)


def enable_log() -> None:
    """Warnings and errors of the stack go to stderr."""
    import logging

    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(message)s")


class Printer:
    """Writes events to standard output as they come, as JSON lines or as a transcript."""

    def __init__(self, role: Role, *, as_json: bool) -> None:
        self._transcript = None if as_json else Transcript(role, relative=True)

    def __call__(self, event: Any) -> None:
        """Print `event`."""
        if self._transcript is None:
            print(json_line(event), flush=True)
            return
        for line in self._transcript.lines(event):
            print(line, flush=True)

    def end(self) -> None:
        """Print what was held back."""
        if self._transcript is not None:
            for line in self._transcript.end():
                print(line, flush=True)


@contextlib.contextmanager
def orderly_stop(stop: Callable[[], Awaitable[None]]) -> Iterator[None]:
    """While the block runs, the first SIGINT or SIGTERM calls `stop`, the next one cancels the block."""
    loop = asyncio.get_running_loop()
    running = asyncio.current_task()
    assert running is not None, "called from a coroutine"
    pending: list[asyncio.Future[None]] = []

    def on_signal() -> None:
        if pending:
            running.cancel()
        else:
            pending.append(asyncio.ensure_future(stop()))

    restore = [_handle(loop, number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for undo in restore:
            undo()


def _handle(loop: asyncio.AbstractEventLoop, number: int, act: Callable[[], None]) -> Callable[[], Any]:
    """Call `act` on the loop when the signal comes; returns what undoes it."""
    try:
        loop.add_signal_handler(number, act)
    except NotImplementedError:  # Windows: its loop takes no signals

        def hand_over(_: int, __: FrameType | None) -> None:
            loop.call_soon_threadsafe(act)

        before = signal.signal(number, hand_over)
        return lambda: signal.signal(number, before)
    return lambda: loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def in_background(work: Awaitable[None]) -> Any:
    """Run endless `work` beside the block; its failure cancels the block and is raised."""
    block = asyncio.current_task()
    assert block is not None, "called from a coroutine"
    task = asyncio.ensure_future(work)
    task.add_done_callback(lambda done: None if done.cancelled() else block.cancel())
    try:
        yield
    finally:
        task.cancel()
        results = await asyncio.gather(task, return_exceptions=True)
    for failure in results:
        if isinstance(failure, Exception):
            raise failure
