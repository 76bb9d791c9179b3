"""What voltages and resistances of control pilot and proximity mean (IEC 61851-1): windows, hysteresis, faults.

Pure, for every board that measures and leaves it to software to understand.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from hal.errors import HalError, Kind
from hal.pilot import DIGITAL_DUTY, STEADY_DUTY
from hal.types import CpState, Fault, Severity

_WINDOWS: Final = (
    (11.0, 13.0, CpState.A),
    (8.0, 10.0, CpState.B),
    (5.0, 7.0, CpState.C),
    (2.0, 4.0, CpState.D),
    (-1.0, 2.0, CpState.E),
    (-13.0, -11.0, CpState.F),
)
_HYSTERESIS: Final = ((10.0, 11.0), (7.0, 8.0), (4.0, 5.0), (-11.0, -10.0))
_BALANCE_V: Final = 1.2
"""Positive and negative peak this close to a mirror image: no diode between them."""

PILOT_FAULTS: Final = {
    "diode_fault": Fault(
        "diode_fault", Severity.EMERGENCY, latched=True, detail="no diode in the car's pilot"
    ),
    "pilot_short": Fault("pilot_short", Severity.EMERGENCY, detail="pilot shorted to earth"),
}

CABLES_A: Final = ((80.0, 140.0, 63.0), (140.0, 308.0, 32.0), (308.0, 936.0, 20.0), (936.0, 2460.0, 13.0))
"""(Ohm from, to, A) of the resistor in a type 2 plug."""
PRESENT_OHM: Final = 5000.0
"""Above this there is no plug."""


class PilotReading(NamedTuple):
    """What the station makes of the voltages; `fault` is "" or a code of `PILOT_FAULTS`."""

    state: CpState | None
    fault: str = ""


def classify(high_v: float, low_v: float, duty: float, before: CpState | None) -> PilotReading:
    """The state for these peaks (V); between two windows that of `before`, outside of all None.

    Without the diode the peaks mirror each other: state E, "diode_fault"; shorted to earth "pilot_short".
    """
    state = _window(high_v, before)
    oscillates = 0.0 < duty < 100.0
    mirrored = abs(high_v + low_v) <= _BALANCE_V
    if oscillates and mirrored and high_v > 2.0 and state is not CpState.A:
        return PilotReading(CpState.E, "diode_fault")
    if (mirrored if oscillates else low_v > -10.0) and high_v < 2.0:
        return PilotReading(CpState.E, "pilot_short")
    return PilotReading(state)


def _window(high_v: float, before: CpState | None) -> CpState | None:
    for low, high, state in _WINDOWS:
        if low <= high_v <= high:
            return state
    return before if any(low < high_v < high for low, high in _HYSTERESIS) else None


def ampacity_a(ohm: float) -> float | None:
    """What a cable with this resistor carries (A); 0.0 for no plug, None for no known cable."""
    if ohm >= PRESENT_OHM:
        return 0.0
    return next((amps for low, high, amps in CABLES_A if low <= ohm < high), None)


def check_duty(device: str, percent: float) -> None:
    """HalError(OUT_OF_RANGE) on behalf of `device` unless this is a duty cycle a station may signal (%)."""
    if math.isfinite(percent) and (percent in (DIGITAL_DUTY, STEADY_DUTY) or 10.0 <= percent <= 96.0):
        return
    raise HalError(
        device, Kind.OUT_OF_RANGE, f"a duty cycle of {percent} %", next_step="Use 5, 10 to 96, or 100"
    )


class PilotJudge:
    """Tells the state of a pilot from measured peaks: it counts after two equal looks in a row.

    A missing diode is state E until the car is gone, whatever the voltage says meanwhile.
    """

    __slots__ = ("_candidate", "_candidate_at", "_diode_missing", "_reading", "since")

    def __init__(self) -> None:
        self._reading: PilotReading | None = None
        self._candidate: PilotReading | None = None
        self._candidate_at = self.since = -math.inf
        self._diode_missing = False

    @property
    def state(self) -> CpState | None:
        """The state; None before two equal looks, and for a voltage outside all windows."""
        if self._diode_missing:
            return CpState.E
        return self._reading.state if self._reading is not None else None

    @property
    def faults(self) -> list[Fault]:
        """What is wrong with the line."""
        told = self._reading.fault if self._reading is not None else ""
        standing = {told, "diode_fault" if self._diode_missing else ""}
        return [fault for code, fault in PILOT_FAULTS.items() if code in standing]

    def look(self, high_v: float, low_v: float, duty: float, now: float) -> None:
        """The peaks (V) at this time, while this duty cycle (%) is signalled."""
        before = self._reading.state if self._reading is not None else None
        reading = classify(high_v, low_v, duty, before)
        if reading != self._candidate:
            self._candidate, self._candidate_at = reading, now
        elif reading != self._reading:
            if before is not reading.state or self._reading is None:
                self.since = self._candidate_at
            self._reading = reading
            missing = reading.fault == "diode_fault"
            self._diode_missing = missing or (self._diode_missing and reading.state is not CpState.A)

    def forget(self) -> None:
        """Begin again: nothing is measured any more."""
        self._reading = self._candidate = None
