"""The means that emulated devices are tested with are tested themselves."""

from __future__ import annotations

import asyncio
import os
import tty
from urllib.parse import urlsplit

from hal.testing.emulators.emulator import Emulator
from hal.testing.emulators.serve import serve_pty, serve_tcp
from hal.testing.noise import Noise


class Echo(Emulator):
    """Says back what it hears, and "tick" every second."""

    def __init__(self) -> None:
        super().__init__()
        self._left_s = 1.0

    @property
    def _due_s(self) -> float:
        return self._left_s

    def _hear(self, data: bytes) -> None:
        self._send(data)

    def _pass(self, dt: float) -> None:
        self._left_s -= dt
        if self._left_s <= 1e-9:
            self._left_s = 1.0
            self._send(b"tick")


def heard(emulator: Emulator) -> list[bytes]:
    return list(iter(emulator.to_send, b""))


def test_an_emulator_misses_no_moment_of_a_long_time() -> None:
    echo = Echo()
    echo.tick(50.0)
    assert echo.deadline == 51.0
    echo.tick(53.5)
    echo.received(b"x", 53.6)
    assert heard(echo) == [b"tick"] * 3 + [b"x"]


def test_a_silent_emulator_neither_hears_nor_speaks() -> None:
    echo = Echo()
    echo.tick(0.0)
    echo.silent = True
    echo.received(b"x", 0.5)
    echo.tick(2.5)
    assert heard(echo) == []
    echo.silent = False
    echo.tick(3.0)
    assert heard(echo) == [b"tick"]


def test_noise_loses_and_spoils_its_share_and_repeats_itself() -> None:
    messages = [bytes(range(n, n + 12)) for n in range(200)] * 10
    runs = []
    for _ in range(2):
        noise = Noise(7, lost=0.2, corrupted=0.3)
        runs.append([noise.pass_on(message) for message in messages])
    assert runs[0] == runs[1]
    whole = sum(got == [(0.0, message)] for got, message in zip(runs[0], messages, strict=True))
    assert 900 < whole < 1100
    assert 350 < noise.lost_count < 450
    assert 550 < noise.corrupted_count < 650


def test_noise_hands_over_single_octets() -> None:
    assert Noise(octet_s=0.5).pass_on(b"abc") == [(0.0, b"a"), (0.5, b"b"), (1.0, b"c")]


def exists(path: str) -> bool:
    return os.path.lexists(path)


async def _exchange_over_a_pty() -> None:
    async with serve_pty(Echo()) as server:
        path = urlsplit(server.url).path
        for _ in range(2):
            fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            tty.setraw(fd)
            os.write(fd, bytes(range(256)))
            got = b""
            while len(got) < 256:
                await asyncio.sleep(0.001)
                try:
                    got += os.read(fd, 4096)
                except BlockingIOError:
                    continue
            assert got == bytes(range(256))
            await server.unplug()
            os.close(fd)
            assert not exists(path)
            await server.plug()


def test_a_pty_passes_every_octet_and_can_be_unplugged() -> None:
    asyncio.run(asyncio.wait_for(_exchange_over_a_pty(), 10))


async def _exchange_over_tcp() -> None:
    async with serve_tcp(Echo(), noise=Noise(octet_s=0.0001)) as server:
        url = server.url
        for _ in range(2):
            assert server.url == url
            parts = urlsplit(url)
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            await server.unplug()
            assert await reader.read(1) == b""
            writer.close()
            await server.plug()


def test_tcp_keeps_its_port_when_unplugged() -> None:
    asyncio.run(asyncio.wait_for(_exchange_over_tcp(), 10))
