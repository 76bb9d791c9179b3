"""The error tree: every error says what happened, and where."""

from __future__ import annotations

import pickle

import pytest

from iso15118 import errors as e

ALL = [
    e.CodecError("too short", ("A", "B"), 17),
    e.DecodeError("too short"),
    e.EncodeError("no such value", ("A",)),
    e.FramingError("bad", bit=0),
    e.ProtocolError("late", "LOOP", "V2G20-443"),
    e.LocalProtocolError("not now"),
    e.RemoteProtocolError("refused", "LOOP", "V2G20-459", "FAILED_SequenceError"),
    e.DeadlineExpired("V2G_EVCC_Msg_Timeout", "LOOP"),
    e.SecurityError("untrusted"),
    e.DiscoveryError("nobody answered"),
    e.ConfigError("services", "at least one", "a.toml"),
]


@pytest.mark.parametrize("error", ALL, ids=lambda x: type(x).__name__)
def test_one_tree_with_words(error: e.Iso15118Error) -> None:
    assert isinstance(error, e.Iso15118Error)
    assert str(error)
    assert error.diagnostics()


def test_codec_errors_name_path_and_bit() -> None:
    error = e.DecodeError("too short", ("Inner",), 17)
    error.inside("Outer")
    assert str(error) == "Outer/Inner: too short at bit 17"
    assert str(e.DecodeError("too short")) == "too short"
    assert str(e.DecodeError("too short", bit=0)) == "too short at bit 0"
    assert "sender" in error.diagnostics()
    assert "nothing was sent" in e.EncodeError("x").diagnostics()


def test_protocol_errors_name_state_and_requirement() -> None:
    assert str(e.ProtocolError("late", "LOOP", "V2G20-443")) == "late (state LOOP, V2G20-443)"
    assert str(e.ProtocolError("late", requirement="V2G20-443")) == "late (V2G20-443)"
    assert str(e.ProtocolError("late")) == "late"
    assert e.RemoteProtocolError("no", response_code="FAILED").response_code == "FAILED"
    expired = e.DeadlineExpired("a timer", "LOOP")
    assert (str(expired), expired.timer) == ("a timer expired (state LOOP)", "a timer")


def test_config_errors_name_file_and_key() -> None:
    assert str(e.ConfigError("a.b", "no", "c.toml")) == "c.toml: a.b: no"
    assert str(e.ConfigError("a.b", "no")) == "a.b: no"


@pytest.mark.parametrize("kind", [e.CodecError, e.ProtocolError, e.ConfigError])
def test_errors_survive_a_process_boundary(kind: type[Exception]) -> None:
    error = next(x for x in ALL if type(x) is kind)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert vars(again) == vars(error)
