"""SupportedAppProtocol, SessionSetup and authorization on the car's side."""

from __future__ import annotations

from dataclasses import replace

from iso15118 import events
from iso15118.control.ev import SetPilot
from iso15118.evcc.iso20.pause import go_on, resumable
from iso15118.evcc.iso20.polling import authorization
from iso15118.evcc.vocabulary import EarlyLeave, Ev, SessionOver
from iso15118.events import EndReason, Fault
from iso15118.messages import namespaces
from iso15118.messages.iso20.common import (
    Authorization,
    AuthorizationReq,
    AuthorizationSetupReq,
    AuthorizationSetupRes,
    EIM_AReqAuthorizationMode,
    SessionSetupReq,
    SessionSetupRes,
)
from iso15118.messages.iso20.types import ResponseCode
from iso15118.messages.sap import AppProtocol, SupportedAppProtocolReq
from iso15118.messages.sap import ResponseCode as SapCode


def offers(ev: Ev) -> tuple[AppProtocol, ...]:
    """One entry per ProtocolNamespace behind the wanted services, in their order of preference.

    ISO 15118-20 is offered only where the connection allows it [V2G20-1237].
    """
    if not (ev.secure or ev.config.insecure_no_tls):
        return ()
    names = dict.fromkeys(namespaces.DC if s.is_dc else namespaces.AC for s in ev.config.services)
    return tuple(
        AppProtocol(
            protocol_namespace=name,
            version_number_major=1,
            version_number_minor=0,
            schema_id=number,
            priority=number,
        )
        for number, name in enumerate(names, 1)
    )


async def negotiate(ev: Ev) -> None:
    """Agree on a protocol; the answer's SchemaID tells which, and nothing is assumed."""
    ev.give_way()
    ev.do(SetPilot(ready=False))
    offered = offers(ev)
    if not offered:
        detail = "ISO 15118-20 needs TLS, which this connection does not have"
        raise SessionOver(EndReason.LOCAL, Fault.LOCAL, detail, "V2G20-1237")
    answer = await ev.negotiate(SupportedAppProtocolReq(app_protocol=offered))
    if answer.response_code is SapCode.FAILED_NO_NEGOTIATION:
        raise SessionOver(EndReason.REFUSED, Fault.REMOTE, "the station serves none of the offered protocols")
    taken = next((p for p in offered if p.schema_id == answer.schema_id), None)
    if taken is None:
        ev.fail(f"SchemaID {answer.schema_id} was not offered")
    ev.namespace = taken.protocol_namespace


async def set_up(ev: Ev) -> bool:
    """Open a new session or go on with a paused one (True), and take over the station's clock [V2G20-2676]."""
    ev.begin("SESSION_SETUP")
    paused = resumable(ev)
    header = ev.header if paused is None else replace(ev.header, session_id=paused.session_id)
    response = await ev.ask(SessionSetupReq(header=header, evcc_id=ev.config.evcc_id), SessionSetupRes)
    given = response.header.session_id
    joined = response.response_code is ResponseCode.OK_OLD_SESSION_JOINED and paused is not None
    if not joined and response.response_code is not ResponseCode.OK_NEW_SESSION_ESTABLISHED:
        ev.fail(f"SessionSetupRes: {response.response_code} for a new session")
    if joined and paused is not None and given != paused.session_id:
        ev.fail("the station goes on with another session than the one that was asked for")
    if given == bytes(8):
        ev.fail("the station gave no session id", "V2G20-2106")
    ev.session_id, ev.evse_id = given, response.evseid
    ev.follow_clock(response.header.time_stamp)
    ev.emit(events.SessionEstablished, session_id=given, peer_id=response.evseid)
    if ev.paused is not None:
        ev.emit(events.PauseEnded, session_id=ev.paused.session_id, resumed=joined)
    if joined and paused is not None:
        go_on(ev, paused)
    return joined


async def authorize(ev: Ev) -> None:
    """By the means that car and station both know, in the car's order, until one is accepted."""
    ev.begin("AUTHORIZATION_SETUP")
    setup = await ev.ask(AuthorizationSetupReq(header=ev.header), AuthorizationSetupRes)
    common = [m for m in ev.config.authorization if Authorization(m) in setup.authorization_services]
    refused = ""
    for means in common:
        if means == "PnC":
            from iso15118.evcc.iso20.pnc import authorize_by_contract

            refused = await authorize_by_contract(ev, setup) or refused
        else:
            refused = await _identify_externally(ev)
        if ev.authorized:
            return
    if refused:
        raise EarlyLeave(f"authorization refused: {refused}", EndReason.REFUSED, Fault.REMOTE)
    if common:
        raise EarlyLeave("the car has no contract that the station takes", EndReason.REFUSED)
    takes = "contracts" if Authorization.PNC in setup.authorization_services else "external identification"
    raise EarlyLeave(f"the station takes {takes} only", EndReason.REFUSED)


async def _identify_externally(ev: Ev) -> str:
    """External identification. Returns the code of a refusal."""
    ev.begin("AUTHORIZATION")
    request = AuthorizationReq(
        header=ev.header,
        selected_authorization_service=Authorization.EIM,
        authorization_mode=EIM_AReqAuthorizationMode(),
    )
    return await authorization(ev, request)
