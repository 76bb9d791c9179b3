"""A paused session: what each side keeps of it, and who may go on with it (ISO 15118-20 clause 8.3.4.1.4.3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Final

from iso15118.control.common import ControlMode, EnergyService
from iso15118.errors import ConfigError
from iso15118.security.binding import same_peer


@dataclass(frozen=True, slots=True)
class PausedSession:
    """What was agreed before a pause and still holds after it [V2G20-1844]: service, control mode and who pays.

    `binding` ties the session to the peer's TLS certificate, `peer_id` is its EVCCID or EVSEID; `payer` is the leaf of
    the contract (DER, empty: other means). `since` is when it was paused (s since the Unix epoch); energies are those
    of the session so far (Wh). Nothing in it is secret; without the peer's private key nobody can go on with it.
    """

    session_id: bytes
    binding: bytes = field(repr=False)
    namespace: str
    service: EnergyService
    parameter_set_id: int
    control_mode: ControlMode
    peer_id: str = ""
    payer: bytes = field(default=b"", repr=False)
    renegotiation_supported: bool = False
    since: float = 0.0
    charged_wh: float = 0.0
    discharged_wh: float = 0.0

    def belongs_to(self, leaf: bytes | None) -> bool:
        """Whether the peer with this TLS certificate (DER; None: it has none) is the one it was paused with."""
        return same_peer(self.binding, self.session_id, leaf)

    def objection(self, leaf: bytes | None, namespace: str, utc_s: float, within_s: float) -> str:
        """Why it must not go on with this peer, protocol and time; "" if it may."""
        if not self.belongs_to(leaf):
            return "it was paused with another peer"
        if namespace != self.namespace:
            return "it was about another protocol"
        if not -within_s <= utc_s - self.since <= within_s:  # a clock that was set back is no reason
            return f"it was paused more than {within_s:g} s ago"
        return ""

    # --- to keep it -----------------------------------------------------------------------------

    def to_text(self) -> str:
        """As JSON, to survive a restart."""
        return json.dumps({each.name: _plain(getattr(self, each.name)) for each in fields(self)}, indent=1)

    @classmethod
    def from_text(cls, text: str) -> PausedSession:
        """What `to_text` has written; ConfigError for anything else."""
        try:
            values = json.loads(text)
            return cls(**{each.name: _typed(each.name, values.pop(each.name)) for each in fields(cls)})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ConfigError(
                "paused session", f"it cannot be read: {type(error).__name__}: {error}"
            ) from None


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


_KINDS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "service": EnergyService,
        "control_mode": ControlMode,
        **dict.fromkeys(("since", "charged_wh", "discharged_wh"), float),
        **dict.fromkeys(("session_id", "binding", "payer"), bytes.fromhex),
    }
)


def _typed(name: str, value: Any) -> Any:
    if name in _KINDS:
        return _KINDS[name](value)
    wanted = {"parameter_set_id": int, "renegotiation_supported": bool}.get(name, str)
    if not isinstance(value, wanted):
        raise TypeError(f"{name} is no {wanted.__name__}")
    return value
