"""What the link can tell. MACs, run ids and NIDs are octets; keys are never told."""

from __future__ import annotations

from dataclasses import dataclass

from iso15118.events import Event
from iso15118.slac.dlink import LinkState, LinkStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkReady(Event):
    """D-LINK_READY: the link is established, or there is none. `peer` is the host MAC of the other side."""

    status: LinkStatus
    reason: str
    peer: bytes | None = None

    @property
    def established(self) -> bool:
        """Whether discovery may start."""
        return self.status is LinkStatus.ESTABLISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkStateEntered(Event):
    """The link went to another state."""

    state: LinkState
    previous: LinkState
    why: str = ""


# --- modem --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ModemIdentified(Event):
    """This is our own modem. `proven`: it answered what only our own modem can have heard."""

    mac: bytes
    vendor: str
    version: str = ""
    proven: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModemSilent(Event):
    """The modem does not answer `request`: no power, wrong interface, or busy restarting."""

    request: str
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet(Event):
    """The modem took a key. `result` as it answered; modems in the field say 1 for success, others 0."""

    nid: bytes
    fingerprint: str
    result: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSeen(Event):
    """What the modem says of the link, at each change. `method`: how it was asked."""

    up: bool
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkAssumed(Event):
    """No modem answers any question about the link: it is taken for up, and its loss will not be seen."""

    after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignManagement(Event):
    """Somebody on the powerline tried to manage modems: a key or vendor message not from our own modem.

    It was dropped by this host. Whether our modem obeyed it is for the modem's own settings to prevent.
    """

    source: bytes
    message: str
    unreported: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SlacFrameDropped(Event):
    """A frame was of no use; `unreported` earlier ones were not told of."""

    reason: str
    source: bytes = b""
    unreported: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AmpMapReceived(Event):
    """The peer asked for less power: dB for each carrier, 30 for off."""

    reductions_db: tuple[int, ...]
    unreported: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AmpMapRefused(Event):
    """The peer did not take our amplitude map, which is not fatal."""

    reason: str


# --- matching, EV -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchingStarted(Event):
    """The EV begins attempt number `attempt` with a fresh run id."""

    attempt: int
    run_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchingFailed(Event):
    """An attempt came to nothing."""

    attempt: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvseHeard(Event):
    """An EVSE reported an attenuation: overall in dB, what that says, and what speaks against believing it."""

    mac: bytes
    num_sounds: int
    overall_db: float
    finding: str
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspiciousEvse(Event):
    """An EVSE behaves as an honest one does not: answers what it was not asked, or what cannot be measured."""

    mac: bytes
    reason: str
    unreported: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EvseChosen(Event):
    """The EV matches with this EVSE."""

    mac: bytes
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvseValidated(Event):
    """Validation of an EVSE ended: the toggles made and those it counted (None where it never came to that)."""

    mac: bytes
    toggles: int
    counted: int | None
    outcome: str


# --- matching, EVSE -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEntered(Event):
    """A matching run of an EV went to another phase; "gone" is the end."""

    ev_mac: bytes
    run_id: bytes
    phase: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Validating(Event):
    """While `on`, an EV toggles the pilot: state C is no wish for energy."""

    on: bool
    ev_mac: bytes
