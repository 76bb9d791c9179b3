"""A charger on a network interface: discovery, connections, one session after the other."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Self

from iso15118.config import SeccConfig
from iso15118.control import evse
from iso15118.control.common import CpState
from iso15118.control.evse import EvseController, EvseState
from iso15118.discovery.sdp_server import (
    SdpAvailability,
    SdpServer,
    SdpServerConfig,
    SeccEndpoints,
)
from iso15118.errors import ConfigError
from iso15118.events import Role, SessionEnded
from iso15118.machine import LinkDown, LinkUp, Machine, Update
from iso15118.plug.evse import EvsePlug
from iso15118.plug.levels import outlet_levels, report_of
from iso15118.plug.words import Report
from iso15118.runtime.datagrams import DatagramLink
from iso15118.runtime.events import ChargerListening, InternalFault
from iso15118.runtime.kept import KeptSession
from iso15118.runtime.life import Life, LivingController
from iso15118.runtime.net import (
    Interface,
    sdp_server_socket,
    tcp_listener,
    wait_for_interface,
)
from iso15118.runtime.plug import Plug, PlugDriver
from iso15118.runtime.reception import Host, Reception
from iso15118.runtime.security import (
    HALF_OPEN,
    Security,
    as_security,
    session_config,
    station_trust,
    tls_machine,
)
from iso15118.runtime.security import demand as demand_security
from iso15118.runtime.session import Hardware
from iso15118.runtime.stream import EventStream, Sink
from iso15118.runtime.warm import warm_up
from iso15118.security.paused import PausedSession

if TYPE_CHECKING:
    from certs.identity import Identity
    from iso15118.security.binding import ConnectionFacts

STOP_GRACE_S: Final = 5.0
"""How long `stop` lets a running session end in an orderly way."""

_ROLE: Final[Role] = "SECC"
_PLUGGED: Final = (CpState.B, CpState.C, CpState.D)
_RENEW_S: Final = 1.0
_LOG: Final = logging.getLogger("iso15118.runtime")


class EvseLevels:
    """The charger's level snapshot: written by the firmware, read by the session that runs.

    To be called on the event loop's thread; from another one:
    `loop.call_soon_threadsafe(functools.partial(charger.evse.update, voltage_v=398.2))`.
    """

    def __init__(self, state: EvseState, changed: Callable[[EvseState], None]) -> None:
        self._state = state
        self._changed = changed

    @property
    def state(self) -> EvseState:
        """The newest levels; a new session starts with them."""
        return self._state

    def update(self, **levels: Any) -> None:
        """Change these levels (fields of EvseState) and tell the running session.

        Without arguments it says that the levels still hold, which a session needs to hear at least every
        `hardware_silence_s` while energy flows. Raises TypeError for an unknown level.
        """
        self.write(dataclasses.replace(self._state, **levels))

    def write(self, state: EvseState) -> None:
        """Replace the whole snapshot and tell the running session."""
        self._state = state
        self._changed(state)


class Charger:
    """One EVSE on one interface.

    `async for event in charger.run()` serves session after session until the loop is left; `async with
    charger` opens and closes it around a wider scope. `charger.evse.update(...)` writes measured levels;
    `controller` carries out commands and answers questions. A session's failure never ends the charger.

    Discovery is answered while the control pilot says that a vehicle is plugged in (B, C, D), for
    `config.discovery_window_s` seconds after plug-in and after each session.
    With `plug` the stack owns the pilot and the link as well: it matches, answers discovery and accepts
    sessions only while the plug's table says so (`iso15118.plug`), and the levels `cp`, `basic_limit_a` and `wake`
    count. A `controller` with a life of its own (`LivingController`, such as HalEvse) is looked after while the
    charger runs, and writes the levels itself; its devices are opened before and closed after.

    A session that was paused can go on while the vehicle stays plugged in: `paused` is what is kept of it (None to make
    it begin anew); `config.paused_file` carries it over a restart.

    `identity` is what it shows on TLS, alone or in a `Security` that says more; a new one may be given at any time
    by `security` and counts from the next connection on. Plain TCP is served only where the configuration says
    `insecure_no_tls`, beside TLS where there is an identity. `port` is the TCP port (0: a free one), with both that
    for TLS. `address` and `plain_address` tell where it listens.
    Raises at start ConfigError (interface unknown, no identity or one that cannot be used), LinkError (no address, port
    taken), TlsError (a library that cannot be held to the profile), HalError (the port to the modem cannot be opened).
    """

    def __init__(
        self,
        config: SeccConfig,
        controller: EvseController,
        interface: str,
        *,
        identity: Identity | Security | None = None,
        port: int = 0,
        state: EvseState | None = None,
        discovery: bool = True,
        plug: Plug | None = None,
        sinks: Iterable[Sink] = (),
    ) -> None:
        self.config = config
        self._kept = KeptSession(config.paused_file)
        self.interface = interface
        self._first = state or EvseState()  # what holds until somebody has measured
        self.evse = EvseLevels(self._first, self._on_levels)
        self.security = identity
        self.address: tuple[str, int] | None = None
        self.plain_address: tuple[str, int] | None = None
        self._port = port
        self._discovery = discovery
        self._life = (
            Life(controller, self.evse.write, self._emit, self._on_controller_broken)
            if isinstance(controller, LivingController)
            else None
        )
        command = self._life.command if self._life is not None else controller.command
        self._hardware = Hardware(command, _Questions(controller), evse.Deenergise)
        self._events = EventStream(_ROLE, sinks)
        self._servers: list[asyncio.Server] = []
        self._sdp: DatagramLink | None = None
        self._plug = (
            PlugDriver(
                EvsePlug(config.plug, dc=config.dc),
                config.slac,
                plug,
                self._hardware,
                self._emit,
                self._communicate,
            )
            if plug is not None
            else None
        )
        self._communicating = False
        self._reception = Reception(
            Host(
                hardware=self._hardware,
                state=lambda: self.evse.state,
                closed=self._closed,
                begun=self._on_begun,
                free=lambda: self._tell_available(True),
                emit=self._on_session_event,
                tell=self._emit,
            ),
            HALF_OPEN if self.security is None else self.security.half_open,
        )
        self._open = False

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

    # --- life ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the sockets and answer vehicles from now on."""
        if self._open:
            return
        demand_security(
            _ROLE,
            self.security,
            insecure=self.config.insecure_no_tls,
            who=f"{self.config.evse_id} on {self.interface}",
        )
        if "PnC" in self.config.authorization and self.security is None:
            raise ConfigError("authorization", "PnC needs the roots of contracts: give Charger(identity=...)")
        await warm_up(self.config.services, "iso15118.secc.machine")
        interface = await wait_for_interface(self.interface)
        try:
            await self._listen(interface)
            if self._discovery:
                self._sdp = await self._open_discovery(interface)
            self._open = True
            if self._plug is not None:
                await self._plug.open()
        except BaseException:
            self._open = False
            for server in self._servers:
                server.close()
            self._servers.clear()
            self._close_discovery()
            raise
        self._tell_listening()
        if self._communicating:  # levels may come before the sockets are open
            self._answer_discovery()
        if self._life is not None:
            self._life.begin()
        self._on_levels(self.evse.state)

    async def stop(self, reason: str = "the charger stops", grace_s: float = STOP_GRACE_S) -> None:
        """Accept nothing new, let a running session end within `grace_s` seconds, then cut it."""
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()
        self._close_discovery()
        session = self._reception.session
        if session is not None and grace_s > 0:
            session.stop(reason)
            try:
                async with asyncio.timeout(grace_s):
                    await session.finished.wait()
            except TimeoutError:
                pass
        await self._reception.aclose()
        if self._plug is not None:
            await self._plug.close()
        if self._life is not None:
            self._life.end()
        for server in servers:
            await server.wait_closed()
            self._open = False
        self._events.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop(grace_s=0)

    async def run(self) -> AsyncIterator[Any]:
        """Events, from plug-in to plug-out and session after session, until `stop` is called.

        Starts the charger if need be and stops it, cutting a running session, when the loop is left.
        """
        await self.start()
        try:
            while self._open:
                for event in await self._events.take():
                    yield event
            for event in self._events.take_now():
                yield event
        finally:
            await self.stop(grace_s=0)

    @property
    def in_session(self) -> bool:
        """Whether a vehicle is being served."""
        return self._reception.in_session

    # --- sockets ------------------------------------------------------------------------------

    async def _listen(self, interface: Interface) -> None:
        """A port with TLS where there is an identity, one without where the configuration allows it."""
        self.address = self.plain_address = None
        if self.security is not None:
            self.address = await self._serve(interface, self._port, self._accept_secure)
        if self.config.insecure_no_tls:
            port = self._port if self.security is None else 0
            self.plain_address = await self._serve(interface, port, self._accept_plain)
            self.address = self.address or self.plain_address

    async def _serve(
        self, interface: Interface, port: int, accept: Callable[[], asyncio.Protocol]
    ) -> tuple[str, int]:
        listener = tcp_listener(interface, port)
        try:
            self._servers.append(await asyncio.get_running_loop().create_server(accept, sock=listener))
        except BaseException:
            listener.close()
            raise
        return interface.address, listener.getsockname()[1]

    def _tell_listening(self) -> None:
        now = asyncio.get_running_loop().time()
        for where in dict.fromkeys((self.address, self.plain_address)):
            if where is not None:
                address, port = where
                tls = where != self.plain_address
                self._emit(
                    ChargerListening(
                        t=now, role=_ROLE, interface=self.interface, address=address, port=port, tls=tls
                    )
                )

    # --- discovery ----------------------------------------------------------------------------

    async def _open_discovery(self, interface: Interface) -> DatagramLink:
        made = sdp_server_socket(interface)
        machine = self._discovery_machine()
        return await DatagramLink.open(machine, made, interface, self._emit, self._on_discovery_broken)

    def _discovery_machine(self) -> SdpServer:
        address, plain = self.address, self.plain_address
        assert address is not None
        tls_port = address[1] if address != plain else None
        endpoints = SeccEndpoints(address[0], tls_port, None if plain is None else plain[1])
        return SdpServer(SdpServerConfig(endpoints, window_s=self.config.discovery_window_s))

    def _close_discovery(self) -> None:
        sdp, self._sdp = self._sdp, None
        self._communicating = False
        if sdp is not None:
            sdp.close()

    def _on_discovery_broken(self, error: BaseException) -> None:
        self._fault("discovery failed and starts over", error)
        asyncio.get_running_loop().call_later(_RENEW_S, self._renew_discovery)

    def _renew_discovery(self) -> None:
        if self._sdp is not None:
            self._sdp.renew(self._discovery_machine())
            if self._communicating:
                self._answer_discovery()

    def _answer_discovery(self) -> None:
        if self._sdp is not None:
            self._sdp.feed(LinkUp())
            self._sdp.feed(Update(SdpAvailability(not self.in_session)))

    # --- levels and plug ----------------------------------------------------------------------

    def _on_levels(self, state: EvseState) -> None:
        if state.cp is CpState.A and state is not self._first:
            self._kept.forget()  # the service session ends with the plug
        if self._plug is not None:
            self._plug.update(outlet_levels(state))
        else:
            self._communicate(state.cp in _PLUGGED)
        self._reception.update(state)

    def _communicate(self, on: bool) -> None:
        """Answer discovery from now on, or no more; a plug that is not to communicate ends what runs."""
        if on is self._communicating:
            return
        self._communicating = on
        if on:
            self._answer_discovery()
        elif self._sdp is not None:
            self._sdp.feed(LinkDown())
        if not on and self._plug is not None:
            self._reception.abort()

    def _on_controller_broken(self, error: BaseException) -> None:
        """A defect of the controller: its levels mean nothing any more."""
        self._fault("the controller failed", error)
        self.evse.update(fault="the controller failed")

    def _on_session_event(self, event: Any) -> None:
        self._kept.hear(event)
        self._emit(event)
        if isinstance(event, SessionEnded) and self._plug is not None:
            self._plug.report(report_of(event))

    # --- connections --------------------------------------------------------------------------

    def session_machine(self, facts: ConnectionFacts | None) -> Machine:
        """A machine for a new session; `facts` are those of its TLS connection, None on plain TCP."""
        from iso15118.secc.machine import SeccMachine

        return SeccMachine(
            session_config(self.config, facts),
            os.urandom,
            time.time,
            tls=facts,
            trust=station_trust(self.security) if "PnC" in self.config.authorization else None,
            paused=self._kept.session,
        )

    def _accept_plain(self) -> asyncio.Protocol:
        return self._reception.plain(lambda: self.session_machine(None))

    def _accept_secure(self) -> asyncio.Protocol:
        security = self.security
        assert security is not None, "there is no such port without"
        return self._reception.secure(lambda: tls_machine(_ROLE, security, self.session_machine, time.time))

    def _closed(self) -> str:
        if not self._servers:
            return "the charger stops"
        if self._plug is not None and not self._communicating:
            return "no vehicle is plugged in and matched"
        return ""

    def _on_begun(self) -> None:
        if self._plug is not None:
            self._plug.report(Report.SESSION_BEGUN)
        self._tell_available(False)

    def _tell_available(self, available: bool) -> None:
        if self._sdp is not None:
            self._sdp.feed(Update(SdpAvailability(available)))

    # --- events -------------------------------------------------------------------------------

    def _emit(self, event: Any) -> None:
        self._events.emit(event)

    def _fault(self, what: str, error: BaseException) -> None:
        now = asyncio.get_running_loop().time()
        self._emit(InternalFault(t=now, role=_ROLE, what=what, error=repr(error)))


class _Questions:
    """Hands a machine's question to the method of the controller that answers it."""

    def __init__(self, controller: EvseController) -> None:
        self._controller = controller

    async def __call__(self, question: evse.AnyQuestion) -> Any:
        """The controller's answer; one that knows nothing of contracts installs none."""
        if isinstance(question, evse.ContractRequest):
            install = getattr(self._controller, "install_contract", None)
            return (
                await install(question)
                if install
                else evse.ContractResponse(reason="no back end for contracts")
            )
        if isinstance(question, evse.AuthorizationQuestion):
            return await self._controller.authorize(question)
        return await self._controller.offer_energy(question)
