"""Configurations: defaults of the standard, TOML, and errors that name key and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from iso15118.config import EvccConfig, EvccTimers, SeccConfig, SeccTimers, SlacTimers
from iso15118.control.common import ControlMode, EnergyService
from iso15118.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    file = folder / "station.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_defaults_are_those_of_the_standard() -> None:
    timers = SeccTimers()
    assert (timers.sequence_s, timers.loop_sequence_s, timers.communication_setup_s) == (60.0, 0.5, 18.0)
    assert (timers.ongoing_s, timers.contactor_s) == (55.0, 1.4)
    assert timers.close_s <= 5.0
    assert timers.cable_check_s < EvccTimers().cable_check_s
    assert timers.ongoing_s < EvccTimers().ongoing_s
    assert SeccConfig().insecure_no_tls is False
    assert EvccConfig().insecure_no_tls is False


def test_everything_can_be_read_from_toml(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """
        evse_id = "DE*ABC*E9"
        services = ["dc_bpt", "MCS", "ac"]
        control_modes = ["scheduled"]
        ac_nominal_frequency_hz = 60
        service_renegotiation = false
        time_unit = "s"
        discharge_sign = "negative"
        max_payload = 2048
        [timers]
        loop_sequence_s = 2
        """,
    )
    config = SeccConfig.from_toml(file)
    assert config.services == (EnergyService.DC_BPT, EnergyService.MCS, EnergyService.AC)
    assert config.control_modes == (ControlMode.SCHEDULED,)
    assert config.ac_nominal_frequency_hz == 60.0
    assert isinstance(config.ac_nominal_frequency_hz, float)
    assert config.timers == SeccTimers(loop_sequence_s=2.0)
    assert (config.time_unit, config.discharge_sign, config.max_payload) == ("s", "negative", 2048)
    assert SeccConfig.from_toml(str(file)) == config


def test_optional_values(tmp_path: Path) -> None:
    data = {"control_mode": "dynamic", "max_loops": 7, "services": ["AC"]}
    config = EvccConfig.from_dict(data)
    assert (config.control_mode, config.max_loops) == (ControlMode.DYNAMIC, 7)
    assert EvccConfig.from_dict({}).control_mode is None


@pytest.mark.parametrize(
    ("data", "key", "hint"),
    [
        ({"evse_idd": "x"}, "evse_idd", "did you mean 'evse_id'?"),
        ({"zzz": 1}, "zzz", "known: ac_connector"),
        ({"timers": {"sequence": 1.0}}, "timers.sequence", "did you mean 'sequence_s'?"),
        ({"timers": 5}, "timers", "a table is expected"),
        ({"services": "DC"}, "services", "a list is expected"),
        ({"services": ["DCC"]}, "services", "accepted: AC, DC"),
        ({"services": []}, "services", "at least one"),
        ({"services": ["WPT"]}, "services", "accepted: AC, AC_BPT"),
        ({"services": ["DC", "dc"]}, "services", "each service once"),
        ({"control_modes": []}, "control_modes", "SCHEDULED, DYNAMIC or both"),
        ({"control_modes": ["auto"]}, "control_modes", "SCHEDULED, DYNAMIC"),
        ({"evse_id": ""}, "evse_id", "1 to 255"),
        ({"evse_id": "x" * 256}, "evse_id", "1 to 255"),
        ({"evse_id": 7}, "evse_id", "7 is not a str"),
        ({"max_payload": 1000}, "max_payload", "1024 to"),
        ({"max_payload": 2.5}, "max_payload", "not a int"),
        ({"max_payload": True}, "max_payload", "not a int"),
        ({"authorization_attempts": 0}, "authorization_attempts", "1 or more"),
        ({"time_unit": "ms"}, "time_unit", "accepted: 'us', 's'"),
        ({"free_service": "yes"}, "free_service", "not a bool"),
        ({"timers": {"close_s": "4"}}, "timers.close_s", "not a float"),
    ],
)
def test_errors_name_the_key_and_what_is_accepted(data: dict[str, object], key: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SeccConfig.from_dict(data, "station.toml")
    assert caught.value.key == key
    assert hint in caught.value.reason
    assert str(caught.value).startswith(f"station.toml: {key}: ")


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"services": []}, "services"),
        ({"services": ["DC_ACDP"]}, "services"),
        ({"evcc_id": ""}, "evcc_id"),
        ({"supporting_points": 11}, "supporting_points"),
        ({"supporting_points": 1025}, "supporting_points"),
        ({"loop_interval_s": 0.3}, "loop_interval_s"),
        ({"loop_interval_s": -0.1}, "loop_interval_s"),
        ({"max_payload": 1}, "max_payload"),
    ],
)
def test_errors_of_the_evs_configuration(data: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        EvccConfig.from_dict(data)
    assert caught.value.key == key


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for file in (tmp_path / "nowhere.toml", write(tmp_path, "services = ")):
        with pytest.raises(ConfigError) as caught:
            SeccConfig.from_toml(file)
        assert caught.value.file == str(file)
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'evse_id = "\xe4"')
    with pytest.raises(ConfigError):
        SeccConfig.from_toml(latin)


def test_a_configuration_is_a_value() -> None:
    assert SeccConfig() == SeccConfig()
    with pytest.raises(AttributeError):
        SeccConfig().evse_id = "other"  # type: ignore[misc]


def test_times_of_matching_are_above_zero():
    assert SlacTimers(sounding_grace_s=0.0).sounding_grace_s == 0.0
    with pytest.raises(ConfigError, match="match_response_s"):
        SlacTimers(match_response_s=0.0)
    with pytest.raises(ConfigError, match=r"slac\.timers\.join_s"):
        SeccConfig.from_dict({"slac": {"timers": {"join_s": -1.0}}})
