"""A car (EVCC) on a network interface.

It looks for a charger, connects and charges for some charge loops. Without --hardware the car is pretended: no inlet,
every command succeeds. With --hardware it drives the devices of a file, or virtual ones, from the pilot to the
battery, and with --modem it finds the charger over the powerline as well; a plug-in lasts until the connector is out.
With --pki it speaks TLS, which ISO 15118-20 demands.
Ctrl-C or SIGTERM ends the session in an orderly way; a second one cuts it.

  iso15118 vehicle --interface eth1 --pki pki/ --config car.toml --hardware car.toml --modem eth1
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from iso15118.cli import endpoint, hardware, trust
from iso15118.cli.main import FAILED, OK, UsageError
from iso15118.errors import LinkError

if TYPE_CHECKING:
    from iso15118.config import EvccConfig
    from iso15118.events import SessionEnded
    from iso15118.runtime.security import Security
    from iso15118.runtime.vehicle import Vehicle

LOOPS: Final = 20
PAUSE_S: Final = 2.0
"""Between two sessions without --once."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `iso15118 vehicle`."""
    endpoint.add_common_options(parser)
    trust.add_authorization(parser, "fetch a contract over the station first, as if --pki had none")
    hardware.add_options(parser)
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
    drive = _drive_hardware if hardware.wanted(args) else _drive_pretended
    endpoint.enable_log()
    try:
        with trust.security(args, "EVCC", insecure=config.insecure_no_tls) as security:
            return asyncio.run(drive(args, config, security))
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
    config = dataclasses.replace(
        config,
        authorization=trust.with_contracts(args, config.authorization),
        install_contracts=args.install or config.install_contracts,
    )
    return dataclasses.replace(config, insecure_no_tls=args.insecure_no_tls or config.insecure_no_tls)


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


async def _drive_pretended(args: argparse.Namespace, config: EvccConfig, security: Security | None) -> int:
    """A car that only says what the session wants to hear; each time as it was at first."""
    from iso15118.runtime.vehicle import Vehicle
    from iso15118.sim.realtime import BenchCar, run_bench

    stopped = _Stopped()

    async def plug_in(printer: endpoint.Printer) -> SessionEnded | None:
        car = BenchCar(config.services[0], config.control_mode)
        car.wanted = config.services
        vehicle = Vehicle(config, car, args.interface, identity=security, state=car.state)
        async with endpoint.in_background(run_bench(car, vehicle.ev.write)):
            return await _listen(vehicle, printer, stopped)

    return await _drive(args, plug_in, stopped)


async def _drive_hardware(args: argparse.Namespace, config: EvccConfig, security: Security | None) -> int:
    """A car that measures and acts, and owns the inlet."""
    from iso15118.runtime.plug import Plug
    from iso15118.runtime.vehicle import Vehicle

    stopped = _Stopped()
    async with hardware.car(args, config) as rig:
        vehicle = Vehicle(
            config,
            rig.controller,
            args.interface,
            identity=security,
            plug=Plug(rig.port),
            sinks=rig.sinks,
        )
        return await _drive(args, lambda printer: _listen(vehicle, printer, stopped), stopped)


async def _drive(
    args: argparse.Namespace,
    plug_in: Callable[[endpoint.Printer], Awaitable[SessionEnded | None]],
    stopped: _Stopped,
) -> int:
    """Plug in once, or again and again until told to stop."""
    printer = endpoint.Printer("EVCC", as_json=args.json)
    ended: SessionEnded | None = None
    with endpoint.orderly_stop(stopped):
        while not stopped.event.is_set():
            try:
                ended = await plug_in(printer)
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


async def _listen(vehicle: Vehicle, printer: endpoint.Printer, stopped: _Stopped) -> SessionEnded | None:
    """One plug-in: print its events; how its last session ended."""
    stopped.vehicle_stop = vehicle.stop
    async for event in vehicle.run():
        printer(event)
    stopped.vehicle_stop = _nothing
    printer.end()
    return vehicle.result
