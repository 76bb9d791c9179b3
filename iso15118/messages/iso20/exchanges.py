"""Request and response pairs of ISO 15118-20: payload types and the times of Tables 215 to 218.

One declaration per exchange; pairs follow from the names (XReq, XRes), times from the kind.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Final

from iso15118.exi.schema import cached_per_class
from iso15118.messages import namespaces
from iso15118.messages.iso20.types import V2GRequest, V2GResponse
from iso15118.wire.v2gtp import PayloadType


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request with its response, the main stream payload type, and its times in seconds.

    `evcc_timeout_s`: the EVCC waits this long for the response. `secc_performance_s`: the SECC's
    design target. `secc_sequence_s`: the SECC waits this long after the response.
    """

    request: type[V2GRequest]
    response: type[V2GResponse]
    payload_type: PayloadType
    evcc_timeout_s: float = 2.0
    secc_performance_s: float = 1.5
    secc_sequence_s: float = 60.0


LOOP_SUFFIX: Final = "_ChargeLoopReq"
_SLOW: Final = frozenset({"CertificateInstallationReq", "ServiceDetailReq"})
_SIDE_STREAMS: Final = {
    "MeteringConfirmationReq": PayloadType.METERING_CONFIRMATION,
    "VehicleCheckInReq": PayloadType.PARKING_STATUS,
    "VehicleCheckOutReq": PayloadType.PARKING_STATUS,
    "ACDP_SystemStatusReq": PayloadType.ACDP_SYSTEM_STATUS,
}
_PAYLOADS: Final = {
    namespaces.COMMON_MESSAGES: PayloadType.COMMON,
    namespaces.AC: PayloadType.AC,
    namespaces.DC: PayloadType.DC,
    namespaces.WPT: PayloadType.WPT,
    namespaces.ACDP: PayloadType.ACDP,
}


@cached_per_class
def exchange_of(request: type[Any]) -> Exchange:
    """The exchange a request class opens. KeyError where the class is no request."""
    name = request.__name__
    if not (name.endswith("Req") and issubclass(request, V2GRequest)):
        raise KeyError(name)
    module = sys.modules[request.__module__]
    response = getattr(module, name.removesuffix("Req") + "Res")
    payload = _SIDE_STREAMS.get(name) or _PAYLOADS[module.NS]
    if name.endswith(LOOP_SUFFIX):  # [V2G20-1499] [V2G20-1501] [V2G20-5069]
        return Exchange(request, response, payload, 0.5, 0.25, 0.5)
    if name in _SLOW:
        return Exchange(request, response, payload, 5.0, 4.5)
    return Exchange(request, response, payload)


def is_failure(code: Any) -> bool:
    """Whether a response code ends the session (the FAILED family)."""
    return str(code).upper().startswith("FAILED")
