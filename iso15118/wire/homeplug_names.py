"""The names engineers know management messages by, the standard's and the vendors'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from iso15118.wire.homeplug_vendor import LUMISSIL, NO_OUI, QUALCOMM, ST, VENDORS, VERTEXCOM
from iso15118.wire.mme import Message, Unknown

_OPERATIONS: Final = ("REQ", "CNF", "IND", "RSP")
_NAMES: Final[Mapping[int, str]] = {
    0x0014: "CC_DISCOVER_LIST",
    0x6000: "CM_ASSOCIATED_STA",
    0x6004: "CM_ENCRYPTED_PAYLOAD",
    0x6008: "CM_SET_KEY",
    0x600C: "CM_GET_KEY",
    0x6010: "CM_SC_JOIN",
    0x6014: "CM_CHAN_EST",
    0x6018: "CM_TM_UPDATE",
    0x601C: "CM_AMP_MAP",
    0x6020: "CM_BRG_INFO",
    0x6024: "CM_CONN_NEW",
    0x6034: "CM_STA_CAP",
    0x6038: "CM_NW_INFO",
    0x603C: "CM_GET_BEACON",
    0x6040: "CM_HFID",
    0x6044: "CM_MME_ERROR",
    0x6048: "CM_NW_STATS",
    0x6060: "CM_STA_IDENTIFY",
    0x6064: "CM_SLAC_PARM",
    0x6068: "CM_START_ATTEN_CHAR",
    0x606C: "CM_ATTEN_CHAR",
    0x6070: "CM_PKCS_CERT",
    0x6074: "CM_MNBC_SOUND",
    0x6078: "CM_VALIDATE",
    0x607C: "CM_SLAC_MATCH",
    0x6080: "CM_SLAC_USER_DATA",
    0x6084: "CM_ATTEN_PROFILE",
}
_VENDOR_NAMES: Final[Mapping[tuple[bytes, int], str]] = {
    (QUALCOMM, 0xA000): "VS_SW_VER",
    (QUALCOMM, 0xA004): "VS_WR_MEM",
    (QUALCOMM, 0xA008): "VS_RD_MEM",
    (QUALCOMM, 0xA00C): "VS_ST_MAC",
    (QUALCOMM, 0xA010): "VS_GET_NVM",
    (QUALCOMM, 0xA01C): "VS_RS_DEV",
    (QUALCOMM, 0xA020): "VS_WR_MOD",
    (QUALCOMM, 0xA024): "VS_RD_MOD",
    (QUALCOMM, 0xA028): "VS_MOD_NVM",
    (QUALCOMM, 0xA02C): "VS_WD_RPT",
    (QUALCOMM, 0xA030): "VS_LNK_STATS",
    (QUALCOMM, 0xA034): "VS_SNIFFER",
    (QUALCOMM, 0xA038): "VS_NW_INFO",
    (QUALCOMM, 0xA048): "VS_LOOPBACK",
    (QUALCOMM, 0xA050): "VS_SET_KEY",
    (QUALCOMM, 0xA060): "VS_HST_ACTION",
    (QUALCOMM, 0xA068): "VS_OP_ATTRIBUTES",
    (QUALCOMM, 0xA06C): "VS_ENET_SETTINGS",
    (QUALCOMM, 0xA070): "VS_TONE_MAP_CHAR",
    (QUALCOMM, 0xA07C): "VS_FAC_DEFAULTS",
    (QUALCOMM, 0xA090): "VS_RX_TONE_MAP_CHAR",
    (QUALCOMM, 0xA0B0): "VS_MODULE_OPERATION",
    (QUALCOMM, 0xA0B8): "VS_PL_LNK_STATUS",
    (QUALCOMM, 0xA0F8): "VS_GET_PROPERTY",
    (QUALCOMM, 0xA100): "VS_SET_PROPERTY",
    (QUALCOMM, 0xA14C): "VS_ATTEN_CHAR",
    (NO_OUI, 0xA14C): "VS_ATTEN_CHAR",
    (LUMISSIL, 0xAC08): "NSCM_SET_CCO",
    (LUMISSIL, 0xAC48): "NSCM_LINK_STATS",
    (LUMISSIL, 0xAC6C): "NSCM_GET_VERSION",
    (LUMISSIL, 0xAC70): "NSCM_RESET_DEVICE",
    (LUMISSIL, 0xAC98): "NSCM_GET_DEVICE_STATE",
    (LUMISSIL, 0xAC9C): "NSCM_GET_D_LINK_STATUS",
    (LUMISSIL, 0xACA0): "NSCM_HOST_MESSAGE_STATUS",
    (LUMISSIL, 0xACA8): "NSCM_D_LINK_TERMINATE",
    (LUMISSIL, 0xACAC): "NSCM_DEVICE_INFO",
    (LUMISSIL, 0xACB0): "NSCM_GET_AMP_MAP",
    (VERTEXCOM, 0xA000): "VS_GET_VERSION",
    (VERTEXCOM, 0xA008): "VS_RESET",
    (VERTEXCOM, 0xA01C): "VS_GET_TONEMASK",
    (VERTEXCOM, 0xA030): "VS_GET_STATUS",
    (VERTEXCOM, 0xA038): "VS_GET_SNR",
    (VERTEXCOM, 0xA040): "VS_LINK_STATS",
    (VERTEXCOM, 0xA0FC): "VS_GET_NW_INFO",
    (VERTEXCOM, 0xA104): "VS_SET_NVRAM",
    (VERTEXCOM, 0xA108): "VS_GET_NVRAM",
    (VERTEXCOM, 0xA10C): "VS_PWM_STATS",
    (VERTEXCOM, 0xA110): "VS_PWM_CONF",
    (VERTEXCOM, 0xA118): "VS_PWM_GENERATION",
    (VERTEXCOM, 0xA11C): "VS_SPI_STATS",
    (VERTEXCOM, 0xA138): "VS_SNIFFER_CONF",
    (VERTEXCOM, 0xA13C): "VS_SET_REMOTE_ACCESS",
    (VERTEXCOM, 0xA140): "VS_GET_REMOTE_ACCESS",
    (VERTEXCOM, 0xA4FC): "VS_FILE_ACCESS",
    (ST, 0xA22C): "ST_CP_STATE",
}
"""(OUI, message type of the request) -> the name without .REQ, .CNF, .IND or .RSP."""


def name_of(content: Message) -> str:
    """The name engineers know a message by, like CM_SLAC_PARM.REQ; MMTYPE 0x.... where it has none here."""
    mmtype, oui = content.MMTYPE, content.OUI
    if isinstance(content, Unknown):
        mmtype, oui = content.mmtype, content.oui
    base = _VENDOR_NAMES.get((oui, mmtype & ~3)) if oui else _NAMES.get(mmtype & ~3)
    if base:
        return f"{base}.{_OPERATIONS[mmtype & 3]}"
    return f"MMTYPE {mmtype:#06x}" + (f" of {VENDORS[oui]}" if oui in VENDORS else "")
