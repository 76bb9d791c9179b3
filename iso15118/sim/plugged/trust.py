"""TLS and Plug & Charge for a plugged world: certificates of a test PKI, a contract, the back end behind the station."""

from __future__ import annotations

import random
from typing import Any

from iso15118.config import EvccConfig, SeccConfig
from iso15118.control import ev, evse
from iso15118.control.common import ControlMode, EnergyService
from iso15118.security.provisioning import BackEnd
from iso15118.sim.contracts import car_paying, contracts_for, station_taking
from iso15118.sim.tls import credentials

Options = dict[str, Any]


class _Operator(evse.EvseControllerBase):
    """Takes every contract that its judges take, and has contracts installed by a service."""

    def __init__(self, back_end: BackEnd | None) -> None:
        self._back_end = back_end

    async def install_contract(self, question: evse.ContractRequest) -> evse.ContractResponse:
        """The service's answer."""
        if self._back_end is None:
            return evse.ContractResponse(reason="no contract waits for this car")
        return self._back_end(question)


class _Owner(ev.EvControllerBase):
    """Wants this service in this mode, and keeps contracts."""

    def __init__(self, service: EnergyService, mode: ControlMode) -> None:
        self.wanted, self.control_mode = (service,), mode
        self.kept: list[ev.StoreContract] = []

    async def store_contract(self, question: ev.StoreContract) -> bool:
        """Kept."""
        self.kept.append(question)
        return True


def secured(
    energy: EnergyService, mode: ControlMode, seed: int, options: Options, *, auth: str, install: bool
) -> Options:
    """The options of a PluggedWorld over TLS, by contract where `auth` says so; given options come first."""
    secc = options.get("secc") or SeccConfig(services=(energy,), control_modes=(mode,))
    evcc = options.get("evcc") or EvccConfig(services=(energy,), control_mode=mode)
    options = {"tls": credentials(), **options, "secc": secc, "evcc": evcc}
    pnc = contracts_for(auth, install=install)
    if pnc is None:
        return options
    back_end = pnc.back_end(random.Random(f"cps {seed}").randbytes)
    people = {"operator": _Operator(back_end), "owner": _Owner(energy, mode)}
    trusted = {"pnc": pnc, "secc": station_taking(pnc, secc), "evcc": car_paying(evcc)}
    return people | options | trusted
