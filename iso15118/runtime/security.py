"""TLS of a charger or a vehicle: who it is, whom it believes, and what it does without.

`Security` holds it, `demand` decides at start whether there is enough of it, `tls_machine` puts a session behind it.
Plain programs never load the TLS library: everything heavy is imported where it is used.
"""

from __future__ import annotations

import dataclasses
import datetime
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

from iso15118.config import EvccConfig, SeccConfig
from iso15118.errors import ConfigError
from iso15118.events import Role
from iso15118.machine import Machine, Utc
from iso15118.security.binding import ConnectionFacts

if TYPE_CHECKING:
    from certs.chain import Evidence, Policy
    from certs.identity import Identity
    from iso15118.security.contracts import Wallet
    from iso15118.security.plug_and_charge import StationTrust
    from iso15118.tls.engine import TlsFacts
    from iso15118.tls.identity import Identity as Shown
    from iso15118.tls.identity import StatusCheck, TlsSettings
    from iso15118.tls.machine import TlsMachine
    from iso15118.tls.profile import TlsProfile

HALF_OPEN: Final = 4
"""Connections that may shake hands at the same time; one more pushes the oldest out."""
HANDSHAKE_S: Final = 10.0
"""How long a peer may take for the TLS handshake."""

_Config = TypeVar("_Config", SeccConfig, EvccConfig)
_LOG: Final = logging.getLogger("iso15118.runtime")
_DIRECTORY: Final = MappingProxyType({"SECC": "secc", "EVCC": "vehicle"})


@dataclass(frozen=True, slots=True)
class Security:
    """An identity with the rules it is used by. `Charger(identity=...)` and `Vehicle(identity=...)` take either.

    `policy` is how strictly a peer is judged (None: by the standard). `evidence` (charger) tells what is known about
    revoked vehicles, at each handshake; a public station needs it [V2G20-2432]. Without it, vehicles are not asked
    for proof that they are not revoked, which is told in the log. `staple` gives the newest OCSP response for our own
    certificate where a fresh one is fetched from time to time; None: the one of the identity. `key_log` is told the
    secrets of every connection, for debugging alone. `handshake_s` (s) and `half_open` limit what strangers may hold.
    `trust` (charger) judges contracts in Plug & Charge; None: those that end at the MO and V2G roots of the identity.
    `wallet` (vehicle) holds contracts and what new ones are fetched with. `others` (charger) are identities that end at
    further roots, each shown to vehicles that name its root [V2G20-1007]; whom the station trusts is said by the first
    alone, which `staple` is about as well.
    """

    identity: Identity
    policy: Policy | None = None
    evidence: Callable[[], Evidence] | None = field(default=None, repr=False)
    staple: Callable[[], bytes] | None = field(default=None, repr=False)
    key_log: Callable[[str], None] | None = field(default=None, repr=False)
    handshake_s: float = HANDSHAKE_S
    half_open: int = HALF_OPEN
    trust: StationTrust | None = field(default=None, repr=False)
    wallet: Wallet | None = field(default=None, repr=False)
    others: tuple[Identity, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.handshake_s <= 0:
            raise ConfigError("handshake_s", f"{self.handshake_s}; accepted: above 0 s")
        if self.half_open < 1:
            raise ConfigError("half_open", f"{self.half_open}; accepted: 1 or more")


def demand(role: Role, security: Security | None, *, insecure: bool, who: str) -> None:
    """ConfigError unless this is enough to start with: an identity that fits, or plain TCP allowed by name.

    TlsError where the TLS library cannot be held to the profile of the standard.
    `who` and `insecure` are the side's id and its switch `insecure_no_tls`. What should be known goes to the log.
    """
    if insecure:
        _LOG.warning(
            "%s: ISO 15118-20 is allowed WITHOUT TLS, which the standard forbids; anyone on the link can read "
            "and control the session. For laboratories only",
            who,
        )
    if security is None:
        if not insecure:
            raise ConfigError("identity", _missing(role))
        return
    _check_identity(role, security.identity)
    _check_others(role, security)
    if security.key_log is not None:
        _LOG.warning(
            "%s: the SECRETS OF EVERY TLS CONNECTION ARE WRITTEN DOWN (key log). Never in service", who
        )
    for remark in _remarks(role, security):
        _LOG.warning("%s: %s", who, remark)
    _try_out(role, security)


def tls_machine(role: Role, security: Security, make: Callable[[TlsFacts], Machine], utc: Utc) -> TlsMachine:
    """A session of `make` behind TLS; `utc` is the wall clock that validity is judged by."""
    from iso15118.tls.machine import TlsMachine

    return TlsMachine(role, settings(role, security, utc), make, utc)


def session_config(config: _Config, facts: ConnectionFacts | None) -> _Config:
    """The configuration a session machine gets: consent to plain TCP is none to a TLS connection that proves nothing."""
    return config if facts is None else dataclasses.replace(config, insecure_no_tls=False)


def as_security(identity: Identity | Security | None) -> Security | None:
    """An identity alone is used by the standard's rules."""
    return identity if identity is None or isinstance(identity, Security) else Security(identity)


def station_trust(security: Security | None) -> StationTrust | None:
    """Who judges contracts at a station; None where there is no identity and so no roots."""
    from certs.chain import NO_EVIDENCE
    from certs.profiles import Role as Owner
    from iso15118.security.chains import RootsJudge
    from iso15118.security.plug_and_charge import StationTrust

    if security is None or security.trust is not None:
        return None if security is None else security.trust
    own, evidence = security.identity, security.evidence or (lambda: NO_EVIDENCE)
    contracts, provisioning = (
        RootsJudge(role, own.roots_for(role), rules=own.rules, evidence=evidence)
        for role in (Owner.CONTRACT, Owner.PROVISIONING)
    )
    return StationTrust(contracts, provisioning if own.roots_for(Owner.PROVISIONING) else None)


def settings(role: Role, security: Security, utc: Utc) -> TlsSettings:
    """What the TLS machine of a side works by."""
    from certs import checks, reading
    from certs.chain import DEFAULT, NO_EVIDENCE, Mode
    from certs.profiles import Role as Owner
    from iso15118.tls.identity import TlsSettings, accept_status

    def clock() -> datetime.datetime:
        return datetime.datetime.fromtimestamp(utc(), datetime.UTC)

    own, policy = security.identity, security.policy or DEFAULT
    check_status: StatusCheck = accept_status
    if role == "SECC":
        peer, known = Owner.VEHICLE, security.evidence or (lambda: NO_EVIDENCE)
        check_chain = checks.of_vehicles(own, clock, known, _revocation_known(security, policy))
    else:
        peer, check_chain = Owner.SECC, checks.of_stations(own, clock, policy)
        check_status = checks.of_staples(own, clock, policy.revocation or Mode.HARD)
    status = own.status if security.staple is None else security.staple()
    return TlsSettings(
        identities=(_shown(own, status), *(_shown(other, other.status) for other in security.others)),
        roots=tuple(reading.der(root) for root in own.roots_for(peer)),
        profiles=(_profile(own),),
        check_chain=check_chain,
        check_status=check_status,
        key_log=security.key_log,
        handshake_s=security.handshake_s,
    )


def _shown(own: Identity, status: bytes) -> Shown:
    from certs import reading
    from iso15118.tls.identity import Identity as Shown
    from iso15118.tls.identity import hashes_of

    hashes: frozenset[tuple[int, bytes]] = frozenset()
    for root in chain.from_iterable(own.roots.values()):
        if root.subject.public_bytes() == own.root:
            hashes |= hashes_of(reading.key_octets(root.public_key()), reading.der(root))
    return Shown(own.chain, own.key, own.root, status, _profile(own), hashes)


def _revocation_known(security: Security, policy: Policy) -> Policy:
    """A station that has no source of revocation cannot ask for what it could not judge [V2G20-2433]."""
    from certs.chain import Mode

    if security.evidence is not None or policy.revocation is not None:
        return policy
    return dataclasses.replace(policy, revocation=Mode.SOFT)


def _profile(identity: Identity) -> TlsProfile:
    from certs.profiles import ISO20_LAB_P256
    from iso15118.tls.profile import ISO20, LAB_P256

    return LAB_P256 if identity.rules is ISO20_LAB_P256 else ISO20


def _check_identity(role: Role, identity: Identity) -> None:
    """ConfigError unless it is one of this role and of ISO 15118-20, and knows whom to trust."""
    from certs.profiles import ISO2
    from certs.profiles import Role as Owner

    wanted, peer = (Owner.SECC, Owner.VEHICLE) if role == "SECC" else (Owner.VEHICLE, Owner.SECC)
    folder = _DIRECTORY[role]
    if identity.rules is ISO2:
        raise ConfigError(
            "identity",
            "it is one of ISO 15118-2, this version speaks ISO 15118-20; accepted: `iso15118 pki init`",
        )
    if identity.role is not wanted:
        raise ConfigError(
            "identity",
            f"it is one of the role {identity.role.value}; accepted: {wanted.value}, as in DIR/{folder}",
        )
    if not identity.roots_for(peer):
        raise ConfigError(
            "identity", f"it trusts no root that a {peer.value} certificate could end at (roots/*.pem)"
        )


def _check_others(role: Role, security: Security) -> None:
    if security.others and role == "EVCC":
        raise ConfigError("others", "a vehicle shows one identity; accepted: none")
    for other in security.others:
        _check_identity(role, other)
        if _profile(other) is not _profile(security.identity):
            raise ConfigError(
                "others", "one is of another profile than the first; accepted: one profile for all"
            )


def _remarks(role: Role, security: Security) -> Iterator[str]:
    """What will keep peers away, or should be known."""
    if role == "SECC" and security.evidence is None:
        yield "nothing is known about revoked vehicles; a public station has to know"
    yield from _remarks_on(role, security.identity, security.staple)
    for other in security.others:
        yield from _remarks_on(role, other, None)


def _remarks_on(role: Role, own: Identity, staple: Callable[[], bytes] | None) -> Iterator[str]:
    from certs import ocsp

    now, until = datetime.datetime.now(datetime.UTC), own.leaf.not_valid_after_utc
    if now > until:
        yield f"its own certificate ended on {until}: every peer will refuse it. Renew it"
    elif now < own.leaf.not_valid_before_utc:
        yield f"its own certificate begins on {own.leaf.not_valid_before_utc}: look at the clock"
    if role == "SECC":
        response = own.status if staple is None else staple()
        issuer = own.certificates[1] if len(own.certificates) > 1 else own.leaf
        status = ocsp.check(response, own.leaf, issuer, now)
        if status.kind is not ocsp.Revocation.GOOD:
            yield f"its OCSP response proves nothing ({status.detail}): vehicles will refuse it. Fetch a new one"


def _try_out(role: Role, security: Security) -> None:
    """Prepare a connection as a peer would cause it: what cannot work is told now, and the library is in memory."""
    from iso15118.tls.engine import Engine
    from iso15118.tls.errors import TlsError

    made = settings(role, security, time.time)
    try:
        for shown in made.identities:
            Engine(made, shown, made.profiles[0], server=role == "SECC", utc=time.time)
    except TlsError:
        raise
    except Exception as error:
        what = type(shown.key).__name__
        raise ConfigError(
            "identity", f"the TLS library cannot use its key ({what}) or certificates: {error}"
        ) from error


def _missing(role: Role) -> str:
    side, config = ("charger", "SeccConfig") if role == "SECC" else ("vehicle", "EvccConfig")
    folder = _DIRECTORY[role]
    return (
        f"ISO 15118-20 runs over TLS 1.3, and this {side} has no certificate. `iso15118 pki init DIR` makes a set for "
        f'tests; give it identity=certs.Identity.load("DIR/{folder}"), or the program --pki DIR. For a laboratory, '
        f"allow plain TCP knowingly: {config}(insecure_no_tls=True), or insecure_no_tls = true in the file"
    )
