"""What is supervised in a car: one table, each row a pure function of the situation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hal.types import ContactorState, CpState, Severity
from iso15118.hardware.config import HalEvConfig
from iso15118.hardware.readings import EvReadings
from iso15118.hardware.supervision import Rule

NO_OSCILLATION: Final = 97.5
"""A duty cycle (percent) above it is a steady pilot."""


@dataclass(frozen=True, slots=True)
class EvSituation:
    """Readings and what they have to fit to.

    `ready`: state C is signalled; `closed`: the contactor is meant to be closed and has been seen so.
    `most_a`, `least_a`: what the battery allows, signed. `silent_s` since the session's last sign of life.
    """

    readings: EvReadings
    config: HalEvConfig
    ready: bool = False
    closed: bool = False
    inlet_v: float = 0.0
    inlet_fresh: bool = True
    max_v: float = float("inf")
    most_a: float = float("inf")
    least_a: float = float("-inf")
    silent_s: float = 0.0


def _pilot_lost(s: EvSituation) -> str:
    cp = s.readings.cp
    if not (s.ready or s.closed):
        return ""
    if cp in (CpState.A, CpState.E, CpState.F):
        return f"pilot {cp.value} while ready"
    duty = s.readings.duty
    steady = duty.fresh(s.readings.now, s.config.stale_s) and duty.value > NO_OSCILLATION
    return "the station stopped oscillating" if steady else ""


def _unlocked(s: EvSituation) -> str:
    return "the connector came unlocked" if (s.ready or s.closed) and s.readings.locked is False else ""


def _contactor_opened(s: EvSituation) -> str:
    opened = s.closed and s.readings.contactor is not ContactorState.CLOSED
    return f"contactor is {s.readings.contactor.value}, not closed" if opened else ""


def _battery_stale(s: EvSituation) -> str:
    battery = s.readings.battery
    old = battery is None or s.readings.now - battery.at > s.config.stale_s
    return "the battery tells nothing" if (s.ready or s.closed) and old else ""


def _inlet_stale(s: EvSituation) -> str:
    stale = s.readings.dc and (s.ready or s.closed) and not s.inlet_fresh
    return "the inlet's voltage is not measured" if stale else ""


def _over_voltage(s: EvSituation) -> str:
    most = s.max_v * s.config.over_voltage_share
    over = s.closed and s.readings.dc and s.inlet_fresh and s.inlet_v > most
    return f"{s.inlet_v:.0f} V at the inlet, the battery takes {s.max_v:.0f} V" if over else ""


def _over_current(s: EvSituation) -> str:
    battery = s.readings.battery
    if battery is None or not s.closed:
        return ""
    slack = s.config.tolerance_a
    if s.least_a - slack <= battery.current_a <= s.most_a + slack:
        return ""
    return f"{battery.current_a:.0f} A, the battery takes {s.least_a:.0f} to {s.most_a:.0f} A"


def _temperature(s: EvSituation) -> str:
    sample = s.readings.temperature
    if sample is None or not sample.fresh(s.readings.now, s.config.stale_s):
        return ""
    return f"{sample.value:.0f} degrees" if sample.value >= s.config.stop_c else ""


def _temperature_stale(s: EvSituation) -> str:
    sample = s.readings.temperature
    stale = sample is not None and not sample.fresh(s.readings.now, s.config.stale_s)
    return "a temperature is not measured" if (s.ready or s.closed) and stale else ""


def _silent(s: EvSituation) -> str:
    silent = (s.ready or s.closed) and s.silent_s > s.config.silence_s
    return f"no sign of life of the session for {s.silent_s:.1f} s" if silent else ""


_E, _S = Severity.EMERGENCY, Severity.STOP

EV_RULES: Final[tuple[Rule[EvSituation], ...]] = (
    Rule("pilot_lost", _E, 0.0, _pilot_lost, passing=True),
    Rule("connector_unlocked", _S, 0.0, _unlocked),
    Rule("contactor_opened", _S, 0.02, _contactor_opened),
    Rule("battery_silent", _S, 0.0, _battery_stale),
    Rule("inlet_stale", _S, 0.0, _inlet_stale),
    Rule("over_voltage", _S, 0.4, _over_voltage),
    Rule("over_current", _S, 1.5, _over_current),
    Rule("over_temperature", _S, 0.5, _temperature),
    Rule("temperature_stale", _S, 0.0, _temperature_stale),
    Rule("session_silent", _S, 0.0, _silent, passing=True),
)
"""In the order in which they are told where several are broken at once."""
