"""HomePlug management messages: Ethernet frames of type 0x88E1, those of matching (ISO 15118-3) in full.

    frame = read(octets)                                  # tolerant: tag, padding and length as they come
    write(Frame(BROADCAST, our_mac, SlacParmReq(run_id=run_id)))

Reading raises nothing but FramingError, and that only where a known message is cut off or the frame is none at all;
what is not known comes back as `Unknown`. All addresses inside messages of matching are those of hosts, never of
modems. Messages of the vendors are in `homeplug_vendor`, how all of them are declared in `mme`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, TypeAlias

from iso15118.errors import FramingError
from iso15118.wire import homeplug_vendor, mme
from iso15118.wire.mme import U8, U16, Key, Mac, Nid, Nonce, Reserved, Rows, RunId, StationId, message, row

Message: TypeAlias = mme.Message
Unknown: TypeAlias = mme.Unknown

ETHERTYPE: Final = 0x88E1
VLAN_ETHERTYPE: Final = 0x8100
MAC_OCTETS: Final = 6
MIN_FRAME: Final = 60
"""Octets of the shortest frame, without the check sequence and without a tag."""
MAX_FRAME: Final = 1514
"""Octets of the longest frame, likewise."""

BROADCAST: Final = b"\xff" * 6
LOCAL_MODEM: Final = bytes.fromhex("00b052000001")
"""The modem at the host's own port, whatever its address; does not cross the powerline."""

NO_STATION: Final = bytes(17)
"""PEV_ID, EVSE_ID and the like, which nobody uses."""
MATCHING: Final = 0x00
"""APPLICATION_TYPE: matching of EV and EVSE."""
NO_SECURITY: Final = 0x00
"""SECURITY_TYPE: the exchange is in the clear."""


# --- the frame ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Frame:
    """A message on its way. `mmv`: the version written, None for the message's own; `vlan`: the 802.1Q tag."""

    destination: bytes
    source: bytes
    message: Message
    mmv: int | None = None
    vlan: int | None = None


def read(octets: bytes) -> Frame:
    """The message in an Ethernet frame. FramingError says what is wrong and where; nothing else is raised."""
    octets = bytes(octets)
    at, vlan = 2 * MAC_OCTETS, None
    if _big(octets, at) == VLAN_ETHERTYPE:
        vlan, at = _big(octets, at + 2), at + 4
    ethertype = _big(octets, at)
    if ethertype != ETHERTYPE:
        raise FramingError(f"Ethernet type {ethertype:#06x} is not HomePlug's 0x88e1", bit=at * 8)
    mmv, at = mme.Uint(1).read(octets, at + 2)
    mmtype, at = mme.Uint(2).read(octets, at)
    fragment = 0
    if mmv > mme.AV_1_0:
        fragment, at = mme.Uint(2).read(octets, at)
    content = _read_message(octets, at, mmtype, mmv, fragment)
    return Frame(octets[:6], octets[6:12], content, mmv, vlan)


def _big(octets: bytes, at: int) -> int:
    return int.from_bytes(mme.take(octets, at, 2), "big")


def _read_message(octets: bytes, at: int, mmtype: int, mmv: int, fragment: int) -> Message:
    """Vendors use the same numbers: the pair of vendor and number tells what it is."""
    oui = octets[at : at + 3] if mmtype >= mme.VENDOR_FIRST else b""
    table = homeplug_vendor.MESSAGES if oui else MESSAGES
    known = (table.get((oui, mmtype, version)) for version in (mmv, mme.AV_1_1, mme.AV_1_0))
    kind = next(filter(None, known), None)
    if kind is None or fragment:
        return Unknown(mmtype=mmtype, payload=octets[at:], fragment=fragment)
    content, _ = mme.read_fields(kind, octets, at + len(oui))
    return content


def write(frame: Frame) -> bytes:
    """The Ethernet frame, padded with zeros to 60 octets (64 with a tag). FramingError names a bad value."""
    content = frame.message
    mmv = content.MMV if frame.mmv is None else frame.mmv
    if isinstance(content, Unknown):
        mmtype, fragment, body = content.mmtype, content.fragment, content.payload
    else:
        mmtype, fragment, body = content.MMTYPE, 0, content.OUI + mme.write_fields(content)
    tag = _tag(frame.vlan)
    head = _addresses(frame) + tag + ETHERTYPE.to_bytes(2, "big")
    head += mme.Uint(1).write(mmv) + mme.Uint(2).write(mmtype)
    head += mme.Uint(2).write(fragment) if mmv > mme.AV_1_0 else b""
    octets = (head + body).ljust(MIN_FRAME + len(tag), b"\0")
    if len(octets) > MAX_FRAME + len(tag):
        raise FramingError(f"a frame of {len(octets)} octets, the limit is {MAX_FRAME}")
    return octets


def _addresses(frame: Frame) -> bytes:
    for name, mac in (("destination", frame.destination), ("source", frame.source)):
        if len(mac) != MAC_OCTETS:
            raise FramingError(f"an address of {len(mac)} octets instead of {MAC_OCTETS}", (name,))
    return frame.destination + frame.source


def _tag(vlan: int | None) -> bytes:
    if vlan is None:
        return b""
    if not 0 <= vlan <= 0xFFFF:
        raise FramingError(f"{vlan} does not fit 16 bits", ("vlan",))
    return VLAN_ETHERTYPE.to_bytes(2, "big") + vlan.to_bytes(2, "big")


# --- matching -----------------------------------------------------------------------------------


@message(0x6064)
class SlacParmReq(Message):
    """CM_SLAC_PARM.REQ, EV to all: which EVSEs are there?"""

    application_type: U8 = MATCHING
    security_type: U8 = NO_SECURITY
    run_id: RunId


@message(0x6065)
class SlacParmCnf(Message):
    """CM_SLAC_PARM.CNF, EVSE to EV: here is one; sound like this. `time_out` in 100 ms."""

    msound_target: Mac = BROADCAST
    num_sounds: U8
    time_out: U8
    resp_type: U8 = 1
    forwarding_sta: Mac
    application_type: U8 = MATCHING
    security_type: U8 = NO_SECURITY
    run_id: RunId


@message(0x606A)
class StartAttenCharInd(Message):
    """CM_START_ATTEN_CHAR.IND, EV to all, three times: sounds follow. `time_out` in 100 ms."""

    application_type: U8 = MATCHING
    security_type: U8 = NO_SECURITY
    num_sounds: U8
    time_out: U8
    resp_type: U8 = 1
    forwarding_sta: Mac
    run_id: RunId


@message(0x6076)
class MnbcSoundInd(Message):
    """CM_MNBC_SOUND.IND, EV to all: a sound. `cnt` tells how many follow."""

    application_type: U8 = MATCHING
    security_type: U8 = NO_SECURITY
    sender_id: StationId = NO_STATION
    cnt: U8
    run_id: Annotated[RunId, Reserved(8)]
    random: Annotated[bytes, mme.Octets(16)]


@message(0x6086)
class AttenProfileInd(Message):
    """CM_ATTEN_PROFILE.IND, the EVSE's modem to its host: how a sound was heard, dB for each group."""

    pev_mac: Mac
    aag: Annotated[bytes, mme.Counted(between=bytes(1))]


@message(0x606E)
class AttenCharInd(Message):
    """CM_ATTEN_CHAR.IND, EVSE to EV: what `num_sounds` sounds were heard like on average, dB for each group."""

    application_type: U8 = MATCHING
    security_type: U8 = NO_SECURITY
    source_address: Mac
    run_id: RunId
    source_id: StationId = NO_STATION
    resp_id: StationId = NO_STATION
    num_sounds: U8
    aag: Annotated[bytes, mme.Counted()]


@message(0x606F)
class AttenCharRsp(Message):
    """CM_ATTEN_CHAR.RSP, EV to each EVSE that reported: thank you. `result` 0 is success."""

    application_type: U8 = MATCHING
    security_type: U8 = NO_SECURITY
    source_address: Mac
    run_id: RunId
    source_id: StationId = NO_STATION
    resp_id: StationId = NO_STATION
    result: U8 = 0


@message(0x6078)
class ValidateReq(Message):
    """CM_VALIDATE.REQ, EV to EVSE: step 1 (`timer` 0) asks for the pilot, step 2 announces toggles.

    The window of step 2 is (`timer` + 1) x 100 ms. There is no run id: the address tells whose it is.
    """

    signal_type: U8 = 0
    timer: U8 = 0
    result: U8 = 1


@message(0x6079)
class ValidateCnf(Message):
    """CM_VALIDATE.CNF, EVSE to EV: ready or not (step 1), or how many toggles were seen (step 2).

    `result`: 0 not ready, 1 ready, 2 success, 3 failure, 4 not required.
    """

    signal_type: U8 = 0
    toggle_num: U8 = 0
    result: U8


@message(0x607C)
class SlacMatchReq(Message):
    """CM_SLAC_MATCH.REQ, EV to the EVSE of its choice."""

    application_type: U8 = MATCHING
    security_type: U8 = NO_SECURITY
    mvf_length: U16 = 0x3E
    pev_id: StationId = NO_STATION
    pev_mac: Mac
    evse_id: StationId = NO_STATION
    evse_mac: Mac
    run_id: Annotated[RunId, Reserved(8)]


@message(0x607D)
class SlacMatchCnf(Message):
    """CM_SLAC_MATCH.CNF, EVSE to EV: the key of the network, in the clear."""

    application_type: U8 = MATCHING
    security_type: U8 = NO_SECURITY
    mvf_length: U16 = 0x56
    pev_id: StationId = NO_STATION
    pev_mac: Mac
    evse_id: StationId = NO_STATION
    evse_mac: Mac
    run_id: Annotated[RunId, Reserved(8)]
    nid: Annotated[Nid, Reserved(1)]
    nmk: Key = field(repr=False)


# --- the modem's key ----------------------------------------------------------------------------

_HLE: Final = 0x04
"""PID: a protocol of higher layers."""


@message(0x6008)
class SetKeyReq(Message):
    """CM_SET_KEY.REQ, host to its modem: join the network of this key."""

    key_type: U8 = 1
    my_nonce: Nonce = bytes(4)
    your_nonce: Nonce = bytes(4)
    pid: U8 = _HLE
    prn: U16 = 0
    pmn: U8 = 0
    cco_capability: U8 = 0
    nid: Nid
    new_eks: U8 = 1
    new_key: Key = field(repr=False)


@message(0x6009)
class SetKeyCnf(Message):
    """CM_SET_KEY.CNF. `result` is 1 for success from most modems, 0 by the text; `your_nonce` echoes ours."""

    result: U8
    my_nonce: Nonce = bytes(4)
    your_nonce: Nonce
    pid: U8 = _HLE
    prn: U16 = 0
    pmn: U8 = 0xFF
    cco_capability: U8 = 0


@message(0x600C)
class GetKeyReq(Message):
    """CM_GET_KEY.REQ: who is in the network? To all, it counts modems: each one answers."""

    request_type: U8 = 0
    key_type: U8 = 1
    nid: Nid = bytes(7)
    my_nonce: Nonce = bytes(4)
    pid: U8 = _HLE
    prn: U16 = 0
    pmn: U8 = 0


@message(0x600D)
class GetKeyCnf(Message):
    """CM_GET_KEY.CNF. `result` is 0 from the modem at our port, 1 from others, which keep the key to themselves."""

    result: U8
    key_type: U8 = 1
    my_nonce: Nonce = bytes(4)
    your_nonce: Nonce
    nid: Nid
    eks: U8 = 1
    pid: U8 = _HLE
    prn: U16 = 0
    pmn: U8 = 0xFF
    key: Key = field(repr=False)


@message(0x601C)
class AmpMapReq(Message):
    """CM_AMP_MAP.REQ: transmit so much weaker. One value for each carrier: 0 to 14 in steps of 2 dB, 15 for off."""

    amplitudes: Annotated[tuple[int, ...], mme.Nibbles()]


@message(0x601D)
class AmpMapCnf(Message):
    """CM_AMP_MAP.CNF. `result` 0 is success."""

    result: U8 = 0


# --- the state of the network -------------------------------------------------------------------


@row
class StationRate:
    """A station of our network and the mean rates to and from it in Mbit/s."""

    mac: Mac
    tx_mbps: U8
    rx_mbps: U8


@message(0x6048)
class NwStatsReq(Message):
    """CM_NW_STATS.REQ: how fast is it?"""


@message(0x6049)
class NwStatsCnf(Message):
    """CM_NW_STATS.CNF; no station means alone."""

    stations: Annotated[tuple[StationRate, ...], Rows(StationRate)] = ()


@row
class Network:
    """A network the modem is in. `role`: 0 station, 1 proxy coordinator, 2 coordinator."""

    nid: Nid
    snid: U8 = 0
    tei: U8 = 0
    role: U8 = 0
    cco_mac: Mac
    access: U8 = 0
    coordinated: U8 = 0


@message(0x6038)
class NwInfoReq(Message):
    """CM_NW_INFO.REQ: which networks are you in?"""


@message(0x6039)
class NwInfoCnf(Message):
    """CM_NW_INFO.CNF."""

    networks: Annotated[tuple[Network, ...], Rows(Network)] = ()


@row
class HeardStation:
    """A modem that another one hears. `same_network` is 1 for those with its key."""

    mac: Mac
    tei: U8 = 0
    same_network: U8
    snid: U8 = 0
    flags: U8 = 0
    signal_level: U8 = 0
    average_ble: U8 = 0


@row
class HeardNetwork:
    """A network that a modem hears the beacons of."""

    nid: Nid
    snid: U8 = 0
    hybrid_mode: U8 = 0
    beacon_slots: U8 = 0
    cco_status: U8 = 0
    beacon_offset: U16 = 0


@message(0x0014)
class DiscoverListReq(Message):
    """CC_DISCOVER_LIST.REQ: whom do you hear? The link poll every vendor answers."""


@message(0x0015)
class DiscoverListCnf(Message):
    """CC_DISCOVER_LIST.CNF. The link is up where a station of the same network is heard."""

    stations: Annotated[tuple[HeardStation, ...], Rows(HeardStation)] = ()
    networks: Annotated[tuple[HeardNetwork, ...], Rows(HeardNetwork)] = ()


@message(0x6020)
class BrgInfoReq(Message):
    """CM_BRG_INFO.REQ: which hosts are behind you?"""


@message(0x6021)
class BrgInfoCnf(Message):
    """CM_BRG_INFO.CNF: addresses behind a modem."""

    bridging: U8 = 1
    tei: U8 = 0
    hosts: Annotated[tuple[bytes, ...], Rows(mme.Octets(6))] = ()


_DECLARED: Final = (
    *(SlacParmReq, SlacParmCnf, StartAttenCharInd, MnbcSoundInd, AttenProfileInd, AttenCharInd, AttenCharRsp),
    *(ValidateReq, ValidateCnf, SlacMatchReq, SlacMatchCnf, SetKeyReq, SetKeyCnf, GetKeyReq, GetKeyCnf),
    *(AmpMapReq, AmpMapCnf, NwStatsReq, NwStatsCnf, NwInfoReq, NwInfoCnf, DiscoverListReq, DiscoverListCnf),
    *(BrgInfoReq, BrgInfoCnf),
)
MESSAGES: Final[Mapping[tuple[bytes, int, int], type[Message]]] = {
    (kind.OUI, kind.MMTYPE, kind.MMV): kind for kind in _DECLARED
}
"""(no vendor, message type, version) -> message."""


# --- keys ---------------------------------------------------------------------------------------

_NID_ROUNDS: Final = 5
_PASSPHRASE_ROUNDS: Final = 1000
_NMK_SALT: Final = bytes.fromhex("08856daf7cf58186")
_DAK_SALT: Final = bytes.fromhex("08856daf7cf58185")


def derive_nid(nmk: bytes, security_level: int = 0) -> bytes:
    """The identifier (7 octets) that follows from a network's key (16 octets).

    For whoever makes a key; an EV takes the identifier as it comes, some EVSEs do not derive theirs.
    """
    digest = nmk
    for _ in range(_NID_ROUNDS):
        digest = hashlib.sha256(digest).digest()
    return digest[:6] + bytes([digest[6] >> 4 | security_level << 4])


def nmk_from_passphrase(passphrase: str) -> bytes:
    """The network key (16 octets) of a pass phrase; matching uses random keys instead."""
    return _stretched(passphrase, _NMK_SALT)


def dak_from_passphrase(passphrase: str) -> bytes:
    """The device access key (16 octets) of a pass phrase."""
    return _stretched(passphrase, _DAK_SALT)


def _stretched(passphrase: str, salt: bytes) -> bytes:
    digest = passphrase.encode() + salt
    for _ in range(_PASSPHRASE_ROUNDS):
        digest = hashlib.sha256(digest).digest()
    return digest[:16]
