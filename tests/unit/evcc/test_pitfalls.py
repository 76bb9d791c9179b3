"""Behaviour of stations in the field that the car has to live with, by the number in the collection."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iso15118 import events
from iso15118.control.ev import SetPower
from iso15118.evcc.iso20 import ac as ev_ac
from iso15118.messages.iso20 import ac, common
from iso15118.messages.iso20.numbers import number, rational
from iso15118.messages.iso20.types import (
    EvseNotification,
    EVSEStatus,
    MessageHeader,
    Processing,
    RationalNumber,
    ResponseCode,
)
from iso15118.messages.minimal import minimal
from iso15118.messages.sap import ResponseCode as SapCode
from iso15118.messages.sap import SupportedAppProtocolRes
from iso15118.messages.xmldsig import Signature
from tests.unit.evcc.harness import AC, CLOSE, DC, DC_BPT, DYNAMIC, SCHEDULED, Bench, car, config
from tests.unit.evcc.station import Station, entry, integer, offer, parameter_set, schedule
from tests.unit.evcc.test_schedules import absolute, levels


@pytest.mark.parametrize("mode", [SCHEDULED, DYNAMIC])
@pytest.mark.parametrize("service", [AC, DC])
def test_pitfall_02_josev_gets_the_optional_elements_it_demands(service, mode):
    """EVPowerProfile at the start, PowerToleranceAcceptance, ChargingComplete."""
    bench = Bench(service, mode).run()
    profile = bench.all("PowerDeliveryReq")[0].ev_power_profile
    assert profile is not None
    if mode is SCHEDULED:
        assert profile.control_mode.power_tolerance_acceptance is not None
    for request in bench.all(f"{service.name}_ChargeLoopReq"):
        assert request.display_parameters.charging_complete is not None


def test_pitfall_02_josev_stamps_in_seconds():
    bench = Bench(station=Station(unit=1.0)).run()
    assert bench.outcome == ("completed", "none")
    assert bench.last.header.time_stamp > 10**15


def test_pitfall_04_josev_refuses_an_early_session_stop():
    bench = Bench()
    bench.station.alter(
        "SessionStopReq",
        response_code=ResponseCode.FAILED_SEQUENCE_ERROR,
        header=MessageHeader(session_id=bytes(8), time_stamp=1),
    )
    listed = common.ServiceList(service=(common.Service(service_id=5, free_service=False),))
    bench.station.alter("ServiceDiscoveryReq", energy_transfer_service_list=listed)
    assert bench.run().outcome == ("refused", "remote")
    assert bench.left_safely


def test_pitfall_05_standby_is_never_asked_for():
    for service in AC, DC:
        progress = [p.charge_progress for p in Bench(service).run().all("PowerDeliveryReq")]
        assert progress == [common.ChargeProgress.START, common.ChargeProgress.STOP]


def test_pitfall_07_slow_loop_turns_within_half_a_second_are_lived_with():
    bench = Bench()
    bench.station.on("DC_ChargeLoopReq", lambda req, res, n: bench.send(res, after=0.45))
    assert bench.run().outcome == ("completed", "none")


def test_pitfall_09_everest_without_meter_prices_and_with_sets_from_zero():
    bench = Bench(DC, SCHEDULED)
    sets = (parameter_set(0, 1, Connector=2, MobilityNeedsMode=1, Pricing=0),)
    bench.station.alter(
        "ServiceDetailReq", service_parameter_list=common.ServiceParameterList(parameter_set=sets)
    )
    assert bench.run().outcome == ("completed", "none")
    assert bench.one("ServiceSelectionReq").selected_energy_transfer_service.parameter_set_id == 0


def test_pitfall_09_everest_forwards_a_refused_authorization_never():
    """Ongoing for three minutes: the EV waits for the customer, but not for ever."""
    bench = Bench(config=config(poll_interval_s=1.0))
    bench.station.alter(
        "AuthorizationReq", evse_processing=Processing.ONGOING_WAITING_FOR_CUSTOMER_INTERACTION
    )
    assert bench.run().outcome == ("timeout", "remote")


def test_pitfall_10_everest_accepts_ac_on_a_dc_station():
    """The list of services is checked against the agreed namespace."""
    bench = Bench(DC, config=config(AC))
    bench.station.on(
        "SupportedAppProtocolReq",
        SupportedAppProtocolRes(response_code=SapCode.OK_SUCCESSFUL_NEGOTIATION, schema_id=1),
    )
    assert bench.run().ended.detail == "no suitable service"
    assert bench.names[-1] == "SessionStopReq"


def test_pitfall_11_isomux_would_take_iso_15118_20_without_tls():
    assert Bench(config=config(insecure_no_tls=False)).run().names == []


@pytest.mark.parametrize("sign", [1, -1])
def test_pitfall_15_discharge_limits_of_either_sign(sign):
    bench = Bench(DC_BPT)

    def signed(req, res, n):
        mode = replace(
            res.dc_cpd_res_energy_transfer_mode,
            evse_maximum_discharge_power=rational(sign * 9000.0),
            evse_minimum_discharge_power=rational(sign * 100.0),
            evse_maximum_discharge_current=rational(sign * 25.0),
            evse_minimum_discharge_current=rational(sign * 1.0),
        )
        return replace(res, dc_cpd_res_energy_transfer_mode=mode)

    bench.station.on("DC_ChargeParameterDiscoveryReq", signed)
    bench.run(until=bench.in_phase("SCHEDULE_EXCHANGE"))
    found = bench.machine.ev.evse_limits.discharge
    assert (found.max_power_w, found.max_current_a, found.min_power_w) == (9000.0, 25.0, 100.0)
    assert bench.run().outcome == ("completed", "none")


@pytest.mark.req("V2G20-1818")
def test_pitfall_15a_odd_numbers_of_a_tester():
    """Zero as 0·10⁻⁵, limits as 29900·10⁻¹, present power in the charge parameters, a repeated parameter."""
    bench = Bench(AC, SCHEDULED)
    mode = ac.AC_CPDResEnergyTransferMode(
        evse_maximum_charge_power=RationalNumber(exponent=-1, value=29_900),
        evse_maximum_charge_power_l2=RationalNumber(exponent=-1, value=29_900),
        evse_maximum_charge_power_l3=RationalNumber(exponent=-1, value=29_900),
        evse_minimum_charge_power=RationalNumber(exponent=-5, value=0),
        evse_nominal_frequency=RationalNumber(exponent=0, value=50),
        evse_present_active_power=RationalNumber(exponent=-5, value=0),
    )
    bench.station.alter("AC_ChargeParameterDiscoveryReq", ac_cpd_res_energy_transfer_mode=mode)
    repeated = parameter_set(1, 1, integer("GeneratorMode", 1), integer("GeneratorMode", 2))
    bench.station.alter(
        "ServiceDetailReq", service_parameter_list=common.ServiceParameterList(parameter_set=(repeated,))
    )
    without_target = bench.station.ac_mode(None)
    bench.station.on("AC_ChargeLoopReq", lambda req, res, n: replace(res, cl_res_control_mode=without_target))
    bench.run()
    assert bench.outcome == ("completed", "none")
    assert bench.machine.ev.evse_limits.charge.max_power_w == 8970.0
    assert ev_ac.total(mode, "evse_present_active_power") == 0.0
    assert ev_ac.total(mode, "no_such_power") is None


def test_pitfall_15a_schedules_of_a_tester():
    """Tuples 42 and 48, an absolute and a level price, anchors of 2020 and 0, a discharge schedule below zero."""
    anchor = 1_577_836_800_000_000
    bench = Bench(DC_BPT, SCHEDULED)
    first = schedule(entry(86_400, 60_000.0), anchor=anchor, price_schedule=absolute(0.4))
    second = schedule(entry(86_400, 60_000.0), anchor=0, price_schedule=levels(0, 0))
    bench.station.offers = (
        offer(42, first, schedule(entry(86_400, -20_000.0), anchor=anchor)),
        offer(48, second, schedule(entry(86_400, -20_000.0))),
    )
    assert bench.run().outcome == ("completed", "none")
    options = next(q.options for q in bench.questions if hasattr(q, "options"))
    assert [o.tuple_id for o in options] == [42, 48]
    assert {o.discharge[0].power_w for o in options} == {20_000.0}


def test_pitfall_15b_signature_where_none_is_expected_is_ignored():
    bench = Bench()

    def signed(req, res, n):
        if type(req).__name__ == "SupportedAppProtocolReq":
            return res
        return replace(res, header=replace(res.header, signature=minimal(Signature)))

    bench.station.on("*", signed)
    assert bench.run().outcome == ("completed", "none")


def test_pitfall_16_supported_service_ids_are_always_sent():
    assert Bench().run().one("ServiceDiscoveryReq").supported_service_ids.service_id == (2,)


def test_pitfall_18_parameters_in_bytes_and_shorts():
    bench = Bench()
    named = [
        common.Parameter(name="Connector", value=common.ByteValue(value=2)),
        common.Parameter(name="ControlMode", value=common.ShortValue(value=2)),
    ]
    sets = (common.ParameterSet(parameter_set_id=1, parameter=tuple(named)),)
    bench.station.alter(
        "ServiceDetailReq", service_parameter_list=common.ServiceParameterList(parameter_set=sets)
    )
    assert bench.run().outcome == ("completed", "none")


def test_pitfall_19_priority_and_schema_id_are_told_apart():
    """The station answers with the SchemaID of our second choice, which is not its place in the array."""
    bench = Bench(AC, config=config(DC, AC))
    bench.station.on(
        "SupportedAppProtocolReq",
        lambda req, res, n: replace(
            res, schema_id=next(p.schema_id for p in req.app_protocol if p.priority == 2)
        ),
    )
    assert bench.run().outcome == ("completed", "none")
    assert "AC_ChargeLoopReq" in bench.names


@pytest.mark.parametrize("phase", ["SESSION_SETUP", "SCHEDULE_EXCHANGE", "CABLE_CHECK", "CHARGE_LOOP"])
def test_pitfall_20_end_of_stream_is_the_end_of_the_session(phase):
    bench = Bench()
    bench.when(bench.in_phase(phase), lambda: bench.send(CLOSE, after=0.001)).run()
    assert bench.outcome == ("peer closed", "remote")


def test_pitfall_20_timers_expire_while_nothing_arrives():
    bench = Bench()
    bench.station.on("SessionSetupReq", None)
    bench.run(until=bench.asked_for("SessionSetupReq"))
    assert bench.machine.deadline == pytest.approx(bench.now + 2.0)


@pytest.mark.parametrize("wanted", [0.0, 390.0])
def test_pitfall_21_target_voltage_is_never_zero_in_the_loop(wanted):
    bench = Bench(DC, SCHEDULED, state=car(target_voltage_v=wanted)).run()
    sent = [number(x.cl_req_control_mode.ev_target_voltage) for x in bench.all("DC_ChargeLoopReq")]
    assert set(sent) == {wanted or 420.0}


def test_pitfall_22_unsuitable_offers_end_with_an_explanation():
    bench = Bench()
    listed = common.ServiceList(service=(common.Service(service_id=3, free_service=False),))
    bench.station.alter("ServiceDiscoveryReq", energy_transfer_service_list=listed)
    assert bench.run().one("SessionStopReq").ev_termination_explanation == "no suitable service"


@pytest.mark.parametrize("what", list(EvseNotification), ids=str)
def test_pitfall_01_no_notification_is_unimplemented(what):
    """Josev's car raises NotImplementedError on four of six."""
    bench = Bench(config=config(max_loops=4))
    status = EVSEStatus(notification_max_delay=10, evse_notification=what)
    bench.station.alter("DC_ChargeLoopReq", first=1, last=1, evse_status=status)
    assert bench.run().outcome[0] in ("completed", "paused")


def test_pitfall_12_levels_may_come_before_the_command():
    """A car whose contactor reports before it was asked, and set-points that come back at once."""
    bench = Bench(AC)
    obey = bench._obey
    bench._obey = lambda c: bench.update(power_w=c.power_w) if isinstance(c, SetPower) else obey(c)
    assert bench.run().outcome == ("completed", "none")
    assert [round(e.power_w) for e in bench.seen(events.PowerFlow)][:3] == [0, 5000, 5000]
