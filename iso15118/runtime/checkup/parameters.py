"""What a modem's firmware, parameters and network tell: pure judgement, no input or output.

Qualcomm modems keep a parameter block (PIB). The offsets below are those of Green PHY firmware (QCA7000, QCA7005,
QCA7006); other families have other layouts, and nothing is judged by them. The keys in the block are never read.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from iso15118.events import Role
from iso15118.runtime.checkup.findings import Finding, error, note, ok, warning

MODULE: Final = 2
"""The parameters, among the modules VS_RD_MOD reads."""
PIECES: Final = MappingProxyType(
    {
        "manufacturer": (0x24, 64),
        "user": (0x74, 64),
        "cco": (0xF4, 1),
        "slac": (0x1653, 1),
        "speed": (0x1C98, 8),
    }
)
"""Name -> (offset, octets) of what is read: nothing of it is secret."""

CCO_MODES: Final = MappingProxyType({0: "as it comes", 1: "never", 2: "always", 3: "as the user sets it"})
SLAC_ROLES: Final = MappingProxyType({0: "off", 1: "vehicle", 2: "charger"})
SPEED_LIMITS: Final = (10_240, 102_400)
_WANTED: Final[Mapping[Role, tuple[int, int]]] = MappingProxyType({"EVCC": (1, 1), "SECC": (2, 2)})
"""(CCo mode, SLAC role) of either side's modem."""
_SIDE: Final[Mapping[Role, str]] = MappingProxyType({"EVCC": "vehicle", "SECC": "charger"})

WELL_KNOWN_NETWORKS: Final = MappingProxyType(
    {
        bytes.fromhex("b0f2e695666b03"): "HomePlugAV",
        bytes.fromhex("b0f2e695666b13"): "HomePlugAV",
        bytes.fromhex("026bcba5354e08"): "HomePlugAV0123",
        bytes.fromhex("16a817e934770b"): "16 zero octets",
        bytes.fromhex("b6964cba659c0b"): "16 octets of 0xff",
    }
)
"""NID -> the key or pass phrase it follows from, which everybody knows."""

_CHIP: Final = re.compile(r"(?:MAC-)?([A-Z]+\d+)-")
_KNOWN_LAYOUT: Final = re.compile(r"QCA700\d")
_RESTORE: Final = "Write the parameters for this role with the maker's tool (open-plc-utils: slac/evse.sh or pev.sh), after a backup"


@dataclass(frozen=True, slots=True)
class Parameters:
    """What of a parameter block matters for matching."""

    manufacturer: str
    user: str
    cco: int
    slac: int
    speed: tuple[int, int]


def parameters_of(pieces: Mapping[str, bytes]) -> Parameters:
    """From octets read at `PIECES`, all of them as long as they should be."""
    low, high = struct.unpack("<II", pieces["speed"])
    return Parameters(
        manufacturer=_text(pieces["manufacturer"]),
        user=_text(pieces["user"]),
        cco=pieces["cco"][0],
        slac=pieces["slac"][0],
        speed=(low, high),
    )


def _text(octets: bytes) -> str:
    """A name that ends with the first zero; what cannot be printed is shown as a dot."""
    name = octets.partition(b"\0")[0].decode("latin-1")
    return "".join(c if c.isprintable() else "." for c in name)


def chip_of(version: str) -> str:
    """The chip a firmware's name begins with, such as QCA7005; empty for a name of another form."""
    match = _CHIP.match(version)
    return match[1] if match else ""


def knows_layout(version: str) -> bool:
    """Whether the offsets of the parameters are known for this firmware."""
    return _KNOWN_LAYOUT.fullmatch(chip_of(version)) is not None


def judge_firmware(version: str, role: Role) -> Iterator[Finding]:
    """What is known of a Qualcomm firmware in the field."""
    subject, chip = "modem firmware", chip_of(version)
    baked = {"emob-charger": "SECC", "emob-vehicle": "EVCC"}
    built_for = next((side for word, side in baked.items() if word in version.lower()), role)
    if built_for != role:
        yield error(
            subject,
            version,
            f"this firmware is made for the other side; here is a {_SIDE[role]}",
            "Use the other modem, or install the firmware variant of this side",
        )
    elif chip.startswith("QCA75") and role == "EVCC":
        yield warning(
            subject,
            version,
            f"{chip} did not work as a vehicle's modem in the field",
            "Use a Green PHY modem (QCA7000 family) where matching fails",
        )
    elif chip == "AR7420" and role == "SECC":
        yield warning(
            subject,
            version,
            "old firmware of this chip sends attenuation profiles without any carrier group",
            "Update it, or use a Green PHY modem",
        )
    else:
        yield ok(subject, version)


def judge_parameters(parameters: Parameters, role: Role) -> Iterator[Finding]:
    """Whether a modem is set up for this side of the cable."""
    subject, side = "modem parameters", _SIDE[role]
    cco, slac = _WANTED[role]
    names = f"{parameters.user!r} by {parameters.manufacturer!r}"
    if parameters.slac != slac:
        told = SLAC_ROLES.get(parameters.slac, str(parameters.slac))
        yield error(
            subject,
            f"SLAC role is {told!r}, not {side!r} ({names})",
            "as a charger's modem it reports no attenuation profile, so that cars ask again and again without end"
            if role == "SECC"
            else "a vehicle's modem in another role does not take part in matching",
            _RESTORE,
        )
    if parameters.cco != cco:
        told = CCO_MODES.get(parameters.cco, str(parameters.cco))
        yield error(
            subject,
            f"coordinates its network {told!r}, not {CCO_MODES[cco]!r}",
            "the charger's modem has to be the coordinator and the vehicle's must not: else both wait, or both begin a network",
            _RESTORE,
        )
    if (parameters.cco, parameters.slac) == (cco, slac):
        yield ok(subject, f"set up for a {side} ({names})")
    if parameters.speed != SPEED_LIMITS:
        yield note(
            subject,
            f"link speed limits are {parameters.speed[0]} and {parameters.speed[1]}, usual are 10240 and 102400",
            "they decide which links the modem calls good",
        )


def unknown_layout(version: str) -> Finding:
    """The parameters of another chip are not judged."""
    return note(
        "modem parameters",
        "not judged: their layout is only known for QCA7000, QCA7005 and QCA7006",
        f"the firmware is {version or 'unknown'}",
        "See with the maker's tool that SLAC role and coordinator mode are those of this side",
    )


def judge_network(nid: bytes) -> Iterator[Finding]:
    """Whether a network is that of a key that everybody knows."""
    known = WELL_KNOWN_NETWORKS.get(nid)
    if known is not None:
        yield warning(
            "modem key",
            f"the key in use is the well-known {known!r}",
            "as it comes from the factory: everybody in earshot is in the same network until a charger sets a key",
            "Start the charger (it sets a random key), and give the modem another default key in production",
        )


def judge_answers_of_others(count: int) -> Finding:
    """Modems elsewhere on the powerline that let their parameters be read."""
    if not count:
        return note(
            "remote access",
            "no other modem lets itself be read out; whether this one does cannot be seen from its own side",
        )
    return warning(
        "remote access",
        f"{count} other modem{'s' if count > 1 else ''} can be read out over the powerline",
        "with the factory's settings, whoever is in earshot may read out and reconfigure a modem",
        "Where such a modem is yours: change its device access key and switch remote management off",
    )


def judge_profiles(role: Role, sounds: int, groups: tuple[int, ...]) -> Iterator[Finding]:
    """Whether attenuation profiles come. `sounds` were heard of cars, with each profile so many `groups`."""
    subject = "attenuation profile"
    if role == "EVCC":
        return
    if any(groups):
        yield ok(subject, f"{len(groups)} seen for {sounds} sounds of a car, {max(groups)} groups")
    elif groups:
        yield error(
            subject,
            "comes without any carrier group",
            "old firmware: without groups no car can be matched",
            "Update the modem's firmware",
        )
    elif sounds:
        yield error(
            subject,
            f"none came for {sounds} sounds of a car",
            "the modem is not set up as a charger's, whatever its parameters say",
            _RESTORE,
        )
    else:
        yield note(
            subject,
            "not judged: no car made sounds meanwhile",
            "only the sounds of a car make the modem measure",
            "Run it with --listen 30 and plug a car in, or let a test car match",
        )
