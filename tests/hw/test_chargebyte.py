"""chargebyte's safety controller: its frames, its devices on good and bad lines, and what is its own."""

from __future__ import annotations

import math
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hal.drivers import chargebyte
from hal.drivers.chargebyte_frames import (
    CHARGE_CONTROL,
    FIRMWARE,
    ChargeState,
    Decoder,
    Firmware,
    charge_control,
    encode,
    inquiry,
    temperatures,
)
from hal.errors import HalError, Kind
from hal.pilot import EvsePilot, Proximity
from hal.registry import make_board
from hal.safety import Contactor, SafetyChain, Thermometers
from hal.testing import Behaviour, behaviours
from hal.testing.emulators.chargebyte import SafetyController
from hal.testing.emulators.serve import serve_pty
from hal.testing.noise import Noise
from hal.testing.wire import Wire, WiredRig
from hal.types import ContactorState, CpState, Quality
from tests.hw.board_rigs import NOISES, controller_rig
from tests.unit.hal.drivers.support import run, until

SUITES = {
    "pilot": behaviours(EvsePilot, without={"voltage"}),
    "contactor": behaviours(Contactor),
    "safety": behaviours(SafetyChain, without={"arm", "over_voltage"}),
    "thermometers": behaviours(Thermometers),
    "proximity": behaviours(Proximity),
}
CASES = [
    pytest.param(role, behaviour, id=f"{role}-{behaviour}")
    for role, suite in SUITES.items()
    for behaviour in suite
]


@pytest.mark.parametrize("line", NOISES)
@pytest.mark.parametrize(("role", "behaviour"), CASES)
def test_device(role: str, behaviour: Behaviour, line: str) -> None:
    behaviour(controller_rig(role, line, hang_up=line == "single"))


# --- frames -------------------------------------------------------------------------------------

WORKED = [
    (CHARGE_CONTROL, charge_control(5.0), "A5 06 80 32 00 00 00 00 00 00 EF 03"),
    (CHARGE_CONTROL, charge_control(5.0, (1,)), "A5 06 80 32 01 00 00 00 00 00 A9 03"),
    (CHARGE_CONTROL, charge_control(100.0), "A5 06 83 E8 00 00 00 00 00 00 A0 03"),
]


@pytest.mark.parametrize(("identifier", "word", "octets"), WORKED)
def test_worked_frames(identifier: int, word: int, octets: str) -> None:
    assert encode(identifier, word) == bytes.fromhex(octets)
    assert Decoder().feed(bytes.fromhex(octets)) == [(identifier, word)]


def test_worked_inquiry_and_report() -> None:
    assert inquiry(FIRMWARE) == bytes.fromhex("A5 FF 0A 00 00 00 00 00 00 00 83 03")
    (frame,) = Decoder().feed(bytes.fromhex("A5 07 80 32 02 00 3D FC 00 00 A4 03"))
    assert ChargeState.parse(frame.word) == ChargeState(
        duty=5.0,
        state=CpState.B,
        shorted=False,
        diode_fault=False,
        ampacity_a=0.0,
        contactors={1: False},
        residual_error=True,
        emergency=False,
        reason="",
    )


def test_all_three_contactors_and_no_pwm() -> None:
    assert charge_control(0.0) == 0
    assert charge_control(53.3, (1, 2, 3)) == 1 << 63 | 533 << 48 | 0b111 << 40
    told = ChargeState.parse(0b10 << 24 | 0b01 << 26 | 0b00 << 28)
    assert told.contactors == {1: True, 2: False, 3: None}
    assert told.state is None
    assert told.duty == 0.0


@pytest.mark.parametrize(
    ("number", "reason"),
    [(2, "communication_timeout"), (8, "over_temperature"), (18, "emergency_stop"), (99, "safe_state")],
)
def test_the_safe_state_has_a_reason(number: int, reason: str) -> None:
    assert ChargeState.parse(1 << 58 | number << 8).reason == reason
    assert ChargeState.parse(2 << 58 | number << 8).safe, "an undefined value is a doubt"
    assert not ChargeState.parse(3 << 58 | number << 8).safe, "not available"


def test_temperatures_of_all_kinds() -> None:
    word = (-123 & 0x3FFF) << 50 | 1 << 48 | 250 << 34 | 2 << 32 | 0x1FFF << 18 | 0x1FFF << 2
    assert temperatures(word) == {1: (-12.3, True, False), 2: (25.0, False, True)}


def test_firmware() -> None:
    assert Firmware.parse(0x01_02_03_82_03_000000) == ("1.2.3", 0x82, 3)


def test_the_decoder_finds_its_way_back() -> None:
    rng = random.Random(1)
    decoder, got, sent = Decoder(), [], []
    for _ in range(500):
        word = rng.getrandbits(64) & 0xA5A5_0303_A503_A5A5
        sent.append((7, word))
        noise = bytes(rng.choice((0xA5, 0x03, 0x07)) for _ in range(rng.randrange(6)))
        for octet in noise + encode(7, word):
            got += decoder.feed(bytes([octet]))
    got += decoder.feed(bytes(20))
    assert got == sent


# --- the driver ---------------------------------------------------------------------------------


def energised(**options: object) -> WiredRig:
    """The contactor, closed, with 5 % on the pilot."""
    rig = controller_rig("contactor", **options)  # type: ignore[arg-type]
    rig.wire.dialog.pilot.set_duty(5.0)
    rig.device.close_contacts(lease_s=600.0)
    rig.run(0.5)
    assert rig.truth.closed
    return rig


def codes(rig: WiredRig) -> set[str]:
    return {fault.code for fault in rig.device.faults}


def test_the_command_is_the_heartbeat() -> None:
    rig = energised()
    rig.wire.emulator.heard.clear()
    rig.run(2.0)
    beats = [content for identifier, content in rig.wire.emulator.heard if identifier == CHARGE_CONTROL]
    assert 19 <= len(beats) <= 22
    assert set(beats) == {bytes.fromhex("8032010000000000")}


@pytest.mark.parametrize("startup_s", [0.12, 0.2, 0.3, 0.6])
def test_a_controller_that_restarts_is_never_energised_by_what_was_wanted_before(
    startup_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hal.testing.emulators.chargebyte.STARTUP_S", startup_s)
    for phase in range(20):
        rig = energised()
        rig.run(phase * 0.0053)
        rig.reboot()
        rig.run(0.05)
        for _ in range(300):
            rig.run(0.01)
            assert not rig.truth.closed
            assert rig.wire.emulator.outlet.line.duty in (0.0, 100.0)
        assert not codes(rig)
        assert not rig.device.wanted


def test_contactors_are_opened_even_in_doubt() -> None:
    rig = energised()
    rig.wire._noise[id(rig.wire.dialog)].lost = 1.0  # it hears, but is not heard
    rig.run(0.3)
    assert rig.truth.closed
    rig.device.open_contacts()
    rig.run(0.05)
    assert not rig.truth.closed


def test_a_controller_that_is_not_heard_is_told_to_be_safe() -> None:
    rig = energised()
    rig.wire._noise[id(rig.wire.dialog)].lost = 1.0
    rig.run(1.0)
    assert not rig.truth.closed
    assert rig.truth.outlet.line.duty == 100.0
    assert rig.wire.emulator.reason == 0, "its own limit was not reached"


def test_a_reset_function_that_fails_is_told() -> None:
    def fails() -> None:
        raise HalError("gpio", Kind.NOT_CONNECTED, "no such line")

    rig = controller_rig("safety", with_reset=False)
    rig.wire.dialog._reset = fails
    rig.truth.trip("emergency_stop")
    rig.run(0.5)
    rig.device.reset()
    rig.run(2.0)
    assert codes(rig) == {"emergency_stop", "reset_failed"}


def test_without_a_reset_line_the_safe_state_is_a_fault_until_the_board_is_switched_off_and_on() -> None:
    rig = energised(with_reset=False)
    rig.cut()
    rig.run(3.0)
    rig.restore()
    rig.run(3.0)
    assert codes(rig) == {"safe_state"}
    assert {fault.detail for fault in rig.device.faults} == {"communication_timeout"}
    rig.device.reset()
    rig.run(1.0)
    with pytest.raises(HalError) as caught:
        rig.device.close_contacts()
    assert caught.value.kind is Kind.REFUSED
    rig.reboot()
    rig.run(3.0)
    assert not codes(rig)
    rig.device.close_contacts()
    rig.run(0.5)
    assert rig.truth.closed


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("rcm_error", True, "residual_current"),
        ("emergency", [False, True, None], "emergency_stop"),
        ("celsius", [25.0, 99.0, None, None], "over_temperature"),
    ],
)
def test_what_trips_opens_the_contactor_and_says_why(name: str, value: object, code: str) -> None:
    rig = energised()
    dialog, before = rig.wire.dialog, getattr(rig.wire.emulator, name)
    setattr(rig.wire.emulator, name, value)
    rig.run(0.5)
    assert not rig.truth.closed
    assert dialog.safety.tripped == {code}
    assert {fault.code for fault in dialog.safety.faults} == {code}
    assert dialog.pilot.state in (CpState.E, CpState.F)
    setattr(rig.wire.emulator, name, before)
    dialog.safety.reset()
    rig.run(2.0)
    assert not dialog.safety.faults
    assert not codes(rig)
    assert dialog.pilot.state is CpState.C
    assert not rig.truth.closed


def test_a_missing_diode_is_told_and_ends_with_a_reset() -> None:
    rig = controller_rig("pilot")
    rig.truth.vehicle(CpState.B)
    rig.truth.outlet.line.diode_ok = False
    rig.device.set_duty(5.0)
    rig.run(1.0)
    assert "diode_fault" in codes(rig)
    rig.truth.outlet.line.diode_ok = True
    rig.device.reset()
    rig.run(2.0)
    rig.device.reset()
    assert not codes(rig)
    assert rig.device.state is CpState.B


def test_the_residual_current_monitor_tests_itself_when_asked() -> None:
    rig = controller_rig("safety")
    rig.device.test_residual_current()
    rig.run(0.1)
    assert (0xFF, bytes([0xFE, 1, 0, 0, 0, 0, 0, 0])) in rig.wire.emulator.heard
    assert not codes(rig)


def test_the_output_cannot_be_supervised() -> None:
    rig = controller_rig("safety")
    assert not rig.device.armed
    rig.device.disarm()
    with pytest.raises(HalError, match="monitor of its own") as caught:
        rig.device.arm(500.0)
    assert caught.value.kind is Kind.REFUSED


def test_a_broken_thermometer_is_no_measurement() -> None:
    rig = controller_rig("thermometers")
    rig.wire.emulator.broken_thermometer = 1
    rig.run(0.5)
    assert codes(rig) == {"thermometer_failed"}
    assert [sample.quality for sample in rig.device.temperatures.values()] == [Quality.GOOD, Quality.INVALID]
    rig.wire.emulator.broken_thermometer = None
    rig.run(0.5)
    assert not codes(rig)


def test_its_own_words_come_back_and_are_nothing() -> None:
    rig = energised()
    told: list[int] = []
    rig.device.on_change(lambda: told.append(1))
    for word in (encode(CHARGE_CONTROL, charge_control(5.0, (1,))), inquiry(FIRMWARE)):
        rig.wire.dialog.received(word, rig.now)
    assert not told
    assert rig.device.state is ContactorState.CLOSED


@pytest.mark.parametrize(
    ("version", "says"),
    [(bytes([1, 0, 0, 0x99, 3, 0, 0, 0]), "unknown kind 99"), (bytes([1, 0, 0, 0x82, 4, 0, 0, 0]), "Flash")],
)
def test_what_cannot_charge_is_refused(version: bytes, says: str) -> None:
    controller = SafetyController()
    controller.version = version
    dialog = chargebyte.ControllerDialog("board")
    with pytest.raises(HalError, match=says) as caught:
        WiredRig(Wire(dialog, controller), dialog.pilot, None)
    assert caught.value.kind is Kind.PROTOCOL
    assert not [word for word in controller.heard if word[0] == CHARGE_CONTROL], "it is commanded nothing"


def test_impossible_contactors_are_refused() -> None:
    for contactors in ((), (0,), (1, 4)):
        with pytest.raises(HalError, match="some of 1, 2, 3"):
            chargebyte.board("serial:///dev/ttyS1", contactors=contactors)


def test_endless_garbage_does_no_harm() -> None:
    rig = energised()
    rng = random.Random(3)
    for _ in range(300):
        rig.wire.dialog.received(rng.randbytes(50), rig.now)
        rig.run(0.01)
    assert not codes(rig)
    rig.device.open_contacts()
    rig.run(0.2)
    assert not rig.truth.closed


# --- in real time -------------------------------------------------------------------------------


def test_over_a_pty_with_a_reset_command(tmp_path: Path) -> None:
    pytest.importorskip("serial", reason="needs the extra `serial`")
    mark = tmp_path / "reset"

    async def test() -> None:
        controller = SafetyController()
        controller.outlet.line.plugged, controller.outlet.line.state = True, CpState.C
        async with serve_pty(controller, noise=Noise(octet_s=87e-6)) as server:
            devices = make_board("chargebyte", url=server.url, reset=["touch", str(mark)], places=["pin"])
            contactor = devices["contactor"]
            for device in devices.values():
                await device.open()
            devices["pilot"].set_duty(5.0)
            contactor.close_contacts(lease_s=60.0)
            await until(lambda: contactor.state is ContactorState.CLOSED)
            assert "pin" in devices["thermometers"].temperatures
            await server.unplug()
            await until(lambda: contactor.faults)
            await until(lambda: controller.reason == 2 and not controller.outlet.relay.closed)
            await server.plug()
            await until(mark.exists)
            controller.reboot()
            await until(lambda: not contactor.faults)
            contactor.close_contacts()
            await until(lambda: contactor.state is ContactorState.CLOSED)
            for device in devices.values():
                await device.close()
            assert not controller.outlet.relay.closed

    run(test)


def test_a_reset_command_that_fails_is_told() -> None:
    for command in (["/nonexistent/command"], ["false"]):
        rig = controller_rig("safety", with_reset=False)
        rig.wire.dialog._reset = command
        rig.truth.trip("emergency_stop")
        rig.run(0.5)
        rig.device.reset()
        if rig.wire.dialog._resetting is not None:
            rig.wire.dialog._resetting.wait()
        rig.run(3.0)
        assert "reset_failed" in codes(rig)


CONTROLLING = """
import asyncio, sys
from hal.drivers.chargebyte import board
async def main():
    devices = board(sys.argv[1])
    await devices["contactor"].open()
    devices["pilot"].set_duty(5.0)
    devices["contactor"].close_contacts(lease_s=600.0)
    await asyncio.sleep(60.0)
asyncio.run(main())
"""


def test_a_killed_process_leaves_the_outlet_safe() -> None:
    pytest.importorskip("serial", reason="needs the extra `serial`")

    async def test() -> None:
        controller = SafetyController()
        outlet = controller.outlet
        outlet.line.plugged, outlet.line.state = True, CpState.C
        async with serve_pty(controller) as server:
            process = subprocess.Popen([sys.executable, "-c", CONTROLLING, server.url])  # noqa: ASYNC220
            try:
                await until(lambda: outlet.relay.closed)
                assert math.isclose(outlet.line.duty, 5.0)
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait()
            await until(lambda: not outlet.relay.closed)
            assert outlet.line.duty == 0.0
            assert controller.reason == 2

    run(test)
