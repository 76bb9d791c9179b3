"""What makes energy safe: contactor, connector lock, isolation monitor, safety chain, voltage and temperatures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from hal.device import Device
from hal.types import LEASE_S, Check, ContactorState, Fault, Sample, Severity

FEEDBACK_S: Final = 0.25
"""A contactor whose mirror contact disagrees for so long is broken."""
WELDED: Final = Fault("contactor_welded", Severity.STOP, latched=True, detail="it does not open")
NOT_CLOSING: Final = Fault("contactor_not_closing", Severity.STOP, latched=True, detail="it does not close")
LOCK_FAILED: Final = Fault(
    "lock_failed", Severity.STOP, latched=True, detail="the bolt is not where it should be"
)


class Contactor(Device, Protocol):
    """All poles of one side's contactor, with its auxiliary contact."""

    @property
    def state(self) -> ContactorState:
        """As measured; UNKNOWN without feedback or while poles disagree."""

    @property
    def wanted(self) -> bool:
        """What is commanded (True = closed) and still leased."""

    def close_contacts(self, *, lease_s: float = LEASE_S) -> None:
        """Close, and hold for `lease_s`."""

    def open_contacts(self) -> None:
        """Open; a contactor that does not is the latched fault `contactor_welded`."""


class ConnectorLock(Device, Protocol):
    """The motor that keeps the plug in."""

    @property
    def locked(self) -> bool | None:
        """As sensed; None while moving or unknown."""

    def lock(self) -> None:
        """Lock; where the sense disagrees in the end, the fault `lock_failed`."""

    def unlock(self) -> None:
        """Unlock; the caller has made sure that it is safe."""


class IsolationMonitor(Device, Protocol):
    """Insulation resistance of the DC output to earth."""

    @property
    def resistance(self) -> Sample:
        """The smaller of what it can tell, in Ohm, both poles in parallel; bound ">" above its range."""

    @property
    def self_test(self) -> Check:
        """Progress of the last self test; readings are INVALID while it runs."""

    def start(self) -> None:
        """Connect to the output and measure."""

    def stop(self) -> None:
        """Disconnect from the output."""

    def start_self_test(self) -> None:
        """Test itself; a new call while it runs changes nothing."""


class SafetyChain(Device, Protocol):
    """What opens the contactors in hardware: emergency stop, residual current, over-voltage, door."""

    @property
    def tripped(self) -> frozenset[str]:
        """What has tripped: "emergency_stop", "residual_current", "over_voltage", "over_temperature", ..."""

    @property
    def armed(self) -> bool:
        """Whether the over-voltage limit is set and supervised."""

    def arm(self, limit_v: float) -> None:
        """Supervise the output: above `limit_v` the hardware acts by itself."""

    def disarm(self) -> None:
        """End the supervision of the output voltage; everything else stays supervised."""


class ConnectorVoltage(Device, Protocol):
    """Voltage between the DC contacts of the connector, beyond the own contactor: at a car's inlet, a station's outlet.

    It shows what the other side puts there while the own contactor is open.
    """

    @property
    def voltage(self) -> Sample:
        """In V."""


class Thermometers(Device, Protocol):
    """Temperatures of contacts, cable and board."""

    @property
    def temperatures(self) -> Mapping[str, Sample]:
        """By place ("pin+", "pin-", "cable", "board"), in degrees Celsius."""
