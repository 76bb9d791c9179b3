"""A charger (SECC) on a network interface, with a virtual station behind it.

It answers discovery, accepts one car at a time and carries out what the session commands on a virtual
station without hardware. Ctrl-C or SIGTERM ends a running session in an orderly way; a second one cuts it.
A station with real hardware is a program of its own: see `iso15118.Charger`.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
from typing import TYPE_CHECKING

from iso15118.cli import endpoint
from iso15118.cli.main import FAILED, OK, UsageError

if TYPE_CHECKING:
    from iso15118.config import SeccConfig
    from iso15118.control.common import EnergyService
    from iso15118.sim.realtime import BenchStation


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `iso15118 charger`."""
    endpoint.add_common_options(parser)
    parser.add_argument("--port", type=int, default=0, metavar="N", help="TCP port (default: a free one)")
    parser.add_argument(
        "--energy",
        metavar="LIST",
        help="services offered, by preference: AC,AC_BPT or DC,DC_BPT (default: DC_BPT,DC, or the file's)",
    )


def run(args: argparse.Namespace) -> int:
    """Serve cars until told to stop, or one with --once."""
    if not 0 <= args.port <= 65535:
        raise UsageError(f"--port {args.port}; accepted: 0 to 65535")
    config = _config(args)
    endpoint.demand_consent(config.insecure_no_tls)
    station = _station(config.services)
    endpoint.enable_log()
    try:
        return asyncio.run(_serve(args, config, station))
    except asyncio.CancelledError:
        return FAILED


def _config(args: argparse.Namespace) -> SeccConfig:
    from iso15118.config import SeccConfig
    from iso15118.control.common import EnergyService
    from iso15118.sim.scenarios import service_of

    config = SeccConfig.from_toml(args.config) if args.config else None
    config = config or SeccConfig(services=(EnergyService.DC_BPT, EnergyService.DC))
    if args.energy:
        services = tuple(service_of(name.strip()) for name in args.energy.split(","))
        config = dataclasses.replace(config, services=services)
    return dataclasses.replace(
        config, insecure_no_tls=args.insecure_no_tls or config.insecure_no_tls, discovery_window_s=None
    )


def _station(services: tuple[EnergyService, ...]) -> BenchStation:
    from iso15118.sim.controllers import AC_STATION, DC_STATION
    from iso15118.sim.realtime import BenchStation

    if len({service.is_ac for service in services}) > 1:
        raise UsageError("the virtual station is either AC or DC: offer services of one kind")
    return BenchStation(AC_STATION if services[0].is_ac else DC_STATION)


async def _serve(args: argparse.Namespace, config: SeccConfig, station: BenchStation) -> int:
    from iso15118.events import SessionEnded
    from iso15118.runtime.charger import Charger
    from iso15118.runtime.events import Disconnected
    from iso15118.sim.realtime import run_bench

    charger = Charger(config, station, args.interface, port=args.port, state=station.state)
    printer = endpoint.Printer("SECC", as_json=args.json)
    ended: SessionEnded | None = None
    with endpoint.orderly_stop(charger.stop):
        async with endpoint.in_background(run_bench(station, charger.evse.write)):
            async for event in charger.run():
                printer(event)
                if isinstance(event, SessionEnded):
                    ended = event
                elif isinstance(event, Disconnected):
                    station.plug_in()
                    if args.once and ended is not None:
                        await charger.stop()
    printer.end()
    if not args.once:
        return OK
    return OK if ended is not None and ended.as_intended else FAILED
