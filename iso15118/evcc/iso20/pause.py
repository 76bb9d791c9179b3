"""Going on with a session after a pause, and keeping one for later, on the car's side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iso15118 import events
from iso15118.evcc.vocabulary import Ev
from iso15118.security.binding import session_binding
from iso15118.security.paused import PausedSession

if TYPE_CHECKING:
    from iso15118.security.contracts import Contract


def resumable(ev: Ev) -> PausedSession | None:
    """The paused session, where this station is the one it was paused with [V2G20-2539]; no other one hears of its id."""
    paused = ev.paused
    if paused is None:
        return None
    why = paused.objection(ev.peer, ev.namespace, ev.utc(), ev.config.resume_within_s)
    if not why and paused.service not in ev.config.services:
        why = "its service is not wanted any more"
    if not why and paused.payer and not any(each.chain[0] == paused.payer for each in _contracts(ev)):
        why = "the contract that pays for it is gone"
    if why:
        ev.decide("pause", f"the paused session does not go on: {why}")
        return None
    return paused


def go_on(ev: Ev, paused: PausedSession) -> None:
    """What was agreed before the pause holds [V2G20-1844]."""
    ev.authorized = True
    ev.service, ev.parameter_set_id = paused.service, paused.parameter_set_id
    ev.control_mode = paused.control_mode
    ev.renegotiation_supported = paused.renegotiation_supported
    ev.contract = next((each for each in _contracts(ev) if each.chain[0] == paused.payer), None)
    ev.decide("pause", "the session goes on after its pause")
    ev.emit(
        events.ServiceSelected,
        service=paused.service.name,
        parameter_set_id=paused.parameter_set_id,
        control_mode=paused.control_mode.name,
    )


def keep(ev: Ev) -> None:
    """Tell what is needed to go on later; without the station's certificate a session cannot be told from another's."""
    if not ev.peer or ev.service is None or ev.control_mode is None:
        return
    paused = PausedSession(
        session_id=ev.session_id,
        binding=session_binding(ev.session_id, ev.peer),
        namespace=ev.namespace,
        service=ev.service,
        parameter_set_id=ev.parameter_set_id,
        control_mode=ev.control_mode,
        peer_id=ev.evse_id,
        payer=ev.contract.chain[0] if ev.contract is not None else b"",
        renegotiation_supported=ev.renegotiation_supported,
        since=ev.utc(),
    )
    ev.emit(events.SessionPaused, session=paused)


def _contracts(ev: Ev) -> tuple[Contract, ...]:
    return ev.wallet.contracts if ev.wallet is not None else ()
