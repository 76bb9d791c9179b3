"""One PKI for the tests of message security, made once; the leaves most tests need, and another PKI of strangers."""

from __future__ import annotations

import datetime
import hashlib
from functools import cache

from certs import TestPki
from certs.profiles import Role
from iso15118.security.chains import RootsJudge
from iso15118.security.provisioning import ProvisioningService

AT_S = 1_764_000_000.0
AT = datetime.datetime.fromtimestamp(AT_S, datetime.UTC)
DAY = 86_400.0


@cache
def pki():
    return TestPki(AT)


@cache
def strangers():
    """A PKI with the same names and other keys."""
    return TestPki(AT)


def contract(defect=None, emaid=""):
    """A contract, the same one each time it is asked for."""
    return _contract(defect, emaid)


@cache
def _contract(defect, emaid):
    return pki().contract(emaid, defect=defect)


@cache
def provisioning(defect=None):
    return pki().provisioning(defect=defect)


@cache
def cps(defect=None):
    return pki().cps(defect=defect)


def pcid():
    return pki().verdict(provisioning()).identity


class Counter:
    """Entropy that repeats itself from run to run and never within one."""

    def __init__(self):
        self.drawn = 0

    def __call__(self, count):
        self.drawn += 1
        return hashlib.shake_256(self.drawn.to_bytes(4)).digest(count)


def service(contracts=None, **given):
    """A provisioning service that has contracts for the vehicle of these tests."""
    held = {pcid(): (contract(),)} if contracts is None else contracts
    vehicles = RootsJudge(Role.PROVISIONING, pki().roots[Role.OEM_ROOT])
    usual = {
        "cps": cps(),
        "contracts": held,
        "vehicles": vehicles,
        "utc": lambda: AT_S,
        "entropy": Counter(),
    }
    return ProvisioningService(**(usual | given))
