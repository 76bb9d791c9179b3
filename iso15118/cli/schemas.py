"""Short names of the schema sets, as typed on a command line."""

from __future__ import annotations

import argparse
from types import MappingProxyType
from typing import Final

from iso15118.cli.main import UsageError
from iso15118.messages import namespaces as ns

SHORT_NAMES: Final = MappingProxyType(
    {
        "sap": ns.SAP,
        "cm": ns.COMMON_MESSAGES,
        "ac": ns.AC,
        "dc": ns.DC,
        "wpt": ns.WPT,
        "acdp": ns.ACDP,
        "ac-der-iec": ns.AC_DER_IEC,
        "ac-der-sae": ns.AC_DER_SAE,
        "xmldsig": ns.XMLDSIG,
    }
)
_ALIASES: Final = MappingProxyType(
    {"common": "cm", "ds": "xmldsig", "der-iec": "ac-der-iec", "der-sae": "ac-der-sae"}
)


def add_schema_options(parser: argparse.ArgumentParser) -> None:
    """`--schema` and `--fragment`, the same for every codec command."""
    parser.add_argument(
        "-s",
        "--schema",
        metavar="SET",
        type=namespace_of,
        help=f"schema set: a namespace, or {', '.join(SHORT_NAMES)}",
    )
    parser.add_argument(
        "--fragment", action="store_true", help="an EXI fragment (what signatures cover), not a whole message"
    )


def namespace_of(name: str) -> str:
    """The namespace behind a short name (case and underscores do not matter) or itself."""
    if ":" in name:
        return name
    key = name.lower().replace("_", "-")
    key = _ALIASES.get(key, key)
    if key not in SHORT_NAMES:
        raise argparse.ArgumentTypeError(
            f"no schema set {name!r}; known: {', '.join(SHORT_NAMES)}, or a namespace"
        )
    return SHORT_NAMES[key]


def demand_schema(data: bytes, namespace: str | None) -> None:
    """UsageError where `data` is no V2GTP frame and so needs a schema set that was not named."""
    from iso15118 import api

    if namespace is not None or api.is_frame(data):
        return
    if data[:1] != b"\x80":
        start = data[:2].hex()
        raise UsageError(f"the input starts with {start}: neither a V2GTP frame (01fe) nor EXI (80)")
    names = ", ".join(SHORT_NAMES)
    raise UsageError(f"EXI without V2GTP header does not tell its schema set; name it with --schema: {names}")
