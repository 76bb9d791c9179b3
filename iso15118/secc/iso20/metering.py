"""MeteringConfirmation on the station's side: the vehicle signs the reading it was sent."""

from __future__ import annotations

from iso15118.control.common import ControlMode
from iso15118.messages.iso20.common import MeteringConfirmationReq, MeteringConfirmationRes
from iso15118.messages.iso20.types import ResponseCode
from iso15118.secc.session import Step, View


def metering_confirmation(s: View, req: MeteringConfirmationReq) -> Step:
    """Verify the signature over the reading that was to be confirmed; a wrong one ends the session."""
    record = s.record
    if record.unconfirmed is None or not record.payer:
        why = "MeteringConfirmationReq which was not asked for"
        return s.fail(req, ResponseCode.FAILED_SEQUENCE_ERROR, why, "V2G20-459")
    from iso15118.secc.iso20.pnc import algorithms
    from iso15118.security.chains import leaf_key
    from iso15118.security.metering import confirmation_flaw

    scheduled = record.control_mode is ControlMode.SCHEDULED
    flaw = confirmation_flaw(
        req,
        record.unconfirmed,
        record.session_id,
        record.tuple_id if scheduled else None,
        leaf_key((record.payer,)),
        algorithms(s),
    )
    if flaw:
        return s.fail(req, ResponseCode.FAILED_METERING_SIGNATURE_NOT_VALID, flaw)
    reading = record.unconfirmed.charged_energy_reading_wh
    response = MeteringConfirmationRes(header=s.header, response_code=ResponseCode.OK)
    return s.reply(response, why=f"{reading} Wh confirmed", unconfirmed=None)
