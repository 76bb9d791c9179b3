"""What is said between a host and the safety controller of chargebyte boards, octet by octet.

A5 | identifier | 8 octets, one word with the highest bit first | CRC-8/J1850 over identifier and word | 03
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from hal.drivers.codecs import crc8_j1850
from hal.types import CpState

START: Final = 0xA5
END: Final = 0x03
LENGTH: Final = 12

CHARGE_CONTROL: Final = 0x06
CHARGE_STATE: Final = 0x07
TEMPERATURES: Final = 0x08
FIRMWARE: Final = 0x0A
INQUIRY: Final = 0xFF
ACTION: Final = 0xFE
RCM_SELF_TEST: Final = 1
"""The action that lets the residual-current monitor test itself."""

BOARDS: Final = (0x81, 0x82)
"""Charge SOM, Charge Control Y."""
CONTACTORS: Final = 0b111 << 40
"""The bits of all contactors in `charge_control`."""
CHARGING_FIRMWARE: Final = 3
"""Kind of application; others are for making and testing the board."""

COMMUNICATION_TIMEOUT: Final = "communication_timeout"
"""The host was not heard."""
REASONS: Final = {
    1: "internal_error",
    2: COMMUNICATION_TIMEOUT,
    **dict.fromkeys(range(3, 7), "thermometer_failed"),
    **dict.fromkeys(range(7, 11), "over_temperature"),
    11: "proximity_failed",
    12: "pilot_failed",
    13: "pilot_short",
    14: "diode_fault",
    15: "high_voltage_switch_failed",
    **dict.fromkeys(range(16, 19), "emergency_stop"),
    20: "residual_current",
    21: "residual_current_self_test",
}
"""Why the controller is in its safe state."""

_STATES: Final = dict(enumerate((CpState.A, CpState.B, CpState.C, CpState.D, CpState.E, CpState.F), start=1))
_CABLES_A: Final = {0: 0.0, 1: 13.0, 2: 20.0, 3: 32.0, 4: 63.0}
_SAFE: Final = (1, 2)  # 3: not available; 2 is undefined, and a doubt
_UNUSED_TEMPERATURE: Final = 0x1FFF


class Frame(NamedTuple):
    """A frame that has passed the checks."""

    identifier: int
    word: int


def encode(identifier: int, word: int) -> bytes:
    """The octets of a frame."""
    body = bytes([identifier]) + word.to_bytes(8, "big")
    return bytes([START]) + body + bytes([crc8_j1850(body), END])


def inquiry(identifier: int, argument: int = 0) -> bytes:
    """Ask for the frame `identifier`, or (`ACTION`) for the action `argument`."""
    return encode(INQUIRY, identifier << 56 | argument << 48)


class Decoder:
    """Finds the frames in a stream that arrives in any portions, with noise anywhere."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that these octets complete."""
        self._buffer += data
        frames = []
        start = self._buffer.find(START)
        while start >= 0 and len(self._buffer) - start >= LENGTH:
            raw = bytes(self._buffer[start : start + LENGTH])
            if raw[-1] == END and crc8_j1850(raw[1:-2]) == raw[-2]:
                frames.append(Frame(raw[1], int.from_bytes(raw[2:10], "big")))
                start += LENGTH
            else:
                start += 1
            start = self._buffer.find(START, start)
        del self._buffer[: start if start >= 0 else len(self._buffer)]
        return frames


def charge_control(duty: float, closed: tuple[int, ...] = ()) -> int:
    """The word that commands the controller: a duty cycle in percent (0.0 for no oscillator at all, 100.0 for
    +12 V) and the contactors (1 to 3) that are to close.
    """
    word = (1 << 63 | round(duty * 10) << 48) if duty else 0
    for contactor in closed:
        word |= 1 << 39 + contactor
    return word


@dataclass(frozen=True, slots=True)
class ChargeState:
    """What the controller tells ten times a second.

    `duty` in percent as in `charge_control`. `contactors`: per channel True (closed), False (open), None for
    undefined; channels that are not used are left out. `emergency`: whether any input has tripped. `reason`:
    why it is in its safe state, one of `REASONS` or "safe_state"; "" while it is not.
    """

    duty: float
    state: CpState | None
    shorted: bool
    diode_fault: bool
    ampacity_a: float | None
    contactors: dict[int, bool | None]
    residual_error: bool
    emergency: bool
    reason: str

    @property
    def safe(self) -> bool:
        """Whether it is in its safe state."""
        return bool(self.reason)

    @classmethod
    def parse(cls, word: int) -> ChargeState:
        """From the word of a frame."""
        contactors = {number: _bits(word, 22 + 2 * number, 2) for number in (1, 2, 3)}
        safe = _bits(word, 58, 2) in _SAFE
        reason = REASONS.get(_bits(word, 8, 8), "safe_state") if safe else ""
        return cls(
            duty=_bits(word, 48, 10) / 10 if _bits(word, 63, 1) else 0.0,
            state=_STATES.get(_bits(word, 40, 3)),
            shorted=bool(_bits(word, 43, 1)) or reason == "pilot_short",
            diode_fault=bool(_bits(word, 44, 1)) or reason == "diode_fault",
            ampacity_a=_CABLES_A.get(_bits(word, 32, 3)),
            contactors={n: {1: False, 2: True}.get(told) for n, told in contactors.items() if told != 3},
            residual_error=_bits(word, 22, 2) == 3,
            emergency=any(_bits(word, at, 2) == 1 for at in (16, 18, 20)),
            reason=reason,
        )


class Temperature(NamedTuple):
    """One PT1000: degrees Celsius, and whether it has stopped charging or failed its test."""

    celsius: float
    stopped: bool
    failed: bool


def temperatures(word: int) -> dict[int, Temperature]:
    """By channel (1 to 4); channels that are not used are left out."""
    found = {}
    for channel in range(1, 5):
        raw = _bits(word, 64 - 16 * channel, 16)
        value = raw >> 2
        if value != _UNUSED_TEMPERATURE:
            signed = value - (1 << 14) if value >> 13 else value
            found[channel] = Temperature(signed / 10, bool(raw & 1), bool(raw & 2))
    return found


class Firmware(NamedTuple):
    """Who the controller is."""

    version: str
    platform: int
    application: int

    @classmethod
    def parse(cls, word: int) -> Firmware:
        """From the word of a frame."""
        major, minor, build = (_bits(word, at, 8) for at in (56, 48, 40))
        return cls(f"{major}.{minor}.{build}", _bits(word, 32, 8), _bits(word, 24, 8))


def _bits(word: int, lowest: int, count: int) -> int:
    return word >> lowest & (1 << count) - 1
