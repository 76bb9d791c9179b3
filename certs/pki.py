"""A whole Plug & Charge PKI for tests, laboratories and simulations, in one call.

V2G, OEM and MO roots with their sub-CAs, leaves of every role, OCSP responses and CRLs, a second V2G root with a cross
certificate. Any leaf can be had with one deliberate defect.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Final

from cryptography import x509

from certs import agreement, crl, directory, ids
from certs.chain import DEFAULT, Evidence, Policy, Verdict
from certs.curves import CURVES, SECP256R1, Curve, PrivateKey
from certs.defects import RECIPES, Defect, Making, Stapled
from certs.errors import CertsError, demand_aware
from certs.identity import Identity, Roots, anchors
from certs.ids import Kind
from certs.issue import Authority, Draft, draft, self_sign, sign
from certs.profiles import ISO20, ISO20_LAB_P256, LEAF_ROLES, ROOT_ROLES, Profile, Role, Rules, rules_of
from certs.responder import Responder

TRUSTS: Final[Mapping[Role, tuple[Role, ...]]] = MappingProxyType(
    {
        Role.SECC: (Role.V2G_ROOT, Role.OEM_ROOT, Role.MO_ROOT),
        Role.CPS: (Role.V2G_ROOT, Role.OEM_ROOT),
        Role.VEHICLE: (Role.V2G_ROOT,),
        Role.PROVISIONING: (Role.V2G_ROOT,),
        Role.CONTRACT: (Role.V2G_ROOT,),
    }
)
"""Which roots each role keeps."""

EXAMPLES: Final[Mapping[Role, str]] = MappingProxyType(
    {
        Role.SECC: ids.with_check_digit(Kind.SECCID, "DE-TST-S-00000000000000000000000000000001"),
        Role.CPS: "Provisioning Service",
        Role.VEHICLE: ids.with_check_digit(Kind.EVCCID, "WMX-V-000000000000001"),
        Role.PROVISIONING: ids.with_check_digit(Kind.PCID, "WMX-P-0000000000001"),
        Role.CONTRACT: ids.with_check_digit(Kind.EMAID, "DETSTC00000001"),
    }
)
"""The identifiers of leaves that nobody named."""

_TITLES: Final[Mapping[Role, str]] = MappingProxyType(
    {
        Role.V2G_ROOT: "V2G Root CA",
        Role.OEM_ROOT: "OEM Root CA",
        Role.MO_ROOT: "MO Root CA",
        Role.CPO_SUB_1: "CPO Sub-CA 1",
        Role.CPO_SUB_2: "CPO Sub-CA 2",
        Role.CPS_SUB_1: "CPS Sub-CA 1",
        Role.CPS_SUB_2: "CPS Sub-CA 2",
        Role.OEM_SUB_1: "OEM Sub-CA 1",
        Role.OEM_SUB_2: "OEM Sub-CA 2",
        Role.VEHICLE_SUB_1: "Vehicle Sub-CA 1",
        Role.VEHICLE_SUB_2: "Vehicle Sub-CA 2",
        Role.MO_SUB_1: "MO Sub-CA 1",
        Role.MO_SUB_2: "MO Sub-CA 2",
    }
)


class TestPki:
    """A PKI made at a time (with time zone), for "iso15118-20" or "iso15118-2".

    `curve` is "secp521r1" (default) or "ed448" for ISO 15118-20, "secp256r1" for ISO 15118-2. ISO 15118-20 with
    "secp256r1" is not conformant and meant for laboratories whose peers know nothing else. With a `seed` the same call
    makes the same keys and certificates, for simulations that have to repeat; who knows the seed knows the keys.
    """

    __test__: ClassVar = False  # not a class of tests, whatever its name makes pytest think

    def __init__(
        self,
        at: datetime.datetime,
        protocol: str = ISO20.name,
        curve: str = "",
        organisation: str = "Test",
        *,
        seed: str = "",
        authorities: Mapping[Role, Authority] | None = None,
    ) -> None:
        self.at = demand_aware(at)
        self.rules, self.curve = _rules_and_curve(protocol, curve)
        self.organisation, self.seed = organisation, seed
        self.authorities = authorities or self._make_authorities()

    # --- leaves ------------------------------------------------------------------------------------

    def secc(self, seccid: str = "", *, defect: Defect | str | None = None) -> Identity:
        """A station's identity. ISO 15118-20 wants a SECCID, ISO 15118-2 any name."""
        return self.leaf(Role.SECC, seccid, defect=defect)

    def vehicle(self, evccid: str = "", *, defect: Defect | str | None = None) -> Identity:
        """A car's identity on TLS (ISO 15118-20 only)."""
        return self.leaf(Role.VEHICLE, evccid, defect=defect)

    def provisioning(self, pcid: str = "", *, defect: Defect | str | None = None) -> Identity:
        """What a car asks contracts with."""
        return self.leaf(Role.PROVISIONING, pcid, defect=defect)

    def contract(self, emaid: str = "", *, defect: Defect | str | None = None) -> Identity:
        """A charging contract."""
        return self.leaf(Role.CONTRACT, emaid, defect=defect)

    def cps(self, title: str = "", *, defect: Defect | str | None = None) -> Identity:
        """The provisioning service that signs contract data."""
        return self.leaf(Role.CPS, title, defect=defect)

    def leaf(
        self,
        role: Role,
        identifier: str = "",
        *,
        defect: Defect | str | None = None,
        key: PrivateKey | None = None,
        at: datetime.datetime | None = None,
    ) -> Identity:
        """A leaf of a role. `identifier` with or without its check digit, empty: an example.

        `key` None: a fresh one. `at` None: the time of the PKI. CertsError for a defect that the role cannot have.
        """
        profile = self._leaf_profile(role)
        at = self.at if at is None else demand_aware(at)
        common = _completed(profile, identifier) if identifier else EXAMPLES[role]
        spoilt = defect.value if isinstance(defect, Defect) else defect or ""
        return self._issued(self._making(role, common, key, at, spoilt), defect)

    def certify(
        self, role: Role, common: str, public_key: Any, at: datetime.datetime
    ) -> tuple[x509.Certificate, ...]:
        """A chain (leaf first, root left out) for a key of which only the public half is known, as in enrolment."""
        profile, issuer = self._leaf_profile(role), self._issuer(role)
        name = _completed(profile, common)
        wanted = draft(profile, self.rules, name, public_key, at, self.organisation, issuer)
        return (sign(wanted, issuer), *issuer.shown)

    def possible_defects(self, role: Role) -> tuple[Defect, ...]:
        """The defects that a leaf of the role can have."""
        making = self._making(role, EXAMPLES[role], None, self.at)
        return tuple(defect for defect, recipe in RECIPES.items() if recipe.applies(making))

    # --- trust, revocation ---------------------------------------------------------------------------

    @property
    def roots(self) -> Roots:
        """All roots, by class."""
        return MappingProxyType({role: (self.authorities[role].certificate,) for role in ROOT_ROLES})

    def verdict(
        self, identity: Identity, at: datetime.datetime | None = None, policy: Policy = DEFAULT
    ) -> Verdict:
        """What a peer that trusts the roots of this PKI says of an identity."""
        roots = anchors(self.roots, identity.role, self.rules)
        return identity.check(roots, self.at if at is None else at, policy=policy)

    def responder(self, role: Role, known: tuple[x509.Certificate, ...] = ()) -> Responder:
        """The OCSP responder, with a signer of its own, of the authority that issues leaves of a role."""
        authority = self._issuer(role)
        key = self._curve(f"responder {role.value}").generate()
        made = self._draft(self.rules.profile(Role.OCSP), "OCSP Responder", key, self.at, authority)
        signer = Authority(sign(made, authority), key, authority.shown)
        return Responder(authority, known, signer=signer)

    def status(self, identity: Identity, at: datetime.datetime) -> bytes:
        """A fresh OCSP response (DER) that calls the leaf of an identity good."""
        return Responder(self._issuer(identity.role), ()).about(identity.leaf, at)

    def crl(self, role: Role, revoked: tuple[x509.Certificate, ...], at: datetime.datetime) -> bytes:
        """The CRL (DER) of the authority that issues leaves of a role."""
        authority = self._issuer(role)
        return crl.issue(authority, {each.serial_number: at for each in revoked}, at)

    def evidence(self, identity: Identity) -> Evidence:
        """What the OCSP response of an identity tells."""
        return Evidence(ocsp=(identity.status,))

    def cross_certified(self, role: Role = Role.V2G_ROOT) -> tuple[x509.Certificate, x509.Certificate]:
        """Another root, and the certificate in which it vouches for a root of this PKI."""
        key = self._curve("other root").generate()
        made = self._draft(self.rules.profile(role), "Other Root CA", key, self.at, None)
        other = self_sign(made, key)
        ours = self.authorities[role].certificate
        profile = self.rules.profile(Role.CROSS)
        vouching = draft(profile, self.rules, "x", ours.public_key(), self.at, "x", other)
        return other.certificate, sign(dataclasses.replace(vouching, subject=ours.subject), other)

    # --- on disk -------------------------------------------------------------------------------------

    def write(self, folder: str | Path, *, unencrypted: bool = False) -> None:
        """Write the PKI: `ca/`, `roots/`, and one directory for a leaf of each role, ready to be used.

        Keys are encrypted, each directory with its own passphrase, unless `unencrypted` is said.
        """
        leaves = tuple(self.leaf(role) for role in LEAF_ROLES if role in self.rules.profiles)
        tree = directory.Tree(self.rules, self.curve.name, self.organisation, self.authorities, self.roots)
        directory.write(Path(folder), tree, leaves, unencrypted=unencrypted)

    @classmethod
    def load(cls, folder: str | Path, at: datetime.datetime) -> TestPki:
        """A PKI that was written, to issue more from it at a later time."""
        tree = directory.read(Path(folder))
        return cls(at, tree.rules.name, tree.curve, tree.organisation, authorities=tree.authorities)

    # --- making --------------------------------------------------------------------------------------

    def _make_authorities(self) -> Mapping[Role, Authority]:
        made: dict[Role, Authority] = {}
        for profile in self.rules.authorities:
            role, key = profile.role, self._curve(profile.role.value).generate()
            issuer = made[profile.issuer] if profile.issuer is not None else None
            wanted = self._draft(profile, _TITLES[role], key, self.at, issuer)
            made[role] = (
                self_sign(wanted, key)
                if issuer is None
                else Authority(sign(wanted, issuer), key, issuer.shown)
            )
        return MappingProxyType(made)

    def _leaf_profile(self, role: Role) -> Profile:
        if role not in LEAF_ROLES:
            raise CertsError(
                f"role {role.value}", f"no leaf; accepted: {', '.join(r.value for r in LEAF_ROLES)}"
            )
        return self.rules.profile(role)

    def _issuer(self, role: Role) -> Authority:
        """The authority that issues leaves of a role."""
        issuer = self._leaf_profile(role).issuer
        assert issuer is not None, "leaves have an issuer"
        return self.authorities[issuer]

    def _making(
        self, role: Role, common: str, key: PrivateKey | None, at: datetime.datetime, spoilt: str = ""
    ) -> Making:
        """A leaf to be; a spoilt one has another key than the good one, also where both follow from a seed."""
        profile, issuer, label = (
            self.rules.profile(role),
            self._issuer(role),
            f"{role.value} {common} {spoilt}",
        )
        curve = self._curve(label)
        key = curve.generate() if key is None else key
        wanted = self._draft(profile, common, key, at, issuer)
        making = Making(wanted, issuer, key, profile, self.rules, at, self.authorities, curve)
        if not agreement.needed(profile, key):
            return making
        agrees = agreement.fresh(f"{self.seed} {label}" if self.seed else "")
        return dataclasses.replace(making, agreement=agrees).but(alternate=agrees.public_key())

    def _draft(
        self, profile: Profile, common: str, key: PrivateKey, at: datetime.datetime, issuer: Authority | None
    ) -> Draft:
        wanted = draft(profile, self.rules, common, key.public_key(), at, self.organisation, issuer)
        return dataclasses.replace(wanted, repeatable=bool(self.seed))

    def _curve(self, label: str) -> Curve:
        """The curve of the tree; with a seed, the same keys for the same label, whatever was made before."""
        return self.curve.seeded(f"{self.seed} {label}") if self.seed else self.curve

    def _issued(self, making: Making, defect: Defect | str | None) -> Identity:
        if defect is not None:
            making = _spoilt(making, defect)
        certificate = sign(making.draft, making.issuer)
        shown = making.issuer.shown if making.shown is None else making.shown
        role = making.profile.role
        roots = MappingProxyType({r: self.roots[r] for r in TRUSTS[role]})
        status = _status(making, certificate)
        return Identity(role, (certificate, *shown), making.key, roots, status, self.rules, making.agreement)


def _spoilt(making: Making, defect: Defect | str) -> Making:
    try:
        defect = Defect(defect)
    except ValueError:
        raise CertsError(f"defect {defect!r}", f"accepted: {', '.join(d.value for d in Defect)}") from None
    recipe = RECIPES[defect]
    if not recipe.applies(making):
        raise CertsError(
            f"defect {defect.value}",
            f"a {making.profile.role.value} certificate of {making.rules.name} cannot have it",
        )
    return recipe.spoil(making)


def _status(making: Making, certificate: x509.Certificate) -> bytes:
    """The OCSP response of the making's choice."""
    responder = Responder(making.issuer, ())
    if making.stapled is Stapled.REVOKED:
        responder = responder.revoke(certificate, making.at)
    age = datetime.timedelta(days=30 if making.stapled is Stapled.STALE else 0)
    return responder.about(certificate, making.at - age)


def _completed(profile: Profile, identifier: str) -> str:
    """An identifier of the profile's kind, its check digit added where it is missing; a wrong one is an error."""
    kind = profile.identifier
    if kind is None:
        return identifier
    try:
        found = ids.parse(kind, identifier)
    except CertsError:
        return ids.with_check_digit(kind, identifier)  # fails again where more is wrong
    if found.check is ids.Check.WRONG:
        raise CertsError(f"{kind.value} {identifier!r}", f"its check digit should be {found.expected}")
    return found.text if found.check is ids.Check.RIGHT else ids.with_check_digit(kind, found.text)


def _rules_and_curve(protocol: str, curve: str) -> tuple[Rules, Curve]:
    rules = rules_of(protocol)
    if rules is ISO20 and curve == SECP256R1.name:
        rules = ISO20_LAB_P256
    wanted = curve or rules.curves[0].name
    if wanted not in [each.name for each in rules.curves]:
        allowed = ", ".join(each.name for each in rules.curves)
        raise CertsError(f"curve {wanted!r}", f"{rules.name} uses {allowed}")
    return rules, CURVES[wanted]
