"""Values of simple types as text, in the canonical form of XML Schema, and back."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final

from iso15118.errors import DecodeError
from iso15118.exi.bits import BIG_INTEGER_GROUPS
from iso15118.exi.schema import Binary, Boolean, Enumeration, Integer, Scalar, Text

_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_BASE64_SPACE: Final = re.compile(r"[ \t\r\n]+")
_MAX_DIGITS: Final = BIG_INTEGER_GROUPS * 7 * 3 // 10 + 2
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}
_LONGEST_QUOTE: Final = 40


def to_text(scalar: Scalar, value: Any) -> str:
    """The canonical text of a value: capitals in hexBinary, base64 on one line, true and false."""
    match scalar:
        case Boolean():
            return "true" if value else "false"
        case Binary(builtin="hexBinary"):
            return str(value.hex()).upper()
        case Binary():
            return base64.b64encode(value).decode("ascii")
        case _:
            return str(value)


def from_text(scalar: Scalar, text: str) -> Any:
    """The value a text stands for; blanks around it are ignored except in strings. DecodeError if none."""
    if isinstance(scalar, Text):
        return text
    text = text.strip(" \t\r\n")
    match scalar:
        case Boolean():
            if text in _BOOLEANS:
                return _BOOLEANS[text]
        case Integer():
            if _INTEGER.fullmatch(text) and len(text) <= _MAX_DIGITS:
                return int(text)
        case Enumeration(members=members):
            found = next((member for member in members if member.value == text), None)
            if found is not None:
                return found
        case Binary(builtin="hexBinary"):
            return _binary(bytes.fromhex, "hexadecimal digits", text)
        case Binary():
            return _binary(_from_base64, "base64", text)
    name = scalar.name or getattr(scalar, "builtin", "boolean")
    raise DecodeError(f"{_quoted(text)} is no {name}")


def _from_base64(text: str) -> bytes:
    return base64.b64decode(_BASE64_SPACE.sub("", text), validate=True)


def _binary(parse: Any, what: str, text: str) -> Any:
    try:
        return parse(text)
    except (ValueError, binascii.Error):
        raise DecodeError(f"{_quoted(text)} is not {what}") from None


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…")
