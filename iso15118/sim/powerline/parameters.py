"""The parameter block (PIB) of a virtual modem: what a tool that reads one out looks for.

Offsets are those of Green PHY firmware; others have different ones.
"""

from __future__ import annotations

import struct
from typing import Final

SIZE: Final = 0x2400
MANUFACTURER: Final = 0x24
USER: Final = 0x74
CCO_MODE: Final = 0xF4
"""0 as it comes, 1 never coordinate, 2 always."""
SLAC_ROLE: Final = 0x1653
"""0 off, 1 EV, 2 EVSE."""
SPEED_LIMITS: Final = 0x1C98
NAME_OCTETS: Final = 64


def parameter_block(role: str, name: str = "") -> bytes:
    """The parameters of a modem set up for `role` ("EV" or "EVSE")."""
    block = bytearray(SIZE)
    is_evse = role == "EVSE"
    block[MANUFACTURER : MANUFACTURER + NAME_OCTETS] = b"virtual modem".ljust(NAME_OCTETS, b"\0")
    user = (name or ("EVSE" if is_evse else "PEV")).encode()
    block[USER : USER + NAME_OCTETS] = user[:NAME_OCTETS].ljust(NAME_OCTETS, b"\0")
    block[CCO_MODE] = block[SLAC_ROLE] = 2 if is_evse else 1
    struct.pack_into("<II", block, SPEED_LIMITS, 10_240, 102_400)
    return bytes(block)


def checksum(octets: bytes) -> int:
    """The complement of the exclusive or of all 32-bit words, as modules are checked."""
    value = 0
    for (word,) in struct.iter_unpack("<I", octets.ljust(-(-len(octets) // 4) * 4, b"\0")):
        value ^= word
    return value ^ 0xFFFF_FFFF
