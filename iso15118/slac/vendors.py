"""What modems of different makers are asked in different ways: who they are, whether there is a link, to restart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from iso15118.wire import homeplug_vendor as vendor
from iso15118.wire.homeplug import (
    DiscoverListCnf,
    DiscoverListReq,
    GetKeyCnf,
    GetKeyReq,
    Message,
    Unknown,
)
from iso15118.wire.mme import VENDOR_FIRST

_OPERATION: Final = 0x03
"""Bits of a message type that tell request (0), confirmation, indication and response apart."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request, the class of its answer, and what the answer says as text."""

    request: Message
    answer: type[Message]
    text: Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Poll:
    """A way to ask for the link: a request, the class of its answer, and whether an answer says that it is up."""

    name: str
    request: Message
    answer: type[Message]
    says: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Reset:
    """A request to restart; `answer` is None where a modem just goes."""

    request: Message
    answer: type[Message] | None = None


@dataclass(frozen=True, slots=True)
class Vendor:
    """A maker's modems. `long`: the same with a longer header in front, where some firmware wants that."""

    name: str
    version: Question
    link: Poll
    reset: Reset
    long: tuple[Message, Message, Message] | None = None

    def with_long_header(self) -> Vendor:
        """The same vendor, asked with the long header where there is one."""
        if self.long is None:
            return self
        version, link, reset = self.long
        return replace(
            self,
            version=replace(self.version, request=version),
            link=replace(self.link, request=link),
            reset=replace(self.reset, request=reset),
        )


def is_vendor_request(message: Message) -> bool:
    """Whether a message asks a modem for what only its own host should: anything a maker has defined."""
    mmtype = message.mmtype if isinstance(message, Unknown) else message.MMTYPE
    return mmtype >= VENDOR_FIRST and mmtype & _OPERATION == 0


# --- polls any modem may answer -----------------------------------------------------------------

DISCOVERY: Final = Poll(
    "CC_DISCOVER_LIST",
    DiscoverListReq(),
    DiscoverListCnf,
    lambda answer: any(station.same_network == 1 for station in answer.stations),
)
"""Up where a station of the same network is heard."""
COUNTING: Final = Poll("CM_GET_KEY to all", GetKeyReq(), GetKeyCnf, lambda _: False)
"""Up where two modems answer; who counts them is `modem`."""

# --- makers -------------------------------------------------------------------------------------


def _numbers(answer: vendor.LumissilGetVersionCnf) -> str:
    return f"{answer.major}.{answer.minor}.{answer.sub}.{answer.build}.{answer.patch}"


VENDORS: Final[Mapping[str, Vendor]] = {
    "qualcomm": Vendor(
        "qualcomm",
        Question(vendor.VsSwVerReq(), vendor.VsSwVerCnf, lambda answer: str(answer.version)),
        Poll(
            "VS_PL_LNK_STATUS",
            vendor.VsPlLnkStatusReq(),
            vendor.VsPlLnkStatusCnf,
            lambda answer: answer.link_status == 1,
        ),
        Reset(vendor.VsRsDevReq(), vendor.VsRsDevCnf),
    ),
    "lumissil": Vendor(
        "lumissil",
        Question(vendor.LumissilGetVersionReq(), vendor.LumissilGetVersionCnf, _numbers),
        Poll(
            "NSCM_GET_D_LINK_STATUS",
            vendor.LumissilGetDLinkStatusReq(),
            vendor.LumissilGetDLinkStatusCnf,
            lambda answer: answer.link_status == 1,
        ),
        Reset(vendor.LumissilResetReq()),
        long=(
            vendor.LumissilGetVersionReqLong(),
            vendor.LumissilGetDLinkStatusReqLong(),
            vendor.LumissilResetReqLong(),
        ),
    ),
    "vertexcom": Vendor(
        "vertexcom",
        Question(vendor.VertexcomGetVersionReq(), vendor.VertexcomGetVersionCnf, lambda _: ""),
        Poll(
            "VS_GET_STATUS",
            vendor.VertexcomGetStatusReq(),
            vendor.VertexcomGetStatusCnf,
            lambda answer: answer.link_connect_status != 0,
        ),
        Reset(vendor.VertexcomResetReq(), vendor.VertexcomResetCnf),
    ),
}
"""By the name that configurations use, in the order they are tried."""
