"""A modem on a serial line: a pseudo-terminal with the framing of a Qualcomm modem's UART."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from hal.drivers.qca_framing import Decoder, encode
from iso15118.sim.powerline.hub import Hub
from iso15118.sim.powerline.medium import Port

READ_OCTETS: Final = 4096
BACKLOG_OCTETS: Final = 65_536
"""A host that does not read loses frames beyond these, as on a line without flow control."""


class SerialModem:
    """The modem's end of the line. `path` is what the host opens."""

    def __init__(self, hub: Hub, port: Port) -> None:
        self._hub, self._port = hub, port
        self._loop = asyncio.get_running_loop()
        self._decoder = Decoder()
        self._backlog = bytearray()
        self._line, self._host = os.openpty()
        tty.setraw(self._host)
        os.set_blocking(self._line, False)
        self.path = os.ttyname(self._host)
        self._loop.add_reader(self._line, self._read)
        hub.connect(port, self._receive)

    def _read(self) -> None:
        for frame in self._decoder.feed(os.read(self._line, READ_OCTETS)):
            self._hub.send(self._port, frame)

    def _receive(self, octets: bytes) -> None:
        if len(self._backlog) < BACKLOG_OCTETS:
            self._backlog += encode(octets)
        self._write()

    def _write(self) -> None:
        with suppress(BlockingIOError):
            del self._backlog[: os.write(self._line, self._backlog)]
        if self._backlog:
            self._loop.add_writer(self._line, self._write)
        else:
            self._loop.remove_writer(self._line)

    def close(self) -> None:
        """Hang up."""
        self._hub.disconnect(self._port)
        self._loop.remove_reader(self._line)
        self._loop.remove_writer(self._line)
        os.close(self._line)
        os.close(self._host)


@contextmanager
def serial_modem(hub: Hub, port: Port) -> Iterator[str]:
    """Put the modem of a port on a pseudo-terminal; gives the path the host opens."""
    modem = SerialModem(hub, port)
    try:
        yield modem.path
    finally:
        modem.close()
