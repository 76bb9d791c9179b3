"""Virtual control pilot of either end, and proximity."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hal.errors import HalError, Kind
from hal.pilot import STEADY_DUTY
from hal.pilot_levels import PILOT_FAULTS, PilotReading, ampacity_a, check_duty, classify
from hal.types import NOTHING, Clock, CpState, Quality, Sample
from hal.virtual.device import Line, VirtualDevice
from hal.virtual.gauges import Instrument
from hal.virtual.pilot_line import SOURCE_OHM, Debounced, PilotLine


class VirtualEvsePilot(VirtualDevice):
    """The station's end of a `PilotLine`; accepts a state after two equal looks.

    A missing diode is state E until the car is gone, whatever the voltage says meanwhile.
    """

    def __init__(self, name: str, clock: Clock, line: Line, wire: PilotLine, voltmeter: Instrument) -> None:
        super().__init__(name, clock, line)
        self._wire, self._voltmeter = wire, voltmeter
        self._reader: Debounced[PilotReading] = Debounced(self._read)
        self._duty = STEADY_DUTY
        self._since = -math.inf
        self._diode_missing = False
        self._levels.update(self._unknown())

    @property
    def state(self) -> CpState | None:
        """The debounced state; None while unknown."""
        state: CpState | None = self._levels["state"]
        return state

    @property
    def since(self) -> float:
        """When the line entered this state."""
        since: float = self._levels["since"]
        return since

    @property
    def high_v(self) -> Sample:
        """Peak of the positive half wave."""
        sample: Sample = self._levels["high_v"]
        return sample

    @property
    def duty(self) -> float:
        """What is commanded."""
        return self._duty

    def set_duty(self, percent: float) -> None:
        """5.0 digital, 10.0 to 96.0 basic charging, 100.0 steady +12 V."""
        check_duty(self._name, percent)
        self._want(percent)

    def set_unavailable(self) -> None:
        """Hold -12 V until the next `set_duty`."""
        self._want(0.0)

    def _want(self, percent: float) -> None:
        if not self.lost:
            self._duty = percent
            self._send()

    @property
    def due_s(self) -> float:
        """Time until the next look that matters."""
        return self._reader.due_s

    def pass_time(self, dt: float) -> None:
        """The hardware looks at the wire."""
        reader = self._reader
        before, looks = reader.value, reader.looks
        if reader.step(dt) and (before is None or before.state is not self._read().state):
            self._since = self._clock() - reader.period_s
        if reader.looks != looks:
            self._wire.flip()
        if reader.value is not None:
            missing = reader.value.fault == "diode_fault"
            self._diode_missing = missing or (self._diode_missing and reader.value.state is not CpState.A)

    def _read(self) -> PilotReading:
        before = self._reader.value.state if self._reader.value else None
        return classify(self._wire.high_v, self._wire.low_v, self._wire.duty, before)

    def _push(self) -> None:
        self._wire.duty = self._duty

    def _drop(self) -> None:
        self._wire.duty = STEADY_DUTY

    def _power_up(self) -> None:
        self._reader.forget()

    def _forget(self) -> None:
        self._duty = STEADY_DUTY

    def _signals(self) -> dict[str, Any]:
        reading = self._reader.value or PilotReading(None)
        return {"state": CpState.E if self._diode_missing else reading.state, "since": self._since}

    def _supervise(self) -> None:
        if self.lost:
            return
        told = self._reader.value.fault if self._reader.value else ""
        for code, fault in PILOT_FAULTS.items():
            if code == told or (code == "diode_fault" and self._diode_missing):
                self._faults[code] = fault
            else:
                self._faults.pop(code, None)

    def _samples(self, now: float) -> dict[str, Any]:
        return {"high_v": self._voltmeter.take(self._wire.high_v, now)}

    def _unknown(self) -> dict[str, Any]:
        return {"state": None, "since": self._since, "high_v": self._levels.get("high_v", NOTHING)}

    def _persists(self, code: str) -> bool:
        return code == "diode_fault" and self._diode_missing


class VirtualEvPilot(VirtualDevice):
    """The car's end of a `PilotLine`."""

    def __init__(self, name: str, clock: Clock, line: Line, wire: PilotLine) -> None:
        super().__init__(name, clock, line)
        self._wire = wire
        self._reader: Debounced[tuple[bool, float]] = Debounced(self._read)
        self._wanted = self._switched = CpState.B
        self._levels.update(self._unknown())

    @property
    def duty(self) -> Sample:
        """Duty cycle in percent."""
        sample: Sample = self._levels["duty"]
        return sample

    @property
    def plugged(self) -> bool | None:
        """Whether a connector is in the inlet."""
        plugged: bool | None = self._levels["plugged"]
        return plugged

    @property
    def state(self) -> CpState:
        """What is signalled, or what the station holds."""
        state: CpState = self._levels["state"]
        return state

    def set_state(self, state: CpState) -> None:
        """Signal B, C or D."""
        if state not in (CpState.B, CpState.C, CpState.D):
            raise HalError(
                self._name, Kind.OUT_OF_RANGE, f"a car signalling {state.value}", next_step="Use B, C or D"
            )
        if not self.lost:
            self._wanted = state
            self._send()

    @property
    def due_s(self) -> float:
        """Time until the next look that matters."""
        return self._reader.due_s

    def pass_time(self, dt: float) -> None:
        """The hardware looks at the wire."""
        self._reader.step(dt)

    def _read(self) -> tuple[bool, float]:
        wire = self._wire
        dead = not wire.powered or wire.short_ohm < SOURCE_OHM
        return wire.plugged, 0.0 if dead else wire.duty

    def _push(self) -> None:
        self._switch(self._wanted)

    def _switch(self, state: CpState) -> None:
        if state is not self._switched:
            self._switched = self._wire.state = state

    def _drop(self) -> None:
        self._switch(CpState.B)

    def _power_up(self) -> None:
        self._reader.forget()

    def _forget(self) -> None:
        self._wanted = CpState.B

    def _signals(self) -> dict[str, Any]:
        if self._reader.value is None:
            return {"plugged": None, "state": CpState.A}
        plugged, duty = self._reader.value
        if not plugged:
            state = CpState.A
        elif duty == 0.0:
            state = CpState.F if self._wire.powered and self._wire.duty == 0.0 else CpState.E
        else:
            state = self._switched
        return {"plugged": plugged, "state": state}

    def _samples(self, now: float) -> dict[str, Any]:
        plugged, duty = self._reader.value or (False, math.nan)
        return {"duty": Sample(duty, now) if plugged else Sample(math.nan, now, Quality.INVALID)}

    def _unknown(self) -> dict[str, Any]:
        return {
            "plugged": None,
            "state": self._levels.get("state", CpState.A),
            "duty": self._levels.get("duty", NOTHING),
        }


class VirtualProximity(VirtualDevice):
    """Reads the resistor of a plug: `plug_ohm()` in Ohm, inf without a plug."""

    def __init__(self, name: str, clock: Clock, line: Line, plug_ohm: Callable[[], float]) -> None:
        super().__init__(name, clock, line)
        self._plug_ohm = plug_ohm
        self._levels.update(self._unknown())

    @property
    def ampacity_a(self) -> float | None:
        """What the cable carries."""
        ampacity: float | None = self._levels["ampacity"]
        return ampacity

    def _signals(self) -> dict[str, Any]:
        return {"ampacity": ampacity_a(self._plug_ohm())}

    def _unknown(self) -> dict[str, Any]:
        return {"ampacity": None}
