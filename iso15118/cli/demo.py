"""The whole way in this process: plug in, match, pay by contract, charge, feed back to the grid, unplug.

Both sides are what runs on a real board, from the control pilot to TLS 1.3 and Plug & Charge; devices, powerline and
battery are virtual, certificates are a test PKI's, time is virtual. Needs no network, no hardware and no privileges.
"""

from __future__ import annotations

import argparse
import time
from typing import Final

from iso15118.cli.main import FAILED, OK

LOOP_INTERVAL_S: Final = 0.24
"""Slower than usual, as the standard still allows: a minute of power in fewer messages."""
LOOPS: Final = 150
CONFIRM_METER_EVERY: Final = 50
SETPOINTS: Final = ((0.0, 60_000.0), (28.0, -20_000.0))
"""What the operator wants from when on: (s since plug-in, W)."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `iso15118 demo`."""
    parser.add_argument("--seed", type=int, default=1, help="another course of chance (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Simulate, then print the transcript and the summary."""
    from iso15118.cli.plugged import text_lines, went_well
    from iso15118.config import EvccConfig, SeccConfig
    from iso15118.control.common import ControlMode, EnergyService
    from iso15118.sim.plugged import plug_in

    begun = time.perf_counter()
    services, mode = (EnergyService.DC_BPT,), ControlMode.DYNAMIC
    station = SeccConfig(services=services, control_modes=(mode,), confirm_meter_every=CONFIRM_METER_EVERY)
    car = EvccConfig(services=services, control_mode=mode, loop_interval_s=LOOP_INTERVAL_S)
    result = plug_in(
        "DC_BPT",
        "dynamic",
        args.seed,
        loops=LOOPS,
        setpoints=SETPOINTS,
        secc=station,
        evcc=car,
        auth="pnc",
        install=True,
    )
    spent = time.perf_counter() - begun
    for line in text_lines(result):
        print(line)
    print(f"took       {spent:.2f} s")
    return OK if went_well(result) else FAILED
