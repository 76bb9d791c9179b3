"""A CAN bus as a port: records, URLs, and a real bus of python-can inside this process."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal import registry
from hal.drivers import can_port, ports
from hal.drivers.can_port import Frame, unpack
from hal.drivers.infypower import supply
from hal.errors import HalError, Kind
from hal.testing.emulators.infypower import InfyBus, InfyModule
from hal.testing.emulators.serve_can import serve_can

can = pytest.importorskip("can", reason="python-can is not installed (extra can)")


@pytest.fixture
def url() -> str:
    return f"can://{uuid.uuid4().hex}?interface=virtual"


def modules(*numbers: int) -> InfyBus:
    """Modules that have been switched on long ago."""
    bus = InfyBus([InfyModule(number) for number in numbers])
    bus.tick(time.monotonic() - 10.0)
    return bus


async def until(condition: Any, within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - a test looks, it is not told
            await asyncio.sleep(0.005)


@given(st.integers(0, 2**29 - 1), st.binary(max_size=8), st.booleans())
def test_records(identifier: int, data: bytes, extended: bool) -> None:
    frame = Frame(identifier if extended else identifier & 0x7FF, data, extended)
    assert list(unpack(frame.pack() * 2 + b"rest")) == [frame, frame]


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("can://", "no URL of a CAN bus"),
        ("can://can0?bitrate=fast", "no URL of a CAN bus"),
        ("can://can0?bitrat=125000", "unknown option bitrat"),
    ],
)
def test_bad_urls(url: str, text: str) -> None:
    with pytest.raises(HalError, match=text) as caught:
        ports.check(url)
    assert caught.value.kind is Kind.CONFIGURATION


def test_no_such_bus() -> None:
    async def run() -> None:
        await supply("can://can987").open()

    with pytest.raises(HalError, match="ip link set can987 up type can bitrate 125000") as caught:
        asyncio.run(run())
    assert caught.value.kind is Kind.NOT_CONNECTED


def test_without_python_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "can", None)

    async def run() -> None:
        await registry.make("infypower", url="can://can0").open()

    with pytest.raises(HalError, match=r"iso15118-stack\[can\]") as caught:
        asyncio.run(run())
    assert caught.value.kind is Kind.MISSING_EXTRA


def test_a_supply_over_a_bus(url: str) -> None:
    async def run() -> None:
        bus = modules(0, 1)
        async with serve_can(bus, url):
            device = supply(url, modules=[0, 1])
            await device.open()
            device.drive(400.0, 20.0, lease_s=5.0)
            await until(lambda: abs(device.voltage.value - 400.0) < 5.0)
            assert device.on
            await device.close()
            assert not any(module.on for module in bus.modules)

    asyncio.run(run())


def test_a_bus_that_breaks_is_opened_again(url: str) -> None:
    async def run() -> None:
        bus = modules(0)
        async with serve_can(bus, url):
            device = supply(url)
            await device.open()
            device.drive(400.0, 20.0, lease_s=5.0)
            await until(lambda: bus.modules[0].on)
            broken = device._dialog.line._port._bus
            broken.shutdown()  # what comes of it is python-can's error for a bus that is gone
            await until(lambda: device.faults)
            assert "communication" in {fault.code for fault in device.faults}
            await until(lambda: not device.faults)
            assert not bus.modules[0].on, "and nothing is energised until told again"
            await device.close()

    asyncio.run(run())


def test_modules_that_are_unplugged_and_come_back(url: str) -> None:
    async def run() -> None:
        bus = modules(0)
        async with serve_can(bus, url) as server:
            device = supply(url)
            await device.open()
            await server.unplug()
            await until(lambda: device.faults)
            await server.plug()
            await until(lambda: not device.faults)
            await device.close()

    asyncio.run(run())


def test_foreign_frames_are_not_ours(url: str) -> None:
    """11-bit, remote and error frames, and a port that is closed while it reads."""

    async def run() -> None:
        heard: list[bytes] = []
        port = can_port.connect(url, ports.check(url), {}, heard.append, heard.append)
        other = can.Bus(channel=ports.check(url).netloc, interface="virtual")
        other.send(can.Message(arbitration_id=1, is_remote_frame=True))
        other.send(can.Message(arbitration_id=2, is_error_frame=True))
        other.send(can.Message(arbitration_id=3, data=b"abc", is_extended_id=False))
        await until(lambda: heard)
        assert [list(unpack(records)) for records in heard] == [[Frame(3, b"abc", extended=False)]]
        port.close()
        port.close()
        port.write(Frame(1).pack())
        other.shutdown()

    asyncio.run(run())
