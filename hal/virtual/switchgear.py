"""Virtual contactor, lock and safety chain."""

from __future__ import annotations

import math
from typing import Any

from hal.errors import HalError, Kind
from hal.safety import FEEDBACK_S, LOCK_FAILED, NOT_CLOSING, WELDED
from hal.types import LEASE_S, Clock, ContactorState, Fault, Severity
from hal.virtual.device import LeasedDevice, Line, VirtualDevice
from hal.virtual.protection import SafetyLoop
from hal.virtual.relay import Bolt, Relay


class VirtualContactor(LeasedDevice):
    """A `Relay` with its coil in a `SafetyLoop`; refuses to close while the loop is open.

    The board compares coil and mirror contact itself, so that a slow line does not look like a slow contactor.
    """

    def __init__(self, name: str, clock: Clock, line: Line, relay: Relay, loop: SafetyLoop) -> None:
        super().__init__(name, clock, line)
        self._relay, self._loop = relay, loop
        self._disagree_since = math.inf
        self._levels.update(self._unknown())

    @property
    def state(self) -> ContactorState:
        """As measured."""
        state: ContactorState = self._levels["state"]
        return state

    @property
    def wanted(self) -> bool:
        """What is commanded and still leased."""
        return self.leased

    def close_contacts(self, *, lease_s: float = LEASE_S) -> None:
        """Close, and hold for `lease_s`."""
        self._loop.require_intact(self._name)
        self._check(lease_s)
        self._lease(lease_s)

    def open_contacts(self) -> None:
        """Open."""
        self._release()

    @property
    def due_s(self) -> float:
        """Time until the lease ends or a disagreement has lasted too long."""
        left = self._disagree_since + FEEDBACK_S - self._clock()
        return min(super().due_s, left if left > 0 else math.inf)

    def _energise(self) -> None:
        self._relay.command(True)

    def _drop(self) -> None:
        self._relay.command(False)

    def _signals(self) -> dict[str, Any]:
        return {"state": self._relay.feedback}

    def _unknown(self) -> dict[str, Any]:
        return {"state": ContactorState.UNKNOWN}

    def _supervise(self) -> None:
        if not self._loop.intact:
            self._forget()
        expected = ContactorState.CLOSED if self._relay.wanted else ContactorState.OPEN
        if self.lost or self._relay.feedback is expected:
            self._disagree_since = math.inf
            return
        self._disagree_since = min(self._disagree_since, self._clock())
        if self._clock() - self._disagree_since + 1e-9 >= FEEDBACK_S:
            fault = NOT_CLOSING if self._relay.wanted else WELDED
            self._faults[fault.code] = fault
            self._release()

    def _persists(self, code: str) -> bool:
        return code == WELDED.code and self._relay.feedback is not ContactorState.OPEN


class VirtualLock(VirtualDevice):
    """A motor lock. A lost line or a restart leaves the bolt where it is."""

    def __init__(self, name: str, clock: Clock, line: Line, bolt: Bolt) -> None:
        super().__init__(name, clock, line)
        self._bolt = bolt
        self._wanted: bool | None = None
        self._pending = False
        self._levels.update(self._unknown())

    @property
    def locked(self) -> bool | None:
        """As sensed."""
        locked: bool | None = self._levels["locked"]
        return locked

    def lock(self) -> None:
        """Lock."""
        self._want(True)

    def unlock(self) -> None:
        """Unlock; the caller has made sure that it is safe."""
        self._want(False)

    def _want(self, locked: bool) -> None:
        if not self.lost:
            self._wanted, self._pending = locked, True
            self._send()

    @property
    def due_s(self) -> float:
        """Time until the motor has done its work."""
        return self._bolt.due_s

    def _push(self) -> None:
        if self._pending and self._wanted is not None:
            self._pending = False
            self._bolt.move(self._wanted)

    def _power_up(self) -> None:
        self._bolt.power_up()

    def _forget(self) -> None:
        self._wanted, self._pending = None, False

    def _signals(self) -> dict[str, Any]:
        return {"locked": self._bolt.sense}

    def _unknown(self) -> dict[str, Any]:
        return {"locked": None}

    def _supervise(self) -> None:
        moving = self._pending or self._bolt.waiting
        if self._wanted is not None and not moving and self._bolt.locked is not self._wanted:
            self._faults[LOCK_FAILED.code] = LOCK_FAILED

    def reset(self) -> None:
        """Clear `lock_failed`; the bolt stays where it is until told again."""
        self._forget()
        super().reset()


class VirtualSafetyChain(VirtualDevice):
    """A `SafetyLoop` as software sees it: it only learns what hardware has done already."""

    def __init__(self, name: str, clock: Clock, line: Line, loop: SafetyLoop) -> None:
        super().__init__(name, clock, line)
        self._loop = loop
        self._limit_v: float | None = None
        self._resetting = False
        self._levels.update(self._unknown())

    @property
    def tripped(self) -> frozenset[str]:
        """What has tripped."""
        tripped: frozenset[str] = self._levels["tripped"]
        return tripped

    @property
    def armed(self) -> bool:
        """Whether the over-voltage limit is set and supervised."""
        armed: bool = self._levels["armed"]
        return armed

    def arm(self, limit_v: float) -> None:
        """Supervise the output."""
        if not (math.isfinite(limit_v) and limit_v > 0):
            raise HalError(self._name, Kind.OUT_OF_RANGE, f"an over-voltage limit of {limit_v} V")
        self._limit_v = limit_v
        self._send()

    def disarm(self) -> None:
        """End the supervision of the output voltage."""
        self._limit_v = None
        self._send()

    def reset(self) -> None:
        """Clear what has tripped and is not there any more."""
        self._resetting = True
        self._send()
        super().reset()

    @property
    def due_s(self) -> float:
        """Time until the hardware trips by what is there now."""
        return self._loop.due_s

    def _push(self) -> None:
        self._loop.limit_v = self._limit_v
        if self._resetting:
            self._resetting = False
            self._loop.reset()
            self._levels.update(self._signals())

    def _power_up(self) -> None:
        self._loop.limit_v = None

    def _signals(self) -> dict[str, Any]:
        return {"tripped": self._loop.tripped, "armed": self._loop.limit_v is not None}

    def _unknown(self) -> dict[str, Any]:
        return {"tripped": self._levels.get("tripped", frozenset()), "armed": False}

    def _supervise(self) -> None:
        for code in self.tripped:
            self._faults.setdefault(code, Fault(code, Severity.EMERGENCY, latched=True))
        self._drop_cleared()

    def _drop_cleared(self) -> None:
        for code in [c for c, fault in self._faults.items() if fault.latched and c not in self.tripped]:
            del self._faults[code]

    def _persists(self, code: str) -> bool:
        return code in self.tripped
