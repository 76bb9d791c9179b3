"""From plug to unplug under virtual time, and matching alone: runs a second, what takes the time.

python bench/plugged.py [RUNS]
"""

from __future__ import annotations

import statistics
import sys
import time

from iso15118.config import SlacConfig
from iso15118.sim.plugged import plug_in
from iso15118.sim.powerline.config import EV_MODEM, EVSE_MODEM
from iso15118.sim.powerline.medium import Medium
from iso15118.sim.powerline.world import LinkWorld
from iso15118.slac.dlink import DLink
from iso15118.slac.ev import EvSlac
from iso15118.slac.events import LinkReady, MatchingStarted
from iso15118.slac.evse import EvseSlac

EV, EVSE = bytes.fromhex("0200000000e0"), bytes.fromhex("02000000e5e0")
COMBINATIONS = (("AC", "dynamic"), ("AC_BPT", "scheduled"), ("DC", "dynamic"), ("DC_BPT", "scheduled"))


def matched(seed: int) -> tuple[float, float, int]:
    """(CPU s, virtual s without the modems' joining, frames) of one matching."""
    import random

    begun = time.process_time()
    world = LinkWorld(Medium(seed))
    ports = [world.medium.attach(EVSE, EVSE_MODEM), world.medium.attach(EV, EV_MODEM)]
    config = SlacConfig()
    world.connect(ports[0], EvseSlac(EVSE, config, random.Random(f"evse {seed}").randbytes))
    world.connect(ports[1], EvSlac(EV, config, random.Random(f"ev {seed}").randbytes))
    for port in ports:
        world.give(port, DLink.MATCH)
    assert world.run_until(lambda: bool(world.told(ports[1], LinkReady)), 30.0)
    ready = world.told(ports[1], LinkReady)[0].t - world.told(ports[1], MatchingStarted)[0].t
    return time.process_time() - begun, ready, len(world.frames)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    matched(0)
    results = [matched(seed) for seed in range(runs)]
    cpu, virtual, frames = (statistics.median(column) for column in zip(*results, strict=True))
    print(f"{'matching':<22}{'CPU ms':>8}{'virtual s':>11}{'frames':>8}{'a second':>10}")
    print(f"{'EV and EVSE, joined':<22}{cpu * 1000:>8.1f}{virtual:>11.2f}{frames:>8.0f}{1 / cpu:>10.0f}\n")
    print(f"{'plug to unplug':<22}{'CPU ms':>8}{'virtual s':>11}{'events':>8}{'a second':>10}")
    for energy, control in COMBINATIONS:
        plug_in(energy, control, seed=0)
        spent, durations, events = [], [], []
        for seed in range(runs):
            begun = time.process_time()
            run = plug_in(energy, control, seed)
            spent.append(time.process_time() - begun)
            assert run.ok, run.explain()
            durations.append(run.duration)
            events.append(len(run.events))
        cpu, virtual = statistics.median(spent), statistics.median(durations)
        name = f"{energy} {control}"
        print(
            f"{name:<22}{cpu * 1000:>8.1f}{virtual:>11.1f}{statistics.median(events):>8.0f}{1 / cpu:>10.1f}"
        )


if __name__ == "__main__":
    main()
