"""Reading what a vehicle offers."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iso15118.tls.client_hello import MAX_EXTENSIONS, TrustedCa, read
from iso15118.tls.errors import TlsError


def vector(size: int, content: bytes) -> bytes:
    return len(content).to_bytes(size) + content


def hello(extensions: bytes | None = b"", suites: bytes = b"\x13\x02") -> bytes:
    body = b"\x03\x03" + bytes(32) + vector(1, b"") + vector(2, suites) + vector(1, b"\x00")
    if extensions is not None:
        body += vector(2, extensions)
    return b"\x01" + vector(3, body)


def record(message: bytes) -> bytes:
    return b"\x16\x03\x01" + vector(2, message)


def extension(kind: int, content: bytes) -> bytes:
    return kind.to_bytes(2) + vector(2, content)


def test_without_extensions():
    found = read(record(hello(None)))
    assert found.suites == (0x1302,)
    assert found.offers(0x0303)
    assert not found.offers(0x0304)
    assert not found.wants_status


def test_what_decides_is_read():
    names = vector(2, b"\x30\x00") + vector(2, b"\x30\x02\x31\x00")
    ca = b"\x00" + b"\x01" + bytes(20) + b"\x02" + vector(2, b"\x30\x00") + b"\x03" + bytes(20)
    found = read(
        record(
            hello(
                extension(43, vector(1, b"\x03\x04\x03\x03"))
                + extension(10, vector(2, b"\x00\x19\x00\x1e"))
                + extension(13, vector(2, b"\x06\x03\x08\x08"))
                + extension(47, vector(2, names))
                + extension(3, vector(2, ca))
                + extension(1, b"\x01")
                + extension(5, b"\x01\x00\x00\x00\x00")
            )
        )
    )
    assert found.versions == (0x0304, 0x0303)
    assert found.offers(0x0304)
    assert found.groups == (0x19, 0x1E)
    assert found.signatures == (0x0603, 0x0808)
    assert found.authorities == (b"\x30\x00", b"\x30\x02\x31\x00")
    assert found.trusted_ca == (
        TrustedCa(0), TrustedCa(1, bytes(20)), TrustedCa(2, b"\x30\x00"), TrustedCa(3, bytes(20)),
    )  # fmt: skip
    assert found.max_fragment_length == 512
    assert found.wants_status


def test_incomplete_is_none_at_every_octet_and_may_span_records():
    message = hello(extension(43, vector(1, b"\x03\x04")))
    whole = record(message[:10]) + record(message[10:30]) + record(message[30:])
    for cut in range(len(whole)):
        assert read(whole[:cut]) is None, cut
    assert read(whole).offers(0x0304)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"\x01\xfe\x80\x01\x00\x00\x00\x00", "V2GTP in the clear"),
        (b"\x15\x03\x01\x00\x02\x02\x28", "does not begin with a TLS handshake"),
        (b"\x16\x03\x01\xff\xff", "not a TLS record"),
        (b"\x16\x02\x01\x00\x05", "not a TLS record"),
        (record(b"\x02" + vector(3, b"")), "not with ClientHello"),
        (record(b"\x01" + vector(3, b"\x03")), "ends in the middle"),
        (record(b"\x01\x01\x00\x00"), "too long"),
        (record(hello(extension(5, b"") * 2)), "stands twice"),
        (record(hello(extension(1, b"\x09"))), "max_fragment_length"),
        (record(hello(extension(3, vector(2, b"\x07")))), "unknown kind"),
        (record(hello(extension(10, vector(2, b"\x00")))), "odd number"),
        (record(hello(extension(10, vector(2, b"\x00\x19") + b"\x00"))), "after the list"),
        (record(hello(b"".join(extension(1000 + i, b"") for i in range(MAX_EXTENSIONS + 1)))), "more than"),
    ],
)
def test_malformed_is_told(octets, reason):
    with pytest.raises(TlsError, match=reason):
        read(octets)


@given(st.binary(max_size=300), st.integers(0, 120))
def test_anything_else_is_a_tls_error_or_incomplete(noise, at):
    good = bytearray(record(hello(extension(43, vector(1, b"\x03\x04")))))
    good[at % len(good) : at % len(good) + len(noise)] = noise
    with contextlib.suppress(TlsError):
        assert read(bytes(good)) is None or read(bytes(good)).suites is not None
