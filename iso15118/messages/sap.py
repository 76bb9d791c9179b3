"""SupportedAppProtocol: the first exchange of every session, before a protocol is agreed."""

from __future__ import annotations

from typing import Annotated, Final

from iso15118.exi.schema import Integer, Occurs, Text, UnsignedInt, V2GEnum, schema_type
from iso15118.messages import namespaces

NS: Final = namespaces.SAP

SchemaId = Annotated[int, Integer("unsignedByte", 0, 255, "idType")]
ProtocolName = Annotated[str, Text("string", 30, "protocolNameType")]
"""Declared by the schema, used by no element; it counts in the EXI table of names all the same."""
ProtocolNamespace = Annotated[str, Text("anyURI", 100, "protocolNamespaceType")]
Priority = Annotated[int, Integer("unsignedByte", 1, 20, "priorityType")]


class ResponseCode(V2GEnum, schema_name="responseCodeType"):
    """The outcome of the negotiation."""

    OK_SUCCESSFUL_NEGOTIATION = "OK_SuccessfulNegotiation"
    OK_SUCCESSFUL_NEGOTIATION_WITH_MINOR_DEVIATION = "OK_SuccessfulNegotiationWithMinorDeviation"
    FAILED_NO_NEGOTIATION = "Failed_NoNegotiation"


@schema_type(NS, qualified=False)
class AppProtocol:
    """One protocol the EVCC offers; `priority` 1 is the most wanted, `schema_id` is its handle."""

    protocol_namespace: ProtocolNamespace
    version_number_major: UnsignedInt
    version_number_minor: UnsignedInt
    schema_id: SchemaId
    priority: Priority


@schema_type(NS, type_name="", tag="supportedAppProtocolReq", element=True, qualified=False)
class SupportedAppProtocolReq:
    """The EVCC offers 1 to 20 protocols."""

    app_protocol: Annotated[tuple[AppProtocol, ...], Occurs(1, 20)]


@schema_type(NS, type_name="", tag="supportedAppProtocolRes", element=True, qualified=False)
class SupportedAppProtocolRes:
    """The SECC chooses one of them by its SchemaID, or none."""

    response_code: ResponseCode
    schema_id: SchemaId | None = None
