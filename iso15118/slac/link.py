"""The life of a link, the same on both sides: leave, match, join, stay, pause.

What differs, how the peer is found, is `_connect` of the two machines.
"""

from __future__ import annotations

from typing import Final

from iso15118.config import SlacConfig
from iso15118.control.common import CpState
from iso15118.machine import Entropy, Frame, Input, LinkDown, LinkUp, Stop, Update
from iso15118.slac.amplitude import answer_amp_map, exchange_amp_map
from iso15118.slac.dlink import DLink, LinkState, LinkStatus, PilotLevel
from iso15118.slac.events import LinkReady, LinkStateEntered
from iso15118.slac.host import Host
from iso15118.slac.keys import NetworkKey
from iso15118.wire import homeplug

_BOUND: Final = (LinkState.MATCHING, LinkState.JOINING, LinkState.MATCHED, LinkState.PAUSED)


class NoLinkError(Exception):
    """Ends a procedure: there is no link, and why. Caught by the machine, never by a driver."""


class LeaveError(Exception):
    """Ends a procedure: the link is to be left, and why. Caught by the machine, never by a driver."""


class LinkMachine(Host):
    """Machine. The package's docstring says what goes in and comes out."""

    persistent: bool
    """Whether matching goes on by itself after it failed (EVSE), or waits for a new MATCH (EV)."""

    def __init__(self, mac: bytes, config: SlacConfig, entropy: Entropy) -> None:
        super().__init__(mac, config, entropy)
        self.state = LinkState.CLOSED
        self.pilot = PilotLevel(None)
        self.key = NetworkKey.fresh(entropy)
        self.peer: bytes | None = None
        self._wanted = DLink.TERMINATE
        self._announced = False

    # --- inputs -------------------------------------------------------------------------------

    def receive(self, item: Input | DLink, now: float) -> None:
        """Take one input. Never raises for what a peer sent."""
        if now > self.deadline:
            self.tick(now)  # too late is too late, even if the time was served late as well
        self.now = now
        match item:
            case Frame(data=data):
                if self.state is not LinkState.CLOSED:
                    self.take(data)
            case DLink():
                self._ask(item)
            case Update(state=PilotLevel() as level):
                self._measured(level)
            case LinkUp():
                self._open()
            case LinkDown():
                self._close()
            case Stop(reason=reason):
                self._leave_for(DLink.TERMINATE, reason)
            case _:
                pass

    def _open(self) -> None:
        if self.state is LinkState.CLOSED:
            self._enter(LinkState.LEAVING, "port open")
            self._lane.start(self._life())

    def _close(self) -> None:
        if self.state is not LinkState.CLOSED:
            self._lane.stop()
            if self.state in _BOUND:
                self._fail("the port to the modem is gone")
            self.modem.forget()
            self._enter(LinkState.CLOSED, "port gone")

    def _ask(self, request: DLink) -> None:
        if request in (DLink.TERMINATE, DLink.ERROR):
            self._leave_for(request, request.value)
        elif request is DLink.PAUSE and self.state is not LinkState.MATCHED:
            pass  # nothing to pause
        else:
            self._wanted = request
            self._lane.offer(request)

    def _leave_for(self, request: DLink, why: str) -> None:
        self._wanted = request
        self._announced = False
        if self.state in _BOUND:
            self._lane.interrupt(LeaveError(why))

    def _measured(self, level: PilotLevel) -> None:
        self.pilot = level
        if self.unplugged:
            self._leave_for(DLink.TERMINATE, "unplugged")

    @property
    def unplugged(self) -> bool:
        """Whether the pilot shows that nobody is there."""
        return self.pilot.cp is CpState.A

    # --- the life of a link -------------------------------------------------------------------

    async def _life(self) -> None:
        """From the opened port until it is gone."""
        await self.modem.identify()
        why = ""
        while True:
            try:
                await self._leave(why)
                await self._until_wanted()
                await self._serve()
            except NoLinkError as error:
                why = str(error)
                self._fail(why)
            except LeaveError as error:
                why = str(error)

    async def _leave(self, why: str) -> None:
        """Leave the logical network by taking a key nobody else has (TP_match_leave)."""
        self._enter(LinkState.LEAVING, why)
        self.peer = None
        self.key = NetworkKey.fresh(self.entropy)
        while not await self.modem.set_key(self.key):
            if self._wanted is DLink.MATCH:
                self._fail("the modem does not take a key")
            await self.sleep(self.times.set_key_again_s)
            if self.modem.vendor is None:
                await self.modem.identify()  # it may have been starting when it was asked
        self._enter(LinkState.UNMATCHED)

    async def _until_wanted(self) -> None:
        """Until matching, or to go on after a pause, is wanted."""
        if self._wanted is not DLink.MATCH:
            await self.wait(lambda item: item if item is DLink.MATCH else None)

    async def _serve(self) -> None:
        """One link: from matching to its loss, with pauses."""
        self._enter(LinkState.MATCHING)
        self.peer = await self._connect()
        while True:
            await self._settle()
            await self.modem.supervise(lambda: self._wanted is DLink.PAUSE)
            if self._wanted is not DLink.PAUSE:
                raise NoLinkError("the modem does not see the peer any more")
            self._enter(LinkState.PAUSED)
            self.modem.up = None  # not known while nobody asks
            await self._until_wanted()
            self._enter(LinkState.JOINING, "after a pause")
            if not await self.modem.link_up(self.now + self.times.join_s):
                raise NoLinkError(f"not up again within {self.times.join_s:g} s after a pause")

    async def _connect(self) -> bytes:
        """Find the peer and join one network with it; its host MAC. NoLinkError where that fails."""
        raise NotImplementedError

    async def _settle(self) -> None:
        """The modem says the link is up: tell it after TP_link_ready_notification."""
        await self.sleep(self.times.link_ready_s)
        self._enter(LinkState.MATCHED)
        self._announced = True
        self.emit(LinkReady, status=LinkStatus.ESTABLISHED, reason="", peer=self.peer)
        if self.config.amp_map_db and self.peer is not None:
            await exchange_amp_map(self, self.peer)

    # --- frames of both sides -----------------------------------------------------------------

    def respond(self, frame: homeplug.Frame) -> None:
        """Answer what may come from a matched peer on either side."""
        if frame.source == self.peer:
            answer_amp_map(self, frame)

    # --- what is told -------------------------------------------------------------------------

    def _enter(self, state: LinkState, why: str = "") -> None:
        if state is not self.state:
            previous, self.state = self.state, state
            self.emit(LinkStateEntered, state=state, previous=previous, why=why)

    def _fail(self, reason: str) -> None:
        """There is no link. The EVSE goes on listening for another EV, or the same again."""
        if not self.persistent:
            self._wanted = DLink.TERMINATE
        self._no_link(reason)

    def _no_link(self, reason: str) -> None:
        status = LinkStatus.LOST if self._announced else LinkStatus.FAILED
        self._announced = False
        self.emit(LinkReady, status=status, reason=reason, peer=self.peer)
