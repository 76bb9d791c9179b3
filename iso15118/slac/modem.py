"""The host and its own modem: which one it is, its key, and what it knows of the link.

Every question is a procedure on the host's lane. The modem is addressed at a local address which does not cross the
powerline, and is known by what it answers there; from then on answers of others do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from iso15118.slac.dlink import DLink
from iso15118.slac.events import KeySet, LinkAssumed, LinkSeen, ModemIdentified, ModemSilent
from iso15118.slac.keys import NetworkKey
from iso15118.slac.vendors import COUNTING, DISCOVERY, VENDORS, Poll, Vendor, is_vendor_request
from iso15118.wire.homeplug import BROADCAST, LOCAL_MODEM, Frame, Message, SetKeyCnf, SetKeyReq

if TYPE_CHECKING:
    from iso15118.slac.host import Host

M = TypeVar("M", bound=Message)

SET_KEY_TRIES: Final = 3
NONCE_OCTETS: Final = 4
RESET_DELAY_S: Final = 0.1
PATIENCE: Final = 3
"""So many polls without an answer, and the next way to ask is tried; so many bad ones, and the link is lost."""


class Modem:
    """What a host knows of its modem, and how it speaks to it."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.forget()

    def forget(self) -> None:
        """The port is gone: another modem may come back."""
        self.mac: bytes | None = None
        self.proven = False
        self.vendor: Vendor | None = None
        self.up: bool | None = None
        self._polls: tuple[Poll, ...] = (DISCOVERY, COUNTING)
        self._answers = False  # whether some poll has ever been answered
        self._unanswered = 0

    def is_local(self, source: bytes) -> bool:
        """Whether a frame from `source` may be our modem's; anybody may be while it is unknown."""
        return self.mac in (None, source)

    def is_foreign(self, frame: Frame) -> bool:
        """Whether a frame manages modems from somewhere else than our own one."""
        if isinstance(frame.message, SetKeyReq):
            return True
        return is_vendor_request(frame.message) and not self.is_local(frame.source)

    # --- identity -----------------------------------------------------------------------------

    async def identify(self) -> None:
        """Ask each vendor's question; whoever answers first is our modem. Silence leaves it unknown."""
        for vendor in self._candidates():
            for to in (LOCAL_MODEM, BROADCAST):
                answer = await self.ask(vendor.version.request, vendor.version.answer, to=to)
                if answer is not None:
                    self._identified(vendor, answer)
                    return

    def _candidates(self) -> Sequence[Vendor]:
        choice = self._host.config.modem
        wanted = VENDORS.values() if choice == "auto" else [VENDORS[choice]] if choice in VENDORS else []
        return [v.with_long_header() if self._host.config.lumissil_long_header else v for v in wanted]

    def _identified(self, vendor: Vendor, answer: Frame) -> None:
        self.mac, self.vendor = answer.source, vendor
        self._polls = (vendor.link, DISCOVERY, COUNTING)
        version = vendor.version.text(answer.message)
        self._host.emit(ModemIdentified, mac=answer.source, vendor=vendor.name, version=version)

    def _prove(self, mac: bytes) -> None:
        """What was sent to the local address alone was echoed from here: this is our modem."""
        if self.mac != mac or not self.proven:
            name = self.vendor.name if self.vendor is not None else "unknown"
            self._host.emit(ModemIdentified, mac=mac, vendor=name, proven=True)
        self.mac, self.proven = mac, True

    async def ask(self, request: Message, answer: type[M], to: bytes = LOCAL_MODEM) -> Frame | None:
        """The answer of our modem; None where there is none in time."""

        def accept(item: object) -> Frame | None:
            if not isinstance(item, Frame) or not isinstance(item.message, answer):
                return None
            return item if self.is_local(item.source) else None

        self._host.send(request, to)
        return await self._host.wait(accept, self._host.now + self._host.times.probe_s)

    # --- key ----------------------------------------------------------------------------------

    async def set_key(self, key: NetworkKey) -> bool:
        """Give the modem a key; whether it took it. Many a modem is deaf for seconds afterwards.

        The answer's Result is reported, not judged: success is 1 on most modems and 0 by the text.
        """
        nonce = self._host.entropy(NONCE_OCTETS)
        self.up = None
        for _ in range(SET_KEY_TRIES):
            self._host.send(SetKeyReq(nid=key.nid, new_key=key.nmk, my_nonce=nonce), LOCAL_MODEM)
            until = self._host.now + self._host.times.set_key_s
            answer = await self._host.wait(lambda item: self._confirmation(item, nonce), until)
            if answer is not None:
                self._host.emit(KeySet, nid=key.nid, fingerprint=key.fingerprint, result=answer.result)
                await self._reset_if_wished()
                return True
        self._host.emit(ModemSilent, request="CM_SET_KEY.REQ", tries=SET_KEY_TRIES)
        return False

    def _confirmation(self, item: object, nonce: bytes) -> SetKeyCnf | None:
        """The confirmation that echoes our nonce; from our modem alone once that is proven."""
        if not isinstance(item, Frame) or not isinstance(item.message, SetKeyCnf):
            return None
        if item.message.your_nonce != nonce or (self.proven and item.source != self.mac):
            return None
        self._prove(item.source)
        return item.message

    async def _reset_if_wished(self) -> None:
        """Restart the modem so that former peers drop off at once (Qualcomm)."""
        if self._host.config.reset_after_key:
            await self._host.sleep(RESET_DELAY_S)
            await self.reset()

    async def reset(self) -> bool:
        """Restart the modem; whether it said it would. It is gone for 1 to 5 s."""
        reset = self.vendor.reset if self.vendor is not None else None
        if reset is None:
            return False
        if reset.answer is None:
            self._host.send(reset.request, LOCAL_MODEM)
            return True
        return await self.ask(reset.request, reset.answer) is not None

    # --- link ---------------------------------------------------------------------------------

    async def poll(self) -> bool | None:
        """Whether the modem sees the peer; None where it does not answer."""
        poll = self._polls[0]
        if poll is COUNTING:
            up = await self._count_modems()
        else:
            answer = await self.ask(poll.request, poll.answer)
            up = None if answer is None else poll.says(answer.message)
        self._polled(up)
        return up

    def _polled(self, up: bool | None) -> None:
        """Keep to the question that is answered; until one is, try them in turn."""
        if up is None:
            self._unanswered += 1
            if not self._answers and self._unanswered % PATIENCE == 0:
                self._polls = (*self._polls[1:], self._polls[0])
        else:
            self._answers, self._unanswered = True, 0
            if up is not self.up:
                self._host.emit(LinkSeen, up=up, method=self._polls[0].name)
        self.up = up

    async def _count_modems(self) -> bool | None:
        """Two modems that answer are two in the network."""
        answering: set[bytes] = set()

        def accept(item: object) -> bool | None:
            if isinstance(item, Frame) and isinstance(item.message, COUNTING.answer):
                answering.add(item.source)
            return True if len(answering) > 1 else None

        self._host.send(COUNTING.request, BROADCAST)
        await self._host.wait(accept, self._host.now + self._host.times.probe_s)
        return len(answering) > 1 if answering else None

    async def link_up(self, by: float) -> bool:
        """Poll until the link is up; False at `by` (monotonic s).

        Where no modem answers any question, the link is taken for granted after a while.
        """
        times, begun = self._host.times, self._host.now
        while self._host.now < by:
            if await self.poll():
                return True
            waited_s = self._host.now - begun
            if not self._answers and waited_s >= times.settle_s:
                self._host.emit(LinkAssumed, after_s=waited_s)
                return True
            await self._host.sleep(times.poll_joining_s)
        return False

    async def supervise(self, pause_wanted: Callable[[], bool]) -> None:
        """Poll until the link is lost, which takes three bad answers in a row, or a pause is wanted."""
        bad = 0
        while bad < PATIENCE and not pause_wanted():
            next_poll = self._host.now + self._host.times.poll_matched_s
            await self._host.wait(lambda item: item if item is DLink.PAUSE else None, next_poll)
            if not pause_wanted():
                up = await self.poll()
                unknowable = up is None and not self._answers
                bad = 0 if up or unknowable else bad + 1
