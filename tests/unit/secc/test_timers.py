"""Every timer of the station fires by itself while the EV is silent."""

from __future__ import annotations

import pytest

from iso15118.config import SeccTimers
from iso15118.control.common import Contactor, CpState, Wish
from iso15118.control.evse import Authorization, Deenergise
from iso15118.events import EndReason, Fault, SessionEstablished, TimerExpired
from iso15118.machine import NEVER, Bytes
from iso15118.messages.iso20.types import Processing, ResponseCode
from iso15118.secc.session import State
from tests.unit.secc.harness import AC_STATES, DC_STATES, Bench, bench, frame_of, reach, walk

S, Code = State, ResponseCode
QUIET_STATES = [
    pytest.param(service, state, id=f"{service}-{state.value}")
    for service, states in (("DC", DC_STATES), ("AC", AC_STATES))
    for state in states
    if state is not S.CHARGE_LOOP and state is not S.SESSION_SETUP
]


def timed_out(made: Bench, timer: str) -> None:
    """Ended by this timer: nothing sent, power off, closed within 5 s."""
    assert made.end is not None
    assert made.end.reason is EndReason.TIMEOUT
    assert made.end.fault is Fault.REMOTE
    assert timer in made.end.detail
    assert made.seen_events(TimerExpired)[-1].timer == timer
    assert not made.sent
    assert made.issued(Deenergise)
    assert made.closed_at - made.clock.now <= 5.0
    assert made.machine.deadline == NEVER


# --- sequence ---------------------------------------------------------------------------------


@pytest.mark.req("V2G20-443")
@pytest.mark.parametrize(("service", "state"), QUIET_STATES)
def test_sequence_timeout_after_60_s(service: str, state: State) -> None:
    made = reach(state, service)
    made.obedient = False
    made.powered(59.9)
    assert made.end is None
    made.powered(0.2)
    timed_out(made, "V2G_SECC_Sequence_Timeout")
    assert made.end.requirement == "V2G20-443"


@pytest.mark.parametrize("service", ["AC", "DC", "AC_BPT", "DC_BPT"])
@pytest.mark.parametrize("control", ["DYNAMIC", "SCHEDULED"])
def test_sequence_timeout_in_the_loop_after_half_a_second(service: str, control: str) -> None:
    made = reach(S.CHARGE_LOOP, service, control)
    made.send(made.ev.loop())
    made.sent.clear()
    made.advance(0.49)
    assert made.end is None
    made.advance(0.02)
    timed_out(made, "V2G_SECC_Sequence_Timeout")
    assert made.end.state == "CHARGE_LOOP"


def test_half_a_second_holds_from_the_first_loop_response_on() -> None:
    """Table 217 has it for the loop's own response alone: 60 s after PowerDelivery(Start)."""
    made = reach(S.CHARGE_LOOP)
    made.advance(1.0)
    made.levels()
    assert made.end is None
    made.send(made.ev.loop())
    made.advance(0.4)
    made.send(made.ev.power_delivery("STANDBY"))
    made.advance(0.6)
    assert made.end is None


def test_loop_request_that_is_late_is_late_even_if_it_is_noticed_first() -> None:
    made = reach(S.CHARGE_LOOP)
    made.send(made.ev.loop())
    made.sent.clear()
    made.clock.now += 0.6
    made.feed(Bytes(frame_of(made.ev.loop())))
    timed_out(made, "V2G_SECC_Sequence_Timeout")


def test_loop_sequence_time_can_be_relaxed_for_slow_peers() -> None:
    made = reach(S.CHARGE_LOOP, timers=SeccTimers(loop_sequence_s=2.0))
    made.send(made.ev.loop())
    made.advance(1.9)
    assert made.end is None
    made.advance(0.2)
    assert made.end.reason is EndReason.TIMEOUT


def test_ignored_frames_do_not_keep_a_session_alive() -> None:
    made = reach(S.SERVICE_DISCOVERY)
    for _ in range(6):
        made.advance(9.0)
        made.send_octets(bytes.fromhex("01fe0000000000020102"))
        made.send(made.ev.handshake())
    assert made.end is None
    made.advance(6.1)
    timed_out(made, "V2G_SECC_Sequence_Timeout")


def test_sequence_timer_rests_while_a_request_waits_for_us() -> None:
    made = bench(timers=SeccTimers(sequence_s=0.5, communication_setup_s=60.0))
    made.answering = False
    walk(made, S.AUTHORIZATION)
    assert made.send(made.ev.authorization()) is None
    made.advance(0.9)
    assert made.end is None


# --- communication set-up ---------------------------------------------------------------------


def test_communication_setup_times_out_before_the_handshake() -> None:
    made = bench()
    made.advance(17.9)
    assert made.end is None
    made.advance(0.2)
    timed_out(made, "V2G_SECC_CommunicationSetup_Performance_Timer")


def test_communication_setup_times_out_before_session_setup() -> None:
    made = reach(S.SESSION_SETUP)
    made.advance(18.1)
    timed_out(made, "V2G_SECC_CommunicationSetup_Performance_Timer")


def test_communication_setup_ends_with_session_setup() -> None:
    made = reach(S.SESSION_SETUP)
    made.send(made.ev.session_setup())
    established = made.seen_events(SessionEstablished)
    assert [e.peer_id for e in established] == ["EV"]
    assert established[0].session_id == made.record.session_id
    made.advance(30.0)
    assert made.end is None


# --- customer and controller ------------------------------------------------------------------


def test_authorization_waits_a_second_before_it_says_ongoing() -> None:
    made = reach(S.AUTHORIZATION)
    made.answering = False
    assert made.send(made.ev.authorization()) is None
    made.advance(0.99)
    assert not made.sent
    made.levels()
    assert not made.sent
    made.advance(0.02)
    assert made.sent[-1].response_code is Code.OK
    assert made.sent[-1].evse_processing is Processing.ONGOING_WAITING_FOR_CUSTOMER_INTERACTION


def test_customer_who_does_nothing_is_refused_in_the_end() -> None:
    made = reach(S.AUTHORIZATION)
    made.answering = False
    made.send(made.ev.authorization())
    waited = 0.0
    while made.sent[-1:] == [] or made.sent[-1].evse_processing is not Processing.FINISHED:
        made.advance(5.0)
        waited += 5.0
        made.send(made.ev.authorization())
        assert waited < 200
    assert 180 <= waited <= 190
    assert made.sent[-1].response_code is Code.WARNING_EIM_AUTHORIZATION_FAILURE
    assert made.at is S.AUTHORIZATION
    made.send(made.ev.authorization())
    made.answer(Authorization(True))
    assert made.sent[-1].response_code is Code.OK


def test_customer_bound_is_not_reset_by_asking_for_another_service() -> None:
    made = reach(S.AUTHORIZATION)
    made.answering = False
    made.send(made.ev.authorization())
    for _ in range(37):
        made.advance(5.0)
        made.send(made.ev.pnc_authorization())
        made.send(made.ev.authorization())
    assert Code.WARNING_EIM_AUTHORIZATION_FAILURE in [r.response_code for r in made.sent]


def test_schedule_is_refused_before_the_ev_gives_up() -> None:
    made = reach(S.SCHEDULE_EXCHANGE)
    made.answering = False
    assert made.send(made.ev.schedule_exchange()) is None
    made.advance(1.1)
    started = made.clock.now
    assert made.sent[-1].evse_processing is Processing.ONGOING
    while made.end is None:
        made.advance(0.5)
        made.send(made.ev.schedule_exchange())
        assert made.clock.now - started < 60.0
    assert made.clock.now - started >= 54.0
    assert made.sent[-1].response_code is Code.FAILED
    assert made.end.fault is Fault.LOCAL
    assert made.end.reason is EndReason.REFUSED


def test_power_profile_that_the_ev_never_finishes_is_refused() -> None:
    made = reach(S.POWER_DELIVERY, "AC", "SCHEDULED")
    started = made.clock.now
    while made.end is None:
        response = made.send(made.ev.power_delivery("START", finished=False))
        made.advance(1.0)
        assert made.clock.now - started < 60.0
    assert response.response_code is Code.FAILED
    assert "power profile" in made.end.detail


def test_a_bound_that_ran_out_is_forgotten_with_its_phase() -> None:
    """Late, but done: a power profile after 55 s does not fail the next phase."""
    made = reach(S.POWER_DELIVERY, "AC", "SCHEDULED")
    made.levels(cp=CpState.C)
    made.send(made.ev.power_delivery("START", finished=False))
    made.powered(55.5)
    assert made.send(made.ev.start()).response_code is Code.OK
    assert not made.record.overdue


def test_cable_check_is_refused_before_the_ev_gives_up() -> None:
    made = reach(S.CABLE_CHECK)
    made.obedient = False
    made.levels(cp=CpState.C, locked=True)
    started = made.clock.now
    while made.end is None:
        response = made.send(made.ev.cable_check())
        made.powered(0.5)
        assert made.clock.now - started < 40.0
    assert made.clock.now - started > 37.0
    assert response.response_code is Code.FAILED
    assert made.end.fault is Fault.LOCAL
    assert made.issued(Deenergise)


# --- contactor and pilot ----------------------------------------------------------------------


def test_contactor_that_does_not_close_fails_after_its_time() -> None:
    made = reach(S.POWER_DELIVERY, "AC")
    made.obedient = False
    made.levels(cp=CpState.C, locked=True)
    assert made.send(made.ev.start()) is None
    made.powered(1.39)
    assert made.end is None
    made.powered(0.02)
    assert made.sent[-1].response_code is Code.FAILED_CONTACTOR_ERROR
    assert made.end.fault is Fault.LOCAL
    assert made.issued(Deenergise)


def test_contactor_that_does_not_open_fails_after_its_time() -> None:
    made = reach(S.CHARGE_LOOP, "AC")
    made.obedient = False
    assert made.send(made.ev.power_delivery("STOP")) is None
    made.powered(1.39)
    assert made.end is None
    made.powered(0.02)
    assert made.sent[-1].response_code is Code.FAILED_CONTACTOR_ERROR
    assert made.end.fault is Fault.LOCAL
    assert made.issued(Deenergise)


@pytest.mark.req("V2G20-847")
def test_ev_that_does_not_show_state_c_after_power_delivery() -> None:
    made = reach(S.POWER_DELIVERY, "AC", locked=True)
    assert made.send(made.ev.start()) is None
    made.advance(1.41)
    assert made.sent[-1].response_code is Code.FAILED_POWER_DELIVERY_NOT_APPLIED
    assert made.end.requirement == "V2G20-847"
    assert made.end.fault is Fault.REMOTE


@pytest.mark.req("V2G20-847")
def test_state_c_may_come_after_power_delivery_req() -> None:
    made = reach(S.POWER_DELIVERY, "AC")
    assert made.send(made.ev.start()) is None
    made.advance(0.2)
    made.levels(cp=CpState.C)
    assert made.sent[-1].response_code is Code.OK
    assert made.at is S.CHARGE_LOOP


@pytest.mark.req("V2G20-847")
def test_a_closed_contactor_does_not_replace_state_c() -> None:
    made = reach(S.POWER_DELIVERY, "AC")
    made.levels(contactor=Contactor.CLOSED, locked=True)
    assert made.send(made.ev.start()) is None
    made.levels(cp=CpState.C)
    assert made.sent[-1].response_code is Code.OK


@pytest.mark.req("V2G20-1418")
def test_cable_check_without_state_c() -> None:
    made = reach(S.CABLE_CHECK)
    assert made.send(made.ev.cable_check()) is None
    made.advance(1.41)
    assert made.sent[-1].response_code is Code.FAILED
    assert made.end.requirement == "V2G20-1418"


@pytest.mark.req("V2G20-921")
@pytest.mark.parametrize("service", ["AC", "DC"])
def test_session_stop_without_state_b(service: str) -> None:
    made = reach(S.SESSION_STOP if service == "AC" else S.WELDING_DETECTION, service)
    assert made.send(made.ev.session_stop()) is None
    made.advance(1.41)
    assert made.sent[-1].response_code is Code.FAILED
    assert made.end.requirement == "V2G20-921"


def test_session_stop_waits_for_state_b() -> None:
    made = reach(S.WELDING_DETECTION)
    assert made.send(made.ev.session_stop()) is None
    made.advance(1.0)
    made.levels(cp=CpState.B)
    assert made.sent[-1].response_code is Code.OK
    assert made.end.as_intended


# --- hardware and notifications ---------------------------------------------------------------


@pytest.mark.parametrize("state", [S.CABLE_CHECKED, S.PRE_CHARGE, S.CHARGE_LOOP])
def test_silent_hardware_deenergises(state: State) -> None:
    made = reach(state)
    made.levels()
    made.advance(1.99)
    assert not made.commands
    made.advance(0.02)
    assert made.commands == [Deenergise("no hardware state")]
    assert not made.record.energised
    response = made.send(made.ev.loop() if state is S.CHARGE_LOOP else made.ev.pre_charge())
    assert response.response_code is Code.FAILED
    assert made.end.reason is EndReason.LOCAL
    assert made.end.fault is Fault.LOCAL


def test_silent_hardware_does_not_matter_without_power() -> None:
    made = reach(S.SERVICE_DISCOVERY)
    made.advance(50.0)
    assert not made.commands
    assert made.end is None


def test_silent_hardware_fails_the_request_that_waits() -> None:
    made = reach(S.CHARGE_LOOP, timers=SeccTimers(contactor_s=5.0))
    made.obedient = False
    assert made.send(made.ev.power_delivery("STOP")) is None
    made.advance(2.1)
    assert made.sent[-1].response_code is Code.FAILED
    assert "no hardware state" in made.end.detail


@pytest.mark.parametrize("wish", list(Wish))
def test_ev_that_ignores_a_notification_is_deenergised(wish: Wish) -> None:
    made = reach(S.CHARGE_LOOP)
    made.levels(wish=wish)
    for _ in range(149):
        made.advance(0.4)
        made.levels()
        made.send(made.ev.loop())
    assert not made.issued(Deenergise)
    for _ in range(3):
        made.advance(0.4)
        made.levels()
        made.send(made.ev.loop())
    assert made.issued(Deenergise)
    assert made.sent[-1].response_code is Code.FAILED
    assert made.end.fault is Fault.REMOTE


def test_notification_that_is_withdrawn_does_not_fire() -> None:
    made = reach(S.CHARGE_LOOP)
    made.levels(wish=Wish.PAUSE)
    made.powered(30.0)
    made.levels(wish=None)
    made.send(made.ev.loop())
    made.clock.now += 0.1
    made.send(made.ev.power_delivery("STANDBY"))
    made.powered(40.0)
    assert not made.issued(Deenergise)


def test_notification_does_not_fire_after_the_ev_has_left_the_loop() -> None:
    """Also where the hardware reports only what changes."""
    made = reach(S.CHARGE_LOOP)
    made.levels(wish=Wish.TERMINATE)
    made.send(made.ev.loop())
    made.advance(0.1)
    made.send(made.ev.power_delivery("STOP"))
    assert made.at is S.WELDING_DETECTION
    for _ in range(4):
        made.advance(20.0)
        assert made.send(made.ev.welding()).response_code is Code.OK
    assert not made.issued(Deenergise)


# --- the end ----------------------------------------------------------------------------------


@pytest.mark.req("V2G20-1643")
def test_the_ev_has_four_seconds_to_close() -> None:
    made = reach(S.WELDING_DETECTION)
    made.levels(cp=CpState.B)
    made.send(made.ev.session_stop())
    assert made.close.after == 4.0
    assert made.machine.deadline == NEVER
    made.advance(1000.0)
    made.levels(contactor=Contactor.OPEN)
    assert len(made.sent) == 1


def test_a_session_ends_once() -> None:
    made = reach(S.CHARGE_LOOP)
    assert not made.machine.ended
    made.send(made.ev.service_discovery())
    made.advance(100.0)
    made.levels(emergency_stop=True)
    assert made.machine.ended
    assert len([e for e in made.events if type(e).__name__ == "SessionEnded"]) == 1
