"""SupportedAppProtocol on the station's side: which of the EV's offers is taken."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from iso15118.control.common import EnergyService
from iso15118.messages import namespaces
from iso15118.messages.sap import AppProtocol, ResponseCode, SupportedAppProtocolReq, SupportedAppProtocolRes

VERSION_20: Final = (1, 0)


@dataclass(frozen=True, slots=True)
class Choice:
    """The answer and the entry it takes (None: nothing fits)."""

    response: SupportedAppProtocolRes
    taken: AppProtocol | None
    why: str


def served_namespaces(services: Collection[EnergyService]) -> tuple[str, ...]:
    """The ProtocolNamespaces behind these services."""
    names = []
    if any(s.is_dc for s in services):
        names.append(namespaces.DC)
    if any(s.is_ac for s in services):
        names.append(namespaces.AC)
    return tuple(names)


def choose(request: SupportedAppProtocolReq, served: Collection[str]) -> Choice:
    """Take the served offer with the smallest Priority number [V2G20-169] [V2G20-167].

    Entries the station does not serve on this connection, or of another major version, do not
    count [V2G2-170]; another minor version is a deviation, not a refusal [V2G20-149].
    """
    major, minor = VERSION_20
    usable = [
        p for p in request.app_protocol if p.protocol_namespace in served and p.version_number_major == major
    ]
    if not usable:
        offered = ", ".join(p.protocol_namespace for p in request.app_protocol)
        refusal = SupportedAppProtocolRes(response_code=ResponseCode.FAILED_NO_NEGOTIATION)
        return Choice(refusal, None, f"none of [{offered}] is served here ({', '.join(served) or 'nothing'})")
    taken = min(usable, key=lambda p: p.priority)
    code = (
        ResponseCode.OK_SUCCESSFUL_NEGOTIATION
        if taken.version_number_minor == minor
        else ResponseCode.OK_SUCCESSFUL_NEGOTIATION_WITH_MINOR_DEVIATION
    )
    response = SupportedAppProtocolRes(response_code=code, schema_id=taken.schema_id)
    return Choice(response, taken, f"priority {taken.priority} of {len(request.app_protocol)} offers")
