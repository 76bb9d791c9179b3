"""Fetching a contract, from the vehicle's request to the key in its hands, and everything that must not work."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from certs import Evidence, TestPki
from certs.defects import Defect
from certs.profiles import Role
from iso15118.control.ev import StoreContract
from iso15118.control.evse import ContractRequest
from iso15118.errors import SecurityError
from iso15118.events import QuestionAsked, as_record
from iso15118.exi.codec import decode, encode
from iso15118.messages.iso20 import common
from iso15118.messages.iso20.types import MessageHeader
from iso15118.security.algorithms import ISO20
from iso15118.security.contracts import Contract, OwnKey, Provisioning, Wallet
from iso15118.security.installation import installation_request, open_installation
from iso15118.security.plug_and_charge import common_messages, proof
from iso15118.security.signature import sign
from tests.unit.security.made import AT, AT_S, DAY, contract, cps, pki, provisioning, service, strangers

SET = common_messages()
HEADER = MessageHeader(session_id=bytes(8), time_stamp=1)


def asked(identity=None, *, maximum=3, emaids=(), attempt=1):
    """A ContractRequest as a station makes it."""
    held = Provisioning.of(identity or provisioning())
    request, signature = installation_request(held, HEADER, maximum=maximum, emaids=emaids)
    signed = replace(request, header=replace(HEADER, signature=signature))
    return ContractRequest("EV", held.pcid, encode(signed, SET), held.chain, maximum, emaids, attempt)


def answered(made=None, **given):
    """What the vehicle gets: the response, decoded."""
    answer = (made or service()).answer(asked(**given))
    assert answer.exi, answer.reason
    return decode(answer.exi, SET)


def opened(response, identity=None, utc_s=AT_S):
    return open_installation(response, Provisioning.of(identity or provisioning()), utc_s)


@pytest.mark.req("V2G20-2649")
@pytest.mark.req("V2G20-2507")
def test_vehicle_gets_its_contract_and_the_key_works():
    found = opened(answered())
    assert found == Contract.of(contract())
    assert found.key.private.private_numbers() == contract().key.private_numbers()
    assert proof(bytes(16), found.chain, found.key) is not None
    assert found.provider == found.emaid[:5]


def test_same_entropy_wraps_the_same_way():
    first, second = (answered(service()).signed_installation_data for _ in range(2))
    assert first == second
    made = service()
    assert answered(made).signed_installation_data != answered(made).signed_installation_data


def test_several_contracts_come_one_by_one_the_wanted_first():
    other = contract(emaid="DE-TST-C00000099")
    held = {Provisioning.of(provisioning()).pcid: (contract(), other)}
    wanted = (Contract.of(other).emaid,)
    made = service(held)
    first, second = (answered(made, emaids=wanted, attempt=n) for n in (1, 2))
    assert [first.remaining_contract_certificate_chains, second.remaining_contract_certificate_chains] == [
        1,
        0,
    ]
    assert [opened(first), opened(second)] == [Contract.of(other), Contract.of(contract())]
    assert made.answer(asked(attempt=3)).reason == "no further contract"
    assert answered(made, maximum=1).remaining_contract_certificate_chains == 0


# --- the service refuses --------------------------------------------------------------------------


def test_vehicle_without_a_contract_is_told_so():
    answer = service({}).answer(asked())
    assert (answer.exi, answer.known) == (b"", False)


@pytest.mark.parametrize(
    ("request_of", "why"),
    [
        (lambda: asked(strangers().provisioning()), "not trusted"),
        (lambda: asked(provisioning(Defect.EXPIRED)), "not trusted"),
        (lambda: asked(pki().vehicle()), "not trusted"),
        (lambda: replace(asked(), exi=b"\x80\x00"), ""),
        (
            lambda: replace(asked(), exi=encode(common.SessionSetupReq(header=HEADER, evcc_id="x"), SET)),
            "instead",
        ),
        (lambda: replace(asked(), exi=_unsigned()), "signature"),
    ],
)
def test_service_refuses_in_words(request_of, why):
    answer = service().answer(request_of())
    assert answer.exi == b""
    assert why in answer.reason
    assert answer.reason


def _unsigned():
    request = decode(asked().exi, SET)
    return encode(replace(request, header=HEADER), SET)


def test_service_wraps_for_no_other_curve():
    other = TestPki(AT, curve="ed448")
    held = {pki().verdict(provisioning()).identity: (other.contract(),)}
    assert "secp521r1" in service(held).answer(asked()).reason


# --- the vehicle refuses --------------------------------------------------------------------------


def resigned(response, identity=None, **changes):
    """A response whose installation data were changed, and signed by somebody."""
    data = replace(response.signed_installation_data, **changes)
    signature = sign({data.id: data}, OwnKey((identity or cps()).key), ISO20[0], SET)
    return replace(
        response, header=replace(response.header, signature=signature), signed_installation_data=data
    )


def shown(response, identity):
    """A response under another provisioning service's chain."""
    subs = common.SubCertificates(certificate=identity.chain[1:])
    chain = common.CertificateChain(certificate=identity.chain[0], sub_certificates=subs)
    return replace(resigned(response, identity), cps_certificate_chain=chain)


def flipped(octets, at=-1):
    changed = bytearray(octets)
    changed[at] ^= 1
    return bytes(changed)


def broken():
    """What is wrong -> (response, a word of the reason)."""
    right = answered()
    data = right.signed_installation_data
    wrapped = data.encrypted_private_key.value
    bare = common.CertificateChain(certificate=b"\x30")
    foreign = common.ContractCertificateChain(
        certificate=contract(emaid="DE-TST-C00000099").chain[0],
        sub_certificates=data.contract_certificate_chain.sub_certificates,
    )
    junk = replace(foreign, certificate=b"\x30\x00")
    other = pki().provisioning()
    key = common.SECP521_EncryptedPrivateKey
    tpm = common.TPM_EncryptedPrivateKey(value=bytes(206))
    return {
        "no signature": (replace(right, header=HEADER), "signature"),
        "changed": (
            replace(right, signed_installation_data=replace(data, dh_public_key=flipped(data.dh_public_key))),
            "was changed",
        ),
        "another signer": (resigned(right, pki().cps()), "signature value"),
        "unreadable service": (replace(right, cps_certificate_chain=bare), "cannot be read"),
        "service of strangers": (shown(right, strangers().cps()), "not trusted"),
        "expired service": (shown(right, cps(Defect.EXPIRED)), "not trusted"),
        "a contract as service": (shown(right, contract()), "not trusted"),
        "key of another vehicle": (
            service({pki().verdict(other).identity: (contract(),)}).answer(asked(other)),
            "another vehicle",
        ),
        "key of another contract": (resigned(right, contract_certificate_chain=foreign), "another vehicle"),
        "unreadable contract": (resigned(right, contract_certificate_chain=junk), "cannot be read"),
        "tampered key": (
            resigned(right, encrypted_private_key=key(value=flipped(wrapped))),
            "another vehicle",
        ),
        "no point": (resigned(right, dh_public_key=bytes(133)), "DHPublicKey"),
        "off the curve": (resigned(right, dh_public_key=flipped(data.dh_public_key)), "DHPublicKey"),
        "for a TPM": (resigned(right, encrypted_private_key=tpm), "not read"),
        "another curve": (resigned(right, ecdh_curve=common.EcdhCurve.X448), "not read"),
    }


@pytest.mark.req("V2G20-2649")
@pytest.mark.parametrize("case", sorted(broken()))
def test_vehicle_uses_nothing_of_an_answer_with_a_flaw(case):
    response, why = broken()[case]
    if not isinstance(response, common.CertificateInstallationRes):
        response = decode(response.exi, SET)
    with pytest.raises(SecurityError, match=why):
        opened(response)


@pytest.mark.req("V2G20-1078")
def test_time_counts_and_revocation_of_the_service_does_not():
    listed = Evidence(crls=(pki().crl(Role.CPS, (cps().leaf,), AT),))
    held = Provisioning.of(provisioning())
    knowing = replace(held, trust=replace(held.trust, evidence=lambda: listed))
    assert open_installation(answered(), knowing, AT_S)
    with pytest.raises(SecurityError, match="not trusted"):
        opened(answered(), utc_s=AT_S + 400 * DAY)


def test_provisioning_certificate_of_a_strange_kind_asks_for_nothing():
    held = replace(Provisioning.of(provisioning()), chain=(b"x",))
    with pytest.raises(SecurityError, match="cannot be used"):
        installation_request(held, HEADER, maximum=1)


# --- contracts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "utc_s", "providers", "why"),
    [
        ({}, AT_S, None, ""),
        ({}, AT_S, ("DE-TST", "FRABC"), ""),
        ({}, AT_S, ("FRABC",), "DETST"),
        ({}, AT_S + 5000 * DAY, None, "not valid"),
        ({}, AT_S - 5000 * DAY, None, "not valid"),
        ({"chain": (b"x", b"y")}, AT_S, None, "cannot be used"),
        ({"chain": ()}, AT_S, None, "cannot be used"),
        ({"chain": contract().chain[:1]}, AT_S, None, "cannot be used"),
    ],
)
def test_which_contracts_a_station_can_be_shown(changes, utc_s, providers, why):
    found = replace(Contract.of(contract()), **changes).usable(utc_s, providers, ISO20)
    assert (why in found) if why else found == ""


def test_contract_is_to_be_renewed_before_it_ends():
    held = Contract.of(contract())
    ends = contract().leaf.not_valid_after_utc.timestamp()
    assert held.expires_soon(ends - 13 * DAY)
    assert not held.expires_soon(ends - 15 * DAY)


def test_contract_replaces_the_older_one_of_its_name_and_comes_first():
    first, other = Contract.of(contract()), Contract.of(contract(emaid="DE-TST-C00000099"))
    newer = replace(first, chain=(b"newer",))
    wallet = Wallet((other, first), Provisioning.of(provisioning()))
    assert wallet.with_contract(newer).contracts == (newer, other)
    assert wallet.with_contract(newer).provisioning is wallet.provisioning


def test_keys_never_show():
    held = Wallet((Contract.of(contract()),), Provisioning.of(provisioning()))
    event = QuestionAsked(t=0.0, role="EVCC", question=StoreContract(held.contracts[0]))
    text = repr(held) + str(held) + json.dumps(as_record(event)) + repr(service())
    for key in (contract().key, provisioning().key, cps().key):
        scalar = key.private_numbers().private_value
        assert f"{scalar:x}" not in text
        assert str(scalar) not in text
    assert "OwnKey(...)" in json.dumps(as_record(event))
    assert Role.CPS.value in repr(held) or "trust" in repr(held)


@pytest.mark.req("V2G20-1063")
@pytest.mark.parametrize("chain", [(), (b"x",), contract().chain[:1]])
def test_proof_with_an_unusable_contract_is_none(chain):
    assert proof(bytes(16), chain, OwnKey(contract().key)) is None
