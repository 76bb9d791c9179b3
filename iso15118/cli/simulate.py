"""Simulate charging sessions under virtual time: both machines, network, battery, contactors, checkers.

Both sides speak mutual TLS 1.3 and the car pays by contract, with certificates of a test PKI, unless it is said
otherwise. The same seed gives the same session, event for event. Exit code 0 only if the session ended as intended
and broke no rule; of many sessions (--runs), which may have faults that end them early, only if none broke
a rule.

  iso15118 simulate --energy DC_BPT --control dynamic --seed 7
  iso15118 simulate --energy DC --seed 3 --faults "late_contactor(2.5), tcp_jitter" --json
  iso15118 simulate --runs 200 --faults
  iso15118 simulate --energy AC --install
  iso15118 simulate --insecure-no-tls --runs 200
  iso15118 simulate --plug --energy DC --faults "link_breaks(at=14, seconds=2)"

With --plug it is the whole way from plug to unplug, devices and powerline included; its faults are others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from iso15118.cli.main import FAILED, OK, UsageError
from iso15118.cli.printing import ends_record, one_of_many

if TYPE_CHECKING:
    from iso15118.sim.run import Run


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `iso15118 simulate`."""
    parser.add_argument(
        "--energy", metavar="SERVICE", help="AC, AC_BPT, DC or DC_BPT (default: DC; with --runs: all)"
    )
    parser.add_argument(
        "--control", metavar="MODE", help="scheduled or dynamic (default: dynamic; with --runs: both)"
    )
    parser.add_argument("--seed", type=int, default=1, help="what all chance follows from (default: 1)")
    parser.add_argument(
        "--loops", type=int, metavar="N", help="charge loops (default: 20; with --runs: by seed)"
    )
    parser.add_argument(
        "--faults",
        nargs="?",
        const="random",
        default="",
        metavar="TEXT",
        help="name(value, key=value), ...; without TEXT, or `random`: one to three drawn from the seed",
    )
    parser.add_argument(
        "--runs", type=int, default=1, metavar="N", help="N sessions, seeds counting up from --seed"
    )
    parser.add_argument(
        "--plug", action="store_true", help="from plug to unplug: pilot, matching, session, virtual devices"
    )
    parser.add_argument(
        "--auth",
        choices=("eim", "pnc"),
        help="who pays: pnc, a contract of a test PKI, or eim, a card (default: pnc; without TLS: eim)",
    )
    parser.add_argument(
        "--install", action="store_true", help="with --auth pnc: the car fetches its contract first"
    )
    parser.add_argument(
        "--insecure-no-tls", action="store_true", help="plain TCP instead of mutual TLS 1.3, and faster"
    )
    parser.add_argument(
        "--json", action="store_true", help="events as JSON lines and a summary object as the last"
    )


def run(args: argparse.Namespace) -> int:
    """Simulate one session or many."""
    if args.runs < 1 or (args.loops is not None and args.loops < 1):
        raise UsageError("--runs and --loops take 1 or more")
    if args.insecure_no_tls and args.auth == "pnc":
        raise UsageError("--auth pnc takes TLS: leave --insecure-no-tls out")
    if args.install and (args.insecure_no_tls or args.auth == "eim"):
        raise UsageError("--install takes --auth pnc over TLS: a card needs no contract")
    if args.plug:
        return _plugged(args)
    if args.runs > 1:
        return _many(args)
    from iso15118.sim.run import simulate

    result = simulate(
        args.energy or "DC",
        args.control or "dynamic",
        args.seed,
        args.faults,
        loops=args.loops,
        **_trust(args),
    )
    lines = _as_json(result) if args.json else _as_text(result)
    for line in lines:
        print(line)
    return OK if went_well(result) else FAILED


def _trust(args: argparse.Namespace) -> dict[str, Any]:
    """What both sides use of TLS and contracts: both, unless said otherwise."""
    tls = not args.insecure_no_tls
    auth = args.auth or ("pnc" if tls else "eim")
    return {"tls": tls, "auth": auth, "install": args.install}


def _plugged(args: argparse.Namespace) -> int:
    from iso15118.cli import plugged
    from iso15118.sim.plugged import plug_in
    from iso15118.sim.plugged.run import LOOPS
    from iso15118.sim.scenarios import control_of, service_of

    energy, control = service_of(args.energy or "DC").name, control_of(args.control or "dynamic").name
    bad = 0
    for seed in range(args.seed, args.seed + args.runs):
        result = plug_in(energy, control, seed, args.faults, loops=args.loops or LOOPS, **_trust(args))
        alone = args.runs == 1
        ok = plugged.went_well(result) if alone else result.ok
        bad += not ok
        if args.json:
            lines = plugged.json_lines(result, ok=ok, events=alone)
        else:
            lines = plugged.text_lines(result) if alone else plugged.short_lines(result)
        for line in lines:
            print(line)
    if args.runs > 1 and not args.json:
        print(f"{args.runs} times plugged in, {bad} broke a rule")
    return FAILED if bad else OK


def went_well(result: Run) -> bool:
    """Whether both sides ended by SessionStop and no checker was broken."""
    return result.completed and not result.violations


def _as_json(result: Run) -> Iterator[str]:
    from iso15118.cli.printing import json_line

    for event in result.events:
        yield json_line(event)
    yield json.dumps(summary(result, ok=went_well(result)), separators=(",", ":"))


def _as_text(result: Run) -> Iterator[str]:
    from iso15118.cli.printing import Transcript

    transcript = Transcript()
    for event in result.events:
        yield from transcript.lines(event)
    yield from transcript.end()
    yield ""
    yield from summary_lines(result)


def summary(result: Run, *, ok: bool) -> dict[str, Any]:
    """The outcome as JSON-ready data (Wh, virtual seconds)."""
    scenario = result.scenario
    return {
        "event": "Summary",
        "ok": ok,
        "energy": scenario.service.name,
        "control": scenario.control.name.lower(),
        "seed": result.seed,
        "faults": [str(fault) for fault in result.faults],
        "completed": result.completed,
        "violations": [str(violation) for violation in result.violations],
        "ends": ends_record(result.ends),
        "states": {role: result.states(role) for role in ("secc", "evcc")},
        "messages": len(result.messages),
        "delivered_wh": round(result.delivered_wh, 3),
        "fed_back_wh": round(result.fed_back_wh, 3),
        "duration_s": round(result.duration, 3),
        "log_hash": result.log_hash,
    }


def summary_lines(result: Run) -> Iterator[str]:
    """The outcome for people."""
    scenario = result.scenario
    exchanges = len(result.messages) // 2
    yield f"session    {scenario.service.name} {scenario.control.name.lower()}, seed {result.seed}"
    if result.faults:
        yield f"faults     {', '.join(map(str, result.faults))}"
    yield f"states     {' > '.join(_runs_collapsed(result.states('secc')))}"
    yield f"messages   {exchanges} requests with their responses"
    yield f"energy     {result.delivered_wh:.1f} Wh into the car, {result.fed_back_wh:.1f} Wh back"
    yield f"duration   {result.duration:.1f} s of virtual time"
    for role, end in sorted(result.ends.items()):
        yield f"{role:<10} {end.reason.value}{f': {end.detail}' if end.detail else ''}"
    for violation in result.violations:
        yield f"VIOLATION  {violation}"
    yield f"result     {'as intended' if went_well(result) else 'NOT as intended'}"


def _runs_collapsed(states: list[str]) -> Iterator[str]:
    previous = ""
    for state in states:
        if state != previous:
            yield state
        previous = state


# --- many sessions ----------------------------------------------------------------------------


def _many(args: argparse.Namespace) -> int:
    """`--runs`: varied scenarios over services and control modes, one line each."""
    bad = 0
    for result in _sessions(args):
        bad += not result.ok
        if args.json:
            print(json.dumps(summary(result, ok=result.ok), separators=(",", ":")))
        else:
            print(_line(result))
    if not args.json:
        print(f"{args.runs} sessions, {bad} broke a rule")
    return FAILED if bad else OK


def _sessions(args: argparse.Namespace) -> Iterator[Run]:
    from dataclasses import replace

    from iso15118.sim.run import simulate
    from iso15118.sim.scenarios import COMBINATIONS, varied

    for number in range(args.runs):
        energy, control = COMBINATIONS[number % len(COMBINATIONS)]
        seed = args.seed + number
        scenario = varied(args.energy or energy, args.control or control, seed)
        if args.loops is not None:
            scenario = replace(scenario, loops=args.loops)
        yield simulate(seed=seed, faults=args.faults, scenario=scenario, limit_s=900.0, **_trust(args))


def _line(result: Run) -> str:
    scenario = result.scenario
    what = f"{scenario.service.name} {scenario.control.name.lower()}"
    line = one_of_many(result, what, result.faults)
    return "\n".join([line, *(f"      VIOLATION {violation}" for violation in result.violations)])
