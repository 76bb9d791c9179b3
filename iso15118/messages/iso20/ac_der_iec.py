"""AC_DER_IEC of Amendment 1 to ISO 15118-20: the EV as a generator under EN 50549-like grid codes.

Payload type 0x8010. No message of its own: the messages of `ac` with the modes declared here, decoded with
this set because event codes differ. The grid code comes once, in the charge parameter response: open
`DERControl` first. Later the loop carries limits and the grid operator's set-points only.

Signs: power positive from the EVSE to the EV, so discharge limits are at most 0 (many peers send magnitudes).
Curve voltages in V, frequencies in Hz. A `pt1_response...` true: first-order lag with the time constant that
follows, else that time is the longest allowed. Rebuilt from peers: structure proven, meanings presumed.
"""

from __future__ import annotations

from typing import Annotated, Final

from iso15118.exi.schema import (
    Bool,
    Occurs,
    UnsignedByte,
    UnsignedInt,
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
from iso15118.messages.iso20.types import Processing, RationalNumber

NS: Final = namespaces.AC_DER_IEC


# --- charge parameters ------------------------------------------------------------------------


class EvOperatingMode(V2GEnum, schema_name="evOperatingModeType"):
    """Whether the EV's inverter follows a grid or forms one."""

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


@schema_type(NS, element=True, substitutes=AC_CPDReqEnergyTransferMode)
class DER_AC_CPDReqEnergyTransferMode(AC_CPDReqEnergyTransferMode):
    """The EV's limits in both directions, and whether it accepts the grid code last sent."""

    ev_processing: Processing  # `ONGOING`: not accepted yet, send it again or a better one
    ev_maximum_discharge_power: RationalNumber  # W, <= 0
    ev_maximum_discharge_power_l2: RationalNumber | None = None
    ev_maximum_discharge_power_l3: RationalNumber | None = None
    ev_minimum_discharge_power: RationalNumber  # W, <= 0, nearest to zero
    ev_minimum_discharge_power_l2: RationalNumber | None = None
    ev_minimum_discharge_power_l3: RationalNumber | None = None
    ev_session_total_discharge_energy_available: RationalNumber | None = None  # Wh
    ev_reactive_power_limits: EVReactivePowerLimits | None = None


@schema_type(NS)
class EVReactivePowerLimits:
    """The reactive power the EV's inverter can deliver while it charges or discharges."""

    ev_maximum_charge_reactive_power: RationalNumber  # var
    ev_maximum_charge_reactive_power_l2: RationalNumber | None = None
    ev_maximum_charge_reactive_power_l3: RationalNumber | None = None
    ev_minimum_charge_reactive_power: RationalNumber | None = None  # var
    ev_minimum_charge_reactive_power_l2: RationalNumber | None = None
    ev_minimum_charge_reactive_power_l3: RationalNumber | None = None
    ev_maximum_discharge_reactive_power: RationalNumber  # var
    ev_maximum_discharge_reactive_power_l2: RationalNumber | None = None
    ev_maximum_discharge_reactive_power_l3: RationalNumber | None = None
    ev_minimum_discharge_reactive_power: RationalNumber | None = None  # var
    ev_minimum_discharge_reactive_power_l2: RationalNumber | None = None
    ev_minimum_discharge_reactive_power_l3: RationalNumber | None = None


@schema_type(NS, element=True, substitutes=AC_CPDResEnergyTransferMode)
class DER_AC_CPDResEnergyTransferMode(AC_CPDResEnergyTransferMode):
    """The station's ratings and limits, and the grid code the EV has to obey."""

    evse_nominal_charge_power: RationalNumber  # W, rated
    evse_nominal_charge_power_l2: RationalNumber | None = None
    evse_nominal_charge_power_l3: RationalNumber | None = None
    evse_nominal_discharge_power: RationalNumber  # W, <= 0, rated
    evse_nominal_discharge_power_l2: RationalNumber | None = None
    evse_nominal_discharge_power_l3: RationalNumber | None = None
    evse_maximum_discharge_power: RationalNumber  # W, <= 0
    evse_maximum_discharge_power_l2: RationalNumber | None = None
    evse_maximum_discharge_power_l3: RationalNumber | None = None
    ev_operating_mode: EvOperatingMode
    grid_connection_mode: GridConnectionMode
    der_control: DERControl


# --- charge loop ------------------------------------------------------------------------------


@schema_type(NS, element=True, substitutes=Scheduled_AC_CLReqControlMode)
class DER_Scheduled_AC_CLReqControlMode(Scheduled_AC_CLReqControlMode):
    """The EV's limits in both directions, and alarms, while it follows a schedule."""

    ev_maximum_discharge_power: RationalNumber  # W, <= 0
    ev_maximum_discharge_power_l2: RationalNumber | None = None
    ev_maximum_discharge_power_l3: RationalNumber | None = None
    ev_minimum_discharge_power: RationalNumber  # W, <= 0
    ev_minimum_discharge_power_l2: RationalNumber | None = None
    ev_minimum_discharge_power_l3: RationalNumber | None = None
    ev_maximum_charge_reactive_power: RationalNumber | None = None  # var
    ev_maximum_charge_reactive_power_l2: RationalNumber | None = None
    ev_maximum_charge_reactive_power_l3: RationalNumber | None = None
    ev_maximum_discharge_reactive_power: RationalNumber | None = None  # var
    ev_maximum_discharge_reactive_power_l2: RationalNumber | None = None
    ev_maximum_discharge_reactive_power_l3: RationalNumber | None = None
    grid_event_condition: UnsignedByte  # 0: none; else an alarm to relay


@schema_type(NS, element=True, substitutes=Scheduled_AC_CLResControlMode)
class DER_Scheduled_AC_CLResControlMode(Scheduled_AC_CLResControlMode):
    """Limits and the grid operator's orders while the EV follows a schedule."""

    evse_maximum_charge_power: RationalNumber  # W
    evse_maximum_charge_power_l2: RationalNumber | None = None
    evse_maximum_charge_power_l3: RationalNumber | None = None
    evse_maximum_discharge_power: RationalNumber  # W, <= 0
    evse_maximum_discharge_power_l2: RationalNumber | None = None
    evse_maximum_discharge_power_l3: RationalNumber | None = None
    dso_maximum_discharge_power: RationalNumber | None = None  # W, <= 0, the grid operator's cap
    dso_maximum_discharge_power_l2: RationalNumber | None = None
    dso_maximum_discharge_power_l3: RationalNumber | None = None
    dso_q_setpoint: DSOQSetpoint | None = None
    dso_cosphi_setpoint: DSOCosPhiSetpoint | None = None


@schema_type(NS, element=True, substitutes=Dynamic_AC_CLReqControlMode)
class DER_Dynamic_AC_CLReqControlMode(Dynamic_AC_CLReqControlMode):
    """The EV's limits in both directions, and alarms, while the station steers."""

    ev_maximum_discharge_power: RationalNumber  # W, <= 0
    ev_maximum_discharge_power_l2: RationalNumber | None = None
    ev_maximum_discharge_power_l3: RationalNumber | None = None
    ev_minimum_discharge_power: RationalNumber  # W, <= 0
    ev_minimum_discharge_power_l2: RationalNumber | None = None
    ev_minimum_discharge_power_l3: RationalNumber | None = None
    ev_maximum_charge_reactive_power: RationalNumber | None = None  # var
    ev_maximum_charge_reactive_power_l2: RationalNumber | None = None
    ev_maximum_charge_reactive_power_l3: RationalNumber | None = None
    ev_maximum_discharge_reactive_power: RationalNumber | None = None  # var
    ev_maximum_discharge_reactive_power_l2: RationalNumber | None = None
    ev_maximum_discharge_reactive_power_l3: RationalNumber | None = None
    grid_event_condition: UnsignedByte  # 0: none; else an alarm to relay
    ev_maximum_v2x_energy_request: RationalNumber | None = None  # Wh, to the top of the cycling window
    ev_minimum_v2x_energy_request: RationalNumber | None = None  # Wh, to its bottom
    ev_session_total_discharge_energy_available: RationalNumber | None = None  # Wh


@schema_type(NS, element=True, substitutes=Dynamic_AC_CLResControlMode)
class DER_Dynamic_AC_CLResControlMode(Dynamic_AC_CLResControlMode):
    """Set-points, limits and the grid operator's orders while the station steers."""

    evse_maximum_charge_power: RationalNumber  # W
    evse_maximum_charge_power_l2: RationalNumber | None = None
    evse_maximum_charge_power_l3: RationalNumber | None = None
    evse_maximum_discharge_power: RationalNumber  # W, <= 0
    evse_maximum_discharge_power_l2: RationalNumber | None = None
    evse_maximum_discharge_power_l3: RationalNumber | None = None
    dso_maximum_discharge_power: RationalNumber | None = None  # W, <= 0, the grid operator's cap
    dso_maximum_discharge_power_l2: RationalNumber | None = None
    dso_maximum_discharge_power_l3: RationalNumber | None = None
    dso_q_setpoint: DSOQSetpoint | None = None
    dso_cosphi_setpoint: DSOCosPhiSetpoint | None = None


@schema_type(NS)
class DSOQSetpoint:
    """Reactive power ordered by the grid operator."""

    dso_q_setpoint_value: RationalNumber  # var
    dso_q_setpoint_value_l2: RationalNumber | None = None
    dso_q_setpoint_value_l3: RationalNumber | None = None
    pt1_response_reactive_power: Bool
    step_response_time_constant_reactive_power: RationalNumber  # s


@schema_type(NS)
class DSOCosPhiSetpoint:
    """Power factor ordered by the grid operator."""

    dso_cosphi_setpoint_value: RationalNumber  # over 0, at most 1
    dso_cosphi_setpoint_value_l2: RationalNumber | None = None
    dso_cosphi_setpoint_value_l3: RationalNumber | None = None
    excitation: PowerFactorExcitation
    pt1_response_reactive_power: Bool
    step_response_time_constant_reactive_power: RationalNumber  # s


# --- the grid code ----------------------------------------------------------------------------


class PowerReference(V2GEnum, schema_name="powerReferenceType"):
    """The power a slope is a share of."""

    MAXIMUM_DISCHARGE_POWER = "MaximumDischargePower"
    MOMENTARY_POWER = "MomentaryPower"


@schema_type(NS)
class DERControl:
    """The grid code: what to do at odd voltages and frequencies. What is absent is not asked for."""

    overvoltage_fault_ride_through: FaultRideThrough | None = None
    undervoltage_fault_ride_through: FaultRideThrough | None = None
    zero_current: ZeroCurrent | None = None
    reactive_power_support: ReactivePowerSupport | None = None
    active_power_support: ActivePowerSupport | None = None
    maximum_level_dc_injection: RationalNumber | None = None  # unit not settled: A or % of rated current


@schema_type(NS)
class FaultRideThrough:
    """Stay connected through a voltage fault and support the grid with reactive current."""

    voltage_limit_start_frt: RationalNumber  # V, enter
    voltage_limit_stop_frt: RationalNumber | None = None  # V, leave
    voltage_recovery_limit: RationalNumber | None = None  # V, power recovers from here
    # per-unit current per per-unit voltage, positive sequence
    voltage_ride_through_positive_curve_k_factor: RationalNumber | None = None
    voltage_ride_through_negative_curve_k_factor: RationalNumber | None = None  # the same, negative sequence
    pt1_response_active_power: Bool
    step_response_time_constant_active_power: RationalNumber  # s
    pt1_response_reactive_power: Bool
    step_response_time_constant_reactive_power: RationalNumber  # s


@schema_type(NS)
class ZeroCurrent:
    """Stay connected but feed no current while the voltage is outside a band."""

    over_voltage_limit: RationalNumber | None = None  # V
    under_voltage_limit: RationalNumber | None = None  # V
    over_voltage_recovery_limit: RationalNumber | None = None  # V
    under_voltage_recovery_limit: RationalNumber | None = None  # V
    pt1_response_active_power: Bool
    step_response_time_constant_active_power: RationalNumber  # s
    pt1_response_reactive_power: Bool
    step_response_time_constant_reactive_power: RationalNumber  # s


@schema_type(NS)
class ReactivePowerSupport:
    """The one curve that sets reactive power."""

    function: VoltVar | WattVar | WattCosPhi


@schema_type(NS)
class ActivePowerSupport:
    """What limits active power: frequency low or high, voltage high."""

    under_frequency_watt: FrequencyWatt | None = None
    over_frequency_watt: FrequencyWatt | None = None
    volt_watt: VoltWatt | None = None


@schema_type(NS)
class FrequencyWatt:
    """Power falls or rises with frequency beyond `fstart` (EN 50549: LFSM-U, LFSM-O)."""

    fstart: RationalNumber  # Hz
    fstop: RationalNumber  # Hz; end of the ramp or deactivation, not settled
    intentional_delay_fstop: UnsignedShort | None = None  # s presumed
    slope: RationalNumber  # share of `power_reference` per Hz presumed
    deactivation_time: UnsignedShort | None = None  # s
    intentional_delay_power_control: UnsignedShort | None = None  # s presumed
    power_reference: PowerReference
    hysteresis_control: Bool  # true: hold the lowest power reached until deactivation
    power_up_ramp: UnsignedShort | None = None  # % of rated power per min presumed
    pt1_response_active_power: Bool
    step_response_time_constant_active_power: RationalNumber  # s


@schema_type(NS)
class VoltWatt:
    """Discharge power falls from all to none between two voltages."""

    power_reference: PowerReference
    u_start: RationalNumber  # V
    u_stop: RationalNumber  # V
    pt1_response_active_power: Bool
    step_response_time_constant_active_power: RationalNumber  # s
    intentional_delay_power_control: UnsignedInt | None = None  # s presumed


# --- curves -----------------------------------------------------------------------------------


class CurveDataPointsUnit(V2GEnum, schema_name="curveDataPointsUnitType"):
    """The unit of an axis."""

    V = "V"
    HZ = "Hz"
    W = "W"
    S = "s"
    VAR = "var"


class LockValueUnit(V2GEnum, schema_name="lockValueUnitType"):
    """The unit of the values between which a curve is active."""

    V = "V"
    HZ = "Hz"
    W = "W"
    S = "s"
    VAR = "var"


@schema_type(NS)
class DERCurve:
    """A curve of 2 to 10 points, x ascending, level beyond its ends."""

    x_unit: Annotated[CurveDataPointsUnit, Xml("xUnit")]
    y_unit: Annotated[CurveDataPointsUnit, Xml("yUnit")]
    curve_data_points: CurveDataPointsList
    min_cosphi: RationalNumber | None = None  # the power factor never falls below
    lock_value_unit: LockValueUnit | None = None
    lock_in_value: RationalNumber | None = None  # acts from here upward
    lock_out_value: RationalNumber | None = None  # and stops below
    pt1_response_reactive_power: Bool
    step_response_time_constant_reactive_power: RationalNumber  # s
    intentional_delay: RationalNumber | None = None  # s


@schema_type(NS, type_name="DERCurveType", tag="VoltVar")
class VoltVar(DERCurve):
    """Reactive power by voltage, Q(U)."""


@schema_type(NS, type_name="DERCurveType", tag="WattVar")
class WattVar(DERCurve):
    """Reactive power by active power, Q(P)."""


@schema_type(NS, type_name="DERCurveType", tag="WattCosPhi")
class WattCosPhi(DERCurve):
    """Power factor by active power, cos phi(P)."""


@schema_type(NS)
class CurveDataPointsList:
    """The points of a curve. Some peers cannot read a full list: prefer at most 9."""

    curve_data_point: Annotated[tuple[DataTuple, ...], Occurs(2, 10)]


@schema_type(NS)
class DataTuple:
    """A point of a curve."""

    x_value: Annotated[RationalNumber, Xml("xValue")]
    y_value: Annotated[SetpointExcitation, Xml("yValue")]


@schema_type(NS)
class SetpointExcitation:
    """A y value; a power factor comes with its `excitation`."""

    setpoint_value: RationalNumber
    excitation: PowerFactorExcitation | None = None
