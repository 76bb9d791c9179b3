"""The charger's discovery: what it answers, and when it is silent."""

from __future__ import annotations

import math
import random
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iso15118.discovery.events import SdpAnswered, SdpDatagramIgnored, SdpListening, SdpSilent, SeccFound
from iso15118.discovery.sdp_client import SdpClient
from iso15118.discovery.sdp_server import SdpAvailability, SdpServer, SdpServerConfig, SeccEndpoints
from iso15118.errors import ConfigError
from iso15118.machine import Bytes, Datagram, Emit, LinkDown, LinkUp, Output, Stop, Update
from iso15118.wire import sdp

T = TypeVar("T")
EV = ("fe80::ee%eth1", 50_000)
TLS, PLAIN = sdp.Security.TLS, sdp.Security.NONE
BOTH = SeccEndpoints("fe80::1", tls_port=64109, plain_port=64110)
TLS_ONLY = SeccEndpoints("fe80::1", tls_port=64109)
PLAIN_ONLY = SeccEndpoints("fe80::1", plain_port=64110)


def request(security: sdp.Security = TLS) -> Datagram:
    return Datagram(sdp.encode(sdp.SdpRequest(security)), EV)


class Charger:
    """A server with a clock of its own, plugged in at 50 s unless told otherwise."""

    def __init__(self, endpoints: SeccEndpoints = BOTH, plugged: bool = True, **config: Any) -> None:
        self.machine = SdpServer(SdpServerConfig(endpoints, **config))
        self.now = 50.0
        self.log: list[Output] = []
        if plugged:
            self.give(LinkUp())

    def give(self, item: Any) -> list[Datagram]:
        """Returns what is sent because of `item`."""
        self.machine.receive(item, self.now)
        return self._drain()

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (due := self.machine.deadline) <= until:
            self.now = due
            self.machine.tick(due)
            self._drain()
        self.now = until

    def _drain(self) -> list[Datagram]:
        new = list(self.machine.outputs())
        self.log += new
        return [out for out in new if isinstance(out, Datagram)]

    def events(self, kind: type[T]) -> list[T]:
        return [out.event for out in self.log if isinstance(out, Emit) and isinstance(out.event, kind)]


def decoded(sent: list[Datagram]) -> tuple[sdp.Security, int]:
    (out,) = sent
    assert out.address == EV
    message = sdp.decode(out.data)
    assert isinstance(message, sdp.SdpResponse)
    assert str(message.address) == "fe80::1"
    assert message.transport is sdp.TransportProtocol.TCP
    return message.security, message.port


@pytest.mark.req("V2G2-626")
@pytest.mark.req("V2G2-627")
@pytest.mark.req("V2G20-1238")
@pytest.mark.parametrize(
    ("asked", "endpoints", "policy", "expected"),
    [
        (TLS, BOTH, {}, (TLS, 64109)),
        (TLS, TLS_ONLY, {}, (TLS, 64109)),
        (TLS, PLAIN_ONLY, {}, (PLAIN, 64110)),
        (PLAIN, BOTH, {}, (PLAIN, 64110)),
        (PLAIN, BOTH, {"tls_enforced": True}, (TLS, 64109)),
        (PLAIN, BOTH, {"tls_enforced": True, "silent_on_plain": True}, None),
        (PLAIN, TLS_ONLY, {}, (TLS, 64109)),
        (PLAIN, TLS_ONLY, {"silent_on_plain": True}, None),
        (PLAIN, PLAIN_ONLY, {}, (PLAIN, 64110)),
    ],
)
def test_regression_19_the_policy_table(
    asked: sdp.Security, endpoints: SeccEndpoints, policy: dict[str, bool], expected: object
) -> None:
    charger = Charger(endpoints, **policy)
    sent = charger.give(request(asked))
    if expected is None:
        assert sent == []
        assert "policy" in charger.events(SdpDatagramIgnored)[0].reason
    else:
        assert decoded(sent) == expected
        (answered,) = charger.events(SdpAnswered)
        assert (answered.client, answered.port, answered.tls_offered) == (EV, expected[1], expected[0] is TLS)  # type: ignore[index]


def test_a_request_for_udp_is_answered_with_tcp() -> None:
    asked = Datagram(sdp.encode(sdp.SdpRequest(TLS, sdp.TransportProtocol.UDP)), EV)
    assert decoded(Charger().give(asked)) == (TLS, 64109)


GOOD = request().data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[:5],
        b"\x02" + GOOD[1:],
        GOOD[:1] + b"\xff" + GOOD[2:],
        GOOD[:2] + b"\x80\x01" + GOOD[4:],
        GOOD[:2] + b"\x90\x01" + GOOD[4:],
        bytes.fromhex("01fe900000000000"),
        GOOD + b"\0",
        GOOD[:-1],
        GOOD[:8] + b"\x42\x00",
        GOOD[:8] + b"\x00\x42",
        bytes.fromhex("01fe900400000000"),
        bytes(3000),
    ],
)
def test_a_malformed_request_is_met_with_silence(data: bytes) -> None:
    charger = Charger()
    assert charger.give(Datagram(data, EV)) == []
    (ignored,) = charger.events(SdpDatagramIgnored)
    assert ignored.reason
    assert ignored.source == EV
    assert decoded(charger.give(request())) == (TLS, 64109)


def test_a_sender_without_port_is_not_answered() -> None:
    assert Charger().give(Datagram(GOOD, ("fe80::ee", 0))) == []


def test_silent_before_the_link_and_after_it() -> None:
    charger = Charger(plugged=False)
    assert charger.give(request()) == []
    charger.give(LinkUp())
    assert charger.machine.listening
    assert len(charger.give(request())) == 1
    charger.give(LinkDown())
    assert charger.give(request()) == []
    assert charger.machine.deadline == math.inf
    assert [e.reason for e in charger.events(SdpDatagramIgnored)] == ["the data link is not up"] * 2


def test_regression_19_silent_after_the_set_up_window() -> None:
    charger = Charger()
    charger.wait(17.9)
    assert len(charger.give(request())) == 1
    charger.wait(0.2)
    assert charger.give(request()) == []
    assert "18 s" in charger.events(SdpSilent)[0].reason
    charger.wait(1000)
    assert charger.give(request()) == []
    charger.give(LinkDown())
    charger.give(LinkUp())
    assert len(charger.give(request())) == 1


def test_the_window_may_be_unlimited() -> None:
    charger = Charger(window_s=None)
    assert charger.machine.deadline == math.inf
    charger.wait(1000)
    assert len(charger.give(request())) == 1


def test_silent_while_a_session_is_active() -> None:
    charger = Charger()
    charger.give(Update(SdpAvailability(accepting=False)))
    assert charger.give(request()) == []
    charger.wait(3600)
    assert [s.reason for s in charger.events(SdpSilent)] == ["a session is active"]
    charger.give(Update(SdpAvailability(accepting=True)))
    assert len(charger.give(request())) == 1
    charger.wait(18.1)
    assert charger.give(request()) == []


def test_availability_does_not_reopen_an_expired_window() -> None:
    charger = Charger()
    charger.wait(19)
    charger.give(Update(SdpAvailability(accepting=True)))
    assert charger.give(request()) == []


def test_availability_means_nothing_without_link() -> None:
    charger = Charger(plugged=False)
    charger.give(Update(SdpAvailability(accepting=False)))
    charger.give(Update(SdpAvailability(accepting=True)))
    assert charger.log == []


def test_unplugging_forgets_the_session() -> None:
    charger = Charger()
    charger.give(Update(SdpAvailability(accepting=False)))
    charger.give(LinkDown())
    charger.give(LinkUp())
    assert len(charger.give(request())) == 1
    assert len(charger.events(SdpListening)) == 2


def test_stop_silences_it() -> None:
    charger = Charger()
    charger.give(Stop("maintenance"))
    assert charger.give(request()) == []
    assert charger.events(SdpSilent)[0].reason == "maintenance"


def test_endpoints_may_change() -> None:
    charger = Charger()
    charger.give(Update(SeccEndpoints("fe80::1%eth1", tls_port=1234)))
    assert decoded(charger.give(request())) == (TLS, 1234)


def test_enforced_tls_without_tls_endpoint_is_silence() -> None:
    charger = Charger(tls_enforced=True)
    charger.give(Update(PLAIN_ONLY))
    assert charger.give(request()) == []
    assert charger.give(request(PLAIN)) == []


def test_other_inputs_mean_nothing() -> None:
    charger = Charger()
    before = len(charger.log)
    charger.give(Bytes(b"x"))
    charger.give(Update("hardware"))
    assert len(charger.log) == before


def test_a_flood_of_requests_is_answered_at_a_bounded_rate() -> None:
    charger = Charger()
    sent = [charger.give(request()) for _ in range(1000)]
    assert sum(map(len, sent)) == 20
    assert len(charger.events(SdpDatagramIgnored)) == 20
    charger.wait(1.1)
    assert len(charger.give(request())) == 1


def test_ten_thousand_garbage_datagrams() -> None:
    charger, chance = Charger(), random.Random(15118)
    for number in range(10_000):
        data = bytearray(chance.choice((GOOD, chance.randbytes(chance.randrange(40)))))
        for _ in range(chance.randrange(1, 4)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        charger.give(Datagram(bytes(data), ("fe80::bad", number)))
    told = len(charger.events(SdpDatagramIgnored))
    assert told == 20
    charger.wait(1.1)
    assert decoded(charger.give(request())) == (TLS, 64109)


@given(st.lists(st.one_of(st.binary(max_size=40), st.binary(max_size=6).map(lambda b: GOOD[:4] + b))))
def test_only_well_formed_requests_are_answered(noise: list[bytes]) -> None:
    charger = Charger()
    for data in noise:
        if charger.give(Datagram(data, EV)):
            assert isinstance(sdp.decode(data), sdp.SdpRequest)


@pytest.mark.parametrize("tls_port", [None, 64109])
def test_client_and_server_meet_over_a_lossy_link(tls_port: int | None) -> None:
    """The first four datagrams of each side are lost."""
    charger = Charger(SeccEndpoints("fe80::1", tls_port=tls_port, plain_port=64110))
    client = SdpClient()
    client.receive(LinkUp(), charger.now)
    carried = 0
    found: list[SeccFound] = []
    while charger.now < 64 and not found:
        for out in list(client.outputs()):
            if isinstance(out, Emit) and isinstance(out.event, SeccFound):
                found.append(out.event)
            elif isinstance(out, Datagram):
                carried += 1
                for reply in charger.give(Datagram(out.data, EV)) if carried > 4 else []:
                    if carried > 8:
                        client.receive(Datagram(reply.data, ("fe80::1", 15118)), charger.now)
        charger.wait(0.25)
        client.tick(charger.now)
    assert carried == (9 if tls_port else 50)
    assert [f.port for f in found] == ([64109] if tls_port else [])


@pytest.mark.parametrize(
    "make",
    [
        lambda: SeccEndpoints("fe80::1"),
        lambda: SeccEndpoints("::", tls_port=1),
        lambda: SeccEndpoints("ff02::1", tls_port=1),
        lambda: SeccEndpoints("192.0.2.1", tls_port=1),
        lambda: SeccEndpoints("fe80::1", tls_port=0),
        lambda: SeccEndpoints("fe80::1", plain_port=65_536),
        lambda: SdpServerConfig(PLAIN_ONLY, tls_enforced=True),
        lambda: SdpServerConfig(BOTH, window_s=0),
        lambda: SdpServerConfig(BOTH, max_answers_per_s=3),
    ],
)
def test_a_senseless_configuration_is_refused(make: Any) -> None:
    with pytest.raises(ConfigError):
        make()
