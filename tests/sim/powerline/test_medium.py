"""The medium: what crosses when, what modems answer, what goes wrong, and that a seed decides it all."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from street import EV, EVSE, IPV6, NID, NMK, OTHER, Line, quick

from iso15118.errors import ConfigError
from iso15118.machine import NEVER
from iso15118.sim.powerline import parameters
from iso15118.sim.powerline.answers import ANSWERS
from iso15118.sim.powerline.config import EV_MODEM, EVSE_MODEM, Impairment
from iso15118.sim.powerline.medium import Medium
from iso15118.wire import homeplug
from iso15118.wire import homeplug_vendor as vendor
from iso15118.wire.homeplug import BROADCAST, Frame

RUN_ID = bytes(8)
SOUND = homeplug.MnbcSoundInd(cnt=9, run_id=RUN_ID, random=bytes(16))
TO_EVSE = EVSE + IPV6[6:]


def messages(arrived, port) -> list[homeplug.Message]:
    return [homeplug.read(octets).message for at, octets in arrived if at is port]


# --- what crosses -------------------------------------------------------------------------------


def test_management_crosses_without_a_key_and_nothing_else_does() -> None:
    line = Line()
    line.send(line.ev, homeplug.SlacParmReq(run_id=RUN_ID), BROADCAST)
    line.medium.send(line.ev, IPV6, line.now)
    assert messages(line.run(), line.evse) == [homeplug.SlacParmReq(run_id=RUN_ID)]
    assert line.medium.dropped["no network"] == 1


def test_tagged_management_is_management() -> None:
    line = Line()
    octets = homeplug.write(Frame(BROADCAST, EV, homeplug.SlacParmReq(run_id=RUN_ID), vlan=7))
    line.medium.send(line.ev, octets, 0.0)
    assert (line.evse, octets) in line.run()


def test_one_key_in_both_modems_lets_everything_cross() -> None:
    line = Line()
    line.join()
    assert line.medium.linked(line.ev, line.now)
    line.medium.send(line.ev, IPV6, line.now)
    line.medium.send(line.ev, TO_EVSE, line.now)
    assert line.run() == [(line.evse, IPV6), (line.evse, TO_EVSE)]


def test_the_link_comes_after_the_later_of_both_delays_and_a_deaf_modem_hears_nothing() -> None:
    late = replace(EV_MODEM, join_s=(2.0, 2.0), outage_s=(1.0, 1.0))
    line = Line(ev=late, evse=quick(EVSE_MODEM))
    for port in (line.ev, line.evse):
        line.send(port, homeplug.SetKeyReq(nid=NID, new_key=NMK))
    line.run(0.5)
    line.send(line.evse, homeplug.NwInfoReq(), EV)
    line.send(line.ev, homeplug.NwInfoReq(), EVSE)
    assert line.run(0.1) == []
    assert line.medium.dropped == {"modem deaf": 1, "nobody hears": 1}
    line.run(2.3)  # 2.9: awake, not in the network yet
    line.send(line.ev, SOUND, EVSE)
    assert len(line.run(0.05)) == 2
    assert not line.medium.linked(line.ev, line.now)
    line.run(0.15)
    assert line.medium.linked(line.ev, line.now)


@pytest.mark.parametrize("key", [(NID, bytes(16)), (bytes(7), NMK)])
def test_networks_differ_by_key_and_by_identifier(key: tuple[bytes, bytes]) -> None:
    line = Line()
    line.send(line.ev, homeplug.SetKeyReq(nid=NID, new_key=NMK))
    line.send(line.evse, homeplug.SetKeyReq(nid=key[0], new_key=key[1]))
    line.run(10.0)
    assert not line.medium.linked(line.ev, line.now)
    line.medium.send(line.ev, IPV6, line.now)
    assert line.run() == []


def test_what_is_for_others_does_not_arrive() -> None:
    line = Line()
    other = line.medium.attach(OTHER, EVSE_MODEM)
    line.join()
    line.send(line.ev, homeplug.SlacMatchReq(run_id=RUN_ID, pev_mac=EV, evse_mac=OTHER), OTHER)
    line.medium.send(line.ev, TO_EVSE, line.now)
    line.medium.send(line.ev, IPV6, line.now)
    arrived = line.run()
    assert [octets[:6] for at, octets in arrived if at is other] == [OTHER]  # no member of the network
    assert [octets for at, octets in arrived if at is line.evse] == [TO_EVSE, IPV6]


def test_a_host_behind_a_host_is_learnt() -> None:
    line = Line()
    line.join()
    second = bytes.fromhex("02cc000000ff")
    line.medium.send(line.evse, BROADCAST + second + IPV6[12:], line.now)
    line.medium.send(line.ev, second + IPV6[6:], line.now)
    assert line.medium.port_of(second) is line.evse
    assert line.run()[-1] == (line.evse, second + IPV6[6:])


def test_what_is_for_the_own_modem_stays_there() -> None:
    line = Line()
    line.send(line.ev, homeplug.SetKeyReq(nid=NID, new_key=NMK))
    line.send(line.ev, homeplug.NwInfoReq(), line.ev.modem.mac)
    arrived = line.run()
    assert [at for at, _ in arrived] == [line.ev, line.ev]


def test_cut_and_mended_unplugged_and_plugged() -> None:
    line = Line()
    line.join()
    line.medium.cut(line.ev, line.evse)
    assert not line.medium.linked(line.ev, line.now)
    line.send(line.ev, SOUND, EVSE)
    assert line.run() == []
    line.medium.mend(line.ev, line.evse)
    assert line.medium.linked(line.ev, line.now)
    line.medium.at(line.now + 1.0, lambda _: line.medium.unplug(line.evse))
    line.run(2.0)
    assert not line.medium.linked(line.ev, line.now)
    assert line.ask(line.evse, homeplug.NwInfoReq()) == []
    line.medium.plug(line.evse, line.now)
    line.run(10.0)
    assert line.medium.linked(line.ev, line.now)


def test_a_short_frame_is_padded_and_what_is_none_is_dropped() -> None:
    line = Line()
    line.join()
    line.medium.send(line.ev, IPV6[:14], line.now)
    line.medium.send(line.ev, bytes(13), line.now)
    line.medium.send(line.ev, bytes(1519), line.now)
    assert line.run() == [(line.evse, IPV6[:14].ljust(60, b"\0"))]
    assert line.medium.dropped["not a frame"] == 2


@pytest.mark.parametrize(
    ("mac", "reason"), [(b"\x01" * 6, "unicast"), (b"\x02" * 5, "6 octets"), (EV, "attached already")]
)
def test_addresses_of_hosts(mac: bytes, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Line().medium.attach(mac, EV_MODEM)


# --- sounding -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mean_db", [8.0, 27.5])
def test_each_sound_is_heard_by_the_modems_of_chargers(mean_db: float) -> None:
    line = Line()
    other = line.medium.attach(OTHER, EVSE_MODEM)
    line.medium.attenuate(line.ev, line.evse, mean_db)
    line.send(line.ev, SOUND, BROADCAST)
    arrived = line.run()
    for port in (line.evse, other):
        sound, profile = messages(arrived, port)
        assert sound == SOUND
        assert isinstance(profile, homeplug.AttenProfileInd)
        assert profile.pev_mac == EV
        assert len(profile.aag) == 58
        assert len(set(profile.aag)) > 4  # a cable is not alike at all frequencies
    (heard,) = (m for m in messages(arrived, line.evse) if isinstance(m, homeplug.AttenProfileInd))
    assert abs(sum(heard.aag) / 58 - mean_db) < 0.6
    assert messages(arrived, line.ev) == []


def test_sounds_are_heard_a_little_differently_each_time() -> None:
    line = Line()
    for _ in range(2):
        line.send(line.ev, SOUND, BROADCAST)
    profiles = [m for m in messages(line.run(), line.evse) if isinstance(m, homeplug.AttenProfileInd)]
    assert profiles[0] != profiles[1]


def test_profiles_of_old_and_of_new_firmware_and_lost_ones() -> None:
    line = Line(evse=replace(EVSE_MODEM, profile_groups=0))
    line.send(line.ev, SOUND, BROADCAST)
    assert messages(line.run(), line.evse)[1] == homeplug.AttenProfileInd(pev_mac=EV, aag=b"")

    line = Line(evse=replace(EVSE_MODEM, profile_twice=True))
    line.send(line.ev, SOUND, BROADCAST)
    _, own, standard = messages(line.run(), line.evse)
    assert own == vendor.VsAttenCharInd(pev_mac=EV, aag=standard.aag)

    line = Line(evse=replace(EVSE_MODEM, profile_loss=1.0))
    line.send(line.ev, SOUND, BROADCAST)
    assert messages(line.run(), line.evse) == [SOUND]
    assert line.medium.dropped["profile"] == 1


# --- modems -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "result"), [("qualcomm", 1), ("lumissil", 0), ("vertexcom", 0), ("silent", 0)]
)
def test_a_key_is_confirmed(name: str, result: int) -> None:
    line = Line(ev=replace(EV_MODEM, vendor=name))
    request = homeplug.SetKeyReq(nid=NID, new_key=NMK, my_nonce=b"mine")
    line.send(line.ev, request)
    ((port, octets),) = line.run()
    frame = homeplug.read(octets)
    assert (port, frame.source, frame.destination) == (line.ev, line.ev.modem.mac, EV)
    assert (frame.message.result, frame.message.your_nonce) == (result, b"mine")
    assert (frame.message.pid, frame.message.pmn) == (4, 0xFF)
    assert line.ev.modem.key.nmk == NMK


def test_no_key_is_taken_from_the_powerline() -> None:
    line = Line(ev=replace(EV_MODEM, remote_access=True))
    line.join()
    line.send(line.evse, homeplug.SetKeyReq(nid=bytes(7), new_key=bytes(16)), line.ev.modem.mac)
    line.send(line.evse, vendor.VsRsDevReq(), line.ev.modem.mac)
    line.run(0.01)
    assert line.ev.modem.key.nmk == NMK
    assert line.medium.linked(line.ev, line.now)


def test_counting_modems() -> None:
    line = Line()
    (alone,) = line.ask(line.ev, homeplug.GetKeyReq(my_nonce=b"mine"), BROADCAST)
    assert (alone.result, alone.your_nonce, alone.key) == (0, b"mine", line.ev.modem.key.nmk)
    line.join()
    answers = line.ask(line.ev, homeplug.GetKeyReq(my_nonce=b"mine"), BROADCAST)
    own, remote = sorted((m for m in answers if isinstance(m, homeplug.GetKeyCnf)), key=lambda m: m.result)
    assert (own.result, own.key, own.nid) == (0, NMK, NID)
    assert (remote.result, remote.key, remote.nid) == (1, bytes(16), NID)


POLLS = [
    ("qualcomm", vendor.VsPlLnkStatusReq(), lambda m: m.link_status),
    ("lumissil", vendor.LumissilGetDLinkStatusReq(), lambda m: m.link_status),
    ("lumissil", vendor.LumissilGetDLinkStatusReqLong(), lambda m: m.link_status),
    ("lumissil", vendor.LumissilGetDeviceStateReq(), lambda m: m.state == 5),
    ("vertexcom", vendor.VertexcomGetStatusReq(), lambda m: m.link_connect_status),
    ("vertexcom", homeplug.DiscoverListReq(), lambda m: [s.same_network for s in m.stations] == [1]),
    ("qualcomm", homeplug.NwStatsReq(), lambda m: len(m.stations)),
    ("qualcomm", homeplug.NwInfoReq(), lambda m: [(n.nid, n.role) for n in m.networks] == [(NID, 0)]),
    (
        "qualcomm",
        vendor.VsNwInfoReq(),
        lambda m: m.networks and m.networks[0].stations[0].bridged_mac == EVSE,
    ),
    (
        "qualcomm",
        vendor.VsNwInfoReqV1(),
        lambda m: m.length == 58 and m.networks[0].stations[0].bridged_mac == EVSE,
    ),
]


@pytest.mark.parametrize(("name", "question", "up"), POLLS, ids=lambda x: type(x).__name__)
def test_what_tells_of_the_link(name: str, question: homeplug.Message, up) -> None:
    line = Line(ev=replace(EV_MODEM, vendor=name))
    (answer,) = line.ask(line.ev, question)
    assert not up(answer)
    line.join()
    (answer,) = line.ask(line.ev, question)
    assert up(answer)
    for other in {"qualcomm", "lumissil", "vertexcom", "silent"} - {name}:
        if type(question).OUI:
            stranger = Line(ev=replace(EV_MODEM, vendor=other))
            assert stranger.ask(stranger.ev, question) == []


def test_who_a_modem_is() -> None:
    line = Line()
    (answer,) = line.ask(line.ev, vendor.VsSwVerReq())
    assert answer.version == EV_MODEM.firmware
    (answer,) = line.ask(line.ev, vendor.VsOpAttributesReq(cookie=7))
    assert (answer.cookie, answer.hardware, answer.line) == (7, "QCA7005", 1)
    (answer,) = line.ask(line.evse, homeplug.BrgInfoReq())
    assert answer.hosts == (EVSE,)
    (answer,) = line.ask(line.evse, homeplug.NwInfoReq())
    assert (answer.networks[0].role, answer.networks[0].cco_mac) == (2, line.evse.modem.mac)
    (answer,) = line.ask(line.ev, homeplug.DiscoverListReq())
    assert [n.nid for n in answer.networks] == [line.evse.modem.key.nid]


def test_who_other_makes_are() -> None:
    line = Line(ev=replace(EV_MODEM, vendor="lumissil"), evse=replace(EVSE_MODEM, vendor="vertexcom"))
    (answer,) = line.ask(line.ev, vendor.LumissilGetVersionReqLong(request_id=9))
    assert (answer.request_id, answer.major, answer.minor) == (9, 1, 1)
    (answer,) = line.ask(line.evse, vendor.VertexcomGetVersionReq())
    assert answer.details.startswith(b"MAC-QCA7005")


@pytest.mark.parametrize(
    ("name", "request_", "confirmed"),
    [
        ("qualcomm", vendor.VsRsDevReq(), True),
        ("lumissil", vendor.LumissilResetReq(), False),
        ("vertexcom", vendor.VertexcomResetReq(), True),
    ],
)
def test_a_restart_costs_seconds(name: str, request_: homeplug.Message, confirmed: bool) -> None:
    line = Line(ev=replace(EV_MODEM, vendor=name))
    line.join()
    assert bool(line.ask(line.ev, request_)) is confirmed
    line.run(0.5)
    assert line.ask(line.ev, homeplug.NwInfoReq()) == []
    assert not line.medium.linked(line.ev, line.now)
    line.run(5.0)
    assert line.medium.linked(line.ev, line.now)  # the key stayed


def test_the_parameter_block_can_be_read_out() -> None:
    line = Line()
    block = b""
    while len(block) < parameters.SIZE:
        request = vendor.VsRdModReq(module_id=2, length=1400, offset=len(block))
        (answer,) = line.ask(line.evse, request)
        piece = answer.data[: answer.length]
        assert (answer.status, answer.offset, answer.checksum) == (0, len(block), parameters.checksum(piece))
        block += piece
    assert block == EVSE_MODEM.parameters
    assert (block[parameters.CCO_MODE], block[parameters.SLAC_ROLE]) == (2, 2)
    (answer,) = line.ask(line.evse, vendor.VsRdModReq(module_id=1, length=1400, offset=0))
    assert answer.status != 0
    assert answer.length == 0


def test_the_parameter_block_from_afar_only_with_remote_access() -> None:
    request = vendor.VsRdModReq(module_id=2, length=64, offset=0)
    for allowed in (False, True):
        line = Line(ev=replace(EV_MODEM, remote_access=allowed))
        assert line.ask(line.evse, request, line.ev.modem.mac) == []  # no member yet
        line.join()
        assert len(line.ask(line.evse, request, line.ev.modem.mac)) == allowed


def test_checksum() -> None:
    assert parameters.checksum(b"") == 0xFFFF_FFFF
    assert parameters.checksum(bytes.fromhex("010000000300000000")) == 0xFFFF_FFFD


def test_every_maker_takes_keys() -> None:
    assert all(homeplug.SetKeyReq in answers for answers in ANSWERS.values())


# --- what goes wrong ----------------------------------------------------------------------------


def flood(seed: int = 1, **impairment: float) -> list[tuple[float, bytes]]:
    """When and what of 400 numbered frames arrives."""
    medium = Medium(seed)
    ev = medium.attach(EV, EV_MODEM, outgoing=Impairment(**impairment))
    evse = medium.attach(EVSE, EV_MODEM)  # no charger's modem: no profiles
    for number in range(400):
        message = homeplug.Unknown(mmtype=0x6080, payload=number.to_bytes(2, "big") * 20)
        medium.send(ev, homeplug.write(Frame(EVSE, EV, message)), number * 0.01)
    arrived = []
    while medium.deadline < NEVER:
        when = medium.deadline
        arrived += [(when, octets) for port, octets in medium.due(when) if port is evse]
    return arrived


def numbers(arrived: list[tuple[float, bytes]]) -> list[int]:
    return [int.from_bytes(octets[19:21], "big") for _, octets in arrived]


def test_a_clean_line() -> None:
    arrived = flood()
    assert numbers(arrived) == list(range(400))
    assert all(abs(when - n * 0.01 - 0.001) < 1e-9 for n, (when, _) in enumerate(arrived))


def test_loss_and_duplication() -> None:
    assert 300 < len(flood(loss=0.15)) < 380
    doubled = numbers(flood(duplicate=0.2))
    assert 440 < len(doubled) < 520
    assert set(doubled) == set(range(400))
    assert flood(loss=1.0) == []


def test_jitter_and_reordering() -> None:
    late = [when - n * 0.01 for n, (when, _) in enumerate(flood(latency_s=0.001, jitter_s=0.005))]
    assert 0.0015 <= min(late) < max(late) <= 0.0065
    shuffled = numbers(flood(reorder=0.3))
    assert shuffled != sorted(shuffled) == list(range(400))


def test_corruption_leaves_the_addresses() -> None:
    clean, damaged = flood(), flood(corrupt=0.5)
    changed = [a for a, b in zip(clean, damaged, strict=True) if a[1] != b[1]]
    assert 150 < len(changed) < 250
    assert all(octets[:12] == EVSE + EV for _, octets in damaged)
    assert any(len(octets) < 60 for _, octets in damaged)


def test_each_direction_has_its_own_faults() -> None:
    line = Line()
    line.evse.incoming = Impairment(loss=1.0)
    line.send(line.ev, SOUND, EVSE)
    line.send(line.evse, SOUND, EV)
    assert [at for at, _ in line.run()] == [line.ev]


def test_the_seed_decides() -> None:
    faults = {"loss": 0.1, "duplicate": 0.1, "reorder": 0.1, "corrupt": 0.1, "jitter_s": 0.01}
    assert flood(5, **faults) == flood(5, **faults)
    assert flood(5, **faults) != flood(6, **faults)


def test_any_octets_at_all() -> None:
    chance = random.Random(2)
    line = Line()
    line.join()
    for _ in range(3000):
        octets = bytearray(chance.randbytes(chance.randrange(1600)))
        octets[12:14] = b"\x88\xe1"
        octets[:6] = chance.choice([BROADCAST, homeplug.LOCAL_MODEM, EVSE, line.ev.modem.mac, bytes(6)])
        if chance.random() < 0.5:
            octets[14:17] = chance.choice([b"\x01\x08\x60", b"\x01\x76\x60", b"\x00\x24\xa0\x00\xb0\x52"])
        line.medium.send(line.ev, bytes(octets), line.now)
        line.run(0.01)
    assert line.medium.dropped["not a frame"] > 10
