"""The charger's machine against scripted cars: phases, bounds, validation, what it must not answer."""

from __future__ import annotations

import pytest

from iso15118.config import SlacConfig
from iso15118.machine import Frame as Octets
from iso15118.slac.dlink import DLink, LinkState, LinkStatus
from iso15118.slac.events import RunEntered, SlacFrameDropped
from iso15118.wire import homeplug as hp
from tests.unit.slac.bench import (
    RUN_ID,
    Bench,
    Party,
    announce,
    approach,
    ask_match,
    car,
    hear,
    listening,
    pair,
    phases,
)

# --- phases -------------------------------------------------------------------------------------


def test_the_phases_of_a_run() -> None:
    _, ev, evse = listening()
    approach(evse, ev)
    ask_match(evse, ev)
    assert phases(evse) == [
        "waiting for CM_START_ATTEN_CHAR.IND",
        "sounding",
        "waiting for CM_ATTEN_CHAR.RSP",
        "waiting for CM_SLAC_MATCH.REQ",
        "matched",
    ]
    report = evse.messages(hp.AttenCharInd)[0]
    assert report.aag == bytes([20, 21] * 29) and report.num_sounds == 10
    confirmation = evse.messages(hp.SlacMatchCnf)[0]
    assert (confirmation.nid, confirmation.nmk) == evse.modem.key
    assert hp.derive_nid(confirmation.nmk) == confirmation.nid


@pytest.mark.parametrize("starts", [1, 2, 3])
def test_quirk_6_one_start_is_enough(starts: int) -> None:
    _, ev, evse = listening()
    evse.message(hp.SlacParmReq(run_id=RUN_ID), ev, hp.BROADCAST)
    for _ in range(starts):
        start = hp.StartAttenCharInd(run_id=RUN_ID, num_sounds=10, time_out=6, forwarding_sta=ev, resp_type=0)
        evse.message(start, ev, hp.BROADCAST)
    hear(evse, ev)
    assert len(evse.messages(hp.AttenCharInd)) == 1


def test_quirk_10_what_the_ev_announces_may_differ() -> None:
    bench, ev, evse = listening()
    evse.message(hp.SlacParmReq(run_id=RUN_ID), ev, hp.BROADCAST)
    start = hp.StartAttenCharInd(run_id=RUN_ID, num_sounds=12, time_out=10, forwarding_sta=ev)
    evse.message(start, ev, hp.BROADCAST)
    hear(evse, ev, sounds=4)
    bench.run(0.7)
    assert evse.messages(hp.AttenCharInd)[0].num_sounds == 4


def test_sounds_without_an_announcement_are_ignored() -> None:
    bench, ev, evse = listening()
    evse.message(hp.SlacParmReq(run_id=RUN_ID), ev, hp.BROADCAST)
    hear(evse, ev)
    bench.run(0.7)
    assert not evse.messages(hp.AttenCharInd)


def test_the_last_sound_ends_the_window() -> None:
    bench, ev, evse = listening()
    announce(evse, ev)
    hear(evse, ev, sounds=9)
    evse.message(hp.MnbcSoundInd(run_id=RUN_ID, cnt=0, random=bytes(16)), ev, hp.BROADCAST)
    bench.run(0.06)
    assert evse.messages(hp.AttenCharInd)[0].num_sounds == 9


def test_the_window_is_600_ms_by_the_standard() -> None:
    bench, ev, evse = listening(SlacConfig(strict_timing=True))
    announce(evse, ev)
    hear(evse, ev, sounds=1)
    bench.run(1)
    begun = next(t for t, e in evse.log if isinstance(e, RunEntered) and e.phase == "sounding")
    assert evse.times(hp.AttenCharInd)[0] - begun == pytest.approx(0.6)


def test_quirk_13_run_ids_may_repeat_between_plug_ins() -> None:
    """Some cars use a constant: a finished run begins anew."""
    bench, ev, evse = listening()
    run_id = b"TESLA EV"
    for _ in range(2):
        approach(evse, ev, run_id)
        ask_match(evse, ev, run_id=run_id)
        assert evse.state is LinkState.JOINING
        evse.give(DLink.TERMINATE)
        bench.run(1)
        evse.give(DLink.MATCH)
    assert phases(evse).count("matched") == 2


def test_run_ids_may_be_those_of_another_ev() -> None:
    _, ev, evse = listening()
    other = bytes.fromhex("020000000e77")
    approach(evse, ev)
    approach(evse, other)
    ask_match(evse, other)
    assert evse.sent[-1][1].destination != ev
    assert [f.destination for _, f in evse.sent if isinstance(f.message, hp.SlacMatchCnf)] == [other]


def test_the_first_to_match_ends_the_runs_of_the_others() -> None:
    _, ev, evse = listening()
    other = bytes.fromhex("020000000e77")
    approach(evse, other)
    approach(evse, ev)
    ask_match(evse, ev)
    assert [(e.ev_mac, e.phase) for e in evse.events(RunEntered)][-2:] == [(ev, "matched"), (other, "gone")]
    ask_match(evse, other)
    assert len(evse.messages(hp.SlacMatchCnf)) == 1


def test_no_choice_within_tt_evse_match_session() -> None:
    bench, ev, evse = listening()
    approach(evse, ev)
    bench.run(9.9)
    assert not evse.ready
    bench.run(0.2)
    assert evse.ready == [LinkStatus.FAILED]
    assert evse.state is LinkState.MATCHING


# --- what is not answered -----------------------------------------------------------------------


def test_no_key_before_the_report_is_confirmed() -> None:
    _, ev, evse = listening()
    ask_match(evse, ev)
    announce(evse, ev)
    ask_match(evse, ev)
    hear(evse, ev)
    ask_match(evse, ev)
    assert not evse.messages(hp.SlacMatchCnf)


@pytest.mark.parametrize(
    "changed",
    [
        {"run_id": bytes(8)},
        {"pev_mac": bytes(6)},
        {"evse_mac": bytes(6)},
        {"mvf_length": 0x3F},
        {"application_type": 1},
        {"security_type": 1},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_no_key_for_a_request_that_does_not_fit(changed: dict[str, bytes | int]) -> None:
    _, ev, evse = listening()
    approach(evse, ev)
    ask_match(evse, ev, **changed)
    assert not evse.messages(hp.SlacMatchCnf)
    ask_match(evse, ev)
    assert evse.messages(hp.SlacMatchCnf)


def test_no_key_for_a_foreign_address() -> None:
    _, ev, evse = listening()
    approach(evse, ev)
    request = hp.SlacMatchReq(run_id=RUN_ID, pev_mac=ev, evse_mac=evse.mac)
    evse.message(request, bytes.fromhex("020000000e66"))
    assert not evse.messages(hp.SlacMatchCnf)


def test_identifiers_of_17_octets_are_echoed() -> None:
    _, ev, evse = listening()
    approach(evse, ev)
    ask_match(evse, ev, pev_id=b"P" * 17, evse_id=b"E" * 17)
    confirmation = evse.messages(hp.SlacMatchCnf)[0]
    assert (confirmation.pev_id, confirmation.evse_id) == (b"P" * 17, b"E" * 17)


@pytest.mark.parametrize("field", ["application_type", "security_type"])
def test_other_schemes_are_not_answered(field: str) -> None:
    _, ev, evse = listening()
    evse.message(hp.SlacParmReq(run_id=RUN_ID, **{field: 1}), ev, hp.BROADCAST)
    assert not evse.messages(hp.SlacParmCnf)
    assert evse.events(SlacFrameDropped)[0].reason.startswith("CM_SLAC_PARM.REQ of another application")


@pytest.mark.parametrize(
    "changed", [{"result": 1}, {"source_address": bytes(6)}], ids=["result", "source_address"]
)
def test_a_response_that_does_not_fit_is_none(changed: dict[str, bytes | int]) -> None:
    _, ev, evse = listening()
    announce(evse, ev)
    hear(evse, ev)
    values = {"run_id": RUN_ID, "source_address": ev, **changed}
    evse.message(hp.AttenCharRsp(**values), ev)
    assert phases(evse)[-1] == "waiting for CM_ATTEN_CHAR.RSP"


def test_profiles_of_foreign_modems_do_not_count() -> None:
    bench, ev, evse = listening()
    announce(evse, ev)
    evse.message(hp.AttenProfileInd(pev_mac=ev, aag=bytes(58)), bytes.fromhex("020000000d66"))
    hear(evse, ev, sounds=3)
    bench.run(0.7)
    assert evse.messages(hp.AttenCharInd)[0].num_sounds == 3


def test_a_matched_evse_ignores_other_evs() -> None:
    bench, _, evse = pair()
    bench.plug()
    bench.run(2)
    other = bytes.fromhex("020000000e66")
    before = len(evse.messages(hp.SlacParmCnf))
    approach(evse, other)
    assert len(evse.messages(hp.SlacParmCnf)) == before and evse.established


def test_quirk_11_a_report_is_never_all_zero() -> None:
    _, ev, evse = listening(SlacConfig(attn_rx_db=(60,)))
    announce(evse, ev)
    hear(evse, ev)
    assert any(evse.messages(hp.AttenCharInd)[0].aag)


# --- bounds -------------------------------------------------------------------------------------


def test_five_cars_may_sound_at_once_the_sixth_does_not_disturb_those_ahead() -> None:
    bench, _, evse = listening()
    for number in range(5):
        approach(evse, car(number))
        bench.run(0.1)
    announce(evse, car(9))
    gone = [e for e in evse.events(RunEntered) if e.phase == "gone"]
    assert [e.ev_mac for e in gone] == [car(9)] and "more than 5 at once" in gone[0].why


def test_among_equals_the_one_silent_for_longest_gives_way() -> None:
    bench, _, evse = listening(SlacConfig(parallel=2))
    for number in range(3):
        announce(evse, car(number))
        bench.run(0.1)
    assert [e.ev_mac for e in evse.events(RunEntered) if e.phase == "gone"] == [car(0)]


def test_a_flood_of_requests_is_answered_in_part_and_reported_in_part() -> None:
    bench, _, evse = listening()
    for number in range(1000):
        evse.message(hp.SlacParmReq(run_id=number.to_bytes(8, "big")), car(number), hp.BROADCAST)
    assert len(evse.messages(hp.SlacParmCnf)) == 20
    assert len(evse.events(SlacFrameDropped)) == 20
    bench.run(1.1)
    for number in range(1000, 1030):
        evse.message(hp.SlacParmReq(run_id=number.to_bytes(8, "big")), car(number), hp.BROADCAST)
    assert evse.events(SlacFrameDropped)[-1].unreported == 0
    assert evse.events(SlacFrameDropped)[20].unreported == 960


def test_half_open_runs_are_bounded() -> None:
    bench, _, evse = listening()
    for number in range(200):
        evse.message(hp.SlacParmReq(run_id=RUN_ID), car(number), hp.BROADCAST)
        bench.run(0.05)
    open_now = len(evse.events(RunEntered)) - 2 * phases(evse).count("gone")
    assert 30 <= open_now <= 40


def test_a_flood_leaves_a_car_under_way_alone() -> None:
    bench, ev, evse = pair()
    bench.plug()
    bench.run(0.05)
    number = 0
    while bench.now < 103.5:
        bench.run(0.01)
        evse.message(hp.SlacParmReq(run_id=number.to_bytes(8, "big")), car(number), hp.BROADCAST)
        number += 1
    assert ev.established and evse.established


# --- a matched EV comes again -------------------------------------------------------------------


def matched() -> tuple[Bench, Party, Party]:
    bench, ev, evse = pair()
    bench.plug()
    bench.run(2)
    assert evse.established
    return bench, ev, evse


def test_a_request_of_the_matched_ev_is_ignored_while_the_link_is_up() -> None:
    bench, ev, evse = matched()
    evse.message(hp.SlacParmReq(run_id=bytes(8)), ev.mac, hp.BROADCAST)
    bench.run(1)
    assert evse.ready == [LinkStatus.ESTABLISHED] and len(evse.messages(hp.SlacParmCnf)) == 1


def test_the_matched_ev_may_start_over_once_the_link_is_down() -> None:
    """Sooner than the loss is certain: the EV knows."""
    bench, ev, evse = matched()
    bench.apart = True
    bench.run(0.8)
    assert evse.state is LinkState.MATCHED
    evse.message(hp.SlacParmReq(run_id=bytes(8)), ev.mac, hp.BROADCAST)
    bench.run(0.1)
    assert evse.ready == [LinkStatus.ESTABLISHED, LinkStatus.LOST]
    assert evse.state is LinkState.MATCHING and len(evse.messages(hp.SlacParmCnf)) == 2
    assert len(evse.modem.keys) == 2


def test_an_ev_without_the_key_starts_over() -> None:
    """All confirmations are lost; the EV comes with another run id, and gets another key."""
    bench, ev, evse = pair()
    bench.lose(hp.SlacMatchCnf, 3)
    bench.plug()
    bench.run(5)
    assert ev.established and evse.established
    assert len(evse.modem.keys) == 2


def test_a_late_copy_of_the_matched_request_changes_nothing() -> None:
    bench, ev, evse = pair()
    bench.plug()
    bench.run(0.6)
    assert evse.state is LinkState.JOINING
    evse.message(ev.messages(hp.SlacParmReq)[0], ev.mac, hp.BROADCAST)
    bench.run(2)
    assert evse.ready == [LinkStatus.ESTABLISHED]


def test_a_constant_run_id_starts_over_as_well() -> None:
    bench, ev, evse = listening()
    approach(evse, ev)
    ask_match(evse, ev)
    bench.run(2.5)
    evse.message(hp.SlacParmReq(run_id=RUN_ID), ev, hp.BROADCAST)
    bench.run(0.1)
    assert evse.state is LinkState.MATCHING and len(evse.messages(hp.SlacParmCnf)) == 2


# --- frames -------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [hp.BROADCAST, bytes.fromhex("01005e000001")])
def test_nobody_has_the_address_of_a_group(source: bytes) -> None:
    _, _, evse = listening()
    evse.message(hp.SlacParmReq(run_id=RUN_ID), source, hp.BROADCAST)
    assert not evse.messages(hp.SlacParmCnf)


def test_own_frames_and_those_for_others_are_not_ours() -> None:
    _, ev, evse = listening()
    evse.message(hp.SlacParmReq(run_id=RUN_ID), evse.mac, hp.BROADCAST)
    evse.message(hp.SlacParmReq(run_id=RUN_ID), ev, car(3))
    assert not evse.messages(hp.SlacParmCnf)


def test_quirk_9_tagged_frames_are_read() -> None:
    _, ev, evse = listening()
    frame = hp.Frame(hp.BROADCAST, ev, hp.SlacParmReq(run_id=RUN_ID), vlan=5)
    evse.give(Octets(hp.write(frame)))
    assert evse.messages(hp.SlacParmCnf)


def test_malformed_frames_are_dropped_and_told() -> None:
    _, _, evse = listening()
    evse.give(Octets(b"\xff" * 12 + b"\x88\xe1\x01\x64\x60"))
    assert "left" in evse.events(SlacFrameDropped)[0].reason
