"""Runs inside a private network (see `test_ethernet_ports`): the port on a real interface."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator

import pytest

from hal.drivers import frame_port
from hal.drivers.packet_port import PacketPort
from hal.errors import HalError, Kind
from hal.plc import EthernetPort
from hal.testing import Behaviour, behaviours
from tests.hw.port_rigs import PacketRig

WAITS = "levels_grow_old_without_a_line"  # there are none


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[PacketRig]:
    monkeypatch.setattr(frame_port, "RETRY_S", 0.05)
    made = PacketRig("vse", "vev")
    yield made
    made.close_all()


@pytest.mark.parametrize(
    "behaviour", [b for b in behaviours(EthernetPort, without={"reboot"}) if b.name != WAITS], ids=str
)
def test_packet_port(behaviour: Behaviour, rig: PacketRig) -> None:
    behaviour(rig)


def test_the_address_and_the_name_are_the_interfaces(rig: PacketRig) -> None:
    shown = subprocess.run(["ip", "-o", "link", "show", "vse"], capture_output=True, text=True, check=True)
    assert f"link/ether {rig.device.mac.hex(':')} " in shown.stdout
    assert rig.device.interface == "vse"


def test_other_protocols_and_what_the_kernel_shows_of_our_own_are_not_heard(rig: PacketRig) -> None:
    heard: list[bytes] = []
    rig.device.on_frame(heard.append)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88E1)) as other:
        other.bind(("vse", 0x88E1))
        for kind in ("86dd", "88e1"):
            other.send(bytes(12) + bytes.fromhex(kind) + bytes(46))
    rig._far.send(bytes(12) + bytes.fromhex("86dd") + bytes(46))
    rig.arrive(bytes(12) + bytes.fromhex("88e1") + bytes(47))
    rig.run(0.1)
    assert [len(frame) for frame in heard] == [61]


def test_an_interface_that_is_down_or_absent_says_what_to_do(rig: PacketRig) -> None:
    rig.close()
    rig.cut()
    with pytest.raises(HalError, match="ip link set vse up") as caught:
        rig.open()
    assert caught.value.kind is Kind.NOT_CONNECTED
    rig.restore()
    rig.device, absent = PacketPort("nonesuch"), rig.device
    with pytest.raises(HalError, match="No such device"):
        rig.open()
    rig.device = absent
    rig.open()
