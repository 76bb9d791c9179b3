"""Everything that can break on a bench: by name, with what the product has to make of it and how soon.

    bench.inject("contactor_welded", side="evse")
    bench.heal("contactor_welded", side="evse")

`FAULTS` is the list to test against: for each switch, each of its `phases`, sides and roles, the power must be off as
its `reaction` says, `within_s` of physical truth (`watch` judges it). Where the contactor has to open at once, the
cable behind it is left to empty itself.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hal.types import CpState
from hal.virtual.dc_circuit import DcCircuit
from hal.virtual.device import WATCHDOG_S, VirtualDevice
from hal.virtual.measuring import VirtualConnectorVoltage, VirtualMeter
from hal.virtual.power import VirtualDcSupply

if TYPE_CHECKING:
    from hal.virtual.bench import Bench, Side
    from hal.virtual.converter import Converter


class Reaction(enum.Enum):
    """What has to follow."""

    RIDE_THROUGH = "nothing stops, no wrong value is used"
    WARNING = "the operator is told; energy may go on"
    REFUSE_START = "energy never flows; voltage is off the connector again in time"
    STOP = "error shutdown: supply off, then contactors open, the other side told over the link"
    EMERGENCY = "emergency shutdown: everything off at once, pilot steady or F"
    HARDWARE = "the hardware is off by itself; software reports it and stays off until reset"
    HOLD_LOCK = "reported when it should have opened; the lock stays closed, a new start is refused"


class Phase(enum.Enum):
    """When a fault comes."""

    IDLE = "before the car is plugged in"
    CABLE_CHECK = "while the cable check has voltage on the cable"
    PRE_CHARGE = "when pre-charge begins"
    CHARGING = "while current flows"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a fault is switched: a bench, a side of it ("evse", "ev"), a device by its role in the bundle."""

    fault: str
    bench: Bench
    side_name: str
    role: str

    @property
    def side(self) -> Side:
        """The truth of that side."""
        return self.bench.side(self.side_name)

    @property
    def device(self) -> VirtualDevice:
        """That device."""
        return self.bench.device(self.side_name, self.role)

    @property
    def dc(self) -> DcCircuit:
        """The DC circuit; TypeError on an AC bench."""
        if isinstance(self.bench.circuit, DcCircuit):
            return self.bench.circuit
        raise TypeError("this fault needs a DC bench")

    @property
    def converter(self) -> Converter:
        """The station's DC module."""
        return self.dc.converter

    @property
    def supply(self) -> VirtualDcSupply:
        """The device that drives it."""
        supply = self.bench.device("evse", "supply")
        assert isinstance(supply, VirtualDcSupply)
        return supply

    @property
    def outlet(self) -> VirtualConnectorVoltage:
        """The station's instrument at the connector."""
        outlet = self.bench.device("evse", "outlet")
        assert isinstance(outlet, VirtualConnectorVoltage)
        return outlet

    @property
    def meter(self) -> VirtualMeter:
        """The meter at the outlet."""
        meter = self.bench.device("evse", "meter")
        assert isinstance(meter, VirtualMeter)
        return meter


class Effect(NamedTuple):
    """How a fault comes and how it goes."""

    on: Callable[[Target], object]
    off: Callable[[Target], object]


class Pulse:
    """A value written step by step: `at(seconds since the beginning)` every `period_s`, for `length_s`."""

    def __init__(self, write: Callable[[float], None], period_s: float, length_s: float) -> None:
        self._write, self._period_s, self._left_s = write, period_s, length_s
        self._since_s = 0.0
        self._next_s = period_s

    @property
    def due_s(self) -> float:
        """Time until the next value; inf when it is over."""
        return self._next_s if self._left_s > 0 else math.inf

    def step(self, dt: float) -> None:
        """Let time pass."""
        if self._left_s <= 0:
            return
        self._since_s += dt
        self._left_s -= dt
        self._next_s -= dt
        if self._next_s <= 1e-9:
            self._next_s = self._period_s
            self._write(self._since_s)


def _sets(find: Callable[[Target], Any], **values: tuple[Any, Any]) -> Effect:
    """Attributes of what `find` finds: name = (broken, whole)."""

    def write(target: Target, which: int) -> None:
        part = find(target)
        for name, value in values.items():
            setattr(part, name, value[which])

    return Effect(lambda target: write(target, 0), lambda target: write(target, 1))


def _nothing(target: Target) -> None:
    """What cannot be undone by a switch."""


def _together(*effects: Effect) -> Effect:
    return Effect(
        lambda target: [effect.on(target) for effect in effects],
        lambda target: [effect.off(target) for effect in effects],
    )


def _goes_on(
    write: Callable[[Target, float], None],
    period_s: float,
    length_s: float,
    whole: Callable[[Target], object],
) -> Effect:
    """Something that changes with time, until `whole` ends it."""

    def begin(target: Target) -> None:
        write(target, 0.0)
        pulse = Pulse(lambda since_s: write(target, since_s), period_s, length_s)
        target.bench.processes[target.fault, target.side_name] = pulse

    def end(target: Target) -> None:
        target.bench.processes.pop((target.fault, target.side_name), None)
        whole(target)

    return Effect(begin, end)


@dataclass(frozen=True, slots=True)
class FaultSwitch:
    """One way to break. `roles` empty: it does not concern a single device; `energies` where it can happen."""

    name: str
    does: str
    reaction: Reaction
    within_s: float
    effect: Effect
    phases: tuple[Phase, ...] = (Phase.CHARGING,)
    sides: tuple[str, ...] = ("evse",)
    energies: tuple[str, ...] = ("dc", "ac")
    roles: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


BOTH: Final = ("evse", "ev")
DC: Final = ("dc",)
AC: Final = ("ac",)
START: Final = (Phase.IDLE,)
ALL: Final = tuple(Phase)
LINES: Final = (
    "contactor",
    "pilot",
    "supply",
    "isolation",
    "safety",
    "outlet",
    "inlet",
    "charger",
    "battery",
)
"""Devices without which no energy may flow. Not every bench has all of them."""
DEVICES: Final = (*LINES, "lock", "thermometers")
SILENT_S: Final = WATCHDOG_S + 0.5
"""From the last word of a device: its watchdog, then a contactor."""
PILOT_S: Final = 0.1
"""From leaving state C or D until the power is off (IEC 61851-1 sequences 2 and 8)."""


# --- what is broken -----------------------------------------------------------------------------


def _line(**values: tuple[Any, Any]) -> Effect:
    return _sets(lambda target: target.device.line, **values)


def _relay(**values: tuple[Any, Any]) -> Effect:
    return _sets(lambda target: target.side.relay, **values)


def _converter(**values: tuple[Any, Any]) -> Effect:
    return _sets(lambda target: target.converter, **values)


def _readings(**values: tuple[Any, Any]) -> Effect:
    return _together(
        _sets(lambda target: target.supply.voltmeter, **values),
        _sets(lambda target: target.supply.ammeter, **values),
    )


def _outlet(**values: tuple[Any, Any]) -> Effect:
    return _sets(lambda target: target.outlet.voltmeter, **values)


def _cable_minus(target: Target, ohm: float) -> None:
    target.bench.insulation.cable_minus_ohm = ohm


def _insulated(target: Target) -> None:
    _cable_minus(target, math.inf)


def _ramp(target: Target, since_s: float) -> None:
    _cable_minus(target, max(50e3, 2e6 - 390e3 * since_s))


def _flap(target: Target, since_s: float) -> None:
    _cable_minus(target, 80e3 if round(since_s) % 2 else 120e3)


def _wire(**values: tuple[Any, Any]) -> Effect:
    return _sets(lambda target: target.bench.wire, **values)


def _flicker(target: Target) -> None:
    target.bench.wire.flicker = CpState.C
    target.bench.wire.state = CpState.B


def _steady(target: Target) -> None:
    target.bench.wire.flicker = None
    target.bench.wire.state = CpState.C


def _heat(target: Target, since_s: float) -> None:
    for pin in target.side.pins.values():
        pin.ambient_c = pin.celsius = 25.0 + 2.0 * since_s


def _cool(target: Target) -> None:
    _heat(target, 0.0)


def _kill(target: Target, up: bool) -> None:
    for device in target.bench.roles(target.side_name).values():
        device.line.up = up


# One fault, one row: a table, not prose for the formatter.
# fmt: off
_COMMUNICATION: Final = (
    FaultSwitch("line_corrupts", "30 % of the answers are damaged; retries help", Reaction.RIDE_THROUGH, 0.0,
                _line(loss=(0.3**3, 0.0)), sides=BOTH, roles=LINES),
    FaultSwitch("line_drops", "20 % of the answers are lost; retries help", Reaction.RIDE_THROUGH, 0.0,
                _line(loss=(0.2**3, 0.0)), sides=BOTH, roles=LINES),
    FaultSwitch("line_truncates", "20 % of the answers end early; retries help", Reaction.RIDE_THROUGH, 0.0,
                _line(loss=(0.2**3, 0.0)), sides=BOTH, roles=LINES),
    FaultSwitch("line_repeats", "every command and every answer comes twice", Reaction.RIDE_THROUGH, 0.0,
                _line(doubled=(True, False)), sides=BOTH, roles=LINES),
    FaultSwitch("line_delays", "answers come 300 ms late", Reaction.RIDE_THROUGH, 0.0,
                _line(latency_s=(0.3, 0.0)), sides=BOTH, roles=LINES),
    FaultSwitch("line_sticks", "one octet again and again instead of answers", Reaction.STOP, SILENT_S,
                _line(up=(False, True)), sides=BOTH, roles=LINES),
    FaultSwitch("line_echoes", "own octets come back instead of answers", Reaction.STOP, SILENT_S,
                _line(up=(False, True)), sides=BOTH, roles=LINES),
    FaultSwitch("device_silent", "no answer any more", Reaction.STOP, SILENT_S,
                _line(up=(False, True)), sides=BOTH, roles=DEVICES),
    FaultSwitch("device_reboots", "restarts, forgets what it was told, answers again", Reaction.STOP, SILENT_S,
                Effect(lambda t: t.device.reboot(), _nothing), sides=BOTH, roles=DEVICES),
    FaultSwitch("controller_killed", "nobody drives the devices any more", Reaction.HARDWARE, SILENT_S,
                Effect(lambda t: _kill(t, False), lambda t: _kill(t, True)), phases=ALL, sides=BOTH),
    FaultSwitch("clock_steps", "the wall clock jumps by an hour", Reaction.RIDE_THROUGH, 0.0,
                _sets(lambda t: t.bench, utc_step_s=(3600.0, 0.0))),
    FaultSwitch("clock_steps_back", "the wall clock jumps back by an hour", Reaction.RIDE_THROUGH, 0.0,
                _sets(lambda t: t.bench, utc_step_s=(-3600.0, 0.0))),
)

_SWITCHGEAR: Final = (
    FaultSwitch("contactor_welded", "cannot open any more", Reaction.HOLD_LOCK, 0.3,
                _relay(welded=(True, False)), sides=BOTH),
    FaultSwitch("contactor_stuck_open", "cannot close", Reaction.REFUSE_START, 0.5,
                _relay(stuck_open=(True, False)), phases=START, sides=BOTH),
    FaultSwitch("contactor_lies", "the mirror contact tells the opposite", Reaction.REFUSE_START, 0.5,
                _relay(inverted=(True, False)), phases=START, sides=BOTH),
    FaultSwitch("contactor_lies_at_last", "the mirror contact begins to tell the opposite", Reaction.STOP, 0.5,
                _relay(inverted=(True, False)), sides=BOTH),
    FaultSwitch("contactor_slow", "takes more than 400 ms to close", Reaction.REFUSE_START, 0.5,
                _relay(late_s=(0.4, 0.0)), phases=START, sides=BOTH),
    FaultSwitch("battery_disconnects", "the car's contactor falls open under load", Reaction.STOP, 0.5,
                Effect(lambda t: t.side.relay.slip(False), _nothing), sides=("ev",)),
    FaultSwitch("lock_jams", "the bolt does not move", Reaction.REFUSE_START, 1.0,
                _sets(lambda t: t.side.bolt, jammed=(True, False)), phases=START, sides=BOTH),
    FaultSwitch("lock_drops", "the bolt comes open", Reaction.STOP, 0.5,
                Effect(lambda t: t.side.bolt.drop(), _nothing), sides=BOTH),
)

_ISOLATION: Final = (
    FaultSwitch("isolation_ramps", "2 MOhm fall to 50 kOhm in 5 s", Reaction.STOP, 16.0,
                _goes_on(_ramp, 0.1, 6.0, _insulated), energies=DC),
    FaultSwitch("isolation_steps", "50 kOhm at once", Reaction.STOP, 12.0,
                Effect(lambda t: _cable_minus(t, 50e3), _insulated), energies=DC),
    FaultSwitch("isolation_bad", "98 kOhm from the beginning", Reaction.REFUSE_START, 40.0,
                Effect(lambda t: _cable_minus(t, 100e3), _insulated), phases=START, energies=DC),
    FaultSwitch("isolation_flaps", "to and fro between 80 and 120 kOhm every second", Reaction.STOP, 30.0,
                _goes_on(_flap, 1.0, 120.0, _insulated), energies=DC),
    FaultSwitch("car_monitor_on", "the car's own monitor disturbs: 1 MOhm +-20 %", Reaction.RIDE_THROUGH, 0.0,
                _sets(lambda t: t.bench.insulation, car_monitor=(True, False)), energies=DC),
    FaultSwitch("self_test_fails", "the isolation monitor finds itself broken", Reaction.REFUSE_START, 40.0,
                _sets(lambda t: t.bench.monitor, test_fails=(True, False)), phases=START, energies=DC),
    FaultSwitch("self_test_hangs", "the isolation monitor's self test never ends", Reaction.REFUSE_START, 40.0,
                _sets(lambda t: t.bench.monitor, test_hangs=(True, False)), phases=START, energies=DC),
)

_POWER: Final = (
    FaultSwitch("cable_short", "100 Ohm between the poles; from when voltage is applied", Reaction.REFUSE_START,
                2.5, _sets(lambda t: t.dc, short_ohm=(100.0, math.inf)), phases=START, energies=DC),
    FaultSwitch("supply_overshoots", "gives 60 V more than it was told", Reaction.REFUSE_START, 12.0,
                _converter(bias_v=(60.0, 0.0)), phases=(Phase.CABLE_CHECK, Phase.PRE_CHARGE), energies=DC),
    FaultSwitch("supply_drifts", "gives 5 V more every second", Reaction.REFUSE_START, 12.0,
                _converter(drift_v_s=(5.0, 0.0), bias_v=(0.0, 0.0)), phases=(Phase.CABLE_CHECK,), energies=DC),
    FaultSwitch("supply_runs_away", "gives 50 A more than it was told", Reaction.STOP, 2.0,
                _converter(excess_a=(50.0, 0.0)), energies=DC),
    FaultSwitch("supply_deaf", "keeps its set-points until switched off; from their next change", Reaction.STOP,
                5.0, _converter(deaf=(True, False)), energies=DC),
    FaultSwitch("supply_reading_stuck", "repeats what it measured; from the next change", Reaction.STOP, 40.0,
                _readings(stuck=(True, False)), energies=DC),
    FaultSwitch("supply_reading_nan", "measures not a number", Reaction.STOP, 3.0,
                _readings(nan=(True, False)), energies=DC),
    FaultSwitch("supply_reading_scaled", "measures a thousand times too much", Reaction.STOP, 3.0,
                _readings(gain=(1000.0, 1.0)), energies=DC),
    FaultSwitch("outlet_reading_stuck", "the connector's instrument repeats what it measured", Reaction.HOLD_LOCK,
                9.0, _outlet(stuck=(True, False)), energies=DC),
    FaultSwitch("outlet_reading_zero", "the connector's instrument measures nothing", Reaction.STOP, 3.0,
                _outlet(gain=(0.0, 1.0)), energies=DC),
    FaultSwitch("over_voltage", "gives 250 V more than it was told", Reaction.HARDWARE, 1.0,
                _converter(bias_v=(250.0, 0.0)), phases=(Phase.CABLE_CHECK,), energies=DC),
    FaultSwitch("no_discharge", "the discharge path is broken", Reaction.REFUSE_START, 40.0,
                _converter(discharge_ohm=(math.inf, 1000.0)), phases=START, energies=DC),
    FaultSwitch("pre_charge_mismatch", "gives 40 V more than it measures", Reaction.REFUSE_START, 15.0,
                _together(_converter(bias_v=(40.0, 0.0)),
                          _sets(lambda t: t.supply.voltmeter, offset=(-40.0, 0.0))),
                phases=(Phase.PRE_CHARGE,), energies=DC),
)

_PILOT: Final = (
    FaultSwitch("pilot_diode_short", "the diode conducts both ways", Reaction.EMERGENCY, PILOT_S,
                _wire(diode_ok=(False, True))),
    FaultSwitch("pilot_short", "10 Ohm to earth", Reaction.EMERGENCY, PILOT_S,
                _wire(short_ohm=(10.0, math.inf))),
    FaultSwitch("pilot_flickers", "B and C faster than two looks", Reaction.RIDE_THROUGH, 0.0,
                Effect(_flicker, _steady)),
    FaultSwitch("pilot_dead", "the oscillator gives 0 V: state E", Reaction.EMERGENCY, PILOT_S,
                _wire(powered=(False, True))),
    FaultSwitch("pilot_wants_ventilation", "state D where there is none", Reaction.STOP, PILOT_S,
                _wire(state=(CpState.D, CpState.C)), energies=AC),
    FaultSwitch("unplugged_under_load", "the connector is torn out", Reaction.EMERGENCY, PILOT_S,
                Effect(lambda t: t.bench.unplug(), lambda t: t.bench.plug())),
)

_PROTECTION: Final = (
    FaultSwitch("emergency_stop", "the button is pressed", Reaction.HARDWARE, 0.1,
                Effect(lambda t: t.side.loop.causes.add("emergency_stop"),
                       lambda t: t.side.loop.causes.discard("emergency_stop")), phases=ALL, sides=BOTH),
    FaultSwitch("residual_current", "8 mA DC to earth", Reaction.HARDWARE, 1.1,
                _sets(lambda t: t.side.loop, residual_dc_ma=(8.0, 0.0)), energies=AC),
    FaultSwitch("overheats", "contacts become 2 K hotter every second", Reaction.STOP, 40.0,
                _goes_on(_heat, 0.5, 60.0, _cool), sides=BOTH),
)

_METER: Final = (
    FaultSwitch("meter_frozen", "counts no more", Reaction.WARNING, 40.0,
                _sets(lambda t: t.bench.registers, frozen=(True, False))),
    FaultSwitch("meter_jumps_back", "the register falls by 100 Wh", Reaction.WARNING, 3.0,
                _sets(lambda t: t.bench.registers, jump_wh=(-100.0, 0.0))),
    FaultSwitch("meter_signature_invalid", "readings do not carry the meter's signature", Reaction.WARNING, 3.0,
                _sets(lambda t: t.meter, bad_signature=(True, False))),
    FaultSwitch("meter_refuses", "no legal transaction can begin", Reaction.REFUSE_START, 60.0,
                _sets(lambda t: t.bench.registers, refuses=(True, False)), phases=START),
)
# fmt: on

FAULTS: Final[dict[str, FaultSwitch]] = {
    switch.name: switch
    for group in (_COMMUNICATION, _SWITCHGEAR, _ISOLATION, _POWER, _PILOT, _PROTECTION, _METER)
    for switch in group
}
"""All switches by name."""


@dataclass(frozen=True, slots=True)
class Case:
    """One way to try a switch: where (`role` None: it concerns no single device) and when."""

    switch: FaultSwitch
    energy: str
    side: str
    role: str | None
    phase: Phase

    def __str__(self) -> str:
        words = (self.switch.name, self.energy, self.side, self.role, self.phase.name.lower())
        return "-".join(word for word in words if word)


_UNREACHABLE: Final = ("line_sticks", "line_echoes", "device_silent")


def unkeepable(name: str, energy: str, side: str, role: str | None) -> tuple[str, ...]:
    """Rules of the watcher that nobody can keep with this broken: hardware's own watchdogs are all that is left."""
    match name, energy, side, role:
        case "controller_killed", _, "evse", _:
            return ("without pilot",)
        case "device_reboots", _, _, "contactor":
            return ("opening under load",)  # it falls open before anybody knows
        case _, _, _, "supply" if name in _UNREACHABLE:
            return ("opening under load",)  # cannot be told to stop, and the car is not ready any more
        case _, _, "evse", "contactor" if name in _UNREACHABLE:
            return ("contactor without pilot",)  # until its own watchdog opens it
        case "contactor_welded", "ac", "evse", _:
            return ("ev unlocking",)  # the car cannot know; the station's bolt stays
        case (("meter_frozen" | "meter_jumps_back"), _, _, _):
            return ("meter",)
    return ()


def cases(bench: Bench) -> list[Case]:
    """Every way to try every switch on such a bench."""
    energy = "dc" if bench.dc else "ac"
    phases = ALL if bench.dc else (Phase.IDLE, Phase.CHARGING)
    return [
        Case(switch, energy, side, role, phase)
        for switch in FAULTS.values()
        if energy in switch.energies
        for side in switch.sides
        for role in ([r for r in switch.roles if (side, r) in bench.devices] if switch.roles else [None])
        for phase in switch.phases
        if phase in phases
    ]


def aim(bench: Bench, name: str, side: str | None, role: str | None) -> tuple[FaultSwitch, Target]:
    """The switch and where to throw it; its first side, and the first role the bench has, where not said.

    KeyError for an unknown name, ValueError where it cannot happen.
    """
    switch = FAULTS[name]
    side = side or switch.sides[0]
    roles = [r for r in switch.roles if (side, r) in bench.devices]
    role = role or (roles[0] if roles else "")
    energy = "dc" if bench.dc else "ac"
    if side not in switch.sides or energy not in switch.energies or (switch.roles and role not in roles):
        raise ValueError(f"{name} cannot happen to {side} {role} on this {energy} bench".replace("  ", " "))
    return switch, Target(name, bench, side, role)
