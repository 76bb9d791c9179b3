"""A power-line modem, usually a simulated one, behind a hub on this machine: one UDP datagram is one frame.

    UdpPort(8462)           # the hub's port on the loopback interface

The hub learns from what they send where its hosts are: a frame from a host to itself says "here I am" when the
port is opened, and every second after that. It needs no privileges.
"""

from __future__ import annotations

import socket
from typing import Final

from hal.drivers.frame_port import LONGEST, SocketPort, address, padded
from hal.errors import HalError, Kind

LOOPBACK: Final = "127.0.0.1"
HELLO: Final = b"\x88\xb5"
"""Type of the frame "here I am": for local experiments (IEEE 802)."""


class UdpPort(SocketPort):
    """A port of the hub at `port` of the loopback interface. `mac`: the host's own address, else a random one.

    `interface` names the network interface that carries IPv6, where there is one (such as "lo").
    """

    def __init__(self, port: int, *, mac: bytes | str | None = None, interface: str | None = None) -> None:
        name = f"modem@udp:{port}"
        if not 0 < port < 65536:
            raise HalError(name, Kind.CONFIGURATION, "no port number", next_step="Use 1 to 65535")
        super().__init__(name, address(name, mac), interface)
        self._hub = (LOOPBACK, port)
        self._hello = padded(name, self.mac + self.mac + HELLO)

    def _make(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.connect(self._hub)
            # The first datagram to a port where nobody listens fails the second.
            for _ in range(2):
                sock.send(self._hello)
        except OSError as error:
            sock.close()
            raise HalError(
                self.name,
                Kind.NOT_CONNECTED,
                f"no hub at {self._hub[0]}:{self._hub[1]} ({error.strerror})",
                next_step="Start the hub first",
            ) from error
        return sock

    def _greet(self) -> None:
        self._put(self._hello)

    def _take(self, sock: socket.socket) -> bytes:
        frame = sock.recv(LONGEST + 1)
        return b"" if len(frame) > LONGEST else frame
