"""Lines for what happens below a session: plug, matching, modem, hardware."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

from iso15118 import events as ev
from iso15118.hardware import events as hardware
from iso15118.plug import words as plug
from iso15118.slac import events as slac


def _hidden(_: Any) -> str:
    """Too much detail for a reader: told by other lines."""
    return ""


def _mac(octets: bytes | None) -> str:
    return octets.hex(":") if octets else ""


def _modem(event: slac.ModemIdentified) -> str:
    return f"modem    {event.vendor} {event.version} at {_mac(event.mac)}" if event.version else ""


def _heard(event: slac.EvseHeard) -> str:
    doubts = f", but {', '.join(event.doubts)}" if event.doubts else ""
    return f"matching heard {_mac(event.mac)} at {event.overall_db:.1f} dB: {event.finding}{doubts}"


def _ready(event: slac.LinkReady) -> str:
    return f"link     {event.status.value} {_mac(event.peer) if event.established else event.reason}".rstrip()


_LINES: Final[dict[type[Any], Callable[[Any], str]]] = {
    plug.PlugState: lambda event: f"plug     {event.state}: {event.why}",
    slac.ModemIdentified: _modem,
    slac.KeySet: lambda event: f"modem    has the key of network {event.nid.hex()}",
    slac.MatchingStarted: lambda event: f"matching attempt {event.attempt}",
    slac.MatchingFailed: lambda event: f"matching attempt {event.attempt} failed: {event.reason}",
    slac.EvseHeard: _heard,
    slac.EvseChosen: lambda event: f"matching chose {_mac(event.mac)}: {event.why}",
    slac.SuspiciousEvse: lambda event: f"SUSPECT  {_mac(event.mac)}: {event.reason}",
    slac.ForeignManagement: lambda event: f"SUSPECT  {event.message} from {_mac(event.source)}",
    slac.LinkReady: _ready,
    slac.LinkStateEntered: _hidden,
    slac.RunEntered: _hidden,
    slac.LinkSeen: _hidden,
    hardware.CableCheckStep: lambda event: f"hardware cable check: {event.step}",
}
LINES: Final = MappingProxyType(_LINES)
"""Event class -> its line; an empty one is not shown."""


def line_of(event: ev.Event) -> str | None:
    """The line for an event of plug, link or hardware; None for all others."""
    make = LINES.get(type(event))
    return make(event) if make is not None else None
