"""The whole way in this process: plug in, match over the powerline, charge, feed back to the grid, unplug.

Both sides are what runs on a real board, from the control pilot to the messages; devices, powerline and battery are
virtual, under virtual time. Needs no network, no hardware and no privileges.
"""

from __future__ import annotations

import argparse
import time
from typing import Final

from iso15118.cli.main import FAILED, OK

LOOP_INTERVAL_S: Final = 0.24
"""Slower than usual, as the standard still allows: a minute of power in fewer messages."""
LOOPS: Final = 150
SETPOINTS: Final = ((0.0, 60_000.0), (28.0, -20_000.0))
"""What the operator wants from when on: (s since plug-in, W)."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `iso15118 demo`."""
    parser.add_argument("--seed", type=int, default=1, help="another course of chance (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Simulate, then print the transcript and the summary."""
    from iso15118.cli.plugged import summary_lines, went_well
    from iso15118.cli.printing import Transcript
    from iso15118.config import EvccConfig
    from iso15118.control.common import ControlMode, EnergyService
    from iso15118.sim.plugged import plug_in

    begun = time.perf_counter()
    car = EvccConfig(
        services=(EnergyService.DC_BPT,),
        control_mode=ControlMode.DYNAMIC,
        loop_interval_s=LOOP_INTERVAL_S,
        insecure_no_tls=True,
    )
    result = plug_in("DC_BPT", "dynamic", args.seed, loops=LOOPS, setpoints=SETPOINTS, evcc=car)
    spent = time.perf_counter() - begun
    transcript = Transcript()
    for event in result.events:
        for line in transcript.lines(event):
            print(line)
    for line in (*transcript.end(), "", *summary_lines(result)):
        print(line)
    print(f"took       {spent:.2f} s")
    return OK if went_well(result) else FAILED
