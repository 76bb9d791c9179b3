"""From a link-layer frame to what matters here: UDP and TCP over IPv6.

Everything else (SLAC, IPv4, ICMPv6, fragments) is no part of a charging session's messages: None.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv6Address
from types import MappingProxyType
from typing import Final

from iso15118.trace.pcap import CapturedFrame

Address = tuple[str, int]
"""IPv6 address and port."""

_ETHERNET: Final = 1
_COOKED: Final = 113
_COOKED_V2: Final = 276
_BARE: Final = MappingProxyType({0: 4, 108: 4, 12: 0, 14: 0, 101: 0, 229: 0})
"""Link types with the IP packet behind this many octets: BSD loopback, raw IP."""

_VLAN_TAGS: Final = (0x8100, 0x88A8, 0x9100)
_ETHERTYPE_IPV6: Final = 0x86DD
_SKIPPED_HEADERS: Final = (0, 43, 60)
"""IPv6 extension headers without meaning here: hop-by-hop, routing, destination options."""

_TCP: Final = 6
_UDP: Final = 17
_FIN: Final = 0x01
_SYN: Final = 0x02
_ACK: Final = 0x10


@dataclass(frozen=True, slots=True)
class UdpDatagram:
    """One datagram, as far as it was captured."""

    src: Address
    dst: Address
    payload: bytes


@dataclass(frozen=True, slots=True)
class TcpSegment:
    """One segment, as far as it was captured."""

    src: Address
    dst: Address
    sequence: int
    syn: bool
    opening: bool
    payload: bytes


def parse(frame: CapturedFrame) -> UdpDatagram | TcpSegment | None:
    """The datagram or segment in a frame; None where there is none or it is damaged."""
    packet = _network_layer(frame)
    if len(packet) < 40 or packet[0] >> 4 != 6:
        return None
    length, protocol = struct.unpack_from(">HB", packet, 4)
    # Length 0 is written by senders that leave segmentation to the network adapter.
    body = packet[40 : 40 + length] if length else packet[40:]
    while protocol in _SKIPPED_HEADERS and len(body) >= 8:
        protocol, body = body[0], body[(body[1] + 1) * 8 :]
    hosts = tuple(str(IPv6Address(packet[at : at + 16])) for at in (8, 24))
    if protocol == _UDP and len(body) >= 8:
        return _udp(hosts, body)
    return _tcp(hosts, body) if protocol == _TCP and len(body) >= 20 else None


def _network_layer(frame: CapturedFrame) -> bytes:
    """The IP packet of a frame; empty where it carries another protocol."""
    data = frame.data
    if frame.link_type in _BARE:
        return data[_BARE[frame.link_type] :]
    if frame.link_type == _COOKED:
        return _if_ipv6(data, 14, 16)
    if frame.link_type == _COOKED_V2:
        return _if_ipv6(data, 0, 20)
    if frame.link_type != _ETHERNET:
        return b""
    at = 12
    while int.from_bytes(data[at : at + 2], "big") in _VLAN_TAGS:
        at += 4
    return _if_ipv6(data, at, at + 2)


def _if_ipv6(data: bytes, type_at: int, packet_at: int) -> bytes:
    ethertype = int.from_bytes(data[type_at : type_at + 2], "big")
    return data[packet_at:] if ethertype == _ETHERTYPE_IPV6 else b""


def _udp(hosts: tuple[str, ...], body: bytes) -> UdpDatagram:
    src, dst, length = struct.unpack_from(">HHH", body)
    return UdpDatagram((hosts[0], src), (hosts[1], dst), body[8 : length or None])


def _tcp(hosts: tuple[str, ...], body: bytes) -> TcpSegment | None:
    src, dst, sequence, _, offset, flags = struct.unpack_from(">HHIIBB", body)
    header = (offset >> 4) * 4
    if header < 20:
        return None
    return TcpSegment(
        src=(hosts[0], src),
        dst=(hosts[1], dst),
        sequence=sequence,
        syn=bool(flags & _SYN),
        opening=flags & (_SYN | _ACK) == _SYN,
        payload=body[header:],
    )
