"""The one exception of the hardware layer. Raised to callers for their mistakes and at open and close;
what goes wrong while a device runs shows as a fault and as samples that are no longer fresh.
"""

from __future__ import annotations

import enum


class Kind(enum.Enum):
    """Why it failed."""

    NOT_CONNECTED = "not connected"  # the port or the bus is gone
    TIMEOUT = "timeout"  # no answer in time
    REFUSED = "refused"  # the device said no; its state is unchanged
    OUT_OF_RANGE = "out of range"  # the value lies outside what the device declares
    STALE = "stale"  # the last good value is too old
    PROTOCOL = "protocol"  # the device's answer makes no sense
    MISSING_EXTRA = "missing extra"  # an optional package is not installed
    CONFIGURATION = "configuration"  # unknown driver, wrong option, incomplete bundle


class HalError(Exception):
    """A device failed: which, why (`kind`), what exactly, and what to do next."""

    def __init__(self, device: str, kind: Kind, detail: str, *, next_step: str = "") -> None:
        super().__init__(f"{device}: {kind.value}: {detail}" + (f". {next_step}" if next_step else ""))
        self.device, self.kind, self.detail, self.next_step = device, kind, detail, next_step

    def diagnostics(self) -> str:
        """Cause and next step in plain words."""
        return str(self)
