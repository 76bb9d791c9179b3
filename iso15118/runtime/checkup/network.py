"""The network interface: there, up, with a usable link-local address; discovery and connections possible on it.

What the system tells beyond its sockets is Linux's own; elsewhere the sockets alone decide.
One datagram is sent, to the multicast group of discovery, with a hop limit of 0: it does not leave the machine.
"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path
from typing import Final

from iso15118.errors import ConfigError, LinkError
from iso15118.events import Role
from iso15118.runtime.checkup.findings import Finding, error, failed, note, ok, warning
from iso15118.runtime.net import (
    Interface,
    find_interface,
    interface_index,
    sdp_client_socket,
    sdp_server_socket,
    tcp_listener,
)
from iso15118.wire.sdp import ALL_NODES, SDP_PORT

ADDRESSES: Final = Path("/proc/net/if_inet6")
IPV6_SETTINGS: Final = Path("/proc/sys/net/ipv6/conf")

GET_FLAGS: Final = 0x8913
GET_MTU: Final = 0x8921
"""What an interface can be asked (SIOCGIFFLAGS, SIOCGIFMTU)."""
_IFREQ: Final = 40
_NAME: Final = 16

IFF_UP: Final = 0x1
IFF_RUNNING: Final = 0x40
TENTATIVE: Final = 0x40
DUPLICATE: Final = 0x08
LEAST_MTU: Final = 1280
"""IPv6 does not work below."""
LOOP_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class LinkLocal:
    """A link-local address of an interface; `flags` as the kernel keeps them."""

    address: str
    flags: int


def check_interface(name: str, role: Role) -> Iterator[Finding]:
    """Everything about the interface `name` for this side."""
    subject = f"interface {name}"
    try:
        interface_index(name)
    except ConfigError as problem:
        yield error(
            subject,
            "not there",
            problem.reason,
            "Correct the name, or load the modem's driver (see `ip link`)",
        )
        return
    state = list(_state(subject, name))
    yield from state
    if failed(state):
        return
    try:
        interface = find_interface(name)
    except LinkError as problem:
        yield judge_addresses(name, _read_addresses(name), disabled=_ipv6_is_off(name), told=str(problem))
        return
    yield ok("link-local address", interface.address)
    if interface.loopback:
        yield note(
            subject, "the loopback interface: no car can be at it", "it is for tests", "Name the modem's one"
        )
    if role == "SECC":
        yield from _discovery_server(interface)
        yield _listener(interface)
    else:
        yield _discovery_client(interface)


def names() -> list[str]:
    """The interfaces there are."""
    return sorted(name for _, name in socket.if_nameindex())


# --- up -----------------------------------------------------------------------------------------


def _state(subject: str, name: str) -> Iterator[Finding]:
    flags, mtu = asked(name, GET_FLAGS), asked(name, GET_MTU)
    if flags is None or mtu is None:
        yield ok(subject, "there")
    elif not flags & IFF_UP:
        yield error(subject, "down", "nobody has brought it up", f"ip link set {name} up")
    elif mtu < LEAST_MTU:
        yield error(subject, f"MTU {mtu}", f"IPv6 needs {LEAST_MTU}", f"ip link set {name} mtu 1500")
    elif not flags & IFF_RUNNING:
        yield warning(
            subject, "up, no carrier", "cable or modem is not connected or not powered", "Check the wiring"
        )
    else:
        yield ok(subject, f"up, MTU {mtu}")


def asked(name: str, what: int) -> int | None:
    """Flags (GET_FLAGS) or MTU (GET_MTU) of an interface; None where it is not there or the system has no such call."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    form = "=H" if what == GET_FLAGS else "=i"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            told = fcntl.ioctl(sock, what, name.encode()[:15].ljust(_IFREQ, b"\0"))
        except OSError:
            return None
    found: int = struct.unpack_from(form, told, _NAME)[0]
    return found


# --- address ------------------------------------------------------------------------------------


def addresses_of(table: str, name: str) -> list[LinkLocal]:
    """The link-local addresses of an interface in the kernel's table (if_inet6)."""
    found = []
    for line in table.splitlines():
        octets, _, _, _, flags, owner = line.split()
        if owner == name and octets.startswith("fe80"):
            found.append(LinkLocal(str(IPv6Address(bytes.fromhex(octets))), int(flags, 16)))
    return found


def judge_addresses(name: str, addresses: list[LinkLocal], *, disabled: bool, told: str = "") -> Finding:
    """Why no link-local address can be used; `told` is what the system says where nothing better is known."""
    subject = "link-local address"
    if disabled:
        return error(
            subject,
            "none: IPv6 is off on this interface",
            f"net.ipv6.conf.{name}.disable_ipv6 is 1",
            f"sysctl -w net.ipv6.conf.{name}.disable_ipv6=0",
        )
    for address in addresses:
        if address.flags & DUPLICATE:
            return error(
                subject,
                f"{address.address} is a duplicate",
                "another device in the network has the same address: often two "
                "boards with the same Ethernet address",
                "Give one of them another Ethernet address",
            )
        if address.flags & TENTATIVE:
            return error(
                subject,
                f"{address.address} is still tentative",
                "duplicate address detection takes up to two seconds, and does not end without carrier",
                "Run it again; if it stays, check the carrier",
            )
    if addresses:
        return error(
            subject, f"{addresses[0].address} cannot be used", told, "Check routes with `ip -6 route`"
        )
    return error(
        subject,
        "none",
        "the interface is down, or address generation is off (addr_gen_mode)",
        f"ip link set {name} up; sysctl net.ipv6.conf.{name}.addr_gen_mode",
    )


def _read_addresses(name: str) -> list[LinkLocal]:
    try:
        return addresses_of(ADDRESSES.read_text(encoding="ascii"), name)
    except OSError:
        return []


def _ipv6_is_off(name: str) -> bool:
    try:
        return (IPV6_SETTINGS / name / "disable_ipv6").read_text(encoding="ascii").strip() == "1"
    except OSError:
        return False


# --- sockets ------------------------------------------------------------------------------------


def _discovery_server(interface: Interface) -> Iterator[Finding]:
    subject = "discovery"
    try:
        server = sdp_server_socket(interface)
    except LinkError as problem:
        yield error(
            subject,
            f"UDP port {SDP_PORT} cannot be served",
            str(problem),
            "Stop what uses it (ss -ulpn), or wait for it",
        )
        return
    with server:
        yield ok(subject, f"UDP port {SDP_PORT} is free, group {ALL_NODES} joined")
        if not _loops(interface, server):
            yield warning(
                subject,
                "a multicast of our own is not heard",
                "a firewall drops it, or the interface does no multicast",
                f"Allow UDP port {SDP_PORT} in; `ip link show {interface.name}` has to say MULTICAST",
            )


def _loops(interface: Interface, server: socket.socket) -> bool:
    """Whether a datagram to the group comes back to the machine's own server."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, interface.index)
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 0)
        try:
            sender.sendto(b"doctor", (ALL_NODES, SDP_PORT, 0, interface.index))
        except OSError:
            return False
        return bool(select.select([server], [], [], LOOP_S)[0])


def _discovery_client(interface: Interface) -> Finding:
    try:
        sdp_client_socket(interface).close()
    except LinkError as problem:
        return error(
            "discovery", "no requests can be sent", str(problem), "Check the address of the interface"
        )
    return ok("discovery", "requests can be sent")


def _listener(interface: Interface) -> Finding:
    try:
        listener = tcp_listener(interface)
    except LinkError as problem:
        return error("connections", "cannot listen", str(problem), "Check the address of the interface")
    with listener:
        return ok(
            "connections",
            f"can listen on TCP port {listener.getsockname()[1]}; a firewall is not seen from here",
        )
