"""The medium: hosts at ports, a modem at each, and what crosses between them.

Management frames cross whatever the keys are, as they do before matching; everything else crosses between modems
that are in one network. What a host sends to its own modem does not cross.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from iso15118.errors import ConfigError, FramingError
from iso15118.machine import NEVER
from iso15118.sim.powerline.answers import ANSWERS, REMOTE, Asked
from iso15118.sim.powerline.config import CLEAN, Impairment, ModemConfig
from iso15118.sim.powerline.hearing import Path
from iso15118.sim.powerline.modem import Modem
from iso15118.wire import homeplug
from iso15118.wire.homeplug import BROADCAST, LOCAL_MODEM, AttenProfileInd, Frame, Message, MnbcSoundInd
from iso15118.wire.homeplug_vendor import VsAttenCharInd

DEFAULT_DB: Final = 15.0
"""Attenuation where none is set."""
MODEM_PREFIX: Final = bytes.fromhex("02b0520000")
HEADER_OCTETS: Final = 14
TAG_OCTETS: Final = 4
GROUP_BIT: Final = 0x01
"""In the first octet of an address: to many."""

Action = Callable[[float], None]


class Port:
    """Where a host is attached. `mac` is the host's address; `outgoing` and `incoming` are what its side of the line
    does to frames, and may be changed at any time.
    """

    def __init__(
        self, name: str, mac: bytes, modem: Modem, outgoing: Impairment, incoming: Impairment
    ) -> None:
        self.name, self.mac, self.modem = name, mac, modem
        self.outgoing, self.incoming = outgoing, incoming
        self.hosts = {mac}

    def __repr__(self) -> str:
        return f"Port({self.name}, {self.mac.hex(':')})"


class Medium:
    """Everything between the hosts. Time is given by the caller, in seconds, and never goes back.

    `dropped` counts the frames that did not arrive, by reason.
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._events: list[tuple[float, int, Action]] = []
        self._order = 0
        self._arrived: list[tuple[Port, bytes]] = []
        self._paths: dict[tuple[Port, Port], Path] = {}
        self._cut: set[frozenset[Port]] = set()
        self.ports: list[Port] = []
        self.dropped: Counter[str] = Counter()

    # --- building -----------------------------------------------------------------------------

    def attach(
        self, mac: bytes, config: ModemConfig, *, outgoing: Impairment = CLEAN, incoming: Impairment = CLEAN
    ) -> Port:
        """A host with this address, and its modem. ConfigError where the address is taken or none."""
        if len(mac) != homeplug.MAC_OCTETS or mac[0] & GROUP_BIT:
            raise ConfigError("mac", f"{mac.hex(':')!r}; accepted: a unicast address of 6 octets")
        if self.port_of(mac) is not None:
            raise ConfigError("mac", f"{mac.hex(':')} is attached already")
        number = len(self.ports)
        modem = Modem(MODEM_PREFIX + bytes([number + 1]), mac, config, self._chance)
        port = Port(f"{config.role.lower()}{number}", mac, modem, outgoing, incoming)
        self.ports.append(port)
        return port

    def port_of(self, mac: bytes) -> Port | None:
        """The port a host with this address is behind; None where it has not been seen."""
        return next((port for port in self.ports if mac in port.hosts), None)

    def attenuate(self, ev: Port, evse: Port, mean_db: float) -> None:
        """What the EVSE's modem hears of the EV on average, in dB."""
        self._paths[ev, evse] = Path.of(mean_db, self._chance)

    # --- the script ---------------------------------------------------------------------------

    def at(self, when: float, action: Action) -> None:
        """Do something at a time: `medium.at(3.0, lambda now: medium.unplug(ev))`."""
        heapq.heappush(self._events, (when, self._order, action))
        self._order += 1

    def unplug(self, port: Port) -> None:
        """Take the power from a modem."""
        port.modem.powered = False

    def plug(self, port: Port, now: float) -> None:
        """Give it back: the modem starts."""
        port.modem.powered = True
        port.modem.reset(now)

    def cut(self, one: Port, other: Port) -> None:
        """Neither hears the other any more."""
        self._cut.add(frozenset((one, other)))

    def mend(self, one: Port, other: Port) -> None:
        """They hear each other again."""
        self._cut.discard(frozenset((one, other)))

    # --- time and frames ----------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When `due` has something to do; inf where nothing is on its way."""
        return self._events[0][0] if self._events else NEVER

    def due(self, now: float) -> list[tuple[Port, bytes]]:
        """The frames that have arrived at hosts up to `now`, in order."""
        while self._events and self._events[0][0] <= now:
            when, _, action = heapq.heappop(self._events)
            action(when)
        arrived, self._arrived = self._arrived, []
        return arrived

    def send(self, port: Port, octets: bytes, now: float) -> None:
        """A host sends a frame; a short one is padded, as Ethernet does. Nothing it may contain is an error."""
        if not HEADER_OCTETS <= len(octets) <= homeplug.MAX_FRAME + TAG_OCTETS:
            self.dropped["not a frame"] += 1
            return
        octets = octets.ljust(homeplug.MIN_FRAME, b"\0")
        if not port.modem.hears(now):
            self.dropped["modem deaf"] += 1
            return
        if not octets[6] & GROUP_BIT:
            port.hosts.add(octets[6:12])
        frame = _managed(octets)
        if frame is not None:
            self._answer(port, port, frame, now)
        if octets[:6] not in (LOCAL_MODEM, port.modem.mac):
            self._spread(port, octets, now)

    def linked(self, port: Port, now: float) -> bool:
        """Whether its modem is in a network with another one: what link polls ask for."""
        return any(True for _ in self._members(port, now))

    # --- across the line ----------------------------------------------------------------------

    def _spread(self, port: Port, octets: bytes, now: float) -> None:
        """To everybody who may hear it."""
        managing = _is_management(octets)
        reached = list(self._hearing(port, now) if managing else self._members(port, now))
        if not reached:
            self.dropped["nobody hears" if managing else "no network"] += 1
        self._cross(port, reached, octets, now)

    def _cross(self, port: Port, reached: Iterable[Port], octets: bytes, now: float) -> None:
        """Through the sender's and each receiver's side of the line; what it is was decided before any damage."""
        managing = _is_management(octets)
        for delay_s, sent in port.outgoing.copies(octets, self._chance):
            for other in reached:
                for late_s, received in other.incoming.copies(sent, self._chance):
                    self.at(now + delay_s + late_s, self._arrival(port, other, received, managing))

    def _arrival(self, source: Port, port: Port, octets: bytes, managing: bool) -> Action:
        def arrive(now: float) -> None:
            if not (port.modem.hears(now) if managing else port in self._members(source, now)):
                self.dropped["modem deaf"] += 1
                return
            frame = _managed(octets) if managing else None
            if frame is not None:
                self._sound(source, port, frame, now)
                self._answer(source, port, frame, now)
            if octets[0] & GROUP_BIT or octets[:6] in port.hosts:
                self._arrived.append((port, octets))

        return arrive

    def _hearing(self, port: Port, now: float) -> Iterator[Port]:
        """The ports in earshot."""
        for other in self.ports:
            if other is not port and other.modem.hears(now) and frozenset((port, other)) not in self._cut:
                yield other

    def _members(self, port: Port, now: float) -> Iterator[Port]:
        """The other ports of the network of a port's modem."""
        if port.modem.in_network(now):
            for other in self._hearing(port, now):
                if other.modem.in_network(now) and other.modem.key == port.modem.key:
                    yield other

    # --- modems -------------------------------------------------------------------------------

    def _answer(self, source: Port, port: Port, frame: Frame, now: float) -> None:
        """The modem at `port` answers what the host at `source` asks, if it is asked and may."""
        modem, local = port.modem, source is port
        addressed = (BROADCAST, modem.mac, LOCAL_MODEM) if local else (BROADCAST, modem.mac)
        if frame.destination not in addressed:
            return
        members = list(self._members(port, now))
        if not local and (source not in members or not _answers_remotely(modem, frame.message)):
            return
        answer = ANSWERS[modem.config.vendor].get(type(frame.message))
        if answer is None:
            return
        heard = [other.modem for other in self._hearing(port, now)]
        peers = [other.modem for other in members]
        message = answer(Asked(modem, frame.message, local, peers, heard, self._chance, now))
        if message is not None:
            self._say(port, source, frame.source, message, now)

    def _say(self, port: Port, to: Port, destination: bytes, message: Message, now: float) -> None:
        """A modem sends to the host at `to`: at once to its own, over the line to another."""
        octets = homeplug.write(Frame(destination, port.modem.mac, message))
        when = now + self._chance.uniform(*port.modem.config.answer_s)
        if to is port:
            self.at(when, lambda _: self._arrived.append((port, octets)))
        else:
            self.at(when, lambda at: self._cross(port, [to], octets, at))

    def _sound(self, source: Port, port: Port, frame: Frame, now: float) -> None:
        """An EVSE's modem tells its host how it has heard a sound."""
        config = port.modem.config
        if not isinstance(frame.message, MnbcSoundInd) or config.role != "EVSE":
            return
        if config.profile_loss and self._chance.random() < config.profile_loss:
            self.dropped["profile"] += 1
            return
        if (source, port) not in self._paths:
            self.attenuate(source, port, DEFAULT_DB)
        aag = self._paths[source, port].heard(self._chance)[: config.profile_groups]
        messages: list[Message] = [AttenProfileInd(pev_mac=frame.source, aag=aag)]
        if config.profile_twice:
            messages.insert(0, VsAttenCharInd(pev_mac=frame.source, aag=aag))
        when = now + self._chance.uniform(*config.profile_s)
        for message in messages:
            octets = homeplug.write(Frame(BROADCAST, port.modem.mac, message))
            self.at(when, self._told(port, octets))

    def _told(self, port: Port, octets: bytes) -> Action:
        def tell(now: float) -> None:
            if port.modem.hears(now):
                self._arrived.append((port, octets))

        return tell


def _is_management(octets: bytes) -> bool:
    at = 16 if octets[12:14] == homeplug.VLAN_ETHERTYPE.to_bytes(2, "big") else 12
    return octets[at : at + 2] == homeplug.ETHERTYPE.to_bytes(2, "big")


def _managed(octets: bytes) -> Frame | None:
    """The message in a frame; None where there is none, or a damaged one: modems let those pass."""
    try:
        return homeplug.read(octets)
    except FramingError:
        return None


def _answers_remotely(modem: Modem, message: Message) -> bool:
    return type(message) in REMOTE or modem.config.remote_access
