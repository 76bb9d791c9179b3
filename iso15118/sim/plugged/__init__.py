"""The whole way under virtual time: a connector is plugged in, pilot, matching, discovery, session, and pulled again.

    run = plug_in("DC_BPT", "dynamic", seed=7, faults="link_loss(rate=0.05)")
    assert run.ok

Both sides are what a board would run: devices (virtual ones on one bench), HalEvse and HalEv, plug and link,
discovery and session; between them a virtual powerline. What is physically the case is judged by the bench's
watcher, which knows nothing of any of them.

Open `terminal.py` first (one side from device to message), then `world.py` (time), `network.py` (IPv6 on the
powerline), `mishaps.py` (what may happen) and `run.py` (one run from one call).
"""

from iso15118.sim.plugged.run import PlugRun, plug_in

__all__ = ["PlugRun", "plug_in"]
