"""The charge loop: targets, limits and set-points."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iso15118.control.common import EnergyService
from iso15118.control.evse import SetAcTarget, SetDcTarget
from iso15118.energy.offer import EnergyOffer, Offer, OfferStep
from iso15118.events import CommandIssued, EndReason, PowerFlow
from iso15118.messages.iso20 import ac, dc
from iso15118.messages.iso20.numbers import number
from iso15118.messages.iso20.types import ResponseCode
from iso15118.secc.session import State
from iso15118.units import Limits
from tests.unit.secc.harness import AC_LIMITS, DC_LIMITS, Bench, reach, walk
from tests.unit.secc.messages import Ev

S, Code = State, ResponseCode


def in_loop(
    service: str, control: str = "DYNAMIC", offer: EnergyOffer | None = None, **given: object
) -> Bench:
    """A session in the charge loop, perhaps under a special offer; the EV plans 1000 W for as long as it can."""
    if offer is None:
        return reach(S.CHARGE_LOOP, service, control, **given)
    made = reach(S.SCHEDULE_EXCHANGE, service, control, **given)
    made.offer = offer
    made.ev.steps = ((min(3600, offer.offers[0].duration_s), 1000.0),)
    return walk(made, S.CHARGE_LOOP)


def turn(made: Bench, **values: float):
    """One turn of the loop, a tenth of a second after the last."""
    made.clock.now += 0.1
    response = made.send(made.ev.loop(**values))
    assert response.response_code in (Code.OK, Code.WARNING_EV_POWER_PROFILE_VIOLATION), response
    return response


def target(made: Bench) -> SetDcTarget:
    return made.issued(SetDcTarget)[-1]


# --- variants ---------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["AC", "AC_BPT", "DC", "DC_BPT", "MCS", "MCS_BPT"])
@pytest.mark.parametrize("control", ["DYNAMIC", "SCHEDULED"])
def test_answer_in_the_variant_of_the_request(service: str, control: str) -> None:
    made = in_loop(service, control)
    request = made.ev.loop_mode()
    response = turn(made)
    asked, told = type(request).__name__, type(response.cl_res_control_mode).__name__
    assert told == asked.replace("CLReq", "CLRes")
    assert made.seen_events(PowerFlow)
    assert response.evse_status is None
    assert response.receipt is None


@pytest.mark.req("V2G20-1600")
@pytest.mark.parametrize("service", ["AC", "AC_BPT", "DC", "DC_BPT"])
@pytest.mark.parametrize("control", ["DYNAMIC", "SCHEDULED"])
def test_control_mode_that_was_not_selected(service: str, control: str) -> None:
    other_control = "SCHEDULED" if control == "DYNAMIC" else "DYNAMIC"
    other_service = service.removesuffix("_BPT") if service.endswith("BPT") else f"{service}_BPT"
    for wrong_service, wrong_control in ((service, other_control), (other_service, control)):
        made = in_loop(service, control)
        foreign = Ev(EnergyService[wrong_service], type(made.ev.control)[wrong_control], made.ev.session_id)
        response = made.send(foreign.loop())
        assert response.response_code is Code.FAILED
        assert made.end.requirement == "V2G20-1600"
        asked = type(foreign.loop_mode()).__name__
        assert type(response.cl_res_control_mode).__name__ == asked.replace("CLReq", "CLRes")


# --- DC, Scheduled: the EV's targets ----------------------------------------------------------


@pytest.mark.parametrize(
    ("volts", "amps", "expected"),
    [
        (420.0, 100.0, (420.0, 100.0)),
        (420.0, 0.0, (420.0, 0.0)),
        (420.0, 500.0, (420.0, 250.0)),
        (800.0, 100.0, (450.0, 100.0)),
        (420.0, -50.0, (420.0, 0.0)),
        (420.0, 0.5, (420.0, 0.0)),
        (-420.0, 10.0, (0.0, 10.0)),
    ],
)
def test_targets_above_the_limits_are_cut_and_no_error(
    volts: float, amps: float, expected: tuple[float, float]
) -> None:
    made = in_loop("DC", "SCHEDULED")
    turn(made, ev_target_voltage=volts, ev_target_current=amps)
    drive = target(made)
    assert (drive.voltage_v, drive.current_a) == expected
    assert drive.min_voltage_v == 0.0


def test_power_limit_cuts_the_current() -> None:
    made = in_loop("DC", "SCHEDULED")
    made.levels(limits=replace(DC_LIMITS, charge=Limits(20_000, 300)))
    turn(made, ev_target_current=100.0)
    assert target(made).current_a == pytest.approx(20_000 / 400)


def test_schedule_cuts_the_current() -> None:
    made = in_loop("DC", "SCHEDULED", EnergyOffer((Offer((OfferStep(20, 8_000), OfferStep(600, 2_000))),)))
    turn(made, ev_target_current=100.0)
    assert target(made).current_a == pytest.approx(20.0)
    made.send(made.ev.power_delivery("STANDBY"))
    made.powered(20.0)
    turn(made, ev_target_current=100.0)
    assert target(made).current_a == pytest.approx(5.0)


def test_after_the_end_of_the_schedule_nothing_flows() -> None:
    made = in_loop("DC", "SCHEDULED", EnergyOffer((Offer((OfferStep(5, 8_000),)),)))
    made.powered(5.0)
    turn(made, ev_target_current=100.0)
    assert target(made).current_a == 0.0


def test_limits_the_ev_tightens_in_the_loop() -> None:
    made = in_loop("DC", "SCHEDULED")
    turn(made, ev_target_current=200.0, ev_maximum_charge_current=80.0, ev_maximum_voltage=410.0)
    assert (target(made).voltage_v, target(made).current_a) == (410.0, 80.0)
    turn(made, ev_target_current=200.0)
    assert target(made).current_a == 80.0, "what a request leaves out stays"
    turn(made, ev_target_current=200.0, ev_maximum_charge_power=4_000.0)
    assert target(made).current_a == pytest.approx(10.0)
    turn(made, ev_target_current=200.0, ev_maximum_charge_power=-4_000.0)
    assert target(made).current_a == 0.0, "a negative charge limit allows nothing"


@pytest.mark.req("V2G20-2183")
def test_target_voltage_of_zero_means_the_last_one() -> None:
    made = in_loop("DC", "SCHEDULED")
    turn(made, ev_target_voltage=415.0)
    turn(made, ev_target_voltage=0.0, ev_target_current=60.0)
    assert (target(made).voltage_v, target(made).current_a) == (415.0, 60.0)


@pytest.mark.parametrize(
    ("values", "flags"),
    [
        ({"ev_target_current": 100.0}, (False, False, False)),
        ({"ev_target_current": 300.0}, (False, True, False)),
        ({"ev_target_current": 400.0, "ev_target_voltage": 400.0}, (True, True, False)),
        ({"ev_target_current": 10.0, "ev_target_voltage": 950.0}, (False, False, True)),
        ({"ev_target_current": 0.0}, (False, False, False)),
    ],
)
def test_achieved_limits_are_told(values: dict[str, float], flags: tuple[bool, bool, bool]) -> None:
    response = turn(in_loop("DC", "SCHEDULED"), **values)
    assert (
        response.evse_power_limit_achieved,
        response.evse_current_limit_achieved,
        response.evse_voltage_limit_achieved,
    ) == flags


def test_present_values_are_the_measured_ones() -> None:
    made = in_loop("DC", "SCHEDULED")
    made.levels(voltage_v=398.7, current_a=-12.25)
    response = turn(made)
    assert number(response.evse_present_voltage) == pytest.approx(398.7)
    assert number(response.evse_present_current) == pytest.approx(-12.25)


# --- DC, both directions ----------------------------------------------------------------------


def test_discharging_keeps_to_the_limits_and_the_floor_of_the_ev() -> None:
    made = in_loop("DC_BPT", "SCHEDULED")
    turn(made, ev_target_current=-20.0)
    assert target(made) == SetDcTarget(420.0, -20.0, 300.0)
    turn(made, ev_target_current=-500.0)
    assert target(made).current_a == pytest.approx(-25.0), "10 kW of the EV at 400 V"
    turn(made, ev_target_current=-500.0, ev_maximum_discharge_power=-2_000.0)
    assert target(made).current_a == pytest.approx(-5.0), "whichever sign the EV uses"


@pytest.mark.parametrize(
    ("setpoint", "amps"),
    [
        (None, 250.0),
        (40_000.0, 100.0),
        (0.0, 0.0),
        (-4_000.0, -10.0),
        (-40_000.0, -25.0),
        (500_000.0, 250.0),
        (50.0, 0.0),
    ],
)
def test_dynamic_set_point_within_the_limits(setpoint: float | None, amps: float) -> None:
    made = in_loop("DC_BPT")
    made.levels(setpoint_w=setpoint)
    response = turn(made)
    assert target(made).current_a == pytest.approx(amps)
    assert target(made).voltage_v == 450.0
    mode = response.cl_res_control_mode
    assert isinstance(mode, dc.BPT_Dynamic_DC_CLResControlMode)
    assert number(mode.evse_maximum_discharge_power) == 20_000
    assert number(mode.evse_minimum_voltage) == 150


def test_dynamic_set_point_never_discharges_without_bpt() -> None:
    made = in_loop("DC")
    made.levels(setpoint_w=-4_000.0)
    turn(made)
    assert target(made).current_a == 0.0


@pytest.mark.parametrize(
    ("needs", "setpoint", "flows"),
    [
        ({"ev_maximum_energy_request": 0.0}, 10_000.0, False),
        ({"ev_maximum_energy_request": -1.0}, 10_000.0, False),
        ({"ev_maximum_energy_request": 1.0}, 10_000.0, True),
        ({"ev_minimum_energy_request": 0.0}, -10_000.0, False),
        ({"ev_minimum_energy_request": 500.0}, -10_000.0, False),
        ({"ev_minimum_energy_request": -500.0}, -10_000.0, True),
        ({"ev_minimum_v2x_energy_request": 1.0}, -10_000.0, False),
        ({"ev_minimum_v2x_energy_request": -1.0}, -10_000.0, True),
    ],
)
@pytest.mark.parametrize("service", ["DC_BPT", "AC_BPT"])
def test_energy_requests_bound_the_station(
    service: str, needs: dict[str, float], setpoint: float, flows: bool
) -> None:
    made = in_loop(service)
    made.levels(setpoint_w=setpoint)
    response = turn(made, **needs)
    if service == "DC_BPT":
        assert (target(made).current_a != 0) == flows
    else:
        assert (number(response.cl_res_control_mode.evse_target_active_power) != 0) == flows


def test_dynamic_without_a_measured_voltage_uses_the_target() -> None:
    made = in_loop("DC")
    made.obedient = False
    made.levels(setpoint_w=8_000.0, voltage_v=0.0)
    turn(made)
    assert target(made).current_a == pytest.approx(20.0), "400 V of the pre-charge"


# --- AC ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setpoint", "watts"),
    [
        (None, 11_000.0),
        (5_000.0, 5_000.0),
        (50_000.0, 11_000.0),
        (1_000.0, 0.0),
        (-6_000.0, -6_000.0),
        (-1e6, -8_000.0),
    ],
)
def test_ac_dynamic_set_point_within_the_limits(setpoint: float | None, watts: float) -> None:
    made = in_loop("AC_BPT")
    made.levels(setpoint_w=setpoint, setpoint_var=300.0)
    mode = turn(made).cl_res_control_mode
    assert isinstance(mode, ac.BPT_Dynamic_AC_CLResControlMode)
    assert number(mode.evse_target_active_power) == watts
    assert number(mode.evse_target_reactive_power) == 300
    assert made.issued(SetAcTarget)[-1] == SetAcTarget(watts, 300.0)


def test_ac_never_discharges_without_bpt() -> None:
    made = in_loop("AC")
    made.levels(setpoint_w=-5_000.0)
    mode = turn(made).cl_res_control_mode
    assert number(mode.evse_target_active_power) == 0


def test_ac_limits_of_the_ev_follow_the_loop() -> None:
    made = in_loop("AC_BPT")
    turn(made, ev_maximum_charge_power=2_000.0, ev_maximum_charge_power_l2=1_000.0)
    assert made.issued(SetAcTarget)[-1].power_w == 3_000
    turn(made, ev_maximum_charge_power=-9_000.0)
    assert made.issued(SetAcTarget)[-1].power_w == 0
    made.levels(setpoint_w=-9_000.0)
    turn(made, ev_maximum_discharge_power=-2_500.0)
    assert made.issued(SetAcTarget)[-1].power_w == -2_500


@pytest.mark.parametrize("service", ["AC", "AC_BPT"])
def test_ac_scheduled_target_is_sent_where_the_operator_wants_one(service: str) -> None:
    made = in_loop(service, "SCHEDULED")
    assert turn(made).cl_res_control_mode.evse_target_active_power is None
    made.levels(setpoint_w=4_000.0)
    assert number(turn(made).cl_res_control_mode.evse_target_active_power) == 4_000


def test_schedule_below_the_minimum_of_the_ev_means_nothing() -> None:
    made = in_loop("AC", "SCHEDULED", EnergyOffer.flat(max_w=1_000.0))
    made.levels(setpoint_w=4_000.0)
    assert number(turn(made).cl_res_control_mode.evse_target_active_power) == 0


def test_present_power_is_the_measured_one() -> None:
    made = in_loop("AC")
    made.obedient = False
    made.levels(power_w=7_312.0)
    assert number(turn(made).cl_res_control_mode.evse_present_active_power) == 7_312
    assert made.seen_events(PowerFlow)[-1].power_w == 7_312


# --- limits of the station --------------------------------------------------------------------


@pytest.mark.parametrize("service", ["DC", "DC_BPT"])
@pytest.mark.parametrize("control", ["DYNAMIC", "SCHEDULED"])
def test_limits_never_grow_beyond_the_announced_ones(service: str, control: str) -> None:
    made = in_loop(service, control)
    grown = replace(
        DC_LIMITS,
        charge=Limits(1e6, 1e3),
        discharge=Limits(1e6, 1e3),
        max_voltage_v=1500.0,
        min_voltage_v=10.0,
    )
    made.levels(limits=grown)
    mode = turn(made).cl_res_control_mode
    assert number(mode.evse_maximum_charge_power) == 150_000
    assert number(mode.evse_maximum_charge_current) == 300
    assert number(mode.evse_minimum_charge_power) == 100
    assert number(mode.evse_maximum_voltage) == 920
    made.levels(limits=replace(DC_LIMITS, charge=Limits(5_000, 10, 200, 2)))
    mode = turn(made).cl_res_control_mode
    assert number(mode.evse_maximum_charge_power) == 5_000
    assert number(mode.evse_minimum_charge_power) == 200


def test_station_that_offers_nothing_any_more() -> None:
    made = in_loop("DC", "SCHEDULED")
    made.levels(limits=replace(DC_LIMITS, charge=Limits()))
    response = turn(made)
    assert target(made).current_a == 0.0
    assert response.evse_power_limit_achieved
    made = in_loop("AC")
    made.levels(limits=replace(AC_LIMITS, charge=Limits()))
    turn(made)
    assert made.issued(SetAcTarget)[-1].power_w == 0.0


# --- events -----------------------------------------------------------------------------------


def test_a_target_that_does_not_change_is_logged_once() -> None:
    made = in_loop("DC", "SCHEDULED")
    for _ in range(5):
        turn(made)
    assert len(made.issued(SetDcTarget)) == 5, "but sent every time"
    logged = [e for e in made.seen_events(CommandIssued) if isinstance(e.command, SetDcTarget)]
    assert len(logged) == 1


def test_a_plain_session_from_beginning_to_end() -> None:
    made = in_loop("DC_BPT", "SCHEDULED")
    for _ in range(10):
        turn(made)
    walk(made, S.WELDING_DETECTION)
    made.levels(cp=made.state.cp.B)
    made.send(made.ev.session_stop())
    assert made.end.reason is EndReason.COMPLETED
