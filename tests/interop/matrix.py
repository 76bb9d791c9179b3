"""Repeat the sessions against EcoG's `iso15118` and print a table.

python tests/interop/matrix.py [--runs N] [--only TEXT] [--case NAME] [--keep FOLDER] [--strict] [--json] | --install | --list
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import ecog

from iso15118.runtime.lab import lab

INSIDE = "ISO15118_LAB"


def main() -> int:
    """Run the chosen sessions inside a lab of their own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1, help="how often each session is run")
    parser.add_argument("--only", default="", help="run sessions whose name contains this")
    parser.add_argument("--case", default="", help="run the one session of this name")
    parser.add_argument("--keep", type=Path, help="keep both sides' logs under this folder")
    parser.add_argument("--strict", action="store_true", help="the standard's 0.5 s in the charge loop")
    parser.add_argument("--json", action="store_true", help="one JSON object per session instead of a table")
    parser.add_argument("--install", action="store_true", help="install the peer into .ecogvenv and leave")
    parser.add_argument("--list", action="store_true", help="name the sessions and leave")
    chosen = parser.parse_args()
    if chosen.install:
        print(ecog.install() if ecog.PEER.is_file() else "nothing to install: no ../shared/interop/ecog")
        return 0
    cases = [case for case in (*ecog.CASES, *ecog.SECURE_CASES) if chosen.only in case.name]
    if chosen.case:
        cases = [case for case in cases if case.name == chosen.case]
    if chosen.list:
        print("\n".join(case.name for case in cases))
        return 0
    if reason := ecog.missing():
        print(f"cannot run: {reason}", file=sys.stderr)
        return 3
    if os.environ.get(INSIDE) != "1":
        os.environ[INSIDE] = "1"
        return lab([sys.executable, str(Path(__file__).resolve()), *sys.argv[1:]])
    return run(cases, chosen)


def run(cases: list[ecog.Case], chosen: argparse.Namespace) -> int:
    """Run and report; the exit code says whether all sessions were right."""
    if not chosen.json:
        head = f"{'session':<32}{'result':<8}{'s':>6}{'messages':>10}"
        print(f"{head}{'slowest turn ms: ours':>23}{'theirs':>8}  why")
    bad = 0
    for _ in range(chosen.runs):
        for case in cases:
            row = ecog.as_row(ecog.run_in_folder(case, chosen.keep, chosen.strict))
            bad += not row["ok"]
            print(json.dumps(row) if chosen.json else as_line(row), flush=True)
    if not chosen.json:
        total = len(cases) * chosen.runs
        print(f"{total - bad} of {total} sessions ok")
    return 1 if bad else 0


def as_line(row: dict[str, Any]) -> str:
    """One line of the table."""
    verdict = "ok" if row["ok"] else "FAIL"
    head = f"{row['case']:<32}{verdict:<8}{row['seconds']:>6}{row['messages']:>10}"
    return f"{head}{row['slowest_ms']:>23}{row['peer_slowest_ms']:>8}  {'; '.join(row['faults'])}"


if __name__ == "__main__":
    sys.exit(main())
