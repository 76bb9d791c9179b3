"""A link that needs no matching: a cable of a test bench, a modem that matches by itself, an Ethernet pair."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from iso15118.events import Role
from iso15118.machine import NEVER, Emit, LinkDown, LinkUp, Output
from iso15118.slac.dlink import DLink, LinkStatus
from iso15118.slac.events import LinkReady


class DirectLink:
    """Machine: established as soon as it is asked for and its port is open, lost when the port is gone."""

    deadline = NEVER

    def __init__(self, role: Role) -> None:
        self.role = role
        self._open = self._wanted = self._up = False
        self._out: list[Output] = []

    def receive(self, item: Any, now: float) -> None:
        """Take LinkUp or LinkDown of the port, or a DLink request."""
        match item:
            case LinkUp():
                self._open = True
            case LinkDown():
                self._open = False
            case DLink.MATCH:
                self._wanted = True
            case DLink.TERMINATE | DLink.ERROR:
                self._wanted = self._up = False
            case _:
                return
        self._judge(now)

    def tick(self, now: float) -> None:
        """Nothing here takes time."""

    def outputs(self) -> Iterator[Output]:
        """Take what is to be done now."""
        out, self._out = self._out, []
        return iter(out)

    def _judge(self, now: float) -> None:
        up = self._open and self._wanted
        if up and not self._up:
            self._tell(LinkStatus.ESTABLISHED, "", now)
        elif self._up and not self._open:
            self._tell(LinkStatus.LOST, "the port is gone", now)
        self._up = up

    def _tell(self, status: LinkStatus, reason: str, now: float) -> None:
        self._out.append(Emit(LinkReady(t=now, role=self.role, status=status, reason=reason)))
