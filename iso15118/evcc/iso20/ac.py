"""AC and AC_BPT on the car's side."""

from __future__ import annotations

from typing import Any, Final

from iso15118 import events
from iso15118.control.common import ControlMode
from iso15118.control.ev import CloseContactor, OpenContactor, SetPilot, SetPower
from iso15118.evcc.iso20.delivery import display, start_delivery, stop_delivery
from iso15118.evcc.iso20.metering import confirm_meter
from iso15118.evcc.iso20.schedule import Schedule
from iso15118.evcc.iso20.stop import Leaving, reason_to_leave
from iso15118.evcc.vocabulary import Ev
from iso15118.messages.iso20 import ac as m
from iso15118.messages.iso20.numbers import rational, total
from iso15118.messages.iso20.types import CLReqControlMode, CLResControlMode
from iso15118.units import NO_FLOW, Envelope, Limits

POWER_DOWN_W: Final = 100.0


async def discover_parameters(ev: Ev) -> None:
    """Exchange power limits."""
    ev.begin("CHARGE_PARAMETER_DISCOVERY")
    request = m.AC_ChargeParameterDiscoveryReq(
        header=ev.header, ac_cpd_req_energy_transfer_mode=_transfer_mode(ev)
    )
    response = await ev.ask(request, m.AC_ChargeParameterDiscoveryRes)
    mode = response.ac_cpd_res_energy_transfer_mode
    assert ev.service is not None
    if isinstance(mode, m.BPT_AC_CPDResEnergyTransferMode) != ev.service.bidirectional:
        ev.fail(f"{type(mode).__name__} under service {ev.service.name}")
    ev.evse_limits = evse_envelope(mode)


def _transfer_mode(ev: Ev) -> m.AC_CPDReqEnergyTransferMode:
    limits = ev.state.limits
    values: dict[str, Any] = {
        "ev_maximum_charge_power": rational(limits.charge.max_power_w),
        "ev_minimum_charge_power": rational(limits.charge.min_power_w),
    }
    assert ev.service is not None
    if not ev.service.bidirectional:
        return m.AC_CPDReqEnergyTransferMode(**values)
    return m.BPT_AC_CPDReqEnergyTransferMode(
        **values,
        ev_maximum_discharge_power=rational(limits.discharge.max_power_w),
        ev_minimum_discharge_power=rational(limits.discharge.min_power_w),
    )


def evse_envelope(mode: m.AC_CPDResEnergyTransferMode) -> Envelope:
    """The station's power limits as sums over the phases, discharge as magnitudes."""
    discharge = NO_FLOW
    if isinstance(mode, m.BPT_AC_CPDResEnergyTransferMode):
        discharge = _limits(mode, "discharge")
    return Envelope(charge=_limits(mode, "charge"), discharge=discharge)


def _limits(mode: m.AC_CPDResEnergyTransferMode, direction: str) -> Limits:
    most = total(mode, f"evse_maximum_{direction}_power") or 0.0
    least = total(mode, f"evse_minimum_{direction}_power") or 0.0
    return Limits(max_power_w=abs(most), min_power_w=abs(least))


async def transfer(ev: Ev, schedule: Schedule) -> Leaving:
    """Power on, charge loop, power off."""
    leaving = await start_delivery(ev, schedule, then=(SetPilot(ready=True),))  # [V2G20-1617] [V2G20-847]
    if leaving is None:
        ev.do(CloseContactor())
        leaving = await _loop(ev, schedule)
    await _power_down(ev)
    await stop_delivery(ev)
    ev.do(OpenContactor(), SetPilot(ready=False))
    return leaving


async def _loop(ev: Ev, schedule: Schedule) -> Leaving:
    ev.enter("CHARGE_LOOP")
    loops = 0
    while True:
        response = await _turn(ev, loops, wanted=True)
        await confirm_meter(ev, response, schedule.tuple_id)
        _follow(ev, schedule, response.cl_res_control_mode)
        loops += 1
        leaving = reason_to_leave(ev, response, loops, schedule.planned_w(ev.now))
        if leaving is not None:
            return leaving
        await ev.sleep(ev.config.loop_interval_s)


async def _turn(ev: Ev, loops: int, *, wanted: bool) -> m.AC_ChargeLoopRes:
    request = m.AC_ChargeLoopReq(
        header=ev.header,
        display_parameters=display(ev),
        meter_info_requested=loops % ev.config.meter_info_every == 0,
        cl_req_control_mode=_control_mode(ev, wanted),
    )
    response = await ev.ask(request, m.AC_ChargeLoopRes)
    ev.emit(
        events.PowerFlow,
        voltage_v=0.0,
        current_a=0.0,
        power_w=ev.state.power_w,
        soc_percent=ev.state.soc_percent,
    )
    return response


def _follow(ev: Ev, schedule: Schedule, mode: CLResControlMode) -> None:
    """Set our converter: the station's target in Dynamic mode, our plan within it in Scheduled mode."""
    target = total(mode, "evse_target_active_power")
    reactive = total(mode, "evse_target_reactive_power") or 0.0
    if ev.control_mode is ControlMode.SCHEDULED:
        planned = schedule.planned_w(ev.now)
        target = planned if target is None else _nearer_zero(planned, target)
    wish = ev.state.target_power_w
    power = 0.0 if target is None else target
    if power > 0:
        power = min(power, max(0.0, wish))
    elif ev.state.needs.minimum_wh >= 0:
        power = 0.0  # below its minimum the battery gives nothing, whatever is asked
    envelope = ev.state.limits.within(ev.evse_limits)
    ev.do(SetPower(envelope.clamp_power(power), reactive))


def _nearer_zero(first: float, second: float) -> float:
    """The weaker of both where they agree on the direction, else nothing."""
    if first * second < 0:
        return 0.0
    return first if abs(first) <= abs(second) else second


def _control_mode(ev: Ev, wanted: bool) -> CLReqControlMode:
    assert ev.service is not None
    values = _common(ev, wanted)
    if ev.service.bidirectional:
        limits = ev.state.limits.discharge if wanted else NO_FLOW
        values["ev_maximum_discharge_power"] = rational(limits.max_power_w)
        values["ev_minimum_discharge_power"] = rational(limits.min_power_w)
    if ev.control_mode is ControlMode.SCHEDULED:
        kind = (
            m.BPT_Scheduled_AC_CLReqControlMode
            if ev.service.bidirectional
            else m.Scheduled_AC_CLReqControlMode
        )
        return kind(**values)
    values["departure_time"] = ev.state.departure_s
    if not ev.service.bidirectional:
        return m.Dynamic_AC_CLReqControlMode(**values)
    needs = ev.state.needs
    if needs.v2x_maximum_wh is not None and needs.v2x_minimum_wh is not None:
        values["ev_maximum_v2x_energy_request"] = rational(needs.v2x_maximum_wh)
        values["ev_minimum_v2x_energy_request"] = rational(needs.v2x_minimum_wh)
    return m.BPT_Dynamic_AC_CLReqControlMode(**values)


def _common(ev: Ev, wanted: bool) -> dict[str, Any]:
    limits = ev.state.limits.charge if wanted else NO_FLOW
    needs = ev.state.needs
    return {
        "ev_target_energy_request": rational(needs.target_wh),
        "ev_maximum_energy_request": rational(needs.maximum_wh),
        "ev_minimum_energy_request": rational(needs.minimum_wh),
        "ev_maximum_charge_power": rational(limits.max_power_w),
        "ev_minimum_charge_power": rational(limits.min_power_w),
        "ev_present_active_power": rational(ev.state.power_w),
        "ev_present_reactive_power": rational(ev.state.reactive_var),
    }


async def _power_down(ev: Ev) -> None:
    """Bring our converter to zero while the loop goes on, for a bounded time."""
    ev.do(SetPower(0.0))
    begun = ev.now
    while abs(ev.state.power_w) > POWER_DOWN_W and ev.now - begun < ev.config.timers.current_down_s:
        await ev.sleep(ev.config.loop_interval_s)
        await _turn(ev, 1, wanted=False)
