"""A medium between network interfaces (Linux): each host has an interface of its own, with real IPv6 over it.

    lay_cable("vev", "hev", ev.mac)       # "vev" is the host's, "hev" the hub's end
    with veth_hub(hub, {ev: "hev", evse: "hse"}): ...

It needs the rights to make interfaces and to open packet sockets; a private network namespace gives both without
root: `iso15118 lab -- python my_test.py`. With its last process everything disappears.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from iso15118.errors import LinkError
from iso15118.sim.powerline.hub import Hub
from iso15118.sim.powerline.medium import Port

LONGEST: Final = 2048
"""Octets read at once; longer frames do not occur with an MTU of 1500 and no offloading."""
_SEARCH: Final = "/usr/sbin:/sbin:/usr/bin:/bin"
_ETH_P_ALL: Final = 0x0003
_PACKET_OUTGOING: Final = 4
_SOL_PACKET: Final = 263
_PACKET_ADD_MEMBERSHIP: Final = 1
_PACKET_MR_PROMISC: Final = 1
_SIOCETHTOOL: Final = 0x8946
# Commands of ethtool that switch off checksums made later, and frames cut or joined later: transmission
# checksums, TCP segmentation, generic segmentation, generic receive.
_OFFLOADS: Final = (0x17, 0x1F, 0x24, 0x2C)


def lay_cable(host: str, hub: str, mac: bytes) -> None:
    """Make the host's interface, with this address, and the hub's end of it. LinkError where that fails.

    The host's addresses are usable at once (no duplicate address detection), and no frame leaves it without its
    checksum: whoever reads at the hub would see it unfinished. The hub's end has no IPv6 of its own.
    """
    _ip("link", "add", "name", host, "address", mac.hex(":"), "type", "veth", "peer", "name", hub)
    for name, settings in (
        (host, {"accept_dad": "0", "dad_transmits": "0", "router_solicitations": "0"}),
        (hub, {"disable_ipv6": "1"}),
    ):
        for setting, value in settings.items():
            _configure(name, setting, value)
        _without_offloading(name)
        _ip("link", "set", name, "up")


@contextmanager
def veth_hub(hub: Hub, ends: Mapping[Port, str]) -> Iterator[None]:
    """Join the hub's ends of the cables: `ends` tells for each port which interface it is at."""
    with ExitStack() as opened:
        for port, name in ends.items():
            opened.enter_context(_joined(hub, port, name))
        yield


@contextmanager
def _joined(hub: Hub, port: Port, name: str) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    with _packet_socket(name) as sock:

        def read() -> None:
            frame, origin = sock.recvfrom(LONGEST)
            if origin[2] != _PACKET_OUTGOING:  # what we sent ourselves is shown as well
                hub.send(port, frame)

        loop.add_reader(sock, read)
        hub.connect(port, lambda octets: _put(sock, octets))
        try:
            yield
        finally:
            hub.disconnect(port)
            loop.remove_reader(sock)


def _put(sock: socket.socket, octets: bytes) -> None:
    try:
        sock.send(octets)
    except OSError:  # interface down or queue full: Ethernet loses frames
        return


def _packet_socket(name: str) -> socket.socket:
    """All frames at an interface, also those for others. LinkError where it is not there or not permitted."""
    try:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)  # hears nothing before it is bound
    except PermissionError:
        raise LinkError(
            "packet sockets are not permitted: run as root, or in a private network (iso15118 lab -- ...)"
        ) from None
    try:
        sock.bind((name, _ETH_P_ALL))
        membership = struct.pack("iHH8s", socket.if_nametoindex(name), _PACKET_MR_PROMISC, 0, b"")
        sock.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise LinkError(f"interface {name}: {error.strerror}") from error
    return sock


def _ip(*arguments: str) -> None:
    program = shutil.which("ip", path=_SEARCH)
    if program is None:
        raise LinkError("the program 'ip' is needed; install the package iproute2 (Linux only)")
    done = subprocess.run(  # noqa: S603 - fixed program, names of interfaces
        [program, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise LinkError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _configure(name: str, setting: str, value: str) -> None:
    """Where the system does not let us, addresses take two seconds longer."""
    try:
        Path(f"/proc/sys/net/ipv6/conf/{name}/{setting}").write_text(value, encoding="ascii")
    except OSError:
        return


def _without_offloading(name: str) -> None:
    """LinkError where transmission checksums cannot be switched off; the other settings are a matter of taste."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for command in _OFFLOADS:
            setting = ctypes.create_string_buffer(struct.pack("II", command, 0))
            request = struct.pack("16sP", name.encode(), ctypes.addressof(setting))
            try:
                fcntl.ioctl(sock, _SIOCETHTOOL, request)
            except OSError as error:
                if command == _OFFLOADS[0]:
                    raise LinkError(f"{name}: checksum offloading stays on: {error.strerror}") from error
