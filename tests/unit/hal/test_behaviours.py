"""The behaviour suites find what is wrong with a device: one mutation after another."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from hal import pilot_levels
from hal.pilot import EvsePilot
from hal.safety import ConnectorLock, Contactor
from hal.testing import behaviours
from hal.testing.suites import SUITES
from hal.types import Sample
from hal.virtual import device, measuring, pilots, power, switchgear
from hal.virtual.gauges import Instrument, Registers
from tests.hw.virtual_rigs import DEVICES

Patch = Callable[[pytest.MonkeyPatch], None]


def without(owner: Any, name: str) -> Patch:
    """`name` does nothing."""
    return lambda patch: patch.setattr(owner, name, lambda *_, **__: None)


def instead(owner: Any, name: str, other: Any) -> Patch:
    return lambda patch: patch.setattr(owner, name, other)


def hears_itself(self: Any) -> None:
    """A driver that takes samples although nobody answers."""
    self._levels.update(self._samples(self._clock()))
    self._faults["communication"] = device.COMMUNICATION


def resumes(self: Any) -> None:
    """A driver that goes on after a lost line as if nothing had happened."""
    if self.line.up:
        self._faults.pop("communication", None)
        self._missed, self._heard_at = 0, self._clock()
        self._push()
        self._receive({**self._signals(), **self._samples(self._clock())})
        return
    self._missed += 1
    if self._missed >= 3:
        self._faults["communication"] = device.COMMUNICATION


def not_latched(self: Any) -> dict[str, Any]:
    return {"tripped": frozenset(self._loop.causes), "armed": False}


def for_ever(self: Any, lease_s: float) -> None:
    self._until = math.inf
    self._send()


def half_a_volt(self: Any, true: float, at: float) -> Sample:
    """A voltmeter with the wrong scale."""
    return Sample(true / 20.0, at)


def never_less(self: Any, energy_wh: float) -> None:
    self.import_wh += energy_wh


def told_while_testing(self: Any) -> dict[str, Any]:
    return {"self_test": self._monitor.check}


def anything_goes(self: Any, percent: float) -> None:
    self._want(percent)


def clamps(self: Any, voltage_v: float, current_a: float, *, lease_s: float = 2.0) -> None:
    volts = 0.0 if math.isnan(voltage_v) else min(max(0.0, voltage_v), 1000.0)
    self._set = (volts, 0.0 if math.isnan(current_a) else max(2.0, min(current_a, 500.0)))
    self._lease(lease_s)


def opens(self: Any) -> None:
    self._bolt.move(False)


def a_kilovolt_too_much(self: Any, now: float) -> dict[str, Any]:
    return {"voltage": Sample(self._voltage_v() + 1000.0, now)}


MUTATIONS: list[tuple[str, Patch, str]] = [
    ("evse-contactor", without(device.LeasedDevice, "_run_hardware"), "hardware_is_off_without_a_line"),
    ("evse-contactor", instead(device, "WATCHDOG_S", 1e9), "hardware_is_off_without_a_line"),
    ("evse-contactor", instead(device.LeasedDevice, "_lease", for_ever), "lease_ends"),
    ("evse-contactor", instead(device.LeasedDevice, "leased", True), "close_de_energises"),
    (
        "evse-contactor",
        instead(device.VirtualDevice, "_poll", resumes),
        "return_of_the_line_energises_nothing",
    ),
    ("evse-contactor", without(device.LeasedDevice, "_release"), "off_is_idempotent"),
    ("evse-contactor", without(device.LeasedDevice, "_release"), "off_overtakes_on"),
    ("evse-contactor", without(switchgear.VirtualContactor, "_supervise"), "tells_of_a_weld"),
    (
        "ev-contactor",
        without(switchgear.VirtualContactor, "_supervise"),
        "tells_of_a_contactor_that_does_not_close",
    ),
    ("ev-contactor", without(switchgear.VirtualContactor, "_energise"), "feedback_follows"),
    ("evse-lock", without(switchgear.VirtualLock, "_supervise"), "tells_of_a_jam"),
    ("evse-lock", instead(switchgear.VirtualLock, "_forget", opens), "bolt_stays"),
    ("evse-supply", instead(power.VirtualDcSupply, "drive", clamps), "refuses_what_is_beyond_the_ratings"),
    ("evse-supply", instead(power.VirtualDcSupply, "drive", clamps), "never_gives_more_than_asked"),
    ("evse-supply", instead(device.VirtualDevice, "_poll", hears_itself), "levels_grow_old_without_a_line"),
    ("evse-pilot", instead(pilots.VirtualEvsePilot, "set_duty", anything_goes), "refuses_other_duties"),
    ("evse-pilot", without(pilots.VirtualEvsePilot, "_forget"), "is_steady_after_the_line_returns"),
    ("evse-pilot", without(pilots.VirtualEvsePilot, "_forget"), "close_leaves_steady_12_v"),
    ("evse-pilot", without(device.VirtualDevice, "_tell"), "tells_of_a_cut"),
    ("ev-pilot", without(pilots.VirtualEvPilot, "_forget"), "close_leaves_b"),
    ("evse-proximity", instead(pilot_levels, "CABLES_A", ((0.0, 5000.0, 32.0),)), "tells_the_cable"),
    ("evse-proximity", instead(pilot_levels, "CABLES_A", ((0.0, 140.0, 63.0),)), "tells_an_impossible_cable"),
    (
        "evse-isolation",
        instead(measuring.VirtualIsolationMonitor, "_signals", told_while_testing),
        "tests_itself",
    ),
    ("evse-isolation", instead(measuring, "RANGE_OHM", 60e3), "measures_the_resistance"),
    ("evse-safety", instead(switchgear.VirtualSafetyChain, "_signals", not_latched), "trips_and_latches"),
    ("evse-pilot", instead(Instrument, "take", half_a_volt), "measures_the_voltage"),
    ("evse-meter", instead(Registers, "add", never_less), "counts_what_goes_back"),
    (
        "ev-inlet",
        instead(measuring.VirtualConnectorVoltage, "_samples", a_kilovolt_too_much),
        "measures_the_connector",
    ),
]


@pytest.mark.parametrize(
    ("which", "patch", "name"),
    MUTATIONS,
    ids=[f"{number}-{which}-{name}" for number, (which, _, name) in enumerate(MUTATIONS)],
)
def test_a_broken_device_is_found(
    which: str, patch: Patch, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol, make = next((p, m) for p, m in DEVICES if f"{m.args[0]}-{m.args[1]}" == which)
    behaviour = next(b for b in behaviours(protocol) if b.name == name)
    behaviour(make())
    rig = make()
    patch(monkeypatch)
    with pytest.raises(AssertionError):
        behaviour(rig)


def test_what_a_device_cannot_do_is_left_out_by_name() -> None:
    names = {b.name for b in behaviours(Contactor)}
    fewer = {b.name for b in behaviours(Contactor, without={"weld", "cut"})}
    assert "tells_of_a_weld" in names - fewer
    assert "lease_ends" in fewer
    with pytest.raises(ValueError, match="no behaviour of ConnectorLock needs weld"):
        behaviours(ConnectorLock, without={"weld"})
    with pytest.raises(KeyError):
        behaviours(int)


def test_behaviours_have_distinct_names() -> None:
    for protocol, suite in SUITES.items():
        assert len({b.name for b in suite}) == len(suite), protocol
        assert all(str(b) == b.name and not b.name.startswith("_") for b in suite)
    assert EvsePilot in SUITES
