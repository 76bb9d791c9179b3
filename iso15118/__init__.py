"""ISO 15118-20 for chargers and vehicles: codec, session machines, simulation, trace tools.

The names below are the public face; `import iso15118` costs next to nothing because each is looked
up in its module on first use. Everything that decides is free of sockets, clocks and threads
(`iso15118.machine`); asyncio lives in `iso15118.runtime` alone.

Open first: `machine.py` for the core interface, `messages/iso20/dc.py` for how a message is
declared, `secc/iso20/dc.py` for a session phase on one screen.
"""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from iso15118.api import decode, encode, explain
    from iso15118.config import EvccConfig, SeccConfig
    from iso15118.control.common import Check, Contactor, ControlMode, CpState, EnergyService, Wish
    from iso15118.control.ev import EvController, EvControllerBase, EvState
    from iso15118.control.evse import Authorization, EvseController, EvseControllerBase, EvseState
    from iso15118.energy.offer import EnergyOffer
    from iso15118.errors import DecodeError, EncodeError, Iso15118Error
    from iso15118.runtime.charger import Charger
    from iso15118.runtime.vehicle import Vehicle
    from iso15118.units import Envelope, Limits

    __version__: str

__all__ = [
    # decode and encode
    "decode",
    "encode",
    "explain",
    # embed
    "Charger",
    "Vehicle",
    "SeccConfig",
    "EvccConfig",
    # what a firmware writes and implements
    "EvseController",
    "EvseControllerBase",
    "EvseState",
    "EvController",
    "EvControllerBase",
    "EvState",
    "Authorization",
    "EnergyOffer",
    "Envelope",
    "Limits",
    "Check",
    "Contactor",
    "ControlMode",
    "CpState",
    "EnergyService",
    "Wish",
    # errors
    "Iso15118Error",
    "DecodeError",
    "EncodeError",
]

_HOME: Final = MappingProxyType(
    {
        "decode": "iso15118.api",
        "encode": "iso15118.api",
        "explain": "iso15118.api",
        "Charger": "iso15118.runtime.charger",
        "Vehicle": "iso15118.runtime.vehicle",
        "SeccConfig": "iso15118.config",
        "EvccConfig": "iso15118.config",
        "EvseController": "iso15118.control.evse",
        "EvseControllerBase": "iso15118.control.evse",
        "EvseState": "iso15118.control.evse",
        "EvController": "iso15118.control.ev",
        "EvControllerBase": "iso15118.control.ev",
        "EvState": "iso15118.control.ev",
        "Authorization": "iso15118.control.evse",
        "EnergyOffer": "iso15118.energy.offer",
        "Envelope": "iso15118.units",
        "Limits": "iso15118.units",
        "Check": "iso15118.control.common",
        "Contactor": "iso15118.control.common",
        "ControlMode": "iso15118.control.common",
        "CpState": "iso15118.control.common",
        "EnergyService": "iso15118.control.common",
        "Wish": "iso15118.control.common",
        "Iso15118Error": "iso15118.errors",
        "DecodeError": "iso15118.errors",
        "EncodeError": "iso15118.errors",
    }
)


if not TYPE_CHECKING:  # a type checker must report a misspelt name, not call it Any

    def __getattr__(name: str) -> Any:
        """Look `name` up in its module on first use; `__version__` comes from the installed package."""
        if name == "__version__":
            from importlib.metadata import version

            return version("iso15118-stack")
        home = _HOME.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
