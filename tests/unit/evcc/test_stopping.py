"""Our own side wants to stop, at any time: orderly, and soon."""

from __future__ import annotations

import pytest

from iso15118.control.common import Contactor, Wish
from iso15118.events import SessionEnded
from iso15118.machine import Stop
from iso15118.messages.iso20.common import ChargingSession
from iso15118.messages.iso20.types import Processing, ResponseCode
from tests.unit.evcc.harness import (
    AC,
    CLOSE_IT,
    DC,
    DYNAMIC,
    OPEN_IT,
    PILOT_B,
    SCHEDULED,
    Bench,
    config,
)
from tests.unit.evcc.test_sessions import AC_ORDER, DC_ORDER
from tests.unit.evcc.test_timeouts import EVERY_REQUEST

AFTER_THE_LOOP = ("DC_WeldingDetectionReq", "SessionStopReq")
REASON = "the driver wants to leave"
BEFORE_A_SESSION = ("SupportedAppProtocolReq",)
WITH_POWER = (
    "AC_ChargeLoopReq",
    "DC_ChargeLoopReq",
    "PowerDeliveryReq",
    "DC_WeldingDetectionReq",
    "SessionStopReq",
)


def press(bench, request_name, act=None):
    """Stop while the answer to `request_name` is under way."""
    give = act or (lambda: bench.machine.receive(Stop(REASON), bench.now))
    return bench.when(bench.asked_for(request_name), lambda: bench.at(0.001, give))


@pytest.mark.parametrize(
    ("service", "request_name"), [x for x in EVERY_REQUEST if x[1] not in (*WITH_POWER, *BEFORE_A_SESSION)]
)
def test_stop_before_power_goes_to_session_stop_with_the_next_step(service, request_name):
    bench = press(Bench(service), request_name).run()
    assert bench.outcome == ("completed", "none")
    assert bench.ended.detail == REASON
    assert bench.names[-2:] == [request_name, "SessionStopReq"]
    stop = bench.one("SessionStopReq")
    assert (stop.charging_session, stop.ev_termination_explanation) == (ChargingSession.TERMINATE, REASON)
    assert CLOSE_IT not in bench.orders
    assert bench.left_safely


@pytest.mark.parametrize("service", [AC, DC])
def test_stop_before_there_is_a_session_closes(service):
    bench = press(Bench(service), "SupportedAppProtocolReq").run()
    assert bench.outcome == ("local", "none")
    assert bench.names == ["SupportedAppProtocolReq"]
    assert bench.left_safely


def test_stop_before_the_connection_lets_nothing_begin():
    bench = Bench()
    bench.machine.receive(Stop(""), bench.now)
    bench.run()
    assert bench.outcome == ("local", "none")
    assert bench.names == []
    assert bench.ended.detail == "the EV stops"


@pytest.mark.parametrize("mode", [SCHEDULED, DYNAMIC])
@pytest.mark.parametrize("service", [AC, DC])
def test_stop_in_the_loop_powers_off_in_order(service, mode):
    bench = Bench(service, mode, config=config(service, max_loops=None))
    bench.when(
        bench.in_phase("CHARGE_LOOP"),
        lambda: bench.at(0.42, lambda: bench.machine.receive(Stop(REASON), bench.now)),
    ).run()
    assert bench.outcome == ("completed", "none")
    assert bench.steps == (AC_ORDER if service is AC else DC_ORDER)
    assert bench.ended.detail == REASON


@pytest.mark.parametrize(("service", "request_name"), [x for x in EVERY_REQUEST if x[1] in WITH_POWER])
def test_stop_around_power_finishes_what_has_begun(service, request_name):
    """From PowerDelivery on the way to the end is the usual one."""
    bench = press(Bench(service), request_name).run()
    assert bench.outcome == ("completed", "none")
    assert bench.steps == (AC_ORDER if service is AC else DC_ORDER)
    loops = [n for n in bench.names if n.endswith("ChargeLoopReq")]
    assert len(loops) <= (4 if request_name in AFTER_THE_LOOP else 2)


POLLED = [
    ("AuthorizationReq", Processing.ONGOING),
    ("AuthorizationReq", Processing.ONGOING_WAITING_FOR_CUSTOMER_INTERACTION),
    ("ScheduleExchangeReq", Processing.ONGOING),
    ("DC_CableCheckReq", Processing.ONGOING),
]


@pytest.mark.parametrize("wish", ["stop", Wish.TERMINATE])
@pytest.mark.parametrize(("request_name", "processing"), POLLED)
def test_stop_cuts_polling_off(request_name, processing, wish):
    """Nobody wants to sit out a minute of a station's thinking."""
    bench = Bench()
    bench.station.alter(request_name, evse_processing=processing)
    pressed = []

    def act():
        pressed.append(bench.now)
        if wish == "stop":
            bench.machine.receive(Stop(REASON), bench.now)
        else:
            bench.update(wish=wish)

    bench.when(lambda: len(bench.all(request_name)) == 4, lambda: bench.at(0.05, act)).run()
    assert bench.outcome == ("completed", "none")
    assert bench.names[-1] == "SessionStopReq"
    assert bench.ended.t - pressed[0] < 0.5


def test_stop_cuts_pre_charge_off():
    bench = Bench()
    bench.station._follow = lambda request: None
    press(bench, "DC_PreChargeReq").run()
    assert bench.outcome == ("completed", "none")
    assert CLOSE_IT not in bench.orders
    assert bench.ended.t < 101.0


def test_stop_between_pre_charge_and_closing_keeps_the_contactor_open():
    bench = Bench()
    finished = lambda: any(p.ev_processing is Processing.FINISHED for p in bench.all("DC_PreChargeReq"))  # noqa: E731
    bench.when(finished, lambda: bench.machine.receive(Stop(REASON), bench.now)).run()
    assert bench.outcome == ("completed", "none")
    assert CLOSE_IT not in bench.orders


@pytest.mark.parametrize("wish", [None, Wish.TERMINATE])
def test_stop_while_the_contactor_closes_opens_it_before_session_stop(wish):
    bench = Bench()

    def act():
        if wish:
            bench.update(wish=wish)
        else:
            bench.machine.receive(Stop(REASON), bench.now)

    bench.when(lambda: CLOSE_IT in bench.orders, act).run()
    assert bench.outcome == ("completed", "none")
    assert "PowerDeliveryReq" not in bench.names
    assert bench.names[-1] == "SessionStopReq"
    tail = bench.orders[bench.orders.index(CLOSE_IT) :]
    assert tail[:3] == [CLOSE_IT, OPEN_IT, PILOT_B]
    opened = next(t for t, c in bench.commands if c == OPEN_IT)
    assert bench.requests[-1].t - opened >= 0.05, "SessionStop only once it is open"


def test_stop_with_a_contactor_that_does_not_open_still_ends():
    bench = Bench()

    def act():
        bench.machine.receive(Stop(REASON), bench.now)
        bench.update(contactor=Contactor.CLOSED)
        bench.stuck_contactor = True

    bench.when(lambda: CLOSE_IT in bench.orders, act).run()
    assert bench.outcome == ("completed", "none")
    assert bench.ended.t < 110.0


@pytest.mark.parametrize("phase", ["SERVICE_DETAIL", "SCHEDULE_EXCHANGE"])
def test_stop_does_not_wait_for_our_own_controller(phase):
    bench = Bench(DC, SCHEDULED)
    bench.when(bench.in_phase(phase), lambda: setattr(bench, "answers", False))
    waiting = lambda: not bench.answers and bench.machine.deadline > bench.now + 30  # noqa: E731
    bench.when(waiting, lambda: bench.at(0.3, lambda: bench.machine.receive(Stop(REASON), bench.now))).run()
    assert bench.outcome == ("completed", "none")
    assert bench.ended.detail == REASON
    assert bench.names[-1] == "SessionStopReq"
    assert bench.ended.t < 102.0


@pytest.mark.parametrize("request_name", ["SessionSetupReq", "AuthorizationReq", "DC_CableCheckReq"])
def test_station_that_refuses_the_early_session_stop_is_left_all_the_same(request_name):
    bench = press(Bench(), request_name)
    bench.station.alter("SessionStopReq", response_code=ResponseCode.FAILED_SEQUENCE_ERROR)
    assert bench.run().outcome == ("refused", "remote")
    assert bench.left_safely


def test_stop_twice_and_after_the_end_does_no_harm():
    bench = press(press(Bench(), "AuthorizationReq"), "AuthorizationReq").run()
    assert bench.outcome == ("completed", "none")
    bench.feed(Stop("again"))
    assert len(bench.seen(SessionEnded)) == 1


@pytest.mark.parametrize("wish", [Wish.PAUSE, Wish.SERVICE_RENEGOTIATION])
def test_other_wishes_wait_for_the_loop(wish):
    bench = Bench(DC, SCHEDULED)
    bench.when(bench.in_phase("AUTHORIZATION"), lambda: bench.update(wish=wish))
    bench.when(bench.in_phase("SESSION_STOP"), lambda: bench.update(wish=None)).run()
    assert len(bench.all("DC_ChargeLoopReq")) >= 2


def test_long_reason_is_cut_to_what_the_message_holds():
    bench = Bench()
    press(bench, "AuthorizationReq", lambda: bench.machine.receive(Stop("x" * 500), bench.now)).run()
    assert bench.one("SessionStopReq").ev_termination_explanation == "x" * 160
    assert bench.ended.detail == "x" * 500
