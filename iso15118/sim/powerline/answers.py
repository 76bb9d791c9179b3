"""What modems answer when they are asked, by maker: a table from request to answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from iso15118.sim.powerline.modem import Modem
from iso15118.sim.powerline.parameters import checksum
from iso15118.wire import homeplug, homeplug_vendor
from iso15118.wire.homeplug import Message

PHY_RATE_MBPS: Final = 9
LARGEST_PIECE: Final = 1400
PARAMETERS: Final = 2
"""ModuleID of the parameter block."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question at a modem: from its own host (`local`) or over the powerline; `members` are the other modems of
    its network that are there, `heard` all it hears, `chance` gives nonces.
    """

    modem: Modem
    request: Any
    local: bool
    members: Sequence[Modem]
    heard: Sequence[Modem]
    chance: random.Random
    now: float


Answer = Callable[[Asked], Message | None]


# --- what all makers answer -----------------------------------------------------------------------


def set_key(asked: Asked) -> Message | None:
    """A key is taken from the own host alone."""
    if not asked.local:
        return None
    asked.modem.set_key(asked.request, asked.now)
    return homeplug.SetKeyCnf(
        result=asked.modem.config.set_key_result,
        my_nonce=asked.chance.randbytes(4),
        your_nonce=asked.request.my_nonce,
    )


def get_key(asked: Asked) -> Message:
    """The key itself goes to the own host alone."""
    return homeplug.GetKeyCnf(
        result=0 if asked.local else 1,
        my_nonce=asked.chance.randbytes(4),
        your_nonce=asked.request.my_nonce,
        nid=asked.modem.key.nid,
        key=asked.modem.key.nmk if asked.local else bytes(16),
    )


def network_statistics(asked: Asked) -> Message:
    """The rate to each member."""
    return homeplug.NwStatsCnf(
        stations=tuple(
            homeplug.StationRate(mac=m.mac, tx_mbps=PHY_RATE_MBPS, rx_mbps=PHY_RATE_MBPS)
            for m in asked.members
        )
    )


def network_information(asked: Asked) -> Message:
    """The network it is in: an EVSE's modem makes one even when it is alone."""
    coordinator = _coordinator(asked)
    if coordinator is None:
        return homeplug.NwInfoCnf()
    modem = asked.modem
    network = homeplug.Network(
        nid=modem.key.nid,
        snid=_snid(coordinator),
        tei=modem.tei,
        role=_network_role(modem),
        cco_mac=coordinator.mac,
    )
    return homeplug.NwInfoCnf(networks=(network,))


def discover_list(asked: Asked) -> Message:
    """The members of its network, and the networks of others it hears."""
    members = {modem.mac for modem in asked.members}
    stations = tuple(
        homeplug.HeardStation(mac=m.mac, tei=m.tei, same_network=1, average_ble=PHY_RATE_MBPS)
        for m in asked.members
    )
    foreign = [m for m in asked.heard if m.mac not in members and m.config.role == "EVSE"]
    networks = tuple(
        homeplug.HeardNetwork(nid=m.key.nid, snid=_snid(m), hybrid_mode=4, beacon_slots=1) for m in foreign
    )
    return homeplug.DiscoverListCnf(stations=stations, networks=networks)


def bridged_hosts(asked: Asked) -> Message:
    """The host behind it."""
    return homeplug.BrgInfoCnf(tei=asked.modem.tei, hosts=(asked.modem.host,))


def _coordinator(asked: Asked) -> Modem | None:
    everybody = (asked.modem, *asked.members)
    return next((m for m in everybody if m.config.role == "EVSE"), None)


def _network_role(modem: Modem) -> int:
    return 2 if modem.config.role == "EVSE" else 0


def _snid(coordinator: Modem) -> int:
    """The short identifier of a network, 1 to 15."""
    return 1 + coordinator.mac[-1] % 15


# --- Qualcomm -----------------------------------------------------------------------------------


def software_version(asked: Asked) -> Message:
    """The firmware's name."""
    config = asked.modem.config
    return homeplug_vendor.VsSwVerCnf(device_id=config.device_id, version=config.firmware)


def attributes(asked: Asked) -> Message:
    """Chip, firmware, mains frequency."""
    config = asked.modem.config
    major, minor = config.version
    return homeplug_vendor.VsOpAttributesCnf(
        cookie=asked.request.cookie,
        report_type=asked.request.report_type,
        hardware=config.firmware.split("-")[1],
        software="MAC",
        major=major,
        minor=minor,
        build_date="20140815",
        release="CS",
        line=1 if config.line_hz == 50 else 2,
    )


def restart(asked: Asked) -> Message | None:
    """It says so, and is gone."""
    if not asked.local:
        return None
    asked.modem.reset(asked.now)
    return homeplug_vendor.VsRsDevCnf()


def link_status(asked: Asked) -> Message:
    """Up with somebody else in the network."""
    return homeplug_vendor.VsPlLnkStatusCnf(link_status=int(bool(asked.members)))


def read_module(asked: Asked) -> Message:
    """A piece of the parameter block; `status` is not 0 where there is none of the kind."""
    request, block = asked.request, asked.modem.config.parameters
    piece = block[request.offset : request.offset + min(request.length, LARGEST_PIECE)]
    known = request.module_id == PARAMETERS and bool(piece)
    piece = piece if known else b""
    return homeplug_vendor.VsRdModCnf(
        status=0 if known else 0x10,
        module_id=request.module_id,
        length=len(piece),
        offset=request.offset,
        checksum=checksum(piece),
        data=piece,
    )


def vendor_network(asked: Asked) -> Message:
    """The network with its members, the older form."""
    networks = _networks(asked, homeplug_vendor.VsNetwork, homeplug_vendor.VsStation)
    return homeplug_vendor.VsNwInfoCnf(networks=networks)


def vendor_network_v1(asked: Asked) -> Message:
    """The network with its members."""
    networks = _networks(asked, homeplug_vendor.VsNetworkV1, homeplug_vendor.VsStationV1)
    length = 2 + sum(32 + 24 * len(network.stations) for network in networks)
    return homeplug_vendor.VsNwInfoCnfV1(length=length, networks=networks)


def _networks(asked: Asked, network: Callable[..., Any], station: Callable[..., Any]) -> tuple[Any, ...]:
    coordinator = _coordinator(asked)
    if coordinator is None:
        return ()
    stations = tuple(
        station(mac=m.mac, tei=m.tei, bridged_mac=m.host, tx_mbps=PHY_RATE_MBPS, rx_mbps=PHY_RATE_MBPS)
        for m in asked.members
    )
    mine = network(
        nid=asked.modem.key.nid,
        snid=_snid(coordinator),
        tei=asked.modem.tei,
        role=_network_role(asked.modem),
        cco_mac=coordinator.mac,
        cco_tei=coordinator.tei,
        stations=stations,
    )
    return (mine,)


# --- Lumissil -----------------------------------------------------------------------------------


def lumissil_version(asked: Asked) -> Message:
    """The firmware's version."""
    major, minor = asked.modem.config.version
    return homeplug_vendor.LumissilGetVersionCnf(
        request_id=asked.request.request_id, major=major, minor=minor
    )


def lumissil_reset(asked: Asked) -> None:
    """It is gone without a word."""
    if asked.local:
        asked.modem.reset(asked.now)


def lumissil_state(asked: Asked) -> Message:
    """1 unassociated, 5 station, 6 coordinator."""
    is_evse = asked.modem.config.role == "EVSE"
    state = 6 if is_evse else 5 if asked.members else 1
    return homeplug_vendor.LumissilGetDeviceStateCnf(request_id=asked.request.request_id, state=state)


def lumissil_link(asked: Asked) -> Message:
    """Up with somebody else in the network."""
    return homeplug_vendor.LumissilGetDLinkStatusCnf(
        request_id=asked.request.request_id, link_status=int(bool(asked.members))
    )


# --- Vertexcom ----------------------------------------------------------------------------------


def vertexcom_version(asked: Asked) -> Message:
    """The firmware's name."""
    return homeplug_vendor.VertexcomGetVersionCnf(details=asked.modem.config.firmware.encode())


def vertexcom_reset(asked: Asked) -> Message | None:
    """It says so, and is gone."""
    if not asked.local:
        return None
    asked.modem.reset(asked.now)
    return homeplug_vendor.VertexcomResetCnf()


def vertexcom_status(asked: Asked) -> Message:
    """Role and link."""
    is_evse = int(asked.modem.config.role == "EVSE")
    linked = int(bool(asked.members))
    return homeplug_vendor.VertexcomGetStatusCnf(
        cco=is_evse, preferred_cco=is_evse, link_connect_status=linked, ready_operation=1
    )


# --- the tables ---------------------------------------------------------------------------------

_EVERYBODY: Final[dict[type[Message], Answer]] = {
    homeplug.SetKeyReq: set_key,
    homeplug.GetKeyReq: get_key,
    homeplug.NwStatsReq: network_statistics,
    homeplug.NwInfoReq: network_information,
    homeplug.DiscoverListReq: discover_list,
    homeplug.BrgInfoReq: bridged_hosts,
}

ANSWERS: Final[Mapping[str, Mapping[type[Message], Answer]]] = MappingProxyType(
    {
        "qualcomm": _EVERYBODY
        | {
            homeplug_vendor.VsSwVerReq: software_version,
            homeplug_vendor.VsOpAttributesReq: attributes,
            homeplug_vendor.VsRsDevReq: restart,
            homeplug_vendor.VsPlLnkStatusReq: link_status,
            homeplug_vendor.VsRdModReq: read_module,
            homeplug_vendor.VsNwInfoReq: vendor_network,
            homeplug_vendor.VsNwInfoReqV1: vendor_network_v1,
        },
        "lumissil": _EVERYBODY
        | {
            homeplug_vendor.LumissilGetVersionReq: lumissil_version,
            homeplug_vendor.LumissilGetVersionReqLong: lumissil_version,
            homeplug_vendor.LumissilResetReq: lumissil_reset,
            homeplug_vendor.LumissilResetReqLong: lumissil_reset,
            homeplug_vendor.LumissilGetDeviceStateReq: lumissil_state,
            homeplug_vendor.LumissilGetDLinkStatusReq: lumissil_link,
            homeplug_vendor.LumissilGetDLinkStatusReqLong: lumissil_link,
        },
        "vertexcom": _EVERYBODY
        | {
            homeplug_vendor.VertexcomGetVersionReq: vertexcom_version,
            homeplug_vendor.VertexcomResetReq: vertexcom_reset,
            homeplug_vendor.VertexcomGetStatusReq: vertexcom_status,
        },
        "silent": {homeplug.SetKeyReq: set_key},
    }
)
"""Maker -> request -> answer. Everything else is met with silence."""

REMOTE: Final = frozenset([homeplug.GetKeyReq, homeplug_vendor.VsSwVerReq, homeplug.BrgInfoReq])
"""What a modem answers to any member of its network."""
