"""Embed a charger in a firmware: one controller, one state, one loop of events.

The firmware's hardware is a virtual station here, and a car comes over the loopback interface, so that this
runs anywhere. In a charger, `Board` talks to relays and a power supply, and calls `charger.evse.update(...)`
whenever something is measured.
"""

import asyncio
import logging

from iso15118 import (
    Authorization,
    Charger,
    ControlMode,
    EnergyOffer,
    EnergyService,
    EvccConfig,
    SeccConfig,
    Vehicle,
)
from iso15118.events import PowerFlow, ServiceSelected, SessionEnded, SessionEstablished
from iso15118.runtime.events import ChargerListening
from iso15118.sim.realtime import BenchCar, BenchStation, run_bench


class Board(BenchStation):
    """The charger's own code: what the session asks it to decide. Commands are the virtual station's."""

    async def authorize(self, question):
        print(f"  card reader: may {question.evcc_id} charge?")
        await asyncio.sleep(0.3)  # somebody looks for a card; the car is told to wait
        return Authorization(accepted=True, reason="card 4711")

    async def offer_energy(self, question):
        most = min(question.limits.charge.max_power_w, 50_000.0)  # what the building has left
        return EnergyOffer.flat(max_w=most, price_per_kwh=0.39)


async def car_comes_by(address):
    """A car that charges for half a second."""
    car = BenchCar()
    car.control_mode = ControlMode.DYNAMIC
    config = EvccConfig(services=(EnergyService.DC,), max_loops=5, insecure_no_tls=True)
    vehicle = Vehicle(config, car, "lo", state=car.state, charger=address)
    measuring = asyncio.create_task(run_bench(car, vehicle.ev.write))
    async for _ in vehicle.run():
        pass
    measuring.cancel()


async def main():
    board = Board(cable_check_s=0.3)
    config = SeccConfig(services=(EnergyService.DC,), insecure_no_tls=True)  # a laboratory: no TLS
    charger = Charger(config, board, "lo", state=board.state, discovery=False)
    measuring = asyncio.create_task(run_bench(board, charger.evse.write))
    visitor = None
    async for event in charger.run():
        match event:
            case ChargerListening(address=address, port=port):
                print(f"listening on [{address}]:{port}")
                visitor = asyncio.create_task(car_comes_by((address, port)))
            case SessionEstablished(peer_id=name):
                print(f"{name} is here")
            case ServiceSelected(service=service, control_mode=mode):
                print(f"  wants {service}, {mode.lower()}")
            case PowerFlow(power_w=power):
                print(f"  {power / 1000:.1f} kW")
            case SessionEnded(reason=reason, detail=detail):
                print(f"session {reason.value}: {detail}")
                await visitor
                await charger.stop()
    measuring.cancel()


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # the warning about the missing TLS, for once
    asyncio.run(main())
