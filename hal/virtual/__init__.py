"""Hardware that exists only here: a station, a cable and a car, and a device for every protocol.

Open `bench` first: one `Bench` holds both sides, with faults by name (`faults`) and an independent judge
(`watch`); time passes by `step(dt)` alone. `realtime` lets a bench follow the event loop, nothing else here
reads a clock. `battery`, `plants` and `circuit` are the light model for long simulations; `wiring`,
`dc_circuit` and `ac_circuit` the full one with capacitors, inrush and shorts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hal.bundle import EvHardware, EvseHardware


def evse_bundle(bench: Any = None, **options: Any) -> EvseHardware:
    """A whole virtual station that runs in real time once opened; see `realtime.evse_bundle`."""
    from hal.virtual import realtime

    return realtime.evse_bundle(bench, **options)


def ev_bundle(bench: Any = None, **options: Any) -> EvHardware:
    """A whole virtual car that runs in real time once opened; see `realtime.ev_bundle`."""
    from hal.virtual import realtime

    return realtime.ev_bundle(bench, **options)
