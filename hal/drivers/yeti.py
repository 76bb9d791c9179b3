"""The Yeti power board (EVerest) of an AC station, on a UART at 115200 baud.

    board("serial:///dev/ttyUSB0")

It gives pilot, contactor, lock, safety chain, meter and proximity. The board closes its relays only while the car
is ready and no error stands, and restarts where the host is silent for some seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from hal.drivers.board_parts import ToldContactor, ToldPilot, ToldProximity, ToldSafety
from hal.drivers.driver import Driver
from hal.drivers.link import Link
from hal.drivers.yeti_dialog import POSITION_S, YetiDialog
from hal.drivers.yeti_frames import FROM_EVSE, TO_EVSE, X1
from hal.meter import MeterReading
from hal.pilot import STEADY_DUTY
from hal.safety import LOCK_FAILED
from hal.types import ContactorState, CpState

LOCK_S: Final = 4.0
"""A lock that is not where it should be after this time has failed."""
_STATES: Final = tuple(CpState)
_CABLES_A: Final = {0: 0.0, 1: 13.0, 2: 20.0, 3: 32.0, 4: 70.0}
_LOCKED: Final = {1: False, 2: True}
_PILOT_FLAGS: Final = {"diode_fault": "diode_fault", "pilot_fault": "pilot_short"}
_TRIPPING: Final = ("residual_current", "residual_current_self_test", "ventilation", "over_current")


class BoardDialog(YetiDialog):
    """The station's board."""

    def __init__(self, name: str) -> None:
        super().__init__(name, TO_EVSE, FROM_EVSE, reset=True)
        self.pilot = ToldPilot(f"pilot of {name}", self)
        self.contactor = ToldContactor(f"contactor of {name}", self, POSITION_S)
        self.lock = YetiLock(f"lock of {name}", self)
        self.safety = YetiSafety(f"safety chain of {name}", self)
        self.meter = YetiMeter(f"meter of {name}", self)
        self.proximity = ToldProximity(f"proximity of {name}", self)

    def devices(self) -> dict[str, Any]:
        """Role -> device."""
        roles = ("pilot", "contactor", "lock", "safety", "meter", "proximity")
        return {role: getattr(self, role) for role in roles}

    def _wanted(self, now: float) -> Mapping[str, Any]:
        duty = self.pilot.duty
        wanted: dict[str, Any] = {"pwm": X1 if duty == STEADY_DUTY else round(duty * 100)}
        wanted["power"] = self.contactor.leased(now)
        if self.lock.wanted is not None:
            wanted["lock"] = self.lock.wanted
        return wanted

    def _safe(self, field: str, value: Any) -> bool:
        return field == "lock" or value in (X1, False)

    def _take(self, told: Mapping[str, Any], now: float) -> None:
        if "errors" in told:
            flags = told["errors"]
            self.pilot.take_faults([fault for flag, fault in _PILOT_FLAGS.items() if flags.get(flag)])
            self.safety.take([flag for flag in _TRIPPING if flags.get(flag)])
            self.lock.take_failure(bool(flags.get("lock_failed")))
            if self.pilot.state is not None:
                self.pilot.take(self.pilot.state, now)
        if "cp_state" in told:
            number = told["cp_state"]
            self.pilot.take(_STATES[number] if number < len(_STATES) else None, now)
        if "relay" in told:
            ready = self.pilot.state is not None and self.pilot.state.ready and not self.safety.tripped
            position = ContactorState.CLOSED if told["relay"] else ContactorState.OPEN
            self.contactor.take(position, now, may_close=ready)
        if "lock" in told:
            self.lock.take(_LOCKED.get(told["lock"]), now)
        if "pp_state" in told:
            self.proximity.take(_CABLES_A.get(told["pp_state"]))
        if "meter" in told:
            self.meter.take(told["meter"], now)


class YetiLock(Driver):
    """`ConnectorLock`. A restart of the board leaves the bolt where it is."""

    def __init__(self, name: str, dialog: BoardDialog) -> None:
        super().__init__(name, dialog)
        self._locked: bool | None = None
        self._since = 0.0
        self.wanted: bool | None = None
        """Where the bolt is to go; None once it has arrived or failed."""

    @property
    def locked(self) -> bool | None:
        """As sensed."""
        return self._locked

    def lock(self) -> None:
        """Lock."""
        self._move(True)

    def unlock(self) -> None:
        """Unlock; the caller has made sure that it is safe."""
        self._move(False)

    def _move(self, locked: bool) -> None:
        if self._dialog.ready:
            self.wanted, self._since = locked, self._now
            self._dialog.line.flush()

    def take(self, locked: bool | None, now: float) -> None:
        """The board senses the bolt."""
        self._set("_locked", locked)
        if locked is self.wanted:
            self.wanted = None
        elif self.wanted is not None and now >= self._since + LOCK_S:
            self._fail()

    def take_failure(self, failed: bool) -> None:
        """The board says whether the lock has failed."""
        if failed:
            self._fail()

    def _fail(self) -> None:
        self.wanted = None
        self.blame(LOCK_FAILED)

    @property
    def settled(self) -> bool:
        """Whether the bolt is where it should be."""
        return self.wanted is None

    def forget(self) -> None:
        """Leave the bolt where it is."""
        self.wanted = None

    def unknown(self) -> None:
        """The position is not known."""
        self._set("_locked", None)


class YetiSafety(ToldSafety):
    """`SafetyChain`: the board's residual-current device and its other errors."""

    def reset(self) -> None:
        """Clear latched faults whose cause is gone; restarts the board where something has tripped."""
        super().reset()
        if self._dialog.ready and self.tripped:
            assert isinstance(self._dialog, YetiDialog)
            self._dialog.restart()


class YetiMeter(Driver):
    """`EnergyMeter`: the board's own, which counts in one direction and signs nothing."""

    def __init__(self, name: str, dialog: BoardDialog) -> None:
        super().__init__(name, dialog)
        self._reading: MeterReading | None = None

    @property
    def reading(self) -> MeterReading | None:
        """The last reading."""
        return self._reading

    def take(self, told: Mapping[str, Any], now: float) -> None:
        """The board measures: energy in Wh, power of each phase in W."""
        power_w = sum(told.get(phase, 0.0) for phase in ("w1", "w2", "w3"))
        reading = MeterReading(at=now, import_wh=told.get("wh", 0.0), power_w=power_w)
        before = self._reading
        self._news = self._news or before is None or replace(before, at=now) != reading
        self._reading = reading


def board(url: str) -> dict[str, Any]:
    """All devices of the board at `url` (see `ports`), role -> device."""
    dialog = BoardDialog(f"yeti@{url}")
    Link(url, dialog)
    return dialog.devices()
