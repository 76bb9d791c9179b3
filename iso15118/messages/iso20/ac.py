"""AC of ISO 15118-20: alternating current, the EV's own charger or inverter, both directions.

Payload type 0x8003; during a schedule renegotiation charge parameters travel as 0x8101. Order:
ChargeParameterDiscovery, then ChargeLoop. Open `AC_ChargeLoopReq` first, then the control modes.
The grid-code services AC_DER_IEC and AC_DER_SAE send these messages with modes of their own.

`_l2`, `_l3`: per phase, and the field before them is phase 1; absent: the field before is the sum of all
phases, evenly split. Peers disagree on the sign of discharge limits: read them by magnitude.
"""

from __future__ import annotations

from typing import Final

from iso15118.exi.schema import schema_type
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
    RationalNumber,
    Scheduled_CLReqControlMode,
    Scheduled_CLResControlMode,
)

NS: Final = namespaces.AC


# --- charge parameters ------------------------------------------------------------------------


@schema_type(NS, element=True)
class AC_ChargeParameterDiscoveryReq(ChargeParameterDiscoveryReq):
    """The EV states its limits."""

    ac_cpd_req_energy_transfer_mode: AC_CPDReqEnergyTransferMode


@schema_type(NS, element=True)
class AC_ChargeParameterDiscoveryRes(ChargeParameterDiscoveryRes):
    """The station states its limits and the grid frequency."""

    ac_cpd_res_energy_transfer_mode: AC_CPDResEnergyTransferMode


@schema_type(NS, element=True)
class AC_CPDReqEnergyTransferMode:
    """What the EV can take."""

    ev_maximum_charge_power: RationalNumber  # W
    ev_maximum_charge_power_l2: RationalNumber | None = None
    ev_maximum_charge_power_l3: RationalNumber | None = None
    ev_minimum_charge_power: RationalNumber  # W
    ev_minimum_charge_power_l2: RationalNumber | None = None
    ev_minimum_charge_power_l3: RationalNumber | None = None


@schema_type(NS, element=True)
class AC_CPDResEnergyTransferMode:
    """What the station can give."""

    evse_maximum_charge_power: RationalNumber  # W
    evse_maximum_charge_power_l2: RationalNumber | None = None
    evse_maximum_charge_power_l3: RationalNumber | None = None
    evse_minimum_charge_power: RationalNumber  # W
    evse_minimum_charge_power_l2: RationalNumber | None = None
    evse_minimum_charge_power_l3: RationalNumber | None = None
    evse_nominal_frequency: RationalNumber  # Hz
    maximum_power_asymmetry: RationalNumber | None = None  # W presumed, between phases
    evse_power_ramp_limitation: RationalNumber | None = None  # unit not settled: W/s or %/s
    evse_present_active_power: RationalNumber | None = None  # W
    evse_present_active_power_l2: RationalNumber | None = None
    evse_present_active_power_l3: RationalNumber | None = None


@schema_type(NS, element=True, substitutes=AC_CPDReqEnergyTransferMode)
class BPT_AC_CPDReqEnergyTransferMode(AC_CPDReqEnergyTransferMode):
    """What the EV can take, and feed back."""

    ev_maximum_discharge_power: RationalNumber  # W
    ev_maximum_discharge_power_l2: RationalNumber | None = None
    ev_maximum_discharge_power_l3: RationalNumber | None = None
    ev_minimum_discharge_power: RationalNumber  # W
    ev_minimum_discharge_power_l2: RationalNumber | None = None
    ev_minimum_discharge_power_l3: RationalNumber | None = None


@schema_type(NS, element=True, substitutes=AC_CPDResEnergyTransferMode)
class BPT_AC_CPDResEnergyTransferMode(AC_CPDResEnergyTransferMode):
    """What the station can give, and take back."""

    evse_maximum_discharge_power: RationalNumber  # W
    evse_maximum_discharge_power_l2: RationalNumber | None = None
    evse_maximum_discharge_power_l3: RationalNumber | None = None
    evse_minimum_discharge_power: RationalNumber  # W
    evse_minimum_discharge_power_l2: RationalNumber | None = None
    evse_minimum_discharge_power_l3: RationalNumber | None = None


# --- charge loop ------------------------------------------------------------------------------


@schema_type(NS, element=True)
class AC_ChargeLoopReq(ChargeLoopReq):
    """The EV reports what flows and states its wish; repeated for as long as energy flows."""

    cl_req_control_mode: CLReqControlMode


@schema_type(NS, element=True)
class AC_ChargeLoopRes(ChargeLoopRes):
    """The station answers with set-points or limits."""

    evse_target_frequency: RationalNumber | None = None  # Hz
    cl_res_control_mode: CLResControlMode


@schema_type(NS, element=True, substitutes=CLReqControlMode)
class Scheduled_AC_CLReqControlMode(Scheduled_CLReqControlMode):
    """The EV draws what its schedule allows and says how much that is."""

    ev_maximum_charge_power: RationalNumber | None = None  # W
    ev_maximum_charge_power_l2: RationalNumber | None = None
    ev_maximum_charge_power_l3: RationalNumber | None = None
    ev_minimum_charge_power: RationalNumber | None = None  # W
    ev_minimum_charge_power_l2: RationalNumber | None = None
    ev_minimum_charge_power_l3: RationalNumber | None = None
    ev_present_active_power: RationalNumber  # W
    ev_present_active_power_l2: RationalNumber | None = None
    ev_present_active_power_l3: RationalNumber | None = None
    ev_present_reactive_power: RationalNumber | None = None  # var
    ev_present_reactive_power_l2: RationalNumber | None = None
    ev_present_reactive_power_l3: RationalNumber | None = None


@schema_type(NS, element=True, substitutes=CLResControlMode)
class Scheduled_AC_CLResControlMode(Scheduled_CLResControlMode):
    """Targets within the schedule, where the station has any."""

    evse_target_active_power: RationalNumber | None = None  # W
    evse_target_active_power_l2: RationalNumber | None = None
    evse_target_active_power_l3: RationalNumber | None = None
    evse_target_reactive_power: RationalNumber | None = None  # var
    evse_target_reactive_power_l2: RationalNumber | None = None
    evse_target_reactive_power_l3: RationalNumber | None = None
    evse_present_active_power: RationalNumber | None = None  # W
    evse_present_active_power_l2: RationalNumber | None = None
    evse_present_active_power_l3: RationalNumber | None = None


@schema_type(NS, element=True, substitutes=Scheduled_AC_CLReqControlMode)
class BPT_Scheduled_AC_CLReqControlMode(Scheduled_AC_CLReqControlMode):
    """The same in both directions; negative power feeds back."""

    ev_maximum_discharge_power: RationalNumber | None = None  # W
    ev_maximum_discharge_power_l2: RationalNumber | None = None
    ev_maximum_discharge_power_l3: RationalNumber | None = None
    ev_minimum_discharge_power: RationalNumber | None = None  # W
    ev_minimum_discharge_power_l2: RationalNumber | None = None
    ev_minimum_discharge_power_l3: RationalNumber | None = None


@schema_type(NS, element=True, substitutes=Scheduled_AC_CLResControlMode)
class BPT_Scheduled_AC_CLResControlMode(Scheduled_AC_CLResControlMode):
    """The same as for charging alone; a negative target feeds back."""


@schema_type(NS, element=True, substitutes=CLReqControlMode)
class Dynamic_AC_CLReqControlMode(Dynamic_CLReqControlMode):
    """The EV's limits; the station sets the power within them."""

    ev_maximum_charge_power: RationalNumber  # W
    ev_maximum_charge_power_l2: RationalNumber | None = None
    ev_maximum_charge_power_l3: RationalNumber | None = None
    ev_minimum_charge_power: RationalNumber  # W
    ev_minimum_charge_power_l2: RationalNumber | None = None
    ev_minimum_charge_power_l3: RationalNumber | None = None
    ev_present_active_power: RationalNumber  # W
    ev_present_active_power_l2: RationalNumber | None = None
    ev_present_active_power_l3: RationalNumber | None = None
    ev_present_reactive_power: RationalNumber  # var
    ev_present_reactive_power_l2: RationalNumber | None = None
    ev_present_reactive_power_l3: RationalNumber | None = None


@schema_type(NS, element=True, substitutes=CLResControlMode)
class Dynamic_AC_CLResControlMode(Dynamic_CLResControlMode):
    """The power the station wants now."""

    evse_target_active_power: RationalNumber  # W
    evse_target_active_power_l2: RationalNumber | None = None
    evse_target_active_power_l3: RationalNumber | None = None
    evse_target_reactive_power: RationalNumber | None = None  # var
    evse_target_reactive_power_l2: RationalNumber | None = None
    evse_target_reactive_power_l3: RationalNumber | None = None
    evse_present_active_power: RationalNumber | None = None  # W
    evse_present_active_power_l2: RationalNumber | None = None
    evse_present_active_power_l3: RationalNumber | None = None


@schema_type(NS, element=True, substitutes=Dynamic_AC_CLReqControlMode)
class BPT_Dynamic_AC_CLReqControlMode(Dynamic_AC_CLReqControlMode):
    """The EV's limits in both directions, and its window for cycling."""

    ev_maximum_discharge_power: RationalNumber  # W
    ev_maximum_discharge_power_l2: RationalNumber | None = None
    ev_maximum_discharge_power_l3: RationalNumber | None = None
    ev_minimum_discharge_power: RationalNumber  # W
    ev_minimum_discharge_power_l2: RationalNumber | None = None
    ev_minimum_discharge_power_l3: RationalNumber | None = None
    ev_maximum_v2x_energy_request: RationalNumber | None = None  # Wh, to the top of the cycling window
    ev_minimum_v2x_energy_request: RationalNumber | None = None  # Wh, to its bottom; > 0: no cycling


@schema_type(NS, element=True, substitutes=Dynamic_AC_CLResControlMode)
class BPT_Dynamic_AC_CLResControlMode(Dynamic_AC_CLResControlMode):
    """The same as for charging alone; a negative target feeds back."""
