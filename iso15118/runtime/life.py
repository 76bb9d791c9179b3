"""Controllers that live: real devices are looked at again and again, whether a session runs or not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol, runtime_checkable

from hal.bundle import EvHardware, EvseHardware
from iso15118.machine import Emit, Output

BREATH_S: Final = 0.005
"""Least time between two looks: devices that change all the time must not hold the loop."""


@runtime_checkable
class LivingController(Protocol):
    """A controller with a life of its own, such as `iso15118.hardware.HalEvse` and `HalEv`."""

    hardware: Any

    def command(self, command: Any) -> None:
        """Carry out `command`; must return at once."""

    @property
    def deadline(self) -> float:
        """When `tick` is due (s on the event loop's clock)."""

    def tick(self, now: float) -> None:
        """Look at the devices and carry on."""

    def state(self) -> Any:
        """The levels for the session."""

    def outputs(self) -> Iterator[Output]:
        """Events since the last call."""


class Life:
    """Lets `controller` live from `begin` to `end`: at its deadlines, and whenever a device tells a change.

    Its devices are open already. `write` takes its levels, `emit` its events, `broken` its own defect, after
    which it lives no more.
    """

    def __init__(
        self,
        controller: LivingController,
        write: Callable[[Any], None],
        emit: Callable[[Any], None],
        broken: Callable[[BaseException], None],
    ) -> None:
        self._controller = controller
        self._write, self._emit, self._broken = write, emit, broken
        self._timer: asyncio.TimerHandle | None = None
        self._next_at = 0.0
        self._alive = False

    def begin(self) -> None:
        """Look for the first time, and from now on."""
        hardware: EvseHardware | EvHardware = self._controller.hardware
        if not self._alive:
            self._alive = True
            hardware.on_change(self.wake)
            self._turn()

    def end(self) -> None:
        """Look no more. Whoever opened the devices closes them."""
        self._alive = False
        self._disarm()

    def command(self, command: Any) -> None:
        """Hand a command to the controller, and look soon what has become of it."""
        self._controller.command(command)
        self.wake()

    def wake(self) -> None:
        """A device tells a change."""
        if self._alive:
            self._arm(asyncio.get_running_loop().time())

    def _turn(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        self._next_at = now + BREATH_S
        controller = self._controller
        try:
            controller.tick(now)
            for output in controller.outputs():
                if isinstance(output, Emit):
                    self._emit(output.event)
            self._write(controller.state())
            due = controller.deadline
        except Exception as error:  # noqa: BLE001 - a defect: the devices' leases end what is energised
            self.end()
            self._broken(error)
            return
        if self._alive:
            self._arm(due)

    def _arm(self, due: float) -> None:
        """One timer, never later than it stands, never within a breath of the last look."""
        due = max(due, self._next_at)
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._disarm()
        self._timer = asyncio.get_running_loop().call_at(due, self._turn)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
