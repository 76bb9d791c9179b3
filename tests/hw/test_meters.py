"""Energy meters: behaviour on good and bad lines, tables, directions, and that nothing is lost in numbers."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

import pytest

from hal.drivers.meters import SDM72, SDM230, SDM630, ModbusMeter, Model, Row, meter
from hal.drivers.modbus import Bus
from hal.drivers.modbus_frames import READ_HOLDING
from hal.errors import HalError
from hal.meter import EnergyMeter
from hal.registry import make
from hal.testing import Behaviour, behaviours
from hal.testing.emulators.modbus_slave import ModbusSlave
from hal.testing.emulators.sdm import SdmUnit
from hal.testing.emulators.serve import serve_pty
from hal.testing.noise import Noise
from hal.testing.wire import Wire, WiredRig
from hal.types import Severity


class Truth:
    """The emulator's registers."""

    def __init__(self, unit: SdmUnit) -> None:
        self.unit = unit

    def count(self, import_wh: float, export_wh: float) -> None:
        self.unit.registers.add(import_wh)
        self.unit.registers.add(-export_wh)


def wired(noise: Noise | None = None, *, model: Model = SDM630, reverse: bool = False) -> WiredRig:
    unit, line = SdmUnit(single_phase=model is SDM230), Bus("bus")
    wire = Wire(line, ModbusSlave({1: unit}), noise=noise)
    device = meter(bus=line, model=model, reverse=reverse, meter_id="M1")
    return WiredRig(wire, device, Truth(unit), settle_s=5.0, reconnect_s=5.0)


LINES: dict[str, Callable[[], WiredRig]] = {
    "clean": wired,
    "lossy": lambda: wired(Noise(4, lost=0.2, corrupted=0.3)),
    "octets": lambda: wired(Noise(octet_s=11 / 9600)),
}


@pytest.mark.parametrize("behaviour", behaviours(EnergyMeter), ids=str)
@pytest.mark.parametrize("line", LINES)
def test_behaviour(line: str, behaviour: Behaviour) -> None:
    behaviour(LINES[line]())


def read(rig: WiredRig, import_kwh: float, export_kwh: float, power_w: float = 0.0) -> ModbusMeter:
    registers = rig.truth.unit.registers
    registers.resolution_wh = 1e-6
    registers.import_wh, registers.export_wh = 1000.0 * import_kwh, 1000.0 * export_kwh
    rig.truth.unit.power_w = power_w
    rig.run(3.0)
    device: ModbusMeter = rig.device
    return device


@pytest.mark.parametrize("model", [SDM630, SDM72, SDM230], ids=lambda model: model.name)
def test_every_model_tells_energy_and_power(model: Model) -> None:
    device = read(wired(model=model), 12.5, 3.25, -7000.0)
    assert device.reading is not None
    assert device.reading.import_wh == 12_500.0
    assert device.reading.export_wh == pytest.approx(3250.0, abs=10.0)
    assert device.reading.power_w == -7000.0
    assert device.reading.meter_id == "M1"


def test_a_reversed_meter() -> None:
    device = read(wired(reverse=True), 12.5, 3.25, -7000.0)
    assert device.reading is not None
    assert device.reading.import_wh == pytest.approx(3250.0, abs=10.0)
    assert device.reading.export_wh == 12_500.0
    assert device.reading.power_w == 7000.0


def test_what_the_meter_sends_is_not_rounded_again() -> None:
    """1234.567 kWh in single precision is 1234.5670166015625: its Wh have more digits than a float32 holds."""
    assert SDM630.value(SDM630.rows[1], (0x449A, 0x5225)) == 1_234_567.0166015625
    device = read(wired(), 1234.567, 12.5)
    assert device.reading is not None
    assert device.reading.import_wh == 1_234_567.0166015625
    assert device.reading.export_wh == 12_500.0
    assert struct.unpack(">f", struct.pack(">f", device.reading.import_wh))[0] != device.reading.import_wh


def test_rows_next_to_each_other_are_read_together() -> None:
    assert [[row.address for row in block] for block in SDM630.blocks()] == [[52], [72, 74]]


@pytest.mark.parametrize(
    ("low_first", "kind", "registers", "value"),
    [
        (False, "float32", (0x449A, 0x5225), 1234.5670166015625),
        (True, "float32", (0x5225, 0x449A), 1234.5670166015625),
        (False, "uint32", (0x0001, 0x0002), 65538.0),
        (True, "uint32", (0x0002, 0x0001), 65538.0),
        (False, "int32", (0xFFFF, 0xFFFE), -2.0),
    ],
)
def test_numbers_by_format_and_order_of_words(
    low_first: bool, kind: str, registers: tuple[int, int], value: float
) -> None:
    row = Row("power_w", 0, scale=0.5, format=kind)  # type: ignore[arg-type]
    model = Model("X", (row,), function=READ_HOLDING, low_word_first=low_first)
    assert model.value(row, registers) == value / 2


def test_a_register_that_goes_back_is_no_reading() -> None:
    rig = wired()
    device = read(rig, 10.0, 2.0)
    read(rig, 9.0, 2.0)
    assert device.reading is not None
    assert device.reading.import_wh == 10_000.0
    assert rig.now - device.reading.at > 1.0
    (fault,) = device.faults
    assert (fault.code, fault.severity, fault.latched) == ("meter_went_back", Severity.WARNING, True)
    assert "from 10000.0 and 2000.0 Wh to 9000.0 and 2000.0 Wh" in fault.detail
    device.reset()
    rig.run(3.0)
    assert not device.faults
    assert device.reading is not None
    assert device.reading.import_wh == 9000.0


def test_numbers_that_are_none_are_not_taken() -> None:
    rig = wired()
    device = read(rig, 10.0, 2.0)
    rig.truth.unit.nan = True
    rig.run(10.0)
    assert device.reading is not None
    assert device.reading.import_wh == 10_000.0
    assert [fault.code for fault in device.faults] == ["communication"]
    assert "import_wh nan" in next(iter(device.faults)).detail


def test_listeners_are_told_of_news_only() -> None:
    rig = wired()
    read(rig, 10.0, 2.0)
    told: list[float] = []
    rig.device.on_change(lambda: told.append(rig.now))
    rig.run(10.0)
    assert told == []
    assert rig.now - rig.device.reading.at < 1.5
    read(rig, 10.5, 2.0)
    assert told


def test_another_model_is_refused_at_once() -> None:
    line = Bus("bus")
    wire = Wire(line, ModbusSlave({1: SdmUnit(single_phase=True)}))
    with pytest.raises(HalError, match="illegal address"):
        wire.carry_out(meter(bus=line, model=SDM630).open())


async def _read_over_a_pty() -> None:
    unit = SdmUnit()
    unit.registers.import_wh = 4321.0
    async with serve_pty(ModbusSlave({7: unit}), noise=Noise(octet_s=11 / 9600)) as server:
        device = make("sdm72", url=server.url, unit=7)
        told = asyncio.Event()
        device.on_change(lambda: told.set() if device.reading and device.reading.import_wh else None)
        await device.open()
        await asyncio.wait_for(told.wait(), 10)
        assert device.reading.import_wh == pytest.approx(4321.0, abs=0.001)
        await server.unplug()
        gone = asyncio.Event()
        device.on_change(lambda: gone.set() if device.faults else None)
        await asyncio.wait_for(gone.wait(), 10)
        assert [fault.code for fault in device.faults] == ["communication"]
        await device.close()


def test_over_a_pty() -> None:
    pytest.importorskip("serial", reason="needs the extra serial")
    asyncio.run(_read_over_a_pty())
