"""Suites of the control pilot's two ends and of the proximity contact."""

from __future__ import annotations

import math
from functools import partial
from typing import Final

from hal.errors import Kind
from hal.testing.common import COMMON, behaviour, lose_line, near, refuses, regain_line, soon, stays
from hal.testing.rig import Rig
from hal.types import CpState, Quality

HIGH_V: Final = {CpState.A: (11, 13), CpState.B: (8, 10), CpState.C: (5, 7), CpState.D: (2, 4)}
"""Windows of the positive peak (V)."""
CABLES_A: Final = {1500.0: (13.0,), 680.0: (20.0,), 220.0: (32.0,), 100.0: (63.0, 70.0), None: (0.0,)}
"""Resistor of the plug (Ohm, None for no plug) and what it may be told as (IEC 61851-1)."""


# --- the station's end --------------------------------------------------------------------------


def _on_the_wire(rig: Rig, percent: float) -> bool:
    return abs(float(rig.truth.duty) - percent) < 0.5


def _state_is(rig: Rig, *states: CpState) -> bool:
    return rig.device.state in states


def _voltage_of(rig: Rig, state: CpState) -> bool:
    least, most = HIGH_V[state]
    high = rig.device.high_v
    return bool(high.fresh(rig.now, 2.0)) and least <= high.value <= most


def _opens_with_steady_12_v(rig: Rig) -> None:
    rig.run(rig.settle_s)
    assert _on_the_wire(rig, 100.0)
    assert rig.device.duty == 100.0


def _follows_the_duty(rig: Rig) -> None:
    for percent in (5.0, 10.0, 53.3, 96.0, 5.0, 100.0):
        rig.device.set_duty(percent)
        assert rig.device.duty == percent, "duty tells at once what is commanded"
        soon(rig, _on_the_wire, percent)


def _refuses_other_duties(rig: Rig) -> None:
    rig.device.set_duty(5.0)
    for percent in (-1.0, 0.0, 3.0, 7.0, 9.0, 97.0, 99.0, 101.0, math.nan, math.inf):
        refuses(partial(rig.device.set_duty, percent), Kind.OUT_OF_RANGE)
    rig.run(rig.settle_s)
    assert _on_the_wire(rig, 5.0), "a refused command changes nothing"


def _tells_the_state(rig: Rig) -> None:
    rig.device.set_duty(5.0)
    for state in (CpState.A, CpState.B, CpState.C, CpState.D, CpState.C, CpState.B, CpState.A):
        rig.truth.vehicle(state)
        soon(rig, _state_is, state)
        assert rig.device.since <= rig.now


def _measures_the_voltage(rig: Rig) -> None:
    rig.device.set_duty(5.0)
    for state in HIGH_V:
        rig.truth.vehicle(state)
        soon(rig, _voltage_of, state)


def _tells_since_when(rig: Rig) -> None:
    rig.device.set_duty(5.0)
    rig.truth.vehicle(CpState.B)
    rig.run(rig.settle_s)
    changed_at = rig.now
    rig.truth.vehicle(CpState.C)
    soon(rig, _state_is, CpState.C)
    since = rig.device.since
    assert changed_at <= since <= rig.now
    rig.run(1.0)
    assert rig.device.since == since, "since stays while the state stays"


def _tells_a_short(rig: Rig) -> None:
    rig.device.set_duty(5.0)
    rig.truth.vehicle(CpState.B)
    rig.run(rig.settle_s)
    rig.truth.vehicle(CpState.E)
    soon(rig, _state_is, CpState.E)


def _holds_unavailable(rig: Rig) -> None:
    rig.truth.vehicle(CpState.B)
    rig.device.set_duty(5.0)
    rig.run(rig.settle_s)
    rig.device.set_unavailable()
    assert rig.device.duty == 0.0
    soon(rig, _on_the_wire, 0.0)
    soon(rig, _state_is, CpState.F, CpState.E)
    stays(rig, 1.0, _on_the_wire, 0.0)
    rig.device.set_duty(100.0)
    soon(rig, _state_is, CpState.B)


def _is_steady_after_the_line_returns(rig: Rig) -> None:
    rig.truth.vehicle(CpState.B)
    rig.device.set_duty(5.0)
    rig.run(rig.settle_s)
    lose_line(rig)
    assert rig.device.state is None, "the state is unknown without a line"
    regain_line(rig)
    soon(rig, _state_is, CpState.B)
    rig.run(rig.settle_s)
    assert _on_the_wire(rig, 100.0), "steady +12 V until told again"
    assert rig.device.duty == 100.0, "and the level says so"


def _close_leaves_steady_12_v(rig: Rig) -> None:
    rig.device.set_duty(5.0)
    rig.run(rig.settle_s)
    rig.close()
    soon(rig, _on_the_wire, 100.0)


EVSE_PILOT: Final = (
    *COMMON,
    behaviour(_opens_with_steady_12_v),
    behaviour(_follows_the_duty),
    behaviour(_refuses_other_duties),
    behaviour(_tells_the_state),
    behaviour(_measures_the_voltage, "voltage"),
    behaviour(_tells_since_when),
    behaviour(_tells_a_short, "short"),
    behaviour(_holds_unavailable, "unavailable"),
    behaviour(_is_steady_after_the_line_returns, "cut"),
    behaviour(_close_leaves_steady_12_v),
)


# --- the car's end ------------------------------------------------------------------------------


def _resistor_of(rig: Rig, state: CpState) -> bool:
    return rig.truth.state is state


def _duty_is(rig: Rig, percent: float) -> bool:
    return near(rig.device.duty, percent, 0.7, rig.now)


def _plugged_is(rig: Rig, plugged: bool) -> bool:
    return rig.device.plugged is plugged


def _no_duty(rig: Rig) -> bool:
    return rig.device.duty.quality is Quality.INVALID


def _signals_the_state(rig: Rig) -> None:
    rig.truth.station(5.0)
    rig.run(rig.settle_s)
    for state in (CpState.B, CpState.C, CpState.D, CpState.B):
        rig.device.set_state(state)
        soon(rig, _resistor_of, state)
        soon(rig, _state_is, state)


def _refuses_other_states(rig: Rig) -> None:
    for state in (CpState.A, CpState.E, CpState.F):
        refuses(partial(rig.device.set_state, state), Kind.OUT_OF_RANGE)


def _measures_the_duty(rig: Rig) -> None:
    for percent in (100.0, 5.0, 10.0, 53.3, 0.0, 5.0):
        rig.truth.station(percent)
        soon(rig, _duty_is, percent)


def _tells_unavailable(rig: Rig) -> None:
    rig.truth.station(0.0)
    soon(rig, _state_is, CpState.E, CpState.F)
    rig.truth.station(100.0)
    soon(rig, _state_is, CpState.B)


def _notices_the_plug(rig: Rig) -> None:
    rig.truth.station(5.0)
    soon(rig, _plugged_is, True)
    rig.truth.plug(False)
    soon(rig, _plugged_is, False)
    soon(rig, _state_is, CpState.A)
    soon(rig, _no_duty)
    rig.truth.plug(True)
    soon(rig, _duty_is, 5.0)


def _is_not_ready_after_the_line_returns(rig: Rig) -> None:
    rig.truth.station(5.0)
    rig.device.set_state(CpState.C)
    rig.run(rig.settle_s)
    lose_line(rig)
    regain_line(rig)
    rig.run(rig.settle_s)
    assert _resistor_of(rig, CpState.B), "B until told again"


def _close_leaves_b(rig: Rig) -> None:
    rig.device.set_state(CpState.C)
    rig.run(rig.settle_s)
    rig.close()
    soon(rig, _resistor_of, CpState.B)


EV_PILOT: Final = (
    *COMMON,
    behaviour(_signals_the_state),
    behaviour(_refuses_other_states),
    behaviour(_measures_the_duty),
    behaviour(_tells_unavailable),
    behaviour(_notices_the_plug, "plug"),
    behaviour(_is_not_ready_after_the_line_returns, "cut"),
    behaviour(_close_leaves_b),
)


# --- proximity ----------------------------------------------------------------------------------


def _told_as(rig: Rig, *ampacities_a: float | None) -> bool:
    return rig.device.ampacity_a in ampacities_a


def _tells_the_cable(rig: Rig) -> None:
    for ohm, ampacities_a in CABLES_A.items():
        rig.truth.insert(ohm)
        soon(rig, _told_as, *ampacities_a)


def _tells_an_impossible_cable(rig: Rig) -> None:
    rig.truth.insert(10.0)
    soon(rig, _told_as, None)


PROXIMITY: Final = (*COMMON, behaviour(_tells_the_cable), behaviour(_tells_an_impossible_cable))
