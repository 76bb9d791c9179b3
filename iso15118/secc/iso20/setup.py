"""SessionSetup, AuthorizationSetup and Authorization on the station's side."""

from __future__ import annotations

from typing import Final

from iso15118.control.evse import Authorization as Verdict
from iso15118.control.evse import AuthorizationQuestion
from iso15118.messages.iso20.common import (
    Authorization,
    AuthorizationReq,
    AuthorizationRes,
    AuthorizationSetupReq,
    AuthorizationSetupRes,
    EIM_AReqAuthorizationMode,
    EIM_ASResAuthorizationMode,
    SessionSetupReq,
    SessionSetupRes,
)
from iso15118.messages.iso20.types import MessageHeader, Processing, ResponseCode
from iso15118.secc.session import State, Step, View

SESSION_ID_OCTETS: Final = 8
ANSWER_HOLD_S: Final = 1.0
"""How long a request waits for the controller before it is answered Ongoing (of 1.5 s allowed)."""


def session_setup(s: View, req: SessionSetupReq) -> Step:
    """Give the session a fresh id from the injected entropy [V2G20-2106] [V2G20-2621].

    A non-zero id asks to resume; nothing can be resumed without a verified vehicle certificate,
    so the answer is a new session with a new id [V2G20-2626].
    """
    session_id = s.entropy(SESSION_ID_OCTETS)
    while session_id == bytes(SESSION_ID_OCTETS) or session_id == req.header.session_id:
        session_id = s.entropy(SESSION_ID_OCTETS)
    asked = req.header.session_id != bytes(SESSION_ID_OCTETS)
    response = SessionSetupRes(
        header=MessageHeader(session_id=session_id, time_stamp=s.stamp()),
        response_code=ResponseCode.OK_NEW_SESSION_ESTABLISHED,
        evseid=s.config.evse_id,
    )
    return s.reply(
        response,
        State.AUTHORIZATION_SETUP,
        why="nothing to resume: new session" if asked else "",
        session_id=session_id,
        evcc_id=req.evcc_id,
    )


def authorization_setup(s: View, req: AuthorizationSetupReq) -> Step:
    """Offer external identification means, the only service without certificates [V2G20-2566]."""
    response = AuthorizationSetupRes(
        header=s.header,
        response_code=ResponseCode.OK,
        authorization_services=(Authorization.EIM,),
        certificate_installation_service=False,
        authorization_mode=EIM_ASResAuthorizationMode(),
    )
    return s.reply(response, State.AUTHORIZATION)


def authorization(s: View, req: AuthorizationReq) -> Step:
    """Ask the controller; Ongoing until it has decided; a refusal reaches the car at once [V2G20-2219]."""
    offered = req.selected_authorization_service is Authorization.EIM
    if not offered or not isinstance(req.authorization_mode, EIM_AReqAuthorizationMode):
        code = ResponseCode.WARNING_AUTHORIZATION_SELECTION_INVALID  # [V2G20-2209]
        return s.reply(_answer(s, code, Processing.FINISHED), why="service was not offered")
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
