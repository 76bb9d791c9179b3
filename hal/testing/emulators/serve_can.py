"""An emulator on a CAN bus, in real time; python-can's `virtual` bus is inside this process, `vcan0` is not.

async with serve_can(InfyBus([InfyModule(0)]), "can://bench?interface=virtual"):
    device = supply("can://bench?interface=virtual")
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hal.drivers import ports
from hal.testing.emulators.serve import Served, Server
from hal.testing.noise import Noise
from hal.types import Clock


class CanServer(Server):
    """The emulator as one participant of the bus `url` (see `hal.drivers.can_port`); one message is one record."""

    def __init__(self, emulator: Served, url: str, noise: Noise | None, clock: Clock) -> None:
        super().__init__(emulator, noise, clock)
        self.url = url
        self._port: ports.Port | None = None

    async def _plug(self) -> None:
        self._port = await ports.connect(self.url, ports.Ends(self.turn, self._gone))

    async def _unplug(self) -> None:
        if self._port is not None:
            self._port.close()

    def _gone(self, reason: str) -> None:
        self.plugged = False

    def _write(self, data: bytes) -> None:
        if self._port is not None:
            self._port.write(data)


@asynccontextmanager
async def serve_can(
    emulator: Served, url: str, *, noise: Noise | None = None, clock: Clock = time.monotonic
) -> AsyncIterator[CanServer]:
    """Serve `emulator` on the bus while the block runs. HalError where the bus cannot be opened."""
    server = CanServer(emulator, url, noise, clock)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
