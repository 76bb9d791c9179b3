"""The parts of the link: averages and choices, counting toggles, quotas, procedures, keys."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iso15118.config import FIELD_LIMITS, STANDARD_LIMITS, AttenuationLimits
from iso15118.rate import RateLimit
from iso15118.slac.attenuation import Candidate, Finding, average, choose, classify, doubts, overall, rank
from iso15118.slac.keys import NetworkKey
from iso15118.slac.procedure import Lane, Wait, wait
from iso15118.slac.validation import count_toggles
from tests.unit.slac.bench import Bench

VECTORS = Path(__file__).parents[4] / "shared" / "vectors" / "slac"


def candidate(level: int, *remarks: str, mac: int = 0) -> Candidate:
    return Candidate(bytes([2, 0, 0, 0, 0, mac]), bytes([level] * 58), 10, remarks)


# --- attenuation --------------------------------------------------------------------------------


def test_the_mean_is_rounded_down() -> None:
    assert average([bytes([1, 10, 255]), bytes([2, 11, 255])]) == bytes([1, 10, 255])


def test_receive_loss_is_subtracted_per_group_or_in_all() -> None:
    assert average([bytes([5] * 58)], (3,)) == bytes([2] * 58)
    per_group = tuple(range(58))
    assert average([bytes([30] * 58)], per_group) == bytes(max(30 - k, 0) for k in range(58))


def test_a_negative_loss_is_an_offset_with_a_limit() -> None:
    assert average([bytes([250] * 58)], (-10,)) == bytes([255] * 58)


def test_the_mean_of_a_real_charger() -> None:
    """Ten profiles and the report its charger made of them, byte for byte."""
    path = VECTORS / "iso15118-simulator-rs__vw-ac-iso2.jsonl"
    if not path.exists():
        pytest.skip("needs the recordings in ../shared")
    frames = [json.loads(line) for line in path.read_text().splitlines()]
    profiles = [bytes.fromhex(f["hex"])[27:85] for f in frames if f["mmtype"] == "CM_ATTEN_PROFILE.IND"]
    (report,) = [bytes.fromhex(f["hex"])[71:129] for f in frames if f["mmtype"] == "CM_ATTEN_CHAR.IND"]
    assert len(profiles) == 10 and average(profiles) == report


def test_overall_is_the_mean_less_the_own_loss() -> None:
    assert overall(bytes([10, 20])) == 15.0
    assert overall(bytes([10, 20]), 4.5) == 10.5


@pytest.mark.parametrize(
    ("level", "finding"),
    [
        (9.9, Finding.FOUND),
        (10.0, Finding.POTENTIALLY_FOUND),
        (19.9, Finding.POTENTIALLY_FOUND),
        (20.0, Finding.NOT_FOUND),
    ],
)
def test_classes_of_the_standard(level: float, finding: Finding) -> None:
    assert classify(level, STANDARD_LIMITS) is finding


@pytest.mark.parametrize("level", [9.6, 22.1, 26.2, 31.6, 36.5])
def test_what_real_chargers_report_is_found_in_the_field(level: float) -> None:
    assert classify(level, FIELD_LIMITS) is Finding.FOUND


def test_an_ordinary_report_is_above_doubt() -> None:
    assert not doubts(bytes(range(58)), 10, 10)


def test_nobody_is_no_choice() -> None:
    assert choose([], FIELD_LIMITS) is None
    assert choose([rank(candidate(90), FIELD_LIMITS)], FIELD_LIMITS) is None


def test_a_doubtful_one_far_behind_is_no_reason_for_proof() -> None:
    ranking = [rank(candidate(30, "odd", mac=1), FIELD_LIMITS), rank(candidate(20, mac=2), FIELD_LIMITS)]
    choice = choose(ranking, FIELD_LIMITS)
    assert choice is not None and not choice.prove and choice.order[0].candidate.mac[-1] == 2


@pytest.mark.parametrize("level", [5, 22])
def test_a_doubtful_one_as_near_is_a_reason_for_proof(level: int) -> None:
    ranking = [rank(candidate(level, "odd", mac=1), FIELD_LIMITS), rank(candidate(20, mac=2), FIELD_LIMITS)]
    choice = choose(ranking, FIELD_LIMITS)
    assert choice is not None and choice.prove
    assert [r.candidate.mac[-1] for r in choice.order] == [2, 1]


def test_the_doubtful_is_chosen_where_there_is_nobody_else() -> None:
    ranking = [rank(candidate(5, "odd", mac=1), FIELD_LIMITS), rank(candidate(90, mac=2), FIELD_LIMITS)]
    choice = choose(ranking, FIELD_LIMITS)
    assert choice is not None and choice.order[0].candidate.mac[-1] == 1


@given(
    levels=st.tuples(st.integers(0, 120), st.integers(0, 120)),
    direct=st.integers(1, 100),
    indirect=st.integers(0, 100),
    margin=st.integers(0, 20),
)
def test_the_nearer_by_the_margin_is_chosen(
    levels: tuple[int, int], direct: int, indirect: int, margin: int
) -> None:
    limits = AttenuationLimits(direct, direct + indirect, margin)
    near, far = sorted(levels)
    ranking = [rank(candidate(level, mac=k), limits) for k, level in enumerate((far, near))]
    choice = choose(ranking, limits)
    if near >= limits.indirect_db:
        assert choice is None
        return
    assert choice is not None and choice.order[0].overall_db == near
    if near < limits.direct_db:
        assert choice.prove is (far < limits.indirect_db and far - near < margin)
    else:
        assert choice.prove


@given(
    near=st.integers(3, 36),
    gap=st.integers(3, 60),
    swap=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_the_nearer_evse_gets_the_match(near: int, gap: int, swap: bool, seed: int) -> None:
    """Machine against machines, for every attenuation the field profile finds."""
    bench = Bench(seed)
    ev, one, two = bench.ev(), bench.evse(), bench.evse()
    close, other = (two, one) if swap else (one, two)
    bench.levels[ev.mac, close.mac], bench.levels[ev.mac, other.mac] = near, near + gap
    bench.open(0.1)
    bench.plug()
    bench.run(1.5)
    assert ev.established and close.established and not other.established


# --- validation ---------------------------------------------------------------------------------


@given(st.integers(0, 5), st.floats(0.16, 0.4), st.floats(0.0, 1.0))
def test_toggles_are_counted_wherever_they_lie(count: int, level_s: float, begin: float) -> None:
    changes = [(begin + k * level_s, k % 2 == 0) for k in range(2 * count)]
    assert count_toggles(changes, 0.0, 10.0, 0.15) == count


def test_a_pilot_that_was_c_before_counts_its_return_once() -> None:
    assert count_toggles([(-1.0, True), (1.0, False)], 0.0, 3.0, 0.15) == 1


def test_a_level_that_does_not_last_is_none() -> None:
    assert count_toggles([(1.0, True), (1.1, False)], 0.0, 3.0, 0.15) == 0


def test_the_return_at_the_very_end_counts() -> None:
    assert count_toggles([(1.0, True), (2.99, False)], 0.0, 3.0, 0.15) == 1


# --- quota --------------------------------------------------------------------------------------


def test_a_quota_admits_so_many_a_second() -> None:
    quota = RateLimit(2)
    assert [quota.admit(t) for t in (0.0, 0.1, 0.2, 0.9, 1.0, 1.5, 1.9, 7.0)] == [
        *(True, True, False, False),
        *(True, True, False, True),
    ]
    assert quota.take_refused() == 3 and quota.take_refused() == 0


# --- procedures ---------------------------------------------------------------------------------


def test_a_lane_runs_one_procedure() -> None:
    lane, seen = Lane(), []

    async def procedure() -> None:
        seen.append(await wait(Wait(lambda item: item if item == "b" else None, 5.0)))
        seen.append(await wait(Wait(lambda _: None, 7.0)))

    assert lane.deadline == math.inf and not lane.offer("b")
    lane.start(procedure())
    assert lane.deadline == 5.0
    assert not lane.offer("a") and lane.offer("b")
    assert seen == ["b"] and lane.deadline == 7.0
    lane.tick(6.9)
    assert lane.deadline == 7.0
    lane.tick(7.0)
    assert seen == ["b", None] and lane.deadline == math.inf
    lane.tick(9.0)
    lane.interrupt(ValueError())


def test_a_stopped_procedure_puts_back_what_it_moved() -> None:
    lane, seen = Lane(), []

    async def procedure() -> None:
        try:
            await wait(Wait(lambda _: None, math.inf))
        finally:
            seen.append("put back")

    lane.start(procedure())
    lane.start(procedure())
    lane.stop()
    lane.stop()
    assert seen == ["put back"] * 2


# --- keys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nmk", "nid"),
    [
        ("0102030405060708090a0b0c0d0e0f10", "893db683c80001"),
        ("3b1fe4cc1bb8f8b8484096dc2eb59e8b", "bc90751a5e390e"),
        ("d84a239554e7980bb73263f505734afd", "d5925cb82e6808"),
    ],
)
def test_the_nid_of_a_fresh_key_follows_from_it(nmk: str, nid: str) -> None:
    key = NetworkKey.fresh(lambda count: bytes.fromhex(nmk)[:count])
    assert (key.nmk.hex(), key.nid.hex()) == (nmk, nid)
    assert nmk not in repr(key) and len(key.fingerprint) == 4
