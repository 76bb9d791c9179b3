"""Many sessions, many faults: `python -m iso15118.sim.soak --seeds 1000 --jobs 2`.

Runs every combination of service and control mode with each seed, prints a table, and for each failure
the call that repeats it. With `--plug` each run is the whole way from plug to unplug, with mishaps on the link, to
devices and by people, one seed in four over TLS and by contract. With `--secure` sessions are behind TLS, most of them by contract, and each is attacked.
The exit status is 1 where a checker was broken.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace

from iso15118.sim.attacks import BY_CONTRACT, FETCHES, draw_attack
from iso15118.sim.faults import Fault, draw
from iso15118.sim.plugged import PlugRun, plug_in
from iso15118.sim.plugged.mishaps import MISHAPS
from iso15118.sim.run import Run, simulate
from iso15118.sim.scenarios import COMBINATIONS, service_of, varied

LIMIT_S = 900.0
BATCH = 25
SECURED = 4
"""With `--plug` one seed in so many is behind TLS and paid by contract."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run: a combination and a seed; `plug` is the whole way from plug to unplug, `secure` is under attack."""

    energy: str
    control: str
    seed: int
    faulty: bool
    plug: bool = False
    secure: bool = False

    def __str__(self) -> str:
        return f"{self.energy} {self.control}"


@dataclass(slots=True)
class Tally:
    """What the sessions of one combination, or under one attack, came to."""

    runs: int = 0
    completed: int = 0
    cpu_s: float = 0.0
    virtual_s: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take in another tally."""
        self.runs += other.runs
        self.completed += other.completed
        self.cpu_s += other.cpu_s
        self.virtual_s += other.virtual_s
        self.reasons += other.reasons
        self.failures += other.failures


def run_one(job: Job) -> Run | PlugRun:
    """The run of a job: scenario and faults follow from its seed."""
    energy, control, seed, dc = job.energy, job.control, job.seed, service_of(job.energy).is_dc
    if job.plug:
        mishaps = draw(seed, dc=dc, kinds=MISHAPS) if job.faulty else ()
        return plug_in(energy, control, seed, mishaps, auth="pnc" if seed % SECURED == 0 else "eim")
    if job.secure:
        return run_secure(job)
    faults = draw(seed, dc=dc) if job.faulty else ()
    return simulate(seed=seed, faults=faults, scenario=varied(energy, control, seed), limit_s=LIMIT_S)


def attack_of(job: Job) -> Fault | None:
    """What a secure job is attacked with."""
    return draw_attack(_number(job)) if job.secure and job.faulty else None


def _number(job: Job) -> int:
    """Drawn from all that makes a job: each combination of a seed is attacked in another way."""
    return random.Random(f"secure {job.energy} {job.control} {job.seed}").randrange(2**32)


def run_secure(job: Job) -> Run:
    """A session behind TLS under one attack, one in four with another fault as well; most of them by contract."""
    from iso15118.sim.contracts import plug_and_charge  # sessions without attacks load no cryptography
    from iso15118.sim.tls import credentials

    number, attack = _number(job), attack_of(job)
    name = attack.name if attack is not None else ""
    by_contract = name in BY_CONTRACT or number % 3 > 0
    install = name in FETCHES or (name not in BY_CONTRACT and number % 3 == 1)
    attacks = (attack,) if attack is not None else ()
    faults = draw(number, dc=service_of(job.energy).is_dc, most=1) if attacks and number % 4 == 0 else ()
    scenario = replace(
        varied(job.energy, job.control, job.seed),
        tls=credentials(),
        pnc=plug_and_charge(install=install) if by_contract else None,
    )
    return simulate(seed=job.seed, faults=(*attacks, *faults), scenario=scenario, limit_s=LIMIT_S)


def run_batch(jobs: list[Job]) -> dict[str, Tally]:
    """Simulate and judge; never raises, an exception is a failure of its session."""
    tallies: dict[str, Tally] = {}
    for job in jobs:
        attack = attack_of(job)
        tally = tallies.setdefault(str(job) if attack is None else attack.name, Tally())
        begun = time.process_time()
        tally.runs += 1
        try:
            _judge(run_one(job), tally)
        except Exception as error:  # noqa: BLE001 - a crash of one session must not hide the others
            tally.failures.append(f"{job} seed {job.seed}: {type(error).__name__}: {error}")
        tally.cpu_s += time.process_time() - begun
    return tallies


def _judge(run: Run | PlugRun, tally: Tally) -> None:
    tally.virtual_s += run.duration
    tally.completed += run.completed
    secc = run.ends.get("SECC")
    tally.reasons[secc.reason.value if secc else "no session"] += 1
    if not run.ok:
        tally.failures.append(run.explain())


def batches(jobs: list[Job]) -> Iterator[list[Job]]:
    """Jobs in portions for one process each."""
    for at in range(0, len(jobs), BATCH):
        yield jobs[at : at + BATCH]


def soak(jobs: list[Job], processes: int) -> dict[str, Tally]:
    """All jobs, in `processes` processes; the result does not depend on their number."""
    total: dict[str, Tally] = {}
    if processes <= 1:
        _collect(map(run_batch, batches(jobs)), total)
    else:
        with ProcessPoolExecutor(processes) as pool:
            _collect(pool.map(run_batch, batches(jobs)), total)
    return total


def _collect(results: Iterable[dict[str, Tally]], total: dict[str, Tally]) -> None:
    for result in results:
        for name, tally in result.items():
            total.setdefault(name, Tally()).add(tally)


def table(total: dict[str, Tally]) -> Iterator[str]:
    """The result as lines of text."""
    yield f"{'combination or attack':<24}{'runs':>6}{'done':>6}{'bad':>5}{'cpu ms':>8}{'virtual s':>11}  ends of the station"
    for name, tally in sorted(total.items()):
        ends = ", ".join(f"{reason} {count}" for reason, count in sorted(tally.reasons.items()))
        cost = tally.cpu_s / tally.runs * 1000
        mean = tally.virtual_s / tally.runs
        yield (
            f"{name:<24}{tally.runs:>6}{tally.completed:>6}{len(tally.failures):>5}{cost:>8.1f}{mean:>11.1f}  {ends}"
        )


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m iso15118.sim.soak", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="seeds for each combination (default 100)")
    parser.add_argument("--first", type=int, default=1, help="the first seed (default 1)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--plug", action="store_true", help="the whole way from plug to unplug")
    parser.add_argument("--secure", action="store_true", help="TLS, contracts and attacks")
    parser.add_argument("--no-faults", action="store_true", help="undisturbed sessions")
    parser.add_argument("--show", type=int, default=10, help="failures to print in full (default 10)")
    options = parser.parse_args(arguments)
    seeds = range(options.first, options.first + options.seeds)
    jobs = [
        Job(energy, control, seed, not options.no_faults, options.plug, options.secure)
        for seed in seeds
        for energy, control in COMBINATIONS
    ]
    total = soak(jobs, options.jobs)
    failures = [text for _, tally in sorted(total.items()) for text in tally.failures]
    out = [*table(total), *failures[: options.show]]
    sys.stdout.write("\n".join(out) + f"\n{len(jobs)} sessions, {len(failures)} failed\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
