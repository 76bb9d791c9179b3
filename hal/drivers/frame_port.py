"""What the Ethernet ports have in common: what is a frame, who hears it, and a socket that is kept open."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable
from typing import Final

from hal.drivers.dialog import COMMUNICATION
from hal.errors import HalError, Kind
from hal.types import Fault, Severity

HEADER: Final = 14
"""Octets of destination, source and type: less is no frame."""
SHORTEST: Final = 60
LONGEST: Final = 1518
RETRY_S: Final = 1.0
"""A socket that has failed is looked at again after this time."""
BURST: Final = 64
"""Frames taken in one turn of the event loop; others get theirs in between."""


def padded(device: str, frame: bytes) -> bytes:
    """`frame` as it goes on the wire, 60 octets at least. HalError(OUT_OF_RANGE) for what is no frame."""
    if not HEADER <= len(frame) <= LONGEST:
        raise HalError(
            device,
            Kind.OUT_OF_RANGE,
            f"{len(frame)} octets are no Ethernet frame",
            next_step=f"Send {HEADER} to {LONGEST} octets, without FCS",
        )
    return frame.ljust(SHORTEST, b"\0")


def address(device: str, mac: bytes | str | None) -> bytes:
    """A host's own address: as given ("02:00:00:00:00:01" or six octets), else a random local one.

    HalError(CONFIGURATION) for what is none, or is the address of a group.
    """
    if mac is None:
        return b"\x02" + secrets.token_bytes(5)
    try:
        octets = bytes.fromhex(mac.replace(":", "").replace("-", "")) if isinstance(mac, str) else bytes(mac)
    except ValueError:
        octets = b""
    if len(octets) != 6 or octets[0] & 1 or not any(octets):
        raise HalError(
            device,
            Kind.CONFIGURATION,
            f"{mac!r} is no address of a host",
            next_step="Use six octets like 02:00:00:00:00:01",
        )
    return octets


class Hearers:
    """Who is told of frames that arrive."""

    def __init__(self) -> None:
        self._hearers: list[Callable[[bytes], None]] = []

    def add(self, receive: Callable[[bytes], None]) -> None:
        """Tell `receive`, too."""
        self._hearers.append(receive)

    def tell(self, frame: bytes, own: bytes) -> None:
        """A frame has come; fragments and what the host `own` has sent itself are not told."""
        if len(frame) >= HEADER and frame[6:12] != own:
            for receive in self._hearers:
                receive(frame)


class SocketPort:
    """An Ethernet port on a socket, which is made anew after it has failed.

    A kind of port overrides `_make`, `_take` and, where it has something to say regularly, `_greet`.
    """

    def __init__(self, name: str, mac: bytes, interface: str | None) -> None:
        self._name, self._mac, self._interface = name, mac, interface
        self._hearers = Hearers()
        self._listeners: list[Callable[[], None]] = []
        self._faults: frozenset[Fault] = frozenset()
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._opened = False

    # --- the protocol's part --------------------------------------------------------------------

    @property
    def name(self) -> str:
        """For logs and errors."""
        return self._name

    @property
    def faults(self) -> frozenset[Fault]:
        """What is wrong now."""
        return self._faults

    @property
    def mac(self) -> bytes:
        """The host's own address."""
        return self._mac

    @property
    def interface(self) -> str | None:
        """The network interface that carries IPv6 over the same modem."""
        return self._interface

    def on_change(self, notify: Callable[[], None]) -> None:
        """Call `notify` whenever a fault has come or gone."""
        self._listeners.append(notify)

    def on_frame(self, receive: Callable[[bytes], None]) -> None:
        """Call `receive` with every frame that arrives."""
        self._hearers.add(receive)

    def reset(self) -> None:
        """There is nothing latched."""

    async def open(self) -> None:
        """Make the socket. Raises HalError (NOT_CONNECTED, CONFIGURATION)."""
        if not self._opened:
            self._begin(self._make())
            self._opened = True
            self._look_later()

    async def close(self) -> None:
        """Let go."""
        self._opened = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._end()
        self._tell(frozenset())

    def send(self, frame: bytes) -> None:
        """Send one frame; dropped where the line is down or full. HalError(OUT_OF_RANGE) for what is none."""
        data = padded(self._name, frame)
        if self._socket is not None:
            self._put(data)

    # --- a kind of port's part ------------------------------------------------------------------

    def _make(self) -> socket.socket:
        """A socket that does not block. HalError where there is none to be had."""
        raise NotImplementedError

    def _take(self, sock: socket.socket) -> bytes:
        """The next frame, b"" for one that does not count. OSError as of the socket."""
        raise NotImplementedError

    def _greet(self) -> None:
        """Called every second while the socket is there."""

    # --- the mechanism --------------------------------------------------------------------------

    def _put(self, data: bytes) -> None:
        assert self._socket is not None
        try:
            self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return  # the queue is full: Ethernet drops it
        except OSError as error:
            # Not from inside `send`: its caller is in the middle of something.
            asyncio.get_running_loop().call_soon(self._fail, str(error))

    def _begin(self, sock: socket.socket) -> None:
        self._socket = sock
        asyncio.get_running_loop().add_reader(sock.fileno(), self._readable)

    def _end(self) -> None:
        sock, self._socket = self._socket, None
        if sock is not None:
            asyncio.get_running_loop().remove_reader(sock.fileno())
            sock.close()

    def _readable(self) -> None:
        for _ in range(BURST):
            if self._socket is None:  # closed by who was told of the frame before
                return
            try:
                frame = self._take(self._socket)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._fail(str(error))
                return
            self._hearers.tell(frame, self._mac)

    def _fail(self, reason: str) -> None:
        if self._opened:
            self._end()
            self._tell(frozenset({Fault(COMMUNICATION, Severity.STOP, detail=reason)}))

    def _look_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(RETRY_S, self._look)

    def _look(self) -> None:
        self._look_later()
        if self._socket is not None:
            self._greet()
            return
        try:
            self._begin(self._make())
        except HalError as error:
            self._fail(error.detail)
        else:
            self._tell(frozenset())

    def _tell(self, faults: frozenset[Fault]) -> None:
        if faults != self._faults:
            self._faults = faults
            for listener in self._listeners:
                listener()
