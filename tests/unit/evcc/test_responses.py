"""What the EV makes of odd responses: refusals, warnings, wrong types, wrong ids, wrong times."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iso15118 import events
from iso15118.control.ev import Deenergise
from iso15118.machine import LinkDown, PeerClosed
from iso15118.messages.iso20 import ac, common, dc
from iso15118.messages.iso20.types import MessageHeader, Processing, ResponseCode
from iso15118.messages.sap import ResponseCode as SapCode
from iso15118.messages.sap import SupportedAppProtocolRes
from tests.unit.evcc.harness import AC, CLOSE, DC, DC_BPT, DYNAMIC, PILOT_B, SCHEDULED, Bench, config, framed
from tests.unit.evcc.station import SESSION_ID
from tests.unit.evcc.test_sessions import AC_ORDER, DC_ORDER
from tests.unit.evcc.test_timeouts import EVERY_REQUEST

FAILED = [code for code in ResponseCode if code.value.startswith("FAILED")]
WARNINGS = [code for code in ResponseCode if code.value.startswith("WARNING")]
STATES = [(DC, n) for n in dict.fromkeys(DC_ORDER[1:])]
STATES += [(AC, n) for n in AC_ORDER if n.startswith("AC_")]


def ended_badly(bench, request_name):
    """The session ended right after the answer to `request_name`: opened, closed, nothing more said."""
    assert bench.names[-1] == request_name
    assert isinstance(bench.orders[-2], Deenergise)
    assert bench.orders[-1] == PILOT_B
    assert bench.closed_at == bench.ended.t
    return True


# --- refusals and warnings --------------------------------------------------------------------


@pytest.mark.req("V2G20-735")
@pytest.mark.parametrize(("service", "request_name"), STATES)
def test_refusal_ends_the_session_in_every_state(service, request_name):
    """Every FAILED code is fatal wherever it comes, and is not answered by SessionStopReq."""
    for code in FAILED:
        bench = Bench(service)
        bench.station.alter(request_name, response_code=code)
        assert bench.run().outcome == ("refused", "remote"), code
        assert ended_badly(bench, request_name)
        assert code.value in bench.ended.detail


@pytest.mark.req("V2G20-735")
@pytest.mark.parametrize(("service", "request_name"), [(AC, "AC_ChargeLoopReq"), (DC, "DC_ChargeLoopReq")])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_refusal_later_in_the_loop_stops_the_power_at_once(service, request_name, count):
    bench = Bench(service)
    bench.station.alter(request_name, first=count, response_code=ResponseCode.FAILED)
    assert bench.run().outcome == ("refused", "remote")
    assert ended_badly(bench, request_name)
    assert bench.ended.t - bench.requests[-1].t < 0.1


@pytest.mark.req("V2G20-735")
def test_contents_of_a_refusal_do_not_count():
    """Another session id, absurd voltages: a refusal is a refusal."""
    bench = Bench()

    def refuse(req, res, n):
        header = MessageHeader(session_id=bytes(8), time_stamp=1)
        return replace(res, header=header, response_code=ResponseCode.FAILED_UNKNOWN_SESSION)

    bench.station.on("DC_ChargeLoopReq", refuse)
    assert bench.run().outcome == ("refused", "remote")
    assert "FAILED_UnknownSession" in bench.ended.detail


@pytest.mark.parametrize(
    "code", [*WARNINGS, *(c for c in ResponseCode if c.value.startswith("OK_"))], ids=str
)
@pytest.mark.parametrize("service", [AC, DC])
def test_warning_or_any_ok_lets_the_session_go_on_in_every_state(service, code):
    """Except for SessionSetup, where it is no success, and the final word on authorization."""
    bench = Bench(service)

    def remark(req, res, n):
        decisive = "SupportedAppProtocolReq", "SessionSetupReq", "AuthorizationReq"
        return res if type(req).__name__ in decisive else replace(res, response_code=code)

    bench.station.on("*", remark)
    assert bench.run().outcome == ("completed", "none")
    assert bench.steps == (AC_ORDER if service is AC else DC_ORDER)


@pytest.mark.parametrize("code", WARNINGS, ids=str)
def test_warning_is_no_success_of_session_setup(code):
    bench = Bench()
    bench.station.alter("SessionSetupReq", response_code=code)
    assert bench.run().outcome == ("protocol", "remote")
    assert ended_badly(bench, "SessionSetupReq")


@pytest.mark.parametrize("code", WARNINGS, ids=str)
def test_warning_with_a_finished_authorization_is_its_refusal(code):
    bench = Bench()
    bench.station.alter("AuthorizationReq", response_code=code)
    assert bench.run().outcome == ("refused", "remote")
    assert bench.names[-2:] == ["AuthorizationReq", "SessionStopReq"]
    assert code.value in bench.ended.detail


@pytest.mark.parametrize("code", WARNINGS, ids=str)
def test_warning_while_authorization_is_ongoing_is_no_refusal(code):
    bench = Bench()
    bench.station.alter("AuthorizationReq", last=3, response_code=code, evse_processing=Processing.ONGOING)
    assert bench.run().outcome == ("completed", "none")


def test_warning_at_power_on_is_reported():
    bench = Bench(DC, SCHEDULED)
    bench.station.alter("PowerDeliveryReq", response_code=ResponseCode.WARNING_POWER_TOLERANCE_NOT_CONFIRMED)
    why = [e.why for e in bench.run().seen(events.Decision) if e.what == "PowerDelivery"]
    assert why == ["going on in spite of WARNING_PowerToleranceNotConfirmed"]


def test_refused_authorization_is_left_by_session_stop():
    bench = Bench()
    bench.station.alter("AuthorizationReq", response_code=ResponseCode.WARNING_EIM_AUTHORIZATION_FAILURE)
    bench.run()
    stop = bench.one("SessionStopReq")
    assert stop.charging_session is common.ChargingSession.TERMINATE
    assert "WARNING_EIMAuthorizationFailure" in stop.ev_termination_explanation


@pytest.mark.parametrize("also_refused", [False, True])
def test_station_that_takes_contracts_only_is_left_by_session_stop(also_refused):
    bench = Bench()
    bench.station.alter(
        "AuthorizationSetupReq",
        authorization_services=(common.Authorization.PNC,),
        authorization_mode=common.PnC_ASResAuthorizationMode(gen_challenge=bytes(16)),
    )
    if also_refused:
        bench.station.alter("SessionStopReq", response_code=ResponseCode.FAILED_SEQUENCE_ERROR)
    assert bench.run().outcome[0] == "refused"
    assert bench.names[-2:] == ["AuthorizationSetupReq", "SessionStopReq"]
    assert bench.left_safely


@pytest.mark.parametrize(
    "services",
    [
        (common.Authorization.PNC, common.Authorization.EIM),
        (common.Authorization.EIM, common.Authorization.PNC),
    ],
)
def test_external_identification_is_used_beside_plug_and_charge(services):
    """Whatever mode element the response carries."""
    bench = Bench()
    bench.station.alter(
        "AuthorizationSetupReq",
        authorization_services=services,
        authorization_mode=common.PnC_ASResAuthorizationMode(gen_challenge=bytes(range(16))),
    )
    assert bench.run().outcome == ("completed", "none")
    asked = bench.one("AuthorizationReq")
    assert asked.selected_authorization_service is common.Authorization.EIM
    assert isinstance(asked.authorization_mode, common.EIM_AReqAuthorizationMode)


# --- handshake and session id -----------------------------------------------------------------


@pytest.mark.parametrize("schema_id", [None, 0, 2, 255])
@pytest.mark.parametrize(
    "code", [SapCode.OK_SUCCESSFUL_NEGOTIATION, SapCode.OK_SUCCESSFUL_NEGOTIATION_WITH_MINOR_DEVIATION]
)
def test_schema_id_that_was_not_offered_is_no_agreement(schema_id, code):
    bench = Bench()
    bench.station.on(
        "SupportedAppProtocolReq", SupportedAppProtocolRes(response_code=code, schema_id=schema_id)
    )
    assert bench.run().outcome == ("protocol", "remote")
    assert ended_badly(bench, "SupportedAppProtocolReq")


@pytest.mark.parametrize("schema_id", [None, 1])
def test_failed_negotiation_is_a_refusal_whatever_schema_id_it_carries(schema_id):
    bench = Bench()
    code = SapCode.FAILED_NO_NEGOTIATION
    bench.station.on(
        "SupportedAppProtocolReq", SupportedAppProtocolRes(response_code=code, schema_id=schema_id)
    )
    assert bench.run().outcome == ("refused", "remote")
    assert ended_badly(bench, "SupportedAppProtocolReq")


def test_minor_deviation_is_an_agreement_and_the_schema_id_decides():
    bench = Bench(AC, config=config(DC, AC))
    code = SapCode.OK_SUCCESSFUL_NEGOTIATION_WITH_MINOR_DEVIATION
    bench.station.on("SupportedAppProtocolReq", SupportedAppProtocolRes(response_code=code, schema_id=2))
    assert bench.run().outcome == ("completed", "none")
    assert "AC_ChargeParameterDiscoveryReq" in bench.names


@pytest.mark.req("V2G20-1237")
def test_nothing_is_offered_without_tls():
    bench = Bench(config=config(insecure_no_tls=False)).run()
    assert bench.outcome == ("local", "local")
    assert bench.names == []
    assert bench.ended.requirement == "V2G20-1237"


@pytest.mark.parametrize("code", [ResponseCode.OK, ResponseCode.OK_OLD_SESSION_JOINED], ids=str)
def test_new_session_has_to_be_called_new(code):
    bench = Bench()
    bench.station.alter("SessionSetupReq", response_code=code)
    assert bench.run().outcome == ("protocol", "remote")
    assert ended_badly(bench, "SessionSetupReq")
    assert bench.machine.ev.session_id == bytes(8)


@pytest.mark.req("V2G20-2106")
def test_zero_is_no_session_id():
    bench = Bench()
    bench.station.session_id = bytes(8)
    assert bench.run().outcome == ("protocol", "remote")
    assert bench.ended.requirement == "V2G20-2106"
    assert ended_badly(bench, "SessionSetupReq")


@pytest.mark.parametrize("other", [bytes(8), SESSION_ID[:7] + b"\x00"])
@pytest.mark.parametrize(("service", "request_name"), [x for x in STATES if x[1] != "SessionSetupReq"])
def test_response_of_another_session_ends_it_in_every_state(service, request_name, other):
    bench = Bench(service)
    bench.station.alter(request_name, header=MessageHeader(session_id=other, time_stamp=0))
    assert bench.run().outcome == ("protocol", "remote")
    assert bench.ended.detail == "the response carries another session id"
    assert ended_badly(bench, request_name)


# --- wrong messages ---------------------------------------------------------------------------


@pytest.mark.parametrize(("service", "request_name"), EVERY_REQUEST)
def test_response_of_another_type_ends_it_in_every_state(service, request_name):
    bench = Bench(service)
    wrong = common.SessionStopRes if request_name != "SessionStopReq" else common.PowerDeliveryRes
    bench.station.on(request_name, lambda req, res, n: bench.station.res(wrong))
    if request_name == "SupportedAppProtocolReq":  # its payload type is out of place there: ignored
        assert bench.run().outcome == ("timeout", "remote")
        assert bench.seen(events.FrameIgnored)
    else:
        assert bench.run().outcome == ("protocol", "remote")
        assert "instead of" in bench.ended.detail
    assert ended_badly(bench, request_name)


@pytest.mark.parametrize(("service", "request_name"), EVERY_REQUEST)
def test_request_instead_of_a_response_ends_it(service, request_name):
    bench = Bench(service)
    bench.station.on(request_name, lambda req, res, n: req)
    assert bench.run().outcome == ("protocol", "remote")
    assert f"{request_name} instead of" in bench.ended.detail


@pytest.mark.parametrize(
    ("service", "request_name", "kind"),
    [
        (DC, "DC_ChargeLoopReq", ac.AC_ChargeLoopRes),
        (AC, "AC_ChargeLoopReq", dc.DC_ChargeLoopRes),
        (DC, "DC_ChargeParameterDiscoveryReq", ac.AC_ChargeParameterDiscoveryRes),
    ],
)
def test_response_of_another_energy_transfer_ends_it(service, request_name, kind):
    station = Bench(AC if service is DC else DC).station
    bench = Bench(service)

    def foreign(req, res, n):
        name = kind.__name__.removesuffix("Res") + "Req"
        station._bench = bench
        return getattr(station, "_" + name)(req)

    bench.station.on(request_name, foreign)
    assert bench.run().outcome == ("protocol", "remote")
    assert kind.__name__ in bench.ended.detail


@pytest.mark.parametrize(("service", "request_name"), EVERY_REQUEST)
def test_undecodable_response_ends_it_in_every_state(service, request_name):
    bench = Bench(service)

    def cut(req, res, n):
        frame = framed(res)
        exi = frame[8:10] if len(frame) > 12 else b"\x00\x00"
        return frame[:4] + len(exi).to_bytes(4, "big") + exi

    bench.station.on(request_name, cut)
    assert bench.run().outcome == ("protocol", "remote")
    assert bench.ended.detail.startswith("undecodable message")
    assert ended_badly(bench, request_name)


@pytest.mark.parametrize("variant", ["plain for BPT", "BPT for plain"])
@pytest.mark.parametrize("service", [AC, DC])
def test_charge_parameters_of_the_other_variant_end_it(service, variant):
    bidirectional = {AC: Bench(AC).service.AC_BPT, DC: DC_BPT}[service]
    mine, theirs = (bidirectional, service) if variant == "plain for BPT" else (service, bidirectional)
    bench = Bench(mine)
    name = f"{service.name}_ChargeParameterDiscoveryReq"

    def answer(req, res, n):
        bench.station.service = theirs
        return bench.station.usual(req)

    bench.station.on(name, answer)
    assert bench.run().outcome == ("protocol", "remote")
    assert ended_badly(bench, name)


@pytest.mark.req("V2G20-1600")
@pytest.mark.parametrize("mode", [SCHEDULED, DYNAMIC])
def test_schedules_of_the_other_control_mode_end_it(mode):
    bench = Bench(DC, mode)

    def answer(req, res, n):
        bench.station.mode = SCHEDULED if mode is DYNAMIC else DYNAMIC
        return bench.station.usual(req)

    bench.station.on("ScheduleExchangeReq", answer)
    assert bench.run().outcome == ("protocol", "remote")
    assert bench.ended.requirement == "V2G20-1600"


def test_station_that_cannot_reach_our_voltage_is_left_by_session_stop():
    bench = Bench()

    def low(req, res, n):
        mode = res.dc_cpd_res_energy_transfer_mode
        return replace(
            res,
            dc_cpd_res_energy_transfer_mode=replace(
                mode, evse_maximum_voltage=mode.evse_minimum_charge_current
            ),
        )

    bench.station.on("DC_ChargeParameterDiscoveryReq", low)
    assert bench.run().outcome == ("local", "none")
    assert bench.names[-2:] == ["DC_ChargeParameterDiscoveryReq", "SessionStopReq"]
    assert "reaches 0 V only" in bench.ended.detail


# --- too many, too few ------------------------------------------------------------------------


@pytest.mark.parametrize(("service", "request_name"), EVERY_REQUEST)
def test_second_response_in_one_segment_ends_it(service, request_name):
    """It cannot answer the next request, which was not sent when it was."""
    bench = Bench(service)
    bench.station.on(request_name, lambda req, res, n: framed(res) + framed(res))
    bench.run()
    if request_name == "SupportedAppProtocolReq":
        assert bench.outcome == ("completed", "none")
        assert bench.seen(events.FrameIgnored)
    elif request_name == "SessionStopReq":
        assert bench.outcome == ("completed", "none")
    else:
        assert bench.outcome == ("protocol", "remote")
        assert bench.ended.detail.endswith("without a request")
    assert bench.left_safely


@pytest.mark.parametrize("pair", ["SessionSetupReq AuthorizationSetupReq", "ServiceSelectionReq *"])
def test_answer_to_the_next_request_in_the_same_segment_ends_it(pair):
    """Not even where its type would fit."""
    first, _ = pair.split()
    bench = Bench()

    def both(req, res, n):
        following = {
            "SessionSetupReq": lambda: bench.station._AuthorizationSetupReq(req),
            "ServiceSelectionReq": lambda: bench.station._DC_ChargeParameterDiscoveryReq(req),
        }[first]()
        return framed(res) + framed(following)

    bench.station.on(first, both)
    assert bench.run().outcome == ("protocol", "remote")


@pytest.mark.parametrize("phase", ["AUTHORIZATION", "CHARGE_LOOP"])
def test_unsolicited_message_during_a_pause_ends_it(phase):
    bench = Bench()
    bench.station.alter("AuthorizationReq", last=5, evse_processing=Processing.ONGOING)
    bench.when(
        bench.in_phase(phase), lambda: bench.send(bench.station.res(common.PowerDeliveryRes), after=0.05)
    )
    assert bench.run().outcome == ("protocol", "remote")
    assert bench.ended.detail == "PowerDeliveryRes without a request"
    assert bench.left_safely


@pytest.mark.parametrize("kind", [PeerClosed, LinkDown])
@pytest.mark.parametrize(("service", "request_name"), EVERY_REQUEST)
def test_peer_that_vanishes_in_any_state_leaves_us_safe(service, request_name, kind):
    bench = Bench(service)
    closing = CLOSE if kind is PeerClosed else None
    bench.station.on(request_name, closing)
    if kind is LinkDown:
        bench.when(bench.asked_for(request_name), lambda: bench.machine.receive(LinkDown(), bench.now))
    assert bench.run().outcome == (("local", "local") if kind is LinkDown else ("peer closed", "remote"))
    assert ended_badly(bench, request_name)
    assert bench.ended.t - bench.requests[-1].t < 0.1


def test_peer_that_closes_between_two_requests_leaves_us_safe():
    bench = Bench()
    bench.when(bench.in_phase("CHARGE_LOOP"), lambda: bench.send(CLOSE, after=0.05))
    assert bench.run().outcome == ("peer closed", "remote")
    assert bench.left_safely


def test_order_of_states_covers_every_request():
    assert {n for _, n in EVERY_REQUEST} == set(AC_ORDER) | set(DC_ORDER)
