"""Reading recorded charging sessions: packet captures in, decoded messages out.

    for item in iso15118.trace.open("plugfest.pcapng", keylog="tls.keys"):
        print(item.t, item.direction, item.message or item.error)

Reads files only; it never captures and never sends. TLS is opened with secrets that somebody logged, by nothing else.
Start with `timeline.py`.
"""

from iso15118.trace.pcap import CaptureError
from iso15118.trace.session import TraceItem
from iso15118.trace.timeline import open_capture

open = open_capture  # noqa: A001 - reads as trace.open(path)

__all__ = ["CaptureError", "TraceItem", "open", "open_capture"]
