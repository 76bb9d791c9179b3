"""Two connectors in one process: each has its own configuration, state and session, neither disturbs the other.

One of three is configured wrongly on purpose; the others do not notice.
"""

import asyncio
import logging

from iso15118 import Charger, EnergyService, EvccConfig, SeccConfig, Vehicle
from iso15118.events import SessionEnded
from iso15118.runtime.events import ChargerListening
from iso15118.runtime.several import ChargerStopped, run_all
from iso15118.sim.controllers import AC_STATION
from iso15118.sim.realtime import BenchCar, BenchStation, run_bench


async def charge(address, service):
    car = BenchCar(service)
    config = EvccConfig(services=(service,), max_loops=3, insecure_no_tls=True)
    vehicle = Vehicle(config, car, "lo", state=car.state, charger=address)
    measuring = asyncio.create_task(run_bench(car, vehicle.ev.write))
    async for _ in vehicle.run():
        pass
    measuring.cancel()


def connector(name, service, interface="lo"):
    station = BenchStation(AC_STATION) if service.is_ac else BenchStation(cable_check_s=0.3)
    config = SeccConfig(evse_id=name, services=(service,), insecure_no_tls=True)
    charger = Charger(config, station, interface, state=station.state, discovery=False)
    return charger, asyncio.create_task(run_bench(station, charger.evse.write))


async def main():
    made = [
        connector("DE*ABC*E1*1", EnergyService.DC),
        connector("DE*ABC*E1*2", EnergyService.AC),
        connector("DE*ABC*E1*3", EnergyService.AC, interface="plc9"),
    ]
    cars = []
    ended = 0
    async for charger, event in run_all([charger for charger, _ in made]):
        name = charger.config.evse_id
        match event:
            case ChargerListening():
                print(f"{name} is ready")
                cars.append(asyncio.create_task(charge(charger.address, charger.config.services[0])))
            case SessionEnded(reason=reason):
                print(f"{name}: session {reason.value}")
                ended += 1
            case ChargerStopped(error=error):
                print(f"{name} stopped: {error or 'on purpose'}")
        if ended == 2:
            break
    await asyncio.gather(*cars)
    for _, measuring in made:
        measuring.cancel()


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    asyncio.run(main())
