"""Going on with a session after a pause, and keeping one for later, on the station's side."""

from __future__ import annotations

import hmac

from iso15118.control.evse import MeterReading
from iso15118.messages.iso20.common import SessionSetupRes
from iso15118.messages.iso20.types import MessageHeader, ResponseCode
from iso15118.secc.iso20.services import offered_services
from iso15118.secc.session import State, Step, View
from iso15118.security.paused import PausedSession


def resume_objection(s: View, asked: bytes) -> str:
    """Why the session with this id cannot go on here; "" if it can."""
    paused = s.paused
    if paused is None or not hmac.compare_digest(paused.session_id, asked):
        return "nothing to resume"
    why = paused.objection(_leaf(s), s.record.namespace, s.utc(), s.config.resume_within_s)
    return why or ("" if _still_offered(s, paused) else "what it was about is not offered any more")


def _leaf(s: View) -> bytes | None:
    return s.tls.peer if s.tls is not None else None


def _still_offered(s: View, paused: PausedSession) -> bool:
    """The configuration may have changed since; ids count from 1."""
    modes = dict(enumerate(s.config.control_modes, 1))
    served = paused.service in offered_services(s.config, s.record.namespace)
    return served and modes.get(paused.parameter_set_id) is paused.control_mode


def join(s: View) -> Step:
    """The same id, the same service, the same payer; only limits and schedule are agreed anew [V2G20-1844]."""
    paused = s.paused
    assert paused is not None
    response = SessionSetupRes(
        header=MessageHeader(session_id=paused.session_id, time_stamp=s.stamp()),
        response_code=ResponseCode.OK_OLD_SESSION_JOINED,
        evseid=s.config.evse_id,
    )
    return s.reply(
        response,
        State.CHARGE_PARAMETER_DISCOVERY,
        why="the session goes on after its pause, authorized as before",
        session_id=paused.session_id,
        evcc_id=paused.peer_id,
        binding=paused.binding,
        payer=paused.payer,
        authorized=True,
        resumed=True,
        carried_wh=_carried(paused, s.evse.meter),
        service=paused.service,
        parameter_set_id=paused.parameter_set_id,
        control_mode=paused.control_mode,
    )


def _carried(paused: PausedSession, reading: MeterReading | None) -> tuple[float, float]:
    """What has to be added to the controller's readings: one that was restarted has begun to count anew."""
    if reading is None or (
        reading.charged_wh >= paused.charged_wh and reading.discharged_wh >= paused.discharged_wh
    ):
        return 0.0, 0.0
    return paused.charged_wh, paused.discharged_wh


def pause_is_over(s: View) -> bool:
    """Whether the vehicle at the other end is the one of the paused session: it goes on, or has begun anew
    [V2G20-2615]. Another vehicle ends nobody's pause.
    """
    return s.paused is not None and s.paused.belongs_to(_leaf(s))


def kept(s: View) -> PausedSession | None:
    """What is to be remembered of this session; nothing without a certificate of the vehicle."""
    record = s.record
    if not record.binding or record.service is None or record.control_mode is None:
        return None
    charged_wh, discharged_wh = _energy(s)
    return PausedSession(
        session_id=record.session_id,
        binding=record.binding,
        namespace=record.namespace,
        service=record.service,
        parameter_set_id=record.parameter_set_id,
        control_mode=record.control_mode,
        peer_id=record.evcc_id,
        payer=record.payer,
        renegotiation_supported=s.config.service_renegotiation,
        since=s.utc(),
        charged_wh=charged_wh,
        discharged_wh=discharged_wh,
    )


def _energy(s: View) -> tuple[float, float]:
    """Of the session so far (Wh, charged and discharged): never less than before an earlier pause."""
    reading, carried = s.evse.meter, s.record.carried_wh
    now = (0.0, 0.0) if reading is None else (reading.charged_wh, reading.discharged_wh)
    before = s.paused if s.record.resumed else None
    known = (0.0, 0.0) if before is None else (before.charged_wh, before.discharged_wh)
    return max(now[0] + carried[0], known[0]), max(now[1] + carried[1], known[1])
