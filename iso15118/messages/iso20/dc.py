"""DC of ISO 15118-20: direct current through a cable, both directions, and megawatt charging (MCS).

Payload type 0x8004; during a schedule renegotiation charge parameters travel as 0x8101. A pantograph session
(DC_ACDP) uses these messages between connecting and disconnecting. Order: ChargeParameterDiscovery,
CableCheck, PreCharge, ChargeLoop, WeldingDetection. Open `DC_ChargeLoopReq` first, then the control modes.

V, A and W throughout. Peers disagree on the sign of discharge limits: read them by magnitude.
"""

from __future__ import annotations

from typing import Final

from iso15118.exi.schema import Bool, schema_type
from iso15118.messages import namespaces
from iso15118.messages.iso20.types import (
    ChargeLoopReq,
    ChargeLoopRes,
    ChargeParameterDiscoveryReq,
    ChargeParameterDiscoveryRes,
    CLReqControlMode,
    CLResControlMode,
    Dynamic_CLReqControlMode,
    Dynamic_CLResControlMode,
    PercentValue,
    Processing,
    RationalNumber,
    Scheduled_CLReqControlMode,
    Scheduled_CLResControlMode,
    V2GRequest,
    V2GResponse,
)

NS: Final = namespaces.DC


# --- charge parameters ------------------------------------------------------------------------


@schema_type(NS, element=True)
class DC_ChargeParameterDiscoveryReq(ChargeParameterDiscoveryReq):
    """The EV states its limits."""

    dc_cpd_req_energy_transfer_mode: DC_CPDReqEnergyTransferMode


@schema_type(NS, element=True)
class DC_ChargeParameterDiscoveryRes(ChargeParameterDiscoveryRes):
    """The station states its limits."""

    dc_cpd_res_energy_transfer_mode: DC_CPDResEnergyTransferMode


@schema_type(NS, element=True)
class DC_CPDReqEnergyTransferMode:
    """What the EV can take."""

    ev_maximum_charge_power: RationalNumber  # W
    ev_minimum_charge_power: RationalNumber  # W
    ev_maximum_charge_current: RationalNumber  # A
    ev_minimum_charge_current: RationalNumber  # A
    ev_maximum_voltage: RationalNumber  # V
    ev_minimum_voltage: RationalNumber  # V
    target_soc: PercentValue | None = None


@schema_type(NS, element=True)
class DC_CPDResEnergyTransferMode:
    """What the station can give."""

    evse_maximum_charge_power: RationalNumber  # W
    evse_minimum_charge_power: RationalNumber  # W
    evse_maximum_charge_current: RationalNumber  # A
    evse_minimum_charge_current: RationalNumber  # A
    evse_maximum_voltage: RationalNumber  # V
    evse_minimum_voltage: RationalNumber  # V
    evse_power_ramp_limitation: RationalNumber | None = None  # unit not settled: W/s or %/s


@schema_type(NS, element=True, substitutes=DC_CPDReqEnergyTransferMode)
class BPT_DC_CPDReqEnergyTransferMode(DC_CPDReqEnergyTransferMode):
    """What the EV can take, and give back."""

    ev_maximum_discharge_power: RationalNumber  # W
    ev_minimum_discharge_power: RationalNumber  # W
    ev_maximum_discharge_current: RationalNumber  # A
    ev_minimum_discharge_current: RationalNumber  # A


@schema_type(NS, element=True, substitutes=DC_CPDResEnergyTransferMode)
class BPT_DC_CPDResEnergyTransferMode(DC_CPDResEnergyTransferMode):
    """What the station can give, and take back."""

    evse_maximum_discharge_power: RationalNumber  # W
    evse_minimum_discharge_power: RationalNumber  # W
    evse_maximum_discharge_current: RationalNumber  # A
    evse_minimum_discharge_current: RationalNumber  # A


# --- before energy flows ----------------------------------------------------------------------


@schema_type(NS, element=True)
class DC_CableCheckReq(V2GRequest):
    """The EV waits for the insulation test; repeated until it is finished."""


@schema_type(NS, element=True)
class DC_CableCheckRes(V2GResponse):
    """The insulation test is running, passed, or failed."""

    evse_processing: Processing


@schema_type(NS, element=True)
class DC_PreChargeReq(V2GRequest):
    """The EV asks for its battery voltage at the output before it closes its contactors."""

    ev_processing: Processing
    ev_present_voltage: RationalNumber  # V at the inlet
    ev_target_voltage: RationalNumber  # V of the battery


@schema_type(NS, element=True)
class DC_PreChargeRes(V2GResponse):
    """The station follows to the target voltage."""

    evse_present_voltage: RationalNumber  # V at the output


# --- charge loop ------------------------------------------------------------------------------


@schema_type(NS, element=True)
class DC_ChargeLoopReq(ChargeLoopReq):
    """The EV reports its voltage and states its wish; repeated for as long as energy flows."""

    ev_present_voltage: RationalNumber  # V at the inlet
    cl_req_control_mode: CLReqControlMode


@schema_type(NS, element=True)
class DC_ChargeLoopRes(ChargeLoopRes):
    """The station reports what flows, which limit it has reached, and its limits from now on."""

    evse_present_current: RationalNumber  # A, negative: from the EV
    evse_present_voltage: RationalNumber  # V at the output
    evse_power_limit_achieved: Bool  # the station cannot give more
    evse_current_limit_achieved: Bool
    evse_voltage_limit_achieved: Bool
    cl_res_control_mode: CLResControlMode


@schema_type(NS, element=True, substitutes=CLReqControlMode)
class Scheduled_DC_CLReqControlMode(Scheduled_CLReqControlMode):
    """The EV sets current and voltage within its schedule."""

    ev_target_current: RationalNumber  # A
    ev_target_voltage: RationalNumber  # V
    ev_maximum_charge_power: RationalNumber | None = None  # W
    ev_minimum_charge_power: RationalNumber | None = None  # W
    ev_maximum_charge_current: RationalNumber | None = None  # A
    ev_maximum_voltage: RationalNumber | None = None  # V
    ev_minimum_voltage: RationalNumber | None = None  # V


@schema_type(NS, element=True, substitutes=CLResControlMode)
class Scheduled_DC_CLResControlMode(Scheduled_CLResControlMode):
    """The station's limits where they have changed."""

    evse_maximum_charge_power: RationalNumber | None = None  # W
    evse_minimum_charge_power: RationalNumber | None = None  # W
    evse_maximum_charge_current: RationalNumber | None = None  # A
    evse_maximum_voltage: RationalNumber | None = None  # V


@schema_type(NS, element=True, substitutes=Scheduled_DC_CLReqControlMode)
class BPT_Scheduled_DC_CLReqControlMode(Scheduled_DC_CLReqControlMode):
    """The same in both directions; a negative target current feeds back."""

    ev_maximum_discharge_power: RationalNumber | None = None  # W
    ev_minimum_discharge_power: RationalNumber | None = None  # W
    ev_maximum_discharge_current: RationalNumber | None = None  # A


@schema_type(NS, element=True, substitutes=Scheduled_DC_CLResControlMode)
class BPT_Scheduled_DC_CLResControlMode(Scheduled_DC_CLResControlMode):
    """The station's limits in both directions where they have changed."""

    evse_maximum_discharge_power: RationalNumber | None = None  # W
    evse_minimum_discharge_power: RationalNumber | None = None  # W
    evse_maximum_discharge_current: RationalNumber | None = None  # A
    evse_minimum_voltage: RationalNumber | None = None  # V


@schema_type(NS, element=True, substitutes=CLReqControlMode)
class Dynamic_DC_CLReqControlMode(Dynamic_CLReqControlMode):
    """The EV's limits; the station sets current within them."""

    ev_maximum_charge_power: RationalNumber  # W
    ev_minimum_charge_power: RationalNumber  # W
    ev_maximum_charge_current: RationalNumber  # A
    ev_maximum_voltage: RationalNumber  # V
    ev_minimum_voltage: RationalNumber  # V


@schema_type(NS, element=True, substitutes=CLResControlMode)
class Dynamic_DC_CLResControlMode(Dynamic_CLResControlMode):
    """The station's limits while it steers."""

    evse_maximum_charge_power: RationalNumber  # W
    evse_minimum_charge_power: RationalNumber  # W
    evse_maximum_charge_current: RationalNumber  # A
    evse_maximum_voltage: RationalNumber  # V


@schema_type(NS, element=True, substitutes=Dynamic_DC_CLReqControlMode)
class BPT_Dynamic_DC_CLReqControlMode(Dynamic_DC_CLReqControlMode):
    """The EV's limits in both directions, and its window for cycling."""

    ev_maximum_discharge_power: RationalNumber  # W
    ev_minimum_discharge_power: RationalNumber  # W
    ev_maximum_discharge_current: RationalNumber  # A
    ev_maximum_v2x_energy_request: RationalNumber | None = None  # Wh, to the top of the cycling window
    ev_minimum_v2x_energy_request: RationalNumber | None = None  # Wh, to its bottom; > 0: no cycling


@schema_type(NS, element=True, substitutes=Dynamic_DC_CLResControlMode)
class BPT_Dynamic_DC_CLResControlMode(Dynamic_DC_CLResControlMode):
    """The station's limits in both directions while it steers."""

    evse_maximum_discharge_power: RationalNumber  # W
    evse_minimum_discharge_power: RationalNumber  # W
    evse_maximum_discharge_current: RationalNumber  # A
    evse_minimum_voltage: RationalNumber  # V


# --- after energy has flowed ------------------------------------------------------------------


@schema_type(NS, element=True)
class DC_WeldingDetectionReq(V2GRequest):
    """The EV has opened its contactors and watches whether the voltage falls."""

    ev_processing: Processing


@schema_type(NS, element=True)
class DC_WeldingDetectionRes(V2GResponse):
    """The voltage the station measures meanwhile."""

    evse_present_voltage: RationalNumber  # V at the output
