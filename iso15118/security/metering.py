"""Meter readings signed by the vehicle: proof that it received a reading, not that the reading is right."""

from __future__ import annotations

import hmac
from typing import Any

from iso15118.messages.iso20.common import (
    Dynamic_SMDTControlMode,
    MeteringConfirmationReq,
    Scheduled_SMDTControlMode,
    SignedMeteringData,
)
from iso15118.messages.iso20.types import MeterInfo, Receipt
from iso15118.messages.xmldsig import Signature
from iso15118.security.algorithms import ISO20_AND_P256, Algorithms, SigningKey, for_key
from iso15118.security.chains import leaf_key
from iso15118.security.plug_and_charge import SIGNED_ID, common_messages
from iso15118.security.signature import sign, verify


def signed_reading(
    key: SigningKey,
    chain: tuple[bytes, ...],
    session_id: bytes,
    reading: MeterInfo,
    receipt: Receipt | None,
    tuple_id: int | None,
) -> tuple[SignedMeteringData, Signature]:
    """A reading exactly as it was received, and the contract's signature over it. `tuple_id` None: Dynamic mode."""
    algorithms = for_key(leaf_key(chain), ISO20_AND_P256)
    assert algorithms is not None, "the contract was accepted, so its key is one of these"
    data = SignedMeteringData(
        id=SIGNED_ID,
        session_id=session_id,
        meter_info=reading,
        receipt=receipt,
        control_mode=_control_mode(tuple_id),
    )
    return data, sign({SIGNED_ID: data}, key, algorithms, common_messages())


def confirmation_flaw(
    request: MeteringConfirmationReq,
    reading: MeterInfo,
    session_id: bytes,
    tuple_id: int | None,
    public_key: Any,
    allowed: tuple[Algorithms, ...],
) -> str:
    """Why a confirmation does not confirm this `reading`, sent without a receipt; empty if it does."""
    data = request.signed_metering_data
    if not hmac.compare_digest(data.session_id, session_id):
        return "the reading of another session"
    if data.meter_info != reading or data.receipt is not None:
        return "not the reading that was sent"
    if data.control_mode != _control_mode(tuple_id):
        return "not the schedule it was taken under"
    verdict = verify(
        request.header.signature, {data.id: data}, public_key, common_messages(), allowed=allowed
    )
    return "" if verdict.ok else str(verdict)


def _control_mode(tuple_id: int | None) -> Dynamic_SMDTControlMode | Scheduled_SMDTControlMode:
    if tuple_id is None:
        return Dynamic_SMDTControlMode()
    return Scheduled_SMDTControlMode(selected_schedule_tuple_id=tuple_id)
