"""Confirming meter readings beside the charge loop."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from iso15118 import events
from iso15118.control.common import ControlMode
from iso15118.evcc.iso20.setup import negotiate, set_up
from iso15118.exi.codec import encode
from iso15118.messages.iso20 import common
from iso15118.messages.iso20.types import EvseNotification, EVSEStatus, MeterInfo, ResponseCode
from iso15118.messages.minimal import minimal
from iso15118.security.algorithms import ISO20
from iso15118.security.metering import confirmation_flaw
from iso15118.security.plug_and_charge import common_messages
from iso15118.wire.v2gtp import PayloadType, encode_frame
from tests.unit.evcc.contracts import drive
from tests.unit.evcc.harness import CLOSE, Bench, config
from tests.unit.evcc.station import SESSION_ID
from tests.unit.security.made import contract

READING = MeterInfo(meter_id="M", charged_energy_reading_wh=1234)
ASK = EVSEStatus(notification_max_delay=30, evse_notification=EvseNotification.METERING_CONFIRMATION)


def confirming(first=1, last=1, reading=READING, **changes):
    """A car at a station that asks for confirmations in loops `first` to `last`."""
    bench = drive(**({"max_loops": 6} | changes))
    bench.station.alter("DC_ChargeLoopReq", first, last, evse_status=ASK, meter_info=reading)
    return bench


@pytest.mark.parametrize("mode", list(ControlMode))
def test_reading_is_signed_as_it_came_and_the_loop_goes_on(mode):
    bench = confirming()
    bench.station.mode = mode
    bench.run()
    (sent,) = [s for s in bench.requests if isinstance(s.message, common.MeteringConfirmationReq)]
    assert sent.frame.payload_type == PayloadType.METERING_CONFIRMATION
    key, tuple_id = contract().leaf.public_key(), 1 if mode is ControlMode.SCHEDULED else None
    assert confirmation_flaw(sent.message, READING, SESSION_ID, tuple_id, key, ISO20) == ""
    assert len(bench.all("DC_ChargeLoopReq")) > 6
    assert bench.outcome == ("completed", "none")


def test_loop_does_not_wait_for_a_slow_answer():
    bench = confirming()
    bench.station.on("MeteringConfirmationReq", lambda req, res, n: bench.send(res, after=1.5))
    bench.run()
    confirmed = bench.names.index("MeteringConfirmationReq")
    assert bench.names[confirmed + 1 : confirmed + 4] == ["DC_ChargeLoopReq"] * 3
    gaps = [
        b.t - a.t
        for a, b in zip(bench.requests[confirmed - 1 :], bench.requests[confirmed + 1 :], strict=False)
    ]
    assert max(gaps[:3]) < 0.25
    assert bench.outcome == ("completed", "none")


def test_one_confirmation_at_a_time():
    bench = confirming(0, 99, max_loops=20)
    bench.station.on("MeteringConfirmationReq", lambda req, res, n: bench.send(res, after=1.0))
    bench.run()
    times = [s.t for s in bench.requests if isinstance(s.message, common.MeteringConfirmationReq)]
    assert len(times) >= 2
    assert min(b - a for a, b in itertools.pairwise(times)) > 0.99


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (lambda res: replace(res, response_code=ResponseCode.FAILED_METERING_SIGNATURE_NOT_VALID), "refused"),
        (lambda res: replace(res, header=replace(res.header, session_id=b"\1" * 8)), "protocol"),
        (lambda res: None, "timeout"),
        (lambda res: CLOSE, "peer closed"),
    ],
    ids=["refused", "another session", "silent", "closed"],
)
def test_what_is_wrong_with_the_answer_ends_the_session_safely(answer, outcome):
    bench = confirming(max_loops=100)
    bench.station.on("MeteringConfirmationReq", lambda req, res, n: answer(res))
    bench.run()
    assert bench.outcome == (outcome, "remote")
    assert bench.left_safely


def test_answer_that_nobody_asked_for_ends_the_session():
    bench = drive(max_loops=100)
    sent = lambda: bench.send(bench.station.res(common.MeteringConfirmationRes))  # noqa: E731
    bench.when(bench.asked_for("DC_ChargeLoopReq"), sent)
    bench.run()
    assert bench.outcome == ("protocol", "remote")
    assert bench.left_safely


def test_who_pays_by_card_confirms_nothing():
    bench = confirming(authorization=("EIM",)).run()
    assert not bench.all("MeteringConfirmationReq")
    assert bench.outcome == ("completed", "none")


def test_nothing_to_confirm_is_told():
    bench = confirming(reading=None).run()
    assert not bench.all("MeteringConfirmationReq")
    assert any("without a reading" in e.why for e in bench.seen(events.Decision))


def test_another_message_in_the_side_stream_ends_the_session():
    bench = confirming(max_loops=100)

    def other(request, response, count):
        stop = encode(bench.station.res(common.SessionStopRes), common_messages())
        return encode_frame(PayloadType.METERING_CONFIRMATION, stop)

    bench.station.on("MeteringConfirmationReq", other)
    assert bench.run().outcome == ("protocol", "remote")
    assert bench.left_safely


def test_procedure_that_asks_twice_at_once_is_a_mistake_of_its_own():
    async def twice(ev):
        await negotiate(ev)
        await set_up(ev)
        data = minimal(common.SignedMeteringData, id="id1", session_id=ev.session_id)
        for _ in range(2):
            request = common.MeteringConfirmationReq(header=ev.header, signed_metering_data=data)
            await ev.ask_aside(request, common.MeteringConfirmationRes)

    bench = Bench(config=config(), script=twice).run()
    assert bench.outcome == ("local", "local")
    assert "one request at a time" in bench.ended.detail
