"""PowerDelivery on the car's side, shared by AC and DC."""

from __future__ import annotations

from iso15118.control.ev import Command
from iso15118.evcc.iso20.schedule import Schedule, power_profile
from iso15118.evcc.iso20.stop import Leaving, asked_by_station
from iso15118.evcc.vocabulary import Ev
from iso15118.messages.iso20 import common as m
from iso15118.messages.iso20.types import DisplayParameters, Processing


async def start_delivery(ev: Ev, schedule: Schedule, *, then: tuple[Command, ...] = ()) -> Leaving | None:
    """PowerDeliveryReq(Start) with the car's plan; tells where the station wants to leave at once."""
    ev.begin("POWER_DELIVERY")
    assert ev.service is not None
    channel = m.ChannelSelection.CHARGE if ev.service.bidirectional else None
    request = m.PowerDeliveryReq(
        header=ev.header,
        ev_processing=Processing.FINISHED,
        charge_progress=m.ChargeProgress.START,
        ev_power_profile=power_profile(ev, schedule),
        bpt_channel_selection=channel,
    )
    response = await ev.ask(request, m.PowerDeliveryRes, then=then)
    if response.response_code.value.startswith("WARNING"):
        ev.decide("PowerDelivery", f"going on in spite of {response.response_code}")
    return asked_by_station(ev, response.evse_status)


async def stop_delivery(ev: Ev) -> None:
    """PowerDeliveryReq(Stop); the current is down already."""
    ev.enter("POWER_DELIVERY_STOP")
    request = m.PowerDeliveryReq(
        header=ev.header, ev_processing=Processing.FINISHED, charge_progress=m.ChargeProgress.STOP
    )
    await ev.ask(request, m.PowerDeliveryRes)


def display(ev: Ev) -> DisplayParameters:
    """What the station may show: state of charge and completion."""
    soc = max(0, min(100, int(ev.state.soc_percent)))
    return DisplayParameters(present_soc=soc, charging_complete=ev.state.complete)
