"""V2GTP on the EV's side: any chunking, foreign frames, broken frames."""

from __future__ import annotations

import pytest

from iso15118 import events
from iso15118.machine import Bytes
from iso15118.messages.iso20 import common
from iso15118.messages.sap import ResponseCode as SapCode
from iso15118.messages.sap import SupportedAppProtocolRes
from iso15118.wire.v2gtp import HEADER_LENGTH, encode_frame
from tests.unit.evcc.harness import AC, DC, Bench, config, framed
from tests.unit.evcc.test_responses import STATES
from tests.unit.evcc.test_sessions import DC_ORDER

FOREIGN_TYPES = [
    0x0000,
    0x7FFF,
    0x8000,
    0x8007,
    0x8012,
    0x8100,
    0x8105,
    0x9000,
    0x9001,
    0x9006,
    0xA000,
    0xFFFF,
]
LONGEST = 64


@pytest.mark.parametrize("position", [*range(1, HEADER_LENGTH + 1), *range(9, LONGEST, 6)])
def test_responses_split_at_any_octet_are_put_together(position):
    bench = Bench(chunk=lambda data: [data[:position], data[position:]]).run()
    assert bench.outcome == ("completed", "none")
    assert bench.steps == DC_ORDER


def test_responses_octet_by_octet_are_put_together():
    bench = Bench(chunk=lambda data: [data[i : i + 1] for i in range(len(data))]).run()
    assert bench.outcome == ("completed", "none")
    assert not bench.seen(events.FrameIgnored)


@pytest.mark.parametrize("position", range(1, LONGEST))
def test_half_a_response_is_waited_for_until_the_message_timeout(position):
    """Wherever it is cut off; every position of one response."""
    bench = Bench()
    bench.run(until=bench.asked_for("SessionSetupReq"))
    bench._heap.clear()
    data = framed(bench.station.usual(bench.last))
    bench.feed(Bytes(data[:position]))
    if position < len(data):
        assert not bench.machine.ended
        assert bench.machine.deadline == bench.requests[-1].t + 2.0
        bench.now = bench.machine.deadline
        bench.machine.tick(bench.now)
        bench._drain()
        assert bench.outcome == ("timeout", "remote")
    else:
        assert "AuthorizationSetupReq" in bench.names


@pytest.mark.parametrize("kind", FOREIGN_TYPES, ids=hex)
def test_foreign_frame_before_a_response_is_skipped(kind):
    bench = Bench()
    bench.station.on("*", lambda req, res, n: encode_frame(kind, b"\x80\x00\x55") + framed(res))
    assert bench.run().outcome == ("completed", "none")
    ignored = bench.seen(events.FrameIgnored)
    assert len(ignored) >= len(bench.requests) - 1
    assert {e.payload_type for e in ignored} == {kind}


def test_empty_frame_is_skipped():
    bench = Bench()
    bench.station.on("*", lambda req, res, n: bytes.fromhex("01fe800200000000") + framed(res))
    assert bench.run().outcome == ("completed", "none")


def test_foreign_frames_alone_do_not_keep_the_station_alive():
    bench = Bench()
    noise = encode_frame(0xA123, b"are you there?")
    bench.station.on("DC_CableCheckReq", lambda req, res, n: [noise] * 30)
    assert bench.run().outcome == ("timeout", "remote")
    assert bench.ended.t - bench.requests[-1].t == pytest.approx(2.0)


@pytest.mark.parametrize("header", ["02fd8002", "01ff8002", "00fe8002", "fe018002", "48545450"])
@pytest.mark.parametrize("request_name", ["SessionSetupReq", "DC_ChargeLoopReq"])
def test_wrong_version_is_the_end(request_name, header):
    bench = Bench()
    bench.station.on(request_name, bytes.fromhex(header) + b"\x00\x00\x00\x04abcd")
    assert bench.run().outcome == ("protocol", "remote")
    assert bench.ended.detail.startswith("framing lost")
    assert bench.left_safely


@pytest.mark.parametrize("length", [4097, 0x7FFFFFFF, 0xFFFFFFFF])
def test_oversize_frame_is_the_end_at_its_header(length):
    """Nothing is allocated or awaited on the word of a length field."""
    bench = Bench(config=config(max_payload=4096))
    bench.station.on("ServiceDiscoveryReq", bytes.fromhex("01fe8002") + length.to_bytes(4, "big"))
    assert bench.run().outcome == ("protocol", "remote")
    assert str(length) in bench.ended.detail
    assert bench.ended.t - bench.requests[-1].t < 0.1


def test_largest_frame_is_read():
    bench = Bench(config=config(max_payload=65_536))
    padding = b"\x00" * 60_000
    bench.station.on(
        "ServiceDiscoveryReq",
        lambda req, res, n: encode_frame(0x8002, framed(res)[HEADER_LENGTH:] + padding),
    )
    assert bench.run().outcome == ("completed", "none")


@pytest.mark.parametrize("kind", [0x8003, 0x8005, 0x8006, 0x8010, 0x8101, 0x8103])
def test_payload_type_of_another_message_set_never_passes_for_a_response(kind):
    """A session in DC, answered in the set of another energy transfer or side stream."""
    bench = Bench()
    bench.station.on("DC_CableCheckReq", lambda req, res, n: encode_frame(kind, framed(res)[HEADER_LENGTH:]))
    assert bench.run().outcome == ("protocol", "remote")
    assert bench.names[-1] == "DC_CableCheckReq"


@pytest.mark.parametrize(("service", "request_name"), STATES)
def test_handshake_payload_type_after_the_handshake_is_ignored(service, request_name):
    bench = Bench(service)
    bench.station.on(request_name, lambda req, res, n: encode_frame(0x8001, framed(res)[HEADER_LENGTH:]))
    assert bench.run().outcome == ("timeout", "remote")
    assert bench.seen(events.FrameIgnored)[0].reason == "payload type out of place"


@pytest.mark.parametrize("kind", [0x8002, 0x8003, 0x8004])
def test_session_payload_types_before_the_handshake_are_ignored(kind):
    bench = Bench(AC)
    bench.station.on("SupportedAppProtocolReq", lambda req, res, n: encode_frame(kind, b"\x80\x40\x04"))
    assert bench.run().outcome == ("timeout", "remote")
    assert bench.seen(events.FrameIgnored)


def test_octets_before_the_first_request_are_no_answer():
    bench = Bench()
    agreed = SupportedAppProtocolRes(response_code=SapCode.OK_SUCCESSFUL_NEGOTIATION, schema_id=1)
    bench.feed(Bytes(framed(agreed)))
    assert bench.outcome == ("protocol", "remote")
    assert bench.requests == []
    assert bench.left_safely


def test_octets_after_the_end_are_dropped():
    bench = Bench().run()
    events_before = len(bench.seen_events)
    bench.feed(Bytes(framed(bench.station.res(common.SessionStopRes))))
    bench.feed(Bytes(b""))
    assert len(bench.seen_events) == events_before


@pytest.mark.parametrize("service", [AC, DC])
def test_rest_of_a_segment_after_the_end_is_dropped(service):
    bench = Bench(service)
    bench.station.on("SessionStopReq", lambda req, res, n: framed(res) + b"\xff" * 20)
    assert bench.run().outcome == ("completed", "none")
    assert len(bench.seen(events.SessionEnded)) == 1
