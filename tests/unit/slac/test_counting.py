"""The charger counts a car's toggles: scripted cars against its machine."""

from __future__ import annotations

import pytest

from iso15118.config import SlacConfig
from iso15118.control.common import CpState
from iso15118.machine import Update
from iso15118.slac.dlink import DLink, PilotLevel
from iso15118.slac.events import Validating
from iso15118.slac.validation import Verdict
from iso15118.wire import homeplug as hp
from tests.unit.slac.bench import RUN_ID, Bench, Party, approach, ask_match, car, listening, phases

VALIDATES = SlacConfig(validation=True)


# --- validation ---------------------------------------------------------------------------------


def toggle(bench: Bench, evse: Party, count: int, level_s: float = 0.3) -> None:
    for _ in range(count):
        for state in (CpState.C, CpState.B):
            evse.give(Update(PilotLevel(state)))
            bench.run(level_s)


def validate(evse: Party, ev: bytes, timer: int = 0, **changed: int) -> None:
    evse.message(hp.ValidateReq(timer=timer, **changed), ev)


def verdicts(evse: Party) -> list[tuple[int, int]]:
    return [(m.result, m.toggle_num) for m in evse.messages(hp.ValidateCnf)]


@pytest.mark.req("V2G3-A09-51")
def test_validation_is_optional() -> None:
    _, ev, evse = listening()
    approach(evse, ev)
    validate(evse, ev)
    assert verdicts(evse) == [(Verdict.NOT_REQUIRED, 0)]
    ask_match(evse, ev)
    assert evse.messages(hp.SlacMatchCnf)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_toggles_are_counted(count: int) -> None:
    bench, ev, evse = listening(VALIDATES)
    approach(evse, ev)
    validate(evse, ev)
    validate(evse, ev, timer=24)
    bench.run(0.1)
    toggle(bench, evse, count)
    bench.run(2.5 - 0.1 - 0.6 * count - 0.01)
    assert verdicts(evse) == [(Verdict.READY, 0)]
    bench.run(0.02)
    assert verdicts(evse)[1:] == [(Verdict.SUCCESS, count)]
    validate(evse, ev, timer=24)
    assert verdicts(evse)[2:] == [(Verdict.SUCCESS, count)]
    ask_match(evse, ev)
    assert evse.messages(hp.SlacMatchCnf)


def test_short_dips_are_no_toggles() -> None:
    bench, ev, evse = listening(VALIDATES)
    approach(evse, ev)
    validate(evse, ev)
    validate(evse, ev, timer=19)
    toggle(bench, evse, 5, level_s=0.05)
    bench.run(2)
    assert verdicts(evse)[1:] == [(Verdict.SUCCESS, 0)]


def test_a_pilot_measured_often_is_counted_as_well() -> None:
    """Levels come at every measurement, not at changes alone."""
    bench, ev, evse = listening(VALIDATES)
    approach(evse, ev)
    validate(evse, ev)
    validate(evse, ev, timer=24)
    for state in (CpState.C, CpState.B, CpState.C, CpState.B):
        for _ in range(30):
            evse.give(Update(PilotLevel(state)))
            bench.run(0.01)
    bench.run(2.5)
    assert verdicts(evse)[1:] == [(Verdict.SUCCESS, 2)]


def test_toggles_after_the_window_do_not_count_even_if_time_is_served_late() -> None:
    bench, ev, evse = listening(VALIDATES)
    approach(evse, ev)
    validate(evse, ev)
    validate(evse, ev, timer=9)
    begun = bench.now
    for after_s, state in ((0.2, CpState.C), (0.5, CpState.B), (1.2, CpState.C), (1.5, CpState.B)):
        evse.machine._changes.append((begun + after_s, state is CpState.C))
    bench.now = begun + 2.0
    evse.machine.tick(bench.now)
    bench.drain(evse)
    assert verdicts(evse)[1:] == [(Verdict.SUCCESS, 1)]


def test_the_window_ends_with_tt_evse_vald_toggle() -> None:
    bench, ev, evse = listening(VALIDATES)
    approach(evse, ev)
    validate(evse, ev)
    validate(evse, ev, timer=255)
    bench.run(3.6)
    assert verdicts(evse)[1:] == [(Verdict.SUCCESS, 0)]


def test_while_validating_c_is_no_wish_for_energy() -> None:
    bench, ev, evse = listening(VALIDATES)
    approach(evse, ev)
    validate(evse, ev)
    assert [e.on for e in evse.events(Validating)] == [True]
    validate(evse, ev, timer=9)
    bench.run(1.1)
    assert [e.on for e in evse.events(Validating)] == [True, False]


@pytest.mark.parametrize("how", ["unplug", "terminate", "restart", "match"])
def test_validating_ends_whatever_ends_it(how: str) -> None:
    _, ev, evse = listening(VALIDATES)
    approach(evse, ev)
    validate(evse, ev)
    if how == "unplug":
        evse.give(Update(PilotLevel(CpState.A)))
    elif how == "terminate":
        evse.give(DLink.TERMINATE)
    elif how == "restart":
        evse.message(hp.SlacParmReq(run_id=RUN_ID), ev, hp.BROADCAST)
    else:
        ask_match(evse, ev)
    assert [e.on for e in evse.events(Validating)] == [True, False]


def test_one_ev_validates_at_a_time() -> None:
    bench, ev, evse = listening(VALIDATES)
    other = car(7)
    approach(evse, ev)
    approach(evse, other)
    validate(evse, ev)
    validate(evse, other)
    assert verdicts(evse) == [(Verdict.READY, 0), (Verdict.NOT_READY, 0)]
    validate(evse, ev, timer=5)
    bench.run(0.7)
    validate(evse, other)
    assert verdicts(evse)[-1] == (Verdict.READY, 0)


def test_ready_is_repeated_twice_then_the_slot_is_free() -> None:
    bench, ev, evse = listening(VALIDATES)
    approach(evse, ev)
    validate(evse, ev)
    bench.run(3)
    assert verdicts(evse) == [(Verdict.READY, 0)] * 3
    assert [e.on for e in evse.events(Validating)] == [True, False]
    assert phases(evse)[-1] == "waiting for CM_SLAC_MATCH.REQ"


def test_step_2_with_timer_0_is_step_1_again() -> None:
    _, ev, evse = listening(VALIDATES)
    approach(evse, ev)
    validate(evse, ev)
    validate(evse, ev)
    assert verdicts(evse) == [(Verdict.READY, 0)] * 2


@pytest.mark.parametrize("changed", [{"signal_type": 1}, {"result": 0}], ids=["signal_type", "result"])
def test_other_kinds_of_validation_are_ignored(changed: dict[str, int]) -> None:
    _, ev, evse = listening(VALIDATES)
    approach(evse, ev)
    validate(evse, ev, **changed)
    assert not verdicts(evse)


def test_while_counting_the_ev_is_not_answered() -> None:
    _, ev, evse = listening(VALIDATES)
    approach(evse, ev)
    validate(evse, ev)
    validate(evse, ev, timer=9)
    ask_match(evse, ev)
    assert not evse.messages(hp.SlacMatchCnf)
