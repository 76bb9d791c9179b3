"""Defects of other stacks that ours must not have, as far as they concern the car's side.

The numbers are those of the collection of defects; what a number means beyond the EVCC is tested elsewhere.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from iso15118 import events
from iso15118.control.common import Contactor, EnergyService
from iso15118.control.ev import Deenergise
from iso15118.messages import namespaces
from iso15118.messages.iso20 import common
from iso15118.messages.iso20.numbers import rational
from iso15118.messages.iso20.types import (
    EvseNotification,
    EVSEStatus,
    MessageHeader,
    Processing,
    ResponseCode,
)
from iso15118.messages.sap import ResponseCode as SapCode
from iso15118.messages.sap import SupportedAppProtocolRes
from tests.unit.evcc.harness import AC, CLOSE, CLOSE_IT, DC, DYNAMIC, PILOT_B, SCHEDULED, Bench, config
from tests.unit.evcc.station import SILENT, integer, offer, parameter_set, schedule


@pytest.mark.parametrize(
    "name", ["AuthorizationReq", "DC_CableCheckReq", "DC_ChargeLoopReq", "SessionStopReq"]
)
def test_regression_01_session_id_is_compared_in_every_response(name):
    bench = Bench()
    bench.station.alter(name, header=MessageHeader(session_id=bytes(8), time_stamp=0))
    assert bench.run().outcome == ("protocol", "remote")
    assert bench.names[-1] == name


def test_regression_03_nothing_of_iso_15118_20_is_offered_without_tls():
    """The decision is ours and does not depend on what the station would take."""
    bench = Bench(config=config(AC, DC, insecure_no_tls=False)).run()
    assert bench.names == []
    assert bench.outcome == ("local", "local")


def test_regression_06_schema_id_of_the_answer_is_checked():
    """One that is valid but was not offered, and the one that means another protocol."""
    for schema_id in None, 0, 3:
        bench = Bench(config=config(DC, AC))
        agreed = SupportedAppProtocolRes(response_code=SapCode.OK_SUCCESSFUL_NEGOTIATION, schema_id=schema_id)
        bench.station.on("SupportedAppProtocolReq", agreed)
        assert bench.run().outcome == ("protocol", "remote"), schema_id


def test_regression_06_version_of_iso_15118_20_is_one():
    bench = Bench(config=config(DC, AC)).run()
    offered = bench.one("SupportedAppProtocolReq").app_protocol
    assert {(p.version_number_major, p.version_number_minor) for p in offered} == {(1, 0)}
    assert [p.priority for p in offered] == [1, 2]


@pytest.mark.parametrize("service", [AC, DC])
def test_regression_07_charge_loop_timeout_is_half_a_second(service):
    """A contactor must not stay closed for a minute at a silent station."""
    bench = Bench(service)
    name = f"{service.name}_ChargeLoopReq"
    bench.station.on(name, lambda req, res, n: res if n < 2 else SILENT)
    bench.run()
    assert bench.ended.t - bench.requests[-1].t == pytest.approx(0.5)
    assert isinstance(bench.orders[-2], Deenergise)


@pytest.mark.req("V2G20-1499")
@pytest.mark.req("V2G20-1501")
@pytest.mark.parametrize("service", [AC, DC])
def test_regression_07_next_loop_request_follows_within_a_quarter_second(service):
    bench = Bench(service, config=config(service, max_loops=20, loop_interval_s=0.25)).run()
    times = [s.t for s in bench.requests if "ChargeLoop" in type(s.message).__name__]
    assert max(b - a for a, b in itertools.pairwise(times)) <= 0.25 + 0.0051, "plus the way of the response"


def test_regression_08_refusal_of_authorization_is_understood_at_once():
    bench = Bench()
    bench.station.alter("AuthorizationReq", response_code=ResponseCode.WARNING_EIM_AUTHORIZATION_FAILURE)
    assert bench.run().outcome == ("refused", "remote")
    assert bench.ended.t < 101.0


def test_regression_09_contactor_that_is_closed_early_is_accepted():
    """A level, not an edge: nothing waits for a change that has been already."""
    bench = Bench()
    bench.when(bench.in_phase("PRE_CHARGE"), lambda: bench.update(contactor=Contactor.CLOSED))
    assert bench.run().outcome == ("completed", "none")


def test_regression_09_report_of_open_does_not_latch_closed():
    bench = Bench(stuck_contactor=True)

    def flicker():
        bench.update(contactor=Contactor.UNKNOWN)
        bench.update(contactor=Contactor.OPEN)

    bench.when(lambda: CLOSE_IT in bench.orders, lambda: bench.at(0.5, flicker)).run()
    assert bench.outcome == ("local", "local")
    assert "PowerDeliveryReq" not in bench.names


def test_regression_10_meter_reading_is_requested_in_the_first_loop():
    assert Bench().run().all("DC_ChargeLoopReq")[0].meter_info_requested


@pytest.mark.parametrize("mode", [SCHEDULED, DYNAMIC])
@pytest.mark.parametrize("service", [AC, DC])
def test_regression_11_optional_means_optional(service, mode):
    """No status, meter, receipt, price, tolerance, target: the least a response may hold."""
    bench = Bench(service, mode)
    bench.station.offers = (offer(1, schedule()),)
    if service is AC and mode is SCHEDULED:
        least = bench.station.ac_mode(None)
        bench.station.on("AC_ChargeLoopReq", lambda req, res, n: replace(res, cl_res_control_mode=least))
    assert bench.run().outcome == ("completed", "none")
    discovery = "AC_ChargeParameterDiscoveryReq" if service is AC else "DC_ChargeParameterDiscoveryReq"
    mode_sent = next(v for k, v in vars_of(bench.one(discovery)) if k.endswith("energy_transfer_mode"))
    assert getattr(mode_sent, "target_soc", None) is None


def vars_of(message):
    return [(name, getattr(message, name)) for name in type(message).__dataclass_fields__]


def test_regression_12_unknown_services_do_not_end_the_session():
    bench = Bench()
    listed = tuple(common.Service(service_id=i, free_service=False) for i in (1000, 2, 9))
    values = tuple(common.Service(service_id=i, free_service=False) for i in (65, 66, 60_000))
    bench.station.alter(
        "ServiceDiscoveryReq",
        energy_transfer_service_list=common.ServiceList(service=listed),
        vas_list=common.ServiceList(service=values),
    )
    assert bench.run().outcome == ("completed", "none")
    assert bench.one("ServiceSelectionReq").selected_vas_list is None


@pytest.mark.parametrize("service", [EnergyService.MCS, EnergyService.MCS_BPT])
def test_regression_12_megawatt_charging_rides_the_dc_set(service):
    bench = Bench(service).run()
    assert bench.one("SupportedAppProtocolReq").app_protocol[0].protocol_namespace == namespaces.DC
    assert bench.outcome == ("completed", "none")


def test_regression_12_fall_back_stays_within_the_agreed_message_set():
    """DC is not offered after all: the AC the car could take as well is no way out after :-20:DC."""
    bench = Bench(config=config(DC, AC))
    only_ac = common.ServiceList(service=(common.Service(service_id=1, free_service=False),))
    bench.station.alter("ServiceDiscoveryReq", energy_transfer_service_list=only_ac)
    assert bench.run().ended.detail == "no suitable service"


@pytest.mark.req("V2G20-1477")
@pytest.mark.parametrize("service", [AC, DC])
def test_regression_13_renegotiation_builds_its_next_request(service):
    """And DC goes through cable check and pre-charge again."""
    bench = Bench(service, config=config(service, max_loops=30))
    status = EVSEStatus(notification_max_delay=0, evse_notification=EvseNotification.SERVICE_RENEGOTIATION)
    bench.station.alter(f"{service.name}_ChargeLoopReq", first=1, last=1, evse_status=status)
    bench.run()
    assert bench.names.count("ServiceDiscoveryReq") == 2
    assert bench.names.count("AuthorizationReq") == 1
    if service is DC:
        assert bench.names.count("DC_CableCheckReq") == 2
        assert bench.orders.count(CLOSE_IT) == 2
    assert bench.outcome == ("completed", "none")


def test_regression_15_power_delivery_follows_only_a_finished_pre_charge():
    bench = Bench().run()
    before = bench.requests[bench.names.index("PowerDeliveryReq") - 1].message
    assert before.ev_processing is Processing.FINISHED


def test_regression_15_pre_charge_is_not_finished_by_the_word_of_the_station_alone():
    bench = Bench()
    bench.station._follow = lambda request: setattr(bench.station, "voltage", 350.0)
    assert bench.run().outcome == ("timeout", "remote")
    assert {p.ev_processing for p in bench.all("DC_PreChargeReq")} == {Processing.ONGOING}


def test_regression_16_empty_dynamic_profile_and_long_schedules_go_over_the_wire():
    entries = [common.PowerScheduleEntry(duration=60, power=rational(1000.0 + i)) for i in range(1000)]
    bench = Bench(DC, SCHEDULED)
    bench.station.offers = tuple(offer(n, schedule(*entries)) for n in (1, 2, 3))
    assert bench.run().outcome == ("completed", "none")
    assert Bench(DC, DYNAMIC).run().outcome == ("completed", "none")


@pytest.mark.parametrize("phase", ["AUTHORIZATION", "CHARGE_LOOP"])
def test_regression_18_closed_peer_is_reported_once(phase):
    bench = Bench()
    bench.when(bench.in_phase(phase), lambda: bench.send(CLOSE)).run()
    before = len(bench.seen_events)
    for _ in range(5):
        bench.send(CLOSE)
    bench.machine.tick(bench.now + 100.0)
    bench._drain()
    assert len(bench.seen_events) == before
    assert len(bench.seen(events.SessionEnded)) == 1
    assert bench.orders[-1] == PILOT_B


def test_regression_20_two_cars_in_one_process_do_not_touch_each_other():
    good, bad = Bench(DC), Bench(AC)
    bad.station.on("AuthorizationReq", b"\xff\xff")
    bad.controller.wanted = (DC,)
    while not good.machine.ended:
        for bench in (good, bad):
            goal = bench.now + 0.05
            bench.run(until=lambda bench=bench, goal=goal: bench.now >= goal)
    assert good.outcome == ("completed", "none")
    assert bad.outcome == ("protocol", "remote")


def test_regression_11_parameter_sets_may_lack_everything_but_control_mode():
    bench = Bench()
    sets = (parameter_set(1, 2), common.ParameterSet(parameter_set_id=2, parameter=(integer("Pricing", 0),)))
    bench.station.alter(
        "ServiceDetailReq", service_parameter_list=common.ServiceParameterList(parameter_set=sets)
    )
    assert bench.run().outcome == ("completed", "none")
