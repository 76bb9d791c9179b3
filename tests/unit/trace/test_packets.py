"""UDP and TCP out of link-layer frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iso15118.trace.packets import TcpSegment, UdpDatagram, parse
from iso15118.trace.pcap import CapturedFrame
from tests.unit.trace.recordings import ACK, EV, SECC, SYN, ethernet, ipv6, tcp_packet, udp_packet

UDP = udp_packet(EV, SECC, b"hello")
EXPECTED = UdpDatagram(EV, SECC, b"hello")


def frame(data: bytes, link_type: int = 1) -> CapturedFrame:
    return CapturedFrame(0.0, link_type, data)


@pytest.mark.parametrize(
    ("data", "link_type"),
    [
        (ethernet(UDP), 1),
        (ethernet(UDP) + b"\0\0\0\0", 1),
        (ethernet(UDP, [5]), 1),
        (ethernet(UDP, [5, 6]), 1),
        (bytes(14) + b"\x86\xdd" + UDP, 113),
        (b"\x86\xdd" + bytes(18) + UDP, 276),
        (UDP, 101),
        (UDP, 229),
        (b"\x1e\0\0\0" + UDP, 0),
    ],
)
def test_link_layers(data: bytes, link_type: int) -> None:
    assert parse(frame(data, link_type)) == EXPECTED


def test_extension_headers_are_skipped() -> None:
    inner = UDP[40:]
    routed = ipv6(EV[0], SECC[0], 0, bytes([60, 0]) + bytes(6) + bytes([17, 1]) + bytes(14) + inner)
    assert parse(frame(ethernet(routed))) == EXPECTED


def test_a_packet_of_unstated_length_is_read_to_its_end() -> None:
    offloaded = UDP[:4] + b"\0\0" + UDP[6:]
    assert parse(frame(ethernet(offloaded))) == EXPECTED


def test_tcp() -> None:
    segment = tcp_packet(EV, SECC, 77, b"data", ACK, options=bytes(8))
    assert parse(frame(ethernet(segment))) == TcpSegment(EV, SECC, 77, False, False, b"data")
    padded = ethernet(tcp_packet(EV, SECC, 77)) + bytes(6)  # Ethernet fills short frames
    assert parse(frame(padded)) == TcpSegment(EV, SECC, 77, False, False, b"")
    opening = parse(frame(ethernet(tcp_packet(EV, SECC, 77, flags=SYN))))
    answer = parse(frame(ethernet(tcp_packet(SECC, EV, 77, flags=SYN | ACK))))
    assert isinstance(opening, TcpSegment)
    assert isinstance(answer, TcpSegment)
    assert (opening.syn, opening.opening, answer.syn, answer.opening) == (True, True, True, False)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        ethernet(UDP)[:20],
        bytes(12) + b"\x88\xe1" + bytes(60),
        bytes(12) + b"\x08\x00" + bytes(60),
        ethernet(b"\x45" + UDP[1:]),
        ethernet(ipv6(EV[0], SECC[0], 58, bytes(20))),
        ethernet(ipv6(EV[0], SECC[0], 44, bytes([17, 0, 0, 1]) + bytes(4) + UDP[40:])),
        ethernet(ipv6(EV[0], SECC[0], 17, bytes(7))),
        ethernet(ipv6(EV[0], SECC[0], 6, bytes(19))),
        ethernet(ipv6(EV[0], SECC[0], 6, bytes(30))),
    ],
)
def test_everything_else_is_passed_over(data: bytes) -> None:
    assert parse(frame(data)) is None


def test_unknown_link_types_are_passed_over() -> None:
    assert parse(frame(ethernet(UDP), 147)) is None


@given(
    st.binary(max_size=120),
    st.sampled_from([ethernet(b""), ethernet(UDP)[:54], ethernet(tcp_packet(EV, SECC, 1))[:60]]),
)
def test_noise_raises_nothing(noise: bytes, front: bytes) -> None:
    parse(frame(front + noise))
