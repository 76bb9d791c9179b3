"""Decode V2GTP frames, bare EXI or a capture file.

INPUT is hex text, a file (hex or binary, pcap or pcapng), or `-` for standard input. A V2GTP frame
starts with 01fe and tells its schema set by its payload type; bare EXI needs --schema.

  iso15118 decode 01fe800400000011802c040000000000000000080e2cfaa062
  iso15118 decode --schema dc --xml 802c040000000000000000080e2cfaa062
  iso15118 decode plugfest.pcapng --json
  iso15118 decode plugfest.pcapng --keylog tls.keys
  iso15118 decode --jsonl < vectors.jsonl
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from iso15118.cli import inputs
from iso15118.cli.main import OK, UsageError
from iso15118.cli.schemas import SHORT_NAMES, add_schema_options, demand_schema


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `iso15118 decode`."""
    parser.add_argument("input", nargs="?", metavar="INPUT", help="hex, a file, or - for standard input")
    add_schema_options(parser)
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--format", choices=("json", "xml"), default="json", help="output (default: json)")
    shape.add_argument("--xml", dest="format", action="store_const", const="xml", help="same as --format xml")
    shape.add_argument(
        "--jsonl",
        action="store_true",
        help='lines {"id","schema","exi","fragment"?} into lines {"id","root","xml"} or {"id","error"}',
    )
    parser.add_argument("--json", action="store_true", help="of a capture: one JSON object a line")
    parser.add_argument(
        "--keylog",
        type=Path,
        metavar="FILE",
        help="of a capture: secrets of TLS (NSS key log), to read what is in it",
    )


def run(args: argparse.Namespace) -> int:
    """Decode once, line by line, or a whole capture."""
    if args.jsonl:
        from iso15118.cli import batch

        return batch.run(args.input, _convert)
    path = inputs.capture_file(args.input)
    data = b"" if path else inputs.read_octets(args.input)
    if path or inputs.is_capture(data):
        return _capture(path, data, args)
    if args.keylog is not None:
        raise UsageError("--keylog opens TLS in a capture; this is none")
    for text in _rendered(data, args):
        print(text)
    return OK


def _capture(path: Path | None, data: bytes, args: argparse.Namespace) -> int:
    from iso15118.cli import capture

    with contextlib.ExitStack() as stack:
        if path is None:
            path = stack.enter_context(capture.as_file(data))
        return capture.show(path, as_json=args.json, keylog=args.keylog)


def _rendered(data: bytes, args: argparse.Namespace) -> Iterator[str]:
    """One EXI stream, or frames in a row as they were cut out of a connection."""
    from iso15118 import api
    from iso15118.wire.v2gtp import HEADER_LENGTH, decode_header

    if not api.is_frame(data):
        demand_schema(data, args.schema)
        yield _one(data, args)
        return
    while data:
        _, length = decode_header(data)
        frame, data = data[: HEADER_LENGTH + length], data[HEADER_LENGTH + length :]
        yield _one(frame, args)


def _one(octets: bytes, args: argparse.Namespace) -> str:
    """A frame or an EXI stream as text."""
    from iso15118 import api
    from iso15118.cli import documents

    if args.schema is None and api.is_discovery(octets):
        if args.format == "xml":
            raise UsageError("an SDP message has no XML form")
        return documents.discovery_json(api.decode(octets))
    exi, namespace = api.exi_of(octets, args.schema)
    document = documents.read_exi(exi, namespace, fragment=args.fragment)
    return documents.to_xml(document) if args.format == "xml" else documents.to_json(document)


def _convert(record: dict[str, Any]) -> dict[str, Any]:
    """One line of --jsonl."""
    from iso15118.cli import batch, documents

    schema = batch.text_field(record, "schema")
    document = documents.read_exi(
        batch.exi_field(record), SHORT_NAMES.get(schema, schema), fragment=batch.fragment_field(record)
    )
    return {"root": document.element.name, "xml": documents.to_xml(document)}
