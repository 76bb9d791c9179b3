"""CertificateInstallation at the station: a letterbox that reads the address and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from certs.defects import Defect
from certs.profiles import Role
from iso15118.control.evse import Authorization, ContractRequest, ContractResponse
from iso15118.exi.codec import decode, encode
from iso15118.messages.iso20 import common
from iso15118.messages.iso20.types import MessageHeader, Processing, ResponseCode
from iso15118.quirks import Quirk
from iso15118.secc.iso20.installation import MAX_INSTALLATIONS
from iso15118.secc.session import State
from iso15118.security.algorithms import ISO20
from iso15118.security.chains import RootsJudge
from iso15118.security.contracts import Contract, OwnKey, Provisioning
from iso15118.security.installation import installation_request, open_installation
from iso15118.security.plug_and_charge import SIGNED_ID, StationTrust, common_messages
from iso15118.security.signature import sign
from iso15118.wire.v2gtp import PayloadType
from tests.unit.secc.contracts import POWER, C, claim, judge, station
from tests.unit.security.made import AT_S, contract, pki, provisioning, service, strangers

SET = common_messages()


def installer(answer=None, **given):
    """A station behind which a provisioning service sits, or one that answers with `answer`."""
    made = station(certificate_installation=True, **given)
    back_end = service()
    made.reply = lambda q: (
        Authorization(True) if not isinstance(q, ContractRequest) else answer or back_end.answer(q)
    )
    return made


def wish(made, identity=None, **given):
    """The CertificateInstallationReq of a vehicle."""
    held = Provisioning.of(identity or provisioning())
    request, signature = installation_request(held, made.ev.header, **({"maximum": 3} | given))
    return replace(request, header=replace(request.header, signature=signature))


def ends(made, response, code, *, over=False):
    assert isinstance(response, common.CertificateInstallationRes)
    assert response.response_code is code
    assert response.evse_processing is Processing.FINISHED
    assert not [c for c in made.commands if isinstance(c, POWER)]
    assert (made.end is not None) is over
    assert made.record.pending is None
    if not over:
        assert made.at is State.AUTHORIZATION
        assert made.send(claim(made)).response_code is C.OK  # the session can go on


# --- it works -------------------------------------------------------------------------------------


def test_contract_comes_through_as_it_was_signed_and_can_be_used_at_once():
    made = installer()
    response = made.send(wish(made))
    assert response.header.session_id == made.record.session_id
    assert response.header.time_stamp > 0
    held = open_installation(response, Provisioning.of(provisioning()), AT_S)
    assert held == Contract.of(contract())
    (question,) = made.questions
    assert (question.evcc_id, question.maximum, question.attempt) == ("EV", 3, 1)
    assert question.pcid == pki().verdict(provisioning()).identity
    assert question.chain == provisioning().chain
    assert isinstance(decode(question.exi, SET), common.CertificateInstallationReq)
    assert made.send(claim(made)).response_code is C.OK


def test_each_round_is_another_question():
    made = installer()
    for attempt in (1, 2):
        made.send(wish(made))
        assert made.questions[-1].attempt == attempt


def test_wished_contracts_are_told_to_the_back_end():
    made = installer()
    made.send(wish(made, emaids=("DETSTC00000001", "FRABCC00000002")))
    assert made.questions[0].emaids == ("DETSTC00000001", "FRABCC00000002")


def test_some_vehicles_send_it_with_another_payload_type():
    made = installer()
    response = made.send(wish(made), PayloadType.APP_PROTOCOL)
    assert response.response_code is C.OK
    assert made.payload_types[-1] == PayloadType.COMMON


# --- a slow back end ------------------------------------------------------------------------------


def test_ongoing_while_the_back_end_works_and_at_last_its_answer():
    made = installer()
    made.answering = False
    first = wish(made)
    assert made.send(first) is None
    made.advance(2.9)
    made.levels(setpoint_w=5.0)
    assert not made.sent
    made.advance(0.2)
    assert made.sent[-1].evse_processing is Processing.ONGOING
    again = replace(first, header=replace(made.ev.header, signature=first.header.signature))
    assert made.send(again).evse_processing is Processing.ONGOING
    made.answer(service().answer(made.questions[0]))
    response = made.send(again)
    assert response.evse_processing is Processing.FINISHED
    assert open_installation(response, Provisioning.of(provisioning()), AT_S) == Contract.of(contract())
    assert len(made.questions) == 1


def test_back_end_that_never_answers_costs_a_minute_and_no_more():
    made = installer()
    made.answering = False
    first = wish(made)
    made.send(first)
    for _ in range(30):
        made.advance(3.1)
        if made.sent[-1].evse_processing is Processing.FINISHED:
            break
        made.send(replace(first, header=replace(made.ev.header, signature=first.header.signature)))
    made.answering = True
    ends(made, made.sent[-1], C.WARNING_NO_CERTIFICATE_AVAILABLE)
    assert made.clock.now < AT_S  # it is over


def test_vehicle_that_does_not_wait_is_authorized_and_the_late_answer_is_nobodys():
    made = installer()
    made.answering = False
    made.send(wish(made))
    made.advance(3.1)
    made.send(claim(made))
    late, question = made.questions
    made.answer(service().answer(late), late)
    assert made.record.pending == question
    made.answer(Authorization(True), question)
    assert made.record.authorized


def test_request_that_changes_while_it_is_answered_ends_the_session():
    made = installer()
    made.answering = False
    made.send(wish(made))
    made.advance(3.1)
    response = made.send(wish(made, maximum=1))
    assert (response.response_code, made.end is not None) == (C.FAILED, True)


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.req("V2G20-459")
def test_what_was_not_offered_is_a_sequence_error():
    made = station()
    response = made.send(wish(made))
    assert (response.response_code, made.end is not None) == (C.FAILED_SEQUENCE_ERROR, True)


@pytest.mark.req("V2G20-459")
def test_not_in_the_middle_of_another_decision():
    made = installer()
    made.answering = False
    made.send(claim(made))
    made.advance(1.1)
    assert made.send(wish(made)).response_code is C.FAILED_SEQUENCE_ERROR


@pytest.mark.req("V2G20-1548")
@pytest.mark.parametrize("how", ["none", "another key", "another id", "more"])
def test_wrong_signature_ends_the_session(how):
    made = installer()
    right = wish(made)
    element = right.oem_provisioning_certificate_chain
    key = OwnKey(provisioning().key)
    signature = {
        "none": None,
        "another key": sign({SIGNED_ID: element}, OwnKey(contract().key), ISO20[0], SET),
        "another id": sign({"id2": replace(element, id="id2")}, key, ISO20[0], SET),
        "more": sign({SIGNED_ID: element, "id2": replace(element, id="id2")}, key, ISO20[0], SET),
    }[how]
    response = made.send(replace(right, header=replace(right.header, signature=signature)))
    ends(made, response, C.FAILED_SIGNATURE_ERROR, over=True)
    assert not made.questions


@pytest.mark.req("V2G20-1548")
@pytest.mark.parametrize("quirks", [(), (Quirk.INSTALLATION_SIGNED_WHOLE,)])
def test_signature_over_the_whole_request_needs_its_quirk(quirks):
    made = installer(ContractResponse(reason="no"), quirks=quirks)
    right = wish(made)
    bare = replace(right, header=replace(right.header, signature=None))
    signature = sign({SIGNED_ID: bare}, OwnKey(provisioning().key), ISO20[0], SET)
    response = made.send(replace(bare, header=replace(bare.header, signature=signature)))
    assert (response.response_code is C.FAILED_SIGNATURE_ERROR) is (not quirks)
    assert len(made.questions) == len(quirks)


@pytest.mark.parametrize("octets", [b"\x30", bytes(1600), b"\x30\x82\x05\x00" + bytes(1284)])
def test_malformed_provisioning_certificate_is_refused_without_a_crash(octets):
    made = installer()
    right = wish(made)
    chain = replace(right.oem_provisioning_certificate_chain, certificate=octets)
    ends(
        made,
        made.send(replace(right, oem_provisioning_certificate_chain=chain)),
        C.WARNING_CERTIFICATE_VALIDATION_ERROR,
    )


@pytest.mark.parametrize(
    ("identity", "code"),
    [
        (lambda: provisioning(Defect.EXPIRED), C.WARNING_CERTIFICATE_EXPIRED),
        (lambda: provisioning(Defect.UNKNOWN_ROOT), C.WARNING_CERTIFICATE_VALIDATION_ERROR),
        (lambda: strangers().provisioning(), C.WARNING_CERTIFICATE_VALIDATION_ERROR),
        (lambda: pki().vehicle(), C.WARNING_CERTIFICATE_VALIDATION_ERROR),
    ],
)
def test_station_that_knows_the_makers_roots_judges_vehicles_itself(identity, code):
    vehicles = RootsJudge(Role.PROVISIONING, pki().roots[Role.OEM_ROOT])
    made = installer(trust=StationTrust(judge(), vehicles))
    ends(made, made.send(wish(made, identity())), code)
    made = installer()  # the back end's business
    made.send(wish(made, identity()))
    assert len(made.questions) == 1


def answer_of(**changes):
    """A back end's response, changed, as EXI."""
    made = installer()
    made.send(wish(made))
    response = decode(service().answer(made.questions[0]).exi, SET)
    return ContractResponse(encode(replace(response, **changes), SET))


ANSWERS = {
    "refused": (ContractResponse(reason="no"), C.WARNING_NO_CERTIFICATE_AVAILABLE),
    "unknown vehicle": (ContractResponse(known=False), C.WARNING_NO_CONTRACT_MATCHING_PCID_FOUND),
    "failure": (RuntimeError("down"), C.WARNING_NO_CERTIFICATE_AVAILABLE),
    "nonsense": (Authorization(True), C.WARNING_NO_CERTIFICATE_AVAILABLE),
    "no EXI": (ContractResponse(b"\x80\x00\x00"), C.WARNING_NO_CERTIFICATE_AVAILABLE),
    "another message": (
        ContractResponse(
            encode(
                common.SessionSetupReq(header=MessageHeader(session_id=bytes(8), time_stamp=0), evcc_id="x"),
                SET,
            )
        ),
        C.WARNING_NO_CERTIFICATE_AVAILABLE,
    ),
    "ongoing": (answer_of(evse_processing=Processing.ONGOING), C.WARNING_NO_CERTIFICATE_AVAILABLE),
    "failed": (answer_of(response_code=ResponseCode.FAILED), C.WARNING_NO_CERTIFICATE_AVAILABLE),
    "warning": (
        answer_of(response_code=ResponseCode.WARNING_CERTIFICATE_REVOKED),
        C.WARNING_CERTIFICATE_REVOKED,
    ),
}


@pytest.mark.parametrize("case", sorted(ANSWERS))
def test_whatever_the_back_end_says_the_vehicle_may_go_on(case):
    answer, code = ANSWERS[case]
    made = installer(answer)
    ends(made, made.send(wish(made)), code)


def test_number_of_contracts_in_a_session_is_bounded():
    made = installer(ContractResponse(reason="no"))
    for _ in range(MAX_INSTALLATIONS + 3):
        response = made.send(wish(made))
    assert len(made.questions) == MAX_INSTALLATIONS
    ends(made, response, C.WARNING_NO_CERTIFICATE_AVAILABLE)


def test_so_is_the_number_of_unreadable_requests():
    made = installer()
    right = wish(made)
    chain = replace(right.oem_provisioning_certificate_chain, certificate=b"\x30")
    for _ in range(MAX_INSTALLATIONS):
        made.send(replace(right, oem_provisioning_certificate_chain=chain))
    assert made.send(wish(made)).response_code is C.WARNING_NO_CERTIFICATE_AVAILABLE
    assert not made.questions
