"""What the circuits of DC and AC have in common: a contactor on each side, a battery, an outlet."""

from __future__ import annotations

from typing import Final

from hal.virtual.battery import Battery
from hal.virtual.circuit import Closing
from hal.virtual.relay import Relay

REST_S: Final = 0.2
"""Longest step while nothing ramps."""


class Circuit:
    """What DC and AC have in common: two contactors, a battery, energy that passes the outlet.

    Read `outlet_v` and `current_a` (at the station's end of the cable, + into the EV), `inlet_v` (at the
    car's end, before its contactor), `battery_a`. `energy_wh` passed the outlet in the last step.
    """

    is_dc = True

    def __init__(self, battery: Battery, evse: Relay, ev: Relay) -> None:
        self.battery, self.evse, self.ev = battery, evse, ev
        self.outlet_v = self.inlet_v = self.energy_wh = 0.0
        self.current_a = self.battery_a = 0.0
        self.delivered_wh = self.fed_back_wh = self.heat_wh = 0.0
        self.stored_at_start_wh = battery.stored_wh
        self.closings: list[Closing] = []
        self.elapsed_s = 0.0
        self.plugged = True

    @property
    def power_w(self) -> float:
        """At the outlet, now."""
        return self.outlet_v * self.current_a

    @property
    def car_joined(self) -> bool:
        """Whether the battery is connected to the cable."""
        return self.ev.closed and self.plugged

    @property
    def closed(self) -> bool:
        """Whether energy can flow from the station to the battery."""
        return self.evse.closed and self.car_joined

    def plug(self, plugged: bool) -> None:
        """Mate the connector or pull it out; what flows breaks off."""
        if plugged == self.plugged:
            return
        was_closed, self.plugged = self.closed, plugged
        if was_closed:
            self._opened()
        elif self.closed:
            self._closed(self.ev)

    @property
    def due_s(self) -> float:
        """Longest step that misses no switching and follows what ramps."""
        return min(self.evse.due_s, self.ev.due_s, self._flow_due_s(), REST_S)

    def step(self, dt: float) -> None:
        """Let time pass."""
        self.elapsed_s += dt
        self.energy_wh = 0.0
        self._flow(dt)
        self._switch(self.evse, dt)
        self._switch(self.ev, dt)

    def stop_station(self) -> None:
        """The station's safety loop has opened: its converter, where it has one, stops."""

    def stop_car(self) -> None:
        """The car's safety loop has opened: its converter, where it has one, stops."""

    def balance_wh(self) -> float:
        """Energy through the outlet minus all that was stored or became heat; zero but for rounding."""
        battery = self.battery
        stored = battery.stored_wh - self.stored_at_start_wh + battery.polarised_wh
        return self.delivered_wh - self.fed_back_wh - stored - battery.loss_wh - self.heat_wh

    def _switch(self, relay: Relay, dt: float) -> None:
        was_closed = relay.closed
        relay.step(dt, self.current_a)
        if relay.closed and not was_closed:
            self._closed(relay)
        elif was_closed and not relay.closed:
            self._opened()

    def _count(self, energy_wh: float) -> None:
        self.energy_wh = energy_wh
        if energy_wh >= 0:
            self.delivered_wh += energy_wh
        else:
            self.fed_back_wh -= energy_wh

    def _flow_due_s(self) -> float:
        raise NotImplementedError

    def _flow(self, dt: float) -> None:
        raise NotImplementedError

    def _closed(self, relay: Relay) -> None:
        raise NotImplementedError

    def _opened(self) -> None:
        raise NotImplementedError
