"""Recorded wrapped contract keys of both protocols."""

from __future__ import annotations

import datetime
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x448
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

from certs import contract
from certs.contract import Wrapped
from certs.errors import CertsError
from certs.issue import key_id, name

pytestmark = pytest.mark.vectors

P256, P521 = ec.SECP256R1(), ec.SECP521R1()


def load(shared, title):
    return json.loads((shared / "vectors" / "security" / title).read_text())


def private(text, curve):
    return ec.derive_private_key(int(text, 16), curve)


def certificate_of(public_key, key_id=b""):
    """Any certificate of a public key; its issuer does not matter here."""
    at = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name("DE8AACA2B3C4D5L"))
        .issuer_name(name("MO"))
        .public_key(public_key)
        .serial_number(7)
        .not_valid_before(at)
        .not_valid_after(at)
    )
    if key_id:
        builder = builder.add_extension(x509.SubjectKeyIdentifier(key_id), critical=False)
    return builder.sign(ec.generate_private_key(P256), hashes.SHA256())


@pytest.mark.req("V2G2-818")
def test_iso2_keys_are_wrapped_and_unwrapped_as_recorded(shared):
    recorded = load(shared, "iso2_contract_key_unwrap.json")
    for case in recorded["cases"]:
        key = private(case["contract_private_scalar"], P256)
        receiver = private(case["receiver_private"], P256)
        wrapped = contract.wrap_iso2(
            key,
            receiver.public_key(),
            ephemeral=private(case["ephemeral_private"], P256),
            iv=bytes.fromhex(case["iv"]),
        )
        assert wrapped.dh_public_key.hex() == case["dh_public_key"]
        assert wrapped.encrypted_key.hex() == case["ContractSignatureEncryptedPrivateKey"]
        found = contract.unwrap_iso2(wrapped, receiver, certificate_of(key.public_key()))
        assert found.key.private_numbers() == key.private_numbers()


def test_iso2_key_for_another_vehicle_is_discarded(shared):
    recorded = load(shared, "iso2_contract_key_unwrap.json")
    case = recorded["cases"][recorded["wrong_receiver"]["case"]]
    wrapped = Wrapped(
        bytes.fromhex(case["dh_public_key"]), bytes.fromhex(case["ContractSignatureEncryptedPrivateKey"])
    )
    stranger = private(recorded["wrong_receiver"]["receiver_private"], P256)
    mine = certificate_of(private(case["contract_private_scalar"], P256).public_key())
    with pytest.raises(CertsError, match="does not belong to the contract certificate"):
        contract.unwrap_iso2(wrapped, stranger, mine)


def wrapped_iso20(case):
    return Wrapped(bytes.fromhex(case["DHPublicKey"]), bytes.fromhex(case["SECP521_EncryptedPrivateKey"]))


@pytest.mark.req("V2G20-2535")
@pytest.mark.req("V2G20-2492")
@pytest.mark.req("V2G20-2497")
def test_iso20_keys_are_wrapped_and_unwrapped_as_recorded(shared):
    for case in load(shared, "iso20_contract_key_unwrap_p521.json")["cases"]:
        key = private(case["contract_private_scalar"], P521)
        receiver = private(case["receiver_private"], P521)
        certificate = certificate_of(key.public_key(), bytes.fromhex(case["contract_ski"]))
        assert (
            contract.additional_data(case["pcid"], bytes.fromhex(case["contract_ski"])).hex() == case["aad"]
        )
        wrapped = contract.wrap_iso20(
            key,
            receiver.public_key(),
            case["pcid"],
            certificate,
            ephemeral=private(case["ephemeral_private"], P521),
            iv=bytes.fromhex(case["iv"]),
        )
        assert wrapped == wrapped_iso20(case)
        found = contract.unwrap_iso20(wrapped, receiver, case["pcid"], certificate)
        assert found.key.private_numbers() == key.private_numbers()
        assert found.aad == "key identifier"


NEGATIVE = {
    "padding_bits_set": "padding bits",
    "scalar_ge_order": "no number of the curve",
    "scalar_zero": "no number of the curve",
    "tag_flipped": "changed on its way",
    "overlong_100_bytes": "100 octets, wanted are 94",
    "empty_aad": "changed on its way",
}


@pytest.mark.req("V2G20-2678")
@pytest.mark.req("V2G20-2507")
def test_iso20_keys_that_must_be_refused(shared):
    recorded = load(shared, "iso20_contract_key_unwrap_p521.json")
    case = recorded["cases"][0]
    receiver = private(case["receiver_private"], P521)
    public = private(case["contract_private_scalar"], P521).public_key()
    certificate = certificate_of(public, bytes.fromhex(case["contract_ski"]))
    assert {each["name"] for each in recorded["negative_for_case_0"]} == set(NEGATIVE)
    for negative in recorded["negative_for_case_0"]:
        wrapped = wrapped_iso20({**case, **negative})
        with pytest.raises(CertsError, match=NEGATIVE[negative["name"]]):
            contract.unwrap_iso20(wrapped, receiver, case["pcid"], certificate)


def test_x448_as_recorded(shared):
    case = load(shared, "iso20_contract_key_unwrap_x448.json")
    read = lambda text: x448.X448PrivateKey.from_private_bytes(bytes.fromhex(case[text]))  # noqa: E731
    receiver, aad = read("receiver_private"), bytes.fromhex(case["aad"]).decode()
    pcid, key_id = aad[:18], bytes.fromhex(aad[18:])
    wrapped = contract.wrap_x448(
        bytes.fromhex(case["payload56"]),
        receiver.public_key(),
        pcid,
        key_id,
        ephemeral=read("ephemeral_private"),
        iv=bytes.fromhex(case["iv"]),
    )
    assert wrapped.dh_public_key.hex() == case["DHPublicKey"]
    assert wrapped.encrypted_key.hex() == case["X448_EncryptedPrivateKey"]
    assert contract.unwrap_x448(wrapped, receiver, pcid, key_id).hex() == case["payload56"]


def test_key_identifiers(shared):
    case = load(shared, "primitives.json")["ski"]
    public_key = ec.EllipticCurvePublicKey.from_encoded_point(P521, bytes.fromhex(case["public_point"]))
    assert key_id(public_key, short=False).hex() == case["method1"]
    assert key_id(public_key, short=True).hex() == case["method2"]


def test_key_derivation_of_the_library(shared):
    recorded = load(shared, "primitives.json")
    for title, algorithm in (("sskdf_sha256", hashes.SHA256()), ("sskdf_sha512", hashes.SHA512())):
        case = recorded[title]
        derived = ConcatKDFHash(algorithm, case["length"], bytes.fromhex(case["other_info"]))
        assert derived.derive(bytes.fromhex(case["z"])).hex() == case["key"]
