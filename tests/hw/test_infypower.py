"""InfyPower modules: frames against worked examples, the supply against its promises, clean and on a bad bus."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.drivers import infy_frames
from hal.drivers.can_port import Frame
from hal.drivers.infy_frames import BEG1K075G, FAMILIES, GROUP, V1_13, Identifier, to_module
from hal.drivers.infypower import InfyDialog, InfySupply, modules_for, supply
from hal.errors import HalError, Kind
from hal.power import DcSupply
from hal.testing import Behaviour, behaviours
from hal.testing.emulators.infypower import InfyBus, InfyModule
from hal.testing.noise import Noise
from hal.testing.wire import Wire, WiredRig


class CanNoise(Noise):
    """A spoilt frame has a wrong bit somewhere, or a wrong length; frames come whole or not at all."""

    def _spoil(self, message: bytes) -> bytes:
        spoilt = bytearray(message)
        at = self._random.randrange(len(spoilt))
        spoilt[at] ^= 1 << self._random.randrange(8)
        return bytes(spoilt)


class Truth:
    """All modules together."""

    def __init__(self, bus: InfyBus) -> None:
        self.bus = bus

    @property
    def on(self) -> bool:
        return any(module.converter.on for module in self.bus.modules)

    @property
    def safe(self) -> bool:
        return not self.on

    @property
    def voltage_v(self) -> float:
        return max(module.converter.voltage_v for module in self.bus.modules)

    @property
    def current_limit_a(self) -> float:
        return sum(module.converter.limit_a for module in self.bus.modules)

    def forget(self) -> None:
        for module in self.bus.modules:
            module.set_v = module.set_a = module.converter.set_v = module.converter.set_a = 0.0


def rig(
    model: str = "v1.13",
    modules: Sequence[int] = (0,),
    group: int | None = None,
    noise: Noise | None = None,
    settle_s: float = 2.0,
) -> WiredRig:
    bus = InfyBus([InfyModule(number, family=model) for number in modules])
    bus.tick(990.0)
    bus.tick(1000.0)  # booted before the controller
    dialog = InfyDialog("supply", FAMILIES[model], modules, group)
    device = InfySupply("supply", dialog)
    wire = Wire(dialog, bus, noise=noise, open_s=20.0)
    return WiredRig(
        wire,
        device,
        Truth(bus),
        settle_s=settle_s,
        noticed_s=4.0 * len(modules) * (2 if noise else 1),
        watchdog_s=10.3,
        reconnect_s=6.0 * (4 if noise else 1),
    )


def bad() -> Noise:
    return CanNoise(3, lost=0.2, corrupted=0.3)


RIGS: dict[str, Any] = {
    "one module": rig,
    "three modules": lambda: rig(modules=(0, 1, 2)),
    "group": lambda: rig(modules=(0, 1), group=1),
    "bidirectional": lambda: rig("beg1k075g"),
    "bad bus": lambda: rig(noise=bad(), settle_s=5.0),
    "bad bus, bidirectional": lambda: rig("beg1k075g", noise=bad(), settle_s=8.0),
}


@pytest.mark.parametrize("behaviour", behaviours(DcSupply), ids=str)
@pytest.mark.parametrize("kind", RIGS)
def test_supply(kind: str, behaviour: Behaviour) -> None:
    behaviour(RIGS[kind]())


# --- frames ---------------------------------------------------------------------------------------


def octets(text: str) -> bytes:
    return bytes.fromhex(text)


@pytest.mark.parametrize(
    ("frame", "identifier", "data"),
    [
        (to_module(0, 0x03, b""), 0x028300F0, "00 00 00 00 00 00 00 00"),
        (to_module(0, 0x1A, b""), 0x029A00F0, "00 00 00 00 00 00 00 00"),
        (to_module(1, 0x02, b"", GROUP), 0x02C201F0, "00 00 00 00 00 00 00 00"),
        (to_module(0x3F, 0x23, b"\x10\x01"), 0x02A33FF0, "10 01 00 00 00 00 00 00"),
        (to_module(0, 0x23, b"\x10\x10", GROUP), 0x02E300F0, "10 10 00 00 00 00 00 00"),
    ],
)
def test_identifiers(frame: Frame, identifier: int, data: str) -> None:
    assert frame == Frame(identifier, octets(data))
    assert Identifier.split(identifier).join() == identifier


def test_set_points() -> None:
    assert V1_13.set(400.0, 50.0) == ((0x1C, octets("00 06 1A 80 00 00 C3 50")),)
    assert to_module(0, *V1_13.set(400.0, 50.0)[0]).identifier == 0x029C00F0
    volts, amps = BEG1K075G.set(400.0, 50.0)
    assert volts == (0x24, octets("10 01 00 00 00 06 1A 80"))
    assert amps == (0x24, octets("10 02 00 00 00 00 C3 50"))
    assert BEG1K075G.on == octets("11 10 00 00 00 00 00 A0")
    assert to_module(0x3F, *volts).identifier == 0x02A43FF0
    assert V1_13.off == octets("01 00 00 00 00 00 00 00")
    assert BEG1K075G.off == octets("11 10 00 00 00 00 00 A1")


def test_current_is_rounded_down() -> None:
    assert struct.unpack(">II", V1_13.set(400.0, 1.9999)[0][1]) == (400_000, 1999)


def test_output_of_the_worked_answer() -> None:
    answer = Frame(0x0283F000, octets("43 FA 00 00 40 60 00 00")).pack()
    assert V1_13.items["output"].answer(0, answer) == {"voltage_v": 500.0, "current_a": 3.5}
    assert V1_13.items["output"].answer(1, answer) is None, "another module's"
    assert V1_13.items["status"].answer(0, answer) is None, "an answer to something else"


@pytest.mark.parametrize(
    ("octet", "bit", "code"), [(octet, bit, fault.code) for octet, bit, fault in infy_frames.FAULTS]
)
def test_status_bits(octet: int, bit: int, code: str) -> None:
    data = bytearray(8)
    data[octet] |= 1 << bit
    told = V1_13.items["status"].answer(0, Frame(0x0284F000, bytes(data)).pack())
    assert told is not None
    assert told["status"] == (True, frozenset({code}))


def test_ratings_of_both_families() -> None:
    v1 = Frame(0x028AF000, struct.pack(">4H", 1000, 150, 1000, 3000)).pack()
    assert V1_13.items["capability"].answer(0, v1) == {
        "max_v": 1000.0,
        "min_v": 150.0,
        "max_a": 100.0,
        "max_w": 30_000.0,
    }
    beg = Frame(0x02A3F000, octets("11 33 00 00") + (22_000_000).to_bytes(4)).pack()
    assert BEG1K075G.items["watts"].answer(0, beg) == {"max_w": 22_000.0}


@pytest.mark.parametrize(("error", "text"), [(2, "unknown"), (3, "invalid"), (7, "starting"), (5, "error 5")])
def test_errors_in_the_identifier(error: int, text: str) -> None:
    answer = Frame(0x0283F000 | error << 26, bytes(8)).pack()
    with pytest.raises(ValueError, match=text):
        V1_13.items["output"].answer(0, answer)


@given(st.binary(max_size=60))
def test_garbage_is_no_answer(data: bytes) -> None:
    for item in (*V1_13.items.values(), *BEG1K075G.items.values()):
        assert item.answer(0, data) is None


# --- the supply -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("current_a", "count", "used", "expected"),
    [
        (0.0, 3, 0, 0),
        (0.99, 3, 2, 0),
        (1.0, 3, 0, 1),
        (2.0, 3, 0, 1),
        (3.0, 3, 0, 2),
        (100.0, 3, 0, 3),
        (3.2, 3, 3, 3),
        (2.9, 3, 3, 2),
        (2.2, 3, 2, 2),
        (2.2, 3, 1, 1),
    ],
)
def test_modules_that_share(current_a: float, count: int, used: int, expected: int) -> None:
    assert modules_for(current_a, count, used) == expected


def test_current_is_split_and_added() -> None:
    three = rig(modules=(0, 1, 2))
    three.device.drive(400.0, 90.0, lease_s=60.0)
    three.run(3.0)
    assert [m.converter.limit_a for m in three.wire.emulator.modules] == [30.0, 30.0, 30.0]
    for module in three.wire.emulator.modules:
        module.converter.excess_a, module.converter.bleeder_ohm = 0.0, 40.0  # a load of 10 A each
    three.run(1.0)
    assert three.device.current.value == pytest.approx(30.0, abs=0.5)
    assert three.device.ratings.max_current_a == 300.0
    assert three.device.ratings.max_power_w == 90_000.0


def test_group_finds_its_modules() -> None:
    two = rig(modules=(0, 1), group=1)
    assert two.device.ratings.max_current_a == 200.0


def test_ratings_have_to_be_the_same_twice() -> None:
    """And another module in the old one's place is found out when it is heard first."""
    one = rig("beg1k075g")
    assert one.device.ratings.max_voltage_v == 1000.0
    one.cut()
    one.run(5.0)
    one.wire.emulator.modules[0].converter.max_v = 950.0
    one.restore()
    one.run(5.0)
    assert one.device.ratings.max_voltage_v == 950.0
    assert not one.device.faults


def test_a_refused_command_is_told() -> None:
    one = rig("beg1k075g")
    answer = Identifier(0, 0xF0, 0x24, error=3)
    one.wire.dialog.received(Frame(answer.join(), bytes(8)).pack(), one.now)
    assert {(fault.code, fault.detail) for fault in one.device.faults} == {
        ("command_refused", "module 0: the data are invalid")
    }
    one.run(1.5)
    assert not one.device.faults, "the next one was accepted"


def test_fast_set_points_do_not_keep_it_from_looking() -> None:
    four = rig("beg1k075g", modules=(0, 1, 2, 3))
    for number in range(100):
        four.device.drive(400.0, 40.0 + number / 10, lease_s=1.0)
        four.run(0.05)
    assert four.device.voltage.fresh(four.now, 2.0)
    assert four.device.on
    assert four.truth.current_limit_a == pytest.approx(49.9, abs=2.0)
    four.device.off()
    four.run(0.5)
    assert four.truth.safe, "switching off comes before all else"


def test_a_busy_bus_does_no_harm() -> None:
    """Other devices talk, too: more than fits between a question and its answer."""
    one = rig()
    one.device.drive(400.0, 20.0, lease_s=60.0)
    for number in range(300):
        foreign = b"".join(Frame(0x0283F100 | number % 256, bytes(8)).pack() for _ in range(100))
        one.wire.dialog.received(foreign, one.now)
        one.run(0.01)
    assert one.truth.on
    assert not one.device.faults


def test_one_dead_module_stops_all() -> None:
    two = rig(modules=(0, 1))
    two.device.drive(400.0, 20.0, lease_s=600.0)
    two.run(3.0)
    two.wire.emulator.modules[1].dead = True
    two.run(5.0)
    assert {fault.code for fault in two.device.faults} == {"communication"}
    assert "module 1" in next(iter(two.device.faults)).detail
    assert two.device.on, "nobody knows"
    two.run(8.0)
    assert two.truth.safe, "the living one was told, the dead one's watchdog has acted"


def test_loss_shorter_than_the_modules_patience_is_no_loop() -> None:
    """The module's own 10 s have not passed when it is heard again: one start, off, then ready for ever."""
    one = rig()
    one.device.drive(400.0, 20.0, lease_s=600.0)
    one.run(3.0)
    one.cut()
    one.run(5.0)
    assert one.device.faults
    assert one.truth.on, "its patience is longer"
    one.restore()
    one.run(2.0)
    assert one.truth.safe
    for _ in range(30):
        one.run(1.0)
        assert not one.device.faults
    one.device.drive(400.0, 20.0)
    one.run(1.0)
    assert one.truth.on


def test_faults_need_two_equal_looks() -> None:
    one = rig()
    flags = one.wire.emulator.modules[0].flags
    flags[1] = 0x10
    one.run(0.2)
    assert not one.device.faults
    one.run(0.3)
    assert {fault.code for fault in one.device.faults} == {"over_temperature"}
    flags[1] = 0
    one.run(1.0)
    assert not one.device.faults


def test_a_module_that_switches_itself_off_is_not_switched_on_again() -> None:
    one = rig()
    one.device.drive(400.0, 20.0, lease_s=600.0)
    one.run(3.0)
    one.wire.emulator.modules[0].switch(False)
    for number in range(15):
        if not one.device.faults:
            one.device.drive(400.0, 20.0 + number, lease_s=600.0)
        one.run(0.1)
        assert one.truth.safe
    assert {fault.code for fault in one.device.faults} == {"switched_off"}
    one.run(5.0)
    assert one.truth.safe
    one.device.drive(400.0, 20.0)
    assert not one.device.faults
    one.run(1.0)
    assert one.truth.on


def test_direction_changes_with_the_output_off() -> None:
    one = rig("beg1k075g")
    module = one.wire.emulator.modules[0]
    one.device.drive(400.0, 20.0, lease_s=600.0)
    one.run(3.0)
    one.device.drive(300.0, -20.0, lease_s=600.0)
    one.run(4.0)
    assert (module.inverting, module.on, module.converter.set_a) == (True, True, -20.0)
    module.step = lambda dt: None  # a battery gives, whatever the capacitors do
    module.converter.current_a = -18.0
    one.run(1.0)
    del module.step
    assert one.device.current.value == pytest.approx(-18.0)
    one.device.drive(400.0, 20.0, lease_s=600.0)
    one.run(4.0)
    assert (module.inverting, module.on, module.converter.set_a) == (False, True, 20.0)


def test_less_than_a_module_can_do_is_off() -> None:
    one = rig()
    one.device.drive(400.0, 0.5, lease_s=600.0)
    one.run(2.0)
    assert one.truth.safe


@pytest.mark.parametrize("model", FAMILIES)
def test_noise_energises_nothing(model: str) -> None:
    """Random frames, some of them with the identifiers of answers."""
    one = rig(model)
    random = Random(5)
    for _ in range(3000):
        identifier = Identifier(random.choice([0, 1]), 0xF0, random.choice([3, 4, 10, 0x1A, 0x23, 0x24]))
        one.wire.dialog.received(Frame(identifier.join(), random.randbytes(8)).pack(), one.now)
        one.run(0.01)
        assert one.truth.safe


@pytest.mark.parametrize(
    "options", [{"model": "v2"}, {"modules": [0, 0]}, {"modules": []}, {"modules": [63]}]
)
def test_impossible_options(options: dict[str, Any]) -> None:
    with pytest.raises(HalError) as caught:
        supply("can://can0", **options)
    assert caught.value.kind is Kind.CONFIGURATION
