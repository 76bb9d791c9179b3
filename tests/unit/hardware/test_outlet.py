"""What a station believes of the voltage at its connector."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from hal.types import NOTHING, Check, ContactorState, CpState, Sample
from iso15118.hardware.config import HalEvseConfig
from iso15118.hardware.gauge import Gauge
from iso15118.hardware.outlet import Outlet
from iso15118.hardware.readings import EvseReadings

OPEN, CLOSED = ContactorState.OPEN, ContactorState.CLOSED
UNMEASURED = "the voltage at the connector is not measured"
EMPTYING = "the cable is given time to empty itself"
LIVE = "there is voltage at the connector"


@dataclass
class Station:
    """An outlet with its instruments, moved on by looks."""

    measured: bool = True
    now: float = 0.0
    supply: Gauge = field(default_factory=lambda: Gauge(1250.0))
    outlet: Outlet = field(init=False)

    def __post_init__(self) -> None:
        self.outlet = Outlet(HalEvseConfig(), 1250.0, measured=self.measured)

    def look(
        self,
        supply_v: float,
        outlet_v: float | None = None,
        contactor: ContactorState = CLOSED,
        *,
        driving: bool = False,
        supply_on: bool = False,
        after_s: float = 0.1,
    ) -> None:
        """One look: what the supply shows, what the connector's instrument shows (None: nothing new)."""
        self.now += after_s
        self.supply.take(Sample(supply_v, self.now))
        shown = NOTHING if outlet_v is None or not self.measured else Sample(outlet_v, self.now)
        readings = EvseReadings(
            now=self.now,
            dc=True,
            cp=CpState.C,
            contactor=contactor,
            locked=True,
            tripped=frozenset(),
            armed=True,
            supply_on=supply_on or driving,
            voltage=NOTHING,
            current=NOTHING,
            outlet=shown,
            resistance=NOTHING,
            self_test=Check.IDLE,
            temperature=None,
            meter=None,
            ampacity_a=None,
        )
        self.outlet.take(readings, self.supply, fresh=True, driving=driving)

    def drive(self, supply_v: float = 400.0, outlet_v: float | None = 400.0) -> None:
        self.outlet.energised()
        self.look(supply_v, outlet_v, driving=True)

    def cut_off(self, outlet_v: float | None) -> None:
        """An end in a hurry: the contactor opens on a cable under voltage."""
        self.outlet.doubt()
        self.look(400.0, outlet_v, OPEN)


def test_an_outlet_that_was_never_driven_is_free() -> None:
    for measured in (True, False):
        station = Station(measured)
        station.look(0.0, 0.0, OPEN)
        assert station.outlet.objection(CpState.C) == ""


def test_a_voltage_is_believed_to_be_gone_where_it_was_seen() -> None:
    station = Station()
    station.drive()
    assert station.outlet.objection(CpState.C) == LIVE
    station.look(0.0, 0.0)
    assert station.outlet.objection(CpState.C) == ""


def test_a_battery_behind_a_welded_contactor_keeps_the_lock_closed() -> None:
    """The connection broke in welding detection, and with its contactor open the supply shows nothing of it."""
    station = Station()
    station.drive()
    station.cut_off(355.0)
    for _ in range(100):
        station.look(0.0, 355.0, OPEN)
    assert station.outlet.live
    assert station.outlet.objection(CpState.B) == LIVE
    for volts in (220.0, 140.0, 88.0, 55.0):  # the car has opened at last, and the cable empties itself
        station.look(0.0, volts, OPEN)
    assert station.outlet.objection(CpState.B) == ""


def test_without_an_instrument_the_cable_is_given_its_time() -> None:
    station = Station(measured=False)
    station.drive()
    station.cut_off(None)
    station.look(0.0, None, OPEN, after_s=7.9)
    assert station.outlet.objection(CpState.B) == EMPTYING
    station.look(0.0, None, OPEN, after_s=0.2)
    assert station.outlet.objection(CpState.B) == ""
    assert "the car is ready" in station.outlet.objection(CpState.C)


def test_an_instrument_that_is_not_heard_any_more_shows_nothing() -> None:
    station = Station()
    station.drive()
    station.cut_off(300.0)
    station.look(0.0, None, OPEN, after_s=60.0)
    assert not station.outlet.fresh
    assert station.outlet.objection(CpState.B) == UNMEASURED
    assert station.outlet.objection(CpState.A) == ""  # nobody is plugged in, and the cable has had its time


@pytest.mark.parametrize("shown_v", [0.0, 30.0])
def test_an_instrument_that_never_showed_the_voltage_proves_nothing(shown_v: float) -> None:
    station = Station()
    station.drive(outlet_v=shown_v)
    station.cut_off(shown_v)
    assert station.outlet.objection(CpState.B) == EMPTYING


def test_an_instrument_that_stopped_agreeing_proves_nothing() -> None:
    station = Station()
    station.drive()
    station.drive(outlet_v=0.0)
    station.cut_off(0.0)
    assert station.outlet.objection(CpState.B) == EMPTYING


def test_a_supply_in_doubt_does_not_prove_the_end() -> None:
    """A supply whose reading is stuck at nothing has never shown the voltage that it makes."""
    station = Station(measured=False)
    station.drive(supply_v=0.0)
    station.look(0.0)
    assert station.outlet.objection(CpState.C) != ""


def test_an_instrument_that_falls_silent_with_a_zero_proves_nothing():
    """Found by 10,000 runs: it broke while the cable was emptying itself, and the lock opened on 235 V."""
    station = Station()
    station.drive()
    station.cut_off(380.0)
    station.look(0.0, 300.0, OPEN)
    station.look(0.0, 0.0, OPEN)
    assert station.outlet.objection(CpState.B) == EMPTYING
    station.look(0.0, 0.0, OPEN, after_s=8.0)
    assert station.outlet.objection(CpState.B) == ""
