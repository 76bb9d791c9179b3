"""A medium over UDP on the loopback interface: one datagram is one frame. Needs no privileges.

A host is known by the address its frames come from; from which Ethernet address they come tells its port. An empty
datagram only keeps the way open.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from iso15118.sim.powerline.hub import Hub
from iso15118.sim.powerline.medium import Port

LOOPBACK: Final = "127.0.0.1"

Address = tuple[str, int]
Admit = Callable[[bytes], Port | None]


class UdpHub(asyncio.DatagramProtocol):
    """The socket of a hub. `number` is its UDP port. Frames of hosts that are not attached ask `admit`."""

    def __init__(self, hub: Hub, admit: Admit | None = None) -> None:
        self._hub, self._admit = hub, admit
        self._transport: asyncio.DatagramTransport | None = None
        self._ports: dict[Address, Port] = {}

    @property
    def number(self) -> int:
        """The UDP port hosts send to."""
        assert self._transport is not None
        number: int = self._transport.get_extra_info("sockname")[1]
        return number

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        """The socket is open."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """A frame, or the sign that a host is there."""
        port = self._port(data, addr) if data else None
        if port is not None:
            self._hub.send(port, data)

    def error_received(self, exc: Exception) -> None:
        """A host has gone without a word; frames for it are lost."""

    def _port(self, frame: bytes, address: Address) -> Port | None:
        mac = frame[6:12]
        port = self._ports.get(address)
        if port is None:
            port = self._hub.medium.port_of(mac) or (self._admit(mac) if self._admit is not None else None)
            if port is None:
                self._hub.medium.dropped["unknown host"] += 1
                return None
            self._ports = {a: p for a, p in self._ports.items() if p is not port}  # it has a new socket
            self._ports[address] = port
            self._hub.connect(port, lambda octets: self._send(octets, address))
        return port

    def _send(self, octets: bytes, address: Address) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(octets, address)


@asynccontextmanager
async def udp_hub(hub: Hub, number: int = 0, admit: Admit | None = None) -> AsyncIterator[UdpHub]:
    """Serve a hub on a UDP port of the loopback interface, a free one where `number` is 0."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: UdpHub(hub, admit), local_addr=(LOOPBACK, number)
    )
    try:
        yield protocol
    finally:
        transport.close()
