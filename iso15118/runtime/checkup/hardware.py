"""The hardware file: complete, its ports there and free, and, where that is wanted, every device open and known."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from hal import build
from hal.build import Hardware
from hal.bundle import EvseHardware
from hal.errors import HalError
from hal.types import Severity
from iso15118.events import Role
from iso15118.runtime.checkup.findings import Finding, error, note, ok, warning
from iso15118.runtime.checkup.network import GET_FLAGS, IFF_UP, asked

PROCESSES: Final = Path("/proc")
_PORT: Final = re.compile(r"^(serial|can|tcp)://")


def load(path: Path, role: Role) -> tuple[Finding, Hardware | None]:
    """The devices of a file, not opened, and whether they are a complete set."""
    subject = f"hardware file {path}"
    try:
        hardware: Hardware = build.load_evse(path) if role == "SECC" else build.load_ev(path)
    except HalError as problem:
        return error(subject, problem.detail, problem.kind.value, problem.next_step), None
    roles = ", ".join(role for role, _ in hardware.devices())
    return ok(subject, f"complete: {roles}"), hardware


def blind_spots(hardware: Hardware) -> Iterator[Finding]:
    """What a complete set of devices cannot see, and what the controller does without."""
    if isinstance(hardware, EvseHardware) and hardware.supply is not None and hardware.outlet is None:
        yield warning(
            "voltage at the connector",
            "not measured while the contactor is open",
            "after an end in a hurry the lock opens when the cable has had time to empty itself, and a battery behind"
            " a welded contactor in the car is not seen",
            "Add an `outlet` to the hardware file",
        )


def ports_of(path: Path) -> list[str]:
    """The ports a file names, each once; none for a file that cannot be read."""
    try:
        with path.open("rb") as file:
            table = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return []
    return list(dict.fromkeys(_urls(table)))


def _urls(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for part in value.values():
            yield from _urls(part)
    elif isinstance(value, str) and _PORT.match(value):
        yield value


# --- ports --------------------------------------------------------------------------------------


def check_port(url: str) -> Finding:
    """Whether a port is there and nobody else's. It is not opened: that may reset what is behind it."""
    parts = urlsplit(url)
    if parts.scheme == "serial":
        return _serial(url, Path(parts.path))
    if parts.scheme == "can":
        return _can(url, parts.netloc)
    return note(f"port {url}", "not tried: connecting may take it from somebody else", next_step="Use --open")


def _serial(url: str, path: Path) -> Finding:
    subject = f"port {url}"
    if not path.exists():
        return error(
            subject,
            "not there",
            "the adapter is not plugged in, or has got another name",
            "ls -l /dev/serial/by-id shows names that stay",
        )
    if not os.access(path, os.R_OK | os.W_OK):
        return error(
            subject,
            "may not be used",
            f"it belongs to group {_group(path)}",
            "Add the user to that group (usermod -aG ...), and log in again",
        )
    holders = holders_of(path)
    if holders:
        return error(
            subject,
            f"used by {', '.join(holders)}",
            "two programs on one line corrupt each other's frames",
            "Stop the other one; a console on this port is switched off in the kernel's command line",
        )
    return ok(subject, "there and free, as far as may be seen")


def _group(path: Path) -> str:
    try:
        return path.group()
    except (KeyError, OSError):
        return str(path.stat().st_gid)


def holders_of(path: Path) -> list[str]:
    """Other processes that have this file open, as "name (pid)"; those of other users are only seen by root."""
    wanted, found = os.path.realpath(path), []
    for process in PROCESSES.glob("[0-9]*"):
        if int(process.name) == os.getpid():
            continue
        try:
            if any(os.path.realpath(entry) == wanted for entry in (process / "fd").iterdir()):
                name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                found.append(f"{name} ({process.name})")
        except OSError:  # it has ended, or is not ours to look at
            continue
    return found


def _can(url: str, name: str) -> Finding:
    subject = f"port {url}"
    flags = asked(name, GET_FLAGS)
    if flags is None:
        return error(subject, "not there", "no such CAN interface", "Load its driver; see `ip link`")
    if not flags & IFF_UP:
        return error(
            subject, "down", "nobody has brought it up", f"ip link set {name} up type can bitrate ..."
        )
    return ok(subject, "up")


# --- devices ------------------------------------------------------------------------------------


async def check_devices(hardware: Hardware) -> AsyncIterator[Finding]:
    """Open each device by itself, which commands its safe state, tell who it is and what it reports, close it."""
    seen: set[int] = set()
    for role, device in hardware.devices():
        if id(device) in seen:
            continue
        seen.add(id(device))
        subject = f"device {role}"
        try:
            await device.open()
        except HalError as problem:
            yield error(subject, problem.detail, f"{device.name}: {problem.kind.value}", problem.next_step)
            continue
        try:
            yield ok(subject, f"{device.name} answers")
            for fault in sorted(device.faults, key=lambda fault: fault.code):
                told = fault.detail or fault.code
                tell = warning if fault.severity is Severity.WARNING else error
                yield tell(
                    subject, f"reports {fault.code}", told, "Remove the cause; nothing is energised before"
                )
        finally:
            await device.close()
