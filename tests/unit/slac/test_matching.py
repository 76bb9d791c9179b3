"""Matching from end to end, machine against machine: the good case, losses, several cars and chargers, lateness."""

from __future__ import annotations

import itertools

import pytest

from iso15118.config import SlacConfig, SlacTimers
from iso15118.control.common import CpState
from iso15118.events import TimerExpired
from iso15118.machine import Update
from iso15118.slac.dlink import DLink, LinkState, LinkStatus, PilotLevel
from iso15118.slac.events import (
    EvseChosen,
    EvseHeard,
    KeySet,
    LinkReady,
    MatchingFailed,
    MatchingStarted,
    RunEntered,
    SlacFrameDropped,
    SuspiciousEvse,
)
from iso15118.wire import homeplug as hp
from tests.unit.slac.bench import Bench, Party, pair

STRICT = SlacConfig(strict_timing=True)
KINDS = [
    hp.SlacParmReq,
    hp.SlacParmCnf,
    hp.StartAttenCharInd,
    hp.MnbcSoundInd,
    hp.AttenProfileInd,
    hp.AttenCharInd,
    hp.AttenCharRsp,
    hp.SlacMatchReq,
    hp.SlacMatchCnf,
    hp.SetKeyReq,
    hp.SetKeyCnf,
]


def same_key(ev: Party, evse: Party) -> bool:
    return ev.modem.key == evse.modem.key and ev.modem.key != (b"", b"")


# --- the good case ------------------------------------------------------------------------------


def test_from_plug_to_link() -> None:
    bench, ev, evse = pair()
    bench.plug()
    bench.run(2)
    assert ev.ready == evse.ready == [LinkStatus.ESTABLISHED]
    assert same_key(ev, evse)
    assert ev.events(LinkReady)[0].peer == evse.mac and evse.events(LinkReady)[0].peer == ev.mac
    assert ev.events(LinkReady)[0].established
    assert ev.state is evse.state is LinkState.MATCHED
    assert not ev.events(SuspiciousEvse) and not ev.events(SlacFrameDropped)


@pytest.mark.parametrize("config", [SlacConfig(), STRICT], ids=["field", "strict"])
def test_the_key_is_set_well_within_a_second(config: SlacConfig) -> None:
    bench, ev, _ = pair(config, config)
    bench.plug()
    bench.run(2)
    begun = ev.times(hp.SlacParmReq)[0]
    assert ev.times(hp.SetKeyReq)[-1] - begun < 0.6


def test_the_order_and_pace_of_the_ev() -> None:
    bench, ev, evse = pair()
    bench.plug()
    bench.run(2)
    kinds = [type(f.message) for _, f in ev.sent if type(f.message) in KINDS][1:]
    assert kinds == [
        hp.SlacParmReq,
        *[hp.StartAttenCharInd] * 3,
        *[hp.MnbcSoundInd] * 10,
        hp.AttenCharRsp,
        hp.SlacMatchReq,
        hp.SetKeyReq,
    ]
    batch = ev.times(hp.StartAttenCharInd) + ev.times(hp.MnbcSoundInd)
    assert all(0.02 <= b - a <= 0.05 for a, b in itertools.pairwise(batch))
    assert [m.cnt for m in ev.messages(hp.MnbcSoundInd)] == list(range(9, -1, -1))
    start = ev.messages(hp.StartAttenCharInd)[0]
    assert (start.num_sounds, start.time_out, start.resp_type, start.forwarding_sta) == (10, 6, 1, ev.mac)
    offer = evse.messages(hp.SlacParmCnf)[0]
    assert (offer.msound_target, offer.num_sounds, offer.time_out) == (hp.BROADCAST, 10, 6)
    assert offer.resp_type == 1 and offer.forwarding_sta == ev.mac
    report = evse.messages(hp.AttenCharInd)[0]
    assert report.num_sounds == 10 and report.source_address == ev.mac


def test_answers_come_within_the_performance_times() -> None:
    bench, ev, evse = pair()
    bench.plug()
    bench.run(2)
    for request, answer in ((hp.SlacParmReq, hp.SlacParmCnf), (hp.SlacMatchReq, hp.SlacMatchCnf)):
        assert evse.times(answer)[0] - ev.times(request)[0] < 0.02
    assert evse.times(hp.AttenCharInd)[0] - ev.times(hp.MnbcSoundInd)[-1] < 0.1
    assert ev.times(hp.SlacMatchReq)[0] - ev.times(hp.AttenCharRsp)[0] < 0.5


def test_each_plug_in_has_keys_and_run_ids_of_its_own() -> None:
    bench, ev, evse = pair()
    run_ids = set()
    for _ in range(3):
        bench.plug()
        bench.run(3)
        assert ev.established and evse.established
        run_ids.add(ev.messages(hp.SlacMatchReq)[-1].run_id)
        for party in (ev, evse):
            party.give(DLink.TERMINATE)
        bench.run(3)
    assert len(run_ids) == 3
    assert len(set(evse.modem.keys)) == len(evse.modem.keys) == 4


def test_no_key_is_told() -> None:
    bench, ev, evse = pair()
    bench.plug()
    bench.run(2)
    nmk = evse.modem.key[1]
    told = repr(ev.log) + repr(evse.log) + repr(evse.machine.key) + repr([f for _, f in ev.sent + evse.sent])
    assert nmk.hex() not in told and repr(nmk)[2:-1] not in told
    assert len(evse.events(KeySet)[-1].fingerprint) == 4


# --- losses -------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_message_is_lost(kind: type[hp.Message], times: int) -> None:
    bench, ev, evse = pair()
    bench.lose(kind, times)
    bench.plug()
    bench.run(6)
    assert ev.ready == evse.ready == [LinkStatus.ESTABLISHED]
    assert same_key(ev, evse)
    assert len(ev.events(MatchingStarted)) == 1


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_message_is_always_lost(kind: type[hp.Message]) -> None:
    """It comes to nothing, in time, and leaves nobody in a network."""
    bench, ev, evse = pair()
    bench.lose(kind, 10**6)
    bench.plug()
    bench.run(200)
    assert ev.ready == [LinkStatus.FAILED]
    assert not evse.established and not bench.linked(ev)
    assert ev.state in (LinkState.UNMATCHED, LinkState.LEAVING)


@pytest.mark.req("V2G3-A09-31")
def test_no_report_ends_the_attempt_after_tt_ev_atten_results() -> None:
    bench, ev, _ = pair()
    bench.lose(hp.AttenCharInd, 10**6)
    bench.plug()
    bench.run(3)
    expired = [(t, e) for t, e in ev.log if isinstance(e, TimerExpired)]
    assert expired[0][1].timer == "TT_EV_atten_results"
    assert expired[0][0] - ev.times(hp.StartAttenCharInd)[0] == pytest.approx(1.2)


def test_a_deaf_evse_is_asked_three_times_by_the_standard() -> None:
    bench, ev, _ = pair(STRICT)
    bench.lose(hp.SlacParmCnf, 10**6)
    bench.plug()
    bench.run(0.7)
    assert len(ev.times(hp.SlacParmReq)) == 3
    assert ev.events(MatchingFailed)[0].reason == "no CM_SLAC_PARM.CNF to 3 requests"


def test_in_the_field_an_evse_may_take_its_time_to_boot() -> None:
    bench, ev, evse = pair()
    bench.lose(hp.SlacParmReq, 60)
    bench.plug()
    bench.run(15)
    assert ev.established and evse.established and len(ev.events(MatchingStarted)) == 1


# --- attempts -----------------------------------------------------------------------------------


@pytest.mark.req("V2G3-A09-124")
def test_attempts_are_apart_and_have_run_ids_of_their_own() -> None:
    bench, ev, _ = pair(STRICT)
    bench.lose(hp.SlacParmReq, 10**6)
    bench.plug()
    bench.run(30)
    starts = [t for t, e in ev.log if isinstance(e, MatchingStarted)]
    ends = [t for t, e in ev.log if isinstance(e, MatchingFailed)]
    assert len(starts) == len(ends) == 3
    assert all(b - a == pytest.approx(0.4) for a, b in zip(ends, starts[1:], strict=False))
    assert len({e.run_id for e in ev.events(MatchingStarted)}) == 3
    assert ev.ready == [LinkStatus.FAILED]


@pytest.mark.req("V2G3-A09-125")
def test_attempts_end_with_tt_matching_repetition() -> None:
    bench, ev, _ = pair(SlacConfig(strict_timing=True, match_attempts=1000))
    bench.lose(hp.SlacParmReq, 10**6)
    bench.plug()
    bench.run(60)
    starts = [t for t, e in ev.log if isinstance(e, MatchingStarted)]
    assert 9.0 < starts[-1] - starts[0] < 10.0
    assert ev.ready == [LinkStatus.FAILED]


def test_a_failed_ev_waits_for_the_next_word() -> None:
    bench, ev, evse = pair(STRICT)
    bench.lose(hp.SlacParmReq, 9)
    bench.plug()
    bench.run(30)
    assert ev.ready == [LinkStatus.FAILED] and ev.state is LinkState.UNMATCHED
    ev.give(DLink.MATCH)
    bench.run(3)
    assert ev.established and evse.established


def test_wrong_key_ends_with_tt_match_join() -> None:
    bench, ev, evse = pair()

    def spoil(_: Party, frame: hp.Frame) -> hp.Frame:
        if not isinstance(frame.message, hp.SlacMatchCnf):
            return frame
        wrong = hp.SlacMatchCnf(
            run_id=frame.message.run_id,
            pev_mac=ev.mac,
            evse_mac=evse.mac,
            nid=frame.message.nid,
            nmk=bytes(16),
        )
        return hp.Frame(frame.destination, frame.source, wrong)

    bench.changes.append(spoil)
    bench.plug()
    bench.run(12.7)
    assert ev.events(TimerExpired)[0].timer == evse.events(TimerExpired)[0].timer == "TT_match_join"
    assert evse.ready == [LinkStatus.FAILED]
    joined = [t for t, f in ev.sent if isinstance(f.message, hp.SetKeyReq)]
    assert 12.0 <= joined[2] - joined[1] <= 12.6  # the key of the EVSE, then one of its own
    bench.changes.clear()
    bench.run(10)
    assert ev.established and evse.established  # the next attempt


@pytest.mark.parametrize("deaf_s", [0.4, 3.4, 5.4, 8.4])
def test_quirk_12_modems_restart_when_they_take_a_key(deaf_s: float) -> None:
    bench = Bench()
    ev, evse = bench.ev(deaf_s=deaf_s), bench.evse()
    bench.open(10)
    bench.plug()
    bench.run(11)
    assert ev.ready == evse.ready == [LinkStatus.ESTABLISHED]


# --- several ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("near", "far"), [(10.0, 13.5), (25.8, 31.3), (5.0, 60.0)])
def test_the_near_evse_is_matched(near: float, far: float) -> None:
    bench = Bench()
    ev, a, b = bench.ev(), bench.evse(), bench.evse()
    bench.levels[ev.mac, a.mac], bench.levels[ev.mac, b.mac] = far, near
    bench.open()
    bench.plug()
    bench.run(3)
    assert ev.established and b.established and not a.ready
    assert {f.destination for _, f in ev.sent if isinstance(f.message, hp.AttenCharRsp)} == {a.mac, b.mac}
    assert ev.events(EvseChosen)[0].mac == b.mac and len(ev.events(EvseHeard)) == 2
    bench.run(10)
    assert a.ready == [LinkStatus.FAILED]  # nobody chose it, within TT_EVSE_match_session
    assert a.state is LinkState.MATCHING


def test_two_evs_at_one_evse() -> None:
    """Both are answered; one gets the key, the other none."""
    bench = Bench()
    one, two, evse = bench.ev(), bench.ev(), bench.evse()
    bench.open()
    bench.plug()
    bench.run(3)
    assert evse.established
    assert sorted([one.established, two.established]) == [False, True]
    winner = one if one.established else two
    assert evse.events(LinkReady)[0].peer == winner.mac
    loser = two if winner is one else one
    assert loser.modem.key != evse.modem.key


def test_five_evs_ask_at_once() -> None:
    bench = Bench()
    evs, evse = [bench.ev() for _ in range(5)], bench.evse()
    bench.open()
    bench.plug()
    bench.run(0.3)
    assert len({f.destination for _, f in evse.sent if isinstance(f.message, hp.SlacParmCnf)}) == 5
    bench.run(3)
    assert evse.established and sum(ev.established for ev in evs) == 1


def test_two_pairs_side_by_side() -> None:
    bench = Bench()
    evs, evses = [bench.ev(), bench.ev()], [bench.evse(), bench.evse()]
    for i, ev in enumerate(evs):
        for k, evse in enumerate(evses):
            bench.levels[ev.mac, evse.mac] = 15.0 if i == k else 45.0
    bench.open()
    bench.plug()
    bench.run(3)
    for ev, evse in zip(evs, evses, strict=True):
        assert ev.established and evse.established and same_key(ev, evse)
    assert evses[0].modem.key != evses[1].modem.key


def test_nobody_near_enough() -> None:
    bench, ev, evse = pair(SlacConfig(attenuation="standard", match_attempts=1))
    bench.levels[ev.mac, evse.mac] = 25.0
    bench.plug()
    bench.run(3)
    assert ev.ready == [LinkStatus.FAILED]
    assert "no EVSE near enough: the nearest of 1 at 24.9 dB" in ev.events(MatchingFailed)[0].reason


def test_calibration_of_both_sides_is_subtracted() -> None:
    bench, ev, evse = pair(SlacConfig(attenuation="standard", attn_tx_db=6.0), SlacConfig(attn_rx_db=(8,)))
    bench.levels[ev.mac, evse.mac] = 22.0
    bench.plug()
    bench.run(3)
    assert ev.established
    assert ev.events(EvseHeard)[0].overall_db == pytest.approx(8.0, abs=0.1)


# --- the EVSE waits -----------------------------------------------------------------------------


def test_no_ev_asks_within_tt_evse_slac_init() -> None:
    bench, _, evse = pair()
    evse.give(DLink.MATCH)
    bench.run(39)
    assert not evse.ready
    bench.run(2)
    assert evse.ready == [LinkStatus.FAILED] and evse.events(TimerExpired)[0].timer == "TT_EVSE_SLAC_init"
    bench.run(100)
    assert evse.ready == [LinkStatus.FAILED] and evse.state is LinkState.MATCHING
    evse.give(DLink.MATCH)
    bench.run(41)
    assert evse.ready == [LinkStatus.FAILED] * 2


def test_a_neighbours_request_does_not_stop_the_wait() -> None:
    """Its EV goes on elsewhere; ours has not been heard of."""
    bench, _, evse = pair()
    evse.give(DLink.MATCH)
    evse.message(hp.SlacParmReq(run_id=bytes(8)), bytes.fromhex("020000000e99"), hp.BROADCAST)
    bench.run(43)
    assert evse.ready == [LinkStatus.FAILED]


def test_an_ev_quicker_than_the_pilot_is_answered() -> None:
    bench, ev, evse = pair()
    ev.give(DLink.MATCH)
    bench.run(0.15)
    assert not evse.messages(hp.SlacParmCnf)
    evse.give(Update(PilotLevel(CpState.B)))
    evse.give(DLink.MATCH)
    assert evse.messages(hp.SlacParmCnf)
    bench.run(2)
    assert ev.established and len(ev.times(hp.SlacParmReq)) == 1


def test_a_request_long_ago_is_not_answered() -> None:
    bench, ev, evse = pair()
    evse.message(hp.SlacParmReq(run_id=bytes(8)), ev.mac, hp.BROADCAST)
    bench.run(0.6)
    evse.give(DLink.MATCH)
    assert not evse.messages(hp.SlacParmCnf)


def test_without_a_vehicle_nobody_is_answered() -> None:
    bench, ev, evse = pair()
    evse.give(DLink.MATCH)
    evse.give(Update(PilotLevel(CpState.A)))
    ev.give(DLink.MATCH)
    bench.run(5)
    assert not evse.messages(hp.SlacParmCnf)


@pytest.mark.parametrize(("config", "kept"), [(SlacConfig(), True), (STRICT, False)], ids=["field", "strict"])
def test_sounds_may_begin_late_in_the_field(config: SlacConfig, kept: bool) -> None:
    bench, ev, evse = pair(evse=config)
    evse.give(DLink.MATCH)
    evse.message(hp.SlacParmReq(run_id=bytes(8)), ev.mac, hp.BROADCAST)
    bench.run(0.5)
    evse.message(
        hp.StartAttenCharInd(run_id=bytes(8), num_sounds=10, time_out=6, forwarding_sta=ev.mac),
        ev.mac,
        hp.BROADCAST,
    )
    assert ("sounding" in [e.phase for e in evse.events(RunEntered)]) is kept


def test_own_timers_may_be_given() -> None:
    timers = SlacTimers(slac_init_s=25.0)
    bench, _, evse = pair(evse=SlacConfig(timers=timers))
    evse.give(DLink.MATCH)
    bench.run(26)
    assert evse.ready == [LinkStatus.FAILED]
