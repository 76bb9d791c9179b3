"""A Qualcomm power-line modem on a UART, spoken to without a kernel driver.

    UartPort("serial:///dev/ttyS2")                 115200 baud, as the modem is delivered
    UartPort("serial:///dev/ttyS2?baud=38400")      the rate is a setting inside the modem

No network interface carries IPv6 then: it needs what turns frames into packets, or the kernel's driver `qcauart`
and `packet_port` instead. A full frame takes 132 ms at 115200 baud.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from hal.drivers.dialog import Dialog
from hal.drivers.driver import Driver
from hal.drivers.frame_port import Hearers, address, padded
from hal.drivers.link import Link
from hal.drivers.qca_framing import Decoder, encode

SILENCE_S: Final = 0.1
"""A frame that has begun is given up when nothing more comes for so long."""


class UartDialog(Dialog):
    """Frames in the modem's framing. The modem is not asked who it is: that is a matter of its messages."""

    def __init__(self, name: str, receive: Callable[[bytes], None]) -> None:
        super().__init__(name)
        self._receive = receive
        self._decoder = Decoder()
        self._give_up_at = math.inf

    def send(self, frame: bytes) -> None:
        """Send one frame; dropped while the line is down."""
        if self.ready:
            self._send(encode(frame))

    def _start(self, now: float) -> None:
        self._decoder, self._give_up_at = Decoder(), math.inf
        self._met()

    def _hear(self, data: bytes, now: float) -> None:
        self._tell(self._decoder.feed(data), now)

    @property
    def _due(self) -> float:
        return self._give_up_at

    def _work(self, now: float) -> None:
        if now >= self._give_up_at:
            self._tell(self._decoder.skip(), now)

    def _tell(self, frames: list[bytes], now: float) -> None:
        self._give_up_at = now + SILENCE_S if self._decoder.pending else math.inf
        for frame in frames:
            self._receive(frame)


class UartPort(Driver):
    """The modem at `url` (see `ports`). `mac`: the host's own address, else a random one."""

    def __init__(self, url: str, *, mac: bytes | str | None = None) -> None:
        self._uart = UartDialog(f"modem@{url}", self._receive)
        super().__init__(self._uart.name, self._uart)
        self._mac = address(self._uart.name, mac)
        self._hearers = Hearers()
        Link(url, self._uart)

    @property
    def mac(self) -> bytes:
        """The host's own address."""
        return self._mac

    @property
    def interface(self) -> str | None:
        """None: no network interface carries IPv6."""
        return None

    def send(self, frame: bytes) -> None:
        """Send one frame; dropped while the line is down. HalError(OUT_OF_RANGE) for what is none."""
        self._uart.send(padded(self.name, frame))
        self._dialog.line.flush()

    def on_frame(self, receive: Callable[[bytes], None]) -> None:
        """Call `receive` with every frame that arrives."""
        self._hearers.add(receive)

    def _receive(self, frame: bytes) -> None:
        if self._opened:
            self._hearers.tell(frame, self._mac)
