"""Interfaces as the doctor sees them; how a whole interface is judged is tested with the command, in a private network."""

import socket

import pytest

from iso15118.errors import LinkError
from iso15118.runtime.checkup import network
from iso15118.runtime.checkup.findings import Level
from iso15118.runtime.net import Interface, sdp_server_socket

TABLE = """\
fe80000000000000023048fffe12abcd 02 40 20 80     eth1
00000000000000000000000000000001 01 80 10 80       lo
fe80000000000000023048fffe120001 03 40 20 48     eth2
fd000000000000000000000000000001 03 40 00 80     eth2
fe80000000000000023048fffe120002 04 40 20 c0     eth3
"""


def judged(name, **options):
    return network.judge_addresses(name, network.addresses_of(TABLE, name), **{"disabled": False, **options})


def test_link_local_addresses_of_the_kernels_table():
    assert network.addresses_of(TABLE, "eth1") == [network.LinkLocal("fe80::230:48ff:fe12:abcd", 0x80)]
    assert [a.flags for a in network.addresses_of(TABLE, "eth2")] == [0x48]
    assert network.addresses_of(TABLE, "lo") == []


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("eth1", {"told": "no route"}, "cannot be used"),
        ("eth2", {}, "duplicate"),
        ("eth3", {}, "tentative"),
        ("eth4", {}, "none"),
        ("eth1", {"disabled": True}, "IPv6 is off"),
    ],
)
def test_why_an_address_cannot_be_used(name, options, told):
    finding = judged(name, **options)
    assert finding.level is Level.ERROR
    assert told in finding.found
    assert finding.cause
    assert finding.next_step


def test_an_interface_that_is_not_there():
    (finding,) = network.check_interface("none0", "SECC")
    assert finding.level is Level.ERROR
    assert "present:" in finding.cause


def test_the_loopback_interface_is_told():
    if "lo" not in network.names():
        pytest.skip("the loopback interface has another name here")
    assert any("no car can be at it" in f.found for f in network.check_interface("lo", "EVCC"))


def test_a_taken_discovery_port_is_told():
    lo = Interface("lo", socket.if_nametoindex("lo"), "::1")
    try:
        other = sdp_server_socket(lo)
    except LinkError as error:
        pytest.skip(str(error))
    with other:
        discovery = [f for f in network.check_interface("lo", "SECC") if f.subject == "discovery"]
    assert [f.level for f in discovery] == [Level.ERROR]
    assert "another charger" in discovery[0].cause


def test_an_interface_is_asked_for_flags_and_mtu():
    flags = network.asked("lo", network.GET_FLAGS)
    if flags is None:
        pytest.skip("this system cannot be asked")
    assert flags & network.IFF_UP
    assert network.asked("lo", network.GET_MTU) >= network.LEAST_MTU
    assert network.asked("none0", network.GET_MTU) is None
