"""Named attacks as data, written like the faults of sessions: what somebody may try who is none of us, or lies.

Each belongs to a layer: "identity" (certificates and keys that are wrong), "wire" (somebody between the two sides),
"message" (a peer that is behind good TLS and still lies). `draw_attack` draws one from a seed. They need a session over
TLS, some of them one by contract. `impostors.py`, `tampering.py` and `dishonest.py` bring them into a session;
`security_checks.py` judges what came of it. Times in virtual seconds since plug-in.
"""

from __future__ import annotations

import random
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from iso15118.errors import ConfigError
from iso15118.sim.faults import Fault, Kind, Parameter, Value, make

if TYPE_CHECKING:
    from iso15118.sim.scenarios import Scenario

_SIDE: Final = Parameter("side", "EVCC", choices=("SECC", "EVCC"))
_PLACE: Final = Parameter("place", 0.5, 0.0, 1.0)
"""Where in the octets, from their beginning (0) to their end (1)."""
_AT: Final = Parameter("at", 2.0, 0.0, 8.0)
_SETUP_S: Final = 0.1
"""Until then discovery and the TLS handshake are over: a short time in which much can be tried."""

_EVERYWHERE: Final = (
    "EXPIRED",
    "NOT_YET_VALID",
    "EXPIRED_SUB_CA",
    "WRONG_ROLE",
    "NO_ORGANISATION",
    "WRONG_CURVE",
    "CA_LEAF",
    "NO_BASIC_CONSTRAINTS",
    "NO_KEY_USAGE",
    "WRONG_KEY_USAGE",
    "UNKNOWN_CRITICAL_EXTENSION",
    "NO_REVOCATION_POINTER",
    "OVERSIZE",
    "PATH_LENGTH",
    "UNFIT_SUB_CA",
    "ISSUED_BY_LEAF",
    "FORGED",
    "UNKNOWN_ROOT",
    "MISSING_SUB_CA",
)
"""Defects of certificates (`certs.defects`) that a leaf of each role can have and is refused for."""


_PURPOSE: Final = ("NO_EXTENDED_KEY_USAGE", "WRONG_EXTENDED_KEY_USAGE")


def _defect(*more: str) -> tuple[Parameter, ...]:
    return (Parameter("defect", "EXPIRED", choices=(*_EVERYWHERE, *more)),)


ATTACKS: Final = MappingProxyType(
    {
        "bad_station": Kind(
            "identity",
            "the station's certificate has a defect",
            _defect("WRONG_IDENTIFIER", *_PURPOSE, "REVOKED", "STALE_STATUS"),
        ),
        "bad_vehicle": Kind(
            "identity",
            "the vehicle's certificate has a defect",
            _defect(
                "WRONG_DOMAIN", "WRONG_IDENTIFIER", "WRONG_CHECK_DIGIT", *_PURPOSE, "REVOKED", "STALE_STATUS"
            ),
        ),
        "bad_contract": Kind(
            "identity",
            "the only contract has a defect",
            _defect(
                "WRONG_IDENTIFIER",
                "WRONG_HASH",
                "WRONG_EXTENDED_KEY_USAGE",
                "STRANGE_EXTENSION",
                "REVOKED",
                "SWAPPED_KEY",
            ),
        ),
        "foreign_contract": Kind("identity", "the only contract is of another root with the same name"),
        "foreign_back_end": Kind("identity", "the contract comes from a provisioning service of strangers"),
        "bad_back_end": Kind(
            "identity",
            "the provisioning service's certificate has a defect",
            _defect("WRONG_DOMAIN", "WRONG_HASH", "SWAPPED_KEY"),
        ),
        "bad_provisioning": Kind(
            "identity",
            "the certificate that the car asks for contracts with has a defect",
            _defect("WRONG_IDENTIFIER", "WRONG_CHECK_DIGIT", "WRONG_HASH", "REVOKED", "SWAPPED_KEY"),
        ),
        "tls_tamper": Kind("wire", "a bit of a TLS record is turned", (_AT, _SIDE, _PLACE)),
        "tls_replay": Kind("wire", "a TLS record arrives twice", (_AT, _SIDE)),
        "tls_drop": Kind("wire", "a TLS record never arrives", (_AT, _SIDE)),
        "tls_inject": Kind("wire", "a message in the clear comes between the TLS records", (_AT, _SIDE)),
        "tls_garbage": Kind("wire", "something else than a TLS handshake begins the connection", (_SIDE,)),
        "stalled_handshake": Kind(
            "wire",
            "a peer takes its time in the TLS handshake",
            (Parameter("seconds", 60.0, 11.0, 90.0), _SIDE),
        ),
        "tls_downgrade": Kind("wire", "the car's offer of TLS 1.3 is rewritten to TLS 1.2"),
        "sdp_downgrade": Kind("wire", "discovery is rewritten to say that there is no TLS", (_SIDE,)),
        "older_protocol": Kind("message", "the car offers nothing but ISO 15118-2"),
        "changed_challenge": Kind("message", "the car answers another challenge than the station's"),
        "replayed_authorization": Kind("message", "the car sends what was signed for another session"),
        "pasted_challenge": Kind("message", "what was signed for another session, with this one's challenge"),
        "spoilt_signature": Kind("message", "a bit of the car's signature is turned", (_PLACE,)),
        "no_signature": Kind("message", "the car does not sign"),
        "malformed_contract": Kind(
            "message",
            "the car's contract certificate cannot be read",
            (Parameter("how", "CUT", choices=("CUT", "NOISE", "EMPTY", "LONG")), _PLACE),
        ),
        "spoilt_installation": Kind(
            "message", "a bit of the fetched contract's signature is turned", (_PLACE,)
        ),
        "foreign_session_id": Kind(
            "message",
            "a side goes on under another session id",
            (_AT, _SIDE, Parameter("value", "OTHER", choices=("OTHER", "ZERO", "NEXT"))),
        ),
    }
)
"""Every attack by name."""

FETCHES: Final = frozenset({"foreign_back_end", "bad_back_end", "bad_provisioning", "spoilt_installation"})
"""Attacks on the way a contract is fetched."""
BY_CONTRACT: Final = FETCHES | {
    "bad_contract",
    "foreign_contract",
    "changed_challenge",
    "replayed_authorization",
    "pasted_challenge",
    "spoilt_signature",
    "no_signature",
    "malformed_contract",
}
"""Attacks on Plug & Charge."""


def attack(name: str, *positional: Value, **named: Value) -> Fault:
    """An attack with these parameters, the rest at their defaults. ConfigError names what is accepted."""
    return make(ATTACKS, name, positional, named)


def draw_attack(seed: int) -> Fault:
    """One attack by chance, the same for the same seed. One in three that has a time comes while TLS is set up."""
    chance = random.Random(f"attack {seed}")
    name = chance.choice(sorted(ATTACKS))
    early = replace(_AT, high=_SETUP_S) if chance.random() < 1 / 3 else _AT
    parameters = (early if p is _AT else p for p in ATTACKS[name].parameters)
    return Fault(name, tuple((p.name, p.draw(chance)) for p in parameters))


def demand_target(fault: Fault, scenario: Scenario) -> None:
    """ConfigError where a session has nothing that the attack could hit."""
    if scenario.tls is None:
        raise ConfigError(
            f"faults.{fault.name}",
            "it attacks a session over TLS; accepted: tls=True (without --insecure-no-tls)",
        )
    pnc = scenario.pnc
    if fault.name in FETCHES and (pnc is None or pnc.cps is None):
        raise ConfigError(
            f"faults.{fault.name}", "nothing is fetched; accepted: auth='pnc' with install=True"
        )
    if fault.name in BY_CONTRACT - FETCHES and (pnc is None or not pnc.wallet.contracts):
        raise ConfigError(
            f"faults.{fault.name}", "the car has no contract; accepted: auth='pnc' without install"
        )
