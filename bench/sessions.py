"""Complete sessions per second of CPU under virtual time, both sides, plant and codec in one process.

    python bench/sessions.py [--sessions N] [--loops N]

A session runs from discovery to SessionStop with `--loops` charge loops and every event kept;
the checkers judge it. One core, one process.
"""

from __future__ import annotations

import argparse
import time


def main() -> int:
    """Measure each combination of service and control mode and print a table."""
    from iso15118.sim.run import simulate
    from iso15118.sim.scenarios import COMBINATIONS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=40, help="sessions for each combination (default 40)")
    parser.add_argument("--loops", type=int, default=10, help="charge loops in each (default 10)")
    chosen = parser.parse_args()
    print(f"{'combination':<20}{'messages':>9}{'virtual s':>11}{'CPU ms':>9}{'sessions/s':>12}")
    for energy, control in COMBINATIONS:
        simulate(energy, control, 0, loops=chosen.loops)
        begun = time.process_time()
        for seed in range(chosen.sessions):
            run = simulate(energy, control, seed, loops=chosen.loops)
        spent = (time.process_time() - begun) / chosen.sessions
        messages = sum(type(e).__name__ == "MessageSent" for e in run.events)
        print(
            f"{energy + ' ' + control:<20}{messages:>9}{run.duration:>11.1f}{spent * 1e3:>9.1f}{1 / spent:>12.1f}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
