"""The car's controller: defaults of the base class, and the values it deals in."""

from __future__ import annotations

import pytest

from iso15118.control.common import ControlMode, CpState, EnergyService
from iso15118.control.ev import (
    CloseContactor,
    EvControllerBase,
    EvState,
    ParameterSet,
    PowerStep,
    ScheduleChoice,
    ScheduleDecision,
    ScheduleOption,
    ServiceChoice,
)
from iso15118.errors import LocalProtocolError
from iso15118.evcc.iso20.schedule import Schedule

DC, AC = EnergyService.DC, EnergyService.AC
OFFERS = (
    ParameterSet(int(AC), 1, {"ControlMode": 2}),
    ParameterSet(int(DC), 2, {"ControlMode": 1}),
    ParameterSet(int(DC), 3, {"ControlMode": 2}),
)


def answer(coroutine):
    """The result of a coroutine that waits for nothing."""
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    return done.value.value


@pytest.mark.parametrize(
    ("wanted", "mode", "expected"),
    [
        ((DC,), None, 2),
        ((DC,), ControlMode.DYNAMIC, 3),
        ((DC, AC), None, 2),
        ((AC, DC), None, 1),
        ((AC, DC), ControlMode.SCHEDULED, 2),
        ((EnergyService.MCS,), None, None),
        ((AC,), ControlMode.SCHEDULED, None),
        ((), None, None),
    ],
)
def test_base_takes_the_first_offer_that_fits(wanted, mode, expected):
    controller = EvControllerBase()
    controller.wanted, controller.control_mode = wanted, mode
    chosen = answer(controller.choose_service(ServiceChoice(OFFERS)))
    assert (chosen and chosen.parameter_set_id) == expected


def test_base_takes_the_first_schedule_whole():
    steps = (PowerStep(60, 11_000.0), PowerStep(60, 0.0))
    options = ScheduleOption(7, steps), ScheduleOption(8, ())
    decision = answer(EvControllerBase().choose_schedule(ScheduleChoice(ControlMode.SCHEDULED, options)))
    assert decision == ScheduleDecision(tuple_id=7, profile=steps, tolerance_accepted=True)


def test_base_plans_nothing_in_dynamic_mode():
    decision = answer(EvControllerBase().choose_schedule(ScheduleChoice(ControlMode.DYNAMIC, ())))
    assert decision.profile == ()


def test_base_has_no_hardware():
    with pytest.raises(LocalProtocolError, match="CloseContactor"):
        EvControllerBase().command(CloseContactor())


@pytest.mark.parametrize(
    ("value", "mode"),
    [(1, 1), (2.0, 2), (True, None), ("2", None), (1.9, None), (float("inf"), None), (7, 7)],
)
def test_control_mode_is_a_whole_number(value, mode):
    assert ParameterSet(2, 1, {"ControlMode": value}).control_mode == mode


def test_car_is_safe_without_emergency_stop_and_fault():
    assert EvState().safe
    assert not EvState(emergency_stop=True).safe
    assert not EvState(fault="isolation").safe


def test_pilot_is_ready_in_states_c_and_d():
    assert [s for s in CpState if s.ready] == [CpState.C, CpState.D]


@pytest.mark.parametrize(
    ("at", "power"),
    [(99.5, 500.0), (98.0, 0.0), (100.0, 500.0), (159.9, 500.0), (160.0, -200.0), (190.0, 0.0)],
)
def test_plan_says_what_is_planned_now(at, power):
    plan = Schedule(1, (PowerStep(60, 500.0), PowerStep(30, -200.0)), True, None, 100.0)
    assert plan.planned_w(at) == power
