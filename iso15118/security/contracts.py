"""What a vehicle holds for Plug & Charge: contracts with their keys, and what it fetches contracts with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, x448
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature

from certs import reading
from certs.curves import PrivateKey, curve_of
from certs.errors import CertsError
from certs.identity import Identity
from certs.keys import Signer
from certs.profiles import Role
from iso15118.security.algorithms import Algorithms, SigningKey, for_key
from iso15118.security.chains import ChainJudge, RootsJudge, common_name, leaf_key
from iso15118.security.plug_and_charge import EXPIRES_SOON_S


class OwnKey(Signer):
    """A private key that signs, and never shows itself in a log. `private` is there to be stored, or to agree on keys.

    Its ECDSA signatures follow from key and content alone (RFC 6979), so that a session needs no other chance than the
    entropy it is given.
    """

    def __init__(self, private: PrivateKey) -> None:
        super().__init__(private)
        self.private = private

    def sign_digest(self, digest: bytes) -> bytes:
        """See `SigningKey`. A key in hardware, or a library too old for it, signs in its own way."""
        curve = curve_of(self.private)
        if not isinstance(self.private, ec.EllipticCurvePrivateKey) or curve is None or curve.digest is None:
            return super().sign_digest(digest)  # which tells what is wrong
        try:
            repeatable = ec.ECDSA(Prehashed(curve.digest), deterministic_signing=True)
        except UnsupportedAlgorithm:
            return super().sign_digest(digest)
        r, s = decode_dss_signature(self.private.sign(digest, repeatable))
        return r.to_bytes(curve.coordinate) + s.to_bytes(curve.coordinate)

    def __repr__(self) -> str:
        return "OwnKey(...)"


@dataclass(frozen=True, slots=True)
class Contract:
    """A charging contract: its identifier, its chain (DER, leaf first, the root left out) and its key."""

    emaid: str
    chain: tuple[bytes, ...] = field(repr=False)
    key: SigningKey = field(repr=False, compare=False)

    @classmethod
    def of(cls, identity: Identity) -> Contract:
        """A contract kept as an identity of `certs`."""
        return cls(_plain(reading.common_name(identity.leaf.subject)), identity.chain, OwnKey(identity.key))

    @property
    def provider(self) -> str:
        """Country and provider, as "DEABC"."""
        return _plain(self.emaid)[:5]

    def usable(self, utc_s: float, providers: Iterable[str] | None, allowed: tuple[Algorithms, ...]) -> str:
        """Why the contract cannot be used at a time with a station that takes `providers` (None: all); empty if it can."""
        since, until = _validity(self.chain)
        if for_key(leaf_key(self.chain), allowed) is None or len(self.chain) < 2:
            return "its certificate cannot be used in this protocol"
        if not since <= utc_s <= until:
            return "its certificate is not valid now"
        if providers is not None and self.provider not in {_plain(each)[:5] for each in providers}:
            return f"the station does not take contracts of {self.provider}"
        return ""

    def expires_soon(self, utc_s: float) -> bool:
        """Whether it is time to renew it: within 14 days it ends."""
        return _validity(self.chain)[1] - utc_s < EXPIRES_SOON_S


@dataclass(frozen=True, slots=True)
class Provisioning:
    """What a vehicle fetches contracts with: the chain of its PCID and the key of it, which also agrees on keys.

    `trust` judges the provisioning service that signs what comes back. `roots` are the trusted roots the request names,
    as (issuer, serial number). `lenient_aad` as in `certs.contract.unwrap_iso20`. `agreement` is the X448 key that
    receives contract keys where `key` is on Ed448; `experimental_x448`: they are taken, in a reading of our own that
    no other implementation has shown to be right (`certs.contract.unwrap_ed448`).
    """

    chain: tuple[bytes, ...] = field(repr=False)
    key: OwnKey = field(repr=False)
    trust: ChainJudge
    roots: tuple[tuple[str, int], ...] = field(default=(), repr=False)
    lenient_aad: bool = False
    agreement: x448.X448PrivateKey | None = field(default=None, repr=False)
    experimental_x448: bool = False

    @property
    def pcid(self) -> str:
        """The vehicle's name towards back ends."""
        return common_name(self.chain[0])

    @classmethod
    def of(cls, identity: Identity, *, experimental_x448: bool = False) -> Provisioning:
        """A provisioning certificate kept as an identity of `certs`, with the roots it trusts."""
        trusted = identity.roots_for(Role.CPS)
        named = tuple((root.issuer.rfc4514_string(), root.serial_number) for root in trusted)
        judge = RootsJudge(Role.CPS, trusted, rules=identity.rules)
        return cls(
            identity.chain,
            OwnKey(identity.key),
            judge,
            named,
            agreement=identity.agreement,
            experimental_x448=experimental_x448,
        )


@dataclass(frozen=True, slots=True)
class Wallet:
    """Everything of the above. `contracts` in the owner's order of preference."""

    contracts: tuple[Contract, ...] = ()
    provisioning: Provisioning | None = None

    def with_contract(self, contract: Contract) -> Wallet:
        """The same with this contract first, in place of an older one of its name."""
        others = tuple(each for each in self.contracts if each.emaid != contract.emaid)
        return replace(self, contracts=(contract, *others))


def certificate(octets: bytes) -> x509.Certificate | None:
    """A certificate from a peer; None where it cannot be read."""
    try:
        return reading.certificate(octets)
    except CertsError:
        return None


def _validity(chain: tuple[bytes, ...]) -> tuple[float, float]:
    found: Any = certificate(chain[0]) if chain else None
    if found is None:
        return 0.0, 0.0
    return found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp()


def _plain(identifier: str) -> str:
    return identifier.upper().replace("-", "")
