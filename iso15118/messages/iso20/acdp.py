"""ACDP of ISO 15118-20: a pantograph or an automated connector brings direct current to the vehicle.

Payload type 0x8005; ACDP_SystemStatus is a side stream, 0x8103. Only moving and watching the device is here:
charge parameters and the charge loop are those of `dc`. Order: VehiclePositioning, Connect, the DC sequence,
Disconnect; SystemStatus at any time after Connect. Open `ACDP_ConnectReq` first.

The unit of lengths is not settled by any public source.
"""

from __future__ import annotations

from typing import Annotated, Final

from iso15118.exi.schema import Bool, Short, V2GEnum, Xml, schema_type
from iso15118.messages import namespaces
from iso15118.messages.iso20.types import PercentValue, Processing, RationalNumber, V2GRequest, V2GResponse

NS: Final = namespaces.ACDP


# --- positioning ------------------------------------------------------------------------------


@schema_type(NS, element=True)
class ACDP_VehiclePositioningReq(V2GRequest):
    """The vehicle asks whether it stands right; repeated until it does."""

    ev_mobility_status: Bool  # true: immobilised
    ev_positioning_support: Bool  # the vehicle's device finds its way to the contact itself


@schema_type(NS, element=True)
class ACDP_VehiclePositioningRes(V2GResponse):
    """Where the vehicle stands and where it should."""

    evse_processing: Processing
    evse_positioning_support: Bool
    ev_relative_x_deviation: Short
    ev_relative_y_deviation: Short
    contact_window_xc: Short
    contact_window_yc: Short
    ev_in_charge_position: Bool


# --- connecting and disconnecting -------------------------------------------------------------


class ElectricalChargingDeviceStatus(V2GEnum, schema_name="electricalChargingDeviceStatusType"):
    """The control pilot state over the contact: A is apart; the meaning of the others is not settled."""

    STATE_A = "State_A"
    STATE_B = "State_B"
    STATE_C = "State_C"
    STATE_D = "State_D"


class MechanicalChargingDeviceStatus(V2GEnum, schema_name="mechanicalChargingDeviceStatusType"):
    """Where the moving device is: parked, on its way, or at the contact."""

    HOME = "Home"
    MOVING = "Moving"
    END_POSITION = "EndPosition"


@schema_type(NS, element=True)
class ACDP_ConnectReq(V2GRequest):
    """The vehicle wants the device moved to the contact; repeated until it is there."""

    ev_electrical_charging_device_status: ElectricalChargingDeviceStatus


@schema_type(NS, element=True)
class ACDP_ConnectRes(V2GResponse):
    """The device is moving, or connected."""

    evse_processing: Processing
    evse_electrical_charging_device_status: ElectricalChargingDeviceStatus
    evse_mechanical_charging_device_status: MechanicalChargingDeviceStatus


@schema_type(NS, type_name="ACDP_ConnectReqType", element=True)
class ACDP_DisconnectReq(ACDP_ConnectReq):
    """The vehicle wants the device moved home; repeated until it is there."""


@schema_type(NS, type_name="ACDP_ConnectResType", element=True)
class ACDP_DisconnectRes(ACDP_ConnectRes):
    """The device is moving, or home."""


# --- system status ----------------------------------------------------------------------------


class CpStatus(V2GEnum, schema_name="cpStatusType"):
    """The control pilot state as the vehicle sees it."""

    STATE_A = "StateA"
    STATE_B = "StateB"
    STATE_C = "StateC"
    STATE_D = "StateD"
    STATE_E = "StateE"


class ErrorCode(V2GEnum, schema_name="errorCodeType"):
    """What is wrong in the vehicle."""

    OK_NO_EV_ERROR = "OK_NoEVError"
    FAILED = "FAILED"
    FAILED_EMERGENCY_EVENT = "FAILED_EmergencyEvent"
    FAILED_BREAKER = "FAILED_Breaker"
    FAILED_RESS_TEMPERATURE_INHIBIT = "FAILED_RESSTemperatureInhibit"
    FAILED_RESS = "FAILED_RESS"
    FAILED_CHARGING_CURRENT_DIFFERENTIAL = "FAILED_ChargingCurrentDifferential"
    FAILED_CHARGING_VOLTAGE_OUT_OF_RANGE = "FAILED_ChargingVoltageOutOfRange"
    FAILED_RESERVED_1 = "FAILED_Reserved1"
    FAILED_RESERVED_2 = "FAILED_Reserved2"


class IsolationStatus(V2GEnum, schema_name="isolationStatusType"):
    """The verdict of the station's insulation monitor."""

    INVALID = "Invalid"
    SAFE = "Safe"
    WARNING = "Warning"
    FAULT = "Fault"


@schema_type(NS)
class EVTechnicalStatus:
    """The condition of the vehicle."""

    ev_ready_to_charge: Bool
    ev_immobilization_request: Bool
    ev_immobilized: Bool | None = None
    ev_wlan_strength: RationalNumber | None = None  # dB scale, unit not settled
    ev_cp_status: Annotated[CpStatus | None, Xml("EVCPStatus")] = None
    ev_soc: PercentValue | None = None  # %
    ev_error_code: ErrorCode | None = None
    ev_timeout: Bool | None = None


@schema_type(NS, element=True)
class ACDP_SystemStatusReq(V2GRequest):
    """The vehicle reports its condition, beside the main stream."""

    ev_technical_status: EVTechnicalStatus


@schema_type(NS, element=True)
class ACDP_SystemStatusRes(V2GResponse):
    """The station reports its own; an emergency flag ends the session."""

    evse_mechanical_charging_device_status: MechanicalChargingDeviceStatus
    evse_ready_to_charge: Bool
    evse_isolation_status: IsolationStatus
    evse_disabled: Bool
    evse_utility_interrupt_event: Bool
    evse_emergency_shutdown: Bool
    evse_malfunction: Bool
    ev_in_charge_position: Bool
    ev_association_status: Bool  # false: this vehicle is not the one above the radio link
