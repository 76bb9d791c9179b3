"""Who is at the other end, and what binds a session to it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from iso15118.security.binding import carries_iso20, same_peer, session_binding
from iso15118.tls.engine import TlsFacts
from iso15118.tls.profile import Version

LEAF, ID = b"certificate", bytes(range(8))


@dataclass
class Facts:
    version: int = 0x0304
    peer: bytes | None = LEAF


@pytest.mark.req("V2G20-2356")
@pytest.mark.req("V2G20-1237")
@pytest.mark.parametrize(
    ("facts", "allowed"),
    [
        (Facts(), True),
        (Facts(version=0x0303), False),
        (Facts(peer=None), False),
        (Facts(peer=b""), False),
        (None, False),
        (TlsFacts(Version.TLS13, "", "", (LEAF,)), True),
        (TlsFacts(Version.TLS13, "", ""), False),
        (TlsFacts(Version.TLS12, "", "", (LEAF,)), False),
    ],
)
def test_iso15118_20_needs_tls_1_3_with_both_sides_known(facts, allowed):
    assert carries_iso20(facts) is allowed


@pytest.mark.req("V2G20-2545")
def test_session_goes_on_with_the_same_certificate_alone():
    binding = session_binding(ID, LEAF)
    assert same_peer(binding, ID, LEAF)
    assert not same_peer(binding, ID, LEAF + b"x")
    assert not same_peer(binding, bytes(8), LEAF)
    assert not same_peer(binding, ID, None)
    assert not same_peer(session_binding(ID, b""), ID, b"")
    assert not same_peer(b"", ID, LEAF)
