"""A complete session, car and charger in this process: DC_BPT charges, then feeds back to the grid.

Both sides are the machines that run on a real board; only the network, the contactors and the battery are
simulated, under virtual time. Needs no network, no hardware and no privileges.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from typing import Final

from iso15118.cli.main import FAILED, OK

LOOP_INTERVAL_S: Final = 0.24
"""Slower than usual, as the standard still allows: a minute of power in fewer messages."""
LOOPS: Final = 220


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `iso15118 demo`."""
    parser.add_argument("--seed", type=int, default=1, help="another course of chance (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Simulate, then print the transcript and the summary."""
    from iso15118.cli.printing import Transcript
    from iso15118.cli.simulate import summary_lines, went_well
    from iso15118.sim.run import evcc_config, simulate
    from iso15118.sim.scenarios import demo

    begun = time.perf_counter()
    scenario = demo()
    car = dataclasses.replace(evcc_config(scenario), loop_interval_s=LOOP_INTERVAL_S, max_loops=LOOPS)
    result = simulate(seed=args.seed, scenario=dataclasses.replace(scenario, evcc=car))
    spent = time.perf_counter() - begun
    transcript = Transcript()
    for event in result.events:
        for line in transcript.lines(event):
            print(line)
    for line in (*transcript.end(), "", *summary_lines(result)):
        print(line)
    print(f"took       {spent:.2f} s")
    return OK if went_well(result) else FAILED
