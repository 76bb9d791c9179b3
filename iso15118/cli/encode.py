"""Encode a message given as XML or JSON, as printed by `iso15118 decode`.

INPUT is the document itself, a file, or `-` for standard input. The schema set follows from the root
element unless --schema names another one.

  iso15118 decode FRAME --xml | iso15118 encode - --frame
  iso15118 encode message.json --binary > message.exi
  iso15118 encode --jsonl < documents.jsonl
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from iso15118.cli import inputs
from iso15118.cli.main import OK, UsageError
from iso15118.cli.schemas import SHORT_NAMES, add_schema_options


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `iso15118 encode`."""
    parser.add_argument(
        "input", nargs="?", metavar="INPUT", help="a document, a file, or - for standard input"
    )
    add_schema_options(parser)
    parser.add_argument("--binary", action="store_true", help="write octets instead of hex text")
    parser.add_argument("--frame", action="store_true", help="put the V2GTP header in front")
    parser.add_argument(
        "--jsonl",
        action="store_true",
        help='lines {"id","schema","xml","fragment"?} into lines {"id","exi"} or {"id","error"}',
    )


def run(args: argparse.Namespace) -> int:
    """Encode once, or line by line."""
    if args.frame and args.fragment:
        raise UsageError("a fragment is never framed: it is what signatures cover, not a message")
    if args.jsonl:
        from iso15118.cli import batch

        return batch.run(args.input, _convert)
    octets = _encode(inputs.read_text(args.input), args.schema, frame=args.frame, fragment=args.fragment)
    if args.binary:
        sys.stdout.buffer.write(octets)
    else:
        print(octets.hex())
    return OK


def _encode(text: str, namespace: str | None, *, frame: bool, fragment: bool) -> bytes:
    from iso15118.cli import documents

    return documents.write_exi(documents.read_text(text, namespace), frame=frame, fragment=fragment)


def _convert(record: dict[str, Any]) -> dict[str, Any]:
    """One line of --jsonl."""
    from iso15118.cli import batch

    schema = batch.text_field(record, "schema")
    octets = _encode(
        batch.text_field(record, "xml"),
        SHORT_NAMES.get(schema, schema),
        frame=False,
        fragment=batch.fragment_field(record),
    )
    return {"exi": octets.hex()}
