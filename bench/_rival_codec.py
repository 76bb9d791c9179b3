"""Runs inside the rival's interpreter (see codec.py): a JSON task a line in, a JSON answer a line out."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

SECONDS = 1.0


def main() -> None:
    logging.disable(logging.CRITICAL)
    from iso15118.shared.exi_codec import EXI
    from iso15118.shared.exificient_exi_codec import ExificientEXICodec
    from iso15118.shared.settings import load_shared_settings

    load_shared_settings()
    exi = EXI()
    exi.set_exi_codec(ExificientEXICodec())
    for line in sys.stdin:
        task = json.loads(line)
        print(json.dumps(measure(exi, bytes.fromhex(task["exi"]), task["namespace"])), flush=True)


def measure(exi: Any, octets: bytes, namespace: str) -> dict[str, Any]:
    try:
        message = exi.from_exi(octets, namespace)
        same = bytes(exi.to_exi(message, namespace)) == octets
        return {
            "decode": rate_of(lambda: exi.from_exi(octets, namespace)),
            "encode": rate_of(lambda: exi.to_exi(message, namespace)),
            "same_octets": same,
        }
    except Exception as error:  # noqa: BLE001 - whatever the rival raises is a result here
        reason = getattr(error, "reason", None) or error
        return {"error": " ".join(f"{type(error).__name__}: {reason}".split())[:240]}


def rate_of(call: Callable[[], Any]) -> float:
    """Calls per second of wall time: most of the work happens in another process, the JVM."""
    for _ in range(5):
        call()
    count, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < SECONDS:
        call()
        count += 1
    return count / spent


if __name__ == "__main__":
    main()
