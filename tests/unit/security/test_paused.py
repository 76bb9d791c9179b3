"""A paused session: who may go on with it, and that it survives a restart as it was."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iso15118.control.common import ControlMode, EnergyService
from iso15118.errors import ConfigError
from iso15118.messages import namespaces
from iso15118.security.binding import session_binding
from iso15118.security.paused import PausedSession

LEAF, ID, PAUSED_AT = b"certificate", bytes(range(1, 9)), 1_764_000_000.0
PAUSED = PausedSession(
    session_id=ID,
    binding=session_binding(ID, LEAF),
    namespace=namespaces.DC,
    service=EnergyService.DC_BPT,
    parameter_set_id=2,
    control_mode=ControlMode.DYNAMIC,
    peer_id="WMIV1234567890ABCDEX",
    payer=b"\x30\x82",
    renegotiation_supported=True,
    since=PAUSED_AT,
    charged_wh=1234.5,
    discharged_wh=6.0,
)


@pytest.mark.req("V2G20-2545")
@pytest.mark.parametrize(
    ("given_", "why"),
    [
        ({}, ""),
        ({"leaf": LEAF + b"x"}, "another peer"),
        ({"leaf": b""}, "another peer"),
        ({"leaf": None}, "another peer"),
        ({"namespace": namespaces.AC}, "another protocol"),
        ({"utc_s": PAUSED_AT + 100.0}, ""),
        ({"utc_s": PAUSED_AT + 100.1}, "more than 100 s ago"),
        ({"utc_s": PAUSED_AT - 99.0}, ""),
        ({"utc_s": PAUSED_AT - 101.0}, "more than 100 s ago"),
    ],
)
def test_who_may_go_on(given_, why):
    usual = {"leaf": LEAF, "namespace": namespaces.DC, "utc_s": PAUSED_AT, "within_s": 100.0}
    objection = PAUSED.objection(**(usual | given_))
    assert why in objection
    assert bool(objection) is bool(why)


def test_the_binding_is_over_this_id_and_no_other():
    assert PAUSED.belongs_to(LEAF)
    assert not replace(PAUSED, session_id=bytes(8)).belongs_to(LEAF)


@given(
    st.builds(
        PausedSession,
        session_id=st.binary(max_size=8),
        binding=st.binary(max_size=64),
        namespace=st.text(max_size=60),
        service=st.sampled_from(EnergyService),
        parameter_set_id=st.integers(0, 65_535),
        control_mode=st.sampled_from(ControlMode),
        peer_id=st.text(max_size=37),
        payer=st.binary(max_size=100),
        renegotiation_supported=st.booleans(),
        since=st.floats(0, 4e9),
        charged_wh=st.floats(0, 1e6),
        discharged_wh=st.floats(0, 1e6),
    )
)
def test_what_is_kept_comes_back(paused):
    assert PausedSession.from_text(paused.to_text()) == paused


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", "{", '"x"', "1e999"])
def test_what_is_no_paused_session_is_told(text):
    with pytest.raises(ConfigError, match="cannot be read"):
        PausedSession.from_text(text)


@pytest.mark.parametrize("name", [each.name for each in fields(PausedSession)])
@pytest.mark.parametrize("wrong", [None, [], {"a": 1}, "zz"])
def test_every_field_is_looked_at(name, wrong):
    if wrong == "zz" and name in ("namespace", "peer_id"):
        return
    values = json.loads(PAUSED.to_text()) | {name: wrong}
    with pytest.raises(ConfigError):
        PausedSession.from_text(json.dumps(values))
    values.pop(name)
    with pytest.raises(ConfigError):
        PausedSession.from_text(json.dumps(values))


def test_no_certificate_and_no_binding_in_a_log():
    assert PAUSED.binding.hex() not in repr(PAUSED)
    assert repr(PAUSED.binding) not in repr(PAUSED)
