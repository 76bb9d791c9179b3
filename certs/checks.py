"""What a TLS engine asks about its peer, as functions that answer in plain words ("" is yes)."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable

from certs import reading
from certs.chain import DEFAULT, NO_EVIDENCE, Evidence, Mode, Policy, Verdict, validate
from certs.errors import CertsError
from certs.identity import Identity
from certs.ocsp import Revocation
from certs.ocsp import check as check_ocsp
from certs.path import find
from certs.profiles import Role
from certs.reasons import Finding

Clock = Callable[[], datetime.datetime]
ChainCheck = Callable[[tuple[bytes, ...]], str]
StatusCheck = Callable[[tuple[bytes, ...], bytes], str]


class Objection(str):
    """A reason in plain words; `alert` is the number of the TLS alert that tells it to the peer."""

    __slots__ = ("alert",)
    alert: int


def _said(verdict: Verdict) -> str:
    """A verdict as the answer of a check."""
    if verdict.refusal is None:
        return ""
    objection = Objection(verdict.refusal)
    objection.alert = verdict.refusal.explanation.alert_number
    return objection


def of_vehicles(
    station: Identity,
    clock: Clock,
    evidence: Callable[[], Evidence] = lambda: NO_EVIDENCE,
    policy: Policy = DEFAULT,
) -> ChainCheck:
    """What a station checks of a vehicle's chain (DER, leaf first).

    A public station has to know about revocation; `evidence` tells what is known. A private one that knows nothing
    uses a policy whose `revocation` is Mode.SOFT.
    """
    roots = station.roots_for(Role.VEHICLE)

    def check(chain: tuple[bytes, ...]) -> str:
        verdict = validate(
            chain, Role.VEHICLE, roots, clock(), rules=station.rules, policy=policy, evidence=evidence()
        )
        return _said(verdict)

    return check


def of_stations(vehicle: Identity, clock: Clock, policy: Policy = DEFAULT) -> ChainCheck:
    """What a vehicle checks of a station's chain before it has seen the stapled response."""
    roots = vehicle.roots_for(Role.SECC)
    unasked = dataclasses.replace(policy, revocation=Mode.SKIP)

    def check(chain: tuple[bytes, ...]) -> str:
        return _said(validate(chain, Role.SECC, roots, clock(), rules=vehicle.rules, policy=unasked))

    return check


def of_staples(vehicle: Identity, clock: Clock, mode: Mode = Mode.HARD) -> StatusCheck:
    """What a vehicle checks of the OCSP response for the station's leaf; Mode.SOFT lets a missing one pass."""
    roots = vehicle.roots_for(Role.SECC)

    def check(chain: tuple[bytes, ...], response: bytes) -> str:
        try:
            certificates = [reading.certificate(octets) for octets in chain]
        except CertsError as error:
            return str(error)
        if not certificates:
            return "the station shows no certificate"
        paths = find(certificates[0], certificates[1:], roots)
        if isinstance(paths, Finding):
            return str(paths)
        status = check_ocsp(response, certificates[0], paths[0].elements[1], clock())
        if status.kind is Revocation.GOOD or mode is Mode.SKIP:
            return ""
        if status.kind is Revocation.REVOKED:
            return f"the station's certificate is {status.detail}"
        return "" if mode is Mode.SOFT else f"the station's OCSP response proves nothing: {status.detail}"

    return check
