"""Seeded mutations of our own vectors, and the long run over them.

    python -m tests.unit.exi.mutation --count 1000000

prints how many were read and refused, the slowest decode and the peak memory; exit status 1 where
anything but DecodeError came out.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
import traceback
from collections.abc import Iterator

from iso15118.errors import DecodeError
from iso15118.exi.codec import decode
from iso15118.messages.registry import schema_set
from tests.unit.exi.generator import VECTORS

SEED = 20_000


def corpus() -> list[tuple[str, bytes]]:
    lines = VECTORS.read_text(encoding="utf-8").splitlines()
    return [(vector["schema"], bytes.fromhex(vector["exi"])) for vector in map(json.loads, lines)]


def mutated(octets: bytes, other: bytes, source: random.Random) -> bytes:
    data = bytearray(octets)
    for _ in range(source.choice([1, 1, 1, 2, 4, 16])):
        at = source.randrange(len(data)) if data else 0
        match source.randrange(7):
            case 0 | 1 | 2 if data:
                data[at] ^= 1 << source.randrange(8)
            case 3 if data:
                data[at] = source.choice([0, 1, 0x7F, 0x80, 0xFF, source.randrange(256)])
            case 4:
                del data[at:]
            case 5:
                data[at:at] = source.randbytes(source.randrange(1, 9))
            case 6:
                data[at:] = other[at:]
    return bytes(data)


def mutations(count: int, seed: int = SEED) -> Iterator[tuple[str, bytes]]:
    source = random.Random(seed)
    originals = corpus()
    for _ in range(count):
        namespace, octets = source.choice(originals)
        yield namespace, mutated(octets, source.choice(originals)[1], source)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=SEED)
    chosen = parser.parse_args()
    read = refused = escaped = 0
    slowest, begun = (0.0, ""), time.process_time()
    for namespace, octets in mutations(chosen.count, chosen.seed):
        known = schema_set(namespace)
        at = time.process_time()
        try:
            decode(octets, known)
            read += 1
        except DecodeError:
            refused += 1
        except Exception:  # noqa: BLE001 - that is what is looked for
            escaped += 1
            print(namespace, octets.hex(), traceback.format_exc(limit=-2), sep="\n")
        slowest = max(slowest, (time.process_time() - at, octets.hex()[:64]))
    spent = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{chosen.count} mutations: {read} read, {refused} refused, {escaped} other exceptions")
    print(
        f"{spent:.0f} s of CPU, slowest decode {slowest[0] * 1e3:.1f} ms ({slowest[1]}...), peak {peak:.0f} MiB"
    )
    return 1 if escaped else 0


if __name__ == "__main__":
    raise SystemExit(main())
