"""A car (EVCC) on a network interface, with a virtual battery behind it.

It looks for a charger, connects and charges for some charge loops. Ctrl-C or SIGTERM ends the session in
an orderly way; a second one cuts it. A car with a real battery is a program of its own: see
`iso15118.Vehicle`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import sys
from typing import TYPE_CHECKING, Final

from iso15118.cli import endpoint
from iso15118.cli.main import FAILED, OK, UsageError
from iso15118.errors import LinkError

if TYPE_CHECKING:
    from iso15118.config import EvccConfig
    from iso15118.events import SessionEnded
    from iso15118.sim.realtime import BenchCar

LOOPS: Final = 20
PAUSE_S: Final = 2.0
"""Between two sessions without --once."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `iso15118 vehicle`."""
    endpoint.add_common_options(parser)
    parser.add_argument(
        "--energy", metavar="SERVICE", help="AC, AC_BPT, DC or DC_BPT (default: DC, or the file's)"
    )
    parser.add_argument(
        "--control", choices=("scheduled", "dynamic"), help="control mode (default: what is offered)"
    )
    parser.add_argument(
        "--loops",
        type=int,
        metavar="N",
        help=f"end after N charge loops (default: {LOOPS}, or the file's; 0: never)",
    )


def run(args: argparse.Namespace) -> int:
    """Charge once, or again and again until told to stop."""
    if args.loops is not None and args.loops < 0:
        raise UsageError("--loops takes 0 or more")
    config = _config(args)
    endpoint.demand_consent(config.insecure_no_tls)
    endpoint.enable_log()
    try:
        return asyncio.run(_drive(args, config))
    except asyncio.CancelledError:
        return FAILED


def _config(args: argparse.Namespace) -> EvccConfig:
    from iso15118.config import EvccConfig
    from iso15118.sim.scenarios import control_of, service_of

    config = EvccConfig.from_toml(args.config) if args.config else EvccConfig(max_loops=LOOPS)
    if args.energy:
        config = dataclasses.replace(config, services=(service_of(args.energy),))
    if args.control:
        config = dataclasses.replace(config, control_mode=control_of(args.control))
    if args.loops is not None:
        config = dataclasses.replace(config, max_loops=args.loops or None)
    return dataclasses.replace(config, insecure_no_tls=args.insecure_no_tls or config.insecure_no_tls)


def _car(config: EvccConfig) -> BenchCar:
    from iso15118.sim.realtime import BenchCar

    car = BenchCar(config.services[0], config.control_mode)
    car.wanted = config.services
    return car


class _Stopped:
    """Whether a signal has asked for the end, and how to hand it to the running plug-in."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.vehicle_stop = _nothing

    async def __call__(self) -> None:
        self.event.set()
        await self.vehicle_stop()


async def _nothing() -> None:
    """No plug-in is going on."""


async def _drive(args: argparse.Namespace, config: EvccConfig) -> int:
    printer = endpoint.Printer("EVCC", as_json=args.json)
    stopped = _Stopped()
    ended: SessionEnded | None = None
    with endpoint.orderly_stop(stopped):
        while not stopped.event.is_set():
            try:
                ended = await _plug_in(args, config, printer, stopped)
            except LinkError as error:
                if args.once:
                    raise
                print(f"iso15118: {error.diagnostics()}", file=sys.stderr)
            if args.once:
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.event.wait(), PAUSE_S)
    if not args.once:
        return OK
    return OK if ended is not None and ended.as_intended else FAILED


async def _plug_in(
    args: argparse.Namespace, config: EvccConfig, printer: endpoint.Printer, stopped: _Stopped
) -> SessionEnded | None:
    """One session from discovery to its end."""
    from iso15118.runtime.vehicle import Vehicle
    from iso15118.sim.realtime import run_bench

    car = _car(config)
    vehicle = Vehicle(config, car, args.interface, state=car.state)
    stopped.vehicle_stop = vehicle.stop
    async with endpoint.in_background(run_bench(car, vehicle.ev.write)):
        async for event in vehicle.run():
            printer(event)
    stopped.vehicle_stop = _nothing
    printer.end()
    return vehicle.result
