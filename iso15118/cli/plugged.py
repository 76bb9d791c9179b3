"""What a run from plug to unplug came to, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from iso15118.cli.printing import Transcript, ends_record, json_line, one_of_many

if TYPE_CHECKING:
    from iso15118.sim.plugged import PlugRun


def went_well(run: PlugRun) -> bool:
    """Whether a session was completed, everything came to rest and no rule of physics was broken."""
    return run.completed and run.rested and not run.violations


def json_lines(run: PlugRun, *, ok: bool, events: bool) -> Iterator[str]:
    """Events (where wanted) and the summary, each a line of JSON."""
    if events:
        yield from map(json_line, run.events)
    yield json.dumps(summary(run, ok=ok), separators=(",", ":"))


def text_lines(run: PlugRun) -> Iterator[str]:
    """What happened and what it came to."""
    transcript = Transcript()
    for event in run.events:
        yield from transcript.lines(event)
    yield from transcript.end()
    yield ""
    yield from summary_lines(run)


def short_lines(run: PlugRun) -> Iterator[str]:
    """A run on one line, and what it broke."""
    yield one_of_many(run, f"{run.world.energy.name} {run.world.mode.name.lower()}", run.mishaps)
    yield from (f"      VIOLATION {violation}" for violation in run.violations)
    if not run.rested:
        yield "      not at rest in the end"


def summary(run: PlugRun, *, ok: bool) -> dict[str, Any]:
    """The outcome as JSON-ready data (Wh, virtual seconds)."""
    return {
        "event": "Summary",
        "ok": ok,
        "energy": run.world.energy.name,
        "control": run.world.mode.name.lower(),
        "seed": run.seed,
        "faults": [str(mishap) for mishap in run.mishaps],
        "completed": run.completed,
        "rested": run.rested,
        "violations": [str(violation) for violation in run.violations],
        "ends": ends_record(run.ends),
        "plug": {role: run.states(role) for role in ("secc", "evcc")},
        "delivered_wh": round(run.delivered_wh, 3),
        "fed_back_wh": round(run.fed_back_wh, 3),
        "duration_s": round(run.duration, 3),
        "log_hash": run.log_hash,
    }


def summary_lines(run: PlugRun) -> Iterator[str]:
    """The outcome for people."""
    yield f"plug-in    {run.world.energy.name} {run.world.mode.name.lower()}, seed {run.seed}"
    if run.mishaps:
        yield f"mishaps    {', '.join(map(str, run.mishaps))}"
    yield f"station    {' > '.join(run.states('secc'))}"
    yield f"car        {' > '.join(run.states('evcc'))}"
    yield f"energy     {run.delivered_wh:.1f} Wh into the car, {run.fed_back_wh:.1f} Wh back"
    yield f"duration   {run.duration:.1f} s of virtual time"
    for role, end in sorted(run.ends.items()):
        yield f"{role:<10} {end.reason.value}{f': {end.detail}' if end.detail else ''}"
    if not run.rested:
        yield "NOT AT REST in the end"
    for violation in run.violations:
        yield f"VIOLATION  {violation}"
    yield f"result     {'as intended' if went_well(run) else 'NOT as intended'}"
