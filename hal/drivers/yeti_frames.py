"""What is said between a host and the boards of the Yeti family, octet by octet.

A packet is a message in Protocol Buffers with its CRC-32/JAMCRC (low octet first) behind it, in COBS, ended by a
zero. Field numbers of `Message`s are those of the boards' own message definitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hal.drivers.codecs import cobs_decode, cobs_encode, crc32_jamcrc
from hal.drivers.protobuf import Field, Kind, Message, decode, encode, flat

DELIMITER: Final = 0
LONGEST: Final = 2048
"""Octets of a packet."""
_CRC: Final = 4

_HOST_ALIVE: Final = Message(
    {**flat(Kind.UINT, time=1, hw_type=2, hw_rev=3), "sw": Field(6, Kind.TEXT)},
)
_BOARD_ALIVE: Final = Message(
    {
        **flat(Kind.UINT, time=1, hw_type=2, hw_rev=3, major=4, minor=5),
        "sw": Field(6, Kind.TEXT),
        **flat(Kind.FLOAT, max_a=7, min_a=8),
        **flat(Kind.UINT, max_phases=9, min_phases=10),
        "may_change_phases": Field(11, Kind.BOOL),
    }
)


def _choice(fields: Mapping[str, Field]) -> Message:
    """A message that is exactly one of these."""
    return Message(fields, oneof=frozenset(fields))


TO_EVSE: Final = _choice(
    {
        "keep_alive": Field(100, Kind.MESSAGE, _HOST_ALIVE),
        "lock": Field(102, Kind.BOOL),
        "pwm": Field(103, Kind.UINT),  # in 0.01 %; 0 is state F
        "power": Field(104, Kind.BOOL),
        "reset": Field(105, Kind.BOOL),
    }
)
FROM_EVSE: Final = _choice(
    {
        "keep_alive": Field(3, Kind.MESSAGE, _BOARD_ALIVE),
        "own_words": Field(100, Kind.MESSAGE, _HOST_ALIVE),  # a host's: no board says this
        "reset": Field(101, Kind.UINT),
        "cp_state": Field(102, Kind.UINT),
        "relay": Field(103, Kind.BOOL),
        "errors": Field(
            104,
            Kind.MESSAGE,
            Message(
                flat(
                    Kind.BOOL,
                    diode_fault=1,
                    residual_current_self_test=2,
                    residual_current=3,
                    ventilation=4,
                    lock_failed=5,
                    pilot_fault=6,
                    over_current=7,
                )
            ),
        ),
        "pp_state": Field(106, Kind.UINT),
        "lock": Field(107, Kind.UINT),
        "meter": Field(
            108,
            Kind.MESSAGE,
            Message(
                {
                    "time": Field(1, Kind.UINT),
                    **flat(Kind.FLOAT, v1=2, v2=3, v3=4, a1=5, a2=6, a3=7, a_n=8),
                    **flat(Kind.FLOAT, wh1=9, wh2=10, wh3=11, wh=12, c1=13, c2=14, c3=15, c_n=16),
                    **flat(Kind.FLOAT, w1=17, w2=18, w3=19, hz1=20, hz2=21, hz3=22),
                    "wrong_sequence": Field(23, Kind.BOOL),
                }
            ),
        ),
    }
)

TO_EV: Final = _choice(
    {
        "enable": Field(6, Kind.MESSAGE),
        "disable": Field(7, Kind.MESSAGE),
        "keep_alive": Field(13, Kind.MESSAGE, _HOST_ALIVE),
        "power": Field(21, Kind.MESSAGE, Message({"on": Field(1, Kind.BOOL)})),
        "reset": Field(23, Kind.MESSAGE),
        "signal": Field(25, Kind.MESSAGE, Message(flat(Kind.UINT, state=1))),  # 0 A, 1 B, 2 C, 3 D, 4 E
    }
)
FROM_EV: Final = _choice(
    {
        "keep_alive": Field(3, Kind.MESSAGE, _BOARD_ALIVE),
        "measured": Field(
            5,
            Kind.MESSAGE,
            Message({**flat(Kind.FLOAT, duty=1, high_v=2, low_v=3), **flat(Kind.BOOL, running=4, relay=5)}),
        ),
        "event": Field(6, Kind.MESSAGE, Message(flat(Kind.UINT, what=1))),
        "reset": Field(7, Kind.MESSAGE),
        "own_words": Field(13, Kind.MESSAGE, _HOST_ALIVE),
    }
)
RELAY_ERROR: Final = 9
"""An event of the car's board."""

X1: Final = 10_001
"""Steady +12 V as `pwm`: anything from 10000 on."""


def packet(message: bytes) -> bytes:
    """The octets to send for a message."""
    return cobs_encode(message + crc32_jamcrc(message).to_bytes(_CRC, "little")) + b"\0"


def say(message: Message, name: str, value: Any) -> bytes:
    """A packet of the one field `name`."""
    return packet(encode(message, {name: value}))


class Decoder:
    """Finds the packets in a stream that arrives in any portions; what is damaged ends at the next zero."""

    def __init__(self, message: Message) -> None:
        self._message = message
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The messages that these octets complete; damaged ones are left out."""
        self._buffer += data
        *parts, rest = self._buffer.split(b"\0")
        self._buffer = rest[-LONGEST:]
        return [told for part in parts if (told := self._read(bytes(part)))]

    def _read(self, part: bytes) -> dict[str, Any]:
        try:
            whole = cobs_decode(part)
            if len(whole) <= _CRC or crc32_jamcrc(whole):
                return {}
            return decode(self._message, whole[:-_CRC])
        except ValueError:
            return {}
