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


def required(namespace: str | None, why: str) -> str:
    """`namespace`, or a UsageError that tells why it is needed."""
    if namespace is None:
        raise UsageError(f"{why}: name its schema set with --schema ({', '.join(SHORT_NAMES)})")
    return namespace
