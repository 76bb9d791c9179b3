"""Look at everything a session needs before one is tried: what is wrong, why, and what to do.

  iso15118 doctor --modem eth1
  iso15118 doctor --hardware station.toml --open
  iso15118 doctor --interface eth1 --modem serial:///dev/ttyS2 --role vehicle --listen 30

Nothing is energised and no setting is changed. Devices are only opened with --open, because that commands their safe
state. Exit code 1 where something is found that lets no session work.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import datetime
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from iso15118.cli.main import FAILED, OK, UsageError
from iso15118.errors import ConfigError

if TYPE_CHECKING:
    from hal.build import Hardware
    from hal.plc import EthernetPort
    from iso15118.events import Role
    from iso15118.runtime.checkup.findings import Finding

LEAST_CLOCK_S: Final = 0.2
"""The clock is watched at least so long."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `iso15118 doctor`."""
    parser.add_argument(
        "--role", choices=("charger", "vehicle"), default="charger", help="this side (default: charger)"
    )
    parser.add_argument("--interface", metavar="IF", help="network interface (default: the modem's)")
    parser.add_argument(
        "--modem", metavar="PORT", help="port to the modem: an interface, serial:///dev/ttyS2, or udp:8462"
    )
    parser.add_argument(
        "--listen",
        type=float,
        default=0.0,
        metavar="S",
        help="wait so many seconds for a car's sounds at the modem",
    )
    parser.add_argument("--hardware", type=Path, metavar="FILE", help="hardware file (TOML)")
    parser.add_argument(
        "--open", action="store_true", help="open every device of the file, which makes it safe"
    )
    parser.add_argument("--config", metavar="FILE", help="configuration of the session (TOML)")
    parser.add_argument("--pki", type=Path, metavar="DIR", help="certificates: an identity, or a PKI")
    parser.add_argument("--json", action="store_true", help="one finding a line, as JSON")


def run(args: argparse.Namespace) -> int:
    """Print findings as they come; FAILED where one is an error."""
    if args.listen < 0:
        raise UsageError("--listen takes 0 or more")
    if args.open and args.hardware is None:
        raise UsageError("--open is about the devices of a file: name it with --hardware")
    return asyncio.run(_examine(args))


async def _examine(args: argparse.Namespace) -> int:
    from iso15118.runtime.checkup.findings import failed, summary

    findings = []
    async for finding in _findings(args):
        findings.append(finding)
        for line in [_as_json(finding)] if args.json else _as_text(finding):
            print(line, flush=True)
    if not args.json:
        print(summary(findings))
    return FAILED if failed(findings) else OK


async def _findings(args: argparse.Namespace) -> AsyncIterator[Finding]:
    from iso15118.cli.hardware import modem_port
    from iso15118.runtime.checkup.clock import Clock

    role: Role = "EVCC" if args.role == "vehicle" else "SECC"
    port = modem_port(args.modem) if args.modem else None  # a wrong call is told before anything is looked at
    clock = Clock()
    watched = asyncio.ensure_future(asyncio.sleep(LEAST_CLOCK_S))
    for finding in _documents(args, role):
        yield finding
    hardware: Hardware | None = None
    if args.hardware is not None:
        from iso15118.runtime.checkup import hardware as check

        loaded, hardware = check.load(args.hardware, role)
        yield loaded
        for finding in check.blind_spots(hardware) if hardware is not None else ():
            yield finding
        for url in check.ports_of(args.hardware):
            yield check.check_port(url)
    port = port or (hardware.port if hardware is not None else None)
    for finding in _interface(args.interface or (port.interface if port is not None else None), role):
        yield finding
    async for finding in _modem(args, port, role):
        yield finding
    if args.open and hardware is not None:
        async for finding in check.check_devices(hardware):
            yield finding
    await watched
    yield clock.check()


def _documents(args: argparse.Namespace, role: Role) -> Iterator[Finding]:
    """Configuration and certificates."""
    from iso15118.runtime.checkup.findings import note

    if args.config is not None:
        yield _configuration(args.config, role)
    if args.pki is not None:
        from iso15118.runtime.checkup.certificates import check_certificates

        yield from check_certificates(args.pki, datetime.datetime.now(datetime.UTC))
    else:
        yield note("certificates", "none were named; ISO 15118-20 needs them", next_step="Use --pki")


def _interface(name: str | None, role: Role) -> Iterator[Finding]:
    from iso15118.runtime.checkup import network
    from iso15118.runtime.checkup.findings import note

    if name is not None:
        yield from network.check_interface(name, role)
    else:
        there = ", ".join(network.names())
        yield note("interface", f"none was named; there are {there}", next_step="Use --interface")


def _configuration(path: str, role: Role) -> Finding:
    from iso15118.config import EvccConfig, SeccConfig
    from iso15118.runtime.checkup.findings import error, ok, warning

    subject = f"configuration {path}"
    try:
        config = SeccConfig.from_toml(path) if role == "SECC" else EvccConfig.from_toml(path)
    except ConfigError as problem:
        return error(subject, problem.key, problem.reason, "Correct this key")
    if config.insecure_no_tls:
        return warning(
            subject,
            "plain TCP is allowed",
            "insecure_no_tls: anybody on the link can read and control the session",
            "Remove it outside of a laboratory",
        )
    return ok(subject, f"offers {', '.join(service.name for service in config.services)}")


async def _modem(args: argparse.Namespace, port: EthernetPort | None, role: Role) -> AsyncIterator[Finding]:
    """The modem named on the command line, else the one of the hardware file."""
    from iso15118.runtime.checkup.findings import note
    from iso15118.runtime.checkup.modem import check_modem, check_way

    if port is None:
        yield note("modem", "none was named", next_step="Use --modem, or a hardware file with a port")
        return
    if args.interface is not None:
        for finding in check_way(port, args.interface):
            yield finding
    async for finding in check_modem(port, role, args.listen):
        yield finding


def _as_json(finding: Finding) -> str:
    return json.dumps(dataclasses.asdict(finding) | {"level": finding.level.value}, ensure_ascii=False)


def _as_text(finding: Finding) -> Iterator[str]:
    yield f"{finding.level.value:<8} {finding.subject}: {finding.found}"
    if finding.cause:
        yield f"         because: {finding.cause}"
    if finding.next_step:
        yield f"         next:    {finding.next_step}"
