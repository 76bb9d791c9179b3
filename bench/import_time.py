"""CPU time and memory of importing the package and of its entry points, beyond an empty interpreter.

    python bench/import_time.py

Each figure is the median of several fresh processes. `with` shows the modules of the standard library
that are worth knowing about because they are heavy, and anything foreign.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass

RUNS = 9
HEAVY = (
    "asyncio",
    "ssl",
    "cryptography",
    "pydantic",
    "scapy",
    "lxml",
    "xml.etree",
    "argparse",
    "json",
    "tomllib",
    "inspect",
)

ENTRY_POINTS = {
    "import asyncio (for scale)": "import asyncio",
    "import iso15118": "import iso15118",
    "iso15118.decode, first DC message": (
        "import iso15118; iso15118.decode('01fe800400000011802c040000000000000000080e2cfaa062')"
    ),
    "iso15118.SeccConfig": "from iso15118 import SeccConfig; SeccConfig()",
    "iso15118.Charger": "from iso15118 import Charger",
    "iso15118.Vehicle": "from iso15118 import Vehicle",
    "iso15118.cli.main": "import iso15118.cli.main",
    "iso15118 --help": "import iso15118.cli.main as m; m.main(['--help'])",
    "iso15118.sim": "import iso15118.sim",
}

PROBE = """
import os, resource, sys
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
before = set(sys.modules)
begin = resource.getrusage(resource.RUSAGE_SELF)
{code}
end = resource.getrusage(resource.RUSAGE_SELF)
loaded = sorted(set(sys.modules) - before)
cpu = end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime
pages = int(open('/proc/self/statm').read().split()[1]) if os.path.exists('/proc/self/statm') else 0
import json
print(json.dumps([cpu * 1000, pages * resource.getpagesize() / 2**20, loaded]), file=sys.stderr)
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians: CPU in ms, resident memory in MiB; the modules loaded."""

    cpu_ms: float
    memory_mib: float
    modules: tuple[str, ...]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=RUNS, help="processes per entry point")
    args = parser.parse_args()
    empty = cost_of("pass", args.runs)
    print(f"{'entry point':36}{'CPU ms':>8}{'MiB':>8}{'modules':>9}  with")
    print(f"{'(empty interpreter)':36}{empty.cpu_ms:8.1f}{empty.memory_mib:8.1f}{0:9}")
    for name, code in ENTRY_POINTS.items():
        try:
            cost = cost_of(code, args.runs)
        except subprocess.CalledProcessError as error:
            print(f"{name:36} failed: {error.stderr.strip().splitlines()[-1]}")
            continue
        heavy = ", ".join(m for m in HEAVY if m in cost.modules) or "-"
        print(
            f"{name:36}{cost.cpu_ms - empty.cpu_ms:8.1f}{cost.memory_mib - empty.memory_mib:8.1f}"
            f"{len(cost.modules):9}  {heavy}"
        )
    return 0


def cost_of(code: str, runs: int) -> Cost:
    """Run `code` in fresh processes, after one that warms the file cache and the bytecode."""
    results = [_once(code) for _ in range(runs + 1)][1:]
    return Cost(
        cpu_ms=statistics.median(r[0] for r in results),
        memory_mib=statistics.median(r[1] for r in results),
        modules=tuple(results[0][2]),
    )


def _once(code: str) -> tuple[float, float, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(code=code)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    cpu, memory, modules = json.loads(done.stderr.splitlines()[-1])
    return cpu, memory, modules


if __name__ == "__main__":
    raise SystemExit(main())
