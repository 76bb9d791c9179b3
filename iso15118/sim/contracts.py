"""Plug & Charge in a simulated session: a PKI, a contract in the car or one that waits for it, a station that takes it."""

from __future__ import annotations

import datetime
import functools
from dataclasses import dataclass, field, replace

from certs.curves import ED448
from certs.identity import Identity
from certs.pki import TestPki
from certs.profiles import Role
from hal.virtual.bench import EPOCH_S
from iso15118.config import EvccConfig, SeccConfig
from iso15118.errors import ConfigError
from iso15118.machine import Entropy
from iso15118.security.chains import RootsJudge
from iso15118.security.contracts import Contract, Provisioning, Wallet
from iso15118.security.plug_and_charge import StationTrust
from iso15118.security.provisioning import BackEnd, ProvisioningService


@dataclass(frozen=True, slots=True)
class PlugAndCharge:
    """Who trusts whom, what the car holds, and the contracts that wait for it (None: none can be fetched).

    `confirm_meter_every`: charge loops after which the car signs the meter reading, 0: never. `experimental_x448`: those
    that wait on Ed448 are handed out, as in `ProvisioningService`.
    """

    trust: StationTrust
    wallet: Wallet
    cps: Identity | None = field(default=None, repr=False)
    waiting: tuple[Identity, ...] = field(default=(), repr=False)
    confirm_meter_every: int = 5
    experimental_x448: bool = False

    def back_end(self, entropy: Entropy) -> BackEnd | None:
        """The provisioning service behind the station, whose chance is `entropy`."""
        provisioning, vehicles = self.wallet.provisioning, self.trust.provisioning
        if self.cps is None or provisioning is None or vehicles is None:
            return None
        service = ProvisioningService(
            cps=self.cps,
            contracts={provisioning.pcid: self.waiting},
            vehicles=vehicles,
            utc=lambda: EPOCH_S,
            entropy=entropy,
            experimental_x448=self.experimental_x448,
        )
        return service.answer


@functools.cache
def contract_pki(curve: str = "") -> TestPki:
    """The PKI everything comes from, one for the whole process, valid at the time every world begins."""
    at = datetime.datetime.fromtimestamp(EPOCH_S, datetime.UTC)
    return TestPki(at, curve=curve, seed="contracts")


@functools.cache
def plug_and_charge(*, install: bool = False, curve: str = "") -> PlugAndCharge:
    """A car with a contract, or (`install`) one that has none and fetches one over the station.

    On `curve`, empty: secp521r1. To fetch a contract on ed448 is an experiment, which both sides join.
    """
    pki, experiment = contract_pki(curve), curve == ED448.name
    trust = StationTrust(
        RootsJudge(Role.CONTRACT, pki.roots[Role.MO_ROOT]),
        RootsJudge(Role.PROVISIONING, pki.roots[Role.OEM_ROOT]),
    )
    contract = pki.contract()
    provisioning = Provisioning.of(pki.provisioning(), experimental_x448=experiment)
    if not install:
        return PlugAndCharge(trust, Wallet((Contract.of(contract),), provisioning))
    return PlugAndCharge(
        trust, Wallet((), provisioning), pki.cps(), (contract,), experimental_x448=experiment
    )


def station_taking(pnc: PlugAndCharge, config: SeccConfig) -> SeccConfig:
    """The station's configuration where cars may pay by contract, or by card."""
    return replace(
        config,
        authorization=("PnC", "EIM"),
        certificate_installation=pnc.cps is not None,
        confirm_meter_every=config.confirm_meter_every or pnc.confirm_meter_every,
    )


def car_paying(config: EvccConfig) -> EvccConfig:
    """The car's configuration where it pays by contract and by nothing else."""
    return replace(config, authorization=("PnC",), install_contracts=True)


def contracts_for(auth: str, *, install: bool) -> PlugAndCharge | None:
    """What `auth` ("eim" or "pnc") takes; None: nothing. ConfigError for another word, or to install without need."""
    if auth == "eim" and not install:
        return None
    if auth != "pnc":
        raise ConfigError("auth", f"{auth!r}; accepted: 'eim' (without install) and 'pnc'")
    return plug_and_charge(install=install)
