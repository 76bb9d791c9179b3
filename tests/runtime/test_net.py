"""Interfaces and sockets."""

import asyncio
import socket

import pytest

from iso15118.errors import ConfigError, LinkError
from iso15118.runtime import net


def test_loopback_stands_in_with_its_own_address():
    found = net.find_interface("lo")
    assert (found.name, found.address, found.loopback) == ("lo", "::1", True)
    assert found.socket_address("::1", 5) == ("::1", 5, 0, 0)


def test_an_unknown_interface_is_told_with_the_ones_there_are():
    with pytest.raises(ConfigError, match="'eth77'; present: "):
        net.find_interface("eth77")


def test_an_interface_without_link_local_address_is_told(monkeypatch):
    monkeypatch.setattr(net, "_source_address", lambda index: "")
    monkeypatch.setattr(net, "interface_index", lambda name: 3)
    with pytest.raises(LinkError, match="ip link set eth7 up"):
        net.find_interface("eth7")


@pytest.mark.asyncio
async def test_a_fresh_link_is_given_time(monkeypatch):
    answers = iter(["", "", "fe80::1"])
    monkeypatch.setattr(net, "_source_address", lambda index: next(answers))
    monkeypatch.setattr(net, "interface_index", lambda name: 3)
    found = await net.wait_for_interface("eth7")
    assert found == net.Interface("eth7", 3, "fe80::1")
    assert found.socket_address("fe80::2", 9) == ("fe80::2", 9, 0, 3)


def test_the_listener_takes_a_dynamic_port_and_tries_again_where_one_is_taken(monkeypatch):
    interface = net.find_interface("lo")
    with net.tcp_listener(interface) as first:
        port = first.getsockname()[1]
        assert port in net.DYNAMIC_PORTS
        monkeypatch.setattr(net, "_PORT_TRIES", 2)
        other = 65_000 if port != 65_000 else 65_001

        class Sequence:
            def sample(self, population, count):
                return [port, other]

        monkeypatch.setattr(net.random, "SystemRandom", Sequence)
        with net.tcp_listener(interface) as second:
            assert second.getsockname()[1] == other


def test_the_listener_is_bound_to_one_address():
    with net.tcp_listener(net.find_interface("lo")) as listener:
        assert listener.getsockname()[0] == "::1"
        assert listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def test_a_second_discovery_socket_on_the_same_interface_is_an_error():
    interface = net.find_interface("lo")
    try:
        first = net.sdp_server_socket(interface)
    except LinkError as error:
        pytest.skip(f"no multicast on the loopback interface: {error}")
    with first, pytest.raises(LinkError, match="another charger"):
        net.sdp_server_socket(interface)


@pytest.mark.asyncio
async def test_a_connection_is_not_delayed_by_nagle():
    interface = net.find_interface("lo")
    with net.tcp_listener(interface) as listener:
        made = await net.tcp_connect(interface, "::1", listener.getsockname()[1], 1.0)
        with made:
            assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.asyncio
async def test_a_connect_that_gets_no_answer_is_given_up(monkeypatch):
    async def never(*_):
        await asyncio.sleep(60)

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never)
    with pytest.raises(LinkError, match="did not answer within"):
        await net.tcp_connect(net.find_interface("lo"), "::1", 50_000, 0.05)
