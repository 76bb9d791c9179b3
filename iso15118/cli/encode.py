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
        "--empty",
        choices=("ch", "ee"),
        default="ch",
        help="how empty texts are written: ch is read by everyone (default); ee is EXIficient's form",
    )
    parser.add_argument(
        "--lenient", action="store_true", help="do not refuse values outside the schema's lengths and bounds"
    )
    parser.add_argument(
        "--jsonl",
        action="store_true",
        help='lines {"id","schema","xml","fragment"?} into lines {"id","exi"} or {"id","error"}; '
        "always --empty ee --lenient, so that what others encoded comes out the same",
    )


def run(args: argparse.Namespace) -> int:
    """Encode once, or line by line."""
    if args.frame and args.fragment:
        raise UsageError("a fragment is never framed: it is what signatures cover, not a message")
    if args.frame and args.jsonl:
        raise UsageError("--jsonl writes bare EXI; frame single messages")
    if args.jsonl:
        from iso15118.cli import batch

        return batch.run(args.input, _convert)
    octets = _octets(args)
    if args.binary:
        sys.stdout.buffer.write(octets)
    else:
        print(octets.hex())
    return OK


def _octets(args: argparse.Namespace) -> bytes:
    from iso15118 import api
    from iso15118.cli import documents

    document = documents.read_text(inputs.read_text(args.input), args.schema)
    exi = documents.write_exi(document, fragment=args.fragment, empty=args.empty, lenient=args.lenient)
    return api.framed(exi, document.message, document.namespace) if args.frame else exi


def _convert(record: dict[str, Any]) -> dict[str, Any]:
    """One line of --jsonl, in the spelling of the reference encoder."""
    from iso15118.cli import batch, documents

    schema = batch.text_field(record, "schema")
    fragment = batch.fragment_field(record)
    document = documents.read_text(batch.text_field(record, "xml"), SHORT_NAMES.get(schema, schema))
    return {"exi": documents.write_exi(document, fragment=fragment, empty="ee", lenient=True).hex()}
