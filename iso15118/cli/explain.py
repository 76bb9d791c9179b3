"""Show what every bit of a message means: bit range, grammar production, field, value.

INPUT is a V2GTP frame or bare EXI (then with --schema), as hex text, a file, or `-`.

  iso15118 explain 01fe800400000011802c040000000000000000080e2cfaa062
"""

from __future__ import annotations

import argparse

from iso15118.cli import inputs
from iso15118.cli.main import FAILED, OK
from iso15118.cli.schemas import add_schema_options, demand_schema


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `iso15118 explain`."""
    parser.add_argument("input", nargs="?", metavar="INPUT", help="hex, a file, or - for standard input")
    add_schema_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print the bit map; FAILED where the message breaks off."""
    from iso15118 import api

    data = inputs.read_octets(args.input)
    demand_schema(data, args.schema)
    found = api.explanation(data, args.schema, fragment=args.fragment)
    print(found)
    return FAILED if found.error else OK
