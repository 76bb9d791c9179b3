"""Certificates that are wrong on purpose: one defect each, and the reason a verifier has to give."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import x448
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from certs import ids, reading
from certs.curves import ED448, SECP256R1, SECP521R1, Curve, PrivateKey
from certs.ids import Check
from certs.issue import Authority, Draft, draft, name, self_sign, sign
from certs.profiles import Profile, Role, Rules, Usage
from certs.reasons import Reason

_DAY: Final = datetime.timedelta(days=1)
_STRANGE: Final = ObjectIdentifier("1.3.6.1.4.1.99999.7")


class Defect(enum.Enum):
    """What is wrong. The value is the name on a command line."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    EXPIRED_SUB_CA = "expired-sub-ca"
    WRONG_ROLE = "wrong-role"
    WRONG_DOMAIN = "wrong-domain"
    NO_ORGANISATION = "no-organisation"
    WRONG_IDENTIFIER = "wrong-identifier"
    WRONG_CHECK_DIGIT = "wrong-check-digit"
    WRONG_CURVE = "wrong-curve"
    WRONG_HASH = "wrong-hash"
    CA_LEAF = "ca-leaf"
    NO_BASIC_CONSTRAINTS = "no-basic-constraints"
    NO_KEY_USAGE = "no-key-usage"
    WRONG_KEY_USAGE = "wrong-key-usage"
    NO_EXTENDED_KEY_USAGE = "no-extended-key-usage"
    WRONG_EXTENDED_KEY_USAGE = "wrong-extended-key-usage"
    UNKNOWN_CRITICAL_EXTENSION = "unknown-critical-extension"
    STRANGE_EXTENSION = "strange-extension"
    NO_REVOCATION_POINTER = "no-revocation-pointer"
    OVERSIZE = "oversize"
    PATH_LENGTH = "path-length"
    UNFIT_SUB_CA = "unfit-sub-ca"
    ISSUED_BY_LEAF = "issued-by-leaf"
    FORGED = "forged"
    UNKNOWN_ROOT = "unknown-root"
    MISSING_SUB_CA = "missing-sub-ca"
    REVOKED = "revoked"
    STALE_STATUS = "stale-status"
    SWAPPED_KEY = "swapped-key"


class Stapled(enum.Enum):
    """Which OCSP response goes with a leaf."""

    GOOD = "good"
    REVOKED = "revoked"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Making:
    """A leaf about to be issued, with everything that can be made wrong about it. `curve` is that of the whole tree."""

    draft: Draft
    issuer: Authority
    key: PrivateKey = field(repr=False)
    profile: Profile
    rules: Rules
    at: datetime.datetime
    authorities: Mapping[Role, Authority]
    curve: Curve
    agreement: x448.X448PrivateKey | None = field(default=None, repr=False)
    shown: tuple[x509.Certificate, ...] | None = None
    stapled: Stapled = Stapled.GOOD

    def but(self, **changes: object) -> Making:
        """The same with changes to the draft."""
        return dataclasses.replace(self, draft=dataclasses.replace(self.draft, **changes))  # type: ignore[arg-type]

    def rename(
        self, *, common: str | None = None, organisation: str | None = None, domain: str | None = None
    ) -> Making:
        """The same with parts of the subject replaced; an empty text removes one."""
        subject = self.draft.subject
        now = {
            oid: next((str(a.value) for a in subject.get_attributes_for_oid(oid)), "")
            for oid in (
                x509.NameOID.COMMON_NAME,
                x509.NameOID.ORGANIZATION_NAME,
                x509.NameOID.DOMAIN_COMPONENT,
            )
        }
        old_common, old_organisation, old_domain = now.values()
        return self.but(
            subject=name(
                old_common if common is None else common,
                old_organisation if organisation is None else organisation,
                old_domain if domain is None else domain,
            )
        )

    def issued_by(self, issuer: Authority, shown: tuple[x509.Certificate, ...] | None = None) -> Making:
        """The same from another authority."""
        return dataclasses.replace(self, issuer=issuer, shown=shown)


def _always(_: Making) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make a defect, the reason it is refused with, and for which leaves it can be made."""

    reason: Reason
    spoil: Callable[[Making], Making]
    applies: Callable[[Making], bool] = _always


# --- what concerns the leaf alone ------------------------------------------------------------------


def _wrong_role(making: Making) -> Making:
    """The subject and purpose of another role's certificate; its key usage would do."""
    is_contract = making.profile.role is Role.CONTRACT
    other = making.rules.profile(Role.PROVISIONING if is_contract else Role.CONTRACT)
    common = "WMXP1234567890ABC5" if is_contract else "DE8AACA2B3C4D5L"
    extended = (other.extended,) if other.extended else ()
    return making.rename(common=common, domain=other.domain).but(extended=extended)


def _wrong_curve(making: Making) -> Making:
    other = SECP256R1 if making.curve.name != SECP256R1.name else SECP521R1
    key = other.generate()
    return dataclasses.replace(making.but(public_key=key.public_key()), key=key)


def _wrong_hash(making: Making) -> Making:
    return making.but(digest=hashes.SHA256() if making.curve.name == SECP521R1.name else hashes.SHA512())


def _wrong_digit(making: Making) -> Making:
    """Neither of the two algorithms gives this digit."""
    common, kind = reading.common_name(making.draft.subject), making.profile.identifier
    assert kind is not None
    candidates = (common[:-1] + digit for digit in "123456789")
    return making.rename(common=next(c for c in candidates if ids.parse(kind, c).check is Check.WRONG))


def _extra(octets: int, *, critical: bool) -> Callable[[Making], Making]:
    extension = x509.UnrecognizedExtension(_STRANGE, b"\x04\x82" + octets.to_bytes(2, "big") + bytes(octets))
    return lambda making: making.but(extra=((extension, critical),))


def _has_extended(making: Making) -> bool:
    return making.profile.extended is not None


def _has_identifier(making: Making) -> bool:
    return making.profile.identifier is not None


def _is_told_by_domain(making: Making) -> bool:
    return making.profile.domains != ".*"


# --- what concerns the authorities -----------------------------------------------------------------


def _like(authority: Authority, making: Making, **changes: object) -> tuple[Draft, PrivateKey]:
    """A draft of the leaf's issuer with changes, and a key for it."""
    assert making.profile.issuer is not None
    profile = making.rules.profile(making.profile.issuer)
    key = making.curve.generate()
    made = draft(profile, making.rules, "x", key.public_key(), making.at, "x")
    changes = {"subject": authority.certificate.subject, "repeatable": making.draft.repeatable, **changes}
    return dataclasses.replace(made, **changes), key  # type: ignore[arg-type]


def _sub_ca(making: Making, **changes: object) -> Making:
    """The leaf from a sub-CA in the place of its own, with changes."""
    assert making.profile.issuer is not None
    above = making.authorities[making.rules.profile(making.profile.issuer).issuer or Role.V2G_ROOT]
    made, key = _like(making.issuer, making, **changes)
    return making.issued_by(Authority(sign(made, above), key, above.shown))


def _expired_sub_ca(making: Making) -> Making:
    return _sub_ca(making, not_before=making.at - 30 * _DAY, not_after=making.at - _DAY)


def _path_length(making: Making) -> Making:
    """One sub-CA too many, below the lowest."""
    made, key = _like(making.issuer, making, subject=name("Sub-CA 3", "Test"))
    return making.issued_by(Authority(sign(made, making.issuer), key, making.issuer.shown))


def _issued_by_leaf(making: Making) -> Making:
    """A stolen leaf key signs for somebody else."""
    key = making.curve.generate()
    stolen = sign(making.rename(common="Stolen").but(public_key=key.public_key()).draft, making.issuer)
    return making.issued_by(Authority(stolen, key, making.issuer.shown))


def _forged(making: Making) -> Making:
    """From a CA that calls itself what the issuer is called; the issuer's real certificate is shown."""
    made, key = _like(making.issuer, making)
    return making.issued_by(self_sign(made, key), making.issuer.shown)


def _unknown_root(making: Making) -> Making:
    key = making.curve.generate()
    made = draft(
        making.rules.profile(Role.V2G_ROOT), making.rules, "Unknown Root CA", key.public_key(), making.at, "x"
    )
    root = self_sign(dataclasses.replace(made, repeatable=making.draft.repeatable), key)
    first, first_key = _like(
        making.issuer,
        making,
        subject=name("Unknown Sub-CA 1", "x"),
        basic=x509.BasicConstraints(ca=True, path_length=1),
    )
    sub_1 = Authority(sign(first, root), first_key)
    second, second_key = _like(making.issuer, making, subject=name("Unknown Sub-CA 2", "x"))
    return making.issued_by(Authority(sign(second, sub_1), second_key, sub_1.shown))


def _missing_sub_ca(making: Making) -> Making:
    return dataclasses.replace(making, shown=making.issuer.shown[:1])


def _swapped_key(making: Making) -> Making:
    return dataclasses.replace(making, key=making.curve.generate())


def _stapled(which: Stapled) -> Callable[[Making], Making]:
    return lambda making: dataclasses.replace(making, stapled=which)


RECIPES: Final[Mapping[Defect, Recipe]] = MappingProxyType(
    {
        Defect.EXPIRED: Recipe(
            Reason.EXPIRED, lambda m: m.but(not_before=m.at - 30 * _DAY, not_after=m.at - _DAY)
        ),
        Defect.NOT_YET_VALID: Recipe(Reason.NOT_YET_VALID, lambda m: m.but(not_before=m.at + _DAY)),
        Defect.EXPIRED_SUB_CA: Recipe(Reason.EXPIRED, _expired_sub_ca),
        Defect.WRONG_ROLE: Recipe(Reason.ROLE, _wrong_role),
        Defect.WRONG_DOMAIN: Recipe(Reason.ROLE, lambda m: m.rename(domain="XX"), _is_told_by_domain),
        Defect.NO_ORGANISATION: Recipe(Reason.SUBJECT, lambda m: m.rename(organisation="")),
        Defect.WRONG_IDENTIFIER: Recipe(Reason.ROLE, lambda m: m.rename(common="Somebody"), _has_identifier),
        Defect.WRONG_CHECK_DIGIT: Recipe(
            Reason.SUBJECT,
            _wrong_digit,
            lambda m: m.profile.role in (Role.VEHICLE, Role.PROVISIONING, Role.CONTRACT),
        ),
        Defect.WRONG_CURVE: Recipe(Reason.ALGORITHM, _wrong_curve),
        Defect.WRONG_HASH: Recipe(Reason.ALGORITHM, _wrong_hash, lambda m: m.curve.name != ED448.name),
        Defect.CA_LEAF: Recipe(
            Reason.BASIC_CONSTRAINTS, lambda m: m.but(basic=x509.BasicConstraints(ca=True, path_length=None))
        ),
        Defect.NO_BASIC_CONSTRAINTS: Recipe(Reason.BASIC_CONSTRAINTS, lambda m: m.but(basic=None)),
        Defect.NO_KEY_USAGE: Recipe(Reason.KEY_USAGE, lambda m: m.but(usage=None)),
        Defect.WRONG_KEY_USAGE: Recipe(Reason.KEY_USAGE, lambda m: m.but(usage=frozenset({Usage.AGREEMENT}))),
        Defect.NO_EXTENDED_KEY_USAGE: Recipe(
            Reason.EXT_KEY_USAGE, lambda m: m.but(extended=()), _has_extended
        ),
        Defect.WRONG_EXTENDED_KEY_USAGE: Recipe(
            Reason.EXT_KEY_USAGE,
            lambda m: m.but(extended=(ExtendedKeyUsageOID.CODE_SIGNING,)),
            lambda m: _has_extended(m) or m.profile.role in m.rules.strict_extensions,
        ),
        Defect.UNKNOWN_CRITICAL_EXTENSION: Recipe(Reason.CRITICAL_EXTENSION, _extra(2, critical=True)),
        Defect.STRANGE_EXTENSION: Recipe(
            Reason.EXTENSION, _extra(2, critical=False), lambda m: m.profile.role in m.rules.strict_extensions
        ),
        Defect.NO_REVOCATION_POINTER: Recipe(Reason.REVOCATION_POINTER, lambda m: m.but(ocsp="", crl="")),
        Defect.OVERSIZE: Recipe(Reason.SIZE, _extra(1600, critical=False)),
        Defect.PATH_LENGTH: Recipe(Reason.PATH_LENGTH, _path_length),
        Defect.UNFIT_SUB_CA: Recipe(
            Reason.KEY_USAGE, lambda m: _sub_ca(m, usage=frozenset({Usage.CRL_SIGN}))
        ),
        Defect.ISSUED_BY_LEAF: Recipe(Reason.ISSUER_NOT_CA, _issued_by_leaf),
        Defect.FORGED: Recipe(Reason.SIGNATURE, _forged),
        Defect.UNKNOWN_ROOT: Recipe(Reason.UNTRUSTED_ROOT, _unknown_root),
        Defect.MISSING_SUB_CA: Recipe(Reason.INCOMPLETE_CHAIN, _missing_sub_ca),
        Defect.REVOKED: Recipe(
            Reason.REVOKED, _stapled(Stapled.REVOKED), lambda m: m.profile.role is not Role.CPS
        ),
        Defect.STALE_STATUS: Recipe(
            Reason.STATUS_UNKNOWN,
            _stapled(Stapled.STALE),
            lambda m: m.profile.role in (Role.SECC, Role.VEHICLE),
        ),
        Defect.SWAPPED_KEY: Recipe(Reason.KEY_MISMATCH, _swapped_key),
    }
)
