"""Time for a bench: whoever lives on it has a deadline and a tick; what is planned stands in one heap.

The worlds of `hardware_world` (both sides joined directly) and `plugged` (with the powerline between) are built on it.
It judges nothing: `watcher` does, of the physics alone; `events` has what everybody told.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from hal.virtual.bench import Bench
from hal.virtual.watch import Watcher
from iso15118.control import ev, evse
from iso15118.control.common import ControlMode, EnergyService
from iso15118.hardware import HalEv, HalEvConfig, HalEvse, HalEvseConfig

UPDATE_S: Final = 0.2
"""Measurements are told to a session at least this often."""
MAX_INSTANTS: Final = 1000
INSTANT_S: Final = 1e-9
"""Times that differ by less are the same: the bench adds its steps up, deadlines are computed otherwise."""


class Part(Protocol):
    """What lives in the world: whatever is due at `deadline` happens in `tick`."""

    @property
    def deadline(self) -> float:
        """When `tick` is due (s)."""

    def tick(self, now: float) -> None:
        """Let time pass."""


class BenchWorld:
    """A bench with both controllers on it. `service` and `control` by name; the same `seed` repeats a run to the bit.

    `station` and `car` configure the controllers, `operator` and `owner` answer their questions. `bench` replaces
    the usual hardware.
    """

    def __init__(
        self,
        service: str = "DC",
        control: str = "dynamic",
        *,
        seed: int = 0,
        bench: Bench | None = None,
        station: HalEvseConfig | None = None,
        car: HalEvConfig | None = None,
        operator: evse.EvseController | None = None,
        owner: ev.EvController | None = None,
    ) -> None:
        self.energy, self.mode = EnergyService[service.upper()], ControlMode[control.upper()]
        self.bench = bench or Bench(dc=self.energy.is_dc, seed=seed)
        self.watcher = Watcher(self.bench)
        self.events: list[Any] = []
        self.parts: list[Part] = []
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = self._instants = 0
        owner = owner or _Owner(self.energy, self.mode)
        self.hal_evse = HalEvse(self.bench.evse(), station or HalEvseConfig(), self._clock, operator)
        self.hal_ev = HalEv(self.bench.ev(), car or HalEvConfig(), self._clock, owner)

    # --- what a test does ---------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self.bench.now

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.run_until(lambda: False, seconds)

    def run_until(self, reached: Callable[[], bool], limit_s: float) -> bool:
        """Let time pass until `reached`, at most `limit_s`; whether it came."""
        end = self.now + limit_s
        while not reached():
            if self.now >= end - INSTANT_S:
                return False
            self._pass(end)
        return True

    @property
    def current_a(self) -> float:
        """At the outlet, true, signed."""
        return self.bench.circuit.current_a

    @property
    def power_w(self) -> float:
        """At the outlet, true, signed."""
        return self.bench.circuit.power_w

    def told(self, *kinds: type[Any]) -> list[Any]:
        """The events of these kinds, in order."""
        return [event for event in self.events if isinstance(event, kinds)]

    # --- time ---------------------------------------------------------------------------------

    def later(self, seconds: float, act: Callable[..., Any], *args: Any) -> None:
        """Call `act(*args)` after `seconds`."""
        self._count += 1
        heapq.heappush(self._heap, (self.now + seconds, self._count, act, args))

    def _pass(self, end: float) -> None:
        """To whatever happens next: something planned, a deadline, a change in the hardware."""
        due = min([end, *(part.deadline for part in self.parts)])
        if self._heap:
            due = min(due, self._heap[0][0])
        if due > self.now + INSTANT_S:
            self._instants = 0
            self.bench.hop(due - self.now)
        else:
            self._instants += 1
            if self._instants > MAX_INSTANTS:
                raise RuntimeError(f"time stands still at {self.now} s: a deadline never passes")
        self._serve()

    def _serve(self) -> None:
        while self._heap and self._heap[0][0] <= self.now + INSTANT_S:
            _, _, act, args = heapq.heappop(self._heap)
            act(*args)
        for part in self.parts:
            if (due := part.deadline) <= self.now + INSTANT_S:
                part.tick(max(self.now, due))

    def _clock(self) -> float:
        return self.bench.now


def marks_of(state: evse.EvseState | ev.EvState) -> tuple[Any, ...]:
    """Levels a session has to learn of at once, unlike measurements."""
    common = (state.contactor, state.wish, state.emergency_stop, state.fault)
    if isinstance(state, ev.EvState):
        return (*common, state.complete)
    return (*common, state.cp, state.locked, state.cable_check, state.setpoint_w)


def answer_of(controller: HalEvse | HalEv, question: Any) -> Any:
    """The controller's answer, at once: nobody here waits for anything."""
    match question, controller:
        case evse.AuthorizationQuestion(), HalEvse():
            return _result(controller.authorize(question))
        case evse.ContractRequest(), HalEvse():
            return _result(controller.install_contract(question))
        case ev.StoreContract(), HalEv():
            return _result(controller.store_contract(question))
        case evse.ChargingNeeds(), HalEvse():
            return _result(controller.offer_energy(question))
        case ev.ServiceChoice(), HalEv():
            return _result(controller.choose_service(question))
        case ev.ScheduleChoice(), HalEv():
            return _result(controller.choose_schedule(question))
    raise TypeError(f"{type(controller).__name__} is not asked {type(question).__name__}")


def _result(coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise TypeError("an operator or owner in a virtual world answers without awaiting anything")


class _Owner(ev.EvControllerBase):
    """Wants this service in this mode, at full power."""

    def __init__(self, service: EnergyService, mode: ControlMode) -> None:
        self.wanted, self.control_mode = (service,), mode
