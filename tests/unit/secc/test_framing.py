"""Octets in any chunking, malformed frames and messages, and sequences no EV would think of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iso15118.control.common import Check, Contactor, CpState, Wish
from iso15118.control.evse import Authorization, Deenergise
from iso15118.energy.offer import EnergyOffer
from iso15118.events import EndReason, Fault, FrameIgnored, MessageReceived, MessageSent, SessionEnded
from iso15118.exi.codec import encode
from iso15118.machine import NEVER, Answer, Bytes, LinkUp, PeerClosed, Stop
from iso15118.messages import namespaces as ns
from iso15118.messages.iso20 import ac_der_iec, common, dc
from iso15118.messages.iso20.types import MessageHeader, Processing, ResponseCode
from iso15118.messages.minimal import minimal
from iso15118.messages.registry import schema_set
from iso15118.secc.session import State
from iso15118.wire.v2gtp import encode_frame
from tests.unit.secc.harness import AC_STATES, DC_STATES, Bench, bench, frame_of, reach
from tests.unit.secc.messages import Ev, R
from tests.unit.secc.test_table import EVERY_REQUEST

S, Code = State, ResponseCode


# --- chunking ---------------------------------------------------------------------------------


def test_a_message_may_be_split_anywhere() -> None:
    octets = frame_of(reach(S.SERVICE_DISCOVERY).ev.service_discovery())
    for cut in range(1, len(octets)):
        made = reach(S.SERVICE_DISCOVERY)
        assert made.send_octets(octets[:cut]) is None
        assert made.end is None
        assert made.send_octets(octets[cut:]).response_code is Code.OK


def test_a_message_octet_by_octet() -> None:
    made = reach(S.SERVICE_DISCOVERY)
    for octet in frame_of(made.ev.service_discovery()):
        made.send_octets(bytes([octet]))
    assert [type(r).__name__ for r in made.sent] == ["ServiceDiscoveryRes"]


def test_several_messages_in_one_segment() -> None:
    made = reach(S.SERVICE_DISCOVERY)
    ev = made.ev
    requests = (ev.service_discovery(), ev.service_detail(), ev.service_selection(), ev.charge_parameters())
    made.send_octets(b"".join(frame_of(r) for r in requests))
    assert [r.response_code for r in made.sent] == [Code.OK] * 4
    assert made.at is S.SCHEDULE_EXCHANGE


def test_messages_behind_one_that_waits_are_answered_in_order() -> None:
    made = reach(S.AUTHORIZATION)
    made.answering = False
    ev = made.ev
    foreign = bytes.fromhex("01fe9001000000020000")
    skipped = encode_frame(0x8001, b"\x80\x00")
    requests = (ev.authorization(), ev.service_discovery(), ev.service_detail(), ev.service_selection())
    first, second, third, fourth = (frame_of(r) for r in requests)
    made.send_octets(first + foreign + second + skipped + third)
    made.send_octets(fourth)
    assert not made.sent
    made.answer(Authorization(True))
    names = [type(r).__name__ for r in made.sent]
    assert names == ["AuthorizationRes", "ServiceDiscoveryRes", "ServiceDetailRes", "ServiceSelectionRes"]
    assert [r.response_code for r in made.sent] == [Code.OK] * 4


def test_more_requests_at_once_than_any_ev_sends() -> None:
    made = reach(S.AUTHORIZATION)
    made.answering = False
    made.send_octets(frame_of(made.ev.authorization()) * 6)
    assert made.end.reason is EndReason.PROTOCOL
    assert made.end.detail == "too many requests at once"
    assert not made.sent


def test_requests_behind_the_last_one_are_not_answered() -> None:
    made = reach(S.SERVICE_DISCOVERY)
    made.send_octets(frame_of(made.ev.session_stop()) + frame_of(made.ev.service_discovery()))
    assert len(made.sent) == 1
    assert made.end.as_intended


def test_a_frame_cut_off_by_the_end_of_the_connection() -> None:
    made = reach(S.SERVICE_DISCOVERY)
    made.send_octets(frame_of(made.ev.service_discovery())[:9])
    made.feed(PeerClosed())
    assert made.end.reason is EndReason.PEER_CLOSED


# --- frames -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        "01fe8000000000020102",
        "01fe0000000000020102",
        "01fe9000000000020000",
        "01fea000000000020102",
        "01feffff00000000",
        "01fe800200000000",
        "01fe800400000000",
    ],
)
def test_foreign_and_empty_frames_are_skipped_unanswered(frame: str) -> None:
    made = reach(S.SERVICE_DISCOVERY)
    assert made.send_octets(bytes.fromhex(frame)) is None
    assert made.seen_events(FrameIgnored)
    assert made.send(made.ev.service_discovery()).response_code is Code.OK


@pytest.mark.parametrize("head", ["02fd8002", "01018002", "fe018002", "01fd8002", "474554"])
def test_wrong_version_octets_end_the_session_unanswered(head: str) -> None:
    made = reach(S.CHARGE_LOOP)
    made.send_octets(bytes.fromhex(head) + b"\x00\x00\x00\x01\x80")
    assert not made.sent
    assert (made.end.reason, made.end.fault) == (EndReason.PROTOCOL, Fault.REMOTE)
    assert "framing lost" in made.end.detail
    assert made.issued(Deenergise)
    assert made.close.after <= 5.0


@pytest.mark.parametrize("length", [1025, 65_537, 0xFFFF_FFFF])
def test_oversized_payload_ends_the_session(length: int) -> None:
    made = reach(S.SERVICE_DISCOVERY, max_payload=1024)
    made.send_octets(b"\x01\xfe\x80\x02" + length.to_bytes(4, "big") + bytes(64))
    assert made.end.reason is EndReason.PROTOCOL
    assert str(length) in made.end.detail
    assert not made.sent


@pytest.mark.parametrize(
    ("payload_type", "exi"),
    [(0x8002, "00"), (0x8002, "80"), (0x8002, "80ff00"), (0x8004, "80"), (0x8006, "ffffffff")],
)
def test_undecodable_message_ends_the_session_unanswered(payload_type: int, exi: str) -> None:
    made = reach(S.CHARGE_LOOP)
    made.send_octets(encode_frame(payload_type, bytes.fromhex(exi)))
    assert not made.sent
    assert made.end.reason is EndReason.PROTOCOL
    assert "undecodable" in made.end.detail
    assert made.issued(Deenergise)
    assert made.close.after == 4.0


def test_a_response_is_no_request() -> None:
    made = reach(S.SERVICE_DISCOVERY)
    header = MessageHeader(session_id=made.record.session_id, time_stamp=1)
    response = minimal(common.SessionStopRes, header=header)
    made.send_octets(encode_frame(0x8002, encode(response, schema_set(ns.COMMON_MESSAGES))))
    assert made.end.reason is EndReason.PROTOCOL
    assert "SessionStopRes is no request" in made.end.detail
    made = bench()
    from iso15118.messages.sap import SupportedAppProtocolRes

    answer = minimal(SupportedAppProtocolRes)
    made.send_octets(encode_frame(0x8001, encode(answer, schema_set(ns.SAP))))
    assert made.end.reason is EndReason.PROTOCOL


def test_a_bare_type_is_no_request() -> None:
    made = reach(S.SERVICE_DISCOVERY)
    mode = dc.DC_CPDReqEnergyTransferMode(
        **{
            f.name: R(1)
            for f in dc.DC_CPDReqEnergyTransferMode.__dataclass_fields__.values()
            if f.name != "target_soc"
        }
    )
    made.send_octets(encode_frame(0x8004, encode(mode, schema_set(ns.DC))))
    assert made.end.reason is EndReason.PROTOCOL


def test_all_payload_types_before_the_handshake() -> None:
    for payload_type in (0x8002, 0x8003, 0x8004, 0x8005, 0x8006, 0x8010, 0x8101, 0x8102, 0x8104):
        made = bench()
        assert made.send_octets(encode_frame(payload_type, b"\x80\x00")) is None
        assert made.end is None
        assert made.seen_events(FrameIgnored)[0].reason == "payload type out of place"


# --- lanes ------------------------------------------------------------------------------------


def test_certificate_installation_in_the_wrong_envelope_is_refused_in_the_right_one() -> None:
    made = reach(S.AUTHORIZATION)
    request = made.ev.sample(common.CertificateInstallationReq)
    response = made.send(request, 0x8001)
    assert response.response_code is Code.FAILED_SEQUENCE_ERROR
    assert type(response).__name__ == "CertificateInstallationRes"
    assert made.payload_types == [0x8002]


def test_side_stream_requests_are_refused_where_they_came_from() -> None:
    for request, payload_type in (
        (common.ScheduleExchangeReq, 0x8101),
        (common.MeteringConfirmationReq, 0x8102),
        (common.VehicleCheckInReq, 0x8104),
        (common.VehicleCheckOutReq, 0x8104),
    ):
        made = reach(S.CHARGE_LOOP)
        assert made.send(made.ev.sample(request), payload_type).response_code is Code.FAILED_SEQUENCE_ERROR
        assert made.payload_types == [payload_type]


@pytest.mark.req("V2G20-459")
@pytest.mark.parametrize("variant", ["AC_DER_IEC", "AC_DER_SAE"])
def test_loop_of_a_grid_code_service_in_an_ac_session(variant: str) -> None:
    """The same message names in another schema set than the negotiated one."""
    made = reach(S.CHARGE_LOOP, "AC")
    request = made.ev.loop()
    namespace, payload_type = {"AC_DER_IEC": (ns.AC_DER_IEC, 0x8010), "AC_DER_SAE": (ns.AC_DER_SAE, 0x8011)}[
        variant
    ]
    made.feed(Bytes(encode_frame(payload_type, encode(request, schema_set(namespace)))))
    assert made.sent[-1].response_code is Code.FAILED_SEQUENCE_ERROR
    assert made.payload_types == [payload_type]


@pytest.mark.req("V2G20-459")
def test_grid_code_variants_are_refused_in_their_own_set() -> None:
    made = reach(S.CHARGE_PARAMETER_DISCOVERY, "AC")
    request = made.ev.ac_parameters()
    mode = minimal(
        ac_der_iec.DER_AC_CPDReqEnergyTransferMode,
        ev_maximum_charge_power=R(11_000),
    )
    request = request.__class__(header=request.header, ac_cpd_req_energy_transfer_mode=mode)
    made.feed(Bytes(encode_frame(0x8010, encode(request, schema_set(ns.AC_DER_IEC)))))
    response = made.sent[-1]
    assert response.response_code is Code.FAILED_SEQUENCE_ERROR
    assert type(response.ac_cpd_res_energy_transfer_mode).__name__ == "DER_AC_CPDResEnergyTransferMode"


# --- events -----------------------------------------------------------------------------------


def test_everything_said_is_an_event_with_its_octets() -> None:
    made = reach(S.SERVICE_DISCOVERY)
    request = made.ev.service_discovery()
    response = made.send(request)
    (heard,), (said,) = made.seen_events(MessageReceived), made.seen_events(MessageSent)
    assert (heard.message, heard.payload_type, heard.role, heard.t) == (
        request,
        0x8002,
        "SECC",
        made.clock.now,
    )
    assert said.message == response
    assert encode_frame(0x8002, said.exi) == next(o.data for o in made.outputs if hasattr(o, "data"))


# --- sequences no EV would think of -----------------------------------------------------------


def act(made: Bench, kind: str, value: Any) -> None:
    """One step of a random sequence."""
    match kind:
        case "request":
            foreign = Ev(made.ev.service, made.ev.control, b"\x07" * 8)
            ev = foreign if value == 3 else made.ev
            made.send(ev.sample(EVERY_REQUEST[value % len(EVERY_REQUEST)]))
        case "follow":
            follow(made, value)
        case "levels":
            made.levels(**value)
        case "octets":
            made.send_octets(value)
        case "exi":
            made.send_octets(encode_frame(0x8002 + len(value) % 4, value or b"\x80"))
        case "answer":
            made.feed(Answer(made.questions[-1] if made.questions else "nothing", value))
        case "time":
            made.advance(value)
        case "stop":
            made.feed(Stop(value))
        case "link":
            made.feed(LinkUp())


def follow(made: Bench, times: int) -> None:
    """What a well-behaved EV would do next, some times."""
    from tests.unit.secc.harness import NEXT

    for _ in range(times):
        if made.end is None and made.at in NEXT:
            NEXT[made.at](made)


LEVELS = st.fixed_dictionaries(
    {},
    optional={
        "cp": st.sampled_from(CpState),
        "contactor": st.sampled_from(Contactor),
        "locked": st.booleans(),
        "cable_check": st.sampled_from(Check),
        "voltage_v": st.floats(-1e3, 1e3),
        "current_a": st.floats(),
        "power_w": st.floats(),
        "setpoint_w": st.one_of(st.none(), st.floats()),
        "wish": st.one_of(st.none(), st.sampled_from(Wish)),
        "emergency_stop": st.booleans(),
        "fault": st.sampled_from(["", "x"]),
    },
)
ANSWERS = st.sampled_from(
    [Authorization(True), Authorization(False), None, RuntimeError("x"), EnergyOffer.flat(max_w=1.0), 7]
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("follow"), st.integers(1, 4)),
        st.tuples(st.just("request"), st.integers(0, len(EVERY_REQUEST) - 1)),
        st.tuples(st.just("levels"), LEVELS),
        st.tuples(st.just("octets"), st.binary(max_size=20)),
        st.tuples(st.just("exi"), st.binary(min_size=1, max_size=40).map(lambda b: b"\x80" + b)),
        st.tuples(st.just("answer"), ANSWERS),
        st.tuples(st.just("time"), st.floats(0, 70)),
        st.tuples(st.just("stop"), st.text(max_size=3)),
        st.tuples(st.just("link"), st.none()),
    ),
    max_size=8,
)


STARTS = st.one_of(
    st.tuples(st.sampled_from(["AC", "AC_BPT"]), st.sampled_from((S.SUPPORTED_APP_PROTOCOL, *AC_STATES))),
    st.tuples(st.sampled_from(["DC", "DC_BPT"]), st.sampled_from((S.SUPPORTED_APP_PROTOCOL, *DC_STATES))),
)


@settings(max_examples=150)
@given(
    start=STARTS,
    control=st.sampled_from(["DYNAMIC", "SCHEDULED"]),
    obedient=st.booleans(),
    answering=st.booleans(),
    steps=STEPS,
)
def test_nothing_raises_and_everything_ends(
    start: tuple[str, State], control: str, obedient: bool, answering: bool, steps: list[tuple[str, Any]]
) -> None:
    service, state = start
    made = reach(state, service, control)
    made.obedient, made.answering = obedient, answering
    for kind, value in steps:
        act(made, kind, value)
        made.clock.now += 0.01
    made.advance(200.0)
    assert made.end is not None, "a silent peer always expires"
    assert made.machine.deadline == NEVER
    assert made.close is not None
    assert len([e for e in made.events if isinstance(e, SessionEnded)]) == 1
    assert not made.record.energised
    if not made.end.as_intended:
        assert made.issued(Deenergise)


def test_held_request_is_answered_within_its_time_whatever_the_hardware_says() -> None:
    made = reach(S.SCHEDULE_EXCHANGE)
    made.answering = False
    made.send(made.ev.schedule_exchange())
    for _ in range(20):
        made.clock.now += 0.05
        made.levels(current_a=made.clock.now)
    made.advance(0.01)
    assert [r.evse_processing for r in made.sent] == [Processing.ONGOING]
