"""An emulator behind a pty or a TCP port of this machine, in real time.

    async with serve_pty(emulator) as server:
        device = Thing(server.url)

`unplug` and `plug` are what they say; the URL stays the same. TCP listens on the loopback interface only.
"""

from __future__ import annotations

import asyncio
import math
import os
import tempfile
import time
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol, TypeVar

from hal.testing.noise import Noise
from hal.types import Clock

LOOPBACK: Final = "127.0.0.1"
READ_SIZE: Final = 4096
_BETWEEN_S: Final = 1e-5
"""Timers of the same moment are served in any order: two messages must not have the same."""

S = TypeVar("S", bound="Server")


class Served(Protocol):
    """What can be served; `emulator.Emulator` is its base."""

    @property
    def deadline(self) -> float:
        """When `tick` has something to do (s)."""

    def received(self, data: bytes, now: float) -> None:
        """Octets have come."""

    def tick(self, now: float) -> None:
        """Time has passed."""

    def to_send(self) -> bytes:
        """The next message that is to go out, or b""."""


class Server:
    """Runs an emulator in real time; a connection is put to it by the subclass."""

    url = ""
    """Where a driver finds it."""

    def __init__(self, emulator: Served, noise: Noise | None, clock: Clock) -> None:
        self.emulator, self._noise, self._clock = emulator, noise, clock
        self._timer: asyncio.TimerHandle | None = None
        self._late: list[asyncio.TimerHandle] = []
        self._free_at = 0.0
        self.plugged = False

    def turn(self, data: bytes = b"") -> None:
        """Hand octets to the emulator; send what it says, and come again when it wants to."""
        now = self._clock()
        if data:
            self.emulator.received(data, now)
        self.emulator.tick(now)
        while message := self.emulator.to_send():
            self._pass_on(message)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        left_s = self.emulator.deadline - now
        if left_s < math.inf:
            self._timer = asyncio.get_running_loop().call_later(max(0.0005, left_s), self.turn)

    async def start(self) -> None:
        """Switch it on and plug it in."""
        await self.plug()
        self.turn()

    async def stop(self) -> None:
        """Unplug it and switch it off."""
        await self.unplug()
        for timer in (self._timer, *self._late):
            if timer is not None:
                timer.cancel()

    async def plug(self) -> None:
        """Let the line be there; it keeps its URL."""
        if not self.plugged:
            self.plugged = True
            await self._plug()

    async def unplug(self) -> None:
        """Take the line away, as a pulled USB adapter or a closed connection does."""
        if self.plugged:
            self.plugged = False
            await self._unplug()

    def _pass_on(self, message: bytes) -> None:
        if self._noise is None:
            self._write_if_plugged(message)
            return
        loop = asyncio.get_running_loop()
        self._late = [timer for timer in self._late if timer.when() > loop.time()]
        # A line carries one message after the other, however slowly their octets come.
        start = max(loop.time(), self._free_at)
        for delay_s, portion in self._noise.pass_on(message):
            self._free_at = start + delay_s + _BETWEEN_S
            self._late.append(loop.call_at(start + delay_s, self._write_if_plugged, portion))

    def _write_if_plugged(self, data: bytes) -> None:
        if self.plugged:
            self._write(data)

    async def _plug(self) -> None:
        raise NotImplementedError

    async def _unplug(self) -> None:
        raise NotImplementedError

    def _write(self, data: bytes) -> None:
        raise NotImplementedError


class PtyServer(Server):
    """The emulator's end of a pty; `path` is a symbolic link to the other end, the serial port."""

    def __init__(self, emulator: Served, path: Path, noise: Noise | None, clock: Clock) -> None:
        super().__init__(emulator, noise, clock)
        self.path = path
        self.url = f"serial://{path}"
        self._master = self._slave = -1

    async def _plug(self) -> None:
        self._master, self._slave = os.openpty()
        # Both ends raw: a terminal would echo, change line ends and swallow control characters. The other
        # end stays open here, so that the pty outlives a driver that closes it.
        tty.setraw(self._master)
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        asyncio.get_running_loop().add_reader(self._master, self._readable)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(self._slave))

    async def _unplug(self) -> None:
        asyncio.get_running_loop().remove_reader(self._master)
        self.path.unlink(missing_ok=True)
        os.close(self._master)
        os.close(self._slave)

    def _readable(self) -> None:
        try:
            data = os.read(self._master, READ_SIZE)
        except OSError:
            return
        self.turn(data)

    def _write(self, data: bytes) -> None:
        try:
            os.write(self._master, data)
        except BlockingIOError:
            return  # nobody reads: a UART would lose it, too


class TcpServer(Server):
    """The emulator as a TCP server on the loopback interface; one connection at a time is answered."""

    def __init__(self, emulator: Served, noise: Noise | None, clock: Clock) -> None:
        super().__init__(emulator, noise, clock)
        self._port = 0
        self._listener: asyncio.Server | None = None
        self._peer: asyncio.Transport | None = None

    async def _plug(self) -> None:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: _Connection(self), LOOPBACK, self._port)
        self._port = self._listener.sockets[0].getsockname()[1]
        self.url = f"tcp://{LOOPBACK}:{self._port}"

    async def _unplug(self) -> None:
        assert self._listener is not None
        self._listener.close()
        if self._peer is not None:
            self._peer.abort()
            self._peer = None
        await self._listener.wait_closed()

    def attach(self, peer: asyncio.Transport) -> None:
        """The newest connection is the one that is answered."""
        if self._peer is not None:
            self._peer.abort()
        self._peer = peer

    def _write(self, data: bytes) -> None:
        if self._peer is not None:
            self._peer.write(data)


class _Connection(asyncio.Protocol):
    def __init__(self, server: TcpServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._server.attach(transport)

    def data_received(self, data: bytes) -> None:
        self._server.turn(data)


@asynccontextmanager
async def serve_pty(
    emulator: Served, *, noise: Noise | None = None, clock: Clock = time.monotonic
) -> AsyncIterator[PtyServer]:
    """Serve `emulator` on a pty while the block runs; `noise` spoils what it says."""
    with tempfile.TemporaryDirectory() as directory:
        async with _running(PtyServer(emulator, Path(directory) / "port", noise, clock)) as server:
            yield server


@asynccontextmanager
async def serve_tcp(
    emulator: Served, *, noise: Noise | None = None, clock: Clock = time.monotonic
) -> AsyncIterator[TcpServer]:
    """Serve `emulator` on a free TCP port of the loopback interface while the block runs."""
    async with _running(TcpServer(emulator, noise, clock)) as server:
        yield server


@asynccontextmanager
async def _running(server: S) -> AsyncIterator[S]:
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
