"""A driver on a real event loop, over a pty and over TCP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hal.drivers import link as module
from hal.drivers.link import Link
from hal.errors import HalError, Kind
from hal.testing.emulators.serve import serve_pty, serve_tcp
from hal.testing.noise import Noise
from tests.unit.hal.drivers.support import run, until
from tests.unit.hal.drivers.toy import ToyDevice, ToyDialog

pytest.importorskip("serial", reason="needs the extra `serial`")

SERVERS = pytest.mark.parametrize("serve", [serve_pty, serve_tcp], ids=["pty", "tcp"])


@SERVERS
def test_a_device_is_opened_commanded_and_closed(serve: Any) -> None:
    async def test() -> None:
        device, dialog = ToyDevice(), ToyDialog()
        async with serve(device, noise=Noise(octet_s=0.0002)) as server:
            link = Link(server.url, dialog)
            driver = dialog.driver
            await driver.open()
            await driver.open()
            driver.switch_on(lease_s=60.0)
            await until(lambda: driver.told and driver.value.fresh(link.now, 1.0))
            assert device.on
            await driver.close()
            assert not device.on, "closed means confirmed"
            assert not link.connected
            await driver.close()
            await driver.open()
            await driver.close()

    run(test)


@SERVERS
def test_a_pulled_plug_is_a_fault_and_the_return_is_safe(serve: Any) -> None:
    async def test() -> None:
        device, dialog = ToyDevice(), ToyDialog()
        async with serve(device) as server:
            Link(server.url, dialog)
            driver = dialog.driver
            await driver.open()
            driver.switch_on(lease_s=60.0)
            await until(lambda: device.on)
            await server.unplug()
            await until(lambda: driver.faults)
            assert {fault.code for fault in driver.faults} == {"communication"}
            await server.plug()
            await until(lambda: not driver.faults)
            assert not device.on
            driver.switch_on()
            await until(lambda: device.on)
            await driver.close()

    run(test)


def test_closing_while_the_line_is_away_ends_the_attempts() -> None:
    async def test() -> None:
        dialog = ToyDialog()
        async with serve_pty(ToyDevice()) as server:
            link = Link(server.url, dialog)
            await dialog.driver.open()
            await server.unplug()
            await until(lambda: dialog.driver.faults)
            await dialog.driver.close()
            await server.plug()
            await asyncio.sleep(0.3)
            assert not link.connected
            assert not dialog.driver.faults

    run(test)


def test_a_silent_device_is_a_timeout_and_the_port_is_free_again() -> None:
    async def test() -> None:
        device, dialog = ToyDevice(), ToyDialog()
        device.silent = True
        async with serve_pty(device) as server:
            link = Link(server.url, dialog, open_s=0.1)
            with pytest.raises(HalError, match="no device answers") as caught:
                await dialog.driver.open()
            assert caught.value.kind is Kind.TIMEOUT
            assert not link.connected
            device.silent = False
            await dialog.driver.open()
            await dialog.driver.close()

    run(test)


def test_a_port_behind_which_all_is_silent_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENCE_S", 0.2)

    async def test() -> None:
        device, dialog = ToyDevice(), ToyDialog()
        async with serve_tcp(device) as server:
            link = Link(server.url, dialog)
            await dialog.driver.open()
            dialog._lose("test")
            device.silent = True
            link.flush()
            first = link._port
            await until(lambda: link.connected and link._port is not first)
            device.silent = False
            await until(lambda: not dialog.driver.faults)
            await dialog.driver.close()

    run(test)


def test_a_device_that_is_not_there_is_said_at_open() -> None:
    async def test() -> None:
        dialog = ToyDialog()
        Link("serial:///nonexistent/tty", dialog)
        with pytest.raises(HalError, match="permissions") as caught:
            await dialog.driver.open()
        assert caught.value.kind is Kind.NOT_CONNECTED

    run(test)


def test_a_wrong_url_is_said_when_the_device_is_made() -> None:
    with pytest.raises(HalError, match="tcp://host:port"):
        Link("ttyUSB0", ToyDialog())


def test_a_defect_lets_go_and_is_reported() -> None:
    async def test() -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        device, dialog = ToyDevice(), ToyDialog()
        async with serve_pty(device) as server:
            link = Link(server.url, dialog)
            driver = dialog.driver
            await driver.open()
            driver.switch_on(lease_s=60.0)
            await until(lambda: device.on)
            monkey = ToyDialog.received

            def broken(*_: Any) -> None:
                raise ZeroDivisionError("defect")

            dialog.received = broken  # type: ignore[method-assign, assignment]
            await until(lambda: driver.faults)
            assert isinstance(reported[0]["exception"], ZeroDivisionError)
            assert not link.connected
            dialog.received = monkey.__get__(dialog)  # type: ignore[method-assign]
            await until(lambda: not driver.faults)
            assert not device.on
            await driver.close()

    run(test)


def test_a_cancelled_open_leaves_nothing_behind() -> None:
    async def test() -> None:
        device, dialog = ToyDevice(), ToyDialog()
        device.silent = True
        async with serve_pty(device) as server:
            link = Link(server.url, dialog)
            opening = asyncio.ensure_future(dialog.driver.open())
            await until(lambda: link.connected)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
            assert not link.connected

    run(test)
