"""Listening to all frames at a network interface (Linux), those the host sends included. Never sends."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from iso15118.errors import LinkError

LONGEST: Final = 65_536
_ETH_P_ALL: Final = 0x0003  # with less than everything, the host's own frames would not be seen
_SOL_PACKET: Final = 263
_PACKET_ADD_MEMBERSHIP: Final = 1
_PACKET_MR_PROMISC: Final = 1


@contextmanager
def listening(interface: str) -> Iterator[Iterator[tuple[float, bytes]]]:
    """(seconds since the Unix epoch, frame) of all that passes `interface` while the context lasts.

    Waits for as long as nothing passes. LinkError where it cannot be done, with the next step.
    """
    with _open(interface) as sock:
        yield _frames(sock, interface)


def _frames(sock: socket.socket, interface: str) -> Iterator[tuple[float, bytes]]:
    while True:
        try:
            octets = sock.recv(LONGEST)
        except OSError as error:
            raise LinkError(f"interface {interface}: {error.strerror}") from error
        yield time.time(), octets


def _open(interface: str) -> socket.socket:
    if not hasattr(socket, "AF_PACKET"):
        raise LinkError("live frames need Linux; elsewhere record with another program and read the file")
    try:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    except PermissionError as error:
        raise LinkError(
            "not permitted to listen to frames: run as root, or give the interpreter the right "
            "(setcap cap_net_raw+ep), or record with another program and read the file"
        ) from error
    try:
        sock.bind((interface, _ETH_P_ALL))
        index = socket.if_nametoindex(interface)
        membership = struct.pack("iHH8s", index, _PACKET_MR_PROMISC, 0, b"")
        sock.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
    except OSError as error:
        sock.close()
        known = ", ".join(name for _, name in socket.if_nameindex())
        raise LinkError(f"interface {interface}: {error.strerror}; there are: {known}") from error
    return sock
