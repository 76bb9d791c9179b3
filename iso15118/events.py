"""Everything observable: one stream of frozen dataclasses for logs, reports and tests.

Each event carries the monotonic time `t` (s) and the `role` ("SECC" or "EVCC") that saw it.
Requirement ids are given where the event marks a rule. `as_record` turns one into plain data.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["SECC", "EVCC"]


class EndReason(enum.Enum):
    """How a session ended."""

    COMPLETED = "completed"  # SessionStop with Terminate
    PAUSED = "paused"  # SessionStop with Pause
    PEER_CLOSED = "peer closed"
    TIMEOUT = "timeout"
    REFUSED = "refused"  # a FAILED response was sent or received
    PROTOCOL = "protocol"  # wrong or undecodable message
    LOCAL = "local"  # our own controller, hardware or configuration
    SECURITY = "security"  # TLS, a certificate or a signature
    EMERGENCY = "emergency"


class Fault(enum.Enum):
    """Whose fault the end was."""

    NONE = "none"
    LOCAL = "local"
    REMOTE = "remote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events."""

    t: float
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class StateEntered(Event):
    """The session went to another state."""

    state: str
    previous: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived(Event):
    """A message arrived; `exi` are its octets, `payload_type` its V2GTP type."""

    message: Any
    exi: bytes
    payload_type: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSent(Event):
    """A message was handed to the transport."""

    message: Any
    exi: bytes
    payload_type: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameIgnored(Event):
    """A frame was skipped, unanswered; `reason` says why."""

    reason: str
    payload_type: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolFault(Event):
    """The peer broke a rule; `requirement` is the rule where known."""

    reason: str
    requirement: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerExpired(Event):
    """A timer of the standard ran out."""

    timer: str
    requirement: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandIssued(Event):
    """A command went to the controller."""

    command: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRefused(Event):
    """The interlock kept a command from the hardware."""

    command: Any
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionAsked(Event):
    """A question went to the controller."""

    question: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionAnswered(Event):
    """The controller answered."""

    question: Any
    answer: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareChanged(Event):
    """A level of the snapshot that matters for safety changed."""

    what: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Event):
    """Why something was chosen or answered that way, in plain words."""

    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerFlow(Event):
    """What flows now, as agreed in a charge loop (V, A, W; + into the EV)."""

    voltage_v: float
    current_a: float
    power_w: float
    soc_percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEstablished(Event):
    """SessionSetup succeeded."""

    session_id: bytes
    peer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSelected(Event):
    """The energy service and its control mode are agreed."""

    service: str
    parameter_set_id: int
    control_mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPaused(Event):
    """A session ends in a pause and can go on later: `session` is what the next machine needs (a PausedSession)."""

    session: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseEnded(Event):
    """The pause of a session is over: it goes on (`resumed`), or another one has begun and this one never will."""

    session_id: bytes
    resumed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(Event):
    """The session is over; nothing follows."""

    reason: EndReason
    fault: Fault
    detail: str
    state: str
    requirement: str = ""

    @property
    def as_intended(self) -> bool:
        """Whether the session ended by SessionStop."""
        return self.reason in (EndReason.COMPLETED, EndReason.PAUSED)


def as_record(event: Any) -> dict[str, Any]:
    """The event as plain JSON-able data: {"event": name, field: value, ...}."""
    record: dict[str, Any] = {"event": type(event).__name__}
    for item in dataclasses.fields(event):
        record[item.name] = _plain(getattr(event, item.name))
    return record


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.name if isinstance(value, enum.IntEnum) else value.value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (str, int, bool)) or value is None:
        return value
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if dataclasses.is_dataclass(value):
        plain = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {type(value).__name__: plain}
    return str(value)
