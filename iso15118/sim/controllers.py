"""Both virtual controllers, under one name for those who build sessions from them."""

from __future__ import annotations

from iso15118.sim.virtual_ev import AC_CAR, DC_CAR, EvSetup, VirtualEv
from iso15118.sim.virtual_evse import AC_STATION, DC_STATION, EvseSetup, Reply, VirtualEvse

__all__ = [
    "AC_CAR",
    "AC_STATION",
    "DC_CAR",
    "DC_STATION",
    "EvSetup",
    "EvseSetup",
    "Reply",
    "VirtualEv",
    "VirtualEvse",
]
