"""Whatever comes from the powerline, in whatever state: nothing raises, nothing is answered at length, the key stays."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace

import pytest

from iso15118.config import AttenuationLimits, SlacConfig
from iso15118.machine import Frame as Octets
from iso15118.slac.dlink import DLink, LinkState
from iso15118.slac.events import RunEntered
from iso15118.wire import homeplug as hp
from iso15118.wire import homeplug_vendor as hv
from tests.unit.slac.bench import Bench, Party

FRAMES = 20_000
STAGES = {
    "closed": 0.0,
    "unmatched": 0.0,
    "asking": 0.05,
    "sounding": 0.25,
    "reporting": 0.383,
    "validating": 0.8,
    "joining": 2.0,
    "matched": 4.0,
    "paused": 4.0,
}
STRANGER = bytes.fromhex("020000000b0b")


def scene(stage: str, seed: int) -> tuple[Bench, Party, Party]:
    """A car and a charger at some stage of a match that includes validation."""
    bench = Bench(seed)
    limits = AttenuationLimits(direct_db=10, indirect_db=60)
    ev = bench.ev(SlacConfig(limits=limits, toggles=1))
    evse = bench.evse(SlacConfig(validation=True))
    if stage == "closed":
        return bench, ev, evse
    bench.open()
    if stage == "unmatched":
        return bench, ev, evse
    bench.plug()
    bench.run(STAGES[stage])
    if stage == "paused":
        for party in (ev, evse):
            party.give(DLink.PAUSE)
    return bench, ev, evse


def samples(bench: Bench, ev: Party, evse: Party) -> list[bytes]:
    """What both have sent, and what else there is."""
    others: list[hp.Message] = [
        hp.AmpMapReq(amplitudes=(1, 2, 3)),
        hp.AttenProfileInd(pev_mac=ev.mac, aag=bytes(range(58))),
        hp.GetKeyReq(),
        hp.DiscoverListCnf(stations=(hp.HeardStation(mac=ev.mac, same_network=1),)),
        hp.SetKeyCnf(result=1, your_nonce=bytes(4)),
        hp.ValidateReq(timer=9),
        hp.ValidateCnf(result=1),
        hp.SlacMatchCnf(run_id=bytes(8), pev_mac=ev.mac, evse_mac=evse.mac, nid=bytes(7), nmk=bytes(16)),
        hv.VsPlLnkStatusCnf(link_status=0),
        hv.VsAttenCharInd(pev_mac=ev.mac, aag=bytes(58)),
        hp.Unknown(mmtype=0xA020, payload=hv.QUALCOMM + bytes(30)),
    ]
    sent = [frame for party in (ev, evse) for _, frame in party.sent]
    sent += [hp.Frame(hp.BROADCAST, ev.mac, message) for message in others]
    return [hp.write(frame) for frame in sent]


def flip(rng: random.Random, octets: bytes) -> bytes:
    changed = bytearray(octets)
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def cut(rng: random.Random, octets: bytes) -> bytes:
    return octets[: rng.randrange(len(octets))]


def stretch(rng: random.Random, octets: bytes) -> bytes:
    return octets + rng.randbytes(rng.randrange(1500))


def renumber(rng: random.Random, octets: bytes) -> bytes:
    return octets[:14] + rng.randbytes(3) + octets[17:]


def swap(rng: random.Random, octets: bytes) -> bytes:
    return octets[6:12] + octets[:6] + octets[12:]


def noise(rng: random.Random, octets: bytes) -> bytes:
    return octets[:14] + rng.randbytes(rng.randrange(200))


MUTATIONS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    flip,
    flip,
    flip,
    cut,
    stretch,
    renumber,
    swap,
    noise,
)


def aim(rng: random.Random, octets: bytes, party: Party, other: Party) -> bytes:
    """Most of the time to the machine, from its peer, its modem or a stranger."""
    to = rng.choice([party.mac, hp.BROADCAST])
    source = rng.choice([other.mac, party.modem.mac, STRANGER])
    return to + source + octets[12:] if rng.random() < 0.9 else octets


def test_the_stages_are_what_they_say() -> None:
    states = {stage: scene(stage, seed=3)[1].state for stage in STAGES}
    assert states == {
        **dict.fromkeys(STAGES, LinkState.MATCHING),
        "closed": LinkState.CLOSED,
        "unmatched": LinkState.UNMATCHED,
        "joining": LinkState.JOINING,
        "matched": LinkState.MATCHED,
        "paused": LinkState.PAUSED,
    }
    phases = {stage: scene(stage, seed=3)[2].events(RunEntered)[-1].phase for stage in list(STAGES)[2:6]}
    assert phases == {
        "asking": "waiting for CM_START_ATTEN_CHAR.IND",
        "sounding": "sounding",
        "reporting": "waiting for CM_ATTEN_CHAR.RSP",
        "validating": "counting toggles",
    }


@pytest.mark.parametrize("stage", STAGES)
def test_mutated_frames_in_every_state(stage: str) -> None:
    rng = random.Random(f"frames {stage}")
    bench, ev, evse = scene(stage, seed=3)
    pool = samples(bench, ev, evse)
    for number in range(FRAMES // len(STAGES) + 1):
        octets = rng.choice(MUTATIONS)(rng, rng.choice(pool))
        for party, other in ((ev, evse), (evse, ev)):
            sent, told = len(party.sent), len(party.log)
            party.give(Octets(aim(rng, octets, party, other)))
            assert len(party.sent) - sent <= 2 and len(party.log) - told <= 8
        if number % 100 == 99:
            bench.run(rng.choice([0.0, 0.01, 0.3, 2.0]))
            if rng.random() < 0.1:
                bench, ev, evse = scene(stage, seed=number)
        key = evse.machine.key
        assert hp.derive_nid(key.nmk) == key.nid  # always one of its own


@pytest.mark.parametrize("stage", [s for s in STAGES if s != "closed"])
def test_well_formed_messages_with_odd_values_in_every_state(stage: str) -> None:
    """Fields drawn at random, run ids and addresses often the right ones."""
    rng = random.Random(f"values {stage}")
    bench, ev, evse = scene(stage, seed=5)
    pool = [hp.read(octets).message for octets in samples(bench, ev, evse)]
    known = [
        *(value for m in pool for value in vars_of(m).values() if isinstance(value, bytes)),
        *(ev.mac, evse.mac, ev.modem.mac, evse.modem.mac),
    ]
    for number in range(400):
        message = odd(rng, rng.choice(pool), known)
        for party, other in ((ev, evse), (evse, ev)):
            source = rng.choice([other.mac, party.modem.mac, STRANGER])
            party.message(message, source, rng.choice([party.mac, hp.BROADCAST]))
        if number % 20 == 19:
            bench.run(rng.choice([0.001, 0.05, 0.5]))


def vars_of(message: hp.Message) -> dict[str, object]:
    assert is_dataclass(message)
    return {field.name: getattr(message, field.name) for field in fields(message)}


def odd(rng: random.Random, message: hp.Message, known: list[bytes]) -> hp.Message:
    """The message with some of its values replaced by others of the same size."""
    changed: dict[str, object] = {}
    for name, value in vars_of(message).items():
        if rng.random() < 0.6 or name in ("mmtype", "fragment"):
            continue
        if isinstance(value, int):
            changed[name] = rng.choice([0, 1, 2, 3, 4, 9, 10, 255])
        elif isinstance(value, bytes):
            alike = [k for k in known if len(k) == len(value)]
            changed[name] = rng.choice([*alike, rng.randbytes(len(value))])
    return replace(message, **changed)


def test_after_all_that_a_car_still_matches() -> None:
    rng = random.Random(11)
    bench, ev, evse = scene("unmatched", seed=11)
    pool = samples(bench, ev, evse)
    for _ in range(500):
        for party, other in ((ev, evse), (evse, ev)):
            party.give(Octets(aim(rng, rng.choice(MUTATIONS)(rng, rng.choice(pool)), party, other)))
    bench.run(2)
    bench.plug()
    bench.run(6)
    assert ev.established and evse.established
    assert ev.state is evse.state is LinkState.MATCHED
