"""Plug & Charge at the station: what is offered, the proof, and what the controller says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from certs import TestPki
from certs.profiles import Role
from iso15118.config import SeccConfig
from iso15118.control.evse import Authorization, ContractFlaw, ContractQuestion, ContractRefused
from iso15118.errors import ConfigError
from iso15118.events import Decision
from iso15118.messages.iso20 import common
from iso15118.messages.iso20.types import Processing
from iso15118.quirks import Quirk
from iso15118.secc.machine import SeccMachine
from iso15118.secc.session import State
from iso15118.security.algorithms import ISO20_AND_P256
from iso15118.security.chains import Judgement, RootsJudge
from iso15118.security.plug_and_charge import StationTrust
from tests.unit.secc.contracts import C, claim, station, told
from tests.unit.secc.harness import walk
from tests.unit.security.made import AT, AT_S, DAY, contract, pki

# --- what is offered ------------------------------------------------------------------------------


@pytest.mark.req("V2G20-2566")
@pytest.mark.parametrize("means", [("EIM",), ("PnC",), ("PnC", "EIM"), ("EIM", "PnC")])
def test_what_is_configured_is_offered_in_that_order(means):
    made = station(state=State.AUTHORIZATION_SETUP, authorization=means, providers=("DETST",))
    response = made.send(made.ev.authorization_setup())
    assert tuple(x.value for x in response.authorization_services) == means
    assert response.certificate_installation_service is False
    mode = response.authorization_mode
    if "PnC" in means:
        assert len(mode.gen_challenge) == 16
        assert mode.supported_providers.provider_id == ("DETST",)
    else:
        assert isinstance(mode, common.EIM_ASResAuthorizationMode)


@pytest.mark.req("V2G20-2108")
def test_challenge_comes_from_the_entropy_anew_in_each_session():
    made = station()
    assert made.record.challenge == (0xA000 + made.clock.drawn).to_bytes(16, "big")
    assert made.record.challenge != made.record.session_id.rjust(16, b"\0")
    assert "challenge" not in repr(made.record)


def test_plug_and_charge_without_a_judge_is_a_mistake_of_the_caller():
    with pytest.raises(ConfigError, match="judges contracts"):
        SeccMachine(SeccConfig(authorization=("PnC",)), bytes, float)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("authorization", ()),
        ("authorization", ("PnC", "PnC")),
        ("providers", ("DE",)),
        ("providers", ("detst",)),
        ("providers", ("DETST",) * 129),
        ("certificate_installation", True),
        ("confirm_meter_every", -1),
    ],
)
def test_unusable_settings_are_told_by_name(key, value):
    with pytest.raises(ConfigError) as error:
        SeccConfig(**{key: value})
    assert error.value.key == key


# --- accepted -------------------------------------------------------------------------------------


@pytest.mark.req("V2G20-1063")
@pytest.mark.req("V2G20-2564")
def test_contract_is_proven_and_the_controller_decides():
    made = station()
    response = made.send(claim(made))
    assert (response.response_code, response.evse_processing) == (C.OK, Processing.FINISHED)
    assert made.at is State.SERVICE_DISCOVERY
    assert made.record.authorized
    (question,) = made.questions
    emaid = pki().verdict(contract()).identity
    assert question == ContractQuestion("EV", "PnC", 1, emaid, contract().chain)
    assert question.verified
    assert any("valid (ecdsa-sha512, standalone)" in e.why for e in made.seen_events(Decision))


def test_session_by_contract_reaches_the_charge_loop():
    made = station()
    made.send(claim(made))
    walk(made, State.CHARGE_LOOP)
    assert made.record.energised


@pytest.mark.req("V2G20-2218")
@pytest.mark.parametrize(("left_days", "code"), [(13, C.OK_CERTIFICATE_EXPIRES_SOON), (15, C.OK)])
def test_contract_that_ends_within_fourteen_days_is_told(left_days, code):
    ends = contract().leaf.not_valid_after_utc.timestamp()
    lasting = lambda chain, utc_s: Judgement(identity="DETSTC00000001X", not_after=ends)  # noqa: E731
    made = station(trust=StationTrust(lasting), ahead_s=ends - AT_S - left_days * DAY)
    response = made.send(claim(made))
    assert response.response_code is code
    assert made.record.authorized


def test_ed448_contract_is_accepted():
    other = TestPki(AT, curve="ed448")
    trust = StationTrust(RootsJudge(Role.CONTRACT, other.roots[Role.MO_ROOT]))
    made = station(trust=trust)
    assert made.send(claim(made, other.contract())).response_code is C.OK
    assert made.record.authorized


def test_p256_contract_needs_the_quirk():
    other = TestPki(AT, curve="secp256r1")
    trust = StationTrust(RootsJudge(Role.CONTRACT, other.roots[Role.MO_ROOT], rules=other.rules))
    made = station(trust=trust)
    told(
        made,
        made.send(claim(made, other.contract(), allowed=ISO20_AND_P256)),
        C.FAILED_SIGNATURE_ERROR,
        over=True,
    )
    made = station(trust=trust, quirks=(Quirk.P256_SIGNATURES,))
    assert made.send(claim(made, other.contract(), allowed=ISO20_AND_P256)).response_code is C.OK


# --- waiting for the controller -------------------------------------------------------------------


def test_ongoing_while_the_controller_thinks_then_its_answer():
    made = station()
    made.answering = False
    first = claim(made)
    assert made.send(first) is None
    made.advance(1.1)
    assert made.sent[-1].evse_processing is Processing.ONGOING
    made.advance(0.2)
    again = replace(first, header=replace(made.ev.header, signature=first.header.signature))
    assert made.send(again).evse_processing is Processing.ONGOING
    made.answer(Authorization(True))
    assert made.send(again).evse_processing is Processing.FINISHED
    assert made.record.authorized
    assert len(made.questions) == 1


@pytest.mark.req("V2G20-1582")
@pytest.mark.parametrize("other", ["contract", "card"])
def test_the_answer_about_one_contract_does_not_count_for_another(other):
    made = station()
    made.answering = False
    made.send(claim(made))
    made.advance(1.1)
    swapped = made.ev.authorization() if other == "card" else claim(made, contract(emaid="DE-TST-C00000099"))
    told(made, made.send(swapped), C.FAILED, over=True)


@pytest.mark.req("V2G20-1582")
def test_a_contract_does_not_profit_from_the_answer_about_a_card():
    made = station()
    made.answering = False
    made.send(made.ev.authorization())
    made.advance(1.1)
    told(made, made.send(claim(made)), C.FAILED, over=True)


def test_news_of_the_hardware_do_not_disturb_the_waiting():
    made = station()
    made.answering = False
    made.send(claim(made))
    made.levels(setpoint_w=5.0)
    assert not made.sent
    made.answer(Authorization(True))
    assert made.record.authorized


def test_late_answer_is_a_refusal_in_time():
    made = station()
    made.answering = False
    first = claim(made)
    made.send(first)
    for _ in range(56):
        made.advance(1.1)
        response = made.send(replace(first, header=replace(made.ev.header, signature=first.header.signature)))
        made.advance(0.01)
        if made.sent[-1].evse_processing is Processing.FINISHED:
            break
    told(made, made.sent[-1], C.WARNING_GENERAL_PNC_AUTHORIZATION_ERROR)
    made.answer(Authorization(True))
    assert not made.record.authorized
    assert response is None or response.response_code is not C.FAILED


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Authorization(False, "unknown"), C.WARNING_GENERAL_PNC_AUTHORIZATION_ERROR),
        (ContractRefused(), C.WARNING_GENERAL_PNC_AUTHORIZATION_ERROR),
        (ContractRefused(flaw=ContractFlaw.EXPIRED), C.WARNING_CERTIFICATE_EXPIRED),
        (ContractRefused(flaw=ContractFlaw.NOT_YET_VALID), C.WARNING_CERTIFICATE_NOT_YET_VALID),
        (ContractRefused(flaw=ContractFlaw.REVOKED), C.WARNING_CERTIFICATE_REVOKED),
        (ContractRefused(flaw=ContractFlaw.INVALID), C.WARNING_CERTIFICATE_VALIDATION_ERROR),
        (ContractRefused(flaw=ContractFlaw.UNKNOWN_PROVIDER), C.WARNING_EMSP_UNKNOWN),
        (RuntimeError("back end is down"), C.WARNING_GENERAL_PNC_AUTHORIZATION_ERROR),
        (True, C.WARNING_GENERAL_PNC_AUTHORIZATION_ERROR),
    ],
)
def test_refusal_of_the_controller_reaches_the_car_by_its_code(answer, code):
    made = station()
    made.reply = lambda question: answer
    told(made, made.send(claim(made)), code)
    assert made.record.claim is None


def test_after_a_refusal_another_contract_or_a_card_may_do():
    made = station()
    made.accept = False
    told(made, made.send(claim(made)), C.WARNING_GENERAL_PNC_AUTHORIZATION_ERROR)
    told(
        made,
        made.send(claim(made, contract(emaid="DE-TST-C00000099"))),
        C.WARNING_GENERAL_PNC_AUTHORIZATION_ERROR,
    )
    made.accept = True
    made.send(made.ev.authorization())
    assert made.record.authorized
    assert [q.attempt for q in made.questions] == [1, 2, 3]


def test_attempts_are_counted_whatever_was_wrong():
    made = station(authorization_attempts=2)
    for _ in range(2):
        told(made, made.send(claim(made, challenge=bytes(16))), C.WARNING_CHALLENGE_INVALID)
    told(made, made.send(claim(made)), C.FAILED, over=True)
    assert not made.questions
