"""Meter readings that the vehicle is to sign: when they are asked for, and what counts as a confirmation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iso15118.control.common import ControlMode, CpState, Wish
from iso15118.control.evse import Deenergise
from iso15118.events import Decision, EndReason, MessageSent
from iso15118.messages.iso20 import common
from iso15118.messages.iso20.types import EvseNotification, Receipt
from iso15118.secc.session import State
from iso15118.security.contracts import OwnKey
from iso15118.security.metering import signed_reading
from iso15118.wire.v2gtp import PayloadType
from tests.unit.secc.contracts import C, claim, station
from tests.unit.secc.harness import walk
from tests.unit.security.made import contract

CONFIRM = EvseNotification.METERING_CONFIRMATION


def charging(every=3, control=ControlMode.DYNAMIC, **config):
    """A session by contract in its charge loop, in which every third reading is to be confirmed."""
    made = station(confirm_meter_every=every, control_modes=(control,), **config)
    made.ev.control = control
    made.send(claim(made))
    return walk(made, State.CHARGE_LOOP)


def turn(made):
    made.clock.now += 0.1
    return made.send(made.ev.loop())


def asked(made):
    """Turns until a reading is to be confirmed; that reading."""
    for _ in range(10):
        response = turn(made)
        if response.evse_status is not None:
            assert response.evse_status.evse_notification is CONFIRM
            return response.meter_info
    raise AssertionError("nothing is to be confirmed")


def confirmation(made, reading, *, key=None, session_id=None, receipt=None, tuple_id=None, **changes):
    data, signature = signed_reading(
        OwnKey((key or contract()).key),
        contract().chain,
        session_id or made.record.session_id,
        reading,
        receipt,
        tuple_id,
    )
    header = replace(made.ev.header, signature=changes.pop("signature", signature))
    return common.MeteringConfirmationReq(header=header, signed_metering_data=replace(data, **changes))


@pytest.mark.req("V2G20-1083")
@pytest.mark.parametrize("control", list(ControlMode))
def test_reading_is_confirmed_beside_the_loop(control):
    made = charging(control=control)
    reading = asked(made)
    assert reading.charged_energy_reading_wh == 12
    tuple_id = made.record.tuple_id if control is ControlMode.SCHEDULED else None
    response = made.send(confirmation(made, reading, tuple_id=tuple_id))
    assert response.response_code is C.OK
    assert made.payload_types[-1] == PayloadType.METERING_CONFIRMATION
    assert made.seen_events(MessageSent)[-1].payload_type == PayloadType.METERING_CONFIRMATION
    assert any("12 Wh confirmed" in e.why for e in made.seen_events(Decision))
    assert made.record.unconfirmed is None
    assert turn(made).response_code is C.OK
    assert asked(made) == reading


def test_it_is_asked_for_once_until_it_is_confirmed():
    made = charging(every=2)
    asked(made)
    assert [turn(made).evse_status for _ in range(8)] == [None] * 8


def test_a_reading_that_was_never_confirmed_does_not_end_the_asking_for_ever():
    """A service renegotiation begins the charge loop anew, and what the EV left open before it is void."""
    made = charging(every=2)
    reading = asked(made)
    made.send(made.ev.power_delivery("STOP"))
    made.levels(cp=CpState.B)
    assert made.send(made.ev.session_stop("SERVICE_RENEGOTIATION")).response_code is C.OK
    walk(made, State.CHARGE_LOOP)
    assert made.record.unconfirmed is None
    assert asked(made) == reading


@pytest.mark.parametrize("how", ["never", "card", "no meter"])
def test_it_is_not_asked_for(how):
    made = station(confirm_meter_every=0 if how == "never" else 2)
    made.send(made.ev.authorization() if how == "card" else claim(made))
    walk(made, State.CHARGE_LOOP)
    if how == "no meter":
        made.levels(meter=None)
    assert [turn(made).evse_status for _ in range(6)] == [None] * 6


def test_a_wish_of_the_station_comes_first():
    made = charging(every=1)
    made.levels(wish=Wish.TERMINATE)
    assert turn(made).evse_status.evse_notification is EvseNotification.TERMINATE
    assert made.record.unconfirmed is None


def test_timers_of_the_loop_run_on():
    """The side stream neither prolongs nor shortens the wait for the next loop request."""
    made = charging()
    reading = asked(made)
    made.advance(0.3)
    made.send(confirmation(made, reading))
    made.advance(0.19)
    assert made.end is None
    made.advance(0.02)
    assert made.end.reason is EndReason.TIMEOUT


WRONG = {
    "another reading": lambda made, r: confirmation(made, replace(r, charged_energy_reading_wh=11)),
    "another meter": lambda made, r: confirmation(made, replace(r, meter_id="X")),
    "another session": lambda made, r: confirmation(made, r, session_id=b"\1" * 8),
    "another key": lambda made, r: confirmation(made, r, key=contract(emaid="DE-TST-C00000099")),
    "a schedule": lambda made, r: confirmation(made, r, tuple_id=1),
    "a receipt": lambda made, r: confirmation(made, r, receipt=Receipt(time_anchor=0)),
    "another id": lambda made, r: confirmation(made, r, id="id2"),
    "no signature": lambda made, r: confirmation(made, r, signature=None),
}


@pytest.mark.parametrize("how", sorted(WRONG))
def test_threat_what_does_not_confirm_ends_the_session_and_the_power(how):
    made = charging()
    reading = asked(made)
    response = made.send(WRONG[how](made, reading))
    assert response.response_code is C.FAILED_METERING_SIGNATURE_NOT_VALID
    assert made.end.reason is EndReason.REFUSED
    assert made.issued(Deenergise)


@pytest.mark.req("V2G20-459")
def test_threat_replayed_confirmation_is_out_of_order():
    made = charging()
    request = confirmation(made, asked(made))
    assert made.send(request).response_code is C.OK
    response = made.send(request)
    assert response.response_code is C.FAILED_SEQUENCE_ERROR
    assert made.issued(Deenergise)


@pytest.mark.req("V2G20-459")
def test_nothing_else_travels_in_the_side_stream():
    made = charging()
    made.levels(cp=CpState.B)
    response = made.send(made.ev.session_stop(), PayloadType.METERING_CONFIRMATION)
    assert response.response_code is C.FAILED_SEQUENCE_ERROR
    assert made.end.reason is EndReason.REFUSED


@pytest.mark.req("V2G20-459")
def test_confirmation_in_the_main_stream_is_out_of_order():
    """It would prolong the half second in which the next loop request has to come."""
    made = charging()
    response = made.send(confirmation(made, asked(made)), PayloadType.COMMON)
    assert response.response_code is C.FAILED_SEQUENCE_ERROR
