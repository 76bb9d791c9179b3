"""The doctor and virtual modems, over the port a host has."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from hal.drivers.uart_port import UartPort
from hal.drivers.udp_port import UdpPort
from hal.virtual.ethernet import VirtualEthernetPort
from iso15118.runtime.checkup import modem
from iso15118.runtime.checkup.findings import Level
from iso15118.runtime.checkup.modem import check_modem, check_way
from iso15118.sim.powerline.config import EV_MODEM, EVSE_MODEM
from iso15118.sim.powerline.hub import Hub
from iso15118.sim.powerline.medium import Medium
from iso15118.sim.powerline.pty import serial_modem
from iso15118.sim.powerline.udp import udp_hub
from iso15118.wire import homeplug, homeplug_vendor
from iso15118.wire.homeplug import BROADCAST, Frame, MnbcSoundInd

pytestmark = [pytest.mark.asyncio, pytest.mark.runtime]

MAC = bytes.fromhex("02cc00000001")
CAR = bytes.fromhex("02ee00000001")
OWN = bytes.fromhex("02b052000001")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Virtual modems answer within milliseconds; what is not answered need not take long here."""
    monkeypatch.setattr(modem, "ANSWER_S", 0.1)


async def examined(config, role="SECC", *, prepare: Callable[[Hub], None] = lambda hub: None, listen_s=0.0):
    """All findings about a modem of this kind, by subject."""
    medium = Medium(1)
    medium.attach(MAC, config)
    with Hub(medium) as hub:
        prepare(hub)
        async with udp_hub(hub) as served:
            port = UdpPort(served.number, mac=MAC)
            found = [finding async for finding in check_modem(port, role, listen_s)]
    assert not any(f.level in (Level.WARNING, Level.ERROR) and not f.next_step for f in found)
    return found


def of(found, subject):
    return [f for f in found if f.subject == subject]


async def test_a_charger_modem_as_it_should_be():
    found = await examined(EVSE_MODEM)
    assert all(f.level in (Level.OK, Level.NOTE) for f in found)
    assert "qualcomm at 02:b0:52" in of(found, "modem")[0].found
    assert of(found, "modem firmware")[0].found == EVSE_MODEM.firmware
    (setup,) = of(found, "modem parameters")
    assert "set up for a charger" in setup.found
    (profile,) = of(found, "attenuation profile")
    assert profile.found.startswith("not judged")


async def test_the_known_misconfiguration_is_found():
    found = await examined(EV_MODEM)
    assert [f.level for f in of(found, "modem parameters")] == [Level.ERROR, Level.ERROR]
    assert not of(await examined(EV_MODEM, "EVCC"), "attenuation profile")


async def test_parameters_that_are_refused_are_not_judged():
    (setup,) = of(await examined(replace(EVSE_MODEM, parameters=bytes(100))), "modem parameters")
    assert (setup.level, setup.found) == (Level.NOTE, "cannot be read")


async def test_parameters_of_another_chip_are_not_judged():
    config = replace(EVSE_MODEM, firmware="MAC-QCA7420-1.4.0.20-00-20171027-CS")
    (setup,) = of(await examined(config), "modem parameters")
    assert setup.level is Level.NOTE


async def test_only_the_own_modem_is_believed_once_it_is_known():
    def answer(_):
        for source, up in ((CAR, 1), (OWN, 0)):
            told = homeplug_vendor.VsPlLnkStatusCnf(link_status=up)
            port.receive(homeplug.write(Frame(MAC, source, told)))

    port = VirtualEthernetPort(MAC, answer)
    line = modem.Line(port, OWN)
    port.on_frame(line.take)
    await port.open()
    request, kind = homeplug_vendor.VsPlLnkStatusReq(), homeplug_vendor.VsPlLnkStatusCnf
    assert (await line.answer(request, kind)).link_status == 0
    line.modem = None
    assert (await line.answer(request, kind)).link_status == 1


async def test_a_modem_on_a_serial_line():
    pytest.importorskip("serial")
    medium = Medium(1)
    attached = medium.attach(MAC, EVSE_MODEM)
    with Hub(medium) as hub, serial_modem(hub, attached) as path:
        found = [f async for f in check_modem(UartPort(f"serial://{path}", mac=MAC), "SECC")]
    assert "set up for a charger" in of(found, "modem parameters")[0].found


@pytest.mark.parametrize("vendor", ["lumissil", "vertexcom"])
async def test_other_makes_are_known(vendor):
    found = await examined(replace(EVSE_MODEM, vendor=vendor))
    assert of(found, "modem")[0].found.startswith(vendor)
    assert of(found, "modem link")[0].level is Level.OK
    assert not of(found, "modem parameters")


async def test_a_modem_that_answers_nothing():
    found = await examined(replace(EVSE_MODEM, vendor="silent"))
    assert [(f.level, f.found) for f in of(found, "modem")] == [(Level.ERROR, "nobody answers")]


async def test_a_port_that_does_not_open():
    found = [finding async for finding in check_modem(UdpPort(9), "SECC")]
    assert [f.level for f in found] == [Level.ERROR]
    assert found[0].subject == "modem port"


def neighbour(**config):
    """Another modem on the line, in the same network where that is set."""

    def prepare(hub):
        port = hub.medium.attach(CAR, replace(EV_MODEM, **config))
        port.modem.take_key(hub.medium.port_of(MAC).modem.key, -10.0)

    return prepare


async def test_a_neighbour_that_may_be_read_out_is_warned_of():
    (remote,) = of(await examined(EVSE_MODEM, prepare=neighbour(remote_access=True)), "remote access")
    assert remote.level is Level.WARNING
    (remote,) = of(await examined(EVSE_MODEM, prepare=neighbour(remote_access=False)), "remote access")
    assert remote.level is Level.NOTE


async def test_the_factory_key_is_warned_of():
    def prepare(hub):
        neighbour()(hub)
        key = homeplug.SetKeyReq(nid=homeplug.derive_nid(bytes(16)), new_key=bytes(16), my_nonce=bytes(4))
        for port in hub.medium.ports:
            port.modem.set_key(key, -10.0)

    found = await examined(EVSE_MODEM, prepare=prepare)
    assert of(found, "modem link")[0].found == "another modem is in the same network"
    assert [f.level for f in of(found, "modem key")] == [Level.WARNING]


@pytest.mark.parametrize(
    ("config", "level", "told"),
    [
        (EVSE_MODEM, Level.OK, "58 groups"),
        (replace(EVSE_MODEM, profile_groups=0), Level.ERROR, "without any carrier group"),
        (replace(EVSE_MODEM, profile_loss=1.0), Level.ERROR, "none came"),
    ],
)
async def test_profiles_are_judged_where_a_car_makes_sounds(config, level, told):
    def prepare(hub):
        car = hub.medium.attach(CAR, EV_MODEM)
        sound = homeplug.write(Frame(BROADCAST, CAR, MnbcSoundInd(cnt=9, run_id=bytes(8), random=bytes(16))))
        asyncio.get_running_loop().call_later(0.1, hub.send, car, sound)

    (profile,) = of(await examined(config, prepare=prepare, listen_s=0.3), "attenuation profile")
    assert profile.level is level
    assert told in profile.found


@pytest.mark.parametrize(
    ("port", "levels"),
    [
        (UdpPort(9, interface="eth1"), []),
        (UdpPort(9, interface="eth2"), [Level.WARNING]),
        (UdpPort(9), [Level.NOTE]),
    ],
)
async def test_ipv6_has_to_go_through_the_modem(port, levels):
    assert [f.level for f in check_way(port, "eth1")] == levels
