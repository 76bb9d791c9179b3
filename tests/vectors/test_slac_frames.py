"""Recorded HomePlug frames of real cars, chargers and modems: all are read, and written to the same octets again."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iso15118.wire import homeplug
from iso15118.wire.homeplug_names import name_of

pytestmark = pytest.mark.vectors

# Why a frame does not return to its octets. Everything else does.
NOT_EXACT = {
    "CC_DISCOVER_LIST.REQ": "tagged, 60 octets with the tag: we pad to 60 without it",
    "CM_SLAC_PARM.CNF": "likewise",
    "CM_GET_KEY.CNF": "Qualcomm's 425 octets: zeros follow the key",
    "VS_SW_VER.CNF": "0xFF and zeros follow the version",
    "VS_OP_ATTRIBUTES.CNF": "a kilobyte of attributes nobody reads",
    "VS_ATTEN_CHAR.IND": "some firmware fills the OUI in; we leave it empty as the others do",
}


@pytest.fixture(scope="module")
def recorded(shared: Path) -> dict[str, list[dict[str, Any]]]:
    """Recording -> its frames."""
    folder = shared / "vectors" / "slac"
    if not folder.is_dir():
        pytest.skip("no recorded frames: ../shared/vectors/slac is not there")
    frames = defaultdict(list)
    for path in sorted(folder.glob("*.jsonl")):
        if not path.name.startswith(("cp__", "cpmsg__")):
            frames[path.name] = [json.loads(line) for line in path.read_text().splitlines()]
    return frames


def every(
    recorded: dict[str, list[dict[str, Any]]],
) -> Iterator[tuple[dict[str, Any], bytes, homeplug.Frame]]:
    for frames in recorded.values():
        for facts in frames:
            octets = bytes.fromhex(facts["hex"])
            yield facts, octets, homeplug.read(octets)


def test_every_frame_is_read_and_named(recorded) -> None:
    count = 0
    for facts, _, frame in every(recorded):
        assert name_of(frame.message) == facts["mmtype"]
        assert frame.source.hex(":") == facts["src"]
        assert frame.destination.hex(":") == facts["dst"]
        assert frame.mmv == facts["mmv"]
        assert (frame.vlan is not None) == ("vlan" in facts)
        count += 1
    assert count > 3000


def test_every_frame_returns_to_its_octets(recorded) -> None:
    different = Counter()
    for facts, octets, frame in every(recorded):
        written = homeplug.write(frame)
        if written != octets:
            different[facts["mmtype"]] += 1
            assert homeplug.read(written).message == frame.message  # even then no field differs
    assert different.keys() == NOT_EXACT.keys()
    assert different["CM_SLAC_PARM.CNF"] == 2


def test_the_identifiers_of_networks_follow_from_their_keys(recorded) -> None:
    """Commercial chargers derive them; one simulator and one tool do not."""
    derived, own = set(), set()
    for name, frames in recorded.items():
        for facts in frames:
            message = homeplug.read(bytes.fromhex(facts["hex"])).message
            if isinstance(message, homeplug.SlacMatchCnf):
                follows = homeplug.derive_nid(message.nmk) == message.nid
                (derived if follows else own).add(name)
    assert len(derived) > 15
    assert all("DS5366" in name or name.startswith("pyPLC") for name in own)


def test_the_average_of_a_charger_follows_from_its_profiles(recorded) -> None:
    frames = recorded["iso15118-simulator-rs__vw-ac-iso2.jsonl"]
    messages = [homeplug.read(bytes.fromhex(facts["hex"])).message for facts in frames]
    profiles = [m.aag for m in messages if isinstance(m, homeplug.AttenProfileInd)]
    report = next(m for m in messages if isinstance(m, homeplug.AttenCharInd))
    assert len(profiles) == report.num_sounds == 10
    assert bytes(sum(group) // 10 for group in zip(*profiles, strict=True)) == report.aag
