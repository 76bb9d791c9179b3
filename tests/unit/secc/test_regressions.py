"""Defects seen in other stacks, and habits of real EVs, by number of the list they stand in."""

from __future__ import annotations

import time

import pytest

from iso15118.config import SeccConfig, SeccTimers
from iso15118.control.common import Contactor, CpState, EnergyService, Wish
from iso15118.control.evse import Authorization, CloseContactor, Deenergise
from iso15118.events import EndReason
from iso15118.machine import PeerClosed
from iso15118.messages import namespaces as ns
from iso15118.messages import sap
from iso15118.messages.iso20 import common, dc
from iso15118.messages.iso20 import schedules as plan
from iso15118.messages.iso20.numbers import number
from iso15118.messages.iso20.types import (
    DisplayParameters,
    MessageHeader,
    Processing,
    RationalNumber,
    ResponseCode,
)
from iso15118.messages.minimal import minimal
from iso15118.messages.xmldsig import Signature
from iso15118.secc.session import State
from tests.unit.secc.harness import bench, reach, walk
from tests.unit.secc.messages import NO_SESSION, WRONG_SESSION, Ev, handshake, protocol

S, Code = State, ResponseCode


# --- defects in other stacks ------------------------------------------------------------------


@pytest.mark.req("V2G20-460")
@pytest.mark.req("V2G20-2621")
def test_regression_01_session_id_is_compared_and_comes_from_the_entropy_source() -> None:
    for session_id in (NO_SESSION, WRONG_SESSION):
        for state in (S.AUTHORIZATION_SETUP, S.CHARGE_LOOP, S.WELDING_DETECTION):
            made = reach(state)
            foreign = Ev(made.ev.service, made.ev.control, session_id)
            assert made.send(foreign.session_stop()).response_code is Code.FAILED_UNKNOWN_SESSION
    made = reach(S.SESSION_SETUP)
    made.machine._entropy = lambda count: bytes(range(0xF0, 0xF0 + count))
    response = made.send(made.ev.session_setup())
    assert response.header.session_id == bytes(range(0xF0, 0xF8)), "all 64 bits, nothing derived"


@pytest.mark.parametrize("default", [SeccConfig()])
def test_regression_03_iso_15118_20_needs_tls_and_the_offer_does_not_change_that(default: SeccConfig) -> None:
    assert default.insecure_no_tls is False
    for offers in ((protocol(ns.DC),), (protocol(ns.DC, 1, 0), protocol(ns.AC, 2, 1))):
        made = bench(insecure_no_tls=False)
        response = made.send(handshake(*offers))
        assert response == sap.SupportedAppProtocolRes(response_code=sap.ResponseCode.FAILED_NO_NEGOTIATION)


@pytest.mark.req("V2G20-169")
def test_regression_06_priority_is_read_and_nothing_unserved_is_accepted() -> None:
    made = bench("DC")
    response = made.send(handshake(protocol(ns.AC, 1, 1), protocol(ns.DC, 5, 2), protocol(ns.DC, 4, 0)))
    assert response.schema_id == 0
    made = bench("DC")
    response = made.send(handshake(protocol(ns.DC, major=2), protocol(ns.AC)))
    assert response.schema_id is None


@pytest.mark.parametrize("service", ["AC", "DC"])
def test_regression_07_half_a_second_in_the_loop(service: str) -> None:
    made = reach(S.CHARGE_LOOP, service)
    made.send(made.ev.loop())
    made.advance(0.51)
    assert made.end.reason is EndReason.TIMEOUT
    assert made.issued(Deenergise)


@pytest.mark.req("V2G20-2219")
def test_regression_08_rejection_reaches_the_car_at_once() -> None:
    made = reach(S.AUTHORIZATION)
    made.answering = False
    asked_at = made.clock.now
    made.send(made.ev.authorization())
    made.clock.now += 0.3
    made.answer(Authorization(False, "blocked"))
    response = made.sent[-1]
    assert response.evse_processing is Processing.FINISHED
    assert response.response_code is Code.WARNING_EIM_AUTHORIZATION_FAILURE
    assert made.clock.now - asked_at < 1.5


def test_regression_09_contactor_is_a_level() -> None:
    early = reach(S.POWER_DELIVERY, "AC")
    early.obedient = False
    early.levels(cp=CpState.C, locked=True, contactor=Contactor.CLOSED)
    assert early.send(early.ev.start()).response_code is Code.OK, "closed before it was asked for"
    assert not early.issued(CloseContactor)
    flapping = reach(S.POWER_DELIVERY, "AC")
    flapping.obedient = False
    flapping.levels(cp=CpState.C, locked=True)
    flapping.levels(contactor=Contactor.CLOSED)
    flapping.levels(contactor=Contactor.OPEN)
    assert flapping.send(flapping.ev.start()) is None, "open again is open"
    flapping.levels(contactor=Contactor.CLOSED)
    assert flapping.sent[-1].response_code is Code.OK


@pytest.mark.req("V2G20-1081")
def test_regression_10_meter_info_requested() -> None:
    made = reach(S.CHARGE_LOOP)
    made.send(made.ev.loop())
    made.clock.now += 0.1
    assert made.send(made.ev.loop(meter=True)).meter_info.meter_id == "METER"


def test_regression_11_optional_means_optional() -> None:
    made = reach(S.SERVICE_DISCOVERY, "DC", "SCHEDULED")
    assert made.send(made.ev.service_discovery()).response_code is Code.OK, "no SupportedServiceIDs"
    walk(made, S.SCHEDULE_EXCHANGE)
    offered = made.send(made.ev.schedule_exchange()).control_mode.schedule_tuple[0]
    assert offered.charging_schedule.price_schedule is None
    walk(made, S.CHARGE_LOOP)
    request = made.ev.loop()
    for shown in (None, DisplayParameters(), DisplayParameters(charging_complete=True)):
        made.clock.now += 0.1
        again = type(request)(
            header=request.header,
            display_parameters=shown,
            meter_info_requested=False,
            ev_present_voltage=request.ev_present_voltage,
            cl_req_control_mode=request.cl_req_control_mode,
        )
        assert made.send(again).response_code is Code.OK


@pytest.mark.parametrize("service", ["MCS", "MCS_BPT"])
def test_regression_12_megawatt_services_ride_on_dc(service: str) -> None:
    made = reach(S.SERVICE_DISCOVERY, service)
    assert made.record.namespace == ns.DC
    listed = made.send(made.ev.service_discovery()).energy_transfer_service_list.service
    assert [s.service_id for s in listed] == [EnergyService[service]]
    walk(made, S.CHARGE_LOOP)
    assert made.send(made.ev.loop()).response_code is Code.OK


@pytest.mark.req("V2G20-1477")
def test_regression_13_service_renegotiation_goes_through_the_whole_dc_sequence_again() -> None:
    made = reach(S.CHARGE_LOOP)
    made.levels(wish=Wish.SERVICE_RENEGOTIATION)
    made.send(made.ev.loop())
    walk(made, S.WELDING_DETECTION)
    made.levels(cp=CpState.B, wish=None)
    made.send(made.ev.session_stop("SERVICE_RENEGOTIATION"))
    walk(made, S.CHARGE_LOOP)
    assert made.send(made.ev.loop()).response_code is Code.OK


@pytest.mark.req("V2G20-2626")
def test_regression_14_no_resume_without_the_vehicle_certificate() -> None:
    made = reach(S.SESSION_SETUP)
    made.ev.session_id = WRONG_SESSION
    response = made.send(made.ev.session_setup())
    assert response.response_code is Code.OK_NEW_SESSION_ESTABLISHED
    assert response.header.session_id != WRONG_SESSION
    assert not made.record.authorized


def test_regression_15_power_delivery_only_after_a_finished_pre_charge() -> None:
    made = reach(S.PRE_CHARGE)
    for _ in range(3):
        made.send(made.ev.pre_charge())
    assert made.state.voltage_v == 400.0
    assert made.send(made.ev.start()).response_code is Code.FAILED
    assert made.issued(Deenergise)


def test_regression_16_empty_dynamic_profile_and_long_schedules() -> None:
    made = reach(S.POWER_DELIVERY, "AC")
    made.levels(cp=CpState.C)
    entry = plan.PowerScheduleEntry(duration=60, power=RationalNumber(exponent=0, value=0))
    profile = plan.EVPowerProfile(
        time_anchor=0,
        control_mode=plan.Dynamic_EVPPTControlMode(),
        ev_power_profile_entries=plan.EVPowerProfileEntryList(ev_power_profile_entry=(entry,) * 2048),
    )
    assert made.send(made.ev.power_delivery("START", profile=profile)).response_code is Code.OK


def test_regression_20_machines_share_nothing() -> None:
    broken, sound = reach(S.CHARGE_LOOP), reach(S.CHARGE_LOOP)
    broken.send_octets(b"nonsense")
    assert broken.end.reason is EndReason.PROTOCOL
    assert sound.send(sound.ev.loop()).response_code is Code.OK


# --- habits of real EVs and stations ----------------------------------------------------------


@pytest.mark.req("V2G20-2656")
def test_pitfall_01_the_preferred_parameter_set_comes_first() -> None:
    from iso15118.control.common import ControlMode

    for preferred in ControlMode:
        other = next(m for m in ControlMode if m is not preferred)
        made = reach(S.SERVICE_DETAIL, control_modes=(preferred, other))
        first = made.send(made.ev.service_detail()).service_parameter_list.parameter_set[0]
        assert {p.name: p.value.value for p in first.parameter}["ControlMode"] == preferred


@pytest.mark.parametrize("stamp", [0, 1, 1_750_000_000, 1_750_000_000_000, 2**64 - 1])
def test_pitfall_02_time_stamps_of_the_ev_are_never_a_reason(stamp: int) -> None:
    made = reach(S.SERVICE_DISCOVERY)
    header = MessageHeader(session_id=made.record.session_id, time_stamp=stamp)
    assert made.send(common.ServiceDiscoveryReq(header=header)).response_code is Code.OK


def test_pitfall_03_a_request_before_session_setup_gets_an_answer() -> None:
    made = reach(S.SESSION_SETUP)
    assert made.send(made.ev.authorization_setup()).response_code is Code.FAILED_SEQUENCE_ERROR


def test_pitfall_04_session_stop_right_after_session_setup_and_true_times_in_refusals() -> None:
    made = reach(S.AUTHORIZATION_SETUP)
    assert made.send(made.ev.session_stop()).response_code is Code.OK
    made = reach(S.AUTHORIZATION_SETUP)
    refused = made.send(made.ev.cable_check())
    assert refused.header.time_stamp == pytest.approx(made.clock.utc() * 1e6, abs=2)


def test_pitfall_05_standby_not_allowed_does_not_end_anything() -> None:
    made = reach(S.CHARGE_LOOP)
    assert made.send(made.ev.power_delivery("STANDBY")).response_code is Code.WARNING_STANDBY_NOT_ALLOWED
    made.clock.now += 0.1
    assert made.send(made.ev.loop()).response_code is Code.OK


def test_pitfall_07_slow_loops_can_be_tolerated() -> None:
    made = reach(S.CHARGE_LOOP, "AC", timers=SeccTimers(loop_sequence_s=1.0))
    for _ in range(5):
        assert made.send(made.ev.loop()).response_code is Code.OK
        made.advance(0.54)
        made.levels()
    assert made.end is None


def test_pitfall_08_a_loop_turn_costs_far_less_than_the_ev_waits() -> None:
    made = reach(S.CHARGE_LOOP, "DC_BPT")
    request = made.ev.loop(meter=True)
    began = time.perf_counter()
    for _ in range(20):
        made.clock.now += 0.1
        made.send(request)
    assert (time.perf_counter() - began) / 20 < 0.05


def test_pitfall_09_session_stop_is_accepted_in_the_loop() -> None:
    made = reach(S.CHARGE_LOOP)
    made.send(made.ev.session_stop())
    made.levels(cp=CpState.B)
    assert made.sent[-1].response_code is Code.OK
    assert made.state.contactor is Contactor.OPEN


def test_pitfall_10_ac_is_not_accepted_on_a_dc_station() -> None:
    made = bench("DC")
    assert made.send(handshake(protocol(ns.AC))).schema_id is None


def test_pitfall_12_an_early_contactor_is_not_lost() -> None:
    made = reach(S.POWER_DELIVERY, "AC")
    made.levels(cp=CpState.C, contactor=Contactor.CLOSED, locked=True)
    assert made.send(made.ev.start()).response_code is Code.OK


def test_pitfall_15_both_signs_of_discharge_limits_mean_the_same() -> None:
    records = []
    for sign in (1.0, -1.0):
        made = reach(S.CHARGE_PARAMETER_DISCOVERY, "DC_BPT")
        response = made.send(
            made.ev.charge_parameters(
                ev_maximum_discharge_power=sign * 9_000, ev_maximum_discharge_current=sign * 20
            )
        )
        mode = response.dc_cpd_res_energy_transfer_mode
        assert number(mode.evse_maximum_discharge_power) == sign * 20_000
        records.append(made.record.ev_limits.discharge)
    assert records[0] == records[1]


def test_pitfall_15a_odd_numbers() -> None:
    made = reach(S.CHARGE_PARAMETER_DISCOVERY)
    zero = RationalNumber(exponent=-5, value=0)
    mode = dc.DC_CPDReqEnergyTransferMode(
        ev_maximum_charge_power=RationalNumber(exponent=3, value=100),
        ev_minimum_charge_power=zero,
        ev_maximum_charge_current=RationalNumber(exponent=-1, value=2500),
        ev_minimum_charge_current=zero,
        ev_maximum_voltage=RationalNumber(exponent=-1, value=4500),
        ev_minimum_voltage=zero,
    )
    request = made.ev.make(dc.DC_ChargeParameterDiscoveryReq, dc_cpd_req_energy_transfer_mode=mode)
    assert made.send(request).response_code is Code.OK
    assert made.record.ev_limits.charge.max_current_a == 250


def test_pitfall_15b_a_signature_where_none_is_due_is_ignored() -> None:
    made = reach(S.SERVICE_DISCOVERY)
    from iso15118.messages import xmldsig

    signature = minimal(
        Signature,
        signed_info=minimal(
            xmldsig.SignedInfo,
            canonicalization_method=minimal(xmldsig.CanonicalizationMethod, algorithm="c"),
            signature_method=minimal(xmldsig.SignatureMethod, algorithm="s"),
            reference=(
                minimal(
                    xmldsig.Reference,
                    digest_method=minimal(xmldsig.DigestMethod, algorithm="d"),
                    digest_value=xmldsig.DigestValue(value=b"\x01"),
                ),
            ),
        ),
        signature_value=minimal(xmldsig.SignatureValue, value=b"\x02"),
    )
    header = MessageHeader(session_id=made.record.session_id, time_stamp=1, signature=signature)
    assert made.send(common.ServiceDiscoveryReq(header=header)).response_code is Code.OK


def test_pitfall_16_supported_service_ids_are_harmless() -> None:
    made = reach(S.SERVICE_DISCOVERY)
    ids = common.ServiceIDList(service_id=(1, 2, 3, 65, 66))
    assert made.send(made.ev.service_discovery(supported_service_ids=ids)).response_code is Code.OK


@pytest.mark.req("V2G20-169")
def test_pitfall_19_schema_id_zero_and_array_order() -> None:
    made = bench("DC")
    response = made.send(
        handshake(protocol(ns.DIN, 2, 1, 2), protocol(ns.ISO2, 1, 0, 2), protocol(ns.DC, 3, 0))
    )
    assert (response.schema_id, made.record.namespace) == (0, ns.DC)


def test_pitfall_20_the_end_of_the_connection_ends_the_session() -> None:
    made = reach(S.CHARGE_LOOP)
    made.feed(PeerClosed())
    assert made.issued(Deenergise)
    assert made.end.reason is EndReason.PEER_CLOSED


@pytest.mark.req("V2G20-2183")
def test_pitfall_21_target_voltage_zero_in_the_loop() -> None:
    made = reach(S.CHARGE_LOOP, "DC", "SCHEDULED")
    made.send(made.ev.loop(ev_target_voltage=0.0, ev_target_current=50.0))
    drive = [c for c in made.commands if type(c).__name__ == "SetDcTarget"][-1]
    assert (drive.voltage_v, drive.current_a) == (400.0, 50.0), "the voltage of the pre-charge"


def test_pitfall_22_why_an_ev_ends_is_kept() -> None:
    made = reach(S.SERVICE_SELECTION)
    made.send(made.ev.session_stop(ev_termination_code="1", ev_termination_explanation="no DC_BPT"))
    assert made.end.detail == "1 no DC_BPT"
