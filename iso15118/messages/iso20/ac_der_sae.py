"""AC_DER_SAE of Amendment 1 to ISO 15118-20: the EV as a generator under IEEE 1547 (SAE J3072).

Payload type 0x8011. No message of its own: the messages of `ac` with the modes declared here, decoded with
this set because event codes differ. The whole grid code comes in the charge parameter response, changes come
in the loop: open `DERControlCPDRes` and `DERControlCLRes` first.

Signs: power positive from the EVSE to the EV, so discharge limits are at most 0; absorbed vars are positive,
injected ones negative (many peers send magnitudes). Times in s, update times in µs since 1970 UTC by the
station's clock. Rebuilt from peers: structure proven, meanings presumed.
"""

from __future__ import annotations

from typing import Annotated, Final

from iso15118.exi.schema import (
    Bool,
    Occurs,
    Text,
    UnsignedInt,
    UnsignedLong,
    UnsignedShort,
    V2GEnum,
    Xml,
    schema_type,
)
from iso15118.messages import namespaces
from iso15118.messages.iso20.ac import (
    AC_CPDReqEnergyTransferMode,
    AC_CPDResEnergyTransferMode,
    Dynamic_AC_CLReqControlMode,
    Dynamic_AC_CLResControlMode,
    Scheduled_AC_CLReqControlMode,
    Scheduled_AC_CLResControlMode,
)
from iso15118.messages.iso20.types import EVSEStatus, Processing, RationalNumber

NS: Final = namespaces.AC_DER_SAE


# --- simple types -----------------------------------------------------------------------------

EvInverterSwVersion = Annotated[str, Text("string", 32, "evInverterSwVersionType")]
EvInverterHwVersion = Annotated[str, Text("string", 32, "evInverterHwVersionType")]
EvInverterManufacturer = Annotated[str, Text("string", 32, "evInverterManufacturerType")]
EvInverterModel = Annotated[str, Text("string", 32, "evInverterModelType")]
EvInverterSerialNumber = Annotated[str, Text("string", 32, "evInverterSerialNumberType")]


class Ieee1547NormalCategory(V2GEnum, schema_name="ieee1547NormalCategoryType"):
    """How much reactive power the inverter can deliver in normal operation."""

    CATEGORY_A = "CategoryA"
    CATEGORY_B = "CategoryB"


class Ieee1547AbnormalCategory(V2GEnum, schema_name="ieee1547AbnormalCategoryType"):
    """How long the inverter rides through disturbances."""

    CATEGORY_I = "CategoryI"
    CATEGORY_II = "CategoryII"
    CATEGORY_III = "CategoryIII"


class DerOperationalState(V2GEnum, schema_name="derOperationalStateType"):
    """Whether the inverter runs."""

    ON = "On"
    OFF = "Off"


class DerConnectionStatus(V2GEnum, schema_name="derConnectionStatusType"):
    """Whether the inverter is connected to the grid."""

    DISCONNECTED = "Disconnected"
    CONNECTED = "Connected"


class RequiredDEROperatingMode(V2GEnum, schema_name="requiredDEROperatingModeType"):
    """Whether the EV's inverter has to follow a grid or form one."""

    GRID_FOLLOWING = "GridFollowing"
    GRID_FORMING = "GridForming"


class GridConnectionMode(V2GEnum, schema_name="gridConnectionModeType"):
    """Whether the site is connected to the public grid or islanded."""

    GRID_CONNECTED = "GridConnected"
    GRID_ISLANDED = "GridIslanded"


class PowerFactorExcitation(V2GEnum, schema_name="powerFactorExcitationType"):
    """The sign of reactive power: over-excited injects (capacitive), under-excited absorbs."""

    OVER_EXCITED = "OverExcited"
    UNDER_EXCITED = "UnderExcited"


class PowerReference(V2GEnum, schema_name="powerReferenceType"):
    """The power a droop is a share of."""

    MAXIMUM_ACTIVE_POWER = "MaximumActivePower"
    MOMENTARY_POWER = "MomentaryPower"


class DerUnit(V2GEnum, schema_name="derUnitType"):
    """The unit of an axis or a set-point; percentages name what they are a share of."""

    V = "V"
    HZ = "Hz"
    W = "W"
    S = "s"
    VAR = "var"
    PERCENTAGE_EV_MAXIMUM_CONFIGURED_ACTIVE_POWER = "PercentageEVMaximumConfiguredActivePower"
    PERCENTAGE_EV_MAXIMUM_CONFIGURED_REACTIVE_POWER = "PercentageEVMaximumConfiguredReactivePower"
    PERCENTAGE_EV_MAXIMUM_CONFIGURED_APPARENT_POWER = "PercentageEVMaximumConfiguredApparentPower"
    PERCENTAGE_EV_MAXIMUM_AVAILABLE_ACTIVE_POWER = "PercentageEVMaximumAvailableActivePower"
    PERCENTAGE_EV_MAXIMUM_AVAILABLE_REACTIVE_POWER = "PercentageEVMaximumAvailableReactivePower"
    PERCENTAGE_V = "PercentageV"


# --- charge parameters ------------------------------------------------------------------------


@schema_type(NS, element=True, substitutes=AC_CPDReqEnergyTransferMode)
class DER_AC_CPDReqEnergyTransferMode(AC_CPDReqEnergyTransferMode):
    """What the EV's inverter is and can do, and whether it accepts the grid code last sent."""

    ev_processing: Processing  # `ONGOING`: not accepted yet
    ev_maximum_discharge_power: RationalNumber  # W, <= 0
    ev_maximum_discharge_power_l2: RationalNumber | None = None
    ev_maximum_discharge_power_l3: RationalNumber | None = None
    ev_minimum_discharge_power: RationalNumber | None = None  # W, <= 0, nearest to zero
    ev_minimum_discharge_power_l2: RationalNumber | None = None
    ev_minimum_discharge_power_l3: RationalNumber | None = None
    ev_session_total_discharge_energy_available: RationalNumber | None = None  # Wh
    ev_apparent_power_limits: EVApparentPowerLimits
    ev_reactive_power_limits: EVReactivePowerLimits
    ev_excitation_limits: EVExcitationLimits
    ev_inverter_details: EVInverterDetails
    ieee_1547_normal_category: Ieee1547NormalCategory
    ieee_1547_abnormal_category: Ieee1547AbnormalCategory
    ev_nominal_voltage: RationalNumber  # V
    ev_maximum_voltage: RationalNumber  # V
    ev_minimum_voltage: RationalNumber  # V
    ev_nominal_voltage_offset: RationalNumber  # V, EV against reference point
    j3072_certified: Bool
    j3072_certification_date: UnsignedLong  # µs since 1970 UTC
    ev_useable_watt_hours: UnsignedInt  # Wh
    ev_update_time: UnsignedLong  # µs, when these values last changed
    supported_modes: UnsignedInt  # bit map: functions the EV has
    enabled_modes: UnsignedInt  # bit map: functions that are on


@schema_type(NS, element=True, substitutes=AC_CPDResEnergyTransferMode)
class DER_AC_CPDResEnergyTransferMode(AC_CPDResEnergyTransferMode):
    """The station's ratings and limits, and the complete grid code."""

    evse_processing: Processing  # `FINISHED` only when the EV has finished
    evse_status: EVSEStatus | None = None
    der_control_cpd_res: DERControlCPDRes
    evse_nominal_charge_power: RationalNumber | None = None  # W, rated
    evse_nominal_charge_power_l2: RationalNumber | None = None
    evse_nominal_charge_power_l3: RationalNumber | None = None
    evse_nominal_discharge_power: RationalNumber | None = None  # W, <= 0, rated
    evse_nominal_discharge_power_l2: RationalNumber | None = None
    evse_nominal_discharge_power_l3: RationalNumber | None = None
    evse_maximum_discharge_power: RationalNumber  # W, <= 0
    evse_maximum_discharge_power_l2: RationalNumber | None = None
    evse_maximum_discharge_power_l3: RationalNumber | None = None
    evse_reactive_power_limits: EVSEReactivePowerLimits
    grid_limits: GridLimits
    required_der_operating_mode: RequiredDEROperatingMode
    grid_connection_mode: GridConnectionMode
    evse_update_time: UnsignedLong  # µs, when the settings last changed


@schema_type(NS)
class EVApparentPowerLimits:
    """Apparent power the inverter can carry, by direction of active and reactive power."""

    ev_maximum_apparent_power_during_charging_and_var_absorption: RationalNumber  # VA
    ev_maximum_apparent_power_during_charging_and_var_absorption_l2: RationalNumber | None = None
    ev_maximum_apparent_power_during_charging_and_var_absorption_l3: RationalNumber | None = None
    ev_maximum_apparent_power_during_charging_and_var_injection: RationalNumber  # VA
    ev_maximum_apparent_power_during_charging_and_var_injection_l2: RationalNumber | None = None
    ev_maximum_apparent_power_during_charging_and_var_injection_l3: RationalNumber | None = None
    ev_maximum_apparent_power_during_discharging_and_var_absorption: RationalNumber  # VA
    ev_maximum_apparent_power_during_discharging_and_var_absorption_l2: RationalNumber | None = None
    ev_maximum_apparent_power_during_discharging_and_var_absorption_l3: RationalNumber | None = None
    ev_maximum_apparent_power_during_discharging_and_var_injection: RationalNumber  # VA
    ev_maximum_apparent_power_during_discharging_and_var_injection_l2: RationalNumber | None = None
    ev_maximum_apparent_power_during_discharging_and_var_injection_l3: RationalNumber | None = None


@schema_type(NS)
class EVReactivePowerLimits:
    """Reactive power the inverter can absorb and inject while it charges or discharges."""

    ev_maximum_var_absorption_during_charging: RationalNumber  # var
    ev_maximum_var_absorption_during_charging_l2: RationalNumber | None = None
    ev_maximum_var_absorption_during_charging_l3: RationalNumber | None = None
    ev_minimum_var_absorption_during_charging: RationalNumber | None = None  # var
    ev_minimum_var_absorption_during_charging_l2: RationalNumber | None = None
    ev_minimum_var_absorption_during_charging_l3: RationalNumber | None = None
    ev_maximum_var_injection_during_charging: RationalNumber  # var, <= 0
    ev_maximum_var_injection_during_charging_l2: RationalNumber | None = None
    ev_maximum_var_injection_during_charging_l3: RationalNumber | None = None
    ev_minimum_var_injection_during_charging: RationalNumber | None = None  # var, <= 0
    ev_minimum_var_injection_during_charging_l2: RationalNumber | None = None
    ev_minimum_var_injection_during_charging_l3: RationalNumber | None = None
    ev_maximum_var_absorption_during_discharging: RationalNumber  # var
    ev_maximum_var_absorption_during_discharging_l2: RationalNumber | None = None
    ev_maximum_var_absorption_during_discharging_l3: RationalNumber | None = None
    ev_minimum_var_absorption_during_discharging: RationalNumber | None = None  # var
    ev_minimum_var_absorption_during_discharging_l2: RationalNumber | None = None
    ev_minimum_var_absorption_during_discharging_l3: RationalNumber | None = None
    ev_maximum_var_injection_during_discharging: RationalNumber  # var, <= 0
    ev_maximum_var_injection_during_discharging_l2: RationalNumber | None = None
    ev_maximum_var_injection_during_discharging_l3: RationalNumber | None = None
    ev_minimum_var_injection_during_discharging: RationalNumber | None = None  # var, <= 0
    ev_minimum_var_injection_during_discharging_l2: RationalNumber | None = None
    ev_minimum_var_injection_during_discharging_l3: RationalNumber | None = None
    ev_reactive_susceptance: RationalNumber  # S
    ev_reactive_susceptance_l2: RationalNumber | None = None
    ev_reactive_susceptance_l3: RationalNumber | None = None


@schema_type(NS)
class EVExcitationLimits:
    """The discharge power left when the inverter works at given power factors."""

    ev_specified_over_excited_power_factor: RationalNumber  # over 0, at most 1
    ev_specified_over_excited_power_factor_l2: RationalNumber | None = None
    ev_specified_over_excited_power_factor_l3: RationalNumber | None = None
    ev_specified_over_excited_discharge_power: RationalNumber  # W
    ev_specified_over_excited_discharge_power_l2: RationalNumber | None = None
    ev_specified_over_excited_discharge_power_l3: RationalNumber | None = None
    ev_specified_under_excited_power_factor: RationalNumber  # over 0, at most 1
    ev_specified_under_excited_power_factor_l2: RationalNumber | None = None
    ev_specified_under_excited_power_factor_l3: RationalNumber | None = None
    ev_specified_under_excited_discharge_power: RationalNumber  # W
    ev_specified_under_excited_discharge_power_l2: RationalNumber | None = None
    ev_specified_under_excited_discharge_power_l3: RationalNumber | None = None


@schema_type(NS)
class EVInverterDetails:
    """Which inverter this is."""

    ev_inverter_sw_version: EvInverterSwVersion
    ev_inverter_hw_version: EvInverterHwVersion | None = None
    ev_inverter_manufacturer: EvInverterManufacturer
    ev_inverter_model: EvInverterModel
    ev_inverter_serial_number: EvInverterSerialNumber


@schema_type(NS)
class EVSEReactivePowerLimits:
    """Reactive power the installation allows."""

    evse_maximum_var_absorption_during_charging: RationalNumber  # var
    evse_maximum_var_absorption_during_charging_l2: RationalNumber | None = None
    evse_maximum_var_absorption_during_charging_l3: RationalNumber | None = None
    evse_maximum_var_injection_during_charging: RationalNumber  # var, <= 0
    evse_maximum_var_injection_during_charging_l2: RationalNumber | None = None
    evse_maximum_var_injection_during_charging_l3: RationalNumber | None = None
    evse_maximum_var_absorption_during_discharging: RationalNumber  # var
    evse_maximum_var_absorption_during_discharging_l2: RationalNumber | None = None
    evse_maximum_var_absorption_during_discharging_l3: RationalNumber | None = None
    evse_maximum_var_injection_during_discharging: RationalNumber  # var, <= 0
    evse_maximum_var_injection_during_discharging_l2: RationalNumber | None = None
    evse_maximum_var_injection_during_discharging_l3: RationalNumber | None = None


@schema_type(NS)
class GridLimits:
    """The grid at the connection point; its frequency replaces `evse_nominal_frequency`."""

    grid_nominal_frequency: RationalNumber  # Hz
    grid_nominal_voltage: RationalNumber  # V
    grid_nominal_voltage_offset: RationalNumber  # V
    grid_min_frequency: RationalNumber | None = None  # Hz
    grid_max_frequency: RationalNumber | None = None  # Hz
    grid_maximum_voltage: RationalNumber  # V
    grid_minimum_voltage: RationalNumber  # V


# --- charge loop ------------------------------------------------------------------------------


@schema_type(NS, element=True, substitutes=Scheduled_AC_CLReqControlMode)
class DER_Scheduled_AC_CLReqControlMode(Scheduled_AC_CLReqControlMode):
    """What the EV's inverter does now while it follows a schedule."""

    ev_present_voltage: RationalNumber  # V
    ev_present_frequency: RationalNumber  # Hz
    ev_maximum_discharge_power: RationalNumber | None = None  # W, <= 0
    ev_maximum_discharge_power_l2: RationalNumber | None = None
    ev_maximum_discharge_power_l3: RationalNumber | None = None
    ev_minimum_discharge_power: RationalNumber | None = None  # W, <= 0
    ev_minimum_discharge_power_l2: RationalNumber | None = None
    ev_minimum_discharge_power_l3: RationalNumber | None = None
    der_operational_state: DerOperationalState
    der_connection_status: DerConnectionStatus
    ev_apparent_power: EVApparentPower | None = None  # only when changed
    ev_reactive_power: EVReactivePower | None = None  # only when changed
    ev_excitation: EVExcitation | None = None  # only when changed
    ev_update_time: UnsignedLong  # µs, when these values last changed
    ev_minimum_charging_duration: UnsignedInt | None = None  # s
    ev_duration_maximum_charge_rate: UnsignedInt | None = None  # s
    ev_duration_maximum_discharge_rate: UnsignedInt | None = None  # s
    der_alarm_status: UnsignedInt  # bit map
    enabled_modes: UnsignedInt  # bit map: functions that are on


@schema_type(NS, element=True, substitutes=Scheduled_AC_CLResControlMode)
class DER_Scheduled_AC_CLResControlMode(Scheduled_AC_CLResControlMode):
    """Changes of limits and grid code while the EV follows a schedule."""

    der_control_cl_res: DERControlCLRes
    evse_maximum_charge_power: RationalNumber | None = None  # W
    evse_maximum_charge_power_l2: RationalNumber | None = None
    evse_maximum_charge_power_l3: RationalNumber | None = None
    evse_maximum_discharge_power: RationalNumber | None = None  # W, <= 0
    evse_maximum_discharge_power_l2: RationalNumber | None = None
    evse_maximum_discharge_power_l3: RationalNumber | None = None
    required_der_operating_mode: RequiredDEROperatingMode | None = None
    grid_connection_mode: GridConnectionMode | None = None


@schema_type(NS, element=True, substitutes=Dynamic_AC_CLReqControlMode)
class DER_Dynamic_AC_CLReqControlMode(Dynamic_AC_CLReqControlMode):
    """What the EV's inverter does now while the station steers."""

    ev_maximum_discharge_power: RationalNumber  # W, <= 0
    ev_maximum_discharge_power_l2: RationalNumber | None = None
    ev_maximum_discharge_power_l3: RationalNumber | None = None
    ev_minimum_discharge_power: RationalNumber  # W, <= 0
    ev_minimum_discharge_power_l2: RationalNumber | None = None
    ev_minimum_discharge_power_l3: RationalNumber | None = None
    ev_present_voltage: RationalNumber  # V
    ev_present_frequency: RationalNumber  # Hz
    ev_session_total_discharge_energy_available: RationalNumber | None = None  # Wh
    ev_apparent_power: EVApparentPower | None = None  # only when changed
    ev_reactive_power: EVReactivePower | None = None  # only when changed
    ev_excitation: EVExcitation | None = None  # only when changed
    ev_maximum_v2x_energy_request: RationalNumber | None = None  # Wh, to the top of the cycling window
    ev_minimum_v2x_energy_request: RationalNumber | None = None  # Wh, to its bottom
    der_operational_state: DerOperationalState
    der_connection_status: DerConnectionStatus
    ev_update_time: UnsignedLong  # µs, when these values last changed
    ev_minimum_charging_duration: UnsignedInt  # s
    ev_duration_maximum_charge_rate: UnsignedInt  # s
    ev_duration_maximum_discharge_rate: UnsignedInt  # s
    der_alarm_status: UnsignedInt  # bit map
    enabled_modes: UnsignedInt  # bit map: functions that are on


@schema_type(NS, element=True, substitutes=Dynamic_AC_CLResControlMode)
class DER_Dynamic_AC_CLResControlMode(Dynamic_AC_CLResControlMode):
    """Set-points, and changes of limits and grid code, while the station steers."""

    der_control_cl_res: DERControlCLRes
    evse_maximum_charge_power: RationalNumber | None = None  # W
    evse_maximum_charge_power_l2: RationalNumber | None = None
    evse_maximum_charge_power_l3: RationalNumber | None = None
    evse_maximum_discharge_power: RationalNumber | None = None  # W, <= 0
    evse_maximum_discharge_power_l2: RationalNumber | None = None
    evse_maximum_discharge_power_l3: RationalNumber | None = None
    required_der_operating_mode: RequiredDEROperatingMode | None = None
    grid_connection_mode: GridConnectionMode | None = None


@schema_type(NS)
class EVApparentPower:
    """New apparent power limits during the loop."""

    ev_maximum_apparent_power_during_charging_and_var_absorption: RationalNumber  # VA
    ev_maximum_apparent_power_during_charging_and_var_absorption_l2: RationalNumber | None = None
    ev_maximum_apparent_power_during_charging_and_var_absorption_l3: RationalNumber | None = None
    ev_maximum_apparent_power_during_charging_and_var_injection: RationalNumber  # VA
    ev_maximum_apparent_power_during_charging_and_var_injection_l2: RationalNumber | None = None
    ev_maximum_apparent_power_during_charging_and_var_injection_l3: RationalNumber | None = None
    ev_maximum_apparent_power_during_discharging_and_var_absorption: RationalNumber  # VA
    ev_maximum_apparent_power_during_discharging_and_var_absorption_l2: RationalNumber | None = None
    ev_maximum_apparent_power_during_discharging_and_var_absorption_l3: RationalNumber | None = None
    ev_maximum_apparent_power_during_discharging_and_var_injection: RationalNumber  # VA
    ev_maximum_apparent_power_during_discharging_and_var_injection_l2: RationalNumber | None = None
    ev_maximum_apparent_power_during_discharging_and_var_injection_l3: RationalNumber | None = None


@schema_type(NS)
class EVReactivePower:
    """New reactive power limits during the loop."""

    ev_maximum_var_absorption_during_charging: RationalNumber  # var
    ev_maximum_var_absorption_during_charging_l2: RationalNumber | None = None
    ev_maximum_var_absorption_during_charging_l3: RationalNumber | None = None
    ev_minimum_var_absorption_during_charging: RationalNumber | None = None  # var
    ev_minimum_var_absorption_during_charging_l2: RationalNumber | None = None
    ev_minimum_var_absorption_during_charging_l3: RationalNumber | None = None
    ev_maximum_var_injection_during_charging: RationalNumber  # var, <= 0
    ev_maximum_var_injection_during_charging_l2: RationalNumber | None = None
    ev_maximum_var_injection_during_charging_l3: RationalNumber | None = None
    ev_minimum_var_injection_during_charging: RationalNumber | None = None  # var, <= 0
    ev_minimum_var_injection_during_charging_l2: RationalNumber | None = None
    ev_minimum_var_injection_during_charging_l3: RationalNumber | None = None
    ev_maximum_var_absorption_during_discharging: RationalNumber  # var
    ev_maximum_var_absorption_during_discharging_l2: RationalNumber | None = None
    ev_maximum_var_absorption_during_discharging_l3: RationalNumber | None = None
    ev_minimum_var_absorption_during_discharging: RationalNumber | None = None  # var
    ev_minimum_var_absorption_during_discharging_l2: RationalNumber | None = None
    ev_minimum_var_absorption_during_discharging_l3: RationalNumber | None = None
    ev_maximum_var_injection_during_discharging: RationalNumber  # var, <= 0
    ev_maximum_var_injection_during_discharging_l2: RationalNumber | None = None
    ev_maximum_var_injection_during_discharging_l3: RationalNumber | None = None
    ev_minimum_var_injection_during_discharging: RationalNumber | None = None  # var, <= 0
    ev_minimum_var_injection_during_discharging_l2: RationalNumber | None = None
    ev_minimum_var_injection_during_discharging_l3: RationalNumber | None = None


@schema_type(NS)
class EVExcitation:
    """New discharge power limits at given power factors during the loop."""

    ev_specified_over_excited_power_factor: RationalNumber | None = None  # over 0, at most 1
    ev_specified_over_excited_power_factor_l2: RationalNumber | None = None
    ev_specified_over_excited_power_factor_l3: RationalNumber | None = None
    ev_specified_over_excited_discharge_power: RationalNumber  # W
    ev_specified_over_excited_discharge_power_l2: RationalNumber | None = None
    ev_specified_over_excited_discharge_power_l3: RationalNumber | None = None
    ev_specified_under_excited_power_factor: RationalNumber | None = None  # over 0, at most 1
    ev_specified_under_excited_power_factor_l2: RationalNumber | None = None
    ev_specified_under_excited_power_factor_l3: RationalNumber | None = None
    ev_specified_under_excited_discharge_power: RationalNumber  # W
    ev_specified_under_excited_discharge_power_l2: RationalNumber | None = None
    ev_specified_under_excited_discharge_power_l3: RationalNumber | None = None


# --- the grid code: blocks --------------------------------------------------------------------


@schema_type(NS)
class DERControlCPDRes:
    """The complete grid code; a station without one must not offer this service."""

    voltage_trip: VoltageTrip
    frequency_trip: FrequencyTrip
    enter_service_cpd_res: EnterServiceCPDRes
    reactive_power_support_cpd_res: ReactivePowerSupportCPDRes
    active_power_support_cpd_res: ActivePowerSupportCPDRes


@schema_type(NS)
class DERControlCLRes:
    """Blocks of the grid code that have changed, and the permit to serve every time."""

    voltage_trip: VoltageTrip | None = None
    frequency_trip: FrequencyTrip | None = None
    enter_service_cl_res: EnterServiceCLRes
    reactive_power_support_cl_res: ReactivePowerSupportCLRes | None = None
    active_power_support_cl_res: ActivePowerSupportCLRes | None = None


@schema_type(NS)
class VoltageTrip:
    """Voltage beyond these curves (x s, y V or % of nominal): disconnect, pause, or free to leave."""

    over_voltage_must_trip_curve: DERCurve
    under_voltage_must_trip_curve: DERCurve
    over_voltage_momentary_cessation_trip_curve: DERCurve | None = None  # cease, stay ready
    under_voltage_momentary_cessation_trip_curve: DERCurve | None = None
    over_voltage_may_trip_curve: DERCurve | None = None  # may disconnect
    under_voltage_may_trip_curve: DERCurve | None = None


@schema_type(NS)
class FrequencyTrip:
    """Frequency beyond these curves (x s, y Hz): disconnect, or free to leave."""

    over_frequency_must_trip_curve: DERCurve
    under_frequency_must_trip_curve: DERCurve
    over_frequency_may_trip_curve: DERCurve | None = None  # may disconnect
    under_frequency_may_trip_curve: DERCurve | None = None


@schema_type(NS)
class EnterServiceCPDRes:
    """When the EV may start to serve the grid, or return to it."""

    permit_service: Bool  # false: leave DER operation; charging may go on
    enter_service_voltage_high: RationalNumber  # V
    enter_service_voltage_low: RationalNumber  # V
    enter_service_frequency_high: RationalNumber  # Hz
    enter_service_frequency_low: RationalNumber  # Hz
    enter_service_delay: RationalNumber | None = None  # s; needs the ramp time
    enter_service_randomized_delay: RationalNumber | None = None  # s, upper bound of a random wait
    enter_service_ramp_time: RationalNumber | None = None  # s


@schema_type(NS)
class EnterServiceCLRes:
    """The permit to serve, and what has changed about entering service."""

    permit_service: Bool  # false: leave DER operation; charging may go on
    enter_service_voltage_high: RationalNumber | None = None  # V
    enter_service_voltage_low: RationalNumber | None = None  # V
    enter_service_frequency_high: RationalNumber | None = None  # Hz
    enter_service_frequency_low: RationalNumber | None = None  # Hz
    enter_service_delay: RationalNumber | None = None  # s; needs the ramp time
    enter_service_randomized_delay: RationalNumber | None = None  # s, upper bound of a random wait
    enter_service_ramp_time: RationalNumber | None = None  # s


@schema_type(NS)
class ReactivePowerSupportCPDRes:
    """All reactive power functions; one of them at a time is enabled."""

    constant_power_factor: ConstantPowerFactor
    volt_var: VoltVar
    watt_var: WattVar
    constant_var: ConstantVar


@schema_type(NS)
class ReactivePowerSupportCLRes:
    """Reactive power functions that have changed."""

    constant_power_factor: ConstantPowerFactor | None = None
    volt_var: VoltVar | None = None
    watt_var: WattVar | None = None
    constant_var: ConstantVar | None = None


@schema_type(NS)
class ActivePowerSupportCPDRes:
    """All functions that limit or set active power."""

    frequency_droop: FrequencyDroop
    volt_watt: VoltWatt
    constant_watt: ConstantWatt
    limit_max_discharge_power: LimitMaxDischargePower


@schema_type(NS)
class ActivePowerSupportCLRes:
    """Active power functions that have changed."""

    frequency_droop: FrequencyDroop | None = None
    volt_watt: VoltWatt | None = None
    constant_watt: ConstantWatt | None = None
    limit_max_discharge_power: LimitMaxDischargePower | None = None


# --- the grid code: functions -----------------------------------------------------------------


@schema_type(NS, element=True)
class FrequencyDroop:
    """Power follows frequency outside a dead band; a side that is absent is off."""

    enable: Bool
    priority: UnsignedShort | None = None  # lower is stronger, presumed
    over_frequency_droop: FrequencyDroopSettings | None = None
    under_frequency_droop: FrequencyDroopSettings | None = None


@schema_type(NS)
class FrequencyDroopSettings:
    """Droop on one side of the nominal frequency."""

    db: Annotated[RationalNumber, Xml("db")]  # Hz, dead band
    droop_factor: RationalNumber  # per-unit frequency per per-unit power
    droop_factor_l2: RationalNumber | None = None
    droop_factor_l3: RationalNumber | None = None
    power_reference: PowerReference
    power_reference_l2: PowerReference | None = None
    power_reference_l3: PowerReference | None = None
    open_loop_response_time: RationalNumber  # s to 90 %


@schema_type(NS)
class ConstantPowerFactor:
    """A fixed power factor."""

    enable: Bool
    priority: UnsignedShort | None = None
    power_factor_value: RationalNumber  # over 0, at most 1
    power_factor_value_l2: RationalNumber | None = None
    power_factor_value_l3: RationalNumber | None = None
    power_factor_excitation: PowerFactorExcitation
    power_factor_excitation_l2: PowerFactorExcitation | None = None
    power_factor_excitation_l3: PowerFactorExcitation | None = None


@schema_type(NS)
class ConstantVar:
    """A fixed reactive power."""

    enable: Bool
    priority: UnsignedShort | None = None
    var_setpoint: RationalNumber  # % of `unit`; negative injects
    var_setpoint_l2: RationalNumber | None = None
    var_setpoint_l3: RationalNumber | None = None
    unit: DerUnit


@schema_type(NS)
class ConstantWatt:
    """A fixed active power."""

    enable: Bool
    priority: UnsignedShort | None = None
    watt_setpoint: RationalNumber  # % of `unit`
    watt_setpoint_l2: RationalNumber | None = None
    watt_setpoint_l3: RationalNumber | None = None
    unit: DerUnit


@schema_type(NS)
class LimitMaxDischargePower:
    """A cap on discharging alone; charging is not touched."""

    enable: Bool
    priority: UnsignedShort | None = None
    percentage_value: UnsignedShort  # 0 to 100 % of the configured maximum
    percentage_value_l2: UnsignedShort | None = None
    percentage_value_l3: UnsignedShort | None = None
    open_loop_response_time: RationalNumber | None = None  # s to 90 %


@schema_type(NS)
class VoltVar:
    """Reactive power by voltage, Q(U)."""

    enable: Bool
    priority: UnsignedShort | None = None
    x_unit: Annotated[DerUnit, Xml("xUnit")]
    y_unit: Annotated[DerUnit, Xml("yUnit")]
    curve_data_points: CurveDataPointsList
    curve_data_points_l2: CurveDataPointsList | None = None
    curve_data_points_l3: CurveDataPointsList | None = None
    open_loop_response_time: RationalNumber  # s to 90 %
    time_constant_pt1: UnsignedInt | None = None  # unit not settled
    reference_voltage: RationalNumber  # V
    autonomous_reference_voltage_adjustment_enable: Bool  # the reference follows the grid slowly
    reference_voltage_adjustment_time_constant: UnsignedInt  # s


@schema_type(NS)
class VoltWatt:
    """A limit of discharge power by voltage, P(U)."""

    enable: Bool
    priority: UnsignedShort | None = None
    x_unit: Annotated[DerUnit, Xml("xUnit")]
    y_unit: Annotated[DerUnit, Xml("yUnit")]
    curve_data_points: CurveDataPointsList
    curve_data_points_l2: CurveDataPointsList | None = None
    curve_data_points_l3: CurveDataPointsList | None = None
    open_loop_response_time: RationalNumber  # s to 90 %
    time_constant_pt1: UnsignedInt | None = None  # unit not settled


@schema_type(NS)
class WattVar:
    """Reactive power by active power, Q(P)."""

    enable: Bool
    priority: UnsignedShort | None = None
    x_unit: Annotated[DerUnit, Xml("xUnit")]
    y_unit: Annotated[DerUnit, Xml("yUnit")]
    curve_data_points: CurveDataPointsList
    curve_data_points_l2: CurveDataPointsList | None = None
    curve_data_points_l3: CurveDataPointsList | None = None
    open_loop_response_time: RationalNumber | None = None  # s to 90 %
    time_constant_pt1: UnsignedInt | None = None  # unit not settled


@schema_type(NS)
class DERCurve:
    """A trip curve: x duration in s, ascending; y the threshold."""

    enable: Bool
    priority: UnsignedShort | None = None
    x_unit: Annotated[DerUnit, Xml("xUnit")]
    y_unit: Annotated[DerUnit, Xml("yUnit")]
    curve_data_points: CurveDataPointsList
    curve_data_points_l2: CurveDataPointsList | None = None
    curve_data_points_l3: CurveDataPointsList | None = None


@schema_type(NS)
class CurveDataPointsList:
    """The points of a curve, x ascending. Some peers cannot read a full list: prefer at most 9."""

    curve_data_point: Annotated[tuple[DataTuple, ...], Occurs(2, 10)]


@schema_type(NS)
class DataTuple:
    """A point of a curve."""

    x_value: Annotated[RationalNumber, Xml("xValue")]
    y_value: Annotated[RationalNumber, Xml("yValue")]
