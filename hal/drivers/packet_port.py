"""A power-line modem behind a network interface of Linux: HomePlug frames over AF_PACKET.

    PacketPort("eth1")

Most modems look like this: those on Ethernet, and those on SPI or UART whose driver is in the kernel. It needs
the capability CAP_NET_RAW. Only frames of type 0x88E1 are received; IPv6 goes through the same interface by
itself. The interface must be up and needs no IP address for this.
"""

from __future__ import annotations

import os
import socket
from typing import Final

from hal.drivers.frame_port import LONGEST, SocketPort
from hal.errors import HalError, Kind

ETHERTYPE: Final = 0x88E1
"""HomePlug management messages."""
_OUTGOING: Final = 4  # PACKET_OUTGOING: our own frame, shown to us by the kernel


class PacketPort(SocketPort):
    """The interface `interface`."""

    def __init__(self, interface: str) -> None:
        super().__init__(f"modem@{interface}", bytes(6), interface)
        self._device = interface

    def _make(self) -> socket.socket:
        family = getattr(socket, "AF_PACKET", None)
        if family is None:
            raise HalError(
                self.name, Kind.NOT_CONNECTED, "this system has no AF_PACKET", next_step="Use Linux"
            )
        try:
            sock = socket.socket(family, socket.SOCK_RAW, socket.htons(ETHERTYPE))
        except PermissionError as error:
            raise HalError(
                self.name,
                Kind.NOT_CONNECTED,
                "raw Ethernet is not permitted",
                next_step="Give the process CAP_NET_RAW (systemd: AmbientCapabilities=CAP_NET_RAW; or run as root)",
            ) from error
        try:
            sock.setblocking(False)
            sock.bind((self._device, ETHERTYPE))
            # An interface that is down takes the bind and tells afterwards.
            if error_number := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(error_number, os.strerror(error_number))
        except OSError as error:
            sock.close()
            raise HalError(
                self.name,
                Kind.NOT_CONNECTED,
                f"interface {self._device}: {error.strerror}",
                next_step=f"Check `ip link`; bring it up with `ip link set {self._device} up`",
            ) from error
        self._mac = bytes(sock.getsockname()[4])
        return sock

    def _take(self, sock: socket.socket) -> bytes:
        frame, source = sock.recvfrom(LONGEST + 1)
        return b"" if source[2] == _OUTGOING or len(frame) > LONGEST else frame
