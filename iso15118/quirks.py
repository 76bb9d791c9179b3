"""Named tolerances for peers that deviate, as data: off by default, and visible in the log.

A quirk is switched on in the configuration of one side, by name. Each says whose defect it is and
what we do differently; nothing else in the stack knows about particular products.
"""

from __future__ import annotations

import enum


class Quirk(enum.Enum):
    """What to do differently for a peer, and why."""

    NO_DISCHARGED_READING = "no_discharged_reading"
    """MeterInfo without BPT_DischargedEnergyReadingWh: EcoG's EVCC 0.31 refuses the element."""
    P256_SIGNATURES = "p256_signatures"
    """Messages signed with SHA-256 on P-256 in ISO 15118-20: EcoG's stack can neither sign nor verify anything else."""
    INSTALLATION_SIGNED_WHOLE = "installation_signed_whole"
    """CertificateInstallationReq signed as a whole, under the Id of its certificate chain: EVerest's newer vehicles."""
