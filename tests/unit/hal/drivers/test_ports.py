"""Serial ports (a pty stands for one) and TCP, in real time."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from hal.drivers import ports
from hal.drivers.ports import Ends, check, connect, serial_options
from hal.errors import HalError, Kind
from hal.testing.emulators.emulator import Emulator
from hal.testing.emulators.serve import serve_pty, serve_tcp
from tests.unit.hal.drivers.support import run, until

pytest.importorskip("serial", reason="needs the extra `serial`")


class Heard(Emulator):
    """Keeps what it hears and greets at once."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""

    def _boot(self) -> None:
        self._send(b"hello")

    def _hear(self, data: bytes) -> None:
        self.data += data


class Client:
    """The driver's side of a port."""

    def __init__(self) -> None:
        self.data = b""
        self.reasons: list[str] = []
        self.ends = Ends(self._received, self.reasons.append)

    def _received(self, data: bytes) -> None:
        self.data += data

    def gone(self) -> bool:
        return bool(self.reasons)


SERVERS = pytest.mark.parametrize("serve", [serve_pty, serve_tcp], ids=["pty", "tcp"])


@SERVERS
def test_every_octet_passes_both_ways(serve: Any) -> None:
    async def test() -> None:
        device, client = Heard(), Client()
        async with serve(device) as server:
            port = await connect(server.url, client.ends)
            port.write(bytes(range(256)) * 8)
            await until(lambda: len(device.data) == 2048)
            device._send(bytes(range(256)) * 8)
            server.turn()
            await until(lambda: len(client.data.replace(b"hello", b"")) == 2048)
            assert device.data == bytes(range(256)) * 8
            assert client.data.endswith(device.data)
            port.close()
            port.close()
            port.write(b"nobody")
            assert client.reasons == []

    run(test)


@SERVERS
def test_a_hang_up_is_told_once_and_the_loop_goes_on(serve: Any) -> None:
    async def test() -> None:
        client = Client()
        async with serve(Heard()) as server:
            port = await connect(server.url, client.ends)
            await server.unplug()
            await until(client.gone)
            port.write(b"nobody")
            await asyncio.sleep(0.02)
            assert len(client.reasons) == 1
            assert client.reasons[0]
            with pytest.raises(HalError) as caught:
                await connect(server.url, client.ends)
            assert caught.value.kind is Kind.NOT_CONNECTED
            await server.plug()
            (await connect(server.url, client.ends)).close()

    run(test)


def test_a_peer_that_closes_at_once_is_told_after_the_port_is_there() -> None:
    async def test() -> None:
        async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"bye")
            writer.close()

        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        async with server:
            number = server.sockets[0].getsockname()[1]
            for _ in range(20):
                client = Client()
                port = await connect(f"tcp://127.0.0.1:{number}", client.ends)
                assert (client.data, client.reasons) == (b"", [])
                await until(client.gone)
                assert client.data == b"bye"
                port.close()

    run(test)


def test_a_peer_that_takes_nothing_is_gone_and_memory_is_bounded() -> None:
    async def test() -> None:
        client, over = Client(), asyncio.Event()

        async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await until(client.gone)
            writer.transport.abort()
            over.set()

        server = await asyncio.start_server(deaf, "127.0.0.1", 0)
        async with server:
            port = await connect(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", client.ends)
            for _ in range(2000):
                port.write(bytes(65536))
                await asyncio.sleep(0)
                if client.reasons:
                    break
            assert client.reasons == ["it takes no data"]
            await over.wait()

    run(test)


def test_a_full_serial_port_keeps_what_it_cannot_send_and_then_gives_up() -> None:
    async def test() -> None:
        client = Client()
        async with serve_pty(Heard()) as server:
            port = await connect(server.url, client.ends)
            asyncio.get_running_loop().remove_reader(server._master)
            for _ in range(40):
                port.write(bytes(4096))
            await until(client.gone)
            assert client.reasons == ["it takes no data"]

    run(test)


def test_what_does_not_fit_is_sent_later() -> None:
    async def test() -> None:
        device, client = Heard(), Client()
        async with serve_pty(device) as server:
            port = await connect(server.url, client.ends)
            for number in range(12):
                port.write(bytes([number]) * 4096)
            await until(lambda: len(device.data) == 12 * 4096)
            assert device.data == b"".join(bytes([number]) * 4096 for number in range(12))
            port.close()

    run(test)


def test_a_port_belongs_to_one_process() -> None:
    async def test() -> None:
        async with serve_pty(Heard()) as server:
            port = await connect(server.url, Client().ends)
            with pytest.raises(HalError, match="no other program"):
                await connect(server.url, Client().ends)
            port.close()
            (await connect(server.url, Client().ends)).close()

    run(test)


def test_a_pty_without_parity_does_not_kill_a_driver_with_one() -> None:
    """A pty takes an even parity at the first open only; either way the answer is a port or a HalError."""

    async def test() -> None:
        async with serve_pty(Heard()) as server:
            for _ in range(2):
                try:
                    port = await connect(server.url, Client().ends, parity="E", baud=19200)
                except HalError as error:
                    assert error.kind is Kind.NOT_CONNECTED  # noqa: PT017
                else:
                    port.close()

    run(test)


# --- URLs and options ---------------------------------------------------------------------------


def test_options_of_the_url_win_over_the_devices() -> None:
    url = "serial:///dev/ttyX?parity=N"
    chosen = serial_options(url, urlsplit(url), {"baud": 19200, "parity": "E"})
    assert chosen == {"baud": "19200", "parity": "N", "bits": "8", "stop": "1"}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("serial:///dev/ttyX?bauds=9600", "Did you mean baud"),
        ("serial:///dev/ttyX?zzz=1", "Known: baud"),
        ("serial:///dev/ttyX?baud=fast", "impossible"),
        ("serial:///dev/ttyX?parity=NE", "impossible"),
        ("serial:///dev/ttyX?bits=9", "impossible"),
        ("serial:///dev/ttyX?stop=3", "impossible"),
        ("serial://", "no URL"),
        ("tcp://host", "no URL"),
        ("tcp://host:port", "no URL"),
        ("tcp://:80", "no URL"),
        ("/dev/ttyUSB0", "Use serial:///dev/ttyUSB0"),
        ("", "no URL"),
    ],
)
def test_a_wrong_url_says_what_is_right(url: str, says: str) -> None:
    with pytest.raises(HalError, match=says) as caught:
        check(url)
    assert caught.value.kind is Kind.CONFIGURATION


def test_a_missing_path_and_a_closed_port_say_what_to_check() -> None:
    async def test() -> None:
        for url, says in (
            ("serial:///nonexistent/tty", "group dialout"),
            ("tcp://127.0.0.1:1", "device is on"),
        ):
            with pytest.raises(HalError, match=says) as caught:
                await connect(url, Client().ends)
            assert caught.value.kind is Kind.NOT_CONNECTED

    run(test)


def test_a_file_that_is_no_port_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    async def test() -> None:
        with pytest.raises(HalError) as caught:
            await connect(f"serial://{tmp_path}/file", Client().ends)
        assert caught.value.kind is Kind.NOT_CONNECTED

    run(test)
    assert not (tmp_path / "file").read_bytes()


def test_without_pyserial_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(HalError, match=r"iso15118-stack\[serial\]") as caught:
        ports._open_serial("serial:///dev/ttyX", "/dev/ttyX", dict(ports.OPTIONS))
    assert caught.value.kind is Kind.MISSING_EXTRA
