"""What both sides' snapshots are made of: pilot and contactor states and checks (the words of `hal`), wishes."""

from __future__ import annotations

import enum

from hal.types import Check, CpState
from hal.types import ContactorState as Contactor

__all__ = ["Check", "Contactor", "ControlMode", "CpState", "EnergyService", "Wish"]


class Wish(enum.Enum):
    """How one's own side wants the session to go on."""

    TERMINATE = "terminate"
    PAUSE = "pause"
    SERVICE_RENEGOTIATION = "service_renegotiation"


class EnergyService(enum.IntEnum):
    """Energy transfer services by ServiceID (ISO 15118-20 Table 204 and Amendment 1)."""

    AC = 1
    DC = 2
    WPT = 3
    DC_ACDP = 4
    AC_BPT = 5
    DC_BPT = 6
    DC_ACDP_BPT = 7
    MCS = 8
    MCS_BPT = 9
    AC_DER_IEC = 10
    AC_DER_SAE = 11

    @property
    def is_ac(self) -> bool:
        """Whether the service uses AC messages."""
        return self in (EnergyService.AC, EnergyService.AC_BPT)

    @property
    def is_dc(self) -> bool:
        """Whether the service uses DC messages on a conductive connector."""
        return self in (EnergyService.DC, EnergyService.DC_BPT, EnergyService.MCS, EnergyService.MCS_BPT)

    @property
    def bidirectional(self) -> bool:
        """Whether the service lets energy flow out of the EV."""
        return self in (
            EnergyService.AC_BPT,
            EnergyService.DC_BPT,
            EnergyService.DC_ACDP_BPT,
            EnergyService.MCS_BPT,
            EnergyService.AC_DER_IEC,
            EnergyService.AC_DER_SAE,
        )


class ControlMode(enum.IntEnum):
    """Who plans the power: the EV within schedules, or the SECC."""

    SCHEDULED = 1
    DYNAMIC = 2
