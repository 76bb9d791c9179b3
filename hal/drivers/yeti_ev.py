"""The car simulator of the Yeti family (EVerest), on a UART at 115200 baud: the car's end of the pilot, and relays.

board("serial:///dev/ttyUSB1")
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from hal.drivers.board_parts import ToldContactor
from hal.drivers.driver import Driver
from hal.drivers.link import Link
from hal.drivers.yeti_dialog import POSITION_S, YetiDialog
from hal.drivers.yeti_frames import FROM_EV, RELAY_ERROR, TO_EV
from hal.errors import HalError, Kind
from hal.pilot_levels import classify
from hal.types import NOTHING, ContactorState, CpState, Fault, Quality, Sample, Severity

UNPLUGGED_V: Final = 2.0
"""Both peaks below this: there is no station on the line, or none that is on."""
_SIGNALS: Final = {CpState.B: 1, CpState.C: 2, CpState.D: 3}
_RELAY_FAULT: Final = Fault("relay_error", Severity.STOP, latched=True, detail="the board reports it")


class EvBoardDialog(YetiDialog):
    """The car's board."""

    def __init__(self, name: str) -> None:
        super().__init__(name, TO_EV, FROM_EV, reset={})
        self.pilot = YetiEvPilot(f"pilot of {name}", self)
        self.contactor = ToldContactor(f"contactor of {name}", self, POSITION_S)

    def devices(self) -> dict[str, Any]:
        """Role -> device."""
        return {"pilot": self.pilot, "contactor": self.contactor}

    def _wanted(self, now: float) -> Mapping[str, Any]:
        return {
            "enable": {},
            "signal": {"state": _SIGNALS[self.pilot.wanted]},
            "power": {"on": self.contactor.leased(now)},
        }

    def _safe(self, field: str, value: Any) -> bool:
        return value in ({}, {"state": _SIGNALS[CpState.B]}, {"on": False})

    def _take(self, told: Mapping[str, Any], now: float) -> None:
        if "measured" in told:
            measured = told["measured"]
            self.pilot.take(measured, now)
            position = ContactorState.CLOSED if measured.get("relay") else ContactorState.OPEN
            self.contactor.take(position, now, may_close=True)
        if "event" in told:
            event = told["event"].get("what", 0)
            if event == RELAY_ERROR:
                self.contactor.blame(_RELAY_FAULT)
                self.contactor.forget()


class YetiEvPilot(Driver):
    """`EvPilot`: state and plug as the board's voltages tell them."""

    def __init__(self, name: str, dialog: EvBoardDialog) -> None:
        super().__init__(name, dialog)
        self._duty = NOTHING
        self._plugged: bool | None = None
        self._state = CpState.A
        self.wanted = CpState.B
        """What is to be signalled."""

    @property
    def duty(self) -> Sample:
        """Duty cycle in percent; INVALID where nothing is plugged."""
        return self._duty

    @property
    def plugged(self) -> bool | None:
        """Whether there is a station on the line."""
        return self._plugged

    @property
    def state(self) -> CpState:
        """What is on the line."""
        return self._state

    def set_state(self, state: CpState) -> None:
        """Signal B, C or D."""
        if state not in _SIGNALS:
            raise HalError(
                self.name, Kind.OUT_OF_RANGE, f"a car signalling {state.value}", next_step="Use B, C or D"
            )
        if self._dialog.ready:
            self._set("wanted", state)
            self._dialog.line.flush()

    # --- the dialog's part ----------------------------------------------------------------------

    def take(self, measured: Mapping[str, Any], now: float) -> None:
        """The board measures: duty cycle in percent while there is one, peaks in V."""
        high_v, low_v = measured.get("high_v", 0.0), measured.get("low_v", 0.0)
        plugged = max(abs(high_v), abs(low_v)) >= UNPLUGGED_V
        self._set("_plugged", plugged)
        if not plugged:
            self._set("_duty", Sample(math.nan, now, Quality.INVALID))
            self._set("_state", CpState.A)
            return
        steady = 100.0 if high_v > 0.0 else 0.0
        duty = measured.get("duty", 0.0) if measured.get("running") else steady
        self._set("_duty", Sample(duty, now))
        state = classify(high_v, low_v, duty, self._state).state
        if state is not None:
            self._set("_state", state)

    @property
    def settled(self) -> bool:
        """Whether the car is not ready for energy any more."""
        return not self._state.ready

    def forget(self) -> None:
        """Signal B."""
        self._set("wanted", CpState.B)

    def unknown(self) -> None:
        """Nothing is known of the plug."""
        self._set("_plugged", None)


def board(url: str) -> dict[str, Any]:
    """All devices of the board at `url` (see `ports`), role -> device."""
    dialog = EvBoardDialog(f"yeti-ev@{url}")
    Link(url, dialog)
    return dialog.devices()
