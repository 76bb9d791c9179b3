"""The plug of a charger or a vehicle on real hardware: pilot, port to the modem, and when to communicate."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hal.plc import EthernetPort
from iso15118.config import SlacConfig
from iso15118.machine import Frame, LinkDown, LinkUp, Update
from iso15118.plug.direct import DirectLink
from iso15118.plug.ev import EvPlug
from iso15118.plug.evse import EvsePlug
from iso15118.plug.stack import Link, PlugStack
from iso15118.plug.words import Communicate, EvLevels, EvseLevels, Report
from iso15118.runtime.driver import Driver, Ports
from iso15118.runtime.events import ControllerFault, InternalFault
from iso15118.runtime.session import Hardware


@dataclass(frozen=True, slots=True)
class Plug:
    """Says that the stack owns the plug: pilot sequences, matching, pause and wake-up, basic charging.

    `modem`: the port to the power-line modem, opened with the plug. None: the link needs no matching (a
    cable of a test bench, a modem that matches by itself).
    """

    modem: EthernetPort | None = None


class PlugDriver:
    """Runs a plug machine and its link from `open` to `close`, on the event loop's own thread."""

    def __init__(
        self,
        machine: EvsePlug | EvPlug,
        slac: SlacConfig,
        plug: Plug,
        hardware: Hardware,
        emit: Callable[[Any], None],
        communicate: Callable[[bool], None],
    ) -> None:
        self.machine = machine
        self._slac = slac
        self._modem = plug.modem
        self._hardware, self._emit, self._communicate = hardware, emit, communicate
        self._up = False
        self._driver: Driver | None = None

    async def open(self) -> None:
        """Open the port to the modem, then begin. Raises HalError where the port cannot be opened."""
        modem = self._modem
        if modem is not None:
            modem.on_frame(self._on_frame)
            modem.on_change(self._look_at_port)
            await modem.open()
        self._driver = Driver(
            PlugStack(self.machine, self._link()),
            Ports(
                emit=self._emit,
                send_frame=modem.send if modem is not None else lambda _: None,
                command=self._command,
                command_failed=self._on_command_failed,
                broken=self._on_broken,
            ),
        )
        self._look_at_port()

    async def close(self) -> None:
        """Stop, and close the port. Idempotent."""
        driver, self._driver = self._driver, None
        self._up = False
        if driver is not None:
            driver.feed(LinkDown())
            await driver.aclose()
        if self._modem is not None:
            await self._modem.close()

    def update(self, levels: EvseLevels | EvLevels) -> None:
        """New levels."""
        self._feed(Update(levels))

    def report(self, report: Report) -> None:
        """What has become of a session."""
        self._feed(report)

    def _link(self) -> Link:
        role = self.machine.role
        if self._modem is None:
            return DirectLink(role)
        # Whoever has no modem does not pay for it.
        from iso15118.slac.ev import EvSlac
        from iso15118.slac.evse import EvseSlac

        make = EvseSlac if role == "SECC" else EvSlac
        return make(self._modem.mac, self._slac, os.urandom)

    def _feed(self, item: Any) -> None:
        if self._driver is not None:
            self._driver.feed(item)

    def _command(self, command: Any) -> None:
        if isinstance(command, Communicate):
            self._communicate(command.on)
        else:
            self._hardware.command(command)

    def _on_frame(self, frame: bytes) -> None:
        self._feed(Frame(frame))

    def _look_at_port(self) -> None:
        """A port with a fault carries nothing: the link is told, and again when it is back."""
        up = self._modem is None or not self._modem.faults
        if self._driver is not None and up is not self._up:
            self._up = up
            self._feed(LinkUp() if up else LinkDown())

    def _on_command_failed(self, command: Any, error: BaseException) -> None:
        now = asyncio.get_running_loop().time()
        self._emit(ControllerFault(t=now, role=self.machine.role, what=command, error=repr(error)))

    def _on_broken(self, error: BaseException) -> None:
        """A defect: nothing is communicated any more, and nothing stays energised."""
        now, what = asyncio.get_running_loop().time(), "the plug failed"
        self._emit(InternalFault(t=now, role=self.machine.role, what=what, error=repr(error)))
        self._communicate(False)
        try:
            self._hardware.command(self._hardware.deenergise(what))
        except Exception as failure:  # noqa: BLE001 - firmware code; there is nothing left to try
            self._on_command_failed(what, failure)
