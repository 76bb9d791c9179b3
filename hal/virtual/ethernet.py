"""An Ethernet port without Ethernet: frames are handed over by callbacks, under whatever clock the caller has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hal.errors import HalError, Kind
from hal.types import Fault, Severity

_DOWN: Final = frozenset({Fault("communication", Severity.STOP, detail="the line is down")})


class VirtualEthernetPort:
    """A host's port on a medium that calls `receive`, and is called by `transmit` with what the host sends.

    `up`: whether the line is there. The medium may call back from inside `transmit`.
    """

    def __init__(
        self,
        mac: bytes,
        transmit: Callable[[bytes], None],
        *,
        name: str = "modem@virtual",
        interface: str | None = None,
    ) -> None:
        self._mac, self._transmit, self._name, self._interface = mac, transmit, name, interface
        self._hearers: list[Callable[[bytes], None]] = []
        self._listeners: list[Callable[[], None]] = []
        self._up = True
        self._opened = False

    @property
    def name(self) -> str:
        """For logs and errors."""
        return self._name

    @property
    def faults(self) -> frozenset[Fault]:
        """What is wrong now."""
        return frozenset() if self._up or not self._opened else _DOWN

    @property
    def mac(self) -> bytes:
        """The host's own address."""
        return self._mac

    @property
    def interface(self) -> str | None:
        """The network interface that carries IPv6 over the same modem."""
        return self._interface

    @property
    def up(self) -> bool:
        """Whether the line is there; may be set."""
        return self._up

    @up.setter
    def up(self, up: bool) -> None:
        before, self._up = self.faults, up
        if self.faults != before:
            for listener in self._listeners:
                listener()

    def on_change(self, notify: Callable[[], None]) -> None:
        """Call `notify` whenever the line has come or gone."""
        self._listeners.append(notify)

    def on_frame(self, receive: Callable[[bytes], None]) -> None:
        """Call `receive` with every frame that arrives."""
        self._hearers.append(receive)

    def reset(self) -> None:
        """There is nothing latched."""

    async def open(self) -> None:
        """Take part. Raises HalError(NOT_CONNECTED) where the line is down."""
        if not self._up:
            raise HalError(self._name, Kind.NOT_CONNECTED, "the line is down")
        self._opened = True

    async def close(self) -> None:
        """Take part no more."""
        self._opened = False

    def send(self, frame: bytes) -> None:
        """Send one frame; dropped where the line is down. HalError(OUT_OF_RANGE) for what is none."""
        if not 14 <= len(frame) <= 1518:
            raise HalError(
                self._name,
                Kind.OUT_OF_RANGE,
                f"{len(frame)} octets are no Ethernet frame",
                next_step="Send 14 to 1518 octets, without FCS",
            )
        if self._opened and self._up:
            self._transmit(frame.ljust(60, b"\0"))

    def receive(self, frame: bytes) -> None:
        """The medium brings a frame; what this host has sent itself is not told."""
        if self._opened and self._up and len(frame) >= 14 and frame[6:12] != self._mac:
            for hearer in self._hearers:
                hearer(frame)
