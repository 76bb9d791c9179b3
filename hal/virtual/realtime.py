"""A bench that runs by the event loop's clock while any of its devices is open, for use with the runtime.

    hardware = hal.virtual.evse_bundle()
    await hardware.open()

It is the only part of the virtual hardware that knows asyncio.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

from hal.bundle import EvHardware, EvseHardware
from hal.errors import HalError, Kind
from hal.virtual.bench import Bench
from hal.virtual.device import VirtualDevice

STEP_S: Final = 0.01


class LiveBench(Bench):
    """A `Bench` whose `now` is the event loop's time. It stands still while no device is open.

    `evse` and `ev` give devices that are still to be opened. Options as for `Bench`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._users: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        for device in self.devices.values():
            device.before_open = partial(self._enter, device.name)
            device.after_close = partial(self._leave, device.name)

    def evse(self) -> EvseHardware:
        """The station's devices, not opened yet."""
        return EvseHardware(**self.roles("evse"))  # type: ignore[arg-type]

    def ev(self) -> EvHardware:
        """The car's devices, not opened yet."""
        return EvHardware(**self.roles("ev"))  # type: ignore[arg-type]

    async def _enter(self, user: str) -> None:
        self._users.add(user)
        if self._task is None or self._task.done():
            self.now = max(self.now, asyncio.get_running_loop().time())
            self._task = asyncio.create_task(self._follow(), name="virtual bench")

    async def _leave(self, user: str) -> None:
        self._users.discard(user)
        if self._task is None or self._users:
            return
        task, self._task = self._task, None
        task.cancel()
        await asyncio.wait([task])

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(STEP_S)
            passed = loop.time() - self.now
            if passed > 0:
                self.step(passed)


def evse_bundle(bench: LiveBench | None = None, **options: Any) -> EvseHardware:
    """A whole station: the devices of `bench`, or of a new one made with `options` (see `Bench`)."""
    return (bench or LiveBench(**options)).evse()


def ev_bundle(bench: LiveBench | None = None, **options: Any) -> EvHardware:
    """A whole car; with the `bench` of a station, the two meet there."""
    return (bench or LiveBench(**options)).ev()


def _device(side: str, role: str, bench: LiveBench | None = None, **options: Any) -> VirtualDevice:
    roles = (bench or LiveBench(**options)).roles(side)
    if role not in roles:
        raise HalError(
            f"virtual.{side}.{role}", Kind.CONFIGURATION, f"this bench has {', '.join(sorted(roles))}"
        )
    return roles[role]


evse_pilot: Final = partial(_device, "evse", "pilot")
evse_contactor: Final = partial(_device, "evse", "contactor")
evse_lock: Final = partial(_device, "evse", "lock")
evse_safety: Final = partial(_device, "evse", "safety")
evse_meter: Final = partial(_device, "evse", "meter")
evse_thermometers: Final = partial(_device, "evse", "thermometers")
evse_proximity: Final = partial(_device, "evse", "proximity")
evse_supply: Final = partial(_device, "evse", "supply")
evse_isolation: Final = partial(_device, "evse", "isolation")
evse_outlet: Final = partial(_device, "evse", "outlet")
ev_pilot: Final = partial(_device, "ev", "pilot")
ev_contactor: Final = partial(_device, "ev", "contactor")
ev_lock: Final = partial(_device, "ev", "lock")
ev_safety: Final = partial(_device, "ev", "safety")
ev_thermometers: Final = partial(_device, "ev", "thermometers")
ev_battery: Final = partial(_device, "ev", "battery")
ev_inlet: Final = partial(_device, "ev", "inlet")
ev_charger: Final = partial(_device, "ev", "charger", dc=False)
