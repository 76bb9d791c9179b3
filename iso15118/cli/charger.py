"""A charger (SECC) on a network interface.

It answers discovery and accepts one car at a time. Without --hardware the station behind it is pretended: no pilot,
every command succeeds. With --hardware it drives the devices of a file, or virtual ones, from the pilot to the meter,
and with --modem it finds the car over the powerline as well.
With --pki it speaks TLS, which ISO 15118-20 demands.
Ctrl-C or SIGTERM ends a running session in an orderly way; a second one cuts it.

  iso15118 charger --interface eth1 --pki pki/ --config charger.toml --hardware station.toml --modem eth1
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from iso15118.cli import endpoint, hardware, trust
from iso15118.cli.main import FAILED, OK, UsageError

if TYPE_CHECKING:
    from iso15118.config import SeccConfig
    from iso15118.runtime.charger import Charger
    from iso15118.runtime.security import Security


Serve = Callable[[argparse.Namespace, "SeccConfig", "Security | None"], Awaitable[int]]


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `iso15118 charger`."""
    endpoint.add_common_options(parser)
    trust.add_authorization(
        parser, "let the car of --pki fetch the contract of --pki; a back end for laboratories"
    )
    trust.add_feed(parser)
    hardware.add_options(parser)
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
    kinds = {service.is_ac for service in config.services}
    if len(kinds) > 1:
        raise UsageError("a station is either AC or DC: offer services of one kind")
    serve = _serve_hardware if hardware.wanted(args) else _serve_pretended
    endpoint.enable_log()
    try:
        with trust.security(args, "SECC", insecure=config.insecure_no_tls) as security:
            return asyncio.run(_with_feed(serve, args, config, security))
    except asyncio.CancelledError:
        return FAILED


async def _with_feed(
    serve: Serve, args: argparse.Namespace, config: SeccConfig, security: Security | None
) -> int:
    """Serve, and fetch what is known about revocation where that is wanted."""
    security, feed = trust.feed(args, security)
    if feed is None:
        return await serve(args, config, security)
    await feed.refresh()  # the first car shall not find an old one
    async with endpoint.in_background(feed.run()):
        return await serve(args, config, security)


def _config(args: argparse.Namespace) -> SeccConfig:
    from iso15118.config import SeccConfig
    from iso15118.control.common import EnergyService
    from iso15118.sim.scenarios import service_of

    config = SeccConfig.from_toml(args.config) if args.config else None
    config = config or SeccConfig(services=(EnergyService.DC_BPT, EnergyService.DC))
    if args.energy:
        services = tuple(service_of(name.strip()) for name in args.energy.split(","))
        config = dataclasses.replace(config, services=services)
    config = dataclasses.replace(
        config,
        authorization=trust.with_contracts(args, config.authorization),
        certificate_installation=args.install or config.certificate_installation,
    )
    return dataclasses.replace(
        config, insecure_no_tls=args.insecure_no_tls or config.insecure_no_tls, discovery_window_s=None
    )


async def _serve_pretended(args: argparse.Namespace, config: SeccConfig, security: Security | None) -> int:
    """A station that only says what the session wants to hear."""
    from iso15118.runtime.charger import Charger
    from iso15118.runtime.events import Disconnected
    from iso15118.sim.controllers import AC_STATION, DC_STATION
    from iso15118.sim.realtime import BenchStation, run_bench

    limits = DC_STATION if config.dc else AC_STATION
    station = BenchStation(limits, back_end=trust.back_end(args))
    charger = Charger(config, station, args.interface, identity=security, port=args.port, state=station.state)

    def left(event: Any) -> bool:
        gone = isinstance(event, Disconnected) and not charger.in_session
        if gone:
            station.plug_in()
        return gone

    async with endpoint.in_background(run_bench(station, charger.evse.write)):
        return await _serve(args, charger, left)


async def _serve_hardware(args: argparse.Namespace, config: SeccConfig, security: Security | None) -> int:
    """A station that measures and acts, and owns the plug."""
    from iso15118.plug.words import PlugState
    from iso15118.runtime.charger import Charger
    from iso15118.runtime.plug import Plug

    async with hardware.station(args, config) as rig:
        if rig.haunted:  # the ghost is plugged in for as long as it takes until somebody starts a real car
            patient = dataclasses.replace(config.plug, setup_s=math.inf)
            config = dataclasses.replace(config, plug=patient)
        charger = Charger(
            config,
            rig.controller,
            args.interface,
            identity=security,
            port=args.port,
            plug=Plug(rig.port),
            sinks=rig.sinks,
        )
        return await _serve(
            args, charger, lambda event: isinstance(event, PlugState) and event.state == "EMPTY"
        )


async def _serve(args: argparse.Namespace, charger: Charger, left: Callable[[Any], bool]) -> int:
    """Print events; with --once until a session has ended and its car has `left`."""
    from iso15118.events import SessionEnded

    printer = endpoint.Printer("SECC", as_json=args.json)
    ended: SessionEnded | None = None
    with endpoint.orderly_stop(charger.stop):
        async for event in charger.run():
            printer(event)
            if isinstance(event, SessionEnded):
                ended = event
            if left(event) and args.once and ended is not None:
                await charger.stop()
    printer.end()
    if not args.once:
        return OK
    return OK if ended is not None and ended.as_intended else FAILED
