"""A dialog carried over a port by asyncio: the only place of the drivers that knows an event loop.

    link = Link("serial:///dev/ttyUSB0?baud=19200", dialog)

It is opened by the first device on the dialog and closed with the last. A port that goes away is opened again,
first after 0.2 s, later every 5 s; so is one behind which the device stays silent.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from hal.drivers import ports
from hal.drivers.dialog import Dialog
from hal.errors import HalError, Kind
from hal.types import Clock

OPEN_S: Final = 5.0
"""How long `open` waits for a device to be identified."""
SETTLE_S: Final = 1.0
"""How long `close` waits for the hardware to confirm that it is de-energised."""
FIRST_RETRY_S: Final = 0.2
LAST_RETRY_S: Final = 5.0
SILENCE_S: Final = 10.0
"""A port behind which nothing answers for so long is opened anew: adapters get stuck, TCP peers vanish."""


class Link:
    """Carries `dialog` over the port `url` (see `ports`); all on the event loop's own thread.

    `serial_options` (baud, parity, bits, stop) are the device's defaults, which the URL may change.
    HalError(CONFIGURATION) for a URL that is none.
    """

    def __init__(
        self,
        url: str,
        dialog: Dialog,
        *,
        clock: Clock = time.monotonic,
        open_s: float = OPEN_S,
        **serial_options: Any,
    ) -> None:
        ports.check(url, **serial_options)
        self.url = url
        self._dialog, self._clock, self._open_s, self._options = dialog, clock, open_s, serial_options
        self._users: set[object] = set()
        self._changing = asyncio.Lock()
        self._port: ports.Port | None = None
        self._retry: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._worked = asyncio.Event()
        self._silent_since = math.inf
        dialog.line = self

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return self._clock()

    @property
    def connected(self) -> bool:
        """Whether the port is open."""
        return self._port is not None

    async def enter(self, user: object) -> None:
        """Connect for `user`, and wait until the device is identified and safe. Idempotent.

        Raises HalError: NOT_CONNECTED, MISSING_EXTRA, CONFIGURATION (the port), TIMEOUT (the device does not
        answer), PROTOCOL (it is another device).
        """
        async with self._changing:
            self._users.add(user)
            try:
                if self._port is None and self._retry is None:
                    await self._connect()
                await self._get_ready()
            except BaseException:
                await self._drop(user)
                raise

    async def leave(self, user: object) -> None:
        """`user` needs the port no more; with the last one it is closed. Idempotent, never raises."""
        async with self._changing:
            await self._drop(user)

    def flush(self) -> None:
        """Let the dialog work, send what it says, look at its deadline again."""
        if self._port is not None:
            self._turn(self._dialog.tick)

    # --- opening and closing --------------------------------------------------------------------

    async def _get_ready(self) -> None:
        dialog = self._dialog
        if not await self._until(lambda: dialog.ready or dialog.refusal is not None, self._open_s):
            trouble = f" ({dialog.trouble.detail})" if dialog.trouble else ""
            raise HalError(
                dialog.name,
                Kind.TIMEOUT,
                f"no device answers on {self.url}{trouble}",
                next_step="Check that it is powered, the wiring, and the options of the port",
            )
        if dialog.refusal is not None:
            raise dialog.refusal

    async def _drop(self, user: object) -> None:
        self._users.discard(user)
        if self._users or (self._port is None and self._retry is None):
            return
        try:
            if self._dialog.ready:
                await self._until(lambda: self._dialog.settled or not self._dialog.ready, SETTLE_S)
        finally:
            if self._retry is not None:
                self._retry.cancel()
                self._retry = None
            self._let_go()
            self._dialog.ended()

    async def _until(self, condition: Callable[[], object], timeout_s: float) -> bool:
        """Wait until something has made `condition` true; False where it takes longer."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    self._worked.clear()
                    await self._worked.wait()
        except TimeoutError:
            return bool(condition())
        return True

    # --- the port -------------------------------------------------------------------------------

    async def _connect(self) -> None:
        self._port = await ports.connect(self.url, ports.Ends(self._received, self._gone), **self._options)
        self._silent_since = self._clock()
        self._turn(self._dialog.opened)

    async def _reconnect(self) -> None:
        delay_s = FIRST_RETRY_S
        while self._port is None:
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, LAST_RETRY_S)
            try:
                await self._connect()
            except HalError as error:
                self._dialog.lost(error.detail, self._clock())
        self._retry = None

    def _gone(self, reason: str) -> None:
        self._let_go()
        self._dialog.lost(reason, self._clock())
        self._worked.set()
        if self._users and self._retry is None:
            self._retry = asyncio.ensure_future(self._reconnect())

    def _let_go(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            port.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- the pump -------------------------------------------------------------------------------

    def _received(self, data: bytes) -> None:
        self._turn(partial(self._dialog.received, data))

    def _time(self) -> None:
        self._timer = None
        if self._clock() - self._silent_since >= SILENCE_S:
            self._gone("the device stays silent")
        else:
            self._turn(self._dialog.tick)

    def _turn(self, happen: Callable[[float], None]) -> None:
        """Let something happen to the dialog; then send what it says, and set the timer."""
        try:
            happen(self._clock())
        except Exception as error:  # noqa: BLE001 - a defect must not leave anything energised
            loop = asyncio.get_running_loop()
            loop.call_exception_handler({"message": f"defect in {self._dialog.name}", "exception": error})
            self._gone(f"defect: {error!r}")
        else:
            self._pump()

    def _pump(self) -> None:
        data = self._dialog.to_send()
        if data and self._port is not None:
            self._port.write(data)
        self._worked.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._port is None:
            return
        now = self._clock()
        if self._dialog.ready:
            self._silent_since = math.inf
        elif self._silent_since == math.inf:
            self._silent_since = now
        due = min(self._dialog.deadline, self._silent_since + SILENCE_S)
        if due < math.inf:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - now), self._time)
