"""Numbers by which the controllers act, with the defaults of IEC 61851-23:2023 and of field practice.

Read from plain data like the other configurations (`from_dict`, `from_toml`); units stand in the names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from iso15118.config import _check, _FromToml


@dataclass(frozen=True, slots=True)
class CableCheckConfig:
    """The insulation test before a DC charge (IEC 61851-23 CC.4.1.2).

    Whatever takes longer than its time fails. `readings` resistances in a row, `reading_interval_s` apart, have
    to be good. The EV waits 40 s for the whole, some only 30 s.
    """

    current_a: float = 2.0
    tolerance_v: float = 10.0
    discharge_s: float = 10.0
    closing_s: float = 1.0
    rise_s: float = 6.0
    short_s: float = 0.5
    self_test_s: float = 12.0
    readings: int = 3
    reading_interval_s: float = 1.0
    reading_s: float = 5.0

    def __post_init__(self) -> None:
        _check(self, "current_a", 0 < self.current_a <= 5, "above 0, at most 5 A")
        _check(self, "tolerance_v", self.tolerance_v > 0, "above 0 V")
        _check(self, "readings", 1 <= self.readings <= 10, "1 to 10")
        worst_s = self.self_test_s + self.rise_s + self.readings * self.reading_interval_s
        _check(self, "self_test_s", worst_s < 36, "so that the whole test ends before the EV's 40 s")


@dataclass(frozen=True, slots=True)
class HalEvseConfig(_FromToml):
    """One station's outlet.

    `max_*` bound what the hardware's ratings allow (None: the ratings alone); AC stations have no ratings but
    these, as sums over `phases`. `ventilation` False never energises in pilot state D with AC. `derate_from_c`
    begins to lower the limits, linearly down to nothing at `stop_c`, where power goes off. `isolation_ohm` is
    100 000 for CCS, 125 000 for MCS. `pause_s` lies between two closings of an AC contactor. `unlock_s` after the contactor opened
    on a cable under voltage it has emptied itself, even if the car opened by its watchdog only; a voltage that is
    measured at the connector then is a fault. `outlet_tolerance_v`: what the supply and the instrument at the connector
    may differ by. `stale_s`: an older reading is none. `silence_s`: so long power flows without a sign of life of the session.
    """

    max_power_w: float | None = None
    max_current_a: float | None = None
    max_voltage_v: float | None = None
    max_discharge_w: float | None = None
    max_discharge_a: float | None = None
    min_voltage_v: float = 150.0
    phases: int = 3
    nominal_v: float = 230.0
    ventilation: bool = False
    ramp_up_a_s: float = 25.0
    ramp_down_a_s: float = 100.0
    isolation_ohm: float = 100_000.0
    derate_from_c: float = 60.0
    stop_c: float = 80.0
    tolerance_v: float = 20.0
    tolerance_a: float = 5.0
    tolerance_share: float = 0.03
    safe_v: float = 60.0
    stale_s: float = 2.0
    silence_s: float = 2.0
    pause_s: float = 10.0
    unlock_s: float = 8.0
    outlet_tolerance_v: float = 50.0
    discharge_wait_s: float = 0.3
    meter_tolerance_w: float = 500.0
    meter_tolerance_share: float = 0.1
    cable_check: CableCheckConfig = field(default_factory=CableCheckConfig)

    def __post_init__(self) -> None:
        _check(self, "phases", self.phases in (1, 3), "1 or 3")
        _check(self, "ramp_up_a_s", 0 < self.ramp_up_a_s < math.inf, "above 0 A/s")
        _check(self, "ramp_down_a_s", 0 < self.ramp_down_a_s < math.inf, "above 0 A/s")
        _check(self, "stop_c", self.stop_c > self.derate_from_c, "above derate_from_c")
        _check(self, "safe_v", 0 < self.safe_v <= 60, "above 0, at most 60 V (touch-safe)")
        _check(self, "stale_s", 0 < self.stale_s <= 2, "above 0, at most 2 s")
        _check(self, "silence_s", self.silence_s > 0.5, "above 0.5 s, the pace of a charge loop")
        _check(self, "isolation_ohm", self.isolation_ohm >= 100_000, "100 kOhm or more")


@dataclass(frozen=True, slots=True)
class HalEvConfig(_FromToml):
    """One car.

    `max_*` bound what the battery management allows; `max_discharge_*` 0 never feeds back. State of charge in
    percent: complete at `target_soc`, no feeding back at or below `minimum_soc`, `maximum_soc` for cycling.
    `close_v`: greatest difference across the DC contactor that closes. `open_wait_s`: how long an opening waits
    for the station to take the current away. `unlock_s`: the inlet's AC contacts are not measured; after so long
    in state B the station has opened, be it by its watchdog. Other names as in `HalEvseConfig`.
    """

    max_power_w: float = 150_000.0
    max_current_a: float = 350.0
    max_discharge_w: float = 0.0
    max_discharge_a: float = 0.0
    min_power_w: float = 0.0
    minimum_soc: float = 20.0
    target_soc: float = 80.0
    maximum_soc: float = 90.0
    departure_s: int = 7200
    close_v: float = 15.0
    open_wait_s: float = 0.25
    derate_from_c: float = 60.0
    stop_c: float = 80.0
    tolerance_a: float = 10.0
    over_voltage_share: float = 1.03
    safe_v: float = 60.0
    stale_s: float = 2.0
    silence_s: float = 2.0
    nominal_v: float = 230.0
    unlock_s: float = 3.0

    def __post_init__(self) -> None:
        ordered = 0 <= self.minimum_soc <= self.target_soc <= 100
        _check(self, "target_soc", ordered, "minimum_soc to 100 percent")
        _check(self, "maximum_soc", self.minimum_soc <= self.maximum_soc <= 100, "minimum_soc to 100 percent")
        _check(self, "close_v", 0 < self.close_v <= 20, "above 0, at most 20 V (IEC 61851-23)")
        _check(self, "stop_c", self.stop_c > self.derate_from_c, "above derate_from_c")
        _check(self, "safe_v", 0 < self.safe_v <= 60, "above 0, at most 60 V (touch-safe)")
        _check(self, "stale_s", 0 < self.stale_s <= 2, "above 0, at most 2 s")
        _check(self, "silence_s", self.silence_s > 0.5, "above 0.5 s, the pace of a charge loop")
