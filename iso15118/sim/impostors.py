"""Attacks by identity: a side whose certificates or keys are not what they should be."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from certs.defects import Defect
from certs.identity import Identity
from certs.pki import TestPki
from certs.profiles import Role
from iso15118.security.chains import ChainJudge, RootsJudge
from iso15118.security.contracts import Contract, Provisioning
from iso15118.sim.contracts import PlugAndCharge, contract_pki
from iso15118.sim.faults import Fault
from iso15118.sim.scenarios import Scenario
from iso15118.sim.tls import Credentials, simulated_pki


def disguised(scenario: Scenario, fault: Fault) -> Scenario:
    """The scenario with the identity that an attack is about; unchanged for other attacks."""
    tls, pnc = scenario.tls, scenario.pnc
    if tls is not None and fault.name in ("bad_station", "bad_vehicle"):
        return replace(scenario, tls=_connection(tls, fault))
    if pnc is not None and fault.name in _CONTRACTS:
        return replace(scenario, pnc=_CONTRACTS[fault.name](pnc, fault))
    return scenario


def _connection(tls: Credentials, fault: Fault) -> Credentials:
    """What stands in a certificate a station must be able to know: which vehicles are revoked comes with it."""
    defect = fault.text("defect")
    if fault.name == "bad_station":
        return replace(tls, secc=replace(tls.secc, identity=_spoilt(Role.SECC, defect)))
    bad = _spoilt(Role.VEHICLE, defect)
    evidence = simulated_pki().evidence(bad)
    return Credentials(replace(tls.secc, evidence=lambda: evidence), replace(tls.evcc, identity=bad))


@functools.cache
def _spoilt(role: Role, defect: str) -> Identity:
    pki = simulated_pki() if role in (Role.SECC, Role.VEHICLE) else contract_pki()
    return pki.leaf(role, defect=Defect[defect])


@functools.cache
def _stranger() -> TestPki:
    """Another PKI whose authorities have the same names."""
    return TestPki(contract_pki().at)


def _bad_contract(pnc: PlugAndCharge, fault: Fault) -> PlugAndCharge:
    bad = _spoilt(Role.CONTRACT, fault.text("defect"))
    return replace(_holding(pnc, bad), trust=replace(pnc.trust, contracts=_told(pnc.trust.contracts, bad)))


def _bad_provisioning(pnc: PlugAndCharge, fault: Fault) -> PlugAndCharge:
    bad = _spoilt(Role.PROVISIONING, fault.text("defect"))
    wallet = replace(pnc.wallet, provisioning=Provisioning.of(bad))
    judge = pnc.trust.provisioning
    assert judge is not None
    return replace(pnc, wallet=wallet, trust=replace(pnc.trust, provisioning=_told(judge, bad)))


def _told(judge: ChainJudge, bad: Identity) -> ChainJudge:
    """A judge who knows what an authority says of the certificate, which is all that is wrong with a revoked one."""
    assert isinstance(judge, RootsJudge)
    known = contract_pki().evidence(bad)
    return replace(judge, evidence=lambda: known)


def _foreign_contract(pnc: PlugAndCharge, _fault: Fault) -> PlugAndCharge:
    return _holding(pnc, _foreign(Role.CONTRACT))


def _holding(pnc: PlugAndCharge, contract: Identity) -> PlugAndCharge:
    return replace(pnc, wallet=replace(pnc.wallet, contracts=(Contract.of(contract),)))


@functools.cache
def _foreign(role: Role) -> Identity:
    return _stranger().leaf(role)


def _foreign_back_end(pnc: PlugAndCharge, _fault: Fault) -> PlugAndCharge:
    return replace(pnc, cps=_foreign(Role.CPS))


def _bad_back_end(pnc: PlugAndCharge, fault: Fault) -> PlugAndCharge:
    return replace(pnc, cps=_spoilt(Role.CPS, fault.text("defect")))


_CONTRACTS: Final[MappingProxyType[str, Callable[[PlugAndCharge, Fault], PlugAndCharge]]] = MappingProxyType(
    {
        "bad_contract": _bad_contract,
        "bad_provisioning": _bad_provisioning,
        "foreign_contract": _foreign_contract,
        "foreign_back_end": _foreign_back_end,
        "bad_back_end": _bad_back_end,
    }
)
