"""The commands of each family of SCPI supplies, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from hal.power import DcRatings

MEASURED_S: Final = 0.2
STATE_S: Final = 0.5
CONTROL_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Profile:
    """How a family wants to be spoken to. "" where it has no such command.

    `take`: take control; `owner`: who has it, the first of `owners` being right; `release`: give it back.
    `states`: what is answered to `state` when the output is on, and when it is off.
    `settings`: "volts", "source", "sink", "power", "sink_power" -> command, {} being a magnitude.
    `measure`: name -> (query, units of the answer's parts). `ratings`: (name of a setting, query, unit).
    `watchdog`: switches the output off when nothing was said for {} ms; `watchdog_state` answers 0 when it has.
    `one_rating`: it takes as much as it gives.
    """

    name: str
    take: tuple[str, ...]
    on: str
    off: str
    state: str
    states: tuple[str, str]
    settings: Mapping[str, str]
    measure: Mapping[str, tuple[str, str]]
    ratings: tuple[tuple[str, str, str], ...]
    error: str
    owner: str = ""
    owners: tuple[str, ...] = ()
    release: str = ""
    watchdog: str = ""
    watchdog_state: str = ""
    one_rating: bool = False

    def polls(self) -> dict[str, float]:
        """What is asked again and again, with the periods (s)."""
        control = {"owner": self.owner, "watchdog": self.watchdog_state}
        return (
            dict.fromkeys(self.measure, MEASURED_S)
            | {"state": STATE_S}
            | {name: CONTROL_S for name, query in control.items() if query}
        )

    def ratings_from(self, found: Mapping[str, float], limits: DcRatings) -> DcRatings:
        """Ratings from the answers, as far as they have come, within `limits`."""
        current, power = found.get("source", 0.0), found.get("power", 0.0)
        if self.one_rating:
            sink, sink_power = current, power
        else:
            sink, sink_power = found.get("sink", 0.0), found.get("sink_power", 0.0)
        return DcRatings(
            max_voltage_v=min(found.get("volts", 0.0), limits.max_voltage_v),
            max_current_a=min(current, limits.max_current_a),
            max_power_w=min(power, limits.max_power_w),
            min_current_a=limits.min_current_a,
            import_max_current_a=min(sink, limits.max_current_a),
            import_max_power_w=min(sink_power, limits.max_power_w),
        )


_EA_SOURCE: Final = {"source": "CURR {}", "volts": "VOLT {}", "power": "POW {}"}
_EA_SINK: Final = {"sink": "SINK:CURR {}", "sink_power": "SINK:POW {}"}


def _ea(name: str, settings: Mapping[str, str]) -> Profile:
    return Profile(
        name=name,
        take=("SYST:LOCK ON",),
        owner="SYST:LOCK:OWNER?",
        owners=("REMOTE", "LOCAL", "NONE"),
        release="SYST:LOCK OFF",
        on="OUTP ON",
        off="OUTP OFF",
        state="OUTP?",
        states=("ON", "OFF"),
        settings=MappingProxyType(settings),
        measure=MappingProxyType({"all": ("MEAS:ARR?", "VAW")}),
        ratings=(
            ("volts", "SYST:NOM:VOLT?", "V"),
            ("source", "SYST:NOM:CURR?", "A"),
            ("power", "SYST:NOM:POW?", "W"),
        ),
        error="SYST:ERR?",
        one_rating="sink" in settings,
    )


EA_PSB: Final = _ea("ea-psb", {**_EA_SOURCE, **_EA_SINK})
"""EA Elektro-Automatik PSB 10000: source and sink. TCP port 5025."""
EA_PSI: Final = _ea("ea-psi", _EA_SOURCE)
"""EA Elektro-Automatik PSI 10000: source only."""

DELTA_SM15K: Final = Profile(
    name="delta-sm15k",
    take=("SYSTem:REMote:CV Ethernet", "SYSTem:REMote:CC Ethernet", "SYSTem:REMote:CP Ethernet"),
    on="OUTPut 1",
    off="OUTPut 0",
    state="OUTPut?",
    states=("1", "0"),
    settings=MappingProxyType(
        {
            "source": "SOURce:CURrent {}",
            "sink": "SOURce:CURrent:NEGative -{}",
            "volts": "SOURce:VOLtage {}",
            "power": "SOURce:POWer {}",
            "sink_power": "SOURce:POWer:NEGative -{}",
        }
    ),
    measure=MappingProxyType({"volts": ("MEASure:VOLtage?", "V"), "amps": ("MEASure:CURrent?", "A")}),
    ratings=(
        ("volts", "SOURce:VOLtage:MAXimum?", "V"),
        ("source", "SOURce:CURrent:MAXimum?", "A"),
        ("sink", "SOURce:CURrent:NEGative:MAXimum?", "A"),
        ("power", "SOURce:POWer:MAXimum?", "W"),
        ("sink_power", "SOURce:POWer:NEGative:MAXimum?", "W"),
    ),
    error="SYSTem:ERRor?",
    watchdog="SYSTem:COMmunicate:WATchdog SET,{}",
    watchdog_state="SYSTem:COMmunicate:WATchdog?",
)
"""Delta Elektronika SM15K: source and sink. TCP port 8462."""
