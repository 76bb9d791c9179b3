"""Recordings of real cars and chargers, played to the machine of the other side: it has to end in the same key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pytest

from iso15118.config import SlacConfig
from iso15118.machine import Frame as Octets
from iso15118.slac.dlink import DLink, LinkState
from iso15118.slac.events import EvseChosen, KeySet
from iso15118.slac.keys import NetworkKey
from iso15118.wire import homeplug as hp
from tests.unit.slac.bench import Bench, Party

pytestmark = pytest.mark.vectors

VECTORS = Path(__file__).parents[4] / "shared" / "vectors" / "slac"
MULTI = "dsV2Gshark__ISO-2_DC_multi_EVSE_SLAC_DS5366_Josev"

# What chargers may say differently from ours without meaning anything else.
FREE = {
    hp.SlacParmCnf: {"resp_type"},
    hp.AttenCharInd: {"num_sounds", "aag", "source_id", "resp_id"},
    hp.SlacMatchCnf: {"evse_id"},
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was recorded of one run up to its key: (s, frame), the raw octets beside."""

    ev: bytes
    run_id: bytes
    evse: bytes
    confirmation: hp.SlacMatchCnf
    frames: tuple[tuple[float, hp.Frame, bytes], ...]

    def of(self, kind: type[hp.Message]) -> list[hp.Message]:
        """Messages of a kind between these two."""
        hosts = {self.ev, self.evse}
        return [
            f.message
            for _, f, _ in self.frames
            if isinstance(f.message, kind) and {f.source, f.destination} <= hosts
        ]


def recorded(path: Path) -> Iterator[Recorded]:
    """The runs of a recording that ended in a key, the first of each pair and run id."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    octets = [(line["t"], bytes.fromhex(line["hex"])) for line in lines if "note" not in line]
    frames = [(t, hp.read(raw), raw) for t, raw in octets]
    known, begin = set(), 0
    for number, (_, frame, _) in enumerate(frames):
        match frame.message:
            case hp.SlacMatchCnf(pev_mac=ev, run_id=run_id, evse_mac=evse) as confirmation:
                if (ev, run_id, evse) not in known:
                    known.add((ev, run_id, evse))
                    yield Recorded(ev, run_id, evse, confirmation, tuple(frames[begin : number + 1]))
                begin = number + 1


def recordings() -> list[Path]:
    """Recordings with a key in them."""
    found = sorted(p for p in VECTORS.glob("*.jsonl") if not p.name.startswith(("cp__", "cpmsg__")))
    return [p for p in found if "CM_SLAC_MATCH.CNF" in p.read_text()]


PATHS = recordings() or [None]


def runs_of(path: Path | None) -> list[Recorded]:
    if path is None:
        pytest.skip("needs the recordings in ../shared/vectors/slac")
    return list(recorded(path))


def name(path: Path | None) -> str:
    return path.stem if path is not None else "none"


def same(ours: hp.Message, theirs: hp.Message) -> None:
    """Equal but for what may differ; the same octets in the same places then."""
    free = {f.name: getattr(theirs, f.name) for f in fields(theirs) if f.name in FREE[type(theirs)]}
    assert replace(ours, **free) == theirs


# --- real cars, our charger ---------------------------------------------------------------------


def modem_of(run: Recorded) -> bytes:
    """The EVSE's modem: whoever told its host what it heard."""
    to_host = [f.source for _, f, _ in run.frames if isinstance(f.message, hp.AttenProfileInd)]
    meant = [
        f.source
        for _, f, _ in run.frames
        if isinstance(f.message, hp.AttenProfileInd) and f.destination == run.evse
    ]
    return (meant or to_host or [bytes.fromhex("02b052000c01")])[0]


def charger(run: Recorded) -> tuple[Bench, Party]:
    bench = Bench()
    evse = bench.evse(host=run.evse, mac=modem_of(run))
    bench.open()
    evse.machine.key = NetworkKey(run.confirmation.nid, run.confirmation.nmk)
    evse.give(DLink.MATCH)
    return bench, evse


def play_car(run: Recorded) -> Party:
    """Give the car's frames at the pace of the recording; its response follows our report, not the recorded one.

    Where the car's host recorded, or the modem was too old to measure, there are no profiles: the report has them.
    """
    bench, evse = charger(run)
    measured = any(isinstance(f.message, hp.AttenProfileInd) and f.message.aag for _, f, _ in run.frames)
    heard = hp.AttenProfileInd(pev_mac=run.ev, aag=run.of(hp.AttenCharInd)[0].aag)
    responses = [(f, o) for _, f, o in run.frames if isinstance(f.message, hp.AttenCharRsp)]
    response = next(octets for frame, octets in responses if frame.destination == run.evse)

    def respond(_: Party, frame: hp.Frame) -> hp.Frame:
        if isinstance(frame.message, hp.AttenCharInd):
            bench.later(0.001, lambda: evse.give(Octets(response)))
        return frame

    bench.changes.append(respond)
    last = run.frames[0][0]
    for t, frame, octets in run.frames:
        bench.run(max(0.0, t - last))
        last = t
        if frame.source in (run.ev, evse.modem.mac) and not isinstance(frame.message, hp.AttenCharRsp):
            evse.give(Octets(octets))
        if isinstance(frame.message, hp.MnbcSoundInd) and frame.source == run.ev and not measured:
            evse.message(heard, evse.modem.mac)
    return evse


@pytest.mark.parametrize("path", PATHS, ids=name)
def test_real_cars_get_their_key_from_our_evse(path: Path | None) -> None:
    played = 0
    for run in runs_of(path):
        if not any(isinstance(f.message, hp.SlacParmReq) for _, f, _ in run.frames):
            continue  # overheard by a third modem: what the EVSE sent is all there is
        evse = play_car(run)
        for kind in (hp.SlacParmCnf, hp.AttenCharInd, hp.SlacMatchCnf):
            mine = [m for m in evse.messages(kind) if m.run_id == run.run_id]
            theirs = [m for m in run.of(kind) if m.run_id == run.run_id]
            same(mine[0], theirs[0])
        assert evse.state is LinkState.JOINING
        played += 1
    if not played:
        pytest.skip("the car is not in this recording")


# --- real chargers, our car ---------------------------------------------------------------------


def play_chargers(run: Recorded) -> Party:
    """Answer our car with what the chargers in the recording sent of the same kind."""
    bench = Bench()
    run_ids = [run.run_id]
    bench.entropy = lambda count: run_ids[0] if count == len(run.run_id) else bench.random.randbytes(count)
    ev = bench.ev(SlacConfig(match_attempts=1), host=run.ev)
    bench.open()
    answers = {
        hp.SlacParmReq: hp.SlacParmCnf,
        hp.MnbcSoundInd: hp.AttenCharInd,
        hp.SlacMatchReq: hp.SlacMatchCnf,
    }

    def answer(_: Party, frame: hp.Frame) -> hp.Frame:
        kind = answers.get(type(frame.message))
        if kind is not None and getattr(frame.message, "cnt", 0) == 0:
            for theirs in newest(run, kind).values():
                bench.later(0.005, lambda octets=theirs: ev.give(Octets(octets)))
        return frame

    bench.changes.append(answer)
    ev.give(DLink.MATCH)
    bench.run(3)
    return ev


def newest(run: Recorded, kind: type[hp.Message]) -> dict[bytes, bytes]:
    """The last message of a kind from each EVSE for this run."""
    wanted = [
        (f, octets) for _, f, octets in run.frames if isinstance(f.message, kind) and f.destination == run.ev
    ]
    return {f.source: octets for f, octets in wanted if f.message.run_id == run.run_id}


@pytest.mark.parametrize("path", PATHS, ids=name)
def test_our_car_takes_the_key_of_real_evses(path: Path | None) -> None:
    for run in runs_of(path):
        ev = play_chargers(run)
        assert ev.modem.keys[1] == (run.confirmation.nid, run.confirmation.nmk)
        assert ev.events(KeySet)[1].nid == run.confirmation.nid
        assert ev.events(EvseChosen)[0].mac == run.evse


def test_the_nearer_of_two_real_evses_is_chosen() -> None:
    """25.8 dB against 31.3 dB."""
    (run,) = runs_of(next((p for p in PATHS if p is not None and p.stem == MULTI), None))
    assert len(newest(run, hp.AttenCharInd)) == 2
    ev = play_chargers(run)
    assert "nearest of 2" in ev.events(EvseChosen)[0].why


def test_all_runs_are_played() -> None:
    assert sum(len(runs_of(path)) for path in PATHS) == 48


def test_quirk_3_nids_need_not_follow_from_the_key() -> None:
    derived = {hp.derive_nid(r.confirmation.nmk) == r.confirmation.nid for p in PATHS for r in runs_of(p)}
    assert derived == {True, False}
