"""The way from an interface to a charger: discovery, then a TCP connection, tried again where it fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
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

    `charger` (address, port) is where to connect to; None: whoever answers discovery. `discovery` None: by
    the standard, for a charger without TLS.
    """

    def __init__(
        self,
        cycles: int,
        emit: Callable[[Any], None],
        charger: tuple[str, int] | None = None,
        discovery: SdpClientConfig | None = None,
    ) -> None:
        self._cycles, self._emit, self._charger, self._discovery = cycles, emit, charger, discovery

    async def connect(self, interface: Interface, make: Callable[[], Session]) -> Session:
        """A session of `make` on a connection to the charger; LinkError after the last try."""
        for cycle in range(1, self._cycles + 1):
            try:
                address, port = self._charger or await self._discover(interface)
                return await self._connect(interface, address, port, make)
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
            now = asyncio.get_running_loop().time()
            self._emit(InternalFault(t=now, role=_ROLE, what="discovery failed", error=repr(error)))
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
