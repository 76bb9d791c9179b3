"""What keeps people and batteries safe: the interlock, emergencies, cable check and pre-charge."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from iso15118.control.common import Check, Contactor, ControlMode, CpState, EnergyService
from iso15118.control.evse import (
    CloseContactor,
    Deenergise,
    EvseState,
    LockConnector,
    MeterReading,
    OpenContactor,
    RunCableCheck,
    SetAcTarget,
    SetDcTarget,
    UnlockConnector,
)
from iso15118.events import CommandRefused, EndReason, Fault, HardwareChanged
from iso15118.messages.iso20.numbers import number
from iso15118.messages.iso20.types import Processing, ResponseCode
from iso15118.secc.interlock import danger, objection
from iso15118.secc.session import Record, State
from iso15118.units import Envelope, Limits
from tests.unit.secc.harness import DC_LIMITS, Bench, reach

S, Code = State, ResponseCode
ENERGETIC = [
    pytest.param("DC", "DYNAMIC", S.CABLE_CHECKED, id="DC-CABLE_CHECKED"),
    pytest.param("DC", "DYNAMIC", S.PRE_CHARGE, id="DC-PRE_CHARGE"),
    pytest.param("DC", "SCHEDULED", S.CHARGE_LOOP, id="DC-CHARGE_LOOP"),
    pytest.param("DC_BPT", "DYNAMIC", S.CHARGE_LOOP, id="DC_BPT-CHARGE_LOOP"),
    pytest.param("AC", "DYNAMIC", S.CHARGE_LOOP, id="AC-CHARGE_LOOP"),
]


def next_request(made: Bench) -> Any:
    """What the EV would ask next."""
    return made.ev.loop() if made.at is S.CHARGE_LOOP else made.ev.pre_charge()


# --- the interlock ----------------------------------------------------------------------------

READY = EvseState(
    cp=CpState.C,
    contactor=Contactor.OPEN,
    locked=True,
    cable_check=Check.PASSED,
    limits=DC_LIMITS,
)
DC_RECORD = Record(
    state=S.PRE_CHARGE,
    authorized=True,
    service=EnergyService.DC,
    control_mode=ControlMode.DYNAMIC,
    ev_limits=Envelope(charge=Limits(50_000, 100), max_voltage_v=450.0, min_voltage_v=300.0),
    announced=DC_LIMITS,
    energised=True,
)
AC_RECORD = replace(DC_RECORD, service=EnergyService.AC, state=S.POWER_DELIVERY)
DRIVE = SetDcTarget(400.0, 2.0)


def test_interlock_lets_pass_what_is_in_order() -> None:
    for command in (CloseContactor(), DRIVE, RunCableCheck()):
        assert objection(command, DC_RECORD, READY) is None
    assert objection(CloseContactor(), AC_RECORD, replace(READY, cable_check=Check.IDLE)) is None


@pytest.mark.parametrize(
    "command", [CloseContactor(), DRIVE, RunCableCheck()], ids=lambda c: type(c).__name__
)
@pytest.mark.parametrize(
    ("record", "evse", "reason"),
    [
        ({"tripped": "smoke"}, {}, "de-energised before: smoke"),
        ({}, {"emergency_stop": True}, "emergency stop"),
        ({}, {"fault": "fan"}, "hardware fault: fan"),
        ({"authorized": False}, {}, "not authorized"),
        ({}, {"cp": CpState.A}, "control pilot is A"),
        ({}, {"cp": CpState.B}, "control pilot is B"),
        ({}, {"cp": CpState.E}, "control pilot is E"),
        ({}, {"cp": CpState.F}, "control pilot is F"),
        ({}, {"locked": False}, "not locked"),
    ],
)
def test_rules_for_everything_that_energises(
    command: Any, record: dict[str, Any], evse: dict[str, Any], reason: str
) -> None:
    assert reason in objection(command, replace(DC_RECORD, **record), replace(READY, **evse))


@pytest.mark.parametrize("check", [Check.IDLE, Check.RUNNING, Check.FAILED])
def test_nothing_dc_without_a_passed_cable_check(check: Check) -> None:
    evse = replace(READY, cable_check=check)
    for command in (CloseContactor(), DRIVE):
        assert "cable check" in objection(command, DC_RECORD, evse)


def test_no_contactor_onto_a_live_output() -> None:
    assert "61 V" in objection(CloseContactor(), DC_RECORD, replace(READY, voltage_v=61.0))
    assert "before closing" in objection(CloseContactor(), DC_RECORD, replace(READY, voltage_v=-61.0))
    assert objection(CloseContactor(), DC_RECORD, replace(READY, voltage_v=59.0)) is None
    closed = replace(READY, voltage_v=400.0, contactor=Contactor.CLOSED)
    assert objection(CloseContactor(), DC_RECORD, closed) is None


def test_no_contactor_without_a_service() -> None:
    assert "no energy service" in objection(CloseContactor(), replace(DC_RECORD, service=None), READY)


def test_rules_for_the_output() -> None:
    for state in set(State) - {S.CABLE_CHECKED, S.PRE_CHARGE, S.CHARGE_LOOP}:
        assert "no power in state" in objection(DRIVE, replace(DC_RECORD, state=state), READY)
    assert "does not discharge" in objection(SetDcTarget(400.0, -1.0), DC_RECORD, READY)
    both = replace(DC_RECORD, service=EnergyService.DC_BPT)
    assert objection(SetDcTarget(400.0, -1.0), both, READY) is None
    assert "above the agreed 450 V" in objection(SetDcTarget(451.0, 1.0), DC_RECORD, READY)
    lower = replace(DC_RECORD, announced=replace(DC_LIMITS, max_voltage_v=420.0))
    assert "above the agreed 420 V" in objection(SetDcTarget(421.0, 1.0), lower, READY)
    assert "does not discharge" in objection(
        SetDcTarget(400.0, -1.0), replace(DC_RECORD, service=None), READY
    )


@pytest.mark.parametrize(
    "command",
    [
        OpenContactor(),
        Deenergise("x"),
        SetDcTarget(0.0, 0.0),
        SetAcTarget(0.0),
        LockConnector(),
        UnlockConnector(),
    ],
    ids=lambda c: type(c).__name__,
)
def test_what_makes_safe_is_never_refused(command: Any) -> None:
    worst = EvseState(cp=CpState.F, emergency_stop=True, fault="all of them", contactor=Contactor.UNKNOWN)
    assert objection(command, Record(tripped="x"), worst) is None


def test_refused_command_is_reported_and_never_sent() -> None:
    made = reach(S.PRE_CHARGE)
    made.obedient = False
    made.levels(contactor=Contactor.OPEN, voltage_v=300.0)
    made.send(made.ev.pre_charge())
    assert not made.issued(CloseContactor)
    refused = made.seen_events(CommandRefused)
    assert refused[0].command == CloseContactor()
    assert "300 V" in refused[0].reason


# --- emergencies ------------------------------------------------------------------------------

DANGERS = [
    ({"emergency_stop": True}, "emergency stop", Fault.LOCAL, EndReason.EMERGENCY),
    ({"fault": "ground fault"}, "hardware fault: ground fault", Fault.LOCAL, EndReason.LOCAL),
    ({"cp": CpState.E}, "control pilot E", Fault.LOCAL, EndReason.LOCAL),
    ({"cp": CpState.F}, "control pilot F", Fault.LOCAL, EndReason.LOCAL),
    ({"cp": CpState.B}, "control pilot B while energised", Fault.REMOTE, EndReason.REFUSED),
    ({"locked": False}, "connector unlocked while energised", Fault.LOCAL, EndReason.LOCAL),
]


@pytest.mark.parametrize(("levels", "why", "fault", "reason"), DANGERS, ids=[d[1] for d in DANGERS])
@pytest.mark.parametrize(("service", "control", "state"), ENERGETIC)
def test_danger_deenergises_at_once_and_fails_the_next_request(
    service: str,
    control: str,
    state: State,
    levels: dict[str, Any],
    why: str,
    fault: Fault,
    reason: EndReason,
) -> None:
    made = reach(state, service, control)
    made.obedient = False
    made.levels(**levels)
    assert made.commands == [Deenergise(why)]
    assert made.end is None
    assert not made.sent
    changed = next(iter(levels))
    assert any(e.what == changed for e in made.seen_events(HardwareChanged))
    made.levels()
    assert made.commands == [Deenergise(why)], "once is enough"
    response = made.send(next_request(made))
    assert response.response_code is Code.FAILED
    assert (made.end.reason, made.end.fault, made.end.detail) == (reason, fault, why)
    assert made.close.after <= 5.0


@pytest.mark.parametrize(("service", "control", "state"), ENERGETIC)
def test_unplugging_ends_the_session(service: str, control: str, state: State) -> None:
    made = reach(state, service, control)
    made.levels(cp=CpState.A)
    assert len(made.issued(Deenergise)) == 1
    assert made.end.detail == "unplugged while energised"
    assert made.end.fault is Fault.REMOTE
    assert made.close is not None


def test_unplugging_while_the_contactor_opens() -> None:
    made = reach(S.CHARGE_LOOP)
    made.obedient = False
    made.send(made.ev.power_delivery("STOP"))
    made.levels(cp=CpState.A)
    assert made.issued(Deenergise)
    assert made.end.detail == "unplugged while energised"


def test_insulation_test_is_stopped_as_well() -> None:
    for levels in ({"emergency_stop": True}, {"cp": CpState.B}, {"fault": "x"}):
        made = reach(S.CABLE_CHECK)
        made.obedient = False
        made.levels(cp=CpState.C, locked=True)
        made.send(made.ev.cable_check())
        assert made.record.energised
        made.levels(**levels)
        assert made.issued(Deenergise)
        assert made.send(made.ev.cable_check()).response_code is Code.FAILED


@pytest.mark.parametrize("contactor", [Contactor.OPEN, Contactor.UNKNOWN])
@pytest.mark.parametrize("service", ["AC", "DC"])
def test_contactor_that_opens_by_itself(service: str, contactor: Contactor) -> None:
    made = reach(S.CHARGE_LOOP, service)
    made.obedient = False
    made.levels(contactor=contactor)
    assert made.commands == [Deenergise("contactor opened by itself")]
    assert made.send(made.ev.loop()).response_code is Code.FAILED


def test_state_c_lost_while_the_ac_contactor_closes() -> None:
    made = reach(S.POWER_DELIVERY, "AC")
    made.obedient = False
    made.levels(cp=CpState.C, locked=True)
    made.send(made.ev.start())
    assert made.issued(CloseContactor)
    made.levels(cp=CpState.B, contactor=Contactor.CLOSED)
    assert made.issued(Deenergise), "not only when the time for the contactor is over"
    assert made.sent[-1].response_code is Code.FAILED


def test_overvoltage_at_the_inlet() -> None:
    made = reach(S.CHARGE_LOOP)
    made.obedient = False
    made.levels(voltage_v=494.0)
    assert not made.commands
    made.levels(voltage_v=496.0)
    assert made.issued(Deenergise)
    assert made.send(made.ev.loop()).response_code is Code.FAILED


def test_danger_before_anything_is_energised() -> None:
    made = reach(S.SERVICE_DISCOVERY)
    made.levels(emergency_stop=True)
    assert made.send(made.ev.service_discovery()).response_code is Code.FAILED
    assert made.end.reason is EndReason.EMERGENCY


def test_emergency_stop_that_is_released_does_not_let_power_come_back() -> None:
    made = reach(S.CHARGE_LOOP)
    made.levels(emergency_stop=True)
    made.levels(emergency_stop=False)
    assert made.send(made.ev.loop()).response_code is Code.FAILED
    assert not made.issued(CloseContactor)


def test_emergency_while_a_request_waits() -> None:
    made = reach(S.CHARGE_LOOP)
    made.obedient = False
    made.send(made.ev.power_delivery("STOP"))
    made.levels(emergency_stop=True)
    assert made.sent[-1].response_code is Code.FAILED
    assert made.end.reason is EndReason.EMERGENCY


def test_ev_may_leave_state_c_while_it_stops() -> None:
    made = reach(S.CHARGE_LOOP)
    made.obedient = False
    made.send(made.ev.power_delivery("STOP"))
    made.levels(cp=CpState.B)
    made.levels(contactor=Contactor.OPEN)
    assert not made.issued(Deenergise)
    assert made.sent[-1].response_code is Code.OK


def test_pilot_faults_before_the_session_are_not_ours() -> None:
    for state in (S.SUPPORTED_APP_PROTOCOL, S.SESSION_SETUP):
        assert danger(Record(state=state), EvseState(cp=CpState.F)) == ("", Fault.NONE)
    assert danger(Record(state=S.AUTHORIZATION), EvseState(cp=CpState.F))[0] == "control pilot F"


# --- cable check and pre-charge ---------------------------------------------------------------


def test_cable_check_locks_tests_and_finishes() -> None:
    made = reach(S.CABLE_CHECK)
    made.obedient = False
    made.levels(cp=CpState.C)
    ask = made.ev.cable_check
    assert made.send(ask()).evse_processing is Processing.ONGOING
    assert made.commands == [LockConnector()]
    made.levels(locked=True)
    assert made.send(ask()).evse_processing is Processing.ONGOING
    assert made.issued(RunCableCheck) == [RunCableCheck()]
    for check in (Check.IDLE, Check.RUNNING):
        made.levels(cable_check=check)
        assert made.send(ask()).evse_processing is Processing.ONGOING
    made.levels(cable_check=Check.PASSED)
    assert made.send(ask()).evse_processing is Processing.FINISHED
    assert made.at is S.CABLE_CHECKED
    assert made.issued(RunCableCheck) == [RunCableCheck()], "once"


@pytest.mark.parametrize("stale", [Check.PASSED, Check.FAILED])
def test_verdict_from_before_does_not_count(stale: Check) -> None:
    made = reach(S.CABLE_CHECK)
    made.obedient = False
    made.levels(cp=CpState.C, locked=True, cable_check=stale)
    for _ in range(3):
        response = made.send(made.ev.cable_check())
        assert response.evse_processing is Processing.ONGOING
        made.levels()
    made.levels(cable_check=Check.RUNNING)
    made.levels(cable_check=Check.PASSED)
    assert made.send(made.ev.cable_check()).evse_processing is Processing.FINISHED


def test_failed_insulation_ends_the_session() -> None:
    made = reach(S.CABLE_CHECK)
    made.obedient = False
    made.levels(cp=CpState.C, locked=True)
    made.send(made.ev.cable_check())
    made.levels(cable_check=Check.RUNNING)
    made.levels(cable_check=Check.FAILED)
    assert made.send(made.ev.cable_check()).response_code is Code.FAILED
    assert made.end.fault is Fault.LOCAL
    assert made.issued(Deenergise)


@pytest.mark.parametrize(("wanted", "driven"), [(400.0, 400.0), (20_000.0, 450.0), (-5.0, 0.0)])
def test_pre_charge_follows_up_to_the_limits(wanted: float, driven: float) -> None:
    made = reach(S.PRE_CHARGE)
    made.send(made.ev.pre_charge(wanted))
    assert made.issued(SetDcTarget)[-1] == SetDcTarget(driven, 2.0)


def test_pre_charge_closes_first_and_stops_following_when_the_ev_is_content() -> None:
    made = reach(S.CABLE_CHECKED)
    made.obedient = False
    made.levels(voltage_v=20.0)
    response = made.send(made.ev.pre_charge())
    assert number(response.evse_present_voltage) == 20
    assert made.commands == [CloseContactor()]
    made.levels(contactor=Contactor.CLOSED)
    made.send(made.ev.pre_charge())
    assert made.commands[1:] == [SetDcTarget(400.0, 2.0)]
    made.send(made.ev.pre_charge(finished=True))
    assert len(made.commands) == 2
    made.send(made.ev.pre_charge(390.0))
    assert made.issued(SetDcTarget)[-1].voltage_v == 390.0
    assert not made.record.pre_charged


# --- nonsense from our own side ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "levels"),
    [
        ("DC", {"voltage_v": math.nan}),
        ("DC", {"current_a": -math.inf}),
        ("DC", {"current_a": 1e200}),
        ("DC", {"limits": replace(DC_LIMITS, max_voltage_v=math.nan)}),
        ("AC", {"power_w": math.nan}),
        ("AC", {"setpoint_var": math.nan}),
        ("AC", {"meter": MeterReading("M", math.nan)}),
        ("AC", {"meter": MeterReading("M", 1.0, signature=bytes(65))}),
        ("DC", {"meter": MeterReading("M", 1.0, status=99_999)}),
        ("DC", {"meter": MeterReading("M", 1e30)}),
        ("AC", {"meter": MeterReading("M", 1.0, taken_at=-1.0)}),
    ],
    ids=str,
)
def test_levels_that_no_message_can_carry_are_a_fault(service: str, levels: dict[str, Any]) -> None:
    made = reach(S.CHARGE_LOOP, service)
    made.obedient = False
    made.levels(**levels)
    response = made.send(made.ev.loop(meter=True))
    assert response.response_code is Code.FAILED
    assert made.issued(Deenergise)
    assert not made.issued(SetDcTarget)
    assert made.end.fault is Fault.LOCAL
    assert "unusable value" in made.end.detail


def test_limits_that_are_no_numbers_are_refused_where_they_are_made() -> None:
    for values in ((-1.0,), (math.nan,), (1.0, math.nan), (1.0, 1.0, -0.1)):
        with pytest.raises(ValueError, match="magnitudes"):
            Limits(*values)
