"""Rules, latches and the interlock: pure functions over readings."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from hal.meter import MeterReading
from hal.types import NOTHING, Check, ContactorState, CpState, Fault, Sample, Severity
from hal.vehicle import BatteryStatus
from iso15118.hardware import HalEvConfig, HalEvseConfig
from iso15118.hardware.derating import derated, hottest, share
from iso15118.hardware.ev_rules import EV_RULES, EvSituation
from iso15118.hardware.events import FaultCleared, FaultFound
from iso15118.hardware.evse_rules import EVSE_RULES, EvseSituation
from iso15118.hardware.gauge import Gauge
from iso15118.hardware.interlock import Action, EvPermit, EvsePermit, ev_objection, evse_objection
from iso15118.hardware.readings import EvReadings, EvseReadings
from iso15118.hardware.supervision import Finding, Guard, Latches, Rule, Supervisor, found_by
from iso15118.units import Envelope, Limits

CLOSED, OPEN, UNKNOWN = ContactorState.CLOSED, ContactorState.OPEN, ContactorState.UNKNOWN
NOW = 100.0
STATION = EvseReadings(
    now=NOW,
    dc=True,
    cp=CpState.C,
    contactor=CLOSED,
    locked=True,
    tripped=frozenset(),
    armed=True,
    supply_on=True,
    voltage=Sample(400.0, NOW),
    current=Sample(100.0, NOW),
    outlet=NOTHING,
    resistance=Sample(2e6, NOW, bound=">"),
    self_test=Check.PASSED,
    temperature=Sample(30.0, NOW),
    meter=MeterReading(NOW, 1000.0, power_w=40_000.0),
    ampacity_a=32.0,
)
CHARGING = EvseSituation(
    STATION,
    HalEvseConfig(),
    closed=True,
    driving=True,
    charging=True,
    voltage_v=400.0,
    current_a=100.0,
    ev_max_v=410.0,
    aim_v=405.0,
    most_a=100.0,
)


def broken(situation: Any, rules: Any) -> set[str]:
    return {rule.code for rule in rules if rule.wrong(situation)}


def station(**levels: Any) -> EvseReadings:
    return replace(STATION, **levels)


def test_nothing_is_wrong_with_a_healthy_charge() -> None:
    assert broken(CHARGING, EVSE_RULES) == set()
    assert (
        broken(
            EvseSituation(station(cp=CpState.A, locked=False, contactor=OPEN), HalEvseConfig()), EVSE_RULES
        )
        == set()
    )


SHUT: dict[str, Any] = {
    "readings": station(contactor=OPEN, supply_on=False),
    "closed": False,
    "driving": False,
    "charging": False,
    "outlet_fresh": True,
}


@pytest.mark.parametrize(
    "change",
    [
        {"outlet_fresh": True, "outlet_v": 360.0},
        {"outlet_fresh": False, "outlet_v": 0.0},
        {**SHUT, "outlet_v": 355.0, "since_opened_s": 7.9},
        {**SHUT, "outlet_v": 59.0, "since_opened_s": 60.0},
        {**SHUT, "outlet_v": 355.0, "since_opened_s": 60.0, "outlet_fresh": False},
    ],
)
def test_the_connector_is_as_expected(change: dict[str, Any]) -> None:
    assert broken(replace(CHARGING, **change), EVSE_RULES) == set()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"readings": station(cp=CpState.A)}, "pilot_lost"),
        ({"readings": station(cp=None)}, "pilot_lost"),
        ({"readings": station(cp=CpState.F)}, "pilot_lost"),
        ({"readings": station(locked=False)}, "connector_unlocked"),
        ({"readings": station(contactor=OPEN)}, "contactor_opened"),
        ({"readings": station(contactor=UNKNOWN)}, "contactor_opened"),
        ({"voltage_fresh": False}, "reading_stale"),
        ({"current_fresh": False}, "reading_stale"),
        ({"isolation_fresh": False}, "isolation_stale"),
        ({"readings": station(resistance=Sample(99e3, NOW))}, "isolation_fault"),
        ({"readings": station(temperature=Sample(80.0, NOW))}, "over_temperature"),
        ({"readings": station(temperature=Sample(30.0, NOW - 2.1))}, "temperature_stale"),
        ({"readings": station(temperature=NOTHING)}, "temperature_stale"),
        ({"current_a": 109.0}, "over_current"),
        ({"current_a": -6.0, "most_a": 0.0}, "over_current"),
        ({"voltage_v": 421.0}, "over_voltage"),
        ({"voltage_v": 426.0, "pre_charging": True, "ev_max_v": math.inf}, "supply_not_following"),
        ({"silent_s": 2.1}, "session_silent"),
        ({"outlet_fresh": True, "outlet_v": 340.0}, "outlet_implausible"),
        ({**SHUT, "outlet_v": 355.0, "since_opened_s": 8.1}, "connector_live"),
        ({"readings": station(meter=MeterReading(NOW, 1.0, power_w=30_000.0))}, "meter_implausible"),
        ({"readings": station(meter=MeterReading(NOW - 5.1, 1.0, power_w=40_000.0))}, "meter_stale"),
        ({"meter_fell": True}, "meter_went_back"),
    ],
)
def test_station_rule(change: dict[str, Any], code: str) -> None:
    found = broken(replace(CHARGING, **change), EVSE_RULES)
    assert code in found
    assert found <= {code, "meter_implausible"}


def test_ac_station_rules() -> None:
    ac = replace(CHARGING, readings=station(dc=False), driving=False)
    assert broken(ac, EVSE_RULES) == set()
    ventilated = replace(ac, readings=station(dc=False, cp=CpState.D))
    assert broken(ventilated, EVSE_RULES) == {"no_ventilation"}
    assert broken(replace(ventilated, config=HalEvseConfig(ventilation=True)), EVSE_RULES) == set()
    still = replace(ac, readings=station(dc=False, meter=MeterReading(NOW, 1.0)), agreed_w=11_000.0)
    assert broken(still, EVSE_RULES) == {"meter_implausible"}
    assert broken(replace(still, agreed_w=0.0), EVSE_RULES) == set()
    assert (
        broken(replace(still, readings=station(dc=False, meter=None, temperature=None)), EVSE_RULES) == set()
    )


CAR = EvReadings(
    now=NOW,
    dc=True,
    cp=CpState.C,
    duty=Sample(5.0, NOW),
    plugged=True,
    contactor=CLOSED,
    locked=True,
    tripped=frozenset(),
    inlet=Sample(400.0, NOW),
    battery=BatteryStatus(NOW, 50.0, 399.0, 100.0, 60_000.0, 403.0, 280.0, 300.0, 300.0, 1e5, 1e5),
    converting=False,
    power=NOTHING,
    temperature=Sample(30.0, NOW),
)
TAKING = EvSituation(
    CAR, HalEvConfig(), ready=True, closed=True, inlet_v=400.0, max_v=403.0, most_a=300.0, least_a=0.0
)


def test_nothing_is_wrong_with_a_healthy_car() -> None:
    assert broken(TAKING, EV_RULES) == set()
    resting = replace(CAR, cp=CpState.A, locked=False, battery=None, temperature=None, contactor=OPEN)
    assert broken(EvSituation(resting, HalEvConfig()), EV_RULES) == set()


def car(**levels: Any) -> EvReadings:
    return replace(CAR, **levels)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"readings": car(cp=CpState.E)}, "pilot_lost"),
        ({"readings": car(duty=Sample(100.0, NOW))}, "pilot_lost"),
        ({"readings": car(locked=False)}, "connector_unlocked"),
        ({"readings": car(contactor=OPEN)}, "contactor_opened"),
        ({"readings": car(battery=None)}, "battery_silent"),
        ({"readings": car(battery=replace(CAR.battery, at=NOW - 2.1))}, "battery_silent"),
        ({"inlet_fresh": False}, "inlet_stale"),
        ({"inlet_v": 416.0}, "over_voltage"),
        ({"most_a": 80.0}, "over_current"),
        ({"readings": car(temperature=Sample(85.0, NOW))}, "over_temperature"),
        ({"readings": car(temperature=Sample(25.0, NOW - 3.0))}, "temperature_stale"),
        ({"silent_s": 3.0}, "session_silent"),
    ],
)
def test_car_rule(change: dict[str, Any], code: str) -> None:
    assert broken(replace(TAKING, **change), EV_RULES) == {code}


# --- interlock ------------------------------------------------------------------------------------

READY = EvsePermit(station(contactor=OPEN, supply_on=False), checked=True, voltage_v=3.0)
DRIVING = EvsePermit(STATION, checked=True, voltage_v=400.0)


@pytest.mark.parametrize("action", [Action.HOLD, Action.TEST, Action.DRIVE])
def test_station_may(action: Action) -> None:
    assert evse_objection(action, DRIVING) == ""
    assert evse_objection(Action.CLOSE, READY) == ""


@pytest.mark.parametrize("action", [Action.CLOSE, Action.HOLD, Action.TEST, Action.DRIVE])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"barred": "isolation fault"}, "isolation fault"),
        ({"readings": station(tripped=frozenset({"emergency_stop"}))}, "safety chain: emergency_stop"),
        ({"readings": station(cp=CpState.B)}, "pilot B, not C or D"),
        ({"readings": station(cp=None)}, "pilot unknown, not C or D"),
        ({"readings": station(locked=None)}, "the connector is not locked"),
    ],
)
def test_station_must_not(action: Action, change: dict[str, Any], reason: str) -> None:
    assert evse_objection(action, replace(READY if action is Action.CLOSE else DRIVING, **change)) == reason


@pytest.mark.parametrize(
    ("action", "permit", "reason"),
    [
        (Action.CLOSE, replace(READY, readings=station(contactor=OPEN)), "the supply is on"),
        (Action.CLOSE, replace(READY, voltage_v=60.0), "60 V at the output"),
        (Action.CLOSE, replace(READY, fresh=False), "the voltage at the output is not known"),
        (Action.TEST, replace(DRIVING, readings=station(contactor=OPEN)), "the contactor is open"),
        (
            Action.DRIVE,
            replace(DRIVING, readings=station(armed=False)),
            "over-voltage protection is not armed",
        ),
        (Action.DRIVE, replace(DRIVING, fresh=False), "the output is not measured"),
        (Action.DRIVE, replace(DRIVING, checked=False), "no cable check has passed"),
        (
            Action.CLOSE,
            EvsePermit(station(dc=False, contactor=OPEN), since_closing_s=7.5),
            "closed before, 2.5 s to wait",
        ),
        (Action.HOLD, EvsePermit(station(dc=False, cp=CpState.D)), "pilot D, and no ventilation"),
    ],
)
def test_station_objection(action: Action, permit: EvsePermit, reason: str) -> None:
    assert evse_objection(action, permit) == reason


@pytest.mark.parametrize(
    ("action", "change", "reason"),
    [
        (Action.CLOSE, {}, ""),
        (Action.CLOSE, {"gap_v": 20.0}, "20 V across the contactor"),
        (Action.CLOSE, {"fresh": False}, "inlet or battery voltage is not known"),
        (Action.CLOSE, {"readings": car(dc=False), "gap_v": 400.0}, ""),
        (Action.HOLD, {"gap_v": 400.0}, ""),
        (Action.HOLD, {"readings": car(cp=CpState.B)}, "pilot B, not C or D"),
        (Action.HOLD, {"barred": "welded"}, "welded"),
        (Action.HOLD, {"readings": car(locked=False)}, "the connector is not locked"),
        (Action.CONVERT, {"readings": car(contactor=OPEN)}, "the contactor is open"),
    ],
)
def test_car_objection(action: Action, change: dict[str, Any], reason: str) -> None:
    assert ev_objection(action, replace(EvPermit(CAR), **change)) == reason


# --- time and memory ------------------------------------------------------------------------------


def test_a_rule_counts_once_it_has_lasted() -> None:
    supervisor: Supervisor[bool] = Supervisor(
        [Rule("odd", Severity.STOP, 0.5, lambda wrong: "odd" if wrong else "")]
    )
    assert list(supervisor.judge(True, 0.0)) == []
    assert list(supervisor.judge(True, 0.4)) == []
    assert list(supervisor.judge(False, 0.45)) == []
    assert list(supervisor.judge(True, 0.5)) == []
    assert list(supervisor.judge(True, 1.0)) == [Finding("odd", Severity.STOP, "odd")]


def test_the_gravest_fault_gives_the_reason() -> None:
    latches = Latches()
    assert (bool(latches), latches.reason, latches.worst) == (False, "", None)
    assert latches.hold(Finding("lock_failed", Severity.STOP, "", "lock"))
    assert latches.hold(Finding("over_voltage", Severity.EMERGENCY, "tripped", "safety"))
    assert not latches.hold(Finding("over_voltage", Severity.STOP))
    assert latches.reason == "safety: over voltage (tripped)"
    assert "lock_failed" in latches
    assert latches.release() == ("lock_failed", "over_voltage")
    assert not latches


def test_guard_tells_once_and_releases_what_has_gone() -> None:
    told: list[Any] = []
    guard: Guard[bool] = Guard([], lambda kind, **values: told.append((kind, values.get("code"))))
    faults = (
        ("meter", Fault("signature_invalid", Severity.WARNING)),
        ("lock", Fault("lock_failed", Severity.STOP)),
    )
    for _ in range(2):
        for finding in guard.judge(found_by(frozenset({"door"}), faults), True, 0.0):
            guard.hold(finding)
    codes = [(FaultFound, "signature_invalid"), (FaultFound, "door"), (FaultFound, "lock_failed")]
    assert sorted(told, key=str) == sorted(codes, key=str)
    assert guard.emergency
    told.clear()
    guard.release(found_by((), faults), True, 0.0)
    assert told == [(FaultCleared, "door")]
    assert "lock_failed" in guard.latches
    assert not guard.emergency


def test_guard_does_not_release_what_is_still_against_a_rule() -> None:
    told: list[Any] = []
    rule: Rule[bool] = Rule("odd", Severity.STOP, 1.0, lambda odd: "odd" if odd else "")
    guard: Guard[bool] = Guard([rule], lambda kind, **values: told.append((kind, values["code"])))
    for now in (0.0, 1.0):
        for finding in guard.judge((), True, now):
            guard.hold(finding)
    guard.release((), True, 1.5)
    assert "odd" in guard.latches
    guard.release((), False, 2.0)
    assert not guard.latches
    assert told == [(FaultFound, "odd"), (FaultCleared, "odd")]


def test_gauge_believes_no_nonsense() -> None:
    gauge = Gauge(1250.0)
    assert not gauge.fresh(0.0, 2.0)
    gauge.take(Sample(400.0, 1.0))
    for nonsense in (Sample(math.nan, 2.0), Sample(400_000.0, 2.0), NOTHING):
        gauge.take(nonsense)
    assert (gauge.value, gauge.at) == (400.0, 1.0)
    assert gauge.fresh(3.0, 2.0)
    assert not gauge.fresh(3.1, 2.0)


def test_derating_is_a_straight_line() -> None:
    assert [share(c, 60.0, 80.0) for c in (20.0, 60.0, 70.0, 79.5, 80.0, 99.0)] == [
        1.0,
        1.0,
        0.5,
        0.0,
        0.0,
        0.0,
    ]
    full = Envelope(
        charge=Limits(1000.0, 100.0, 50.0, 1.0), discharge=Limits(500.0, 50.0), max_voltage_v=400.0
    )
    half = derated(full, 0.5)
    assert half.charge == Limits(500.0, 50.0, 50.0, 1.0)
    assert half.discharge == Limits(250.0, 25.0)
    assert derated(full, 1.0) is full
    assert hottest({}) is None
    silent = Sample(math.nan, 0.0)
    assert hottest({"pin+": Sample(40.0, 0.0), "pin-": Sample(50.0, 0.0)}) == Sample(50.0, 0.0)
    assert hottest({"pin+": Sample(40.0, 0.0), "pin-": silent}) is silent
