"""Both machines of matching over the virtual powerline, from the first question to the link."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from street import EV, EVSE, IPV6, NMK, OTHER, Street, quick

from iso15118.machine import Frame
from iso15118.sim.powerline.config import EV_MODEM, EVSE_MODEM
from iso15118.sim.powerline.modem import NetworkMembership
from iso15118.sim.powerline.rogue import Claim, RogueEvse
from iso15118.slac.dlink import DLink, LinkStatus
from iso15118.slac.events import EvseChosen, LinkReady, LinkSeen, ModemIdentified, SuspiciousEvse
from iso15118.wire import homeplug

ROGUE = bytes.fromhex("02bad0000001")


def test_the_happy_path() -> None:
    street = Street()
    charger, car = street.charger(), street.car()
    assert street.match(car)
    street.world.run_until(lambda: street.established(charger), street.world.now + 5.0)
    assert street.established(charger)
    assert street.key_of(car) == street.key_of(charger)
    assert street.world.told(car, LinkReady)[-1].peer == EVSE
    assert street.world.told(charger, LinkReady)[-1].peer == EV
    street.medium.send(car, IPV6, street.world.now)
    street.world.run(street.world.now + 0.1)
    assert IPV6 in [frame.octets for frame in street.world.frames if frame.port is charger]


def test_the_exchange_frame_by_frame() -> None:
    """What crosses the powerline between the two hosts, in the order of the standard."""
    street = Street()
    charger, car = street.charger(), street.car()
    assert street.match(car)
    heard = [
        type(frame.message).__name__
        for carried in street.world.frames
        if carried.port in (charger, car) and carried.way == "out"
        for frame in [homeplug.read(carried.octets)]
        if frame.destination not in (homeplug.LOCAL_MODEM,) and frame.source in (EV, EVSE)
    ]
    first = heard.index("SlacParmReq")
    assert heard[first : first + 19] == [
        "SlacParmReq",
        "SlacParmCnf",
        *["StartAttenCharInd"] * 3,
        *["MnbcSoundInd"] * 10,
        "AttenCharInd",
        "AttenCharRsp",
        "SlacMatchReq",
        "SlacMatchCnf",
    ]


@pytest.mark.parametrize("vendor", ["qualcomm", "lumissil", "vertexcom", "silent"])
def test_with_modems_of_any_maker(vendor: str) -> None:
    street = Street()
    charger = street.charger(modem=replace(EVSE_MODEM, vendor=vendor))
    car = street.car(modem=replace(EV_MODEM, vendor=vendor))
    assert street.match(car, within=60.0)
    assert street.key_of(car) == street.key_of(charger)
    known = {event.vendor for event in street.world.told(car, ModemIdentified)}
    assert known == ({vendor} if vendor != "silent" else {"unknown"})


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_nearer_of_two_chargers(seed: int) -> None:
    street = Street(seed)
    far, near = street.charger(OTHER), street.charger(EVSE)
    car = street.car()
    street.medium.attenuate(car, far, 28.0)
    street.medium.attenuate(car, near, 12.0)
    assert street.match(car)
    assert street.key_of(car) == street.key_of(near) != street.key_of(far)
    assert street.world.told(car, EvseChosen)[-1].mac == EVSE


@pytest.mark.parametrize("claim", [Claim(), Claim(before_sounds=True), Claim(attenuation_db=1)])
def test_a_rogue_charger_is_noticed_and_the_real_one_chosen(claim: Claim) -> None:
    street = Street()
    charger = street.charger()
    rogue = street.medium.attach(ROGUE, EVSE_MODEM)
    machine = RogueEvse(ROGUE, random.Random(3).randbytes, claim)
    street.world.connect(rogue, machine)
    car = street.car()
    assert street.match(car)
    assert ROGUE in {event.mac for event in street.world.told(car, SuspiciousEvse)}
    assert street.key_of(car) == street.key_of(charger) != machine.nmk


def test_a_rogue_charger_alone_gives_its_own_key() -> None:
    """A doubt is no refusal: simulated chargers look like that as well."""
    street = Street()
    rogue = street.medium.attach(ROGUE, quick(EVSE_MODEM))
    machine = RogueEvse(ROGUE, random.Random(3).randbytes)
    street.world.connect(rogue, machine)
    machine.receive(Frame(b"no frame"), 0.0)
    car = street.car()
    assert street.match(car)
    assert street.key_of(car) == machine.nmk == street.key_of(rogue)


@pytest.mark.parametrize("seed", range(1, 11))
def test_one_frame_in_ten_lost(seed: int) -> None:
    street = Street(seed, loss=0.05)  # on either side of the line
    charger, car = street.charger(), street.car()
    assert street.match(car, within=60.0)
    assert street.key_of(car) == street.key_of(charger)


@pytest.mark.parametrize("seed", range(1, 6))
def test_doubled_late_and_damaged_frames(seed: int) -> None:
    street = Street(seed, duplicate=0.1, reorder=0.1, corrupt=0.03, jitter_s=0.005)
    charger, car = street.charger(), street.car()
    assert street.match(car, within=60.0)
    assert street.key_of(car) == street.key_of(charger)


def test_modems_that_are_deaf_after_a_key() -> None:
    slow = {"outage_s": (3.0, 5.0), "join_s": (1.0, 3.0)}
    street = Street()
    street.charger(modem=replace(EVSE_MODEM, **slow))
    car = street.car(modem=replace(EV_MODEM, **slow))
    street.world.run(8.0)
    assert street.match(car)


def test_old_firmware_tells_nothing_of_sounds() -> None:
    street = Street()
    street.charger(modem=replace(EVSE_MODEM, profile_groups=0))
    car = street.car()
    assert not street.match(car, within=60.0)
    assert street.world.told(car, LinkReady)[-1].status is LinkStatus.FAILED


def test_some_profiles_missing() -> None:
    street = Street()
    charger = street.charger(modem=replace(EVSE_MODEM, profile_loss=0.4, profile_twice=True))
    car = street.car()
    assert street.match(car)
    assert street.key_of(car) == street.key_of(charger)


@pytest.mark.parametrize("what", ["unplug", "cut", "wrong key"])
def test_a_lost_link_is_seen_by_both(what: str) -> None:
    street = Street()
    charger, car = street.charger(), street.car()
    assert street.match(car)
    street.world.run(street.world.now + 2.0)
    actions = {
        "unplug": lambda _: street.medium.unplug(charger),
        "cut": lambda _: street.medium.cut(charger, car),
        "wrong key": lambda now: charger.modem.take_key(NetworkMembership(bytes(7), NMK), now),
    }
    street.medium.at(street.world.now + 1.0, actions[what])
    street.world.run(street.world.now + 6.0)
    for port in (charger, car):
        statuses = [event.status for event in street.world.told(port, LinkReady)]
        assert LinkStatus.LOST in statuses
    assert not street.world.told(car, LinkSeen)[-1].up


def test_the_next_car_gets_another_key() -> None:
    street = Street()
    charger, car = street.charger(), street.car()
    assert street.match(car)
    first = street.key_of(charger)
    for port in (car, charger):
        street.world.give(port, DLink.TERMINATE)
    street.world.run(street.world.now + 3.0)
    assert not street.medium.linked(charger, street.world.now)
    street.world.give(charger, DLink.MATCH)
    assert street.match(car)
    assert street.key_of(charger) not in (first, bytes(16))


def log(seed: int) -> list[tuple[float, str, str, bytes]]:
    street = Street(seed, loss=0.05, duplicate=0.05, jitter_s=0.004, corrupt=0.02)
    street.charger()
    street.charger(OTHER)
    car = street.car()
    street.match(car)
    return [(c.t, c.port.name, c.way, c.octets) for c in street.world.frames]


def test_the_same_seed_gives_the_same_frames() -> None:
    assert log(7) == log(7)
    assert log(7) != log(8)
