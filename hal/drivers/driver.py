"""A device on a dialog: levels that the dialog fills, commands that it carries out.

A board with several devices has several `Driver` objects on one `Dialog`; they share its connection, which is
open while one of them is. `LeasedDriver` is the base of those that energise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hal.drivers.dialog import Dialog
from hal.errors import HalError, Kind
from hal.types import LEASE_S, Fault, Sample


class Driver:
    """The part that all drivers share.

    A kind of device keeps its levels by `_set`, tells faults by `blame` and `clear`, and overrides `forget`
    and `unknown` where it has something to forget or to drop.
    """

    def __init__(self, name: str, dialog: Dialog) -> None:
        self._name, self._dialog = name, dialog
        self._faults: dict[str, Fault] = {}
        self._listeners: list[Callable[[], None]] = []
        self._news = False
        self._had_trouble = False
        self._opened = False
        dialog.parts.append(self)

    # --- the protocol's part --------------------------------------------------------------------

    @property
    def name(self) -> str:
        """For logs and errors."""
        return self._name

    @property
    def faults(self) -> frozenset[Fault]:
        """What is wrong now."""
        own = frozenset(self._faults.values())
        trouble = self._dialog.trouble
        return own | {trouble} if trouble is not None and self._opened else own

    def on_change(self, notify: Callable[[], None]) -> None:
        """Call `notify` whenever a level or a fault has changed."""
        self._listeners.append(notify)

    def reset(self) -> None:
        """Clear latched faults whose cause is gone."""
        for code in [code for code, fault in self._faults.items() if fault.latched]:
            if not self._persists(code):
                self.clear(code)
        self._dialog.line.flush()

    async def open(self) -> None:
        """Connect; the hardware is known and de-energised then."""
        if not self._opened:
            await self._dialog.line.enter(self)
            self._opened = True

    async def close(self) -> None:
        """De-energise, then let go."""
        self._opened = False
        self.forget()
        self._dialog.line.flush()
        await self._dialog.line.leave(self)

    # --- the dialog's part ----------------------------------------------------------------------

    @property
    def due(self) -> float:
        """When `tick` has something to do."""
        return math.inf

    @property
    def settled(self) -> bool:
        """Whether the hardware has confirmed what is wanted of it."""
        return True

    def tick(self, now: float) -> None:
        """Time has passed."""

    def forget(self) -> None:
        """Want nothing any more that energises."""

    def unknown(self) -> None:
        """Drop levels that mean nothing while the hardware is not heard."""

    def announce(self) -> None:
        """Tell the listeners if a level or a fault has changed."""
        trouble = self._dialog.trouble is not None
        if not self._news and trouble is self._had_trouble:
            return
        self._news, self._had_trouble = False, trouble
        for listener in self._listeners:
            listener()

    def blame(self, fault: Fault) -> None:
        """This fault stands from now on."""
        if self._faults.get(fault.code) != fault:
            self._faults[fault.code] = fault
            self._news = True

    def clear(self, code: str) -> None:
        """This fault stands no more; nothing happens where it did not."""
        if self._faults.pop(code, None) is not None:
            self._news = True

    # --- for a kind of device -------------------------------------------------------------------

    @property
    def _now(self) -> float:
        return self._dialog.line.now

    def _set(self, attribute: str, value: Any) -> None:
        """Change a level; listeners are told unless only the time of a sample is new."""
        if _content(getattr(self, attribute)) != _content(value):
            self._news = True
        setattr(self, attribute, value)

    def _persists(self, code: str) -> bool:
        """Whether the cause of a latched fault is still there."""
        return False

    def _require_open(self) -> None:
        if not self._opened:
            raise HalError(
                self._name, Kind.NOT_CONNECTED, "the device is not open", next_step="Open it first"
            )

    def _require_no_latched_fault(self) -> None:
        latched = sorted(fault.code for fault in self._faults.values() if fault.latched)
        if latched:
            raise HalError(
                self._name,
                Kind.REFUSED,
                f"fault {', '.join(latched)}",
                next_step="Remove the cause, then reset the device",
            )


def _content(level: Any) -> Any:
    """What of a level is news: not when it was acquired, and one NaN is like another."""
    if isinstance(level, Sample):
        return (level.value if math.isfinite(level.value) else None, level.quality, level.bound)
    return level


class LeasedDriver(Driver):
    """A device that energises: what is wanted holds for a lease and must be commanded again within it."""

    def __init__(self, name: str, dialog: Dialog) -> None:
        super().__init__(name, dialog)
        self._until = -math.inf

    @property
    def due(self) -> float:
        """When the lease ends."""
        return self._until if self._until > -math.inf else math.inf

    def leased(self, now: float) -> bool:
        """Whether it may be energised at this time."""
        return now < self._until

    def tick(self, now: float) -> None:
        """End the lease in time."""
        if -math.inf < self._until <= now:
            self.forget()

    def forget(self) -> None:
        """Want nothing any more: the lease is over."""
        if self._until > -math.inf:
            self._until = -math.inf
            self._news = True

    def _energise(self, lease_s: float) -> None:
        """Begin or renew the lease; without effect while the hardware is not heard (a fault says so then).

        Raises HalError: OUT_OF_RANGE for the lease, NOT_CONNECTED where the device is not open, REFUSED
        while a latched fault stands.
        """
        self.check_lease(lease_s)
        if self._dialog.ready:
            self._until = self._now + lease_s
            self._news = True
            self._dialog.line.flush()

    def check_lease(self, lease_s: float) -> None:
        """HalError where energising is refused; nothing has changed then."""
        if not (math.isfinite(lease_s) and lease_s > 0):
            raise HalError(
                self._name, Kind.OUT_OF_RANGE, f"a lease of {lease_s} s", next_step=f"Use {LEASE_S} s"
            )
        self._require_open()
        self._require_no_latched_fault()

    def _release(self) -> None:
        """De-energise now; never raises, and is carried out whenever the hardware is heard again."""
        self.forget()
        self._dialog.line.flush()
