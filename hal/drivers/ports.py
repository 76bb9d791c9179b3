"""Serial ports, TCP connections and CAN buses as one thing: something that takes octets and tells when it is gone.

    serial:///dev/ttyUSB0?baud=115200&parity=N&bits=8&stop=1
    tcp://192.168.0.5:8462
    can://can0 (see `can_port`: the octets are records of frames)
    local://board (what the operating system itself offers: a dialog that reads and writes files says nothing here)

Serial ports need the extra `serial` (pyserial). They are opened raw and exclusively: two processes on one port
would corrupt each other's frames.
"""

from __future__ import annotations

import asyncio
import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import SplitResult, parse_qsl, urlsplit

from hal.drivers import can_port
from hal.errors import HalError, Kind
from hal.registry import extra

OPTIONS: Final = {"baud": "115200", "parity": "N", "bits": "8", "stop": "1"}
"""Of a serial port, with the defaults."""
PARITIES: Final = "NEOMS"
READ_SIZE: Final = 4096
PENDING_LIMIT: Final = 65536
"""Octets that wait to be sent; a device that takes none for so long is gone."""
CONNECT_S: Final = 5.0


class Port(Protocol):
    """An open connection."""

    def write(self, data: bytes) -> None:
        """Send, or keep until it can be sent."""

    def close(self) -> None:
        """Let go; what the system has not taken yet is dropped. Idempotent."""


@dataclass(frozen=True, slots=True)
class Ends:
    """Where a port delivers: octets that came, and (once) why it is gone."""

    received: Callable[[bytes], None]
    gone: Callable[[str], None]


def check(url: str, **options: Any) -> SplitResult:
    """The parts of a port's URL. HalError(CONFIGURATION) where it is none or an option is unknown."""
    parts = urlsplit(url)
    if parts.scheme == "serial" and parts.path:
        serial_options(url, parts, options)
    elif parts.scheme == "can":
        can_port.options(url, parts, options)
    elif parts.scheme != "local" and (parts.scheme != "tcp" or _address(parts) is None):
        raise HalError(
            url,
            Kind.CONFIGURATION,
            "no URL of a port",
            next_step="Use serial:///dev/ttyUSB0?baud=115200, tcp://host:port or can://can0",
        )
    return parts


async def connect(url: str, ends: Ends, **options: Any) -> Port:
    """Open the port. `options` are the device's defaults for its kind of port; those in the URL win.

    Raises HalError (NOT_CONNECTED, MISSING_EXTRA, CONFIGURATION).
    """
    parts = check(url, **options)
    if parts.scheme == "tcp":
        return await _connect_tcp(url, parts, ends)
    if parts.scheme == "can":
        return can_port.connect(url, parts, options, ends.received, ends.gone)
    if parts.scheme == "local":
        return _NoPort()
    return _SerialPort(url, parts.path, serial_options(url, parts, options), ends)


def serial_options(url: str, parts: SplitResult, defaults: dict[str, Any]) -> dict[str, str]:
    """All options of a serial port: its own defaults, the device's, those of the URL."""
    said = dict(parse_qsl(parts.query))
    chosen = {**OPTIONS, **{name: str(value) for name, value in defaults.items()}, **said}
    for name in chosen.keys() - OPTIONS.keys():
        close = difflib.get_close_matches(name, OPTIONS, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"Known: {', '.join(OPTIONS)}"
        raise HalError(url, Kind.CONFIGURATION, f"unknown option {name}", next_step=hint)
    sound = chosen["baud"].isdecimal() and chosen["bits"] in ("7", "8") and chosen["stop"] in ("1", "2")
    if not (sound and len(chosen["parity"]) == 1 and chosen["parity"] in PARITIES):
        raise HalError(
            url, Kind.CONFIGURATION, f"impossible options {chosen}", next_step="Like baud=9600&parity=E"
        )
    return chosen


def _address(parts: SplitResult) -> tuple[str, int] | None:
    try:
        return (parts.hostname, parts.port) if parts.hostname and parts.port else None
    except ValueError:
        return None


class _NoPort:
    """There is nobody to talk to."""

    def write(self, data: bytes) -> None:
        """Nothing is ever said."""

    def close(self) -> None:
        """There is nothing to let go."""


# --- TCP ----------------------------------------------------------------------------------------


class _TcpPort(asyncio.Protocol):
    def __init__(self, ends: Ends) -> None:
        self._ends: Ends | None = ends
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # Whoever connects does not have the port yet: what comes, even the end, has to wait for him.
        transport.pause_reading()

    def begin(self) -> None:
        """Deliver from now on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._ends is not None:
            self._ends.received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone(str(exc or "closed by the other side"))

    def write(self, data: bytes) -> None:
        """Send."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(data)
        if transport.get_write_buffer_size() > PENDING_LIMIT:
            self._gone("it takes no data")

    def close(self) -> None:
        """Let go."""
        self._ends = None
        if self._transport is not None:
            self._transport.abort()

    def _gone(self, reason: str) -> None:
        ends, self._ends = self._ends, None
        if self._transport is not None:
            self._transport.abort()
        if ends is not None:
            ends.gone(reason)


async def _connect_tcp(url: str, parts: SplitResult, ends: Ends) -> Port:
    loop = asyncio.get_running_loop()
    address = _address(parts)
    assert address is not None
    try:
        async with asyncio.timeout(CONNECT_S):
            _, port = await loop.create_connection(lambda: _TcpPort(ends), *address)
    except (OSError, TimeoutError) as error:
        raise HalError(
            url,
            Kind.NOT_CONNECTED,
            str(error) or "no answer",
            next_step="Check the address, and that the device is on",
        ) from error
    loop.call_soon(port.begin)
    return port


# --- serial -------------------------------------------------------------------------------------


class _SerialPort:
    """Reads by the event loop, straight from the descriptor.

    A port that hangs up stays readable for ever: on the first empty read or error it is let go.
    """

    def __init__(self, url: str, path: str, options: dict[str, str], ends: Ends) -> None:
        self._ends: Ends | None = ends
        self._pending = bytearray()
        self._loop = asyncio.get_running_loop()
        self._serial = _open_serial(url, path, options)
        self._fd: int = self._serial.fileno()
        os.set_blocking(self._fd, False)
        self._loop.add_reader(self._fd, self._readable)

    def write(self, data: bytes) -> None:
        """Send, or keep what the port does not take yet."""
        if self._ends is None:
            return
        self._pending += data
        self._writable()

    def close(self) -> None:
        """Let go. What the system has taken still goes out: it may be what makes the device safe."""
        if self._serial.is_open:
            self._ends = None
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            self._serial.close()

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._gone(str(error))
            return
        if not data:
            self._gone("it hung up")
        elif self._ends is not None:
            self._ends.received(data)

    def _writable(self) -> None:
        try:
            sent = os.write(self._fd, self._pending)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            # Not from inside `write`: its caller is in the middle of something.
            self._loop.call_soon(self._gone, str(error))
            return
        del self._pending[:sent]
        if not self._pending:
            self._loop.remove_writer(self._fd)
        elif len(self._pending) > PENDING_LIMIT:
            self._loop.call_soon(self._gone, "it takes no data")
        else:
            self._loop.add_writer(self._fd, self._writable)

    def _gone(self, reason: str) -> None:
        ends = self._ends
        self.close()
        if ends is not None:
            ends.gone(reason)


def _open_serial(url: str, path: str, options: dict[str, str]) -> Any:
    import termios

    serial = extra(url, "serial", "serial")
    try:
        port = serial.Serial(
            path,
            int(options["baud"]),
            bytesize=int(options["bits"]),
            parity=options["parity"],
            stopbits=int(options["stop"]),
            timeout=0,
            exclusive=True,
        )
        port.reset_input_buffer()
    except (OSError, ValueError, termios.error) as error:
        raise HalError(
            url,
            Kind.NOT_CONNECTED,
            str(error),
            next_step="Check the path, that no other program uses it, and the permissions (group dialout)",
        ) from error
    return port
