"""One PKI for the tests of message security, made once; the leaves most tests need, and another PKI of strangers."""

from __future__ import annotations

import datetime
from functools import cache

from certs import TestPki

AT_S = 1_764_000_000.0
AT = datetime.datetime.fromtimestamp(AT_S, datetime.UTC)
DAY = 86_400.0


@cache
def pki():
    return TestPki(AT)


@cache
def strangers():
    """A PKI with the same names and other keys."""
    return TestPki(AT)


@cache
def contract(defect=None, emaid=""):
    return pki().contract(emaid, defect=defect)


@cache
def provisioning(defect=None):
    return pki().provisioning(defect=defect)
