"""Suites of what switches and converts: contactor, lock, DC supply, AC converter."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Final

from hal.errors import Kind
from hal.testing.common import (
    COMMON,
    LONG_LEASE_S,
    behaviour,
    has_fault,
    leases,
    lose_line,
    near,
    refuses,
    regain_line,
    soon,
    stays,
)
from hal.testing.rig import Rig
from hal.types import ContactorState

VOLTAGE_TOLERANCE_V: Final = 10.0
"""IEC 61851-23:2023 CC.6.3."""
POWER_TOLERANCE: Final = 0.03
"""Of the rated power."""


# --- contactor ----------------------------------------------------------------------------------


def _feedback_is(rig: Rig, state: ContactorState) -> bool:
    return rig.device.state is state


def _contacts_closed(rig: Rig) -> bool:
    return bool(rig.truth.closed)


def _any_fault(rig: Rig) -> bool:
    return bool(rig.device.faults)


def _feedback_follows(rig: Rig) -> None:
    device = rig.device
    soon(rig, _feedback_is, ContactorState.OPEN)
    device.close_contacts(lease_s=LONG_LEASE_S)
    assert device.wanted
    soon(rig, _feedback_is, ContactorState.CLOSED)
    assert rig.truth.closed
    device.open_contacts()
    assert not device.wanted
    soon(rig, _feedback_is, ContactorState.OPEN)
    assert not rig.truth.closed
    assert not device.faults


def _wanted_ends_with_the_lease(rig: Rig) -> None:
    rig.device.close_contacts(lease_s=rig.settle_s + 1.0)
    rig.run(2 * rig.settle_s + 1.0)
    assert not rig.device.wanted


def _tells_of_a_weld(rig: Rig) -> None:
    device = rig.device
    device.close_contacts(lease_s=LONG_LEASE_S)
    soon(rig, _contacts_closed)
    rig.truth.weld()
    device.open_contacts()
    soon(rig, has_fault, "contactor_welded")
    assert all(fault.latched for fault in device.faults)
    device.reset()
    rig.run(rig.settle_s)
    assert has_fault(rig, "contactor_welded"), "a reset does not clear it while the cause is there"
    refuses(device.close_contacts, Kind.REFUSED)
    device.open_contacts()


def _tells_of_a_contactor_that_does_not_close(rig: Rig) -> None:
    rig.truth.stick()
    rig.device.close_contacts(lease_s=LONG_LEASE_S)
    soon(rig, _any_fault)
    assert rig.device.state is not ContactorState.CLOSED


CONTACTOR: Final = (
    *COMMON,
    *leases(lambda device, lease_s: device.close_contacts(lease_s=lease_s), lambda d: d.open_contacts()),
    behaviour(_feedback_follows),
    behaviour(_wanted_ends_with_the_lease),
    behaviour(_tells_of_a_weld, "weld"),
    behaviour(_tells_of_a_contactor_that_does_not_close, "stick"),
)


# --- lock ---------------------------------------------------------------------------------------


def _bolt_is(rig: Rig, locked: bool) -> bool:
    return rig.truth.locked is locked


def _sense_is(rig: Rig, locked: bool) -> bool:
    return rig.device.locked is locked


def _bolt_follows(rig: Rig) -> None:
    device = rig.device
    for _ in range(2):
        device.lock()
        soon(rig, _bolt_is, True)
        soon(rig, _sense_is, True)
        device.lock()
        stays(rig, rig.settle_s, _bolt_is, True)
        device.unlock()
        soon(rig, _bolt_is, False)
        soon(rig, _sense_is, False)
    assert not device.faults


def _tells_of_a_jam(rig: Rig) -> None:
    rig.run(rig.settle_s)
    rig.truth.jam()
    rig.device.lock()
    soon(rig, has_fault, "lock_failed")
    assert rig.device.locked is not True


def _bolt_stays(rig: Rig) -> None:
    rig.device.lock()
    soon(rig, _bolt_is, True)
    lose_line(rig)
    regain_line(rig)
    stays(rig, rig.settle_s, _bolt_is, True)
    rig.close()
    stays(rig, rig.settle_s, _bolt_is, True)


LOCK: Final = (
    *COMMON,
    behaviour(_bolt_follows),
    behaviour(_tells_of_a_jam, "jam"),
    behaviour(_bolt_stays, "cut"),
)


# --- DC supply ----------------------------------------------------------------------------------


def _test_voltage(device: Any) -> float:
    """A voltage that every supply can give."""
    ratings = device.ratings
    return float(max(ratings.min_voltage_v, min(400.0, ratings.max_voltage_v / 2)))


def _supply_on(device: Any, lease_s: float) -> None:
    device.drive(_test_voltage(device), max(2.0, device.ratings.min_current_a), lease_s=lease_s)


def _output_is(rig: Rig, voltage_v: float) -> bool:
    return abs(float(rig.truth.voltage_v) - voltage_v) < VOLTAGE_TOLERANCE_V


def _truth_is_measured(rig: Rig) -> bool:
    device, truth = rig.device, rig.truth
    voltage = near(device.voltage, truth.voltage_v, VOLTAGE_TOLERANCE_V, rig.now)
    return voltage and near(device.current, 0.0, 1.0, rig.now)


def _told_and_true(rig: Rig, on: bool) -> bool:
    return rig.device.on is on and rig.truth.on is on


def _supply_off(rig: Rig) -> bool:
    return not rig.truth.on


def _limit_is_at_most(rig: Rig, current_a: float) -> bool:
    return float(rig.truth.current_limit_a) <= current_a + 0.05


def _output_follows(rig: Rig) -> None:
    _supply_on(rig.device, LONG_LEASE_S)
    soon(rig, _output_is, _test_voltage(rig.device))
    soon(rig, _truth_is_measured)
    soon(rig, _told_and_true, True)
    rig.device.off()
    soon(rig, _told_and_true, False)


def _refuses_what_is_beyond_the_ratings(rig: Rig) -> None:
    ratings, volts = rig.device.ratings, _test_voltage(rig.device)
    for voltage_v, current_a in (
        (ratings.max_voltage_v * 1.01, 2.0),
        (volts, ratings.max_current_a * 1.01),
        (volts, -ratings.import_max_current_a * 1.01 - 0.1),
        (-1.0, 2.0),
        (math.nan, 2.0),
        (volts, math.nan),
        (math.inf, 2.0),
    ):
        refuses(partial(rig.device.drive, voltage_v, current_a), Kind.OUT_OF_RANGE)
    stays(rig, rig.settle_s, _supply_off)


def _never_gives_more_than_asked(rig: Rig) -> None:
    device = rig.device
    for current_a in (device.ratings.min_current_a / 2, device.ratings.min_current_a, 5.0):
        device.drive(_test_voltage(device), current_a, lease_s=LONG_LEASE_S)
        stays(rig, rig.settle_s, _limit_is_at_most, current_a)
        device.off()
        rig.run(rig.settle_s)


def _sends_forgotten_set_points_again(rig: Rig) -> None:
    _supply_on(rig.device, LONG_LEASE_S)
    rig.run(rig.settle_s)
    rig.truth.forget()
    rig.run(1.0 + rig.settle_s)
    assert _output_is(rig, _test_voltage(rig.device))


DC_SUPPLY: Final = (
    *COMMON,
    *leases(_supply_on, lambda device: device.off()),
    behaviour(_output_follows),
    behaviour(_refuses_what_is_beyond_the_ratings),
    behaviour(_never_gives_more_than_asked),
    behaviour(_sends_forgotten_set_points_again, "forget"),
)


# --- AC converter -------------------------------------------------------------------------------


def _converter_on(device: Any, lease_s: float) -> None:
    device.drive(device.ratings.max_power_w / 2, lease_s=lease_s)


def _power_is(rig: Rig, power_w: float) -> bool:
    slack = POWER_TOLERANCE * float(rig.device.ratings.max_power_w)
    return abs(float(rig.truth.power_w) - power_w) <= slack


def _power_is_measured(rig: Rig) -> bool:
    slack = POWER_TOLERANCE * rig.device.ratings.max_power_w
    return near(rig.device.power, rig.truth.power_w, slack, rig.now)


def _converter_off(rig: Rig) -> bool:
    return not rig.device.on and abs(float(rig.truth.power_w)) < 1.0


def _power_follows(rig: Rig) -> None:
    device, ratings = rig.device, rig.device.ratings
    for power_w in (ratings.max_power_w, ratings.max_power_w / 2, -ratings.import_max_power_w / 2):
        device.drive(power_w, lease_s=LONG_LEASE_S)
        soon(rig, _power_is, power_w)
        soon(rig, _power_is_measured)
    device.off()
    soon(rig, _converter_off)


def _refuses_power_beyond_the_ratings(rig: Rig) -> None:
    device, ratings = rig.device, rig.device.ratings
    for power_w, reactive_var in (
        (ratings.max_power_w * 1.01, 0.0),
        (-ratings.import_max_power_w * 1.01 - 1.0, 0.0),
        (0.0, ratings.max_reactive_var * 1.01 + 1.0),
        (math.nan, 0.0),
    ):
        refuses(partial(device.drive, power_w, reactive_var), Kind.OUT_OF_RANGE)
    assert not device.on, "a refused command changes nothing"


AC_CONVERTER: Final = (
    *COMMON,
    *leases(_converter_on, lambda device: device.off()),
    behaviour(_power_follows),
    behaviour(_refuses_power_beyond_the_ratings),
)
