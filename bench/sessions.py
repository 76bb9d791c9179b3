"""Complete sessions per second of CPU under virtual time, both sides, plant and codec in one process.

    python bench/sessions.py [--sessions N] [--loops N]

A session runs from discovery to SessionStop with `--loops` charge loops and every event kept. The
checkers judge each one; what that costs is told apart, in "judged/s" it is included. One core, one process.
"""

from __future__ import annotations

import argparse
import time


def main() -> int:
    """Measure each combination of service and control mode and print a table; 1 where a session is not ok."""
    from iso15118.sim.scenarios import COMBINATIONS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=40, help="sessions for each combination (default 40)")
    parser.add_argument("--loops", type=int, default=10, help="charge loops in each (default 10)")
    chosen = parser.parse_args()
    print(
        f"{'combination':<20}{'messages':>9}{'virtual s':>11}{'CPU ms':>9}{'judge ms':>10}"
        f"{'sessions/s':>12}{'judged/s':>10}"
    )
    bad = 0
    for energy, control in COMBINATIONS:
        bad += _measure(energy, control, chosen.sessions, chosen.loops)
    if bad:
        print(f"{bad} sessions were not ok: the figures do not count")
    return 1 if bad else 0


def _measure(energy: str, control: str, sessions: int, loops: int) -> int:
    """Print the row of a combination; returns how many of its sessions were not ok."""
    from iso15118.sim.run import simulate

    simulated = judged = 0.0
    bad = int(not simulate(energy, control, 0, loops=loops).ok)  # loads what only a first session loads
    for seed in range(sessions):
        begun = time.process_time()
        run = simulate(energy, control, seed, loops=loops)
        ended = time.process_time()
        bad += not run.ok
        simulated += ended - begun
        judged += time.process_time() - ended
    simulated, judged = simulated / sessions, judged / sessions
    print(
        f"{energy + ' ' + control:<20}{len(run.messages):>9}{run.duration:>11.1f}{simulated * 1e3:>9.1f}"
        f"{judged * 1e3:>10.1f}{1 / simulated:>12.1f}{1 / (simulated + judged):>10.1f}"
    )
    return bad


if __name__ == "__main__":
    raise SystemExit(main())
