"""The way from an interface to a charger: discovery, then a TCP connection, tried again where it fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from iso15118.discovery.events import DiscoveryFailed, SeccFound
from iso15118.discovery.sdp_client import SdpClient, SdpClientConfig
from iso15118.errors import DiscoveryError, LinkError
from iso15118.events import Role
from iso15118.machine import LinkUp
from iso15118.runtime.datagrams import DatagramLink
from iso15118.runtime.events import ConnectFailed, InternalFault
from iso15118.runtime.net import Interface, sdp_client_socket, tcp_connect
from iso15118.runtime.session import Session

CONNECT_S: Final = 5.0
"""How long the charger may take to accept the TCP connection."""

_ROLE: Final[Role] = "EVCC"
_LOG: Final = logging.getLogger("iso15118.runtime")


class Approach:
    """Connects to the charger on an interface, in at most `cycles` tries.

    `charger` (address, port) is where to connect to; None: whoever answers discovery. `tls` is what to ask for, `plain`
    whether a connection without TLS is allowed; `discovery` replaces the settings of discovery that follow.
    """

    def __init__(
        self,
        cycles: int,
        emit: Callable[[Any], None],
        charger: tuple[str, int] | None = None,
        discovery: SdpClientConfig | None = None,
        *,
        tls: bool,
        plain: bool,
    ) -> None:
        self._cycles, self._emit, self._charger, self._discovery = cycles, emit, charger, discovery
        self._tls, self._plain = tls, plain

    async def connect(self, interface: Interface, make: Callable[[bool], Session]) -> Session:
        """A session of `make` (given whether with TLS) on a connection to the charger; LinkError after the last try."""
        for cycle in range(1, self._cycles + 1):
            try:
                address, port, tls = await self._where(interface)
                return await self._connect(interface, address, port, partial(make, tls))
            except LinkError as error:
                if cycle == self._cycles:
                    raise
                _LOG.info("no connection in discovery cycle %d of %d: %s", cycle, self._cycles, error)
        raise AssertionError("at least one cycle")

    async def _where(self, interface: Interface) -> tuple[str, int, bool]:
        """Address, port and whether TLS is spoken there; never something that was not allowed."""
        if self._charger is not None:
            return *self._charger, self._tls
        found = await self._discover(interface)
        if found.tls and not self._tls:
            raise DiscoveryError("the charger speaks TLS, and there is no identity to show it")
        if not found.tls and not self._plain:
            raise DiscoveryError("the charger offers no TLS, and plain TCP is not allowed (insecure_no_tls)")
        return found.address, found.port, found.tls

    async def _discover(self, interface: Interface) -> SeccFound:
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
            now = asyncio.get_running_loop().time()
            self._emit(InternalFault(t=now, role=_ROLE, what="discovery failed", error=repr(error)))
            if not answered.done():
                answered.set_exception(DiscoveryError(f"discovery failed: {error!r}"))

        config = self._discovery or SdpClientConfig(
            tls=self._tls,
            allow_plain=self._plain,
            allow_tls=self._tls,
            link_local_only=not interface.loopback,
        )
        link = await DatagramLink.open(
            SdpClient(config), sdp_client_socket(interface), interface, watch, broken
        )
        try:
            link.feed(LinkUp())
            return await answered
        finally:
            link.close()

    async def _connect(
        self, interface: Interface, address: str, port: int, make: Callable[[], Session]
    ) -> Session:
        loop = asyncio.get_running_loop()
        try:
            connection = await tcp_connect(interface, address, port, CONNECT_S)
        except LinkError as error:
            peer = f"[{address}]:{port}"
            self._emit(ConnectFailed(t=loop.time(), role=_ROLE, peer=peer, reason=str(error)))
            raise
        session = make()
        await loop.create_connection(lambda: session, sock=connection)
        return session
