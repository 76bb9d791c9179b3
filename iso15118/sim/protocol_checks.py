"""Liveness, pairing, order and the log: checkers that read events and octets.

Names, times and the order of messages are written down here independently of the session machines
(ISO 15118-20 Tables 215 to 217 and the sequence of clause 8).
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any, Final

from iso15118.errors import CodecError
from iso15118.events import MessageReceived, MessageSent, SessionEnded
from iso15118.exi.codec import decode, encode
from iso15118.messages.payloads import HANDSHAKE, Phase, schema_for
from iso15118.messages.registry import schema_set
from iso15118.sim.world import Recording

MARGIN_S: Final = 0.3
HEADER: Final = 8

Found = Iterator[tuple[float, str]]

_LOOPS: Final = ("AC_ChargeLoop", "DC_ChargeLoop")
_SLOW: Final = ("CertificateInstallation", "ServiceDetail")
_HANDSHAKE: Final = "SupportedAppProtocol"
_ASIDE: Final = "MeteringConfirmation"
_SIDE_STREAM: Final = 0x8102
_TLS_RECORDS: Final = range(20, 24)


def stem(message: Any) -> str:
    """The name of a message without Req or Res."""
    return type(message).__name__[:-3]


def evcc_timeout_s(name: str) -> float:
    """How long the EV waits for the response to `name`."""
    return 0.5 if name in _LOOPS else 5.0 if name in _SLOW else 2.0


def performance_s(name: str) -> float:
    """How long the station may take for the response to `name`."""
    return 0.25 if name in _LOOPS else 4.5 if name in _SLOW else 1.5


def sequence_s(name: str) -> float:
    """How long the station waits for the next request after the response to `name`."""
    return 0.5 if name in _LOOPS else 60.0


def _messages(
    recording: Recording, role: str, aside: bool | None = None
) -> Iterator[tuple[float, bool, Any]]:
    """(t, sent, message) of one role, and (t, False, SessionEnded) at its end.

    `aside` True: of the side stream alone; False: of the main stream, which goes on beside it; None: of both.
    """
    for event in recording.events:
        if event.role != role:
            continue
        if isinstance(event, (MessageSent, MessageReceived)):
            if aside is not None and aside != (event.payload_type == _SIDE_STREAM):
                continue
            yield event.t, isinstance(event, MessageSent), event.message
        elif isinstance(event, SessionEnded):
            yield event.t, False, event


# --- liveness ---------------------------------------------------------------------------------


def every_session_ends(recording: Recording) -> Found:
    """Each side that lives to see it reports the end exactly once and closes; nothing is sent afterwards."""
    if recording.overrun:
        yield recording.duration_s, "cut off: the session did not end by itself"
    if recording.connected_at is None:
        return
    for role in ("SECC", "EVCC"):
        ends = [e for e in recording.events if isinstance(e, SessionEnded) and e.role == role]
        if role in recording.gone:
            continue
        if len(ends) != 1:
            yield recording.duration_s, f"{role} ended {len(ends)} times"
            continue
        late = [
            e for e in recording.events if isinstance(e, MessageSent) and e.role == role and e.t > ends[0].t
        ]
        if late:
            yield late[0].t, f"{role} sent after its end: {type(late[0].message).__name__}"
        if role not in recording.closed and not recording.overrun:
            yield recording.duration_s, f"{role} never closed the connection"


def nobody_waits_in_vain(recording: Recording) -> Found:
    """No timer of the standard is overstayed: the EV's for responses, the station's for requests."""
    for role, waits in (("EVCC", evcc_timeout_s), ("SECC", sequence_s)):
        since: tuple[float, str] | None = None
        end = recording.gone.get(role, recording.duration_s)
        for t, sent, message in (*_messages(recording, role, aside=False), (end, False, None)):
            if since is not None and t - since[0] > waits(since[1]) + MARGIN_S:
                yield since[0], f"{role} waited: {t - since[0]:.2f} s after {since[1]}"
            since = (t, stem(message)) if sent else None
            if isinstance(message, SessionEnded):
                break


# --- requests and responses -------------------------------------------------------------------


def requests_and_responses_pair(recording: Recording) -> Found:
    """In each stream the station answers a request at most once, by its own type; the EV asks one thing at a time."""
    for aside in (False, True):
        yield from _answers(recording, aside)
        if not recording.scripted:
            yield from _questions(recording, aside)


def _answers(recording: Recording, aside: bool) -> Found:
    waiting: Any = None
    for t, sent, message in _messages(recording, "SECC", aside):
        if isinstance(message, SessionEnded):
            break
        if sent and waiting is None:
            yield t, f"response without request: {type(message).__name__}"
        elif sent and stem(message) != stem(waiting):
            yield t, f"response of another type: {type(message).__name__} to {type(waiting).__name__}"
        waiting = None if sent else message


def _questions(recording: Recording, aside: bool) -> Found:
    asked: Any = None
    for t, sent, message in _messages(recording, "EVCC", aside):
        if sent and asked is not None:
            yield t, f"two requests open: {type(asked).__name__} and {type(message).__name__}"
        asked = message if sent else None


def responses_are_in_time(recording: Recording) -> Found:
    """The station answers within its performance time, in each stream."""
    for aside in (False, True):
        asked: tuple[float, str] | None = None
        for t, sent, message in _messages(recording, "SECC", aside):
            if isinstance(message, SessionEnded):
                break
            if sent and asked is not None and t - asked[0] > performance_s(asked[1]) + 1e-6:
                yield t, f"late response: {stem(message)} after {t - asked[0]:.3f} s"
            asked = None if sent else (t, stem(message))


_START: Final = "PowerDelivery(Start)"
_STOP: Final = "PowerDelivery(Stop)"
_STANDBY: Final = "PowerDelivery(Standby)"
_RENEGOTIATE: Final = "PowerDelivery(ScheduleRenegotiation)"
_PARAMETERS: Final = ("AC_ChargeParameterDiscovery", "DC_ChargeParameterDiscovery")

ORDER: Final = MappingProxyType(
    {
        "": (_HANDSHAKE,),
        _HANDSHAKE: ("SessionSetup",),
        "SessionSetup": ("AuthorizationSetup", *_PARAMETERS),
        "AuthorizationSetup": ("Authorization", "CertificateInstallation", "AuthorizationSetup"),
        "CertificateInstallation": ("CertificateInstallation", "Authorization"),
        "Authorization": ("Authorization", "CertificateInstallation", "ServiceDiscovery"),
        "ServiceDiscovery": ("ServiceDetail",),
        "ServiceDetail": ("ServiceDetail", "ServiceSelection"),
        "ServiceSelection": _PARAMETERS,
        "AC_ChargeParameterDiscovery": ("ScheduleExchange",),
        "DC_ChargeParameterDiscovery": ("ScheduleExchange",),
        "ScheduleExchange": ("ScheduleExchange", "DC_CableCheck", _START, _STANDBY),
        "DC_CableCheck": ("DC_CableCheck", "DC_PreCharge"),
        "DC_PreCharge": ("DC_PreCharge", _START, _STOP),
        _START: (_START, _STOP, *_LOOPS),
        "AC_ChargeLoop": ("AC_ChargeLoop", _START, _STOP, _STANDBY, _RENEGOTIATE),
        "DC_ChargeLoop": ("DC_ChargeLoop", _START, _STOP, _STANDBY, _RENEGOTIATE),
        _STANDBY: (_START, _STOP, *_LOOPS),
        _RENEGOTIATE: (*_LOOPS, *_PARAMETERS, "ScheduleExchange", _START, _STOP),
        _STOP: ("DC_WeldingDetection",),
        "DC_WeldingDetection": ("DC_WeldingDetection",),
        "SessionStop": ("ServiceDiscovery",),
    }
)
"""What may follow a positively answered request; SessionStop may follow everything after SessionSetup.

MeteringConfirmation travels beside the charge loop.
"""


def order_is_legal(recording: Recording) -> Found:
    """The station answers positively only what may follow what it answered positively before."""
    before, request = "", None
    for t, sent, message in _messages(recording, "SECC"):
        if isinstance(message, SessionEnded):
            break
        if stem(message) == _ASIDE:
            if sent and not _failed(message) and before not in _LOOPS:
                yield t, f"accepted out of order: {_ASIDE} after {before or 'nothing'}"
        elif not sent:
            request = message
        elif request is not None and not _failed(message):
            name = _step_name(request)
            may_stop = name == "SessionStop" and before not in ("", _HANDSHAKE)
            if name not in ORDER.get(before, ()) and not may_stop:
                yield t, f"accepted out of order: {name} after {before or 'nothing'}"
            before, request = name, None


def _failed(response: Any) -> bool:
    return str(response.response_code).upper().startswith("FAILED")


def _step_name(request: Any) -> str:
    progress = getattr(request, "charge_progress", None)
    return f"{stem(request)}({progress})" if progress is not None else stem(request)


def session_id_is_kept(recording: Recording) -> Found:
    """One id, not zero, in every message after SessionSetup; another one is never answered positively."""
    known = b""
    request: Any = None
    for t, sent, message in _messages(recording, "SECC"):
        header = getattr(message, "header", None)
        if header is None:
            continue
        if not sent:
            request = message
            continue
        if stem(message) == "SessionSetup":
            known = header.session_id
            if not any(known) and not _failed(message):
                yield t, "session id: all zero"
        elif known and header.session_id != known:
            yield t, f"session id of a response: {header.session_id.hex()} instead of {known.hex()}"
        elif known and request is not None and request.header.session_id != known and not _failed(message):
            yield t, f"accepted with another session id: {stem(message)}"


# --- the log ----------------------------------------------------------------------------------


def _in_the_clear(recording: Recording) -> Found:
    """Whatever is on the wire of a TLS connection and is no TLS record."""
    for t, sender, data in recording.wire:
        at = 0
        while at < len(data):
            if data[at] not in _TLS_RECORDS or data[at + 1 : at + 2] != b"\x03":
                yield t, f"{sender} sent octets outside TLS: {data[at : at + 8].hex()}"
                break
            at += 5 + int.from_bytes(data[at + 3 : at + 5], "big")


def log_equals_wire(recording: Recording) -> Found:
    """What a side logs as sent is what it put on the wire: same frames, same order. With TLS nothing may be read there."""
    if recording.tls:
        yield from _in_the_clear(recording)
        return
    for role in ("SECC",) if recording.scripted else ("SECC", "EVCC"):
        stream = b"".join(data for _, sender, data in recording.wire if sender == role)
        frames = list(_frames(stream))
        logged = [
            (e.payload_type, e.exi) for e in recording.events if isinstance(e, MessageSent) and e.role == role
        ]
        if frames != logged:
            yield (
                recording.duration_s,
                f"{role} logged other frames: {len(logged)} logged, {len(frames)} sent",
            )


def _frames(stream: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + HEADER <= len(stream):
        length = int.from_bytes(stream[at + 4 : at + HEADER])
        yield int.from_bytes(stream[at + 2 : at + 4]), stream[at + HEADER : at + HEADER + length]
        at += HEADER + length


def log_reads_back(recording: Recording) -> Found:
    """Every logged message is what its octets decode to, and encodes to the same octets."""
    phase = HANDSHAKE
    for event in recording.events:
        if not isinstance(event, MessageSent):
            continue
        namespace = schema_for(event.payload_type, phase, event.exi)
        if stem(event.message) == _HANDSHAKE:
            phase = _negotiated(event.message, phase, recording)
        if namespace is None:
            yield event.t, f"unknown schema: {type(event.message).__name__}"
            continue
        try:
            same = decode(event.exi, schema_set(namespace)) == event.message
            again = encode(event.message, schema_set(namespace))
        except CodecError as error:
            yield event.t, f"log does not read back: {type(event.message).__name__}: {error}"
            continue
        if not same or again != event.exi:
            yield event.t, f"log reads back differently: {type(event.message).__name__}"


def _negotiated(message: Any, phase: Phase, recording: Recording) -> Phase:
    """The phase after a handshake message: its response names one of the request's protocols."""
    chosen = getattr(message, "schema_id", None)
    if chosen is None:
        return phase
    for event in recording.events:
        for offer in getattr(getattr(event, "message", None), "app_protocol", ()):
            if offer.schema_id == chosen:
                return Phase(offer.protocol_namespace)
    return phase
