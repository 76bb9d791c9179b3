"""The EV's discovery under virtual time: pacing, limits, judgement of answers."""

from __future__ import annotations

import itertools
import math
from ipaddress import IPv6Address
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iso15118.discovery.events import (
    DiscoveryFailed,
    SdpConflict,
    SdpDatagramIgnored,
    SdpRequestSent,
    SeccFound,
)
from iso15118.discovery.sdp_client import SdpClient, SdpClientConfig
from iso15118.errors import ConfigError
from iso15118.machine import Bytes, Datagram, Emit, LinkDown, LinkUp, Output, Stop
from iso15118.wire import sdp

T = TypeVar("T")
SECC = ("fe80::1%eth1", 15118)
TLS, PLAIN = sdp.Security.TLS, sdp.Security.NONE


def answer(
    address: str = "fe80::1", port: int = 64109, security: sdp.Security = TLS, **more: Any
) -> Datagram:
    return Datagram(sdp.encode(sdp.SdpResponse(IPv6Address(address), port, security, **more)), SECC)


class Ev:
    """A client with a clock of its own; keeps everything it put out, with its time."""

    def __init__(self, **config: Any) -> None:
        self.machine = SdpClient(SdpClientConfig(**config))
        self.now = 100.0
        self.log: list[tuple[float, Output]] = []

    def give(self, item: Any) -> None:
        self.machine.receive(item, self.now)
        self._drain()

    def run(self, until: float = math.inf) -> None:
        while (due := self.machine.deadline) <= until and due < math.inf:
            self.now = due
            self.machine.tick(due)
            self._drain()

    def _drain(self) -> None:
        self.log += [(self.now, out) for out in self.machine.outputs()]

    def sent(self) -> list[tuple[float, Datagram]]:
        return [(t, out) for t, out in self.log if isinstance(out, Datagram)]

    def events(self, kind: type[T]) -> list[T]:
        return [out.event for _, out in self.log if isinstance(out, Emit) and isinstance(out.event, kind)]


def test_the_request_goes_to_all_nodes() -> None:
    ev = Ev()
    ev.give(LinkUp())
    ((_, out),) = ev.sent()
    assert out == Datagram(bytes.fromhex("01fe9000000000020000"), ("ff02::1", 15118))
    assert ev.events(SdpRequestSent)[0].number == 1


def test_an_ev_without_tls_asks_for_none() -> None:
    ev = Ev(tls=False)
    ev.give(LinkUp())
    assert ev.sent()[0][1].data.hex() == "01fe9000000000021000"


def test_nothing_is_sent_before_the_link_is_up() -> None:
    ev = Ev()
    ev.run()
    assert ev.log == []
    assert ev.machine.deadline == math.inf


@pytest.mark.req("V2G2-159")
@pytest.mark.req("V2G2-161")
def test_fifty_requests_250_ms_apart_then_failure() -> None:
    ev = Ev()
    ev.give(LinkUp())
    ev.run()
    times = [t for t, _ in ev.sent()]
    assert len(times) == 50
    assert [round(b - a, 6) for a, b in itertools.pairwise(times)] == [0.25] * 49
    (failed,) = ev.events(DiscoveryFailed)
    assert failed.requests == 50
    assert failed.t == pytest.approx(100.0 + 12.5)
    assert ev.machine.deadline == math.inf


def test_the_communication_set_up_time_bounds_it() -> None:
    ev = Ev(interval_s=1.0)
    ev.give(LinkUp())
    ev.run()
    (failed,) = ev.events(DiscoveryFailed)
    assert failed.t == pytest.approx(120.0)
    assert "20 s" in failed.reason
    assert len(ev.sent()) == 20


def test_the_first_usable_answer_ends_it() -> None:
    ev = Ev()
    ev.give(LinkUp())
    ev.run(until=100.6)
    ev.give(answer())
    ev.run()
    assert ev.events(SeccFound) == [
        SeccFound(t=ev.now, role="EVCC", address="fe80::1", port=64109, tls=True, downgraded=False)
    ]
    assert len(ev.sent()) == 3
    assert ev.machine.deadline == math.inf
    assert ev.events(DiscoveryFailed) == []


def test_an_answer_to_the_fiftieth_request_still_counts() -> None:
    ev = Ev()
    ev.give(LinkUp())
    ev.run(until=112.3)
    ev.now = 112.4
    ev.give(answer())
    assert len(ev.sent()) == 50
    assert len(ev.events(SeccFound)) == 1


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (answer(port=0), "port 0"),
        (answer(address="::"), "no unicast"),
        (answer(address="ff02::1"), "no unicast"),
        (answer(address="2001:db8::1"), "no link-local"),
        (answer(address="::1"), "no link-local"),
        (answer(transport=sdp.TransportProtocol.UDP), "other than TCP"),
        (answer(security=PLAIN), "denies it"),
        (Datagram(answer().data + b"\0", SECC), "length field"),
        (Datagram(answer().data[:-1], SECC), "length field"),
        (Datagram(b"\x02" + answer().data[1:], SECC), "version"),
        (Datagram(sdp.encode(sdp.SdpRequest()), SECC), "SdpRequest is no answer"),
        (Datagram(bytes.fromhex("01fe900400000000"), SECC), "EmspExtension is no answer"),
        (Datagram(b"", SECC), "no V2GTP header"),
    ],
)
def test_an_unusable_answer_leaves_the_repetition_running(item: Datagram, reason: str) -> None:
    ev = Ev()
    ev.give(LinkUp())
    ev.give(item)
    (ignored,) = ev.events(SdpDatagramIgnored)
    assert reason in ignored.reason
    assert ignored.source == SECC
    assert ev.machine.deadline == 100.25
    ev.run(until=100.3)
    assert len(ev.sent()) == 2
    ev.give(answer())
    assert len(ev.events(SeccFound)) == 1


@pytest.mark.req("V2G2-628")
def test_a_downgrade_counts_only_where_allowed_and_is_flagged() -> None:
    strict, lax = Ev(), Ev(allow_plain=True)
    for ev in (strict, lax):
        ev.give(LinkUp())
        ev.give(answer(security=PLAIN))
    assert strict.events(SeccFound) == []
    (found,) = lax.events(SeccFound)
    assert (found.tls, found.downgraded) == (False, True)


def test_an_ev_that_asked_for_none_takes_what_it_can() -> None:
    for allowed in (True, False):
        ev = Ev(tls=False, allow_tls=allowed)
        ev.give(LinkUp())
        ev.give(answer(security=TLS))
        assert len(ev.events(SeccFound)) == allowed
        assert len(ev.events(SdpDatagramIgnored)) == (not allowed)
    ev = Ev(tls=False)
    ev.give(LinkUp())
    ev.give(answer(security=PLAIN))
    (found,) = ev.events(SeccFound)
    assert (found.tls, found.downgraded) == (False, False)


def test_other_unicast_addresses_for_the_laboratory() -> None:
    ev = Ev(link_local_only=False)
    ev.give(LinkUp())
    ev.give(answer(address="::1"))
    assert ev.events(SeccFound)[0].address == "::1"


@pytest.mark.parametrize(
    "forged",
    [answer(port=4444), answer(address="fe80::bad"), answer(security=PLAIN), answer(port=0)],
)
def test_regression_19_a_second_different_answer_is_reported(forged: Datagram) -> None:
    ev = Ev()
    ev.give(LinkUp())
    ev.give(answer())
    ev.give(Datagram(forged.data, ("fe80::bad", 15118)))
    (conflict,) = ev.events(SdpConflict)
    assert conflict.source == ("fe80::bad", 15118)
    assert conflict.used == "[fe80::1]:64109 TLS"
    assert conflict.other != conflict.used
    assert len(ev.events(SeccFound)) == 1


def test_the_same_answer_again_is_no_conflict() -> None:
    ev = Ev()
    ev.give(LinkUp())
    for _ in range(3):
        ev.give(answer())
    assert ev.events(SdpConflict) == []
    assert len(ev.events(SeccFound)) == 1


def test_reports_are_bounded() -> None:
    ev = Ev()
    ev.give(LinkUp())
    ev.give(answer())
    for port in range(1000, 2000):
        ev.give(answer(port=port))
        ev.give(Datagram(b"noise", SECC))
    assert len(ev.events(SdpConflict)) == 8
    assert len(ev.events(SdpDatagramIgnored)) == 20
    ev.now += 2
    ev.give(Datagram(b"noise", SECC))
    assert ev.events(SdpDatagramIgnored)[-1].unreported == 980


@pytest.mark.parametrize("item", [LinkDown(), Stop("unplugged")])
def test_link_loss_and_stop_end_it(item: Any) -> None:
    ev = Ev()
    ev.give(LinkUp())
    ev.give(item)
    assert len(ev.events(DiscoveryFailed)) == 1
    assert ev.machine.deadline == math.inf
    ev.give(item)
    assert len(ev.events(DiscoveryFailed)) == 1


def test_a_late_answer_is_not_used() -> None:
    ev = Ev()
    ev.give(LinkUp())
    ev.run()
    ev.give(answer())
    assert ev.events(SeccFound) == []
    assert "none is awaited" in ev.events(SdpDatagramIgnored)[0].reason


def test_a_new_link_starts_over() -> None:
    ev = Ev()
    ev.give(LinkUp())
    ev.give(answer())
    ev.give(LinkDown())
    assert ev.events(DiscoveryFailed) == []
    ev.give(LinkUp())
    ev.give(answer(port=5000))
    assert [f.port for f in ev.events(SeccFound)] == [64109, 5000]
    assert ev.events(SdpConflict) == []
    assert [r.number for r in ev.events(SdpRequestSent)] == [1, 1]


def test_inputs_of_other_machines_mean_nothing() -> None:
    ev = Ev()
    ev.give(Bytes(b"x"))
    assert ev.log == []


@pytest.mark.parametrize(
    "config",
    [
        {"allow_tls": False},
        {"interval_s": 0},
        {"setup_timeout_s": -1},
        {"max_requests": 0},
        {"max_requests": 51},
    ],
)
def test_a_senseless_configuration_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        SdpClientConfig(**config)


@given(lost=st.integers(0, 60), noise=st.lists(st.binary(max_size=40), max_size=5))
def test_any_number_of_lost_datagrams(lost: int, noise: list[bytes]) -> None:
    """Each request is answered after 100 ms unless it or its answer is lost: found iff one gets through."""
    ev = Ev()
    ev.give(LinkUp())
    for data in noise:
        ev.give(Datagram(data, SECC))
    ev.run(until=100.0 + min(lost, 49) * 0.25)
    ev.now += 0.1
    if lost < 50:
        ev.give(answer())
    ev.run()
    assert len(ev.events(SeccFound)) == (lost < 50)
    assert len(ev.events(DiscoveryFailed)) == (lost >= 50)
    assert len(ev.sent()) == min(lost + 1, 50)
