"""Confirming a meter reading with the contract's signature, beside the running charge loop."""

from __future__ import annotations

from dataclasses import replace

from iso15118.evcc.vocabulary import Ev
from iso15118.messages.iso20.types import ChargeLoopRes, EvseNotification


async def confirm_meter(ev: Ev, response: ChargeLoopRes, tuple_id: int | None) -> None:
    """Sign the reading of a response whose notification asks for it; `tuple_id` is the schedule it was taken under.

    Who pays by other means has no key to sign with. While a confirmation is on its way no other is sent.
    """
    status, reading = response.evse_status, response.meter_info
    asked = status is not None and status.evse_notification is EvseNotification.METERING_CONFIRMATION
    if not asked or ev.contract is None or ev.aside_pending:
        return
    if reading is None:
        ev.decide("MeteringConfirmation", "asked for without a reading")
        return
    from iso15118.messages.iso20.common import MeteringConfirmationReq, MeteringConfirmationRes
    from iso15118.security.metering import signed_reading

    data, signature = signed_reading(
        ev.contract.key, ev.contract.chain, ev.session_id, reading, response.receipt, tuple_id
    )
    request = MeteringConfirmationReq(
        header=replace(ev.header, signature=signature), signed_metering_data=data
    )
    await ev.ask_aside(request, MeteringConfirmationRes)
