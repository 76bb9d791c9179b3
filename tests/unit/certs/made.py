"""One PKI for each protocol and curve, made once: tests only issue from them."""

from __future__ import annotations

import datetime
import functools

from certs.pki import TestPki

AT = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
KINDS = (
    ("iso15118-20", "secp521r1"),
    ("iso15118-20", "ed448"),
    ("iso15118-2", "secp256r1"),
    ("iso15118-20", "secp256r1"),
)


@functools.cache
def pki(protocol="iso15118-20", curve="", at=AT):
    return TestPki(at, protocol, curve)
