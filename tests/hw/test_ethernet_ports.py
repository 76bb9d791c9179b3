"""Every way to the modem keeps what its protocol promises."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hal.drivers import frame_port
from hal.drivers.frame_port import address
from hal.drivers.packet_port import PacketPort
from hal.drivers.uart_port import UartPort
from hal.drivers.udp_port import UdpPort
from hal.errors import HalError, Kind
from hal.plc import EthernetPort
from hal.testing import Behaviour, behaviours
from hal.testing.emulators.serve import serve_pty, serve_tcp
from hal.virtual.ethernet import VirtualEthernetPort
from iso15118.runtime.lab import problem
from iso15118.sim.powerline.config import EV_MODEM, EVSE_MODEM
from iso15118.sim.powerline.hub import Hub
from iso15118.sim.powerline.medium import Medium
from iso15118.sim.powerline.udp import udp_hub
from iso15118.wire import homeplug
from tests.hw.port_rigs import MAC, UartTruth, UdpRig, VirtualRig, uart_rig
from tests.unit.hal.drivers.support import run, until

PROJECT = Path(__file__).resolve().parent.parent.parent
LAB = "import sys; from iso15118.runtime.lab import lab; sys.exit(lab(sys.argv[1:]))"
SUITE = behaviours(EthernetPort, without={"reboot"})
WAITS = "levels_grow_old_without_a_line"  # there are none


@pytest.mark.parametrize("behaviour", SUITE, ids=str)
def test_virtual_port(behaviour: Behaviour) -> None:
    behaviour(VirtualRig())


BROKEN = [
    ("sends", lambda port, frame: port._transmit(frame[:600])),
    ("pads_what_is_short", lambda port, frame: port._transmit(frame)),
    ("does_not_hear_itself", lambda port, frame: (port._transmit(frame), port._hearers[0](frame))),
    ("refuses_what_is_no_frame", lambda port, frame: None),
    ("drops_frames_without_a_line", lambda port, frame: port._transmit(frame)),
    ("is_deaf_and_dumb_when_closed", lambda port, frame: port._transmit(frame)),
]


@pytest.mark.parametrize(("name", "send"), BROKEN, ids=[name for name, _ in BROKEN])
def test_the_suite_finds_a_port_that_sends_wrongly(
    name: str, send: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    behaviour = next(behaviour for behaviour in SUITE if behaviour.name == name)
    monkeypatch.setattr(VirtualEthernetPort, "send", send)
    with pytest.raises(AssertionError):
        behaviour(VirtualRig())


@pytest.mark.parametrize("behaviour", SUITE, ids=str)
@pytest.mark.parametrize("octet_s", [None, 87e-6], ids=["whole", "single"])
def test_uart_port(behaviour: Behaviour, octet_s: float | None) -> None:
    behaviour(uart_rig(octet_s=octet_s, hang_up=True))


@pytest.fixture
def udp(monkeypatch: pytest.MonkeyPatch) -> Iterator[UdpRig]:
    monkeypatch.setattr(frame_port, "RETRY_S", 0.05)
    rig = UdpRig()
    yield rig
    rig.close_all()


@pytest.mark.parametrize("behaviour", [b for b in SUITE if b.name != WAITS], ids=str)
def test_udp_port(behaviour: Behaviour, udp: UdpRig) -> None:
    behaviour(udp)


def test_packet_port() -> None:
    if reason := problem():
        pytest.skip(reason)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/hw/packet_cases.py"]
    done = subprocess.run(
        [sys.executable, "-c", LAB, *command],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_without_the_right_to_raw_frames_the_next_step_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(HalError, match="CAP_NET_RAW") as caught:
        PacketPort("eth1")._make()
    assert caught.value.kind is Kind.NOT_CONNECTED


def test_without_a_hub_the_next_step_is_said() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        number = unused.getsockname()[1]
    with pytest.raises(HalError, match="Start the hub first") as caught:
        asyncio.run(UdpPort(number).open())
    assert caught.value.kind is Kind.NOT_CONNECTED
    with pytest.raises(HalError, match="1 to 65535"):
        UdpPort(70000)


def test_a_hub_hears_of_a_port_before_its_first_frame(udp: UdpRig) -> None:
    assert udp.sent == []
    assert udp._client is not None


def test_two_ports_at_the_hub_of_the_virtual_powerline() -> None:
    async def test() -> None:
        car_mac, heard = bytes.fromhex("020000000002"), list[bytes]()
        medium = Medium(1)
        for mac, modem in ((car_mac, EV_MODEM), (MAC, EVSE_MODEM)):
            medium.attach(mac, modem)
        with Hub(medium) as hub:
            async with udp_hub(hub) as served:
                car, charger = UdpPort(served.number, mac=car_mac), UdpPort(served.number, mac=MAC)
                charger.on_frame(heard.append)
                for port in (car, charger):
                    await port.open()
                message = homeplug.SlacParmReq(run_id=bytes(8))
                car.send(homeplug.write(homeplug.Frame(homeplug.BROADCAST, car_mac, message)))
                await until(lambda: heard)
                assert homeplug.read(heard[0]).message == message
                for port in (car, charger):
                    await port.close()

    run(test)


def test_oversized_datagrams_are_not_heard(udp: UdpRig) -> None:
    heard: list[bytes] = []
    udp.device.on_frame(heard.append)
    udp.arrive(bytes(1519))
    udp.arrive(bytes(13))
    udp.arrive(bytes(61))
    udp.run(0.1)
    assert [len(frame) for frame in heard] == [61]


# --- UART ---------------------------------------------------------------------------------------


def test_noise_on_the_uart_costs_no_good_frame() -> None:
    rig = uart_rig()
    heard: list[bytes] = []
    rig.device.on_frame(heard.append)
    good = [bytes([number]) * (60 + number) for number in range(1, 50)]
    for number, frame in enumerate(good):
        rig.wire.emulator._send(bytes([0xAA] * (number % 7)) + b"\x55\x13")
        rig.truth.arrive(frame)
        rig.run(0.2)
    assert heard == good


def test_a_frame_cut_short_does_not_hold_back_the_next_one() -> None:
    rig = uart_rig()
    heard: list[bytes] = []
    rig.device.on_frame(heard.append)
    rig.wire.emulator._send(b"\xaa\xaa\xaa\xaa\xee\x05\0\0" + bytes(100))
    rig.truth.arrive(bytes(60))
    rig.run(0.05)
    assert heard == []
    rig.run(0.1)
    assert heard == [bytes(60)]


@pytest.mark.parametrize("serve", [serve_pty, serve_tcp], ids=["pty", "tcp"])
def test_uart_port_in_real_time(serve: Any) -> None:
    pytest.importorskip("serial", reason="needs the extra `serial`")

    async def test() -> None:
        truth = UartTruth()
        heard: list[bytes] = []
        async with serve(truth.modem) as server:
            port = UartPort(server.url)
            port.on_frame(heard.append)
            await port.open()
            frame = bytes(range(256)) * 5
            for _ in range(2):
                port.send(frame)
                await until(lambda: truth.sent[-1:] == [frame])
                truth.arrive(frame)
                server.turn()
                await until(lambda: heard[-1:] == [frame])
                truth.sent.clear()
                heard.clear()
                await server.unplug()
                await until(lambda: port.faults)
                port.send(frame)
                await server.plug()
                await until(lambda: not port.faults)
            await port.close()
            assert not truth.sent

    run(test)


# --- addresses ----------------------------------------------------------------------------------


def test_addresses() -> None:
    assert address("x", "02:00:00:00:00:01") == address("x", MAC) == address("x", "02-00-00-00-00-01") == MAC
    for wrong in ("", "02:00", "zz:00:00:00:00:01", bytes(6), b"\x01" * 6, "02:00:00:00:00:00:01"):
        with pytest.raises(HalError, match="six octets") as caught:
            address("x", wrong)
        assert caught.value.kind is Kind.CONFIGURATION
    made = {address("x", None) for _ in range(20)}
    assert len(made) == 20
    assert all(mac[0] == 2 and len(mac) == 6 for mac in made)
