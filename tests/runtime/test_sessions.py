"""Whole sessions over loopback TCP in real time, with both machines of the stack."""

import asyncio
import contextlib

import pytest
from support import car_for, drive, fake_charger, living, station, until

from hal.virtual.circuit import DcPlant
from iso15118.config import EvccConfig, SeccConfig
from iso15118.control.common import Contactor, ControlMode, EnergyService
from iso15118.control.evse import Deenergise
from iso15118.errors import ConfigError, DiscoveryError, LinkError
from iso15118.events import CommandIssued, EndReason, Fault, MessageReceived, SessionEnded, StateEntered
from iso15118.runtime.charger import Charger
from iso15118.runtime.events import ConnectFailed, Disconnected
from iso15118.runtime.several import ChargerStopped, run_all
from iso15118.runtime.sinks import Memory
from iso15118.runtime.vehicle import Vehicle
from iso15118.sim.controllers import EvseSetup, EvSetup, VirtualEv, VirtualEvse
from iso15118.sim.realtime import BenchCar, LiveEv, LiveEvse, run_plant

pytestmark = [pytest.mark.asyncio, pytest.mark.runtime]

BOTH = [ControlMode.SCHEDULED, ControlMode.DYNAMIC]
SERVICES = [EnergyService.AC, EnergyService.DC, EnergyService.AC_BPT, EnergyService.DC_BPT]


@pytest.mark.parametrize("control", BOTH, ids=lambda c: c.name.lower())
@pytest.mark.parametrize("service", SERVICES, ids=lambda s: s.name)
async def test_a_session_from_hello_to_goodbye(service, control, nothing_left):
    seen, seen_ev = Memory(), Memory()
    async with station(service, sinks=[seen]) as (charger, bench):
        vehicle, car = car_for(charger, service, control, sinks=[seen_ev])
        result = await drive(vehicle, car)
        await until(lambda: seen.of(SessionEnded))
        assert result.reason is EndReason.COMPLETED, result
        assert [event.reason for event in seen.of(SessionEnded)] == [EndReason.COMPLETED]
        assert bench.state.contactor is Contactor.OPEN
        assert not bench.state.locked
        loops = [e for e in seen.of(MessageReceived) if "ChargeLoopReq" in type(e.message).__name__]
        assert len(loops) >= 3
    await nothing_left()


async def test_session_after_session():
    seen = Memory()
    async with station(sinks=[seen]) as (charger, bench):
        for number in range(1, 4):
            vehicle, car = car_for(charger)
            assert (await drive(vehicle, car)).as_intended
            await until(lambda: len(seen.of(Disconnected)) == number)  # noqa: B023
            await until(lambda: not charger.in_session)
            await asyncio.sleep(0.02)
            bench.plug_in()
    assert [event.reason for event in seen.of(SessionEnded)] == [EndReason.COMPLETED] * 3


VANISH_AT = [
    "SESSION_SETUP",
    "AUTHORIZATION",
    "SERVICE",
    "CABLE_CHECK",
    "PRE_CHARGE",
    "CHARGE_LOOP",
    "WELDING",
]


@pytest.mark.parametrize("phase", VANISH_AT)
async def test_regression_18_a_vehicle_that_disappears_leaves_no_power_on(phase):
    seen = Memory()
    async with station(sinks=[seen]) as (charger, bench):
        vehicle, car = car_for(charger, max_loops=5)
        await drive(vehicle, car, lambda e: isinstance(e, StateEntered) and phase in e.state)
        await until(lambda: seen.of(Disconnected))
        (ended,) = seen.of(SessionEnded)
        assert (ended.reason, ended.fault) == (EndReason.PEER_CLOSED, Fault.REMOTE)
        await until(lambda: bench.state.contactor is Contactor.OPEN)
        assert bench.state.voltage_v == 0
        assert any(isinstance(e.command, Deenergise) for e in seen.of(CommandIssued))
        told = len(seen.events)
        await asyncio.sleep(0.4)
        # Levels go on changing (the pilot falls back), but nothing repeats.
        assert len(seen.events) - told < 6, seen.events[told:]
        assert not charger.in_session
        # ... and the next vehicle is served.
        bench.plug_in()
        vehicle, car = car_for(charger)
        assert (await drive(vehicle, car)).as_intended


async def test_a_charger_that_disappears_leaves_the_vehicle_without_power():
    async with station() as (charger, _):
        vehicle, car = car_for(charger, max_loops=None)
        async with living(car, vehicle.ev.write):
            async for event in vehicle.run():
                if isinstance(event, StateEntered) and event.state == "CHARGE_LOOP":
                    await charger.stop(grace_s=0)
        await until(lambda: car.state.contactor is Contactor.CLOSED or car.state.power_w == 0)
        assert vehicle.result.reason is EndReason.PEER_CLOSED
        assert car.state.power_w == 0


async def test_stop_in_the_charge_loop_ends_the_session_in_an_orderly_way():
    seen = Memory()
    async with station(sinks=[seen]) as (charger, bench):
        vehicle, car = car_for(charger, max_loops=None)

        async def stop_in_loop():
            await until(lambda: any(e.state == "CHARGE_LOOP" for e in seen.of(StateEntered)), 8.0)
            await asyncio.sleep(0.1)
            await charger.stop("maintenance", grace_s=8.0)

        stopping = asyncio.create_task(stop_in_loop())
        result = await drive(vehicle, car)
        await stopping
        assert result.reason is EndReason.COMPLETED, result
        assert seen.of(SessionEnded)[0].as_intended
        assert bench.state.contactor is Contactor.OPEN


async def test_the_vehicle_can_stop_too():
    async with station() as (charger, _):
        vehicle, car = car_for(charger, max_loops=None)

        async def stop_in_loop():
            await until(lambda: car.state.contactor is Contactor.CLOSED, 8.0)
            await asyncio.sleep(0.2)
            await vehicle.stop("driver is back", grace_s=8.0)

        stopping = asyncio.create_task(stop_in_loop())
        result = await drive(vehicle, car)
        await stopping
        assert result.reason is EndReason.COMPLETED, result


async def test_two_chargers_in_one_process_serve_two_vehicles_at_once(nothing_left):
    async with station() as (one, _), station(EnergyService.AC) as (other, _):
        first, first_car = car_for(one)
        second, second_car = car_for(other, EnergyService.AC)
        results = await asyncio.gather(drive(first, first_car), drive(second, second_car))
        assert [result.reason for result in results] == [EndReason.COMPLETED] * 2
    await nothing_left()


async def test_regression_20_a_vehicle_s_death_at_one_evse_does_not_disturb_the_other():
    async with station() as (one, _), station() as (other, _):
        dying, dying_car = car_for(one)
        living_one, car = car_for(other)
        results = await asyncio.gather(
            drive(dying, dying_car, lambda e: isinstance(e, StateEntered) and "CABLE" in e.state),
            drive(living_one, car),
        )
        assert results[1].reason is EndReason.COMPLETED


async def test_run_all_yields_events_of_every_charger():
    async with contextlib.AsyncExitStack() as stack:
        chargers = [fake_charger([]) for _ in range(2)]
        for charger in chargers:
            await stack.enter_async_context(charger)
        seen = []

        async def read():
            async for charger, event in run_all(chargers):
                seen.append((charger, event))

        reading = asyncio.create_task(read())
        await until(lambda: len(seen) == 2)
        for charger in chargers:
            await charger.stop()
        await reading
    assert [type(e) for _, e in seen].count(ChargerStopped) == 2


# --- the vehicle on its own -------------------------------------------------------------------


async def test_the_vehicle_refuses_to_run_without_tls_unless_told_so():
    vehicle = Vehicle(EvccConfig(), BenchCar(), "lo", charger=("::1", 9))
    with pytest.raises(ConfigError, match="insecure_no_tls=True"):
        async for _ in vehicle.run():
            pass


async def test_a_charger_that_is_not_there_is_tried_as_often_as_told(nothing_left):
    seen = Memory()
    config = EvccConfig(insecure_no_tls=True, discovery_cycles=2)
    vehicle = Vehicle(config, BenchCar(), "lo", charger=("::1", 9), sinks=[seen])
    with pytest.raises(LinkError, match="cannot connect"):
        async for _ in vehicle.run():
            pass
    assert len(seen.of(ConnectFailed)) == 2
    assert vehicle.result is None
    await nothing_left()


async def test_discovery_that_finds_nobody_ends_with_an_error(nothing_left):
    from iso15118.discovery.sdp_client import SdpClientConfig

    quick = SdpClientConfig(
        tls=False, allow_tls=False, link_local_only=False, interval_s=0.02, max_requests=3
    )
    config = EvccConfig(insecure_no_tls=True, discovery_cycles=2)
    vehicle = Vehicle(config, BenchCar(), "lo", discovery=quick)
    with pytest.raises(DiscoveryError, match="no charger found on lo"):
        async for _ in vehicle.run():
            pass
    await nothing_left()


async def test_stop_during_discovery_ends_the_run_quietly(nothing_left):
    vehicle = Vehicle(EvccConfig(insecure_no_tls=True), BenchCar(), "lo")
    seen = []

    async def read():
        async for event in vehicle.run():
            seen.append(event)  # noqa: PERF401 - to be read meanwhile

    reading = asyncio.create_task(read())
    await until(lambda: seen)
    await vehicle.stop()
    async with asyncio.timeout(1.0):
        await reading
    await nothing_left()


async def test_both_sides_of_one_simulated_circuit_in_real_time(nothing_left):
    plant = DcPlant()
    evse, ev = VirtualEvse(plant, EvseSetup(cable_check_s=0.3)), VirtualEv(plant, EvSetup())
    charger = Charger(
        SeccConfig(insecure_no_tls=True), LiveEvse(evse), "lo", state=evse.state(), discovery=False
    )
    async with charger:
        vehicle = Vehicle(
            EvccConfig(insecure_no_tls=True, max_loops=5, poll_interval_s=0.02),
            LiveEv(ev),
            "lo",
            state=ev.state(),
            charger=charger.address,
        )
        task = asyncio.create_task(run_plant(plant, evse, ev, charger.evse.write, vehicle.ev.write))
        async for _ in vehicle.run():
            pass
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert vehicle.result.reason is EndReason.COMPLETED, vehicle.result
    assert plant.delivered_wh > 0
    assert not plant.evse_contactor.closed
    await nothing_left()
