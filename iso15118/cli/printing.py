"""Events as lines for people and as JSON lines for programs."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

from iso15118 import events as ev

_MAX_BRIEF: Final = 96
_DISCOVERY: Final = "iso15118.discovery.events"
_POWER_EVERY_S: Final = 60.0
"""Between two power lines of an unchanged direction."""
_CYCLE: Final = 4
"""As many messages repeat as a charge loop with a confirmed meter reading takes."""
_HIDDEN_FIELDS: Final = frozenset({"header"})


def json_line(event: ev.Event) -> str:
    """The event as one line of JSON."""
    return json.dumps(ev.as_record(event), separators=(",", ":"))


def ends_record(ends: Mapping[str, ev.SessionEnded]) -> dict[str, dict[str, str]]:
    """How sessions ended, by role, as JSON-ready data."""
    return {
        role: {"reason": end.reason.value, "fault": end.fault.value, "detail": end.detail, "state": end.state}
        for role, end in sorted(ends.items())
    }


class Outcome(Protocol):
    """A simulated run, as far as one line tells of it."""

    @property
    def ok(self) -> bool:
        """Whether it broke no rule."""

    @property
    def seed(self) -> int:
        """What repeats it."""

    @property
    def duration(self) -> float:
        """Virtual seconds."""

    @property
    def ends(self) -> Mapping[str, ev.SessionEnded]:
        """How the last session ended, by role."""


def one_of_many(run: Outcome, what: str, faults: Iterable[object]) -> str:
    """One run of many on one line."""
    end = run.ends.get("SECC")
    reason, verdict = end.reason.value if end else "no session", "ok " if run.ok else "BAD"
    listed = ", ".join(map(str, faults))
    return f"{verdict} seed {run.seed:<6} {what:<17} {run.duration:7.1f} s  {reason:<12} {listed}".rstrip()


def brief(message: Any) -> str:
    """A message on one line: its name and the values that fit, header left out."""
    name = getattr(getattr(type(message), "__schema__", None), "tag", type(message).__name__)
    text = ", ".join(_parts(message))
    if len(text) > _MAX_BRIEF:
        text = text[: _MAX_BRIEF - 3] + "..."
    return f"{name}  {text}" if text else str(name)


def _parts(value: Any) -> Iterator[str]:
    for item in dataclasses.fields(value):
        content = getattr(value, item.name)
        if item.name in _HIDDEN_FIELDS or content is None:
            continue
        yield f"{item.name}={_short(content)}"


def _short(value: Any) -> str:
    if isinstance(value, enum.Enum):
        return value.name if isinstance(value, int) else str(value.value)
    if isinstance(value, bytes):
        return value.hex() if len(value) <= 12 else f"<{len(value)} octets>"
    if isinstance(value, tuple):
        return _short(value[0]) if len(value) == 1 else f"<{len(value)} items>"
    if type(value).__name__ == "RationalNumber":
        from iso15118.units import from_rational

        return f"{from_rational(value.exponent, value.value):g}"
    if dataclasses.is_dataclass(value):
        return f"{type(value).__name__}({', '.join(_parts(value))})"
    return f"{value:g}" if isinstance(value, float) else str(value)


class Transcript:
    """Turns the events of a session (one role's or both) into lines, repeated exchanges collapsed.

    With both roles in the stream every message is seen twice; `speaker` chooses whose view of the
    messages is printed. `relative` counts the time from the first event on.
    """

    def __init__(self, speaker: ev.Role = "EVCC", *, relative: bool = False) -> None:
        self._speaker = speaker
        self._origin: float | None = None if relative else 0.0
        self._recent: list[str] = []
        self._commands: dict[str, Any] = {}
        self._previous: type[ev.Event] | None = None
        self._skipped = 0
        self._power_at = float("-inf")
        self._power_sign = 0

    def lines(self, event: ev.Event) -> Iterator[str]:
        """The lines for one event; often none."""
        if self._origin is None:
            self._origin = event.t
        if isinstance(event, (ev.MessageSent, ev.MessageReceived)):
            yield from self._message(event)
            return
        text = "" if self._repeats(event) else self._text(event)
        if text:
            yield from self._flush()
            yield f"{self._clock(event)}  {event.role:10}  {text}"

    def _repeats(self, event: ev.Event) -> bool:
        """Whether discovery repeats itself: its requests go out every quarter of a second."""
        previous, self._previous = self._previous, type(event)
        return previous is self._previous and type(event).__module__ == _DISCOVERY

    def end(self) -> Iterator[str]:
        """What is still held back."""
        yield from self._flush()

    def _message(self, event: ev.MessageSent | ev.MessageReceived) -> Iterator[str]:
        if event.role != self._speaker:
            return
        tag = type(event.message).__name__
        if tag in self._recent:
            self._skipped += 1
            return
        yield from self._flush()
        self._recent = [*self._recent[1 - _CYCLE :], tag]
        from_ev = (event.role == "EVCC") == isinstance(event, ev.MessageSent)
        arrow = "EV -> EVSE" if from_ev else "EV <- EVSE"
        yield f"{self._clock(event)}  {arrow}  {brief(event.message)}"

    def _clock(self, event: ev.Event) -> str:
        return f"{event.t - (self._origin or 0.0):9.2f} s"

    def _flush(self) -> Iterator[str]:
        if self._skipped > 1:
            exchanges = (self._skipped + 1) // 2
            yield f"{'':13}...  {exchanges} more of these exchanges"
        self._skipped = 0

    def _text(self, event: ev.Event) -> str:
        match event:
            case ev.PowerFlow():
                return self._power(event)
            case ev.CommandIssued():
                return f"command  {_short(event.command)}" if self._new_command(event) else ""
            case ev.HardwareChanged():
                return f"hardware {event.what}: {_short(event.old)} -> {_short(event.new)}"
            case ev.Decision():
                return f"decision {event.what}: {event.why}"
            case ev.QuestionAnswered():
                return f"answer   {_short(event.answer)[:_MAX_BRIEF]}"
            case _:
                return _rare(event)

    def _new_command(self, event: ev.CommandIssued) -> bool:
        """Neither a repetition nor a set-point: those come with every charge loop, power lines tell them."""
        name = type(event.command).__name__
        if name.startswith("Set") and name != "SetPilot":
            return False
        repeated = self._commands.get(event.role) == event.command
        self._commands[event.role] = event.command
        return not repeated

    def _power(self, event: ev.PowerFlow) -> str:
        sign = (event.power_w > 0) - (event.power_w < 0)
        if event.role != self._speaker:
            return ""
        if sign == self._power_sign and event.t - self._power_at < _POWER_EVERY_S:
            return ""
        self._power_at, self._power_sign = event.t, sign
        verb = ("discharging", "idle", "charging")[sign + 1]
        soc = "" if event.soc_percent is None else f", {event.soc_percent:.1f} %"
        return (
            f"{verb:11} {event.voltage_v:.1f} V  {event.current_a:.1f} A  {event.power_w / 1000:.2f} kW{soc}"
        )


def _rare(event: ev.Event) -> str:
    match event:
        case ev.SessionEstablished():
            return f"session  {event.session_id.hex()} with {event.peer_id}"
        case ev.ServiceSelected():
            return f"service  {event.service}, {event.control_mode}, parameter set {event.parameter_set_id}"
        case ev.CommandRefused():
            return f"REFUSED  {_short(event.command)}: {event.reason}"
        case ev.ProtocolFault():
            return f"FAULT    {event.reason} {event.requirement}".rstrip()
        case ev.TimerExpired():
            return f"TIMEOUT  {event.timer} {event.requirement}".rstrip()
        case ev.FrameIgnored():
            return f"ignored  {event.reason}"
        case ev.SessionEnded():
            blame = "" if event.fault is ev.Fault.NONE else f" (fault: {event.fault.value})"
            detail = f": {event.detail}" if event.detail else ""
            return f"ended    {event.reason.value}{blame}{detail}"
        case _:
            return _pause(event) or _foreign(event)


def _pause(event: ev.Event) -> str:
    match event:
        case ev.SessionPaused():
            return "kept     what the session needs to go on"
        case ev.PauseEnded(resumed=resumed):
            return f"pause    over: {'the session goes on' if resumed else 'another session has begun'}"
    return ""


def _foreign(event: ev.Event) -> str:
    """Events of discovery and runtime: their name and fields. The rest of ours is told by other lines."""
    if _is_session_event(event):
        return ""
    from iso15118.cli.link_lines import line_of
    from iso15118.runtime.sinks import described

    line = line_of(event)
    return described(event) if line is None else line


def _is_session_event(event: ev.Event) -> bool:
    return type(event).__module__ == ev.__name__
