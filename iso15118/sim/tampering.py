"""Attacks on the wire: somebody between the two sides reads and changes what passes."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from iso15118.sim.faults import Fault
    from iso15118.sim.world import World

Change = Callable[[bytes], bytes]
"""What becomes of a write on its way."""

PLAIN: Final = bytes.fromhex("01fe800200000004808c0000")
"""A V2GTP message in the clear."""
NO_TLS: Final = 0x10
"""The security octet of discovery for TCP without TLS."""
_TLS13_ONLY: Final = bytes.fromhex("002b0003020304")
_TLS12_ONLY: Final = bytes.fromhex("002b0003020303")
"""The extension supported_versions with one version in it."""
_SDP: Final = MappingProxyType({b"\x90\x00": ("EVCC", 8), b"\x90\x01": ("SECC", 26)})
"""Payload type of a discovery message: who sends it, where its security octet is."""


def _once(make: Callable[[Fault], Change]) -> Callable[[World, Fault], None]:
    """An attack on the next write of a side."""

    def apply(world: World, fault: Fault) -> None:
        world.intercept(fault.text("side"), fault.name, make(fault))

    return apply


def _tamper(fault: Fault) -> Change:
    place = fault.number("place")

    def change(data: bytes) -> bytes:
        """Turn a bit behind the first record's header."""
        at = 5 + int(place * (len(data) - 6))
        return data[:at] + bytes((data[at] ^ 0x04,)) + data[at + 1 :]

    return change


def _stall(world: World, fault: Fault) -> None:
    """From a side's first write on, nothing arrives for a while."""
    stream = world.connection.streams[fault.text("side")]

    def begin(data: bytes) -> bytes:
        stream.stalled = (world.now, world.now + fault.number("seconds"))
        return data

    world.intercept(fault.text("side"), fault.name, begin)


def _older_tls(world: World, fault: Fault) -> None:
    world.intercept("EVCC", fault.name, lambda data: data.replace(_TLS13_ONLY, _TLS12_ONLY))


def _downgrade(world: World, fault: Fault) -> None:
    side = fault.text("side")

    def change(data: bytes) -> bytes:
        sender, at = _SDP.get(data[2:4], ("", 0))
        if sender != side or len(data) <= at:
            return data
        world.hit(fault.name, side)
        return data[:at] + bytes((NO_TLS,)) + data[at + 1 :]

    world.datagrams.change = change


ACTS: Final[MappingProxyType[str, Callable[[World, Fault], None]]] = MappingProxyType(
    {
        "tls_tamper": _once(_tamper),
        "tls_replay": _once(lambda _: lambda data: data + data),
        "tls_drop": _once(lambda _: lambda _data: b""),
        "tls_inject": _once(lambda _: lambda data: PLAIN + data),
        "tls_garbage": _once(lambda _: lambda data: b"GET / HTTP/1.1\r\n\r\n" + data),
        "stalled_handshake": _stall,
        "tls_downgrade": _older_tls,
        "sdp_downgrade": _downgrade,
    }
)
