"""Several chargers in one process: one that fails leaves the others alone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from iso15118.errors import Iso15118Error
from iso15118.runtime.charger import Charger

_LOG: Final = logging.getLogger("iso15118.runtime")


@dataclass(frozen=True, slots=True)
class ChargerStopped:
    """`charger` no longer serves vehicles; `error` is None where it was stopped on purpose."""

    charger: Charger
    error: BaseException | None


async def run_all(chargers: Sequence[Charger]) -> AsyncIterator[tuple[Charger, Any]]:
    """Run several chargers in one process: (charger, event) pairs until all have stopped.

    One that fails (an interface is missing, a port is taken) yields (charger, ChargerStopped) and leaves
    the others alone. Leaving the loop stops all.
    """
    queue: asyncio.Queue[tuple[Charger, Any]] = asyncio.Queue(maxsize=1000)
    tasks = [asyncio.create_task(_serve(charger, queue)) for charger in chargers]
    running = len(tasks)
    try:
        while running:
            charger, event = await queue.get()
            running -= isinstance(event, ChargerStopped)
            yield charger, event
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _serve(charger: Charger, queue: asyncio.Queue[tuple[Charger, Any]]) -> None:
    error: BaseException | None = None
    try:
        async for event in charger.run():
            await queue.put((charger, event))
    except (Iso15118Error, OSError) as problem:
        error = problem
    except Exception as problem:  # noqa: BLE001 - one EVSE's defect is not the others' business
        _LOG.exception("the charger on %s failed", charger.interface)
        error = problem
    await queue.put((charger, ChargerStopped(charger, error)))
