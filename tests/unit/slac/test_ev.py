"""The car's machine: validation by toggles, EVSEs that do not behave, what it must not believe."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iso15118.config import AttenuationLimits, SlacConfig
from iso15118.slac.dlink import DLink, LinkState, LinkStatus
from iso15118.slac.events import (
    EvseChosen,
    EvseHeard,
    SlacFrameDropped,
)
from iso15118.slac.validation import Verdict
from iso15118.wire import homeplug as hp
from tests.unit.slac.bench import Bench, Party, outcomes, pair, suspicions

VALIDATES = SlacConfig(validation=True)
ROGUE = bytes.fromhex("020000000c66")


# --- EVSEs that do not behave -------------------------------------------------------------------


def offer(ev: Party, mac: bytes = ROGUE, **changed: object) -> None:
    run_id = ev.messages(hp.SlacParmReq)[-1].run_id
    values = {"num_sounds": 10, "time_out": 6, "forwarding_sta": ev.mac, "run_id": run_id, **changed}
    ev.message(hp.SlacParmCnf(**values), mac)


def tell(ev: Party, aag: bytes, mac: bytes = ROGUE, num_sounds: int = 10, **changed: object) -> None:
    values = {"run_id": ev.messages(hp.SlacParmReq)[-1].run_id, "source_address": ev.mac, **changed}
    ev.message(hp.AttenCharInd(num_sounds=num_sounds, aag=aag, **values), mac)


@pytest.mark.parametrize(
    ("aag", "doubt"),
    [
        (bytes(58), "no attenuation at all"),
        (b"\x01" * 58, "the same attenuation in all groups"),
        (bytes(range(1, 30)), "29 groups instead of 58"),
    ],
    ids=["zero", "flat", "short"],
)
def test_a_rogue_evse_that_reports_the_impossible_is_noticed_and_not_preferred(
    aag: bytes, doubt: str
) -> None:
    bench, ev, evse = pair()
    bench.plug()
    offer(ev)
    bench.run(0.35)
    tell(ev, aag)
    bench.run(3)
    assert ev.established and ev.events(EvseChosen)[0].mac == evse.mac
    assert doubt in suspicions(ev)
    heard = next(e for e in ev.events(EvseHeard) if e.mac == ROGUE)
    assert doubt in heard.doubts and heard.overall_db < 20


def test_quirk_a_simulated_evse_alone_is_matched_in_spite_of_doubts() -> None:
    """9 dB in each group is what a simulator says of itself."""
    bench, ev, _ = pair()

    def flat(_: Party, frame: hp.Frame) -> hp.Frame:
        if isinstance(frame.message, hp.AttenCharInd):
            return replace(frame, message=replace(frame.message, aag=bytes([9] * 58)))
        return frame

    bench.changes.append(flat)
    bench.plug()
    bench.run(3)
    assert ev.established and suspicions(ev) == ["the same attenuation in all groups"]


def test_an_evse_that_hears_sounds_before_they_are_made() -> None:
    bench, ev, evse = pair()
    bench.plug()
    offer(ev)
    bench.run(0.1)
    tell(ev, bytes(range(1, 59)))
    bench.run(2)
    assert "heard 10 sounds of 0 sent so far" in suspicions(ev)
    assert ev.events(EvseChosen)[0].mac == evse.mac


@pytest.mark.parametrize("validates", [False, True])
def test_a_rogue_nearer_than_believable_is_a_reason_for_proof(validates: bool) -> None:
    """It says that it needs no validation; the EVSE at the cable is matched, by proof where it can give it."""
    bench = Bench()
    ev, evse = bench.ev(), bench.evse(VALIDATES if validates else None)
    bench.open()
    bench.plug()
    offer(ev)

    def spare(_: Party, frame: hp.Frame) -> hp.Frame:
        if isinstance(frame.message, hp.ValidateReq) and frame.destination == ROGUE:
            bench.later(0.001, lambda: ev.message(hp.ValidateCnf(result=Verdict.NOT_REQUIRED), ROGUE))
        return frame

    bench.changes.append(spare)
    bench.run(0.35)
    tell(ev, bytes([1] * 58))
    bench.run(6)
    assert ev.established and ev.events(EvseChosen)[0].mac == evse.mac
    assert outcomes(ev) == (["passed"] if validates else ["not required"] * 2)


def test_a_doubtful_evse_has_to_pass_where_the_believable_one_refuses() -> None:
    limits = AttenuationLimits(direct_db=40, indirect_db=80, proof_required=True)
    bench = Bench()
    ev, evse = bench.ev(SlacConfig(limits=limits, match_attempts=1)), bench.evse()
    bench.open()
    bench.plug()
    offer(ev)

    def answer(_: Party, frame: hp.Frame) -> hp.Frame:
        if isinstance(frame.message, hp.ValidateReq) and frame.destination == ROGUE:
            bench.later(0.001, lambda: ev.message(hp.ValidateCnf(result=Verdict.NOT_REQUIRED), ROGUE))
        if isinstance(frame.message, hp.ValidateCnf):
            return replace(frame, message=hp.ValidateCnf(result=Verdict.FAILURE))
        return frame

    bench.changes.append(answer)
    bench.run(0.35)
    tell(ev, bytes([1] * 58))
    bench.run(6)
    assert outcomes(ev) == ["refused", "not required"]
    assert ev.ready == [LinkStatus.FAILED] and not evse.established


def test_an_evse_that_answers_every_broadcast() -> None:
    bench, ev, evse = pair()
    broadcasts = (hp.SlacParmReq, hp.StartAttenCharInd, hp.MnbcSoundInd)

    def eager(sender: Party, frame: hp.Frame) -> hp.Frame:
        if sender is ev and isinstance(frame.message, broadcasts):
            bench.later(0.002, lambda: offer(ev))
        return frame

    bench.changes.append(eager)
    bench.levels[ev.mac, evse.mac] = 30.0
    bench.plug()
    bench.run(0.35)
    tell(ev, bytes(range(1, 59)), num_sounds=5)
    bench.run(3)
    assert suspicions(ev) == ["answers more often than it is asked"]
    assert ev.established and ev.events(EvseChosen)[0].mac == evse.mac


def test_an_evse_that_reports_without_having_answered() -> None:
    bench, ev, evse = pair()
    bench.plug()
    bench.run(0.35)
    tell(ev, bytes(range(1, 59)))
    bench.run(2)
    assert "has not answered CM_SLAC_PARM.REQ" in suspicions(ev)[0]
    assert ROGUE not in {f.destination for _, f in ev.sent}
    assert ev.events(EvseChosen)[0].mac == evse.mac


def test_an_evse_that_changes_its_report() -> None:
    bench, ev, evse = pair()
    bench.levels[ev.mac, evse.mac] = 30.0
    bench.plug()
    offer(ev)
    bench.run(0.35)
    tell(ev, bytes(range(30, 88)))
    tell(ev, bytes(range(1, 59)))
    bench.run(2)
    assert "changes its report" in suspicions(ev)
    assert ev.events(EvseChosen)[0].mac == evse.mac


def test_an_evse_that_answers_for_another_ev() -> None:
    bench, ev, _ = pair()
    bench.plug()
    offer(ev, forwarding_sta=bytes(6))
    assert suspicions(ev) == ["CM_SLAC_PARM.CNF to us, meant for another EV"]


@pytest.mark.parametrize(
    "message",
    [
        hp.SlacMatchCnf(
            run_id=bytes(8), pev_mac=bytes(6), evse_mac=ROGUE, nid=bytes(7), nmk=bytes(16), mvf_length=0x56
        ),
        hp.ValidateCnf(result=2, toggle_num=1),
    ],
    ids=["match", "validate"],
)
def test_answers_nobody_asked_for_are_suspicious_and_set_no_key(message: hp.Message) -> None:
    bench, ev, _ = pair()
    keys = len(ev.modem.keys)
    ev.message(message, ROGUE)
    bench.plug()
    ev.message(message, ROGUE)
    assert len(suspicions(ev)) == 2 and "nobody asked for" in suspicions(ev)[0]
    bench.run(0.1)
    assert len(ev.modem.keys) == keys


def test_a_flood_of_oddities_is_told_in_part() -> None:
    bench, ev, _ = pair()
    bench.plug()
    for _ in range(500):
        ev.message(hp.ValidateCnf(result=2), ROGUE)
    assert len(suspicions(ev)) == 20


@pytest.mark.parametrize(
    "changed",
    [
        {"run_id": bytes(8)},
        {"pev_mac": bytes(6)},
        {"evse_mac": bytes(6)},
        {"mvf_length": 0x3E},
        {"security_type": 1},
        {"application_type": 1},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_confirmation_that_does_not_fit_is_ignored(changed: dict[str, bytes | int]) -> None:
    bench, ev, _ = pair(SlacConfig(match_attempts=1))

    def spoil(_: Party, frame: hp.Frame) -> hp.Frame:
        if isinstance(frame.message, hp.SlacMatchCnf):
            return replace(frame, message=replace(frame.message, **changed))
        return frame

    bench.changes.append(spoil)
    bench.plug()
    bench.run(5)
    assert ev.ready == [LinkStatus.FAILED] and len(ev.messages(hp.SlacMatchReq)) == 3
    assert len(ev.modem.keys) == 2  # its own, at the beginning and at the end


@pytest.mark.req("V2G3-A09-47")
@pytest.mark.parametrize(
    ("aag", "changed"),
    [
        (b"", {}),
        (bytes(58), {"num_sounds": 0}),
        (bytes(58), {"run_id": bytes(8)}),
        (bytes(58), {"source_address": bytes(6)}),
    ],
    ids=["no groups", "no sounds", "run id", "address"],
)
def test_reports_that_say_nothing_are_not_answered(aag: bytes, changed: dict[str, object]) -> None:
    bench, ev, _ = pair()
    bench.plug()
    offer(ev)
    bench.run(0.35)
    tell(ev, aag, **changed)
    assert not ev.events(EvseHeard) and not ev.messages(hp.AttenCharRsp)
    assert ev.events(SlacFrameDropped)


def test_quirk_19_more_groups_than_58_are_read() -> None:
    """What is beyond the groups counted is none of the report."""
    bench, ev, _ = pair()
    bench.plug()
    offer(ev)
    bench.run(0.35)
    tell(ev, bytes(range(1, 59)))
    assert ev.events(EvseHeard)[0].overall_db == pytest.approx(29.5)


def test_only_so_many_evses_are_listened_to() -> None:
    bench, ev, _ = pair()
    bench.plug()
    for number in range(100):
        offer(ev, bytes.fromhex("0200000d00") + bytes([number]))
    bench.run(0.35)
    for number in range(100):
        tell(ev, bytes(range(20, 78)), bytes.fromhex("0200000d00") + bytes([number]))
    assert len(ev.events(EvseHeard)) == 32


def test_an_evse_that_answers_and_never_reports_costs_no_more_than_1200_ms() -> None:
    bench, ev, _ = pair()
    bench.plug()
    offer(ev)
    bench.run(4)
    assert ev.established
    assert ev.times(hp.SlacMatchReq)[0] - ev.times(hp.StartAttenCharInd)[0] == pytest.approx(1.2, abs=0.01)


def test_an_evse_that_answers_late_takes_part_as_well() -> None:
    bench = Bench()
    ev, far, near = bench.ev(), bench.evse(), bench.evse()
    bench.levels[ev.mac, far.mac] = 33.0
    bench.losses.append(lambda sender, f: sender is near and isinstance(f.message, hp.SlacParmCnf))
    bench.open()
    bench.plug()
    bench.run(0.2)
    offer(ev, near.mac)
    bench.run(3)
    assert near.established


def test_requests_of_other_evs_are_not_ours() -> None:
    bench, ev, _ = pair()
    bench.plug()
    other = bytes.fromhex("020000000e66")
    before = len(ev.sent)
    for message in (
        hp.SlacParmReq(run_id=bytes(8)),
        hp.StartAttenCharInd(run_id=bytes(8), num_sounds=10, time_out=6, forwarding_sta=other),
        hp.MnbcSoundInd(run_id=bytes(8), cnt=9, random=bytes(16)),
        hp.SlacMatchReq(run_id=bytes(8), pev_mac=other, evse_mac=ev.mac),
        hp.ValidateReq(),
    ):
        ev.message(message, other, hp.BROADCAST)
    assert len(ev.sent) == before


def test_words_while_a_failed_key_is_taken_back() -> None:
    """TERMINATE while the modem takes back a key after a failed join: no further attempt."""
    bench = Bench()
    ev, _ = bench.ev(deaf_s=0.0), bench.evse()
    bench.open()
    bench.apart = True
    bench.plug()
    while ev.state is not LinkState.JOINING:
        bench.run(0.05)
    ev.modem.takes_keys = False
    while ev.state is not LinkState.LEAVING:
        bench.run(0.5)
    ev.give(DLink.TERMINATE)
    ev.modem.takes_keys = True
    bench.run(20)
    assert ev.state is LinkState.UNMATCHED
    assert LinkStatus.ESTABLISHED not in ev.ready
