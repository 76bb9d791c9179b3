"""What firmware, parameters and network of a modem tell: judged by the facts known of modems in the field."""

import hashlib

import pytest

from iso15118.runtime.checkup.findings import Level, error, failed, note, ok, summary, warning
from iso15118.runtime.checkup.parameters import (
    PIECES,
    WELL_KNOWN_NETWORKS,
    chip_of,
    judge_answers_of_others,
    judge_firmware,
    judge_network,
    judge_parameters,
    judge_profiles,
    knows_layout,
    parameters_of,
    unknown_layout,
)
from iso15118.sim.powerline.parameters import parameter_block
from iso15118.wire.homeplug import derive_nid


def read(block):
    return parameters_of({name: block[at : at + length] for name, (at, length) in PIECES.items()})


def changed(role, **bytes_at):
    block = bytearray(parameter_block(role))
    for name, value in bytes_at.items():
        block[PIECES[name][0]] = value
    return read(bytes(block))


@pytest.mark.parametrize(("made_for", "role"), [("EVSE", "SECC"), ("EV", "EVCC")])
def test_parameters_of_the_own_side_are_good(made_for, role):
    found = list(judge_parameters(read(parameter_block(made_for)), role))
    assert [f.level for f in found] == [Level.OK]
    assert ("EVSE" if role == "SECC" else "PEV") in found[0].found


@pytest.mark.parametrize(("made_for", "role"), [("EVSE", "EVCC"), ("EV", "SECC")])
def test_a_modem_of_the_other_side_is_told_for_role_and_coordinator(made_for, role):
    found = list(judge_parameters(read(parameter_block(made_for)), role))
    assert [f.level for f in found] == [Level.ERROR, Level.ERROR]
    assert "SLAC role" in found[0].found
    assert "coordinates" in found[1].found
    assert all(f.cause and f.next_step for f in found)


def test_a_modem_without_slac_reports_no_profile():
    (found,) = judge_parameters(changed("EVSE", slac=0), "SECC")
    assert found.level is Level.ERROR
    assert "'off'" in found.found
    assert "attenuation profile" in found.cause


@pytest.mark.parametrize("mode", [0, 1, 3, 77])
def test_a_charger_has_to_coordinate(mode):
    (found,) = judge_parameters(changed("EVSE", cco=mode), "SECC")
    assert (found.level, "always" in found.found) == (Level.ERROR, True)


def test_unusual_speed_limits_are_only_noted():
    found = list(judge_parameters(changed("EV", speed=1), "EVCC"))
    assert [f.level for f in found] == [Level.OK, Level.NOTE]


def test_names_that_cannot_be_printed_do_not_disturb():
    assert changed("EVSE", user=7).user == ".VSE"


@pytest.mark.parametrize(
    ("version", "chip", "known"),
    [
        ("MAC-QCA7005-1.1.0.730-04-20140815-CS", "QCA7005", True),
        ("MAC-QCA7000-1.1.0.11", "QCA7000", True),
        ("MAC-QCA7420-1.4.0.20-00-20171027-CS", "QCA7420", False),
        ("INT6000-MAC-4-1-4102-00-3679", "INT6000", False),
        ("", "", False),
        ("something else", "", False),
    ],
)
def test_chips_by_the_name_of_their_firmware(version, chip, known):
    assert chip_of(version) == chip
    assert knows_layout(version) is known
    assert unknown_layout(version).level is Level.NOTE


@pytest.mark.parametrize(
    ("version", "role", "level"),
    [
        ("MAC-QCA7005-1.1.0.730-04-20140815-CS", "SECC", Level.OK),
        ("MAC-QCA7500-2.0.0.1", "EVCC", Level.WARNING),
        ("MAC-QCA7500-2.0.0.1", "SECC", Level.OK),
        ("MAC-AR7420-1.0.0", "SECC", Level.WARNING),
        ("MAC-QCA7000-1.1.0-emob-vehicle", "SECC", Level.ERROR),
        ("MAC-QCA7000-1.1.0-emob-charger", "SECC", Level.OK),
        ("MAC-QCA7000-1.1.0-emob-charger", "EVCC", Level.ERROR),
    ],
)
def test_firmware_known_in_the_field(version, role, level):
    assert [f.level for f in judge_firmware(version, role)] == [level]


def key_of(phrase):
    digest = hashlib.sha256(phrase.encode() + bytes.fromhex("08856daf7cf58186")).digest()
    for _ in range(999):
        digest = hashlib.sha256(digest).digest()
    return digest[:16]


def test_well_known_networks_follow_from_their_keys():
    for phrase in ("HomePlugAV", "HomePlugAV0123"):
        assert WELL_KNOWN_NETWORKS[derive_nid(key_of(phrase))] == phrase
    assert {derive_nid(bytes(16)), derive_nid(b"\xff" * 16)} <= WELL_KNOWN_NETWORKS.keys()


def test_the_factory_key_is_warned_of_and_another_is_not():
    (found,) = judge_network(derive_nid(key_of("HomePlugAV")))
    assert found.level is Level.WARNING
    assert list(judge_network(bytes.fromhex("893db683c80001"))) == []


def test_modems_that_answer_over_the_powerline():
    assert judge_answers_of_others(2).level is Level.WARNING
    assert judge_answers_of_others(0).level is Level.NOTE


@pytest.mark.parametrize(
    ("sounds", "groups", "level"),
    [(10, (58,) * 10, Level.OK), (10, (0,) * 10, Level.ERROR), (10, (), Level.ERROR), (0, (), Level.NOTE)],
)
def test_attenuation_profiles(sounds, groups, level):
    (found,) = judge_profiles("SECC", sounds, groups)
    assert found.level is level
    assert list(judge_profiles("EVCC", sounds, groups)) == []


def test_the_summary_counts():
    found = [ok("a", "b"), note("a", "b"), warning("a", "b", "c", "d"), warning("a", "b", "c", "d")]
    assert summary(found) == "4 checks: 2 warnings, 1 note"
    assert summary(found[:1]) == "1 checks: all as it should be"
    assert not failed(found)
    assert failed([*found, error("a", "b", "c", "d")])
