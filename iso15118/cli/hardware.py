"""What `--hardware`, `--limits` and `--modem` make: the devices of a station or a car, and who drives them.

`virtual` is a bench that runs in real time, on which a ghost plays the missing side; a file is real hardware, or a
mixture. Nothing of this is imported where nobody asks for it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

from iso15118.cli import trust
from iso15118.cli.main import UsageError
from iso15118.control import ev, evse
from iso15118.energy.offer import EnergyOffer

if TYPE_CHECKING:
    from hal.plc import EthernetPort
    from hal.virtual.bench import Bench
    from iso15118.config import EvccConfig, SeccConfig
    from iso15118.hardware import HalEv, HalEvConfig, HalEvse, HalEvseConfig
    from iso15118.runtime.stream import Sink
    from iso15118.security.provisioning import BackEnd
    from iso15118.sim.ghosts import GhostCar, GhostStation

VIRTUAL: Final = "virtual"
VIRTUAL_FEED_W: Final = 10_000.0
"""What a virtual car gives back and a virtual AC station takes, where the service lets them."""
VIRTUAL_FEED_A: Final = 25.0
ENERGISING: Final = ("contactor", "supply", "charger")
"""Roles whose devices put voltage or power on a cable."""
PRICE: Final = 0.39
FEED_IN: Final = 0.08


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of both roles."""
    parser.add_argument(
        "--hardware",
        metavar="FILE",
        help=f"drive the devices of this file (TOML); '{VIRTUAL}' for simulated ones. The program owns the pilot then",
    )
    parser.add_argument(
        "--limits",
        metavar="FILE",
        help="limits and tolerances for the hardware (TOML: HalEvseConfig, HalEvConfig)",
    )
    parser.add_argument(
        "--modem",
        metavar="PORT",
        help="match over this modem (SLAC): an interface, serial:///dev/ttyS2, or udp:8462 for a simulated one; "
        f"without --hardware the rest is {VIRTUAL}",
    )
    parser.add_argument(
        "--allow-mixed",
        action="store_true",
        help="let real devices energise although the pilot is simulated; for drivers on the bench",
    )


def wanted(args: argparse.Namespace) -> bool:
    """Whether the program is to drive devices; UsageError for options that need it."""
    real = bool(args.hardware or args.modem)
    if args.limits and not real:
        raise UsageError("--limits is about devices: name them with --hardware, or say --hardware virtual")
    return real


def modem_port(text: str) -> EthernetPort:
    """The port a `--modem` names, not opened. Raises UsageError, HalError."""
    from hal import registry

    if text.startswith("serial:"):
        port = registry.make("modem-uart", url=text)
    elif text.startswith("udp:"):
        port = registry.make("modem-udp", **_hub_options(text))
    else:
        port = registry.make("modem-interface", interface=text)
    made: EthernetPort = port
    return made


def _hub_options(text: str) -> dict[str, Any]:
    """`udp:8462` or `udp:8462?mac=02:ee:00:00:00:01`."""
    parts = urlsplit(text)
    if not parts.path.isdecimal():
        raise UsageError(f"--modem {text}: write the port of a hub on this machine, such as udp:8462")
    return {"port": int(parts.path), **dict(parse_qsl(parts.query))}


@dataclasses.dataclass(frozen=True, slots=True)
class Rig:
    """Open devices with the controller that drives them. `sinks` want to hear every event of the session."""

    controller: Any
    port: EthernetPort | None
    sinks: tuple[Sink, ...] = ()

    @property
    def haunted(self) -> bool:
        """Whether a ghost plays the other side."""
        return bool(self.sinks)


@contextlib.asynccontextmanager
async def station(args: argparse.Namespace, config: SeccConfig) -> AsyncIterator[Rig]:
    """A station for these services, its devices open while the block runs. Raises HalError, ConfigError."""
    from hal import build
    from iso15118.hardware import HalEvse
    from iso15118.sim.ghosts import GhostCar, car_haunted_bench

    bench = car_haunted_bench(dc=config.dc)
    devices = bench.evse() if _is_virtual(args) else build.load_evse(args.hardware, bench=bench)
    devices.check(dc=config.dc)
    ghost = GhostCar(bench) if _is_haunted(args, bench, "evse", devices) else None
    limits = _station_limits(args, ghost is not None and not config.dc)
    async with _opened(args, devices) as hardware:
        controller: HalEvse = HalEvse(
            hardware, limits, asyncio.get_running_loop().time, _Everybody(trust.back_end(args))
        )
        yield Rig(controller, hardware.port, _sinks(ghost))


@contextlib.asynccontextmanager
async def car(args: argparse.Namespace, config: EvccConfig) -> AsyncIterator[Rig]:
    """A car that wants these services, its devices open while the block runs. Raises HalError, ConfigError."""
    from hal import build
    from iso15118.hardware import HalEv
    from iso15118.sim.ghosts import GhostStation, station_haunted_bench

    dc = config.services[0].is_dc
    bench = station_haunted_bench(dc=dc)
    devices = bench.ev() if _is_virtual(args) else build.load_ev(args.hardware, bench=bench)
    devices.check(dc=dc)
    ghost = GhostStation(bench) if _is_haunted(args, bench, "ev", devices) else None
    limits = _car_limits(args, ghost is not None and config.services[0].bidirectional)
    async with _opened(args, devices) as hardware:
        clock = asyncio.get_running_loop().time
        controller: HalEv = HalEv(hardware, limits, clock, _Owner(config))
        yield Rig(controller, hardware.port, _sinks(ghost))


def _is_haunted(args: argparse.Namespace, bench: Bench, side: str, devices: Any) -> bool:
    """Whether a ghost has to play the other side: where the pilot is simulated, nobody is at the end of the cable.

    UsageError where real devices would energise for a ghost, unless that was allowed by name.
    """
    virtual = bench.roles(side)
    if devices.pilot is not virtual["pilot"]:
        return False
    real = [
        role
        for role in ENERGISING
        if (device := getattr(devices, role, None)) is not None and device is not virtual.get(role)
    ]
    if real and not args.allow_mixed:
        raise UsageError(
            f"the pilot is simulated, but {' and '.join(real)} would be real: voltage would follow a partner that is not "
            "there. Use a real pilot, or allow it with --allow-mixed where nothing dangerous is connected"
        )
    return True


def _is_virtual(args: argparse.Namespace) -> bool:
    if args.hardware in (None, VIRTUAL):
        return True
    if not Path(args.hardware).is_file():
        raise UsageError(f"--hardware {args.hardware}: no such file, and not '{VIRTUAL}'")
    return False


@contextlib.asynccontextmanager
async def _opened(args: argparse.Namespace, devices: Any) -> AsyncIterator[Any]:
    hardware = dataclasses.replace(devices, port=modem_port(args.modem)) if args.modem else devices
    await hardware.open()
    try:
        yield hardware
    finally:
        await hardware.close()


def _sinks(ghost: GhostCar | GhostStation | None) -> tuple[Sink, ...]:
    return (ghost,) if ghost is not None else ()


def _station_limits(args: argparse.Namespace, virtual_ac: bool) -> HalEvseConfig:
    from iso15118.hardware import HalEvseConfig

    if args.limits:
        return HalEvseConfig.from_toml(args.limits)
    return HalEvseConfig(max_discharge_w=VIRTUAL_FEED_W if virtual_ac else None)


def _car_limits(args: argparse.Namespace, virtual_bpt: bool) -> HalEvConfig:
    from iso15118.hardware import HalEvConfig

    if args.limits:
        return HalEvConfig.from_toml(args.limits)
    if not virtual_bpt:
        return HalEvConfig()
    return HalEvConfig(max_discharge_w=VIRTUAL_FEED_W, max_discharge_a=VIRTUAL_FEED_A)


class _Everybody(evse.EvseControllerBase):
    """An operator who lets everybody charge, for a price: some cars insist on one. `back_end` hands out contracts."""

    def __init__(self, back_end: BackEnd | None) -> None:
        self._back_end = back_end

    async def install_contract(self, question: evse.ContractRequest) -> evse.ContractResponse:
        """What the back end says."""
        return (
            await super().install_contract(question) if self._back_end is None else self._back_end(question)
        )

    async def offer_energy(self, question: evse.ChargingNeeds) -> EnergyOffer:
        """All that both sides can."""
        back = question.limits.discharge.max_power_w if question.service.bidirectional else 0.0
        return EnergyOffer.flat(
            max_w=question.limits.charge.max_power_w,
            discharge_w=back,
            price_per_kwh=PRICE,
            feed_in_per_kwh=FEED_IN,
        )


class _Owner(ev.EvControllerBase):
    """An owner who wants what the configuration says."""

    def __init__(self, config: EvccConfig) -> None:
        self.wanted, self.control_mode = config.services, config.control_mode
