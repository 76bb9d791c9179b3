"""A few words for tests in real time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


def run(test: Callable[[], Awaitable[None]], within_s: float = 20.0) -> None:
    """Run an asynchronous test; TimeoutError where it takes longer."""

    async def bounded() -> None:
        async with asyncio.timeout(within_s):
            await test()

    asyncio.run(bounded())


async def until(condition: Callable[[], object]) -> None:
    """Look again and again until `condition` is true."""
    while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
        await asyncio.sleep(0.002)
