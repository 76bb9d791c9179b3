"""Fetching a contract: what the vehicle signs, and what it makes of the answer (ISO 15118-20 clause 7.9.2.5).

Nothing of an answer is used before the provisioning service is trusted, its signature is right, and the key that came
belongs to the contract that came.
"""

from __future__ import annotations

from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import x448

from certs import ids, reading
from certs.contract import Unwrapped, Wrapped, unwrap_ed448, unwrap_iso20
from certs.errors import CertsError
from iso15118.errors import SecurityError
from iso15118.messages.iso20.common import (
    CertificateInstallationReq,
    CertificateInstallationRes,
    EcdhCurve,
    EMAIDList,
    SECP521_EncryptedPrivateKey,
    SignedCertificateChain,
    SignedInstallationData,
    SubCertificates,
    X448_EncryptedPrivateKey,
)
from iso15118.messages.iso20.types import ListOfRootCertificateIDs, MessageHeader
from iso15118.messages.xmldsig import Signature, X509IssuerSerial
from iso15118.security.algorithms import ISO20, Algorithms, for_key
from iso15118.security.chains import leaf_key
from iso15118.security.contracts import Contract, OwnKey, Provisioning, certificate
from iso15118.security.plug_and_charge import SIGNED_ID, chain_of, common_messages, judged
from iso15118.security.signature import sign, verify

MAX_ROOTS: Final = 20


def installation_request(
    provisioning: Provisioning,
    header: MessageHeader,
    *,
    maximum: int,
    emaids: tuple[str, ...] = (),
    allowed: tuple[Algorithms, ...] = ISO20,
) -> tuple[CertificateInstallationReq, Signature]:
    """The request for contracts and the signature its header has to carry.

    SecurityError where the provisioning certificate cannot be used in this protocol.
    """
    algorithms = for_key(leaf_key(provisioning.chain), allowed)
    if algorithms is None:
        raise SecurityError("the provisioning certificate cannot be used in this protocol")
    leaf, subs = provisioning.chain[0], provisioning.chain[1:]
    chain = SignedCertificateChain(
        id=SIGNED_ID,
        certificate=leaf,
        sub_certificates=SubCertificates(certificate=subs) if subs else None,
    )
    roots = tuple(
        X509IssuerSerial(issuer_name=issuer, serial_number=serial) for issuer, serial in provisioning.roots
    )
    request = CertificateInstallationReq(
        header=header,
        oem_provisioning_certificate_chain=chain,
        list_of_root_certificate_ids=ListOfRootCertificateIDs(root_certificate_id=roots[:MAX_ROOTS]),
        maximum_contract_certificate_chains=maximum,
        prioritized_emaids=EMAIDList(emaid=emaids) if emaids else None,
    )
    return request, sign({SIGNED_ID: chain}, provisioning.key, algorithms, common_messages())


def open_installation(
    response: CertificateInstallationRes,
    provisioning: Provisioning,
    utc_s: float,
    allowed: tuple[Algorithms, ...] = ISO20,
) -> Contract:
    """The contract in a response. SecurityError tells why nothing of it can be used [V2G20-2649]."""
    data = response.signed_installation_data
    cps = chain_of(response.cps_certificate_chain)
    key = leaf_key(cps)
    if key is None:
        raise SecurityError("the provisioning service's certificate cannot be read")
    verdict = verify(response.header.signature, {data.id: data}, key, common_messages(), allowed=allowed)
    if not verdict.ok:
        raise SecurityError(f"the provisioning service's signature: {verdict}")
    judgement = judged(provisioning.trust, cps, utc_s)  # without revocation [V2G20-1078]
    if not judgement.ok:
        raise SecurityError(f"the provisioning service is not trusted: {judgement.refusal}")
    return _unwrapped(data, provisioning)


def _unwrapped(data: SignedInstallationData, provisioning: Provisioning) -> Contract:
    """The key has to be the one of the certificate, and meant for this vehicle [V2G20-2507]."""
    chain = chain_of(data.contract_certificate_chain)
    leaf = certificate(chain[0])
    if leaf is None or leaf_key(chain) is None:
        raise SecurityError("the contract certificate cannot be read")
    try:
        found = _opened(data, provisioning, leaf)
        emaid = ids.parse(ids.Kind.EMAID, reading.common_name(leaf.subject)).text
    except CertsError as error:
        raise SecurityError(f"the contract cannot be used: {error}") from None
    return Contract(emaid, chain, OwnKey(found.key))


def _opened(data: SignedInstallationData, provisioning: Provisioning, leaf: x509.Certificate) -> Unwrapped:
    """The key, by the curve it was wrapped on [V2G20-2487]."""
    encrypted, pcid, lenient = data.encrypted_private_key, provisioning.pcid, provisioning.lenient_aad
    wrapped = Wrapped(data.dh_public_key, encrypted.value)
    match data.ecdh_curve, encrypted:
        case EcdhCurve.SECP521, SECP521_EncryptedPrivateKey():
            own: Any = provisioning.key.private  # on another curve it is refused there
            return unwrap_iso20(wrapped, own, pcid, leaf, lenient_aad=lenient)
        case EcdhCurve.X448, X448_EncryptedPrivateKey():
            return unwrap_ed448(wrapped, _x448_key(provisioning), pcid, leaf, lenient_aad=lenient)
    raise SecurityError(f"keys wrapped on {data.ecdh_curve.value} by {type(encrypted).__name__} are not read")


def _x448_key(provisioning: Provisioning) -> x448.X448PrivateKey:
    if not provisioning.experimental_x448:
        raise SecurityError(
            "keys wrapped on X448 are not read: that is an experiment, which `experimental_x448` of Provisioning "
            "(`iso15118 vehicle --experimental-x448`) switches on"
        )
    if provisioning.agreement is None:
        raise SecurityError("the key is wrapped on X448, and this vehicle has no X448 key (agreement.pem)")
    return provisioning.agreement
