"""Charger and Vehicle that own their plug, on loopback: no modem, the pilot a piece of wire in the test."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses

import pytest
from support import PATIENT_CAR, PATIENT_EVSE, benches, connect, gone, living, until

from iso15118.config import EvccConfig, EvPlugConfig, EvsePlugConfig, SeccConfig
from iso15118.control.common import Contactor, CpState
from iso15118.control.ev import ChargeBasic
from iso15118.control.evse import Deenergise, SetPilotDuty, SetPilotUnavailable
from iso15118.events import EndReason, SessionEnded
from iso15118.plug.words import PlugState
from iso15118.runtime.charger import Charger
from iso15118.runtime.events import ConnectionRefused, ControllerFault, InternalFault
from iso15118.runtime.plug import Plug
from iso15118.runtime.sinks import Memory
from iso15118.runtime.vehicle import Vehicle
from iso15118.sim.realtime import BenchCar, BenchStation

pytestmark = [pytest.mark.asyncio, pytest.mark.runtime]

QUICK_OUTLET = EvsePlugConfig(plugged_s=0.05, step_ef_s=0.05, step_x1_s=0.05, hold_x1_s=0.02, end_s=0.05)
QUICK_INLET = EvPlugConfig(settle_s=0.02, leave_s=0.02, resetup_s=0.2, retry_s=0.2)


class PilotStation(BenchStation):
    """A bench station whose pilot is a value: what it signals, the test's car may read."""

    duty = 100.0
    fail = False
    pulled = True

    def step(self, now):
        switched = super().step(now)
        if self.pulled:
            self._set(cp=CpState.A)
        return switched

    def plug_in(self):
        self.pulled = False
        super().plug_in()

    def command(self, command):
        match command:
            case SetPilotDuty() | SetPilotUnavailable() if self.fail:
                raise OSError("pilot driver does not answer")
            case SetPilotDuty(percent=percent):
                self.duty = percent
            case SetPilotUnavailable():
                self.duty = 0.0
            case _:
                super().command(command)


class PilotCar(BenchCar):
    """A bench car that notes basic charging."""

    basic_a = 0.0

    def command(self, command):
        if isinstance(command, ChargeBasic):
            self.basic_a = command.limit_a
        else:
            super().command(command)


@contextlib.asynccontextmanager
async def outlet(sinks=(), **config):
    """A charger on loopback that owns its plug; nothing is plugged in: (charger, bench)."""
    limits = benches()[0].state.limits
    bench = PilotStation(limits, cable_check_s=0.1)
    bench._set(cp=CpState.A)
    settings = SeccConfig(plug=QUICK_OUTLET, **PATIENT_EVSE, **config)
    charger = Charger(settings, bench, "lo", state=bench.state, discovery=False, sinks=sinks, plug=Plug())
    async with charger, living(bench, charger.evse.write):
        yield charger, bench


def vehicle_for(charger, **config):
    car = PilotCar()
    settings = EvccConfig(
        plug=QUICK_INLET, loop_interval_s=0.02, poll_interval_s=0.02, **{**PATIENT_CAR, **config}
    )
    return Vehicle(settings, car, "lo", state=car.state, charger=charger.address, plug=Plug()), car


@contextlib.asynccontextmanager
async def plugged(bench, vehicle, car):
    """Put the connector in: from now on the car sees the station's pilot."""

    async def pilot():
        while True:
            car._set(duty=bench.duty)
            await asyncio.sleep(0.005)

    bench.plug_in()
    wire = asyncio.create_task(pilot())
    try:
        yield
    finally:
        wire.cancel()
        await asyncio.wait((wire,))
        bench.pulled = True
        car._set(duty=None)
        vehicle.ev.write(car.state)


async def listen(vehicle, into):
    async for event in vehicle.run():
        into.append(event)


async def test_from_plug_to_unplug_and_once_more(nothing_left):
    seen = Memory()
    async with outlet([seen]) as (charger, bench):
        for number in (1, 2):
            vehicle, car = vehicle_for(charger, max_loops=3)
            events = []
            run = asyncio.create_task(listen(vehicle, events))
            async with living(car, vehicle.ev.write), plugged(bench, vehicle, car):
                await until(lambda: len(seen.of(SessionEnded)) == number, 10.0)  # noqa: B023
                await until(lambda: bench.duty == 100.0)
            async with asyncio.timeout(2.0):
                await run
            assert vehicle.result.reason is EndReason.COMPLETED
            assert [e.state for e in events if isinstance(e, PlugState)][-2:] == ["DONE", "UNPLUGGED"]
            await until(lambda: seen.of(PlugState)[-1].state == "EMPTY")
    await nothing_left()


async def test_nobody_is_served_before_there_is_a_vehicle():
    seen = Memory()
    async with outlet([seen]) as (charger, _):
        reader, writer = await connect(charger)
        await gone(reader)
        writer.close()
        assert seen.of(ConnectionRefused)[0].reason == "no vehicle is plugged in and matched"


async def test_pulling_the_connector_ends_a_session_and_all_power():
    seen = Memory()
    async with outlet([seen]) as (charger, bench):
        vehicle, car = vehicle_for(charger)
        run = asyncio.create_task(listen(vehicle, []))
        async with living(car, vehicle.ev.write), plugged(bench, vehicle, car):
            await until(lambda: bench.state.current_a > 1.0, 10.0)
        async with asyncio.timeout(2.0):
            await run
        await until(lambda: seen.of(SessionEnded))
        await until(lambda: bench.state.contactor is Contactor.OPEN)
        assert not seen.of(SessionEnded)[0].as_intended
        assert not vehicle.result.as_intended
        assert bench.state.current_a == 0.0


async def test_broken_communication_is_started_over():
    seen = Memory()
    async with outlet([seen]) as (charger, bench):
        vehicle, car = vehicle_for(charger, max_loops=400)
        run = asyncio.create_task(listen(vehicle, []))
        async with living(car, vehicle.ev.write), plugged(bench, vehicle, car):
            await until(lambda: bench.state.current_a > 1.0, 10.0)
            charger._reception.session._transport.abort()
            await until(lambda: "STEP_EF" in [e.state for e in seen.of(PlugState)], 5.0)
            bench.plug_in()
            await until(lambda: len([e for e in seen.of(PlugState) if e.state == "SESSION"]) == 2, 10.0)
            await vehicle.stop(grace_s=5.0)
        await asyncio.wait((run,))


async def test_emergency_stop_is_shown_by_the_pilot_at_once():
    seen = Memory()
    async with outlet([seen]) as (charger, bench):
        bench.plug_in()
        await until(lambda: bench.duty == 5.0)
        bench._set(emergency_stop=True)
        await until(lambda: bench.duty == 0.0)
        assert not charger._communicating


async def test_a_pilot_that_cannot_be_driven_is_told():
    seen = Memory()
    async with outlet([seen]) as (_, bench):
        bench.fail = True
        bench.plug_in()
        await until(lambda: seen.of(ControllerFault))
        assert "pilot driver does not answer" in seen.of(ControllerFault)[0].error


async def test_a_defect_in_the_plug_leaves_nothing_energised(monkeypatch):
    seen = Memory()
    async with outlet([seen]) as (charger, bench):
        commands = []
        charger._plug._hardware = dataclasses.replace(charger._hardware, command=commands.append)
        monkeypatch.setattr(charger._plug.machine, "receive", lambda *_: 1 / 0)
        bench.plug_in()
        await until(lambda: seen.of(InternalFault))
        assert "ZeroDivisionError" in seen.of(InternalFault)[0].error
        assert isinstance(commands[-1], Deenergise)
