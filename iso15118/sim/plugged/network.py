"""IPv6 on the virtual powerline: real UDP frames through the medium, and a TCP line that waits while the link is down.

Datagrams are lost, doubled and damaged like all frames; a damaged one fails its checksum and is dropped, as a
kernel does. TCP is not written again here: octets arrive in order, late, and not while the modems are not in
one network.
"""

from __future__ import annotations

import heapq
import random
import struct
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Any, Final

from iso15118.machine import Datagram
from iso15118.sim.network import Stream
from iso15118.trace.packets import UdpDatagram, parse
from iso15118.trace.pcap import CapturedFrame
from iso15118.wire.sdp import ALL_NODES

ETHERNET: Final = 1
"""Link type of captures."""
UDP: Final = 17
HOP_LIMIT: Final = 255
AGAIN_S: Final = 0.2
"""Retransmission of TCP where the link is down."""

Address = tuple[str, int]


def link_local(mac: bytes) -> str:
    """The address a host gives itself (EUI-64)."""
    host = bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]
    return str(IPv6Address(bytes.fromhex("fe80000000000000") + host))


def mac_of(address: str) -> bytes:
    """The host behind such an address; for the group of all nodes its group address."""
    octets = IPv6Address(address).packed
    if address == ALL_NODES:
        return b"\x33\x33" + octets[12:]
    return bytes([octets[8] ^ 2]) + octets[9:11] + octets[13:]


def udp_frame(source_mac: bytes, source_port: int, datagram: Datagram) -> bytes:
    """An Ethernet frame with the datagram."""
    source, target = IPv6Address(link_local(source_mac)), IPv6Address(datagram.address[0])
    length = 8 + len(datagram.data)
    header = struct.pack(">HHH", source_port, datagram.address[1], length)
    pseudo = source.packed + target.packed + struct.pack(">II", length, UDP)
    checksum = _checksum(pseudo + header + b"\0\0" + datagram.data) or 0xFFFF
    packet = struct.pack(">IHBB", 6 << 28, length, UDP, HOP_LIMIT) + source.packed + target.packed
    ethernet = mac_of(datagram.address[0]) + source_mac + b"\x86\xdd"
    return ethernet + packet + header + struct.pack(">H", checksum) + datagram.data


def read_udp(frame: bytes) -> UdpDatagram | None:
    """The datagram in a frame; None where there is none or it is damaged."""
    packet = frame[14:]
    if len(packet) < 48 or frame[12:14] != b"\x86\xdd":
        return None
    length = int.from_bytes(packet[4:6], "big")
    body = packet[40 : 40 + length]
    pseudo = packet[8:40] + struct.pack(">II", length, packet[6])
    if len(body) != length or _checksum(pseudo + body):
        return None
    found = parse(CapturedFrame(0.0, ETHERNET, frame))
    return found if isinstance(found, UdpDatagram) else None


def _checksum(octets: bytes) -> int:
    """The Internet checksum; 0 over octets that hold the right one."""
    padded = octets + b"\0" * (len(octets) % 2)
    total: int = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class TcpLine:
    """One TCP connection between the two hosts: what is written arrives in order while `linked()`."""

    def __init__(self, chance: random.Random, linked: Callable[[], bool]) -> None:
        self.streams = {"SECC": Stream(chance), "EVCC": Stream(chance)}
        self.cut = False
        self._linked = linked
        self._queue: list[tuple[float, int, str, Any]] = []
        self._order = 0

    @property
    def deadline(self) -> float:
        """When something arrives next."""
        return self._queue[0][0] if self._queue and not self.cut else float("inf")

    def write(self, sender: str, data: bytes, now: float) -> None:
        """`sender` writes octets."""
        for when, piece in self.streams[sender].arrivals(data, now):
            self._put(when, sender, piece)

    def end(self, sender: str, now: float) -> None:
        """`sender` closes; the other learns of it after all that was written."""
        self._put(self.streams[sender].closing(now), sender, None)

    def due(self, now: float) -> list[tuple[str, bytes | None]]:
        """(sender, octets) of what has arrived up to `now`; None for the end of its stream."""
        arrived: list[tuple[str, bytes | None]] = []
        while self._queue and self._queue[0][0] <= now and not self.cut:
            if not self._linked():
                self._delay(now + AGAIN_S)
                break
            _, _, sender, data = heapq.heappop(self._queue)
            arrived.append((sender, data))
        return arrived

    def _put(self, when: float, sender: str, data: bytes | None) -> None:
        self._order += 1
        heapq.heappush(self._queue, (when, self._order, sender, data))

    def _delay(self, until: float) -> None:
        """Nothing arrives before; the order stays, as times and numbers do not cross."""
        self._queue = [(max(when, until), order, sender, data) for when, order, sender, data in self._queue]
        heapq.heapify(self._queue)
        for stream in self.streams.values():
            stream.last_s = max(stream.last_s, until)
