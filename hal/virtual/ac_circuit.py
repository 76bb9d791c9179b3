"""The AC circuit: mains of one or three phases, two contactors, an on-board charger, a battery."""

from __future__ import annotations

import math
from typing import Final

from hal.virtual.battery import Battery
from hal.virtual.relay import Relay
from hal.virtual.wiring import Circuit

MAINS_V: Final = 230.0
MAINS_HZ: Final = 50.0
POWER_FACTOR: Final = 0.99


class OnBoardCharger:
    """Both directions: efficiency, slew, and a while until it starts.

    `set_w` and `set_var` are followed while mains are there; `apparent_va` bounds both together, active power
    goes first.
    """

    __slots__ = (
        "_idle_s",
        "apparent_va",
        "efficiency",
        "on",
        "power_w",
        "reactive_var",
        "set_var",
        "set_w",
        "slew_w_s",
        "start_s",
    )

    def __init__(
        self,
        *,
        apparent_va: float = 11_500.0,
        efficiency: float = 0.95,
        start_s: float = 3.0,
        slew_w_s: float = 1380.0,
    ) -> None:
        self.apparent_va, self.efficiency = apparent_va, efficiency
        self.start_s, self.slew_w_s = start_s, slew_w_s
        self.on = False
        self.set_w = self.set_var = self.power_w = self.reactive_var = 0.0
        self._idle_s = start_s

    def drive(self, power_w: float, reactive_var: float) -> None:
        """Convert this much."""
        if not self.on:
            self._idle_s = self.start_s
        self.on, self.set_w, self.set_var = True, power_w, reactive_var

    def off(self) -> None:
        """Stop converting, now."""
        self.on = False
        self.set_w = self.set_var = self.power_w = self.reactive_var = 0.0

    @property
    def ramping(self) -> bool:
        """Whether it is on its way to what is set."""
        return self.on and (self._idle_s > 0.0 or abs(self.set_w - self.power_w) > 1.0)

    def step(self, live: bool, dt: float) -> float:
        """Let time pass, with mains or without; returns the active power of this step."""
        if not (self.on and live):
            self.power_w = self.reactive_var = 0.0
            self._idle_s = self.start_s
            return 0.0
        if self._idle_s > 1e-9:
            self._idle_s -= dt
            return 0.0
        reach = self.slew_w_s * dt
        self.power_w += min(max(self.set_w - self.power_w, -reach), reach)
        own_var = abs(self.power_w) * math.tan(math.acos(POWER_FACTOR))
        room = math.sqrt(max(0.0, self.apparent_va**2 - self.power_w**2))
        self.reactive_var = max(-room, min(room, self.set_var + own_var))
        return self.power_w

    def battery_w(self, ac_w: float) -> float:
        """Power at the battery for this power at the mains."""
        return ac_w * self.efficiency if ac_w >= 0 else ac_w / self.efficiency

    def mains_w(self, battery_w: float) -> float:
        """Power at the mains for this power at the battery."""
        return battery_w / self.efficiency if battery_w >= 0 else battery_w * self.efficiency


class AcCircuit(Circuit):
    """`outlet_v` is the voltage of a phase, `current_a` that of a phase with the sign of the active power."""

    is_dc = False

    def __init__(
        self, battery: Battery, evse: Relay, ev: Relay, charger: OnBoardCharger, *, phases: int = 3
    ) -> None:
        super().__init__(battery, evse, ev)
        if phases not in (1, 3):
            raise ValueError("mains have 1 or 3 phases")
        self.charger, self.phases = charger, phases
        self.mains_v, self.mains_hz = MAINS_V, MAINS_HZ

    @property
    def power_w(self) -> float:
        """Active power of all phases at the outlet, now."""
        return self.charger.power_w

    def stop_car(self) -> None:
        self.charger.off()

    def _flow_due_s(self) -> float:
        return 0.05 if self.closed and self.charger.ramping else math.inf

    def _flow(self, dt: float) -> None:
        charger, battery = self.charger, self.battery
        power = charger.step(self.closed, dt)
        self.outlet_v = self.mains_v if self.evse.closed else 0.0
        self.inlet_v = self.outlet_v if self.plugged else 0.0
        self.battery_a = 0.0
        if power:
            self.battery_a = current = battery.current_for(charger.battery_w(power))
            stored_wh = battery.step(current, dt)
            taken_wh = charger.mains_w(stored_wh)
            self.heat_wh += taken_wh - stored_wh
            self._count(taken_wh)
        elif battery.polarised_v:
            battery.step(0.0, dt)
        self._tell_current()

    def _tell_current(self) -> None:
        apparent = math.hypot(self.charger.power_w, self.charger.reactive_var)
        amps = apparent / (self.phases * self.mains_v)
        self.current_a = math.copysign(amps, self.charger.power_w) if amps else 0.0

    def _closed(self, relay: Relay) -> None:
        """A converter that is not running takes no inrush worth the name."""

    def _opened(self) -> None:
        self.charger.step(False, 0.0)
        self.current_a = 0.0
