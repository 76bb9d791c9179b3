"""Suites of what measures and supervises: isolation, safety chain, temperature, meter, battery, connector voltage."""

from __future__ import annotations

import math
from functools import partial
from typing import Final

from hal.errors import Kind
from hal.testing.common import COMMON, behaviour, near, refuses, soon, stays
from hal.testing.rig import Rig
from hal.types import Check, Quality

ISOLATION_TOLERANCE: Final = 0.15
"""Relative uncertainty allowed to a reading (IEC 61557-8)."""
LEAST_RANGE_OHM: Final = 1_000_000.0
"""Up to here a monitor tells the value itself, not only that it is more."""


# --- isolation monitor --------------------------------------------------------------------------


def _reading_is(rig: Rig, ohm: float) -> bool:
    sample = rig.device.resistance
    if not sample.fresh(rig.now, 5.0):
        return False
    if sample.bound == ">":
        return bool(ohm >= sample.value >= LEAST_RANGE_OHM)
    return bool(abs(sample.value - ohm) <= ISOLATION_TOLERANCE * ohm)


def _connected_is(rig: Rig, connected: bool) -> bool:
    return rig.truth.measuring is connected


def _self_test_is(rig: Rig, check: Check) -> bool:
    return rig.device.self_test is check


def _invalid_or_over(rig: Rig) -> bool:
    invalid = rig.device.resistance.quality is Quality.INVALID
    return invalid or rig.device.self_test is not Check.RUNNING


def _measures_the_resistance(rig: Rig) -> None:
    rig.device.start()
    for ohm in (1_000_000.0, 50_000.0, 98_000.0, 300_000.0, 5_000_000.0):
        rig.truth.earth(ohm)
        soon(rig, _reading_is, ohm)


def _connects_only_while_started(rig: Rig) -> None:
    rig.run(rig.settle_s)
    assert not rig.truth.measuring
    for _ in range(2):
        rig.device.start()
        soon(rig, _connected_is, True)
    for _ in range(2):
        rig.device.stop()
        soon(rig, _connected_is, False)


def _tests_itself(rig: Rig) -> None:
    device = rig.device
    rig.truth.earth(1_000_000.0)
    device.start()
    soon(rig, _reading_is, 1_000_000.0)
    device.start_self_test()
    soon(rig, _self_test_is, Check.RUNNING)
    device.start_self_test()
    soon(rig, _invalid_or_over)
    assert device.resistance.quality is Quality.INVALID, "readings are invalid while the self test runs"
    soon(rig, _self_test_is, Check.PASSED)
    soon(rig, _reading_is, 1_000_000.0)


def _fails_its_self_test(rig: Rig) -> None:
    rig.device.start()
    rig.truth.break_self_test()
    rig.device.start_self_test()
    soon(rig, _self_test_is, Check.FAILED)


ISOLATION: Final = (
    *COMMON,
    behaviour(_measures_the_resistance),
    behaviour(_connects_only_while_started, "connect"),
    behaviour(_tests_itself, "self_test"),
    behaviour(_fails_its_self_test, "self_test_fails"),
)


# --- safety chain -------------------------------------------------------------------------------


def _tripped_is(rig: Rig, name: str) -> bool:
    return name in rig.device.tripped


def _untripped(rig: Rig) -> bool:
    return not rig.device.tripped


def _armed_is(rig: Rig, armed: bool) -> bool:
    return rig.device.armed is armed


def _trips_and_latches(rig: Rig) -> None:
    device, truth = rig.device, rig.truth
    rig.run(rig.settle_s)
    assert not device.tripped
    truth.trip("emergency_stop")
    soon(rig, _tripped_is, "emergency_stop")
    device.reset()
    rig.run(rig.settle_s)
    assert _tripped_is(rig, "emergency_stop"), "it stays while the cause is there"
    truth.clear("emergency_stop")
    rig.run(rig.settle_s)
    assert _tripped_is(rig, "emergency_stop"), "and until it is reset"
    device.reset()
    soon(rig, _untripped)


def _arms(rig: Rig) -> None:
    device = rig.device
    assert not device.armed
    for limit_v in (0.0, -1.0, math.nan, math.inf):
        refuses(partial(device.arm, limit_v), Kind.OUT_OF_RANGE)
    device.arm(550.0)
    soon(rig, _armed_is, True)
    for _ in range(2):
        device.disarm()
        soon(rig, _armed_is, False)


def _trips_by_over_voltage(rig: Rig) -> None:
    rig.device.arm(550.0)
    soon(rig, _armed_is, True)
    rig.truth.output(540.0)
    stays(rig, rig.settle_s, _untripped)
    rig.truth.output(560.0)
    soon(rig, _tripped_is, "over_voltage")


SAFETY: Final = (
    *COMMON,
    behaviour(_trips_and_latches, "emergency_stop"),
    behaviour(_arms, "arm"),
    behaviour(_trips_by_over_voltage, "over_voltage"),
)


# --- temperature, energy, battery, connector voltage --------------------------------------------


def _everywhere(rig: Rig, celsius: float) -> bool:
    samples = rig.device.temperatures.values()
    return bool(samples) and all(near(sample, celsius, 2.0, rig.now) for sample in samples)


def _measures_the_temperature(rig: Rig) -> None:
    for celsius in (25.0, 80.0, 10.0):
        rig.truth.heat(celsius)
        soon(rig, _everywhere, celsius)


THERMOMETERS: Final = (*COMMON, behaviour(_measures_the_temperature))


def _has_a_reading(rig: Rig) -> bool:
    return rig.device.reading is not None


def _counted(rig: Rig, import_wh: float, export_wh: float) -> bool:
    reading = rig.device.reading
    pairs = ((reading.import_wh, import_wh), (reading.export_wh, export_wh))
    return all(abs(shown - true) <= 2.0 + 0.01 * true for shown, true in pairs)


def _counts(rig: Rig) -> None:
    soon(rig, _has_a_reading)
    import_wh, export_wh = rig.device.reading.import_wh, rig.device.reading.export_wh
    for more in (100.0, 1234.0):
        rig.truth.count(more, 0.0)
        import_wh += more
        soon(rig, _counted, import_wh, export_wh)


def _counts_what_goes_back(rig: Rig) -> None:
    soon(rig, _has_a_reading)
    import_wh, export_wh = rig.device.reading.import_wh, rig.device.reading.export_wh
    for more, back in ((0.0, 50.0), (1234.0, 567.0)):
        rig.truth.count(more, back)
        import_wh, export_wh = import_wh + more, export_wh + back
        soon(rig, _counted, import_wh, export_wh)


METER: Final = (*COMMON, behaviour(_counts), behaviour(_counts_what_goes_back, "export"))


def _charge_is(rig: Rig, soc_percent: float) -> bool:
    status = rig.device.status
    return status is not None and abs(status.soc_percent - soc_percent) <= 1.0


def _tells_the_charge(rig: Rig) -> None:
    for soc_percent in (20.0, 80.0):
        rig.truth.charge(soc_percent)
        soon(rig, _charge_is, soc_percent)
    status = rig.device.status
    assert status.min_voltage_v <= status.voltage_v <= status.max_voltage_v
    limits = (status.max_charge_a, status.max_charge_w, status.max_discharge_a, status.max_discharge_w)
    assert all(limit >= 0.0 for limit in limits)


BATTERY: Final = (*COMMON, behaviour(_tells_the_charge))


def _connector_is(rig: Rig, voltage_v: float) -> bool:
    return near(rig.device.voltage, voltage_v, 5.0, rig.now)


def _measures_the_connector(rig: Rig) -> None:
    for voltage_v in (0.0, 400.0, 55.0):
        rig.truth.apply(voltage_v)
        soon(rig, _connector_is, voltage_v)


CONNECTOR_VOLTAGE: Final = (*COMMON, behaviour(_measures_the_connector))
