"""PowerDelivery and SessionStop: profiles, contactor, standby, pause, renegotiation."""

from __future__ import annotations

import pytest

from iso15118.control.common import Check, Contactor, CpState, Wish
from iso15118.control.evse import (
    CloseContactor,
    Deenergise,
    LockConnector,
    OpenContactor,
    SetAcTarget,
    SetDcTarget,
    UnlockConnector,
)
from iso15118.energy.offer import EnergyOffer, Offer, OfferStep
from iso15118.events import Decision, EndReason, Fault
from iso15118.messages.iso20 import schedules as plan
from iso15118.messages.iso20.types import EvseNotification, ResponseCode
from iso15118.secc.session import State
from tests.unit.secc.harness import STARTED_AT, Bench, reach, walk

S, Code = State, ResponseCode
DAY = 86_400


def scheduled(service: str = "AC", offer: EnergyOffer | None = None) -> Bench:
    """A Scheduled session that is due for PowerDelivery, state C."""
    made = reach(S.SCHEDULE_EXCHANGE, service, "SCHEDULED")
    made.offer = offer
    walk(made, S.POWER_DELIVERY if service.startswith("AC") else S.PRE_CHARGE)
    made.levels(cp=CpState.C)
    if made.at is S.PRE_CHARGE:
        for finished in (False, False, True):
            made.send(made.ev.pre_charge(finished=finished))
    made.forget()
    return made


def start(made: Bench, *steps: tuple[int, float], **profile: object):
    return made.send(made.ev.power_delivery("START", profile=made.ev.profile(*steps, **profile)))


# --- start ------------------------------------------------------------------------------------


def test_ac_start_locks_closes_and_answers_when_closed() -> None:
    made = reach(S.POWER_DELIVERY, "AC")
    made.obedient = False
    made.levels(cp=CpState.C)
    assert made.send(made.ev.start()) is None
    assert made.commands == [LockConnector()]
    made.levels(locked=True)
    assert made.commands[1:] == [CloseContactor()]
    assert not made.sent
    made.levels(contactor=Contactor.UNKNOWN)
    assert not made.sent
    made.levels(contactor=Contactor.CLOSED)
    assert made.sent[-1].response_code is Code.OK
    assert made.at is S.CHARGE_LOOP
    assert made.record.energised


def test_dc_start_needs_a_finished_pre_charge() -> None:
    made = reach(S.PRE_CHARGE)
    made.send(made.ev.pre_charge())
    response = made.send(made.ev.start())
    assert response.response_code is Code.FAILED
    assert "pre-charge was not finished" in made.end.detail


def test_dc_start_needs_the_voltage_the_ev_wanted() -> None:
    made = reach(S.PRE_CHARGE)
    made.send(made.ev.pre_charge(400.0))
    made.send(made.ev.pre_charge(400.0, finished=True))
    made.levels(voltage_v=379.0)
    assert made.send(made.ev.start()).response_code is Code.FAILED
    made = reach(S.PRE_CHARGE)
    made.send(made.ev.pre_charge(400.0))
    made.send(made.ev.pre_charge(400.0, finished=True))
    made.levels(voltage_v=381.0)
    assert made.send(made.ev.start()).response_code is Code.OK


def test_start_while_the_ev_computes_its_profile() -> None:
    made = scheduled()
    response = made.send(made.ev.power_delivery("START", finished=False))
    assert response.response_code is Code.OK
    assert made.at is S.POWER_DELIVERY
    assert not made.commands


@pytest.mark.parametrize("service", ["AC", "DC"])
def test_start_in_the_loop_replaces_the_profile(service: str) -> None:
    made = walk(scheduled(service), S.CHARGE_LOOP)
    assert start(made, (1800, 500.0)).response_code is Code.OK
    assert [p.power_w for p in made.record.plan] == [500.0]
    assert made.at is S.CHARGE_LOOP
    assert not made.commands
    assert made.seen_events(Decision)[-1].why == "power profile replaced"
    response = start(made, (1800, 1e6))
    assert response.response_code is Code.FAILED_EV_POWER_PROFILE_INVALID


def test_profile_is_mandatory_in_scheduled_mode() -> None:
    made = scheduled()
    response = made.send(made.ev.power_delivery("START"))
    assert response.response_code is Code.FAILED_EV_POWER_PROFILE_INVALID


def test_dynamic_profile_in_a_scheduled_session() -> None:
    made = scheduled()
    steps = plan.EVPowerProfileEntryList(
        ev_power_profile_entry=(
            plan.PowerScheduleEntry(duration=1, power=plan.RationalNumber(exponent=0, value=0)),
        )
    )
    steered = plan.EVPowerProfile(
        time_anchor=0, control_mode=plan.Dynamic_EVPPTControlMode(), ev_power_profile_entries=steps
    )
    response = made.send(made.ev.power_delivery("START", profile=steered))
    assert response.response_code is Code.FAILED_EV_POWER_PROFILE_INVALID


def test_profile_is_for_information_in_dynamic_mode() -> None:
    for profile in (None, reach(S.SERVICE_DETAIL).ev.profile((60, 1e9), tuple_id=99)):
        made = reach(S.POWER_DELIVERY, "AC")
        made.levels(cp=CpState.C)
        assert made.send(made.ev.power_delivery("START", profile=profile)).response_code is Code.OK


def test_schedule_that_was_not_offered() -> None:
    response = start(scheduled(), tuple_id=2)
    assert response.response_code is Code.FAILED_SCHEDULE_SELECTION_INVALID


OFFER = EnergyOffer((Offer((OfferStep(600, 3_000), OfferStep(600, 5_000, 2_000))),))


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        (((1200, 3_000.0),), Code.OK),
        (((600, 3_000.0), (600, 5_000.0)), Code.OK),
        (((600, 3_000.0), (600, -2_000.0)), Code.OK),
        (((10, 0.0),), Code.OK),
        (((1200, 3_100.0),), Code.FAILED_EV_POWER_PROFILE_INVALID),
        (((600, 3_000.0), (600, 5_100.0)), Code.FAILED_EV_POWER_PROFILE_INVALID),
        (((600, -100.0), (600, 0.0)), Code.FAILED_EV_POWER_PROFILE_INVALID),
        (((600, 0.0), (600, -2_100.0)), Code.FAILED_EV_POWER_PROFILE_INVALID),
        (((1200, 100.0), (600, 100.0)), Code.FAILED_EV_POWER_PROFILE_INVALID),
        (((1200, 100.0), (600, 0.0)), Code.OK),
    ],
)
def test_profile_within_the_schedule(steps: tuple[tuple[int, float], ...], code: Code) -> None:
    response = start(scheduled("AC_BPT", OFFER), *steps)
    assert response.response_code is code


def test_phases_of_a_profile_add_up() -> None:
    made = scheduled("AC", OFFER)
    profile = made.ev.profile((1200, 1_000.0))
    R = plan.RationalNumber
    entry = plan.PowerScheduleEntry(
        duration=600,
        power=R(exponent=3, value=1),
        power_l2=R(exponent=3, value=1),
        power_l3=R(exponent=2, value=5),
    )
    steps = plan.EVPowerProfileEntryList(ev_power_profile_entry=(entry,))
    profile = plan.EVPowerProfile(
        time_anchor=0, control_mode=profile.control_mode, ev_power_profile_entries=steps
    )
    assert made.send(made.ev.power_delivery("START", profile=profile)).response_code is Code.OK
    assert made.record.plan[0].power_w == 2_500


@pytest.mark.parametrize(
    ("ahead_s", "starts_at"),
    [(0.0, 0.0), (30.0, 30.0), (-30.0, 0.0), (-1e9, 0.0), (3600.0, 0.0)],
)
@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000])
def test_time_anchors_far_from_our_clock_mean_now(ahead_s: float, starts_at: float, unit: int) -> None:
    made = scheduled()
    anchor = int((STARTED_AT + made.clock.now + ahead_s) * unit)
    start(made, (600, 0.0), anchor=anchor)
    begins = made.record.plan_at - made.clock.now
    assert begins == pytest.approx(starts_at, abs=1.1)
    assert made.record.plan_at >= made.record.offer_at


@pytest.mark.parametrize(
    ("accepts", "code"),
    [
        (True, Code.OK_POWER_TOLERANCE_CONFIRMED),
        (False, Code.WARNING_POWER_TOLERANCE_NOT_CONFIRMED),
        (None, Code.WARNING_POWER_TOLERANCE_NOT_CONFIRMED),
    ],
)
def test_power_tolerance(accepts: bool | None, code: Code) -> None:
    watched = EnergyOffer((Offer((OfferStep(DAY, 5_000),), tolerance_w=500.0),))
    made = scheduled("AC", watched)
    assert start(made, (600, 100.0), accepts=accepts).response_code is code
    assert made.at is S.CHARGE_LOOP


def test_acceptance_of_a_tolerance_nobody_asked_for() -> None:
    assert start(scheduled(), (600, 100.0), accepts=True).response_code is Code.OK


# --- stop, standby, schedule renegotiation ----------------------------------------------------


@pytest.mark.parametrize(
    ("service", "off", "after"),
    [
        ("AC", [SetAcTarget(0.0), OpenContactor()], S.SESSION_STOP),
        ("AC_BPT", [SetAcTarget(0.0), OpenContactor()], S.SESSION_STOP),
    ],
)
def test_stop_answers_when_open(service: str, off: list[object], after: State) -> None:
    made = reach(S.CHARGE_LOOP, service)
    made.obedient = False
    assert made.send(made.ev.power_delivery("STOP")) is None
    assert made.commands == off
    made.levels(cp=CpState.B)
    assert not made.sent
    made.levels(contactor=Contactor.UNKNOWN)
    assert not made.sent, "unknown is not open"
    made.levels(contactor=Contactor.OPEN)
    assert made.sent[-1].response_code is Code.OK
    assert made.at is after
    assert not made.record.energised
    assert not made.issued(Deenergise)


@pytest.mark.parametrize("service", ["AC", "DC"])
def test_stop_before_the_start(service: str) -> None:
    made = scheduled(service)
    response = made.send(made.ev.power_delivery("STOP"))
    assert response.response_code is Code.OK
    assert made.at is (S.SESSION_STOP if service == "AC" else S.WELDING_DETECTION)


@pytest.mark.parametrize("state", [S.POWER_DELIVERY, S.CHARGE_LOOP])
def test_standby_is_not_allowed_and_changes_nothing(state: State) -> None:
    made = reach(state, "AC")
    response = made.send(made.ev.power_delivery("STANDBY"))
    assert response.response_code is Code.WARNING_STANDBY_NOT_ALLOWED
    assert made.at is state
    assert made.end is None
    assert not made.commands


def test_schedule_renegotiation_before_the_loop() -> None:
    made = reach(S.POWER_DELIVERY, "AC", "SCHEDULED")
    response = made.send(made.ev.power_delivery("SCHEDULE_RENEGOTIATION"))
    assert response.response_code is Code.FAILED


@pytest.mark.parametrize("payload_type", [0x8002, 0x8101])
def test_schedule_renegotiation_is_refused_where_it_came_from(payload_type: int) -> None:
    made = reach(S.CHARGE_LOOP, "AC", "SCHEDULED")
    response = made.send(made.ev.power_delivery("SCHEDULE_RENEGOTIATION"), payload_type)
    assert response.response_code is Code.FAILED_POWER_DELIVERY_NOT_APPLIED
    assert made.payload_types == [payload_type]
    assert made.issued(Deenergise)


# --- session stop -----------------------------------------------------------------------------


def test_terminate_with_a_reason() -> None:
    made = reach(S.SESSION_STOP, "AC")
    made.levels(cp=CpState.A)
    made.send(made.ev.session_stop(ev_termination_code="1", ev_termination_explanation="wrong service id"))
    assert (made.end.reason, made.end.fault) == (EndReason.COMPLETED, Fault.NONE)
    assert made.end.detail == "1 wrong service id"
    assert made.end.state == "SESSION_STOP"
    assert made.commands == [UnlockConnector()]


@pytest.mark.parametrize("service", ["AC", "DC"])
def test_stop_in_the_middle_of_the_loop_takes_power_off_first(service: str) -> None:
    made = reach(S.CHARGE_LOOP, service)
    made.obedient = False
    assert made.send(made.ev.session_stop()) is None
    kinds = [type(c) for c in made.commands]
    assert kinds == [SetAcTarget if service == "AC" else SetDcTarget, OpenContactor]
    made.levels(contactor=Contactor.OPEN, voltage_v=0.0)
    assert not made.sent
    made.levels(cp=CpState.B)
    assert made.sent[-1].response_code is Code.OK
    assert made.end.as_intended


def test_stop_in_the_middle_of_the_loop_with_a_stuck_contactor() -> None:
    made = reach(S.CHARGE_LOOP)
    made.obedient = False
    made.send(made.ev.session_stop())
    made.powered(1.5)
    assert made.sent[-1].response_code is Code.FAILED
    assert made.end.fault is Fault.LOCAL
    assert made.issued(Deenergise)


def test_stop_with_a_welded_contactor_after_power_delivery_stop() -> None:
    made = reach(S.WELDING_DETECTION)
    made.obedient = False
    made.levels(cp=CpState.B, contactor=Contactor.CLOSED)
    made.send(made.ev.session_stop())
    made.advance(1.5)
    assert made.sent[-1].response_code is Code.FAILED
    assert made.end.fault is Fault.LOCAL


def test_stop_during_the_cable_check() -> None:
    """B first, SessionStop then, as the EV has to do it: power off, and an orderly end."""
    made = reach(S.CABLE_CHECK)
    made.obedient = False
    made.levels(cp=CpState.C, locked=True)
    made.send(made.ev.cable_check())
    made.levels(cable_check=Check.RUNNING, voltage_v=500.0)
    made.levels(cp=CpState.B)
    assert made.issued(Deenergise)
    assert made.send(made.ev.session_stop()).response_code is Code.OK
    assert (made.end.reason, made.end.fault) == (EndReason.COMPLETED, Fault.NONE)


def test_session_stop_during_the_cable_check_in_state_c() -> None:
    made = reach(S.CABLE_CHECK)
    made.obedient = False
    made.levels(cp=CpState.C, locked=True)
    made.send(made.ev.cable_check())
    made.levels(cable_check=Check.RUNNING)
    assert made.send(made.ev.session_stop()) is None
    assert made.issued(OpenContactor)
    made.levels(cp=CpState.B)
    assert made.sent[-1].response_code is Code.OK


# --- pause ------------------------------------------------------------------------------------


def paused(made: Bench):
    """PowerDelivery(Stop), state B, SessionStop(Pause)."""
    made.send(made.ev.power_delivery("STOP"))
    made.levels(cp=CpState.B)
    return made.send(made.ev.session_stop("PAUSE"))


def test_pause_the_station_asked_for_in_dynamic_mode() -> None:
    made = reach(S.CHARGE_LOOP)
    made.levels(wish=Wish.PAUSE)
    status = made.send(made.ev.loop()).evse_status
    assert status.evse_notification is EvseNotification.PAUSE
    assert paused(made).response_code is Code.OK
    assert (made.end.reason, made.end.fault) == (EndReason.PAUSED, Fault.NONE)
    assert made.end.as_intended
    assert made.close.after == 4.0


def test_pause_of_the_ev_in_dynamic_mode() -> None:
    made = reach(S.CHARGE_LOOP)
    made.send(made.ev.loop())
    assert paused(made).response_code is Code.FAILED_PAUSE_NOT_ALLOWED
    assert made.end.reason is EndReason.REFUSED


@pytest.mark.parametrize(
    ("power", "wish", "code"),
    [
        (0.0, None, Code.OK),
        (1_000.0, None, Code.FAILED_PAUSE_NOT_ALLOWED),
        (1_000.0, Wish.PAUSE, Code.OK),
        (1_000.0, Wish.TERMINATE, Code.FAILED_PAUSE_NOT_ALLOWED),
    ],
)
def test_pause_in_scheduled_mode(power: float, wish: Wish | None, code: Code) -> None:
    made = scheduled("AC")
    start(made, (3600, power))
    made.send(made.ev.loop())
    made.levels(wish=wish)
    assert paused(made).response_code is code


def test_pause_before_any_loop_is_the_stations_to_ask_for() -> None:
    made = reach(S.CHARGE_LOOP)
    made.levels(wish=Wish.PAUSE)
    assert paused(made).response_code is Code.OK
    made = reach(S.CHARGE_LOOP)
    assert paused(made).response_code is Code.FAILED_PAUSE_NOT_ALLOWED
    made = reach(S.SERVICE_DISCOVERY)
    assert made.send(made.ev.session_stop("PAUSE")).response_code is Code.FAILED_PAUSE_NOT_ALLOWED


def test_pause_at_a_station_that_does_not() -> None:
    made = reach(S.CHARGE_LOOP, pause_allowed=False)
    made.levels(wish=Wish.PAUSE)
    made.send(made.ev.loop())
    assert paused(made).response_code is Code.FAILED_PAUSE_NOT_ALLOWED


# --- service renegotiation --------------------------------------------------------------------


@pytest.mark.req("V2G20-1477")
@pytest.mark.parametrize("service", ["AC", "DC"])
def test_service_renegotiation_keeps_connection_session_and_authorization(service: str) -> None:
    made = reach(S.CHARGE_LOOP, service)
    made.send(made.ev.loop())
    made.send(made.ev.power_delivery("STOP"))
    if service == "DC":
        made.send(made.ev.welding(finished=True))
    made.levels(cp=CpState.B)
    session_id = made.record.session_id
    assert made.send(made.ev.session_stop("SERVICE_RENEGOTIATION")).response_code is Code.OK
    assert made.at is S.SERVICE_DISCOVERY
    assert made.end is None
    assert made.close is None
    record = made.record
    assert record.session_id == session_id
    assert record.authorized
    assert (record.service, record.offer, record.plan, record.loops) == (None, None, (), 0)
    questions = len(made.questions)
    walk(made, S.CHARGE_LOOP)
    assert len(made.questions) == questions + 1, "a schedule, but no authorization"
    assert made.questions[-1].round == 2
    assert made.send(made.ev.loop()).response_code is Code.OK


@pytest.mark.req("V2G20-1477")
def test_service_renegotiation_where_it_is_not_supported() -> None:
    made = reach(S.SESSION_STOP, "AC", service_renegotiation=False)
    made.levels(cp=CpState.B)
    response = made.send(made.ev.session_stop("SERVICE_RENEGOTIATION"))
    assert response.response_code is Code.FAILED_NO_SERVICE_RENEGOTIATION_SUPPORTED
    assert made.end.requirement == "V2G20-1477"


@pytest.mark.parametrize(
    "state",
    [S.AUTHORIZATION_SETUP, S.AUTHORIZATION, S.SERVICE_DISCOVERY, S.SERVICE_DETAIL, S.SERVICE_SELECTION],
)
def test_service_renegotiation_is_no_way_around_authorization(state: State) -> None:
    made = reach(state)
    response = made.send(made.ev.session_stop("SERVICE_RENEGOTIATION"))
    assert response.response_code is Code.FAILED_SEQUENCE_ERROR
    assert made.end.reason is EndReason.REFUSED


def test_new_cable_check_after_service_renegotiation() -> None:
    made = reach(S.WELDING_DETECTION)
    made.levels(cp=CpState.B)
    made.send(made.ev.session_stop("SERVICE_RENEGOTIATION"))
    walk(made, S.CABLE_CHECK)
    made.obedient = False
    made.levels(cp=CpState.C, cable_check=Check.PASSED)
    for _ in range(3):
        made.send(made.ev.cable_check())
        made.levels()
        assert made.at is S.CABLE_CHECK, "the verdict of the first test does not count"
    made.levels(cable_check=Check.RUNNING)
    made.levels(cable_check=Check.PASSED)
    made.send(made.ev.cable_check())
    assert made.at is S.CABLE_CHECKED
