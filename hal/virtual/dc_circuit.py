"""The DC circuit of station, cable and car with its capacitors: pre-charge, charge sharing, inrush, shorts.

Nodes: the converter's output (100 uF), cable with inlet (2 uF), battery. Switching happens between steps;
within a step each node follows its closed form, so that results hardly depend on the length of steps.
"""

from __future__ import annotations

import math

from hal.virtual.battery import SECONDS_PER_HOUR, Battery
from hal.virtual.circuit import WELDING_A, Closing
from hal.virtual.converter import Converter
from hal.virtual.relay import Relay
from hal.virtual.wiring import Circuit


class DcCircuit(Circuit):
    """Converter, contactor, cable, contactor, battery. Fault: `short_ohm` between the poles of the cable."""

    def __init__(
        self, battery: Battery, evse: Relay, ev: Relay, converter: Converter, *, cable_ohm: float = 0.01
    ) -> None:
        super().__init__(battery, evse, ev)
        self.converter, self.cable_ohm = converter, cable_ohm
        self.cable_farad, self.cable_bleeder_ohm = 2e-6, 1e6
        self.short_ohm = math.inf

    @property
    def loop_ohm(self) -> float:
        """Cable and battery in series."""
        return self.battery.r0_ohm + self.cable_ohm

    @property
    def farad(self) -> float:
        """The capacitors at the outlet: the cable's, with the station's contactor closed the converter's too."""
        return self.cable_farad + (self.converter.capacitance_f if self.evse.closed else 0.0)

    def stop_station(self) -> None:
        self.converter.off()

    @property
    def _cable_s(self) -> float:
        """Conductance between the poles of the cable."""
        return 1.0 / self.cable_bleeder_ohm + 1.0 / self.short_ohm

    def _source(self) -> tuple[float, float]:
        """The battery with what lies across the cable, as seen from the outlet: (V, Ohm)."""
        share = 1.0 + self._cable_s * self.loop_ohm
        return self.battery.emf_v / share, self.loop_ohm / share

    def _flow_due_s(self) -> float:
        loaded = self.closed
        goal_a = self.converter.goal_a(*self._source()) if loaded else 0.0
        decaying = not (self.evse.closed or self.car_joined) and self.outlet_v > 1.0
        return min(self.converter.due_s(loaded, goal_a), 0.05 if decaying else math.inf)

    def _flow(self, dt: float) -> None:
        self.converter.pass_time(dt)
        if self.closed:
            self._charge_battery(dt)
        elif self.evse.closed:
            self._charge_cable(dt)
        else:
            self._leave_cable(dt)
        if not self.plugged:
            self.inlet_v = self.battery.emf_v if self.ev.closed else 0.0

    def _charge_battery(self, dt: float) -> None:
        converter, battery = self.converter, self.battery
        emf_v, ohm = self._source()
        mean_a = converter.load(emf_v, ohm, dt)
        outlet_v = emf_v + mean_a * ohm
        into_battery_a = mean_a - self._cable_s * outlet_v
        heat_w = into_battery_a**2 * self.cable_ohm + self._cable_s * outlet_v**2
        heat_wh = heat_w * dt / SECONDS_PER_HOUR
        self.heat_wh += heat_wh
        self._count(battery.step(into_battery_a, dt) + heat_wh)
        self._settle()

    def _settle(self) -> None:
        """Voltages of the closed loop for the present current."""
        emf_v, ohm = self._source()
        self.current_a = self.converter.current_a
        self.outlet_v = self.converter.voltage_v = emf_v + self.current_a * ohm
        into_battery_a = self.current_a - self._cable_s * self.outlet_v
        self.inlet_v = self.outlet_v - into_battery_a * self.cable_ohm
        self.battery_a = into_battery_a

    def _charge_cable(self, dt: float) -> None:
        before = self.outlet_v
        self.converter.charge(self.farad, self.converter.leak_s + self._cable_s, dt)
        self.outlet_v = self.inlet_v = self.converter.voltage_v
        rising_a = self.cable_farad * (self.outlet_v - before) / dt
        self.current_a = self._cable_s * self.outlet_v + rising_a
        self._relax(0.0, dt)

    def _leave_cable(self, dt: float) -> None:
        """The station's contactor is open: the cable is held by the battery, or empties itself."""
        self.converter.charge(self.converter.capacitance_f, self.converter.leak_s, dt)
        self.current_a = 0.0
        if self.car_joined:
            emf_v, _ = self._source()
            self.outlet_v = self.inlet_v = emf_v
            self.heat_wh -= self._relax(-self._cable_s * emf_v, dt)
            return
        self.outlet_v *= math.exp(-dt * self._cable_s / self.cable_farad)
        self.outlet_v = self.inlet_v = self.outlet_v if self.outlet_v > 0.01 else 0.0
        self._relax(0.0, dt)

    def _relax(self, current_a: float, dt: float) -> float:
        """The battery without the converter; returns the energy into it (Wh)."""
        self.battery_a = current_a
        return self.battery.step(current_a, dt) if current_a or self.battery.polarised_v else 0.0

    def _closed(self, relay: Relay) -> None:
        """Contacts meet: what is across them drives an inrush, or capacitors share their charge."""
        converter, battery_held = self.converter, self.car_joined
        if relay is self.ev:
            difference = self.outlet_v - self.battery.emf_v if self.plugged else 0.0
        else:
            difference = converter.voltage_v - self.outlet_v
        inrush = difference / self.loop_ohm if battery_held and self.evse.closed else 0.0
        self.closings.append(
            Closing(self.elapsed_s, "evse" if relay is self.evse else "ev", difference, inrush)
        )
        if abs(inrush) > WELDING_A:
            relay.welded = True
        if not battery_held:
            charge = converter.capacitance_f * converter.voltage_v + self.cable_farad * self.outlet_v
            converter.voltage_v = self.outlet_v = self.inlet_v = charge / self.farad
        elif self.evse.closed:
            self._settle()

    def _opened(self) -> None:
        """The choke of the converter finds no load any more; the cable keeps what is left."""
        both = self.converter.capacitance_f + self.cable_farad
        self.converter.kick(self.current_a, both if self.evse.closed else self.converter.capacitance_f)
        if self.evse.closed:
            self.outlet_v = self.inlet_v = self.converter.voltage_v
        self.current_a = 0.0
