"""A provisioning service of one's own, for tests, demonstrations and islands: contracts wrapped and signed.

It answers `ContractRequest`s as a back end does. In the field the mobility operator makes the contract key and a
provisioning service in its own house signs; here one object does both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, x448

from certs import agreement, reading
from certs.contract import Wrapped, wrap_ed448, wrap_iso20
from certs.curves import curve_of
from certs.errors import CertsError
from certs.identity import Identity
from iso15118.control.evse import ContractRequest, ContractResponse
from iso15118.errors import CodecError, SecurityError
from iso15118.exi.codec import decode, encode
from iso15118.machine import Entropy, Utc
from iso15118.messages.iso20.common import (
    CertificateChain,
    CertificateInstallationReq,
    CertificateInstallationRes,
    EcdhCurve,
    SECP521_EncryptedPrivateKey,
    SignedInstallationData,
    SubCertificates,
    X448_EncryptedPrivateKey,
)
from iso15118.messages.iso20.types import MessageHeader, Processing, ResponseCode
from iso15118.security.algorithms import ISO20, for_key
from iso15118.security.chains import ChainJudge, leaf_key
from iso15118.security.contracts import OwnKey
from iso15118.security.plug_and_charge import (
    SIGNED_ID,
    chain_of,
    common_messages,
    contract_chain,
    judged,
)
from iso15118.security.signature import sign, verify

BackEnd = Callable[[ContractRequest], ContractResponse]
"""What answers for a provisioning service, such as `ProvisioningService.answer`."""
_SCALAR: Final = 65
"""Octets of an ephemeral key: 520 bits, always below the order of secp521r1, which has 521."""
_GCM_IV: Final = 12
_NOBODY: Final = bytes(8)
_ENCRYPTED: Final = MappingProxyType[
    EcdhCurve, type[SECP521_EncryptedPrivateKey] | type[X448_EncryptedPrivateKey]
]({EcdhCurve.SECP521: SECP521_EncryptedPrivateKey, EcdhCurve.X448: X448_EncryptedPrivateKey})
"""The element that carries the encrypted key, by the curve of the agreement [V2G20-2488]."""


@dataclass(frozen=True, slots=True)
class ProvisioningService:
    """Who signs (`cps`), which contracts wait for which vehicle (by PCID), who judges vehicles, time and randomness.

    `answer` may be called from `EvseController.install_contract`. It keeps nothing: which of several contracts is
    meant follows from `attempt`. `experimental_x448`: contracts on Ed448 are handed out, their keys wrapped in a reading
    of our own (`certs.contract.wrap_ed448`) that vehicles of others may not share.
    """

    cps: Identity = field(repr=False)
    contracts: Mapping[str, tuple[Identity, ...]] = field(repr=False)
    vehicles: ChainJudge
    utc: Utc
    entropy: Entropy = field(repr=False)
    experimental_x448: bool = False

    def answer(self, request: ContractRequest) -> ContractResponse:
        """The contract that is due; or a refusal that says why."""
        try:
            return self._answer(request)
        except (CertsError, CodecError, SecurityError) as error:
            return ContractResponse(reason=str(error))

    def _answer(self, request: ContractRequest) -> ContractResponse:
        message = decode(request.exi, common_messages())
        if not isinstance(message, CertificateInstallationReq):
            raise SecurityError(f"{type(message).__name__} instead of CertificateInstallationReq")
        element = message.oem_provisioning_certificate_chain
        chain = chain_of(element)
        key = leaf_key(chain)
        verdict = verify(message.header.signature, {element.id: element}, key, common_messages())
        if not verdict.ok:
            raise SecurityError(f"the vehicle's signature: {verdict}")
        judgement = judged(self.vehicles, chain, self.utc())
        if not judgement.ok:
            raise SecurityError(f"the vehicle is not trusted: {judgement.refusal}")
        held = self._held(judgement.identity, message)
        if not held:
            return ContractResponse(reason=f"no contract for {judgement.identity}", known=False)
        if request.attempt > len(held):
            return ContractResponse(reason="no further contract")
        contract = held[request.attempt - 1]
        left = len(held) - request.attempt
        return ContractResponse(
            encode(self._response(contract, chain[0], judgement.identity, left), common_messages())
        )

    def _held(self, pcid: str, message: CertificateInstallationReq) -> tuple[Identity, ...]:
        """The vehicle's contracts, those it prefers first, not more than it has room for."""
        prioritized = message.prioritized_emaids
        wanted = [_plain(each) for each in prioritized.emaid] if prioritized is not None else []
        held = self.contracts.get(pcid, ())
        order = {emaid: number for number, emaid in enumerate(wanted)}
        sorted_held = sorted(
            held, key=lambda each: order.get(_plain(reading.common_name(each.leaf.subject)), len(order))
        )
        return tuple(sorted_held[: message.maximum_contract_certificate_chains])

    def _response(
        self, contract: Identity, vehicle: bytes, pcid: str, left: int
    ) -> CertificateInstallationRes:
        data = self._installation_data(contract, reading.certificate(vehicle), pcid)
        algorithms = for_key(self.cps.leaf.public_key(), ISO20)
        if algorithms is None:
            raise SecurityError("the service's own certificate is not of this protocol")
        signature = sign({SIGNED_ID: data}, OwnKey(self.cps.key), algorithms, common_messages())
        shown = self.cps.chain
        return CertificateInstallationRes(
            header=MessageHeader(session_id=_NOBODY, time_stamp=0, signature=signature),
            response_code=ResponseCode.OK,
            evse_processing=Processing.FINISHED,
            cps_certificate_chain=CertificateChain(
                certificate=shown[0], sub_certificates=SubCertificates(certificate=shown[1:])
            ),
            signed_installation_data=data,
            remaining_contract_certificate_chains=left,
        )

    def _installation_data(
        self, contract: Identity, vehicle: x509.Certificate, pcid: str
    ) -> SignedInstallationData:
        curve, wrapped = self._wrapped(contract, vehicle, pcid)
        return SignedInstallationData(
            id=SIGNED_ID,
            contract_certificate_chain=contract_chain(contract.chain),
            ecdh_curve=curve,
            dh_public_key=wrapped.dh_public_key,
            encrypted_private_key=_ENCRYPTED[curve](value=wrapped.encrypted_key),
        )

    def _wrapped(self, contract: Identity, vehicle: x509.Certificate, pcid: str) -> tuple[EcdhCurve, Wrapped]:
        """The contract's key for this vehicle alone; both have to be on the same curve [V2G20-2487]."""
        match contract.key, vehicle.public_key():
            case ec.EllipticCurvePrivateKey() as key, ec.EllipticCurvePublicKey() as receiver:
                return EcdhCurve.SECP521, self._wrapped_p521(key, receiver, pcid, contract.leaf)
            case ed448.Ed448PrivateKey() as key, ed448.Ed448PublicKey():
                return EcdhCurve.X448, self._wrapped_x448(key, vehicle, pcid, contract.leaf)
        own, its = (_curve_name(each) for each in (contract.leaf, vehicle))
        raise SecurityError(
            f"the contract is on {own} and the vehicle's provisioning certificate on {its}: its key can only be wrapped "
            "for a vehicle on the same curve"
        )

    def _wrapped_p521(
        self,
        key: ec.EllipticCurvePrivateKey,
        receiver: ec.EllipticCurvePublicKey,
        pcid: str,
        leaf: x509.Certificate,
    ) -> Wrapped:
        """The ephemeral key comes from the injected entropy."""
        scalar = max(1, int.from_bytes(self.entropy(_SCALAR)))
        ephemeral = ec.derive_private_key(scalar, ec.SECP521R1())
        return wrap_iso20(key, receiver, pcid, leaf, ephemeral=ephemeral, iv=self.entropy(_GCM_IV))

    def _wrapped_x448(
        self, key: ed448.Ed448PrivateKey, vehicle: x509.Certificate, pcid: str, leaf: x509.Certificate
    ) -> Wrapped:
        if not self.experimental_x448:
            raise SecurityError(
                "contracts on ed448 are not handed out, only those on secp521r1: wrapping their keys is an experiment, "
                "which `experimental_x448` of ProvisioningService (`iso15118 charger --experimental-x448`) switches on"
            )
        receiver = agreement.public_key_of(vehicle)
        if receiver is None:
            raise SecurityError("the vehicle's provisioning certificate on ed448 has no X448 key")
        ephemeral = x448.X448PrivateKey.from_private_bytes(self.entropy(agreement.KEY_OCTETS))
        return wrap_ed448(key, receiver, pcid, leaf, ephemeral=ephemeral, iv=self.entropy(_GCM_IV))


def _curve_name(found: x509.Certificate) -> str:
    curve = curve_of(found.public_key())
    return curve.name if curve is not None else "another curve"


def _plain(emaid: str) -> str:
    return emaid.upper().replace("-", "")
