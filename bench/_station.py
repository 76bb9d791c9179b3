"""A charger on loopback for the benchmarks to talk to: tells its port, serves until its input ends."""

from __future__ import annotations

import asyncio
import logging
import sys

from iso15118.config import SeccConfig
from iso15118.control.common import EnergyService
from iso15118.runtime.charger import Charger
from iso15118.runtime.events import ChargerListening, Disconnected
from iso15118.sim.controllers import AC_STATION, DC_STATION
from iso15118.sim.realtime import BenchStation, run_bench


async def main(service: EnergyService) -> None:
    bench = BenchStation(AC_STATION if service.is_ac else DC_STATION, cable_check_s=0.05)
    config = SeccConfig(services=(service,), insecure_no_tls=True)
    charger = Charger(config, bench, "lo", state=bench.state, discovery=False)
    hardware = asyncio.create_task(run_bench(bench, charger.evse.write))
    ending: list[asyncio.Future[None]] = []

    def end() -> None:
        asyncio.get_running_loop().remove_reader(sys.stdin)
        ending.append(asyncio.ensure_future(charger.stop(grace_s=0)))

    asyncio.get_running_loop().add_reader(sys.stdin, end)
    async for event in charger.run():
        if isinstance(event, ChargerListening):
            print(event.port, flush=True)
        elif isinstance(event, Disconnected):
            bench.plug_in()
            print("free", flush=True)
    hardware.cancel()
    await asyncio.gather(hardware, *ending, return_exceptions=True)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    asyncio.run(main(EnergyService[sys.argv[1]]))
