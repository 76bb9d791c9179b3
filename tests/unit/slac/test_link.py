"""The life of a link: words from above, unplugging at every moment, loss, pause, the port and the amplitude map."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iso15118.config import SlacConfig
from iso15118.control.common import CpState
from iso15118.errors import ConfigError
from iso15118.machine import Bytes, LinkDown, LinkUp, Stop, Update
from iso15118.slac.dlink import DLink, LinkState, LinkStatus, PilotLevel
from iso15118.slac.ev import EvSlac
from iso15118.slac.events import AmpMapReceived, AmpMapRefused, LinkReady, LinkStateEntered
from iso15118.wire import homeplug as hp
from tests.unit.slac.bench import EV_MAC, Bench, Party, pair

UNPLUGGED = Update(PilotLevel(CpState.A))
PLUGGED = Update(PilotLevel(CpState.B))
MOMENTS = [0.0, 0.0005, 0.05, 0.1, 0.2, 0.38, 0.384, 0.4, 0.41, 0.5, 0.9, 1.1, 1.5, 3.0]
"""After plugging in, from the first request to the established link."""


def matched(ev: SlacConfig | None = None, evse: SlacConfig | None = None) -> tuple[Bench, Party, Party]:
    bench, car, charger = pair(ev, evse)
    bench.plug()
    bench.run(2)
    assert car.established and charger.established
    return bench, car, charger


def left(party: Party) -> bool:
    """Whether a party gave its modem a key nobody else has, and is silent."""
    return party.state is LinkState.UNMATCHED and party.machine.key.nmk == party.modem.key[1]


# --- leaving ------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", [DLink.TERMINATE, DLink.ERROR, Stop("done"), UNPLUGGED])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.req("V2G3-M07-19")
def test_leaving_at_any_moment(moment: float, word: object) -> None:
    bench, ev, evse = pair()
    bench.plug()
    bench.run(moment)
    told = [list(p.ready) for p in (ev, evse)]
    keys = [p.modem.key for p in (ev, evse)]
    for party in (ev, evse):
        party.give(word)
    sent = bench.now
    bench.run(1)  # TP_match_leave
    for party, before, key in zip((ev, evse), told, keys, strict=True):
        assert left(party) and party.modem.key != key
        assert party.ready == before  # whoever asks to leave is not told that it worked
        assert not [f for t, f in party.sent if t > sent + 0.01]
    assert ev.modem.key != evse.modem.key and not bench.linked(ev)


@pytest.mark.parametrize("moment", MOMENTS)
def test_plugging_in_again_works_after_unplugging_at_any_moment(moment: float) -> None:
    bench, ev, evse = pair()
    bench.plug()
    bench.run(moment)
    for party in (ev, evse):
        party.give(UNPLUGGED)
    bench.run(1)
    ev.give(PLUGGED)
    bench.plug()
    bench.run(3)
    assert ev.established and evse.established


def test_terminate_again_changes_nothing() -> None:
    bench, ev, _ = matched()
    ev.give(DLink.TERMINATE)
    bench.run(1)
    keys, log = len(ev.modem.keys), len(ev.log)
    ev.give(DLink.TERMINATE)
    bench.run(10)
    assert len(ev.modem.keys) == keys and len(ev.log) == log


def test_match_again_changes_nothing() -> None:
    bench, ev, evse = pair()
    for seconds in (0, 0.2, 0.4, 1.0, 2.0):
        bench.run(seconds)
        bench.plug()
    bench.run(2)
    assert ev.ready == evse.ready == [LinkStatus.ESTABLISHED]


def test_pause_without_a_link_changes_nothing() -> None:
    bench, ev, evse = pair()
    ev.give(DLink.PAUSE)
    bench.plug()
    ev.give(DLink.PAUSE)
    bench.run(2)
    assert ev.established and evse.established


def test_match_while_leaving_is_remembered() -> None:
    bench, ev, evse = matched()
    for party in (ev, evse):
        party.give(DLink.TERMINATE)
        party.give(DLink.MATCH)
    bench.run(3)
    assert ev.ready == evse.ready == [LinkStatus.ESTABLISHED] * 2


def test_what_is_not_for_the_link_is_ignored() -> None:
    _, ev, _ = matched()
    log = len(ev.log)
    ev.give(Bytes(b"x"))
    ev.give(Update("something"))
    assert len(ev.log) == log


# --- loss ---------------------------------------------------------------------------------------


def test_a_lost_link_is_told_after_three_bad_answers() -> None:
    bench, ev, evse = matched()
    bench.apart = True
    at = bench.now
    bench.run(2.0)
    for party in (ev, evse):
        assert party.ready == [LinkStatus.ESTABLISHED, LinkStatus.LOST]
        (told,) = [t for t, e in party.log if isinstance(e, LinkReady) and e.status is LinkStatus.LOST]
        assert 1.0 <= told - at <= 1.6
    assert left(ev) and evse.state is LinkState.MATCHING  # option B: it goes on listening


def test_a_short_gap_is_no_loss() -> None:
    bench, ev, evse = matched()
    bench.apart = True
    bench.run(0.9)
    bench.apart = False
    bench.run(5)
    assert ev.ready == evse.ready == [LinkStatus.ESTABLISHED]


def test_after_a_loss_both_match_again_when_told() -> None:
    """Option B of the charger; the car as its plug decides, T_conn_resetup later."""
    bench, ev, evse = matched()
    bench.apart = True
    bench.run(3)
    bench.apart = False
    bench.run(15)
    ev.give(DLink.MATCH)
    bench.run(3)
    assert ev.ready == evse.ready == [LinkStatus.ESTABLISHED, LinkStatus.LOST, LinkStatus.ESTABLISHED]


def test_quirk_14_an_evse_that_takes_another_key_right_after_the_end_is_a_loss() -> None:
    bench, ev, evse = matched()
    evse.give(DLink.TERMINATE)
    bench.run(3)
    assert ev.ready == [LinkStatus.ESTABLISHED, LinkStatus.LOST] and left(ev)


def test_a_modem_that_falls_silent_is_a_loss() -> None:
    bench, ev, _ = matched()
    ev.modem.polls = False
    bench.run(6)
    assert ev.ready == [LinkStatus.ESTABLISHED, LinkStatus.LOST]


def test_a_modem_that_restarts_while_joining() -> None:
    bench, ev, evse = pair()
    bench.plug()
    bench.run(0.6)
    ev.modem.deaf_until = bench.now + 5.0
    bench.run(8)
    assert ev.ready == evse.ready == [LinkStatus.ESTABLISHED]


def test_the_link_is_ready_after_tp_link_ready_notification() -> None:
    _, ev, _ = matched()
    seen, ready = (next(t for t, e in ev.log if getattr(e, "up", False)), ev.events(LinkReady)[0].t)
    assert 0.2 <= ready - seen <= 1.0


# --- the port -----------------------------------------------------------------------------------


def test_the_port_is_gone() -> None:
    bench, ev, evse = matched()
    bench.close()
    assert ev.ready == evse.ready == [LinkStatus.ESTABLISHED, LinkStatus.LOST]
    assert ev.state is LinkState.CLOSED
    bench.run(5)
    ev.message(hp.SlacParmCnf(num_sounds=1, time_out=1, forwarding_sta=ev.mac, run_id=bytes(8)), evse.mac)
    ev.give(LinkDown())
    assert ev.ready == [LinkStatus.ESTABLISHED, LinkStatus.LOST]


def test_the_port_comes_back() -> None:
    bench, ev, evse = matched()
    bench.close()
    for party in (ev, evse):
        party.give(LinkUp())
        party.give(LinkUp())
    bench.run(1)
    ev.give(DLink.MATCH)
    bench.run(3)
    assert ev.established and evse.established


def test_a_port_gone_before_anything_began_fails_nothing() -> None:
    _, ev, _ = pair()
    ev.give(LinkDown())
    assert not ev.ready and ev.state is LinkState.CLOSED


def test_words_before_the_port_is_open_are_kept() -> None:
    bench = Bench()
    ev, evse = bench.ev(), bench.evse()
    bench.plug()
    bench.open(4)
    assert ev.established and evse.established


@pytest.mark.parametrize("mac", [b"", bytes(5), bytes.fromhex("01005e000001"), hp.BROADCAST])
def test_the_own_address_is_checked(mac: bytes) -> None:
    with pytest.raises(ConfigError, match="a unicast address of 6 octets"):
        EvSlac(mac, SlacConfig(), bytes)


# --- pause --------------------------------------------------------------------------------------


def test_pause_and_resume_without_matching() -> None:
    bench, ev, evse = matched()
    keys = [p.modem.key for p in (ev, evse)]
    for party in (ev, evse):
        party.give(DLink.PAUSE)
    bench.run(1)
    assert ev.state is evse.state is LinkState.PAUSED
    sent = [len(p.sent) for p in (ev, evse)]
    bench.run(3600)
    assert [len(p.sent) for p in (ev, evse)] == sent  # the modems may sleep
    for party in (ev, evse):
        party.give(DLink.MATCH)
    bench.run(1)
    assert ev.ready == evse.ready == [LinkStatus.ESTABLISHED] * 2
    assert [p.modem.key for p in (ev, evse)] == keys
    assert ev.events(LinkReady)[-1].peer == evse.mac


def test_resume_waits_for_modems_that_wake_up() -> None:
    bench, ev, evse = matched()
    for party in (ev, evse):
        party.give(DLink.PAUSE)
    bench.run(10)
    ev.modem.deaf_until = bench.now + 4.0
    for party in (ev, evse):
        party.give(DLink.MATCH)
    bench.run(6)  # T_conn_resume
    assert ev.established and evse.established


def test_a_link_gone_during_the_pause_is_lost() -> None:
    bench, ev, _ = matched()
    ev.give(DLink.PAUSE)
    bench.run(10)
    bench.apart = True
    ev.give(DLink.MATCH)
    bench.run(11)
    assert ev.ready == [LinkStatus.ESTABLISHED]
    bench.run(2)
    assert ev.ready == [LinkStatus.ESTABLISHED, LinkStatus.LOST]
    assert left(ev)


@pytest.mark.parametrize("word", [DLink.TERMINATE, UNPLUGGED, DLink.ERROR])
def test_a_pause_ends_by_leaving(word: object) -> None:
    bench, ev, _ = matched()
    ev.give(DLink.PAUSE)
    bench.run(10)
    ev.give(word)
    bench.run(1)
    assert left(ev) and ev.ready == [LinkStatus.ESTABLISHED]


def test_a_car_that_forgot_the_key_matches_again_after_wake_up() -> None:
    """The EVSE keeps network and key, the car comes with CM_SLAC_PARM.REQ; nothing is told as lost."""
    bench, ev, evse = matched()
    evse.give(DLink.PAUSE)
    ev.give(DLink.TERMINATE)
    bench.run(100)
    assert evse.state is LinkState.PAUSED
    evse.give(DLink.MATCH)
    ev.give(DLink.MATCH)
    bench.run(4)
    assert ev.established and evse.ready == [LinkStatus.ESTABLISHED] * 2
    assert ev.modem.key == evse.modem.key


def test_a_request_during_the_pause_costs_nobody_the_network() -> None:
    bench, ev, evse = matched()
    keys = len(evse.modem.keys)
    for party in (ev, evse):
        party.give(DLink.PAUSE)
    bench.run(10)
    evse.message(hp.SlacParmReq(run_id=bytes(8)), ev.mac, hp.BROADCAST)
    bench.run(1)
    assert evse.state is LinkState.PAUSED and len(evse.modem.keys) == keys
    evse.give(DLink.MATCH)
    bench.run(1)
    assert evse.ready == [LinkStatus.ESTABLISHED] * 2


def test_pause_is_taken_while_a_poll_is_under_way() -> None:
    bench, ev, _ = matched()
    polls = len(ev.sent)
    while len(ev.sent) == polls:
        bench.run(0.0005)
    ev.give(DLink.PAUSE)
    bench.run(0.5)
    assert ev.state is LinkState.PAUSED


# --- the amplitude map --------------------------------------------------------------------------


def test_the_amplitude_map_is_sent_once_the_link_is_up() -> None:
    bench, ev, evse = matched(SlacConfig(amp_map_db=(0, 2, 28, 30)))
    assert ev.messages(hp.AmpMapReq) == [hp.AmpMapReq(amplitudes=(0, 1, 14, 15))]
    assert evse.events(AmpMapReceived)[0].reductions_db == (0, 2, 28, 30)
    assert evse.messages(hp.AmpMapCnf) == [hp.AmpMapCnf(result=0)]
    assert ev.times(hp.AmpMapReq)[0] - ev.events(LinkReady)[0].t <= 0.1
    bench.run(5)
    assert not ev.events(AmpMapRefused) and ev.established


@pytest.mark.req("V2G3-A09-114")
def test_a_refused_amplitude_map_is_sent_again_and_is_not_fatal() -> None:
    bench, ev, evse = pair(evse=SlacConfig(amp_map_db=(2,)))
    bench.changes.append(
        lambda _, f: replace(f, message=hp.AmpMapCnf(result=1)) if isinstance(f.message, hp.AmpMapCnf) else f
    )
    bench.plug()
    bench.run(3)
    times = evse.times(hp.AmpMapReq)
    assert len(times) == 3 and times[1] - times[0] == pytest.approx(0.2)
    assert len(evse.events(AmpMapRefused)) == 1
    assert ev.established and evse.established


def test_an_empty_amplitude_map_and_that_of_a_stranger_are_not_answered() -> None:
    _, ev, evse = matched()
    ev.message(hp.AmpMapReq(amplitudes=()), evse.mac)
    ev.message(hp.AmpMapReq(amplitudes=(1,)), bytes.fromhex("020000000c66"))
    ev.message(hp.NwStatsReq(), evse.mac)
    assert not ev.messages(hp.AmpMapCnf) and not ev.events(AmpMapReceived)


# --- what is told -------------------------------------------------------------------------------


def test_the_states_of_a_link() -> None:
    bench, ev, _ = matched()
    ev.give(DLink.PAUSE)
    bench.run(1)
    ev.give(DLink.MATCH)
    bench.run(1)
    ev.give(DLink.TERMINATE)
    bench.run(1)
    assert [e.state.value for e in ev.events(LinkStateEntered)] == [
        "leaving",
        "unmatched",
        "matching",
        "joining",
        "matched",
        "paused",
        "joining",
        "matched",
        "leaving",
        "unmatched",
    ]


def test_time_served_late_is_late() -> None:
    """A machine that is not ticked for long decides as if it had been."""
    bench = Bench()
    machine = EvSlac(EV_MAC, SlacConfig(), bench.random.randbytes)
    machine.receive(LinkUp(), 0.0)
    before = machine.deadline
    machine.receive(DLink.MATCH, 1000.0)
    assert machine.now == 1000.0 and machine.deadline > before
