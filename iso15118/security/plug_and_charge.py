"""Authorization by contract: the proof a vehicle gives, and what a station makes of it (ISO 15118-20 clause 7.9.2)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace
from typing import Any, Final

from iso15118.exi.grammar import SchemaSet
from iso15118.messages import namespaces
from iso15118.messages.iso20.common import (
    ContractCertificateChain,
    PnC_AReqAuthorizationMode,
    SubCertificates,
)
from iso15118.messages.iso20.types import ResponseCode
from iso15118.messages.registry import schema_set
from iso15118.messages.xmldsig import Signature
from iso15118.security.algorithms import ISO20, Algorithms, SigningKey, for_key
from iso15118.security.chains import ChainJudge, Judgement, leaf_key
from iso15118.security.signature import sign, verify

CHALLENGE_OCTETS: Final = 16
EXPIRES_SOON_S: Final = 14 * 86_400.0  # [V2G20-2218]
SIGNED_ID: Final = "id1"
"""The Id of the one element a message of ours signs."""
_WARNINGS: Final = frozenset(code.value for code in ResponseCode if code.value.startswith("WARNING"))
_PROVIDER: Final = 5
"""Characters of an EMAID that name country and provider."""


@dataclass(frozen=True, slots=True)
class StationTrust:
    """Whom a station trusts in Plug & Charge.

    `contracts` judges contract chains. `provisioning` judges the chains of vehicles that fetch contracts; None leaves
    that to the back end, which has to do it anyway.
    """

    contracts: ChainJudge
    provisioning: ChainJudge | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A proven claim to a contract: the element that proved it, and what its chain says.

    `verified` False: signed with the contract's key, but by a chain whose root is unknown here.
    """

    mode: PnC_AReqAuthorizationMode = field(repr=False)
    public_key: Any = field(repr=False, compare=False)
    emaid: str = ""
    not_after: float = 0.0
    verified: bool = True
    proof: str = ""

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The contract chain (DER, leaf first)."""
        return chain_of(self.mode.contract_certificate_chain)

    def expires_soon(self, utc_s: float) -> bool:
        """Whether the contract certificate ends within 14 days."""
        return self.not_after - utc_s < EXPIRES_SOON_S


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a claim is refused, and how the EV is told."""

    code: ResponseCode
    why: str
    requirement: str = ""


@dataclass(frozen=True, slots=True)
class Examination:
    """What a claim has to stand: the session's challenge, who is trusted, the time (s since the epoch).

    `providers` empty: all. `central`: a chain of an unknown root is the back end's business.
    """

    challenge: bytes = field(repr=False)
    trust: StationTrust
    utc_s: float
    allowed: tuple[Algorithms, ...] = ISO20
    providers: tuple[str, ...] = ()
    central: bool = False

    def judge(self, mode: PnC_AReqAuthorizationMode, signature: Signature | None) -> Claim | Refusal:
        """Challenge, certificate, signature, chain, provider, in this order; never raises for what a peer sent."""
        if not self.challenge or not hmac.compare_digest(self.challenge, mode.gen_challenge):
            why = "the challenge is not the one of this session"
            return Refusal(ResponseCode.WARNING_CHALLENGE_INVALID, why, "V2G20-2565")
        chain = chain_of(mode.contract_certificate_chain)
        key = leaf_key(chain)
        if key is None:
            code = ResponseCode.WARNING_CERTIFICATE_VALIDATION_ERROR
            return Refusal(code, "the contract certificate cannot be read")
        verdict = verify(signature, {mode.id: mode}, key, common_messages(), allowed=self.allowed)
        if not verdict.ok:
            return Refusal(ResponseCode.FAILED_SIGNATURE_ERROR, str(verdict), "V2G20-1063")
        judgement = judged(self.trust.contracts, chain, self.utc_s)
        refusal = self._objection(judgement)
        if refusal is not None:
            return refusal
        # The back end reads an unknown chain itself: nothing in it counts here.
        identity = judgement.identity if judgement.ok else ""
        return Claim(mode, key, identity, judgement.not_after, judgement.ok, str(verdict))

    def _objection(self, judgement: Judgement) -> Refusal | None:
        if not judgement.ok and not (self.central and judgement.unknown_root):
            return Refusal(ResponseCode(judgement.code), judgement.refusal, "V2G20-2564")
        provider = judgement.identity[:_PROVIDER]
        if judgement.ok and self.providers and provider not in self.providers:
            return Refusal(ResponseCode.WARNING_EMSP_UNKNOWN, f"contracts of {provider} are not taken here")
        return None


def judged(judge: ChainJudge, chain: tuple[bytes, ...], utc_s: float) -> Judgement:
    """What `judge` says. One that fails, or refuses without a warning an EV understands, refuses in general."""
    general = ResponseCode.WARNING_GENERAL_PNC_AUTHORIZATION_ERROR.value
    try:
        found = judge(chain, utc_s)
    except Exception as error:  # noqa: BLE001 - the judge may be the firmware's own
        return Judgement(f"the chain could not be judged: {type(error).__name__}", general)
    known = found.ok or found.code in _WARNINGS
    return found if known else replace(found, code=general)


def proof(
    challenge: bytes, chain: tuple[bytes, ...], key: SigningKey, allowed: tuple[Algorithms, ...] = ISO20
) -> tuple[PnC_AReqAuthorizationMode, Signature] | None:
    """The element that answers a challenge for a contract, and its signature [V2G20-1063].

    None where the contract's certificate cannot be used: unreadable, without sub-CA, or on a curve not `allowed`.
    """
    public_key = leaf_key(chain)
    algorithms = for_key(public_key, allowed)
    if algorithms is None or len(chain) < 2:
        return None
    mode = PnC_AReqAuthorizationMode(
        id=SIGNED_ID, gen_challenge=challenge, contract_certificate_chain=contract_chain(chain)
    )
    return mode, sign({SIGNED_ID: mode}, key, algorithms, common_messages())


def chain_of(chain: Any) -> tuple[bytes, ...]:
    """The certificates (DER, leaf first) of any certificate chain of a message."""
    subs = chain.sub_certificates
    return (chain.certificate, *(subs.certificate if subs is not None else ()))


def contract_chain(chain: tuple[bytes, ...]) -> ContractCertificateChain:
    """A contract's chain (DER, leaf first) as a message carries it."""
    return ContractCertificateChain(
        certificate=chain[0], sub_certificates=SubCertificates(certificate=chain[1:])
    )


def common_messages() -> SchemaSet:
    """The schema set whose fragments are signed."""
    return schema_set(namespaces.COMMON_MESSAGES)
