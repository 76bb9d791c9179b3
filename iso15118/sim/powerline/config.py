"""What a virtual modem is, and what may go wrong between two of them: plain values."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from iso15118.sim.powerline.parameters import parameter_block

Role = Literal["EV", "EVSE"]
Vendor = Literal["qualcomm", "lumissil", "vertexcom", "silent"]

GROUPS: Final = 58
"""Carrier groups of an attenuation profile."""


@dataclass(frozen=True, slots=True)
class ModemConfig:
    """A modem. Pairs are the least and the most of what chance gives, in seconds.

    `vendor` decides which questions it answers; a silent one takes keys and answers nothing else. `outage_s` is how
    long it is deaf after a new key, `join_s` how long it takes to be in the network then, `reset_s` how long a
    restart takes. `profile_*` are about CM_ATTEN_PROFILE.IND: how often it is missing, how many groups it has (old
    firmware: 0), and whether Qualcomm's own message goes before it. `remote_access`: members of the network may
    read it out over the powerline, as they come from the factory.
    """

    role: Role
    vendor: Vendor = "qualcomm"
    firmware: str = "MAC-QCA7005-1.1.0.730-04-20140815-CS"
    device_id: int = 0x22
    version: tuple[int, int] = (1, 1)
    line_hz: int = 50
    join_s: tuple[float, float] = (0.4, 1.0)
    outage_s: tuple[float, float] = (0.0, 0.0)
    reset_s: tuple[float, float] = (1.0, 3.0)
    answer_s: tuple[float, float] = (0.0004, 0.004)
    profile_s: tuple[float, float] = (0.0003, 0.001)
    profile_loss: float = 0.0
    profile_groups: int = GROUPS
    profile_twice: bool = False
    remote_access: bool = False
    parameters: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if not self.parameters:
            object.__setattr__(self, "parameters", parameter_block(self.role))

    @property
    def set_key_result(self) -> int:
        """What CM_SET_KEY.CNF says after success: 1 from Qualcomm, 0 by the text."""
        return 1 if self.vendor == "qualcomm" else 0


EV_MODEM: Final = ModemConfig("EV")
EVSE_MODEM: Final = ModemConfig("EVSE")


@dataclass(frozen=True, slots=True)
class Impairment:
    """What happens to frames in one direction: seconds, and probabilities from 0 to 1.

    `reorder` frames are late by up to `reorder_s`, `corrupt` ones have a bit turned or their end cut off.
    """

    latency_s: float = 0.0005
    jitter_s: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    reorder_s: float = 0.03
    corrupt: float = 0.0

    def copies(self, octets: bytes, chance: random.Random) -> Iterator[tuple[float, bytes]]:
        """(delay in s, octets) of what arrives; nothing where it is lost."""
        for _ in range(2 if _happens(self.duplicate, chance) else 1):
            if _happens(self.loss, chance):
                continue
            delay_s = self.latency_s + (chance.uniform(0, self.jitter_s) if self.jitter_s else 0.0)
            if _happens(self.reorder, chance):
                delay_s += chance.uniform(0, self.reorder_s)
            yield delay_s, _damaged(octets, chance) if _happens(self.corrupt, chance) else octets


CLEAN: Final = Impairment()


def _happens(probability: float, chance: random.Random) -> bool:
    """Draws only where there is something to decide: a fault more leaves the others' draws alone."""
    return probability > 0 and chance.random() < probability


def _damaged(octets: bytes, chance: random.Random) -> bytes:
    """Addresses stay: a frame with a wrong one would not arrive."""
    damaged = bytearray(octets)
    at = chance.randrange(12, len(damaged))
    if chance.random() < 0.3:
        del damaged[at:]
    else:
        damaged[at] ^= 1 << chance.randrange(8)
    return bytes(damaged)
