"""SessionSetup, AuthorizationSetup and Authorization on the station's side; contracts are in `pnc` and `installation`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from iso15118.control.evse import Authorization as Verdict
from iso15118.control.evse import AuthorizationQuestion, ContractQuestion, ContractRequest
from iso15118.messages.iso20.common import (
    Authorization,
    AuthorizationReq,
    AuthorizationRes,
    AuthorizationSetupReq,
    AuthorizationSetupRes,
    CertificateInstallationReq,
    EIM_AReqAuthorizationMode,
    EIM_ASResAuthorizationMode,
    PnC_ASResAuthorizationMode,
    SessionSetupReq,
    SessionSetupRes,
    SupportedProvidersList,
)
from iso15118.messages.iso20.types import MessageHeader, Processing, ResponseCode
from iso15118.secc.iso20.pause import join, resume_objection
from iso15118.secc.session import State, Step, View
from iso15118.security.binding import session_binding

SESSION_ID_OCTETS: Final = 8
CHALLENGE_OCTETS: Final = 16
ANSWER_HOLD_S: Final = 1.0
"""How long a request waits for the controller before it is answered Ongoing (of 1.5 s allowed)."""


def session_setup(s: View, req: SessionSetupReq) -> Step:
    """Go on with the session that was paused with this vehicle, or begin a new one.

    A non-zero id asks to resume. What does not belong to the very vehicle, by its TLS certificate, begins anew with a
    new id [V2G20-2545] [V2G20-2626].
    """
    asked = req.header.session_id
    if asked == bytes(SESSION_ID_OCTETS):
        return _begin(s, req, "")
    objection = resume_objection(s, asked)
    return _begin(s, req, f"{objection}: new session") if objection else join(s)


def _begin(s: View, req: SessionSetupReq, why: str) -> Step:
    """A fresh id from the injected entropy [V2G20-2106] [V2G20-2621].

    Where the vehicle has shown a certificate, the session is bound to it, and the name in it counts.
    """
    taken = {bytes(SESSION_ID_OCTETS), req.header.session_id, s.paused.session_id if s.paused else b""}
    session_id = s.entropy(SESSION_ID_OCTETS)
    while session_id in taken:
        session_id = s.entropy(SESSION_ID_OCTETS)
    response = SessionSetupRes(
        header=MessageHeader(session_id=session_id, time_stamp=s.stamp()),
        response_code=ResponseCode.OK_NEW_SESSION_ESTABLISHED,
        evseid=s.config.evse_id,
    )
    changes: dict[str, Any] = {"session_id": session_id, "evcc_id": req.evcc_id}
    if s.tls is not None and s.tls.peer:
        name = _certified_name(s.tls.peer) or req.evcc_id
        changes |= {"evcc_id": name, "binding": session_binding(session_id, s.tls.peer)}
        if name != req.evcc_id:
            told = f"the EV calls itself {req.evcc_id!r}, its certificate {name!r}: the certificate counts"
            why = "; ".join(filter(None, (why, told)))
    return s.reply(response, State.AUTHORIZATION_SETUP, why=why, **changes)


def _certified_name(certificate: bytes) -> str:
    """The CN of the vehicle certificate, which is the EVCCID [V2G20-2598]."""
    from iso15118.security.chains import common_name

    return common_name(certificate)


def authorization_setup(s: View, req: AuthorizationSetupReq) -> Step:
    """Offer what is configured: external means, contracts, or both [V2G20-2566]; a fresh challenge for contracts."""
    config = s.config
    challenge = s.entropy(CHALLENGE_OCTETS) if "PnC" in config.authorization else b""  # [V2G20-2108]
    response = AuthorizationSetupRes(
        header=s.header,
        response_code=ResponseCode.OK,
        authorization_services=tuple(Authorization(means) for means in config.authorization),
        certificate_installation_service=config.certificate_installation,
        authorization_mode=_challenging(s, challenge) if challenge else EIM_ASResAuthorizationMode(),
    )
    return s.reply(response, State.AUTHORIZATION, challenge=challenge)


def _challenging(s: View, challenge: bytes) -> PnC_ASResAuthorizationMode:
    providers = s.config.providers
    listed = SupportedProvidersList(provider_id=providers) if providers else None
    return PnC_ASResAuthorizationMode(gen_challenge=challenge, supported_providers=listed)


def authorization(s: View, req: AuthorizationReq) -> Step:
    """Ask the controller; Ongoing until it has decided; a refusal reaches the car at once [V2G20-2219]."""
    service, mode = req.selected_authorization_service, req.authorization_mode
    by_contract = service is Authorization.PNC
    fits = by_contract != isinstance(mode, EIM_AReqAuthorizationMode)
    if service.value not in s.config.authorization or not fits:
        code = ResponseCode.WARNING_AUTHORIZATION_SELECTION_INVALID  # [V2G20-2209]
        return s.reply(_answer(s, code, Processing.FINISHED), why="service was not offered")
    if isinstance(s.record.pending, ContractRequest):  # the EV does not wait for a new contract any longer
        s = replace(s, record=s.record.but(**s.settled()))
    if by_contract:
        from iso15118.secc.iso20.pnc import authorize_contract

        return authorize_contract(s, req)
    if isinstance(s.record.pending, ContractQuestion):
        why = "the request changed while it was being decided"
        return s.fail(req, ResponseCode.FAILED, why, "V2G20-1582")
    return _external(s, req)


def certificate_installation(s: View, req: CertificateInstallationReq) -> Step:
    """Where it was offered, and not in the middle of another decision."""
    deciding = isinstance(s.record.pending, AuthorizationQuestion)
    if not s.config.certificate_installation or deciding:
        why = "while authorization is being decided" if deciding else "which was not offered"
        return s.fail(
            req, ResponseCode.FAILED_SEQUENCE_ERROR, f"CertificateInstallationReq {why}", "V2G20-459"
        )
    from iso15118.secc.iso20.installation import install

    return install(s, req)


def _external(s: View, req: AuthorizationReq) -> Step:
    if s.record.pending is None:
        return _ask(s, req)
    if s.record.answered or s.record.overdue:
        return _decided(s, req)
    if s.held and not s.expired:
        return s.wait(ANSWER_HOLD_S)
    return s.reply(_answer(s, ResponseCode.OK, Processing.ONGOING_WAITING_FOR_CUSTOMER_INTERACTION))


def _ask(s: View, req: AuthorizationReq) -> Step:
    if s.record.attempts >= s.config.authorization_attempts:
        return s.fail(req, ResponseCode.FAILED, f"{s.record.attempts} attempts were refused")
    question = AuthorizationQuestion(evcc_id=s.record.evcc_id, attempt=s.record.attempts + 1)
    return s.ask(question, ANSWER_HOLD_S)


def _decided(s: View, req: AuthorizationReq) -> Step:
    verdict = s.record.answer
    attempts = s.record.attempts + 1
    if isinstance(verdict, Verdict) and verdict.accepted:
        response = _answer(s, ResponseCode.OK, Processing.FINISHED)
        why = f"accepted: {verdict.reason}"
        return s.reply(response, State.SERVICE_DISCOVERY, why=why, authorized=True, **s.settled())
    why = verdict.reason if isinstance(verdict, Verdict) else f"no usable answer: {verdict!r}"
    response = _answer(s, ResponseCode.WARNING_EIM_AUTHORIZATION_FAILURE, Processing.FINISHED)
    return s.reply(response, why=f"refused: {why}", attempts=attempts, **s.settled())


def _answer(s: View, code: ResponseCode, processing: Processing) -> AuthorizationRes:
    return AuthorizationRes(header=s.header, response_code=code, evse_processing=processing)
