"""The end of a DC charge: the current goes, the EV tests its contactors, and only then the station's opens."""

from __future__ import annotations

import pytest

from iso15118.control.common import CpState
from iso15118.control.evse import Deenergise, OpenContactor, SetDcTarget
from iso15118.events import Fault
from iso15118.messages.iso20.types import ResponseCode
from iso15118.secc.session import State
from tests.unit.secc.harness import reach

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
