"""A vehicle on a network interface: find the charger, connect, run one session."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from iso15118.config import EvccConfig
from iso15118.control import ev
from iso15118.control.ev import EvController, EvState
from iso15118.discovery.sdp_client import SdpClientConfig
from iso15118.events import Role, SessionEnded
from iso15118.machine import Machine
from iso15118.runtime.approach import Approach
from iso15118.runtime.events import InternalFault
from iso15118.runtime.inlet import Inlet
from iso15118.runtime.kept import KeptSession
from iso15118.runtime.life import Life, LivingController
from iso15118.runtime.net import wait_for_interface
from iso15118.runtime.plug import Plug
from iso15118.runtime.security import Security, as_security, session_config, tls_machine
from iso15118.runtime.security import demand as demand_security
from iso15118.runtime.session import Hardware, Session
from iso15118.runtime.stream import EventStream, Sink
from iso15118.runtime.warm import warm_up
from iso15118.security.paused import PausedSession

if TYPE_CHECKING:
    from certs.identity import Identity
    from iso15118.security.binding import ConnectionFacts
    from iso15118.security.contracts import Contract

STOP_GRACE_S: Final = 5.0

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
    """One EV on one interface: `async for event in vehicle.run()` is one plug-in.

    Without `plug` the link is there already, and a plug-in is discovery and one session. With it the stack owns
    the inlet: it waits for a connector (`ev.update(duty=...)`), matches, holds a session whenever the plug's table
    says so (`iso15118.plug`), sleeps and wakes, and `run` ends when the connector is pulled.

    `vehicle.ev.update(...)` writes measured levels. Discovery and connecting are tried
    `config.discovery_cycles` times; with `charger` (address, port) given there is no discovery. `result` tells how
    the session ended.

    `identity` is what it shows on TLS, alone or in a `Security` that says more; `security` may be replaced between
    plug-ins. With an identity it asks for TLS and takes nothing less, unless the configuration says
    `insecure_no_tls`; without one that switch is needed. A failed TLS connection is never tried again without.
    A session that was paused goes on with the next one at the same station: `paused` is what is kept of it (None to begin
    anew); `config.paused_file` carries it over a restart.
    Raises ConfigError (interface unknown, no identity), LinkError (no address) and, after the last cycle,
    DiscoveryError or LinkError; with `plug` HalError where the port to the modem cannot be opened.
    """

    def __init__(
        self,
        config: EvccConfig,
        controller: EvController,
        interface: str,
        *,
        identity: Identity | Security | None = None,
        state: EvState | None = None,
        charger: tuple[str, int] | None = None,
        discovery: SdpClientConfig | None = None,
        plug: Plug | None = None,
        sinks: Iterable[Sink] = (),
    ) -> None:
        self.config = config
        self._kept = KeptSession(config.paused_file)
        self.interface = interface
        self.ev = EvLevels(state or EvState(), self._on_levels)
        self._life = (
            Life(controller, self.ev.write, self._emit, self._on_controller_broken)
            if isinstance(controller, LivingController)
            else None
        )
        command = self._life.command if self._life is not None else controller.command
        self._hardware = Hardware(command, _Questions(controller, self._keep), ev.Deenergise)
        self.security = identity
        self._events = EventStream(_ROLE, sinks)
        self._approach = Approach(
            config.discovery_cycles,
            self._emit,
            charger,
            discovery,
            tls=self.security is not None,
            plain=config.insecure_no_tls,
        )
        self._inlet = (
            Inlet(config, plug, self._hardware, self._emit, self._hold) if plug is not None else None
        )
        self._session: Session | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def security(self) -> Security | None:
        """What it shows on TLS, and by which rules; a new value counts from the next connection on."""
        return self._security

    @security.setter
    def security(self, identity: Identity | Security | None) -> None:
        self._security = as_security(identity)

    @property
    def paused(self) -> PausedSession | None:
        """The session that may go on."""
        return self._kept.session

    @paused.setter
    def paused(self, session: PausedSession | None) -> None:
        self._kept.keep(session)

    @property
    def result(self) -> SessionEnded | None:
        """How the session ended; None before."""
        return self._session.result if self._session is not None else None

    async def run(self) -> AsyncIterator[Any]:
        """Events from discovery to the end of the session; leaving the loop cuts the session."""
        if self._task is not None:
            raise RuntimeError("this vehicle runs already; one Vehicle is one plug-in at a time")
        demand_security(
            _ROLE,
            self.security,
            insecure=self.config.insecure_no_tls,
            who=f"{self.config.evcc_id} on {self.interface}",
        )
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
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(session.finished.wait(), grace_s)
        task.cancel()
        await asyncio.wait((task,))

    # --- one plug-in --------------------------------------------------------------------------

    async def _plug_in(self) -> None:
        await warm_up(self.config.services, "iso15118.evcc.machine")
        try:
            if self._life is not None:
                self._life.begin()
            if self._inlet is not None:
                await self._inlet.serve(self.ev.state)
                self._kept.forget()  # the connector was pulled
            else:
                await self._hold()
        finally:
            if self._life is not None:
                self._life.end()

    async def _hold(self, begun: Callable[[], None] = lambda: None) -> SessionEnded | None:
        """Find the charger and hold one session; being cancelled cuts it."""
        interface = await wait_for_interface(self.interface)
        session = self._session = await self._approach.connect(interface, self._make_session)
        try:
            begun()
            await session.finished.wait()
        finally:
            await session.aclose()
        ended: SessionEnded | None = session.result
        return ended

    def session_machine(self, facts: ConnectionFacts | None) -> Machine:
        """A machine for a new session; `facts` are those of its TLS connection, None on plain TCP."""
        from iso15118.evcc.machine import EvccMachine

        wallet = self.security.wallet if self.security is not None else None
        config = session_config(self.config, facts)
        return EvccMachine(config, os.urandom, time.time, tls=facts, wallet=wallet, paused=self._kept.session)

    def _make_session(self, tls: bool) -> Session:
        machine: Machine
        if tls:
            assert self.security is not None, "TLS is asked for only with an identity"
            machine = tls_machine(_ROLE, self.security, self.session_machine, time.time)
        else:
            machine = self.session_machine(None)
        return Session(_ROLE, machine, self._hardware, self.ev.state, self._emit)

    def _keep(self, contract: Contract) -> None:
        """A contract that the controller has stored: it counts from the next session on, before all others."""
        if self.security is not None and self.security.wallet is not None:
            wallet = self.security.wallet.with_contract(contract)
            self.security = dataclasses.replace(self.security, wallet=wallet)

    def _on_controller_broken(self, error: BaseException) -> None:
        """A defect of the controller: its levels mean nothing any more."""
        now, what = asyncio.get_running_loop().time(), "the controller failed"
        self._emit(InternalFault(t=now, role=_ROLE, what=what, error=repr(error)))
        self.ev.update(fault=what)

    def _on_levels(self, state: EvState) -> None:
        if self._inlet is not None:
            self._inlet.update(state)
        if self._session is not None:
            self._session.update(state)

    def _emit(self, event: Any) -> None:
        self._kept.hear(event)
        self._events.emit(event)


class _Questions:
    """Hands a machine's question to the method of the controller that answers it."""

    def __init__(self, controller: EvController, keep: Callable[[Contract], None]) -> None:
        self._controller, self._keep = controller, keep

    async def __call__(self, question: ev.AnyQuestion) -> Any:
        """The controller's answer; one that knows nothing of contracts keeps none."""
        if isinstance(question, ev.StoreContract):
            store = getattr(self._controller, "store_contract", None)
            stored = bool(store is not None and await store(question))
            if stored:
                self._keep(question.contract)
            return stored
        if isinstance(question, ev.ServiceChoice):
            return await self._controller.choose_service(question)
        return await self._controller.choose_schedule(question)
