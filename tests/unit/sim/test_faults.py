"""Faults as text and as data."""

from __future__ import annotations

import pytest

from iso15118.errors import ConfigError
from iso15118.sim.faults import KINDS, draw, fault, parse
from iso15118.sim.injection import _ACTS


def test_text_and_back() -> None:
    faults = parse("late_contactor(2.5), tcp_stall(at=8, seconds=1), sdp_loss")
    assert [f.name for f in faults] == ["late_contactor", "tcp_stall", "sdp_loss"]
    assert faults[0].number("seconds") == 2.5
    assert faults[0].text("side") == "EVSE"
    assert str(faults[1]) == "tcp_stall(at=8, seconds=1)"
    assert parse(", ".join(map(str, faults))) == faults
    assert parse("  ") == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("late_kontaktor", "unknown; known: bouncing_contactor"),
        ("late_contactor(soon)", "'soon' is no number"),
        ("late_contactor(1, 2, 3)", "accepted parameters: seconds, side"),
        ("late_contactor(hours=1)", "accepted parameters: seconds, side"),
        ("half_close(at=1, side=EV)", "accepted: SECC, EVCC"),
        ("tcp_stall(at=8", "cannot read"),
        ("tcp_reset;unplug", "cannot read"),
    ],
)
def test_mistakes_are_explained(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        parse(text)


def test_chance_follows_the_seed() -> None:
    assert draw(7) == draw(7) == parse("random", seed=7)
    assert len({draw(seed) for seed in range(50)}) > 45
    seen = {f.name for seed in range(300) for f in draw(seed)}
    assert seen == set(KINDS)
    assert all(parse(", ".join(map(str, draw(seed)))) == draw(seed) for seed in range(50))


def test_ac_has_no_isolation_test() -> None:
    assert not {f.name for seed in range(200) for f in draw(seed, dc=False)} & {
        "isolation_fault",
        "wrong_voltage",
    }


def test_every_fault_can_be_injected() -> None:
    assert set(_ACTS) == set(KINDS)


def test_every_default_lies_where_chance_draws() -> None:
    for name, kind in KINDS.items():
        for value, parameter in zip(fault(name).values, kind.parameters, strict=True):
            assert value == (parameter.name, parameter.default)
            assert parameter.choices or parameter.low <= float(parameter.default) <= parameter.high
