"""Look at the powerline: what cars, chargers and modems say while they match, live or from a recording.

  iso15118 slac sniff --interface eth1
  iso15118 slac sniff --read plugfest.pcapng --json

One line for each frame. Keys are never shown: #1a2b is a fingerprint, by which two of them can be compared.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import hashlib
import itertools
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from iso15118.cli.main import OK

if TYPE_CHECKING:
    from iso15118.trace.link import LinkItem
    from iso15118.wire.homeplug import Message

_UNINTERESTING: Final = ("random", "my_nonce", "your_nonce", "pid", "prn", "pmn")
"""Fields of no interest to a reader; JSON has them."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of `iso15118 slac`."""
    commands = parser.add_subparsers(dest="what", required=True, metavar="COMMAND")
    sniff = commands.add_parser("sniff", help="print every management message", allow_abbrev=False)
    source = sniff.add_mutually_exclusive_group(required=True)
    source.add_argument("--interface", metavar="IF", help="listen at a network interface (Linux)")
    source.add_argument("--read", type=Path, metavar="FILE", help="read a pcap or pcapng file")
    sniff.add_argument("--json", action="store_true", help="one JSON object a line")
    sniff.add_argument("--count", type=_positive, metavar="N", help="stop after N messages")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def run(args: argparse.Namespace) -> int:
    """Print messages until the file ends, or for as long as the user likes."""
    if args.interface is not None:
        with contextlib.suppress(KeyboardInterrupt), ExitStack() as opened:
            _show(_live(args.interface, opened), args)
    elif not _show(_recorded(args.read), args):
        print("iso15118: no HomePlug message in this capture", file=sys.stderr)
    return OK


def _show(items: Iterator[LinkItem], args: argparse.Namespace) -> int:
    """Print them, at once; how many there were."""
    shown = 0
    items = itertools.islice(items, args.count)
    for line in map(_json_line, items) if args.json else _text_lines(items):
        print(line, flush=args.interface is not None)
        shown += 1
    return shown


def _recorded(path: Path) -> Iterator[LinkItem]:
    from iso15118.trace.link import link_frames

    return link_frames(path)


def _live(interface: str, opened: ExitStack) -> Iterator[LinkItem]:
    from iso15118.runtime.ethernet import listening
    from iso15118.trace.link import link_item

    frames = opened.enter_context(listening(interface))
    found = (link_item(t, octets) for t, octets in frames)
    return (item for item in found if item is not None)


# --- text ---------------------------------------------------------------------------------------


def _text_lines(items: Iterator[LinkItem]) -> Iterator[str]:
    start: float | None = None
    for item in items:
        if start is None:
            start = item.t
            yield f"from {datetime.datetime.fromtimestamp(start, datetime.UTC).isoformat(timespec='milliseconds')}"
        yield f"{item.t - start:11.4f}  {_who(item.source):17} > {_who(item.destination):17}  {_what(item)}"


def _who(mac: bytes) -> str:
    from iso15118.trace.link import NOWHERE
    from iso15118.wire.homeplug import BROADCAST, LOCAL_MODEM

    names = {BROADCAST: "all", LOCAL_MODEM: "own modem", NOWHERE: "?"}
    return names.get(mac) or mac.hex(":")


def _what(item: LinkItem) -> str:
    from iso15118.wire.homeplug_names import name_of

    if item.frame is None:
        return f"ERROR {item.error}"
    message = item.frame.message
    fields = " ".join(f"{name}={_text(name, value)}" for name, value in _told(message))
    return f"{name_of(message):24} {fields}".rstrip()


def _told(message: Message) -> Iterator[tuple[str, Any]]:
    """The fields that tell something: not the ones that always are the same, nor chance."""
    for entry in _fields(message):
        value = getattr(message, entry.name)
        if value != entry.default and entry.name not in (*_UNINTERESTING, "mmtype"):
            yield entry.name, value if entry.repr else _secret(value)


def _text(name: str, value: Any) -> str:
    if name == "aag" and value:
        return f"{len(value)} groups, {sum(value) / len(value):.1f} dB"
    if isinstance(value, tuple):
        return "[" + ", ".join(_row(item) for item in value) + "]"
    return str(_plain(value))


def _row(item: Any) -> str:
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        return "(" + " ".join(f"{f.name}={_text(f.name, getattr(item, f.name))}" for f in _fields(item)) + ")"
    return str(_plain(item))


# --- JSON ---------------------------------------------------------------------------------------


def _json_line(item: LinkItem) -> str:
    from iso15118.wire.homeplug_names import name_of

    record: dict[str, Any] = {"t": item.t, "src": item.source.hex(":"), "dst": item.destination.hex(":")}
    if item.frame is None:
        record["error"] = item.error
    else:
        frame = item.frame
        record |= {"name": name_of(frame.message), "mmv": frame.mmv}
        if frame.vlan is not None:
            record["vlan"] = frame.vlan
        record["message"] = _data(frame.message)
    return json.dumps(record, separators=(",", ":"))


def _data(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {
            entry.name: _data(getattr(value, entry.name))
            if entry.repr
            else _secret(getattr(value, entry.name))
            for entry in _fields(value)
        }
    return [_data(item) for item in value] if isinstance(value, tuple) else _plain(value)


# --- values -------------------------------------------------------------------------------------


def _fields(value: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(value)


def _plain(value: Any) -> Any:
    """Octets as hexadecimal, addresses with colons; the rest as it is."""
    if not isinstance(value, bytes):
        return value
    return value.hex(":") if len(value) == 6 else value.hex()


def _secret(value: bytes) -> str:
    """A key's fingerprint; how much there is of anything else that may hold one."""
    if len(value) == 16:
        return f"#{hashlib.sha256(value).hexdigest()[:4]}"
    return f"({len(value)} octets)"
