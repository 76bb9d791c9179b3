"""Whom to trust with what: judging certificate chains, as a seam a firmware may fill with its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from cryptography import x509

from certs import reading
from certs.chain import DEFAULT, NO_EVIDENCE, Evidence, Policy, validate
from certs.errors import CertsError
from certs.moment import moment
from certs.path import MAX_CERTIFICATES
from certs.profiles import ISO20, Role, Rules
from certs.reasons import Reason

MAX_OCTETS: Final = 1600
"""The size of a certificate in messages of ISO 15118-20."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is thought of a chain at a time. `refusal` in plain words, empty: trusted.

    `code` is the response code of ISO 15118-20 that tells the EV. `identity` is the identifier in the leaf (EMAID,
    PCID), `not_after` the leaf's end in seconds since the epoch. `unknown_root`: somebody else may know its root.
    """

    refusal: str = ""
    code: str = "OK"
    identity: str = ""
    not_after: float = math.inf
    unknown_root: bool = False

    @property
    def ok(self) -> bool:
        """Whether the chain is trusted."""
        return not self.refusal


class ChainJudge(Protocol):
    """Who decides about chains of one role."""

    def __call__(self, chain: tuple[bytes, ...], utc_s: float) -> Judgement:
        """Judge a chain (DER, leaf first, the root left out) at a time; must not raise for what a peer sent."""


@dataclass(frozen=True, slots=True)
class RootsJudge:
    """Chains of a role that end at trusted roots, judged by `certs`.

    `evidence` gives the OCSP responses and CRLs known at the moment. `rules` and `policy` as in `certs.validate`.
    """

    role: Role
    roots: tuple[x509.Certificate, ...] = field(repr=False)
    rules: Rules = field(default=ISO20, repr=False)
    policy: Policy = DEFAULT
    evidence: Callable[[], Evidence] = field(default=lambda: NO_EVIDENCE, repr=False)

    def __call__(self, chain: tuple[bytes, ...], utc_s: float) -> Judgement:
        """See `ChainJudge`."""
        verdict = validate(
            chain,
            self.role,
            self.roots,
            moment(utc_s),
            rules=self.rules,
            policy=self.policy,
            evidence=self.evidence(),
        )
        if verdict.refusal is None:
            assert verdict.path is not None
            not_after = verdict.path.leaf.not_valid_after_utc.timestamp()
            return Judgement(identity=verdict.identity, not_after=not_after)
        return Judgement(
            str(verdict.refusal),
            verdict.refusal.explanation.iso20,
            verdict.identity,
            unknown_root=verdict.refusal.reason is Reason.UNTRUSTED_ROOT,
        )


def leaf_key(chain: tuple[bytes, ...]) -> Any:
    """The public key of a chain's leaf; None where a peer's chain is oversized or its leaf cannot be read."""
    if not chain or len(chain) > MAX_CERTIFICATES or any(len(octets) > MAX_OCTETS for octets in chain):
        return None
    try:
        return reading.certificate(chain[0]).public_key()
    except CertsError:
        return None


def common_name(leaf: bytes) -> str:
    """The CN of a certificate (DER); empty where it has none or cannot be read."""
    try:
        return reading.common_name(reading.certificate(leaf).subject)
    except CertsError:
        return ""
