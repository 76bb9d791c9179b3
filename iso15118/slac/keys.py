"""The key of a logical network: fresh for every plug-in, never shown."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final, Self

from iso15118.machine import Entropy
from iso15118.wire.homeplug import derive_nid

NMK_OCTETS: Final = 16


@dataclass(frozen=True, slots=True)
class NetworkKey:
    """NID (7 octets) and NMK (16 octets). The EV takes both as the EVSE gives them: some do not derive the NID."""

    nid: bytes
    nmk: bytes = field(repr=False)

    @classmethod
    def fresh(cls, entropy: Entropy) -> Self:
        """A random key with the NID that follows from it."""
        nmk = entropy(NMK_OCTETS)
        return cls(derive_nid(nmk), nmk)

    @property
    def fingerprint(self) -> str:
        """What may be logged of the key: the first two octets of its SHA-256, in hexadecimal."""
        return hashlib.sha256(self.nmk).hexdigest()[:4]
