"""One session machine on one TCP connection, for both roles.

Whatever happens, there is exactly one `SessionEnded` event, the connection gets closed, and a machine
that still had power flowing has been told first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from iso15118.events import EndReason, Fault, Role, SessionEnded
from iso15118.machine import Bytes, LinkDown, LinkUp, Machine, PeerClosed, Stop, Update
from iso15118.runtime.driver import Driver, Ports
from iso15118.runtime.events import Connected, ControllerFault, Disconnected, InternalFault
from iso15118.runtime.net import no_delay

WRITE_LIMIT: Final = 65_536
"""Octets that may wait for a peer that does not read; beyond, nothing more is read from it."""
LINGER_S: Final = 1.0
"""How long an orderly close may take before the connection is cut."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a session uses of a controller: commands, questions, and the command that ends all power."""

    command: Callable[[Any], None]
    ask: Callable[[Any], Awaitable[Any]]
    deenergise: Callable[[str], Any]


class Session(asyncio.Protocol):
    """From connection to disconnection; `finished` is set when all of it is over."""

    def __init__(
        self, role: Role, machine: Machine, hardware: Hardware, state: Any, emit: Callable[[Any], None]
    ) -> None:
        self.role = role
        self.finished = asyncio.Event()
        self.result: SessionEnded | None = None
        self.peer = ""
        self._state = state
        self._fault = ""
        self._emit_event = emit
        self._hardware = hardware
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._cut: asyncio.TimerHandle | None = None
        self._peer_gone = False
        self._driver = Driver(
            machine,
            Ports(
                emit=self._emit,
                send=self._send,
                close=self._close,
                command=hardware.command,
                ask=hardware.ask,
                command_failed=self._on_command_failed,
                question_failed=self._on_question_failed,
                broken=self._on_broken,
            ),
        )

    # --- for the owner ------------------------------------------------------------------------

    def update(self, state: Any) -> None:
        """Tell the machine the new levels."""
        self._state = state
        self._driver.feed(Update(replace(state, fault=state.fault or self._fault)))

    def stop(self, reason: str) -> None:
        """Ask for an orderly end; the peer has a say in how long that takes."""
        self._driver.feed(Stop(reason))

    def abort(self) -> None:
        """End now: power off, connection cut."""
        self._driver.feed(LinkDown())
        self._end("aborted")
        if self._transport is not None:
            self._transport.abort()

    async def aclose(self) -> None:
        """Abort if need be, and wait until nothing of this session is left."""
        if not self.finished.is_set():
            self.abort()
        await self._driver.aclose()
        if self._transport is not None:
            await self.finished.wait()

    # --- the connection -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands: levels first, then the link."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.peer = peer_name(transport)
        if self._driver.ended:  # aborted before it came to this
            transport.abort()
            return
        transport.set_write_buffer_limits(high=WRITE_LIMIT)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            no_delay(connection)
        self._emit(Connected(t=self._loop.time(), role=self.role, peer=self.peer))
        self._driver.feed(Update(self._state))
        self._driver.feed(LinkUp())

    def data_received(self, data: bytes) -> None:
        """Octets came in."""
        self._driver.feed(Bytes(data))

    def eof_received(self) -> bool:
        """The peer sends no more: over, for neither side can go on without requests and responses."""
        self._on_peer_gone()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, whoever ended it."""
        self._on_peer_gone()
        self._end(str(exc) if exc else "connection closed")
        if self._cut is not None:
            self._cut.cancel()
        reason = "" if exc is None else str(exc)
        self._emit(Disconnected(t=self._loop.time(), role=self.role, peer=self.peer, reason=reason))
        self.finished.set()

    def pause_writing(self) -> None:
        """The peer does not read: read no more from it either."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The peer reads again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _on_peer_gone(self) -> None:
        if not self._peer_gone:
            self._peer_gone = True
            self._driver.feed(PeerClosed())

    # --- ports of the driver ------------------------------------------------------------------

    def _emit(self, event: Any) -> None:
        if isinstance(event, SessionEnded):
            self.result = event
        self._emit_event(event)

    def _send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _close(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
            self._cut = self._loop.call_later(LINGER_S, self._transport.abort)

    def _on_command_failed(self, command: Any, error: BaseException) -> None:
        """Hardware that fails a command cannot be trusted: from now on the machine sees a fault."""
        self._on_question_failed(command, error)
        if not self._fault:
            self._fault = f"the controller failed at {type(command).__name__}"
            self.update(self._state)

    def _on_question_failed(self, what: Any, error: BaseException) -> None:
        """The machine learns of it by the answer, and refuses."""
        self._emit(ControllerFault(t=self._loop.time(), role=self.role, what=what, error=repr(error)))

    def _on_broken(self, error: BaseException) -> None:
        """The machine is of no use any more: power off without it, and out."""
        what = "the session machine failed"
        self._emit(InternalFault(t=self._loop.time(), role=self.role, what=what, error=repr(error)))
        try:
            self._hardware.command(self._hardware.deenergise(what))
        except Exception as failure:  # noqa: BLE001 - firmware code; there is nothing left to try
            self._emit(ControllerFault(t=self._loop.time(), role=self.role, what=what, error=repr(failure)))
        self._end(f"{what}: {error!r}")
        if self._transport is not None:
            self._transport.abort()

    def _end(self, detail: str) -> None:
        """The machine is done with; if it did not tell how the session ended, that is told here."""
        self._driver.end()
        if self.result is None:
            ended = SessionEnded(
                t=self._loop.time(),
                role=self.role,
                reason=EndReason.LOCAL,
                fault=Fault.LOCAL,
                detail=detail,
                state="",
            )
            self._emit(ended)


def peer_name(transport: asyncio.BaseTransport) -> str:
    """The other end as "[address]:port"; empty if it is gone already."""
    address = transport.get_extra_info("peername")
    return f"[{address[0]}]:{address[1]}" if address else ""
