"""Runs in a private network: from plug to unplug over raw frames, real sockets and virtual hardware.

    python whole_stack.py DC|AC

Two interfaces, `pev` and `pse`, hang on one virtual powerline with a modem each. Prints what came of it as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import replace

from support import until

from hal.drivers.packet_port import PacketPort
from hal.virtual.ac_circuit import OnBoardCharger
from hal.virtual.realtime import LiveBench
from hal.virtual.watch import Watcher
from iso15118.config import EvccConfig, EvccTimers, SeccConfig, SeccTimers
from iso15118.control.common import ControlMode, EnergyService
from iso15118.control.ev import EvControllerBase
from iso15118.events import SessionEnded
from iso15118.hardware import HalEv, HalEvConfig, HalEvse, HalEvseConfig
from iso15118.hardware.config import CableCheckConfig
from iso15118.plug.words import PlugState
from iso15118.runtime.charger import Charger
from iso15118.runtime.plug import Plug
from iso15118.runtime.vehicle import Vehicle
from iso15118.sim.powerline.config import EV_MODEM, EVSE_MODEM
from iso15118.sim.powerline.hub import Hub
from iso15118.sim.powerline.medium import Medium
from iso15118.sim.powerline.veth import lay_cable, veth_hub
from iso15118.slac.events import KeySet, LinkReady, LinkStateEntered, MatchingStarted

EVSE_MAC, EV_MAC = bytes.fromhex("02000000e5e0"), bytes.fromhex("0200000000e0")
JOIN_S = 0.5
WH = 3.0
QUICK_CHECK = CableCheckConfig(readings=1, reading_interval_s=0.3)


class Owner(EvControllerBase):
    control_mode = ControlMode.DYNAMIC

    def __init__(self, service: EnergyService) -> None:
        self.wanted = (service,)


def first(events, kind, **values):
    return next(
        e for e in events if isinstance(e, kind) and all(getattr(e, k) == v for k, v in values.items())
    )


async def listen(source, into: list) -> None:
    async for event in source.run():
        into.append(event)  # noqa: PERF401 - each as it comes


async def main(energy: str) -> dict:
    service = EnergyService[energy]
    medium = Medium(seed=1)
    evse_port = medium.attach(EVSE_MAC, replace(EVSE_MODEM, join_s=(JOIN_S, JOIN_S)))
    ev_port = medium.attach(EV_MAC, replace(EV_MODEM, join_s=(JOIN_S, JOIN_S)))
    lay_cable("pse", "hse", EVSE_MAC)
    lay_cable("pev", "hev", EV_MAC)
    bench = LiveBench(dc=service.is_dc, seed=1, charger=OnBoardCharger(start_s=0.3, slew_w_s=20_000.0))
    watcher = Watcher(bench)
    station_side, car_side = bench.evse(), bench.ev()
    with Hub(medium) as hub, veth_hub(hub, {evse_port: "hse", ev_port: "hev"}):
        await station_side.open()
        await car_side.open()
        station = HalEvse(station_side, HalEvseConfig(cable_check=QUICK_CHECK), time.monotonic)
        car = HalEv(car_side, HalEvConfig(), time.monotonic, Owner(service))
        secc = SeccConfig(
            services=(service,),
            insecure_no_tls=True,
            timers=SeccTimers(loop_sequence_s=10.0, hardware_silence_s=10.0),
        )
        evcc = EvccConfig(
            services=(service,),
            insecure_no_tls=True,
            timers=EvccTimers(loop_message_s=10.0, hardware_silence_s=10.0),
        )
        charger = Charger(secc, station, "pse", plug=Plug(PacketPort("pse")))
        vehicle = Vehicle(evcc, car, "pev", plug=Plug(PacketPort("pev")))
        seen: list = []
        seen_ev: list = []
        serving = asyncio.create_task(listen(charger, seen))
        driving = asyncio.create_task(listen(vehicle, seen_ev))
        await until(lambda: any(isinstance(e, KeySet) for e in seen), 10.0)
        bench.plug()
        await until(lambda: bench.registers.import_wh > WH, 40.0)
        vehicle._session.stop("charged enough")
        await until(lambda: any(isinstance(e, PlugState) and e.state == "ENDED" for e in seen), 30.0)
        await until(lambda: not bench.station.bolt.locked and not bench.car.bolt.locked, 20.0)
        bench.unplug()
        await asyncio.wait((driving,), timeout=5.0)
        await until(lambda: seen and [e for e in seen if isinstance(e, PlugState)][-1].state == "EMPTY", 5.0)
        await charger.stop()
        await serving
        await station_side.close()
        await car_side.close()
    begun = first(seen_ev, MatchingStarted).t
    matched = first(seen_ev, LinkReady).t
    return {
        "slac_s": round(matched - begun - JOIN_S, 3),
        "ends": {e.role: e.reason.value for e in (*seen, *seen_ev) if isinstance(e, SessionEnded)},
        "peer": first(seen_ev, LinkReady).peer.hex(":"),
        "wh": round(bench.registers.import_wh, 1),
        "violations": [str(v) for v in watcher.verdict()],
        "link": [e.state.value for e in seen_ev if isinstance(e, LinkStateEntered)],
        "driving_over": driving.done(),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1]))))
