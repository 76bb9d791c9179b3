"""Cable check, DC output, metering and configuration, without any device."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hal.meter import MeterReading
from hal.power import DcRatings
from hal.types import NOTHING, Check, ContactorState, CpState, Sample
from iso15118.control.evse import SetDcTarget
from iso15118.errors import ConfigError
from iso15118.hardware import HalEvConfig, HalEvseConfig
from iso15118.hardware.cable_check import (
    CableCheck,
    Step,
    Wish,
    over_voltage_limit,
    voltage_to_test,
)
from iso15118.hardware.config import CableCheckConfig
from iso15118.hardware.dc_output import DcOutput
from iso15118.hardware.metering import SessionMeter
from iso15118.hardware.readings import EvseReadings
from iso15118.units import Envelope, Limits

IDLE = EvseReadings(
    now=0.0,
    dc=True,
    cp=CpState.C,
    contactor=ContactorState.OPEN,
    locked=True,
    tripped=frozenset(),
    armed=True,
    supply_on=False,
    voltage=NOTHING,
    current=NOTHING,
    outlet=NOTHING,
    resistance=NOTHING,
    self_test=Check.IDLE,
    temperature=None,
    meter=None,
    ampacity_a=None,
)


class Bench:
    """A cable check with hands to turn every reading."""

    def __init__(self, **config: Any) -> None:
        self.check = CableCheck(CableCheckConfig(**config), 460.0, 100_000.0, 60.0)
        self.readings, self.volts, self.amps = IDLE, 0.0, 0.0

    def after(
        self, seconds: float, *, volts: float | None = None, amps: float | None = None, **levels: Any
    ) -> Wish:
        now = self.readings.now + seconds
        self.readings = replace(self.readings, now=now, **levels)
        self.volts = self.volts if volts is None else volts
        self.amps = self.amps if amps is None else amps
        return self.check.step(self.readings, self.volts, self.amps)

    def ohm(self, value: float, seconds: float = 1.0) -> Wish:
        sample = Sample(value, self.readings.now + seconds)
        return self.after(seconds, resistance=sample)

    def raised(self) -> Bench:
        self.after(0.0)
        self.after(0.1, contactor=ContactorState.CLOSED)
        self.after(0.1, supply_on=True, volts=200.0, amps=0.1)
        self.after(0.5, volts=455.0)
        return self

    def tested(self) -> Bench:
        self.raised()
        self.after(0.1, self_test=Check.RUNNING)
        self.after(3.0, self_test=Check.PASSED)
        return self

    def failed(self, words: str) -> None:
        assert self.check.verdict is Check.FAILED
        assert words in self.check.detail
        assert self.check.wish == Wish()


def test_a_cable_that_is_sound() -> None:
    bench = Bench()
    assert bench.after(0.0) == Wish(close=True)
    assert bench.after(0.1, contactor=ContactorState.CLOSED) == Wish(
        close=True, voltage_v=460.0, measure=True
    )
    assert bench.after(0.9, supply_on=True, volts=452.0).test_monitor
    assert not bench.after(0.1, self_test=Check.RUNNING).test_monitor
    bench.after(3.0, self_test=Check.PASSED)
    for _ in range(3):
        wish = bench.ohm(1.2e6)
    assert wish == Wish(close=True)
    assert bench.check.at is Step.FALLING
    bench.after(0.2, volts=59.0)
    assert bench.check.verdict is Check.RUNNING, "the supply still tells that it is on"
    assert bench.after(0.1, supply_on=False) == Wish(close=True)
    assert bench.check.verdict is Check.PASSED
    assert bench.check.detail == "1200 kOhm"
    bench.check.fail("too late to fail")
    assert bench.check.verdict is Check.PASSED


def test_voltage_before_the_beginning() -> None:
    bench = Bench()
    assert bench.after(0.0, volts=61.0) == Wish()
    bench.after(10.1)
    bench.failed("61 V at the output after 10 s")


def test_contactor_that_does_not_close() -> None:
    bench = Bench()
    bench.after(0.0)
    bench.after(1.1)
    bench.failed("contactor is open after 1 s")


def test_short_circuit_is_found_before_the_voltage_is_due() -> None:
    bench = Bench()
    bench.after(0.0)
    bench.after(0.1, contactor=ContactorState.CLOSED)
    bench.after(0.1, volts=190.0, amps=1.9)
    bench.after(0.4, volts=192.0)
    assert bench.check.verdict is Check.RUNNING
    bench.after(0.1)
    bench.failed("short circuit: 1.9 A at 192 V")


def test_voltage_that_does_not_come() -> None:
    bench = Bench()
    bench.after(0.0)
    bench.after(0.1, contactor=ContactorState.CLOSED)
    for _ in range(61):
        bench.after(0.1, volts=100.0, amps=0.0)
    bench.failed("100 V of 460 V after 6 s")


def test_voltage_beyond_what_was_set() -> None:
    bench = Bench()
    bench.after(0.0)
    bench.after(0.1, contactor=ContactorState.CLOSED)
    bench.after(0.4, volts=471.0)
    bench.failed("471 V at the output, 460 V wanted")


def test_voltage_that_does_not_stay() -> None:
    bench = Bench().raised()
    bench.after(0.1, volts=471.0)
    bench.after(0.3, volts=460.0)
    bench.after(0.1, volts=449.0)
    bench.after(0.4)
    assert bench.check.verdict is Check.RUNNING
    bench.after(0.2)
    bench.failed("449 V at the output")


@pytest.mark.parametrize(
    ("test", "seconds", "words"),
    [(Check.FAILED, 0.1, "self test failed"), (Check.RUNNING, 12.1, "self test did not end after 12 s")],
)
def test_monitor_that_finds_itself_broken(test: Check, seconds: float, words: str) -> None:
    bench = Bench().raised()
    bench.after(0.1, self_test=Check.RUNNING)
    bench.after(seconds, self_test=test)
    bench.failed(words)


def test_a_verdict_of_an_earlier_self_test_does_not_count() -> None:
    bench = Bench().raised()
    assert bench.after(0.1, self_test=Check.PASSED).test_monitor
    assert bench.check.at is Step.SELF_TEST


def test_one_bad_resistance_is_enough() -> None:
    bench = Bench().tested()
    bench.ohm(1e6)
    bench.ohm(99_000.0)
    bench.failed("insulation resistance 99 kOhm")


def test_resistance_that_is_never_measured() -> None:
    bench = Bench().tested()
    bench.after(15.1)
    bench.failed("no resistance was measured")


def test_output_that_does_not_discharge() -> None:
    bench = Bench(readings=1).tested()
    bench.ohm(1e6)
    bench.after(0.1, supply_on=False)
    bench.after(10.1)
    bench.failed("still 455 V at the output after 10 s")


@pytest.mark.parametrize(
    ("ev", "evse", "test"), [(410, 1000, 460), (490, 1000, 500), (410, 450, 450), (800, 1000, 880)]
)
def test_test_voltage(ev: float, evse: float, test: float) -> None:
    assert voltage_to_test(ev, evse) == pytest.approx(test)


def test_over_voltage_limits() -> None:
    assert [over_voltage_limit(v) for v in (410, 500, 750, 800, 1000, 1250)] == [
        550,
        550,
        825,
        935,
        1100,
        1375,
    ]


# --- output ---------------------------------------------------------------------------------------

RATINGS = DcRatings(
    1000.0, 500.0, 350_000.0, min_current_a=3.0, import_max_current_a=200.0, import_max_power_w=1e5
)
LIMITS = Envelope(charge=Limits(100_000.0, 300.0), discharge=Limits(40_000.0, 150.0), max_voltage_v=900.0)


class Ramp:
    def __init__(self) -> None:
        self.output, self.now = DcOutput(RATINGS, 25.0, 100.0), 0.0

    def after(self, seconds: float, volts: float = 400.0) -> float:
        for _ in range(round(seconds / 0.1)):
            self.now += 0.1
            self.output.bound(self.now)
            self.output.advance(self.now, LIMITS, volts)
        return self.output.set_a


def test_current_ramps_up_and_down() -> None:
    ramp = Ramp()
    ramp.output.target = SetDcTarget(405.0, 200.0)
    assert ramp.after(2.1) == pytest.approx(50.0)
    assert ramp.after(10.0) == pytest.approx(200.0)
    ramp.output.ramp_down()
    assert ramp.after(1.0) == pytest.approx(100.0)
    assert ramp.after(1.1) == pytest.approx(0.0)
    assert ramp.output.idle
    assert ramp.output.set_points() == (405.0, 0.0)
    ramp.output.stop()
    ramp.output.ramp_down()
    assert ramp.output.target is None


def test_limits_of_both_directions_rule() -> None:
    ramp = Ramp()
    ramp.output.target = SetDcTarget(1200.0, 400.0)
    assert ramp.after(20.0) == pytest.approx(250.0), "100 kW at 400 V"
    assert ramp.output.set_points()[0] == 1000.0
    ramp.output.target = SetDcTarget(405.0, -190.0, 300.0)
    assert ramp.after(20.0) == pytest.approx(-100.0), "40 kW at 400 V"
    assert ramp.output.set_points() == (300.0, -100.0)


def test_a_little_is_never_made_more_but_for_pre_charge() -> None:
    ramp = Ramp()
    ramp.output.target = SetDcTarget(405.0, 2.5)
    assert ramp.after(1.0) == 0.0
    ramp.output.target = SetDcTarget(405.0, 2.0)
    assert ramp.output.pre_charging
    assert ramp.after(1.0) == pytest.approx(3.0)


def test_what_may_be_measured_follows_slowly() -> None:
    ramp = Ramp()
    ramp.output.target = SetDcTarget(405.0, 100.0)
    ramp.after(5.0)
    ramp.output.stop()
    ramp.after(1.0)
    assert ramp.output.most_a == pytest.approx(50.0, abs=6.0)
    ramp.after(2.0)
    assert (ramp.output.most_a, ramp.output.least_a) == (0.0, 0.0)
    ramp.output.allow(2.0)
    assert ramp.output.most_a == 2.0


# --- meter ----------------------------------------------------------------------------------------


def test_a_session_counts_from_its_beginning() -> None:
    meter = SessionMeter()
    assert meter.since_begin() is None
    meter.take(None)
    meter.take(MeterReading(0.0, 5000.0, 100.0, meter_id="M1", signature=b"s"))
    meter.begin()
    meter.take(MeterReading(1.0, 5400.0, 130.0, meter_id="M1"))
    told = meter.since_begin()
    assert told is not None
    assert (told.meter_id, told.charged_wh, told.discharged_wh) == ("M1", 400.0, 30.0)
    assert not meter.fell
    meter.take(MeterReading(2.0, 5300.0, 130.0))
    assert meter.fell
    told = meter.since_begin()
    assert told is not None
    assert told.charged_wh == 400.0
    meter.end()
    assert not meter.fell


# --- configuration --------------------------------------------------------------------------------


def test_configuration_from_plain_data() -> None:
    config = HalEvseConfig.from_dict({"max_power_w": 50_000, "cable_check": {"readings": 5}})
    assert (config.max_power_w, config.cable_check.readings) == (50_000.0, 5)
    assert HalEvConfig.from_dict({"target_soc": 90}).target_soc == 90.0
    with pytest.raises(ConfigError, match=r"cable_check\.reading"):
        HalEvseConfig.from_dict({"cable_check": {"reading": 5}})


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"phases": 2}, "phases"),
        ({"isolation_ohm": 50_000}, "isolation_ohm"),
        ({"safe_v": 120}, "safe_v"),
        ({"stale_s": 5}, "stale_s"),
        ({"cable_check": {"self_test_s": 40}}, "cable_check.self_test_s"),
        ({"stop_c": 50}, "stop_c"),
    ],
)
def test_unsafe_station_configuration_is_refused(data: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as info:
        HalEvseConfig.from_dict(data)
    assert info.value.key == key


@pytest.mark.parametrize(
    "data", [{"close_v": 30}, {"target_soc": 10}, {"maximum_soc": 110}, {"silence_s": 0.1}]
)
def test_unsafe_car_configuration_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        HalEvConfig.from_dict(data)
