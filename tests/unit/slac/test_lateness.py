"""Matching with what comes late, twice or in other numbers than expected."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iso15118.config import SlacConfig
from iso15118.machine import Stop
from iso15118.slac.dlink import DLink, LinkStatus
from iso15118.slac.events import (
    LinkReady,
    RunEntered,
    SlacFrameDropped,
    SuspiciousEvse,
)
from iso15118.wire import homeplug as hp
from tests.unit.slac.bench import RUN_ID, Bench, Party, approach, pair

STRICT = SlacConfig(strict_timing=True)


# --- late and repeated --------------------------------------------------------------------------


def test_quirk_5_an_evse_that_takes_210_ms() -> None:
    """Its answers come after the request was repeated, and still count."""
    bench, ev, evse = pair()
    for kind in (hp.SlacParmCnf, hp.SlacMatchCnf):
        bench.delay(kind, 0.21)
    bench.plug()
    bench.run(4)
    assert ev.established and evse.established
    assert len(ev.times(hp.SlacParmReq)) == 2 and len(ev.times(hp.SlacMatchReq)) == 2


def test_an_evse_slower_than_any_patience_fails_cleanly() -> None:
    bench, ev, _ = pair(STRICT)
    bench.delay(hp.SlacParmCnf, 0.7)
    bench.plug()
    bench.run(40)
    assert ev.ready == [LinkStatus.FAILED]
    assert any("of another run" in e.reason for e in ev.events(SlacFrameDropped))


def test_quirk_8_a_late_ev() -> None:
    """A second between CM_ATTEN_CHAR.RSP and CM_SLAC_MATCH.REQ, as with three makes."""
    bench, ev, evse = pair()
    evse.give(DLink.MATCH)
    approach(evse, ev.mac)
    bench.run(1.01)
    evse.message(hp.SlacMatchReq(run_id=RUN_ID, pev_mac=ev.mac, evse_mac=evse.mac), ev.mac)
    assert evse.messages(hp.SlacMatchCnf)


@pytest.mark.req("V2G3-A09-16")
def test_quirk_4_a_request_twice_gets_the_same_answer_twice() -> None:
    bench, ev, evse = pair()
    evse.give(DLink.MATCH)
    request = hp.SlacParmReq(run_id=bytes(range(8)))
    for _ in range(2):
        evse.message(request, ev.mac, hp.BROADCAST)
        bench.run(0.008)
    first, second = evse.messages(hp.SlacParmCnf)
    assert first == second
    assert len(evse.events(RunEntered)) == 1


@pytest.mark.req("V2G3-A09-16")
def test_a_new_run_id_starts_the_ev_over() -> None:
    _, ev, evse = pair()
    evse.give(DLink.MATCH)
    for number in range(2):
        evse.message(hp.SlacParmReq(run_id=bytes([number]) * 8), ev.mac, hp.BROADCAST)
    assert [e.phase for e in evse.events(RunEntered)].count("gone") == 1


def test_a_late_copy_of_the_request_does_not_disturb_the_sounds() -> None:
    bench, ev, evse = pair()
    bench.plug()
    bench.run(0.25)
    evse.message(ev.messages(hp.SlacParmReq)[0], ev.mac, hp.BROADCAST)
    bench.run(2)
    assert ev.established and evse.established and len(evse.messages(hp.AttenCharInd)) == 1


def test_a_match_request_again_gets_the_key_again() -> None:
    bench, ev, evse = pair()
    bench.plug()
    bench.run(1)
    evse.message(ev.messages(hp.SlacMatchReq)[0], ev.mac)
    first, second = evse.messages(hp.SlacMatchCnf)
    assert first == second


def test_a_report_again_is_answered_again() -> None:
    bench, ev, evse = pair()
    bench.plug()
    bench.run(0.6)
    ev.message(evse.messages(hp.AttenCharInd)[0], evse.mac)
    assert len(ev.messages(hp.AttenCharRsp)) == 2
    assert not ev.events(SuspiciousEvse)


def test_a_lost_response_makes_the_evse_report_again_and_the_ev_ask_again() -> None:
    bench, ev, evse = pair()
    bench.lose(hp.AttenCharRsp, 1)
    bench.plug()
    bench.run(2)
    assert len(evse.times(hp.AttenCharInd)) == 2 and ev.established
    assert evse.times(hp.AttenCharInd)[1] - evse.times(hp.AttenCharInd)[0] == pytest.approx(0.2)


def test_reports_without_an_answer_end_after_three() -> None:
    bench, _, evse = pair()
    bench.lose(hp.AttenCharRsp, 10**6)
    bench.plug()
    bench.run(2)
    assert len(evse.times(hp.AttenCharInd)) >= 3
    assert "no CM_ATTEN_CHAR.RSP" in [e.why for e in evse.events(RunEntered)]


# --- number of sounds ---------------------------------------------------------------------------


def test_the_most_demanding_evse_sets_the_sounds() -> None:
    bench = Bench()
    ev, a, _ = bench.ev(), bench.evse(), bench.evse()

    def demand(sender: Party, frame: hp.Frame) -> hp.Frame:
        if isinstance(frame.message, hp.SlacParmCnf) and sender is a:
            more = hp.SlacParmCnf(
                num_sounds=14, time_out=8, forwarding_sta=ev.mac, run_id=frame.message.run_id
            )
            return hp.Frame(frame.destination, frame.source, more)
        return frame

    bench.changes.append(demand)
    bench.open()
    bench.plug()
    bench.run(1)
    assert [m.cnt for m in ev.messages(hp.MnbcSoundInd)] == list(range(13, -1, -1))
    assert ev.messages(hp.StartAttenCharInd)[0].time_out == 8


@pytest.mark.parametrize(("wanted", "made"), [(0, 10), (255, 20), (1, 1)])
def test_what_evses_demand_has_limits(wanted: int, made: int) -> None:
    bench, ev, evse = pair()
    evse.machine.receive(Stop("silent"), bench.now)
    ev.give(DLink.MATCH)
    run_id = ev.messages(hp.SlacParmReq)[0].run_id
    ev.message(
        hp.SlacParmCnf(num_sounds=wanted, time_out=wanted, forwarding_sta=ev.mac, run_id=run_id), evse.mac
    )
    bench.run(1)
    assert len(ev.messages(hp.MnbcSoundInd)) == made


def test_quirk_7_fewer_profiles_than_sounds_are_a_report() -> None:
    bench, ev, evse = pair()
    bench.lose(hp.AttenProfileInd, 8)
    bench.plug()
    bench.run(2)
    assert evse.messages(hp.AttenCharInd)[0].num_sounds == 2
    assert ev.established


def test_quirk_18_resp_type_0_is_accepted() -> None:
    bench, ev, evse = pair()
    bench.changes.append(
        lambda _, f: (
            replace(f, message=replace(f.message, resp_type=0)) if hasattr(f.message, "resp_type") else f
        )
    )
    bench.plug()
    bench.run(2)
    assert ev.established and evse.established


def test_quirk_2_empty_profiles_do_not_count() -> None:
    bench = Bench()
    ev, evse = bench.ev(SlacConfig(match_attempts=1)), bench.evse(groups=0)
    bench.open()
    bench.plug()
    bench.run(5)
    assert not evse.messages(hp.AttenCharInd)
    assert evse.ready == [LinkStatus.FAILED]
    assert "is its role EVSE?" in evse.events(LinkReady)[0].reason
    assert ev.ready == [LinkStatus.FAILED]
