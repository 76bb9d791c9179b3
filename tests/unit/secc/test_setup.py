"""Handshake, session set-up, authorization and services: which answer each situation gets."""

from __future__ import annotations

import pytest

from iso15118.control.common import ControlMode, EnergyService, Wish
from iso15118.control.evse import Authorization, AuthorizationQuestion
from iso15118.events import Decision, EndReason, Fault, QuestionAnswered, QuestionAsked
from iso15118.messages import namespaces as ns
from iso15118.messages import sap
from iso15118.messages.iso20 import common
from iso15118.messages.iso20.types import Processing, ResponseCode
from iso15118.secc.sap import served_namespaces
from iso15118.secc.session import State
from iso15118.wire.v2gtp import encode_frame
from tests.unit.secc.harness import Bench, bench, reach, walk
from tests.unit.secc.messages import Ev, handshake, protocol

S, Code = State, ResponseCode
OK = sap.ResponseCode.OK_SUCCESSFUL_NEGOTIATION
MINOR = sap.ResponseCode.OK_SUCCESSFUL_NEGOTIATION_WITH_MINOR_DEVIATION
NO = sap.ResponseCode.FAILED_NO_NEGOTIATION
BOTH = (EnergyService.DC, EnergyService.AC)


def negotiate(*offers: sap.AppProtocol, services: tuple[EnergyService, ...] = BOTH, tls: bool = False):
    made = bench(services=services, insecure_no_tls=not tls)
    return made, made.send(handshake(*offers))


# --- SupportedAppProtocol ---------------------------------------------------------------------


def test_golden_handshake() -> None:
    made = bench()
    offer = "8000f3ab9371d34b9b79d39ba321d34b9b79d189a98989c1d1699181d22218010000040040"
    made.send_octets(encode_frame(0x8001, bytes.fromhex(offer)))
    assert made.sent == [sap.SupportedAppProtocolRes(response_code=OK, schema_id=1)]
    sent = next(o.data for o in made.outputs if hasattr(o, "data"))
    assert sent.hex() == "01fe80010000000480400040"


@pytest.mark.req("V2G20-167")
@pytest.mark.req("V2G20-169")
def test_smallest_priority_number_wins_whatever_the_order() -> None:
    made, response = negotiate(protocol(ns.DC, 2, 7), protocol(ns.AC, 1, 9))
    assert response == sap.SupportedAppProtocolRes(response_code=OK, schema_id=9)
    assert made.record.namespace == ns.AC
    made, response = negotiate(protocol(ns.DC, 3, 7), protocol(ns.AC, 20, 9))
    assert response.schema_id == 7
    assert made.record.namespace == ns.DC


@pytest.mark.req("V2G20-169")
def test_what_is_not_served_does_not_count() -> None:
    _, response = negotiate(
        protocol("urn:tesla:din:2018:MsgDef", 1, 0, 0, 7),
        protocol(ns.DIN, 2, 1, 2),
        protocol(ns.ISO2, 3, 2, 2),
        protocol(ns.COMMON_MESSAGES, 4, 3),
        protocol(ns.WPT, 5, 4),
        protocol(ns.ACDP, 6, 5),
        protocol(ns.AC_DER_IEC, 7, 6),
        protocol(ns.AC, 8, 7),
        protocol(ns.DC, 9, 8),
        services=(EnergyService.DC,),
    )
    assert (response.response_code, response.schema_id) == (OK, 8)


def test_schema_id_zero_is_an_id() -> None:
    made, response = negotiate(protocol(ns.DC, 1, 0))
    assert response == sap.SupportedAppProtocolRes(response_code=OK, schema_id=0)
    assert made.at is S.SESSION_SETUP


@pytest.mark.req("V2G20-149")
def test_minor_deviation_is_accepted() -> None:
    made, response = negotiate(protocol(ns.DC, 1, 3, 1, 5))
    assert response == sap.SupportedAppProtocolRes(response_code=MINOR, schema_id=3)
    assert made.send(made.ev.session_setup()).response_code is Code.OK_NEW_SESSION_ESTABLISHED


@pytest.mark.req("V2G2-170")
@pytest.mark.parametrize(
    "offer",
    [protocol(ns.DC, major=2), protocol(ns.DC, major=0), protocol(ns.AC), protocol(ns.ISO2, major=2)],
    ids=["major-2", "major-0", "not-served", "iso2"],
)
def test_no_negotiation_has_no_schema_id_and_ends(offer: sap.AppProtocol) -> None:
    made, response = negotiate(offer, services=(EnergyService.DC,))
    assert response == sap.SupportedAppProtocolRes(response_code=NO)
    assert made.end.reason is EndReason.REFUSED
    assert made.end.fault is Fault.REMOTE
    assert made.close.after <= 5.0
    assert made.send(made.ev.session_setup()) is None


def test_nothing_of_iso_15118_20_without_tls() -> None:
    _, response = negotiate(protocol(ns.DC), protocol(ns.AC), tls=True)
    assert response.response_code is NO


def test_served_namespaces_follow_the_services() -> None:
    E = EnergyService
    assert served_namespaces((E.AC,)) == (ns.AC,)
    assert served_namespaces((E.AC_BPT,)) == (ns.AC,)
    assert served_namespaces((E.MCS, E.DC_BPT)) == (ns.DC,)
    assert set(served_namespaces((E.AC, E.MCS_BPT))) == {ns.AC, ns.DC}


# --- SessionSetup -----------------------------------------------------------------------------


@pytest.mark.req("V2G20-2106")
@pytest.mark.req("V2G20-2621")
def test_session_id_is_eight_octets_of_the_injected_entropy() -> None:
    made = reach(S.SESSION_SETUP)
    drawn = iter([bytes(8), b"\x5a" * 8])
    asked = []

    def entropy(count: int) -> bytes:
        asked.append(count)
        return next(drawn)

    made.machine._entropy = entropy
    response = made.send(made.ev.session_setup())
    assert response.response_code is Code.OK_NEW_SESSION_ESTABLISHED
    assert response.header.session_id == b"\x5a" * 8, "zero is no id"
    assert asked == [8, 8]
    assert response.evseid == "DE*ABC*E1*1"


@pytest.mark.req("V2G20-2626")
def test_resume_without_certificates_opens_a_new_session() -> None:
    made = reach(S.SESSION_SETUP)
    made.ev.session_id = b"\x00" * 6 + b"\xa0\x01"  # the very id that entropy would give next
    response = made.send(made.ev.session_setup())
    assert response.response_code is Code.OK_NEW_SESSION_ESTABLISHED
    assert response.header.session_id not in (b"\x00" * 6 + b"\xa0\x01", bytes(8))
    assert made.at is S.AUTHORIZATION_SETUP
    assert made.seen_events(Decision)[-1].why == "nothing to resume: new session"


# --- authorization ----------------------------------------------------------------------------


@pytest.mark.req("V2G20-2566")
def test_external_means_are_all_that_is_offered() -> None:
    made = reach(S.AUTHORIZATION_SETUP)
    response = made.send(made.ev.authorization_setup())
    assert response.authorization_services == (common.Authorization.EIM,)
    assert isinstance(response.authorization_mode, common.EIM_ASResAuthorizationMode)
    assert response.certificate_installation_service is False


def test_accepted_authorization() -> None:
    made = reach(S.AUTHORIZATION)
    made.answering = False
    assert made.send(made.ev.authorization()) is None
    assert made.questions[-1] == AuthorizationQuestion("EV", "EIM", 1)
    assert made.seen_events(QuestionAsked)
    made.answer(Authorization(True, "card 17"))
    assert made.sent[-1].response_code is Code.OK
    assert made.sent[-1].evse_processing is Processing.FINISHED
    assert made.seen_events(QuestionAnswered)[-1].answer.reason == "card 17"
    assert made.record.authorized
    assert made.at is S.SERVICE_DISCOVERY


@pytest.mark.req("V2G20-2219")
def test_refusal_reaches_the_car_at_once_and_a_second_try_is_allowed() -> None:
    made = reach(S.AUTHORIZATION)
    made.answering = False
    made.send(made.ev.authorization())
    made.advance(5.0)
    made.answer(Authorization(False, "unknown card"))
    response = made.send(made.ev.authorization())
    assert response.evse_processing is Processing.FINISHED
    assert response.response_code is Code.WARNING_EIM_AUTHORIZATION_FAILURE
    assert made.at is S.AUTHORIZATION
    assert not made.record.authorized
    assert made.send(made.ev.authorization()) is None
    assert made.questions[-1].attempt == 2
    made.answer(Authorization(True))
    assert made.sent[-1].response_code is Code.OK
    assert made.at is S.SERVICE_DISCOVERY


def test_attempts_are_bounded() -> None:
    made = reach(S.AUTHORIZATION, authorization_attempts=2)
    made.accept = False
    codes = [made.send(made.ev.authorization()).response_code for _ in range(3)]
    assert codes == [Code.WARNING_EIM_AUTHORIZATION_FAILURE] * 2 + [Code.FAILED]
    assert made.end.reason is EndReason.REFUSED


@pytest.mark.parametrize("answer", [RuntimeError("backend is down"), None, True, "yes", object()], ids=str)
def test_nonsense_from_the_controller_is_a_refusal(answer: object) -> None:
    made = reach(S.AUTHORIZATION)
    made.answering = False
    made.send(made.ev.authorization())
    made.answer(answer)
    assert made.sent[-1].response_code is Code.WARNING_EIM_AUTHORIZATION_FAILURE
    assert not made.record.authorized


def test_answers_to_other_questions_do_not_count() -> None:
    made = reach(S.AUTHORIZATION)
    made.answering = False
    made.answer(Authorization(True), AuthorizationQuestion("EV", "EIM", 1))
    made.send(made.ev.authorization())
    made.answer(Authorization(True), AuthorizationQuestion("EV", "EIM", 2))
    assert not made.sent
    made.answer(Authorization(False))
    made.answer(Authorization(True))
    assert made.sent[-1].response_code is Code.WARNING_EIM_AUTHORIZATION_FAILURE
    assert not made.record.authorized


@pytest.mark.req("V2G20-2209")
def test_service_that_was_not_offered() -> None:
    made = reach(S.AUTHORIZATION)
    response = made.send(made.ev.pnc_authorization())
    assert response.response_code is Code.WARNING_AUTHORIZATION_SELECTION_INVALID
    assert response.evse_processing is Processing.FINISHED
    assert made.at is S.AUTHORIZATION
    assert not made.questions[1:]
    mixed = made.ev.authorization(authorization_mode=made.ev.pnc_authorization().authorization_mode)
    assert made.send(mixed).response_code is Code.WARNING_AUTHORIZATION_SELECTION_INVALID
    assert made.send(made.ev.authorization()).response_code is Code.OK


def test_stop_before_a_service_is_selected() -> None:
    from iso15118.machine import Stop

    made = reach(S.AUTHORIZATION)
    made.feed(Stop("maintenance"))
    assert made.send(made.ev.authorization()).response_code is Code.FAILED
    assert made.end.fault is Fault.LOCAL
    assert made.end.detail == "maintenance"
    made = reach(S.SERVICE_DISCOVERY)
    made.feed(Stop(""))
    assert made.send(made.ev.session_stop()).response_code is Code.OK
    assert made.end.as_intended


# --- services ---------------------------------------------------------------------------------


def parameters(parameter_set: common.ParameterSet) -> dict[str, int]:
    return {p.name: p.value.value for p in parameter_set.parameter}


def detail(made: Bench, service: EnergyService) -> tuple[common.ParameterSet, ...]:
    response = made.send(made.ev.service_detail(int(service)))
    assert (response.response_code, response.service_id) == (Code.OK, service)
    return response.service_parameter_list.parameter_set


def test_services_of_the_negotiated_protocol_are_listed() -> None:
    E = EnergyService
    made = bench("AC", services=(E.DC_BPT, E.AC_BPT, E.AC, E.MCS), free_service=True)
    walk(made, S.SERVICE_DISCOVERY)
    response = made.send(made.ev.service_discovery())
    listed = response.energy_transfer_service_list.service
    assert [(s.service_id, s.free_service) for s in listed] == [(E.AC_BPT, True), (E.AC, True)]
    assert response.vas_list is None
    assert response.service_renegotiation_supported is True


def test_service_filter_of_the_ev_is_optional() -> None:
    made = reach(S.SERVICE_DISCOVERY, service_renegotiation=False)
    wanted = common.ServiceIDList(service_id=(65, 6))
    response = made.send(made.ev.service_discovery(supported_service_ids=wanted))
    assert [s.service_id for s in response.energy_transfer_service_list.service] == [2]
    assert response.service_renegotiation_supported is False


@pytest.mark.req("V2G20-2656")
@pytest.mark.req("V2G20-2663")
@pytest.mark.parametrize("service", ["AC", "AC_BPT", "DC", "DC_BPT", "MCS", "MCS_BPT"])
def test_one_parameter_set_for_each_control_mode(service: str) -> None:
    modes = (ControlMode.DYNAMIC, ControlMode.SCHEDULED)
    made = reach(S.SERVICE_DETAIL, service, control_modes=modes)
    sets = detail(made, EnergyService[service])
    assert [s.parameter_set_id for s in sets] == [1, 2]
    assert [parameters(s)["ControlMode"] for s in sets] == [2, 1], "the preferred first"
    assert {parameters(s)["MobilityNeedsMode"] for s in sets} == {1}
    assert [parameters(s)["Pricing"] for s in sets] == [0, 1]
    names = set(parameters(sets[0]))
    expected = {"Connector", "ControlMode", "MobilityNeedsMode", "Pricing"}
    if service.startswith("AC"):
        expected |= {"EVSENominalVoltage"}
        assert parameters(sets[0])["EVSENominalVoltage"] == 230
    if service.endswith("BPT"):
        expected |= {"BPTChannel", "GeneratorMode"}
    if service == "AC_BPT":
        expected |= {"GridCodeIslandingDetectionMethod"}
    assert names == expected


def test_no_pricing_where_prices_are_off() -> None:
    made = reach(S.SERVICE_DETAIL, control="SCHEDULED", prices=False)
    assert parameters(detail(made, EnergyService.DC)[0])["Pricing"] == 0


@pytest.mark.req("V2G20-425")
@pytest.mark.req("V2G20-464")
@pytest.mark.parametrize("service", [0, 1, 6, 65, 66, 65535])
def test_detail_of_a_service_that_was_not_offered(service: int) -> None:
    made = reach(S.SERVICE_DETAIL)
    response = made.send(made.ev.service_detail(service))
    assert response.response_code is Code.FAILED_SERVICE_ID_INVALID
    assert response.service_id == service
    assert made.end.requirement == "V2G20-464"


@pytest.mark.req("V2G20-433")
@pytest.mark.req("V2G20-467")
@pytest.mark.parametrize("parameter_set", [0, 2, 65535])
def test_parameter_set_that_was_not_offered(parameter_set: int) -> None:
    made = reach(S.SERVICE_SELECTION)
    response = made.send(made.ev.service_selection(parameter_set=parameter_set))
    assert response.response_code is Code.FAILED_SERVICE_SELECTION_INVALID
    assert made.end.requirement == "V2G20-467"


@pytest.mark.req("V2G20-467")
def test_service_whose_details_were_never_asked_for() -> None:
    made = bench(services=(EnergyService.DC, EnergyService.DC_BPT))
    walk(made, S.SERVICE_SELECTION)
    response = made.send(made.ev.service_selection(int(EnergyService.DC_BPT)))
    assert response.response_code is Code.FAILED_SERVICE_SELECTION_INVALID


@pytest.mark.req("V2G20-1618")
@pytest.mark.parametrize("service", [0, 1, 65])
def test_selection_that_is_no_energy_service_here(service: int) -> None:
    made = reach(S.SERVICE_SELECTION)
    response = made.send(made.ev.service_selection(service))
    assert response.response_code is Code.FAILED_NO_ENERGY_TRANSFER_SERVICE_SELECTED
    assert made.end.requirement == "V2G20-1618"


@pytest.mark.req("V2G20-467")
def test_value_added_service_that_was_not_offered() -> None:
    made = reach(S.SERVICE_SELECTION)
    vas = common.SelectedServiceList(
        selected_service=(common.SelectedService(service_id=65, parameter_set_id=3),)
    )
    response = made.send(made.ev.service_selection(vas=vas))
    assert response.response_code is Code.FAILED_SERVICE_SELECTION_INVALID


def test_selected_set_decides_the_control_mode() -> None:
    made = bench(
        services=(EnergyService.DC, EnergyService.DC_BPT),
        control_modes=(ControlMode.SCHEDULED, ControlMode.DYNAMIC),
    )
    walk(made, S.SERVICE_SELECTION)
    detail(made, EnergyService.DC_BPT)
    assert made.send(made.ev.service_selection(6, 2)).response_code is Code.OK
    record = made.record
    assert (record.service, record.control_mode) == (EnergyService.DC_BPT, ControlMode.DYNAMIC)


def test_discovery_forgets_what_was_offered_before() -> None:
    made = reach(S.WELDING_DETECTION)
    made.levels(cp=made.state.cp.B)
    made.send(made.ev.session_stop("SERVICE_RENEGOTIATION"))
    made.send(made.ev.service_discovery())
    made.send(made.ev.service_detail())
    made.send(made.ev.service_selection())
    assert made.at is S.CHARGE_PARAMETER_DISCOVERY
    assert made.record.offered == {(2, 1)}


def test_wish_of_the_station_does_not_disturb_set_up() -> None:
    made = reach(S.SERVICE_DISCOVERY)
    made.levels(wish=Wish.TERMINATE)
    made.advance(55.0)
    assert made.send(made.ev.service_discovery()).response_code is Code.OK


def test_evs_are_told_apart_by_their_session() -> None:
    first, second = reach(S.SESSION_SETUP), reach(S.SESSION_SETUP)
    second.clock.drawn = 9
    ids = {b.send(Ev().session_setup()).header.session_id for b in (first, second)}
    assert len(ids) == 2
