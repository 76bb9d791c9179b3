"""What all devices have in common.

A device is a set of **levels** (properties, read at any time, never waiting) and **commands** (plain
methods that return at once; their effect shows up in the levels). The driver behind it talks to the
hardware on its own and makes the hardware follow the last command, with retries.

- Commands that de-energise (`off`, `open`, `stop`) are idempotent, never raise and are carried out until the
  hardware confirms, across loss and return of the connection.
- Commands that energise carry a lease (s): unless repeated within it, the device de-energises by itself. They
  raise HalError(OUT_OF_RANGE) for values outside the declared ratings (nothing is clamped in silence) and
  HalError(REFUSED) while a latched fault stands.
- A level is never invented: when the connection is lost, samples grow old and a fault says so.
- After a reboot of the hardware or a reconnection a device is de-energised until told again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hal.types import Fault


class Device(Protocol):
    """The part every device protocol shares."""

    @property
    def name(self) -> str:
        """For logs and errors, such as "supply@can0:3"."""

    @property
    def faults(self) -> frozenset[Fault]:
        """What is wrong now; empty when all is well."""

    def on_change(self, notify: Callable[[], None]) -> None:
        """Call `notify` whenever a level or a fault has changed. Levels can be read without it, too."""

    def reset(self) -> None:
        """Clear latched faults whose cause is gone. Energises nothing."""

    async def open(self) -> None:
        """Connect; ends with the device de-energised and its identity known. Idempotent.

        Raises HalError (NOT_CONNECTED, TIMEOUT, PROTOCOL, MISSING_EXTRA).
        """

    async def close(self) -> None:
        """De-energise, then let go. Idempotent, never raises."""
