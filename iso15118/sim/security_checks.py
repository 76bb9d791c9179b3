"""Checkers of trust: what must not happen, whoever attacks. Like the others they read a `Recording` alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from iso15118.control.ev import StoreContract
from iso15118.discovery.events import SeccFound
from iso15118.events import MessageReceived, MessageSent, QuestionAsked
from iso15118.sim.world import Recording

Found = Iterator[tuple[float, str]]

LIES: Final = frozenset(
    {
        "older_protocol",
        "changed_challenge",
        "replayed_authorization",
        "pasted_challenge",
        "spoilt_signature",
        "no_signature",
        "malformed_contract",
        "spoilt_installation",
        "foreign_session_id",
    }
)
"""Attacks after which a peer's log and what it has sent differ."""
HOPELESS: Final = (LIES - {"foreign_session_id"}) | {
    "bad_station",
    "bad_vehicle",
    "bad_contract",
    "foreign_contract",
    "foreign_back_end",
    "bad_back_end",
    "bad_provisioning",
    "tls_downgrade",
    "tls_garbage",
    "stalled_handshake",
}
"""Attacks after which no energy may flow at all."""
SPOILING: Final = frozenset(
    {"tls_tamper", "tls_replay", "tls_drop", "tls_inject", "tls_garbage", "tls_downgrade"}
)
"""Attacks after which a TLS connection is good for nothing more in their direction."""


def energy_needs_authorization(recording: Recording) -> Found:
    """The station's contactor closes, and current flows, only after an authorization it has told the car."""
    since = next((e.t for e in recording.events if _authorizes(e)), None)
    for sample in recording.samples:
        if since is not None and sample.t >= since:
            return
        if sample.evse_closed or abs(sample.current_a) > 1.0:
            yield sample.t, "energised: nothing is authorized"


def _authorizes(event: Any) -> bool:
    """AuthorizationRes that is final and positive, or a session that goes on and was authorized before."""
    if not isinstance(event, MessageSent) or event.role != "SECC":
        return False
    name = type(event.message).__name__
    if name == "SessionSetupRes":
        return str(event.message.response_code) == "OK_OldSessionJoined"
    final = name == "AuthorizationRes" and str(event.message.evse_processing) == "Finished"
    return final and _is_ok(event.message)


def _is_ok(response: Any) -> bool:
    return str(response.response_code).startswith("OK")


def no_forgery_is_accepted(recording: Recording) -> Found:
    """After an attack on identity, signature or the making of the connection nothing is authorized, stored or given."""
    names = [f.name for f in recording.faults if f.name in HOPELESS]
    if not names:
        return
    for event in recording.events:
        if _authorizes(event):
            yield event.t, f"authorized: in spite of {names[0]}"
        elif isinstance(event, QuestionAsked) and isinstance(event.question, StoreContract):
            yield event.t, f"contract stored: in spite of {names[0]}"
    if recording.delivered_wh or recording.fed_back_wh:
        yield recording.duration_s, f"energy: in spite of {names[0]}"


def challenge_is_the_own_one(recording: Recording) -> Found:
    """Authorization by contract is answered positively only where it bears the challenge of this session."""
    challenge, shown = b"", b""
    for event in recording.events:
        if not isinstance(event, MessageSent | MessageReceived) or event.role != "SECC":
            continue
        mode = getattr(event.message, "authorization_mode", None)
        name = type(event.message).__name__
        if name == "AuthorizationSetupRes":
            challenge = getattr(mode, "gen_challenge", b"")
        elif name == "AuthorizationReq":
            shown = getattr(mode, "gen_challenge", b"")
        elif name == "AuthorizationRes" and shown not in (b"", challenge) and _is_ok(event.message):
            yield event.t, "challenge accepted: it is not the one of this session"


def what_arrives_was_sent(recording: Recording) -> Found:
    """Behind TLS a side receives what the other has sent, in its order, up to some point: nothing else, nothing twice.

    What is attacked on its way is not received, nor is anything behind it.
    """
    if not recording.tls or any(f.name in LIES for f in recording.faults):
        return
    for role, other in (("SECC", "EVCC"), ("EVCC", "SECC")):
        received = [e for e in recording.events if isinstance(e, MessageReceived) and e.role == role]
        sent = [e for e in recording.events if isinstance(e, MessageSent) and e.role == other]
        for arrived, meant in zip(received, sent, strict=False):
            if arrived.exi != meant.exi:
                yield arrived.t, f"{role} received what was not sent: {type(arrived.message).__name__}"
        if len(received) > len(sent):
            yield received[len(sent)].t, f"{role} received more than was sent: {len(received)} of {len(sent)}"
        hits = [t for t, name, side in recording.hits if side == other and name in SPOILING]
        before = sum(e.t <= hits[0] for e in sent) if hits else len(received)
        if len(received) > before:
            yield hits[0], f"{role} went on after an attack: {len(received)} received, {before} sent before"


def no_downgrade(recording: Recording) -> Found:
    """A car that wants TLS finds no station without it."""
    if recording.tls:
        for event in recording.events:
            if isinstance(event, SeccFound) and not event.tls:
                yield event.t, "discovery: a station without TLS is taken"


def nothing_under_another_session_id(recording: Recording) -> Found:
    """A car says no more to a station that answers under another session id; a scripted one may be rude."""
    if recording.scripted:
        return
    known, foreign = b"", False
    for event in recording.events:
        if not isinstance(event, MessageSent | MessageReceived) or event.role != "EVCC":
            continue
        header = getattr(event.message, "header", None)
        if header is None:
            continue
        if isinstance(event, MessageSent):
            if foreign:
                yield event.t, f"went on under another session id: {type(event.message).__name__}"
        elif type(event.message).__name__ == "SessionSetupRes":
            known = header.session_id
        else:
            foreign = foreign or header.session_id != known
