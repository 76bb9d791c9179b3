"""Recorded ClientHello records, good and bad."""

from __future__ import annotations

import json

import pytest

from iso15118.tls.client_hello import CERTIFICATE_AUTHORITIES, read
from iso15118.tls.errors import TlsError

pytestmark = pytest.mark.vectors


def numbers(values):
    return tuple(int(v, 16) for v in values)


@pytest.fixture
def recorded(shared):
    return json.loads((shared / "vectors" / "security" / "clienthello.json").read_text())


def test_recorded_hellos_are_read_as_described(recorded):
    for case in recorded["positive"]:
        found = read(bytes.fromhex(case["record"]))
        assert found is not None, case["name"]
        assert found.suites == numbers(case["cipher_suites"])
        assert {str(k): v.hex() for k, v in found.extensions.items()} == case["extensions"]
        expect = case["expect"]
        assert found.versions == numbers(expect.get("supported_versions", []))
        if "groups" in expect:
            assert found.groups == numbers(expect["groups"])
        if "signature_algorithms" in expect:
            assert found.signatures == numbers(expect["signature_algorithms"])
        if "certificate_authorities_present" in expect:
            assert (CERTIFICATE_AUTHORITIES in found.extensions) == expect["certificate_authorities_present"]
            assert bool(found.authorities) == expect["certificate_authorities_present"]
        if "trusted_ca_keys" in expect:
            told = [{"type": t.kind, "sha1": t.value.hex()} for t in found.trusted_ca]
            assert told == expect["trusted_ca_keys"]


def test_recorded_hellos_arrive_in_any_chunking(recorded):
    whole = bytes.fromhex(recorded["positive"][0]["record"])
    assert all(read(whole[:cut]) is None for cut in range(len(whole)))


def test_malformed_hellos_are_refused_or_stay_incomplete(recorded):
    for case in recorded["negative"]:
        octets = bytes.fromhex(case["record"])
        if case["name"] == "truncated":
            assert read(octets) is None
        else:
            with pytest.raises(TlsError):
                read(octets)
