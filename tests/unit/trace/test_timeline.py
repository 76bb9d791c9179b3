"""Whole recordings: discovery, handshake, messages, and what goes wrong between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iso15118 import trace
from iso15118.exi.codec import encode
from iso15118.messages import namespaces as ns
from iso15118.messages.minimal import minimal
from iso15118.messages.registry import message_class, schema_set
from iso15118.messages.sap import AppProtocol, ResponseCode, SupportedAppProtocolReq, SupportedAppProtocolRes
from iso15118.trace import CaptureError, TraceItem
from iso15118.trace.pcap import CapturedFrame
from iso15118.trace.timeline import timeline
from iso15118.wire import sdp
from iso15118.wire.v2gtp import encode_frame
from tests.unit.trace.recordings import EV, SECC, SYN, Talk, pcap, tcp_packet

TLS_HELLO = bytes.fromhex("16030100050100000100")


def exi(message: Any, namespace: str) -> bytes:
    return encode(message, schema_set(namespace))


def made(name: str, namespace: str, **fields: Any) -> bytes:
    return exi(minimal(message_class(name, namespace), **fields), namespace)


def offer(*protocols: tuple[str, int]) -> bytes:
    entries = tuple(
        AppProtocol(
            protocol_namespace=namespace,
            version_number_major=1,
            version_number_minor=0,
            schema_id=handle,
            priority=number,
        )
        for number, (namespace, handle) in enumerate(protocols, 1)
    )
    return encode_frame(0x8001, exi(SupportedAppProtocolReq(app_protocol=entries), ns.SAP))


def choice(handle: int | None, code: ResponseCode = ResponseCode.OK_SUCCESSFUL_NEGOTIATION) -> bytes:
    return encode_frame(0x8001, exi(SupportedAppProtocolRes(response_code=code, schema_id=handle), ns.SAP))


OFFER, CHOICE = offer((ns.DIN, 0), (ns.DC, 7), (ns.AC, 3)), choice(7)
SETUP = encode_frame(0x8002, made("SessionSetupReq", ns.COMMON_MESSAGES))
CHECK = encode_frame(0x8004, made("DC_CableCheckReq", ns.DC))
CHECKED = encode_frame(0x8004, made("DC_CableCheckRes", ns.DC))


def items(talk: Talk) -> list[TraceItem]:
    return list(timeline(CapturedFrame(t, 1, data) for t, data in talk.frames))


def told(talk: Talk) -> list[str]:
    return [item.name or item.error or "" for item in items(talk)]


def begun() -> Talk:
    """A connection with its handshake for DC."""
    return Talk().open().say(EV, OFFER).say(SECC, CHOICE)


def test_a_session_from_discovery_on() -> None:
    talk = Talk()
    talk.datagram(EV, ("ff02::1", 15118), sdp.encode(sdp.SdpRequest()))
    response = sdp.SdpResponse(sdp.IPv6Address(SECC[0]), SECC[1], sdp.Security.NONE)
    talk.datagram((SECC[0], 15118), EV, sdp.encode(response))
    talk.open().say(EV, OFFER).say(SECC, CHOICE).say(EV, SETUP).say(EV, CHECK).say(SECC, CHECKED)
    found = items(talk)
    assert [(i.payload_type, i.name, i.direction) for i in found] == [
        (0x9000, "SdpRequest", "EV>SECC"),
        (0x9001, "SdpResponse", "SECC>EV"),
        (0x8001, "SupportedAppProtocolReq", "EV>SECC"),
        (0x8001, "SupportedAppProtocolRes", "SECC>EV"),
        (0x8002, "SessionSetupReq", "EV>SECC"),
        (0x8004, "DC_CableCheckReq", "EV>SECC"),
        (0x8004, "DC_CableCheckRes", "SECC>EV"),
    ]
    assert [i.error for i in found] == [None] * 7
    assert found[5].src == EV
    assert found[5].dst == SECC
    assert found[5].raw == CHECK[8:]
    assert found[5].schema == ns.DC
    assert found[1].message == response
    assert [i.t for i in found] == sorted(i.t for i in found)
    assert found[0].t == pytest.approx(1_700_000_000.001)


def test_messages_cut_and_joined_by_the_transport() -> None:
    stream = SETUP + CHECK + CHECK
    for size in (1, 7, 8, 9, 30, len(stream)):
        talk = begun()
        for at in range(0, len(stream), size):
            talk.say(EV, stream[at : at + size])
        assert told(talk)[2:] == ["SessionSetupReq", "DC_CableCheckReq", "DC_CableCheckReq"]


def test_segments_reordered_and_repeated() -> None:
    talk = begun().say(EV, SETUP[:10]).say(EV, SETUP[10:]).say(EV, CHECK)
    last = talk.frames[-3:]
    talk.frames[-3:] = [last[2], last[1], last[2], last[0], last[1]]
    assert told(talk)[2:] == ["SessionSetupReq", "DC_CableCheckReq"]


def test_a_first_segment_of_one_octet() -> None:
    assert told(Talk().open().say(EV, OFFER[:1]).say(EV, OFFER[1:])) == ["SupportedAppProtocolReq"]


@pytest.mark.parametrize(
    ("protocol", "error"),
    [
        (ns.ISO2, "not supported yet"),
        (ns.DIN, "not supported yet"),
        ("urn:tesla:din:2018:MsgDef", "unknown protocol urn:tesla:din:2018:MsgDef"),
    ],
)
def test_older_and_foreign_protocols_are_told_honestly(protocol: str, error: str) -> None:
    talk = Talk().open().say(EV, offer((protocol, 0))).say(SECC, choice(0))
    talk.say(EV, encode_frame(0x8001, bytes.fromhex("809802")))
    item = items(talk)[2]
    assert item.message is None
    assert error in (item.error or "")
    assert (item.payload_type, item.raw, item.schema) == (0x8001, bytes.fromhex("809802"), protocol)


@pytest.mark.parametrize(
    "answer", [choice(None, ResponseCode.FAILED_NO_NEGOTIATION), choice(99), choice(None)], ids=str
)
def test_without_agreement_session_messages_are_out_of_place(answer: bytes) -> None:
    item = items(Talk().open().say(EV, OFFER).say(SECC, answer).say(EV, CHECK))[2]
    assert item.name == "DC_CableCheckReq"
    assert "out of place" in (item.error or "")


def test_a_second_handshake_is_out_of_place() -> None:
    item = items(begun().say(EV, OFFER))[2]
    assert item.name == "SupportedAppProtocolReq"
    assert "out of place" in (item.error or "")


def test_certificate_installation_as_josev_sends_it() -> None:
    request = made("CertificateInstallationReq", ns.COMMON_MESSAGES)
    item = items(begun().say(EV, encode_frame(0x8001, request)))[2]
    assert item.name == "CertificateInstallationReq"
    assert "0x8001 after the handshake" in (item.error or "")


def test_a_recording_that_begins_within_a_session() -> None:
    talk = Talk().say(EV, b"end of something").say(EV, CHECK).say(SECC, CHECKED)
    found = items(talk)
    assert [(i.name, i.error) for i in found] == [("DC_CableCheckReq", None), ("DC_CableCheckRes", None)]


def test_undecodable_unknown_and_broken_frames() -> None:
    talk = begun()
    talk.say(EV, encode_frame(0x8004, b"\x80\xff\xff"))
    talk.say(EV, encode_frame(0xA123, b"private"))
    talk.say(EV, b"\x02\xfe" + SETUP[2:])
    talk.say(EV, SETUP)
    bad, private, lost, good = items(talk)[2:]
    assert (bad.payload_type, bad.message, bad.raw) == (0x8004, None, b"\x80\xff\xff")
    assert bad.error
    assert (private.payload_type, private.error) == (0xA123, "manufacturer's payload type, 7 octets")
    assert "framing lost" in (lost.error or "")
    assert good.name == "SessionSetupReq"


def test_what_the_recording_misses_is_told_and_reading_resumes() -> None:
    talk = begun().say(EV, SETUP[:9]).say(EV, SETUP[9:], lost=True).say(EV, SETUP[-3:]).say(EV, CHECK)
    assert told(talk)[2:] == [f"{len(SETUP) - 9} octets are missing in the recording", "DC_CableCheckReq"]


@pytest.mark.req("V2G2-800")
def test_an_empty_frame_is_told() -> None:
    assert told(begun().say(EV, bytes.fromhex("01fe800200000000")).say(EV, CHECK))[2:] == [
        "empty payload, 0 octets",
        "DC_CableCheckReq",
    ]


def test_tls_is_told_once() -> None:
    talk = Talk().open().say(EV, TLS_HELLO).say(SECC, TLS_HELLO).say(EV, CHECK)
    assert told(talk) == ["a TLS connection: no TLS record begins with 01fe800400"]


def test_other_connections_are_passed_over() -> None:
    web = ("2001:db8::1", 443)
    home = ("2001:db8::2", 50_001)
    assert told(Talk(home, web).open().say(home, TLS_HELLO)) == []
    assert told(Talk(home, web).open().say(home, b"GET / HTTP/1.1").say(home, CHECK)) == []
    assert told(Talk(home, web).open().say(home, OFFER)) == ["SupportedAppProtocolReq"]


def test_an_announced_port_that_carries_something_else() -> None:
    talk = Talk()
    response = sdp.SdpResponse(sdp.IPv6Address(SECC[0]), SECC[1], sdp.Security.TLS)
    talk.datagram((SECC[0], 15118), EV, sdp.encode(response))
    assert told(talk.open().say(EV, b"GET / HTTP/1.1"))[1:] == ["neither V2GTP nor TLS"]


def test_the_same_ports_again_are_a_new_connection() -> None:
    talk = begun().say(EV, SETUP[:9])
    again = Talk(isn=(70_000, 80_000)).open().say(EV, OFFER)
    talk.frames += again.frames
    assert told(talk)[2:] == ["SupportedAppProtocolReq"]
    assert [i.error for i in items(talk)] == [None] * 3


def test_a_repeated_opening_is_the_same_connection() -> None:
    talk = begun()
    talk.add(tcp_packet(EV, SECC, 1000, flags=SYN))
    assert told(talk.say(EV, CHECK))[2:] == ["DC_CableCheckReq"]
    assert items(talk)[2].error is None


def test_malformed_discovery_is_told() -> None:
    (item,) = items(Talk().datagram(EV, ("ff02::1", 15118), b"hello"))
    assert (item.message, item.payload_type, item.raw) == (None, None, b"hello")
    assert item.error


def test_other_datagrams_are_passed_over() -> None:
    assert items(Talk().datagram(EV, ("ff02::fb", 5353), b"mdns")) == []


def test_open_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "session.pcap"
    path.write_bytes(pcap(begun().say(EV, SETUP).frames))
    assert [i.name for i in trace.open(path)][2:] == ["SessionSetupReq"]
    assert len(list(trace.open(str(path)))) == 3


def test_open_refuses_what_is_no_capture(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("no capture")
    with pytest.raises(CaptureError, match="neither pcap nor pcapng"):
        trace.open(path)


def test_a_capture_cut_short_ends_with_that_news(tmp_path: Path) -> None:
    path = tmp_path / "cut.pcap"
    path.write_bytes(pcap(begun().say(EV, SETUP).say(EV, CHECK).frames)[:-5])
    found = list(trace.open(path))
    assert [i.name for i in found[:3]] == [
        "SupportedAppProtocolReq",
        "SupportedAppProtocolRes",
        "SessionSetupReq",
    ]
    assert "cut short" in (found[3].error or "")
    assert len(found) == 4


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(40, 140), st.integers(0, 255)), max_size=12),
    st.permutations(range(10)),
)
def test_any_damage_to_the_packets_gives_items_only(
    changes: list[tuple[int, int, int]], order: list[int]
) -> None:
    talk = begun().say(EV, SETUP).say(EV, CHECK).say(SECC, CHECKED).say(EV, CHECK + CHECK).say(SECC, CHECKED)
    talk.datagram(EV, ("ff02::1", 15118), sdp.encode(sdp.SdpRequest()))
    frames = [bytearray(data) for _, data in talk.frames]
    for number, at, value in changes:
        frames[number % len(frames)][at % len(frames[number % len(frames)])] = value
    mixed = [CapturedFrame(float(n), 1, bytes(frames[n])) for n in order if n < len(frames)]
    assert all(isinstance(item, TraceItem) for item in timeline(mixed))
