"""The inlet of a vehicle that owns its plug: a session whenever the plug says so, until the connector is pulled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from iso15118.config import EvccConfig
from iso15118.control.ev import EvState
from iso15118.errors import LinkError
from iso15118.events import SessionEnded
from iso15118.plug.ev import EvPlug
from iso15118.plug.levels import inlet_levels, report_of
from iso15118.plug.words import Report
from iso15118.runtime.plug import Plug, PlugDriver
from iso15118.runtime.session import Hardware

_LOG: Final = logging.getLogger("iso15118.runtime")

Hold = Callable[[Callable[[], None]], Awaitable[SessionEnded | None]]
"""Finds the charger and holds one session; calls what it is given once the session has begun."""


class Inlet:
    """Serves one plug-in."""

    def __init__(
        self, config: EvccConfig, plug: Plug, hardware: Hardware, emit: Callable[[Any], None], hold: Hold
    ) -> None:
        self._hold = hold
        self._plugged = False
        self._pulled = asyncio.Event()
        self._talk: asyncio.Task[None] | None = None
        self._driver = PlugDriver(EvPlug(config.plug), config.slac, plug, hardware, emit, self._communicate)

    async def serve(self, state: EvState) -> None:
        """From now until the connector is pulled; HalError where the port to the modem cannot be opened."""
        self._plugged = False
        self._pulled.clear()
        try:
            await self._driver.open()
            self.update(state)
            await self._pulled.wait()
        finally:
            await self._driver.close()
            self._communicate(False)
            if self._talk is not None:
                await asyncio.wait((self._talk,))

    def update(self, state: EvState) -> None:
        """New levels of the car."""
        self._driver.update(inlet_levels(state))
        if state.duty is not None:
            self._plugged = True
        elif self._plugged:
            self._pulled.set()

    def _communicate(self, on: bool) -> None:
        talking = self._talk is not None and not self._talk.done()
        if on and not talking:
            self._talk = asyncio.get_running_loop().create_task(self._converse())
        elif not on and talking and self._talk is not None:
            self._talk.cancel()

    async def _converse(self) -> None:
        try:
            ended = await self._hold(partial(self._driver.report, Report.SESSION_BEGUN))
        except LinkError as error:
            _LOG.info("no session: %s", error)
            ended = None
        # The task is not over yet, and what is reported may end it: it has nothing left to do.
        self._talk = None
        self._driver.report(report_of(ended) if ended is not None else Report.SESSION_BROKEN)
