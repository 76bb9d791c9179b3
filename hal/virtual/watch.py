"""An independent eye on the physics of a bench: what must never happen, and when it came to rest.

    watcher = Watcher(bench)
    ...
    assert not watcher.verdict()

It looks at contacts, volts, amperes, the pilot wire and the bolts alone; what any device or controller believes
it does not know. Limits stand here a second time, on purpose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from hal.types import CpState
from hal.virtual.bench import Bench
from hal.virtual.circuit import Closing
from hal.virtual.dc_circuit import DcCircuit

SAFE_V: Final = 60.0
SAFE_A: Final = 1.0
CLOSING_V: Final = 20.0
"""Least voltage across a closing contactor that is too much (IEC 61851-23)."""
PILOT_S: Final = 0.1
"""From leaving C or D until the contactor is open."""
UNLOCKED_S: Final = 1.0
OVER_VOLTAGE_S: Final = 0.05
ISOLATION_OHM: Final = 100_000.0
ISOLATION_S: Final = 20.0
"""The response time of a monitor, twice."""
AC_PAUSE_S: Final = 10.0
"""Between two closings of an AC contactor."""
METER_SHARE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule, when (s), and what was seen."""

    rule: str
    t: float
    detail: str

    def __str__(self) -> str:
        return f"{self.rule} at {self.t:.3f} s: {self.detail}"


class Watcher:
    """Watches a bench from now on. `peak_v` and `peak_a` are the largest at the outlet, as magnitudes.

    `off_since` tells since when the power is off (s, None while it is on), `rest_since` since when nobody can
    touch a voltage either: a cable that was cut off under voltage takes some seconds to empty itself.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.violations: list[Violation] = []
        self.peak_v = self.peak_a = 0.0
        self.off_since: float | None = bench.now
        self.rest_since: float | None = bench.now
        self._since: dict[str, float] = {}
        self._told: set[str] = set()
        self._seen_closings = len(bench.circuit.closings)
        self._load_breaks = bench.station.relay.load_breaks
        self._closed_at = -math.inf
        self._was_closed = bench.station.relay.closed
        self._bolts = [side.bolt.locked for side in (bench.station, bench.car)]
        self._import_wh = self._export_wh = 0.0
        self._shown_before = (bench.registers.shown_import_wh, bench.registers.shown_export_wh)
        self._before_w, self._before_at = bench.circuit.power_w, bench.now
        bench.observers.append(self._look)

    @property
    def off(self) -> bool:
        """Nothing flows, nothing converts, the station's contactor is open (DC: or welded)."""
        circuit, relay = self.bench.circuit, self.bench.station.relay
        if abs(circuit.current_a) >= SAFE_A or (relay.closed and not relay.welded):
            return False
        return not circuit.converter.on if isinstance(circuit, DcCircuit) else not relay.closed

    @property
    def at_rest(self) -> bool:
        """Off, and at the outlet no voltage but that of a car's battery."""
        circuit = self.bench.circuit
        held = isinstance(circuit, DcCircuit) and circuit.car_joined
        return self.off and (not circuit.is_dc or self.outlet_v < SAFE_V or held)

    @property
    def outlet_v(self) -> float:
        """At the outlet now."""
        return abs(self.bench.circuit.outlet_v)

    def verdict(self, *, ignore: tuple[str, ...] = ()) -> list[Violation]:
        """All violations so far, except those of rules of which the name contains one of `ignore`."""
        return [v for v in self.violations if not any(word in v.rule for word in ignore)]

    # --- each step ------------------------------------------------------------------------------

    def _look(self) -> None:
        bench, circuit = self.bench, self.bench.circuit
        self.peak_v = max(self.peak_v, self.outlet_v)
        self.peak_a = max(self.peak_a, abs(circuit.current_a))
        self._note_rest()
        self._integrate()
        self._judge_meter()
        self._judge_pilot()
        self._judge_closings()
        self._judge_opening()
        self._judge_bolts()
        limit = bench.station.loop.limit_v or math.inf
        self._lasting("over-voltage", self.outlet_v > limit, OVER_VOLTAGE_S, f"{self.outlet_v:.0f} V")
        poles = bench.insulation.from_station(cable=bench.station.relay.closed, car=circuit.closed)
        leaking = circuit.is_dc and circuit.closed and poles.fault_ohm < ISOLATION_OHM
        self._lasting("isolation", leaking, ISOLATION_S, f"{poles.fault_ohm:.0f} Ohm to earth")

    def _note_rest(self) -> None:
        now = self.bench.now
        self.off_since = (now if self.off_since is None else self.off_since) if self.off else None
        self.rest_since = (now if self.rest_since is None else self.rest_since) if self.at_rest else None

    def _judge_pilot(self) -> None:
        """Energy only in C and D."""
        wire, relay = self.bench.wire.wire, self.bench.station.relay
        ready = wire in (CpState.C, CpState.D)
        closed = relay.closed and not relay.welded
        self._lasting("contactor without pilot", closed and not ready, PILOT_S, f"state {wire.value}")
        flowing = abs(self.bench.circuit.current_a) >= SAFE_A
        self._lasting("current without pilot", flowing and not ready, PILOT_S, f"state {wire.value}")

    def _judge_closings(self) -> None:
        closings = self.bench.circuit.closings
        for closing in closings[self._seen_closings :]:
            if _harmful(closing):
                self._tell(f"{closing.side} closing", f"{closing.difference_v:.0f} V across the contactor")
        self._seen_closings = len(closings)
        closed = self.bench.station.relay.closed
        if closed and not self._was_closed:
            if not self.bench.dc and self.bench.now - self._closed_at < AC_PAUSE_S:
                self._tell(
                    "closing too soon", f"{self.bench.now - self._closed_at:.1f} s after the last time"
                )
            self._closed_at = self.bench.now
        self._was_closed = closed

    def _judge_opening(self) -> None:
        """The station stops its converter first; what its safety loop does is another matter."""
        relay, loop = self.bench.station.relay, self.bench.station.loop
        if relay.load_breaks > self._load_breaks and loop.intact and self.bench.dc:
            self._tell("opening under load", "the supply was on")
        self._load_breaks = relay.load_breaks

    def _judge_bolts(self) -> None:
        """A bolt opens where neither volts nor amperes are behind it (the cable's, or the inlet's): while it holds
        something, as after a connector that was torn out there is nothing left to hold.
        """
        bench, circuit = self.bench, self.bench.circuit
        flowing = abs(circuit.current_a) >= SAFE_A
        bolts = (bench.station.bolt, bench.car.bolt)
        volts = (self.outlet_v, abs(circuit.inlet_v))
        for name, bolt, was_locked, v in zip(("evse", "ev"), bolts, self._bolts, volts, strict=True):
            live = v >= SAFE_V or flowing
            if was_locked and not bolt.locked and live and circuit.plugged and not bolt.dropped:
                self._tell(f"{name} unlocking", f"{v:.0f} V, {circuit.current_a:.1f} A")
        self._bolts = [bolt.locked for bolt in bolts]
        live = circuit.plugged and (self.outlet_v >= SAFE_V or flowing)
        self._lasting("unlocked", live and not any(self._bolts), UNLOCKED_S, "energised without a lock")

    def _integrate(self) -> None:
        """Energy by the trapezoid rule, each direction for itself."""
        now, power = self.bench.now, self.bench.circuit.power_w
        energy = (power + self._before_w) / 2 * (now - self._before_at) / 3600.0
        self._before_w, self._before_at = power, now
        if energy >= 0:
            self._import_wh += energy
        else:
            self._export_wh -= energy

    def _judge_meter(self) -> None:
        """Whenever the meter publishes, its registers have counted what has passed."""
        registers = self.bench.registers
        if registers.age_s > 1e-9:
            return
        shown = (registers.shown_import_wh, registers.shown_export_wh)
        true = (self._import_wh, self._export_wh)
        for name, now, before, wh in zip(("import", "export"), shown, self._shown_before, true, strict=True):
            wrong = abs(now - before - wh) > METER_SHARE * wh + 2 * registers.resolution_wh
            self._lasting(f"{name} meter", wrong, 0.0, f"counted {now - before:.1f} Wh of {wh:.1f} Wh")

    # --- words ----------------------------------------------------------------------------------

    def _lasting(self, rule: str, wrong: bool, longest_s: float, detail: str) -> None:
        """A violation where `wrong` lasts longer than `longest_s`; told once each time."""
        if not wrong:
            self._since.pop(rule, None)
            self._told.discard(rule)
            return
        since = self._since.setdefault(rule, self.bench.now)
        if self.bench.now - since > longest_s + 1e-6 and rule not in self._told:
            self._told.add(rule)
            self.violations.append(Violation(rule, since, detail))

    def _tell(self, rule: str, detail: str) -> None:
        self.violations.append(Violation(rule, self.bench.now, detail))


def _harmful(closing: Closing) -> bool:
    """The car's contactor never closes onto a difference; the station's not with a battery behind."""
    matters = closing.side == "ev" or closing.inrush_a != 0.0
    return matters and abs(closing.difference_v) >= CLOSING_V
