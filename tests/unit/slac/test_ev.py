"""The car's machine: validation by toggles, EVSEs that do not behave, what it must not believe."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from iso15118.config import AttenuationLimits, SlacConfig
from iso15118.machine import LinkDown
from iso15118.slac.dlink import DLink, LinkState, LinkStatus
from iso15118.slac.events import (
    EvseChosen,
    EvseHeard,
    EvseValidated,
    MatchingFailed,
    SlacFrameDropped,
    SuspiciousEvse,
    Validating,
)
from iso15118.slac.validation import Verdict
from iso15118.wire import homeplug as hp
from tests.unit.slac.bench import Bench, Party, pair

VALIDATES = SlacConfig(validation=True)
ROGUE = bytes.fromhex("020000000c66")


def equal(toggles: int = 2, **ev: object) -> tuple[Bench, Party, Party, Party]:
    """Two EVSEs at the same attenuation, the first one at the cable; both validate."""
    bench = Bench()
    car = bench.ev(SlacConfig(toggles=toggles, **ev))
    cabled, other = bench.evse(VALIDATES), bench.evse(VALIDATES)
    bench.open()
    return bench, car, cabled, other


def outcomes(ev: Party) -> list[str]:
    return [event.outcome for event in ev.events(EvseValidated)]


def suspicions(ev: Party) -> list[str]:
    return [event.reason for event in ev.events(SuspiciousEvse)]


# --- validation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("toggles", [1, 2, 3])
@pytest.mark.parametrize("first", [0, 1], ids=["right", "wrong"])
def test_equal_attenuation_is_settled_by_toggles(toggles: int, first: int) -> None:
    bench, ev, cabled, other = equal(toggles)
    bench.levels[ev.mac, (cabled, other)[first].mac] = 19.0  # a little nearer: is asked first
    bench.plug()
    bench.run(12)
    assert ev.established and cabled.established and not other.established
    assert outcomes(ev) == (["passed"] if first == 0 else ["failed", "passed"])
    assert ev.events(EvseValidated)[-1].counted == toggles
    assert [ready for _, ready in ev.pilots] == [True, False] * toggles * (1 + first)


@pytest.mark.parametrize("toggles", [1, 2, 3])
def test_toggles_keep_their_times(toggles: int) -> None:
    bench, ev, _, _ = equal(toggles)
    bench.plug()
    bench.run(6)
    times = [t for t, _ in ev.pilots]
    assert all(0.2 <= b - a <= 0.4 for a, b in itertools.pairwise(times))
    announced = next(f for f in ev.messages(hp.ValidateReq) if f.timer)
    at = next(t for t, f in ev.sent if f.message is announced)
    assert times[0] - at <= 0.4  # TT_match_sequence
    window_s = (announced.timer + 1) * 0.1
    assert times[-1] + 0.3 <= at + window_s <= at + 3.5
    assert window_s >= toggles * 3 * 0.3


def test_the_number_of_toggles_is_random() -> None:
    numbers = set()
    for seed in range(12):
        bench = Bench(seed)
        ev, evse, _ = bench.ev(), bench.evse(VALIDATES), bench.evse(VALIDATES)
        bench.open()
        bench.plug()
        bench.run(8)
        numbers.add(ev.events(EvseValidated)[0].toggles)
        assert evse.established
    assert numbers == {1, 2, 3}


def test_a_miscount_is_not_our_evse() -> None:
    """The pilot of the EV is wired to no EVSE in earshot."""
    bench, ev, cabled, other = equal(match_attempts=1)
    bench.cabled = None
    bench.plug()
    bench.run(20)
    assert outcomes(ev) == ["failed", "failed"] and [e.counted for e in ev.events(EvseValidated)] == [0, 0]
    assert ev.ready == [LinkStatus.FAILED] and not cabled.established and not other.established
    assert "no EVSE passed validation" in ev.events(MatchingFailed)[0].reason


def test_an_evse_may_not_require_validation() -> None:
    bench = Bench()
    ev, _, _ = bench.ev(), bench.evse(), bench.evse()
    bench.open()
    bench.plug()
    bench.run(4)
    assert ev.established and outcomes(ev) == ["not required"] * 2
    assert ev.events(EvseChosen)[0].why.endswith("validation: not required")
    assert not ev.pilots


def test_proof_beats_an_evse_that_wants_none() -> None:
    """A stranger a little nearer spares the proof; the EVSE at the cable gives it."""
    bench = Bench()
    ev, cabled, stranger = bench.ev(), bench.evse(VALIDATES), bench.evse()
    bench.levels[ev.mac, stranger.mac] = 18.0
    bench.open()
    bench.plug()
    bench.run(6)
    assert cabled.established and outcomes(ev) == ["not required", "passed"]


@pytest.mark.parametrize(
    "verdict", [Verdict.FAILURE, Verdict.SUCCESS, 77], ids=["failure", "success", "unknown"]
)
@pytest.mark.parametrize("required", [False, True], ids=["field", "required"])
def test_a_refusal_is_survived_where_no_proof_is_required(verdict: int, required: bool) -> None:
    limits = AttenuationLimits(direct_db=10, indirect_db=40, proof_required=required)
    bench, ev, evse = pair(SlacConfig(limits=limits, match_attempts=1))

    def refuse(_: Party, frame: hp.Frame) -> hp.Frame:
        if isinstance(frame.message, hp.ValidateCnf):
            return replace(frame, message=hp.ValidateCnf(result=verdict))
        return frame

    bench.changes.append(refuse)
    bench.plug()
    bench.run(5)
    assert outcomes(ev) == ["refused"] and not ev.pilots
    assert ev.ready == [LinkStatus.FAILED if required else LinkStatus.ESTABLISHED]
    assert evse.established is not required


def test_an_evse_deaf_to_validation() -> None:
    """Quirk 17: some never answer it."""
    limits = AttenuationLimits(direct_db=10, indirect_db=40)
    bench, ev, _ = pair(SlacConfig(limits=limits))
    bench.lose(hp.ValidateCnf, 100)
    bench.plug()
    bench.run(5)
    assert len(ev.messages(hp.ValidateReq)) == 3
    assert outcomes(ev) == ["refused"] and ev.established


def test_a_busy_evse_is_asked_again() -> None:
    bench, ev, evse = pair(SlacConfig(limits=AttenuationLimits(10, 40)), VALIDATES)
    answers = iter([Verdict.NOT_READY] * 2)

    def busy(_: Party, frame: hp.Frame) -> hp.Frame:
        verdict = next(answers, None) if isinstance(frame.message, hp.ValidateCnf) else None
        return frame if verdict is None else replace(frame, message=hp.ValidateCnf(result=verdict))

    bench.changes.append(busy)
    bench.plug()
    bench.run(8)
    asked = ev.times(hp.ValidateReq)
    assert asked[1] - asked[0] == pytest.approx(0.5, abs=0.05)
    assert outcomes(ev) == ["passed"] and evse.established


def test_an_evse_always_busy_is_given_up() -> None:
    bench, ev, _ = pair(SlacConfig(limits=AttenuationLimits(10, 40)), VALIDATES)
    bench.changes.append(
        lambda _, f: (
            replace(f, message=hp.ValidateCnf(result=0)) if isinstance(f.message, hp.ValidateCnf) else f
        )
    )
    bench.plug()
    bench.run(20)
    assert outcomes(ev) == ["refused"]
    asked = ev.times(hp.ValidateReq)
    assert 7 < asked[-1] - asked[0] <= 8


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("kind", [hp.ValidateReq, hp.ValidateCnf], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("step", [1, 2])
def test_a_message_of_validation_is_lost(kind: type[hp.Message], times: int, step: int) -> None:
    bench, ev, evse = pair(SlacConfig(limits=AttenuationLimits(10, 40), toggles=1), VALIDATES)
    left = iter(range(times))

    def judge(_: Party, frame: hp.Frame) -> bool:
        message = frame.message
        second = getattr(message, "timer", 0) > 0 or getattr(message, "result", 0) == Verdict.SUCCESS
        return isinstance(message, kind) and second is (step == 2) and next(left, None) is not None

    bench.losses.append(judge)
    bench.plug()
    bench.run(12)
    assert outcomes(ev) == ["passed"] and ev.established and evse.established
    assert ev.pilots[-1][1] is False


def test_toggles_counted_before_they_are_made_prove_nothing() -> None:
    bench, ev, _ = pair(SlacConfig(limits=AttenuationLimits(10, 40), match_attempts=1, toggles=2), VALIDATES)

    def eager(sender: Party, frame: hp.Frame) -> hp.Frame:
        if isinstance(frame.message, hp.ValidateReq) and frame.message.timer:
            bench.later(0.01, lambda: ev.message(hp.ValidateCnf(result=2, toggle_num=2), frame.destination))
        return frame

    bench.changes.append(eager)
    bench.plug()
    bench.run(5)
    assert outcomes(ev) == ["failed"] and not ev.pilots
    assert suspicions(ev) == ["counted 2 toggles before there were any"]


def test_it_may_say_not_required_late() -> None:
    bench, ev, evse = pair(SlacConfig(limits=AttenuationLimits(10, 40)), VALIDATES)

    def judge(_: Party, frame: hp.Frame) -> hp.Frame:
        if isinstance(frame.message, hp.ValidateReq) and frame.message.timer:
            bench.later(0.01, lambda: ev.message(hp.ValidateCnf(result=4), evse.mac))
        return frame

    bench.changes.append(judge)
    bench.plug()
    bench.run(5)
    assert outcomes(ev)[0] == "not required" and not ev.pilots


@pytest.mark.parametrize("after_s", [0.1, 0.35, 0.65, 0.95])
@pytest.mark.parametrize(
    "how", [DLink.TERMINATE, DLink.ERROR, LinkDown()], ids=["terminate", "error", "port"]
)
def test_the_pilot_returns_to_b_whatever_ends_the_toggling(after_s: float, how: DLink | LinkDown) -> None:
    bench, ev, _, _ = equal(3)
    bench.plug()
    while not ev.pilots:
        bench.run(0.01)
    bench.run(after_s)
    ev.give(how)
    assert ev.pilots[-1][1] is False
    count = len(ev.pilots)
    bench.run(5)
    assert len(ev.pilots) == count


def test_the_evse_tells_while_it_validates() -> None:
    bench, ev, cabled, _ = equal()
    bench.plug()
    bench.run(6)
    (on_at, on), (off_at, off) = [(t, e) for t, e in cabled.log if isinstance(e, Validating)]
    assert (on.on, off.on) == (True, False)
    assert on_at < ev.pilots[0][0] and ev.pilots[-1][0] < off_at


def test_the_standards_limits_want_proof_between_10_and_20_db() -> None:
    bench, ev, evse = pair(SlacConfig(attenuation="standard"), VALIDATES)
    bench.levels[ev.mac, evse.mac] = 15.0
    bench.plug()
    bench.run(6)
    assert ev.established and outcomes(ev) == ["passed"]


def test_the_standards_limits_find_below_10_db() -> None:
    bench, ev, evse = pair(SlacConfig(attenuation="standard"), VALIDATES)
    bench.levels[ev.mac, evse.mac] = 9.0
    bench.plug()
    bench.run(3)
    assert ev.established and not outcomes(ev)


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
    bench.run(2)
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
