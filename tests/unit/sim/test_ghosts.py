"""The missing side of a bench: it does what the messages say, within physics."""

import pytest

from hal.types import CpState
from hal.virtual.bench import Bench
from iso15118.events import EndReason, Fault, MessageReceived, MessageSent, SessionEnded
from iso15118.messages.iso20 import ac, common, dc
from iso15118.messages.iso20.common import ChargeProgress
from iso15118.messages.iso20.numbers import rational
from iso15118.messages.iso20.types import MessageHeader, Processing, ResponseCode
from iso15118.sim.ghosts import GhostCar, GhostStation

HEADER = MessageHeader(session_id=bytes(8), time_stamp=1)
RESULT = {"header": HEADER, "response_code": ResponseCode.OK}


def told(ghost, message, *, sent=False):
    kind = MessageSent if sent else MessageReceived
    ghost(kind(t=0.0, role="SECC", message=message, exi=b"", payload_type=0))


def ended(ghost, reason=EndReason.COMPLETED):
    ghost(SessionEnded(t=0.0, role="SECC", reason=reason, fault=Fault.NONE, detail="", state=""))


def delivery(progress):
    return common.PowerDeliveryReq(header=HEADER, ev_processing=Processing.FINISHED, charge_progress=progress)


def pre_charge(volts):
    return dc.DC_PreChargeReq(
        header=HEADER,
        ev_processing=Processing.ONGOING,
        ev_present_voltage=rational(0.0),
        ev_target_voltage=rational(volts),
    )


def plugged(kind, *, is_dc=True):
    bench = Bench(dc=is_dc, seed=1)
    ghost = kind(bench)
    assert not bench.wire.plugged
    bench.run(1.0)
    assert bench.wire.plugged
    return bench, ghost


def locked_car(*, is_dc=True):
    """A ghost car at a station that oscillates and has locked."""
    bench, ghost = plugged(GhostCar, is_dc=is_dc)
    bench.wire.duty = 5.0
    bench.station.bolt.locked = True
    return bench, ghost


# --- car ----------------------------------------------------------------------------------------


def test_a_car_is_ready_when_it_wants_and_the_connector_is_locked():
    bench, ghost = plugged(GhostCar)
    bench.wire.duty = 5.0
    told(ghost, dc.DC_CableCheckReq(header=HEADER))
    bench.run(0.5)
    assert bench.wire.state is CpState.B
    bench.station.bolt.locked = True
    bench.run(0.5)
    assert bench.wire.state is CpState.C
    bench.wire.duty = 100.0
    bench.run(0.1)
    assert bench.wire.state is CpState.B


@pytest.mark.parametrize("volts", [250.0, 400.0, 800.0])
def test_a_car_closes_its_contactor_where_pre_charge_has_brought_its_voltage(volts):
    bench, ghost = locked_car()
    told(ghost, dc.DC_CableCheckReq(header=HEADER))
    told(ghost, pre_charge(volts))
    bench.station.relay.command(True)
    bench.run(0.3)
    assert not bench.car.relay.closed
    bench.circuit.converter.drive(volts, 2.0)
    bench.run(3.0)
    assert bench.car.relay.closed
    assert abs(bench.circuit.closings[-1].difference_v) < 10.0
    told(ghost, delivery(ChargeProgress.STOP))
    bench.run(0.3)
    assert not bench.car.relay.closed
    assert bench.wire.state is CpState.C, "with DC, welding detection comes first"
    told(ghost, common.SessionStopReq(header=HEADER, charging_session=common.ChargingSession.TERMINATE))
    bench.run(0.1)
    assert bench.wire.state is CpState.B


def ac_loop(power_w):
    mode = ac.Scheduled_AC_CLReqControlMode(ev_present_active_power=rational(power_w))
    return ac.AC_ChargeLoopReq(header=HEADER, meter_info_requested=False, cl_req_control_mode=mode)


def test_a_car_draws_what_the_real_one_reports():
    bench, ghost = locked_car(is_dc=False)
    told(ghost, delivery(ChargeProgress.START))
    bench.station.relay.command(True)
    told(ghost, ac_loop(7000.0))
    bench.run(12.0)
    assert bench.circuit.power_w == pytest.approx(7000.0)
    told(ghost, ac_loop(0.0))
    bench.run(0.1)
    assert bench.circuit.power_w == 0.0
    told(ghost, delivery(ChargeProgress.STOP))
    bench.run(0.1)
    assert not bench.car.relay.closed
    assert bench.wire.state is CpState.B


def test_a_car_leaves_when_it_may_and_comes_back():
    bench, ghost = locked_car()
    ended(ghost)
    bench.run(1.0)
    assert bench.wire.plugged, "it is locked in"
    bench.station.bolt.locked = False
    bench.run(0.1)
    assert not bench.wire.plugged
    bench.run(4.0)
    assert bench.wire.plugged
    bench.run(4.0)
    assert bench.wire.plugged, "until the next session is over"


@pytest.mark.parametrize("kind", [GhostCar, GhostStation])
def test_a_pause_is_no_reason_to_leave(kind):
    bench, ghost = plugged(kind)
    ended(ghost, EndReason.PAUSED)
    bench.run(5.0)
    assert bench.wire.plugged


# --- station ------------------------------------------------------------------------------------


def ready_for(ghost, bench):
    bench.run(1.5)
    assert bench.wire.duty == 5.0
    bench.wire.state = CpState.C


def present(volts, amps):
    return dc.DC_ChargeLoopRes(
        **RESULT,
        evse_present_current=rational(amps),
        evse_present_voltage=rational(volts),
        evse_power_limit_achieved=False,
        evse_current_limit_achieved=False,
        evse_voltage_limit_achieved=False,
        cl_res_control_mode=dc.Scheduled_DC_CLResControlMode(),
    )


def test_a_station_has_the_voltage_and_current_the_real_one_reports():
    bench, ghost = plugged(GhostStation)
    ready_for(ghost, bench)
    told(ghost, dc.DC_PreChargeRes(**RESULT, evse_present_voltage=rational(355.0)))
    bench.run(2.0)
    assert bench.circuit.inlet_v == pytest.approx(355.0, abs=1.0)
    bench.car.relay.command(True)
    bench.run(0.3)
    told(ghost, present(356.0, 30.0))
    bench.run(3.0)
    assert bench.circuit.current_a == pytest.approx(30.0, abs=0.5)
    told(ghost, present(354.0, -20.0))
    bench.run(3.0)
    assert bench.circuit.current_a == pytest.approx(-20.0, abs=0.5)
    told(ghost, delivery(ChargeProgress.STOP), sent=True)
    bench.run(0.1)
    assert bench.circuit.current_a == 0.0
    bench.car.relay.command(False)
    bench.run(1.0)
    assert bench.circuit.inlet_v < 60.0


def test_a_station_goes_off_when_the_car_is_not_ready_any_more():
    bench, ghost = plugged(GhostStation)
    ready_for(ghost, bench)
    told(ghost, dc.DC_PreChargeRes(**RESULT, evse_present_voltage=rational(355.0)))
    bench.run(1.0)
    bench.wire.state = CpState.B
    bench.run(0.1)
    assert not bench.circuit.converter.on
    assert not bench.station.relay.closed


def test_a_station_gives_mains_after_power_delivery():
    bench, ghost = plugged(GhostStation, is_dc=False)
    ready_for(ghost, bench)
    told(ghost, delivery(ChargeProgress.START), sent=True)
    bench.run(0.3)
    assert not bench.station.relay.closed
    told(ghost, common.PowerDeliveryRes(**RESULT))
    bench.run(0.3)
    assert bench.station.relay.closed
    ended(ghost)
    bench.run(0.3)
    assert not bench.station.relay.closed
    assert not bench.wire.plugged
