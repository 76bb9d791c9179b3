"""The missing side of a bench: a car or a station that does here what the other program says it does there.

A charger and a vehicle with virtual hardware in two processes share no wire, so each has a bench of its own on which
the other side has to be played. A ghost listens to the session (it is a `Sink`), and turns resistors, relays and
converters of its side accordingly; it is part of the physics and has no devices.

    bench = car_haunted_bench(dc=True)
    charger = Charger(..., plug=Plug(), sinks=[GhostCar(bench)])
"""

from __future__ import annotations

from typing import Any, Final

from hal.types import CpState
from hal.virtual.ac_circuit import AcCircuit, OnBoardCharger
from hal.virtual.battery import Battery
from hal.virtual.bench import Bench
from hal.virtual.converter import Converter
from hal.virtual.dc_circuit import DcCircuit
from hal.virtual.realtime import LiveBench
from iso15118.events import EndReason, MessageReceived, MessageSent, SessionEnded
from iso15118.messages.iso20.ac import AC_ChargeLoopReq
from iso15118.messages.iso20.common import (
    ChargeProgress,
    PowerDeliveryReq,
    PowerDeliveryRes,
    SessionStopReq,
)
from iso15118.messages.iso20.dc import (
    DC_CableCheckReq,
    DC_ChargeLoopRes,
    DC_PreChargeReq,
    DC_PreChargeRes,
)
from iso15118.messages.iso20.numbers import number, total

FIRST_PLUG_S: Final = 0.5
"""From the first step of the bench until the connector goes in; the devices have looked around by then."""
AWAY_S: Final = 3.0
"""From one plug-in to the next."""
OFFER_S: Final = 1.0
"""From plugging in until a ghost station oscillates."""
GAP_V: Final = 10.0
"""A car closes its DC contactor below this difference across it."""
CELL_V: Final = 3.7
PRE_CHARGE_A: Final = 2.0
DIGITAL_DUTY: Final = 5.0
STEADY_DUTY: Final = 100.0


def car_haunted_bench(*, dc: bool) -> LiveBench:
    """A bench for a station: what the car does follows the messages without delay of its own."""
    return LiveBench(dc=dc, charger=OnBoardCharger(start_s=0.0, slew_w_s=100_000.0))


def station_haunted_bench(*, dc: bool) -> LiveBench:
    """A bench for a car: what the station does follows the messages without delay of its own."""
    return LiveBench(dc=dc, converter=Converter(rise_a_s=1000.0, fall_a_s=1000.0, volts_s=5000.0))


class _Ghost:
    """What both have in common: somebody plugs in, and pulls the connector out when a session is over and it may go."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._over = False
        self._plug_at: float | None = None
        self._plugged_at = 0.0
        bench.observers.append(self._look)

    def __call__(self, event: Any) -> None:
        """Take an event of the session."""
        match event:
            case MessageReceived(message=message) | MessageSent(message=message):
                self._hear(message)
            case SessionEnded(reason=reason):
                self._rest()
                self._over = reason is not EndReason.PAUSED

    def _look(self) -> None:
        """Time has passed on the bench."""
        self._handle_plug()
        self._act()

    def _handle_plug(self) -> None:
        bench, now = self.bench, self.bench.now
        if self._plug_at is None:
            self._plug_at = now + FIRST_PLUG_S
        if not bench.wire.plugged and now >= self._plug_at:
            self._plugged_at, self._over = now, False
            bench.plug()
        elif bench.wire.plugged and self._over and self._released:
            self._plug_at = now + AWAY_S
            bench.unplug()

    @property
    def _released(self) -> bool:
        """Whether nothing holds the connector and nothing flows."""
        sides = (self.bench.station, self.bench.car)
        return not any(side.bolt.locked or side.bolt.waiting or side.relay.closed for side in sides)

    def _hear(self, message: Any) -> None:
        raise NotImplementedError

    def _rest(self) -> None:
        raise NotImplementedError

    def _act(self) -> None:
        raise NotImplementedError


class GhostCar(_Ghost):
    """A car for a station: its battery has the voltage, and its charger the power, that the real car reports."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._ready = self._close = False
        self._power_w = 0.0

    def _hear(self, message: Any) -> None:
        match message:
            case DC_CableCheckReq():
                self._ready = True
            case DC_PreChargeReq(ev_target_voltage=target):
                self._close = True
                self._equip(number(target))
            case PowerDeliveryReq(charge_progress=ChargeProgress.START):
                self._ready = self._close = True
            case PowerDeliveryReq(charge_progress=ChargeProgress.STOP):
                self._close, self._power_w = False, 0.0
                self._ready = self.bench.dc  # with DC, only after welding detection
            case AC_ChargeLoopReq(cl_req_control_mode=mode):
                self._power_w = total(mode, "ev_present_active_power") or 0.0
            case SessionStopReq():
                self._rest()

    def _rest(self) -> None:
        self._ready = self._close = False
        self._power_w = 0.0

    def _equip(self, voltage_v: float) -> None:
        """The battery of the car that is coming, unless it is there already."""
        circuit = self.bench.circuit
        if not circuit.ev.closed and abs(circuit.battery.emf_v - voltage_v) > GAP_V / 2:
            circuit.battery = Battery(cells=max(1, round(voltage_v / CELL_V)))

    def _act(self) -> None:
        bench = self.bench
        offered = bench.wire.plugged and 3.0 <= bench.wire.duty <= 97.0
        ready = self._ready and offered and bench.station.bolt.locked
        bench.wire.state = CpState.C if ready else CpState.B
        if not (ready and self._close):
            bench.car.relay.command(False)
        elif self._may_close():
            bench.car.relay.command(True)
        if isinstance(bench.circuit, AcCircuit):
            _convert(bench.circuit.charger, self._power_w if bench.circuit.closed else 0.0)

    def _may_close(self) -> bool:
        circuit = self.bench.circuit
        if isinstance(circuit, DcCircuit):
            return circuit.ev.closed or abs(circuit.inlet_v - circuit.battery.emf_v) < GAP_V
        return circuit.inlet_v > 0.0


class GhostStation(_Ghost):
    """A station for a car: its output has the voltage and the current that the real station reports."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._close = self._starting = False
        self._volts = self._amps = 0.0

    def _hear(self, message: Any) -> None:
        match message:
            case DC_PreChargeRes(evse_present_voltage=volts):
                self._close, self._volts, self._amps = True, number(volts), PRE_CHARGE_A
            case DC_ChargeLoopRes(evse_present_current=amps):
                self._amps = number(amps)
                battery = self.bench.circuit.battery
                self._volts = battery.max_v if self._amps >= 0 else battery.min_v
            case PowerDeliveryReq(charge_progress=ChargeProgress.STOP):
                self._volts = self._amps = 0.0
            case PowerDeliveryReq(charge_progress=progress):
                self._starting = progress is ChargeProgress.START
            case PowerDeliveryRes():
                self._close |= self._starting

    def _rest(self) -> None:
        self._close = self._starting = False
        self._volts = self._amps = 0.0

    def _act(self) -> None:
        bench = self.bench
        offered = bench.wire.plugged and not self._over and bench.now >= self._plugged_at + OFFER_S
        bench.wire.duty = DIGITAL_DUTY if offered else STEADY_DUTY
        close = self._close and offered and bench.wire.state.ready
        bench.station.relay.command(close)
        if isinstance(bench.circuit, DcCircuit):
            _drive(bench.circuit.converter, self._volts if close else 0.0, self._amps)


def _drive(converter: Converter, volts: float, amps: float) -> None:
    if volts > 0.0:
        converter.drive(volts, amps)
    elif converter.on:
        converter.off()


def _convert(charger: OnBoardCharger, power_w: float) -> None:
    if power_w:
        charger.drive(power_w, 0.0)
    elif charger.on:
        charger.off()
