"""The truth behind emulated boards, as the suites want it; and rigs for the devices of the boards."""

from __future__ import annotations

import math
from typing import Any

from hal.drivers import chargebyte, yeti, yeti_ev
from hal.testing.emulators.chargebyte import SafetyController
from hal.testing.emulators.outlet import Outlet
from hal.testing.emulators.yeti import YetiBoard, YetiEvBoard
from hal.testing.noise import Noise
from hal.testing.wire import Wire, WiredRig
from hal.types import CpState

NOISES: dict[str, dict[str, Any]] = {
    "clean": {},
    "bad": {"lost": 0.2, "corrupted": 0.3},
    "single": {"octet_s": 87e-6},
}
"""Kinds of lines: name -> options of `Noise`."""


class OutletTruth:
    """What is physically the case at an outlet."""

    def __init__(self, outlet: Outlet) -> None:
        self.outlet = outlet

    @property
    def safe(self) -> bool:
        return not self.outlet.relay.closed and self.outlet.line.duty in (0.0, 100.0)


class PilotTruth(OutletTruth):
    @property
    def duty(self) -> float:
        return self.outlet.line.duty

    def vehicle(self, state: CpState) -> None:
        line = self.outlet.line
        line.short_ohm = 10.0 if state is CpState.E else math.inf
        line.plugged = state is not CpState.A
        if state in (CpState.B, CpState.C, CpState.D):
            line.state = state


class ContactorTruth(OutletTruth):
    """With a car that is ready."""

    def __init__(self, outlet: Outlet) -> None:
        super().__init__(outlet)
        outlet.line.plugged, outlet.line.state = True, CpState.C

    @property
    def safe(self) -> bool:
        return not self.closed

    @property
    def closed(self) -> bool:
        return self.outlet.relay.closed

    def weld(self) -> None:
        self.outlet.relay.welded = True

    def stick(self) -> None:
        self.outlet.relay.stuck_open = True


class LockTruth(OutletTruth):
    @property
    def locked(self) -> bool:
        return self.outlet.bolt.locked

    def jam(self) -> None:
        self.outlet.bolt.jammed = True


class ProximityTruth(OutletTruth):
    def insert(self, ohm: float | None) -> None:
        self.outlet.plug_ohm = math.inf if ohm is None else ohm


# --- chargebyte ---------------------------------------------------------------------------------


class ControllerTruth(OutletTruth):
    def __init__(self, controller: SafetyController) -> None:
        super().__init__(controller.outlet)
        self.controller = controller

    def trip(self, name: str) -> None:
        assert name == "emergency_stop"
        self.controller.emergency[0] = True

    def clear(self, name: str) -> None:
        self.controller.emergency[0] = False

    def heat(self, celsius: float) -> None:
        self.controller.celsius = [celsius, celsius, None, None]


def controller_rig(
    role: str, line: str = "clean", seed: int = 1, *, hang_up: bool = False, with_reset: bool = True
) -> WiredRig:
    """A device of the board on a line of this kind (see `NOISES`)."""
    controller = SafetyController()
    outlet = controller.outlet
    truth = {
        "pilot": PilotTruth,
        "contactor": ContactorTruth,
        "proximity": ProximityTruth,
    }.get(role)
    dialog = chargebyte.ControllerDialog("board", controller.reboot if with_reset else None)
    wire = Wire(dialog, controller, noise=Noise(seed, **NOISES[line]), hang_up=hang_up)
    slow = 3.0 if line == "bad" else 1.0
    return WiredRig(
        wire,
        dialog.devices()[role],
        truth(outlet) if truth else ControllerTruth(controller),
        settle_s=1.0 * slow,
        noticed_s=2.5,
        watchdog_s=1.5,
        reconnect_s=3.0 * slow,
    )


# --- Yeti ---------------------------------------------------------------------------------------


class YetiMeterTruth(OutletTruth):
    def __init__(self, board: YetiBoard) -> None:
        super().__init__(board.outlet)
        self.board = board

    def count(self, import_wh: float, export_wh: float) -> None:
        self.board.wh += import_wh


class EvPilotTruth:
    """The car's line seen from the station."""

    def __init__(self, outlet: Outlet) -> None:
        self.line = outlet.line

    @property
    def safe(self) -> bool:
        return self.line.state is CpState.B

    @property
    def state(self) -> CpState:
        return self.line.state

    def station(self, duty: float) -> None:
        self.line.duty = duty

    def plug(self, plugged: bool) -> None:
        self.line.plugged = plugged


def _yeti(dialog: Any, board: Any, role: str, truth: Any, line: str, seed: int, hang_up: bool) -> WiredRig:
    wire = Wire(dialog, board, noise=Noise(seed, **NOISES[line]), hang_up=hang_up)
    slow = 3.0 if line == "bad" else 1.0
    rig = WiredRig(
        wire,
        dialog.devices()[role],
        truth,
        settle_s=4.0 * slow,
        noticed_s=6.5,
        watchdog_s=6.5,
        reconnect_s=3.0 * slow,
    )
    # A board that has been on for a while: where it says nothing of a restart, its time does.
    rig.run(20.0 if line == "bad" else 0.0)
    return rig


def yeti_rig(role: str, line: str = "clean", seed: int = 1, *, hang_up: bool = False) -> WiredRig:
    """A device of the station's board."""
    board = YetiBoard()
    truths: dict[str, Any] = {"pilot": PilotTruth, "contactor": ContactorTruth, "lock": LockTruth}
    truth = YetiMeterTruth(board) if role == "meter" else truths.get(role, ProximityTruth)(board.outlet)
    return _yeti(yeti.BoardDialog("board"), board, role, truth, line, seed, hang_up)


def yeti_ev_rig(role: str, line: str = "clean", seed: int = 1, *, hang_up: bool = False) -> WiredRig:
    """A device of the car's board."""
    board = YetiEvBoard()
    truth = EvPilotTruth(board.outlet) if role == "pilot" else ContactorTruth(board.outlet)
    return _yeti(yeti_ev.EvBoardDialog("car"), board, role, truth, line, seed, hang_up)
