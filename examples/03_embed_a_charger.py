"""A charger with its own firmware class and a car, over real sockets on the loopback interface.

The firmware here is a lamp board: commands change a few variables, and every change is written
to `charger.evse`. Replace `Board` with your hardware. Without TLS, which a later version brings,
ISO 15118-20 has to be allowed by name: for laboratories only.
"""

import asyncio
import contextlib

from iso15118 import Authorization, Charger, EnergyOffer, EvccConfig, EvseControllerBase, SeccConfig, Vehicle
from iso15118.control.common import EnergyService
from iso15118.sim.realtime import BenchCar, BenchStation, run_bench


class Firmware(EvseControllerBase):
    """What a charger maker writes: carry out commands, decide, offer."""

    def __init__(self) -> None:
        self.board = BenchStation(cable_check_s=0.2)

    def command(self, command):
        print("  command", command)
        self.board.command(command)

    async def authorize(self, question):
        return Authorization(accepted=True, reason=f"{question.evcc_id} is known here")

    async def offer_energy(self, question):
        return EnergyOffer.flat(max_w=50_000, discharge_w=10_000, price_per_kwh=0.39, feed_in_per_kwh=0.12)


async def main() -> None:
    service = EnergyService.DC_BPT
    firmware, car = Firmware(), BenchCar(service)
    charger = Charger(
        SeccConfig(services=(service,), insecure_no_tls=True),
        firmware,
        "lo",
        state=firmware.board.state,
        discovery=False,
    )
    async with charger:
        vehicle = Vehicle(
            EvccConfig(services=(service,), max_loops=5, insecure_no_tls=True),
            car,
            "lo",
            state=car.state,
            charger=charger.address,
        )
        loops = (
            asyncio.create_task(run_bench(firmware.board, charger.evse.write)),
            asyncio.create_task(run_bench(car, vehicle.ev.write)),
        )
        async for event in vehicle.run():
            print(type(event).__name__)
        for loop in loops:
            loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await loop


asyncio.run(main())
