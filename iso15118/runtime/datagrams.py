"""A machine over a UDP socket: both sides of SDP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

from iso15118.machine import Datagram, Input, Machine
from iso15118.runtime.driver import Driver, Ports
from iso15118.runtime.net import Interface
from iso15118.wire.sdp import ALL_NODES


class DatagramLink(asyncio.DatagramProtocol):
    """One machine on one UDP socket; `open` makes it, `close` ends both."""

    def __init__(
        self,
        machine: Machine,
        interface: Interface,
        emit: Callable[[Any], None],
        broken: Callable[[BaseException], None],
    ) -> None:
        self._interface = interface
        self._transport: asyncio.DatagramTransport | None = None
        self._ports = Ports(emit=emit, send_to=self._send_to, broken=broken)
        self._driver = Driver(machine, self._ports)

    @classmethod
    async def open(
        cls,
        machine: Machine,
        made: socket.socket,
        interface: Interface,
        emit: Callable[[Any], None],
        broken: Callable[[BaseException], None],
    ) -> DatagramLink:
        """Serve `machine` on the bound socket `made`."""
        loop = asyncio.get_running_loop()
        _, link = await loop.create_datagram_endpoint(
            lambda: cls(machine, interface, emit, broken), sock=made
        )
        return link

    def feed(self, item: Input) -> None:
        """Give the machine an input."""
        self._driver.feed(item)

    def renew(self, machine: Machine) -> None:
        """Go on with another machine on the same socket."""
        self._driver.end()
        self._driver = Driver(machine, self._ports)

    def close(self) -> None:
        """End the machine and close the socket."""
        self._driver.end()
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is in use."""
        self._transport = cast(asyncio.DatagramTransport, transport)  # which asyncio's own class is not

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """A datagram came in."""
        self._driver.feed(Datagram(data, (addr[0].partition("%")[0], addr[1])))

    def error_received(self, exc: Exception) -> None:
        """A datagram could not be sent (no route, nobody there): discovery repeats by itself."""

    def _send_to(self, data: bytes, address: tuple[str, int]) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        host, port = address
        scope = self._interface.index if host == ALL_NODES or not self._interface.loopback else 0
        self._transport.sendto(data, (host, port, 0, scope))
