"""Messages per second of the EXI codec, per message type; with a rival next to it where there is one.

    python bench/codec.py
    ECOG_PYTHON=/path/to/venv/bin/python python bench/codec.py      # needs Java on PATH

The messages are what two simulated sessions (DC_BPT and AC_BPT) put on the wire, one of each type.
ECOG_PYTHON names an interpreter with the `iso15118` package of the package index (EcoG, formerly
Josev). Its codec is called as that project calls it: EXI().from_exi and EXI().to_exi, that is pydantic
models, JSON, py4j and a Java archive. Both import as `iso15118`, so it runs in its own process, in the
same run and on the same octets. Both sides go from octets to message objects and back, both are timed by
the wall clock: run it on an idle machine (the load is printed).

For scale, from other measurements on a machine of this class: the Java codec inside (EXIficient) decodes
55 000 to 70 000 messages/s within a warm JVM, XML in and out; generated C decodes above 800 000.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

RIVAL = Path(__file__).with_name("_rival_codec.py")


@dataclass(frozen=True, slots=True)
class Sample:
    """One message type: its schema set and its octets on the wire."""

    name: str
    namespace: str
    exi: bytes


@dataclass(frozen=True, slots=True)
class Rate:
    """Messages per second."""

    decode: float
    encode: float


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=0.15, help="per message type and direction")
    parser.add_argument("--json", action="store_true", help="print figures as JSON")
    args = parser.parse_args()
    samples = session_samples()
    ours: dict[str, Rate] = {}
    theirs: dict[str, Rate] = {}
    with Rival() as rival:
        for sample in samples:  # one after the other, so that both meet the same load of the machine
            ours[sample.name] = measure(sample, args.seconds)
            rate = rival.measure(sample)
            if rate is not None:
                theirs[sample.name] = rate
    if args.json:
        print(json.dumps({n: {"ours": vars_of(r), "rival": vars_of(theirs.get(n))} for n, r in ours.items()}))
        return 0
    print_table(samples, ours, theirs)
    for remark in rival.remarks:
        print(f"rival: {remark}")
    return 0


def vars_of(rate: Rate | None) -> dict[str, float] | None:
    return None if rate is None else {"decode": round(rate.decode), "encode": round(rate.encode)}


# --- samples ----------------------------------------------------------------------------------


def session_samples() -> list[Sample]:
    """One message of every type met in the sessions, as sent."""
    from iso15118 import events
    from iso15118.messages.payloads import Phase, schema_for
    from iso15118.sim.run import simulate

    found: dict[str, Sample] = {}
    for energy, protocol in (("DC_BPT", "DC"), ("AC_BPT", "AC")):
        run = simulate(energy=energy, control="dynamic", seed=1)
        for event in run.events:
            if isinstance(event, events.MessageSent):
                name = type(event.message).__name__
                phase = Phase(
                    None if event.payload_type == 0x8001 else f"urn:iso:std:iso:15118:-20:{protocol}"
                )
                namespace = schema_for(event.payload_type, phase, event.exi)
                found.setdefault(name, Sample(name, str(namespace), event.exi))
    return list(found.values())


# --- ours -------------------------------------------------------------------------------------


def measure(sample: Sample, seconds: float) -> Rate:
    """Decode and encode rates of our codec, after checking that it gives the same octets back."""
    from iso15118.exi import codec
    from iso15118.messages.registry import schema_set

    tables = schema_set(sample.namespace)
    message = codec.decode(sample.exi, tables)
    if codec.encode(message, tables) != sample.exi:
        raise SystemExit(f"{sample.name}: not the same octets after a round trip")
    return Rate(
        decode=rate_of(lambda: codec.decode(sample.exi, tables), seconds),
        encode=rate_of(lambda: codec.encode(message, tables), seconds),
    )


def rate_of(call: Callable[[], Any], seconds: float) -> float:
    """Calls per second of wall time, like the rival's: the median of five stretches."""
    for _ in range(20):
        call()
    rates = []
    for _ in range(5):
        count, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < seconds / 5:
            for _ in range(20):
                call()
            count += 20
        rates.append(count / spent)
    return statistics.median(rates)


# --- the rival --------------------------------------------------------------------------------


class Rival:
    """The rival's codec in its own interpreter, asked message by message; absent without ECOG_PYTHON."""

    def __init__(self) -> None:
        self.remarks: list[str] = []
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        python = os.environ.get("ECOG_PYTHON")
        if not python:
            self.remarks.append("not measured: ECOG_PYTHON names no interpreter")
            return self
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        try:
            self._process = subprocess.Popen(
                [python, "-P", str(RIVAL)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd="/",
                env=environment,
            )
        except OSError as error:
            self.remarks.append(f"not measured: {error}")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.stdin.close()
            self._process.wait(30)

    def measure(self, sample: Sample) -> Rate | None:
        """Its rates for one message; None, with a remark, where it cannot."""
        if self._process is None:
            return None
        task = {"name": sample.name, "namespace": sample.namespace, "exi": sample.exi.hex()}
        print(json.dumps(task), file=self._process.stdin, flush=True)
        line = next((text for text in self._process.stdout if text.startswith("{")), "")
        if not line:
            self.remarks.append("its process ended (is Java on PATH?)")
            self._process = None
            return None
        answer = json.loads(line)
        if "error" in answer:
            self.remarks.append(f"{sample.name}: {answer['error']}")
            return None
        if not answer["same_octets"]:
            self.remarks.append(f"{sample.name}: other octets than it was given")
        return Rate(answer["decode"], answer["encode"])


# --- table ------------------------------------------------------------------------------------


def print_table(samples: list[Sample], ours: dict[str, Rate], theirs: dict[str, Rate]) -> None:
    print(
        f"{'message':34}{'octets':>7}{'decode/s':>11}{'encode/s':>11}{'rival dec/s':>13}{'rival enc/s':>13}{'ratio':>16}"
    )
    for sample in samples:
        mine, other = ours[sample.name], theirs.get(sample.name)
        row = f"{sample.name:34}{len(sample.exi):7}{mine.decode:11,.0f}{mine.encode:11,.0f}"
        if other:
            ratio = f"{mine.decode / other.decode:,.0f} / {mine.encode / other.encode:,.0f}"
            row += f"{other.decode:13,.1f}{other.encode:13,.1f}{ratio:>16}"
        print(row)
    print(
        f"{'all, one of each':34}{'':7}{overall(ours, 'decode'):11,.0f}{overall(ours, 'encode'):11,.0f}",
        end="",
    )
    if theirs:
        mine = {name: ours[name] for name in theirs}
        decode, encode = (overall(mine, way) / overall(theirs, way) for way in ("decode", "encode"))
        print(
            f"{overall(theirs, 'decode'):13,.1f}{overall(theirs, 'encode'):13,.1f}{f'{decode:,.0f} / {encode:,.0f}':>16}",
            end="",
        )
    print(
        "\n\nratio: ours / rival, decode / encode. For scale: the rival's Java codec alone, inside a warm JVM with"
    )
    print("XML in and out, decodes 55 000 to 70 000 messages/s; the bridge around it costs the rest.")


def overall(rates: dict[str, Rate], way: str) -> float:
    """Messages per second when each type is handled once: the harmonic mean."""
    return len(rates) / sum(1 / getattr(rate, way) for rate in rates.values())


if __name__ == "__main__":
    raise SystemExit(main())
