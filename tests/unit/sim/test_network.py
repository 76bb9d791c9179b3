"""TCP delays and cuts but never loses; datagrams suffer by probability."""

from __future__ import annotations

import random

from iso15118.sim.network import DatagramLink, Stream


def test_a_stream_keeps_octets_and_order() -> None:
    stream = Stream(random.Random(1), jitter_s=0.5, chunk=3)
    sent = [bytes([n]) * n for n in range(1, 40)]
    arrived = [item for n, data in enumerate(sent) for item in stream.arrivals(data, n * 0.1)]
    assert b"".join(data for _, data in arrived) == b"".join(sent)
    times = [t for t, _ in arrived]
    assert times == sorted(times)
    assert max(len(data) for _, data in arrived) == 3


def test_a_stall_holds_everything_back() -> None:
    stream = Stream(random.Random(1), delay_s=0.01, stalled=(1.0, 4.0))
    assert next(stream.arrivals(b"a", 0.5))[0] == 0.51
    assert next(stream.arrivals(b"b", 2.0))[0] == 4.0
    assert next(stream.arrivals(b"c", 3.999))[0] == 4.009
    assert stream.closing(2.5) == 4.009


def test_datagrams_without_faults_arrive_once() -> None:
    link = DatagramLink(random.Random(1))
    assert list(link.arrivals(b"x", 1.0)) == [(1.002, b"x")]


def test_datagram_faults_follow_their_share() -> None:
    count = 2000
    lossy = DatagramLink(random.Random(1), loss=0.3)
    lost = sum(not list(lossy.arrivals(b"x", 0.0)) for _ in range(count))
    assert 0.25 < lost / count < 0.35
    twice = DatagramLink(random.Random(1), duplicate=0.3)
    assert 0.25 < sum(len(list(twice.arrivals(b"x", 0.0))) == 2 for _ in range(count)) / count < 0.35
    damaged = DatagramLink(random.Random(1), corrupt=0.3)
    changed = sum(next(damaged.arrivals(bytes(28), 0.0))[1] != bytes(28) for _ in range(count))
    assert 0.25 < changed / count < 0.35
    late = DatagramLink(random.Random(1), reorder=0.3)
    assert 0.25 < sum(next(late.arrivals(b"x", 0.0))[0] > 0.01 for _ in range(count)) / count < 0.35
