"""Limits hold for every wish: whatever an EV asks for and a station can do, no target exceeds either."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iso15118.control.evse import SetAcTarget, SetDcTarget
from iso15118.messages.iso20.numbers import number
from iso15118.messages.iso20.types import ResponseCode
from iso15118.secc.session import State
from iso15118.units import Envelope, Limits
from tests.unit.secc.harness import DC_LIMITS, reach

S, Code = State, ResponseCode

ANY = st.one_of(
    st.floats(-2e6, 2e6),
    st.sampled_from([0.0, -1e30, 1e30, 32767e100, 1e-20]),
)
SIZE = st.floats(0, 1e6)
WISHES = st.fixed_dictionaries(
    {},
    optional={
        "ev_maximum_charge_power": ANY,
        "ev_minimum_charge_power": ANY,
        "ev_maximum_charge_current": ANY,
        "ev_maximum_voltage": ANY,
        "ev_minimum_voltage": ANY,
    },
)
BPT_WISHES = st.fixed_dictionaries(
    {}, optional={"ev_maximum_discharge_power": ANY, "ev_maximum_discharge_current": ANY}
)
TARGETS = st.fixed_dictionaries({"ev_target_current": ANY, "ev_target_voltage": ANY})
STATION = st.builds(
    lambda p, i, dp, di, v: replace(
        DC_LIMITS, charge=Limits(p, i), discharge=Limits(dp, di), max_voltage_v=v
    ),
    SIZE,
    SIZE,
    SIZE,
    SIZE,
    st.floats(1, 2000),
)


@st.composite
def loops(draw: Any) -> tuple[str, str, list[dict[str, Any]]]:
    """A service, a control mode, and some turns: EV limits and targets, station limits, voltage, set-point."""
    service = draw(st.sampled_from(["DC", "DC_BPT"]))
    control = draw(st.sampled_from(["DYNAMIC", "SCHEDULED"]))
    turns = []
    for _ in range(draw(st.integers(1, 4))):
        wish = draw(WISHES)
        if service == "DC_BPT":
            wish |= draw(BPT_WISHES)
        if control == "SCHEDULED":
            wish |= draw(TARGETS)
        levels = {
            "limits": draw(st.one_of(st.just(DC_LIMITS), STATION)),
            "voltage_v": draw(st.floats(0, 490)),
            "setpoint_w": draw(st.one_of(st.none(), ANY)),
        }
        turns.append({"wish": wish, "levels": levels})
    return service, control, turns


@given(loops())
def test_every_target_is_within_the_limits_of_both_sides(case: tuple[str, str, list[dict[str, Any]]]) -> None:
    service, control, turns = case
    made = reach(S.CHARGE_LOOP, service, control)
    made.obedient = False
    for turn in turns:
        made.levels(**turn["levels"])
        if made.record.tripped:
            break  # a lower voltage limit than what is measured opens everything
        made.clock.now += 0.1
        response = made.send(made.ev.loop(**turn["wish"]))
        assert response.response_code is Code.OK
        drive = made.issued(SetDcTarget)[-1] if made.issued(SetDcTarget) else SetDcTarget(0.0, 0.0)
        station, ev = made.state.limits.within(DC_LIMITS), made.record.ev_limits
        assert 0 <= drive.voltage_v <= min(station.max_voltage_v, ev.max_voltage_v) * 1.0001
        mine, theirs = (
            (station.charge, ev.charge) if drive.current_a >= 0 else (station.discharge, ev.discharge)
        )
        assert abs(drive.current_a) <= min(mine.max_current_a, theirs.max_current_a)
        power = abs(drive.current_a) * turn["levels"]["voltage_v"]
        assert power <= min(mine.max_power_w, theirs.max_power_w) * 1.0001
        if service == "DC":
            assert drive.current_a >= 0
        made.commands.clear()
        made.seen = 0


AC_WISHES = st.fixed_dictionaries(
    {},
    optional={
        "ev_maximum_charge_power": ANY,
        "ev_minimum_charge_power": ANY,
        "ev_maximum_charge_power_l2": ANY,
        "ev_maximum_charge_power_l3": ANY,
    },
)


@given(
    service=st.sampled_from(["AC", "AC_BPT"]),
    control=st.sampled_from(["DYNAMIC", "SCHEDULED"]),
    wish=AC_WISHES,
    charge=SIZE,
    discharge=SIZE,
    setpoint=st.one_of(st.none(), ANY),
)
def test_every_ac_target_is_within_the_limits_of_both_sides(
    service: str,
    control: str,
    wish: dict[str, float],
    charge: float,
    discharge: float,
    setpoint: float | None,
) -> None:
    made = reach(S.CHARGE_LOOP, service, control)
    made.obedient = False
    made.levels(limits=Envelope(Limits(charge), Limits(discharge)), setpoint_w=setpoint)
    response = made.send(made.ev.loop(**wish))
    assert response.response_code is Code.OK
    power = made.issued(SetAcTarget)[-1].power_w
    ev = made.record.ev_limits
    if power >= 0:
        assert power <= min(charge, 22_000, ev.charge.max_power_w)
    else:
        assert service == "AC_BPT"
        assert -power <= min(discharge, 11_000, ev.discharge.max_power_w)
    told = response.cl_res_control_mode.evse_target_active_power
    if told is not None:
        assert number(told) == pytest.approx(power, rel=1e-3, abs=1e-3)
