"""Plug & Charge: the CPU time of either side for whole sessions, by card, by contract, and with fetching the contract.

    python bench/plug_and_charge.py [--count N]

Both machines in one process under virtual time, without TLS (`handshakes.py` has that), two charge loops, all checks of
a real session. The last columns are what the way of paying costs beyond a session by card. The back end that makes and
wraps the contract is measured by itself. One core.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import time
from collections import defaultdict
from typing import Any

from certs.pki import TestPki
from certs.profiles import Role
from hal.virtual.bench import EPOCH_S
from iso15118.security.chains import RootsJudge
from iso15118.security.contracts import Contract, Provisioning, Wallet
from iso15118.security.plug_and_charge import StationTrust
from iso15118.sim.contracts import PlugAndCharge
from iso15118.sim.run import build
from iso15118.sim.scenarios import Scenario, basic

WAYS = (("secp521r1", False), ("secp521r1", True), ("ed448", False), ("ed448", True))
"""Curve of the certificates, and whether the contract is fetched. How a key on Ed448 is wrapped is an experiment."""
LOOPS = 2


class Timed:
    """A machine whose CPU time is counted."""

    def __init__(self, machine: Any, name: str, spent: dict[str, float]) -> None:
        self._machine, self._name, self._spent = machine, name, spent

    @property
    def deadline(self) -> float:
        """When `tick` is due."""
        return float(self._machine.deadline)

    def receive(self, item: Any, now: float) -> None:
        """Take one input."""
        self._counted(self._machine.receive, item, now)

    def tick(self, now: float) -> None:
        """Let timers expire."""
        self._counted(self._machine.tick, now)

    def outputs(self) -> Any:
        """What is to be done."""
        return iter(self._counted(lambda: list(self._machine.outputs())))

    def _counted(self, act: Any, *arguments: Any) -> Any:
        begun = time.process_time()
        try:
            return act(*arguments)
        finally:
            self._spent[self._name] += time.process_time() - begun


def paying(curve: str, *, install: bool) -> PlugAndCharge:
    """A car with a contract, or one that fetches it, on this curve."""
    pki = TestPki(datetime.datetime.fromtimestamp(EPOCH_S, datetime.UTC), curve=curve)
    judges = (
        RootsJudge(role, pki.roots[root])
        for role, root in ((Role.CONTRACT, Role.MO_ROOT), (Role.PROVISIONING, Role.OEM_ROOT))
    )
    contract, own = pki.contract(), Provisioning.of(pki.provisioning(), experimental_x448=True)
    if not install:
        return PlugAndCharge(StationTrust(*judges), Wallet((Contract.of(contract),), own))
    trust = StationTrust(*judges)
    return PlugAndCharge(trust, Wallet((), own), pki.cps(), (contract,), experimental_x448=True)


def sessions(scenario: Scenario, count: int) -> dict[str, float]:
    """CPU ms a session takes, by who takes it."""
    spent: dict[str, float] = defaultdict(float)
    for seed in range(count + 1):
        if seed == 1:
            spent.clear()  # the first one loads what only a first one loads
        world = build(seed, scenario)
        for name, side in world.sides.items():
            side.machine = Timed(side.machine, name, spent)
        if world.evse.back_end is not None:
            world.evse.back_end = _counted_back_end(world.evse.back_end, spent)
        world.run()
        if not world.recording.delivered_wh:
            raise SystemExit("a session did not charge: the figures do not count")
    return {name: 1e3 * seconds / count for name, seconds in spent.items()}


def _counted_back_end(back_end: Any, spent: dict[str, float]) -> Any:
    def answer(question: Any) -> Any:
        begun = time.process_time()
        response = back_end(question)
        spent["back end"] += time.process_time() - begun
        return response

    return answer


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=50, help="sessions of each kind (default 50)")
    count = parser.parse_args().count
    plain = basic("DC", "dynamic", loops=LOOPS)
    card = sessions(plain, count)
    print(f"{'session':<34}{'charger ms':>11}{'car ms':>8}{'back end ms':>13}{'charger +':>11}{'car +':>7}")
    print(f"{'by card':<34}{card['SECC']:>11.1f}{card['EVCC']:>8.1f}")
    for curve, install in WAYS:
        ms = sessions(dataclasses.replace(plain, pnc=paying(curve, install=install)), count)
        name = f"by contract, {'fetched, ' * install}{curve}"
        back_end = f"{ms['back end']:.1f}" if install else ""
        more = f"{ms['SECC'] - card['SECC']:>11.1f}{ms['EVCC'] - card['EVCC']:>7.1f}"
        print(f"{name:<34}{ms['SECC']:>11.1f}{ms['EVCC']:>8.1f}{back_end:>13}{more}")


if __name__ == "__main__":
    main()
