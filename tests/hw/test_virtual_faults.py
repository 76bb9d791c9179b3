"""Every fault switch breaks what it says, and what hardware does alone it does in time."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import Any

import pytest

from hal.errors import HalError
from hal.types import CpState
from hal.virtual.ac_circuit import OnBoardCharger
from hal.virtual.bench import Bench
from hal.virtual.faults import FAULTS, Case, Phase, Reaction, cases
from hal.virtual.watch import Watcher


class Operator:
    """Pushes the buttons of a station and a car again and again, whatever happens: no controller at all."""

    def __init__(self, *, dc: bool) -> None:
        self.bench = Bench(dc=dc, seed=7, charger=OnBoardCharger(start_s=0.3, slew_w_s=20_000.0))
        self.station, self.car = self.bench.evse(), self.bench.ev()
        self.watcher = Watcher(self.bench)
        self.trace: list[Any] = []
        self._buttons: list[Any] = []

    def run(self, seconds: float, *buttons: Any) -> None:
        self._buttons = list(buttons) or self._buttons
        for _ in range(round(seconds / 0.1)):
            for press in self._buttons:
                with contextlib.suppress(HalError):
                    press()
            self.bench.run(0.1)
            self.trace.append(self.seen())

    def seen(self) -> Any:
        """What the devices tell and what is true."""
        bench, circuit = self.bench, self.bench.circuit
        sides = [(side.relay.closed, side.bolt.locked) for side in (bench.station, bench.car)]
        truth = (circuit.outlet_v, circuit.current_a, bench.wire.wire, bench.utc(), *sides)
        return truth, [device.news() for device in bench.devices.values()]

    def connect(self) -> None:
        station, car = self.station, self.car
        self.bench.plug()
        self.run(0.5, lambda: station.pilot.set_duty(5.0), station.lock.lock, car.lock.lock)
        self.run(0.3, lambda: car.pilot.set_state(CpState.C))

    def test_cable(self) -> None:
        """Voltage on the cable, as in a cable check."""
        station = self.station
        volts = 500.0
        self.run(
            1.5,
            station.contactor.close_contacts,
            lambda: station.safety.arm(550.0),
            station.isolation.start,
            lambda: station.supply.drive(volts, 2.0),
        )

    def pre_charge(self) -> None:
        station, volts = self.station, self.bench.circuit.battery.emf_v
        self.run(1.5, station.contactor.close_contacts, lambda: station.supply.drive(volts, 2.0))

    def charge(self, amps: float = 100.0) -> None:
        station, car = self.station, self.car
        close = (station.contactor.close_contacts, car.contactor.close_contacts)
        if self.bench.dc:
            self.pre_charge()
            self.run(0.5, *close, *self._buttons)
            self.run(5.0, *close, lambda: station.supply.drive(420.0, amps), station.isolation.start)
        else:
            self.run(1.5, *close, lambda: car.charger.drive(10_000.0))

    def stop(self) -> None:
        station, car = self.station, self.car
        self.run(0.3, station.supply.off if self.bench.dc else car.charger.off)
        self.run(0.7, station.contactor.open_contacts, car.contactor.open_contacts)

    def bring_to(self, phase: Phase) -> None:
        if phase is Phase.IDLE:
            return
        self.connect()
        {Phase.CABLE_CHECK: self.test_cable, Phase.PRE_CHARGE: self.connect, Phase.CHARGING: self.charge}[
            phase
        ]()

    def go_on(self, phase: Phase) -> None:
        """What follows, up to charging with another current; then the end."""
        if phase is Phase.IDLE:
            self.connect()
            if self.bench.dc:
                self.station.isolation.start_self_test()
                self.test_cable()
        if phase is not Phase.CHARGING and self.bench.dc:
            self.station.supply.off()
            self._buttons = []
            self.run(1.0)
        self.charge(80.0)


def operate(dc: bool, phase: Phase, fault: Case | None = None) -> Operator:
    operator = Operator(dc=dc)
    operator.bring_to(phase)
    if fault is not None:
        operator.bench.inject(fault.switch.name, side=fault.side, role=fault.role)
    operator.go_on(phase)
    return operator


@cache
def healthy(dc: bool, phase: Phase) -> list[Any]:
    operator = operate(dc, phase)
    assert abs(operator.bench.circuit.current_a) > 10.0
    operator.stop()
    assert operator.watcher.verdict() == []
    return operator.trace


ALL = [*cases(Bench(dc=True)), *cases(Bench(dc=False))]
FEW = list({(c.switch, c.energy, c.side, c.phase): c for c in ALL}.values())
"""Each switch on each side in each phase, but on one device only."""


@pytest.mark.parametrize("case", FEW, ids=str)
def test_something_is_different(case: Case) -> None:
    """Against the same run without the fault; a ride-through must not end the flow of energy."""
    dc = case.energy == "dc"
    broken = operate(dc, case.phase, case)
    if case.switch.reaction is Reaction.RIDE_THROUGH:
        assert abs(broken.bench.circuit.current_a) > 10.0
        assert not any(device.faults for device in broken.bench.devices.values())
        return
    broken.stop()
    assert broken.trace != healthy(dc, case.phase)


@pytest.mark.parametrize("case", [c for c in ALL if c.switch.reaction is Reaction.HARDWARE], ids=str)
def test_hardware_acts_alone(case: Case) -> None:
    """Although somebody goes on to press every button."""
    operator = Operator(dc=case.energy == "dc")
    bench = operator.bench
    operator.bring_to(case.phase)
    bench.inject(case.switch.name, side=case.side)
    operator.run(case.switch.within_s)
    if case.phase is Phase.IDLE:
        operator.go_on(Phase.IDLE)
    assert not bench.side(case.side).relay.closed
    assert abs(bench.circuit.current_a) < 0.01
    theirs = ("without pilot", "opening under load") if case.side == "ev" else ()
    assert not operator.watcher.verdict(ignore=(*theirs, "ev closing"))


@pytest.mark.parametrize("name", ["pilot_short", "isolation_flaps", "contactor_stuck_open", "device_silent"])
def test_healing_ends_it(name: str) -> None:
    operator = Operator(dc=True)
    operator.connect()
    bench = operator.bench
    bench.inject(name)
    operator.run(3.0)
    bench.heal(name)
    for side in ("evse", "ev"):
        for device in bench.roles(side).values():
            device.reset()
    operator.run(1.0)
    operator.charge()
    assert bench.circuit.current_a == pytest.approx(100.0, abs=1.0)
    assert not bench.processes
    assert not any(device.faults for device in bench.devices.values())


def test_what_cannot_happen_is_refused() -> None:
    ac = Bench(dc=False)
    with pytest.raises(ValueError, match="isolation_steps cannot happen to evse on this ac bench"):
        ac.inject("isolation_steps")
    with pytest.raises(ValueError, match="device_silent cannot happen to evse supply"):
        ac.inject("device_silent", side="evse", role="supply")
    with pytest.raises(ValueError, match="battery_disconnects cannot happen to evse"):
        ac.inject("battery_disconnects", side="evse")
    with pytest.raises(KeyError):
        ac.inject("meteorite")


def test_same_seed_same_run() -> None:
    case = next(c for c in ALL if (c.switch.name, c.role) == ("line_corrupts", "supply"))
    runs = [operate(True, Phase.CHARGING, case).trace for _ in range(2)]
    assert runs[0] == runs[1]


def test_every_switch_is_tried() -> None:
    assert {case.switch.name for case in ALL} == set(FAULTS)
