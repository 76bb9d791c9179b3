"""Nobody waits for ever: message timeouts, processes with a bound, our own hardware and controller."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from iso15118 import events
from iso15118.config import EvccTimers
from iso15118.control.common import Contactor
from iso15118.control.ev import Deenergise, EvState
from iso15118.evcc.iso20.session import session
from iso15118.evcc.machine import EvccMachine
from iso15118.machine import Bytes, Update
from iso15118.messages.iso20 import common
from iso15118.messages.iso20.numbers import rational
from iso15118.messages.iso20.types import Processing
from tests.unit.evcc.harness import (
    AC,
    CLOSE_IT,
    DC,
    DC_BPT,
    PILOT_B,
    SCHEDULED,
    Bench,
    config,
    framed,
)
from tests.unit.evcc.station import SILENT
from tests.unit.evcc.test_sessions import AC_ORDER, DC_ORDER

ONGOING = Processing.ONGOING
CUSTOMER = Processing.ONGOING_WAITING_FOR_CUSTOMER_INTERACTION
EVERY_REQUEST = [(AC, n) for n in dict.fromkeys(AC_ORDER)] + [(DC, n) for n in dict.fromkeys(DC_ORDER)]
TIMES_S = {"ServiceDetailReq": 5.0, "AC_ChargeLoopReq": 0.5, "DC_ChargeLoopReq": 0.5}


def waited(bench):
    """How long the EV waited for the answer to its last request (s)."""
    return bench.ended.t - bench.requests[-1].t


# --- message timeouts -------------------------------------------------------------------------


@pytest.mark.req("V2G20-1499")
@pytest.mark.req("V2G20-1501")
@pytest.mark.parametrize(("service", "request_name"), EVERY_REQUEST)
def test_silent_station_is_left_after_the_message_timeout(service, request_name):
    """In every state: 2 s, 5 s for ServiceDetail, 0.5 s in the loop; then open, and close."""
    bench = Bench(service)
    bench.station.on(request_name, SILENT)
    assert bench.run().outcome == ("timeout", "remote")
    assert bench.names[-1] == request_name
    assert waited(bench) == pytest.approx(TIMES_S.get(request_name, 2.0))
    assert isinstance(bench.orders[-2], Deenergise)
    assert bench.orders[-1] == PILOT_B
    assert bench.closed_at == bench.ended.t
    assert [e.timer for e in bench.seen(events.TimerExpired)] == ["V2G_EVCC_Msg_Timeout"]


@pytest.mark.parametrize(
    ("service", "request_name", "answered"),
    [
        (AC, "AC_ChargeLoopReq", 2),
        (AC, "AC_ChargeLoopReq", 3),
        (AC, "PowerDeliveryReq", 1),
        (DC, "DC_PreChargeReq", 2),
        (DC, "DC_ChargeLoopReq", 2),
        (DC, "DC_ChargeLoopReq", 3),
        (DC, "PowerDeliveryReq", 1),
        (DC, "DC_WeldingDetectionReq", 1),
    ],
)
def test_station_that_falls_silent_later_is_left_as_well(service, request_name, answered):
    """In the middle of the loop, while power comes down, at power off, in welding detection."""
    bench = Bench(service)
    bench.station.on(request_name, lambda req, res, n: res if n < answered else SILENT)
    assert bench.run().outcome == ("timeout", "remote")
    assert len(bench.all(request_name)) == answered + 1
    assert waited(bench) == pytest.approx(TIMES_S.get(request_name, 2.0))
    assert bench.left_safely


@pytest.mark.parametrize(("delay", "outcome"), [(0.49, "completed"), (0.51, "timeout")])
def test_answer_in_the_loop_counts_until_half_a_second(delay, outcome):
    bench = Bench()
    bench.station.on("DC_ChargeLoopReq", lambda req, res, n: bench.send(res, after=delay))
    assert bench.run().outcome[0] == outcome


def test_loop_timeout_can_be_relaxed_and_other_timeouts_stay():
    for name, expected in ("DC_ChargeLoopReq", 3.0), ("PowerDeliveryReq", 2.0):
        bench = Bench(config=config(timers=EvccTimers(loop_message_s=3.0)))
        bench.station.on(name, SILENT)
        assert bench.run().outcome == ("timeout", "remote")
        assert waited(bench) == pytest.approx(expected)


def test_late_answer_is_late_even_if_the_timer_was_not_served():
    """A driver that was held up hands over the answer first: the same number counts."""
    bench = Bench()
    bench.station.on("DC_ChargeLoopReq", SILENT)
    bench.run(until=bench.asked_for("DC_ChargeLoopReq"))
    bench.now += 0.6
    bench.feed(Bytes(framed(bench.station.usual(bench.last))))
    assert bench.outcome == ("timeout", "remote")
    assert not [e for e in bench.seen(events.MessageReceived) if e.t == bench.now]


def test_nothing_is_due_before_and_after_the_session():
    machine = EvccMachine(config(), bytes, lambda: 0.0)
    assert machine.deadline == math.inf
    bench = Bench().run()
    assert bench.machine.deadline == math.inf


@pytest.mark.parametrize("seconds", [19.0, 21.0])
def test_communication_setup_has_twenty_seconds(seconds):
    async def slow(ev):
        await ev.sleep(seconds)
        await session(ev)

    bench = Bench(script=slow).run()
    if seconds < 20.0:
        assert bench.outcome == ("completed", "none")
        return
    assert bench.outcome == ("timeout", "remote")
    assert bench.ended.t == pytest.approx(120.0)
    assert bench.ended.detail.startswith("V2G_EVCC_CommunicationSetup_Timeout")


def test_communication_setup_covers_a_protocol_that_never_gets_to_a_session():
    timers = EvccTimers(communication_setup_s=1.0)
    bench = Bench(config=config(timers=timers))
    bench.station.on("SessionSetupReq", SILENT)
    assert bench.run().ended.detail.startswith("V2G_EVCC_CommunicationSetup_Timeout")


def test_communication_setup_does_not_run_into_the_session():
    bench = Bench()
    bench.station.alter("AuthorizationReq", last=300, evse_processing=ONGOING)
    assert bench.run().outcome == ("completed", "none")
    assert bench.ended.t > 130.0


# --- processes of the station -----------------------------------------------------------------

PROCESSES = [
    ("AuthorizationReq", {"evse_processing": ONGOING}, 60.0, "V2G_EVCC_Ongoing_Timeout"),
    ("AuthorizationReq", {"evse_processing": CUSTOMER}, 300.0, "V2G_EVCC_Ongoing_Timeout"),
    ("ScheduleExchangeReq", {"evse_processing": ONGOING}, 60.0, "V2G_EVCC_Ongoing_Timeout"),
    ("ScheduleExchangeReq", {"evse_processing": CUSTOMER}, 60.0, "V2G_EVCC_Ongoing_Timeout"),
    ("DC_CableCheckReq", {"evse_processing": ONGOING}, 40.0, "V2G_EVCC_CableCheck_Timeout"),
    ("DC_PreChargeReq", {"evse_present_voltage": rational(20.0)}, 10.0, "V2G_EVCC_PreCharge_Timeout"),
]


@pytest.mark.parametrize(("request_name", "fields", "limit_s", "timer"), PROCESSES)
def test_process_of_the_station_is_bounded(request_name, fields, limit_s, timer):
    bench = Bench(DC_BPT, config=config(DC_BPT, poll_interval_s=0.5))
    bench.station.alter(request_name, **fields)
    assert bench.run().outcome == ("timeout", "remote")
    first = next(s.t for s in bench.requests if type(s.message).__name__ == request_name)
    assert limit_s <= bench.ended.t - first < limit_s + 0.6
    assert [e.timer for e in bench.seen(events.TimerExpired)] == [timer]
    assert isinstance(bench.orders[-2], Deenergise)
    assert CLOSE_IT not in bench.orders


@pytest.mark.parametrize(("request_name", "fields", "limit_s", "timer"), PROCESSES)
def test_process_of_the_station_may_take_nearly_its_bound(request_name, fields, limit_s, timer):
    bench = Bench(DC_BPT, config=config(DC_BPT, poll_interval_s=0.5))
    begun = []

    def slow(req, res, n):
        begun.append(bench.now)
        return replace(res, **fields) if bench.now - begun[0] < limit_s - 1.0 else res

    bench.station.on(request_name, slow)
    assert bench.run().outcome == ("completed", "none"), timer


def test_process_with_slow_answers_is_bounded_as_well():
    bench = Bench()
    bench.station.on(
        "DC_CableCheckReq",
        lambda req, res, n: bench.send(replace(res, evse_processing=ONGOING), after=1.9),
    )
    assert bench.run().outcome == ("timeout", "remote")
    first = next(s.t for s in bench.requests if type(s.message).__name__ == "DC_CableCheckReq")
    assert bench.ended.t - first < 40.0 + 2.1


@pytest.mark.req("V2G20-1582")
@pytest.mark.parametrize("processing", [ONGOING, CUSTOMER])
def test_authorization_polls_with_the_same_request(processing):
    bench = Bench()
    bench.station.alter("AuthorizationReq", last=4, evse_processing=processing)
    asked = bench.run().all("AuthorizationReq")
    assert len(asked) == 6
    assert len({(a.selected_authorization_service, a.authorization_mode) for a in asked}) == 1
    stamps = [a.header.time_stamp for a in asked]
    assert stamps == sorted(set(stamps))


def test_station_that_asked_for_the_customer_once_has_the_long_time():
    bench = Bench(config=config(poll_interval_s=1.0))

    def first_customer(req, res, n):
        return replace(res, evse_processing=CUSTOMER if n == 0 else ONGOING)

    bench.station.on("AuthorizationReq", first_customer)
    assert bench.run().outcome == ("timeout", "remote")
    assert bench.ended.t > 400.0


@pytest.mark.parametrize("count", [1, 7])
def test_schedule_placeholders_of_the_other_mode_are_ignored_while_ongoing(count):
    bench = Bench(DC, SCHEDULED)
    bench.station.alter(
        "ScheduleExchangeReq",
        last=count - 1,
        evse_processing=ONGOING,
        control_mode=common.Dynamic_SEResControlMode(),
    )
    assert bench.run().outcome == ("completed", "none")
    assert len(bench.all("ScheduleExchangeReq")) == count + 1


# --- our own hardware and controller ----------------------------------------------------------


def test_contactor_that_does_not_close_is_noticed():
    bench = Bench(stuck_contactor=True).run()
    assert bench.outcome == ("local", "local")
    assert "does not close" in bench.ended.detail
    assert "PowerDeliveryReq" not in bench.names
    closing = next(t for t, c in bench.commands if c == CLOSE_IT)
    assert bench.ended.t - closing == pytest.approx(3.0)
    assert bench.left_safely


def test_contactor_that_does_not_open_is_noticed_in_bounded_time():
    bench = Bench()
    bench.when(bench.in_phase("CHARGE_LOOP"), lambda: setattr(bench, "stuck_contactor", True)).run()
    assert bench.outcome == ("local", "local")
    assert "does not open" in bench.ended.detail
    welding = [s.t for s in bench.requests if type(s.message).__name__ == "DC_WeldingDetectionReq"]
    assert 60.0 <= bench.ended.t - welding[0] < 60.3
    assert {w.ev_processing for w in bench.all("DC_WeldingDetectionReq")} == {ONGOING}


@pytest.mark.parametrize("own", [True, False])
def test_current_that_does_not_come_down_delays_power_off_for_a_bounded_time(own):
    bench = Bench()
    if own:
        bench.update = lambda keep=bench.update, **levels: keep(**levels | {"current_a": 30.0})
    else:
        bench.station.current = 30.0
    bench.run()
    assert bench.outcome == ("completed", "none")
    times = [s.t for s in bench.requests if type(s.message).__name__ == "DC_ChargeLoopReq"]
    assert 5.0 <= times[-1] - times[2] < 5.5


def test_ac_power_that_does_not_come_down_delays_power_off_for_a_bounded_time():
    bench = Bench(AC)
    bench.update = lambda keep=bench.update, **levels: keep(**levels | {"power_w": 3000.0})
    bench.run()
    assert bench.outcome == ("completed", "none")
    times = [s.t for s in bench.requests if type(s.message).__name__ == "AC_ChargeLoopReq"]
    assert 5.0 <= times[-1] - times[2] < 5.5
    last = bench.all("AC_ChargeLoopReq")[-1].cl_req_control_mode
    assert last.ev_maximum_charge_power == rational(0.0)


@pytest.mark.parametrize("service", [AC, DC])
def test_silence_of_our_own_hardware_ends_the_transfer(service):
    bench = Bench(service, config=config(service, max_loops=None))
    bench.when(bench.in_phase("CHARGE_LOOP"), lambda: setattr(bench, "frozen", True)).run()
    assert bench.outcome == ("local", "local")
    assert bench.ended.detail == "no state from our own hardware"
    assert bench.left_safely
    loop = next(e.t for e in bench.seen(events.StateEntered) if e.state == "CHARGE_LOOP")
    assert 1.4 < bench.ended.t - loop <= 2.0


def test_silence_of_our_own_hardware_does_not_matter_before_power():
    bench = Bench()
    bench.station.alter("AuthorizationReq", last=50, evse_processing=ONGOING)
    bench.when(bench.in_phase("AUTHORIZATION"), lambda: setattr(bench, "frozen", True))
    bench.when(bench.in_phase("SERVICE_DISCOVERY"), lambda: setattr(bench, "frozen", False))
    assert bench.run().outcome == ("completed", "none")
    assert bench.ended.t > 105.0


def test_controller_that_never_answers_about_the_service_ends_the_session_politely():
    bench = Bench(answers=False).run()
    assert bench.outcome == ("completed", "none")
    assert bench.names[-1] == "SessionStopReq"
    assert bench.ended.detail == "no suitable service"
    assert bench.ended.t - 100.0 == pytest.approx(40.0, abs=0.5)
    assert [e.timer for e in bench.seen(events.TimerExpired)] == ["question"]


def test_controller_that_never_answers_about_the_schedule_gets_the_default():
    bench = Bench(DC, SCHEDULED)
    bench.when(bench.in_phase("SCHEDULE_EXCHANGE"), lambda: setattr(bench, "answers", False)).run()
    assert bench.outcome == ("completed", "none")
    assert bench.all("PowerDeliveryReq")[0].ev_power_profile.control_mode.selected_schedule_tuple_id == 1


def test_levels_after_the_end_are_taken_without_effect():
    bench = Bench().run()
    orders = len(bench.orders)
    bench.machine.receive(Update(EvState(emergency_stop=True, contactor=Contactor.CLOSED)), bench.now)
    bench.feed(Update(EvState()))
    assert len(bench.orders) == orders
    assert bench.outcome == ("completed", "none")
