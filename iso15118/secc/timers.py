"""The SECC's timers: their names in the log, and the one that bounds a polling phase."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from iso15118.config import SeccTimers
from iso15118.messages.iso20.common import PowerDeliveryReq
from iso15118.messages.iso20.types import Processing, V2GRequest, V2GResponse
from iso15118.secc.session import State
from iso15118.wire.v2gtp import PayloadType

# The values stand in SeccTimers.
SEQUENCE: Final = "V2G_SECC_Sequence_Timeout"
COMMUNICATION_SETUP: Final = "V2G_SECC_CommunicationSetup_Performance_Timer"
ONGOING: Final = "V2G_SECC_Ongoing_Performance_Timer"
CUSTOMER: Final = "customer interaction"
CABLE_CHECK: Final = "V2G_SECC_CableCheck_Performance_Timer"
HOLD: Final = "response performance"
NOTIFICATION: Final = "reaction to EVSENotification"
HARDWARE: Final = "hardware silence"

ASIDES: Final = (PayloadType.METERING_CONFIRMATION,)
"""Side streams: they run beside the main one and leave its timers alone."""
POLLING: Final = (ONGOING, CUSTOMER, CABLE_CHECK)
NOTIFICATION_REACTION_S: Final = 60.0
REQUIREMENTS: Final = MappingProxyType({SEQUENCE: "V2G20-443"})
"""What an expired timer breaks, where it is known."""


def polling(
    request: V2GRequest, response: V2GResponse, state: State, timers: SeccTimers
) -> tuple[str, float] | None:
    """The timer that bounds what the EV polls for now, and its seconds; None where it polls for nothing.

    PowerDelivery is polled by the EV while it computes its profile.
    """
    asked = request.ev_processing if isinstance(request, PowerDeliveryReq) else Processing.FINISHED
    processing = getattr(response, "evse_processing", asked)
    if processing is Processing.FINISHED:
        return None
    if processing is Processing.ONGOING_WAITING_FOR_CUSTOMER_INTERACTION:
        return CUSTOMER, timers.customer_s
    if state is State.CABLE_CHECK:
        return CABLE_CHECK, timers.cable_check_s
    return ONGOING, timers.ongoing_s
