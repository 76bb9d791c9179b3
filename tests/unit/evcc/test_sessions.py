"""Whole sessions at a station where everything goes well: order, headers, clock, commands."""

from __future__ import annotations

import itertools

import pytest

from iso15118 import events
from iso15118.control.common import EnergyService
from iso15118.control.ev import EnergyNeeds, SetPower
from iso15118.machine import Close, Do, Send
from iso15118.messages import namespaces
from iso15118.messages.iso20 import ac, common, dc
from iso15118.messages.iso20.numbers import number
from iso15118.messages.iso20.types import Processing
from iso15118.wire.v2gtp import PayloadType
from tests.unit.evcc.harness import AC as AC_SERVICE
from tests.unit.evcc.harness import (
    CLOSE_IT,
    COMBINATIONS,
    DC_BPT,
    DYNAMIC,
    OPEN_IT,
    PILOT_B,
    PILOT_C,
    SCHEDULED,
    Bench,
    car,
    config,
    readable,
    squeeze,
)
from tests.unit.evcc.harness import DC as DC_SERVICE
from tests.unit.evcc.station import SESSION_ID, STATION_UTC, Station

BEGINNING = [
    "SupportedAppProtocolReq",
    "SessionSetupReq",
    "AuthorizationSetupReq",
    "AuthorizationReq",
    "ServiceDiscoveryReq",
    "ServiceDetailReq",
    "ServiceSelectionReq",
]
AC_ORDER = [
    *BEGINNING,
    "AC_ChargeParameterDiscoveryReq",
    "ScheduleExchangeReq",
    "PowerDeliveryReq",
    "AC_ChargeLoopReq",
    "PowerDeliveryReq",
    "SessionStopReq",
]
DC_ORDER = [
    *BEGINNING,
    "DC_ChargeParameterDiscoveryReq",
    "ScheduleExchangeReq",
    "DC_CableCheckReq",
    "DC_PreChargeReq",
    "PowerDeliveryReq",
    "DC_ChargeLoopReq",
    "PowerDeliveryReq",
    "DC_WeldingDetectionReq",
    "SessionStopReq",
]
LOOP_MODES = {
    (AC_SERVICE, SCHEDULED): ac.Scheduled_AC_CLReqControlMode,
    (AC_SERVICE, DYNAMIC): ac.Dynamic_AC_CLReqControlMode,
    (EnergyService.AC_BPT, SCHEDULED): ac.BPT_Scheduled_AC_CLReqControlMode,
    (EnergyService.AC_BPT, DYNAMIC): ac.BPT_Dynamic_AC_CLReqControlMode,
    (DC_SERVICE, SCHEDULED): dc.Scheduled_DC_CLReqControlMode,
    (DC_SERVICE, DYNAMIC): dc.Dynamic_DC_CLReqControlMode,
    (DC_BPT, SCHEDULED): dc.BPT_Scheduled_DC_CLReqControlMode,
    (DC_BPT, DYNAMIC): dc.BPT_Dynamic_DC_CLReqControlMode,
}
every_session = pytest.mark.parametrize(("service", "mode"), COMBINATIONS)


@every_session
def test_requests_come_in_the_order_of_the_sequence_chart(service, mode):
    bench = Bench(service, mode).run()
    assert bench.steps == (AC_ORDER if service.is_ac else DC_ORDER)
    assert bench.outcome == ("completed", "none")
    loop = [n for n in bench.names if n.endswith("ChargeLoopReq")]
    assert len(loop) == 4, "three with energy, one to bring the power down"


@every_session
def test_every_request_carries_the_session_id_of_the_station(service, mode):
    bench = Bench(service, mode).run()
    headers = [s.message.header for s in bench.requests[1:]]
    assert headers[0].session_id == bytes(8)
    assert {h.session_id for h in headers[1:]} == {SESSION_ID}
    assert all(h.signature is None for h in headers)


@every_session
def test_loop_requests_are_of_the_selected_service_and_mode(service, mode):
    bench = Bench(service, mode).run()
    loops = [s.message for s in bench.requests if hasattr(s.message, "cl_req_control_mode")]
    assert {type(x.cl_req_control_mode) for x in loops} == {LOOP_MODES[service, mode]}
    selected = bench.one("ServiceSelectionReq").selected_energy_transfer_service
    assert (selected.service_id, selected.parameter_set_id) == (int(service), 1)
    chosen = bench.seen(events.ServiceSelected)[0]
    assert (chosen.service, chosen.control_mode) == (service.name, mode.name)


@every_session
def test_charge_parameters_are_of_the_selected_variant(service, mode):
    bench = Bench(service, mode).run()
    if service.is_ac:
        sent = bench.one("AC_ChargeParameterDiscoveryReq").ac_cpd_req_energy_transfer_mode
        variants = ac.AC_CPDReqEnergyTransferMode, ac.BPT_AC_CPDReqEnergyTransferMode
    else:
        sent = bench.one("DC_ChargeParameterDiscoveryReq").dc_cpd_req_energy_transfer_mode
        variants = dc.DC_CPDReqEnergyTransferMode, dc.BPT_DC_CPDReqEnergyTransferMode
    assert type(sent) is variants[service.bidirectional]
    assert number(sent.ev_maximum_charge_power) == 40_000.0
    if service.bidirectional:
        assert number(sent.ev_maximum_discharge_power) == 15_000.0


@every_session
def test_payload_types_follow_the_message_sets(service, mode):
    bench = Bench(service, mode).run()
    energy = PayloadType.AC if service.is_ac else PayloadType.DC
    for sent in bench.requests:
        name = type(sent.message).__name__
        expected = energy if name.startswith(("AC_", "DC_")) else PayloadType.COMMON
        if name == "SupportedAppProtocolReq":
            expected = PayloadType.APP_PROTOCOL
        assert sent.frame.payload_type == expected, name


@every_session
def test_what_is_reported_as_sent_is_what_is_on_the_wire(service, mode):
    bench = Bench(service, mode).run()
    assert all(readable(sent.frame) == sent.message for sent in bench.requests)


@every_session
def test_power_profile_is_always_sent_and_of_the_control_mode(service, mode):
    start, stop = Bench(service, mode).run().all("PowerDeliveryReq")
    kinds = {SCHEDULED: common.Scheduled_EVPPTControlMode, DYNAMIC: common.Dynamic_EVPPTControlMode}
    assert type(start.ev_power_profile.control_mode) is kinds[mode]
    assert start.charge_progress is common.ChargeProgress.START
    assert start.ev_processing is Processing.FINISHED
    expected = common.ChannelSelection.CHARGE if service.bidirectional else None
    assert start.bpt_channel_selection is expected
    assert stop.charge_progress is common.ChargeProgress.STOP
    assert stop.ev_power_profile is None


@every_session
def test_energy_service_of_the_offer_names_its_namespace_once(service, mode):
    bench = Bench(service, mode, config=config(service, service, EnergyService(service))).run()
    (offer,) = bench.one("SupportedAppProtocolReq").app_protocol
    expected = namespaces.AC if service.is_ac else namespaces.DC
    assert (offer.protocol_namespace, offer.schema_id, offer.priority) == (expected, 1, 1)
    assert (offer.version_number_major, offer.version_number_minor) == (1, 0)


def test_namespaces_are_offered_in_the_order_of_preference():
    bench = Bench(AC_SERVICE, config=config(DC_BPT, DC_SERVICE, AC_SERVICE)).run()
    offered = bench.one("SupportedAppProtocolReq").app_protocol
    assert [(o.protocol_namespace, o.priority) for o in offered] == [(namespaces.DC, 1), (namespaces.AC, 2)]
    assert len({o.schema_id for o in offered}) == 2


# --- time stamps ------------------------------------------------------------------------------


@pytest.mark.req("V2G20-2676")
@pytest.mark.parametrize("unit", [1.0, 1e3, 1e6], ids=["s", "ms", "us"])
@pytest.mark.parametrize("ahead_s", [-86_400.0, 0.0, 321.5, 4e8])
def test_time_stamps_follow_the_clock_of_the_station_in_microseconds(unit, ahead_s):
    """Whatever unit the station stamps in, and even where its clock is far behind ours."""
    bench = Bench(station=Station(unit=unit, utc=STATION_UTC + ahead_s)).run()
    resolution = 1.0 / unit
    for sent in bench.requests[2:]:
        station_now = STATION_UTC + ahead_s + sent.t - 100.0
        assert sent.message.header.time_stamp / 1e6 == pytest.approx(station_now, abs=resolution + 0.02)
    stamps = [s.message.header.time_stamp for s in bench.requests[2:]]
    assert all(a < b for a, b in itertools.pairwise(stamps)), "strictly increasing"


def test_requests_sent_in_the_same_instant_still_differ_in_time():
    async def hurried(ev):
        stamps.extend(ev.header.time_stamp for _ in range(5))

    stamps = []
    Bench(script=hurried).run()
    assert stamps == list(range(stamps[0], stamps[0] + 5))


def test_time_stamps_stand_still_rather_than_go_back_when_the_wall_clock_steps():
    bench = Bench()
    bench.when(bench.in_phase("CABLE_CHECK"), lambda: setattr(bench, "wall_offset", -3600.0)).run()
    stamps = [s.message.header.time_stamp for s in bench.requests[2:]]
    assert all(a < b for a, b in itertools.pairwise(stamps))
    assert bench.outcome == ("completed", "none")


@pytest.mark.parametrize("broken", [2**64 - 1, 10**18 * 9])
def test_clock_beyond_all_sense_is_not_followed(broken):
    def odd(req, res, n):
        header = type(res.header)(session_id=res.header.session_id, time_stamp=broken)
        return type(res)(header=header, response_code=res.response_code, evseid=res.evseid)

    bench = Bench()
    bench.station.on("SessionSetupReq", odd)
    assert bench.run().outcome == ("completed", "none")
    assert bench.last.header.time_stamp / 1e6 == pytest.approx(bench.utc(), abs=1.0)


def test_clock_at_its_beginning_is_followed_and_encodable():
    """A station that has never been set, and a car whose clock is set back meanwhile."""
    bench = Bench(station=Station(utc=0.0))
    bench.when(bench.in_phase("SCHEDULE_EXCHANGE"), lambda: setattr(bench, "wall_offset", -1e8))
    assert bench.run().outcome == ("completed", "none")
    assert bench.all("PowerDeliveryReq")[0].ev_power_profile.time_anchor == 0


def test_seconds_for_old_stations_may_repeat_but_do_not_run_ahead():
    bench = Bench(config=config(time_unit="s", max_loops=40), station=Station(unit=1.0)).run()
    for sent in bench.requests[2:]:
        station_now = STATION_UTC + sent.t - 100.0
        assert sent.message.header.time_stamp == pytest.approx(station_now, abs=2.0)


# --- commands ---------------------------------------------------------------------------------


def hardware(bench):
    """Pilot and contactor commands and requests, in one row."""
    rows, requests = [], iter(bench.names)
    for output in bench.log:
        if isinstance(output, Send):
            rows.append(next(requests))
        elif isinstance(output, Do) and not isinstance(output.command, SetPower):
            rows.append(output.command)
        elif isinstance(output, Close):
            rows.append("close")
    return rows


@pytest.mark.req("V2G20-1617")
@pytest.mark.req("V2G20-847")
@pytest.mark.parametrize("mode", [SCHEDULED, DYNAMIC])
@pytest.mark.parametrize("service", [AC_SERVICE, EnergyService.AC_BPT])
def test_ac_pilot_and_contactor_in_the_right_order(service, mode):
    """State B until PowerDeliveryReq is on its way, C right behind it; B again before SessionStop."""
    rows = hardware(Bench(service, mode).run())
    assert rows[0] == PILOT_B
    power_on = rows.index("PowerDeliveryReq")
    assert PILOT_C not in rows[:power_on]
    assert rows[power_on + 1 : power_on + 4] == [PILOT_C, CLOSE_IT, "AC_ChargeLoopReq"]
    power_off = rows.index("PowerDeliveryReq", power_on + 1)
    assert rows[power_off + 1 : power_off + 3] == [OPEN_IT, PILOT_B]
    assert squeeze(rows[power_off + 3 :]) == [PILOT_B, "SessionStopReq", PILOT_B, "close"]


@pytest.mark.req("V2G20-847")
def test_ac_pilot_is_ready_within_a_quarter_second_of_power_delivery():
    bench = Bench(AC_SERVICE).run()
    started = next(s.t for s in bench.requests if isinstance(s.message, common.PowerDeliveryReq))
    assert next(t for t, c in bench.commands if c == PILOT_C) - started <= 0.25


@pytest.mark.req("V2G20-1418")
@pytest.mark.parametrize("mode", [SCHEDULED, DYNAMIC])
@pytest.mark.parametrize("service", [DC_SERVICE, DC_BPT, EnergyService.MCS, EnergyService.MCS_BPT])
def test_dc_pilot_and_contactor_in_the_right_order(service, mode):
    """State C before the cable check; closed after pre-charge; open before welding detection."""
    rows = hardware(Bench(service, mode).run())
    assert rows[0] == PILOT_B
    order = [
        PILOT_C,
        "DC_CableCheckReq",
        "DC_PreChargeReq",
        CLOSE_IT,
        "PowerDeliveryReq",
        "DC_ChargeLoopReq",
        "PowerDeliveryReq",
        OPEN_IT,
        "DC_WeldingDetectionReq",
        PILOT_B,
        "SessionStopReq",
        PILOT_B,
        "close",
    ]
    assert squeeze(rows[rows.index(PILOT_C) :]) == order


@pytest.mark.req("V2G20-1418")
def test_pilot_has_time_to_settle_before_the_cable_check():
    bench = Bench().run()
    asked = next(s.t for s in bench.requests if isinstance(s.message, dc.DC_CableCheckReq))
    assert asked - next(t for t, c in bench.commands if c == PILOT_C) > 0.049


def test_pre_charge_polls_ongoing_and_says_finished_once():
    bench = Bench()
    said = [p.ev_processing for p in bench.run().all("DC_PreChargeReq")]
    assert said == [Processing.ONGOING] * 3 + [Processing.FINISHED]
    assert all(number(p.ev_target_voltage) == 350.0 for p in bench.all("DC_PreChargeReq"))


def test_welding_detection_ends_with_finished_and_can_be_left_out():
    said = [w.ev_processing for w in Bench().run().all("DC_WeldingDetectionReq")]
    assert said == [Processing.ONGOING, Processing.FINISHED]
    without = Bench(config=config(welding_detection=False)).run()
    assert "DC_WeldingDetectionReq" not in without.names
    assert without.outcome == ("completed", "none")


def test_inlet_that_keeps_its_voltage_is_told():
    bench = Bench()
    bench.station.discharges = False
    bench.run()
    said = [w.ev_processing for w in bench.all("DC_WeldingDetectionReq")]
    assert said[-1] is Processing.FINISHED
    assert len(said) > 10
    assert any("may be welded" in e.why for e in bench.seen(events.Decision))
    assert bench.outcome == ("completed", "none")


@every_session
def test_connection_is_closed_right_after_the_last_response(service, mode):
    bench = Bench(service, mode).run()
    assert bench.closed_at - bench.requests[-1].t < 0.1
    assert bench.left_safely
    stop = bench.one("SessionStopReq")
    assert stop.charging_session is common.ChargingSession.TERMINATE
    assert stop.ev_termination_explanation == "3 charge loops done"


@every_session
def test_energy_needs_are_told_with_and_without_a_cycling_window(service, mode):
    bench = Bench(service, mode).run()
    sent = bench.one("ScheduleExchangeReq").control_mode
    assert number(sent.ev_target_energy_request) == 20_000.0
    assert number(sent.ev_minimum_energy_request) == -1000.0
    if mode is DYNAMIC:
        assert sent.ev_maximum_v2x_energy_request is None


@pytest.mark.req("V2G20-2681")
@pytest.mark.parametrize("service", [DC_BPT, EnergyService.AC_BPT])
@pytest.mark.parametrize(("most", "least"), [(9000.0, -3000.0), (9000.0, None), (None, -3000.0)])
def test_cycling_window_is_told_as_a_pair_or_not_at_all(service, most, least):
    needs = EnergyNeeds(1000.0, 2000.0, 0.0, most, least)
    bench = Bench(service, state=car(service, needs=needs)).run()
    loop = next(s.message for s in bench.requests if hasattr(s.message, "cl_req_control_mode"))
    for mode in bench.one("ScheduleExchangeReq").control_mode, loop.cl_req_control_mode:
        pair = mode.ev_maximum_v2x_energy_request, mode.ev_minimum_v2x_energy_request
        if None in (most, least):
            assert pair == (None, None)
        else:
            assert tuple(map(number, pair)) == (most, least)


def test_progress_is_observable():
    bench = Bench().run()
    phases = [e.state for e in bench.seen(events.StateEntered)]
    assert phases[0] == "SESSION_SETUP"
    assert phases[-1] == "SESSION_STOP"
    flows = bench.seen(events.PowerFlow)
    assert len(flows) == 4
    assert flows[0].voltage_v == 350.0
    assert len(bench.seen(events.MessageSent)) == len(bench.seen(events.MessageReceived))
    established = bench.seen(events.SessionEstablished)[0]
    assert (established.session_id, established.peer_id) == (SESSION_ID, "DE*ABC*E1")
    assert bench.seen(events.QuestionAnswered)
