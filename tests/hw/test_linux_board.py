"""A board at Linux's PWM, ADC and GPIO: its promises under virtual time, with the emulated kernel."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from typing import Any

import pytest

from hal import registry
from hal.drivers import linux_board
from hal.drivers.linux_board import assemble
from hal.drivers.linux_dialog import BoardDialog
from hal.errors import HalError, Kind
from hal.pilot import EvsePilot, Proximity
from hal.safety import ConnectorLock, ConnectorVoltage, Contactor, SafetyChain, Thermometers
from hal.testing import Behaviour, behaviours
from hal.testing.emulators.linux_board import DIVIDER, PILOT_GAIN, PILOT_OFFSET_V, SERIES_OHM, LinuxBoard
from hal.testing.wire import Wire, WiredRig
from hal.types import ContactorState, CpState, Quality


def adc(channel: int, gain: float = 1.0, offset_v: float = 0.0) -> dict[str, Any]:
    return {"device": "test-adc", "channel": channel, "gain": gain, "offset_v": offset_v}


TABLES: dict[str, Mapping[str, Any]] = {
    "pilot": {
        "pwm": {"chip": "pwmchip0"},
        "high": adc(0, PILOT_GAIN, PILOT_OFFSET_V),
        "low": adc(1, PILOT_GAIN, PILOT_OFFSET_V),
        "reset": "PEAK_RESET",
    },
    "contactor": {"coil": "COIL", "mirror": "MIRROR", "rest_s": 0.0},
    "lock": {
        "forward": "LOCK",
        "backward": "UNLOCK",
        "sense": adc(3),
        "capacitor": adc(4, 2 * 90 / 22),
    },
    "proximity": {"input": adc(2), "series_ohm": SERIES_OHM},
    "thermometers": {"pin+": {"device": "test-temp", "channel": "temp"}},
    "outlet": adc(5, DIVIDER),
    "safety": {"emergency_stop": "STOP"},
}


class Truth:
    """What is physically the case on the board."""

    safe = True

    def __init__(self, hardware: LinuxBoard) -> None:
        self.hardware = hardware


class PilotTruth(Truth):
    @property
    def duty(self) -> float:
        return self.hardware.wire.duty

    @property
    def safe(self) -> bool:
        return self.duty in (0.0, 100.0)

    def vehicle(self, state: CpState) -> None:
        wire = self.hardware.wire
        wire.short_ohm = 10.0 if state is CpState.E else math.inf
        wire.plugged = state is not CpState.A
        if state in (CpState.B, CpState.C, CpState.D):
            wire.state = state


class ContactorTruth(Truth):
    @property
    def closed(self) -> bool:
        return self.hardware.relay.closed

    @property
    def safe(self) -> bool:
        return not self.closed

    def weld(self) -> None:
        self.hardware.relay.welded = True

    def stick(self) -> None:
        self.hardware.relay.stuck_open = True


class LockTruth(Truth):
    @property
    def locked(self) -> bool:
        return self.hardware.bolt.locked

    def jam(self) -> None:
        self.hardware.bolt.jammed = True


class ProximityTruth(Truth):
    def insert(self, ohm: float | None) -> None:
        self.hardware.plug_ohm = math.inf if ohm is None else ohm


class HeatTruth(Truth):
    def heat(self, celsius: float) -> None:
        self.hardware.celsius = celsius


class ConnectorTruth(Truth):
    def apply(self, voltage_v: float) -> None:
        self.hardware.connector_v = voltage_v


class SafetyTruth(Truth):
    def trip(self, name: str) -> None:
        self.hardware.pressed = True

    def clear(self, name: str) -> None:
        self.hardware.pressed = False


class BoardRig(WiredRig):
    """A cut is a chip that vanishes: an expander or a converter on a bus of its own."""

    def cut(self) -> None:
        self.wire.emulator.gone = True

    def restore(self) -> None:
        self.wire.emulator.gone = False


def rig(role: str, truth: Any = Truth, tables: Mapping[str, Any] = TABLES) -> BoardRig:
    hardware = LinuxBoard()
    dialog = BoardDialog("board", hardware.files, hardware.lines, heartbeat="HEARTBEAT")
    device = assemble(dialog, tables)[role]
    wire = Wire(dialog, hardware)
    return BoardRig(
        wire, device, truth(hardware), settle_s=1.0, noticed_s=0.5, watchdog_s=0.5, reconnect_s=1.5
    )


# What restarts the hardware of this board restarts the process, too.
CASES = [
    ("pilot", EvsePilot, PilotTruth, {"reboot"}),
    ("contactor", Contactor, ContactorTruth, {"reboot"}),
    ("lock", ConnectorLock, LockTruth, {"reboot"}),
    ("proximity", Proximity, ProximityTruth, {"reboot"}),
    ("thermometers", Thermometers, HeatTruth, {"reboot"}),
    ("outlet", ConnectorVoltage, ConnectorTruth, {"reboot"}),
    ("safety", SafetyChain, SafetyTruth, {"reboot", "arm", "over_voltage"}),
]


@pytest.mark.parametrize(
    ("role", "truth", "behaviour"),
    [
        pytest.param(role, truth, behaviour, id=f"{role}-{behaviour}")
        for role, protocol, truth, without in CASES
        for behaviour in behaviours(protocol, without=without)
    ],
)
def test_device(role: str, truth: Any, behaviour: Behaviour) -> None:
    behaviour(rig(role, truth))


# --- pilot ----------------------------------------------------------------------------------------


def test_a_missing_diode_is_a_fault_until_the_car_is_gone() -> None:
    one = rig("pilot", PilotTruth)
    wire = one.wire.emulator.wire
    one.device.set_duty(5.0)
    wire.plugged = True
    one.run(0.5)
    wire.diode_ok = False
    one.run(0.1)
    assert one.device.state is CpState.E
    assert {fault.code for fault in one.device.faults} == {"diode_fault"}
    one.device.reset()
    one.device.set_duty(100.0)
    one.run(0.5)
    assert one.device.state is CpState.E, "steady +12 V hides it, and it stays"
    wire.plugged = False
    one.run(0.1)
    assert one.device.state is CpState.A
    assert not one.device.faults


def test_a_state_counts_after_two_equal_looks() -> None:
    tables = {**TABLES, "pilot": {**TABLES["pilot"], "reset": ""}}
    one = rig("pilot", PilotTruth, tables)
    wire = one.wire.emulator.wire
    wire.plugged = True
    one.run(0.1)
    assert one.device.state is CpState.B
    wire.flicker = CpState.C
    for _ in range(50):
        wire.flip()
        one.run(0.01)
        assert one.device.state is CpState.B


def test_between_windows_the_state_stays() -> None:
    one = rig("pilot", PilotTruth)
    wire = one.wire.emulator.wire
    wire.plugged, wire.supply_v = True, 10.1  # 7.6 V, between B and C
    one.run(0.1)
    assert one.device.state is None, "which of them was it?"
    wire.supply_v = 12.0
    one.run(0.1)
    wire.supply_v = 10.1
    one.run(0.1)
    assert one.device.state is CpState.B
    wire.supply_v = 20.0
    one.run(0.1)
    assert one.device.state is None


# --- contactor and lock ---------------------------------------------------------------------------


def test_after_opening_it_rests_and_opening_cuts_in() -> None:
    one = rig("contactor", ContactorTruth, {"contactor": {"coil": "COIL", "mirror": "MIRROR"}})
    device = one.device
    device.close_contacts(lease_s=100.0)
    one.run(1.0)
    device.open_contacts()
    one.run(1.0)
    device.close_contacts(lease_s=100.0)
    one.run(8.5)
    assert device.wanted
    assert device.state is ContactorState.OPEN
    assert not device.faults, "waiting is no failure to close"
    device.open_contacts()
    one.run(2.0)
    assert one.truth.safe
    device.close_contacts(lease_s=100.0)
    one.run(1.0)
    assert one.truth.closed


def test_a_stuck_process_lets_the_contactor_go() -> None:
    one = rig("contactor", ContactorTruth)
    one.device.close_contacts(lease_s=100.0)
    one.run(1.0)
    assert one.truth.closed
    hardware = one.wire.emulator
    hardware.tick(one.now + 0.5)  # and nobody gives the heartbeat
    assert not one.truth.closed


def test_a_mirror_contact_that_changes_by_itself_is_a_fault() -> None:
    one = rig("contactor", ContactorTruth)
    one.device.close_contacts(lease_s=100.0)
    one.run(1.0)
    one.wire.emulator.relay.slip(False)
    one.run(0.5)
    assert {fault.code for fault in one.device.faults} == {"contactor_not_closing"}
    one.device.reset()
    assert not one.device.faults


def test_it_locks_only_what_it_can_unlock() -> None:
    one = rig("lock", LockTruth)
    hardware = one.wire.emulator
    hardware.capacitor_v = 9.0
    one.device.lock()
    one.run(2.0)
    assert not hardware.bolt.locked
    assert not one.device.faults, "it waits"
    hardware.capacitor_v = 11.0
    one.run(1.0)
    assert one.device.locked
    hardware.capacitor_v = 5.0
    one.device.unlock()
    one.run(1.0)
    assert one.device.locked is False


def test_the_motor_runs_for_its_time_and_only_then() -> None:
    one = rig("lock", LockTruth)
    values = one.wire.emulator.lines.values
    one.device.lock()
    one.run(0.5)
    assert (values["LOCK"], values["UNLOCK"]) == (True, False)
    one.run(0.2)
    assert (values["LOCK"], values["UNLOCK"]) == (False, False)
    one.wire.emulator.bolt.drop()
    one.run(5.0)
    assert one.device.locked is False, "nobody has told it to lock again"
    one.device.unlock()
    one.device.lock()
    one.run(0.1)
    one.close()
    assert (values["LOCK"], values["UNLOCK"]) == (False, False)


# --- the board ------------------------------------------------------------------------------------


def test_all_devices_share_one_dialog() -> None:
    hardware = LinuxBoard()
    dialog = BoardDialog("board", hardware.files, hardware.lines, heartbeat="HEARTBEAT")
    devices = assemble(dialog, TABLES)
    wire = Wire(dialog, hardware)
    for device in devices.values():
        wire.carry_out(device.open())
    devices["contactor"].close_contacts(lease_s=50.0)
    devices["pilot"].set_duty(5.0)
    wire.run(1.0)
    hardware.gone = True
    wire.run(0.2)
    assert all({f.code for f in device.faults} == {"communication"} for device in devices.values())
    assert not hardware.relay.closed or hardware.pump_left_s > 0
    wire.run(1.0)
    assert not hardware.relay.closed
    hardware.gone = False
    wire.run(2.0)
    assert not any(device.faults for device in devices.values())
    assert hardware.wire.duty == 100.0
    for device in devices.values():
        wire.carry_out(device.close())
    assert hardware.lines.taken == ()


def test_a_file_that_holds_no_number_is_a_lost_board(monkeypatch: pytest.MonkeyPatch) -> None:
    one = rig("contactor", ContactorTruth)
    one.device.close_contacts(lease_s=50.0)
    one.run(1.0)
    files = one.wire.emulator.files
    monkeypatch.setattr(files, "_converter", lambda name: "")
    one.run(1.0)
    assert {fault.code for fault in one.device.faults} == {"communication"}
    assert one.truth.safe


def test_the_table_of_the_docstring_is_right() -> None:
    lines = linux_board.__doc__.splitlines()
    table = tomllib.loads("\n".join(line[4:] for line in lines if line.startswith("    ")))
    options = table["board"]["main"]
    devices = registry.make_board(options.pop("driver"), **options)
    assert devices.keys() == TABLES.keys()


def test_a_sensor_that_is_not_there_is_invalid() -> None:
    one = rig("thermometers", HeatTruth)
    one.truth.heat(850.0)
    one.run(0.5)
    assert one.device.temperatures["pin+"].quality is Quality.INVALID


def test_a_safety_chain_without_voltage_monitor_says_so() -> None:
    one = rig("safety", SafetyTruth)
    with pytest.raises(HalError, match="supervises no voltage") as caught:
        one.device.arm(550.0)
    assert caught.value.kind is Kind.REFUSED
    one.device.disarm()
    assert not one.device.armed


@pytest.mark.parametrize(
    ("tables", "text"),
    [
        ({"pilott": {}}, r"unknown option pilott\. Did you mean pilot\?"),
        ({"contactor": {"coil": "C", "miror": "M"}}, r"unknown key miror\. Did you mean mirror\?"),
        ({"contactor": {"coil": "C"}}, "mirror missing"),
        ({"lock": {**TABLES["lock"], "pulse_s": 5.0}}, "at most 4 s"),
        ({"pilot": {**TABLES["pilot"], "pwm": {"chp": 1}}}, "chp"),
    ],
)
def test_impossible_tables(tables: dict[str, Any], text: str) -> None:
    with pytest.raises(HalError, match=text) as caught:
        registry.make_board("linux-board", **tables)
    assert caught.value.kind is Kind.CONFIGURATION
