"""WPT of ISO 15118-20: energy over a magnetic field, from a pad in the ground to a pad under the vehicle.

Payload type 0x8006; during a schedule renegotiation charge parameters travel as 0x8101. Order:
FinePositioningSetup, FinePositioning, Pairing, ChargeParameterDiscovery, AlignmentCheck, ChargeLoop.
Open `WPT_ChargeLoopReq` first. Nothing open runs this service end to end; meanings are presumed from names.

PD: primary device, the pad in the ground. SD: secondary device, the pad under the vehicle. SPC: supply power
circuit (station). EVPC: EV power circuit. LF: low-frequency positioning. LPE: low-power excitation.
Lengths presumably in mm.
"""

from __future__ import annotations

from typing import Annotated, Final

from iso15118.exi.schema import (
    Binary,
    Bool,
    Occurs,
    Short,
    Text,
    UnsignedByte,
    UnsignedShort,
    V2GEnum,
    Xml,
    schema_type,
)
from iso15118.messages import namespaces
from iso15118.messages.iso20.types import (
    ChargeLoopReq,
    ChargeLoopRes,
    ChargeParameterDiscoveryReq,
    ChargeParameterDiscoveryRes,
    Identifier,
    NumericID,
    Processing,
    RationalNumber,
    V2GRequest,
    V2GResponse,
)

NS: Final = namespaces.WPT


# --- shared by the messages -------------------------------------------------------------------

# vendors' own
WPT_DataContainer = Annotated[bytes, Binary("base64Binary", None, 256, "WPT_DataContainerType")]


class WPT_EVResult(V2GEnum, schema_name="WPT_EVResultType"):
    """The vehicle's verdict on the step so far."""

    EV_RESULT_UNKNOWN = "EVResultUnknown"
    EV_RESULT_SUCCESS = "EVResultSuccess"
    EV_RESULT_FAILED = "EVResultFailed"


# --- fine positioning -------------------------------------------------------------------------


class WPT_FinePositioningMethod(V2GEnum, schema_name="WPT_FinePositioningMethodType"):
    """How the vehicle finds the pad: by hand, by LF signals (sender named), by LPE."""

    MANUAL = "Manual"
    LF_TX_EV = "LF_TxEV"
    LF_TX_PRIMARY_DEVICE = "LF_TxPrimaryDevice"
    LPE = "LPE"
    PROPRIETARY = "Proprietary"


class WPT_PairingMethod(V2GEnum, schema_name="WPT_PairingMethodType"):
    """How both sides make sure that they talk to the pad the vehicle stands on."""

    EXTERNAL_CONFIRMATION = "External confirmation"
    LPE = "LPE"
    LF_TX_EV = "LF_TxEV"
    LF_TX_PRIMARY_DEVICE = "LF_TxPrimaryDevice"
    OPTICAL = "Optical"
    PROPRIETARY = "Proprietary"


class WPT_AlignmentCheckMethod(V2GEnum, schema_name="WPT_AlignmentCheckMethodType"):
    """How both sides make sure that the pads are in line."""

    POWER_CHECK = "PowerCheck"
    LPE = "LPE"
    PROPRIETARY = "Proprietary"


@schema_type(NS)
class WPT_FinePositioningMethodList:
    """Positioning methods one side knows."""

    wpt_fine_positioning_method: Annotated[tuple[WPT_FinePositioningMethod, ...], Occurs(1, 8)]


@schema_type(NS)
class WPT_PairingMethodList:
    """Pairing methods one side knows."""

    wpt_pairing_method: Annotated[tuple[WPT_PairingMethod, ...], Occurs(1, 8)]


@schema_type(NS)
class WPT_AlignmentCheckMethodList:
    """Alignment check methods one side knows."""

    wpt_alignment_check_method: Annotated[tuple[WPT_AlignmentCheckMethod, ...], Occurs(1, 8)]


@schema_type(NS, element=True)
class WPT_FinePositioningSetupReq(V2GRequest):
    """The vehicle's methods, and its LF sender or receivers."""

    ev_processing: Processing
    ev_device_fine_positioning_method_list: WPT_FinePositioningMethodList
    ev_device_pairing_method_list: WPT_PairingMethodList
    ev_device_alignment_check_method_list: WPT_AlignmentCheckMethodList
    natural_offset: UnsignedShort  # mm
    vendor_specific_data_container: Annotated[tuple[WPT_DataContainer, ...], Occurs(0, 16)] = ()
    lf_system_setup_data: WPT_LF_SystemSetupData | None = None


@schema_type(NS, element=True)
class WPT_FinePositioningSetupRes(V2GResponse):
    """The station's methods, and its LF sender or receivers."""

    primary_device_fine_positioning_method_list: WPT_FinePositioningMethodList
    primary_device_pairing_method_list: WPT_PairingMethodList
    primary_device_alignment_check_method_list: WPT_AlignmentCheckMethodList
    natural_offset: UnsignedShort  # mm
    vendor_specific_data_container: Annotated[tuple[WPT_DataContainer, ...], Occurs(0, 16)] = ()
    lf_system_setup_data: WPT_LF_SystemSetupData | None = None


@schema_type(NS, element=True)
class WPT_FinePositioningReq(V2GRequest):
    """One step of moving over the pad, with the signals seen from the vehicle."""

    ev_processing: Processing
    ev_result_code: WPT_EVResult
    vendor_specific_data_container: Annotated[tuple[WPT_DataContainer, ...], Occurs(0, 16)] = ()
    wpt_lf_data_package_list: WPT_LF_DataPackageList | None = None


@schema_type(NS, element=True)
class WPT_FinePositioningRes(V2GResponse):
    """One step of moving over the pad, with the signals seen from the ground."""

    evse_processing: Processing
    vendor_specific_data_container: Annotated[tuple[WPT_DataContainer, ...], Occurs(0, 16)] = ()
    wpt_lf_data_package_list: WPT_LF_DataPackageList | None = None


# --- low-frequency signals --------------------------------------------------------------------


@schema_type(NS)
class WPT_LF_SystemSetupData:
    """The LF system of one side: it sends or it receives."""

    setup_data: LF_TransmitterSetupData | LF_ReceiverSetupData


@schema_type(NS)
class WPT_LF_TransmitterData:
    """LF transmitters, where they sit, and how they take turns."""

    number_of_transmitters: UnsignedByte
    signal_frequency: RationalNumber  # Hz
    tx_spec_data: Annotated[tuple[WPT_TxRxSpecData, ...], Occurs(2, 255)]
    tx_package_spec_data: WPT_TxRxPackageSpecData | None = None


@schema_type(NS, type_name="WPT_LF_TransmitterDataType", tag="LF_TransmitterSetupData")
class LF_TransmitterSetupData(WPT_LF_TransmitterData):
    """This side sends."""


@schema_type(NS)
class WPT_LF_ReceiverData:
    """LF receivers and where they sit."""

    number_of_receivers: UnsignedByte
    rx_spec_data: Annotated[tuple[WPT_TxRxSpecData, ...], Occurs(2, 255)]


@schema_type(NS, type_name="WPT_LF_ReceiverDataType", tag="LF_ReceiverSetupData")
class LF_ReceiverSetupData(WPT_LF_ReceiverData):
    """This side receives."""


@schema_type(NS)
class WPT_TxRxSpecData:
    """Place and direction of one LF antenna."""

    tx_rx_identifier: NumericID
    tx_rx_position: WPT_CoordinateXYZ
    tx_rx_orientation: WPT_CoordinateXYZ


@schema_type(NS)
class WPT_CoordinateXYZ:
    """A point or a direction."""

    coord_x: Annotated[Short, Xml("Coord_X")]
    coord_y: Annotated[Short, Xml("Coord_Y")]
    coord_z: Annotated[Short, Xml("Coord_Z")]


@schema_type(NS)
class WPT_TxRxPackageSpecData:
    """Timing of the LF pulses."""

    pulse_sequence_order: Annotated[tuple[WPT_TxRxPulseOrder, ...], Occurs(2, 255)]
    pulse_separation_time: UnsignedShort
    pulse_duration: UnsignedShort
    package_separation_time: UnsignedShort


@schema_type(NS)
class WPT_TxRxPulseOrder:
    """Which antenna sends the pulse with this number."""

    index_number: UnsignedShort
    tx_rx_identifier: NumericID


@schema_type(NS)
class WPT_LF_DataPackageList:
    """LF measurements of one step."""

    num_packages: UnsignedByte
    wpt_lf_data_package: WPT_LF_DataPackage


@schema_type(NS)
class WPT_LF_DataPackage:
    """One LF measurement, of the sender or of the receiver."""

    package_index: UnsignedByte
    data: LF_TxData | LF_RxData


@schema_type(NS)
class WPT_LF_TxDataList:
    """What was sent."""

    wpt_lf_tx_data_list: WPT_LF_TxData


@schema_type(NS, type_name="WPT_LF_TxDataListType", tag="LF_TxData")
class LF_TxData(WPT_LF_TxDataList):
    """The sending side's record of a package."""


@schema_type(NS)
class WPT_LF_TxData:
    """The radiated power of one antenna."""

    tx_identifier: NumericID
    eirp: RationalNumber  # dB scale, unit not settled


@schema_type(NS)
class WPT_LF_RxDataList:
    """What was received."""

    wpt_lf_rx_data_list: WPT_LF_RxData


@schema_type(NS, type_name="WPT_LF_RxDataListType", tag="LF_RxData")
class LF_RxData(WPT_LF_RxDataList):
    """The receiving side's record of a package."""


@schema_type(NS)
class WPT_LF_RxData:
    """The signal strengths one antenna saw."""

    rx_identifier: NumericID
    rssi_data: WPT_LF_RxRSSIList


@schema_type(NS)
class WPT_LF_RxRSSIList:
    """Signal strengths by transmitter."""

    rssi_data_list: WPT_LF_RxRSSI


@schema_type(NS)
class WPT_LF_RxRSSI:
    """The strength of one transmitter's signal."""

    tx_identifier: NumericID
    rssi: RationalNumber  # dB scale, unit not settled


# --- pairing ----------------------------------------------------------------------------------


@schema_type(NS, element=True)
class WPT_PairingReq(V2GRequest):
    """The vehicle shows the code it observed."""

    ev_processing: Processing
    observed_id_code: NumericID | None = None
    ev_result_code: WPT_EVResult
    vendor_specific_data_container: Annotated[tuple[WPT_DataContainer, ...], Occurs(0, 16)] = ()


@schema_type(NS, element=True)
class WPT_PairingRes(V2GResponse):
    """The station shows its own; where they differ, who else may own the pad."""

    evse_processing: Processing
    observed_id_code: NumericID | None = None
    alternative_secc_list: AlternativeSECCList | None = None
    vendor_specific_data_container: Annotated[tuple[WPT_DataContainer, ...], Occurs(0, 16)] = ()


Bssid = Annotated[str, Text("string", 12, "bssidType")]  # hexadecimal, no separators
Ipaddress = Annotated[str, Text("string", 39, "ipaddressType")]


@schema_type(NS)
class AlternativeSECCList:
    """Stations the vehicle may be paired with instead."""

    alternative_secc: Annotated[tuple[AlternativeSECC, ...], Occurs(1, 8)]


@schema_type(NS)
class AlternativeSECC:
    """How to reach another station."""

    ssid: Identifier | None = None
    bssid: Bssid | None = None
    ip_address: Ipaddress | None = None
    port: UnsignedShort | None = None


# --- charge parameters ------------------------------------------------------------------------


class WPT_PowerClass(V2GEnum, schema_name="WPT_PowerClassType"):
    """The power class of the pad in the ground."""

    MF_WPT1 = "MF-WPT1"
    MF_WPT2 = "MF-WPT2"
    MF_WPT3 = "MF-WPT3"
    MF_WPT4 = "MF-WPT4"


@schema_type(NS, element=True)
class WPT_ChargeParameterDiscoveryReq(ChargeParameterDiscoveryReq):
    """What the vehicle can take, and how high its pad sits."""

    evpc_max_receivable_power: RationalNumber  # W
    sd_max_ground_clearence: UnsignedShort  # mm
    sd_min_ground_clearence: UnsignedShort  # mm
    evpc_natural_frequency: RationalNumber  # Hz
    evpc_device_local_control: Bool  # the vehicle controls its power itself
    vendor_specific_data_container: Annotated[tuple[WPT_DataContainer, ...], Occurs(0, 16)] = ()


@schema_type(NS, element=True)
class WPT_ChargeParameterDiscoveryRes(ChargeParameterDiscoveryRes):
    """What the pad can give, and at which heights."""

    pd_input_power_class: WPT_PowerClass
    sd_min_output_power: RationalNumber  # W
    sd_max_output_power: RationalNumber  # W
    sd_max_ground_clearance_support: UnsignedShort  # mm
    sd_min_ground_clearance_support: UnsignedShort  # mm
    pd_min_coil_current: RationalNumber  # A
    pd_max_coil_current: RationalNumber  # A
    sd_manufacturer_specific_data_container: Annotated[tuple[WPT_DataContainer, ...], Occurs(0, 16)] = ()


# --- alignment check --------------------------------------------------------------------------


@schema_type(NS, element=True)
class WPT_AlignmentCheckReq(V2GRequest):
    """The vehicle asks for a small current in the pad and watches what arrives."""

    ev_processing: Processing
    target_coil_current: RationalNumber | None = None  # A
    ev_result_code: WPT_EVResult
    vendor_specific_data_container: Annotated[tuple[WPT_DataContainer, ...], Occurs(0, 16)] = ()


@schema_type(NS, element=True)
class WPT_AlignmentCheckRes(V2GResponse):
    """What the station drove into the pad."""

    evse_processing: Processing
    power_transmitted: RationalNumber | None = None  # W
    supply_device_current: RationalNumber | None = None  # A
    vendor_specific_data_container: Annotated[tuple[WPT_DataContainer, ...], Occurs(0, 16)] = ()


# --- charge loop ------------------------------------------------------------------------------


class WPT_EVPCChargeDiagnostics(V2GEnum, schema_name="WPT_EVPCChargeDiagnosticsType"):
    """What is wrong in the vehicle's pad or electronics."""

    EVPC_NO_ISSUE = "EVPCNoIssue"
    EVPC_TEMP_OVERHEAT_DETECTED = "EVPCTempOverheatDetected"
    EVPC_POWER_TRANSFER_ANOMALY_DETECTED = "EVPCPowerTransferAnomalyDetected"
    EVPC_ANOMALY_DETECTED = "EVPCAnomalyDetected"


class WPT_SPCChargeDiagnostics(V2GEnum, schema_name="WPT_SPCChargeDiagnosticsType"):
    """What is wrong at the station: foreign object (FOD), living object (LOP), heat, power."""

    SPC_NO_ISSUE = "SPCNoIssue"
    SPC_FOD_DETECTED = "SPCFODDetected"
    SPC_LOP_DETECTED = "SPCLOPDetected"
    SPC_TEMP_OVERHEAT_DETECTED = "SPCTempOverheatDetected"
    SPC_POWER_TRANSFER_ANOMALY_DETECTED = "SPCPowerTransferAnomalyDetected"
    SPC_ANOMALY_DETECTED = "SPCAnomalyDetected"


@schema_type(NS)
class WPT_EVPCPowerControlParameter:
    """The vehicle's side of the power control loop."""

    evpc_coil_current_request: RationalNumber  # A
    evpc_coil_current_information: RationalNumber  # A
    evpc_current_output_information: RationalNumber  # A
    evpc_voltage_output_information: RationalNumber  # V


@schema_type(NS)
class WPT_SPCPowerControlParameter:
    """The station's side of the power control loop."""

    spc_primary_device_coil_current_information: RationalNumber  # A


@schema_type(NS, element=True)
class WPT_ChargeLoopReq(ChargeLoopReq):
    """The power the vehicle wants and gets; repeated for as long as energy flows."""

    evpc_power_request: RationalNumber  # W
    evpc_power_output: RationalNumber  # W
    evpc_charge_diagnostics: WPT_EVPCChargeDiagnostics
    evpc_operating_frequency: RationalNumber | None = None  # Hz
    evpc_power_control_parameter: WPT_EVPCPowerControlParameter | None = None
    manufacturer_specific_data_container: Annotated[tuple[WPT_DataContainer, ...], Occurs(0, 16)] = ()


@schema_type(NS, element=True)
class WPT_ChargeLoopRes(ChargeLoopRes):
    """The power the station drives, and its limits from now on."""

    evpc_power_request: RationalNumber  # W, echoed
    sd_power_input: RationalNumber | None = None  # W
    spc_max_output_power_limit: RationalNumber  # W
    spc_min_output_power_limit: RationalNumber  # W
    spc_charge_diagnostics: WPT_SPCChargeDiagnostics
    spc_operating_frequency: RationalNumber | None = None  # Hz
    spc_power_control_parameter: WPT_SPCPowerControlParameter | None = None
    manufacturer_specific_data_container: Annotated[tuple[WPT_DataContainer, ...], Occurs(0, 16)] = ()
