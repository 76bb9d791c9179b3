"""The isolation monitor: its behaviour on good and bad lines, and what its bits mean."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from hal.drivers.bender import BEGIN_S, SELF_TEST_S, BenderMonitor, Measurement, isolation_monitor
from hal.drivers.modbus import Bus
from hal.registry import make
from hal.safety import IsolationMonitor
from hal.testing import Behaviour, behaviours
from hal.testing.emulators.bender import BenderUnit
from hal.testing.emulators.modbus_slave import ModbusSlave
from hal.testing.emulators.serve import serve_pty
from hal.testing.noise import Noise
from hal.testing.wire import Wire, WiredRig
from hal.types import Check, Quality


class Truth:
    """The emulator's insides."""

    def __init__(self, unit: BenderUnit) -> None:
        self.unit = unit

    @property
    def measuring(self) -> bool:
        return self.unit.monitor.measuring

    @property
    def safe(self) -> bool:
        return not self.measuring

    def earth(self, ohm: float) -> None:
        self.unit.earth_ohm = ohm

    def break_self_test(self) -> None:
        self.unit.monitor.test_fails = True


def wired(noise: Noise | None = None, *, begin_s: float = 0.5) -> WiredRig:
    unit = BenderUnit()
    unit.begin_s = begin_s
    line = Bus("bus")
    wire = Wire(line, ModbusSlave({3: unit}), noise=noise)
    return WiredRig(wire, isolation_monitor(bus=line), Truth(unit), settle_s=20.0, reconnect_s=5.0)


LINES: dict[str, Callable[[], WiredRig]] = {
    "clean": wired,
    "lossy": lambda: wired(Noise(2, lost=0.2, corrupted=0.3)),
    "octets": lambda: wired(Noise(octet_s=11 / 19200)),
}


@pytest.mark.parametrize("behaviour", behaviours(IsolationMonitor), ids=str)
@pytest.mark.parametrize("line", LINES)
def test_behaviour(line: str, behaviour: Behaviour) -> None:
    behaviour(LINES[line]())


def test_the_worked_measurement() -> None:
    measured = Measurement.of((0x4998, 0x9680, 0x0002, 0x0047))
    assert measured == Measurement(1_250_000.0, alarm=0, test=0, unit=2, bound="=", channel=71)


@pytest.mark.parametrize(
    ("state", "alarm", "test", "bound"),
    [
        (0x0042, 0, 0, "<"),
        (0x0082, 0, 0, ">"),
        (0x00C2, 0, 0, None),
        (0x0102, 1, 0, "="),
        (0x0502, 5, 0, "="),
        (0x4202, 2, 1, "="),
        (0x8202, 2, 2, "="),
    ],
)
def test_the_bits_of_a_measurement(state: int, alarm: int, test: int, bound: str | None) -> None:
    measured = Measurement.of((0x4998, 0x9680, state, 1))
    assert (measured.alarm, measured.test, measured.bound) == (alarm, test, bound)
    assert not measured.broken


def monitor_of(rig: WiredRig) -> tuple[BenderMonitor, BenderUnit]:
    return rig.device, rig.truth.unit


def codes(monitor: BenderMonitor) -> set[str]:
    return {fault.code for fault in monitor.faults}


def test_the_bound_of_the_range_is_a_value() -> None:
    rig = wired()
    rig.device.start()
    rig.run(5.0)
    assert (rig.device.resistance.value, rig.device.resistance.bound) == (2_000_000.0, ">")
    assert rig.device.resistance.quality is Quality.GOOD


def test_a_self_test_is_not_passed_before_it_has_begun() -> None:
    rig = wired(begin_s=5.0)
    monitor, _ = monitor_of(rig)
    monitor.start_self_test()
    for _ in range(48):
        assert monitor.self_test is Check.RUNNING
        rig.run(0.1)
    rig.run(10.0)
    assert monitor.self_test is Check.PASSED


@pytest.mark.parametrize(
    ("spoil", "after_s", "why"),
    [
        (lambda unit: setattr(unit, "deaf", True), BEGIN_S, "did not begin"),
        (lambda unit: setattr(unit.monitor, "test_hangs", True), SELF_TEST_S, "did not end"),
        (lambda unit: setattr(unit.monitor, "test_fails", True), 5.0, "reports an error"),
    ],
    ids=["deaf", "hangs", "fails"],
)
def test_a_self_test_that_does_not_pass_has_failed(
    spoil: Callable[[BenderUnit], None], after_s: float, why: str
) -> None:
    rig = wired()
    monitor, unit = monitor_of(rig)
    monitor.start()
    spoil(unit)
    monitor.start_self_test()
    rig.run(after_s + 1.0)
    assert monitor.self_test is Check.FAILED
    (fault,) = (fault for fault in monitor.faults if fault.code == "self_test_failed")
    assert fault.latched
    assert why in fault.detail
    monitor.reset()
    assert "self_test_failed" in codes(monitor)


def test_a_self_test_that_passes_clears_the_one_that_failed() -> None:
    rig = wired()
    monitor, unit = monitor_of(rig)
    unit.monitor.test_fails = True
    monitor.start_self_test()
    rig.run(6.0)
    assert monitor.self_test is Check.FAILED
    unit.monitor.test_fails = False
    monitor.start_self_test()
    rig.run(6.0)
    assert monitor.self_test is Check.PASSED
    assert codes(monitor) == set()


def test_a_self_test_cannot_pass_without_a_line() -> None:
    rig = wired()
    monitor, _ = monitor_of(rig)
    monitor.start_self_test()
    rig.run(6.0)
    assert monitor.self_test is Check.PASSED
    rig.cut()
    rig.run(5.0)
    monitor.start_self_test()
    assert monitor.self_test is Check.FAILED


def test_a_reading_of_a_broken_device_is_invalid() -> None:
    rig = wired()
    monitor, unit = monitor_of(rig)
    monitor.start()
    rig.run(3.0)
    assert monitor.resistance.quality is Quality.GOOD
    unit.device_error = True
    rig.run(1.0)
    assert monitor.resistance.quality is Quality.INVALID
    assert codes(monitor) == {"device_error"}
    unit.device_error = False
    rig.run(1.0)
    assert monitor.resistance.quality is Quality.GOOD
    assert codes(monitor) == set()


def test_the_memory_is_written_on_change_only() -> None:
    rig = wired()
    monitor, unit = monitor_of(rig)
    for _ in range(20):
        monitor.start()
        rig.run(0.5)
    monitor.stop()
    rig.run(10.0)
    assert unit.writes == [(3026, 0), (3026, 1), (3026, 0)]


def test_a_restart_of_the_device_ends_the_measurement() -> None:
    rig = wired()
    monitor, unit = monitor_of(rig)
    monitor.start()
    rig.run(3.0)
    rig.reboot()
    rig.run(3.0)
    assert not monitor.wanted
    assert not unit.monitor.measuring
    assert monitor.resistance.quality is Quality.INVALID
    monitor.start()
    rig.run(3.0)
    assert monitor.resistance.quality is Quality.GOOD


def test_the_firmware_is_known() -> None:
    rig = wired()
    assert rig.device.firmware == 501


async def _measure_over_a_pty() -> None:
    unit = BenderUnit()
    unit.earth_ohm = 120_000.0
    async with serve_pty(ModbusSlave({3: unit})) as server:
        # A pty knows no parity; the device's own line is 8E1, see below.
        monitor = make("bender-isocha425", url=f"{server.url}?parity=N")
        told = asyncio.Event()
        monitor.on_change(lambda: told.set() if monitor.resistance.fresh(monitor._now, 1.0) else None)
        await monitor.open()
        monitor.start()
        await asyncio.wait_for(told.wait(), 10)
        assert monitor.resistance.value == pytest.approx(120_000.0, rel=0.01)
        await monitor.close()
        assert not unit.monitor.measuring


def test_over_a_pty() -> None:
    pytest.importorskip("serial", reason="needs the extra serial")
    asyncio.run(_measure_over_a_pty())


def test_the_line_is_8e1_as_shipped() -> None:
    line = isolation_monitor("serial:///dev/ttyX")._dialog._bus.line  # type: ignore[attr-defined]
    assert (line._options["baud"], line._options["parity"]) == ("19200", "E")
