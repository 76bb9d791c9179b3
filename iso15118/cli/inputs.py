"""What a user hands over to be decoded: hex text, a file of hex or octets, or standard input."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

from iso15118.cli.main import UsageError

MAX_INPUT: Final = 256 * 1024 * 1024
"""Octets of one input. A capture of a whole day stays below."""

_HEX: Final = re.compile(r"(?:0x)?(?:[0-9a-fA-F]{2}[\s:]*)+\Z")
_CAPTURE_MAGIC: Final = (
    bytes.fromhex("d4c3b2a1"),
    bytes.fromhex("a1b2c3d4"),
    bytes.fromhex("4d3cb2a1"),
    bytes.fromhex("a1b23c4d"),
    bytes.fromhex("0a0d0d0a"),
)
"""pcap in both byte orders and both resolutions, and pcapng."""


def is_hex(text: str) -> bool:
    """Whether `text` is hexadecimal octets; blanks, line ends and colons may separate them."""
    return bool(_HEX.match(text.strip()))


def from_hex(text: str) -> bytes:
    """The octets of hex text accepted by `is_hex`."""
    return bytes.fromhex(text.strip().removeprefix("0x").replace(":", " "))


def is_capture(data: bytes) -> bool:
    """Whether `data` starts like a pcap or pcapng file."""
    return data[:4] in _CAPTURE_MAGIC


def capture_file(source: str | None) -> Path | None:
    """The path of `source` where it is a file that starts like a capture."""
    if source is None or source == "-" or is_hex(source):
        return None
    try:
        with Path(source).open("rb") as file:
            return Path(source) if is_capture(file.read(4)) else None
    except (OSError, ValueError):
        return None


def read_raw(source: str | None) -> bytes:
    """The octets behind an argument: hex text itself, a file, or standard input (`-` or none)."""
    if source is None or source == "-":
        return _read_stdin(asked=source == "-")
    if is_hex(source):
        return from_hex(source)
    return _read_file(source)


def read_octets(source: str | None) -> bytes:
    """Like `read_raw`; where file or standard input hold hex text, the octets it stands for.

    A frame starts with 01 FE and EXI with 80: neither can be taken for text.
    """
    data = read_raw(source)
    text = _as_text(data)
    if text is not None and is_hex(text):
        data = from_hex(text)
    if not data:
        raise UsageError("the input is empty")
    return data


def read_text(source: str | None) -> str:
    """A document: the argument itself if it starts like XML or JSON, else a file or standard input."""
    if source is not None and source.lstrip()[:1] in ("<", "{"):
        return source
    data = _read_stdin(asked=source == "-") if source in (None, "-") else _read_file(str(source))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"XML or JSON in UTF-8 is expected: {error}") from error


def _read_file(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return _bounded(file.read(MAX_INPUT + 1))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{name[:80]!r} is neither hexadecimal nor a readable file ({reason})") from error


def _read_stdin(*, asked: bool) -> bytes:
    if not asked and sys.stdin.isatty():
        raise UsageError("nothing to read: give hex, a file, or `-` for standard input")
    return _bounded(sys.stdin.buffer.read(MAX_INPUT + 1))


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_INPUT:
        raise UsageError(f"the input is longer than {MAX_INPUT} octets")
    return data


def _as_text(data: bytes) -> str | None:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        return None
