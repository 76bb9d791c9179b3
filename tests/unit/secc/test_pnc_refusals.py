"""Plug & Charge at the station: what is wrong with a proof, the connection below it, and attacks."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from certs.defects import Defect
from certs.keys import Signer
from certs.profiles import Role
from iso15118.config import SeccConfig
from iso15118.control.common import CpState
from iso15118.control.evse import EvseState
from iso15118.events import ProtocolFault, as_record
from iso15118.exi.codec import encode
from iso15118.exi.options import Options
from iso15118.messages.iso20 import common
from iso15118.secc.session import State
from iso15118.security.algorithms import ISO20
from iso15118.security.binding import same_peer
from iso15118.security.chains import Judgement, RootsJudge
from iso15118.security.plug_and_charge import SIGNED_ID, StationTrust, common_messages, proof
from iso15118.security.signature import sign
from iso15118.wire.v2gtp import PayloadType, encode_frame
from tests.unit.secc.contracts import C, Facts, claim, judge, request, station, told
from tests.unit.secc.harness import DC_LIMITS, Bench, walk
from tests.unit.security.made import DAY, contract, pki, strangers

# --- what is wrong with the proof -----------------------------------------------------------------


@pytest.mark.req("V2G20-2565")
@pytest.mark.parametrize("challenge", [bytes(16), b"x" * 16])
def test_swapped_challenge_is_refused(challenge):
    made = station()
    told(made, made.send(claim(made, challenge=challenge)), C.WARNING_CHALLENGE_INVALID)
    assert not made.questions
    assert made.seen_events(ProtocolFault)[-1].requirement == "V2G20-2565"


@pytest.mark.req("V2G20-2565")
def test_threat_replayed_request_of_another_session_is_refused():
    recorded = claim(station())
    made = station(state=State.SESSION_SETUP)
    made.clock.drawn += 7
    walk(made, State.AUTHORIZATION)
    replayed = replace(recorded, header=replace(recorded.header, session_id=made.record.session_id))
    told(made, made.send(replayed), C.WARNING_CHALLENGE_INVALID)
    assert not made.questions


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("none", "no signature"),
        ("another key", "signature value"),
        ("changed", "was changed"),
        ("another id", "not those"),
    ],
)
@pytest.mark.req("V2G20-1063")
def test_wrong_signature_ends_the_session(how, why):
    made = station()
    right = claim(made)
    mode, signature = right.authorization_mode, right.header.signature
    if how == "none":
        signature = None
    elif how == "another key":
        _, signature = proof(made.record.challenge, contract().chain, Signer(pki().contract().key))
    elif how == "changed":
        chain = replace(mode.contract_certificate_chain, certificate=pki().contract().chain[0])
        mode = replace(mode, contract_certificate_chain=chain)
    else:
        mode = replace(mode, id="id2")
    told(made, made.send(request(made, mode, signature)), C.FAILED_SIGNATURE_ERROR, over=True)
    assert why in made.end.detail
    assert not made.questions


@pytest.mark.req("V2G20-1063")
def test_threat_signature_wrapping_is_refused():
    """A valid signature of the right key, which covers another element, or more than the one that is used."""
    made = station()
    key, mode = Signer(contract().key), claim(made).authorization_mode
    for covered in ({"id2": replace(mode, id="id2")}, {SIGNED_ID: mode, "id2": replace(mode, id="id2")}):
        made = station()
        signature = sign(covered, key, ISO20[0], common_messages())
        told(made, made.send(request(made, mode, signature)), C.FAILED_SIGNATURE_ERROR, over=True)


@pytest.mark.parametrize(
    ("defect", "code"),
    [
        (Defect.EXPIRED, C.WARNING_CERTIFICATE_EXPIRED),
        (Defect.EXPIRED_SUB_CA, C.WARNING_CERTIFICATE_EXPIRED),
        (Defect.NOT_YET_VALID, C.WARNING_CERTIFICATE_NOT_YET_VALID),
        (Defect.UNKNOWN_ROOT, C.WARNING_EMSP_UNKNOWN),
        (Defect.FORGED, C.WARNING_CERTIFICATE_VALIDATION_ERROR),
        (Defect.WRONG_KEY_USAGE, C.WARNING_CERTIFICATE_VALIDATION_ERROR),
        (Defect.PATH_LENGTH, C.WARNING_CERTIFICATE_VALIDATION_ERROR),
        (Defect.ISSUED_BY_LEAF, C.WARNING_CERTIFICATE_VALIDATION_ERROR),
        (Defect.CA_LEAF, C.WARNING_CERTIFICATE_VALIDATION_ERROR),
    ],
)
@pytest.mark.req("V2G20-2564")
def test_contract_with_a_defect_is_refused_by_its_code(defect, code):
    made = station()
    told(made, made.send(claim(made, contract(defect))), code)
    assert not made.questions


@pytest.mark.req("V2G20-2564")
def test_revoked_contract_is_refused():
    revoked = contract(Defect.REVOKED)
    made = station(trust=StationTrust(judge(evidence=lambda: pki().evidence(revoked))))
    told(made, made.send(claim(made, revoked)), C.WARNING_CERTIFICATE_REVOKED)


def test_time_is_the_stations_own():
    made = station(ahead_s=5000 * DAY)
    told(made, made.send(claim(made)), C.WARNING_CERTIFICATE_EXPIRED)


def test_threat_contract_of_another_root_of_the_same_name_is_refused():
    made = station()
    told(made, made.send(claim(made, strangers().contract())), C.WARNING_CERTIFICATE_VALIDATION_ERROR)


@pytest.mark.parametrize("role", [Role.VEHICLE, Role.PROVISIONING, Role.CPS, Role.SECC])
def test_threat_certificate_of_another_role_is_no_contract(role):
    """Also where its root would be trusted."""
    everyone = tuple(root for roots in pki().roots.values() for root in roots)
    made = station(trust=StationTrust(RootsJudge(Role.CONTRACT, everyone)))
    response = made.send(claim(made, pki().leaf(role)))
    told(made, response, response.response_code)
    assert response.response_code.value.startswith("WARNING")


@pytest.mark.parametrize("octets", [b"\x30", b"\x30\x82\x05\x00" + bytes(1284), bytes(1600)])
@pytest.mark.parametrize("place", ["leaf", "sub-CA"])
def test_regression_02_malformed_certificate_is_refused_without_a_crash(octets, place):
    made = station()
    mode = claim(made).authorization_mode
    chain = mode.contract_certificate_chain
    if place == "leaf":
        chain = replace(chain, certificate=octets)
    else:
        chain = replace(chain, sub_certificates=common.SubCertificates(certificate=(octets,)))
    mode = replace(mode, contract_certificate_chain=chain)
    signature = sign({SIGNED_ID: mode}, Signer(contract().key), ISO20[0], common_messages())
    told(made, made.send(request(made, mode, signature)), C.WARNING_CERTIFICATE_VALIDATION_ERROR)
    assert made.send(claim(made)).response_code is C.OK


def test_oversized_certificate_is_refused_before_it_is_read():
    made = station()
    right = claim(made)
    chain = replace(right.authorization_mode.contract_certificate_chain, certificate=bytes(1601))
    large = replace(
        right, authorization_mode=replace(right.authorization_mode, contract_certificate_chain=chain)
    )
    exi = encode(large, common_messages(), options=Options(facets=False))
    told(
        made, made.send_octets(encode_frame(PayloadType.COMMON, exi)), C.WARNING_CERTIFICATE_VALIDATION_ERROR
    )


@pytest.mark.parametrize(
    ("providers", "code"), [(("DETST",), C.OK), (("FRTST", "DEABC"), C.WARNING_EMSP_UNKNOWN)]
)
def test_contracts_of_other_providers_are_not_taken(providers, code):
    made = station(providers=providers)
    assert made.send(claim(made)).response_code is code
    assert made.record.authorized is (code is C.OK)


def test_unknown_root_is_the_back_ends_business_where_configured():
    other = contract(Defect.UNKNOWN_ROOT)
    made = station(central_validation=True)
    assert made.send(claim(made, other)).response_code is C.OK
    (question,) = made.questions
    assert (question.verified, question.emaid, question.chain) == (False, "", other.chain)
    made = station(central_validation=True)
    told(made, made.send(claim(made, contract(Defect.EXPIRED))), C.WARNING_CERTIFICATE_EXPIRED)


def test_judge_that_fails_refuses():
    def broken(chain, utc_s):
        raise OSError("no such device")

    made = station(trust=StationTrust(broken))
    told(made, made.send(claim(made)), C.WARNING_GENERAL_PNC_AUTHORIZATION_ERROR)


@pytest.mark.parametrize("code", ["", "OK", "FAILED", "no such code"])
def test_judge_whose_code_no_ev_understands_refuses_in_general(code):
    made = station(trust=StationTrust(lambda chain, utc_s: Judgement("no", code)))
    told(made, made.send(claim(made)), C.WARNING_GENERAL_PNC_AUTHORIZATION_ERROR)


# --- means that were not offered ------------------------------------------------------------------


@pytest.mark.req("V2G20-2209")
def test_contract_where_only_cards_are_taken_and_the_reverse():
    made = station(authorization=("EIM",))
    mode, signature = proof(bytes(16), contract().chain, Signer(contract().key))
    told(made, made.send(request(made, mode, signature)), C.WARNING_AUTHORIZATION_SELECTION_INVALID)
    made = station(authorization=("PnC",))
    told(made, made.send(made.ev.authorization()), C.WARNING_AUTHORIZATION_SELECTION_INVALID)


@pytest.mark.req("V2G20-2209")
def test_means_and_element_have_to_agree():
    made = station()
    contradicting = replace(claim(made), selected_authorization_service=common.Authorization.EIM)
    told(made, made.send(contradicting), C.WARNING_AUTHORIZATION_SELECTION_INVALID)
    contradicting = replace(made.ev.authorization(), selected_authorization_service=common.Authorization.PNC)
    told(made, made.send(contradicting), C.WARNING_AUTHORIZATION_SELECTION_INVALID)


# --- the connection -------------------------------------------------------------------------------


@pytest.mark.req("V2G20-2356")
@pytest.mark.parametrize(
    ("facts", "served"),
    [
        (None, False),
        (Facts(0x0303, b"x"), False),
        (Facts(0x0304, None), False),
        (Facts(0x0304, b"x"), True),
    ],
)
def test_regression_03_the_protocol_needs_tls_1_3_with_a_vehicle_certificate(facts, served):
    """Whatever the vehicle offers."""
    made = Bench(SeccConfig(), EvseState(cp=CpState.B, limits=DC_LIMITS), tls=facts)
    made.link_up()
    made.send(made.ev.handshake())
    assert (made.at is State.SESSION_SETUP) is served
    assert (made.end is None) is served


@pytest.mark.req("V2G20-2598")
@pytest.mark.req("V2G20-2545")
def test_session_is_bound_to_the_vehicles_certificate_and_named_by_it():
    vehicle = pki().vehicle()
    name = pki().verdict(vehicle).identity
    made = station(insecure_no_tls=False, tls=Facts(peer=vehicle.chain[0]), state=State.AUTHORIZATION_SETUP)
    record = made.record
    assert record.evcc_id == name  # the EV called itself "EV"
    assert same_peer(record.binding, record.session_id, vehicle.chain[0])
    assert not same_peer(record.binding, record.session_id, pki().vehicle().chain[0])


def test_unreadable_vehicle_certificate_leaves_the_name_the_ev_gave():
    made = station(insecure_no_tls=False, tls=Facts(peer=b"x"), state=State.AUTHORIZATION_SETUP)
    assert made.record.evcc_id == "EV"
    assert made.record.binding


# --- secrets --------------------------------------------------------------------------------------


def test_no_event_shows_a_key():
    made = station()
    secret = contract().key.private_numbers().private_value
    made.send(claim(made))
    text = json.dumps([as_record(e) for e in made.events]) + repr(made.record) + repr(made.questions)
    for form in (str(secret), f"{secret:x}"):
        assert form not in text
