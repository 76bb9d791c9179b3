"""A station that takes contracts, and what a vehicle that has one says to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from certs.keys import Signer
from certs.profiles import Role
from iso15118.config import SeccConfig
from iso15118.control import evse as api
from iso15118.control.common import CpState
from iso15118.control.evse import EvseState, MeterReading
from iso15118.events import EndReason
from iso15118.messages.iso20 import common
from iso15118.messages.iso20.types import Processing, ResponseCode
from iso15118.secc.session import State
from iso15118.security.algorithms import ISO20
from iso15118.security.chains import RootsJudge
from iso15118.security.plug_and_charge import StationTrust, proof
from tests.unit.secc.harness import DC_LIMITS, STARTED_AT, Bench, Clock, walk
from tests.unit.security.made import AT_S, contract, pki

C = ResponseCode
POWER = (api.RunCableCheck, api.SetDcTarget, api.CloseContactor)


def judge(**given):
    return RootsJudge(Role.CONTRACT, pki().roots[Role.MO_ROOT], **given)


def station(*, state=State.AUTHORIZATION, trust=None, tls=None, ahead_s=0.0, **config):
    """A station that takes contracts and cards, whose clock shows the time of the PKI."""
    settings = {"authorization": ("PnC", "EIM"), "insecure_no_tls": True} | config
    made = Bench(
        SeccConfig(**settings),
        EvseState(cp=CpState.B, limits=DC_LIMITS, meter=MeterReading("METER", 12.4)),
        clock=Clock(now=AT_S - STARTED_AT + ahead_s),
        trust=trust or StationTrust(judge()),
        tls=tls,
    )
    made.link_up()
    return walk(made, state)


def claim(made, identity=None, challenge=None, allowed=ISO20, **changes):
    """The AuthorizationReq of a vehicle that holds a contract."""
    identity = identity or contract()
    challenge = made.record.challenge if challenge is None else challenge
    mode, signature = proof(challenge, identity.chain, Signer(identity.key), allowed)
    return request(made, replace(mode, **changes), signature)


def request(made, mode, signature):
    header = replace(made.ev.header, signature=signature)
    return common.AuthorizationReq(
        header=header, selected_authorization_service=common.Authorization.PNC, authorization_mode=mode
    )


def told(made, response, code, *, over=False):
    """The response has this code; the session goes on or is over, and nothing was energised."""
    assert response.response_code is code
    assert response.evse_processing is Processing.FINISHED
    assert not made.record.authorized
    assert not [c for c in made.commands if isinstance(c, POWER)]
    assert (made.end is not None) is over
    if over:
        assert made.end.reason is EndReason.REFUSED
        assert made.close is not None
    else:
        assert made.at is State.AUTHORIZATION


@dataclass
class Facts:
    """What a TLS machine tells of its connection."""

    version: int = 0x0304
    peer: bytes | None = b""
