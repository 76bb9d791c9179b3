"""Authorization by contract (Plug & Charge) on the station's side."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Final

from iso15118.control.evse import Authorization, ContractFlaw, ContractQuestion, ContractRefused
from iso15118.events import Fault
from iso15118.messages.iso20.common import AuthorizationReq, AuthorizationRes, PnC_AReqAuthorizationMode
from iso15118.messages.iso20.types import Processing, ResponseCode
from iso15118.quirks import Quirk
from iso15118.secc.session import State, Step, View
from iso15118.security.algorithms import ISO20, ISO20_AND_P256, Algorithms
from iso15118.security.plug_and_charge import Claim, Examination, Refusal

ANSWER_HOLD_S: Final = 1.0
"""How long a request waits for the controller before it is answered Ongoing (of 1.5 s allowed)."""

_CODES: Final = MappingProxyType(
    {
        ContractFlaw.GENERAL: ResponseCode.WARNING_GENERAL_PNC_AUTHORIZATION_ERROR,
        ContractFlaw.EXPIRED: ResponseCode.WARNING_CERTIFICATE_EXPIRED,
        ContractFlaw.NOT_YET_VALID: ResponseCode.WARNING_CERTIFICATE_NOT_YET_VALID,
        ContractFlaw.REVOKED: ResponseCode.WARNING_CERTIFICATE_REVOKED,
        ContractFlaw.INVALID: ResponseCode.WARNING_CERTIFICATE_VALIDATION_ERROR,
        ContractFlaw.UNKNOWN_PROVIDER: ResponseCode.WARNING_EMSP_UNKNOWN,
    }
)


def authorize_contract(s: View, req: AuthorizationReq) -> Step:
    """Examine the proof, then ask the controller; Ongoing until it has decided.

    While it is being decided the EV repeats its request, in which only the time stamp may change [V2G20-1582]: the
    answer must not count for another contract than the one it was asked about.
    """
    mode = req.authorization_mode
    assert isinstance(mode, PnC_AReqAuthorizationMode)
    if s.record.pending is None:
        return _examine(s, req, mode)
    if s.record.claim is None or s.record.claim.mode != mode:
        why = "the request changed while it was being decided"
        return s.fail(req, ResponseCode.FAILED, why, "V2G20-1582")
    if s.record.answered or s.record.overdue:
        return _decided(s, s.record.claim)
    if s.held and not s.expired:
        return s.wait(ANSWER_HOLD_S)
    return s.reply(_answer(s, ResponseCode.OK, Processing.ONGOING))


def algorithms(s: View) -> tuple[Algorithms, ...]:
    """The ways to sign that are accepted."""
    return ISO20_AND_P256 if Quirk.P256_SIGNATURES in s.config.quirks else ISO20


def _examine(s: View, req: AuthorizationReq, mode: PnC_AReqAuthorizationMode) -> Step:
    if s.record.attempts >= s.config.authorization_attempts:
        return s.fail(req, ResponseCode.FAILED, f"{s.record.attempts} attempts were refused")
    assert s.trust is not None, "PnC is offered only with somebody who judges contracts"
    examination = Examination(
        s.record.challenge,
        s.trust,
        s.utc(),
        algorithms(s),
        s.config.providers,
        s.config.central_validation,
    )
    found = examination.judge(mode, req.header.signature)
    if isinstance(found, Refusal):
        return _refused(s, req, found)
    question = ContractQuestion(
        s.record.evcc_id, "PnC", s.record.attempts + 1, found.emaid, found.chain, found.verified
    )
    asked = s.ask(question, ANSWER_HOLD_S)
    return replace(asked, record=asked.record.but(claim=found), why=f"signature {found.proof}")


def _refused(s: View, req: AuthorizationReq, refusal: Refusal) -> Step:
    """A warning leaves the EV another try, with another contract or other means; a wrong signature does not."""
    if refusal.code is ResponseCode.FAILED_SIGNATURE_ERROR:
        return s.fail(req, refusal.code, refusal.why, refusal.requirement)
    step = s.reply(
        _answer(s, refusal.code, Processing.FINISHED), why=refusal.why, attempts=s.record.attempts + 1
    )
    return replace(step, fault=Fault.REMOTE, requirement=refusal.requirement)


def _decided(s: View, claim: Claim) -> Step:
    verdict = s.record.answer
    if isinstance(verdict, Authorization) and verdict.accepted:
        soon = claim.expires_soon(s.utc())
        code = ResponseCode.OK_CERTIFICATE_EXPIRES_SOON if soon else ResponseCode.OK  # [V2G20-2218]
        response = _answer(s, code, Processing.FINISHED)
        why = f"accepted: {verdict.reason}"
        changes = {"authorized": True, "payer": claim.chain[0], **s.settled()}
        return s.reply(response, State.SERVICE_DISCOVERY, why=why, **changes)
    flaw = verdict.flaw if isinstance(verdict, ContractRefused) else ContractFlaw.GENERAL
    why = verdict.reason if isinstance(verdict, Authorization) else f"no usable answer: {verdict!r}"
    changes = {"attempts": s.record.attempts + 1, "claim": None, **s.settled()}
    return s.reply(_answer(s, _CODES[flaw], Processing.FINISHED), why=f"refused: {why}", **changes)


def _answer(s: View, code: ResponseCode, processing: Processing) -> AuthorizationRes:
    return AuthorizationRes(header=s.header, response_code=code, evse_processing=processing)
