"""A host on the port to its modem: frames in and out, one procedure, and the words procedures use."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from iso15118.config import SlacConfig
from iso15118.errors import ConfigError, FramingError
from iso15118.events import Event, Role
from iso15118.machine import NEVER, Emit, Entropy, Frame, Output
from iso15118.rate import RateLimit
from iso15118.slac.constants import RETRIES
from iso15118.slac.events import AmpMapReceived, ForeignManagement, SlacFrameDropped, SuspiciousEvse
from iso15118.slac.modem import Modem
from iso15118.slac.procedure import Lane, Wait, wait
from iso15118.wire import homeplug
from iso15118.wire.homeplug import MATCHING, NO_SECURITY, Message
from iso15118.wire.homeplug_names import name_of

T = TypeVar("T")
M = TypeVar("M", bound=Message)

MAC_OCTETS: Final = 6
_REPORTS_PER_S: Final = 20

Report = type[SlacFrameDropped] | type[ForeignManagement] | type[SuspiciousEvse] | type[AmpMapReceived]


class Host:
    """What the machines on a modem's port share. `mac` is the host's own address on that port."""

    role: Role

    def __init__(self, mac: bytes, config: SlacConfig, entropy: Entropy) -> None:
        if len(mac) != MAC_OCTETS or mac[0] & 1:
            raise ConfigError("mac", f"{mac.hex(':')!r}; accepted: a unicast address of {MAC_OCTETS} octets")
        self.mac = mac
        self.config = config
        self.times = config.times
        self.entropy = entropy
        self.now = 0.0
        self.modem = Modem(self)
        self._lane = Lane()
        self._out: deque[Output] = deque()
        self._quotas: dict[Report, RateLimit] = {}

    # --- the Machine interface ----------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When `tick` is due (monotonic seconds)."""
        return self._lane.deadline

    def tick(self, now: float) -> None:
        """Let time pass."""
        self.now = now
        self._lane.tick(now)

    def outputs(self) -> Iterator[Output]:
        """Take what is to be done now."""
        while self._out:
            yield self._out.popleft()

    # --- words that wait ----------------------------------------------------------------------

    async def wait(self, accept: Callable[[Any], T | None], until: float = NEVER) -> T | None:
        """What `accept` makes of the next item it makes something of; None at `until`."""
        result: T | None = await wait(Wait(accept, until))
        return result

    async def ask(
        self, request: Message, to: bytes, accept: Callable[[Any], T | None], within_s: float
    ) -> T | None:
        """Send a request until `accept` makes something of an answer: at most C_EV_match_retry times more."""
        for _ in range(1 + RETRIES):
            self.send(request, to)
            answer = await self.wait(accept, self.now + within_s)
            if answer is not None:
                return answer
        return None

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await self.wait(_nothing, self.now + seconds)

    # --- words that do not wait ---------------------------------------------------------------

    def send(self, message: Message, to: bytes) -> None:
        """Send a message."""
        self.out(Frame(homeplug.write(homeplug.Frame(to, self.mac, message))))

    def out(self, output: Output) -> None:
        """Add an output."""
        self._out.append(output)

    def emit(self, kind: type[Event], **values: Any) -> None:
        """Tell what happened."""
        self.out(Emit(kind(t=self.now, role=self.role, **values)))

    def report(self, kind: Report, **values: Any) -> None:
        """Tell of something a peer can cause as often as it likes: within a quota."""
        quota = self._quotas.setdefault(kind, RateLimit(_REPORTS_PER_S))
        if quota.admit(self.now):
            self.emit(kind, unreported=quota.take_refused(), **values)

    # --- frames -------------------------------------------------------------------------------

    def take(self, octets: bytes) -> None:
        """Take a frame from the port. What is malformed, foreign or meant for others goes no further."""
        try:
            frame = homeplug.read(octets)
        except FramingError as error:
            self.report(SlacFrameDropped, reason=str(error))
            return
        if frame.destination not in (self.mac, homeplug.BROADCAST) or not self._from_peer(frame.source):
            return
        if self.modem.is_foreign(frame):
            self.report(ForeignManagement, source=frame.source, message=name_of(frame.message))
        elif not _in_scheme(frame.message):
            reason = f"{name_of(frame.message)} of another application or security type"
            self.report(SlacFrameDropped, reason=reason, source=frame.source)
        elif not self._lane.offer(frame):
            self.respond(frame)

    def _from_peer(self, source: bytes) -> bool:
        """Whether an address may be that of somebody else: not our own, not one of a group."""
        return source != self.mac and not source[0] & 1

    def respond(self, frame: homeplug.Frame) -> None:
        """Answer a frame no procedure waits for."""


def message_from(source: bytes, kind: type[M], item: object) -> M | None:
    """The message of an item that is a frame of this kind from this address."""
    if not isinstance(item, homeplug.Frame) or item.source != source:
        return None
    return item.message if isinstance(item.message, kind) else None


def _in_scheme(message: Message) -> bool:
    """Whether a message is of matching in the clear, the only kind in use, or has nothing to say about it."""
    application = getattr(message, "application_type", MATCHING)
    return application == MATCHING and getattr(message, "security_type", NO_SECURITY) == NO_SECURITY


def _nothing(item: Any) -> None:
    """Accepts no item."""
