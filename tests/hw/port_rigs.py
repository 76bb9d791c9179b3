"""Rigs for ports to the modem: in this process, over an emulated UART, over UDP and on a real interface."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from typing import Any

from hal.drivers.packet_port import PacketPort
from hal.drivers.uart_port import UartPort
from hal.drivers.udp_port import HELLO, UdpPort
from hal.testing.emulators.qca_uart import QcaUart
from hal.testing.noise import Noise
from hal.testing.wire import Wire, WiredRig
from hal.virtual.ethernet import VirtualEthernetPort

MAC = bytes.fromhex("020000000001")


class UartTruth:
    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.modem = QcaUart(self.sent.append)

    def arrive(self, frame: bytes) -> None:
        self.modem.bring(frame)


def uart_rig(*, octet_s: float | None = None, hang_up: bool = False) -> WiredRig:
    truth = UartTruth()
    port = UartPort("serial:///dev/ttyS2", mac=MAC)
    noise = [Noise(octet_s=octet_s) for _ in range(2)]
    wire = Wire(port._uart, truth.modem, noise=noise[0], noise_out=noise[1], hang_up=hang_up)
    return WiredRig(wire, port, truth, noticed_s=0.1, reconnect_s=0.5)


class VirtualRig:
    """The port in this process: time is only a number."""

    settle_s, noticed_s, watchdog_s, reconnect_s = 0.1, 0.1, 0.1, 0.1
    now = 0.0
    safe = True

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.truth = self
        self.device = VirtualEthernetPort(MAC, self.sent.append)
        self.open()

    def arrive(self, frame: bytes) -> None:
        self.device.receive(frame)

    def run(self, seconds: float) -> None:
        self.now += seconds

    def open(self) -> None:
        self._at_once(self.device.open())

    def close(self) -> None:
        self._at_once(self.device.close())

    def cut(self) -> None:
        self.device.up = False

    def restore(self) -> None:
        self.device.up = True

    def reboot(self) -> None:
        raise NotImplementedError

    def _at_once(self, action: Any) -> None:
        try:
            action.send(None)
        except StopIteration:
            return
        raise AssertionError("it waits for something")


class RealRig:
    """A port in real time, on an event loop that runs while the test lets time pass. `close_all` at the end."""

    settle_s, noticed_s, watchdog_s, reconnect_s = 0.3, 2.0, 1.0, 2.0
    safe = True
    device: Any

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.truth = self

    @property
    def now(self) -> float:
        return self.loop.time()

    def run(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def open(self) -> None:
        self.loop.run_until_complete(self.device.open())

    def close(self) -> None:
        self.loop.run_until_complete(self.device.close())

    def close_all(self) -> None:
        self.close()
        self.cut()
        self.loop.close()

    def cut(self) -> None:
        raise NotImplementedError

    def restore(self) -> None:
        raise NotImplementedError

    def reboot(self) -> None:
        raise NotImplementedError


class UdpRig(RealRig):
    """The hub is a bare socket that remembers who was there."""

    def __init__(self) -> None:
        super().__init__()
        self._port = 0
        self._frames: list[bytes] = []
        self._hub: socket.socket | None = None
        self._client: Any = None
        self.restore()
        self.device = UdpPort(self._port, mac=MAC)
        self.open()

    def restore(self) -> None:
        hub = self._hub = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        hub.setblocking(False)
        hub.bind(("127.0.0.1", self._port))
        self._port = hub.getsockname()[1]

    def cut(self) -> None:
        if self._hub is not None:
            self._hub.close()
            self._hub = None

    @property
    def sent(self) -> list[bytes]:
        while self._hub is not None:
            try:
                frame, self._client = self._hub.recvfrom(2000)
            except BlockingIOError:
                break
            if frame[12:14] != HELLO:
                self._frames.append(frame)
        return self._frames

    def arrive(self, frame: bytes) -> None:
        assert self.sent is self._frames
        assert self._hub is not None
        self._hub.sendto(frame, self._client)


class PacketRig(RealRig):
    """Two joined interfaces: the port on `near`, the truth on `far`."""

    def __init__(self, near: str, far: str) -> None:
        super().__init__()
        self._near = near
        self._frames: list[bytes] = []
        self._far = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88E1))
        self._far.setblocking(False)
        self._far.bind((far, 0x88E1))
        self.device = PacketPort(near)
        self.open()

    @property
    def sent(self) -> list[bytes]:
        while True:
            try:
                frame, source = self._far.recvfrom(2000)
            except (BlockingIOError, OSError):
                return self._frames
            if source[2] != 4:
                self._frames.append(frame)

    def arrive(self, frame: bytes) -> None:
        self._far.send(frame)

    def cut(self) -> None:
        self._link("down")

    def restore(self) -> None:
        self._link("up")
        self.run(0.01)

    def _link(self, state: str) -> None:
        subprocess.run(["ip", "link", "set", self._near, state], check=True)

    def close_all(self) -> None:
        self.close()
        self.restore()
        self._far.close()
        self.loop.close()
