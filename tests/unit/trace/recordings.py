"""Makes packet captures for the tests: Ethernet, IPv6, UDP and TCP, pcap and pcapng."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from ipaddress import IPv6Address

EV = ("fe80::ee", 50_000)
SECC = ("fe80::1", 64_109)
Address = tuple[str, int]

SYN, ACK, FIN, PUSH = 0x02, 0x10, 0x01, 0x08


def ipv6(src: str, dst: str, protocol: int, body: bytes) -> bytes:
    head = struct.pack(">IHBB", 6 << 28, len(body), protocol, 64)
    return head + IPv6Address(src).packed + IPv6Address(dst).packed + body


def udp_packet(src: Address, dst: Address, payload: bytes) -> bytes:
    body = struct.pack(">HHHH", src[1], dst[1], 8 + len(payload), 0) + payload
    return ipv6(src[0], dst[0], 17, body)


def tcp_packet(
    src: Address, dst: Address, sequence: int, payload: bytes = b"", flags: int = ACK, options: bytes = b""
) -> bytes:
    offset = (5 + len(options) // 4) << 4
    head = struct.pack(">HHIIBBHHH", src[1], dst[1], sequence % 2**32, 1, offset, flags, 8192, 0, 0)
    return ipv6(src[0], dst[0], 6, head + options + payload)


def ethernet(packet: bytes, vlans: Iterable[int] = ()) -> bytes:
    tags = b"".join(struct.pack(">HH", 0x8100, vlan) for vlan in vlans)
    return bytes(12) + tags + b"\x86\xdd" + packet


def pcap(
    frames: list[tuple[float, bytes]], order: str = "<", nano: bool = False, link_type: int = 1
) -> bytes:
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    unit = 1_000_000_000 if nano else 1_000_000
    out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262_144, link_type)
    for t, data in frames:
        fraction = round((t % 1) * unit)
        out += struct.pack(order + "IIII", int(t), fraction, len(data), len(data)) + data
    return out


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + length + body + length


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str = "<") -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str = "<", link_type: int = 1, options: bytes = b"") -> bytes:
    return block(order, 1, struct.pack(order + "HHI", link_type, 0, 262_144) + options)


def enhanced(data: bytes, ticks: int, order: str = "<", number: int = 0) -> bytes:
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFF_FFFF, len(data), len(data))
    return block(order, 6, head + data)


class Talk:
    """A TCP connection being recorded: `frames` are its captured frames, one millisecond apart."""

    def __init__(self, a: Address = EV, b: Address = SECC, isn: tuple[int, int] = (1000, 9000)) -> None:
        self.frames: list[tuple[float, bytes]] = []
        self._next = {a: isn[0], b: isn[1]}
        self._other = {a: b, b: a}
        self._t = 1_700_000_000.0

    def add(self, packet: bytes) -> None:
        self._t += 0.001
        self.frames.append((self._t, ethernet(packet)))

    def open(self) -> Talk:
        a, b = self._next
        self.add(tcp_packet(a, b, self._next[a], flags=SYN, options=bytes([2, 4, 5, 160])))
        self.add(tcp_packet(b, a, self._next[b], flags=SYN | ACK))
        for side in (a, b):
            self._next[side] += 1
        return self

    def say(self, src: Address, payload: bytes, lost: bool = False) -> Talk:
        packet = tcp_packet(src, self._other[src], self._next[src], payload, flags=ACK | PUSH)
        self._next[src] += len(payload)
        if not lost:
            self.add(packet)
        return self

    def datagram(self, src: Address, dst: Address, payload: bytes) -> Talk:
        self.add(udp_packet(src, dst, payload))
        return self
