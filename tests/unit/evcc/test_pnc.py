"""Plug & Charge in the car: which means and which contract, the proof, fetching contracts."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace

import pytest

from certs import TestPki
from certs.defects import Defect
from iso15118 import events
from iso15118.config import EvccConfig
from iso15118.errors import ConfigError
from iso15118.events import as_record
from iso15118.messages.iso20 import common
from iso15118.messages.iso20.types import Processing, ResponseCode
from iso15118.quirks import Quirk
from iso15118.security.contracts import Contract
from tests.unit.evcc.contracts import (
    CHALLENGE,
    EIM,
    FOREIGN,
    OTHER,
    PNC,
    ContractStation,
    Owner,
    drive,
    held,
    means_of,
)
from tests.unit.evcc.harness import DC, Bench, config, framed
from tests.unit.security.made import AT, contract, pcid, strangers

ONGOING = Processing.ONGOING
COMPLETED = ("completed", "none")


def decisions(bench):
    return " / ".join(e.why for e in bench.seen(events.Decision))


# --- which means ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "offered", "contracts", "tried", "outcome"),
    [
        (("PnC", "EIM"), (PNC, EIM), 1, ["PnC"], COMPLETED),
        (("PnC", "EIM"), (EIM, PNC), 1, ["PnC"], COMPLETED),
        (("EIM", "PnC"), (PNC, EIM), 1, ["EIM"], COMPLETED),
        (("PnC",), (PNC, EIM), 1, ["PnC"], COMPLETED),
        (("EIM",), (PNC, EIM), 1, ["EIM"], COMPLETED),
        (("PnC", "EIM"), (EIM,), 1, ["EIM"], COMPLETED),
        (("PnC", "EIM"), (PNC, EIM), 0, ["EIM"], COMPLETED),
        (("PnC",), (PNC, EIM), 0, [], ("refused", "none")),
        (("PnC",), (EIM,), 1, [], ("refused", "none")),
        (("EIM",), (PNC,), 1, [], ("refused", "none")),
    ],
)
def test_car_chooses_by_its_own_order_what_both_know(wanted, offered, contracts, tried, outcome):
    bench = drive(ContractStation(offered), contracts=(held(),) * contracts, authorization=wanted).run()
    assert means_of(bench) == tried
    assert bench.outcome == outcome
    assert bench.names[-1] == "SessionStopReq"


def test_car_without_a_wallet_uses_its_card():
    bench = Bench(config=config(DC, authorization=("PnC", "EIM")), station=ContractStation()).run()
    assert means_of(bench) == ["EIM"]


def test_station_that_forgets_the_challenge_gets_no_proof():
    bench = drive()
    bench.station.alter("AuthorizationSetupReq", authorization_mode=common.EIM_ASResAuthorizationMode())
    assert means_of(bench.run()) == ["EIM"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("authorization", ()),
        ("authorization", ("EIM", "EIM")),
        ("install_contracts", True),
        ("maximum_contracts", 0),
        ("prioritized_emaids", ("DE",) * 9),
    ],
)
def test_unusable_settings_are_told_by_name(key, value):
    with pytest.raises(ConfigError) as error:
        EvccConfig(**{key: value})
    assert error.value.key == key


# --- the proof ------------------------------------------------------------------------------------


@pytest.mark.req("V2G20-1063")
def test_challenge_is_answered_under_the_contracts_signature():
    bench = drive().run()  # the station verifies it
    request = bench.one("AuthorizationReq")
    assert request.authorization_mode.gen_challenge == CHALLENGE
    assert bench.station.shown == [held().emaid]
    assert bench.outcome == COMPLETED
    assert bench.machine.ev.contract == held()


@pytest.mark.req("V2G20-1582")
def test_request_is_repeated_as_it_is_but_for_its_time():
    bench = drive()
    ongoing = lambda req, res, n: replace(res, evse_processing=ONGOING) if n < 3 else res  # noqa: E731
    bench.station.on("AuthorizationReq", ongoing)
    bench.run()
    first, *others = bench.all("AuthorizationReq")
    assert len(others) == 3
    for other in others:
        assert other.header.time_stamp > first.header.time_stamp
        assert replace(other, header=first.header) == first
        assert other.header.signature == first.header.signature


def test_station_that_never_decides_is_left():
    bench = drive(poll_interval_s=1.0)
    bench.station.alter("AuthorizationReq", evse_processing=ONGOING)
    assert bench.run().outcome == ("timeout", "remote")
    assert 59.0 < bench.closed_at - 100.0 < 62.0
    assert not bench.all("ServiceDiscoveryReq")


def test_contract_that_ends_soon_is_told_and_used():
    bench = drive(ContractStation(codes=["OK_CertificateExpiresSoon"]))
    bench.wall_offset = contract().leaf.not_valid_after_utc.timestamp() - bench.utc() - 5 * 86_400
    assert bench.run().outcome == COMPLETED
    assert "ends soon" in decisions(bench)


def test_p256_contract_is_shown_only_with_the_quirk():
    other = Contract.of(TestPki(AT, curve="secp256r1").contract())
    bench = drive(contracts=(other,)).run()
    assert means_of(bench) == ["EIM"]
    station = ContractStation()
    station.on("AuthorizationReq", lambda req, res, n: station.finished(ResponseCode.OK))
    station._AuthorizationReq = lambda req: None
    bench = drive(station, contracts=(other,), quirks=(Quirk.P256_SIGNATURES,)).run()
    assert means_of(bench) == ["PnC"]
    assert "p256_signatures" in decisions(bench)


# --- several contracts ----------------------------------------------------------------------------


def test_contracts_are_tried_in_the_owners_order_then_the_card():
    refused = "WARNING_GeneralPnCAuthorizationError"
    bench = drive(ContractStation(codes=[refused]), contracts=(held(OTHER), held())).run()
    assert bench.station.shown == [held(OTHER).emaid, held().emaid]
    assert means_of(bench) == ["PnC", "PnC", "EIM"]
    assert bench.outcome == COMPLETED
    assert bench.machine.ev.contract is None


def test_second_contract_is_accepted():
    codes = ["WARNING_CertificateRevoked", "OK"]
    bench = drive(ContractStation(codes=codes), contracts=(held(OTHER), held())).run()
    assert bench.machine.ev.contract == held()
    assert bench.outcome == COMPLETED


def test_without_a_card_the_last_refusal_ends_the_session():
    bench = drive(ContractStation(codes=["WARNING_eMSPUnknown"]), authorization=("PnC",)).run()
    assert bench.outcome == ("refused", "remote")
    assert "WARNING_eMSPUnknown" in bench.ended.detail
    assert bench.names[-1] == "SessionStopReq"
    assert not bench.all("ServiceDiscoveryReq")


@pytest.mark.parametrize("providers", [("FRXYZ",), ("FR-XYZ", "DEABC")])
def test_only_contracts_the_station_takes_are_shown(providers):
    bench = drive(ContractStation(providers=providers), contracts=(held(), held(FOREIGN))).run()
    assert bench.station.shown == [held(FOREIGN).emaid]
    assert "does not take contracts of DETST" in decisions(bench)


def test_outdated_and_unreadable_contracts_are_not_shown():
    outdated = Contract.of(contract(Defect.EXPIRED))
    unreadable = replace(held(OTHER), chain=(b"x", b"y"))
    bench = drive(contracts=(outdated, unreadable, held())).run()
    assert bench.station.shown == [held().emaid]


@pytest.mark.parametrize("code", ["FAILED_SignatureError", "FAILED"])
def test_failure_ends_the_session_without_another_try(code):
    bench = drive(ContractStation(codes=[code]), contracts=(held(), held(OTHER))).run()
    assert bench.outcome == ("refused", "remote")
    assert bench.names[-1] == "AuthorizationReq"
    assert len(bench.all("AuthorizationReq")) == 1


# --- fetching contracts ---------------------------------------------------------------------------


def installing(**given):
    return ContractStation(installs=True, **given)


def test_car_without_a_contract_fetches_one_stores_it_and_charges_with_it():
    bench = drive(installing(), contracts=(), install_contracts=True).run()
    assert bench.steps[3:6] == ["CertificateInstallationReq", "AuthorizationReq", "ServiceDiscoveryReq"]
    assert bench.controller.stored == [held()]
    assert bench.station.shown == [held().emaid]
    assert bench.machine.ev.contract == held()
    assert bench.outcome == COMPLETED
    assert ", stored" in decisions(bench)


def test_fetched_contract_serves_the_session_even_if_it_cannot_be_kept():
    bench = drive(installing(), contracts=(), install_contracts=True, controller=Owner(keeps=False)).run()
    assert bench.machine.ev.contract == held()
    assert "not stored" in decisions(bench)


def test_several_contracts_are_fetched_one_by_one():
    both = (contract(), contract(emaid=OTHER))
    station = installing(contracts={pcid(): both})
    wanted = (held(OTHER).emaid,)
    bench = drive(station, contracts=(), install_contracts=True, prioritized_emaids=wanted).run()
    assert bench.controller.stored == [held(OTHER), held()]
    assert station.asked[0].prioritized_emaids.emaid == wanted
    assert station.shown == [held().emaid]  # what came last is tried first


def test_no_more_is_fetched_than_there_is_room_for():
    both = (contract(), contract(emaid=OTHER))
    station = installing(contracts={pcid(): both})
    bench = drive(station, contracts=(), install_contracts=True, maximum_contracts=1).run()
    assert bench.controller.stored == [held()]
    assert len(station.asked) == 1


@pytest.mark.req("V2G20-2221")
@pytest.mark.parametrize(
    ("changes", "station", "contracts"),
    [
        ({}, installing(), ()),
        ({"install_contracts": True}, ContractStation(), ()),
        ({"install_contracts": True}, installing(), (held(),)),
        ({"install_contracts": True, "installing": False}, installing(), ()),
    ],
    ids=["not wanted", "not offered", "not needed", "no provisioning certificate"],
)
def test_contracts_are_fetched_only_where_wanted_offered_and_needed(changes, station, contracts):
    bench = drive(station, contracts=contracts, **changes).run()
    assert not bench.all("CertificateInstallationReq")
    assert bench.outcome == COMPLETED


@pytest.mark.req("V2G20-2221")
@pytest.mark.parametrize(
    "contracts",
    [(Contract.of(contract(Defect.EXPIRED)),), (held(FOREIGN),)],
    ids=["outdated", "not taken here"],
)
def test_contract_that_does_not_fit_is_a_reason_to_fetch_one(contracts):
    station = installing(providers=("DETST",))
    bench = drive(station, contracts=contracts, install_contracts=True).run()
    assert station.shown == [held().emaid]
    assert bench.outcome == COMPLETED


def test_contract_that_ends_soon_is_renewed():
    bench = drive(installing(), install_contracts=True)
    bench.wall_offset = contract().leaf.not_valid_after_utc.timestamp() - bench.utc() - 5 * 86_400
    bench.run()
    assert len(bench.all("CertificateInstallationReq")) == 1


def test_slow_back_end_is_polled_with_the_same_request():
    bench = drive(installing(), contracts=(), install_contracts=True)
    empty = lambda req, res, n: replace(res, evse_processing=ONGOING) if n < 4 else res  # noqa: E731
    bench.station.on("CertificateInstallationReq", empty)
    bench.station.back_end = _Always(bench.station.back_end)
    bench.run()
    first, *others = bench.all("CertificateInstallationReq")
    assert len(others) == 4
    assert all(replace(x, header=first.header) == first for x in others)
    assert all(x.header.signature == first.header.signature for x in others)
    assert bench.controller.stored == [held()]


class _Always:
    """A provisioning service that is asked for the first contract however often it is polled."""

    def __init__(self, service):
        self.service = service

    def answer(self, request):
        return self.service.answer(replace(request, attempt=1))


def test_back_end_that_never_answers_ends_the_session_in_time():
    bench = drive(installing(), contracts=(), install_contracts=True, poll_interval_s=1.0)
    bench.station.back_end = _Always(bench.station.back_end)
    bench.station.alter("CertificateInstallationReq", evse_processing=ONGOING)
    assert bench.run().outcome == ("timeout", "remote")
    assert 59.0 < bench.closed_at - 100.0 < 62.0


def test_silent_station_is_left_after_five_seconds():
    bench = drive(installing(), contracts=(), install_contracts=True)
    bench.station.on("CertificateInstallationReq", None)
    assert bench.run().outcome == ("timeout", "remote")
    assert 4.9 < bench.closed_at - 100.0 < 5.5


@pytest.mark.req("V2G20-2649")
@pytest.mark.parametrize("how", ["nothing there", "unsigned", "strangers", "changed"])
def test_without_a_usable_answer_the_card_pays(how):
    bench = drive(installing(), contracts=(), install_contracts=True)
    if how == "nothing there":
        bench.station.back_end = replace(bench.station.back_end, contracts={})
    elif how == "strangers":
        bench.station.back_end = replace(bench.station.back_end, cps=strangers().cps())
    elif how == "unsigned":
        bare = lambda req, res, n: replace(res, header=replace(res.header, signature=None))  # noqa: E731
        bench.station.on("CertificateInstallationReq", bare)
    else:
        bench.station.on("CertificateInstallationReq", _tampered)
    bench.run()
    assert means_of(bench) == ["EIM"]
    assert not bench.controller.stored
    assert bench.outcome == COMPLETED
    assert "no contract" in decisions(bench) or "nothing of the answer is used" in decisions(bench)


def _tampered(request, response, count):
    data = response.signed_installation_data
    return replace(response, signed_installation_data=replace(data, dh_public_key=bytes(133)))


@pytest.mark.parametrize("seed", range(40))
def test_damaged_answer_gives_no_contract_and_no_crash(seed):
    """A bit or an octet of the signed part changed: the card pays, or the session ends for what cannot be read."""
    chance = random.Random(seed)

    def spoilt(request, response, count):
        octets = bytearray(framed(response))
        start = chance.randrange(600, len(octets) - 2)
        octets[start : start + 1] = (
            chance.randbytes(1) if seed % 2 else bytes([octets[start] ^ 1 << seed % 8])
        )
        return bytes(octets)

    bench = drive(installing(), contracts=(), install_contracts=True)
    bench.station.on("CertificateInstallationReq", spoilt)
    bench.run()
    if (
        bench.controller.stored
    ):  # chains and padding are not all signed: what was stored is right all the same
        assert bench.controller.stored == [held()]
    else:
        assert bench.outcome in (
            COMPLETED,
            ("protocol", "remote"),
            ("refused", "remote"),
            ("timeout", "remote"),
        )
        assert not bench.station.shown


def test_refusal_of_the_request_ends_the_session():
    bench = drive(installing(), contracts=(), install_contracts=True)
    bench.station.alter("CertificateInstallationReq", response_code=ResponseCode.FAILED_SIGNATURE_ERROR)
    assert bench.run().outcome == ("refused", "remote")
    assert bench.names[-1] == "CertificateInstallationReq"


def test_unusable_provisioning_certificate_asks_for_nothing():
    bench = drive(installing(), contracts=(), install_contracts=True)
    ev = bench.machine.ev
    ev.wallet = replace(ev.wallet, provisioning=replace(ev.wallet.provisioning, chain=(b"x",)))
    bench.run()
    assert not bench.all("CertificateInstallationReq")
    assert means_of(bench) == ["EIM"]


def test_wish_to_stop_cuts_the_polling_off():
    bench = drive(installing(), contracts=(), install_contracts=True)
    bench.station.back_end = _Always(bench.station.back_end)
    bench.station.alter("CertificateInstallationReq", evse_processing=ONGOING)
    bench.when(lambda: bench.now > 103.0, lambda: bench.feed(_stop()))
    bench.run()
    assert bench.names[-1] == "SessionStopReq"
    assert bench.closed_at < 104.0


def _stop():
    from iso15118.machine import Stop

    return Stop("enough")


# --- the connection, secrets ----------------------------------------------------------------------


@dataclass
class Facts:
    version: int = 0x0304
    peer: bytes | None = b"x"


@pytest.mark.req("V2G20-1237")
@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        (None, ("local", "local")),
        (Facts(version=0x0303), ("local", "local")),
        (Facts(peer=None), ("local", "local")),
        (Facts(), COMPLETED),
    ],
)
def test_regression_03_the_protocol_is_offered_over_tls_1_3_alone(facts, outcome):
    bench = Bench(config=config(DC, insecure_no_tls=False), tls=facts).run()
    assert bench.outcome == outcome
    assert bool(bench.names) is (outcome == COMPLETED)


def test_no_event_shows_a_key():
    bench = drive(installing(), contracts=(), install_contracts=True).run()
    text = (
        json.dumps([as_record(e) for e in bench.seen_events]) + repr(bench.machine.ev) + repr(bench.questions)
    )
    scalar = contract().key.private_numbers().private_value
    assert "StoreContract" in text
    for form in (str(scalar), f"{scalar:x}"):
        assert form not in text
