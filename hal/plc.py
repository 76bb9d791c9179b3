"""The way to the power-line modem: an Ethernet port.

The port moves frames and knows nothing of them; the modem is spoken to with management messages, which is the
stack's business (`iso15118.slac`). So any transport will do: a network interface, a UART, a virtual cable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hal.device import Device


class EthernetPort(Device, Protocol):
    """Raw Ethernet frames without FCS, 60 to 1518 octets."""

    @property
    def mac(self) -> bytes:
        """Six octets: the host's own address, the source of what it sends. Known after `open`."""

    @property
    def interface(self) -> str | None:
        """The network interface that carries IPv6 over the same modem; None where there is none."""

    def send(self, frame: bytes) -> None:
        """Send one frame, which is padded to 60 octets; dropped without a word where the line is down, as
        Ethernet does. HalError(OUT_OF_RANGE) for less than 14 or more than 1518 octets.
        """

    def on_frame(self, receive: Callable[[bytes], None]) -> None:
        """Call `receive` with every frame that arrives (own frames excluded)."""
