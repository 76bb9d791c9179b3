"""What SCPI devices answer, and what is not taken for an answer."""

from __future__ import annotations

import pytest

from hal.drivers.scpi_lines import (
    figure,
    parse_error,
    parse_line,
    parse_number,
    parse_watchdog,
    parse_word,
)


def test_a_line_is_one_line() -> None:
    assert parse_line(b"12.5V, 33.3A, 420W") is None
    assert parse_line(b"12.5V, 33.3A, 420W\r\n") == "12.5V, 33.3A, 420W"
    for data in (b"12.5V\n33.3A\n", b"x" * 300, b"\xff\n"):
        with pytest.raises(ValueError):
            parse_line(data)


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("12.5V", "V", 12.5),
        (" 33.3A", "A", 33.3),
        ("420W", "W", 420.0),
        ("15.0kW", "W", 15_000.0),
        ("-20.0 A", "A", -20.0),
        ("+4.000E+02", "V", 400.0),
        ("0.0012", "A", 0.0012),
    ],
)
def test_numbers_with_their_units(text: str, unit: str, value: float) -> None:
    assert parse_number(text, unit, 1e6) == value


@pytest.mark.parametrize("text", ["12.5A", "mV", "", "1.2.3V", "nan", "inf", "1001V", "400 mV", "0,None"])
def test_what_is_no_voltage(text: str) -> None:
    with pytest.raises(ValueError, match=r"no number in V|beyond 1000 V"):
        parse_number(text, "V", 1000.0)


def test_the_error_queue() -> None:
    assert parse_error('0,"No error"') == parse_error("0,None") == ""
    assert parse_error('-222,"Data out of range"') == '-222,"Data out of range"'
    for text in ('9,"No error"', "8,None", "400.0V", "ON", ""):
        with pytest.raises(ValueError, match=r"contradicts itself|no answer"):
            parse_error(text)


def test_words_and_watchdogs() -> None:
    assert parse_word(("ON", "OFF"), "ON ") == "ON"
    with pytest.raises(ValueError, match="'ONE' is none of ON, OFF"):
        parse_word(("ON", "OFF"), "ONE")
    assert [parse_watchdog(text) for text in ("2000", "0", "-1")] == [2000, 0, -1]
    for text in ("000", "-2", "2e3", "1.5"):
        with pytest.raises(ValueError, match="no state of a watchdog"):
            parse_watchdog(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(400.0, "400"), (20.0, "20"), (0.0, "0"), (-20.5, "20.5"), (1.9999, "1.999"), (1e-9, "0"), (0.3, "0.3")],
)
def test_a_set_point_is_never_rounded_up(value: float, text: str) -> None:
    assert figure(value) == text
