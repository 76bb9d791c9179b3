"""Identifiers of Plug & Charge and their check digits: EMAID, PCID, EVCCID, SECCID, EVSEID.

Two check digits exist. EMAIDs carry the matrix digit of ISO 15118-1; the identifiers of ISO 15118-20 carry the
modulo-11 digit of its Annex C, which DIN 91286 used before. Received EMAIDs may carry either.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from certs.errors import CertsError


class Kind(enum.Enum):
    """What an identifier names."""

    EMAID = "EMAID"  # a charging contract
    PCID = "PCID"  # a vehicle towards contract provisioning
    EVCCID = "EVCCID"  # a vehicle's communication controller
    SECCID = "SECCID"  # a station's communication controller
    EVSEID = "EVSEID"  # an outlet


class Check(enum.Enum):
    """The state of the check digit."""

    RIGHT = "right"
    WRONG = "wrong"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Identifier:
    """A well-formed identifier: upper case, without separators. `expected` is the check digit it should carry."""

    kind: Kind
    text: str
    check: Check = Check.ABSENT
    expected: str = ""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class _Form:
    """How identifiers of a kind look: each group of the pattern is an element, `check` the check digit."""

    pattern: re.Pattern[str]
    says: str


_NO_IOQ: Final = "[A-HJ-NPR-Z0-9]"
_FORMS: Final = MappingProxyType(
    {
        Kind.EMAID: _Form(
            re.compile(r"([A-Z]{2})([A-Z0-9]{3})([A-Z0-9]{9})(?P<check>[A-Z0-9])?"),
            "two letters country, three characters provider, nine characters instance, perhaps a check digit",
        ),
        Kind.PCID: _Form(
            re.compile(rf"({_NO_IOQ}{{3}})({_NO_IOQ})({_NO_IOQ}{{13,250}}?)(?P<check>[0-9X])?"),
            "17 to 255 letters and digits without I, O and Q: world manufacturer identifier first, check digit last",
        ),
        Kind.EVCCID: _Form(
            re.compile(rf"({_NO_IOQ}{{3}})(V)({_NO_IOQ}{{15,250}})(?P<check>[0-9X])"),
            "20 to 255 letters and digits without I, O and Q: world manufacturer identifier, V, the maker's own, check digit",
        ),
        Kind.SECCID: _Form(
            re.compile(r"([A-Z]{2})([A-Z0-9]{3})(S)([A-Z0-9]{32,248})(?P<check>[0-9X])"),
            "39 to 255 letters and digits: country, operator, S, the operator's own, check digit",
        ),
        Kind.EVSEID: _Form(
            re.compile(r"([A-Z]{2})\*?([A-Z0-9]{3})\*?(E[A-Z0-9][A-Z0-9*]{0,30})|ZZ00000"),
            "country, operator, E and the outlet's own up to 31 characters, * between them or not",
        ),
    }
)
_DIN_EVSEID: Final = re.compile(r"\+?[0-9]{1,3}\*[0-9]{3,6}\*[0-9][0-9*]{0,31}")
"""The form of DIN 91286; stations of DIN 70121 and ISO 15118-2 still send it."""
_EMAID_BORDERS: Final = (2, 3, 9, 1)


def parse(kind: Kind, text: str) -> Identifier:
    """The identifier in `text`; CertsError where it is none of that kind. A wrong check digit is no error here."""
    # Folding maps some letters outside ASCII onto plain ones: two texts must not become one identifier.
    folded = text.strip().upper() if text.isascii() else ""
    if kind is Kind.EVSEID and _DIN_EVSEID.fullmatch(folded):
        return Identifier(kind, folded)
    plain = _without_separators(kind, folded)
    match = _FORMS[kind].pattern.fullmatch(plain)
    if match is None:
        raise CertsError(f"{kind.value} {text[:64]!r}", f"not of the form: {_FORMS[kind].says}")
    if kind is Kind.EVSEID:
        return Identifier(kind, plain)
    check = match.groupdict().get("check") or ""
    elements = [group for group in match.groups()[:-1] if group is not None]
    if kind is Kind.PCID:
        check, elements = _pcid_elements(plain)
    expected = check_digit(kind, elements)
    accepted = {expected} | ({modulo_digit(elements)} if kind is Kind.EMAID else set())
    state = Check.ABSENT if not check else Check.RIGHT if check in accepted else Check.WRONG
    return Identifier(kind, plain, state, expected)


def _pcid_elements(plain: str) -> tuple[str, list[str]]:
    """ISO 15118-2 also knows 17 characters, which then carry no check digit."""
    body, check = (plain, "") if len(plain) == 17 else (plain[:-1], plain[-1])
    return check, [body[:3], body[3:4], body[4:]]


def _without_separators(kind: Kind, text: str) -> str:
    """EMAIDs have hyphens at all borders of their elements or nowhere; elsewhere hyphens only help to read."""
    if kind is Kind.EVSEID:
        return text
    plain = text.replace("-", "")
    if kind is not Kind.EMAID or plain == text:
        return plain
    parts = text.split("-")
    borders = _EMAID_BORDERS[: len(parts)]
    return plain if len(parts) in (3, 4) and tuple(map(len, parts)) == borders else text


def with_check_digit(kind: Kind, text: str) -> str:
    """`text`, which lacks its check digit, completed; CertsError where the result is no identifier of the kind."""
    plain = text.strip().upper().replace("-", "")
    complete = parse(kind, plain + "0")
    return complete.text[:-1] + complete.expected


def check_digit(kind: Kind, elements: Sequence[str]) -> str:
    """The check digit over the elements of an identifier (check digit left out)."""
    return matrix_digit("".join(elements)) if kind is Kind.EMAID else modulo_digit(elements)


_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# A character is a 2x2 matrix: the first row counts modulo 2, the second modulo 3. Packed as m11 + 2 m12 + 4 m21 + 16 m22.
_CODES: Final = (
    *(0, 16, 32, 4, 20, 36, 8, 24, 40, 2),
    *(18, 34, 6, 22, 38, 10, 26, 42, 1, 17, 33, 5, 21, 37, 9, 25, 41, 3, 19, 35, 7, 23, 39, 11, 27, 43),
)

Pair = tuple[int, int]
_FIRST: Final = ((0, 1), (1, 1))
_SECOND: Final = ((0, 1), (1, 2))
_BACK: Final = ((0, 2), (2, 1))


def matrix_digit(text: str) -> str:
    """The check digit of ISO 15118-1 over the characters of an EMAID."""
    first: Pair = (0, 0)
    second: Pair = (0, 0)
    # Horner's rule from the last character on: every position is multiplied once more than the one before.
    for character in reversed(text):
        code = _CODES[_ALPHABET.index(character)]
        first = _times((first[0] + (code & 1), first[1] + (code >> 1 & 1)), _FIRST, 2)
        second = _times((second[0] + (code >> 2 & 3), second[1] + (code >> 4)), _SECOND, 3)
    second = _times(second, _BACK, 3)
    return _ALPHABET[_CODES.index(first[0] + 2 * first[1] + 4 * second[0] + 16 * second[1])]


def _times(row: Pair, matrix: tuple[Pair, Pair], modulus: int) -> Pair:
    (a, b), (c, d) = matrix
    return (row[0] * a + row[1] * c) % modulus, (row[0] * b + row[1] * d) % modulus


def modulo_digit(elements: Sequence[str]) -> str:
    """The check digit of ISO 15118-20 Annex C: zeros that lead an element do not count, ten is written X.

    The standard's own SECCID example is not reproduced by any reading of it, so a SECCID's digit is no reason to refuse.
    """
    digits = "".join(str(int(char, 36)) for element in elements for char in element.lstrip("0"))
    rest = sum(int(digit) << (index % 28) for index, digit in enumerate(digits)) % 11
    return "X" if rest == 10 else str(rest)
