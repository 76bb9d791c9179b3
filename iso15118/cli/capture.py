"""The timeline of a capture file: every SDP and V2GTP message of every connection."""

from __future__ import annotations

import contextlib
import datetime
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iso15118.cli.main import OK

if TYPE_CHECKING:
    from iso15118.trace import TraceItem

Address = tuple[str, int]


def show(path: Path, *, as_json: bool, keylog: Path | None = None) -> int:
    """Print the timeline of `path`. A capture without any message is told on stderr and no failure."""
    from iso15118 import trace

    items = trace.open(path, keylog)
    count = 0
    for line in _json_lines(items) if as_json else _text_lines(items):
        print(line)
        count += 1
    if not count:
        print("iso15118: no SDP and no V2GTP message in this capture", file=sys.stderr)
    return OK


@contextlib.contextmanager
def as_file(data: bytes) -> Iterator[Path]:
    """`data` as a file that lives as long as the context: a capture from standard input."""
    with tempfile.TemporaryDirectory(prefix="iso15118-") as folder:
        path = Path(folder, "standard-input")
        path.write_bytes(data)
        yield path


def _json_lines(items: Iterable[TraceItem]) -> Iterator[str]:
    for item in items:
        yield json.dumps(_record(item), separators=(",", ":"))


def _record(item: TraceItem) -> dict[str, Any]:
    from iso15118.cli import documents

    record: dict[str, Any] = {
        "t": item.t,
        "src": _address(item.src),
        "dst": _address(item.dst),
        "payload_type": item.payload_type,
    }
    if item.message is not None:
        record["message"] = (
            documents.discovery_data(item.message)
            if item.schema is None
            else documents.message_data(item.message, item.schema)
        )
    if item.schema is not None:
        record["schema"] = item.schema
    if item.error is not None:
        record["error"] = item.error
        record["octets"] = item.raw.hex()
    return record


def _text_lines(items: Iterable[TraceItem]) -> Iterator[str]:
    from iso15118.cli.printing import brief

    start: float | None = None
    connections: dict[frozenset[Address], int] = {}
    for item in items:
        if start is None:
            start = item.t
            yield f"from {datetime.datetime.fromtimestamp(start, datetime.UTC).isoformat(timespec='milliseconds')}"
        pair = frozenset((item.src, item.dst))
        if pair not in connections:
            connections[pair] = len(connections) + 1
            yield f"#{connections[pair]}  {_address(item.src)} - {_address(item.dst)}"
        kind = "      " if item.payload_type is None else f"{item.payload_type:#06x}"
        what = brief(item.message) if item.message is not None else ""
        fault = f"ERROR {item.error}" if item.error is not None else ""
        text = "  ".join(x for x in (what, fault) if x)
        yield f"{item.t - start:11.4f}  #{connections[pair]} {_arrow(item):10}  {kind}  {text}"


def _arrow(item: TraceItem) -> str:
    return {"EV>SECC": "EV -> SECC", "SECC>EV": "EV <- SECC"}.get(item.direction, "")


def _address(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
