"""Management messages of the modems' makers: Qualcomm, Lumissil, Vertexcom, ST.

Their numbers collide (0xA01C restarts one make and asks another for its tone mask), so a message is known by the pair
of OUI and number. Only what is asked for or worth reading is declared; the rest has a name at most, and comes back
from `homeplug.read` as Unknown. Hosts answer none of these when it comes from anybody but their own modem.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Final

from iso15118.wire.mme import (
    AV_1_0,
    AV_1_1,
    U8,
    U16,
    U32,
    Characters,
    Counted,
    CountedCharacters,
    Key,
    Mac,
    Message,
    Nid,
    Octets,
    Reserved,
    Rest,
    Rows,
    message,
    row,
)

QUALCOMM: Final = bytes.fromhex("00b052")
LUMISSIL: Final = bytes.fromhex("0016e8")
VERTEXCOM: Final = bytes.fromhex("0013d7")
ST: Final = bytes.fromhex("0080e1")
DSPACE: Final = bytes.fromhex("644d70")
NO_OUI: Final = bytes(3)

VENDORS: Final[Mapping[bytes, str]] = {
    QUALCOMM: "Qualcomm",
    LUMISSIL: "Lumissil",
    VERTEXCOM: "Vertexcom",
    ST: "ST",
    DSPACE: "dSPACE",
}


# --- Qualcomm -----------------------------------------------------------------------------------


@message(0xA000, QUALCOMM, AV_1_0)
class VsSwVerReq(Message):
    """VS_SW_VER.REQ: which firmware?"""


@message(0xA001, QUALCOMM, AV_1_0)
class VsSwVerCnf(Message):
    """VS_SW_VER.CNF. `device_id` is the class of the chip, `version` the firmware's name."""

    status: U8 = 0
    device_id: U8
    version: Annotated[str, CountedCharacters()]


@message(0xA01C, QUALCOMM, AV_1_0)
class VsRsDevReq(Message):
    """VS_RS_DEV.REQ: restart."""


@message(0xA01D, QUALCOMM, AV_1_0)
class VsRsDevCnf(Message):
    """VS_RS_DEV.CNF; with `status` 0 the modem is gone for 1 to 5 s."""

    status: U8 = 0


@message(0xA024, QUALCOMM, AV_1_0)
class VsRdModReq(Message):
    """VS_RD_MOD.REQ: read `length` octets from `offset` of a module (1 firmware, 2 parameters)."""

    module_id: U8
    access: U8 = 0
    length: U16
    offset: U32
    secret: Annotated[bytes, Octets(16)] = field(default=bytes(16), repr=False)


@message(0xA025, QUALCOMM, AV_1_0)
class VsRdModCnf(Message):
    """VS_RD_MOD.CNF. The first `length` octets of `data` count; parameters hold keys."""

    status: Annotated[U8, Reserved(3)] = 0
    module_id: Annotated[U8, Reserved(1)]
    length: U16
    offset: U32
    checksum: U32
    data: Annotated[bytes, Rest()] = field(repr=False)


@row
class VsStation:
    """A station of the network (VS_NW_INFO, version 0); mean rates in Mbit/s."""

    mac: Mac
    tei: U8 = 0
    bridged_mac: Mac
    tx_mbps: U8 = 0
    rx_mbps: U8 = 0


@row
class VsNetwork:
    """A network the modem is in (VS_NW_INFO, version 0)."""

    nid: Nid
    snid: U8 = 0
    tei: U8 = 0
    role: U8 = 0
    cco_mac: Mac
    cco_tei: U8 = 0
    stations: Annotated[tuple[VsStation, ...], Rows(VsStation)] = ()


@message(0xA038, QUALCOMM, AV_1_0)
class VsNwInfoReq(Message):
    """VS_NW_INFO.REQ, the older form."""


@message(0xA039, QUALCOMM, AV_1_0)
class VsNwInfoCnf(Message):
    """VS_NW_INFO.CNF, the older form."""

    networks: Annotated[tuple[VsNetwork, ...], Rows(VsNetwork)] = ()


@row
class VsStationV1:
    """A station of the network (VS_NW_INFO, version 1); mean rates in Mbit/s."""

    mac: Mac
    tei: Annotated[U8, Reserved(3)] = 0
    bridged_mac: Mac
    tx_mbps: U16 = 0
    coupling: Annotated[U8, Reserved(1)] = 0
    rx_mbps: Annotated[U16, Reserved(2)] = 0


@row
class VsNetworkV1:
    """A network the modem is in (VS_NW_INFO, version 1). `role`: 0 station, 1 proxy, 2 coordinator."""

    nid: Annotated[Nid, Reserved(2)]
    snid: U8 = 0
    tei: Annotated[U8, Reserved(4)] = 0
    role: U8 = 0
    cco_mac: Mac
    cco_tei: Annotated[U8, Reserved(3)] = 0
    stations: Annotated[tuple[VsStationV1, ...], Rows(VsStationV1, between=5)] = ()


@message(0xA038, QUALCOMM, AV_1_1)
class VsNwInfoReqV1(Message):
    """VS_NW_INFO.REQ: which networks, and who is in them?"""

    sub_version: U8 = 0


@message(0xA039, QUALCOMM, AV_1_1)
class VsNwInfoCnfV1(Message):
    """VS_NW_INFO.CNF. `length` counts the octets after it and one reserved."""

    sub_version: Annotated[U8, Reserved(1)] = 0
    length: Annotated[U16, Reserved(1)]
    networks: Annotated[tuple[VsNetworkV1, ...], Rows(VsNetworkV1)] = ()


@message(0xA050, QUALCOMM, AV_1_0)
class VsSetKeyReq(Message):
    """VS_SET_KEY.REQ, what CM_SET_KEY replaces; with another station's access key it reaches that one.

    `peks`: 0x0F for the local modem, 0 for a remote one with `dak`.
    """

    eks: U8 = 1
    nmk: Key = field(repr=False)
    peks: U8 = 0x0F
    rda: Mac = bytes(6)
    dak: Key = field(default=bytes(16), repr=False)


@message(0xA068, QUALCOMM, AV_1_0)
class VsOpAttributesReq(Message):
    """VS_OP_ATTRIBUTES.REQ: what are you? `cookie` comes back."""

    cookie: U32 = 0
    report_type: U8 = 0


@message(0xA069, QUALCOMM, AV_1_0)
class VsOpAttributesCnf(Message):
    """VS_OP_ATTRIBUTES.CNF. `line`: bits 0 and 1 are the mains' frequency, 1 for 50 Hz and 2 for 60 Hz."""

    status: U16 = 0
    cookie: U32 = 0
    report_type: U8 = 0
    length: U16 = 118
    hardware: Annotated[str, Characters(16)]
    software: Annotated[str, Characters(16)]
    major: U32
    minor: U32
    pib: U32 = 0
    build: U32 = 0
    revision: U32 = 0
    build_date: Annotated[str, Characters(8)] = ""
    release: Annotated[str, Characters(12), Reserved(2)] = ""
    line: U8 = 0


@message(0xA0B8, QUALCOMM, AV_1_0)
class VsPlLnkStatusReq(Message):
    """VS_PL_LNK_STATUS.REQ: is there a link?"""


@message(0xA0B9, QUALCOMM, AV_1_0)
class VsPlLnkStatusCnf(Message):
    """VS_PL_LNK_STATUS.CNF. `link_status` 1 is up."""

    status: U8 = 0
    link_status: U8


@message(0xA14E, NO_OUI, AV_1_0)
class VsAttenCharInd(Message):
    """VS_ATTEN_CHAR.IND: newer firmware says so what CM_ATTEN_PROFILE.IND says next. Not to be counted."""

    pev_mac: Mac
    aag: Annotated[bytes, Counted(between=bytes.fromhex("001000000000000000"))]


# --- Lumissil -----------------------------------------------------------------------------------
#
# Two forms are met in the field: the short one without the fragmentation field (version 0), which the classes send,
# and the long one with it (version 1), which requests have a class of their own for. Answers are read in either.


@row
class LumissilMessage(Message):
    """Base of Lumissil's messages: the header that follows the OUI. An answer repeats the `request_id`."""

    main_version: Annotated[U16, Reserved(4)] = 0
    request_id: Annotated[U8, Reserved(12)] = 0


@message(0xAC08, LUMISSIL, AV_1_0)
class LumissilSetCcoReq(LumissilMessage):
    """NSCM_SET_CCO.REQ. `mode`: coordinate 0 as it comes, 1 never, 2 always."""

    mode: U8


@message(0xAC6C, LUMISSIL, AV_1_0)
class LumissilGetVersionReq(LumissilMessage):
    """NSCM_GET_VERSION.REQ: which firmware?"""


@message(0xAC6C, LUMISSIL, AV_1_1)
class LumissilGetVersionReqLong(LumissilGetVersionReq):
    """NSCM_GET_VERSION.REQ in the long form."""


@message(0xAC6D, LUMISSIL, AV_1_0)
class LumissilGetVersionCnf(LumissilMessage):
    """NSCM_GET_VERSION.CNF."""

    major: U16
    minor: U16
    sub: U16 = 0
    build: U16 = 0
    patch: U16 = 0


@message(0xAC70, LUMISSIL, AV_1_0)
class LumissilResetReq(LumissilMessage):
    """NSCM_RESET_DEVICE.REQ, which nothing answers. `mode`: 0 restart, 1 stay in the boot loader."""

    mode: U8 = 0


@message(0xAC70, LUMISSIL, AV_1_1)
class LumissilResetReqLong(LumissilResetReq):
    """NSCM_RESET_DEVICE.REQ in the long form."""


@message(0xAC98, LUMISSIL, AV_1_0)
class LumissilGetDeviceStateReq(LumissilMessage):
    """NSCM_GET_DEVICE_STATE.REQ: what is the modem in its network?"""


@message(0xAC99, LUMISSIL, AV_1_0)
class LumissilGetDeviceStateCnf(LumissilMessage):
    """NSCM_GET_DEVICE_STATE.CNF. `state`: 1 unassociated to 5 station, 6 coordinator."""

    state: U8


@message(0xAC9C, LUMISSIL, AV_1_0)
class LumissilGetDLinkStatusReq(LumissilMessage):
    """NSCM_GET_D_LINK_STATUS.REQ: is there a link?"""


@message(0xAC9C, LUMISSIL, AV_1_1)
class LumissilGetDLinkStatusReqLong(LumissilGetDLinkStatusReq):
    """NSCM_GET_D_LINK_STATUS.REQ in the long form."""


@message(0xAC9D, LUMISSIL, AV_1_0)
class LumissilGetDLinkStatusCnf(LumissilMessage):
    """NSCM_GET_D_LINK_STATUS.CNF. `link_status` 1 is up."""

    link_status: U8


@message(0xACA2, LUMISSIL, AV_1_0)
class LumissilHostMessageStatusInd(LumissilMessage):
    """NSCM_HOST_MESSAGE_STATUS.IND. `status`: 1 ready to join, 2 joined, 3 disconnected."""

    status: U8


# --- Vertexcom ----------------------------------------------------------------------------------


@message(0xA000, VERTEXCOM)
class VertexcomGetVersionReq(Message):
    """VS_GET_VERSION.REQ: which firmware?"""


@message(0xA001, VERTEXCOM)
class VertexcomGetVersionCnf(Message):
    """VS_GET_VERSION.CNF. How `details` are laid out is not public."""

    result: U8 = 0
    details: Annotated[bytes, Rest()] = b""


@message(0xA008, VERTEXCOM)
class VertexcomResetReq(Message):
    """VS_RESET.REQ: restart."""


@message(0xA009, VERTEXCOM)
class VertexcomResetCnf(Message):
    """VS_RESET.CNF. `result` 0 is success."""

    result: U8 = 0


@message(0xA030, VERTEXCOM)
class VertexcomGetStatusReq(Message):
    """VS_GET_STATUS.REQ: what are you in the network, and is there a link?"""


@message(0xA031, VERTEXCOM)
class VertexcomGetStatusCnf(Message):
    """VS_GET_STATUS.CNF. `link_connect_status` not 0 is up."""

    result: U8 = 0
    status: U8 = 0
    cco: U8 = 0
    preferred_cco: U8 = 0
    backup_cco: U8 = 0
    proxy_cco: U8 = 0
    simple_connect: U8 = 0
    link_connect_status: U8
    ready_operation: U8 = 0


@message(0xA10E, VERTEXCOM)
class VertexcomPwmStatsInd(Message):
    """VS_PWM_STATS.IND: the control pilot as the modem measures it; Hz, a thousandth, mV."""

    frequency_hz: Annotated[U16, Reserved(before=1)]
    duty_permille: U16
    voltage_mv: U16


# --- ST -----------------------------------------------------------------------------------------


@message(0xA22E, ST)
class StPilotInd(Message):
    """The control pilot as an ST board measures it. `state`: 1 is A, 3 is B, 5 is C, 9 is E or F; %, Hz, mV."""

    state: Annotated[U8, Reserved(before=5)]
    duty_percent: U8
    frequency_hz: U16
    voltage_mv: U16


# --- what there is ------------------------------------------------------------------------------

_DECLARED: Final = (
    *(VsSwVerReq, VsSwVerCnf, VsRsDevReq, VsRsDevCnf, VsRdModReq, VsRdModCnf, VsSetKeyReq),
    *(VsNwInfoReq, VsNwInfoCnf, VsNwInfoReqV1, VsNwInfoCnfV1, VsOpAttributesReq, VsOpAttributesCnf),
    *(VsPlLnkStatusReq, VsPlLnkStatusCnf, VsAttenCharInd),
    *(LumissilSetCcoReq, LumissilGetVersionReq, LumissilGetVersionReqLong, LumissilGetVersionCnf),
    *(LumissilResetReq, LumissilResetReqLong, LumissilGetDeviceStateReq, LumissilGetDeviceStateCnf),
    *(LumissilGetDLinkStatusReq, LumissilGetDLinkStatusReqLong, LumissilGetDLinkStatusCnf),
    *(LumissilHostMessageStatusInd, VertexcomGetVersionReq, VertexcomGetVersionCnf, VertexcomResetReq),
    *(VertexcomResetCnf, VertexcomGetStatusReq, VertexcomGetStatusCnf, VertexcomPwmStatsInd, StPilotInd),
)
MESSAGES: Final[Mapping[tuple[bytes, int, int], type[Message]]] = {
    **{(kind.OUI, kind.MMTYPE, kind.MMV): kind for kind in _DECLARED},
    (QUALCOMM, 0xA14E, AV_1_0): VsAttenCharInd,  # some firmware fills the OUI in, some does not
}
"""(OUI, message type, version) -> message."""
