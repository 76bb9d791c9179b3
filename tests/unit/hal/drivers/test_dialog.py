"""What a dialog does under virtual time: ask, repeat, give up, begin again; and what a driver makes of it."""

from __future__ import annotations

import math
import random

import pytest

from hal.drivers.dialog import MISSES, Dialog, Polls, Request, Uncarried
from hal.drivers.driver import Driver
from hal.errors import HalError, Kind
from hal.testing.noise import Noise
from hal.testing.wire import Wire
from tests.unit.hal.drivers.toy import ToyDevice, ToyDialog, ToyDriver


def toy(**options: object) -> tuple[Wire, ToyDriver, ToyDevice]:
    dialog, device = ToyDialog(), ToyDevice()
    wire = Wire(dialog, device, **options)  # type: ignore[arg-type]
    return wire, dialog.driver, device


def opened(**options: object) -> tuple[Wire, ToyDriver, ToyDevice]:
    wire, driver, device = toy(**options)
    wire.carry_out(driver.open())
    return wire, driver, device


def codes(driver: Driver) -> set[str]:
    return {fault.code for fault in driver.faults}


# --- opening ------------------------------------------------------------------------------------


def test_a_device_is_identified_and_switched_off_before_it_is_open() -> None:
    wire, driver, device = toy()
    device.on = True
    wire.carry_out(driver.open())
    assert device.words[:2] == [b"ID", b"OFF"]
    assert not device.on
    assert driver.told is False


def test_a_command_before_open_says_so() -> None:
    _, driver, device = toy()
    with pytest.raises(HalError, match="Open it first") as caught:
        driver.switch_on()
    assert caught.value.kind is Kind.NOT_CONNECTED
    driver.switch_off()
    assert not device.words


def test_a_silent_device_is_a_timeout() -> None:
    wire, driver, device = toy()
    device.silent = True
    with pytest.raises(HalError) as caught:
        wire.carry_out(driver.open())
    assert caught.value.kind is Kind.TIMEOUT
    assert not wire.connected
    device.silent = False
    wire.carry_out(driver.open())
    assert not driver.faults


def test_another_device_is_refused_with_a_next_step() -> None:
    wire, driver, device = toy()
    device.identity = b"DOLL"
    with pytest.raises(HalError, match="Connect a toy") as caught:
        wire.carry_out(driver.open())
    assert caught.value.kind is Kind.PROTOCOL
    wire.run(5.0)
    assert device.words == [b"ID"], "it is left alone"


def test_a_dialog_without_a_line_is_a_mistake_of_the_caller() -> None:
    driver = ToyDialog().driver
    assert isinstance(driver._dialog.line, Uncarried)
    with pytest.raises(HalError, match="no line"):
        driver.open().send(None)
    driver.switch_off()


# --- asking -------------------------------------------------------------------------------------


def test_a_lost_answer_is_asked_for_again() -> None:
    wire, driver, device = opened()
    device.words.clear()
    device.silent = True
    driver.switch_on(lease_s=60.0)
    wire.run(0.6)
    device.silent = False
    wire.run(0.6)
    assert device.on
    assert driver.told is True
    assert not driver.faults


def test_a_device_that_does_not_answer_is_a_fault_and_nothing_is_wanted_any_more() -> None:
    wire, driver, device = opened()
    driver.switch_on(lease_s=600.0)
    wire.run(0.1)
    device.silent = True
    told: list[float] = []
    driver.on_change(lambda: told.append(wire.now))
    wire.run(MISSES * 3 * 0.6)
    assert codes(driver) == {"communication"}
    assert told
    assert driver.told is None
    device.silent = False
    wire.run(3.0)
    assert not driver.faults
    assert not device.on
    assert driver.told is False


def test_noise_before_between_and_after_costs_only_retries() -> None:
    wire, driver, device = opened()
    rng = random.Random(5)
    driver.switch_on(lease_s=600.0)
    for _ in range(200):
        wire.dialog.received(rng.randbytes(rng.randrange(1, 9)), wire.now)
        wire.run(0.05)
        assert not driver.faults
    assert device.on
    assert driver.value.fresh(wire.now, 2.0)


def test_an_answer_without_an_end_does_not_fill_the_memory() -> None:
    wire, driver, _ = opened()
    wire.run(0.6)
    wire.cut()
    wire.run(0.51)
    for _ in range(200):
        wire.dialog.received(bytes(100).replace(b"\0", b"7"), wire.now)
        wire.run(0.01)
    assert len(wire.dialog._buffer) <= 4096 + 100
    wire.restore()
    wire.run(5.0)
    assert not driver.faults


@pytest.mark.parametrize("seed", range(5))
def test_a_bad_line_is_endured(seed: int) -> None:
    noise = Noise(seed, lost=0.2, corrupted=0.3, octet_s=87e-6)
    wire, driver, device = opened(noise=noise)
    on = 0
    for _ in range(100):
        driver.switch_on(lease_s=4.0)
        wire.run(1.0)
        on += device.on
    assert on > 60
    assert noise.lost_count > 10
    driver.switch_off()
    wire.run(10.0)
    assert not device.on


# --- closing and leases -------------------------------------------------------------------------


def test_the_lease_ends_by_itself_and_can_be_renewed() -> None:
    wire, driver, device = opened()
    driver.switch_on(lease_s=1.0)
    for _ in range(5):
        wire.run(0.6)
        assert device.on
        driver.switch_on(lease_s=1.0)
    wire.run(1.1)
    assert not device.on


@pytest.mark.parametrize("lease_s", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_lease_is_refused(lease_s: float) -> None:
    wire, driver, device = opened()
    with pytest.raises(HalError) as caught:
        driver.switch_on(lease_s=lease_s)
    assert caught.value.kind is Kind.OUT_OF_RANGE
    wire.run(1.0)
    assert not device.on


def test_a_latched_fault_refuses_until_it_is_reset() -> None:
    wire, driver, device = opened()
    driver.trip()
    with pytest.raises(HalError, match="tripped") as caught:
        driver.switch_on()
    assert caught.value.kind is Kind.REFUSED
    driver.reset()
    driver.switch_on()
    wire.run(0.1)
    assert device.on


def test_close_waits_until_the_device_says_that_it_is_off() -> None:
    wire, driver, device = opened()
    driver.switch_on(lease_s=600.0)
    wire.run(0.1)
    device.words.clear()
    wire.carry_out(driver.close())
    assert device.words[-1] == b"OFF"
    assert not device.on
    assert not wire.connected
    wire.carry_out(driver.close())


def test_close_does_not_wait_for_ever() -> None:
    wire, driver, device = opened()
    driver.switch_on(lease_s=600.0)
    wire.run(0.1)
    device.silent = True
    before = wire.now
    wire.carry_out(driver.close())
    assert wire.now - before < 1.5
    assert not driver.faults, "closed on purpose"


def test_a_listener_may_command() -> None:
    wire, driver, device = opened()
    driver.on_change(driver.switch_off)
    driver.switch_on(lease_s=600.0)
    wire.run(1.0)
    assert not device.on


def test_a_hung_up_line_is_opened_again() -> None:
    wire, driver, device = opened(hang_up=True)
    driver.switch_on(lease_s=600.0)
    wire.run(0.1)
    wire.cut()
    assert codes(driver) == {"communication"}
    wire.run(0.5)
    driver.switch_on()  # without effect: the fault says why
    wire.restore()
    wire.run(1.0)
    assert not driver.faults
    assert not device.on


# --- small parts --------------------------------------------------------------------------------


def test_polls_ask_in_turn() -> None:
    polls = Polls(fast=0.25, slow=1.0)
    asked: list[str] = []
    for step in range(41):
        now = step * 0.05
        if name := polls.due(now):
            polls.asked(name, now)
            asked.append(name)
    assert asked.count("fast") == 9
    assert asked.count("slow") == 2
    assert polls.due_at > 2.0
    polls.hasten("slow")
    assert polls.due(2.1) == "slow"
    assert Polls().due(0.0) is None
    assert Polls().due_at == math.inf


def test_a_request_without_an_answer_is_done_at_once() -> None:
    sent = Request(b"x")
    sent.done(None, 0.0)
    sent.failed("", 0.0)
    assert sent.parse is None


def test_two_devices_share_a_dialog() -> None:
    dialog = Dialog("board")
    one, two = Driver("one", dialog), Driver("two", dialog)
    news: list[str] = []
    one.on_change(lambda: news.append("one"))
    two.on_change(lambda: news.append("two"))
    one._opened = two._opened = True
    dialog.opened(0.0)
    dialog.lost("pulled", 1.0)
    assert news == ["one", "two"]
    assert {fault.detail for fault in one.faults | two.faults} == {"pulled"}
    assert dialog.settled
    assert dialog.deadline == math.inf
