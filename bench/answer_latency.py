"""How long a station takes to answer: sessions over loopback sockets with a blocking client.

    python bench/answer_latency.py [--energy DC] [--control dynamic] [--loops 500] [--sessions 3]

Measured at the client, from its one write to the last octet of the response: kernel, charger process and
its codec are in, the client's own codec is not. PowerDelivery and SessionStop wait for hardware (contactor,
control pilot), which the virtual station makes 60 and 260 ms. The standard allows 250 ms in the charge
loop and 1.5 s elsewhere.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict

from _client import Client, Station

from iso15118.control.common import ControlMode, EnergyService

HARDWARE = ("DC_CableCheckReq", "PowerDeliveryReq", "SessionStopReq")


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def row(name: str, values: list[float]) -> str:
    figures = (statistics.median(values), quantile(values, 0.99), max(values))
    return f"{name:<34}{len(values):>7}" + "".join(f"{1000 * figure:>10.2f}" for figure in figures)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--energy", default="DC", choices=[s.name for s in EnergyService if s.is_ac or s.is_dc]
    )
    parser.add_argument("--control", default="dynamic", choices=["dynamic", "scheduled"])
    parser.add_argument("--loops", type=int, default=500, help="charge loops per session")
    parser.add_argument("--sessions", type=int, default=3)
    chosen = parser.parse_args()
    service, control = EnergyService[chosen.energy], ControlMode[chosen.control.upper()]
    turns: dict[str, list[float]] = defaultdict(list)
    with Station(service) as station:
        for _ in range(chosen.sessions):
            client = Client(station.port, service, control, chosen.loops)
            client.run()
            station.wait_until_free()
            for name, seconds in client.turns:
                turns[name].append(seconds)
    print(f"{chosen.energy} {chosen.control}, {chosen.sessions} sessions of {chosen.loops} loops; ms\n")
    print(f"{'request':<34}{'n':>7}{'median':>10}{'p99':>10}{'worst':>10}")
    for name, values in turns.items():
        print(row(name, values))
    quick = [seconds for name, values in turns.items() if name not in HARDWARE for seconds in values]
    print(row("all but those waiting for hardware", quick))


if __name__ == "__main__":
    main()
