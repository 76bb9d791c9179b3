"""Machines of matching in real time, at whatever carries frames."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

from iso15118.config import SlacConfig
from iso15118.control.common import CpState
from iso15118.machine import Emit, Frame, LinkUp, Update
from iso15118.sim.powerline.config import EV_MODEM, EVSE_MODEM
from iso15118.sim.powerline.medium import Medium, Port
from iso15118.slac.dlink import DLink, PilotLevel
from iso15118.slac.ev import EvSlac
from iso15118.slac.events import LinkReady
from iso15118.slac.evse import EvseSlac

EV = bytes.fromhex("02ee00000001")
EVSE = bytes.fromhex("02cc00000001")
QUICK = {"join_s": (0.05, 0.1)}


def pair(seed: int = 1) -> tuple[Medium, Port, Port]:
    """A medium with a car's and a charger's port, whose modems join quickly."""
    medium = Medium(seed)
    ev = medium.attach(EV, replace(EV_MODEM, **QUICK))
    evse = medium.attach(EVSE, replace(EVSE_MODEM, **QUICK))
    return medium, ev, evse


class Host:
    """Serves one machine: `send` takes its frames, `receive` gets those that arrive."""

    def __init__(self, mac: bytes, send: Callable[[bytes], None]) -> None:
        kind = EvSlac if mac == EV else EvseSlac
        self.machine = kind(mac, SlacConfig(), random.Random(mac).randbytes)
        self.established = asyncio.Event()
        self._send = send
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """The port is open, and the other side is there."""
        self.give(LinkUp())
        if isinstance(self.machine, EvseSlac):
            self.give(Update(PilotLevel(CpState.B)))
        self.give(DLink.MATCH)

    def receive(self, octets: bytes) -> None:
        """A frame has arrived."""
        self.give(Frame(octets))

    def give(self, item: object) -> None:
        """Any input."""
        self.machine.receive(item, asyncio.get_running_loop().time())
        self._serve()

    def stop(self) -> None:
        """No more ticks."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self.machine.tick(asyncio.get_running_loop().time())
        self._serve()

    def _serve(self) -> None:
        for output in self.machine.outputs():
            if isinstance(output, Frame):
                self._send(output.data)
            elif (
                isinstance(output, Emit) and isinstance(output.event, LinkReady) and output.event.established
            ):
                self.established.set()
        self.stop()
        if self.machine.deadline < float("inf"):
            self._timer = asyncio.get_running_loop().call_at(self.machine.deadline, self._tick)


async def match(*hosts: Host, seconds: float = 20.0) -> None:
    """Both match, or it takes too long."""
    try:
        for host in hosts:
            host.start()
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(host.established.wait() for host in hosts))
    finally:
        for host in hosts:
            host.stop()


async def until(reached: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for something that nobody tells."""
    async with asyncio.timeout(seconds):
        while not reached():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)
