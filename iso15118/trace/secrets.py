"""Secrets of recorded TLS connections: key log lines from a file, from the recording itself, or from both.

The format is the one of NSS that TLS libraries write: a label, the client's random, the secret. Recordings carry
such lines in blocks of their own (pcapng), and test devices send them along as UDP datagrams.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Final

from iso15118.errors import ConfigError
from iso15118.trace.packets import UdpDatagram, parse
from iso15118.trace.pcap import CaptureError, read_frames

MAX_FILE: Final = 64 << 20
MAX_LINES: Final = 200_000
MASTER: Final = "CLIENT_RANDOM"
"""TLS 1.2: the master secret."""
HANDSHAKE: Final = "HANDSHAKE_TRAFFIC_SECRET"
APPLICATION: Final = "TRAFFIC_SECRET_0"

_LINE: Final = re.compile(
    rb"(CLIENT_RANDOM|(?:CLIENT|SERVER)_(?:HANDSHAKE_TRAFFIC_SECRET|TRAFFIC_SECRET_0))"
    rb" ([0-9a-fA-F]{64}) ((?:[0-9a-fA-F]{2}){32,64})\b"
)


class Secrets:
    """What is known: secrets by label and by the random of the ClientHello."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bytes], bytes] = {}

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return f"Secrets({len(self)} lines)"

    def add(self, text: bytes) -> None:
        """Take in the key log lines within `text`; everything else there is skipped."""
        for label, random, secret in _LINE.findall(text):
            if len(self._known) >= MAX_LINES:
                return
            key = (label.decode(), bytes.fromhex(random.decode()))
            self._known[key] = bytes.fromhex(secret.decode())

    def get(self, label: str, random: bytes) -> bytes | None:
        """The secret of this label for a connection, None where it is not known."""
        return self._known.get((label, random))

    def add_file(self, path: str | Path) -> None:
        """Take in a key log file. ConfigError where it cannot be read or holds no line of the format."""
        try:
            with Path(path).open("rb") as file:
                text = file.read(MAX_FILE)
        except OSError as error:
            raise ConfigError("keylog", error.strerror or str(error), str(path)) from error
        before = len(self)
        self.add(text)
        if len(self) == before:
            raise ConfigError(
                "keylog",
                "no line of a key log (NSS format: CLIENT_RANDOM ..., *_TRAFFIC_SECRET ...)",
                str(path),
            )

    def add_recorded(self, path: str | Path) -> None:
        """Take in what a recording carries along; damage ends the search silently."""
        blocks: list[bytes] = []
        with contextlib.suppress(CaptureError):
            for frame in read_frames(path, secrets=blocks):
                if b"CLIENT_RANDOM " in frame.data or b"_SECRET" in frame.data:
                    packet = parse(frame)
                    if isinstance(packet, UdpDatagram):
                        self.add(packet.payload)
        for block in blocks:
            self.add(block)
