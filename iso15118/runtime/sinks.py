"""Where events can go besides `async for`: JSON lines, stdlib logging, a list."""

from __future__ import annotations

import json
import logging
from typing import Any, Final, TextIO

from iso15118 import events
from iso15118.discovery.events import DiscoveryFailed, SdpConflict
from iso15118.runtime.events import (
    ConnectFailed,
    ConnectionRefused,
    ControllerFault,
    EventsDropped,
    InternalFault,
)
from iso15118.tls.events import TlsFailed, TlsTruncated

_WARNINGS: Final = (
    events.ProtocolFault,
    events.TimerExpired,
    events.CommandRefused,
    ConnectionRefused,
    ConnectFailed,
    DiscoveryFailed,
    SdpConflict,
    EventsDropped,
    TlsFailed,
    TlsTruncated,
)
_ERRORS: Final = (ControllerFault, InternalFault)
_DETAILS: Final = (events.MessageReceived, events.MessageSent, events.PowerFlow)


class JsonLines:
    """Writes one JSON object per event and line to `out`, flushed at once.

    The caller opens and closes `out`. `exi` False leaves the encoded messages out, which halves the size.
    """

    def __init__(self, out: TextIO, exi: bool = True) -> None:
        self._out = out
        self._exi = exi

    def __call__(self, event: Any) -> None:
        """Write `event`."""
        record = events.as_record(event)
        if not self._exi:
            record.pop("exi", None)
        self._out.write(json.dumps(record, ensure_ascii=False) + "\n")
        self._out.flush()


class Log:
    """Sends events to a stdlib logger.

    Faults are ERROR, deviations and sessions that did not end as intended WARNING, messages and
    measurements DEBUG, the rest INFO.
    """

    def __init__(self, logger: logging.Logger | str = "iso15118") -> None:
        self._logger = logging.getLogger(logger) if isinstance(logger, str) else logger

    def __call__(self, event: Any) -> None:
        """Log `event`."""
        level = _level(event)
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s %s", event.role, described(event))


class Memory:
    """Keeps events in `events`; with a `limit` the newest ones."""

    def __init__(self, limit: int | None = None) -> None:
        self.events: list[Any] = []
        self._limit = limit

    def __call__(self, event: Any) -> None:
        """Keep `event`."""
        self.events.append(event)
        if self._limit is not None and len(self.events) > self._limit:
            del self.events[0]

    def of(self, *kinds: type[Any]) -> list[Any]:
        """The kept events of these kinds, in order."""
        return [event for event in self.events if isinstance(event, kinds)]


def described(event: Any) -> str:
    """One line of text: the event's name and its fields; of a message only its name."""
    record = events.as_record(event)
    name = record.pop("event")
    for key in ("t", "role", "exi", "payload_type"):
        record.pop(key, None)
    if "message" in record:
        record["message"] = type(event.message).__name__
    return " ".join((name, *(f"{key}={_short(value)}" for key, value in record.items() if value != "")))


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:197] + "..."


def _level(event: Any) -> int:
    if isinstance(event, _ERRORS):
        return logging.ERROR
    if isinstance(event, _WARNINGS):
        return logging.WARNING
    if isinstance(event, events.SessionEnded) and not event.as_intended:
        return logging.WARNING
    return logging.DEBUG if isinstance(event, _DETAILS) else logging.INFO
