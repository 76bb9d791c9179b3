"""Judging a peer's chain for a role at a given time: a verdict with the reason, never an exception for what it sent."""

from __future__ import annotations

import datetime
import enum
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from certs import crl, ids, ocsp, reading
from certs.curves import curve_of
from certs.errors import CertsError, demand_aware
from certs.ids import Check
from certs.ocsp import Revocation, Status
from certs.path import MAX_CERTIFICATES, Path, find
from certs.profiles import ISO20, KNOWN_EXTENSIONS, Profile, Role, Rules, Usage
from certs.reasons import Finding, Reason


class Mode(enum.Enum):
    """How revocation counts."""

    SKIP = "not looked at"
    SOFT = "revoked is refused, unknown is told"
    HARD = "revoked and unknown are refused"


REVOCATION: Final = MappingProxyType(
    {
        Role.SECC: Mode.HARD,  # [V2G20-1240]
        Role.VEHICLE: Mode.HARD,  # [V2G20-2432]
        Role.CONTRACT: Mode.SOFT,  # the mobility operator is asked anyway
        Role.PROVISIONING: Mode.SOFT,
        Role.CPS: Mode.SKIP,  # [V2G20-1078]
    }
)


@dataclass(frozen=True, slots=True)
class Policy:
    """How strict to be.

    `lab`: what only breaks a profile is told and not refused; signatures, validity, trust and revocation still are.
    `emaid_digit`: a wrong EMAID check digit refuses a contract; else it is told. `revocation` None: the role's mode.
    """

    lab: bool = False
    emaid_digit: bool = False
    revocation: Mode | None = None


DEFAULT: Final = Policy()
STRICT: Final = Policy(emaid_digit=True)
LAB: Final = Policy(lab=True, revocation=Mode.SOFT)

_LAB_TOLERATES: Final = frozenset(
    {
        Reason.SIZE,
        Reason.ALGORITHM,
        Reason.BASIC_CONSTRAINTS,
        Reason.PATH_LENGTH,
        Reason.KEY_USAGE,
        Reason.ROLE,
        Reason.EXT_KEY_USAGE,
        Reason.SUBJECT,
        Reason.EXTENSION,
        Reason.REVOCATION_POINTER,
    }
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about revocation: OCSP responses and CRLs (DER), in any order, for any certificate."""

    ocsp: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()


NO_EVIDENCE: Final = Evidence()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of a chain. `refusal` None: accepted. `identity` is the identifier in the leaf, normalised.

    `path` leads to the trusted root where there is one, also of refused chains.
    """

    refusal: Finding | None
    warnings: tuple[Finding, ...] = ()
    path: Path | None = None
    identity: str = ""

    @property
    def ok(self) -> bool:
        """Whether the chain is accepted."""
        return self.refusal is None

    def __str__(self) -> str:
        return "" if self.refusal is None else str(self.refusal)


@dataclass(frozen=True, slots=True)
class _Case:
    """What the checks look at."""

    path: Path
    profile: Profile
    rules: Rules
    at: datetime.datetime
    policy: Policy
    evidence: Evidence


def validate(
    chain: Sequence[bytes],
    role: Role,
    roots: Sequence[x509.Certificate],
    at: datetime.datetime,
    *,
    rules: Rules = ISO20,
    policy: Policy = DEFAULT,
    evidence: Evidence = NO_EVIDENCE,
) -> Verdict:
    """Judge a chain (DER, leaf first) that claims to be of `role`, at a time (with time zone), under trusted `roots`.

    CertsError only for our own side's mistakes: a role the protocol does not have, a time without zone.
    """
    at, profile = demand_aware(at), rules.profile(role)
    read = _read(chain)
    if isinstance(read, Finding):
        return Verdict(read)
    found = find(read[0], read[1:], roots)
    if isinstance(found, Finding):
        return Verdict(found)
    verdicts = [_judge(_Case(path, profile, rules, at, policy, evidence)) for path in found]
    return next((verdict for verdict in verdicts if verdict.ok), verdicts[0])


def _read(chain: Sequence[bytes]) -> list[x509.Certificate] | Finding:
    if not chain:
        return Finding(Reason.MALFORMED, "chain", "it is empty")
    if len(chain) > MAX_CERTIFICATES:
        return Finding(Reason.SIZE, "chain", f"{len(chain)} certificates, more than {MAX_CERTIFICATES}")
    certificates = []
    for index, octets in enumerate(chain):
        where = f"certificate {index + 1} of {len(chain)}"
        if len(octets) > reading.MAX_OCTETS:
            return Finding(Reason.SIZE, where, f"{len(octets)} octets")
        try:
            certificates.append(reading.certificate(octets))
        except CertsError as error:
            return Finding(Reason.MALFORMED, where, error.cause)
    return certificates


def _judge(case: _Case) -> Verdict:
    warnings: list[Finding] = []
    identity = _identity(case)
    for finding, refuses in _findings(case):
        tolerated = case.policy.lab and finding.reason in _LAB_TOLERATES
        if refuses and not tolerated:
            return Verdict(finding, tuple(warnings), case.path, identity)
        warnings.append(finding)
    return Verdict(None, tuple(warnings), case.path, identity)


def _findings(case: _Case) -> Iterator[tuple[Finding, bool]]:
    """Everything wrong, in the order it is reported, and whether it refuses (or is only told)."""
    for check in _CHECKS:
        for finding in check(case):
            yield finding, True
    yield from _subject(case)
    for check in (_extensions, _pointers):
        for finding in check(case):
            yield finding, True
    yield from _revocation(case)


# --- the checks, in their order --------------------------------------------------------------------


def _sizes(case: _Case) -> Iterator[Finding]:
    for index, certificate in enumerate(case.path.sent):
        octets = len(reading.der(certificate))
        if octets > case.rules.max_octets:
            detail = f"{octets} octets, {case.rules.name} allows {case.rules.max_octets}"
            yield Finding(Reason.SIZE, case.path.where(index), detail)


def _expired(case: _Case) -> Iterator[Finding]:
    for index, certificate in enumerate(case.path.elements):
        if case.at > certificate.not_valid_after_utc:
            yield Finding(Reason.EXPIRED, case.path.where(index), f"on {certificate.not_valid_after_utc}")


def _not_yet_valid(case: _Case) -> Iterator[Finding]:
    for index, certificate in enumerate(case.path.elements):
        if case.at < certificate.not_valid_before_utc:
            detail = f"before {certificate.not_valid_before_utc}"
            yield Finding(Reason.NOT_YET_VALID, case.path.where(index), detail)


def _critical(case: _Case) -> Iterator[Finding]:
    """Identifiers and pointers may be critical here, although common libraries refuse that."""
    for index, certificate in enumerate(case.path.elements):
        unknown = [
            e.oid.dotted_string
            for e in certificate.extensions
            if e.critical and e.oid not in KNOWN_EXTENSIONS
        ]
        if unknown:
            yield Finding(Reason.CRITICAL_EXTENSION, case.path.where(index), ", ".join(unknown))


def _algorithms(case: _Case) -> Iterator[Finding]:
    allowed = [curve.name for curve in case.rules.curves]
    elements = case.path.elements
    for index, certificate in enumerate(elements):
        curve = curve_of(certificate.public_key())
        issuer = elements[min(index + 1, len(elements) - 1)]
        signing = curve_of(issuer.public_key())
        signed_with = certificate.signature_algorithm_oid.dotted_string
        if curve is None or curve.name not in allowed:
            kind = curve.name if curve is not None else type(certificate.public_key()).__name__
            yield Finding(
                Reason.ALGORITHM, case.path.where(index), f"{kind} key; allowed: {', '.join(allowed)}"
            )
        elif signing is not None and signed_with != signing.signature_oid:
            yield Finding(Reason.ALGORITHM, case.path.where(index), f"signature algorithm {signed_with}")


def _basic(case: _Case) -> Iterator[Finding]:
    for index, certificate in enumerate(case.path.elements):
        basic = reading.extension(certificate, x509.BasicConstraints)
        if index and (basic is None or not basic.value.ca):
            yield Finding(Reason.ISSUER_NOT_CA, case.path.where(index))
        elif basic is None or (not basic.critical and index < len(case.path.elements) - 1):
            yield Finding(Reason.BASIC_CONSTRAINTS, case.path.where(index), "missing or not critical")
        elif not index and basic.value.ca:
            yield Finding(Reason.BASIC_CONSTRAINTS, case.path.where(index), "it says it is a CA")


def _path_lengths(case: _Case) -> Iterator[Finding]:
    """The constraint as everywhere, and the profile: the CA above a leaf allows none below it, the next at most one."""
    for index, certificate in enumerate(case.path.elements[1:], start=1):
        basic = reading.extension(certificate, x509.BasicConstraints)
        limit = basic.value.path_length if basic is not None else None
        below = index - 1
        if limit is not None and below > limit:
            detail = f"{below} sub-CAs below it, allowed {limit}"
            yield Finding(Reason.PATH_LENGTH, case.path.where(index), detail)
        elif index <= 2 and certificate is not case.path.anchor and (limit is None or limit > below):
            detail = f"path length {limit}, the profile wants {below}"
            yield Finding(Reason.PATH_LENGTH, case.path.where(index), detail)


def _key_usages(case: _Case) -> Iterator[Finding]:
    for index, certificate in enumerate(case.path.elements):
        is_leaf = index == 0
        usage = reading.extension(certificate, x509.KeyUsage)
        if usage is None or (not usage.critical and certificate is not case.path.anchor):
            yield Finding(Reason.KEY_USAGE, case.path.where(index), "missing or not critical")
            continue
        present = _flags(usage.value)
        demanded = case.profile.demanded if is_leaf else frozenset({Usage.CERT_SIGN})
        missing = demanded - present
        wrong = present & case.profile.forbidden if is_leaf else frozenset()
        if missing or wrong:
            parts = [f"lacks {u.value}" for u in missing] + [f"must not have {u.value}" for u in wrong]
            yield Finding(Reason.KEY_USAGE, case.path.where(index), ", ".join(sorted(parts)))


def _flags(usage: x509.KeyUsage) -> frozenset[Usage]:
    """The usages that are set; two of them exist only beside key agreement."""
    agrees = usage.key_agreement
    conditional = (Usage.ENCIPHER_ONLY, Usage.DECIPHER_ONLY)
    return frozenset(u for u in Usage if (agrees or u not in conditional) and getattr(usage, u.value))


def _role(case: _Case) -> Iterator[Finding]:
    """Domain component and form of the CN: what keeps one role's certificate from posing as another's."""
    where, leaf, profile = case.path.where(0), case.path.leaf, case.profile
    domains = ",".join(_values(leaf, NameOID.DOMAIN_COMPONENT))
    if not re.fullmatch(profile.domains, domains):
        yield Finding(
            Reason.ROLE, where, f"DC is {domains!r}, {profile.role.value} wants {profile.domain or 'none'}"
        )
    if profile.identifier is not None and not _identity(case):
        common = reading.common_name(leaf.subject)
        yield Finding(Reason.ROLE, where, f"CN {common!r} is no {profile.identifier.value}")


def _extended(case: _Case) -> Iterator[Finding]:
    purposes = reading.extension(case.path.leaf, x509.ExtendedKeyUsage)
    wanted = case.profile.extended
    if wanted is None and purposes is not None and case.profile.role in case.rules.strict_extensions:
        yield Finding(Reason.EXT_KEY_USAGE, case.path.where(0), "there must be none")
    elif wanted is not None and (purposes is None or wanted not in purposes.value):
        yield Finding(Reason.EXT_KEY_USAGE, case.path.where(0), f"{wanted.dotted_string} is missing")


def _subject(case: _Case) -> Iterator[tuple[Finding, bool]]:
    where, leaf, profile = case.path.where(0), case.path.leaf, case.profile
    if not reading.common_name(leaf.subject):
        yield Finding(Reason.SUBJECT, where, "exactly one CN is wanted"), True
    if not _values(leaf, NameOID.ORGANIZATION_NAME):
        yield Finding(Reason.SUBJECT, where, "there is no O"), True
    if profile.role is Role.VEHICLE:
        allowed = {NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.DOMAIN_COMPONENT}
        if any(attribute.oid not in allowed for attribute in leaf.subject):  # [V2G20-2598]
            yield Finding(Reason.SUBJECT, where, "a vehicle is named by CN and O alone"), True
    if profile.identifier is not None and _identity(case):
        found = ids.parse(profile.identifier, reading.common_name(leaf.subject))
        if found.check is Check.WRONG:
            detail = f"check digit of {found.text!r} should be {found.expected}"
            yield Finding(Reason.SUBJECT, where, detail), _digit_refuses(profile, case.policy)


def _digit_refuses(profile: Profile, policy: Policy) -> bool:
    """The SECCID's digit is ambiguous in the standard itself, the EMAID's is no proof of anything."""
    if profile.identifier is ids.Kind.EMAID:
        return policy.emaid_digit
    return profile.identifier is not ids.Kind.SECCID


def _extensions(case: _Case) -> Iterator[Finding]:
    if case.profile.role in case.rules.strict_extensions:  # [V2G20-2686]
        other = [e.oid.dotted_string for e in case.path.leaf.extensions if e.oid not in KNOWN_EXTENSIONS]
        if other:
            yield Finding(Reason.EXTENSION, case.path.where(0), ", ".join(other))


def _pointers(case: _Case) -> Iterator[Finding]:
    for index, certificate in enumerate(case.path.sent):
        pointers = (x509.AuthorityInformationAccess, x509.CRLDistributionPoints)
        if not any(reading.extension(certificate, kind) for kind in pointers):
            yield Finding(Reason.REVOCATION_POINTER, case.path.where(index))


def _revocation(case: _Case) -> Iterator[tuple[Finding, bool]]:
    """Revoked anywhere refuses. Unknown refuses for the leaf alone: TLS libraries staple for nothing else."""
    mode = case.policy.revocation or REVOCATION.get(case.profile.role, Mode.SOFT)
    if mode is Mode.SKIP:
        return
    elements = case.path.elements
    for index in range(len(elements) - 1):
        status = revocation_status(elements[index], elements[index + 1], case.evidence, case.at)
        if status.kind is Revocation.REVOKED:
            yield Finding(Reason.REVOKED, case.path.where(index), status.detail), True
        elif status.kind is not Revocation.GOOD and (index == 0 or status.kind is Revocation.INVALID):
            refuses = mode is Mode.HARD and index == 0
            yield Finding(Reason.STATUS_UNKNOWN, case.path.where(index), status.detail), refuses


def revocation_status(
    certificate: x509.Certificate, issuer: x509.Certificate, evidence: Evidence, at: datetime.datetime
) -> Status:
    """The strongest statement about a certificate: revoked before good, good before invalid, invalid before missing."""
    found = [ocsp.check(response, certificate, issuer, at) for response in evidence.ocsp if response]
    found += [crl.check(each, certificate, issuer, at) for each in evidence.crls]
    for kind in (Revocation.REVOKED, Revocation.GOOD, Revocation.INVALID):
        for status in found:
            if status.kind is kind:
                return status
    return Status(Revocation.MISSING, "neither an OCSP response nor a CRL is there")


_CHECKS: Final[tuple[Callable[[_Case], Iterator[Finding]], ...]] = (
    _sizes,
    _expired,
    _not_yet_valid,
    _critical,
    _algorithms,
    _basic,
    _path_lengths,
    _key_usages,
    _role,
    _extended,
)


def _identity(case: _Case) -> str:
    """The identifier in the CN, normalised; empty where it has not the form the role wants."""
    common = reading.common_name(case.path.leaf.subject)
    if case.profile.identifier is None:
        return common
    try:
        return ids.parse(case.profile.identifier, common).text
    except CertsError:
        return ""


def _values(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid)]
