"""The octets that are hashed and signed: EXI fragments of single elements.

A Reference digest covers the fragment of the referenced element in the message's own schema set; a
SignatureValue covers the fragment of SignedInfo under the XML Signature schema taken alone (all
signatures of real sessions verify that way). Verification may try the combined form second.
"""

from __future__ import annotations

from typing import Any

from iso15118.exi.codec import encode
from iso15118.exi.grammar import SchemaSet
from iso15118.exi.options import DEFAULT, Options
from iso15118.exi.tables import QName


def fragment(
    value: Any, schema_set: SchemaSet, *, element: str | QName | None = None, options: Options = DEFAULT
) -> bytes:
    """The canonical EXI fragment of an element.

    For a received element pass `options` with the spelling of empty values that was met
    (`Decoded.empty`): the digest covers the bits its sender wrote. Facets are the business of whoever
    accepts the message, so pass `facets=False` to hash a value that breaks one.
    """
    return encode(value, schema_set, fragment=True, element=element, options=options)


def signed_info_forms(
    signed_info: Any, xmldsig: SchemaSet, combined: SchemaSet | None = None, *, options: Options = DEFAULT
) -> tuple[bytes, ...]:
    """The octets a SignatureValue may cover, the right form first.

    Sign the first. When verifying, with `combined` (the set of the message) the second form is the
    SignedInfo fragment of that set, which some implementations sign.
    """
    sets = (xmldsig,) if combined is None else (xmldsig, combined)
    return tuple(fragment(signed_info, schema_set, options=options) for schema_set in sets)
