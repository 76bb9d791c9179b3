"""CommonTypes of ISO 15118-20: what the messages of every energy transfer mode share.

Header, the abstract bases of requests, responses and charge loop modes, numbers, status, metering and
receipts. No message of its own; every ISO 15118-20 schema set imports these types. Open `V2GRequest`
and `V2GResponse` first, then `RationalNumber`.

Conventions of all `iso20` modules: powers in W, energies in Wh, positive from the EVSE to the EV;
absolute times in µs since 1970 UTC (some peers send s or ms); durations in s. `_l2`, `_l3` carry phases
2 and 3 and make the field before them phase 1; where they are absent it is the sum of all phases.
"""

from __future__ import annotations

from typing import Annotated, Final

from iso15118.exi.schema import (
    Binary,
    Bool,
    Byte,
    Integer,
    Occurs,
    Short,
    Text,
    UnsignedInt,
    UnsignedLong,
    UnsignedShort,
    V2GEnum,
    schema_type,
)
from iso15118.messages import namespaces
from iso15118.messages.xmldsig import Signature, X509IssuerSerial

NS: Final = namespaces.COMMON_TYPES


# --- simple types -----------------------------------------------------------------------------

NumericID = Annotated[int, Integer("unsignedInt", 1, 4294967295, "numericIDType")]  # 0 is no id
SessionID = Annotated[bytes, Binary("hexBinary", 8, 8, "sessionIDType")]  # all zero: no session yet
PercentValue = Annotated[int, Integer("byte", 0, 100, "percentValueType")]  # %
Identifier = Annotated[str, Text("string", 255, "identifierType")]
Name = Annotated[str, Text("string", 80, "nameType")]
Description = Annotated[str, Text("string", 160, "descriptionType")]
MeterID = Annotated[str, Text("string", 32, "meterIDType")]
MeterSignature = Annotated[bytes, Binary("base64Binary", None, 64, "meterSignatureType")]


class Processing(V2GEnum, schema_name="processingType"):
    """How far the sender is; anything but `FINISHED` makes the EV repeat the request."""

    FINISHED = "Finished"
    ONGOING = "Ongoing"
    ONGOING_WAITING_FOR_CUSTOMER_INTERACTION = "Ongoing_WaitingForCustomerInteraction"


class EvseNotification(V2GEnum, schema_name="evseNotificationType"):
    """What the station wants the EV to do within `notification_max_delay`."""

    PAUSE = "Pause"
    EXIT_STANDBY = "ExitStandby"
    TERMINATE = "Terminate"
    SCHEDULE_RENEGOTIATION = "ScheduleRenegotiation"
    SERVICE_RENEGOTIATION = "ServiceRenegotiation"
    METERING_CONFIRMATION = "MeteringConfirmation"


class ResponseCode(V2GEnum, schema_name="responseCodeType"):
    """The station's verdict on a request.

    Three families, in this order: OK, WARNING (the session goes on in its state), FAILED (it ends).
    """

    OK = "OK"
    OK_CERTIFICATE_EXPIRES_SOON = "OK_CertificateExpiresSoon"
    OK_NEW_SESSION_ESTABLISHED = "OK_NewSessionEstablished"
    OK_OLD_SESSION_JOINED = "OK_OldSessionJoined"
    OK_POWER_TOLERANCE_CONFIRMED = "OK_PowerToleranceConfirmed"
    WARNING_AUTHORIZATION_SELECTION_INVALID = "WARNING_AuthorizationSelectionInvalid"
    WARNING_CERTIFICATE_EXPIRED = "WARNING_CertificateExpired"
    WARNING_CERTIFICATE_NOT_YET_VALID = "WARNING_CertificateNotYetValid"
    WARNING_CERTIFICATE_REVOKED = "WARNING_CertificateRevoked"
    WARNING_CERTIFICATE_VALIDATION_ERROR = "WARNING_CertificateValidationError"
    WARNING_CHALLENGE_INVALID = "WARNING_ChallengeInvalid"
    WARNING_EIM_AUTHORIZATION_FAILURE = "WARNING_EIMAuthorizationFailure"
    WARNING_EMSP_UNKNOWN = "WARNING_eMSPUnknown"
    WARNING_EV_POWER_PROFILE_VIOLATION = "WARNING_EVPowerProfileViolation"
    WARNING_GENERAL_PNC_AUTHORIZATION_ERROR = "WARNING_GeneralPnCAuthorizationError"
    WARNING_NO_CERTIFICATE_AVAILABLE = "WARNING_NoCertificateAvailable"
    WARNING_NO_CONTRACT_MATCHING_PCID_FOUND = "WARNING_NoContractMatchingPCIDFound"
    WARNING_POWER_TOLERANCE_NOT_CONFIRMED = "WARNING_PowerToleranceNotConfirmed"
    WARNING_SCHEDULE_RENEGOTIATION_FAILED = "WARNING_ScheduleRenegotiationFailed"
    WARNING_STANDBY_NOT_ALLOWED = "WARNING_StandbyNotAllowed"
    WARNING_WPT = "WARNING_WPT"
    FAILED = "FAILED"
    FAILED_ASSOCIATION_ERROR = "FAILED_AssociationError"
    FAILED_CONTACTOR_ERROR = "FAILED_ContactorError"
    FAILED_EV_POWER_PROFILE_INVALID = "FAILED_EVPowerProfileInvalid"
    FAILED_EV_POWER_PROFILE_VIOLATION = "FAILED_EVPowerProfileViolation"
    FAILED_METERING_SIGNATURE_NOT_VALID = "FAILED_MeteringSignatureNotValid"
    FAILED_NO_ENERGY_TRANSFER_SERVICE_SELECTED = "FAILED_NoEnergyTransferServiceSelected"
    FAILED_NO_SERVICE_RENEGOTIATION_SUPPORTED = "FAILED_NoServiceRenegotiationSupported"
    FAILED_PAUSE_NOT_ALLOWED = "FAILED_PauseNotAllowed"
    FAILED_POWER_DELIVERY_NOT_APPLIED = "FAILED_PowerDeliveryNotApplied"
    FAILED_POWER_TOLERANCE_NOT_CONFIRMED = "FAILED_PowerToleranceNotConfirmed"
    FAILED_SCHEDULE_RENEGOTIATION = "FAILED_ScheduleRenegotiation"
    FAILED_SCHEDULE_SELECTION_INVALID = "FAILED_ScheduleSelectionInvalid"
    FAILED_SEQUENCE_ERROR = "FAILED_SequenceError"
    FAILED_SERVICE_ID_INVALID = "FAILED_ServiceIDInvalid"
    FAILED_SERVICE_SELECTION_INVALID = "FAILED_ServiceSelectionInvalid"
    FAILED_SIGNATURE_ERROR = "FAILED_SignatureError"
    FAILED_UNKNOWN_SESSION = "FAILED_UnknownSession"
    FAILED_WRONG_CHARGE_PARAMETER = "FAILED_WrongChargeParameter"


# --- numbers ----------------------------------------------------------------------------------


@schema_type(NS)
class RationalNumber:
    """A physical value: `value` · 10^`exponent`. `iso15118.units` converts."""

    exponent: Byte
    value: Short


# --- messages ---------------------------------------------------------------------------------


@schema_type(NS)
class MessageHeader:
    """Session id, the sender's clock, and the signature where the body carries a signed element."""

    session_id: SessionID  # 8 octets; all zero in the request that opens a session
    time_stamp: UnsignedLong  # µs since 1970 UTC
    signature: Signature | None = None


@schema_type(NS, abstract=True)
class V2GMessage:
    """Anything that travels as a message: header first."""

    header: MessageHeader


@schema_type(NS, abstract=True)
class V2GRequest(V2GMessage):
    """From the EV; the station answers every one."""


@schema_type(NS, abstract=True)
class V2GResponse(V2GMessage):
    """From the station; with a FAILED `response_code` every other field is a filler."""

    response_code: ResponseCode


@schema_type(NS, abstract=True)
class ChargeParameterDiscoveryReq(V2GRequest):
    """Base of the requests by which the EV states its limits, one for each energy transfer mode."""


@schema_type(NS, abstract=True)
class ChargeParameterDiscoveryRes(V2GResponse):
    """Base of the responses by which the station states its limits."""


@schema_type(NS, abstract=True)
class ChargeLoopReq(V2GRequest):
    """Base of the requests repeated for as long as energy flows."""

    display_parameters: DisplayParameters | None = None
    meter_info_requested: Bool  # true: the response has to carry `meter_info`


@schema_type(NS, abstract=True)
class ChargeLoopRes(V2GResponse):
    """Base of the charge loop responses: wishes of the station, meter reading, costs so far."""

    evse_status: EVSEStatus | None = None  # absent: the EV need not do anything
    meter_info: MeterInfo | None = None
    receipt: Receipt | None = None


# --- charge loop control modes ----------------------------------------------------------------


@schema_type(NS, element=True, abstract=True)
class CLReqControlMode:
    """Head of all control modes of a charge loop request; only members of the group are sent."""


@schema_type(NS, element=True, abstract=True)
class CLResControlMode:
    """Head of all control modes of a charge loop response; only members of the group are sent."""


@schema_type(NS, abstract=True)
class Scheduled_CLReqControlMode(CLReqControlMode):
    """The EV follows the schedule it chose; energies are for information."""

    ev_target_energy_request: RationalNumber | None = None  # Wh, to the target SoC at departure
    ev_maximum_energy_request: RationalNumber | None = None  # Wh, to the highest SoC the EV allows
    # Wh, to the lowest SoC it can accept; negative: already above
    ev_minimum_energy_request: RationalNumber | None = None


@schema_type(NS, abstract=True)
class Scheduled_CLResControlMode(CLResControlMode):
    """The station's answer to an EV that follows a schedule."""


@schema_type(NS, abstract=True)
class Dynamic_CLReqControlMode(CLReqControlMode):
    """The station steers; the EV keeps its needs up to date in every request."""

    departure_time: UnsignedInt | None = None  # s from now
    ev_target_energy_request: RationalNumber  # Wh, to the target SoC at departure
    ev_maximum_energy_request: RationalNumber  # Wh, to the highest SoC the EV allows
    ev_minimum_energy_request: RationalNumber  # Wh, to the lowest SoC it can accept; > 0: charge at once


@schema_type(NS, abstract=True)
class Dynamic_CLResControlMode(CLResControlMode):
    """The station steers, and may replace the user's goals (MobilityNeedsMode 2 only)."""

    departure_time: UnsignedInt | None = None  # s from now
    minimum_soc: PercentValue | None = None
    target_soc: PercentValue | None = None
    ack_max_delay: UnsignedShort | None = None  # s until the EV's own data has to show the new goals


# --- status and display -----------------------------------------------------------------------


@schema_type(NS)
class DisplayParameters:
    """What a display may show about the battery; none of it controls charging."""

    present_soc: PercentValue | None = None
    minimum_soc: PercentValue | None = None
    target_soc: PercentValue | None = None
    maximum_soc: PercentValue | None = None
    remaining_time_to_minimum_soc: UnsignedInt | None = None  # s
    remaining_time_to_target_soc: UnsignedInt | None = None  # s
    remaining_time_to_maximum_soc: UnsignedInt | None = None  # s
    charging_complete: Bool | None = None
    battery_energy_capacity: RationalNumber | None = None  # Wh
    inlet_hot: Bool | None = None


@schema_type(NS)
class EVSEStatus:
    """The station wants something: what, and by when. Repeated until the EV reacts."""

    notification_max_delay: UnsignedShort  # s
    evse_notification: EvseNotification


# --- metering and receipt ---------------------------------------------------------------------


@schema_type(NS)
class MeterInfo:
    """A reading of the station's meter, for this service session."""

    meter_id: MeterID
    charged_energy_reading_wh: UnsignedLong  # Wh, into the EV
    bpt_discharged_energy_reading_wh: UnsignedLong | None = None  # Wh, out of the EV
    capacitive_energy_reading_varh: UnsignedLong | None = None  # varh
    bpt_inductive_energy_reading_varh: UnsignedLong | None = None  # varh
    meter_signature: MeterSignature | None = None  # the meter's own, opaque
    meter_status: Short | None = None
    meter_timestamp: UnsignedLong | None = None  # µs presumed, as in the header


@schema_type(NS)
class DetailedCost:
    """One item of a receipt, in the currency of the price schedule."""

    amount: RationalNumber
    cost_per_unit: RationalNumber  # for energy: per kWh


@schema_type(NS)
class DetailedTax:
    """The amount due under one tax rule of the price schedule."""

    tax_rule_id: NumericID
    amount: RationalNumber


@schema_type(NS)
class Receipt:
    """What the session has cost since `time_anchor`."""

    time_anchor: UnsignedLong  # µs since 1970 UTC
    energy_costs: DetailedCost | None = None
    occupancy_costs: DetailedCost | None = None
    additional_services_costs: DetailedCost | None = None
    overstay_costs: DetailedCost | None = None
    tax_costs: Annotated[tuple[DetailedTax, ...], Occurs(0, 10)] = ()


# --- roots ------------------------------------------------------------------------------------


@schema_type(NS)
class ListOfRootCertificateIDs:
    """The V2G roots the EV trusts, by issuer and serial number."""

    root_certificate_id: Annotated[tuple[X509IssuerSerial, ...], Occurs(1, 20)]
