"""What is supervised at a station: one table, each row a pure function of the situation.

Numbers come from the configuration; where one stands in the table it is the time a doubt may last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from hal.types import ContactorState, CpState, Severity
from iso15118.hardware.config import HalEvseConfig
from iso15118.hardware.readings import EvseReadings
from iso15118.hardware.supervision import Rule

DIFFER_S: Final = 2.0
"""Two instruments that are read at different moments may differ for so long while the voltage moves."""
MEANWHILE_OPEN_S: Final = 0.02
"""A contactor that tells open while it should be closed: bouncing takes less."""


@dataclass(frozen=True, slots=True)
class EvseSituation:
    """Readings and what they have to fit to.

    `closed`: the contactor is meant to be closed and has been seen so. `driving`: the supply is commanded on;
    `charging`: beyond cable check and pre-charge. `aim_v`, `most_a`, `least_a`: set voltage and the bounds of
    the current. `agreed_w` was agreed with the EV for now. Times since (s): `silent_s` the session's last sign
    of life, `since_opened_s` the contactor was seen to open. `outlet_*` is measured at the connector (never fresh where
    it is not).
    """

    readings: EvseReadings
    config: HalEvseConfig
    closed: bool = False
    driving: bool = False
    charging: bool = False
    pre_charging: bool = False
    voltage_v: float = 0.0
    voltage_fresh: bool = True
    current_a: float = 0.0
    current_fresh: bool = True
    isolation_fresh: bool = True
    ev_max_v: float = float("inf")
    aim_v: float = 0.0
    most_a: float = 0.0
    least_a: float = 0.0
    agreed_w: float = 0.0
    meter_fell: bool = False
    silent_s: float = 0.0
    outlet_v: float = 0.0
    outlet_fresh: bool = False
    since_opened_s: float = 0.0

    @property
    def energised(self) -> bool:
        """Whether there may be voltage on the cable."""
        return self.closed or self.driving


def _pilot_lost(s: EvseSituation) -> str:
    cp = s.readings.cp
    if not s.energised or cp in (CpState.B, CpState.C, CpState.D):
        return ""
    return f"pilot {cp.value if cp else 'unknown'} while energised"


def _ventilation(s: EvseSituation) -> str:
    wanted = s.energised and s.readings.cp is CpState.D and not s.readings.dc and not s.config.ventilation
    return "the car wants ventilation, there is none" if wanted else ""


def _unlocked(s: EvseSituation) -> str:
    return "the connector came unlocked" if s.energised and s.readings.locked is False else ""


def _contactor_opened(s: EvseSituation) -> str:
    opened = s.closed and s.readings.contactor is not ContactorState.CLOSED
    return f"contactor is {s.readings.contactor.value}, not closed" if opened else ""


def _stale(s: EvseSituation) -> str:
    if not (s.driving and not (s.voltage_fresh and s.current_fresh)):
        return ""
    return f"no {'voltage' if not s.voltage_fresh else 'current'} measured for {s.config.stale_s:g} s"


def _isolation_stale(s: EvseSituation) -> str:
    return "no insulation resistance" if s.charging and s.readings.dc and not s.isolation_fresh else ""


def _isolation(s: EvseSituation) -> str:
    ohm = s.readings.resistance
    bad = s.charging and ohm.fresh(s.readings.now, s.config.stale_s) and ohm.value < s.config.isolation_ohm
    return f"{ohm.value / 1000:.0f} kOhm to earth" if bad else ""


def _temperature(s: EvseSituation) -> str:
    sample = s.readings.temperature
    if sample is None or not sample.fresh(s.readings.now, s.config.stale_s):
        return ""
    return f"{sample.value:.0f} degrees" if sample.value >= s.config.stop_c else ""


def _temperature_stale(s: EvseSituation) -> str:
    sample = s.readings.temperature
    stale = s.energised and sample is not None and not sample.fresh(s.readings.now, s.config.stale_s)
    return "a temperature is not measured" if stale else ""


def _over_current(s: EvseSituation) -> str:
    if not (s.driving and s.current_fresh):
        return ""
    slack = s.config.tolerance_a + s.config.tolerance_share * max(abs(s.most_a), abs(s.least_a))
    if s.least_a - slack <= s.current_a <= s.most_a + slack:
        return ""
    return f"{s.current_a:.1f} A where {s.least_a:.1f} to {s.most_a:.1f} A were set"


def _over_voltage(s: EvseSituation) -> str:
    if not (s.charging and s.voltage_fresh and s.voltage_v > s.ev_max_v + s.config.tolerance_v / 2):
        return ""
    return f"{s.voltage_v:.0f} V, the car takes {s.ev_max_v:.0f} V"


def _not_following(s: EvseSituation) -> str:
    """In pre-charge the output holds the set voltage; a battery that has joined cannot be above it."""
    if not (s.pre_charging and s.voltage_fresh and s.voltage_v > s.aim_v + s.config.tolerance_v):
        return ""
    return f"{s.voltage_v:.0f} V where {s.aim_v:.0f} V were set"


def _outlet_differs(s: EvseSituation) -> str:
    differs = abs(s.outlet_v - s.voltage_v) > s.config.outlet_tolerance_v
    if not (s.closed and s.outlet_fresh and s.voltage_fresh and differs):
        return ""
    return f"{s.outlet_v:.0f} V at the connector, {s.voltage_v:.0f} V by the supply"


def _connector_live(s: EvseSituation) -> str:
    """A battery behind a welded contactor, or an instrument that is stuck: the bolt stays where it is."""
    empty = s.since_opened_s <= s.config.unlock_s or abs(s.outlet_v) < s.config.safe_v
    if s.energised or not s.outlet_fresh or empty or s.readings.contactor is not ContactorState.OPEN:
        return ""
    return f"{s.outlet_v:.0f} V with the contactor open"


def _meter_power(s: EvseSituation) -> str:
    """DC against the supply, AC against what was agreed: there only a meter that counts nothing is noticed."""
    meter = s.readings.meter
    if meter is None or not s.closed:
        return ""
    if not s.readings.dc:
        idle = abs(s.agreed_w) > 2 * s.config.meter_tolerance_w and abs(meter.power_w) < 1.0
        return f"the meter counts nothing at {s.agreed_w:.0f} W agreed" if idle else ""
    supply_w = s.voltage_v * s.current_a
    slack = s.config.meter_tolerance_w + s.config.meter_tolerance_share * abs(supply_w)
    if abs(meter.power_w - supply_w) <= slack:
        return ""
    return f"{meter.power_w:.0f} W by the meter, {supply_w:.0f} W by the supply"


def _meter_stale(s: EvseSituation) -> str:
    meter = s.readings.meter
    old = s.closed and meter is not None and s.readings.now - meter.at > 5.0
    return "the meter tells nothing new" if old else ""


def _meter_fell(s: EvseSituation) -> str:
    return "a register of the meter went back" if s.meter_fell else ""


def _silent(s: EvseSituation) -> str:
    silent = s.energised and s.silent_s > s.config.silence_s
    return f"no sign of life of the session for {s.silent_s:.1f} s" if silent else ""


_E, _S, _W = Severity.EMERGENCY, Severity.STOP, Severity.WARNING

EVSE_RULES: Final[tuple[Rule[EvseSituation], ...]] = (
    Rule("pilot_lost", _E, 0.0, _pilot_lost, passing=True),
    Rule("no_ventilation", _S, 0.0, _ventilation),
    Rule("connector_unlocked", _S, 0.0, _unlocked),
    Rule("contactor_opened", _S, MEANWHILE_OPEN_S, _contactor_opened),
    Rule("reading_stale", _S, 0.0, _stale),
    Rule("isolation_stale", _S, 0.0, _isolation_stale),
    Rule("isolation_fault", _S, 0.3, _isolation),
    Rule("over_temperature", _S, 0.5, _temperature),
    Rule("temperature_stale", _S, 0.0, _temperature_stale),
    Rule("over_current", _S, 0.5, _over_current),
    Rule("over_voltage", _S, 0.4, _over_voltage),
    Rule("supply_not_following", _S, 2.0, _not_following),
    Rule("outlet_implausible", _S, DIFFER_S, _outlet_differs),
    Rule("connector_live", _S, 0.5, _connector_live),
    Rule("session_silent", _S, 0.0, _silent, passing=True),
    Rule("meter_implausible", _W, 10.0, _meter_power),
    Rule("meter_stale", _W, 0.0, _meter_stale),
    Rule("meter_went_back", _W, 0.0, _meter_fell),
)
"""In the order in which they are told where several are broken at once."""

ONLY_WARNING: Final[Mapping[str, str]] = MappingProxyType(
    {"meter": "energy may go on without a meter; see `BLOCKS_START`"}
)
"""Devices whose faults stop nothing that runs."""
BLOCKS_START: Final = frozenset({"meter_refuses"})
"""Faults that let nothing begin, whatever device has them."""
