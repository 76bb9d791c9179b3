"""Energy meters on Modbus, as tables: Eastron SDM630, SDM72 and SDM230 (9600 8N1, unit 1 as shipped).

    meter = registry.make("sdm630", url="serial:///dev/ttyUSB0?baud=19200", unit=1)

Wired so that energy flows from the meter's terminals 1 to the outlet, its "import" is what goes into the EV; with
`reverse` it is the other way round. What a meter sends as kWh in single precision is exact in Wh in double
precision: nothing is lost beyond what the meter does not send (about 1 Wh from 8 MWh on).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

from hal.drivers.dialog import Polls, Request
from hal.drivers.driver import Driver
from hal.drivers.modbus import Bus, Unit, bus_for
from hal.drivers.modbus_frames import READ_INPUT
from hal.meter import MeterReading
from hal.types import Fault, Severity

UNIT: Final = 1
LINE: Final = {"baud": "9600", "parity": "N", "bits": "8", "stop": "1"}
PERIOD_S: Final = 1.0
WENT_BACK: Final = "meter_went_back"

Quantity = Literal["import_wh", "export_wh", "power_w"]
_FORMATS: Final = {"float32": ">f", "uint32": ">I", "int32": ">i"}


@dataclass(frozen=True, slots=True)
class Row:
    """Where a quantity is found: two registers from `address` (as sent, 0 ...), times `scale` in Wh or W."""

    quantity: Quantity
    address: int
    scale: float = 1.0
    format: Literal["float32", "uint32", "int32"] = "float32"


@dataclass(frozen=True, slots=True)
class Model:
    """A kind of meter. Rows next to each other are read together; the energy registers come last."""

    name: str
    rows: tuple[Row, ...]
    function: int = READ_INPUT
    low_word_first: bool = False

    def blocks(self) -> list[tuple[Row, ...]]:
        """The rows by the requests that read them."""
        blocks: list[tuple[Row, ...]] = []
        for row in self.rows:
            if blocks and blocks[-1][-1].address + 2 == row.address:
                blocks[-1] += (row,)
            else:
                blocks.append((row,))
        return blocks

    def value(self, row: Row, registers: Sequence[int]) -> float:
        """What two registers say, in Wh or W."""
        high, low = reversed(registers) if self.low_word_first else registers
        number = struct.unpack(_FORMATS[row.format], struct.pack(">HH", high, low))[0]
        return float(number) * row.scale


_KWH: Final = (Row("import_wh", 72, 1000.0), Row("export_wh", 74, 1000.0))
SDM630: Final = Model("SDM630", (Row("power_w", 52), *_KWH))
SDM72: Final = Model("SDM72", (Row("power_w", 52), *_KWH))
SDM230: Final = Model("SDM230", (Row("power_w", 12), *_KWH))


class _MeterDialog(Unit):
    """Reads all blocks, again and again."""

    def __init__(self, name: str, line: Bus, address: int, model: Model) -> None:
        super().__init__(name, line, address)
        self._model, self._blocks = model, model.blocks()
        self._polls = Polls(reading=PERIOD_S)
        self._left: list[tuple[Row, ...]] = []
        self._values: dict[Quantity, float] = {}
        self.heard: Callable[[dict[Quantity, float], float], None]

    def _identify(self, step: int) -> Request | None:
        if step == 0:
            self._left = list(self._blocks)
        return self._read_block() if self._left else None

    def _next(self, now: float) -> Request | None:
        if not self._left and self._polls.due(now):
            self._polls.asked("reading", now)
            self._left = list(self._blocks)
        return self._read_block() if self._left else None

    @property
    def _idle_until(self) -> float:
        return self._polls.due_at

    def _read_block(self) -> Request:
        rows = self._left[0]
        return self._read(
            rows[0].address,
            2 * len(rows),
            partial(self._take, rows),
            function=self._model.function,
            check=partial(self._check, rows),
            failed=self._drop_round,
        )

    def _check(self, rows: tuple[Row, ...], registers: tuple[int, ...]) -> None:
        for row, value in self._decode(rows, registers).items():
            if not math.isfinite(value) or (row != "power_w" and value < 0.0):
                raise ValueError(f"{row} {value}")

    def _decode(self, rows: tuple[Row, ...], registers: tuple[int, ...]) -> dict[Quantity, float]:
        pairs = (registers[2 * n : 2 * n + 2] for n in range(len(rows)))
        return {row.quantity: self._model.value(row, pair) for row, pair in zip(rows, pairs, strict=True)}

    def _take(self, rows: tuple[Row, ...], registers: tuple[int, ...], now: float) -> None:
        del self._left[0]
        self._values |= self._decode(rows, registers)
        if not self._left:
            self.heard(self._values, now)

    def _drop_round(self, reason: str, now: float) -> None:
        self._left.clear()


class ModbusMeter(Driver):
    """A meter as an `EnergyMeter`.

    Fault "meter_went_back" (latched): a register has less in it than before. The readings stay what they were
    until `reset` says that the meter was exchanged.
    """

    def __init__(self, name: str, dialog: _MeterDialog, meter_id: str, *, reverse: bool = False) -> None:
        super().__init__(name, dialog)
        self._meter_id, self._reverse = meter_id, reverse
        self._reading: MeterReading | None = None
        dialog.heard = self._hear

    @property
    def reading(self) -> MeterReading | None:
        """The last good reading."""
        return self._reading

    def reset(self) -> None:
        """Clear the fault; a meter that was exchanged begins with its own registers."""
        if any(fault.code == WENT_BACK for fault in self.faults):
            self._reading = None
        super().reset()

    def _hear(self, values: dict[Quantity, float], now: float) -> None:
        new = MeterReading(
            at=now,
            import_wh=values["import_wh"],
            export_wh=values.get("export_wh", 0.0),
            power_w=values.get("power_w", 0.0),
            meter_id=self._meter_id,
        )
        if self._reverse:
            new = replace(new, import_wh=new.export_wh, export_wh=new.import_wh, power_w=-new.power_w)
        old = self._reading
        if old is not None and (new.import_wh < old.import_wh or new.export_wh < old.export_wh):
            was, is_ = (f"{r.import_wh:.1f} and {r.export_wh:.1f} Wh" for r in (old, new))
            self.blame(Fault(WENT_BACK, Severity.WARNING, latched=True, detail=f"from {was} to {is_}"))
        elif old is not None and replace(new, at=old.at) == old:
            self._reading = new  # only its time is new
        else:
            self._set("_reading", new)


def meter(
    url: str = "",
    *,
    model: Model,
    unit: int = UNIT,
    bus: Bus | None = None,
    name: str = "",
    meter_id: str = "",
    reverse: bool = False,
    framing: Literal["rtu", "tcp"] | None = None,
) -> ModbusMeter:
    """A meter at the port `url` (see `hal.drivers.ports`), or on a `bus` that it shares with others.

    `meter_id` is what readings are marked with, by default the name. HalError(CONFIGURATION) for an impossible
    port or unit.
    """
    line = bus_for(model.name.lower(), url, bus, framing=framing, **LINE)
    name = name or f"{model.name.lower()}@{line.name}:{unit}"
    return ModbusMeter(name, _MeterDialog(name, line, unit, model), meter_id or name, reverse=reverse)


sdm630: Final = partial(meter, model=SDM630)
sdm72: Final = partial(meter, model=SDM72)
sdm230: Final = partial(meter, model=SDM230)
