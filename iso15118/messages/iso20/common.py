"""CommonMessages of ISO 15118-20: what every session says, whatever way its energy takes.

Payload type 0x8002; MeteringConfirmation travels as 0x8102, VehicleCheckIn and VehicleCheckOut as 0x8104,
and during a schedule renegotiation ScheduleExchange and PowerDelivery as 0x8101. The messages stand in the
order of a session, each with the types it needs; open this file first to see how a session goes.
Schedules and prices, same namespace, are in `schedules`; their names can be imported from here as well.
"""

from __future__ import annotations

from typing import Annotated

from iso15118.exi.schema import (
    Attribute,
    Binary,
    Bool,
    Byte,
    Content,
    Int,
    Integer,
    Occurs,
    Short,
    UnsignedByte,
    UnsignedLong,
    UnsignedShort,
    V2GEnum,
    Xml,
    XmlId,
    schema_type,
)
from iso15118.messages.iso20.schedules import *  # noqa: F403  (one namespace, two files)
from iso15118.messages.iso20.schedules import (
    NS,
    Dynamic_SEReqControlMode,
    Dynamic_SEResControlMode,
    EVPowerProfile,
    Scheduled_SEReqControlMode,
    Scheduled_SEResControlMode,
)
from iso15118.messages.iso20.types import (
    Description,
    EVSEStatus,
    Identifier,
    ListOfRootCertificateIDs,
    MeterInfo,
    Name,
    NumericID,
    Processing,
    RationalNumber,
    Receipt,
    SessionID,
    V2GRequest,
    V2GResponse,
)

# --- session setup ----------------------------------------------------------------------------


@schema_type(NS, element=True)
class SessionSetupReq(V2GRequest):
    """The EV opens a session, or asks to resume the one in its header."""

    evcc_id: Identifier  # the subject's common name in the vehicle certificate, no MAC address


@schema_type(NS, element=True)
class SessionSetupRes(V2GResponse):
    """The station grants a session id (in its header) and names itself."""

    evseid: Identifier  # e.g. "DE*ABC*E12345"; "ZZ00000" where unknown


# --- authorization ----------------------------------------------------------------------------


class Authorization(V2GEnum, schema_name="authorizationType"):
    """Who pays: identified outside the protocol (EIM), or by the contract in the car (PnC)."""

    EIM = "EIM"
    PNC = "PnC"


GenChallenge = Annotated[bytes, Binary("base64Binary", 16, 16, "genChallengeType")]


@schema_type(NS, element=True)
class AuthorizationSetupReq(V2GRequest):
    """The EV asks how it may identify itself."""


@schema_type(NS, element=True)
class AuthorizationSetupRes(V2GResponse):
    """The ways to identify, and the challenge to sign for Plug and Charge."""

    authorization_services: Annotated[tuple[Authorization, ...], Occurs(1, 2)]
    certificate_installation_service: Bool  # CertificateInstallationReq is answered
    authorization_mode: EIM_ASResAuthorizationMode | PnC_ASResAuthorizationMode


@schema_type(NS)
class EIM_ASResAuthorizationMode:
    """Only external identification is offered."""


@schema_type(NS)
class PnC_ASResAuthorizationMode:
    """Plug and Charge is offered: sign this challenge."""

    gen_challenge: GenChallenge  # 16 octets, used once
    supported_providers: SupportedProvidersList | None = None  # absent: contracts of any provider


@schema_type(NS)
class SupportedProvidersList:
    """The e-mobility providers whose contracts the station takes."""

    provider_id: Annotated[tuple[Name, ...], Occurs(1, 128)]


@schema_type(NS, element=True)
class AuthorizationReq(V2GRequest):
    """The EV chooses a way and proves its right; repeated while the station says `ONGOING`."""

    selected_authorization_service: Authorization
    authorization_mode: EIM_AReqAuthorizationMode | PnC_AReqAuthorizationMode


@schema_type(NS)
class EIM_AReqAuthorizationMode:
    """Nothing to prove here: the user shows a card, uses an app or pays by terminal."""


@schema_type(NS)
class PnC_AReqAuthorizationMode:
    """The contract certificate, and the challenge echoed; the signature covers this element."""

    id: Annotated[XmlId, Attribute(), Xml("Id")]
    gen_challenge: GenChallenge
    contract_certificate_chain: ContractCertificateChain


@schema_type(NS, element=True)
class AuthorizationRes(V2GResponse):
    """Whether energy may flow; refusals are `FINISHED` with a WARNING code."""

    evse_processing: Processing


# --- certificates -----------------------------------------------------------------------------

Certificate = Annotated[bytes, Binary("base64Binary", None, 1600, "certificateType")]  # DER


@schema_type(NS)
class SubCertificates:
    """The chain between a leaf and its root, leaf's issuer first."""

    certificate: Annotated[tuple[Certificate, ...], Occurs(1, 3)]


@schema_type(NS)
class CertificateChain:
    """A leaf certificate with the chain to its root, unsigned."""

    certificate: Certificate
    sub_certificates: SubCertificates | None = None


@schema_type(NS)
class SignedCertificateChain:
    """A certificate chain covered by the message signature."""

    id: Annotated[XmlId, Attribute(), Xml("Id")]
    certificate: Certificate
    sub_certificates: SubCertificates | None = None


@schema_type(NS)
class ContractCertificateChain:
    """The contract certificate of the EV's user; its chain is mandatory."""

    certificate: Certificate
    sub_certificates: SubCertificates


@schema_type(NS)
class EMAIDList:
    """Contracts by e-mobility account id, the most wanted first."""

    emaid: Annotated[tuple[Identifier, ...], Occurs(1, 8)]


@schema_type(NS, element=True)
class CertificateInstallationReq(V2GRequest):
    """The EV asks for contract certificates, signed with its OEM provisioning key."""

    oem_provisioning_certificate_chain: SignedCertificateChain
    list_of_root_certificate_ids: ListOfRootCertificateIDs
    maximum_contract_certificate_chains: UnsignedByte  # room in the EV
    prioritized_emaids: EMAIDList | None = None


@schema_type(NS, element=True)
class CertificateInstallationRes(V2GResponse):
    """One contract with its private key, wrapped for this EV alone."""

    evse_processing: Processing
    cps_certificate_chain: CertificateChain
    signed_installation_data: SignedInstallationData
    remaining_contract_certificate_chains: UnsignedByte  # > 0: ask again for the next one


class EcdhCurve(V2GEnum, schema_name="ecdhCurveType"):
    """The curve on which the key that wraps the contract key is agreed."""

    SECP521 = "SECP521"
    X448 = "X448"


# 04, x, y on P-521. 04 and u on X448: 57 octets and no filler [V2G20-2495], which the schema does not know.
DhPublicKey = Annotated[bytes, Binary("base64Binary", 133, 133, "dhPublicKeyType", (57,))]
# IV 12, scalar 66, tag 16
Secp521WrappedKey = Annotated[bytes, Binary("base64Binary", 94, 94, "secp521_EncryptedPrivateKeyType")]
# IV 12, scalar 56, tag 16
X448WrappedKey = Annotated[bytes, Binary("base64Binary", 84, 84, "x448_EncryptedPrivateKeyType")]
# blob for TPM2_Import
TpmWrappedKey = Annotated[bytes, Binary("base64Binary", 206, 206, "tpm_EncryptedPrivateKeyType")]


@schema_type(NS, type_name="", tag="SECP521_EncryptedPrivateKey")
class SECP521_EncryptedPrivateKey:
    """A contract key on secp521r1, encrypted with AES-GCM."""

    value: Annotated[Secp521WrappedKey, Content()]


@schema_type(NS, type_name="", tag="X448_EncryptedPrivateKey")
class X448_EncryptedPrivateKey:
    """A contract key for Ed448, encrypted with AES-GCM."""

    value: Annotated[X448WrappedKey, Content()]


@schema_type(NS, type_name="", tag="TPM_EncryptedPrivateKey")
class TPM_EncryptedPrivateKey:
    """A contract key wrapped so that only the EV's TPM can import it."""

    value: Annotated[TpmWrappedKey, Content()]


@schema_type(NS, element=True)
class SignedInstallationData:
    """A contract for the EV, signed by the certificate provisioning service."""

    id: Annotated[XmlId, Attribute(), Xml("Id")]
    contract_certificate_chain: ContractCertificateChain
    ecdh_curve: EcdhCurve
    dh_public_key: DhPublicKey
    encrypted_private_key: SECP521_EncryptedPrivateKey | X448_EncryptedPrivateKey | TPM_EncryptedPrivateKey


# --- services ---------------------------------------------------------------------------------

ServiceID = Annotated[int, Integer("unsignedShort", 0, 65535, "serviceIDType")]


@schema_type(NS)
class ServiceIDList:
    """The services an EV knows."""

    service_id: Annotated[tuple[ServiceID, ...], Occurs(1, 16)]


@schema_type(NS)
class Service:
    """A service on offer."""

    service_id: ServiceID
    free_service: Bool  # using it costs nothing


@schema_type(NS)
class ServiceList:
    """Services on offer, energy or value-added."""

    service: Annotated[tuple[Service, ...], Occurs(1, 8)]


@schema_type(NS, element=True)
class ServiceDiscoveryReq(V2GRequest):
    """The EV asks what is on offer."""

    supported_service_ids: ServiceIDList | None = None  # absent: show all


@schema_type(NS, element=True)
class ServiceDiscoveryRes(V2GResponse):
    """The energy transfer services and value-added services on offer."""

    service_renegotiation_supported: Bool  # the EV may come back here without a new session
    energy_transfer_service_list: ServiceList
    vas_list: ServiceList | None = None


@schema_type(NS, element=True)
class ServiceDetailReq(V2GRequest):
    """The EV asks for the parameter sets of a service."""

    service_id: ServiceID


@schema_type(NS, element=True)
class ServiceDetailRes(V2GResponse):
    """The parameter sets of a service; the EV chooses one."""

    service_id: ServiceID
    service_parameter_list: ServiceParameterList


@schema_type(NS)
class ServiceParameterList:
    """All parameter sets of a service, the station's favourite first."""

    parameter_set: Annotated[tuple[ParameterSet, ...], Occurs(1, 32)]


@schema_type(NS)
class ParameterSet:
    """One way to use a service, chosen as a whole."""

    parameter_set_id: ServiceID  # unique within the service; 0 is a valid id
    parameter: Annotated[tuple[Parameter, ...], Occurs(1, 32)]


@schema_type(NS)
class Parameter:
    """A named value; any integer width may stand for an integer."""

    name: Annotated[Name, Attribute()]
    value: BoolValue | ByteValue | ShortValue | IntValue | RationalValue | FiniteString


@schema_type(NS, type_name="", tag="boolValue")
class BoolValue:
    """A parameter that is true or false."""

    value: Annotated[Bool, Content()]


@schema_type(NS, type_name="", tag="byteValue")
class ByteValue:
    """A parameter in 8 bits, signed."""

    value: Annotated[Byte, Content()]


@schema_type(NS, type_name="", tag="shortValue")
class ShortValue:
    """A parameter in 16 bits, signed."""

    value: Annotated[Short, Content()]


@schema_type(NS, type_name="", tag="intValue")
class IntValue:
    """A parameter in 32 bits, signed; the usual form."""

    value: Annotated[Int, Content()]


@schema_type(NS, type_name="RationalNumberType", tag="rationalNumber")
class RationalValue(RationalNumber):
    """A parameter with a physical value."""


@schema_type(NS, type_name="", tag="finiteString")
class FiniteString:
    """A parameter in words."""

    value: Annotated[Name, Content()]


@schema_type(NS)
class SelectedService:
    """A service and the parameter set to use it with."""

    service_id: ServiceID
    parameter_set_id: ServiceID


@schema_type(NS)
class SelectedServiceList:
    """The value-added services the EV will use."""

    selected_service: Annotated[tuple[SelectedService, ...], Occurs(1, 16)]


@schema_type(NS, element=True)
class ServiceSelectionReq(V2GRequest):
    """The EV decides on one energy transfer service, and on value-added ones."""

    selected_energy_transfer_service: SelectedService
    selected_vas_list: SelectedServiceList | None = None


@schema_type(NS, element=True)
class ServiceSelectionRes(V2GResponse):
    """The choice is accepted, or not."""


# --- schedule and power delivery --------------------------------------------------------------

MaxSupportingPointsScheduleTuple = Annotated[
    int, Integer("unsignedShort", 12, 1024, "maxSupportingPointsScheduleTupleType")
]


@schema_type(NS, element=True)
class ScheduleExchangeReq(V2GRequest):
    """The EV states energy needs and departure; repeated while the station says `ONGOING`."""

    maximum_supporting_points: MaxSupportingPointsScheduleTuple  # most entries in each list of the response
    control_mode: Dynamic_SEReqControlMode | Scheduled_SEReqControlMode


@schema_type(NS, element=True)
class ScheduleExchangeRes(V2GResponse):
    """The station offers schedules (Scheduled) or announces its goals (Dynamic)."""

    evse_processing: Processing
    go_to_pause: Bool | None = None  # true: the EV should pause until energy is there
    control_mode: Dynamic_SEResControlMode | Scheduled_SEResControlMode


class ChargeProgress(V2GEnum, schema_name="chargeProgressType"):
    """What the EV wants of the power path."""

    START = "Start"
    STOP = "Stop"
    STANDBY = "Standby"
    SCHEDULE_RENEGOTIATION = "ScheduleRenegotiation"


class ChannelSelection(V2GEnum, schema_name="channelSelectionType"):
    """Which of two separate bidirectional channels the EV means."""

    CHARGE = "Charge"
    DISCHARGE = "Discharge"


@schema_type(NS, element=True)
class PowerDeliveryReq(V2GRequest):
    """The EV starts, stops or holds the flow of energy, and tells its power profile."""

    ev_processing: Processing
    charge_progress: ChargeProgress
    ev_power_profile: EVPowerProfile | None = None  # mandatory in Scheduled mode with `START`
    bpt_channel_selection: ChannelSelection | None = None  # only with separated channels (BPTChannel 2)


@schema_type(NS, element=True)
class PowerDeliveryRes(V2GResponse):
    """Power is on or off as wanted, or the code says why not."""

    evse_status: EVSEStatus | None = None


# --- metering confirmation --------------------------------------------------------------------


@schema_type(NS, element=True)
class SignedMeteringData:
    """A meter reading as the EV received it, signed with its contract key."""

    id: Annotated[XmlId, Attribute(), Xml("Id")]
    session_id: SessionID
    meter_info: MeterInfo
    receipt: Receipt | None = None
    control_mode: Dynamic_SMDTControlMode | Scheduled_SMDTControlMode


@schema_type(NS)
class Scheduled_SMDTControlMode:
    """The reading belongs to energy taken under this schedule."""

    selected_schedule_tuple_id: NumericID


@schema_type(NS)
class Dynamic_SMDTControlMode:
    """The reading belongs to energy the station steered."""


@schema_type(NS, element=True)
class MeteringConfirmationReq(V2GRequest):
    """The EV confirms a reading; a side stream beside the running charge loop."""

    signed_metering_data: SignedMeteringData


@schema_type(NS, element=True)
class MeteringConfirmationRes(V2GResponse):
    """The confirmation is valid, or not."""


# --- end of session ---------------------------------------------------------------------------


class ChargingSession(V2GEnum, schema_name="chargingSessionType"):
    """How the EV leaves."""

    PAUSE = "Pause"
    TERMINATE = "Terminate"
    SERVICE_RENEGOTIATION = "ServiceRenegotiation"


@schema_type(NS, element=True)
class SessionStopReq(V2GRequest):
    """The EV ends the session, pauses it, or goes back to the services."""

    charging_session: ChargingSession
    ev_termination_code: Name | None = None  # manufacturer's own, for logs
    ev_termination_explanation: Description | None = None


@schema_type(NS, element=True)
class SessionStopRes(V2GResponse):
    """The end is accepted; the EV closes the connection."""


# --- check-in and check-out (parking) ---------------------------------------------------------


class EvCheckInStatus(V2GEnum, schema_name="evCheckInStatusType"):
    """How far the EV is with parking."""

    CHECK_IN = "CheckIn"
    PROCESSING = "Processing"
    COMPLETED = "Completed"


class EvCheckOutStatus(V2GEnum, schema_name="evCheckOutStatusType"):
    """How far the EV is with leaving."""

    CHECK_OUT = "CheckOut"
    PROCESSING = "Processing"
    COMPLETED = "Completed"


class EvseCheckOutStatus(V2GEnum, schema_name="evseCheckOutStatusType"):
    """Whether the station has finished, or knows when it will."""

    SCHEDULED = "Scheduled"
    COMPLETED = "Completed"


class ParkingMethod(V2GEnum, schema_name="parkingMethodType"):
    """Who steers the EV into place: itself, a guided driver, or the driver alone."""

    AUTO_PARKING = "AutoParking"
    MV_GUIDE_MANUAL = "MVGuideManual"
    MANUAL = "Manual"


@schema_type(NS, element=True)
class VehicleCheckInReq(V2GRequest):
    """The EV reports parking and its geometry; lengths presumably in mm."""

    ev_check_in_status: EvCheckInStatus
    parking_method: ParkingMethod
    vehicle_frame: Short | None = None
    device_offset: Short | None = None
    vehicle_travel: Short | None = None


@schema_type(NS, element=True)
class VehicleCheckInRes(V2GResponse):
    """The station's geometry for parking; lengths presumably in mm."""

    parking_space: Short | None = None
    device_location: Short | None = None
    target_distance: Short | None = None


@schema_type(NS, element=True)
class VehicleCheckOutReq(V2GRequest):
    """The EV announces that it leaves."""

    ev_check_out_status: EvCheckOutStatus
    check_out_time: UnsignedLong  # µs since 1970 UTC presumed, as in the header


@schema_type(NS, element=True)
class VehicleCheckOutRes(V2GResponse):
    """The station takes note of the departure."""

    evse_check_out_status: EvseCheckOutStatus


@schema_type(NS)
class TargetPosition:
    """An offset in the plane; declared by the schema, used by no message."""

    target_offset_x: UnsignedShort
    target_offset_y: UnsignedShort
