"""What can be chosen when encoding and decoding, the limits, and what a decoder reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from iso15118.exi.tables import QName

HEADER: Final = 0x80
"""The first octet of every EXI stream of V2G: version 1, no cookie, no options in the stream."""
HEADER_BITS: Final = 8
MAX_DEPTH: Final = 64
"""Elements inside one another; the deepest message of the schemas has fewer than 20."""
MAX_MESSAGE_OCTETS: Final = 1 << 18
"""Longer input is refused unread; messages of real sessions have less than 10 000 octets."""
MAX_UNBOUNDED_ITEMS: Final = 4096
"""Items of a list to which the schema sets no limit (only xmldsig has such lists)."""

EmptyForm = Literal["ch", "ee"]
FULL_LIST_LOOP: Final = "full_list=loop"
ACDP_CBV2G: Final = "acdp_order=cbv2g"


@dataclass(frozen=True, slots=True)
class Options:
    """Choices where implementations differ; the defaults follow the standard and are readable by all.

    - `empty`: how an empty text or binary is written: "ch" as zero-length characters (everyone reads
      it), "ee" as the undeclared end event, as EXIficient does. Both are always read.
    - `full_list`: the event codes behind the last allowed item of a list: "exact" as the grammar says,
      "loop" as cbv2g and Josev's pre-compiled grammars have it.
    - `acdp_order`: the document codes of ACDP_ConnectRes and ACDP_DisconnectReq: by element name
      ("spec"), or by type name ("cbv2g").
    - `facets`: refuse to encode values outside the lengths and bounds of the schema.
    - `tolerant`: where decoding fails, try the other forms of `full_list` and `acdp_order`.
    """

    empty: EmptyForm = "ch"
    full_list: Literal["exact", "loop"] = "exact"
    acdp_order: Literal["spec", "cbv2g"] = "spec"
    facets: bool = True
    tolerant: bool = True
    max_depth: int = MAX_DEPTH
    max_octets: int = MAX_MESSAGE_OCTETS
    max_items: int = MAX_UNBOUNDED_ITEMS


DEFAULT: Final = Options()


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded message and what was remarkable about its encoding.

    `element` is the name of the root; `bits` the length read, without padding; `empty` the spelling of
    empty values that was met ("ch" or "ee", None where there was none); `dialect` names the options
    that had to be changed to read it.
    """

    value: Any
    element: QName
    bits: int
    empty: EmptyForm | None = None
    dialect: tuple[str, ...] = ()
