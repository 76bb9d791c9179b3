"""The whole session as the car sees it."""

from __future__ import annotations

from iso15118.evcc.iso20.schedule import exchange_schedule
from iso15118.evcc.iso20.services import select_service
from iso15118.evcc.iso20.setup import authorize, negotiate, set_up
from iso15118.evcc.iso20.stop import Leaving, leave_early, stop_session
from iso15118.evcc.vocabulary import EarlyLeave, Ev


async def session(ev: Ev) -> None:
    """From SupportedAppProtocol to SessionStop; a service renegotiation goes round once more.

    A session that goes on after a pause is authorized and has its service [V2G20-1032].
    """
    await negotiate(ev)
    resumed = await set_up(ev)
    try:
        if not resumed:
            await authorize(ev)
            await select_service(ev)
        while True:
            leaving = await charge(ev)
            await stop_session(ev, leaving)  # returns only after a service renegotiation
            await select_service(ev)
    except EarlyLeave as early:
        await leave_early(ev, early)


async def charge(ev: Ev) -> Leaving:
    """Everything between ServiceSelection and SessionStop, for the selected service."""
    assert ev.service is not None
    if ev.service.is_dc:
        from iso15118.evcc.iso20 import dc  # its messages load with it

        await dc.discover_parameters(ev)
        schedule = await exchange_schedule(ev)
        await dc.check_cable(ev)
        await dc.pre_charge(ev)
        return await dc.transfer(ev, schedule)
    from iso15118.evcc.iso20 import ac

    await ac.discover_parameters(ev)
    schedule = await exchange_schedule(ev)
    return await ac.transfer(ev, schedule)
