"""A machine that does what a test says, and short-lived real chargers and vehicles on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque

from iso15118.config import EvccConfig, EvccTimers, SeccConfig, SeccTimers
from iso15118.control.common import ControlMode, EnergyService
from iso15118.machine import Close, PeerClosed
from iso15118.runtime.charger import Charger
from iso15118.runtime.vehicle import Vehicle
from iso15118.sim.controllers import AC_STATION, DC_STATION
from iso15118.sim.realtime import BenchCar, BenchStation, run_bench


class Fake:
    """Records inputs; `on[type(input)]` gives the outputs (a list, or a function of the input)."""

    def __init__(self, on=None, at_tick=()):
        self.deadline = math.inf
        self.on = on or {}
        self.at_tick = at_tick
        self.inputs = []
        self.ticks = []
        self.out = deque()

    def receive(self, item, now):
        self.inputs.append(item)
        reaction = self.on.get(type(item), ())
        self.out.extend(reaction(item) if callable(reaction) else reaction)

    def tick(self, now):
        self.ticks.append(now)
        self.deadline = math.inf
        self.out.extend(self.at_tick)

    def outputs(self):
        while self.out:
            yield self.out.popleft()

    def got(self, kind):
        return [item for item in self.inputs if isinstance(item, kind)]


def closing_fake(**more):
    """A fake that behaves like a session machine when the peer goes."""
    return Fake({PeerClosed: [Close()], **more})


class Recorder:
    """A controller that records commands; `fail` names command types that raise."""

    def __init__(self, fail=()):
        self.commands = []
        self.fail = tuple(fail)

    def command(self, command):
        self.commands.append(command)
        if isinstance(command, self.fail):
            raise RuntimeError("relay does not answer")

    async def authorize(self, question):
        raise NotImplementedError

    offer_energy = choose_service = choose_schedule = authorize


LAB = {"insecure_no_tls": True}
# Half a second per loop turn is tested under virtual time; here a busy machine must not decide.
PATIENT_EVSE = {**LAB, "timers": SeccTimers(loop_sequence_s=10.0, hardware_silence_s=10.0)}
PATIENT_CAR = {**LAB, "timers": EvccTimers(loop_message_s=10.0, hardware_silence_s=10.0)}


def fake_charger(machines, controller=None, **options):
    """A charger on loopback whose sessions use `machines`, an iterator of machines."""
    made = iter(machines)

    class FakeCharger(Charger):
        def session_machine(self, facts):
            return next(made)

    return FakeCharger(SeccConfig(**LAB), controller or Recorder(), "lo", discovery=False, **options)


async def connect(charger):
    return await asyncio.open_connection(*charger.address)


async def gone(reader):
    """Wait until the other side has closed."""
    async with asyncio.timeout(1.0):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""


async def until(condition, within=2.0):
    """Wait until `condition()` is true."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - any condition, at the price of a few ms
            await asyncio.sleep(0.005)


def benches(service=EnergyService.DC):
    limits = AC_STATION if service.is_ac else DC_STATION
    return BenchStation(limits, cable_check_s=0.1), BenchCar(service)


@contextlib.asynccontextmanager
async def station(service=EnergyService.DC, sinks=(), **options):
    """A real charger on loopback with a bench station: (charger, bench)."""
    bench, _ = benches(service)
    charger = Charger(
        SeccConfig(services=(service,), **PATIENT_EVSE),
        bench,
        "lo",
        state=bench.state,
        discovery=False,
        sinks=sinks,
        **options,
    )
    async with charger, living(bench, charger.evse.write):
        yield charger, bench


@contextlib.asynccontextmanager
async def living(bench, write):
    task = asyncio.create_task(run_bench(bench, write))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def car_for(charger, service=EnergyService.DC, control=ControlMode.DYNAMIC, sinks=(), **config):
    """A real vehicle that goes straight to `charger`: (vehicle, bench)."""
    _, bench = benches(service)
    bench.control_mode = control
    settings = EvccConfig(
        services=(service,),
        control_mode=control,
        **{"loop_interval_s": 0.02, "poll_interval_s": 0.02, "max_loops": 3, **PATIENT_CAR, **config},
    )
    vehicle = Vehicle(settings, bench, "lo", state=bench.state, charger=charger.address, sinks=sinks)
    return vehicle, bench


async def drive(vehicle, bench, stop_at=None):
    """Run one session; leave it, cutting the connection, at the first event `stop_at` says yes to."""
    async with living(bench, vehicle.ev.write):
        events = vehicle.run()
        async with contextlib.aclosing(events):
            async for event in events:
                if stop_at is not None and stop_at(event):
                    break
    return vehicle.result
