"""Procedures of one's own: rude cars, conformance cases, and mistakes in them."""

from __future__ import annotations

import asyncio

import pytest

from iso15118 import events
from iso15118.control.ev import CloseContactor, OpenContactor, ServiceChoice
from iso15118.evcc.iso20.setup import authorize, negotiate, set_up
from iso15118.evcc.vocabulary import EarlyLeave, SessionOver
from iso15118.events import EndReason, Fault
from iso15118.machine import Bytes, LinkUp, Update
from iso15118.messages.iso20 import common, dc
from iso15118.messages.iso20.numbers import rational
from iso15118.messages.iso20.types import MessageHeader, ResponseCode
from iso15118.messages.minimal import minimal
from iso15118.wire.v2gtp import encode_frame
from tests.unit.evcc.harness import PILOT_B, Bench, car, config
from tests.unit.evcc.station import SESSION_ID, SILENT


def charge_loop(ev):
    mode = minimal(dc.Dynamic_DC_CLReqControlMode, ev_maximum_voltage=rational(400.0))
    return minimal(dc.DC_ChargeLoopReq, header=ev.header, cl_req_control_mode=mode)


# --- rude cars --------------------------------------------------------------------------------


def test_request_out_of_order_and_its_refusal_can_be_looked_at():
    """DC_ChargeLoopReq right after SessionSetup."""
    answers = []

    async def rude(ev):
        await negotiate(ev)
        await set_up(ev)
        answers.append(await ev.ask(charge_loop(ev), dc.DC_ChargeLoopRes, accept_failure=True))

    bench = Bench(script=rude)
    bench.station.alter("DC_ChargeLoopReq", response_code=ResponseCode.FAILED_SEQUENCE_ERROR)
    bench.run()
    assert answers[0].response_code is ResponseCode.FAILED_SEQUENCE_ERROR
    assert bench.names == ["SupportedAppProtocolReq", "SessionSetupReq", "DC_ChargeLoopReq"]
    assert bench.outcome == ("local", "none")
    assert bench.ended.detail == "the procedure ended"
    assert bench.left_safely


def test_refusal_that_was_not_expected_ends_the_script():
    async def rude(ev):
        await negotiate(ev)
        await set_up(ev)
        await ev.ask(charge_loop(ev), dc.DC_ChargeLoopRes)
        raise AssertionError("not reached")

    bench = Bench(script=rude)
    bench.station.alter("DC_ChargeLoopReq", response_code=ResponseCode.FAILED_SEQUENCE_ERROR)
    assert bench.run().outcome == ("refused", "remote")


def test_wrong_session_id_can_be_sent_and_its_refusal_looked_at():
    codes = []

    async def rude(ev):
        await negotiate(ev)
        await set_up(ev)
        header = MessageHeader(session_id=b"\xff" * 8, time_stamp=1)
        request = common.AuthorizationSetupReq(header=header)
        codes.append((await ev.ask(request, common.AuthorizationSetupRes, accept_failure=True)).response_code)

    bench = Bench(script=rude)
    bench.station.alter("AuthorizationSetupReq", response_code=ResponseCode.FAILED_UNKNOWN_SESSION)
    bench.run()
    assert codes == [ResponseCode.FAILED_UNKNOWN_SESSION]
    assert bench.last.header.session_id == b"\xff" * 8


@pytest.mark.parametrize(
    "octets", [b"\x00", b"\x01\xfe\x80\x02\xff\xff\xff\xff", b"GET / HTTP/1.0\r\n\r\n", b""]
)
def test_raw_octets_go_out_as_they_are_and_silence_is_bounded(octets):
    async def rude(ev):
        await negotiate(ev)
        await ev.send_raw(octets, timeout_s=1.5)

    bench = Bench(script=rude).run()
    assert [o.data for o in bench.log if type(o).__name__ == "Send"][-1] == octets
    assert bench.outcome == ("timeout", "remote")
    assert bench.ended.t - bench.requests[0].t == pytest.approx(1.505)


def test_answer_to_raw_octets_is_returned_whatever_it_is():
    answers = []

    async def rude(ev):
        await negotiate(ev)
        frame = encode_frame(0x8002, b"\x80\x00")
        answers.append(await ev.send_raw(frame))
        answers.append(await ev.send_raw(frame, timeout_s=10.0))

    bench = Bench(script=rude)
    bench.station.on("NoneType", lambda req, res, n: bench.station.res(common.SessionStopRes))
    bench.run()
    assert [type(a) for a in answers] == [common.SessionStopRes] * 2


def test_phases_of_the_standard_session_can_be_put_together_anew():
    async def only_authorize(ev):
        await negotiate(ev)
        await set_up(ev)
        await authorize(ev)
        raise SessionOver(EndReason.COMPLETED, Fault.NONE, "seen enough", "V2G20-1582")

    bench = Bench(script=only_authorize).run()
    assert bench.steps[-1] == "AuthorizationReq"
    assert bench.outcome == ("completed", "none")
    assert bench.ended.requirement == "V2G20-1582"


def test_early_leave_a_script_does_not_catch_is_a_local_end():
    async def leaving(ev):
        await negotiate(ev)
        raise EarlyLeave("had enough")

    assert Bench(script=leaving).run().outcome == ("local", "none")


def test_controller_can_be_asked_and_time_can_pass():
    seen = []

    async def curious(ev):
        seen.append(await ev.query(ServiceChoice(())))
        before = ev.now
        await ev.sleep(0.0)
        await ev.sleep(-1.0)
        assert ev.now == before
        await ev.sleep(2.5)
        assert ev.now == before + 2.5

    assert Bench(script=curious).run().ended.detail == "the procedure ended"
    assert seen == [None]


@pytest.mark.parametrize(("after", "came"), [(None, False), (0.0, True), (0.3, True), (1.5, False)])
def test_level_is_waited_for_within_its_time(after, came):
    seen = []

    async def watching(ev):
        begun = ev.now
        seen.append((await ev.until(lambda s: s.soc_percent > 50, 1.0), ev.now - begun))

    bench = Bench(script=watching)
    if after == 0.0:
        bench.update(soc_percent=60.0)
    elif after:
        bench.at(after, lambda: bench.update(soc_percent=60.0))
    bench.run()
    waited = {None: 1.0, 0.0: 0.0, 0.3: 0.3, 1.5: 1.0}[after]
    assert seen == [(came, pytest.approx(waited))]


# --- mistakes in procedures -------------------------------------------------------------------


async def nothing_of_ours(ev):
    await asyncio.Future(loop=_NoLoop())


class _NoLoop:
    """Enough of an event loop for a future nobody resolves."""

    def get_debug(self):
        return False

    def call_exception_handler(self, context):
        pass


async def divides(ev):
    await negotiate(ev)
    print(1 / 0)


async def asks_nonsense(ev):
    await negotiate(ev)
    await ev.ask("hello", common.SessionSetupRes)


async def asks_a_response(ev):
    await negotiate(ev)
    await ev.ask(minimal(common.SessionStopRes), common.SessionSetupRes)


async def too_long(ev):
    await negotiate(ev)
    await ev.ask(common.SessionSetupReq(header=ev.header, evcc_id="x" * 300), common.SessionSetupRes)


async def wrong_type(ev):
    await negotiate(ev)
    await ev.ask(common.SessionSetupReq(header=ev.header, evcc_id=4711), common.SessionSetupRes)


async def not_finite(ev):
    await negotiate(ev)
    rational(float("nan"))


async def recurses(ev):
    await recurses(ev)


@pytest.mark.parametrize(
    ("mistake", "word"),
    [
        (divides, "ZeroDivisionError('division by zero')"),
        (asks_nonsense, "KeyError"),
        (asks_a_response, "KeyError"),
        (too_long, "own message cannot be encoded"),
        (wrong_type, ""),
        (not_finite, "nan has no RationalNumber"),
        (nothing_of_ours, "the words of Ev only"),
        (recurses, "RecursionError"),
    ],
)
def test_mistake_in_a_procedure_ends_the_session_and_can_be_found(mistake, word):
    """It does not escape from receive(), and the event says what and where."""
    bench = Bench(script=mistake).run()
    assert bench.outcome == ("local", "local")
    assert word in bench.ended.detail
    assert bench.left_safely
    if mistake is divides:
        line = mistake.__code__.co_firstlineno + 2
        assert bench.ended.detail.endswith(f"test_scripts.py:{line}")


def test_mistake_in_a_level_ends_the_session():
    async def watching(ev):
        await ev.until(lambda s: s.soc_percent > 50 and s.no_such_level, 5.0)

    bench = Bench(script=watching)
    bench.at(0.3, lambda: bench.update(soc_percent=60.0))
    assert bench.run().outcome == ("local", "local")
    assert "no_such_level" in bench.ended.detail
    at_once = Bench(script=watching, state=car(soc_percent=60.0)).run()
    assert "no_such_level" in at_once.ended.detail


def test_mistake_after_power_is_on_opens_the_power_path():
    async def breaking(ev):
        ev.do(CloseContactor())
        await ev.until(lambda s: s.contactor.value == "closed", 1.0)
        raise ValueError("half way")

    bench = Bench(script=breaking).run()
    assert bench.outcome == ("local", "local")
    assert "ValueError('half way')" in bench.ended.detail
    assert bench.left_safely


def test_bug_in_the_clock_of_the_host_is_contained():
    bench = Bench()
    bench.machine._ev.utc = lambda: float("nan")
    assert bench.run().outcome == ("local", "local")
    assert "ValueError" in bench.ended.detail


def test_numbers_of_the_car_that_are_none_end_the_session():
    bench = Bench()
    bench.when(bench.in_phase("CHARGE_LOOP"), lambda: bench.update(inlet_voltage_v=float("nan"))).run()
    assert bench.outcome[0] in ("local", "protocol")
    assert bench.left_safely


def test_procedure_may_clean_up_when_its_session_is_cut_off():
    done = []

    async def tidy(ev):
        try:
            await negotiate(ev)
            await set_up(ev)
        finally:
            done.append(ev.phase)
            ev.do(OpenContactor())

    bench = Bench(script=tidy)
    bench.station.on("SessionSetupReq", SILENT)
    bench.run()
    assert done == ["SESSION_SETUP"]
    assert bench.orders[1] == OpenContactor()
    assert bench.orders[-1] == PILOT_B
    assert type(bench.log[-1]).__name__ == "Close"


def test_procedure_that_does_not_let_go_is_reported():
    async def clinging(ev):
        try:
            await ev.sleep(60.0)
        finally:
            await ev.sleep(60.0)

    bench = Bench(script=clinging).run()
    assert bench.outcome == ("timeout", "remote")
    assert any(e.what == "procedure" and "GeneratorExit" in e.why for e in bench.seen(events.Decision))


def test_inputs_before_the_connection_do_no_harm():
    bench = Bench()
    bench.machine.receive(Update(car(soc_percent=1.0)), bench.now)
    bench.feed(Bytes(b""))
    assert not bench.machine.ended
    assert bench.run().outcome == ("completed", "none")


def test_second_link_up_does_not_begin_anew():
    bench = Bench()
    bench.when(bench.in_phase("AUTHORIZATION"), lambda: bench.machine.receive(LinkUp(), bench.now)).run()
    assert bench.names.count("SupportedAppProtocolReq") == 1


def test_machine_shows_its_procedure_to_observers():
    bench = Bench(config=config(max_loops=1)).run()
    assert bench.machine.ev.session_id == SESSION_ID
    assert bench.machine.ended
