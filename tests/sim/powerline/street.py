"""Chargers and cars on a virtual powerline, under virtual time."""

from __future__ import annotations

import random
from dataclasses import replace

from iso15118.config import SlacConfig
from iso15118.control.common import CpState
from iso15118.machine import Update
from iso15118.sim.powerline.config import EV_MODEM, EVSE_MODEM, Impairment, ModemConfig
from iso15118.sim.powerline.medium import Medium, Port
from iso15118.sim.powerline.world import LinkWorld
from iso15118.slac.dlink import DLink, LinkStatus, PilotLevel
from iso15118.slac.ev import EvSlac
from iso15118.slac.events import LinkReady
from iso15118.slac.evse import EvseSlac
from iso15118.wire import homeplug
from iso15118.wire.homeplug import LOCAL_MODEM, Frame, Message

EV = bytes.fromhex("02ee00000001")
EVSE = bytes.fromhex("02cc00000001")
OTHER = bytes.fromhex("02cc00000002")
NMK = bytes(range(16))
NID = homeplug.derive_nid(NMK)
# A kernel's neighbour solicitation, shortened: anything but management.
IPV6 = bytes.fromhex("333300000001") + EV + bytes.fromhex("86dd") + bytes(60)


class Street:
    """A world with helpers to put machines on it; `ev` and `evse` are the ports of the first of each."""

    def __init__(self, seed: int = 1, **impairment: float) -> None:
        self.seed = seed
        self.medium = Medium(seed)
        self.world = LinkWorld(self.medium)
        self.line = Impairment(**impairment)
        self.machines: dict[Port, EvSlac | EvseSlac] = {}

    def charger(self, mac: bytes = EVSE, modem: ModemConfig = EVSE_MODEM, **config: object) -> Port:
        """A charger, its pilot in B, ready to match."""
        port = self.medium.attach(mac, modem, outgoing=self.line, incoming=self.line)
        machine = EvseSlac(mac, SlacConfig(**config), random.Random(f"{self.seed} {mac.hex()}").randbytes)
        self._add(port, machine)
        self.world.give(port, Update(PilotLevel(CpState.B)))
        self.world.give(port, DLink.MATCH)
        return port

    def car(self, mac: bytes = EV, modem: ModemConfig = EV_MODEM, **config: object) -> Port:
        """A car whose modem has started; `match` begins."""
        port = self.medium.attach(mac, modem, outgoing=self.line, incoming=self.line)
        machine = EvSlac(mac, SlacConfig(**config), random.Random(f"{self.seed} {mac.hex()}").randbytes)
        self._add(port, machine)
        return port

    def _add(self, port: Port, machine: EvSlac | EvseSlac) -> None:
        self.machines[port] = machine
        self.world.connect(port, machine)

    def match(self, car: Port, within: float = 30.0) -> bool:
        """Let the car match; whether a link was established."""
        self.world.run(self.world.now + 3.0)
        self.world.give(car, DLink.MATCH)
        return self.world.run_until(lambda: self.established(car), self.world.now + within)

    def established(self, port: Port) -> bool:
        """Whether a machine's latest word on the link is that it stands."""
        told = self.world.told(port, LinkReady)
        return bool(told) and told[-1].status is LinkStatus.ESTABLISHED

    def key_of(self, port: Port) -> bytes:
        """The key in the modem at a port."""
        return port.modem.key.nmk


class Line:
    """Two hosts without machines: what arrives is collected."""

    def __init__(self, seed: int = 1, ev: ModemConfig = EV_MODEM, evse: ModemConfig = EVSE_MODEM) -> None:
        self.medium = Medium(seed)
        self.ev = self.medium.attach(EV, ev)
        self.evse = self.medium.attach(EVSE, evse)
        self.now = 0.0

    def send(self, port: Port, message: Message, to: bytes = LOCAL_MODEM) -> None:
        """A host sends a message."""
        self.medium.send(port, homeplug.write(Frame(to, port.mac, message)), self.now)

    def run(self, seconds: float = 0.1) -> list[tuple[Port, bytes]]:
        """Let time pass; what arrived."""
        end = self.now + seconds
        arrived = []
        while self.medium.deadline <= end:
            arrived += self.medium.due(self.medium.deadline)
        self.now = end
        return arrived

    def ask(self, port: Port, message: Message, to: bytes = LOCAL_MODEM) -> list[Message]:
        """A question and the answers to it at the same port."""
        self.send(port, message, to)
        return [homeplug.read(octets).message for at, octets in self.run() if at is port]

    def join(self) -> None:
        """Both modems take one key; enough time for both to be in the network."""
        for port in (self.ev, self.evse):
            self.send(port, homeplug.SetKeyReq(nid=NID, new_key=NMK))
        self.run(10.0)


def quick(modem: ModemConfig, **changes: object) -> ModemConfig:
    """A modem that joins at once, and what else is to be different."""
    return replace(modem, join_s=(0.0, 0.0), **changes)
