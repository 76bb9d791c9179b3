"""The checks a TLS engine asks for, alone and in real handshakes between a car and a station."""

from __future__ import annotations

import dataclasses
import datetime

import pytest

from certs import checks
from certs.chain import Evidence, Mode, Policy
from certs.pki import TestPki
from certs.profiles import Role
from certs.reasons import EXPLANATIONS
from iso15118.tls.errors import Alert
from iso15118.tls.identity import Identity as TlsIdentity
from iso15118.tls.identity import TlsSettings
from iso15118.tls.profile import ISO2, ISO20
from tests.unit.certs.made import AT, pki
from tests.unit.tls.pair import NOW, Pair

PRESENT = datetime.datetime.fromtimestamp(NOW, datetime.UTC)


def clock():
    return PRESENT


def tree_of(protocol="iso15118-20", curve=""):
    return pki(protocol, curve, PRESENT)


def shown(identity, profile=ISO20):
    return TlsIdentity(identity.chain, identity.key, identity.root, identity.status, profile)


def settings(identity, peer, profile=ISO20, **options):
    from certs import reading

    roots = tuple(reading.der(root) for root in identity.roots_for(peer))
    return TlsSettings((shown(identity, profile),), roots, profiles=(profile,), **options)


def station(secc, profile=ISO20, evidence=None):
    options = {}
    if profile is ISO20:
        known = Evidence() if evidence is None else evidence
        policy = Policy(revocation=Mode.SOFT) if evidence is None else Policy()
        options["check_chain"] = checks.of_vehicles(secc, clock, lambda: known, policy)
    # ISO 15118-2 knows no vehicle certificate.
    peer = Role.VEHICLE if profile is ISO20 else Role.PROVISIONING
    return settings(secc, peer, profile, **options)


def car(vehicle, profile=ISO20, mode=Mode.HARD):
    return settings(
        vehicle,
        Role.SECC,
        profile,
        check_chain=checks.of_stations(vehicle, clock),
        check_status=checks.of_staples(vehicle, clock, mode),
    )


def refused(pair):
    """What the two sides say about each other."""
    return " ".join(str(event) for event in pair.events if "Tls" in type(event).__name__)


@pytest.mark.parametrize("curve", ["secp521r1", "ed448"])
def test_car_and_station_accept_each_other(curve):
    tree = tree_of(curve=curve)
    secc, vehicle = tree.secc(), tree.vehicle()
    pair = Pair(station(secc, evidence=tree.evidence(vehicle)), car(vehicle))
    assert pair.told("TlsEstablished", "SECC")
    assert pair.told("TlsEstablished", "EVCC")


def test_iso2_station_is_accepted():
    tree = tree_of("iso15118-2")
    pair = Pair(station(tree.secc("Station 7"), ISO2), car(tree.provisioning(), ISO2))
    assert pair.told("TlsEstablished", "EVCC")


@pytest.mark.parametrize(
    ("defect", "text"),
    [
        ("revoked", "revoked on"),
        ("stale-status", "proves nothing"),
        ("wrong-role", "another role"),
        ("no-organisation", "there is no O"),
        ("no-revocation-pointer", "where to ask"),
        ("wrong-key-usage", "key usage"),
    ],
)
def test_a_spoilt_station_is_refused_with_the_reason(defect, text):
    tree = tree_of()
    pair = Pair(station(tree.secc(defect=defect)), car(tree.vehicle()))
    assert not pair.told("TlsEstablished", "EVCC")
    assert text in refused(pair)


@pytest.mark.parametrize(
    ("defect", "text"),
    [("wrong-check-digit", "check digit"), ("wrong-identifier", "is no EVCCID"), ("oversize", "octets")],
)
def test_a_spoilt_car_is_refused_with_the_reason(defect, text):
    tree = tree_of()
    pair = Pair(station(tree.secc()), car(tree.vehicle(defect=defect)))
    assert not pair.told("TlsEstablished", "SECC")
    assert text in refused(pair)


@pytest.mark.req("V2G20-2432")
def test_a_public_station_has_to_know_about_the_car():
    tree = tree_of()
    secc, vehicle = tree.secc(), tree.vehicle()
    strict = checks.of_vehicles(secc, clock)
    assert "nothing trustworthy" in strict(vehicle.chain)
    assert checks.of_vehicles(secc, clock, lambda: tree.evidence(vehicle))(vehicle.chain) == ""
    revoked = tree.vehicle(defect="revoked")
    assert "is revoked" in checks.of_vehicles(secc, clock, lambda: tree.evidence(revoked))(revoked.chain)


def test_each_reason_has_an_alert_that_reaches_the_peer():
    for reason, explanation in EXPLANATIONS.items():
        number = explanation.alert_number
        assert number == 0 or f"({number})" in explanation.alert, reason
        assert number == 0 or Alert(number).name.lower() in explanation.alert
    tree = tree_of()
    said = checks.of_stations(tree.vehicle(), clock)(tree.secc(defect="wrong-role").chain)
    assert said.alert == Alert.CERTIFICATE_UNKNOWN


def test_staples():
    tree = tree_of()
    secc, vehicle = tree.secc(), tree.vehicle()
    hard = checks.of_staples(vehicle, clock)
    soft = checks.of_staples(vehicle, clock, Mode.SOFT)
    assert hard(secc.chain, secc.status) == soft(secc.chain, secc.status) == ""
    assert "there is no OCSP response" in hard(secc.chain, b"")
    assert soft(secc.chain, b"") == ""
    revoked = tree.secc(defect="revoked")
    assert "revoked on" in soft(revoked.chain, revoked.status)
    assert "another certificate" in hard(secc.chain, revoked.status)
    assert "shows no certificate" in hard((), b"")
    assert "certificate" in hard((b"x",), b"")
    stranger = TestPki(AT).secc()
    assert "signature" in hard(stranger.chain, stranger.status)


def test_the_clock_is_asked_each_time():
    tree = tree_of()
    now = [PRESENT]
    check = checks.of_stations(tree.vehicle(), lambda: now[0])
    secc = tree.secc()
    assert check(secc.chain) == ""
    now[0] += datetime.timedelta(days=100)
    assert "expired" in check(secc.chain)
    assert dataclasses.replace(secc).chain == secc.chain
