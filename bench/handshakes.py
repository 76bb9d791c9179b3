"""TLS handshakes: how many a second, how long one takes the charger's loop, and what a connection keeps in memory.

    python bench/handshakes.py [--count N] [--crowd N]

Both sides in one process, through memory, with the certificates of a test PKI and all checks of a real session. One
core. The charger's share is what its event loop stands still for when a car connects.

A crowd shakes hands at the same time, a flight of each after the other, as they would arrive at one charger. What counts
then is the longest step, for which everything else on the charger waits, and whether a handshake outlived its timer.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import os
import time
from collections import deque
from typing import Any

from _client import rss_mib

from certs.pki import TestPki
from iso15118.events import Role
from iso15118.machine import NEVER, Bytes, Emit, LinkUp, Machine, Send
from iso15118.runtime.security import Security, tls_machine
from iso15118.tls.events import TlsEstablished
from iso15118.tls.machine import TlsMachine

CURVES = ("secp521r1", "ed448")


class Silent:
    """A session that says nothing."""

    deadline = NEVER

    def receive(self, item: Any, now: float) -> None:
        """Take an input."""

    def tick(self, now: float) -> None:
        """Let time pass."""

    def outputs(self) -> Any:
        """Nothing to be done."""
        return iter(())


def handshake(sides: dict[Role, Security], spent: dict[Role, float]) -> dict[Role, TlsMachine]:
    """Both machines, connected; adds to `spent` (CPU s) what each side took."""

    def session(_: Any) -> Machine:
        return Silent()

    machines: dict[Role, TlsMachine] = {}
    waiting: list[tuple[Role, Any]] = [("SECC", LinkUp()), ("EVCC", LinkUp())]
    done = set()
    while waiting:
        role, item = waiting.pop(0)
        begun = time.process_time()
        if role not in machines:
            machines[role] = tls_machine(role, sides[role], session, time.time)
        machines[role].receive(item, 0.0)
        outputs = list(machines[role].outputs())
        spent[role] += time.process_time() - begun
        for output in outputs:
            if isinstance(output, Send):
                waiting.append(("EVCC" if role == "SECC" else "SECC", Bytes(output.data)))
            elif isinstance(output, Emit) and isinstance(output.event, TlsEstablished):
                done.add(role)
    if len(done) != 2:
        raise SystemExit("a handshake failed: the figures do not count")
    return machines


def crowd(sides: dict[Role, Security], count: int) -> tuple[float, float, int]:
    """`count` handshakes at once: (s for all, longest step of the charger in s, how many their timer ended)."""
    begun = time.monotonic()
    done: set[tuple[int, Role]] = set()
    machines: dict[tuple[int, Role], TlsMachine] = {}
    roles: tuple[Role, ...] = ("SECC", "EVCC")
    for number, role in ((n, r) for n in range(count) for r in roles):
        machines[number, role] = tls_machine(role, sides[role], lambda _: Silent(), time.time)
    waiting: deque[tuple[int, Role, Any]] = deque((n, r, LinkUp()) for n, r in machines)
    longest = 0.0
    while waiting:
        number, role, item = waiting.popleft()
        machine, since = machines[number, role], time.monotonic()
        if machine.deadline <= since - begun:
            machine.tick(since - begun)
        machine.receive(item, since - begun)
        outputs = list(machine.outputs())
        if role == "SECC":
            longest = max(longest, time.monotonic() - since)
        for output in outputs:
            if isinstance(output, Send):
                waiting.append((number, "EVCC" if role == "SECC" else "SECC", Bytes(output.data)))
            elif isinstance(output, Emit) and isinstance(output.event, TlsEstablished):
                done.add((number, role))
    return time.monotonic() - begun, longest, 2 * count - len(done)


def main() -> None:
    """Measure both curves and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=200, help="handshakes for each curve (default 200)")
    parser.add_argument("--crowd", type=int, default=200, help="handshakes at the same time (default 200)")
    chosen = parser.parse_args()
    print(f"{'certificates':<14}{'handshakes/s':>14}{'charger ms':>12}{'car ms':>9}{'KiB a pair':>12}")
    kept: list[Any] = []  # to the end, so that the second measurement does not live on the first one's memory
    for curve in CURVES:
        pki = TestPki(datetime.datetime.now(datetime.UTC), curve=curve)
        sides: dict[Role, Security] = {"SECC": Security(pki.secc()), "EVCC": Security(pki.vehicle())}
        spent: dict[Role, float] = {"SECC": 0.0, "EVCC": 0.0}
        handshake(sides, {"SECC": 0.0, "EVCC": 0.0})  # loads what only a first one loads
        for _ in range(chosen.count):
            handshake(sides, spent)
        secc, evcc = (spent[role] / chosen.count for role in spent)
        print(
            f"{curve:<14}{1 / (secc + evcc):>14.0f}{secc * 1e3:>12.2f}{evcc * 1e3:>9.2f}{_memory(sides, kept):>12.0f}",
            flush=True,
        )
        seconds, longest, late = crowd(sides, chosen.crowd)
        print(
            f"  {chosen.crowd} at once: {seconds:.1f} s, longest step {longest * 1e3:.0f} ms, "
            f"{late} ends without a connection",
            flush=True,
        )


def _memory(sides: dict[Role, Security], kept: list[Any], pairs: int = 100) -> float:
    """KiB that an open pair of connections keeps; the pairs stay in `kept`."""
    gc.collect()
    before = rss_mib(os.getpid())
    kept.extend(handshake(sides, {"SECC": 0.0, "EVCC": 0.0}) for _ in range(pairs))
    return (rss_mib(os.getpid()) - before) * 1024 / pairs


if __name__ == "__main__":
    main()
