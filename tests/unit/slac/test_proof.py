"""Validation from end to end: who counts the car's toggles is at its cable."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from iso15118.config import AttenuationLimits, SlacConfig
from iso15118.machine import LinkDown
from iso15118.slac.dlink import DLink, LinkStatus
from iso15118.slac.events import (
    EvseChosen,
    EvseValidated,
    MatchingFailed,
    Validating,
)
from iso15118.slac.validation import Verdict
from iso15118.wire import homeplug as hp
from tests.unit.slac.bench import Bench, Party, outcomes, pair, suspicions

VALIDATES = SlacConfig(validation=True)


def equal(toggles: int = 2, **ev: object) -> tuple[Bench, Party, Party, Party]:
    """Two EVSEs at the same attenuation, the first one at the cable; both validate."""
    bench = Bench()
    car = bench.ev(SlacConfig(toggles=toggles, **ev))
    cabled, other = bench.evse(VALIDATES), bench.evse(VALIDATES)
    bench.open()
    return bench, car, cabled, other


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
