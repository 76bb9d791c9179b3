"""EVSENotification in the charge loop and at power on; our own wishes; how the EV leaves."""

from __future__ import annotations

import itertools

import pytest

from iso15118 import events
from iso15118.control.common import Wish
from iso15118.control.ev import PowerStep, ScheduleDecision
from iso15118.messages.iso20.common import ChargingSession
from iso15118.messages.iso20.types import EvseNotification, EVSEStatus, ResponseCode
from tests.unit.evcc.harness import AC, COMBINATIONS, DC, DYNAMIC, SCHEDULED, Bench, config
from tests.unit.evcc.test_sessions import AC_ORDER, BEGINNING, DC_ORDER

every_session = pytest.mark.parametrize(("service", "mode"), COMBINATIONS)
IGNORED = [
    EvseNotification.EXIT_STANDBY,
    EvseNotification.SCHEDULE_RENEGOTIATION,
    EvseNotification.METERING_CONFIRMATION,
]


def loop_of(service):
    return f"{'AC' if service.is_ac else 'DC'}_ChargeLoopReq"


def notify(bench, what, first=1, last=10**9, delay=0):
    status = EVSEStatus(notification_max_delay=delay, evse_notification=what)
    bench.station.alter(loop_of(bench.service), first=first, last=last, evse_status=status)
    return bench


def long(service, mode, **changes):
    return Bench(service, mode, config=config(service, max_loops=changes.pop("max_loops", 50), **changes))


# --- the station's wishes ---------------------------------------------------------------------


@every_session
@pytest.mark.parametrize("delay", [0, 60])
def test_terminate_is_followed_at_once(service, mode, delay):
    bench = notify(long(service, mode), EvseNotification.TERMINATE, delay=delay).run()
    assert bench.outcome == ("completed", "none")
    assert bench.steps == (AC_ORDER if service.is_ac else DC_ORDER)
    assert bench.one("SessionStopReq").charging_session is ChargingSession.TERMINATE
    assert len(bench.all(loop_of(service))) == 3
    assert bench.ended.detail == "the station asks to terminate"


@every_session
def test_pause_is_followed_at_once(service, mode):
    bench = notify(long(service, mode), EvseNotification.PAUSE, delay=60).run()
    assert bench.outcome == ("paused", "none")
    assert bench.one("SessionStopReq").charging_session is ChargingSession.PAUSE
    assert bench.left_safely


@every_session
@pytest.mark.parametrize("what", IGNORED, ids=str)
def test_what_is_not_supported_is_ignored_and_never_ends_the_session(service, mode, what):
    bench = notify(long(service, mode, max_loops=4), what, first=0).run()
    assert bench.outcome == ("completed", "none")
    assert bench.ended.detail == "4 charge loops done"
    assert any(str(what) in e.why for e in bench.seen(events.Decision))


@pytest.mark.req("V2G20-1477")
@every_session
def test_service_renegotiation_goes_back_to_the_services(service, mode):
    """Same connection, same session id, no new authorization; then everything once more."""
    bench = notify(long(service, mode, max_loops=3), EvseNotification.SERVICE_RENEGOTIATION, last=1).run()
    once = AC_ORDER if service.is_ac else DC_ORDER
    assert bench.steps == once + once[len(BEGINNING) - 3 :]
    stops = [s.charging_session for s in bench.all("SessionStopReq")]
    assert stops == [ChargingSession.SERVICE_RENEGOTIATION, ChargingSession.TERMINATE]
    assert len({s.message.header.session_id for s in bench.requests[2:]}) == 1
    assert bench.outcome == ("completed", "none")
    assert bench.left_safely


@pytest.mark.req("V2G20-1477")
@pytest.mark.parametrize("mode", [SCHEDULED, DYNAMIC])
def test_service_renegotiation_is_ignored_where_the_station_cannot(mode):
    bench = notify(long(DC, mode, max_loops=4), EvseNotification.SERVICE_RENEGOTIATION)
    bench.station.alter("ServiceDiscoveryReq", service_renegotiation_supported=False)
    assert bench.run().outcome == ("completed", "none")
    assert bench.one("SessionStopReq").charging_session is ChargingSession.TERMINATE


@pytest.mark.req("V2G20-1477")
def test_refused_service_renegotiation_ends_the_session():
    bench = notify(long(DC, DYNAMIC), EvseNotification.SERVICE_RENEGOTIATION)
    code = ResponseCode.FAILED_NO_SERVICE_RENEGOTIATION_SUPPORTED
    bench.station.alter("SessionStopReq", response_code=code)
    assert bench.run().outcome == ("refused", "remote")
    assert bench.left_safely


@pytest.mark.parametrize("what", [EvseNotification.TERMINATE, EvseNotification.PAUSE], ids=str)
@every_session
def test_notification_at_power_on_leaves_before_the_loop(service, mode, what):
    """A station that shuts down answers OK and says so in EVSEStatus."""
    bench = long(service, mode)
    status = EVSEStatus(notification_max_delay=0, evse_notification=what)
    bench.station.alter("PowerDeliveryReq", last=0, evse_status=status)
    bench.run()
    assert bench.outcome == ("completed" if what is EvseNotification.TERMINATE else "paused", "none")
    assert len(bench.all(loop_of(service))) == (0 if service.is_ac else 1), (
        "DC: only to bring the current down"
    )
    assert len(bench.all("PowerDeliveryReq")) == 2
    assert bench.left_safely


@pytest.mark.parametrize("what", list(EvseNotification), ids=str)
def test_notification_at_power_off_changes_nothing(what):
    bench = Bench()
    status = EVSEStatus(notification_max_delay=0, evse_notification=what)
    bench.station.alter("PowerDeliveryReq", first=1, evse_status=status)
    assert bench.run().outcome == ("completed", "none")


# --- our own wishes ---------------------------------------------------------------------------


def wishing(bench, wish):
    return bench.when(bench.in_phase("CHARGE_LOOP"), lambda: bench.at(0.35, lambda: bench.update(wish=wish)))


@every_session
def test_wish_to_terminate_leaves_the_loop(service, mode):
    bench = wishing(long(service, mode), Wish.TERMINATE).run()
    assert bench.outcome == ("completed", "none")
    assert bench.one("SessionStopReq").charging_session is ChargingSession.TERMINATE
    assert len(bench.all(loop_of(service))) <= 6


def idle(bench):
    """A car whose plan is to draw nothing."""

    async def choose(question):
        return ScheduleDecision(question.options[0].tuple_id, (PowerStep(3600, 0.0),))

    bench.controller.choose_schedule = choose
    return bench


@pytest.mark.parametrize("service", [AC, DC])
def test_wish_to_pause_pauses_where_the_plan_is_zero(service):
    bench = wishing(idle(long(service, SCHEDULED)), Wish.PAUSE).run()
    assert bench.one("SessionStopReq").charging_session is ChargingSession.PAUSE
    assert bench.outcome == ("paused", "none")


@every_session
def test_wish_to_pause_terminates_where_a_pause_would_be_refused(service, mode):
    """In Dynamic mode only the station may ask for it; in Scheduled mode the plan must be at zero."""
    bench = wishing(long(service, mode), Wish.PAUSE).run()
    assert bench.one("SessionStopReq").charging_session is ChargingSession.TERMINATE
    assert bench.outcome == ("completed", "none")
    assert ("its plan says" if mode is SCHEDULED else "Dynamic mode") in bench.ended.detail


def test_refused_pause_ends_the_session_all_the_same():
    bench = wishing(idle(long(DC, SCHEDULED)), Wish.PAUSE)
    bench.station.alter("SessionStopReq", response_code=ResponseCode.FAILED_PAUSE_NOT_ALLOWED)
    assert bench.run().outcome == ("refused", "remote")
    assert bench.left_safely


@pytest.mark.req("V2G20-1477")
@pytest.mark.parametrize("supported", [True, False])
@pytest.mark.parametrize("service", [AC, DC])
def test_wish_for_another_service_renegotiates_where_the_station_can(service, supported):
    bench = wishing(long(service, DYNAMIC), Wish.SERVICE_RENEGOTIATION)
    bench.station.alter("ServiceDiscoveryReq", service_renegotiation_supported=supported)
    bench.when(lambda: len(bench.all("ServiceDiscoveryReq")) == 2, lambda: bench.update(wish=None)).run()
    stops = [s.charging_session for s in bench.all("SessionStopReq")]
    renegotiated = [ChargingSession.SERVICE_RENEGOTIATION] if supported else []
    assert stops == [*renegotiated, ChargingSession.TERMINATE]
    assert bench.outcome == ("completed", "none")


@every_session
def test_complete_battery_leaves_the_loop_and_says_so(service, mode):
    bench = long(service, mode)
    bench.when(
        bench.in_phase("CHARGE_LOOP"), lambda: bench.at(0.25, lambda: bench.update(complete=True))
    ).run()
    assert bench.outcome == ("completed", "none")
    assert bench.ended.detail == "charging complete"
    shown = [x.display_parameters.charging_complete for x in bench.all(loop_of(service))]
    assert shown[0] is False


@pytest.mark.parametrize("loops", [1, 2, 17])
def test_bound_on_the_number_of_loops_is_kept(loops):
    bench = Bench(config=config(max_loops=loops)).run()
    assert bench.ended.detail == f"{loops} charge loops done"
    assert len(bench.all("DC_ChargeLoopReq")) == loops + 1, "and one to bring the current down"


def test_meter_reading_is_asked_for_from_time_to_time():
    bench = Bench(config=config(max_loops=12, meter_info_every=5)).run()
    asked = [x.meter_info_requested for x in bench.all("DC_ChargeLoopReq")]
    assert [i for i, x in enumerate(asked[:12]) if x] == [0, 5, 10]


@pytest.mark.parametrize(("soc", "shown"), [(-3.0, 0), (0.0, 0), (54.9, 54), (100.0, 100), (130.0, 100)])
def test_state_of_charge_is_shown_within_its_range(soc, shown):
    bench = Bench()
    bench.update(soc_percent=soc)
    assert {x.display_parameters.present_soc for x in bench.run().all("DC_ChargeLoopReq")} == {shown}


def test_loop_is_as_fast_as_the_standard_wants():
    """The next request within 0.25 s of the last response."""
    bench = Bench(config=config(max_loops=20)).run()
    times = [s.t for s in bench.requests if type(s.message).__name__ == "DC_ChargeLoopReq"]
    assert max(b - a for a, b in itertools.pairwise(times)) <= 0.25
