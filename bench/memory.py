"""Resident memory of a charger process: idle, after the first session, after many.

    python bench/memory.py [--sessions 10]

The process is a charger on loopback with a virtual station. Python alone and with asyncio are printed
for scale.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from _client import Client, Station, rss_mib

from iso15118.control.common import ControlMode, EnergyService


def bare(code: str) -> float:
    """Memory of an interpreter that has run `code` and waits."""
    command = [sys.executable, "-c", f"{code}; print('up', flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        size = rss_mib(process.pid)
        process.communicate("\n")
    return size


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=10)
    chosen = parser.parse_args()
    print(f"{'process':<44}{'RSS MiB':>9}")
    print(f"{'Python alone':<44}{bare('pass'):>9.1f}")
    print(f"{'Python with asyncio':<44}{bare('import asyncio'):>9.1f}")
    with Station(EnergyService.DC_BPT) as station:
        print(f"{'charger, listening':<44}{station.rss_mib():>9.1f}")
        for number in range(1, chosen.sessions + 1):
            control = ControlMode.DYNAMIC if number % 2 else ControlMode.SCHEDULED
            Client(station.port, EnergyService.DC_BPT, control, loops=20).run()
            station.wait_until_free()
            if number in (1, 2, chosen.sessions):
                label = f"charger, after DC_BPT session {number}"
                print(f"{label:<44}{station.rss_mib():>9.1f}", flush=True)


if __name__ == "__main__":
    main()
