"""What a behaviour suite needs of a test: the device under virtual time, and the truth behind it."""

from __future__ import annotations

from typing import Any, Protocol

from hal.types import CpState


class Rig(Protocol):
    """A device under test, opened, on a line that works; all in virtual time.

    It is in a condition in which what its suite commands is possible (a contactor board that closes only in
    state C sees a car in state C).
    """

    device: Any
    truth: Any
    """What is physically the case and what the outside does: one of the `...Truth` protocols."""
    settle_s: float
    """From a command or an outside change until truth and levels have followed, retries included."""
    noticed_s: float
    """From a cut until the fault "communication" shows."""
    watchdog_s: float
    """From a cut until the hardware is off by itself."""
    reconnect_s: float
    """From the return of the line until the fault is gone and levels are fresh."""

    @property
    def now(self) -> float:
        """Time on the clock of the device (s)."""

    @property
    def safe(self) -> bool:
        """The physical truth: nothing energised; a station's pilot is steady, a car's tells A or B."""

    def run(self, seconds: float) -> None:
        """Let time pass; everything is handled on the way."""

    def open(self) -> None:
        """What `device.open` does."""

    def close(self) -> None:
        """What `device.close` does."""

    def cut(self) -> None:
        """Take the line away ("cut"); `reboot` restarts the hardware ("reboot")."""

    def restore(self) -> None:
        """Give the line back."""

    def reboot(self) -> None:
        """Restart the hardware: it forgets what it was told."""


class EvsePilotTruth(Protocol):
    """A pilot line seen from the car."""

    @property
    def duty(self) -> float:
        """On the wire: percent, 100.0 steady +12 V, 0.0 for -12 V or no voltage."""

    def vehicle(self, state: CpState) -> None:
        """Put the car's resistor of A, B, C or D on the line; E shorts it ("short")."""


class EvPilotTruth(Protocol):
    """A pilot line seen from the station."""

    @property
    def state(self) -> CpState:
        """What the car's resistor says (A, B, C, D)."""

    def station(self, duty: float) -> None:
        """Put this duty cycle on the line; 100.0 steady +12 V, 0.0 holds -12 V."""

    def plug(self, plugged: bool) -> None:
        """Put the connector in or take it out ("plug")."""


class ContactorTruth(Protocol):
    """The contacts."""

    @property
    def closed(self) -> bool:
        """Whether current can flow."""

    def weld(self) -> None:
        """From now on it cannot open ("weld")."""

    def stick(self) -> None:
        """From now on it cannot close ("stick")."""


class LockTruth(Protocol):
    """The bolt."""

    @property
    def locked(self) -> bool:
        """Whether the plug is held."""

    def jam(self) -> None:
        """From now on the bolt does not move ("jam")."""


class SupplyTruth(Protocol):
    """An open output: no battery at it."""

    @property
    def on(self) -> bool:
        """Whether it converts."""

    @property
    def voltage_v(self) -> float:
        """At the output."""

    @property
    def current_limit_a(self) -> float:
        """What the hardware is set to, as a magnitude; 0.0 while it is off."""

    def forget(self) -> None:
        """The hardware loses its set-points and goes on ("forget")."""


class ConverterTruth(Protocol):
    """An AC converter at live mains, with a battery that takes and gives."""

    @property
    def power_w(self) -> float:
        """+ into the EV."""


class IsolationTruth(Protocol):
    """What a monitor is connected to."""

    @property
    def measuring(self) -> bool:
        """Whether it is connected to the output."""

    def earth(self, ohm: float) -> None:
        """Let the resistance to earth be this, both poles in parallel."""

    def break_self_test(self) -> None:
        """From now on its self test fails ("self_test_fails")."""


class SafetyTruth(Protocol):
    """The chain's inputs."""

    def trip(self, name: str) -> None:
        """Bring about what trips `name` ("emergency_stop")."""

    def clear(self, name: str) -> None:
        """Take the cause away."""

    def output(self, voltage_v: float) -> None:
        """Put this voltage on the supervised output ("over_voltage")."""


class ThermometersTruth(Protocol):
    """What is being measured."""

    def heat(self, celsius: float) -> None:
        """Bring every place to this temperature (0 to 100)."""


class MeterTruth(Protocol):
    """The energy that passes."""

    def count(self, import_wh: float, export_wh: float) -> None:
        """Let this much more pass in each direction."""


class ProximityTruth(Protocol):
    """The socket."""

    def insert(self, ohm: float | None) -> None:
        """Put in a plug with this resistor, or (None) take it out."""


class BatteryTruth(Protocol):
    """The cells."""

    def charge(self, soc_percent: float) -> None:
        """Bring them to this state of charge."""


class ConnectorTruth(Protocol):
    """The contacts of the connector."""

    def apply(self, voltage_v: float) -> None:
        """Put this voltage on them."""


class EthernetTruth(Protocol):
    """The medium behind the port."""

    @property
    def sent(self) -> list[bytes]:
        """Every frame that has left the port."""

    def arrive(self, frame: bytes) -> None:
        """Bring a frame to the port."""
