"""Damaged and forged messages of Plug & Charge: the station answers or ends, and nobody is authorized by accident."""

from __future__ import annotations

import random
from functools import cache

import pytest

from iso15118.exi.codec import encode
from iso15118.machine import Bytes
from iso15118.messages.iso20.types import Processing
from iso15118.secc.session import State
from iso15118.security.plug_and_charge import common_messages
from iso15118.wire.v2gtp import PayloadType, encode_frame
from tests.unit.secc.contracts import POWER, claim
from tests.unit.secc.test_installation import installer, wish

BODY = 1200
"""Bits behind which header and SignedInfo of an AuthorizationReq are over, and its body has begun."""


@cache
def requests():
    """What a station that waits for a proof may get; one such station is like the other, down to its challenge."""
    made = installer()
    return {"claim": encode(claim(made), common_messages()), "wish": encode(wish(made), common_messages())}


def tried(octets):
    """A station that got these octets."""
    made = installer()
    made.feed(Bytes(encode_frame(PayloadType.COMMON, octets)))
    return made


def damaged(octets, chance):
    """A few bits flipped, a piece cut out, doubled or replaced by noise."""
    octets = bytearray(octets)
    at = chance.randrange(len(octets))
    match chance.randrange(5):
        case 0:
            for _ in range(chance.randint(1, 8)):
                octets[chance.randrange(len(octets))] ^= 1 << chance.randrange(8)
        case 1:
            del octets[at : at + chance.randint(1, 40)]
        case 2:
            octets[at:at] = octets[at : at + chance.randint(1, 40)]
        case 3:
            octets[at : at + 30] = chance.randbytes(30)
        case _:
            del octets[at:]
    return bytes(octets)


def test_undamaged_requests_are_accepted():
    """Otherwise the following would prove nothing."""
    assert tried(requests()["claim"]).record.authorized
    assert tried(requests()["wish"]).questions


@pytest.mark.parametrize("kind", ["claim", "wish"])
@pytest.mark.parametrize("seed", range(60))
def test_damaged_request_never_authorizes(kind, seed):
    right = requests()[kind]
    octets = damaged(right, random.Random(f"{kind} {seed}"))
    made = tried(octets)
    made.advance(5.0)
    assert not [c for c in made.commands if isinstance(c, POWER)]
    if made.record.authorized:  # only what no signature covers may have changed: the header's time
        assert made.sent[-1].evse_processing is Processing.FINISHED
        assert octets[40:] == right[40:]
    else:
        assert made.at in (State.AUTHORIZATION, State.ENDED)


@pytest.mark.parametrize("seed", range(40))
def test_every_bit_of_the_body_is_signed(seed):
    """One bit anywhere behind the header, its padding left out: refused."""
    octets = bytearray(requests()["claim"])
    bit = random.Random(seed).randrange(BODY, 8 * len(octets) - 16)
    octets[bit // 8] ^= 0x80 >> bit % 8
    assert not tried(bytes(octets)).record.authorized
