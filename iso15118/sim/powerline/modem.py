"""A virtual modem: its key, whether it hears anything, and since when it is in the network of its key."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from iso15118.sim.powerline.config import ModemConfig
from iso15118.wire.homeplug import SetKeyReq, derive_nid

CONFIRM_S: Final = 0.005
"""How long a modem still speaks before it restarts with a new key."""


@dataclass(frozen=True, slots=True)
class NetworkMembership:
    """The key of a network and its identifier. Two modems with the same of both are in one network."""

    nid: bytes
    nmk: bytes


class Modem:
    """The state of one modem. Times are those of the medium, in seconds."""

    def __init__(self, mac: bytes, host: bytes, config: ModemConfig, chance: random.Random) -> None:
        self.mac, self.host, self.config = mac, host, config
        self._chance = chance
        nmk = chance.randbytes(16)
        self.key = NetworkMembership(derive_nid(nmk), nmk)
        self.powered = True
        self.deaf = (0.0, 0.0)
        self.joined_at = 0.0

    def hears(self, now: float) -> bool:
        """Whether it is there at all: powered, and not restarting."""
        begin, end = self.deaf
        return self.powered and not begin <= now < end

    def in_network(self, now: float) -> bool:
        """Whether it carries the frames of others in the network of its key."""
        return self.hears(now) and now >= self.joined_at

    def set_key(self, request: SetKeyReq, now: float) -> None:
        """Take a key, fall silent for a while, and join the network of it."""
        self.take_key(NetworkMembership(request.nid, request.new_key), now)

    def take_key(self, key: NetworkMembership, now: float) -> None:
        """The same from a script: a wrong key, for example."""
        self.key = key
        self._gone(self.config.outage_s, now)

    def reset(self, now: float) -> None:
        """Restart. The key stays."""
        self._gone(self.config.reset_s, now)

    def _gone(self, span_s: tuple[float, float], now: float) -> None:
        outage_s = self._chance.uniform(*span_s)
        begin = now + CONFIRM_S
        self.deaf = (begin, begin + outage_s)
        self.joined_at = begin + outage_s + self._chance.uniform(*self.config.join_s)

    @property
    def tei(self) -> int:
        """The number of the station in its network: the coordinator, an EVSE's modem, is the first."""
        return 1 if self.config.role == "EVSE" else 2 + self.mac[-1] % 200
