"""OCMF records: the signature covers the octets as they were written."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from iso15118.errors import SecurityError
from iso15118.security.meter_records import read_ocmf

KEY = ec.derive_private_key(3**100, ec.SECP256R1())
PUBLIC = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
PAYLOAD = '{"FV":"1.0","MS":"a|b","RD":[]}'


def record(payload=PAYLOAD, form="hex", **more):
    signature = KEY.sign(payload.encode(), ec.ECDSA(hashes.SHA256()))
    text = signature.hex() if form == "hex" else base64.b64encode(signature).decode()
    return f"OCMF|{payload}|" + json.dumps({"SE": form, "SD": text} | more)


@pytest.mark.parametrize("form", ["hex", "base64"])
def test_record_holds_under_the_key_of_its_meter(form):
    found = read_ocmf(record(form=form))
    assert found.payload == PAYLOAD.encode()
    assert found.verifies(PUBLIC)
    assert len(found.raw_signature) == 64


def test_nothing_else_holds():
    assert not read_ocmf(record().replace("1.0", "1.1")).verifies(PUBLIC)
    assert not read_ocmf(record(SA="ECDSA-secp192r1-SHA256")).verifies(PUBLIC)
    other = ed448.Ed448PrivateKey.generate().public_key()
    assert not read_ocmf(record()).verifies(
        other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    assert not read_ocmf(record()).verifies(b"no key")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "OCMF",
        "OCMF|{}",
        "XCMF|{}|{}",
        "OCMF|{}|{}",
        "OCMF|{}|[]",
        "OCMF|{}|x",
        'OCMF|{}|{"SD":"zz"}',
        'OCMF|{}|{"SD":5}',
        'OCMF|{}|{"SE":"rot13","SD":"00"}',
        "OCMF|{}|" + "[" * 20_000,
        "OCMF|" + "x" * 70_000 + "|{}",
    ],
)
def test_malformed_record_is_an_error_in_words(text):
    with pytest.raises(SecurityError, match="OCMF record"):
        read_ocmf(text)


def test_signature_that_does_not_fit_a_message_is_an_error():
    big = ec.derive_private_key(3, ec.SECP521R1()).sign(b"", ec.ECDSA(hashes.SHA256())).hex()
    for text in (big, "00"):
        with pytest.raises(SecurityError, match="32 octets"):
            _ = read_ocmf('OCMF|{}|{"SD":"' + text + '"}').raw_signature
