"""Modbus: frames byte by byte, answers that are not taken, and several units on one bus."""

from __future__ import annotations

import asyncio
import math
from random import Random

import pytest

from hal.drivers.bender import isolation_monitor
from hal.drivers.meters import sdm630
from hal.drivers.modbus import Bus, bus
from hal.drivers.modbus_frames import (
    READ_HOLDING,
    READ_INPUT,
    Refusal,
    Rtu,
    Tcp,
    float32,
    parse_answer,
    read_request,
    silence_s,
    write_request,
    write_single_request,
)
from hal.errors import HalError, Kind
from hal.registry import make, make_bus
from hal.testing.emulators.bender import BenderUnit
from hal.testing.emulators.modbus_slave import ModbusSlave, float_registers
from hal.testing.emulators.sdm import SdmUnit
from hal.testing.emulators.serve import serve_tcp
from hal.testing.noise import Noise
from hal.testing.wire import Wire
from hal.types import Check

RTU = Rtu()

REQUESTS = [
    (3, read_request(READ_HOLDING, 1000, 4), "03 03 03 E8 00 04 C5 9B"),
    (3, read_request(READ_HOLDING, 1008, 4), "03 03 03 F0 00 04 45 9C"),
    (3, read_request(READ_HOLDING, 1016, 8), "03 03 03 F8 00 08 C4 5B"),
    (3, read_request(READ_HOLDING, 9820, 6), "03 03 26 5C 00 06 0F 70"),
    (3, write_request(8005, [0x5445]), "03 10 1F 45 00 01 02 54 45 A0 57"),
    (3, write_request(3026, [1]), "03 10 0B D2 00 01 02 00 01 D6 42"),
    (10, read_request(READ_INPUT, 2000, 3), "0A 04 07 D0 00 03 B1 FD"),
    (1, read_request(READ_INPUT, 0, 6), "01 04 00 00 00 06 70 08"),
    (1, read_request(READ_INPUT, 52, 2), "01 04 00 34 00 02 30 05"),
    (1, read_request(READ_INPUT, 72, 4), "01 04 00 48 00 04 71 DF"),
]

ANSWERS = [
    (0, "03 03 08 49 98 96 80 00 02 00 47 BE E6", (0x4998, 0x9680, 0x0002, 0x0047)),
    (4, "03 10 1F 45 00 01 16 2A", ()),
    (0, "03 83 02 61 31", Refusal(2)),
    (
        7,
        "01 04 0C 43 66 33 33 43 65 E6 66 43 66 B3 33 6F 97",
        (0x4366, 0x3333, 0x4365, 0xE666, 0x4366, 0xB333),
    ),
    (9, "01 04 08 44 9A 52 25 41 48 00 00 CF 98", (0x449A, 0x5225, 0x4148, 0x0000)),
]


@pytest.mark.parametrize(("unit", "request_", "octets"), REQUESTS, ids=lambda value: str(value)[:23])
def test_requests_to_the_octet(unit: int, request_: bytes, octets: str) -> None:
    assert RTU.wrap(unit, request_) == bytes.fromhex(octets)


@pytest.mark.parametrize(("number", "octets", "registers"), ANSWERS, ids=lambda value: str(value)[:23])
def test_answers_to_the_octet(number: int, octets: str, registers: object) -> None:
    _, request, frame = REQUESTS[number]
    data = bytes.fromhex(octets)
    answer = RTU.unwrap(bytes.fromhex(frame), request, data)
    assert answer is not None
    assert parse_answer(request, answer) == registers


@pytest.mark.parametrize(("number", "octets", "registers"), ANSWERS, ids=lambda value: str(value)[:23])
def test_an_answer_is_complete_with_its_last_octet_and_no_octet_may_differ(
    number: int, octets: str, registers: object
) -> None:
    _, request, frame = REQUESTS[number]
    asked, data = bytes.fromhex(frame), bytes.fromhex(octets)
    for end in range(1, len(data)):
        assert RTU.unwrap(asked, request, data[:end]) is None
    random = Random(number)
    for at in range(len(data)):
        spoilt = bytearray(data)
        spoilt[at] ^= random.randint(1, 255)
        try:
            assert RTU.unwrap(asked, request, bytes(spoilt)) is None
        except ValueError:
            continue


def test_what_is_no_answer_is_refused() -> None:
    request = read_request(READ_HOLDING, 1000, 4)
    frame = RTU.wrap(3, request)
    answer = bytes.fromhex(ANSWERS[0][1])
    with pytest.raises(ValueError, match="more than an answer"):
        RTU.unwrap(frame, request, answer + answer)
    with pytest.raises(ValueError, match="3 octets of registers instead of 8"):
        RTU.unwrap(frame, request, frame)  # its own echo
    with pytest.raises(ValueError, match="unit 4 instead of 3"):
        RTU.unwrap(frame, request, b"\x04" + answer[1:])
    with pytest.raises(ValueError, match="function 4 instead of 3"):
        RTU.unwrap(frame, request, b"\x03\x04" + answer[2:])
    single = write_single_request(3026, 1)
    assert parse_answer(single, single) == ()
    with pytest.raises(ValueError, match="another write"):
        parse_answer(single, write_single_request(3026, 0))
    with pytest.raises(ValueError, match=r"exception 6 \(busy\)"):
        parse_answer(request, b"\x83\x06")


def test_tcp_frames_are_told_apart_by_their_transaction() -> None:
    tcp = Tcp()
    request = read_request(READ_INPUT, 52, 2)
    old, asked = tcp.wrap(1, request), tcp.wrap(1, request)
    assert asked == bytes.fromhex("0002 0000 0006 01 04 0034 0002")
    late = bytes.fromhex("0001 0000 0007 01 04 04 44 9A 52 25")
    answer = bytes.fromhex("0002 0000 0007 01 04 04 41 48 00 00")
    assert old[:2] == late[:2]
    for end in range(len(late + answer)):
        assert tcp.unwrap(asked, request, (late + answer)[:end]) is None
    assert tcp.unwrap(asked, request, late + answer) == answer[7:]
    with pytest.raises(ValueError, match="no Modbus TCP"):
        tcp.unwrap(asked, request, b"HTTP/1.1 400 Bad Request")
    with pytest.raises(ValueError, match="unit 9 instead of 1"):
        tcp.unwrap(asked, request, answer[:6] + b"\x09" + answer[7:])


def test_numbers_in_two_registers() -> None:
    assert float32((0x4998, 0x9680)) == 1_250_000.0
    assert float32((0x9680, 0x4998), low_word_first=True) == 1_250_000.0
    assert float32((0x4366, 0x3333)) == pytest.approx(230.2)
    assert float_registers(1_250_000.0) == [0x4998, 0x9680]


def test_silence_between_frames() -> None:
    assert silence_s(9600) == pytest.approx(3.5 * 11 / 9600)
    assert silence_s(115200) == 0.00175


def test_line_settings_are_those_of_the_device_unless_the_url_says_otherwise() -> None:
    monitor = isolation_monitor("serial:///dev/ttyX")
    assert monitor.name == "isolation@serial:///dev/ttyX:3"
    with pytest.raises(HalError, match="no URL of a port"):
        isolation_monitor("COM3")
    with pytest.raises(HalError, match="unknown option party"):
        sdm630("serial:///dev/ttyX?party=E")
    with pytest.raises(HalError, match="no Modbus unit 300"):
        sdm630("serial:///dev/ttyX", unit=300)
    for options in ({}, {"url": "serial:///dev/ttyX", "bus": Bus("bus")}):
        with pytest.raises(HalError, match="a port, or a bus that it shares"):
            sdm630(**options)
    assert isinstance(bus("tcp://192.0.2.1:502").framing, Tcp)
    assert isinstance(bus("tcp://192.0.2.1:502", framing="rtu").framing, Rtu)


# --- several units on one bus -------------------------------------------------------------------


class Pair:
    """An isolation monitor and a meter on the same two wires."""

    def __init__(self, *, noise: Noise | None = None, tcp: bool = False) -> None:
        self.isometer, self.sdm = BenderUnit(), SdmUnit()
        self.line = Bus("bus", Tcp() if tcp else Rtu(), gap_s=0.0 if tcp else 0.02)
        self.monitor = isolation_monitor(bus=self.line)
        self.meter = sdm630(bus=self.line)
        self.slave = ModbusSlave({3: self.isometer, 1: self.sdm}, tcp=tcp)
        self.wire = Wire(self.line, self.slave, noise=noise)

    def open(self, *devices: object) -> None:
        for device in devices:
            self.wire.carry_out(device.open())  # type: ignore[attr-defined]

    def close(self, *devices: object) -> None:
        for device in devices:
            self.wire.carry_out(device.close())  # type: ignore[attr-defined]

    def codes(self) -> tuple[set[str], set[str]]:
        return tuple({fault.code for fault in d.faults} for d in (self.monitor, self.meter))  # type: ignore[return-value]

    def age_s(self) -> float:
        assert self.meter.reading is not None
        return self.wire.now - self.meter.reading.at


@pytest.mark.parametrize("tcp", [False, True])
def test_two_units_share_a_line(tcp: bool) -> None:
    pair = Pair(tcp=tcp)
    pair.open(pair.monitor, pair.meter)
    pair.monitor.start()
    pair.isometer.earth_ohm = 300_000.0
    pair.sdm.registers.import_wh = 5000.0
    pair.wire.run(20.0)
    assert pair.monitor.resistance.value == pytest.approx(300_000.0, rel=0.01)
    assert pair.meter.reading is not None
    assert pair.meter.reading.import_wh == 5000.0
    assert pair.codes() == (set(), set())
    assert pair.line.settled
    assert pair.slave.least_gap_s >= (0.0 if tcp else 0.02)


def test_a_dead_unit_leaves_the_other_one_alone() -> None:
    pair = Pair()
    pair.open(pair.monitor, pair.meter)
    pair.monitor.start()
    pair.sdm.mute = True
    pair.wire.run(10.0)
    assert pair.codes() == (set(), {"communication"})
    assert pair.monitor.resistance.fresh(pair.wire.now, 1.0)
    pair.sdm.mute = False
    pair.wire.run(5.0)
    assert pair.codes() == (set(), set())
    assert pair.age_s() < 2.0


def test_a_unit_that_is_not_there_cannot_be_opened_but_its_neighbour_can() -> None:
    pair = Pair()
    pair.sdm.mute = True
    pair.open(pair.monitor)
    with pytest.raises(HalError, match=r"unit 1 does not answer \(no answer\)") as caught:
        pair.open(pair.meter)
    assert caught.value.kind is Kind.TIMEOUT
    pair.monitor.start()
    pair.wire.run(5.0)
    assert pair.monitor.resistance.fresh(pair.wire.now, 1.0)
    pair.sdm.mute = False
    pair.open(pair.meter)
    pair.wire.run(2.0)
    assert pair.meter.reading is not None


def test_nobody_there_at_all() -> None:
    pair = Pair()
    pair.slave.silent = True
    with pytest.raises(HalError) as caught:
        pair.open(pair.monitor)
    assert caught.value.kind is Kind.TIMEOUT
    assert not pair.wire.connected


def test_a_line_with_wrong_settings_is_told_from_a_dead_one() -> None:
    why: list[str] = []
    pair = Pair(noise=Noise(1, corrupted=1.0))
    pair.line.blame = why.append  # type: ignore[method-assign]
    with pytest.raises(HalError):
        pair.open(pair.monitor)
    assert why
    assert all("unit 3: an answer that makes no sense" in reason for reason in why)


def test_one_that_closes_is_stopped_first_while_the_other_goes_on() -> None:
    pair = Pair()
    pair.open(pair.meter, pair.monitor)
    pair.monitor.start()
    pair.wire.run(1.0)
    assert pair.isometer.monitor.measuring
    pair.close(pair.monitor)
    pair.wire.run(1.0)
    assert not pair.isometer.monitor.measuring
    assert pair.wire.connected
    assert pair.age_s() < 2.0
    writes = len(pair.isometer.writes)
    pair.wire.run(5.0)
    assert len(pair.isometer.writes) == writes
    pair.open(pair.monitor)
    pair.monitor.start()
    pair.wire.run(1.0)
    pair.close(pair.meter, pair.monitor)
    assert not pair.isometer.monitor.measuring
    assert not pair.wire.connected


def test_a_lost_line_is_lost_for_all_and_found_by_all() -> None:
    pair = Pair()
    pair.open(pair.meter, pair.monitor)
    pair.monitor.start_self_test()
    pair.wire.run(1.0)
    pair.wire.cut()
    pair.wire.run(8.0)
    assert pair.codes() == ({"communication", "self_test_failed"}, {"communication"})
    assert pair.monitor.self_test is Check.FAILED
    pair.wire.restore()
    pair.wire.run(4.0)
    assert pair.codes() == ({"self_test_failed"}, set())
    assert not pair.line.name.startswith("tcp")


def test_busy_is_asked_again_and_a_wrong_device_is_named() -> None:
    pair = Pair()
    pair.isometer.busy = 2
    pair.open(pair.monitor)
    wrong = sdm630(bus=pair.line, unit=3)
    with pytest.raises(HalError, match=r"unit 3: exception 2 \(illegal address\)") as caught:
        pair.open(wrong)
    assert caught.value.kind is Kind.PROTOCOL
    pair.wire.run(1.0)
    assert pair.codes()[0] == set()


def test_no_octet_of_a_bad_line_becomes_a_value() -> None:
    pair = Pair(noise=Noise(11, lost=0.2, corrupted=0.3, octet_s=0.001))
    pair.open(pair.monitor, pair.meter)
    pair.isometer.earth_ohm = 200_000.0
    pair.sdm.registers.import_wh = 7000.0
    pair.monitor.start()
    told, counted = set(), set()

    def note() -> None:
        if math.isfinite(pair.monitor.resistance.value):
            told.add(round(pair.monitor.resistance.value))
        if pair.meter.reading is not None:
            counted.add(pair.meter.reading.import_wh)

    pair.monitor.on_change(note)
    pair.meter.on_change(note)
    pair.wire.run(60.0)
    assert told == {200_000}
    assert counted <= {0.0, 7000.0}
    assert 7000.0 in counted


async def _read_over_tcp() -> None:
    isometer, sdm = BenderUnit(), SdmUnit()
    async with serve_tcp(ModbusSlave({3: isometer, 1: sdm}, tcp=True)) as server:
        line = make_bus("modbus", url=server.url)
        monitor, meter = make("bender-isocha425", bus=line), make("sdm630", bus=line)
        await monitor.open()
        await meter.open()
        told = asyncio.Event()
        monitor.on_change(lambda: told.set() if monitor.resistance.bound == ">" else None)
        monitor.start()
        await asyncio.wait_for(told.wait(), 10)
        assert monitor.resistance.value == 2_000_000.0
        assert meter.reading is not None
        await meter.close()
        await monitor.close()
        assert not isometer.monitor.measuring


def test_a_bus_over_tcp() -> None:
    asyncio.run(_read_over_tcp())
