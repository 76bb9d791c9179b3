"""SCPI supplies: behaviour of both families on good and bad lines, words to the octet, and every way to off."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from hal.drivers.scpi import ScpiSupply, supply
from hal.drivers.scpi_profiles import DELTA_SM15K, EA_PSB, EA_PSI, Profile
from hal.errors import HalError, Kind
from hal.power import DcSupply
from hal.registry import make
from hal.testing import Behaviour, behaviours
from hal.testing.emulators.scpi_supply import DeltaSm15k, EaPsb, ScpiSupplyEmulator
from hal.testing.emulators.serve import serve_pty, serve_tcp
from hal.testing.noise import Noise
from hal.testing.wire import Wire, WiredRig
from hal.types import Severity

URL = "tcp://192.0.2.1:5025"


class Truth:
    """The emulator's converter."""

    def __init__(self, emulator: ScpiSupplyEmulator) -> None:
        self.emulator = emulator

    @property
    def on(self) -> bool:
        return self.emulator.on

    @property
    def safe(self) -> bool:
        return not self.on

    @property
    def voltage_v(self) -> float:
        return self.emulator.converter.voltage_v

    @property
    def current_limit_a(self) -> float:
        return self.emulator.converter.limit_a

    def forget(self) -> None:
        self.emulator.forget()


def emulator_of(profile: Profile) -> ScpiSupplyEmulator:
    return DeltaSm15k() if profile is DELTA_SM15K else EaPsb()


def wired(
    profile: Profile = EA_PSB,
    noise: Noise | None = None,
    *,
    emulator: ScpiSupplyEmulator | None = None,
    **options: Any,
) -> WiredRig:
    emulator = emulator or emulator_of(profile)
    device = supply(URL, profile=profile, **options)
    slow = 1.0 if noise is None or not noise.lost else 4.0
    wire = Wire(device._scpi, emulator, noise=noise, open_s=10.0 * slow, settle_s=slow)
    return WiredRig(
        wire,
        device,
        Truth(emulator),
        settle_s=3.0 * slow,
        noticed_s=7.0 * slow,
        reconnect_s=10.0 * slow,
        watchdog_s=2.5,
    )


LINES: dict[str, Callable[[], Noise | None]] = {
    "clean": lambda: None,
    "lossy": lambda: Noise(1, lost=0.2, corrupted=0.3),
    "octets": lambda: Noise(octet_s=10 / 115200),
}


def cases() -> Iterator[Any]:
    for line in LINES:
        for profile in (EA_PSB, DELTA_SM15K):
            without = () if profile.watchdog else ("watchdog",)
            for behaviour in behaviours(DcSupply, without=without):
                yield pytest.param(line, profile, behaviour, id=f"{line}-{profile.name}-{behaviour}")


@pytest.mark.parametrize(("line", "profile", "behaviour"), list(cases()))
def test_behaviour(line: str, profile: Profile, behaviour: Behaviour) -> None:
    behaviour(wired(profile, LINES[line]()))


# --- what is said -------------------------------------------------------------------------------


def ea(rig: WiredRig) -> tuple[ScpiSupply, EaPsb]:
    return rig.device, rig.truth.emulator


def said(emulator: ScpiSupplyEmulator) -> list[str]:
    """The commands heard, without questions; forgets them."""
    commands = [line for line in emulator.commands if not line.endswith("?")]
    emulator.commands.clear()
    return commands


def codes(device: ScpiSupply) -> set[str]:
    return {fault.code for fault in device.faults}


def test_what_an_ea_is_told() -> None:
    rig = wired(EA_PSB, max_power_w=8000.0)
    device, emulator = ea(rig)
    assert said(emulator) == [
        "*CLS",
        "SYST:LOCK ON",
        "OUTP OFF",
        "CURR 0",
        "POW 8000",
        "SINK:CURR 0",
        "SINK:POW 8000",
    ]
    assert device.ratings.max_voltage_v == 1000.0
    assert device.ratings.bidirectional
    assert (device.ratings.max_power_w, device.ratings.import_max_power_w) == (8000.0, 8000.0)
    assert device.identity == "EA Elektro-Automatik, PSB 11000-60, 1234567890, V3.02"
    device.drive(400.0, 20.0)
    rig.run(0.5)
    assert said(emulator) == ["VOLT 400", "CURR 20", "OUTP ON"]
    device.drive(400.0, -20.0)
    rig.run(0.3)
    assert said(emulator) == ["CURR 0", "SINK:CURR 20"]
    device.drive(350.0, 20.0)
    rig.run(0.3)
    assert said(emulator) == ["SINK:CURR 0", "VOLT 350", "CURR 20"]
    rig.close()
    assert said(emulator)[-2:] == ["OUTP OFF", "SYST:LOCK OFF"]
    assert not emulator.on
    assert not emulator.remote
    assert not emulator.errors


def test_what_a_delta_is_told() -> None:
    rig = wired(DELTA_SM15K)
    device, emulator = rig.device, rig.truth.emulator
    assert said(emulator) == [
        "*CLS",
        "SYSTem:REMote:CV Ethernet",
        "SYSTem:REMote:CC Ethernet",
        "SYSTem:REMote:CP Ethernet",
        "OUTPut 0",
        "SOURce:CURrent 0",
        "SOURce:CURrent:NEGative 0",
        "SOURce:POWer 30000",
        "SOURce:POWer:NEGative -30000",
        "SYSTem:COMmunicate:WATchdog SET,2000",
    ]
    assert device.ratings.import_max_current_a == 60.0
    device.drive(400.0, -20.0)
    rig.run(0.5)
    assert said(emulator) == ["SOURce:VOLtage 400", "SOURce:CURrent:NEGative -20", "OUTPut 1"]
    rig.close()
    assert said(emulator)[-1] == "OUTPut 0"
    assert not emulator.errors


@pytest.mark.parametrize("profile", [EA_PSB, DELTA_SM15K], ids=lambda profile: profile.name)
def test_plus_is_into_the_ev(profile: Profile) -> None:
    rig = wired(profile)
    rig.truth.emulator.battery = (400.0, 0.1)
    for volts, amps in ((450.0, 20.0), (350.0, -20.0)):
        rig.device.drive(volts, amps, lease_s=60.0)
        rig.run(5.0)
        assert rig.device.current.value == pytest.approx(amps, abs=0.1)
        assert rig.device.voltage.value == pytest.approx(400.0 + 0.1 * amps, abs=0.2)


def test_limits_narrow_what_is_asked_for_but_not_what_is_measured() -> None:
    rig = wired(EA_PSB, max_voltage_v=500.0, max_current_a=10.0)
    device, emulator = ea(rig)
    emulator.battery = (800.0, 0.1)
    rig.run(5.0)
    assert device.voltage.value == 800.0
    assert not device.faults
    for volts, amps in ((501.0, 1.0), (400.0, 11.0), (400.0, -11.0)):
        with pytest.raises(HalError, match=r"rated for (0 to 500|-10 to 10)"):
            device.drive(volts, amps)


def test_a_source_takes_nothing() -> None:
    rig = wired(EA_PSI)
    device, emulator = ea(rig)
    assert not [line for line in emulator.commands if "SINK" in line]
    assert not device.ratings.bidirectional
    with pytest.raises(HalError) as caught:
        device.drive(400.0, -1.0)
    assert caught.value.kind is Kind.OUT_OF_RANGE
    device.drive(400.0, 20.0)
    rig.run(1.5)
    assert emulator.on


def test_a_current_below_the_least_is_none() -> None:
    rig = wired(EA_PSB, min_current_a=1.0)
    device, emulator = ea(rig)
    said(emulator)
    device.drive(400.0, 0.5)
    rig.run(0.5)
    assert said(emulator) == ["VOLT 400", "OUTP ON"]
    assert emulator.source == 0.0


def test_a_refused_set_point_never_switches_on() -> None:
    rig = wired()
    device, emulator = ea(rig)
    emulator.limit_v = 300.0
    device.drive(400.0, 20.0, lease_s=60.0)
    for _ in range(50):
        rig.run(0.1)
        assert not emulator.on
    (fault,) = device.faults
    assert (fault.code, fault.severity) == ("set_point_refused", Severity.STOP)
    assert 'VOLT 400 by -222,"Data out of range"' in fault.detail
    device.drive(250.0, 20.0, lease_s=60.0)
    assert not device.faults
    rig.run(1.0)
    assert emulator.on
    device.drive(400.0, 20.0, lease_s=60.0)
    rig.run(1.0)
    assert not emulator.on
    assert codes(device) == {"set_point_refused"}


@pytest.mark.parametrize("how", ["off", "lease"])
def test_off_does_not_wait_for_answers(how: str) -> None:
    noise = Noise()
    rig = wired(EA_PSB, noise)
    device, emulator = ea(rig)
    device.drive(400.0, 20.0, lease_s=2.0)
    rig.run(1.0)
    assert emulator.on
    noise.lost = 1.0
    rig.run(0.25)
    if how == "off":
        device.off()
        rig.run(0.01)
    else:
        rig.run(0.77)
    assert not emulator.on
    assert device.on, "in doubt it is on"


def test_on_is_not_said_again_after_off() -> None:
    """The confirmation of "on" was lost: what would have been repeated is dropped."""
    noise = Noise(lost=1.0)
    rig = wired(EA_PSB)
    device, emulator = ea(rig)
    device.drive(400.0, 20.0, lease_s=60.0)
    while not emulator.on:
        rig.run(0.001)
    rig.wire._noise[id(rig.wire.dialog)] = noise
    rig.run(0.1)
    device.off()
    for _ in range(300):
        rig.run(0.01)
        assert not emulator.on


def test_one_that_switches_off_is_not_switched_on_again() -> None:
    rig = wired()
    device, emulator = ea(rig)
    device.drive(400.0, 20.0, lease_s=60.0)
    rig.run(2.0)
    emulator.alarm()
    rig.run(1.0)
    assert codes(device) == {"switched_itself_off"}
    assert not device.on
    said(emulator)
    rig.run(3.0)
    assert said(emulator) == []
    device.drive(400.0, 20.0, lease_s=60.0)
    rig.run(1.0)
    assert emulator.on
    assert not device.faults


def test_one_that_is_switched_on_by_hand_is_switched_off() -> None:
    rig = wired()
    device, emulator = ea(rig)
    rig.run(1.0)
    emulator.converter.drive(100.0, 1.0)
    rig.run(1.0)
    assert not emulator.on
    assert not device.on


def test_somebody_at_the_front_panel() -> None:
    emulator = EaPsb()
    emulator.local = True
    device = supply(URL, profile=EA_PSB)
    why: set[str] = set()
    device.on_change(lambda: why.add(device._scpi.trouble.detail if device._scpi.trouble else ""))
    with pytest.raises(HalError, match="no device answers") as caught:
        Wire(device._scpi, emulator).carry_out(device.open())
    assert caught.value.kind is Kind.TIMEOUT
    assert 'it answers SYST:LOCK ON by -221,"Settings conflict"' in why


def test_control_that_is_taken_away() -> None:
    rig = wired()
    device, emulator = ea(rig)
    device.drive(400.0, 20.0, lease_s=60.0)
    rig.run(1.0)
    emulator.local = True
    rig.run(2.0)
    assert "communication" in codes(device)
    emulator.local = False
    rig.run(3.0)
    assert "communication" not in codes(device)
    assert not emulator.on


def test_a_tripped_watchdog_is_set_again() -> None:
    rig = wired(DELTA_SM15K)
    device, emulator = rig.device, rig.truth.emulator
    device.drive(400.0, 20.0, lease_s=60.0)
    rig.run(1.0)
    assert emulator.on
    rig.cut()
    rig.run(2.1)
    assert emulator.tripped
    assert not emulator.on
    rig.restore()
    rig.run(5.0)
    assert emulator.watchdog_s == 2.0
    assert not emulator.on
    device.drive(400.0, 20.0, lease_s=60.0)
    rig.run(1.0)
    assert emulator.on


def test_late_answers_are_not_mistaken_for_others() -> None:
    """Plain numbers, at times later than they are waited for: no current is ever told as a voltage."""
    rig = wired(DELTA_SM15K)
    device, emulator = rig.device, rig.truth.emulator
    emulator.battery = (400.0, 0.1)
    device.drive(450.0, 20.0, lease_s=1000.0)
    rig.run(5.0)
    volts, amps = set(), set()
    device.on_change(lambda: (volts.add(device.voltage.value), amps.add(device.current.value)))
    random = Random(3)
    for _ in range(200):
        emulator.answer_s = random.choice((0.003, 0.003, 0.02, 0.2, 0.31))
        device.drive(450.0, 20.0 + random.random(), lease_s=1000.0)
        rig.run(0.3)
    assert len(amps) > 5
    assert not [value for value in volts if not 399.9 < value < 402.2]
    assert not [value for value in amps if not -0.1 < value < 21.1]


def test_ratings_that_contradict_themselves_are_asked_for_again() -> None:
    emulator = EaPsb()
    device = supply(URL, profile=EA_PSB)
    wire = Wire(device._scpi, emulator, noise=Noise(8, corrupted=0.6), open_s=300.0)
    wire.carry_out(device.open())
    assert device.ratings.max_voltage_v == 1000.0
    assert device.ratings.max_current_a == 60.0
    assert device.ratings.max_power_w == 30_000.0


def test_a_url_and_options() -> None:
    assert make("ea-psb", url=URL).name == f"ea-psb@{URL}"
    assert supply(URL, profile=DELTA_SM15K, name="supply").name == "supply"
    with pytest.raises(HalError, match="no URL of a port"):
        make("ea-psi", url="192.0.2.1")
    with pytest.raises(HalError, match="not open"):
        make("ea-psi", url=URL).drive(400.0, 1.0)


# --- real ports ---------------------------------------------------------------------------------


async def _until(device: ScpiSupply, condition: Callable[[], bool]) -> None:
    changed = asyncio.Event()
    device.on_change(changed.set)
    async with asyncio.timeout(10):
        while not condition():
            changed.clear()
            await changed.wait()


async def _drive_over(serve: Any, name: str, emulator: ScpiSupplyEmulator) -> None:
    async with serve(emulator) as server:
        device = make(name, url=server.url)
        await device.open()
        device.drive(400.0, 5.0, lease_s=30.0)
        await _until(device, lambda: abs(device.voltage.value - 400.0) < 5.0)
        assert emulator.on
        await server.unplug()
        await _until(device, lambda: bool(device.faults))
        assert codes(device) == {"communication"}
        await server.plug()
        await _until(device, lambda: not device.faults)
        assert not emulator.on
        device.drive(400.0, 5.0, lease_s=30.0)
        await _until(device, lambda: emulator.on)
        await device.close()
        assert not emulator.on


ALONE = """
import asyncio, sys
from hal.registry import make

async def main():
    supply = make("delta-sm15k", url=sys.argv[1])
    await supply.open()
    supply.drive(400.0, 5.0, lease_s=1000.0)
    await asyncio.sleep(1000.0)

asyncio.run(main())
"""


async def _kill_the_controller() -> None:
    emulator = DeltaSm15k()
    async with serve_tcp(emulator) as server:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", ALONE, server.url)
        async with asyncio.timeout(20):
            while not emulator.on:  # noqa: ASYNC110 - an emulator tells nobody
                await asyncio.sleep(0.02)
        process.kill()
        await process.wait()
        async with asyncio.timeout(3):
            while emulator.on:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert emulator.tripped


def test_a_controller_that_is_killed_leaves_the_output_off() -> None:
    asyncio.run(_kill_the_controller())


def test_over_tcp() -> None:
    asyncio.run(_drive_over(serve_tcp, "delta-sm15k", DeltaSm15k()))


def test_over_a_pty() -> None:
    pytest.importorskip("serial", reason="needs the extra serial")
    asyncio.run(_drive_over(serve_pty, "ea-psb", EaPsb()))
