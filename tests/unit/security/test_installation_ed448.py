"""Contracts on Ed448 by X448, an experiment: fetched where both sides say so, refused with a reason everywhere else."""

from __future__ import annotations

import datetime
import hashlib
import json
import sys
from dataclasses import replace
from functools import cache

import pytest
from cryptography.x509 import UnrecognizedExtension

from certs import TestPki, agreement
from certs.issue import sign as issue
from certs.pki import EXAMPLES
from certs.profiles import Role
from certs.scalars import ScalarEd448Key
from iso15118.control.ev import StoreContract
from iso15118.control.evse import ContractRequest
from iso15118.errors import EncodeError, SecurityError
from iso15118.events import QuestionAsked, as_record
from iso15118.exi.codec import decode, encode
from iso15118.messages.iso20 import common
from iso15118.messages.iso20.types import MessageHeader
from iso15118.security.algorithms import ISO20_ED448
from iso15118.security.chains import RootsJudge
from iso15118.security.contracts import Contract, OwnKey, Provisioning
from iso15118.security.installation import installation_request, open_installation
from iso15118.security.plug_and_charge import common_messages, proof
from iso15118.security.provisioning import ProvisioningService
from iso15118.security.signature import sign, verify
from tests.unit.security import made
from tests.unit.security.made import AT_S, Counter

SET = common_messages()
HEADER = MessageHeader(session_id=bytes(8), time_stamp=1)
AT = datetime.datetime.fromtimestamp(AT_S, datetime.UTC)


@cache
def pki():
    return TestPki(AT, curve="ed448", seed="ed448")


def vehicle(identity=None, **changes):
    held = Provisioning.of(identity or pki().provisioning(), experimental_x448=True)
    return replace(held, **changes)


def service(contract=None, tree=None, **given):
    tree = tree or pki()
    usual = {
        "cps": tree.cps(),
        "contracts": {vehicle().pcid: (contract or tree.contract(),)},
        "vehicles": RootsJudge(Role.PROVISIONING, tree.roots[Role.OEM_ROOT]),
        "utc": lambda: AT_S,
        "entropy": Counter(),
        "experimental_x448": True,
    }
    return ProvisioningService(**(usual | given))


def asked(held):
    request, signature = installation_request(held, HEADER, maximum=1)
    signed = replace(request, header=replace(HEADER, signature=signature))
    return ContractRequest("EV", held.pcid, encode(signed, SET), held.chain, 1, (), 1)


def answered(held=None, by=None):
    answer = (by or service()).answer(asked(held or vehicle()))
    assert answer.exi, answer.reason
    return decode(answer.exi, SET)


def refusal(held=None, by=None):
    answer = (by or service()).answer(asked(held or vehicle()))
    assert answer.exi == b""
    return answer.reason


def resigned(response, **changes):
    data = replace(response.signed_installation_data, **changes)
    signature = sign({data.id: data}, OwnKey(pki().cps().key), ISO20_ED448, SET)
    header = replace(response.header, signature=signature)
    return replace(response, header=header, signed_installation_data=data)


# --- what works -----------------------------------------------------------------------------------


@pytest.mark.req("V2G20-2487")
@pytest.mark.req("V2G20-2488")
@pytest.mark.req("V2G20-2495")
def test_the_vehicle_gets_its_contract_and_the_key_signs():
    response = answered()
    data = response.signed_installation_data
    assert data.ecdh_curve is common.EcdhCurve.X448
    assert isinstance(data.encrypted_private_key, common.X448_EncryptedPrivateKey)
    assert (len(data.dh_public_key), data.dh_public_key[0], len(data.encrypted_private_key.value)) == (
        57,
        4,
        84,
    )
    found = open_installation(response, vehicle(), AT_S)
    assert found == Contract.of(pki().contract())
    assert isinstance(found.key.private, ScalarEd448Key)
    mode, signature = proof(bytes(16), found.chain, found.key)
    assert verify(signature, {mode.id: mode}, pki().contract().leaf.public_key(), SET).ok


def test_same_entropy_wraps_the_same_way():
    assert answered() == answered()
    by = service()
    assert answered(by=by).signed_installation_data != answered(by=by).signed_installation_data


def test_on_p521_nothing_changes_by_the_switch():
    by = replace(made.service(), experimental_x448=True)
    held = Provisioning.of(made.provisioning(), experimental_x448=True)
    response = answered(held, by)
    assert response.signed_installation_data.ecdh_curve is common.EcdhCurve.SECP521
    assert open_installation(response, held, AT_S) == Contract.of(made.contract())


@pytest.mark.parametrize("octets", [0, 56, 58, 132, 134])
def test_no_other_length_of_the_ephemeral_key_is_encoded(octets):
    data = replace(answered().signed_installation_data, dh_public_key=bytes(octets))
    with pytest.raises(EncodeError, match=r"dh_public_key|DHPublicKey"):
        encode(data, SET, fragment=True)


# --- the switch -----------------------------------------------------------------------------------


def test_without_its_switch_the_service_hands_out_none():
    reason = refusal(by=service(experimental_x448=False))
    assert "experimental_x448" in reason
    assert "--experimental-x448" in reason


def test_without_its_switch_the_vehicle_takes_none():
    held = Provisioning.of(pki().provisioning())
    assert held.agreement is not None
    with pytest.raises(SecurityError, match=r"an experiment.*vehicle --experimental-x448"):
        open_installation(answered(), held, AT_S)


# --- what the service refuses ---------------------------------------------------------------------


def test_contract_and_provisioning_certificate_have_to_be_on_one_curve():
    on_p521 = made.contract()
    assert "contract is on secp521r1 and the vehicle's provisioning certificate on ed448" in refusal(
        by=service(on_p521)
    )
    old = Provisioning.of(made.provisioning(), experimental_x448=True)
    other = made.service({old.pcid: (pki().contract(),)}, experimental_x448=True)
    assert "contract is on ed448 and the vehicle's provisioning certificate on secp521r1" in refusal(
        old, other
    )


def spoilt_vehicle(value=None):
    """A vehicle whose certificate has no X448 key, or another extension in its place."""
    making = pki()._making(Role.PROVISIONING, EXAMPLES[Role.PROVISIONING], None, AT)
    extra = () if value is None else ((UnrecognizedExtension(agreement.ALTERNATE_KEY, value), False),)
    leaf = issue(making.but(alternate=None, extra=extra).draft, making.issuer)
    whole = pki().provisioning()
    return vehicle(
        replace(whole, certificates=(leaf, *whole.certificates[1:]), key=making.key, agreement=None)
    )


def low_order():
    prefix = agreement.extension(pki().provisioning().agreement.public_key()).value[:-56]
    return prefix + bytes(56)


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (spoilt_vehicle, "has no X448 key"),
        (lambda: spoilt_vehicle(b""), "alternate public key"),
        (lambda: spoilt_vehicle(b"\x30\x03\x02\x01\x00"), "alternate public key"),
        (lambda: spoilt_vehicle(low_order()), "X448 key of the vehicle"),
    ],
)
def test_a_vehicle_without_a_usable_x448_key_is_told_so(held, why):
    assert why in refusal(held())


# --- what the vehicle refuses ---------------------------------------------------------------------


def flipped(octets, at=-1):
    changed = bytearray(octets)
    changed[at] ^= 1
    return bytes(changed)


def broken():
    """What is wrong -> (response, a word of the reason)."""
    right = answered()
    data = right.signed_installation_data
    key, wrapped = common.X448_EncryptedPrivateKey, data.encrypted_private_key.value
    subs = data.contract_certificate_chain.sub_certificates
    foreign = pki().contract("DE-TST-C00000099")
    other = common.ContractCertificateChain(certificate=foreign.chain[0], sub_certificates=subs)
    on_p521 = common.SECP521_EncryptedPrivateKey(value=bytes(94))
    return {
        "tampered": (resigned(right, encrypted_private_key=key(value=flipped(wrapped))), "was changed"),
        "vector": (resigned(right, encrypted_private_key=key(value=flipped(wrapped, 0))), "was changed"),
        "low order": (resigned(right, dh_public_key=b"\x04" + bytes(56)), "DHPublicKey"),
        "zero": (resigned(right, dh_public_key=bytes(57)), "begin with 04"),
        "filled up": (resigned(right, dh_public_key=data.dh_public_key.ljust(133, b"\0")), "57 octets"),
        "another contract": (resigned(right, contract_certificate_chain=other), "another vehicle"),
        "curve of the other": (resigned(right, ecdh_curve=common.EcdhCurve.SECP521), "are not read"),
        "field of the other": (resigned(right, encrypted_private_key=on_p521), "are not read"),
        "all of the other": (
            resigned(right, ecdh_curve=common.EcdhCurve.SECP521, encrypted_private_key=on_p521),
            "not on secp521r1",
        ),
        "unsigned": (replace(right, header=HEADER), "signature"),
    }


@pytest.mark.req("V2G20-2649")
@pytest.mark.parametrize("case", sorted(broken()))
def test_vehicle_uses_nothing_of_an_answer_with_a_flaw(case):
    response, why = broken()[case]
    with pytest.raises(SecurityError, match=why):
        open_installation(response, vehicle(), AT_S)


def test_the_key_of_another_contract_is_not_used():
    """Right vehicle, right certificate: only the comparison finds it."""
    right = pki().contract()
    lying = replace(right, key=pki().contract("DE-TST-C00000099").key)
    with pytest.raises(SecurityError, match="does not belong to the contract certificate"):
        open_installation(answered(by=service(lying)), vehicle(), AT_S)


def test_a_vehicle_whose_x448_key_is_gone_or_another_says_so():
    response = answered()
    with pytest.raises(SecurityError, match=r"no X448 key \(agreement.pem\)"):
        open_installation(response, vehicle(agreement=None), AT_S)
    with pytest.raises(SecurityError, match="another vehicle"):
        open_installation(response, vehicle(agreement=agreement.fresh("another")), AT_S)


def test_a_missing_library_is_named(monkeypatch):
    response = answered()
    monkeypatch.setitem(sys.modules, "Crypto.PublicKey", None)
    with pytest.raises(SecurityError, match=r"iso15118-stack\[x448\]"):
        open_installation(response, vehicle(), AT_S)


# --- secrets --------------------------------------------------------------------------------------


def test_keys_never_show():
    found = open_installation(answered(), vehicle(), AT_S)
    event = QuestionAsked(t=0.0, role="EVCC", question=StoreContract(found))
    text = (
        repr(found)
        + repr(vehicle())
        + repr(service())
        + json.dumps(as_record(event))
        + repr(found.key.private)
    )
    seed = pki().contract().key.private_bytes_raw()
    scalar = hashlib.shake_256(seed).digest(56)[1:-1]
    secrets = [seed, scalar, scalar[::-1], pki().provisioning().agreement.private_bytes_raw()]
    for secret in secrets:
        middle = secret[10:30]
        for form in (middle.hex(), repr(middle)[2:-1], str(int.from_bytes(secret))):
            assert form not in text
    assert str(found.key.private._scalar) not in text
