"""Interfaces and sockets: IPv6 link-local TCP and the SDP multicast, each on one interface only.

On the loopback interface, which has no link-local address, ::1 takes its place, so that tests and
benchmarks need no other interface. Nothing here ever listens on all interfaces.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import socket
import struct
from dataclasses import dataclass
from typing import Final

from iso15118.errors import ConfigError, LinkError
from iso15118.wire.sdp import ALL_NODES, SDP_PORT

ADDRESS_WAIT_S: Final = 5.0
"""How long a link-local address may be in the making (duplicate address detection takes up to 2 s)."""

DYNAMIC_PORTS: Final = range(49_152, 65_536)
"""Where the SECC's TCP port has to be (IANA dynamic ports)."""

_BACKLOG: Final = 8
_PORT_TRIES: Final = 20
_DISCARD_PORT: Final = 9  # only names a destination for the route lookup; nothing is sent
_LOOPBACK_NAMES: Final = ("lo", "lo0")

SocketAddress = tuple[str, int, int, int]


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface with the IPv6 address to use on it (without scope)."""

    name: str
    index: int
    address: str

    @property
    def loopback(self) -> bool:
        """Whether this is the loopback interface, where ::1 is used."""
        return self.address == "::1"

    def socket_address(self, address: str, port: int) -> SocketAddress:
        """What the socket functions want: link-local addresses with this interface as their scope."""
        return (address, port, 0, 0 if self.loopback else self.index)


def interface_index(name: str) -> int:
    """Index of interface `name`. Raises ConfigError naming the interfaces there are."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        present = ", ".join(sorted(found for _, found in socket.if_nameindex())) or "none"
        raise ConfigError(
            "interface", f"there is no network interface {name!r}; present: {present}"
        ) from None


def find_interface(name: str) -> Interface:
    """`name` with its usable link-local address. Raises ConfigError (unknown), LinkError (no address)."""
    index = interface_index(name)
    if name in _LOOPBACK_NAMES:
        return Interface(name, index, "::1")
    address = _source_address(index)
    if not address.startswith("fe80:"):
        raise LinkError(
            f"interface {name} has no usable IPv6 link-local address. Bring it up (ip link set {name} up), "
            f"see that IPv6 is not disabled on it (net.ipv6.conf.{name}.disable_ipv6), and that no address "
            "is tentative or a duplicate (ip -6 address show)"
        )
    return Interface(name, index, address)


async def wait_for_interface(name: str, wait_s: float = ADDRESS_WAIT_S) -> Interface:
    """As `find_interface`, giving a fresh link `wait_s` seconds to get its address."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + wait_s
    while True:
        try:
            return find_interface(name)
        except LinkError:
            if loop.time() >= give_up:
                raise
        await asyncio.sleep(0.1)


def _source_address(index: int) -> str:
    """The address the system would use towards the link-local multicast group; empty if none."""
    with _ipv6(socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((ALL_NODES, _DISCARD_PORT, 0, index))
        except OSError:
            return ""
        host: str = probe.getsockname()[0]
    return host.partition("%")[0]


def _ipv6(kind: int) -> socket.socket:
    try:
        made = socket.socket(socket.AF_INET6, kind)
    except OSError as error:
        raise LinkError(f"this system has no IPv6: {error}") from error
    made.setblocking(False)
    return made


# --- TCP --------------------------------------------------------------------------------------


def tcp_listener(interface: Interface, port: int = 0) -> socket.socket:
    """A listening socket on `interface` alone; `port` 0 takes a free dynamic one. Raises LinkError.

    The standard allows the SECC dynamic ports only; vehicles in the field refuse others.
    """
    candidates = [port] if port else random.SystemRandom().sample(DYNAMIC_PORTS, _PORT_TRIES)
    for candidate in candidates:
        made = _ipv6(socket.SOCK_STREAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # do not wait for TIME_WAIT
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.bind(interface.socket_address(interface.address, candidate))
            made.listen(_BACKLOG)
        except OSError as error:
            made.close()
            if error.errno == errno.EADDRINUSE and candidate != candidates[-1]:
                continue
            where = f"[{interface.address}%{interface.name}]:{candidate}"
            raise LinkError(f"cannot listen on {where}: {_told(error)}") from error
        return made
    raise AssertionError("there is at least one candidate")


async def tcp_connect(interface: Interface, address: str, port: int, timeout_s: float) -> socket.socket:
    """A connection to `address` through `interface`. Raises LinkError."""
    made = _ipv6(socket.SOCK_STREAM)
    where = f"[{address}%{interface.name}]:{port}"
    try:
        async with asyncio.timeout(timeout_s):
            target = interface.socket_address(address, port)
            await asyncio.get_running_loop().sock_connect(made, target)
    except TimeoutError:
        made.close()
        raise LinkError(f"{where} did not answer within {timeout_s:g} s") from None
    except OSError as error:
        made.close()
        raise LinkError(f"cannot connect to {where}: {_told(error)}") from error
    except BaseException:
        made.close()
        raise
    no_delay(made)
    return made


def no_delay(connection: socket.socket) -> None:
    """Send every message at once: each is one write and the peer waits for it."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


# --- UDP --------------------------------------------------------------------------------------


def sdp_server_socket(interface: Interface) -> socket.socket:
    """Port 15118 on `interface` alone, joined to the all-nodes group. Raises LinkError.

    No address reuse: a second charger on the same interface is a mistake and is told so.
    """
    made = _ipv6(socket.SOCK_DGRAM)
    try:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Bound to the device it may use the unspecified address and so hears unicast requests, too.
        # Otherwise the scope of the group's address keeps other interfaces out.
        host = "::" if _bound_to_device(made, interface.name) else ALL_NODES
        made.bind((host, SDP_PORT, 0, 0 if host == "::" else interface.index))
        membership = socket.inet_pton(socket.AF_INET6, ALL_NODES) + struct.pack("@I", interface.index)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
    except OSError as error:
        made.close()
        raise LinkError(
            f"cannot answer discovery (UDP port {SDP_PORT}) on {interface.name}: {_told(error)}"
        ) from error
    return made


def sdp_client_socket(interface: Interface) -> socket.socket:
    """A socket that sends discovery requests out of `interface`. Raises LinkError."""
    made = _ipv6(socket.SOCK_DGRAM)
    try:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, interface.index)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
        made.bind(interface.socket_address(interface.address, 0))
    except OSError as error:
        made.close()
        raise LinkError(f"cannot send discovery requests on {interface.name}: {_told(error)}") from error
    return made


def _bound_to_device(made: socket.socket, name: str) -> bool:
    option = getattr(socket, "SO_BINDTODEVICE", None)
    if option is None:
        return False
    try:
        made.setsockopt(socket.SOL_SOCKET, option, name.encode())
    except PermissionError:
        return False
    return True


def _told(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is taken; is another charger running on this interface?"
    return os.strerror(error.errno) if error.errno else str(error)
