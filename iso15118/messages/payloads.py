"""Which schema set a V2GTP payload is decoded with: payload type and session phase decide.

Never trial and error: many encodings are valid under several sets and mean different things.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from iso15118.messages import namespaces as ns
from iso15118.wire.v2gtp import PayloadType

ENERGY_PAYLOADS: Final = MappingProxyType(
    {
        ns.AC: PayloadType.AC,
        ns.DC: PayloadType.DC,
        ns.ACDP: PayloadType.ACDP,
        ns.WPT: PayloadType.WPT,
        ns.AC_DER_IEC: PayloadType.AC_DER_IEC,
        ns.AC_DER_SAE: PayloadType.AC_DER_SAE,
    }
)
"""The ProtocolNamespaces of ISO 15118-20 and the main stream payload type of their own messages."""

_FIXED: Final = MappingProxyType(
    {
        PayloadType.COMMON: ns.COMMON_MESSAGES,
        PayloadType.METERING_CONFIRMATION: ns.COMMON_MESSAGES,
        PayloadType.PARKING_STATUS: ns.COMMON_MESSAGES,
        PayloadType.ACDP_SYSTEM_STATUS: ns.ACDP,
        **{payload: namespace for namespace, payload in ENERGY_PAYLOADS.items()},
    }
)

_CHARGE_PARAMETER_CODES: Final = MappingProxyType(
    {
        ns.AC: (0x04, 0x05),
        ns.AC_DER_IEC: (0x04, 0x05),
        ns.AC_DER_SAE: (0x04, 0x05),
        ns.DC: (0x0F, 0x10),
        ns.ACDP: (0x0F, 0x10),
        ns.WPT: (0x1D, 0x1E),
    }
)
"""EXI document codes of the ChargeParameterDiscovery pair, by negotiated namespace."""

_CERTIFICATE_INSTALLATION_REQ: Final = 0x07
"""EXI document code of CertificateInstallationReq in the CommonMessages set."""


@dataclass(frozen=True, slots=True)
class Phase:
    """How far a session's handshake is: `protocol` is the negotiated ProtocolNamespace, None before."""

    protocol: str | None = None

    @property
    def is_iso20(self) -> bool:
        """Whether a namespace of ISO 15118-20 has been negotiated."""
        return self.protocol in ENERGY_PAYLOADS


HANDSHAKE: Final = Phase()
"""Before SupportedAppProtocolRes."""


def schema_for(payload_type: int, phase: Phase, exi_payload: bytes | None = None) -> str | None:
    """The namespace of the schema set for a payload; None where the frame is to be ignored.

    Before the handshake only 0x8001 counts. After it, ISO 15118-20 uses every type but 0x8001, each
    bound to its own set, also to that of another energy transfer than the negotiated one: such a request
    is readable, and so can be refused by its own response. ISO 15118-2 and DIN 70121 use 0x8001 alone.

    `exi_payload` is needed for 0x8101, which mixes two sets, and for one tolerance: Josev's EVCC sends
    CertificateInstallationReq as 0x8001.
    """
    if phase.protocol is None:
        return ns.SAP if payload_type == PayloadType.APP_PROTOCOL else None
    if not phase.is_iso20:
        return phase.protocol if payload_type == PayloadType.APP_PROTOCOL else None
    if payload_type == PayloadType.APP_PROTOCOL:
        misplaced = document_code(exi_payload) == _CERTIFICATE_INSTALLATION_REQ
        return ns.COMMON_MESSAGES if misplaced else None
    if payload_type == PayloadType.SCHEDULE_RENEGOTIATION:
        return _renegotiation_schema(phase.protocol, document_code(exi_payload))
    return _fixed_schema(payload_type)


def schema_by_type(payload_type: int, exi_payload: bytes | None = None) -> str | None:
    """The namespace for a payload seen by itself, its session unknown; None where no set is bound to it.

    Takes 0x8001 for the handshake. In 0x8101 the document code tells AC, DC and WPT apart.
    """
    if payload_type == PayloadType.APP_PROTOCOL:
        return ns.SAP
    if payload_type == PayloadType.SCHEDULE_RENEGOTIATION:
        code = document_code(exi_payload)
        owners = (n for n in (ns.AC, ns.DC, ns.WPT) if code in _CHARGE_PARAMETER_CODES[n])
        return next(owners, ns.COMMON_MESSAGES)
    return _fixed_schema(payload_type)


def payload_type_for(namespace: str) -> PayloadType:
    """The main stream payload type of the messages in a schema set. KeyError where it has none."""
    if namespace == ns.SAP:
        return PayloadType.APP_PROTOCOL
    return PayloadType.COMMON if namespace == ns.COMMON_MESSAGES else ENERGY_PAYLOADS[namespace]


def document_code(exi_payload: bytes | None) -> int | None:
    """The EXI document code of a message of ISO 15118-20: 6 bits behind the header octet 0x80."""
    if exi_payload is None or len(exi_payload) < 2 or exi_payload[0] != 0x80:
        return None
    return exi_payload[1] >> 2


def _renegotiation_schema(protocol: str, code: int | None) -> str:
    """0x8101: ChargeParameterDiscovery in the energy set, ScheduleExchange and PowerDelivery common."""
    if code not in _CHARGE_PARAMETER_CODES[protocol]:
        return ns.COMMON_MESSAGES
    # A pantograph session's charge parameters are those of DC.
    return ns.DC if protocol == ns.ACDP else protocol


def _fixed_schema(payload_type: int) -> str | None:
    try:
        return _FIXED.get(PayloadType(payload_type))
    except ValueError:
        return None
