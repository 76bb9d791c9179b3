"""Cars, chargers and scripted modems on one powerline, under virtual time; everything sent is kept.

A modem double does what matters to its host: takes keys (and may be deaf afterwards), tells its name and the link,
and tells an EVSE's host how it heard a sound. Frames cross the line after a millisecond unless a test loses, delays
or changes them.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from iso15118.config import SlacConfig
from iso15118.control.common import CpState
from iso15118.control.ev import SetPilot
from iso15118.machine import Do, Emit, LinkDown, LinkUp, Update
from iso15118.machine import Frame as Octets
from iso15118.slac.dlink import DLink, LinkState, LinkStatus, PilotLevel
from iso15118.slac.ev import EvSlac
from iso15118.slac.events import EvseValidated, LinkReady, RunEntered, SuspiciousEvse
from iso15118.slac.evse import EvseSlac
from iso15118.wire import homeplug as hp
from iso15118.wire import homeplug_vendor as hv

T = TypeVar("T")

AIR_S = 0.001
PILOT_S = 0.01
EV_MAC = bytes.fromhex("020000000e01")
EVSE_MAC = bytes.fromhex("020000000c01")
RUN_ID = bytes(range(8))


@dataclass(slots=True)
class ModemDouble:
    """A modem. `join_s`: from equal keys to a link; `deaf_s`: silent after each key; `says`: vendor or ""."""

    mac: bytes
    says: str = "qualcomm"
    join_s: float = 0.5
    deaf_s: float = 0.0
    result: int = 1
    groups: int = 58
    polls: bool = True
    takes_keys: bool = True
    key: tuple[bytes, bytes] = (b"", b"")
    since: float = 0.0
    deaf_until: float = -math.inf
    resets: int = 0
    keys: list[tuple[bytes, bytes]] = field(default_factory=list)


@dataclass(slots=True)
class Party:
    """A host with its machine and modem; what it sent and told, with the time."""

    bench: Bench
    mac: bytes
    machine: EvSlac | EvseSlac
    modem: ModemDouble
    sent: list[tuple[float, hp.Frame]] = field(default_factory=list)
    log: list[tuple[float, Any]] = field(default_factory=list)
    pilots: list[tuple[float, bool]] = field(default_factory=list)

    def give(self, item: Any) -> None:
        """An input, now."""
        self.machine.receive(item, self.bench.now)
        self.bench.drain(self)

    def message(self, message: hp.Message, source: bytes, destination: bytes | None = None) -> None:
        """A message as if from `source`."""
        frame = hp.Frame(destination or self.mac, source, message)
        self.give(Octets(hp.write(frame)))

    def messages(self, kind: type[T]) -> list[T]:
        """The messages of a kind it sent."""
        return [f.message for _, f in self.sent if isinstance(f.message, kind)]

    def times(self, kind: type[Any]) -> list[float]:
        """When it sent messages of a kind."""
        return [t for t, f in self.sent if isinstance(f.message, kind)]

    def events(self, kind: type[T]) -> list[T]:
        """The events of a kind it told."""
        return [event for _, event in self.log if isinstance(event, kind)]

    @property
    def ready(self) -> list[LinkStatus]:
        """What it told of the link."""
        return [event.status for event in self.events(LinkReady)]

    @property
    def state(self) -> LinkState:
        """Where its link is."""
        return self.machine.state

    @property
    def established(self) -> bool:
        """Whether the last thing it told is that the link is up."""
        return self.ready[-1:] == [LinkStatus.ESTABLISHED]


def _heard(near: list[Party]) -> hp.DiscoverListCnf:
    return hp.DiscoverListCnf(stations=tuple(hp.HeardStation(mac=p.modem.mac, same_network=1) for p in near))


ANSWERS: Mapping[tuple[str, type[hp.Message]], Callable[[list[Party]], hp.Message | None]] = {
    ("qualcomm", hv.VsSwVerReq): lambda _: hv.VsSwVerCnf(device_id=0x20, version="MAC-QCA7005-1.1.0.730"),
    ("qualcomm", hv.VsPlLnkStatusReq): lambda near: hv.VsPlLnkStatusCnf(link_status=int(bool(near))),
    ("qualcomm", hv.VsRsDevReq): lambda _: hv.VsRsDevCnf(),
    ("lumissil", hv.LumissilGetVersionReq): lambda _: hv.LumissilGetVersionCnf(
        major=1, minor=2, sub=3, build=4, patch=5
    ),
    ("lumissil", hv.LumissilGetDLinkStatusReq): lambda near: hv.LumissilGetDLinkStatusCnf(
        link_status=int(bool(near))
    ),
    ("vertexcom", hv.VertexcomGetVersionReq): lambda _: hv.VertexcomGetVersionCnf(),
    ("vertexcom", hv.VertexcomGetStatusReq): lambda near: hv.VertexcomGetStatusCnf(
        link_connect_status=int(bool(near))
    ),
    ("discovery", hp.DiscoverListReq): _heard,
}
"""(what a modem is, request) -> its answer, given who is in its network."""
POLLS = (hv.VsPlLnkStatusReq, hv.LumissilGetDLinkStatusReq, hv.VertexcomGetStatusReq, hp.DiscoverListReq)
RESETS = (hv.VsRsDevReq, hv.LumissilResetReq)

Judge = Callable[[Party, hp.Frame], bool]


class Bench:
    """The powerline. `levels[ev, evse]` is the attenuation in dB, 20 unless told; `cabled` is at the EVs' cables."""

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.entropy: Callable[[int], bytes] = self.random.randbytes
        self.now = 100.0
        self.parties: list[Party] = []
        self.levels: dict[tuple[bytes, bytes], float] = {}
        self.cabled: Party | None = None
        self.apart = False
        self.losses: list[Judge] = []
        self.delays: list[tuple[Judge, float]] = []
        self.changes: list[Callable[[Party, hp.Frame], hp.Frame]] = []
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()

    # --- who is there ---------------------------------------------------------------------------

    def ev(self, config: SlacConfig | None = None, host: bytes = b"", **modem: Any) -> Party:
        """A car, with an address of its own unless told; the rest is what its modem is like."""
        mac = host or EV_MAC[:-1] + bytes([len(self.parties) + 1])
        return self._add(mac, EvSlac(mac, config or SlacConfig(), self.entropy), modem)

    def evse(self, config: SlacConfig | None = None, host: bytes = b"", **modem: Any) -> Party:
        """A charger, likewise; the first one is at the cable."""
        mac = host or EVSE_MAC[:-1] + bytes([len(self.parties) + 1])
        party = self._add(mac, EvseSlac(mac, config or SlacConfig(), self.entropy), modem)
        self.cabled = self.cabled or party
        return party

    def _add(self, mac: bytes, machine: EvSlac | EvseSlac, modem: dict[str, Any]) -> Party:
        modem.setdefault("mac", b"\x02\xb0\x52" + mac[3:])
        party = Party(self, mac, machine, ModemDouble(**modem))
        self.parties.append(party)
        return party

    def open(self, seconds: float = 2.0) -> None:
        """The ports open, modems take their first keys."""
        for party in self.parties:
            party.give(LinkUp())
        self.run(seconds)

    def plug(self) -> None:
        """A car is plugged in, everybody wants to match."""
        for party in self.parties:
            if isinstance(party.machine, EvseSlac):
                party.give(Update(PilotLevel(CpState.B)))
                party.give(DLink.MATCH)
        for party in self.parties:
            if isinstance(party.machine, EvSlac):
                party.give(DLink.MATCH)

    def close(self) -> None:
        """All ports are gone."""
        for party in self.parties:
            party.give(LinkDown())

    # --- trouble --------------------------------------------------------------------------------

    def lose(self, kind: type[hp.Message], times: int = 1, to: Party | None = None) -> None:
        """Lose the next messages of a kind."""
        left = itertools.repeat(None, times)

        def judge(_: Party, frame: hp.Frame) -> bool:
            meant = isinstance(frame.message, kind) and (to is None or frame.destination == to.mac)
            return meant and next(left, 0) is None

        self.losses.append(judge)

    def delay(self, kind: type[hp.Message], seconds: float) -> None:
        """Messages of a kind take so long."""
        self.delays.append((lambda _, frame: isinstance(frame.message, kind), seconds))

    # --- time -----------------------------------------------------------------------------------

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something after a while."""
        heapq.heappush(self._heap, (self.now + seconds, next(self._number), action))

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self.now + seconds
        while True:
            due = min([p.machine.deadline for p in self.parties] + [t for t, _, _ in self._heap[:1]])
            if due > end:
                break
            self.now = max(self.now, due)
            if self._heap and self._heap[0][0] <= self.now:
                heapq.heappop(self._heap)[2]()
            for party in self.parties:
                if party.machine.deadline <= self.now:
                    party.machine.tick(self.now)
                    self.drain(party)
        self.now = end

    def drain(self, party: Party) -> None:
        """Carry out what a machine put out."""
        for output in party.machine.outputs():
            match output:
                case Octets(data=data):
                    self.carry(party, hp.read(data))
                case Emit(event=event):
                    party.log.append((self.now, event))
                case Do(command=SetPilot(ready=ready)):
                    party.pilots.append((self.now, ready))
                    self.later(PILOT_S, lambda level=CpState.C if ready else CpState.B: self._pilot(level))

    def _pilot(self, level: CpState) -> None:
        if self.cabled is not None:
            self.cabled.give(Update(PilotLevel(level)))

    # --- the line -------------------------------------------------------------------------------

    def carry(self, sender: Party, frame: hp.Frame) -> None:
        """A frame from a host."""
        sender.sent.append((self.now, frame))
        if any(judge(sender, frame) for judge in self.losses):
            return
        for change in self.changes:
            frame = change(sender, frame)
        seconds = next((s for judge, s in self.delays if judge(sender, frame)), AIR_S)
        if frame.destination in (hp.LOCAL_MODEM, hp.BROADCAST):
            self._to_modem(sender, frame, sender)
        if frame.destination == hp.LOCAL_MODEM:
            return
        for party in self.parties:
            if party is not sender and frame.destination in (party.mac, hp.BROADCAST):
                self._to_host(party, frame, seconds)
                if frame.destination == hp.BROADCAST:
                    self._to_modem(party, frame, sender)

    def _to_host(self, party: Party, frame: hp.Frame, seconds: float) -> None:
        self.later(seconds, lambda: party.give(Octets(hp.write(frame))))

    def _to_modem(self, owner: Party, frame: hp.Frame, sender: Party) -> None:
        modem = owner.modem
        if self.now < modem.deaf_until:
            return
        if isinstance(frame.message, hp.MnbcSoundInd) and owner is not sender:
            if isinstance(owner.machine, EvseSlac):
                profile = self._profile(sender, owner)
                if not any(judge(owner, profile) for judge in self.losses):
                    self._to_host(owner, profile, AIR_S / 2)
            return
        answer = self._answer(owner, frame.message, remote=owner is not sender)
        if answer is not None:
            reply = hp.Frame(sender.mac, modem.mac, answer)
            if not any(judge(owner, reply) for judge in self.losses):
                self._to_host(sender, reply, AIR_S)

    def _profile(self, ev: Party, evse: Party) -> hp.Frame:
        level = self.levels.get((ev.mac, evse.mac), 20.0)
        groups = bytes(max(0, round(level + (i % 5) - 2)) for i in range(evse.modem.groups))
        return hp.Frame(evse.mac, evse.modem.mac, hp.AttenProfileInd(pev_mac=ev.mac, aag=groups))

    def _answer(self, owner: Party, message: hp.Message, *, remote: bool) -> hp.Message | None:
        modem = owner.modem
        if isinstance(message, hp.SetKeyReq):
            return self._take_key(modem, message) if modem.takes_keys and not remote else None
        if isinstance(message, hp.GetKeyReq):
            alone = remote and not any(p.modem.says == "counting" for p in self._network(owner))
            if modem.says != "counting" or alone:
                return None
            nid = modem.key[0]
            return hp.GetKeyCnf(result=int(remote), your_nonce=message.my_nonce, nid=nid, key=bytes(16))
        if isinstance(message, RESETS):
            modem.resets += 1
        answer = ANSWERS.get((modem.says, type(message)))
        polled = type(message) in POLLS
        return answer(self._network(owner)) if answer is not None and (modem.polls or not polled) else None

    def _take_key(self, modem: ModemDouble, request: hp.SetKeyReq) -> hp.SetKeyCnf:
        modem.key, modem.since = (request.nid, request.new_key), self.now
        modem.keys.append(modem.key)
        modem.deaf_until = self.now + modem.deaf_s
        return hp.SetKeyCnf(result=modem.result, your_nonce=request.my_nonce)

    def _network(self, owner: Party) -> list[Party]:
        """Whose modems have joined one network with a modem."""
        if self.apart or self.now < owner.modem.deaf_until:
            return []
        return [
            p
            for p in self.parties
            if p is not owner
            and p.modem.key == owner.modem.key
            and self.now >= max(p.modem.since + p.modem.join_s, owner.modem.since + owner.modem.join_s)
            and self.now >= p.modem.deaf_until
        ]

    def linked(self, owner: Party) -> bool:
        """Whether a modem sees another one of its network."""
        return bool(self._network(owner))


def pair(
    ev: SlacConfig | None = None, evse: SlacConfig | None = None, seed: int = 1
) -> tuple[Bench, Party, Party]:
    """A bench with one car and one charger, ports open."""
    bench = Bench(seed)
    car, charger = bench.ev(ev), bench.evse(evse)
    bench.open()
    return bench, car, charger


def announce(evse: Party, ev_mac: bytes, run_id: bytes = RUN_ID) -> None:
    """Play a car at an EVSE up to the announcement of its sounds."""
    evse.message(hp.SlacParmReq(run_id=run_id), ev_mac, hp.BROADCAST)
    start = hp.StartAttenCharInd(run_id=run_id, num_sounds=10, time_out=6, forwarding_sta=ev_mac)
    evse.message(start, ev_mac, hp.BROADCAST)


def hear(evse: Party, ev_mac: bytes, sounds: int = 10, level: int = 20) -> None:
    """Let the EVSE's modem hear so many sounds of a car."""
    for _ in range(sounds):
        evse.message(hp.AttenProfileInd(pev_mac=ev_mac, aag=bytes([level, level + 1] * 29)), evse.modem.mac)


def approach(evse: Party, ev_mac: bytes, run_id: bytes = RUN_ID) -> None:
    """Play a car at an EVSE up to the confirmed report."""
    announce(evse, ev_mac, run_id)
    hear(evse, ev_mac)
    evse.message(hp.AttenCharRsp(run_id=run_id, source_address=ev_mac), ev_mac)


def listening(config: SlacConfig | None = None) -> tuple[Bench, bytes, Party]:
    """A bench, the address of a scripted car, and a charger that waits for it."""
    bench, ev, evse = pair(evse=config)
    evse.give(Update(PilotLevel(CpState.B)))
    evse.give(DLink.MATCH)
    return bench, ev.mac, evse


def phases(evse: Party) -> list[str]:
    """The phases its runs went through."""
    return [event.phase for event in evse.events(RunEntered)]


def ask_match(evse: Party, ev_mac: bytes, **changed: bytes | int) -> None:
    """A car asks for the key."""
    values = {"run_id": RUN_ID, "pev_mac": ev_mac, "evse_mac": evse.mac, **changed}
    evse.message(hp.SlacMatchReq(**values), ev_mac)


def car(number: int) -> bytes:
    """The address of one of many cars."""
    return b"\x02\x00\x00\x01" + number.to_bytes(2, "big")


def outcomes(ev: Party) -> list[str]:
    """What came of its validations."""
    return [event.outcome for event in ev.events(EvseValidated)]


def suspicions(ev: Party) -> list[str]:
    """What it found odd."""
    return [event.reason for event in ev.events(SuspiciousEvse)]
