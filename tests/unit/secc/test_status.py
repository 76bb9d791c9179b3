"""What a charge loop says besides power: meter, notifications, and whether the EV keeps to its plan."""

from __future__ import annotations

import pytest

from iso15118.control.common import Wish
from iso15118.control.evse import MeterReading
from iso15118.energy.offer import EnergyOffer, Offer, OfferStep
from iso15118.events import Fault
from iso15118.machine import Stop
from iso15118.messages.iso20.types import EvseNotification, EVSEStatus, ResponseCode
from iso15118.secc.session import State
from tests.unit.secc.harness import STARTED_AT
from tests.unit.secc.test_loop import in_loop, turn

S, Code = State, ResponseCode


# --- meter ------------------------------------------------------------------------------------


@pytest.mark.req("V2G20-1081")
@pytest.mark.req("V2G20-1833")
@pytest.mark.parametrize("service", ["AC", "DC", "AC_BPT", "DC_BPT"])
def test_meter_in_the_first_response_and_on_request(service: str) -> None:
    made = in_loop(service)
    first = turn(made).meter_info
    assert (first.meter_id, first.charged_energy_reading_wh) == ("METER", 12)
    assert first.bpt_discharged_energy_reading_wh == (3 if service.endswith("BPT") else None)
    assert turn(made).meter_info is None
    made.clock.now += 0.1
    assert made.send(made.ev.loop(meter=True)).meter_info == first


def test_everything_the_meter_says() -> None:
    made = in_loop("DC")
    made.levels(meter=MeterReading("M" * 40, 99.6, 1.0, b"signed", -3, STARTED_AT + 7))
    info = turn(made).meter_info
    assert info.meter_id == "M" * 32
    assert info.charged_energy_reading_wh == 100
    assert (info.meter_signature, info.meter_status) == (b"signed", -3)
    assert info.meter_timestamp == (STARTED_AT + 7) * 1_000_000


def test_negative_reading_and_seconds_as_time_unit() -> None:
    made = in_loop("DC", time_unit="s")
    made.levels(meter=MeterReading("M", -0.7, taken_at=STARTED_AT))
    response = turn(made)
    assert response.meter_info.charged_energy_reading_wh == 0
    assert response.meter_info.meter_timestamp == STARTED_AT
    assert response.header.time_stamp == int(made.clock.utc())


def test_no_meter_no_meter_info() -> None:
    made = in_loop("DC")
    made.levels(meter=None)
    assert made.send(made.ev.loop(meter=True)).meter_info is None


# --- notifications ----------------------------------------------------------------------------


@pytest.mark.req("V2G20-1850")
@pytest.mark.parametrize(
    ("control", "wish", "notification", "delay"),
    [
        ("DYNAMIC", Wish.TERMINATE, EvseNotification.TERMINATE, 0),
        ("SCHEDULED", Wish.TERMINATE, EvseNotification.TERMINATE, 0),
        ("DYNAMIC", Wish.PAUSE, EvseNotification.PAUSE, 60),
        ("SCHEDULED", Wish.PAUSE, EvseNotification.PAUSE, 0),
        ("DYNAMIC", Wish.SERVICE_RENEGOTIATION, EvseNotification.SERVICE_RENEGOTIATION, 60),
        ("SCHEDULED", Wish.SERVICE_RENEGOTIATION, EvseNotification.SERVICE_RENEGOTIATION, 60),
    ],
)
@pytest.mark.parametrize("service", ["AC", "DC"])
def test_wishes_become_notifications_and_are_repeated(
    service: str, control: str, wish: Wish, notification: EvseNotification, delay: int
) -> None:
    made = in_loop(service, control)
    assert turn(made).evse_status is None
    made.levels(wish=wish)
    told = EVSEStatus(notification_max_delay=delay, evse_notification=notification)
    assert [turn(made).evse_status for _ in range(3)] == [told] * 3
    stopped = made.send(made.ev.power_delivery("STOP"))
    assert stopped.evse_status == told


@pytest.mark.req("V2G20-1477")
def test_service_renegotiation_is_never_asked_for_where_it_was_not_announced() -> None:
    made = in_loop("DC", service_renegotiation=False)
    made.levels(wish=Wish.SERVICE_RENEGOTIATION)
    assert turn(made).evse_status.evse_notification is EvseNotification.TERMINATE


def test_our_own_stop_is_a_termination() -> None:
    made = in_loop("DC")
    made.levels(wish=Wish.PAUSE)
    made.feed(Stop("site closes"))
    assert turn(made).evse_status.evse_notification is EvseNotification.TERMINATE


# --- the EV's plan ----------------------------------------------------------------------------

WATCHED = EnergyOffer((Offer((OfferStep(3600, 5_000),), tolerance_w=200.0),))


@pytest.mark.req("V2G20-1864")
@pytest.mark.parametrize("service", ["AC", "DC"])
def test_violations_of_the_plan_are_warned_about_and_then_fail(service: str) -> None:
    made = in_loop(service, "SCHEDULED", WATCHED, profile_violations=2)
    made.obedient = False
    watts = {"power_w": 1_500.0} if service == "AC" else {"voltage_v": 400.0, "current_a": 1_500 / 400}
    made.levels(**watts)
    codes, began = [], made.clock.now
    while made.end is None:
        made.clock.now += 0.3
        made.levels()
        codes.append(made.send(made.ev.loop()).response_code)
        assert made.clock.now - began < 60
    assert codes[-1] is Code.FAILED_EV_POWER_PROFILE_VIOLATION
    assert set(codes[:-1]) == {Code.WARNING_EV_POWER_PROFILE_VIOLATION}
    assert made.end.requirement == "V2G20-1864"
    assert made.end.fault is Fault.REMOTE
    assert "1500 W where 1000 W are planned" in made.end.detail
    assert made.clock.now - began > 15, "an EV has time to ramp"


def test_plan_within_its_tolerance() -> None:
    made = in_loop("AC", "SCHEDULED", WATCHED)
    made.obedient = False
    for watts in (1_000.0, 1_200.0, 800.0):
        made.levels(power_w=watts)
        assert turn(made).response_code is Code.OK
    made.levels(power_w=500.0)
    assert turn(made).response_code is Code.WARNING_EV_POWER_PROFILE_VIOLATION
    made.levels(power_w=1_000.0)
    assert turn(made).response_code is Code.OK


def test_nothing_is_watched_without_a_tolerance() -> None:
    made = in_loop("AC", "SCHEDULED")
    made.obedient = False
    made.levels(power_w=11_000.0)
    assert turn(made).response_code is Code.OK
