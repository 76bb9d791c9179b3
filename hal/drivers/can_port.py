"""A CAN bus as a port (`ports`): frames go as records of fixed length through what carries octets elsewhere.

    can://can0?bitrate=125000                      SocketCAN; the bit rate is the interface's own
    can://bench?interface=virtual                  a bus inside this process
    can://PCAN_USBBUS1?interface=pcan&bitrate=125000

It needs the extra `can` (python-can). A bus with a descriptor is read when there is something to read, others
are looked at every few milliseconds: no thread.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl

from hal.errors import HalError, Kind
from hal.registry import extra

OPTIONS: Final = {"interface": "socketcan", "bitrate": "125000"}
"""Of a bus, with the defaults."""
LOOK_S: Final = 0.002
"""How often a bus without a descriptor is looked at."""
BURST: Final = 64
"""Frames taken in one turn; others get theirs in between."""
_RECORD: Final = struct.Struct(">IB8s")
_EXTENDED: Final = 0x80000000


@dataclass(frozen=True, slots=True)
class Frame:
    """A data frame: identifier (29 bits, 11 where not `extended`) and 0 to 8 octets."""

    identifier: int
    data: bytes = b""
    extended: bool = True

    def pack(self) -> bytes:
        """As a record."""
        flag = _EXTENDED if self.extended else 0
        return _RECORD.pack(self.identifier | flag, len(self.data), self.data)


def unpack(records: bytes) -> Iterator[Frame]:
    """The frames in whole records; what is no record at the end is dropped, a port never delivers it."""
    for start in range(0, len(records) - _RECORD.size + 1, _RECORD.size):
        word, length, data = _RECORD.unpack_from(records, start)
        yield Frame(word & ~_EXTENDED, data[: min(length, 8)], bool(word & _EXTENDED))


def options(url: str, parts: SplitResult, defaults: dict[str, Any]) -> dict[str, str]:
    """The bus's options: its own defaults, the device's, those of the URL. HalError(CONFIGURATION)."""
    chosen = {**OPTIONS, **{name: str(value) for name, value in defaults.items()}, **_said(parts)}
    unknown = sorted(chosen.keys() - OPTIONS.keys())
    if unknown or not parts.netloc or not chosen["bitrate"].isdecimal():
        what = f"unknown option {', '.join(unknown)}" if unknown else "no URL of a CAN bus"
        raise HalError(
            url, Kind.CONFIGURATION, what, next_step="Use can://can0?interface=socketcan&bitrate=125000"
        )
    return chosen


def _said(parts: SplitResult) -> dict[str, str]:
    """What follows the question mark of a URL."""
    return dict(parse_qsl(parts.query, keep_blank_values=True))


def connect(
    url: str,
    parts: SplitResult,
    defaults: dict[str, Any],
    received: Callable[[bytes], None],
    gone: Callable[[str], None],
) -> CanPort:
    """Open the bus. HalError (NOT_CONNECTED, MISSING_EXTRA, CONFIGURATION)."""
    chosen = options(url, parts, defaults)
    can = extra(url, "can", "can")
    try:
        bus = can.Bus(
            channel=parts.netloc,
            interface=chosen["interface"],
            bitrate=int(chosen["bitrate"]),
            ignore_config=True,
        )
    except (can.CanError, OSError, ValueError) as error:
        raise HalError(
            url,
            Kind.NOT_CONNECTED,
            str(error),
            next_step=f"Check the name, and that it is up: ip link set {parts.netloc} up type can bitrate {chosen['bitrate']}",
        ) from error
    return CanPort(can, bus, received, gone)


class CanPort:
    """An open bus; `write` takes records (see `Frame.pack`)."""

    def __init__(
        self, can: Any, bus: Any, received: Callable[[bytes], None], gone: Callable[[str], None]
    ) -> None:
        self._can, self._bus = can, bus
        self._received, self._told_gone = received, gone
        self._open = True
        self._loop = asyncio.get_running_loop()
        self._look: asyncio.TimerHandle | None = None
        try:
            self._fd: int = bus.fileno()
        except NotImplementedError:
            self._fd = -1
        if self._fd >= 0:
            self._loop.add_reader(self._fd, self._read)
        else:
            self._look_later()

    def write(self, data: bytes) -> None:
        """Send all frames; a bus that takes none is gone."""
        if not self._open:
            return
        try:
            for frame in unpack(data):
                self._bus.send(
                    self._can.Message(
                        arbitration_id=frame.identifier, data=frame.data, is_extended_id=frame.extended
                    )
                )
        except (self._can.CanError, OSError) as error:
            # Not from inside `write`: its caller is in the middle of something.
            self._loop.call_soon(self._gone, f"the bus takes no frames ({error})")

    def close(self) -> None:
        """Let go. Idempotent."""
        if not self._open:
            return
        self._open = False
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
        if self._look is not None:
            self._look.cancel()
        self._bus.shutdown()

    def _look_later(self) -> None:
        self._look = self._loop.call_later(LOOK_S, self._poll)

    def _poll(self) -> None:
        self._read()
        if self._open:
            self._look_later()

    def _read(self) -> None:
        records = bytearray()
        try:
            for _ in range(BURST):
                message = self._bus.recv(0)
                if message is None:
                    break
                if not (message.is_error_frame or message.is_remote_frame or message.is_fd):
                    records += Frame(
                        message.arbitration_id, bytes(message.data), message.is_extended_id
                    ).pack()
        except (self._can.CanError, OSError) as error:
            self._gone(str(error))
            return
        if records:
            self._received(bytes(records))

    def _gone(self, reason: str) -> None:
        if self._open:
            self.close()
            self._told_gone(reason)
