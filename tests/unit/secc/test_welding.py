"""The end of a DC charge: the current goes, the EV tests its contactors, and only then the station's opens."""

from __future__ import annotations

from typing import Any

import pytest

from iso15118.control.common import Contactor, CpState
from iso15118.control.evse import Deenergise, OpenContactor, SetDcTarget
from iso15118.events import EndReason, Fault
from iso15118.messages.iso20.types import ResponseCode
from iso15118.secc.session import State
from tests.unit.secc.harness import reach, walk

S, Code = State, ResponseCode


@pytest.mark.parametrize("current_a", [100.0, -40.0])
def test_dc_stop_answers_when_the_current_has_gone(current_a: float) -> None:
    """The contactor stays closed until welding detection is over: it could not see the outlet otherwise."""
    made = reach(S.CHARGE_LOOP, "DC")
    made.obedient = False
    made.levels(current_a=current_a)
    assert made.send(made.ev.power_delivery("STOP")) is None
    assert made.commands == [SetDcTarget(0.0, 0.0)]
    made.levels(current_a=current_a / 10)
    assert not made.sent
    made.levels(current_a=0.4)
    assert made.sent[-1].response_code is Code.OK
    assert made.at is S.WELDING_DETECTION
    assert not made.record.energised
    assert not made.issued(Deenergise)
    assert not made.issued(OpenContactor)


def test_dc_current_that_does_not_go_fails_the_stop() -> None:
    made = reach(S.CHARGE_LOOP, "DC")
    made.obedient = False
    made.levels(current_a=100.0)
    assert made.send(made.ev.power_delivery("STOP")) is None
    made.powered(1.41)
    assert made.sent[-1].response_code is Code.FAILED_POWER_DELIVERY_NOT_APPLIED
    assert made.end.fault is Fault.LOCAL
    assert made.issued(Deenergise)


def test_welding_detection_reports_the_voltage_for_as_long_as_the_ev_asks() -> None:
    made = reach(S.WELDING_DETECTION)
    for volts in (390.0, 120.5, 3.2):
        made.levels(voltage_v=volts)
        response = made.send(made.ev.welding())
        assert response.response_code is Code.OK
        assert response.evse_present_voltage.value * 10.0**response.evse_present_voltage.exponent == (
            pytest.approx(volts)
        )
    assert not made.commands, "closed while the EV tests its contactors"
    made.send(made.ev.welding(finished=True))
    assert made.at is S.WELDING_DETECTION
    assert made.commands == [OpenContactor()]
    made.levels(cp=CpState.B)
    assert made.send(made.ev.session_stop()).response_code is Code.OK


@pytest.mark.parametrize("cp", [CpState.A, CpState.B, CpState.E])
def test_the_contactor_opens_at_once_when_the_ev_is_not_ready_any_more(cp: CpState) -> None:
    """Found by 8,000 runs with faults: a pilot that fell to B in welding detection left the contactor closed."""
    made = reach(S.WELDING_DETECTION)
    made.obedient = False
    made.levels(contactor=Contactor.CLOSED)
    assert not made.commands
    made.levels(cp=cp)
    assert OpenContactor() in made.commands
    assert made.at is S.WELDING_DETECTION
    made.commands.clear()
    made.powered(1.0)
    assert made.issued(OpenContactor), "again and again, until it is open"
    made.levels(contactor=Contactor.OPEN)
    made.commands.clear()
    made.powered(1.0)
    assert not made.commands


def test_a_pilot_that_comes_back_does_not_end_the_session() -> None:
    made = reach(S.WELDING_DETECTION)
    made.levels(contactor=Contactor.CLOSED)
    made.levels(cp=CpState.B)
    made.levels(cp=CpState.C)
    assert made.send(made.ev.welding()).response_code is Code.OK
    made.levels(cp=CpState.B)
    assert made.send(made.ev.session_stop()).response_code is Code.OK
    assert made.end.reason is EndReason.COMPLETED


@pytest.mark.parametrize("levels", [{"cp": CpState.B}, {"locked": False}])
def test_the_guard_stands_again_after_a_service_renegotiation(levels: dict[str, Any]) -> None:
    """The contactor opened during SessionStop; what may be disregarded meanwhile may not in the next cable check."""
    made = reach(S.WELDING_DETECTION)
    made.obedient = False
    made.levels(contactor=Contactor.CLOSED)
    assert made.send(made.ev.session_stop("SERVICE_RENEGOTIATION")) is None
    made.levels(contactor=Contactor.OPEN, cp=CpState.B)
    assert made.sent[-1].response_code is Code.OK
    assert made.at is S.SERVICE_DISCOVERY
    made.obedient = True
    walk(made, S.CABLE_CHECK)
    made.obedient = False
    made.levels(cp=CpState.C, locked=True)
    made.send(made.ev.cable_check())
    assert made.record.energised
    made.levels(**levels)
    assert made.issued(Deenergise)
    assert made.record.tripped
