"""A vehicle on a network interface: find the charger, connect, run one session."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final

from iso15118.config import EvccConfig
from iso15118.control import ev
from iso15118.control.ev import EvController, EvState
from iso15118.discovery.events import DiscoveryFailed, SeccFound
from iso15118.discovery.sdp_client import SdpClient, SdpClientConfig
from iso15118.errors import ConfigError, DiscoveryError, LinkError
from iso15118.events import Role, SessionEnded
from iso15118.machine import Entropy, LinkUp, Machine, Utc
from iso15118.runtime.datagrams import DatagramLink
from iso15118.runtime.events import ConnectFailed, InternalFault
from iso15118.runtime.net import Interface, sdp_client_socket, tcp_connect, wait_for_interface
from iso15118.runtime.session import Hardware, Session
from iso15118.runtime.stream import EventStream, Sink
from iso15118.runtime.warm import warm_up

STOP_GRACE_S: Final = 5.0
CONNECT_S: Final = 5.0
"""How long the charger may take to accept the TCP connection."""

MakeEvcc = Callable[[EvccConfig, Entropy, Utc], Machine]

_ROLE: Final[Role] = "EVCC"
_LOG: Final = logging.getLogger("iso15118.runtime")


class EvLevels:
    """The vehicle's level snapshot: written by its control units, read by the session.

    To be called on the event loop's thread, as `EvseLevels`.
    """

    def __init__(self, state: EvState, changed: Callable[[EvState], None]) -> None:
        self._state = state
        self._changed = changed

    @property
    def state(self) -> EvState:
        """The newest levels."""
        return self._state

    def update(self, **levels: Any) -> None:
        """Change these levels (fields of EvState) and tell the session; without any: they still hold.

        Raises TypeError for an unknown level.
        """
        self.write(dataclasses.replace(self._state, **levels))

    def write(self, state: EvState) -> None:
        """Replace the whole snapshot and tell the session."""
        self._state = state
        self._changed(state)


class Vehicle:
    """One EV on one interface: `async for event in vehicle.run()` is one plug-in, from discovery to end.

    `vehicle.ev.update(...)` writes measured levels. Discovery and connecting are tried
    `discovery_cycles` times; with `charger` (address, port) given there is no discovery. `result` tells how
    the session ended. `machine` builds the session machine; the default is the stack's own.
    Raises ConfigError (interface unknown, TLS needed), LinkError (no address) and, after the last cycle,
    DiscoveryError or LinkError.
    """

    def __init__(
        self,
        config: EvccConfig,
        controller: EvController,
        interface: str,
        *,
        state: EvState | None = None,
        charger: tuple[str, int] | None = None,
        discovery_cycles: int = 3,
        discovery: SdpClientConfig | None = None,
        sinks: Iterable[Sink] = (),
        machine: MakeEvcc | None = None,
    ) -> None:
        if discovery_cycles < 1:
            raise ConfigError("discovery_cycles", f"{discovery_cycles}; accepted: 1 or more")
        self.config = config
        self.interface = interface
        self.ev = EvLevels(state or EvState(), self._on_levels)
        self._charger = charger
        self._cycles = discovery_cycles
        self._discovery = discovery
        self._hardware = Hardware(controller.command, _Questions(controller), ev.Deenergise)
        self._make = machine or _default_machine
        self._events = EventStream(_ROLE, sinks)
        self._session: Session | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def result(self) -> SessionEnded | None:
        """How the session ended; None before."""
        return self._session.result if self._session is not None else None

    async def run(self) -> AsyncIterator[Any]:
        """Events from discovery to the end of the session; leaving the loop cuts the session."""
        if self._task is not None:
            raise RuntimeError("this vehicle runs already; one Vehicle is one plug-in at a time")
        self._check_security()
        self._session = None
        task = self._task = asyncio.get_running_loop().create_task(self._plug_in())
        task.add_done_callback(lambda _: self._events.close())
        try:
            while not task.done():
                for event in await self._events.take():
                    yield event
            for event in self._events.take_now():
                yield event
            if not task.cancelled():
                task.result()
        finally:
            self._task = None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def stop(self, reason: str = "the vehicle stops", grace_s: float = STOP_GRACE_S) -> None:
        """End the session in an orderly way within `grace_s` seconds, then cut it; `run` ends by itself."""
        task, session = self._task, self._session
        if task is None:
            return
        if session is not None:
            session.stop(reason)
            await asyncio.wait((task,), timeout=grace_s)
        task.cancel()
        await asyncio.wait((task,))

    # --- one plug-in --------------------------------------------------------------------------

    async def _plug_in(self) -> None:
        try:
            await warm_up(self.config.services, "iso15118.evcc.machine")
            interface = await wait_for_interface(self.interface)
            session = self._session = await self._reach(interface)
            await session.finished.wait()
        finally:
            if self._session is not None:
                await self._session.aclose()

    async def _reach(self, interface: Interface) -> Session:
        """A session on a connection to the charger."""
        for cycle in range(1, self._cycles + 1):
            try:
                address, port = self._charger or await self._discover(interface)
                return await self._connect(interface, address, port)
            except LinkError as error:
                if cycle == self._cycles:
                    raise
                _LOG.info("no connection in discovery cycle %d of %d: %s", cycle, self._cycles, error)
        raise AssertionError("at least one cycle")

    async def _discover(self, interface: Interface) -> tuple[str, int]:
        answered: asyncio.Future[SeccFound] = asyncio.get_running_loop().create_future()

        def watch(event: Any) -> None:
            self._emit(event)
            if answered.done():
                return
            if isinstance(event, SeccFound):
                answered.set_result(event)
            elif isinstance(event, DiscoveryFailed):
                answered.set_exception(
                    DiscoveryError(f"no charger found on {interface.name}: {event.reason}")
                )

        def broken(error: BaseException) -> None:
            self._fault("discovery failed", error)
            if not answered.done():
                answered.set_exception(DiscoveryError(f"discovery failed: {error!r}"))

        config = self._discovery or SdpClientConfig(
            tls=False, allow_tls=False, link_local_only=not interface.loopback
        )
        link = await DatagramLink.open(
            SdpClient(config), sdp_client_socket(interface), interface, watch, broken
        )
        try:
            link.feed(LinkUp())
            found = await answered
        finally:
            link.close()
        return found.address, found.port

    async def _connect(self, interface: Interface, address: str, port: int) -> Session:
        loop = asyncio.get_running_loop()
        try:
            connection = await tcp_connect(interface, address, port, CONNECT_S)
        except LinkError as error:
            peer = f"[{address}]:{port}"
            self._emit(ConnectFailed(t=loop.time(), role=_ROLE, peer=peer, reason=str(error)))
            raise
        machine = self._make(self.config, os.urandom, time.time)
        session = Session(_ROLE, machine, self._hardware, self.ev.state, self._emit)
        await loop.create_connection(lambda: session, sock=connection)
        return session

    def _check_security(self) -> None:
        if not self.config.insecure_no_tls:
            raise ConfigError(
                "insecure_no_tls",
                "ISO 15118-20 needs TLS 1.3, which this version does not have yet. For a laboratory, allow "
                "plain TCP knowingly: EvccConfig(insecure_no_tls=True), or insecure_no_tls = true in the file",
            )
        _LOG.warning(
            "%s on %s: ISO 15118-20 WITHOUT TLS, which the standard forbids; for laboratories only",
            self.config.evcc_id,
            self.interface,
        )

    def _on_levels(self, state: EvState) -> None:
        if self._session is not None:
            self._session.update(state)

    def _emit(self, event: Any) -> None:
        self._events.emit(event)

    def _fault(self, what: str, error: BaseException) -> None:
        now = asyncio.get_running_loop().time()
        self._emit(InternalFault(t=now, role=_ROLE, what=what, error=repr(error)))


class _Questions:
    """Hands a machine's question to the method of the controller that answers it."""

    def __init__(self, controller: EvController) -> None:
        self._controller = controller

    async def __call__(self, question: ev.Question) -> Any:
        """The controller's answer."""
        if isinstance(question, ev.ServiceChoice):
            return await self._controller.choose_service(question)
        return await self._controller.choose_schedule(question)


def _default_machine(config: EvccConfig, entropy: Entropy, utc: Utc) -> Machine:
    from iso15118.evcc.machine import EvccMachine

    return EvccMachine(config, entropy, utc)
